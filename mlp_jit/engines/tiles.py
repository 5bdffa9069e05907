"""E1, E3 and E4 a register tile at a time: the innermost loops of `lanes.py`.

Arrays reach these as places (`simd.at`): where a row, a panel or a block starts.
"""

from .._jit import kernel, template
from .panels import is_packed, width_of
from .simd import NEURONS, VECTORS, at, lanes, tile_fma, tile_load, tile_rows, tile_store, tile_store_part, tile_zero


@template
def tile_forward(V, b, W, stride, n_in, a, width, z):
    """E1: z_j = b_j + Σ_i w_ij a_i for NEURONS units j and V · lanes samples, which it alone writes."""
    z_j = tile_rows(NEURONS, V, b, 0)  # b_j
    for i in range(n_in):
        z_j = tile_fma(z_j, W, i * stride, 1, a, i * width)
    tile_store(z_j, z, 0, width)


@kernel
def forward_layer(W, b, b_step, packed, n_in, n_out, a, below, z, here, size, rows):
    """E1: z_j = b_j + Σ_i w_ij a_i of the blocks of `rows` samples. Writes z, and up to NEURONS − 1 rows too many.

    Places: W in the parameters, b there with a b_step of 1, or NEURONS zeros with one of 0; E1's panels in `packed`; a
    and z, whose blocks are `size` apart. In a block the rows of a_i start at `below`, those of z_j at `here`.
    """
    S = VECTORS * lanes(a)
    for j in range(0, n_out, NEURONS):
        if is_packed(j, n_out):
            W_j, stride = at(packed, j * (n_in + 1)), NEURONS
            b_j = at(W_j, n_in * NEURONS)
        else:
            W_j, stride, b_j = at(W, j), n_out, at(b, j * b_step)
        for s in range(0, rows, S):
            width = width_of(rows - s, a)
            a_i, z_j = at(a, s // S * size + below * width), at(z, s // S * size + (here + j) * width)
            if width > lanes(a):
                tile_forward(2, b_j, W_j, stride, n_in, a_i, width, z_j)
            else:
                tile_forward(1, b_j, W_j, stride, n_in, a_i, width, z_j)


@template
def tile_hidden_delta(V, W, n_out, delta_j, width, delta_i):
    """E3: Σ_j w_ij δ_j for NEURONS units i and V · lanes samples, which it alone writes."""
    total = tile_zero(NEURONS, V, W)
    for j in range(n_out):
        total = tile_fma(total, W, j * NEURONS, 1, delta_j, j * width)
    tile_store(total, delta_i, 0, width)


@kernel
def hidden_delta(packed, n_in, n_out, delta_j, delta_i, size, rows):
    """E3: Σ_j w_ij δ_j of the blocks of `rows` samples, φ' still to come. Writes delta_i, and up to NEURONS − 1 rows
    too many.

    Places: E3's panels in `packed`; delta_j (n_out, width) and delta_i (n_in, width), whose blocks are `size` apart.
    """
    S = VECTORS * lanes(packed)
    for i in range(0, n_in, NEURONS):
        W_i = at(packed, i * n_out)
        for s in range(0, rows, S):
            width, block = width_of(rows - s, packed), s // S * size
            if width > lanes(packed):
                tile_hidden_delta(2, W_i, n_out, at(delta_j, block), width, at(delta_i, block + i * width))
            else:
                tile_hidden_delta(1, W_i, n_out, at(delta_j, block), width, at(delta_i, block + i * width))


@template
def tile_gradient(M, V, h, size, row, N, delta, g, n_out, columns, adds):
    """E4: Σ_n a_i δ_j for M units i from `row` on and V · lanes units j, added to g where `adds`; it alone writes g."""
    if adds:
        total = tile_load(M, V, g, 0, n_out, columns)
    else:
        total = tile_zero(M, V, g)
    block, d = 0, 0
    for n_0 in range(0, N, VECTORS * lanes(h)):
        rows = min(N - n_0, VECTORS * lanes(h))
        width = width_of(rows, h)
        for n in range(rows):
            total = tile_fma(total, h, block + row * width + n, width, delta, d)
            d += V * lanes(h)
        block += size
    tile_store_part(total, g, 0, n_out, columns)


@template
def tile_rows_gradient(M, h, size, row, N, delta, g, n_out, columns, adds):
    """E4: `tile_gradient` with no more vectors than there are columns for."""
    if columns > lanes(h):
        tile_gradient(M, 2, h, size, row, N, delta, g, n_out, columns, adds)
    else:
        tile_gradient(M, 1, h, size, row, N, delta, g, n_out, columns, adds)


@kernel
def weight_gradient(h, size, row, count, N, delta, capacity, g, n_out, adds):
    """E4: Σ_n a_i δ_j over N samples for `count` rows i of W and all j; the last row of W is b, and its a is 1: E5.

    Places: h, whose blocks are `size` apart, δ's panels for `capacity` samples (with the 1/N of the mean in them), and
    g (count, n_out), which is written.
    """
    V = VECTORS * lanes(h)
    for j in range(0, n_out, V):
        columns, delta_j = min(n_out - j, V), at(delta, j * capacity)
        i = 0
        while i + NEURONS <= count:
            tile_rows_gradient(NEURONS, h, size, row + i, N, delta_j, at(g, i * n_out + j), n_out, columns, adds)
            i += NEURONS
        while i + 2 <= count:
            tile_rows_gradient(2, h, size, row + i, N, delta_j, at(g, i * n_out + j), n_out, columns, adds)
            i += 2
        if i < count:
            tile_rows_gradient(1, h, size, row + i, N, delta_j, at(g, i * n_out + j), n_out, columns, adds)
