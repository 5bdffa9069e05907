"""The fast engine: the equations of `loops.py`, a register tile at a time.

**A lane is a sample.** The samples of a batch are walked in blocks of S = VECTORS · lanes (32 in float32 on AVX-512),
and in a block each number of unit i is a row of S numbers, one a sample. So E1 for a block is the textbook's loop
with a whole row in the place of a_i, and every lane runs the scalar equations for its own sample:

    z_j = b_j;  for i: z_j += w_ij · a_i          (`tile_forward`: NEURONS such z_j at once, in registers)

**A step has two phases.** *Samples*: E1 to E3; a thread takes whole blocks through all layers, and shares with the
others nothing but the weights, which nobody writes. *Weights*: E4 to E6; a thread owns rows of W, sums their gradient
over the batch in tiles whose lanes are units j, and updates them while they are in cache. Every sum runs in one fixed
order, so the bits are the same for any number of threads.

Where things lie is told in `panels.py`; what belongs to one call, and to one of its workers, in `workspace.py`.

Measured (Zen 4, AVX-512, one thread, float32): E1, E3 and E4 run at 110-117 GFLOP/s from some 64 units on, where
OpenBLAS reaches 95-99. Tried, and worse: rows of W read by E3 as they lie (88 for 115 GFLOP/s); the number of lanes
as a division of two runtime numbers (20 ns a tile); arrays, which count references, for `at` (as much); E6 by loops
over a tile's rows (45 GFLOP/s for the whole phase where stretches of whole rows reach 107).
"""

from typing import TYPE_CHECKING

import numpy as np
from numba import prange
from numba.core import config

from .._jit import call, kernel, share, template, threads, twins
from ..activations import SOFTMAX
from ..dropout import drop, dropout_key
from ..optimizers import coefficients
from . import loops
from .contract import NONE, Regularization, mean_loss
from .entries import ACTIVATION, SLOPE, call_entry, optimizer_step
from .layout import N_IN, N_OUT, PHI, WEIGHTS
from .panels import BACKWARD, DELTA, FORWARD, first_row, gather_block, is_packed, pack_rows, panel_block, width_of
from .regularizers import clip, start_gradient, sum_of_squares
from .simd import (
    NEURONS,
    VECTORS,
    at,
    lanes,
    lanes_of,
    stretch,
    tile_fma,
    tile_load,
    tile_rows,
    tile_store,
    tile_store_part,
    tile_zero,
    view,
)
from .workspace import ELL, FIRST, LAST, LAYER, TOP, TOTAL, WEIGHT, Data, Rules, Steps, desk_of, workspace

if TYPE_CHECKING:
    from ..network import Network
    from ..optimizers import Optimizer

FEW = 4  # rows up to which `forward` is the textbook's: its innermost loop, over j, has no lanes to fill with samples
PARALLEL_WORK = 200_000  # multiply-adds a batch from which threads are used
NO_STEP = -1  # the optimizer's code where only the gradient is asked for


# --------------------------------------------------------------------------------------- the equations
# Arrays reach these as places (`simd.at`): where a row, a panel or a block starts.


@template
def tile_forward(V, W, stride, n_in, a, width, z):
    """E1: z_j = b_j + Σ_i w_ij a_i for NEURONS units j and V · lanes samples, which it alone writes."""
    z_j = tile_rows(NEURONS, V, W, n_in * stride)  # b_j
    for i in range(n_in):
        z_j = tile_fma(z_j, W, i * stride, 1, a, i * width)
    tile_store(z_j, z, 0, width)


@kernel
def forward_layer(W, packed, n_in, n_out, a, width, z):
    """E1: z_j = b_j + Σ_i w_ij a_i of one block. Writes z, and up to NEURONS − 1 rows too many.

    Places: W in the parameters and E1's panels in `packed`; a (n_in, width), z (n_out, width).
    """
    for j in range(0, n_out, NEURONS):
        if is_packed(j, n_out):
            W_j, stride = at(packed, j * (n_in + 1)), NEURONS
        else:
            W_j, stride = at(W, j), n_out
        if width > lanes(a):
            tile_forward(2, W_j, stride, n_in, a, width, at(z, j * width))
        else:
            tile_forward(1, W_j, stride, n_in, a, width, at(z, j * width))


