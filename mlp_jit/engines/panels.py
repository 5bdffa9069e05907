"""Where numbers lie for the tiles of `lanes.py`, and the kernels that bring them there.

- `h`, kept from the samples to the weights phase: for each block the rows of layer 0, a row of ones, the rows of
  layer 1, a row of ones, … The ones are the input of b, which in the parameter vector is the last row of W: E5 is the
  last row of E4. A block is S = VECTORS · lanes samples wide, the last one of a batch only `lanes` where that is
  enough.
- `packed`: W as the tiles read it. For E1 in panels of NEURONS columns, `[panel][i][NEURONS]`, with b as the row
  n_in, but only where `is_packed`: elsewhere E1 reads W itself, just as fast. For E3 in panels of NEURONS rows,
  `[panel][j][NEURONS]`: reading NEURONS rows of W at once costs E3 a quarter of its speed.
- `panels`: δ turned sample-major for E4, in panels of one tile's width, `[panel][sample][V · lanes]`: with whole rows
  of δ a power of two apart, each would fall into the same set of the cache.
"""

from .._jit import inlined, kernel
from .layout import KIND, N_IN, N_OUT, PLAIN, UNITS, WEIGHTS
from .simd import NEURONS, VECTORS, copy_row, lanes, transpose

FORWARD, BACKWARD, DELTA = range(3)  # columns of the plan: where a layer's panels for E1, for E3 and of δ start
DIRECT = 256  # units up to which E1 reads W itself: beyond, its rows fall into too few sets of the cache


@inlined
def width_of(rows, a):
    """layout: how many samples wide a block with `rows` samples is."""
    return VECTORS * lanes(a) if rows > lanes(a) else lanes(a)


@inlined
def first_row(table, l):
    """layout: the row of a block at which layer l starts; each layer before it has a row of ones."""
    return table[l, UNITS] + l


@inlined
def is_packed(j, n_out):
    """layout: whether E1 reads the weights of the units from j on from a panel, not from W itself.

    That is so where they are too few for a tile, or W's rows so long that they fall into too few sets of the cache.
    """
    return j + NEURONS > n_out or n_out > DIRECT


@kernel
def gather_block(source, places, start, rows, width, columns, starts, out):
    """layout: the rows places[start], … of `source`, flat, as columns of a block; idle lanes repeat the last row."""
    L = lanes(out)
    for s in range(width):
        starts[s] = places[start + min(s, rows - 1)] * columns
    for s in range(0, width, L):
        for i in range(0, columns, L):
            transpose(source, starts, s, i, columns - i, out, i * width + s, width, 0)


@kernel
def panel_block(delta, delta_j, n_out, width, starts, panels, d, capacity, n_0):
    """layout: δ of one block, sample by sample, into its place n_0 of each panel."""
    L = lanes(delta)
    for j in range(0, n_out, L):
        for s in range(L):
            starts[s] = delta_j + (j + s) * width  # rows after n_out are read too, and fill lanes that nobody stores
        panel_width = 2 * L if n_out - (j // (2 * L)) * 2 * L > L else L
        place = d + (j // (2 * L)) * 2 * L * capacity + n_0 * panel_width + (j % (2 * L))
        for q in range(0, width, L):
            transpose(delta, starts, 0, q, L, panels, place + q * panel_width, panel_width, 0)


@kernel
def pack_rows(table, plan, l, i_0, i_1, params, starts, packed, trains):
    """layout: the rows i_0..i_1 of W (b is row n_in) into the panels that E1 and, where it `trains`, E3 read.

    Owns these rows. In the panels of a normalised layer b stays 0, for its s_j has none.
    """
    i_1 = min(i_1, table[l, N_IN] + (table[l, KIND] == PLAIN))
    n_in, n_out, w = table[l, N_IN], table[l, N_OUT], table[l, WEIGHTS]
    for j in range(0 if n_out > DIRECT else n_out // NEURONS * NEURONS, n_out, NEURONS):
        p = plan[l, FORWARD] + j * (n_in + 1)
        if j + NEURONS <= n_out:
            for i in range(i_0, i_1):
                copy_row(params, w + i * n_out + j, packed, p + i * NEURONS)
        else:
            for i in range(i_0, i_1):
                for m in range(n_out - j):
                    packed[p + i * NEURONS + m] = params[w + i * n_out + j + m]
    if trains and l > 1:
        L = lanes(params)
        for i in range(i_0, min(i_1, n_in), L):
            for s in range(L):
                starts[s] = w + min(i + s, n_in) * n_out
            p = plan[l, BACKWARD] + i // NEURONS * n_out * NEURONS + i % NEURONS
            for j in range(0, n_out, L):
                transpose(params, starts, 0, j, n_out - j, packed, p + j * NEURONS, NEURONS, n_out * NEURONS)
