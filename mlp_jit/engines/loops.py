"""The textbook engine: E1-E6 as loops over n, j and i, each equation one function, in the order of the table.

Read it from the top: `forward_layer` (E1), `losses.output_delta` (E2), `hidden_delta` (E3), `weight_gradient` (E4),
`bias_gradient` (E5) and `optimizers.update` (E6); then `train_steps`, which calls them in that order. E3 sees the
weights from before the update because E6 comes last. E7 to E9 are in `normalization.py`.

Threads: every `prange` runs over what its thread owns. E1-E3 give a thread whole samples n, E4 whole rows i of W, E6
whole blocks of θ. Nothing is written by two threads and every sum runs in one fixed order, so the result is the same,
bit for bit, for any number of threads.

The loops nest n, i, j although E1 reads Σ_i: with j innermost the weights w_ij are read in the order in which they
lie in memory, every z_j is summed in the order of i, and LLVM turns the innermost loop into vector instructions without
leave to reorder a sum. The literal order n, j, i with a scalar z_j was measured at 1.8-4 GFLOP/s where this one reaches
17-43 (one thread, float32, 32 to 784 inputs). E3 nests n, j, i for the same reason, on a transposed copy of W.

Scratch holds z, a, h and δ of every layer for at most `ROWS` samples at a time; a longer batch is walked in
such chunks, its E4 and E5 sums going on from one to the next. Batch normalisation needs all of the batch at once.
"""

from typing import TYPE_CHECKING

import numpy as np
from numba import prange

from .._jit import call, kernel, owner, rare_twins, twins
from ..activations import IDENTITY, SOFTMAX, activate, scale_by_slope, softmax
from ..dropout import drop, dropout_key
from ..losses import output_delta
from ..optimizers import COEFFICIENTS, coefficients, update
from .contract import NONE, Regularization, mean_loss
from .layout import (
    BIASES,
    END,
    KIND,
    N_OUT,
    PHI,
    PLAIN,
    SKIPS,
    UNITS,
    WEIGHTS,
    biases_of,
    gains_of,
    gather,
    layer_of,
    transposed_of,
    weights_of,
)
from .normalization import find_moments, find_products, gain_gradient, normalize, sum_delta, update_state
from .scratch import ELL, TOP, TOTAL, WEIGHT, new_scratch

if TYPE_CHECKING:
    from ..network import Network
    from ..optimizers import Optimizer

ROWS = 1024  # samples in a chunk
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


# E6 is `update` of optimizers.py


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


# --------------------------------------------------------------------------------------- all layers


@owner
def inputs_of(table, dropout, work, l, rows):
    """layout: what layer l + 1 reads."""
    apart = l == 0 or dropout[l] > 0 or table[l, SKIPS] > 0
    return layer_of(table, work.h if apart else work.a, l, rows)


@rare_twins
def normalized_layer(table, params, state, trains, l, inputs, work, rows):
    """E7: s, z and a of one layer, with the statistics of the batch where it `trains`, else the running ones."""
    s, normal, of_layer = layer_of(table, work.s, l, rows), layer_of(table, work.normal, l, rows), work.of_layers[l]
    z, a = layer_of(table, work.z, l, rows), layer_of(table, work.a, l, rows)
    forward_layer(weights_of(table, params, l), work.zero[: table[l, N_OUT]], IDENTITY, inputs, s, z)
    find_moments(table, state, trains, l, s, of_layer)
    gain, b = gains_of(table, params, l), biases_of(table, params, l)
    normalize(table[l, KIND], s, of_layer, gain, b, table[l, PHI], normal, z, a)


@rare_twins
def normalized_delta(table, params, l, N, work, gradient, rows):
    """E8: ∂ℓ/∂s of one layer, into delta_s, and E9."""
    kind, gain, of_layer = table[l, KIND], gains_of(table, params, l), work.of_layers[l]
    delta, normal = layer_of(table, work.delta, l, rows), layer_of(table, work.normal, l, rows)
    gain_gradient(normal, delta, N, gains_of(table, gradient, l))
    find_products(kind, gain, delta, normal, of_layer)
    sum_delta(kind, delta, normal, gain, of_layer, layer_of(table, work.delta_s, l, rows))


