"""What is not a tile: φ, φ', ℓ, the normalisations and the optimizers, each compiled for its code alone, and the small
steps around them.

One worker serves all choices, yet nobody waits for fourteen activations and seven optimizers to compile: branches on a
code that is an int in a closure are cut off before anything is typed. Rows are units and columns samples: a block of
(units, N) numbers lies unit after unit.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ... import own
from ..._jit import Doubles, Integers, Place, Real, Routine, Size, as_template, inlined, routine
from ..._math import log1p
from ...activations import HIDDEN, IDENTITY, OUTPUTS, SOFTMAX, softmax
from ...dropout import drop, dropout_key
from ...losses import BY_CODE as LOSSES
from ...losses import CROSS_ENTROPY, Loss, error
from ...optimizers import BY_CODE as OPTIMIZERS
from ...optimizers import COEFFICIENTS, SETTINGS, coefficients
from ..layout import BATCH
from .normal_blocks import normalize_samples, normalize_units, sample_deltas, unit_deltas
from .simd import VECTORS, lanes, row_squares, stretch, view

PHI = {activation.code: activation for activation in (*HIDDEN.values(), *OUTPUTS.values())}

_coefficients, _softmax = as_template(coefficients), as_template(softmax)


# --------------------------------------------------------------------------------------- by code


def activation(phi: int) -> Routine:
    """E1, a = φ(z): the routine (z, a; count), for softmax (z, a, top, total; outputs, N): `activations.softmax`."""
    return own.KNOWN[phi].routines[0] if phi in own.KNOWN else _activation(phi)


@cache
def _activation(phi: int) -> Routine:
    if phi == SOFTMAX:

        @routine
        def softmax_block(z: Place, a: Place, top: Place, total: Place, outputs: Size, N: Size) -> None:
            """E1: softmax over the units of each sample."""
            _softmax(view(z, 0, outputs, N), view(a, 0, outputs, N), stretch(top, 0, N), stretch(total, 0, N))

        return softmax_block

    phi_of: Any = PHI[phi].phi

    @routine
    def activate(z: Place, a: Place, count: Size) -> None:
        """E1: a_j = φ(z_j)."""
        for j in range(count):
            a[j] = phi_of(z[j])

    return activate


def slope(phi: int) -> Routine:
    """E3, δ ← φ'(z) δ: the routine (z, a, delta; count)."""
    return own.KNOWN[phi].routines[1] if phi in own.KNOWN else _slope(phi)


@cache
def _slope(phi: int) -> Routine:
    slope_of: Any = PHI[phi].slope

    @routine
    def scale(z: Place, a: Place, delta: Place, count: Size) -> None:
        """E3: δ_i ← φ'(z_i) δ_i."""
        for i in range(count):
            delta[i] *= slope_of(z[i], a[i])

    return scale


def loss(of: Loss, phi: int) -> Routine:
    """E2 of a block: δ times its weight, ℓ of each sample, and the sum of the first `rows` of weight · ℓ."""
    if not of.is_own:
        return _loss(of.code, phi)
    made = of.routines.blocks
    if phi not in made:
        made[phi] = Routine(_output_deltas(of.routines.ell, of.routines.delta, phi, of_z=of.of_z), kept=False)
    return made[phi]


@cache
def _loss(code: int, phi: int) -> Routine:
    pair = LOSSES[code]
    return routine(_output_deltas(pair.ell, pair.delta, phi, of_z=pair.of_z, of_softmax=code == CROSS_ENTROPY))


def _output_deltas(ell_of: Any, delta_of: Any, phi: int, *, of_z: bool, of_softmax: bool = False) -> Callable:
    slope_of: Any = PHI[phi].slope or error  # softmax has none, and needs none
    scales = not of_z and phi != IDENTITY

    def output_deltas(
        parameters: Place, z: Place, a: Place, y: Place, weight: Place, top: Place, total: Place, delta: Place,
        ell: Place, outputs: Size, N: Size, rows: Size, sum: Doubles,
    ) -> None:  # fmt: skip
        """E2: δ_k = ∂ℓ/∂z_k times its weight. As `losses.output_delta` has it."""
        for n in range(N):
            ell[n] = 0
            if of_softmax:
                total[n] = log1p(total[n] - type(total[n])(1))
        for k in range(outputs):
            c, p = parameters[k], k * N
            for n in range(N):
                z_k = z[p + n] - top[n] - total[n] if of_softmax else z[p + n]
                ell[n] += ell_of(z_k, a[p + n], y[p + n], c)
                delta[p + n] = delta_of(z_k, a[p + n], y[p + n], c)
            for n in range(N):
                if scales:
                    delta[p + n] *= slope_of(z[p + n], a[p + n])
                delta[p + n] *= weight[n]
        L = 0.0
        for n in range(rows):
            L += weight[n] * ell[n]
        sum[0] = L

    return output_deltas


