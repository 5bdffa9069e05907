"""The fast engine: the equations of `loops.py`, a register tile at a time.

**A lane is a sample.** The samples of a batch are walked in blocks of S = VECTORS · lanes (32 in float32 on AVX-512),
and in a block each number of unit i is a row of S numbers, one a sample. So E1 for a block is the textbook's loop
with a whole row in the place of a_i, and every lane runs the scalar equations for its own sample:

    z_j = b_j;  for i: z_j += w_ij · a_i          (`tiles.tile_forward`: NEURONS such z_j at once, in registers)

**A step has two phases.** *Samples*: E1 to E3; a task takes a group of blocks through all layers, and shares with the
others nothing but the weights, which nobody writes. *Weights*: E4 to E6; a task owns rows of W, sums their gradient
over the batch in tiles whose lanes are units j, and updates them while they are in cache. Every sum runs in one fixed
order, so the bits are the same for any number of threads.

What a task does to its samples stands in `blocks.py`; where things lie in `panels.py`; what belongs to one call, and to
one of its workers, in `workspace.py`; how workers share the tasks of a phase in `team.py`.

Batch normalisation couples the samples. So *samples* is cut at each such layer, forward and back: all blocks come that
far, one worker combines what they sum up to, and all go on.

Measured (Zen 4, AVX-512, one thread, float32): E1, E3 and E4 run at 110-117 GFLOP/s from some 64 units on, where
OpenBLAS reaches 95-99. Tried, and worse: rows of W read by E3 as they lie (88 for 115 GFLOP/s); the number of lanes
as a division of two runtime numbers (20 ns a tile); arrays, which count references, for `at` (as much); E6 by loops
over a tile's rows (45 GFLOP/s for the whole phase where stretches of whole rows reach 107).
"""

from typing import TYPE_CHECKING

import numpy as np
from numba.core import config

from .._jit import call, call_entry, inlined, kernel, team, template, threads
from ..optimizers import COEFFICIENTS, coefficients
from . import loops
from .blocks import backward_blocks, forward_blocks, load_blocks, loss_block
from .contract import NONE, Regularization, mean_loss
from .entries import optimizer_step
from .layout import GAINS, N_IN, N_OUT, STATE, UNITS, WEIGHTS
from .normal_blocks import combine_moments, combine_products, gain_gradient
from .panels import DELTA, first_row, pack_rows, width_of
from .regularizers import clip, start_gradient, sum_of_squares
from .simd import VECTORS, at, lanes, stretch, view
from .team import finish, next_task, wait
from .tiles import weight_gradient
from .workspace import FIRST, LAST, LAYER, Data, Rules, Steps, desk_of, workspace

if TYPE_CHECKING:
    from ..network import Network
    from ..optimizers import Optimizer

# A call takes 35 µs before it computes. So `forward` is the textbook's, row by row, for few rows or little work:
FEW_ROWS, FEW_WORK = 10, 400_000
ROW_WORK = 5000  # multiply-adds that take as long as what a row costs the textbook beside its own
PARALLEL_WORK = 200_000  # multiply-adds a batch from which threads are used: there two take 0.9 of one's time
REGION = 20  # as many batches' worth of work, some 200 µs, is the least that is worth opening a region, up to 100 µs
NO_STEP = -1  # the optimizer's code where only the gradient is asked for


# --------------------------------------------------------------------------------------- the phases
# Each is gone through by all workers w, who claim its tasks; `done` tasks were finished before it.


@template
def pack_phase(model, work, trains, done, w):
    """layout: all weights into their panels. A task owns rows of W's panels."""
    tasks, counters = model.tasks, at(work.counters, 0)
    task = next_task(counters, done, tasks.shape[0], work.workers, w)
    while task >= 0:
        l, i_0, i_1 = tasks[task, LAYER], tasks[task, FIRST], tasks[task, LAST]
        starts = desk_of(work, w * work.group).starts
        pack_rows(model.table, model.plan, l, i_0, i_1, model.params, starts, model.packed, trains)
        finish(counters)
        task = next_task(counters, done, tasks.shape[0], work.workers, w)
    return wait(counters, done + tasks.shape[0], work.give_way)


