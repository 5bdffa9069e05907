"""What one call of the lanes engine works with: the records that its kernels pass on, and the scratch of one call."""

from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._jit import template
from ..optimizers import COEFFICIENTS
from .entries import of_layers, of_loss, of_normalizations
from .layout import BATCH, KIND, N_OUT, PLAIN, UNITS, running_view
from .normalization import EPSILON
from .panels import DIRECT
from .simd import NEURONS, VECTORS, lanes, lanes_of, stretch
from .team import give_way, new_counters

if TYPE_CHECKING:
    from ..network import Network

LAYER, FIRST, LAST = range(3)  # columns of a task: rows FIRST..LAST of the layer's W
WEIGHT, ELL, TOP, TOTAL = range(4)  # one number a sample: its weight, ℓ, max z and Σ e^(z − max z) of the outputs
TASK_ROWS = 32  # rows of W that one task of the weights phase updates: 16 to 128 take one thread the same time
GROUP, CACHE_BYTES = 8, 2**18  # blocks that share their way through layers with weights of this many bytes or more
CHUNK_ROWS, CHUNK_BYTES = 1024, 2**20  # a batch beyond both of these is walked in chunks, its gradient summed up


class Model(NamedTuple):
    """The network as kernels read it: layout's table, this module's plan and tasks, θ, W in panels, and its entries."""

    table: np.ndarray
    plan: np.ndarray
    tasks: np.ndarray
    params: np.ndarray
    packed: np.ndarray
    zero: np.ndarray  # NEURONS of them
    phi: np.ndarray
    loss: int
    parameters: np.ndarray


class Data(NamedTuple):
    """Samples: X and y flat, the weights, and which samples in what order, by data set row and by row of X."""

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    order: np.ndarray
    places: np.ndarray


class Rules(NamedTuple):
    """`Regularization` as kernels read it: numbers of the parameters' dtype, dropout for each layer."""

    l2: float
    l2_per_sample: bool
    dropout: np.ndarray
    seed: np.uint64
    clip_value: float
    clip_norm: float


class Steps(NamedTuple):
    """The optimizer: its code and entry, moments (flat), settings and decay, η of each step, and the steps before."""

    code: int
    entry: int
    moments: np.ndarray
    settings: np.ndarray
    weight_decay: float
    rates: np.ndarray
    t: int


class Work(NamedTuple):
    """Scratch of one call: how many work and how, how much of it a block, a δ, a chunk and a strip take, and the
    arrays.
    """

    workers: int
    counters: np.ndarray
    give_way: int
    group: int
    size: int
    half: int
    capacity: int
    strip: int
    a: np.ndarray  # a chunk's blocks: a, which is h where nothing is dropped or skipped
    h: np.ndarray
    panels: np.ndarray
    z: np.ndarray  # from here to starts for each desk: `group` of them a worker's own, or one for each block
    delta: np.ndarray
    target: np.ndarray
    samples: np.ndarray
    ids: np.ndarray
    starts: np.ndarray
    g: np.ndarray  # the gradient: of all parameters where `whole`, else a strip for each worker
    whole: bool
    c: np.ndarray  # from here on a row for each step: the optimizer's coefficients,
    N: np.ndarray  # the sum of the batch's sample weights,
    block_loss: np.ndarray  # Σ weight ℓ / N of each block,
    squares: np.ndarray  # and, where there is L2, Σ w² of each task
    norms: np.ndarray  # Σ g² of each task


class Norm(NamedTuple):
    """What normalised layers and skips need: where the samples phase is cut, entries, state, and scratch.

    A number a unit, U of them with the inputs, where nothing else is said.
    """

    cuts: np.ndarray  # 0, the batch-normalised layers, L
    entries: np.ndarray  # (L + 1, 2): of E7 and E8
    state: np.ndarray  # the network's
    normal: np.ndarray  # ŝ, as z for each desk
    delta_h: np.ndarray  # for each desk: ∂ℓ/∂h of a layer that is skipped
    moments: np.ndarray  # flat (blocks, 2, U): mean and Σ (s − mean)² of each block
    sums: np.ndarray  # flat (blocks, 2, U): Σ δ and Σ δ ŝ of each block
    mean: np.ndarray
    inv_std: np.ndarray
    product: np.ndarray
    product_normal: np.ndarray


