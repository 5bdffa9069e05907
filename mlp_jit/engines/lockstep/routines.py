"""The small steps around the tiles, each for the numbers of one lane or of all: what a network has of its own.

Numbers of a block lie in columns, one for each sample and lane, sample after sample: column n·lanes + k is sample n of
the network in lane k. φ, φ' and ℓ, which know no neighbours, are those of the lanes engine, each column a sample.
Every sum runs in the order in which that engine has it.
"""

from functools import cache

import numpy as np

from ..._jit import Doubles, Integers, Place, Real, Routine, Size, as_template, routine
from ...dropout import dropout_key, is_kept, sample_fate
from ...optimizers import BY_CODE as OPTIMIZERS
from ...optimizers import COEFFICIENTS, SETTINGS, coefficients
from ..lanes.job import integers
from ..lanes.routines import divisor, penalty
from ..lanes.simd import VECTORS, lanes, stretch, transpose
from .rows import rows

_coefficients = as_template(coefficients)


FEW = 4  # columns that are gathered one by one: a square of as many as there are lanes is turned all the same


# --------------------------------------------------------------------------------------- to and from lanes


@routine
def lace(starts: Integers, count: Size, laced: Place, like: Place) -> None:
    """layout: `count` numbers of each network side by side, from `starts` on, counted from `like`, address 0."""
    L = lanes(laced)
    for p in range(0, count, L):
        transpose(like, starts, 0, p, count - p, laced, p * L, L, 0)


@routine
def unlace(laced: Place, k: Size, count: Size, out: Place) -> None:
    """layout: the numbers of lane k. Writes out (count,)."""
    L = lanes(laced)
    for p in range(count):
        out[p] = laced[p * L + k]


@routine
def load_rows(first: Integers, used: Integers, n_0: Size, samples: Size, L: Size, ids: Integers) -> None:
    """layout: of the samples n_0, … of each lane's batch the rows of the data set, from where its order begins. Idle
    columns repeat the last sample.
    """
    for n in range(samples):
        for k in range(L):
            ids[n * L + k] = integers(first[k])[min(n_0 + n, used[k] - 1)]


@routine
def start_rows(ids: Integers, base: Integers, columns: Size, samples: Size, L: Size, starts: Integers) -> None:
    """layout: where each column's row begins, in what has so many `columns` and begins at its lane's `base`."""
    for n in range(samples):
        for k in range(L):
            starts[n * L + k] = base[k] + ids[n * L + k] * columns


@routine
def weigh_columns(used: Integers, n_0: Size, samples: Size, L: Size, share: Place, weight: Place) -> None:
    """layout: where all samples weigh 1, their weights over N; idle columns weigh 0."""
    for n in range(samples):
        for k in range(L):
            weight[n * L + k] = share[k] if n_0 + n < used[k] else 0


@routine
def weigh_lane(
    sample_weight: Place, ids: Integers, used: Size, n_0: Size, samples: Size, k: Size, N: Doubles, weight: Place
) -> None:
    """layout: the weights of lane k's samples over N; idle columns weigh 0."""
    L, share = lanes(weight), divisor(N[k], weight[0])
    for n in range(samples):
        weight[n * L + k] = sample_weight[ids[n * L + k]] / share if n_0 + n < used else 0


@routine
def gather(starts: Integers, samples: Size, columns: Size, like: Place, out: Place) -> None:
    """layout: the rows that begin at `starts`, counted from `like`, address 0, as columns of a block."""
    L = lanes(out)
    if columns < FEW:
        for i in range(columns):
            for s in range(samples * L):
                out[i * samples * L + s] = like[starts[s] + i]
        return
    for n in range(samples):
        for i in range(0, columns, L):
            transpose(like, starts, n * L, i, columns - i, out, (i * samples + n) * L, samples * L, 0)


@routine
def write_outputs(a: Place, outputs: Size, samples: Size, used: Size, k: Size, out: Place) -> None:
    """layout: out[n, k] = a of lane k, for the first `used` samples of a block."""
    L = lanes(a)
    for n in range(used):
        for j in range(outputs):
            out[n * outputs + j] = a[(j * samples + n) * L + k]


# --------------------------------------------------------------------------------------- a step's numbers


@routine
def weigh(sample_weight: Place, order: Integers, used: Size, N: Doubles) -> None:
    """E4: N, the sum of the weights of a batch."""
    total = 0.0
    for n in range(used):
        total += sample_weight[order[n]]
    N[0] = total


@routine
def count_samples(used: Size, k: Size, N: Doubles, share: Place) -> None:
    """E4: N of lane k where all samples weigh 1, and the weight of each over it."""
    N[k] = np.float64(used)
    share[k] = type(share[0])(1) / divisor(N[k], share[0])


@routine
def copy_number(source: Doubles, out: Doubles) -> None:
    """layout: a number."""
    out[0] = source[0]


@cache
def coefficients_of(code: int) -> Routine:
    """E6: the optimizer's coefficients of step t, those of lane k."""

    @routine
    def of_lane(settings: Doubles, decay: Real, rate: Doubles, t: Size, scratch: Place, k: Size, c: Place) -> None:
        """E6: the optimizer's coefficients of step t. Writes scratch (COEFFICIENTS,) and lane k of c."""
        L = lanes(c)
        _coefficients(code, stretch(settings, 0, SETTINGS), decay, rate[0], t, stretch(scratch, 0, COEFFICIENTS))
        for m in range(COEFFICIENTS):
            c[m * L + k] = scratch[m]

    return of_lane