@template
def tile_hidden_delta(V, W, n_out, delta_j, width, delta_i):
    """E3: Σ_j w_ij δ_j for NEURONS units i and V · lanes samples, which it alone writes."""
    total = tile_zero(NEURONS, V, W)
    for j in range(n_out):
        total = tile_fma(total, W, j * NEURONS, 1, delta_j, j * width)
    tile_store(total, delta_i, 0, width)


@kernel
def hidden_delta(packed, n_in, n_out, delta_j, width, delta_i):
    """E3: Σ_j w_ij δ_j of one block, φ' still to come. Writes delta_i, and up to NEURONS − 1 rows too many.

    Places: E3's panels in `packed`; delta_j (n_out, width), delta_i (n_in, width).
    """
    for i in range(0, n_in, NEURONS):
        if width > lanes(packed):
            tile_hidden_delta(2, at(packed, i * n_out), n_out, delta_j, width, at(delta_i, i * width))
        else:
            tile_hidden_delta(1, at(packed, i * n_out), n_out, delta_j, width, at(delta_i, i * width))


@template
def tile_gradient(M, V, h, size, row, N, delta, g, n_out, columns, adds):
    """E4: Σ_n a_i δ_j for M units i from `row` on and V · lanes units j, added to g where `adds`; it alone writes g."""
    if adds:
        total = tile_load(M, V, g, 0, n_out, columns)
    else:
        total = tile_zero(M, V, g)
    block, d = 0, 0
    for n_0 in range(0, N, VECTORS * lanes(h)):
        rows = min(N - n_0, VECTORS * lanes(h))
        width = width_of(rows, h)
        for n in range(rows):
            total = tile_fma(total, h, block + row * width + n, width, delta, d)
            d += V * lanes(h)
        block += size
    tile_store_part(total, g, 0, n_out, columns)


@template
def tile_rows_gradient(M, h, size, row, N, delta, g, n_out, columns, adds):
    """E4: `tile_gradient` with no more vectors than there are columns for."""
    if columns > lanes(h):
        tile_gradient(M, 2, h, size, row, N, delta, g, n_out, columns, adds)
    else:
        tile_gradient(M, 1, h, size, row, N, delta, g, n_out, columns, adds)


@kernel
def weight_gradient(h, size, row, count, N, delta, capacity, g, n_out, adds):
    """E4: Σ_n a_i δ_j over N samples for `count` rows i of W and all j; the last row of W is b, and its a is 1: E5.

    Places: h, whose blocks are `size` apart, δ's panels for `capacity` samples (with the 1/N of the mean in them), and
    g (count, n_out), which is written.
    """
    V = VECTORS * lanes(h)
    for j in range(0, n_out, V):
        columns, delta_j = min(n_out - j, V), at(delta, j * capacity)
        i = 0
        while i + NEURONS <= count:
            tile_rows_gradient(NEURONS, h, size, row + i, N, delta_j, at(g, i * n_out + j), n_out, columns, adds)
            i += NEURONS
        while i + 2 <= count:
            tile_rows_gradient(2, h, size, row + i, N, delta_j, at(g, i * n_out + j), n_out, columns, adds)
            i += 2
        if i < count:
            tile_rows_gradient(1, h, size, row + i, N, delta_j, at(g, i * n_out + j), n_out, columns, adds)


# --------------------------------------------------------------------------------------- one block


@template
def load_block(model, data, N, start, rows, width, desk, h):
    """layout: the samples from `start` on: inputs as layer 0 of h, rows of the data set, weights over N (idle lanes:
    0).
    """
    order, places, sample_weight = data.order, data.places, data.sample_weight
    ids, samples = desk.ids, desk.samples
    gather_block(data.X, places, start, rows, width, model.table[0, N_OUT], desk.starts, h)
    for s in range(width):
        n = start + min(s, rows - 1)
        ids[s] = order[n]
        samples[WEIGHT * width + s] = sample_weight[places[n]] / N if s < rows else 0


