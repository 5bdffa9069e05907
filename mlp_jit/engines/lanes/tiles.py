"""E1, E3 and E4 a register tile at a time: the innermost loops of the lanes engine.

Numbers reach these as places: where a panel or a block starts. A block of samples goes through all units before the
next one, so that its numbers stay in the first cache; W comes in panels (`panels.py`).
"""

from ..._jit import Place, Size, routine, template
from .panels import width_of
from .simd import NEURONS, VECTORS, at, lanes, tile_fma, tile_load, tile_rows, tile_store, tile_store_part, tile_zero


@template
def tile_forward(V, W, b, i_0, i_1, a, width, z):
    """E1: z_j = b_j + Σ_i w_ij a_i for NEURONS units j and V · lanes samples, which it alone writes; of the sum the
    terms from i_0 on, those before being in z.
    """
    if i_0 == 0:
        z_j = tile_rows(NEURONS, V, b, 0)  # b_j
    else:
        z_j = tile_load(NEURONS, V, z, 0, width, NEURONS, V * lanes(z))
    for i in range(i_0, i_1):
        z_j = tile_fma(z_j, W, i * NEURONS, 1, a, i * width)
    tile_store(z_j, z, 0, width)


@routine
def forward_layer(
    packed: Place, n_in: Size, n_out: Size, a: Place, below: Size, z: Place, here: Size, size: Size, rows: Size,
    few: Size,
) -> None:  # fmt: skip
    """E1: z_j = b_j + Σ_i w_ij a_i of the blocks of `rows` samples. Writes z, and up to NEURONS − 1 rows too many.

    Places: the layer's panels; a and z, whose blocks are `size` apart. In a block the rows of a_i start at `below`,
    with a row of ones behind them, which is written, too: the input of b for E5. Those of z_j start at `here`. At most
    `few` terms of the sum at a time, whose a_i stay in the first cache and whose w_ij in the second.
    """
    S = VECTORS * lanes(a)
    for i_0 in range(0, n_in, few):
        i_1 = min(i_0 + few, n_in)
        for s in range(0, rows, S):
            width, block = width_of(rows - s, a), s // S * size
            a_i = at(a, block + below * width)
            for n in range(n_in * width, (n_in + 1) * width):
                a_i[n] = 1
            for j in range(0, n_out, NEURONS):
                W_j, z_j = at(packed, j * (n_in + 1)), at(z, block + (here + j) * width)
                b_j = at(W_j, n_in * NEURONS)
                if width > lanes(a):
                    tile_forward(2, W_j, b_j, i_0, i_1, a_i, width, z_j)
                else:
                    tile_forward(1, W_j, b_j, i_0, i_1, a_i, width, z_j)