@routine
def copy_lane(c: Place, source: Size, k: Size) -> None:
    """layout: the coefficients of an idle lane k: those of another."""
    L = lanes(c)
    for m in range(COEFFICIENTS):
        c[m * L + k] = c[m * L + source]


@routine
def penalty_of(l2: Real, per_sample: Size, N: Doubles, k: Size, lambdas: Place) -> None:
    """layout: λ of lane k's batch."""
    lambdas[k] = penalty(l2, per_sample, N[0], lambdas[0])


@routine
def figure(N: Doubles, loss: Doubles, squares: Doubles, lambdas: Place, penalises: Size, k: Size, out: Doubles) -> None:
    """E2: what a step came to in lane k: N, ℓ, and λ/2 ‖w‖²."""
    out[0], out[1] = N[k], loss[k]
    out[2] = 0.5 * lambdas[k] * squares[k] if penalises else 0.0


@routine
def add_losses(
    weight: Place, ell: Place, used: Integers, n_0: Size, samples: Size, S: Size, last: Size, block_loss: Doubles,
    loss: Doubles,
) -> None:  # fmt: skip
    """E2: Σ weight ℓ of a block, added to that of its stretch of S samples, and at the end of this to the batch's."""
    L = lanes(weight)
    for k in range(L):
        L_k = block_loss[k]
        for n in range(max(0, min(samples, used[k] - n_0))):
            L_k += weight[n * L + k] * ell[n * L + k]
        block_loss[k] = L_k
        if last or (n_0 + samples) % S == 0:
            loss[k] += L_k
            block_loss[k] = 0


# --------------------------------------------------------------------------------------- regularisation and E6


@routine
def start_at_zero(g: Place, count: Size) -> None:
    """E4: a gradient before the first sample."""
    for p in range(count * lanes(g)):
        g[p] = 0


@routine
def penalise(w: Place, penalised: Size, count: Size, lambdas: Place, g: Place) -> None:
    """E4: the part of ∂L/∂w_ij that needs no sample: λ w_ij for the first `penalised`, 0 for b. Writes g."""
    w, g, lambda_ = rows(w, penalised), rows(g, count), rows(lambdas, 1)
    for p in range(penalised):
        g[p] = lambda_[0] * w[p]
    for p in range(penalised, count):
        g[p] = lambda_[0] - lambda_[0]


@routine
def squares_of(x: Place, count: Size, fold: Doubles, of_task: Doubles, total: Doubles) -> None:
    """math: Σ x² of each lane in float64, added to `total`: a row of the lanes engine's tile at a time, which it adds
    up in halves.
    """
    L = lanes(x)
    S = VECTORS * L
    for k in range(L):
        of_task[k] = 0
    for p in range(0, count, S):
        here = min(S, count - p) * L
        for s in range(here):
            number = np.float64(x[p * L + s])
            fold[s] = number * number
        for s in range(here, S * L):
            fold[s] = 0
        half = S // 2
        while half:
            for s in range(half * L):
                fold[s] += fold[s + half * L]
            half //= 2
        for k in range(L):
            of_task[k] += fold[k]
    for k in range(L):
        total[k] += of_task[k]


@routine
def clip(g: Place, count: Size, k: Size, clip_value: Real) -> None:
    """E6: lane k of g kept in ±clip_value. Writes g."""
    L, bound = lanes(g), type(g[0])(clip_value)
    for p in range(k, count * L, L):
        g[p] = min(max(g[p], -bound), bound)


@routine
def shrink_by_norm(squares: Doubles, clip_norm: Real, k: Size, shrink: Place) -> None:
    """E6: min(1, clip_norm/‖g‖) of lane k."""
    number = type(shrink[0])
    length, bound = np.sqrt(squares[k]), number(clip_norm)
    shrink[k] = number(bound / length) if length > bound else 1


@routine
def scale(g: Place, count: Size, factor: Place) -> None:
    """E6: each lane of g by its factor. Writes g."""
    g, factor = rows(g, count), rows(factor, 1)
    for p in range(count):
        g[p] = g[p] * factor[0]


@cache
def optimizer_step(code: int) -> Routine:
    """E6: an optimizer's kernel, with a register in the place of a number."""
    step_of = as_template(OPTIMIZERS[code])

    @routine
    def update(theta: Place, g: Place, m: Place, v: Place, c: Place, count: Size) -> None:
        """E6: one step of the optimizer on all parameters."""
        step_of(rows(theta, count), rows(g, count), rows(m, count), rows(v, count), rows(c, COEFFICIENTS))

    return update


@routine
def drop_lane(seed: Size, t: Size, l: Size, dropout: Doubles, k: Size, keys: Integers, p: Doubles) -> None:
    """E1: what dropout of layer l in step t goes by in lane k."""
    keys[k], p[k] = np.int64(dropout_key(np.uint64(seed), t, l)), dropout[l]


@routine
def drop(
    ids: Integers, keys: Integers, p: Doubles, fates: Integers, bounds: Integers, scales: Place, a: Place, h: Place,
    units: Size, samples: Size,
) -> None:  # fmt: skip
    """E1: dropout of a layer, as `dropout.drop` has it, each lane by its own key and p; E3 where a and h are δ."""
    L, number = lanes(a), type(a[0])
    for n in range(samples):
        for k in range(L):
            s = n * L + k
            fates[s] = np.int64(sample_fate(np.uint64(keys[k]), ids[s]))
            bounds[s], scales[s] = np.int64(p[k] * 4294967296.0), number(1 / (1 - p[k]))
    for j in range(units):
        for s in range(samples * L):
            q = j * samples * L + s
            h[q] = a[q] * scales[s] if is_kept(np.uint64(fates[s]), j, np.uint64(bounds[s])) else number(0)
