"""From passes to steps: the gradient of a batch, an epoch of E6, and what is measured over all rows.

A driver takes records: `net` is the network, `samples` the data, `rules` what regularises, `steps` the optimizer. Where
X is sparse it is in `sparse`, which else is None, and the X of `samples` has no columns.
Scratch holds z, a, h and δ of every layer for at most so many samples; a longer batch is walked in such chunks, its E4
and E5 sums going on from one to the next.
"""

from typing import NamedTuple

import numpy as np

from ..._jit import twins
from ...optimizers import COEFFICIENTS, coefficients, update
from ..layout import PHI, gather, layer_of, transposed_of, weights_of
from .equations import clip, output_deltas, start_gradient, transpose
from .normalization import update_state
from .passes import backward_pass, forward_pass
from .scratch import WEIGHT, new_scratch


class Net(NamedTuple):
    """A network as drivers read it: layout's table, θ, ℓ's code and its parameters. Its state goes beside it."""

    table: np.ndarray
    params: np.ndarray
    loss: int
    parameters: np.ndarray


class Data(NamedTuple):
    """Samples: X, y and their weights; which of them in what order, by data set row and by row of X."""

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    order: np.ndarray
    places: np.ndarray


class Rules(NamedTuple):
    """`contract.Regularization`, dropout for each layer."""

    l2: float
    l2_per_sample: bool
    dropout: np.ndarray
    seed: np.uint64
    clip_value: float
    clip_norm: float


class Steps(NamedTuple):
    """The optimizer: its code, moments, settings and decay, a batch's size, η of each step, and the steps before."""

    code: int
    moments: np.ndarray
    settings: np.ndarray
    weight_decay: float
    batch_size: int
    rates: np.ndarray
    t: int


@twins
def batch_gradient(net, state, sparse, samples, start, stop, rules, t, work, gradient):
    """E4: loss and gradient of one batch, the samples order[start:stop], in chunks that fit the scratch.

    Returns (N, Σ_n weight_n ℓ_n / N, λ/2 ‖w‖²).
    """
    table, params, places, N = net.table, net.params, samples.places[start:stop], 0.0
    for n in range(places.size):
        N += samples.sample_weight[places[n]]
    divisor = type(params[0])(N) if N > 0 else type(params[0])(1)  # all weights zero: no gradient, not NaN
    l2 = rules.l2 / divisor if rules.l2_per_sample else rules.l2
    penalty = start_gradient(table, params, l2, gradient)
    for l in range(2, table.shape[0]):
        transpose(weights_of(table, params, l), transposed_of(table, work.transposed, l))
    chunk, total = work.samples.shape[1], 0.0
    for first in range(0, places.size, chunk):
        rows = min(chunk, places.size - first)
        here, ids = places[first : first + rows], samples.order[start + first : start + first + rows]
        gather(samples.X, here, layer_of(table, work.h, 0, rows))
        gather(samples.y, here, work.target[:rows])
        for n in range(rows):
            work.samples[WEIGHT, n] = samples.sample_weight[here[n]]
        forward_pass(net, state, sparse, here, True, rules, t, ids, work, rows)
        total += backward_pass(net, state, sparse, here, rules, t, ids, work, divisor, gradient, rows)
    return N, total / divisor, penalty


@twins
def gradient_of(net, state, sparse, samples, rules, rows, gradient):
    """E4: loss and gradient over all samples. Returns (L, scratch): after one chunk it holds every number."""
    work = new_scratch(net.table, net.params, state, rows, state is not None, True)
    _, L, penalty = batch_gradient(net, state, sparse, samples, 0, samples.order.size, rules, 0, work, gradient)
    return L + penalty, work


@twins
def train_steps(net, state, sparse, samples, rules, steps, rows, figures):
    """E6: one step for each batch of the order; N, ℓ and the penalty of each go to figures (steps, 3)."""
    params, batch_size = net.params, steps.batch_size
    gradient, c = np.empty_like(params), np.zeros(COEFFICIENTS, params.dtype)
    work = new_scratch(net.table, params, state, rows, state is not None or rules.dropout.sum() > 0, True)
    for step in range(steps.rates.size):
        start, t = step * batch_size, steps.t + step + 1
        stop = min(start + batch_size, samples.order.size)
        N, L, penalty = batch_gradient(net, state, sparse, samples, start, stop, rules, t, work, gradient)
        clip(gradient, rules.clip_value, rules.clip_norm)
        coefficients(steps.code, steps.settings, steps.weight_decay, steps.rates[step], t, c)
        update(steps.code, params, gradient, steps.moments, c)
        if state is not None:
            update_state(net.table, state, work.of_layers, stop - start)
        figures[step, 0], figures[step, 1], figures[step, 2] = N, L, penalty


@twins
def forward_chunk(net, state, sparse, X, start, rows, order, rules, work, out):
    """E1: the network's output for `rows` rows of X from `start` on, written to out (N, outputs)."""
    table = net.table
    for n in range(rows):
        order[n] = start + n
    gather(X, order, layer_of(table, work.h, 0, rows))
    forward_pass(net, state, sparse, order, False, rules, 0, order, work, rows)
    output = layer_of(table, work.a, table.shape[0] - 1, rows)
    for n in range(rows):
        for k in range(out.shape[1]):
            out[start + n, k] = output[n, k]


@twins
def forward_rows(net, state, sparse, X, rules, chunk, out):
    """E1: the network's output for every row of X, written to out (N, outputs)."""
    work, order = new_scratch(net.table, net.params, state, chunk, False, False), np.empty(chunk, np.int64)
    for start in range(0, out.shape[0], chunk):
        forward_chunk(net, state, sparse, X, start, min(chunk, out.shape[0] - start), order, rules, work, out)


@twins
def evaluate_rows(net, state, sparse, samples, rules, chunk, out):
    """E2: L over every sample, the outputs written to out (N, outputs)."""
    table, X, y, sample_weight = net.table, samples.X, samples.y, samples.sample_weight
    last, total, N = table.shape[0] - 1, 0.0, 0.0
    work, order = new_scratch(table, net.params, state, chunk, False, False), np.empty(chunk, np.int64)
    for start in range(0, out.shape[0], chunk):
        rows = min(chunk, out.shape[0] - start)
        forward_chunk(net, state, sparse, X, start, rows, order, rules, work, out)
        for n in range(rows):
            work.samples[WEIGHT, n] = sample_weight[start + n]
            N += sample_weight[start + n]
        gather(y, order, work.target[:rows])
        z, a, delta = layer_of(table, work.z, last, rows), layer_of(table, work.a, last, rows), work.delta
        total += output_deltas(
            net.loss, table[last, PHI], net.parameters, z, a, work.target[:rows], work.samples[:, :rows],
            delta[: rows * y.shape[1]].reshape((rows, y.shape[1])),
        )  # fmt: skip
    return total / N