@template
def tile_hidden_delta(V, W, step, j_0, j_1, delta_j, width, delta_i):
    """E3: Σ_j w_ij δ_j for NEURONS units i and V · lanes samples, which it alone writes, from E1's panels, `step`
    apart; of the sum the terms from j_0 on, those before being in delta_i.
    """
    if j_0 == 0:
        total = tile_zero(NEURONS, V, W)
    else:
        total = tile_load(NEURONS, V, delta_i, 0, width, NEURONS, V * lanes(W))
    for j in range(j_0, j_1, NEURONS):
        for q in range(min(NEURONS, j_1 - j)):
            total = tile_fma(total, W, j // NEURONS * step + q, NEURONS, delta_j, (j + q) * width)
    tile_store(total, delta_i, 0, width)


@routine
def hidden_delta(
    packed: Place, n_in: Size, n_out: Size, delta_j: Place, delta_i: Place, size: Size, rows: Size, few: Size
) -> None:
    """E3: Σ_j w_ij δ_j of the blocks of `rows` samples, φ' still to come. Writes delta_i, and up to NEURONS − 1 rows
    too many.

    Places: E1's panels; delta_j (n_out, width) and delta_i (n_in, width), whose blocks are `size` apart. At most `few`
    terms of the sum at a time, as in E1.
    """
    S, step = VECTORS * lanes(packed), (n_in + 1) * NEURONS
    for j_0 in range(0, n_out, few):
        j_1 = min(j_0 + few, n_out)
        for s in range(0, rows, S):
            width, block = width_of(rows - s, packed), s // S * size
            for i in range(0, n_in, NEURONS):
                W_i, delta = at(packed, i * NEURONS), at(delta_i, block + i * width)
                if width > lanes(packed):
                    tile_hidden_delta(2, W_i, step, j_0, j_1, at(delta_j, block), width, delta)
                else:
                    tile_hidden_delta(1, W_i, step, j_0, j_1, at(delta_j, block), width, delta)


@template
def tile_wide_delta(V, W, j_0, j_1, delta_j, width, delta_i):
    """E3: `tile_hidden_delta` from panels of its own."""
    if j_0 == 0:
        total = tile_zero(NEURONS, V, W)
    else:
        total = tile_load(NEURONS, V, delta_i, 0, width, NEURONS, V * lanes(W))
    for j in range(j_0, j_1):
        total = tile_fma(total, W, j * NEURONS, 1, delta_j, j * width)
    tile_store(total, delta_i, 0, width)


@routine
def wide_delta(
    packed: Place, n_in: Size, n_out: Size, delta_j: Place, delta_i: Place, size: Size, rows: Size, few: Size
) -> None:
    """E3: `hidden_delta` of a layer so wide that each of E1's panels lies on other pages: from panels of its own."""
    S = VECTORS * lanes(packed)
    for j_0 in range(0, n_out, few):
        j_1 = min(j_0 + few, n_out)
        for s in range(0, rows, S):
            width, block = width_of(rows - s, packed), s // S * size
            for i in range(0, n_in, NEURONS):
                W_i, delta = at(packed, i * n_out), at(delta_i, block + i * width)
                if width > lanes(packed):
                    tile_wide_delta(2, W_i, j_0, j_1, at(delta_j, block), width, delta)
                else:
                    tile_wide_delta(1, W_i, j_0, j_1, at(delta_j, block), width, delta)


@template
def tile_gradient(V, h, size, row, rows, N, delta, g, n_out, columns, adds):
    """E4: Σ_n a_i δ_j for `rows` units i from `row` on, at most NEURONS, and V · lanes units j, added to g where
    `adds`; it alone writes g. The rows of h after them are read, too, and what comes of them is dropped.
    """
    if adds:
        total = tile_load(NEURONS, V, g, 0, n_out, rows, columns)
    else:
        total = tile_zero(NEURONS, V, g)
    block, d = 0, 0
    for n_0 in range(0, N, VECTORS * lanes(h)):
        samples = min(N - n_0, VECTORS * lanes(h))
        width = width_of(samples, h)
        for n in range(samples):
            total = tile_fma(total, h, block + row * width + n, width, delta, d)
            d += V * lanes(h)
        block += size
    tile_store_part(total, g, 0, n_out, rows, columns)


@routine
def weight_gradient(
    h: Place, size: Size, row: Size, count: Size, N: Size, delta: Place, capacity: Size, g: Place, n_out: Size,
    adds: Size,
) -> None:  # fmt: skip
    """E4: Σ_n a_i δ_j over N samples for `count` rows i of W and all j; the last row of W is b, and its a is 1: E5.

    Places: h, whose blocks are `size` apart, δ's panels for `capacity` samples (with the 1/N of the mean in them), and
    g (count, n_out), which is written.
    """
    V = VECTORS * lanes(h)
    for j in range(0, n_out, V):
        columns, delta_j = min(n_out - j, V), at(delta, j * capacity)
        for i in range(0, count, NEURONS):
            rows, g_i = min(count - i, NEURONS), at(g, i * n_out + j)
            if columns > lanes(h):
                tile_gradient(2, h, size, row + i, rows, N, delta_j, g_i, n_out, columns, adds)
            else:
                tile_gradient(1, h, size, row + i, rows, N, delta_j, g_i, n_out, columns, adds)
