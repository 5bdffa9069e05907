"""Batch and layer normalisation and skips, E7 to E10, of a block of samples, and what blocks come to together.

Rows are units and columns samples, as everywhere in the lanes engine; ŝ has one row more, 1/√(v + ε) of each sample
where the layer is normalised by layer. By batch, each block leaves the mean and Σ (s − mean)² of each unit, which one
worker combines, block after block, once all are there. What blocks leave, `of_blocks`, is two numbers for each of the
network's U units, flat: (blocks, 2, U).
"""

import numpy as np

from .._jit import kernel
from .normalization import EPSILON, MOMENTUM
from .simd import row_dot, row_sum


@kernel
def normalize_units(z, normal, mean, inv_std, gain, b):
    """E7: ŝ_j = (s_j − μ_j)/√(v_j + ε) and z_j = b_j + γ_j ŝ_j, z (units, N) holding s before. Writes both."""
    for j in range(z.shape[0]):
        for n in range(z.shape[1]):
            normal[j, n] = (z[j, n] - mean[j]) * inv_std[j]
            z[j, n] = b[j] + gain[j] * normal[j, n]


@kernel
def normalize_samples(z, normal, mean, gain, b):
    """E7: the same with μ and v of each sample's units; mean (N,) is scratch, the last row of ŝ 1/√(v + ε)."""
    units, N = z.shape
    number = type(z[0, 0])
    scale, inv_std = number(1 / units), normal[units]
    for n in range(N):
        mean[n], inv_std[n] = 0, 0
    for j in range(units):
        for n in range(N):
            mean[n] += z[j, n]
    for n in range(N):
        mean[n] *= scale
    for j in range(units):
        for n in range(N):
            normal[j, n] = z[j, n] - mean[n]
            inv_std[n] += normal[j, n] * normal[j, n]
    for n in range(N):
        inv_std[n] = number(1) / np.sqrt(inv_std[n] * scale + number(EPSILON))
    for j in range(units):
        for n in range(N):
            normal[j, n] *= inv_std[n]
            z[j, n] = b[j] + gain[j] * normal[j, n]


@kernel
def unit_deltas(delta, normal, product, product_normal, inv_std, gain):
    """E8: δ (units, N) becomes ∂ℓ/∂s, with ⟨γ δ⟩ and ⟨γ δ ŝ⟩ of each unit over the batch."""
    for j in range(delta.shape[0]):
        for n in range(delta.shape[1]):
            e = gain[j] * delta[j, n] - product[j]
            delta[j, n] = inv_std[j] * (e - normal[j, n] * product_normal[j])


@kernel
def sample_deltas(delta, normal, product, product_normal, gain):
    """E8: δ (units, N) becomes ∂ℓ/∂s, with ⟨γ δ⟩ and ⟨γ δ ŝ⟩, scratch (N,), of each sample over its units."""
    units, N = delta.shape
    scale, inv_std = type(delta[0, 0])(1 / units), normal[units]
    for n in range(N):
        product[n], product_normal[n] = 0, 0
    for j in range(units):
        for n in range(N):
            delta[j, n] *= gain[j]
            product[n] += delta[j, n]
            product_normal[n] += delta[j, n] * normal[j, n]
    for n in range(N):
        product[n] *= scale
        product_normal[n] *= scale
    for j in range(units):
        for n in range(N):
            delta[j, n] = inv_std[n] * (delta[j, n] - product[n] - normal[j, n] * product_normal[n])


@kernel
def block_moments(z, normal, units, width, rows, mean, squares):
    """E7: mean and Σ (s − mean)² of each unit over the first `rows` samples of a block; ŝ is scratch. All places."""
    scale = type(z[0])(1 / rows)
    for j in range(units):
        m = row_sum(z, j * width, rows) * scale
        for n in range(width):
            normal[j * width + n] = z[j * width + n] - m
        mean[j], squares[j] = m, row_dot(normal, j * width, normal, j * width, rows)


@kernel
def block_products(delta, normal, units, width, rows, total, total_normal):
    """E9: Σ_n δ_j and Σ_n δ_j ŝ_j over the first `rows` samples of a block: its part of E5 and E9. All places."""
    for j in range(units):
        total[j] = row_sum(delta, j * width, rows)
        total_normal[j] = row_dot(delta, j * width, normal, j * width, rows)


@kernel
def combine_moments(of_blocks, first, units, samples, block, mean, inv_std, running, updates):
    """E7: μ_j and 1/√(v_j + ε) of the batch from the moments of its blocks, by Chan's formula.

    The layer's units are those from `first` on. With `updates`, running (2, units) takes a step.
    """
    number, U = type(mean[0]), mean.size
    for j in range(first, first + units):
        m, squares = np.float64(of_blocks[j]), np.float64(of_blocks[U + j])
        for k in range(1, (samples + block - 1) // block):
            before = k * block
            here = min(samples - before, block)
            apart = of_blocks[2 * k * U + j] - m
            m += apart * here / (before + here)
            squares += of_blocks[(2 * k + 1) * U + j] + apart * apart * before * here / (before + here)
        mean[j], inv_std[j] = m, 1 / np.sqrt(squares / samples + EPSILON)
        if updates and samples > 1:
            running[0, j - first] += number(MOMENTUM) * (number(m) - running[0, j - first])
            running[1, j - first] += number(MOMENTUM) * (number(squares / (samples - 1)) - running[1, j - first])


@kernel
def combine_products(of_blocks, first, units, samples, block, gain, product, product_normal):
    """E8: ⟨γ δ⟩ and ⟨γ δ ŝ⟩ of the batch from the sums of its blocks; gain is a place."""
    U = product.size
    for j in range(first, first + units):
        total, total_normal = 0.0, 0.0
        for k in range((samples + block - 1) // block):
            total += of_blocks[2 * k * U + j]
            total_normal += of_blocks[(2 * k + 1) * U + j]
        product[j] = gain[j - first] * total / samples
        product_normal[j] = gain[j - first] * total_normal / samples


@kernel
def gain_gradient(of_blocks, U, blocks, first, units, g, adds):
    """E9: ∂L/∂b_j and, behind them, ∂L/∂γ_j, from the sums of the blocks, added to g where it `adds`. Writes g."""
    for j in range(units):
        for row in range(2):
            total = np.float64(g[row * units + j]) if adds else 0.0
            for k in range(blocks):
                total += of_blocks[(2 * k + row) * U + first + j]
            g[row * units + j] = total


@kernel
def add(x, y, out, count):
    """E10: h_j = a_j + h_i, a stretch of numbers at three places."""
    for p in range(count):
        out[p] = x[p] + y[p]


@kernel
def move(x, out, count):
    """layout: a stretch of numbers from one place to another."""
    for p in range(count):
        out[p] = x[p]
