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
from .blocks import backward_blocks, forward_blocks, load_blocks, loss_blocks
from .contract import NONE, Regularization, mean_loss
from .entries import optimizer_step
from .layout import GAINS, N_IN, N_OUT, STATE, UNITS, WEIGHTS
from .normal_blocks import combine_moments, combine_products, gain_gradient
from .panels import DELTA, first_row, pack_rows, width_of
from .regularizers import clip, start_gradient, sum_of_squares
from .simd import VECTORS, at, lanes, stretch, view
from .team import finish, next_task, wait
from .tiles import weight_gradient
from .workspace import FIRST, LAST, LAYER, Data, Group, Rules, Steps, desk_of, group_of, workspace

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


@template
def part_of(norm, cut, top):
    """layout: of the samples phase, the part before a cut: the part in which it turns, and the layers between which it
    goes.
    """
    if norm is None:
        return np.int64(0), np.int64(0), top
    turn = norm.cuts.size - 2
    k = min(cut, 2 * turn - cut)
    return turn, norm.cuts[k], norm.cuts[k + 1]


@template
def shrink_of(rules, norms):
    """E6: what the whole gradient is multiplied by so that its norm is at most clip_norm."""
    number, length = type(rules.clip_norm), np.sqrt(norms.sum())
    return number(rules.clip_norm / length) if length > rules.clip_norm else number(1)


@team
def train_worker(model, data, rules, steps, work, norm, batch_size, sums, w):
    """E6: one step for each batch of `data.order`, as worker w; sums as `add_losses` leaves them. NO_STEP: the
    gradient, in g.
    """
    number, counters, top = type(model.params[0]), at(work.counters, 0), model.table.shape[0] - 1
    S, norm_first = VECTORS * lanes(work.h), rules.clip_norm < np.inf and steps.code != NO_STEP
    apart = rules.dropout.sum() > 0
    if norm is not None:
        apart = apart or norm.delta_h.size > 0
    parts = 1 if norm is None else 2 * norm.cuts.size - 3
    done = plan_phase(data, steps, work, batch_size, np.int64(0), w)
    done = pack_phase(model, work, True, done, w)
    for step in range(steps.rates.size):
        start, t = step * batch_size, steps.t + step + 1
        stop = min(start + batch_size, data.order.size)
        N = number(work.N[step]) if work.N[step] > 0 else number(1)  # all weights zero: no gradient, not NaN
        l2 = penalty(rules.l2, rules.l2_per_sample, N)
        chunks = (stop - start + work.capacity - 1) // work.capacity
        for chunk in range(chunks + norm_first):
            first, block_0 = start + chunk * work.capacity, chunk * work.capacity // S
            rows = max(0, min(stop - first, work.capacity))
            groups = (rows + work.group * S - 1) // (work.group * S)
            # E1 to E3. Not a phase like the others: templates in templates take Numba as long as their size squared.
            for cut in range(parts if rows > 0 else 0):
                turn, below, above = part_of(norm, cut, top)
                task = next_task(counters, done, groups, work.workers, w)
                while task >= 0:
                    group = group_of(work, task, rows, (w if norm is None else task) * work.group)
                    n, block = first + group.first, block_0 + group.block
                    if cut == 0:
                        load_blocks(model, data, N, n, group, work)
                    if cut <= turn:
                        forward_blocks(
                            model, norm, rules.dropout, apart, rules.seed, t, group, work, below, above, cut == turn
                        )
                    if cut == turn:
                        loss_blocks(model, data, n, group, work, step, block)
                    if cut >= turn:
                        backward_blocks(model, norm, rules.dropout, rules.seed, t, group, work, above, below)
                    finish(counters)
                    task = next_task(counters, done, groups, work.workers, w)
                done = wait(counters, done + groups, work.give_way)
                if norm is not None and cut + 1 < parts:
                    done = cut_phase(model, steps, work, norm, rows, cut, done, w)
            shrink = number(1) if rows > 0 else shrink_of(rules, work.norms)
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
    """E2: outputs, into out, flat (N, outputs), and, where there is y, Σ_n weight_n ℓ_n / N of each block, into
    block_loss, as worker w. A task owns a group of blocks.
    """
    S, counters, top = VECTORS * lanes(work.h), at(work.counters, 0), model.table.shape[0] - 1
    n_out, first, rows = model.table[top, N_OUT], first_row(model.table, top), data.order.size
    groups, size = (rows + work.group * S - 1) // (work.group * S), work.group * work.size
    h = stretch(work.h, w * size, size)
    done = pack_phase(model, work, False, np.int64(0), w)
    task = next_task(counters, done, groups, work.workers, w)
    while task >= 0:
        n = task * work.group * S
        group = Group(n, min(rows - n, work.group * S), task * work.group, w * work.group, h, h)
        load_blocks(model, data, N, n, group, work)
        forward_blocks(model, norm, dropout, False, np.uint64(0), 0, group, work, 0, top, True)
        if data.y.size > 0:
            loss_blocks(model, data, n, group, work, 0, group.block)
        for s in range(group.rows):
            width = width_of(group.rows - s // S * S, h)
            a = s // S * work.size + s % S
            for j in range(n_out):
                out[(n + s) * n_out + j] = h[a + (first + j) * width]
        finish(counters)
        task = next_task(counters, done, groups, work.workers, w)
    wait(counters, done + groups, work.give_way)


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
