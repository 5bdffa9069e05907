"""The textbook engine: E1-E6 as loops over n, j and i, each equation one function, in the order of the table.

Read it from the top: `forward_layer` (E1), `losses.output_delta` (E2), `hidden_delta` (E3), `weight_gradient` (E4),
`bias_gradient` (E5) and `optimizers.update` (E6); then `train_steps`, which calls them in that order. E3 sees the
weights from before the update because E6 comes last.

Threads: every `prange` runs over what its thread owns. E1-E3 give a thread whole samples n, E4 whole rows i of W, E6
whole blocks of θ. Nothing is written by two threads and every sum runs in one fixed order, so the result is the same,
bit for bit, for any number of threads.

The loops nest n, i, j although E1 reads Σ_i: with j innermost the weights w_ij are read in the order in which they
lie in memory, every z_j is summed in the order of i, and LLVM turns the innermost loop into vector instructions without
leave to reorder a sum. The literal order n, j, i with a scalar z_j was measured at 1.8-4 GFLOP/s where this one reaches
17-43 (one thread, float32, 32 to 784 inputs). E3 nests n, j, i for the same reason, on a transposed copy of W.

Scratch holds z, a, h and δ of every layer for at most `ROWS` samples at a time; a longer batch is walked in such
chunks, its E4 and E5 sums going on from one to the next. h is a after dropout, and is a itself where nothing is
dropped.
"""

from typing import TYPE_CHECKING

import numpy as np
from numba import prange

from .._jit import call, kernel, twins
from ..activations import SOFTMAX, activate, scale_by_slope, softmax
from ..dropout import drop, dropout_key
from ..losses import output_delta
from ..optimizers import COEFFICIENTS, coefficients, update
from .contract import NONE, Regularization, Trace, mean_loss
from .layout import (
    BIASES,
    N_OUT,
    PHI,
    UNITS,
    WEIGHTS,
    biases_of,
    biases_view,
    gather,
    layer_of,
    layer_view,
    transposed_of,
    weights_of,
    weights_view,
)

if TYPE_CHECKING:
    from ..network import Network
    from ..optimizers import Optimizer

ROWS = 1024
WEIGHT, ELL, TOP, TOTAL = range(4)  # one number a sample: its weight, ℓ, max z and Σ e^(z − max z) of the outputs
PARALLEL_WORK = 200_000  # multiply-adds a batch from which threads are used; an estimate, still to be measured


# --------------------------------------------------------------------------------------- the equations


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


# E6 is `update` of optimizers.py


@kernel
def start_gradient(table, params, l2, gradient):
    """E4: the part of ∂L/∂w_ij that needs no sample, λ w_ij; zero for b. Returns λ/2 ‖w‖²."""
    squares = 0.0
    for l in range(1, table.shape[0]):
        for p in range(table[l, WEIGHTS], table[l, BIASES]):
            gradient[p] = l2 * params[p]
        for p in range(table[l, BIASES], table[l, BIASES] + table[l, N_OUT]):
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


# --------------------------------------------------------------------------------------- all layers


@twins
def forward_pass(table, params, dropout, seed, t, ids, z, a, h, samples, rows):
    """E1: every layer in turn, for the `rows` samples whose inputs are layer 0 of h."""
    last = table.shape[0] - 1
    drops = dropout.sum() > 0
    for l in range(1, last + 1):
        W, b = weights_of(table, params, l), biases_of(table, params, l)
        z_l, a_l = layer_of(table, z, l, rows), layer_of(table, a, l, rows)
        forward_layer(W, b, table[l, PHI], layer_of(table, h, l - 1, rows), z_l, a_l)
        if table[l, PHI] == SOFTMAX:
            softmax(z_l.T, a_l.T, samples[TOP], samples[TOTAL])
        if drops and l < last:  # also where this layer's p is 0: the next one reads h
            drop_layer(dropout[l], dropout_key(seed, t, l), ids, a_l, layer_of(table, h, l, rows))