class Group(NamedTuple):
    """The blocks of one task: first sample, number of samples, first block and desk, and the a and h of all."""

    first: int
    rows: int
    block: int
    desk: int
    a: np.ndarray
    h: np.ndarray


class Desk(NamedTuple):
    """Scratch for one block."""

    z: np.ndarray
    delta: np.ndarray
    target: np.ndarray
    samples: np.ndarray
    ids: np.ndarray
    starts: np.ndarray


@template
def group_of(work, task, rows, desk):
    """layout: the blocks of one task among those of `rows` samples, with desks from that one on."""
    S, size = VECTORS * lanes(work.h), work.group * work.size
    n, a, h = task * work.group * S, stretch(work.a, task * size, size), stretch(work.h, task * size, size)
    return Group(n, min(rows - n, work.group * S), task * work.group, desk, a, h)


@template
def desk_of(work, d):
    """layout: the scratch for one block, d among them; those of worker w start at w · group."""
    S = VECTORS * lanes(work.h)
    return Desk(
        stretch(work.z, d * work.size, work.size),
        stretch(work.delta, d * 2 * work.half, 2 * work.half),
        stretch(work.target, d * work.size, work.size),
        stretch(work.samples, d * 4 * S, 4 * S),
        stretch(work.ids, d * S, S),
        stretch(work.starts, d * S, S),
    )


