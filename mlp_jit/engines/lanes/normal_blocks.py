"""Batch and layer normalisation and skips, E7 to E10, of a block of samples, and what blocks come to together.

Rows are units and columns samples, as everywhere in the lanes engine; ŝ has one row more, 1/√(v + ε) of each sample
where the layer is normalised by layer. By batch, each block leaves the mean and Σ (s − mean)² of each unit, which one
worker combines, block after block, once all are there. What blocks leave, `of_blocks`, is two numbers for each of the
network's U units, flat: (blocks, 2, U).
"""

import numpy as np

from ..._jit import Place, Size, kernel, routine
from ..statistics import EPSILON, running_step
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


@routine
def block_moments(z: Place, normal: Place, units: Size, width: Size, rows: Size, mean: Place, squares: Place) -> None:
    """E7: mean and Σ (s − mean)² of each unit over the first `rows` samples of a block; ŝ is scratch."""
    scale = type(z[0])(1 / rows)
    for j in range(units):
        m = row_sum(z, j * width, rows) * scale
        for n in range(width):
            normal[j * width + n] = z[j * width + n] - m
        mean[j], squares[j] = m, row_dot(normal, j * width, normal, j * width, rows)


@routine
def block_products(
    delta: Place, normal: Place, units: Size, width: Size, rows: Size, total: Place, total_normal: Place
) -> None:
    """E9: Σ_n δ_j and Σ_n δ_j ŝ_j over the first `rows` samples of a block: its part of E5 and E9."""
    for j in range(units):
        total[j] = row_sum(delta, j * width, rows)
        total_normal[j] = row_dot(delta, j * width, normal, j * width, rows)


@routine
def combine_moments(
    of_blocks: Place, U: Size, units: Size, samples: Size, block: Size, mean: Place, inv_std: Place, running: Place,
    updates: Size,
) -> None:  # fmt: skip
    """E7: μ_j and 1/√(v_j + ε) of the batch from the moments of its blocks, by Chan's formula.

    All places are those of the layer's first unit. With `updates`, running (2, units) takes a step.
    """
    number = type(mean[0])
    for j in range(units):
        m, squares = np.float64(of_blocks[j]), np.float64(of_blocks[U + j])
        for k in range(1, (samples + block - 1) // block):
            before = k * block
            here = min(samples - before, block)
            apart = of_blocks[2 * k * U + j] - m
            m += apart * here / (before + here)
            squares += of_blocks[(2 * k + 1) * U + j] + apart * apart * before * here / (before + here)
        mean[j], inv_std[j] = m, 1 / np.sqrt(squares / samples + EPSILON)
        if updates and samples > 1:
            running[j] = running_step(running[j], number(m))
            running[units + j] = running_step(running[units + j], number(squares / (samples - 1)))


@routine
def known_moments(running: Place, units: Size, inv_std: Place) -> None:
    """E7: 1/√(v_j + ε) of the running v, which lies behind the running μ."""
    number = type(inv_std[0])
    for j in range(units):
        inv_std[j] = number(1) / np.sqrt(running[units + j] + number(EPSILON))


@routine
def combine_products(
    of_blocks: Place,
    U: Size,
    units: Size,
    samples: Size,
    block: Size,
    gain: Place,
    product: Place,
    product_normal: Place,
) -> None:
    """E8: ⟨γ δ⟩ and ⟨γ δ ŝ⟩ of the batch from the sums of its blocks. Places are those of the layer's first unit."""
    for j in range(units):
        total, total_normal = 0.0, 0.0
        for k in range((samples + block - 1) // block):
            total += of_blocks[2 * k * U + j]
            total_normal += of_blocks[(2 * k + 1) * U + j]
        product[j] = gain[j] * total / samples
        product_normal[j] = gain[j] * total_normal / samples


@routine
def gain_gradient(of_blocks: Place, U: Size, blocks: Size, units: Size, g: Place, adds: Size) -> None:
    """E9: ∂L/∂b_j and, behind them, ∂L/∂γ_j, from the sums of the blocks, added to g where it `adds`. Writes g."""
    for j in range(units):
        for row in range(2):
            total = np.float64(g[row * units + j]) if adds else 0.0
            for k in range(blocks):
                total += of_blocks[(2 * k + row) * U + j]
            g[row * units + j] = total


@routine
def add(x: Place, y: Place, out: Place, count: Size) -> None:
    """E10: h_j = a_j + h_i."""
    for p in range(count):
        out[p] = x[p] + y[p]


@routine
def move(x: Place, out: Place, count: Size) -> None:
    """layout: a stretch of numbers from one place to another."""
    for p in range(count):
        out[p] = x[p]