@cache
def optimizer_step(code: int) -> Routine:
    """E6: the routine (theta, g, m, v, c; count) of an optimizer's kernel."""
    step_of = as_template(OPTIMIZERS[code])

    @routine
    def update(theta: Place, g: Place, m: Place, v: Place, c: Place, count: Size) -> None:
        """E6: one step of the optimizer on a stretch of parameters."""
        step_of(
            stretch(theta, 0, count), stretch(g, 0, count), stretch(m, 0, count), stretch(v, 0, count),
            stretch(c, 0, COEFFICIENTS),
        )  # fmt: skip

    return update


@cache
def plan_steps(code: int) -> Routine:
    """E6: for each step N and the optimizer's coefficients, c, where it `updates`."""

    @routine
    def plan(
        sample_weight: Place, places: Integers, epoch: Size, epoch_steps: Size, batch_size: Size, steps: Size,
        N: Doubles, updates: Size, settings: Doubles, decay: Real, rates: Doubles, t: Size, c: Place,
    ) -> None:  # fmt: skip
        """E6: for each step N, the sum of its samples' weights, and the optimizer's coefficients. Writes N and c."""
        for step in range(steps):
            total, (start, stop) = 0.0, batch_at(step, batch_size, epoch, epoch_steps)
            for n in range(start, stop):
                total += sample_weight[places[n]]
            N[step] = total
            if updates:
                c_step = stretch(c, step * COEFFICIENTS, COEFFICIENTS)
                _coefficients(code, stretch(settings, 0, SETTINGS), decay, rates[step], t + step + 1, c_step)

    return plan


@cache
def normalization(kind: int) -> Routine:
    """E7 of a block: the routine (z, normal, mean, inv_std, gain, b, mean of samples; units, N), z holding s before."""

    @routine
    def normalize(
        z: Place, normal: Place, mean: Place, inv_std: Place, gain: Place, b: Place, sample_mean: Place, units: Size,
        N: Size,
    ) -> None:  # fmt: skip
        """E7: ŝ and z of a block."""
        z, normal = view(z, 0, units, N), view(normal, 0, units + 1, N)
        gain, b = stretch(gain, 0, units), stretch(b, 0, units)
        if kind == BATCH:
            normalize_units(z, normal, stretch(mean, 0, units), stretch(inv_std, 0, units), gain, b)
        else:
            normalize_samples(z, normal, stretch(sample_mean, 0, N), gain, b)

    return normalize


@cache
def normalization_delta(kind: int) -> Routine:
    """E8 of a block: the routine (delta, normal, product, product_normal, inv_std, gain, and the products of samples;
    units, N).
    """

    @routine
    def to_sums(
        delta: Place, normal: Place, product: Place, product_normal: Place, inv_std: Place, gain: Place,
        of_samples: Place, of_samples_normal: Place, units: Size, N: Size,
    ) -> None:  # fmt: skip
        """E8: δ becomes ∂ℓ/∂s."""
        delta, normal, gain = view(delta, 0, units, N), view(normal, 0, units + 1, N), stretch(gain, 0, units)
        if kind == BATCH:
            products = stretch(product, 0, units), stretch(product_normal, 0, units)
            unit_deltas(delta, normal, products[0], products[1], stretch(inv_std, 0, units), gain)
        else:
            sample_deltas(delta, normal, stretch(of_samples, 0, N), stretch(of_samples_normal, 0, N), gain)

    return to_sums


# --------------------------------------------------------------------------------------- a step's numbers


@inlined
def batch_at(step, batch_size, epoch, epoch_steps):
    """layout: the first sample of a step's batch and the one after its last, in epochs of so many samples and steps."""
    start = step // epoch_steps * epoch
    return start + step % epoch_steps * batch_size, start + min((step % epoch_steps + 1) * batch_size, epoch)