@twins
def backward_pass(
    table, transposed, loss, parameters, dropout, seed, t, ids, y, samples, N, z, a, h, delta, gradient, rows
):  # fmt: skip
    """E2: the output's δ, then E3, E4 and E5 from the last layer to the first; returns Σ_n weight_n ℓ_n."""
    last = table.shape[0] - 1
    z_l, a_l, delta_l = (
        layer_of(table, z, last, rows),
        layer_of(table, a, last, rows),
        layer_of(table, delta, last, rows),
    )
    total = output_deltas(loss, table[last, PHI], parameters, z_l, a_l, y, samples, delta_l)
    for l in range(last, 0, -1):
        delta_l = layer_of(table, delta, l, rows)
        weight_gradient(layer_of(table, h, l - 1, rows), delta_l, N, weights_of(table, gradient, l))
        bias_gradient(delta_l, N, biases_of(table, gradient, l))
        if l > 1:
            z_i, a_i = layer_of(table, z, l - 1, rows), layer_of(table, a, l - 1, rows)
            delta_i = layer_of(table, delta, l - 1, rows)
            hidden_delta(transposed_of(table, transposed, l), table[l - 1, PHI], z_i, a_i, delta_l, delta_i)
            if dropout[l - 1] > 0:
                drop_layer(dropout[l - 1], dropout_key(seed, t, l - 1), ids, delta_i, delta_i)
    return total


@twins
def batch_gradient(
    table, params, loss, parameters, X, y, sample_weight, order, places, l2, l2_per_sample, dropout, seed, t,
    z, a, h, delta, target, samples, transposed, gradient,
):  # fmt: skip
    """E4: loss and gradient of one batch, the samples order[0], order[1], …, in chunks that fit the scratch.

    places[n] is the row of X, y and sample_weight where the sample order[n] lies. Returns (L, N).
    """
    N = 0.0
    for n in range(places.size):
        N += sample_weight[places[n]]
    divisor = type(params[0])(N) if N > 0 else type(params[0])(1)  # all weights zero: no gradient, not NaN
    if l2_per_sample:
        l2 = l2 / divisor
    penalty = start_gradient(table, params, l2, gradient)
    for l in range(2, table.shape[0]):
        transpose(weights_of(table, params, l), transposed_of(table, transposed, l))
    chunk = samples.shape[1]
    total = 0.0
    for start in range(0, places.size, chunk):
        rows = min(chunk, places.size - start)
        here = places[start : start + rows]
        ids = order[start : start + rows]
        gather(X, here, layer_of(table, h, 0, rows))
        gather(y, here, target[:rows])
        for n in range(rows):
            samples[WEIGHT, n] = sample_weight[here[n]]
        forward_pass(table, params, dropout, seed, t, ids, z, a, h, samples[:, :rows], rows)
        total += backward_pass(
            table, transposed, loss, parameters, dropout, seed, t, ids, target[:rows], samples[:, :rows], divisor,
            z, a, h, delta, gradient, rows,
        )  # fmt: skip
    return total / divisor + penalty, N


@twins
def train_steps(
    table, params, loss, parameters, X, y, sample_weight, order, places, batch_size, l2, l2_per_sample,
    dropout, seed, clip_value, clip_norm, code, moments, settings, weight_decay, rates, t,
    z, a, h, delta, target, samples, transposed, gradient, c, sums,
):  # fmt: skip
    """E6: one step for each batch of `order`; sums (2,) goes on to gather Σ N L and Σ N over the batches."""
    for step in range(rates.size):
        start = step * batch_size
        stop = min(start + batch_size, order.size)
        L, N = batch_gradient(
            table, params, loss, parameters, X, y, sample_weight, order[start:stop], places[start:stop],
            l2, l2_per_sample, dropout, seed, t + step + 1, z, a, h, delta, target, samples,
            transposed, gradient,
        )  # fmt: skip
        clip(gradient, clip_value, clip_norm)
        coefficients(code, settings, weight_decay, rates[step], t + step + 1, c)
        update(code, params, gradient, moments, c)
        sums[0] += N * L
        sums[1] += N


