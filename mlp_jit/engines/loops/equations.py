"""E1 to E6 and E10 as loops over n, j and i, each equation one function, in the order of the table.

E2 is `losses.output_delta`, which `output_deltas` calls, and E6 is `optimizers.update`.

Threads: every `prange` runs over what its thread owns. E1-E3 give a thread whole samples n, E4 whole rows i of W, E6
whole blocks of θ. Nothing is written by two threads and every sum runs in one fixed order, so the result is the same,
bit for bit, for any number of threads.

The loops nest n, i, j although E1 reads Σ_i: with j innermost the weights w_ij are read in the order in which they
lie in memory, every z_j is summed in the order of i, and LLVM turns the innermost loop into vector instructions without
leave to reorder a sum. The literal order n, j, i with a scalar z_j was measured at 1.8-4 GFLOP/s where this one reaches
17-43 (one thread, float32, 32 to 784 inputs). E3 nests n, j, i for the same reason, on a transposed copy of W.
"""

import numpy as np
from numba import prange

from ..._jit import kernel, twins
from ...activations import activate, scale_by_slope
from ...dropout import drop
from ...losses import output_delta
from ..layout import BIASES, END, WEIGHTS
from .scratch import ELL, TOP, TOTAL, WEIGHT


@twins
def forward_layer(W, b, phi, a, z, a_out):
    """E1: z_j = b_j + Σ_i w_ij a_i and a_j = φ(z_j), for every sample n. A thread owns whole rows n of z and a_out.

    W (n_in, n_out), b (n_out,), a (N, n_in), z and a_out (N, n_out).
    """
    for n in prange(z.shape[0]):
        for j in range(z.shape[1]):
            z[n, j] = b[j]
        for i in range(W.shape[0]):
            for j in range(W.shape[1]):
                z[n, j] += W[i, j] * a[n, i]
        activate(phi, z, a_out, n)


@kernel
def output_deltas(loss, phi, parameters, z, a, y, samples, delta):
    """E2: δ_k = ∂ℓ/∂z_k for every sample n, times its weight; returns Σ_n weight_n ℓ_n. One thread writes delta.

    z, a, y and delta (N, outputs), samples (4, N).
    """
    weight, ell = samples[WEIGHT], samples[ELL]
    output_delta(loss, phi, parameters, z.T, a.T, y.T, weight, samples[TOP], samples[TOTAL], delta.T, ell)
    total = 0.0
    for n in range(z.shape[0]):
        total += weight[n] * ell[n]
    return total


@twins
def drop_layer(p, key, ids, a, h):
    """E1: inverted dropout, h_j = 0 or a_j / (1 − p), for every sample n. A thread owns whole rows n of h.

    a and h (N, units), and may be one array; ids (N,) are the samples' rows in the data set.
    """
    for n in prange(a.shape[0]):
        drop(p, key, ids[n : n + 1], a[n : n + 1].T, h[n : n + 1].T)


@twins
def transpose(W, WT):
    """layout: WT[j, i] = W[i, j], so that E3 reads w_ij in the order in which it lies. A thread owns rows j of WT."""
    for j in prange(WT.shape[0]):
        for i in range(WT.shape[1]):
            WT[j, i] = W[i, j]


@twins
def hidden_delta(WT, phi, z, a, delta_out, delta):
    """E3: δ_i = φ'(z_i) Σ_j w_ij δ_j, for every sample n. A thread owns whole rows n of delta.

    WT (n_out, n_in) holds w_ij at [j, i]; z, a and delta (N, n_in), delta_out (N, n_out).
    """
    for n in prange(z.shape[0]):
        for i in range(z.shape[1]):
            delta[n, i] = 0
        for j in range(WT.shape[0]):
            for i in range(WT.shape[1]):
                delta[n, i] += WT[j, i] * delta_out[n, j]
        scale_by_slope(phi, z, a, delta, n)


@twins
def skip(a, h_in, h):
    """E10: h_j = a_j + h_i, i = j, for every sample n, and ∂ℓ/∂h likewise. A thread owns whole rows n of h.

    All (N, units); a and h may be one array.
    """
    for n in prange(a.shape[0]):
        for j in range(a.shape[1]):
            h[n, j] = a[n, j] + h_in[n, j]


@twins
def slope_delta(phi, z, a, delta_h, delta):
    """E3: δ_i = φ'(z_i) ∂ℓ/∂h_i, for every sample n. A thread owns whole rows n of delta; all (N, units)."""
    for n in prange(z.shape[0]):
        for i in range(z.shape[1]):
            delta[n, i] = delta_h[n, i]
        scale_by_slope(phi, z, a, delta, n)


@twins
def weight_gradient(a, delta, N, gradient):
    """E4: ∂L/∂w_ij += (1/N) Σ_n a_i δ_j. A thread owns whole rows i of the gradient (n_in, n_out).

    a (n, n_in), delta (n, n_out); N is the sum of the batch's sample weights.
    """
    for i in prange(gradient.shape[0]):
        for n in range(a.shape[0]):
            a_i = a[n, i] / N
            for j in range(gradient.shape[1]):
                gradient[i, j] += a_i * delta[n, j]


@kernel
def bias_gradient(delta, N, gradient):
    """E5: ∂L/∂b_j += (1/N) Σ_n δ_j. One thread writes the whole gradient (n_out,)."""
    for n in range(delta.shape[0]):
        for j in range(gradient.shape[0]):
            gradient[j] += delta[n, j] / N


# E6 is `optimizers.update`. Before it:


@kernel
def start_gradient(table, params, l2, gradient):
    """E4: the part of ∂L/∂w_ij that needs no sample, λ w_ij; zero for b and γ. Returns λ/2 ‖w‖²."""
    squares = 0.0
    for l in range(1, table.shape[0]):
        for p in range(table[l, WEIGHTS], table[l, BIASES]):
            gradient[p] = l2 * params[p]
        for p in range(table[l, BIASES], table[l, END]):
            gradient[p] = 0
        if l2 > 0:
            for p in range(table[l, WEIGHTS], table[l, BIASES]):
                squares += params[p] * params[p]
    return 0.5 * l2 * squares


@kernel
def clip(gradient, clip_value, clip_norm):
    """E6: g ← g kept in ±clip_value, then g ← g · min(1, clip_norm/‖g‖); infinity asks for nothing."""
    if clip_value < np.inf:
        bound = type(gradient[0])(clip_value)
        for p in range(gradient.size):
            gradient[p] = min(max(gradient[p], -bound), bound)
    if clip_norm < np.inf:
        squares = 0.0
        for p in range(gradient.size):
            squares += gradient[p] * gradient[p]
        if squares > clip_norm * clip_norm:
            shrink = type(gradient[0])(clip_norm / np.sqrt(squares))
            for p in range(gradient.size):
                gradient[p] *= shrink
