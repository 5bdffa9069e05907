"""Where numbers lie for the tiles, and the routines that bring them there.

- `h`, kept from the samples to the weights phase: for each block the rows of layer 0, a row of ones, the rows of
  layer 1, a row of ones, … The ones are the input of b, which in the parameter vector is the last row of W: E5 is the
  last row of E4. A block is S = VECTORS · lanes samples wide, the last one of a batch only `lanes` where that is
  enough.
- `packed`: W as the tiles read it, in panels of NEURONS columns, `[panel][i][NEURONS]`, with b as the row n_in. E3
  reads the same, eight lines of the cache for eight units j. Of wide layers it has panels of NEURONS rows besides,
  `[panel][j][NEURONS]`, for each of E1's would lie on other pages of memory.
- `panels`: δ turned sample-major for E4, in panels of one tile's width, `[panel][sample][V · lanes]`: with whole rows
  of δ a power of two apart, each would fall into the same set of the cache.
"""

from ..._jit import Integers, Place, Size, inlined, routine
from .simd import NEURONS, VECTORS, copy_row, is_place, lanes, transpose


@inlined
def width_of(rows, a):
    """layout: how many samples wide a block with `rows` samples is."""
    return VECTORS * lanes(a) if rows > lanes(a) else lanes(a)


@routine
def gather_block(
    source: Place, places: Integers, start: Size, rows: Size, width: Size, columns: Size, starts: Integers, out: Place
) -> None:
    """layout: the rows places[start], … of `source`, flat, as columns of a block; idle lanes repeat the last row."""
    L = lanes(out)
    for s in range(width):
        starts[s] = places[start + min(s, rows - 1)] * columns
    for s in range(0, width, L):
        for i in range(0, columns, L):
            transpose(source, starts, s, i, columns - i, out, i * width + s, width, 0)


@routine
def panel_block(
    delta: Place, n_out: Size, width: Size, starts: Integers, panels: Place, capacity: Size, n_0: Size
) -> None:
    """layout: δ of one block, sample by sample, into its place n_0 of each panel."""
    L = lanes(delta)
    for j in range(0, n_out, L):
        for s in range(L):
            starts[s] = (j + s) * width  # rows after n_out are read too, and fill lanes that nobody stores
        panel_width = 2 * L if n_out - (j // (2 * L)) * 2 * L > L else L
        place = (j // (2 * L)) * 2 * L * capacity + n_0 * panel_width + (j % (2 * L))
        for q in range(0, width, L):
            transpose(delta, starts, 0, q, L, panels, place + q * panel_width, panel_width, 0)


@routine
def pack_rows(
    W: Place, n_in: Size, n_out: Size, i_0: Size, i_1: Size, forward: Place, backward: Place, starts: Integers
) -> None:
    """layout: the rows i_0..i_1 of W (b is row n_in) into the panels of E1, and into E3's own, unless `backward` is no
    place.

    Owns these rows. In the panels of a normalised layer b stays 0, for its s_j has none.
    """
    for j in range(0, n_out, NEURONS):
        p = j * (n_in + 1)
        if j + NEURONS <= n_out:
            for i in range(i_0, i_1):
                copy_row(W, i * n_out + j, forward, p + i * NEURONS)
        else:
            for i in range(i_0, i_1):
                for m in range(n_out - j):
                    forward[p + i * NEURONS + m] = W[i * n_out + j + m]
    if is_place(backward):
        L = lanes(W)
        for i in range(i_0, min(i_1, n_in), L):
            for s in range(L):
                starts[s] = min(i + s, n_in) * n_out
            p = i // NEURONS * n_out * NEURONS + i % NEURONS
            for j in range(0, n_out, L):
                transpose(W, starts, 0, j, n_out - j, backward, p + j * NEURONS, NEURONS, n_out * NEURONS)
