"""What L2 adds to a gradient and clipping takes off it, a stretch of parameters at a time."""

from .._jit import kernel
from .simd import VECTORS, lanes, row_squares


@kernel
def sum_of_squares(x):
    """math: Σ x² in float64, a row at a time."""
    S, total = VECTORS * lanes(x), 0.0
    for p in range(0, x.size, S):
        total += row_squares(x, p, min(S, x.size - p))
    return total


@kernel
def start_gradient(w, penalised, l2, g):
    """E4: the part of ∂L/∂w_ij that needs no sample: λ w_ij for the first `penalised`, 0 for b. Writes g; returns Σ
    w².
    """
    for p in range(penalised):
        g[p] = l2 * w[p]
    for p in range(penalised, g.size):
        g[p] = 0
    return sum_of_squares(w[:penalised])


@kernel
def clip(g, shrink, bound):
    """E6: g ← g · shrink, kept in ±bound. Writes g."""
    for p in range(g.size):
        g[p] = min(max(g[p] * shrink, -bound), bound)