@twins
def forward_rows(table, params, X, order, dropout, z, a, samples, out):
    """E1: the network's output for every row of X, in chunks of `order.size` rows, written to out (N, outputs)."""
    for start in range(0, X.shape[0], order.size):
        rows = min(order.size, X.shape[0] - start)
        for n in range(rows):
            order[n] = start + n
        gather(X, order, layer_of(table, a, 0, rows))
        forward_pass(table, params, dropout, np.uint64(0), 0, order, z, a, a, samples[:, :rows], rows)
        output = layer_of(table, a, table.shape[0] - 1, rows)
        for n in range(rows):
            for k in range(out.shape[1]):
                out[start + n, k] = output[n, k]


@twins
def evaluate_rows(
    table, params, loss, parameters, X, y, sample_weight, order, dropout, z, a, delta, target, samples, out
):  # fmt: skip
    """E2: L over every row of X, as `forward_rows` walks them, the outputs written to out (N, outputs)."""
    last = table.shape[0] - 1
    total, N = 0.0, 0.0
    for start in range(0, X.shape[0], order.size):
        rows = min(order.size, X.shape[0] - start)
        stop = start + rows
        forward_rows(table, params, X[start:stop], order[:rows], dropout, z, a, samples, out[start:stop])
        for n in range(rows):
            order[n] = start + n
            samples[WEIGHT, n] = sample_weight[start + n]
            N += sample_weight[start + n]
        gather(y, order, target[:rows])
        z_l, a_l = layer_of(table, z, last, rows), layer_of(table, a, last, rows)
        total += output_deltas(
            loss, table[last, PHI], parameters, z_l, a_l, target[:rows], samples[:, :rows], delta[:rows]
        )
    return total / N


@twins
def forward_few(table, params, X, out):
    """E1: the network's output for a few rows of X, one after the other in one thread, written to out (N, outputs).

    What `forward_rows` does, for callers who count microseconds: it needs no scratch from Python, and no table of rows.
    """
    last = table.shape[0] - 1
    room = table[last, UNITS] + table[last, N_OUT]
    z, a, top = np.empty(room, params.dtype), np.empty(room, params.dtype), np.empty((2, 1), params.dtype)
    for n in range(X.shape[0]):
        for i in range(X.shape[1]):
            a[i] = X[n, i]
        for l in range(1, last + 1):
            W, b = weights_of(table, params, l), biases_of(table, params, l)
            z_l, a_l = layer_of(table, z, l, 1), layer_of(table, a, l, 1)
            forward_layer(W, b, table[l, PHI], layer_of(table, a, l - 1, 1), z_l, a_l)
            if table[l, PHI] == SOFTMAX:
                softmax(z_l.T, a_l.T, top[0], top[1])
        for k in range(out.shape[1]):
            out[n, k] = a[table[last, UNITS] + k]


# --------------------------------------------------------------------------------------- the contract


def _scratch(network: "Network", rows: int) -> np.ndarray:
    """Room for one number a unit, the inputs included, for each of `rows` samples."""
    return np.empty(rows * sum(network.sizes), network.dtype)


def _samples(network: "Network", rows: int) -> np.ndarray:
    return np.empty((4, rows), network.dtype)


def _is_parallel(network: "Network", rows: int) -> bool:
    return rows * network.n_params >= PARALLEL_WORK


def forward(network: "Network", X: np.ndarray, *, n_threads: int | None = None) -> np.ndarray:
    rows = max(1, min(ROWS, X.shape[0]))
    out = np.empty((X.shape[0], network.sizes[-1]), network.dtype)
    call(
        forward_rows, network.table, network.params, X, np.empty(rows, np.int64), np.zeros(len(network.sizes)),
        _scratch(network, rows), _scratch(network, rows), _samples(network, rows), out,
        n_threads=n_threads, parallel=_is_parallel(network, rows),
    )  # fmt: skip
    return out


def evaluate(
    network: "Network",
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    *,
    n_threads: int | None = None,
) -> tuple[float, np.ndarray]:
    rows = min(ROWS, X.shape[0])
    out = np.empty((X.shape[0], network.sizes[-1]), network.dtype)
    L = call(
        evaluate_rows, network.table, network.params, network.loss_function.code, network.loss_parameters,
        X, y, sample_weight, np.empty(rows, np.int64), np.zeros(len(network.sizes)),
        _scratch(network, rows), _scratch(network, rows), np.empty((rows, y.shape[1]), network.dtype),
        np.empty((rows, y.shape[1]), network.dtype), _samples(network, rows), out,
        n_threads=n_threads, parallel=_is_parallel(network, rows),
    )  # fmt: skip
    return float(L), out