@rare_twins
def skipped_layer(a, h_in, h):
    """E10: `skip`."""
    skip(a, h_in, h)


@rare_twins
def skipped_delta(table, l, WT, z_i, a_i, delta_j, delta_i, work, rows):
    """E10: E3 for layer l − 1 where δ also comes by a skip, or has to go on by one."""
    delta_h = layer_of(table, work.delta_h, l - 1, rows)
    hidden_delta(WT, IDENTITY, z_i, a_i, delta_j, delta_h)
    if table[l, SKIPS]:
        skip(delta_h, layer_of(table, work.delta_h, l, rows), delta_h)
    slope_delta(table[l - 1, PHI], z_i, a_i, delta_h, delta_i)


@twins
def forward_pass(table, params, state, trains, dropout, seed, t, ids, work, rows):
    """E1: every layer in turn, for the `rows` samples whose inputs are layer 0 of h."""
    for l in range(1, table.shape[0]):
        inputs, z, a = (
            inputs_of(table, dropout, work, l - 1, rows),
            layer_of(table, work.z, l, rows),
            layer_of(table, work.a, l, rows),
        )
        if state is not None and table[l, KIND] != PLAIN:
            normalized_layer(table, params, state, trains, l, inputs, work, rows)
        else:
            forward_layer(weights_of(table, params, l), biases_of(table, params, l), table[l, PHI], inputs, z, a)
        if table[l, PHI] == SOFTMAX:
            softmax(z.T, a.T, work.samples[TOP, :rows], work.samples[TOTAL, :rows])
        h = layer_of(table, work.h, l, rows)
        if dropout[l] > 0:
            drop_layer(dropout[l], dropout_key(seed, t, l), ids, a, h)
        if state is not None and table[l, SKIPS]:
            skipped_layer(h if dropout[l] > 0 else a, inputs, h)


@twins
def backward_pass(table, params, state, loss, parameters, dropout, seed, t, ids, work, N, gradient, rows):
    """E2: the output's δ, then E3 to E5 and E8 to E10 from the last layer to the first; returns Σ_n weight_n ℓ_n."""
    last, z, a, delta = table.shape[0] - 1, work.z, work.a, work.delta
    z_k, a_k, delta_k = (
        layer_of(table, z, last, rows),
        layer_of(table, a, last, rows),
        layer_of(table, delta, last, rows),
    )
    y, samples = work.target[:rows], work.samples[:, :rows]
    total = output_deltas(loss, table[last, PHI], parameters, z_k, a_k, y, samples, delta_k)
    for l in range(last, 0, -1):
        delta_l = layer_of(table, delta, l, rows)
        bias_gradient(delta_l, N, biases_of(table, gradient, l))
        if state is not None and table[l, KIND] != PLAIN:
            normalized_delta(table, params, l, N, work, gradient, rows)
            delta_l = layer_of(table, work.delta_s, l, rows)
        weight_gradient(inputs_of(table, dropout, work, l - 1, rows), delta_l, N, weights_of(table, gradient, l))
        if l > 1:
            phi, WT = table[l - 1, PHI], transposed_of(table, work.transposed, l)
            z_i, a_i, delta_i = (
                layer_of(table, z, l - 1, rows),
                layer_of(table, a, l - 1, rows),
                layer_of(table, delta, l - 1, rows),
            )
            if state is not None and (table[l, SKIPS] or table[l - 1, SKIPS]):
                skipped_delta(table, l, WT, z_i, a_i, delta_l, delta_i, work, rows)
            else:
                hidden_delta(WT, phi, z_i, a_i, delta_l, delta_i)
            if dropout[l - 1] > 0:
                drop_layer(dropout[l - 1], dropout_key(seed, t, l - 1), ids, delta_i, delta_i)
    return total