@inlined
def divisor(N, like):
    """layout: N of E4 in the dtype of `like`: 1 where all weights are zero, for no gradient and no NaN."""
    return type(like)(N) if N > 0 else type(like)(1)


@inlined
def penalty(l2, per_sample, N, like):
    """layout: λ of a batch whose weights sum to N, in the dtype of `like`."""
    number = type(like)
    return number(l2) / divisor(N, like) if per_sample else number(l2)


@routine
def weigh_block(
    sample_weight: Place, order: Integers, places: Integers, start: Size, rows: Size, width: Size, N: Doubles,
    ids: Integers, weight: Place,
) -> None:  # fmt: skip
    """layout: of a block's samples the rows of the data set and the weights over N; idle lanes weigh 0."""
    share = divisor(N[0], weight[0])
    for s in range(width):
        n = start + min(s, rows - 1)
        ids[s] = order[n]
        weight[s] = sample_weight[places[n]] / share if s < rows else 0


@routine
def add_losses(
    epoch: Size, epoch_steps: Size, batch_size: Size, steps: Size, N: Doubles, block_loss: Doubles, blocks: Size,
    S: Size, squares: Doubles, tasks: Size, l2: Real, per_sample: Size, like: Place, figures: Doubles,
) -> None:  # fmt: skip
    """E2: of every step N, ℓ over its blocks of S samples, and λ/2 ‖w‖² over its tasks, into figures (steps, 3)."""
    for step in range(steps):
        L, of_weights, (start, stop) = 0.0, 0.0, batch_at(step, batch_size, epoch, epoch_steps)
        for k in range((stop - start + S - 1) // S):
            L += block_loss[step * blocks + k]
        if l2 > 0:
            total = 0.0
            for task in range(tasks):
                total += squares[step * tasks + task]
            of_weights = 0.5 * penalty(l2, per_sample, N[step], like[0]) * total
        figures[3 * step], figures[3 * step + 1], figures[3 * step + 2] = N[step], L, of_weights


@routine
def write_outputs(a: Place, outputs: Size, width: Size, rows: Size, out: Place) -> None:
    """layout: out[n, k] = a[k, n] for the samples of a block."""
    for n in range(rows):
        for k in range(outputs):
            out[n * outputs + k] = a[k * width + n]


# --------------------------------------------------------------------------------------- regularisation


@routine
def drop_block(p: Real, seed: Size, t: Size, l: Size, ids: Integers, a: Place, h: Place, units: Size, N: Size) -> None:
    """E1: dropout of a block of layer l in step t; E3 where a and h are δ."""
    key = dropout_key(np.uint64(seed), t, l)
    drop(p, key, stretch(ids, 0, N), view(a, 0, units, N), view(h, 0, units, N))


@routine
def start_gradient(
    w: Place, penalised: Size, count: Size, l2: Real, per_sample: Size, N: Doubles, g: Place, squares: Doubles
) -> None:
    """E4: the part of ∂L/∂w_ij that needs no sample: λ w_ij for the first `penalised`, 0 for b. Writes g, and Σ w²."""
    weight = penalty(l2, per_sample, N[0], w[0])
    for p in range(penalised):
        g[p] = weight * w[p]
    for p in range(penalised, count):
        g[p] = 0
    squares[0] = squares_of(w, penalised)


@routine
def sum_of_squares(x: Place, count: Size, out: Doubles) -> None:
    """math: Σ x² in float64."""
    out[0] = squares_of(x, count)


@inlined
def squares_of(x, count):
    """math: Σ x² in float64, a row at a time."""
    S, total = VECTORS * lanes(x), 0.0
    for p in range(0, count, S):
        total += row_squares(x, p, min(S, count - p))
    return total


@routine
def clip(g: Place, count: Size, clip_value: Real) -> None:
    """E6: g kept in ±clip_value. Writes g."""
    bound = type(g[0])(clip_value)
    for p in range(count):
        g[p] = min(max(g[p], -bound), bound)


@routine
def clip_by_norm(g: Place, count: Size, clip_norm: Real, norms: Doubles, tasks: Size) -> None:
    """E6: g ← g · min(1, clip_norm/‖g‖), ‖g‖² being the sum of what all tasks came to. Writes g."""
    number = type(g[0])
    squares = 0.0
    for task in range(tasks):
        squares += norms[task]
    length, bound = np.sqrt(squares), number(clip_norm)
    if length > bound:
        shrink = number(bound / length)
        for p in range(count):
            g[p] *= shrink