def gradient(
    network: "Network",
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    *,
    l2: float = 0.0,
    n_threads: int | None = None,
) -> tuple[float, np.ndarray]:
    rows = max(1, min(ROWS, X.shape[0]))
    order = np.arange(X.shape[0])
    a = _scratch(network, rows)
    out = np.empty_like(network.params)
    L, _ = call(
        batch_gradient, network.table, network.params, network.loss_function.code, network.loss_parameters,
        X, y, sample_weight, order, order, network.dtype.type(l2), False,
        np.zeros(len(network.sizes)), np.uint64(0), 0, _scratch(network, rows), a, a, _scratch(network, rows),
        np.empty((rows, y.shape[1]), network.dtype), _samples(network, rows), np.empty_like(network.params), out,
        n_threads=n_threads, parallel=_is_parallel(network, rows),
    )  # fmt: skip
    return float(L), out


def train_epoch(
    network: "Network",
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    order: np.ndarray,
    batch_size: int,
    optimizer: "Optimizer",
    rates: np.ndarray,
    *,
    places: np.ndarray | None = None,
    sums: np.ndarray | None = None,
    regularization: Regularization = NONE,
    n_threads: int | None = None,
) -> float:
    rows = max(1, min(ROWS, batch_size, order.size))
    dropout = regularization.dropout_by_layer(network.sizes)
    a = _scratch(network, rows)
    h = _scratch(network, rows) if dropout.any() else a
    optimizer.start(network.params)
    sums = np.zeros(2) if sums is None else sums
    call(
        train_steps, network.table, network.params, network.loss_function.code, network.loss_parameters,
        X, y, sample_weight, order, order if places is None else places, batch_size,
        network.dtype.type(regularization.l2), regularization.l2_per_sample,
        dropout, np.uint64(regularization.seed), regularization.clip_value, regularization.clip_norm,
        optimizer.code, optimizer.moments, optimizer.settings, optimizer.decoupled_decay, rates, optimizer.t,
        _scratch(network, rows), a, h, _scratch(network, rows),
        np.empty((rows, y.shape[1]), network.dtype), _samples(network, rows), np.empty_like(network.params),
        np.empty_like(network.params), np.zeros(COEFFICIENTS, network.dtype), sums,
        n_threads=n_threads, parallel=_is_parallel(network, min(batch_size, order.size)),
    )  # fmt: skip
    optimizer.t += rates.size
    return mean_loss(sums)


def trace(network: "Network", X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray) -> Trace:
    """z, a and δ of every layer for the rows of X, from the serial kernels that train; L and ∂L/∂θ with the weights."""
    rows, table = X.shape[0], network.table
    z, a, delta = (_scratch(network, rows) for _ in range(3))
    order, same_weight = np.arange(rows), np.ones_like(sample_weight)
    same_weight.flags.writeable = False  # the signature that is compiled already
    batch_gradient.serial(
        table, network.params, network.loss_function.code, network.loss_parameters,
        X, y, same_weight, order, order, network.dtype.type(0), False,
        np.zeros(len(network.sizes)), np.uint64(0), 0, z, a, a, delta,
        np.empty((rows, y.shape[1]), network.dtype), _samples(network, rows), np.empty_like(network.params),
        np.empty_like(network.params),
    )  # fmt: skip
    L, out = gradient(network, X, y, sample_weight, n_threads=1)
    layers = range(1, len(network.sizes))
    return Trace(
        loss=L,
        z=tuple(layer_view(table, z, l, rows) for l in layers),
        a=tuple(layer_view(table, a, l, rows) for l in range(len(network.sizes))),
        delta=tuple(layer_view(table, delta, l, rows) for l in layers),
        weight_gradients=tuple(weights_view(table, out, l) for l in layers),
        bias_gradients=tuple(biases_view(table, out, l) for l in layers),
    )
