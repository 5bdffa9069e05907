"""What L2 adds to a gradient and clipping takes off it, a stretch of parameters at a time."""

import numpy as np

from .._jit import kernel


@kernel
def sum_of_squares(x):
    """math: Σ x² in float64, in 32 interleaved partial sums: a loop that vectorises, in a fixed order."""
    partial = np.zeros(32)
    whole = x.size // 32 * 32
    for p in range(0, whole, 32):
        for m in range(32):
            partial[m] += np.float64(x[p + m]) * np.float64(x[p + m])
    for p in range(whole, x.size):
        partial[p - whole] += np.float64(x[p]) * np.float64(x[p])
    total = 0.0
    for m in range(32):
        total += partial[m]
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