def _rounded(n: int, step: int) -> int:
    return -(-n // step) * step


def _aligned(dtype: np.dtype, *sizes: int) -> list[np.ndarray]:
    """Zeros: an array for each size, starting where a vector register's load does not straddle two cache lines."""
    starts = [0, *accumulate(_rounded(size * dtype.itemsize, 64) for size in sizes)]
    room = np.zeros(starts[-1] + 64, np.uint8)
    first = -room.ctypes.data % 64
    return [
        room[first + start : first + start + size * dtype.itemsize].view(dtype)
        for start, size in zip(starts, sizes, strict=False)
    ]


class Shape(NamedTuple):
    """What follows from a network's sizes and a number of rows: plan, tasks, and how long each array has to be."""

    plan: np.ndarray
    tasks: np.ndarray
    size: int
    half: int
    capacity: int
    strip: int
    packed: int
    panels: int


@lru_cache
def shape_of(sizes: tuple[int, ...], kinds: tuple[int, ...], dtype: np.dtype, rows: int) -> Shape:
    """The `Shape` for batches of at most `rows` samples, and layers of these kinds of normalisation."""
    L, depth = lanes_of(dtype), len(sizes)
    S = VECTORS * L
    size = (sum(sizes) + depth + NEURONS) * S
    half = (max(sizes) + max(NEURONS, L)) * S
    widths = [_rounded(n, L) for n in sizes]
    bytes_a_block = dtype.itemsize * (size + S * sum(widths[1:]))
    capacity = _rounded(rows, S)
    if BATCH not in kinds:  # which looks at all of a batch at once
        capacity = min(capacity, max(_rounded(CHUNK_ROWS, S), CHUNK_BYTES // bytes_a_block * S))
    plan = np.zeros((depth, 3), np.int64)
    packed = panels = 0
    for l in range(1, depth):
        n_in, n_out = sizes[l - 1], sizes[l]
        first = 0 if n_out > DIRECT else n_out // NEURONS * NEURONS  # the unit from which E1 reads panels
        backward = packed + (_rounded(n_out, NEURONS) - first) * (n_in + 1)
        plan[l] = packed - first * (n_in + 1), backward, panels
        packed = backward + (_rounded(n_in, max(NEURONS, L)) * n_out if l > 1 else 0)
        panels += widths[l] * capacity
    tasks = []
    for l, n_in in enumerate(sizes[:-1], start=1):
        rows_of_W = n_in + (kinds[l] == PLAIN)  # with b, where that is the last one of W
        tasks += [(l, i, min(i + TASK_ROWS, rows_of_W)) for i in range(0, rows_of_W, TASK_ROWS)]
        tasks += [(l, n_in, n_in + 2)] * (kinds[l] != PLAIN)  # b and γ
    strip = min(TASK_ROWS, max(sizes[:-1]) + 1) * max(sizes[1:])
    return Shape(plan, np.array(tasks), size, half, capacity, strip, packed, panels)


def _group(sizes: tuple[int, ...], dtype: np.dtype, blocks: int, workers: int) -> int:
    """How many blocks go through a layer together: more than one where a layer's weights do not stay in the cache."""
    largest = max(n_in * n_out for n_in, n_out in pairwise(sizes)) * dtype.itemsize
    return 1 if largest < CACHE_BYTES else max(1, min(GROUP, blocks // workers))


def workspace(
    network: "Network",
    rows: int,
    workers: int,
    *,
    trains: bool,
    loss: bool,
    drops: bool = False,
    g: np.ndarray | None = None,
    steps: int = 1,
    l2: bool = False,
) -> tuple[Model, Work, Norm | None]:
    """Model and Work for batches of at most `rows` samples, or for `rows` samples to evaluate.

    The gradient goes to `g` (P,) where that is given. Norm is None for a network without normalisation and skips.
    """
    dtype = network.dtype
    shape = shape_of(network.sizes, network.kinds, dtype, rows if trains else 1)
    plan, tasks, size, half, capacity, strip, n_packed, n_panels = shape
    S = VECTORS * lanes_of(dtype)
    blocks = -(-rows // S)
    at_once = min(blocks, capacity // S) if trains else blocks
    group = _group(network.sizes, dtype, at_once, workers)
    desks = workers * group
    stored = _rounded(at_once, group) if trains else desks
    if trains and not network.is_plain:
        desks = max(desks, stored)  # what a block leaves there has to last until all have come as far
    apart = drops or (trains and network.skips)
    packed, zero, h, a, panels, z, delta, target, samples, strips, c = _aligned(
        dtype, n_packed, NEURONS, stored * size, stored * size if apart else 0, n_panels,
        desks * size, desks * 2 * half, desks * size, desks * 4 * S,
        workers * strip if g is None and trains else 0, steps * COEFFICIENTS,
    )  # fmt: skip
    model = Model(
        network.table, plan, tasks, network.params, packed, zero, of_layers(network, trains=trains),
        of_loss(network) if loss else 0, network.loss_parameters,
    )  # fmt: skip
    work = Work(
        workers, new_counters(workers), give_way(), group, size, half, capacity, strip, a if apart else h, h, panels,
        z, delta, target, samples, np.zeros(desks * S, np.int64), np.zeros(desks * S, np.int64),
        strips if g is None else g, g is not None, c,
        np.zeros(steps), np.zeros((steps, blocks)), np.zeros((steps, len(tasks) if l2 else 0)), np.zeros(len(tasks)),
    )  # fmt: skip
    return model, work, None if network.is_plain else _norm(network, desks, stored, size, half, trains)


def _norm(network: "Network", desks: int, blocks: int, size: int, half: int, trains: bool) -> Norm:
    """Norm for so many desks and blocks; where nothing trains, with the running μ and 1/√(v + ε)."""
    table, dtype = network.table, network.dtype
    units, by_batch = sum(network.sizes), np.flatnonzero(table[:, KIND] == BATCH)
    skipped, of_blocks = trains and network.skips, blocks * 2 * units if trains else 0
    normal, delta_h, moments, sums, mean, inv_std, product, product_normal = _aligned(
        dtype, desks * size, desks * half if skipped else 0, of_blocks, of_blocks, *[units] * 4
    )
    if not trains:
        for l in by_batch:
            here = slice(table[l, UNITS], table[l, UNITS] + table[l, N_OUT])
            running = running_view(table, network.state, l)
            mean[here], inv_std[here] = running[0], 1 / np.sqrt(running[1] + EPSILON)
    return Norm(
        np.array([0, *by_batch, len(network.sizes) - 1]), of_normalizations(network), network.state, normal, delta_h,
        moments, sums, mean, inv_std, product, product_normal,
    )  # fmt: skip