@template
def forward_block(model, dropout, drops, seed, t, width, desk, a, h):
    """E1: every layer in turn for the block whose inputs are layer 0 of h. Owns a, h and the desk."""
    table, plan, params, packed = model.table, model.plan, model.params, model.packed
    z, samples, ids, entries = desk.z, desk.samples, desk.ids, model.phi
    last = table.shape[0] - 1
    for l in range(1, last + 1):
        n_in, n_out = table[l, N_IN], table[l, N_OUT]
        below, here = first_row(table, l - 1) * width, first_row(table, l) * width
        for s in range(width):
            h[below + n_in * width + s] = 1
        W, panels = at(params, table[l, WEIGHTS]), at(packed, plan[l, FORWARD])
        forward_layer(W, panels, n_in, n_out, at(h, below), width, at(z, here))
        if table[l, PHI] == SOFTMAX:
            top, total = at(samples, TOP * width), at(samples, TOTAL * width)
            call_entry(entries[l, ACTIVATION], (at(z, here), at(a, here), top, total, n_out, width))
        else:
            call_entry(entries[l, ACTIVATION], (at(z, here), at(a, here), n_out * width))
        if drops and l < last:  # also where this layer's p is 0: the next one reads h
            key = dropout_key(seed, t, l)
            drop(dropout[l], key, ids, view(a, here, n_out, width), view(h, here, n_out, width))


@template
def loss_block(model, data, start, rows, width, desk, a):
    """E2: δ_k = ∂ℓ/∂z_k of one block, times weight; returns Σ_n weight_n ℓ_n. Owns the desk."""
    table, samples = model.table, desk.samples
    last = table.shape[0] - 1
    n_out, here = table[last, N_OUT], first_row(table, last) * width
    gather_block(data.y, data.places, start, rows, width, n_out, desk.starts, desk.target)
    weight, top, total, ell = (
        at(samples, WEIGHT * width), at(samples, TOP * width), at(samples, TOTAL * width), at(samples, ELL * width)
    )  # fmt: skip
    z, y, delta = at(desk.z, here), at(desk.target, 0), at(desk.delta, 0)
    call_entry(model.loss, (at(model.parameters, 0), z, at(a, here), y, weight, top, total, delta, ell, n_out, width))
    L = 0.0
    for s in range(rows):
        L += samples[WEIGHT * width + s] * samples[ELL * width + s]
    return L


@template
def backward_block(model, dropout, seed, t, width, desk, half, a, panels, capacity, n_0):
    """E3: every layer from the last down, each δ into its panels. Owns the desk, whose delta has two halves in turn."""
    table, plan, packed = model.table, model.plan, model.packed
    z, delta, ids, starts, entries = desk.z, desk.delta, desk.ids, desk.starts, model.phi
    delta_j = np.int64(0)  # a literal 0 would be one more type to compile for
    for l in range(table.shape[0] - 1, 0, -1):
        n_in, n_out = table[l, N_IN], table[l, N_OUT]
        panel_block(delta, delta_j, n_out, width, starts, panels, plan[l, DELTA], capacity, n_0)
        if l > 1:
            here, delta_i = first_row(table, l - 1) * width, half - delta_j
            hidden_delta(at(packed, plan[l, BACKWARD]), n_in, n_out, at(delta, delta_j), width, at(delta, delta_i))
            call_entry(entries[l - 1, SLOPE], (at(z, here), at(a, here), at(delta, delta_i), n_in * width))
            if dropout[l - 1] > 0:
                delta_l = view(delta, delta_i, n_in, width)
                drop(dropout[l - 1], dropout_key(seed, t, l - 1), ids, delta_l, delta_l)
            delta_j = delta_i


# --------------------------------------------------------------------------------------- one worker's share


@share
def pack_tasks(model, work, w):
    """layout: all weights into their panels. Worker w owns the rows of every workers-th task."""
    starts = desk_of(work, w).starts
    for task in range(w, model.tasks.shape[0], work.workers):
        l, i_0, i_1 = model.tasks[task, LAYER], model.tasks[task, FIRST], model.tasks[task, LAST]
        pack_rows(model.table, model.plan, l, i_0, i_1, model.params, starts, model.packed)