@twins
def batch_gradient(
    table, params, state, loss, parameters, X, y, sample_weight, order, places, l2, l2_per_sample, dropout, seed, t,
    work, gradient,
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
        transpose(weights_of(table, params, l), transposed_of(table, work.transposed, l))
    chunk = work.samples.shape[1]
    total = 0.0
    for start in range(0, places.size, chunk):
        rows = min(chunk, places.size - start)
        here = places[start : start + rows]
        ids = order[start : start + rows]
        gather(X, here, layer_of(table, work.h, 0, rows))
        gather(y, here, work.target[:rows])
        for n in range(rows):
            work.samples[WEIGHT, n] = sample_weight[here[n]]
        forward_pass(table, params, state, True, dropout, seed, t, ids, work, rows)
        total += backward_pass(
            table, params, state, loss, parameters, dropout, seed, t, ids, work, divisor, gradient, rows
        )
    return total / divisor + penalty, N


@twins
def gradient_of(table, params, state, loss, parameters, X, y, sample_weight, l2, rows, gradient):
    """E4: loss and gradient over all rows of X. Returns (L, scratch): after one chunk it holds every number."""
    order, dropout = np.arange(X.shape[0]), np.zeros(table.shape[0])
    work = new_scratch(table, params, state, rows, state is not None, True)
    L, _ = batch_gradient(
        table, params, state, loss, parameters, X, y, sample_weight, order, order, l2, False, dropout, np.uint64(0), 0,
        work, gradient,
    )  # fmt: skip
    return L, work


@twins
def train_steps(
    table, params, state, loss, parameters, X, y, sample_weight, order, places, batch_size, l2, l2_per_sample,
    dropout, seed, clip_value, clip_norm, code, moments, settings, weight_decay, rates, t, rows, sums,
):  # fmt: skip
    """E6: one step for each batch of `order`; sums (2,) goes on to gather Σ N L and Σ N over the batches."""
    gradient, c = np.empty_like(params), np.zeros(COEFFICIENTS, params.dtype)
    work = new_scratch(table, params, state, rows, state is not None or dropout.sum() > 0, True)
    for step in range(rates.size):
        start = step * batch_size
        stop = min(start + batch_size, order.size)
        L, N = batch_gradient(
            table, params, state, loss, parameters, X, y, sample_weight, order[start:stop], places[start:stop],
            l2, l2_per_sample, dropout, seed, t + step + 1, work, gradient,
        )  # fmt: skip
        clip(gradient, clip_value, clip_norm)
        coefficients(code, settings, weight_decay, rates[step], t + step + 1, c)
        update(code, params, gradient, moments, c)
        if state is not None:
            update_state(table, state, work.of_layers, stop - start)
        sums[0] += N * L
        sums[1] += N


@twins
def forward_chunk(table, params, state, X, start, rows, order, dropout, work, out):
    """E1: the network's output for `rows` rows of X from `start` on, written to out (N, outputs)."""
    for n in range(rows):
        order[n] = start + n
    gather(X, order, layer_of(table, work.h, 0, rows))
    forward_pass(table, params, state, False, dropout, np.uint64(0), 0, order, work, rows)
    output = layer_of(table, work.a, table.shape[0] - 1, rows)
    for n in range(rows):
        for k in range(out.shape[1]):
            out[start + n, k] = output[n, k]


@twins
def forward_few(table, params, X, out):
    """E1: `forward_rows` for a few rows of a network without E7 to E10, one after the other in one thread.

    For callers who count microseconds, and the seconds of the first call.
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


@twins
def forward_rows(table, params, state, X, chunk, out):
    """E1: the network's output for every row of X, written to out (N, outputs)."""
    work, dropout = new_scratch(table, params, state, chunk, False, False), np.zeros(table.shape[0])
    order = np.empty(chunk, np.int64)
    for start in range(0, X.shape[0], chunk):
        rows = min(chunk, X.shape[0] - start)
        forward_chunk(table, params, state, X, start, rows, order, dropout, work, out)


@twins
def evaluate_rows(table, params, state, loss, parameters, X, y, sample_weight, chunk, out):
    """E2: L over every row of X, the outputs written to out (N, outputs)."""
    last, total, N = table.shape[0] - 1, 0.0, 0.0
    work, dropout = new_scratch(table, params, state, chunk, False, False), np.zeros(table.shape[0])
    order = np.empty(chunk, np.int64)
    for start in range(0, X.shape[0], chunk):
        rows = min(chunk, X.shape[0] - start)
        forward_chunk(table, params, state, X, start, rows, order, dropout, work, out)
        for n in range(rows):
            work.samples[WEIGHT, n] = sample_weight[start + n]
            N += sample_weight[start + n]
        gather(y, order, work.target[:rows])
        z, a, delta = layer_of(table, work.z, last, rows), layer_of(table, work.a, last, rows), work.delta
        total += output_deltas(
            loss, table[last, PHI], parameters, z, a, work.target[:rows], work.samples[:, :rows],
            delta[: rows * y.shape[1]].reshape((rows, y.shape[1])),
        )  # fmt: skip
    return total / N


# --------------------------------------------------------------------------------------- the contract


def _chunk(samples: int) -> int:
    return max(1, min(ROWS, samples))


def _batch_chunk(network: "Network", samples: int) -> int:
    """Batch normalisation looks at all samples of a batch at once."""
    return max(1, samples) if network.state.size else _chunk(samples)


def state_of(network: "Network") -> np.ndarray | None:
    """None is a type of its own, for which E7 to E10 are not even compiled."""
    return None if network.is_plain else network.state


def _is_parallel(network: "Network", rows: int) -> bool:
    return rows * network.n_params >= PARALLEL_WORK


def forward(network: "Network", X: np.ndarray, *, n_threads: int | None = None) -> np.ndarray:
    rows, out = _chunk(X.shape[0]), np.empty((X.shape[0], network.sizes[-1]), network.dtype)
    call(
        forward_rows, network.table, network.params, state_of(network), X, rows, out,
        n_threads=n_threads, parallel=_is_parallel(network, rows),
    )  # fmt: skip
    return out


def forward_serial(network: "Network", X: np.ndarray) -> np.ndarray:
    """`forward` for few rows."""
    if state_of(network) is not None:
        return forward(network, X, n_threads=1)
    out = np.empty((X.shape[0], network.sizes[-1]), network.dtype)
    forward_few.serial(network.table, network.params, X, out)
    return out


def evaluate(
    network: "Network",
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    *,
    n_threads: int | None = None,
) -> tuple[float, np.ndarray]:
    rows, out = _chunk(X.shape[0]), np.empty((X.shape[0], network.sizes[-1]), network.dtype)
    L = call(
        evaluate_rows, network.table, network.params, state_of(network), network.loss_function.code,
        network.loss_parameters, X, y, sample_weight, rows, out,
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
    rows, out = _batch_chunk(network, X.shape[0]), np.empty_like(network.params)
    L, _ = call(
        gradient_of, network.table, network.params, state_of(network), network.loss_function.code,
        network.loss_parameters, X, y, sample_weight, network.dtype.type(l2), rows, out,
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
    optimizer.start(network.params)
    sums = np.zeros(2) if sums is None else sums
    batch = min(batch_size, order.size)
    call(
        train_steps, network.table, network.params, state_of(network), network.loss_function.code,
        network.loss_parameters, X, y, sample_weight, order, order if places is None else places, batch_size,
        network.dtype.type(regularization.l2), regularization.l2_per_sample,
        regularization.dropout_by_layer(network.sizes), np.uint64(regularization.seed),
        regularization.clip_value, regularization.clip_norm,
        optimizer.code, optimizer.moments, optimizer.settings, optimizer.decoupled_decay, rates, optimizer.t,
        _batch_chunk(network, batch), sums,
        n_threads=n_threads, parallel=_is_parallel(network, batch),
    )  # fmt: skip
    optimizer.t += rates.size
    return mean_loss(sums)
