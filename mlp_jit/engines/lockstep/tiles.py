"""E1, E3 and E4 for as many networks as there are lanes, a tile of units × samples at a time.

All numbers lie in rows of one number a lane: w_ij of all networks side by side, in the order of the parameter vector;
a, z and δ of a block unit after unit, sample after sample. So a w_ij is loaded once for SAMPLES samples, an a_i once
for UNITS units, and a sum has the order of the textbook's.
"""

from ..._jit import Place, Size, routine, template
from ..lanes.simd import REGISTERS, at, lanes, tile_load, tile_store, tile_zero
from .simd import tile_fma_lanes, tile_spread

UNITS, SAMPLES = 4, (4 if REGISTERS == 32 else 2)  # of a tile, which fills half of the registers


@template
def tile_forward(M, V, W, b, n_in, n_out, a, rows, z):
    """E1: z_j = b_j + Σ_i w_ij a_i for M units j and V samples, which it alone writes."""
    L = lanes(z)
    z_j = tile_spread(M, V, b, 0)
    for i in range(n_in):
        z_j = tile_fma_lanes(z_j, W, i * n_out * L, L, a, i * rows * L, L)
    tile_store(z_j, z, 0, rows * L)


@routine
def forward_layer(W: Place, b: Place, n_in: Size, n_out: Size, a: Place, z: Place, rows: Size) -> None:
    """E1: z_j = b_j + Σ_i w_ij a_i of `rows` samples. W (n_in, n_out), b (n_out,), a (n_in, rows) of rows of lanes;
    z (n_out, rows) is written.
    """
    L = lanes(a)
    j = 0
    while j < n_out:
        units = UNITS if n_out - j >= UNITS else 1
        n = 0
        while n < rows:
            samples = SAMPLES if rows - n >= SAMPLES else 1
            W_j, b_j, a_n, z_j = at(W, j * L), at(b, j * L), at(a, n * L), at(z, (j * rows + n) * L)
            if units == UNITS:
                if samples == SAMPLES:
                    tile_forward(UNITS, SAMPLES, W_j, b_j, n_in, n_out, a_n, rows, z_j)
                else:
                    tile_forward(UNITS, 1, W_j, b_j, n_in, n_out, a_n, rows, z_j)
            elif samples == SAMPLES:
                tile_forward(1, SAMPLES, W_j, b_j, n_in, n_out, a_n, rows, z_j)
            else:
                tile_forward(1, 1, W_j, b_j, n_in, n_out, a_n, rows, z_j)
            n += samples
        j += units


@template
def tile_hidden_delta(M, V, W, n_out, delta_j, rows, delta_i):
    """E3: Σ_j w_ij δ_j for M units i and V samples, which it alone writes."""
    L = lanes(W)
    total = tile_zero(M, V, W)
    for j in range(n_out):
        total = tile_fma_lanes(total, W, j * L, n_out * L, delta_j, j * rows * L, L)
    tile_store(total, delta_i, 0, rows * L)


@routine
def hidden_delta(W: Place, n_in: Size, n_out: Size, delta_j: Place, delta_i: Place, rows: Size) -> None:
    """E3: Σ_j w_ij δ_j of `rows` samples, φ' still to come. delta_j (n_out, rows); delta_i (n_in, rows) is written."""
    L = lanes(W)
    i = 0
    while i < n_in:
        units = UNITS if n_in - i >= UNITS else 1
        n = 0
        while n < rows:
            samples = SAMPLES if rows - n >= SAMPLES else 1
            W_i, delta_n, total = at(W, i * n_out * L), at(delta_j, n * L), at(delta_i, (i * rows + n) * L)
            if units == UNITS:
                if samples == SAMPLES:
                    tile_hidden_delta(UNITS, SAMPLES, W_i, n_out, delta_n, rows, total)
                else:
                    tile_hidden_delta(UNITS, 1, W_i, n_out, delta_n, rows, total)
            elif samples == SAMPLES:
                tile_hidden_delta(1, SAMPLES, W_i, n_out, delta_n, rows, total)
            else:
                tile_hidden_delta(1, 1, W_i, n_out, delta_n, rows, total)
            n += samples
        i += units


@template
def tile_gradient(M, V, h, delta, rows, g, n_out):
    """E4: Σ_n a_i δ_j for M units i and V units j, added to g, which it alone writes."""
    L = lanes(g)
    total = tile_load(M, V, g, 0, n_out * L, M, V * L)
    for n in range(rows):
        total = tile_fma_lanes(total, h, n * L, rows * L, delta, n * L, rows * L)
    tile_store(total, g, 0, n_out * L)


@routine
def weight_gradient(h: Place, n_in: Size, delta: Place, n_out: Size, rows: Size, g: Place) -> None:
    """E4: Σ_n a_i δ_j over `rows` samples, added to g (n_in, n_out). h (n_in, rows), delta (n_out, rows) with the 1/N
    of the mean in it. E5, where h is a row of ones and n_in = 1.
    """
    L = lanes(g)
    i = 0
    while i < n_in:
        units = UNITS if n_in - i >= UNITS else 1
        j = 0
        while j < n_out:
            columns = SAMPLES if n_out - j >= SAMPLES else 1
            h_i, delta_j, g_ij = at(h, i * rows * L), at(delta, j * rows * L), at(g, (i * n_out + j) * L)
            if units == UNITS:
                if columns == SAMPLES:
                    tile_gradient(UNITS, SAMPLES, h_i, delta_j, rows, g_ij, n_out)
                else:
                    tile_gradient(UNITS, 1, h_i, delta_j, rows, g_ij, n_out)
            elif columns == SAMPLES:
                tile_gradient(1, SAMPLES, h_i, delta_j, rows, g_ij, n_out)
            else:
                tile_gradient(1, 1, h_i, delta_j, rows, g_ij, n_out)
            j += columns
        i += units