@share
def sample_blocks(model, data, rules, work, start, rows, N, drops, t, w):
    """E3: forward, loss and backward. Worker w owns a stretch of blocks: their part of a, h, panels and block_loss."""
    S = VECTORS * lanes(work.h)
    blocks = (rows + S - 1) // S
    desk = desk_of(work, w)
    for k in range(w * blocks // work.workers, (w + 1) * blocks // work.workers):
        n, here = start + k * S, min(rows - k * S, S)
        width = width_of(here, work.h)
        a, h = stretch(work.a, k * work.size, work.size), stretch(work.h, k * work.size, work.size)
        load_block(model, data, N, n, here, width, desk, h)
        forward_block(model, rules.dropout, drops, rules.seed, t, width, desk, a, h)
        work.block_loss[k] = loss_block(model, data, n, here, width, desk, a)
        backward_block(
            model, rules.dropout, rules.seed, t, width, desk, work.half, a, work.panels, work.capacity, k * S
        )


@share
def weight_tasks(model, rules, steps, work, rows, first, final, l2, shrink, w):
    """E4: E4, E5 and, unless the norm must be known first or only the gradient is asked for, E6.

    Worker w owns the rows of every workers-th task: their gradient, θ, moments and panels. `rows` samples of a chunk,
    which may be the `first` of its batch and the `final` one. With no rows: E6 alone, of g · shrink.
    """
    table, plan, tasks, params, packed = model.table, model.plan, model.tasks, model.params, model.packed
    h, panels, gradient, c, squares, norms = work.h, work.panels, work.g, work.c, work.squares, work.norms
    starts, moments = desk_of(work, w).starts, steps.moments
    norm_first, bound = rules.clip_norm < np.inf, rules.clip_value
    for task in range(w, tasks.shape[0], work.workers):
        l, i_0, i_1 = tasks[task, LAYER], tasks[task, FIRST], tasks[task, LAST]
        n_in, n_out = table[l, N_IN], table[l, N_OUT]
        p, count = table[l, WEIGHTS] + i_0 * n_out, (i_1 - i_0) * n_out
        theta, g = stretch(params, p, count), stretch(gradient, p if work.whole else w * work.strip, count)
        if rows > 0:
            if first and l2 > 0:
                squares[task] = start_gradient(theta, min(i_1, n_in) * n_out - i_0 * n_out, l2, g)
            delta, row, adds = at(panels, plan[l, DELTA]), first_row(table, l - 1) + i_0, l2 > 0 or not first
            weight_gradient(at(h, 0), work.size, row, i_1 - i_0, rows, delta, work.capacity, at(g, 0), n_out, adds)
            if final and bound < np.inf:
                clip(g, shrink, bound)
            if final and norm_first:
                norms[task] = sum_of_squares(g)
        else:
            clip(g, shrink, bound)
        if final and steps.code != NO_STEP and (rows == 0 or not norm_first):
            m, v = at(moments, p), at(moments, moments.size - params.size + p)
            call_entry(steps.entry, (at(theta, 0), at(g, 0), m, v, at(c, 0), count))
            pack_rows(table, plan, l, i_0, i_1, params, starts, packed)


@share
def evaluate_blocks(model, data, work, N, dropout, out, w):
    """E2: outputs and loss. Worker w owns a stretch of blocks: their part of out, flat (N, outputs), and block_loss."""
    S = VECTORS * lanes(work.h)
    last = model.table.shape[0] - 1
    rows, n_out, first = data.order.size, model.table[last, N_OUT], first_row(model.table, last)
    blocks = (rows + S - 1) // S
    desk, h = desk_of(work, w), stretch(work.h, w * work.size, work.size)
    for k in range(w * blocks // work.workers, (w + 1) * blocks // work.workers):
        n, here = k * S, min(rows - k * S, S)
        width = width_of(here, work.h)
        load_block(model, data, N, n, here, width, desk, h)
        forward_block(model, dropout, False, np.uint64(0), 0, width, desk, h, h)
        if data.y.size > 0:
            work.block_loss[k] = loss_block(model, data, n, here, width, desk, h)
        for s in range(here):
            for j in range(n_out):
                out[(n + s) * n_out + j] = h[(first + j) * width + s]


# --------------------------------------------------------------------------------------- the phases


@twins
def pack_phase(model, work):
    """layout: all weights into their panels, a thread for each worker's share."""
    for worker in prange(work.workers):
        pack_tasks(model, work, np.int64(worker))


@twins
def sample_phase(model, data, rules, work, start, rows, N, drops, t):
    """E3: E1 to E3 for `rows` samples from `start` on, a thread for each worker's share."""
    for worker in prange(work.workers):
        sample_blocks(model, data, rules, work, start, rows, N, drops, t, np.int64(worker))


@twins
def weight_phase(model, rules, steps, work, rows, first, final, l2, shrink):
    """E6: E4 to E6 for every row of every W, a thread for each worker's share."""
    for worker in prange(work.workers):
        weight_tasks(model, rules, steps, work, rows, first, final, l2, shrink, np.int64(worker))


@twins
def evaluate_phase(model, data, work, N, dropout, out):
    """E2: the outputs of every row of X and where there is y Σ_n weight_n ℓ_n / N of each block, in block_loss."""
    for worker in prange(work.workers):
        evaluate_blocks(model, data, work, N, dropout, out, np.int64(worker))


@twins
def train_steps(model, data, rules, steps, work, batch_size, sums):
    """E6: one step for each batch of `data.order`; sums (2,) goes on to gather Σ N L and Σ N. NO_STEP: the gradient,
    in g.
    """
    number = type(model.params[0])
    S = VECTORS * lanes(work.h)
    drops = rules.dropout.sum() > 0
    pack_phase(model, work)
    for step in range(steps.rates.size):
        start = step * batch_size
        stop = min(start + batch_size, data.order.size)
        t = steps.t + step + 1
        N = 0.0
        for n in range(start, stop):
            N += data.sample_weight[data.places[n]]
        divisor = number(N) if N > 0 else number(1)  # all weights zero: no gradient, not NaN
        l2 = rules.l2 / divisor if rules.l2_per_sample else rules.l2
        if steps.code != NO_STEP:
            coefficients(steps.code, steps.settings, steps.weight_decay, steps.rates[step], t, work.c)
        L, final = 0.0, False
        for chunk in range(start, stop, work.capacity):
            rows = min(stop - chunk, work.capacity)
            sample_phase(model, data, rules, work, chunk, rows, divisor, drops, t)
            for k in range((rows + S - 1) // S):
                L += work.block_loss[k]
            final = chunk + rows == stop
            weight_phase(model, rules, steps, work, rows, chunk == start, final, l2, number(1))
        if rules.clip_norm < np.inf and steps.code != NO_STEP:
            norm = np.sqrt(work.norms.sum())
            shrink = number(rules.clip_norm / norm) if norm > rules.clip_norm else number(1)
            weight_phase(model, rules, steps, work, np.int64(0), final, final, l2, shrink)
        if l2 > 0:
            L += 0.5 * l2 * work.squares.sum()
        sums[0] += N * L
        sums[1] += N


@twins
def evaluate_rows(model, data, work, N, dropout, out):
    """E2: outputs and loss of every row of X, see `evaluate_phase`."""
    pack_phase(model, work)
    evaluate_phase(model, data, work, N, dropout, out)


# --------------------------------------------------------------------------------------- the contract


def _only_compiled() -> None:
    if config.DISABLE_JIT:
        raise NotImplementedError('the lanes engine exists only compiled: under NUMBA_DISABLE_JIT use engine="loops"')


def _workers(network: "Network", rows: int, n_threads: int | None) -> int:
    return threads(n_threads) if rows * network.n_params >= PARALLEL_WORK else 1


def _train(
    network: "Network",
    data: Data,
    batch_size: int,
    regularization: Regularization,
    steps: Steps,
    sums: np.ndarray,
    g: np.ndarray | None,
    n_threads: int | None,
) -> None:
    """`train_steps` in a workspace of its own; g (P,) receives the gradient where no step is taken."""
    _only_compiled()
    rows = max(1, min(batch_size, data.order.size))
    workers = _workers(network, rows, n_threads)
    dropout = regularization.dropout_by_layer(network.sizes)
    number = network.dtype.type
    rules = Rules(
        number(regularization.l2), regularization.l2_per_sample, dropout, np.uint64(regularization.seed),
        number(regularization.clip_value), number(regularization.clip_norm),
    )  # fmt: skip
    model, work = workspace(network, rows, workers, g=g, drops=bool(dropout.any()), trains=True, loss=True)
    if g is None and (rules.clip_norm < np.inf or rows > work.capacity):
        work = work._replace(g=np.empty_like(network.params), whole=True)
    call(train_steps, model, data, rules, steps, work, batch_size, sums, n_threads=n_threads, parallel=workers > 1)


def _evaluate(
    network: "Network", X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, n_threads: int | None
) -> tuple[float, np.ndarray]:
    """(L, outputs) by `evaluate_rows`; L is 0 where y is empty."""
    _only_compiled()
    rows, dtype = X.shape[0], network.dtype
    workers = _workers(network, rows, n_threads)
    S = VECTORS * lanes_of(dtype)
    model, work = workspace(network, 1, workers, trains=False, loss=y.size > 0)
    work = work._replace(block_loss=np.zeros(-(-rows // S)))
    order, out = np.arange(rows), np.empty((rows, network.sizes[-1]), dtype)
    N = float(sample_weight.sum(dtype=np.float64))
    data = Data(X.reshape(-1), y.reshape(-1), sample_weight, order, order)
    call(
        evaluate_rows, model, data, work, dtype.type(N if N > 0 else 1), np.zeros(len(network.sizes)), out.reshape(-1),
        n_threads=n_threads, parallel=workers > 1,
    )  # fmt: skip
    return float(work.block_loss.sum()), out


def forward(network: "Network", X: np.ndarray, *, n_threads: int | None = None) -> np.ndarray:
    _only_compiled()
    if X.shape[0] <= FEW:
        out = np.empty((X.shape[0], network.sizes[-1]), network.dtype)
        loops.forward_few.serial(network.table, network.params, X, out)
        return out
    nothing, same_weight = np.empty((0, network.sizes[-1]), network.dtype), np.ones(X.shape[0], network.dtype)
    nothing.flags.writeable = same_weight.flags.writeable = False  # the signature that `evaluate` has
    return _evaluate(network, X, nothing, same_weight, n_threads)[1]


def evaluate(
    network: "Network",
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    *,
    n_threads: int | None = None,
) -> tuple[float, np.ndarray]:
    return _evaluate(network, X, y, sample_weight, n_threads)


def gradient(
    network: "Network",
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    *,
    l2: float = 0.0,
    n_threads: int | None = None,
) -> tuple[float, np.ndarray]:
    order, sums, g = np.arange(X.shape[0]), np.zeros(2), np.empty_like(network.params)
    data = Data(X.reshape(-1), y.reshape(-1), sample_weight, order, order)
    nothing = Steps(NO_STEP, 0, network.params, np.zeros(5), 0.0, np.zeros(1), 0)
    _train(network, data, X.shape[0], Regularization(l2=l2), nothing, sums, g, n_threads)
    return mean_loss(sums), g


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
    _only_compiled()
    sums = np.zeros(2) if sums is None else sums
    data = Data(X.reshape(-1), y.reshape(-1), sample_weight, order, order if places is None else places)
    optimizer.start(network.params)
    moments, settings, decay = optimizer.moments.reshape(-1), optimizer.settings, optimizer.decoupled_decay
    entry = optimizer_step(optimizer.code, network.dtype)
    steps = Steps(optimizer.code, entry, moments, settings, decay, rates, optimizer.t)
    _train(network, data, batch_size, regularization, steps, sums, None, n_threads)
    optimizer.t += rates.size
    return mean_loss(sums)