@template
def sample_phase(model, data, rules, work, norm, step, block_0, start, rows, N, apart, t, cut, done, w):
    """E3: E1 to E3 for `rows` samples from `start` on, the part between two cuts. A task owns a group of blocks: their
    part of a, h, panels and block_loss, and of `norm`.
    """
    S, counters, top = VECTORS * lanes(work.h), at(work.counters, 0), model.table.shape[0] - 1
    turn, below, above = np.int64(0), np.int64(0), top
    if norm is not None:
        turn = norm.cuts.size - 2
        below, above = norm.cuts[min(cut, 2 * turn - cut)], norm.cuts[min(cut, 2 * turn - cut) + 1]
    group, size = work.group * S, work.group * work.size
    groups = (rows + group - 1) // group
    task = next_task(counters, done, groups, work.workers, w)
    while task >= 0:
        n_0, k_0 = task * group, task * work.group
        n, here = start + n_0, min(rows - n_0, group)
        a, h = stretch(work.a, task * size, size), stretch(work.h, task * size, size)
        d = w * work.group if norm is None else task * work.group
        if cut == 0:
            load_blocks(model, data, N, n, here, work, d, h)
        if cut <= turn:
            forward_blocks(
                model, norm, rules.dropout, apart, rules.seed, t, here, work, d, a, h, k_0, below, above, cut == turn
            )
        if cut == turn:
            for k in range((here + S - 1) // S):
                a_k = at(a, k * work.size)
                L = loss_block(model, data, n + k * S, min(here - k * S, S), desk_of(work, d + k), a_k)
                work.block_loss[step, block_0 + k_0 + k] = L
        if cut >= turn:
            backward_blocks(model, norm, rules.dropout, rules.seed, t, here, work, d, a, n_0, k_0, above, below)
        finish(counters)
        task = next_task(counters, done, groups, work.workers, w)
    return wait(counters, done + groups, work.give_way)


@kernel
def cut_phase(model, steps, work, norm, rows, cut, done, w):
    """E8: after a part of the samples phase, what its blocks come to together at the cut; a single task."""
    counters, turn = at(work.counters, 0), norm.cuts.size - 2
    if next_task(counters, done, np.int64(1), work.workers, w) == 0:
        table, S = model.table, VECTORS * lanes(work.h)
        l = norm.cuts[cut + 1 if cut < turn else 2 * turn - cut]
        unit, n_out = table[l, UNITS], table[l, N_OUT]
        if cut < turn:
            running, updates = view(norm.state, table[l, STATE], 2, n_out), steps.code != NO_STEP
            combine_moments(norm.moments, unit, n_out, rows, S, norm.mean, norm.inv_std, running, updates)
        else:
            gain = at(model.params, table[l, GAINS])
            combine_products(norm.sums, unit, n_out, rows, S, gain, norm.product, norm.product_normal)
        finish(counters)
    return wait(counters, done + 1, work.give_way)


@template
def weight_phase(model, rules, steps, work, norm, step, rows, first, final, l2, shrink, done, w):
    """E6: E4, E5 and, unless the norm must be known first or only the gradient is asked for, E6.

    A task owns rows of W: their gradient, θ, moments and panels. `rows` samples of a chunk, which may be the `first` of
    its batch and the `final` one. With no rows: E6 alone, of g · shrink.
    """
    table, plan, tasks, params, packed = model.table, model.plan, model.tasks, model.params, model.packed
    h, panels, gradient, squares, norms = work.h, work.panels, work.g, work.squares, work.norms
    starts, moments, counters = desk_of(work, w * work.group).starts, steps.moments, at(work.counters, 0)
    norm_first, bound = rules.clip_norm < np.inf, rules.clip_value
    task = next_task(counters, done, tasks.shape[0], work.workers, w)
    while task >= 0:
        l, i_0, i_1 = tasks[task, LAYER], tasks[task, FIRST], tasks[task, LAST]
        n_in, n_out = table[l, N_IN], table[l, N_OUT]
        p, count = table[l, WEIGHTS] + i_0 * n_out, (i_1 - i_0) * n_out
        theta, g = stretch(params, p, count), stretch(gradient, p if work.whole else w * work.strip, count)
        if rows > 0:
            if first and l2 > 0:
                squares[step, task] = start_gradient(theta, min(i_1, n_in) * n_out - i_0 * n_out, l2, g)
            delta, row, adds = at(panels, plan[l, DELTA]), first_row(table, l - 1) + i_0, l2 > 0 or not first
            if norm is not None and i_1 > n_in + 1:  # b and γ
                blocks = (rows + VECTORS * lanes(h) - 1) // (VECTORS * lanes(h))
                gain_gradient(norm.sums, norm.mean.size, blocks, table[l, UNITS], n_out, g, not first)
            else:
                weight_gradient(at(h, 0), work.size, row, i_1 - i_0, rows, delta, work.capacity, at(g, 0), n_out, adds)
            if final and bound < np.inf:
                clip(g, shrink, bound)
            if final and norm_first:
                norms[task] = sum_of_squares(g)
        else:
            clip(g, shrink, bound)
        if final and steps.code != NO_STEP and (rows == 0 or not norm_first):
            m, v = at(moments, p), at(moments, moments.size - params.size + p)
            call_entry(steps.entry, (at(theta, 0), at(g, 0), m, v, at(work.c, step * COEFFICIENTS), count))
            pack_rows(table, plan, l, i_0, i_1, params, starts, packed, True)
        finish(counters)
        task = next_task(counters, done, tasks.shape[0], work.workers, w)
    return wait(counters, done + tasks.shape[0], work.give_way)


@template
def evaluate_phase(model, data, work, norm, N, dropout, out, done, w):
    """E2: outputs and loss. A task owns a group of blocks: their part of out, flat (N, outputs), and block_loss."""
    S, counters = VECTORS * lanes(work.h), at(work.counters, 0)
    group, size, rows = work.group * S, work.group * work.size, data.order.size
    last = model.table.shape[0] - 1
    n_out, first = model.table[last, N_OUT], first_row(model.table, last)
    groups = (rows + group - 1) // group
    d, h = w * work.group, stretch(work.h, w * size, size)
    task = next_task(counters, done, groups, work.workers, w)
    while task >= 0:
        n_0 = task * group
        here = min(rows - n_0, group)
        load_blocks(model, data, N, n_0, here, work, d, h)
        forward_blocks(model, norm, dropout, False, np.uint64(0), 0, here, work, d, h, h, 0, 0, last, True)
        for k in range((here + S - 1) // S):
            n, count, h_k = n_0 + k * S, min(here - k * S, S), at(h, k * work.size)
            width = width_of(count, h)
            if data.y.size > 0:
                work.block_loss[0, n // S] = loss_block(model, data, n, count, desk_of(work, d + k), h_k)
            for s in range(count):
                for j in range(n_out):
                    out[(n + s) * n_out + j] = h_k[(first + j) * width + s]
        finish(counters)
        task = next_task(counters, done, groups, work.workers, w)
    wait(counters, done + groups, work.give_way)


# --------------------------------------------------------------------------------------- an epoch


@kernel
def batch_weights(sample_weight, places, batch_size, N):
    """layout: for each step the sum of its samples' weights, N."""
    for step in range(N.size):
        N[step] = 0
        for n in range(step * batch_size, min((step + 1) * batch_size, places.size)):
            N[step] += sample_weight[places[n]]


@template
def plan_phase(data, steps, work, batch_size, done, w):
    """layout: for each step N and the optimizer's coefficients, c; a single task."""
    counters = at(work.counters, 0)
    if next_task(counters, done, np.int64(1), work.workers, w) == 0:
        batch_weights(data.sample_weight, data.places, batch_size, work.N)
        if steps.code != NO_STEP:
            for step in range(work.N.size):
                c, t = stretch(work.c, step * COEFFICIENTS, COEFFICIENTS), steps.t + step + 1
                coefficients(steps.code, steps.settings, steps.weight_decay, steps.rates[step], t, c)
        finish(counters)
    return wait(counters, done + 1, work.give_way)


@template
def loss_phase(rules, work, sums, done, w):
    """E2: `add_losses`, a single task."""
    counters = at(work.counters, 0)
    if next_task(counters, done, np.int64(1), work.workers, w) == 0:
        add_losses(work.N, work.block_loss, work.squares, rules.l2, rules.l2_per_sample, sums)
        finish(counters)
    wait(counters, done + 1, work.give_way)


@inlined
def penalty(l2, per_sample, N):
    """layout: λ of a batch whose weights sum to N."""
    return l2 / N if per_sample and N > 0 else l2


@team
def train_worker(model, data, rules, steps, work, norm, batch_size, sums, w):
    """E6: one step for each batch of `data.order`, as worker w; sums as `add_losses` leaves them. NO_STEP: the
    gradient, in g.
    """
    number = type(model.params[0])
    S, norm_first = VECTORS * lanes(work.h), rules.clip_norm < np.inf and steps.code != NO_STEP
    apart = rules.dropout.sum() > 0
    if norm is not None:
        apart = apart or norm.delta_h.size > 0
    parts = 1 if norm is None else 2 * norm.cuts.size - 3
    done = plan_phase(data, steps, work, batch_size, np.int64(0), w)
    done = pack_phase(model, work, True, done, w)
    for step in range(steps.rates.size):
        start = step * batch_size
        stop = min(start + batch_size, data.order.size)
        N = number(work.N[step]) if work.N[step] > 0 else number(1)  # all weights zero: no gradient, not NaN
        l2 = penalty(rules.l2, rules.l2_per_sample, N)
        chunks = (stop - start + work.capacity - 1) // work.capacity
        for chunk in range(chunks + norm_first):
            block_0, shrink = chunk * work.capacity // S, number(1)
            rows = max(0, min(stop - start - chunk * work.capacity, work.capacity))
            if rows > 0:
                first = start + chunk * work.capacity
                t = steps.t + step + 1
                for cut in range(parts):
                    done = sample_phase(
                        model, data, rules, work, norm, step, block_0, first, rows, N, apart, t, cut, done, w
                    )
                    if norm is not None and cut + 1 < parts:
                        done = cut_phase(model, steps, work, norm, rows, cut, done, w)
            else:
                length = np.sqrt(work.norms.sum())
                if length > rules.clip_norm:
                    shrink = number(rules.clip_norm / length)
            final = chunk + 1 >= chunks
            done = weight_phase(model, rules, steps, work, norm, step, rows, chunk == 0, final, l2, shrink, done, w)
    loss_phase(rules, work, sums, done, w)


@kernel
def add_losses(N, block_loss, squares, l2, l2_per_sample, sums):
    """E2: on to sums (2,), which gather Σ N L and Σ N over the batches, those of every step."""
    for step in range(N.size):
        L = 0.0
        for k in range(block_loss.shape[1]):
            L += block_loss[step, k]
        if l2 > 0:
            total = 0.0
            for task in range(squares.shape[1]):
                total += squares[step, task]
            L += 0.5 * penalty(l2, l2_per_sample, type(l2)(N[step])) * total
        sums[0] += N[step] * L
        sums[1] += N[step]


@team
def evaluate_worker(model, data, work, norm, N, dropout, out, w):
    """E2: outputs and, where there is y, Σ_n weight_n ℓ_n / N of each block, in block_loss, as worker w."""
    done = pack_phase(model, work, False, np.int64(0), w)
    evaluate_phase(model, data, work, norm, N, dropout, out, done, w)


# --------------------------------------------------------------------------------------- the contract


def _only_compiled() -> None:
    if config.DISABLE_JIT:
        raise NotImplementedError('the lanes engine exists only compiled: under NUMBA_DISABLE_JIT use engine="loops"')


def _workers(network: "Network", batch: int, rows: int, n_threads: int | None) -> int:
    """How many workers a call on so many rows, in batches of so many, is worth."""
    worth = batch * network.n_params >= PARALLEL_WORK and rows * network.n_params >= REGION * PARALLEL_WORK
    return threads(n_threads) if worth else 1


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
    """`train_worker` in a workspace of its own; g (P,) receives the gradient where no step is taken."""
    _only_compiled()
    rows = max(1, min(batch_size, data.order.size))
    workers = _workers(network, rows, data.order.size, n_threads)
    dropout = regularization.dropout_by_layer(network.sizes)
    number = network.dtype.type
    rules = Rules(
        number(regularization.l2), regularization.l2_per_sample, dropout, np.uint64(regularization.seed),
        number(regularization.clip_value), number(regularization.clip_norm),
    )  # fmt: skip
    model, work, norm = workspace(
        network, rows, workers, g=g, drops=bool(dropout.any()), trains=True, loss=True, steps=steps.rates.size,
        l2=rules.l2 > 0,
    )  # fmt: skip
    if g is None and (rules.clip_norm < np.inf or rows > work.capacity):
        work = work._replace(g=np.empty_like(network.params), whole=True)
    call(
        train_worker, model, data, rules, steps, work, norm, batch_size, sums, n_threads=n_threads, parallel=workers > 1
    )


def _evaluate(
    network: "Network", X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, n_threads: int | None
) -> tuple[float, np.ndarray]:
    """(L, outputs) by `evaluate_worker`; L is 0 where y is empty."""
    _only_compiled()
    rows, dtype = X.shape[0], network.dtype
    workers = _workers(network, rows, rows, n_threads)
    model, work, norm = workspace(network, rows, workers, trains=False, loss=y.size > 0)
    order, out = np.arange(rows), np.empty((rows, network.sizes[-1]), dtype)
    N = float(sample_weight.sum(dtype=np.float64))
    data = Data(X.reshape(-1), y.reshape(-1), sample_weight, order, order)
    call(
        evaluate_worker, model, data, work, norm, dtype.type(N if N > 0 else 1), np.zeros(len(network.sizes)),
        out.reshape(-1), n_threads=n_threads, parallel=workers > 1,
    )  # fmt: skip
    return float(work.block_loss.sum()), out


def forward(network: "Network", X: np.ndarray, *, n_threads: int | None = None) -> np.ndarray:
    _only_compiled()
    if X.shape[0] <= FEW_ROWS or X.shape[0] * (network.n_params + ROW_WORK) <= FEW_WORK:
        return loops.forward_serial(network, X)
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
