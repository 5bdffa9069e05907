"""Batch and layer normalisation: E7 to E9 as loops, and the running statistics that predictions go by.

The two differ only in what μ and v are taken over: each unit's s over the samples of the batch (Ioffe & Szegedy 2015),
or each sample's s over the units of the layer (Ba, Kiros & Hinton 2016). Samples count alike whatever they weigh. ε and
the momentum are PyTorch's, and so is the running variance, that of a sample of a population: Σ (s − μ)²/(B − 1).

s, normal (ŝ), z, a and δ are (N, units), gain and b (units,), `of_layer` (5, units or N, whichever is more).
"""

import numpy as np
from numba import prange

from ..._jit import kernel, owner, twins
from ...activations import activate
from ..layout import BATCH, KIND, LAYER, running_of
from ..statistics import EPSILON, running_step

MEAN, INV_STD, VARIANCE, PRODUCT, PRODUCT_NORMAL = range(5)  # of E7 and E8: a number for each unit, or each sample


@kernel
def moments(x):
    """E7: the mean of x and its variance."""
    total = 0.0
    for k in range(x.size):
        total += x[k]
    mean = total / x.size
    squares = 0.0
    for k in range(x.size):
        squares += (x[k] - mean) * (x[k] - mean)
    return mean, squares / x.size


@twins
def unit_moments(s, mean, inv_std, variance):
    """E7: μ_j, 1/√(v_j + ε) and v_j of each unit over the samples. A thread owns whole units."""
    for j in prange(s.shape[1]):
        mean[j], variance[j] = moments(s[:, j])
        inv_std[j] = 1 / np.sqrt(variance[j] + EPSILON)


@twins
def sample_moments(s, mean, inv_std):
    """E7: μ and 1/√(v + ε) of each sample over the units. A thread owns whole samples."""
    for n in prange(s.shape[0]):
        mean[n], v = moments(s[n])
        inv_std[n] = 1 / np.sqrt(v + EPSILON)


@kernel
def known_moments(running, mean, inv_std):
    """E7: the running μ_j and 1/√(v_j + ε), for predictions. One thread writes all."""
    for j in range(running.shape[1]):
        mean[j], inv_std[j] = running[0, j], 1 / np.sqrt(running[1, j] + EPSILON)


@twins
def find_moments(table, state, trains, l, s, of_layer):
    """E7: MEAN, INV_STD and VARIANCE of layer l: of these s where it `trains`, else by batch the running ones."""
    mean, inv_std = of_layer[MEAN], of_layer[INV_STD]
    if table[l, KIND] == LAYER:
        sample_moments(s, mean, inv_std)
    elif trains:
        unit_moments(s, mean, inv_std, of_layer[VARIANCE])
    else:
        known_moments(running_of(table, state, l), mean, inv_std)


@owner
def update_state(table, state, of_layers, n_samples):
    """E7: a step of every batch-normalised layer's running μ_j and v_j towards a batch's; one sample has no v."""
    if n_samples > 1:
        unbiased = type(state[0])(n_samples / (n_samples - 1))
        for l in range(1, table.shape[0]):
            if table[l, KIND] == BATCH:
                running = running_of(table, state, l)
                for j in range(running.shape[1]):
                    running[0, j] = running_step(running[0, j], of_layers[l, MEAN, j])
                    running[1, j] = running_step(running[1, j], unbiased * of_layers[l, VARIANCE, j])


@twins
def normalize(kind, s, of_layer, gain, b, phi, normal, z, a):
    """E7: ŝ_j = (s_j − μ)/√(v + ε), z_j = b_j + γ_j ŝ_j and a_j = φ(z_j). A thread owns whole samples."""
    mean, inv_std = of_layer[MEAN], of_layer[INV_STD]
    for n in prange(s.shape[0]):
        for j in range(s.shape[1]):
            m = j if kind == BATCH else np.int64(n)  # of prange it is unsigned
            normal[n, j] = (s[n, j] - mean[m]) * inv_std[m]
            z[n, j] = b[j] + gain[j] * normal[n, j]
        activate(phi, z, a, n)


@twins
def unit_products(gain, delta, normal, mean, mean_normal):
    """E8: ⟨γ δ⟩ and ⟨γ δ ŝ⟩ of each unit over the samples. A thread owns whole units."""
    N = delta.shape[0]
    for j in prange(delta.shape[1]):
        total, total_normal = 0.0, 0.0
        for n in range(N):
            total += gain[j] * delta[n, j]
            total_normal += gain[j] * delta[n, j] * normal[n, j]
        mean[j], mean_normal[j] = total / N, total_normal / N


@twins
def sample_products(gain, delta, normal, mean, mean_normal):
    """E8: ⟨γ δ⟩ and ⟨γ δ ŝ⟩ of each sample over the units. A thread owns whole samples."""
    units = delta.shape[1]
    for n in prange(delta.shape[0]):
        total, total_normal = 0.0, 0.0
        for j in range(units):
            total += gain[j] * delta[n, j]
            total_normal += gain[j] * delta[n, j] * normal[n, j]
        mean[n], mean_normal[n] = total / units, total_normal / units


@twins
def find_products(kind, gain, delta, normal, of_layer):
    """E8: PRODUCT and PRODUCT_NORMAL of a layer."""
    if kind == BATCH:
        unit_products(gain, delta, normal, of_layer[PRODUCT], of_layer[PRODUCT_NORMAL])
    else:
        sample_products(gain, delta, normal, of_layer[PRODUCT], of_layer[PRODUCT_NORMAL])


@twins
def sum_delta(kind, delta, normal, gain, of_layer, delta_s):
    """E8: ∂ℓ/∂s_j = (γ_j δ_j − ⟨γ δ⟩ − ŝ_j ⟨γ δ ŝ⟩)/√(v + ε). A thread owns whole samples."""
    mean, mean_normal, inv_std = of_layer[PRODUCT], of_layer[PRODUCT_NORMAL], of_layer[INV_STD]
    for n in prange(delta.shape[0]):
        for j in range(delta.shape[1]):
            m = j if kind == BATCH else np.int64(n)  # of prange it is unsigned
            delta_s[n, j] = (gain[j] * delta[n, j] - mean[m] - normal[n, j] * mean_normal[m]) * inv_std[m]


@kernel
def gain_gradient(normal, delta, N, gradient):
    """E9: ∂L/∂γ_j += (1/N) Σ_n ŝ_j δ_j. One thread writes the whole gradient (units,)."""
    for n in range(delta.shape[0]):
        for j in range(gradient.shape[0]):
            gradient[j] += normal[n, j] * delta[n, j] / N
