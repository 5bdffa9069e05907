"""The fast engine: the equations of `loops.py`, one register tile at a time.

**A lane is a sample.** The samples of a batch are walked in blocks of S = VECTORS · lanes (32 in float32 on AVX-512), and
inside a block a number of unit i is a row of S numbers, one a sample: `a[i·S : (i + 1)·S]`. So E1 for a block is the
textbook's loop with a whole row in the place of a_i, and every lane runs the scalar equations for its own sample:

    z_j = b_j;  for i: z_j += w_ij · a_i          (`tile_forward`: NEURONS such z_j at once, in registers)

**A step has two phases.** *Samples*: E1 to E3; a thread takes whole blocks through all layers, and shares with the others
nothing but the weights, which nobody writes. *Weights*: E4 to E6; a thread owns rows of W, sums their gradient over the
batch in tiles whose lanes are units j, and updates them while it is still in cache. Every sum runs in one fixed order,
so the bits are the same for any number of threads.

Where things lie, all in flat arrays:

- `h` (kept for the weights phase): for each block the rows of layer 0, a row of ones, the rows of layer 1, a row of ones,
  … The ones are the input of b, which in the parameter vector is the last row of W: E5 is the last row of E4. A block
  is S samples wide, the last one only `lanes` where that is enough.
- `packed`: the weights as the tiles read them, in panels of NEURONS columns, `[panel][i][NEURONS]` with b as the row
  n_in (E1), and in panels of NEURONS rows, `[panel][j][NEURONS]` (E3). Each row of W is packed again after its E6.
- `panels`: δ turned sample-major for E4, in panels of one tile's width, `[panel][sample][V·lanes]`.
- `z`, `delta` and the rest belong to one worker, which uses them for one block after the other.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import prange

from .._jit import call, inlined, kernel, share, template, threads, twins
from ..activations import SOFTMAX, activate, scale_by_slope, softmax
from ..dropout import drop, dropout_key
from ..losses import output_delta
from ..optimizers import COEFFICIENTS, coefficients, update_stretch
from .contract import NONE, Regularization, mean_loss
from .layout import BIASES, N_IN, N_OUT, PHI, UNITS, WEIGHTS
from .simd import (
    NEURONS,
    VECTORS,
    at,
    copy_row,
    lanes,
    lanes_of,
    stretch,
    tile_fma,
    tile_load,
    tile_rows,
    tile_store,
    tile_store_part,
    tile_zero,
    transpose,
    view,
)

if TYPE_CHECKING:
    from ..network import Network
    from ..optimizers import Optimizer

FEW = 3  # batches up to this many rows go to the textbook loops, whose innermost j needs no lanes to fill
PARALLEL_WORK = 200_000  # multiply-adds a batch from which threads are used
TASK_ROWS = 64  # rows of W that one task of the weights phase updates
CHUNK_ROWS, CHUNK_BYTES = 1024, 2**20  # a batch beyond both of these is walked in chunks, its gradient summed up
FORWARD, BACKWARD, DELTA = range(3)  # columns of the plan: where a layer's panels for E1, for E3 and of δ start
LAYER, FIRST, LAST = range(3)  # columns of a task: rows FIRST..LAST of the layer's W
WEIGHT, ELL, TOP, TOTAL = range(4)  # one number a sample: its weight, ℓ, max z and Σ e^(z − max z) of the outputs
DIRECT = 256  # units up to which E1 reads W itself: beyond, its rows fall into too few cache sets
NO_STEP = -1  # the optimizer's code where only the gradient is asked for


@inlined
def width_of(rows, a):
    """layout: how many samples wide a block with `rows` samples is."""
    return VECTORS * lanes(a) if rows > lanes(a) else lanes(a)


@inlined
def is_packed(j, n_out):
    """layout: whether E1 reads the weights of the units from j on from a panel, not from W itself.

    That is so where they are too few for a tile, or W's rows so long that they fall into too few sets of the cache.
    """
    return j + NEURONS > n_out or n_out > DIRECT


@inlined
def first_row(table, l):
    """layout: the row of a block at which layer l starts; each layer before it has a row of ones."""
    return table[l, UNITS] + l


# --------------------------------------------------------------------------------------- the equations


@template
def tile_forward(V, W, stride, n_in, a, a_0, width, z, z_j):
    """E1: z_j = b_j + Σ_i w_ij a_i for NEURONS units j and V · lanes samples, which it alone writes."""
    tile = tile_rows(NEURONS, V, W, n_in * stride)  # b_j
    for i in range(n_in):
        tile = tile_fma(tile, W, i * stride, 1, a, a_0 + i * width)
    tile_store(tile, z, z_j, width)


@kernel
def forward_layer(params, w, packed, p, n_in, n_out, a, a_0, width, z, z_0):
    """E1: z_j = b_j + Σ_i w_ij a_i of one block. Writes z from z_0 on, and up to NEURONS − 1 rows too many.

    W and b: params from w on, and E1's panels in packed from p on; a: n_in rows from a_0 on.
    """
    for j in range(0, n_out, NEURONS):
        if is_packed(j, n_out):
            W, stride = at(packed, p + j * (n_in + 1)), NEURONS
        else:
            W, stride = at(params, w + j), n_out
        if width > lanes(a):
            tile_forward(2, W, stride, n_in, a, a_0, width, z, z_0 + j * width)
        else:
            tile_forward(1, W, stride, n_in, a, a_0, width, z, z_0 + j * width)


@template
def tile_hidden_delta(V, packed, p, n_out, delta, delta_j, width, delta_i):
    """E3: Σ_j w_ij δ_j for NEURONS units i and V · lanes samples, which it alone writes."""
    tile = tile_zero(NEURONS, V, delta)
    for j in range(n_out):
        tile = tile_fma(tile, packed, p + j * NEURONS, 1, delta, delta_j + j * width)
    tile_store(tile, delta, delta_i, width)


@kernel
def hidden_delta(packed, p, n_in, n_out, delta, delta_j, width, delta_i):
    """E3: Σ_j w_ij δ_j of one block, φ' still to come. Writes delta from delta_i on, up to NEURONS − 1 rows too many.

    packed: E3's panels from p on; delta: n_out rows from delta_j on.
    """
    for i in range(0, n_in, NEURONS):
        if width > lanes(delta):
            tile_hidden_delta(2, packed, p + i * n_out, n_out, delta, delta_j, width, delta_i + i * width)
        else:
            tile_hidden_delta(1, packed, p + i * n_out, n_out, delta, delta_j, width, delta_i + i * width)


@template
def tile_gradient(M, V, h, size, row, samples, panels, d, g, g_i, n_out, columns, adds):
    """E4: Σ_n a_i δ_j for M units i and up to V · lanes units j, added to g where `adds`; it alone writes them."""
    if adds:
        tile = tile_load(M, V, g, g_i, n_out, columns)
    else:
        tile = tile_zero(M, V, g)
    S = VECTORS * lanes(h)
    a = 0
    for n_0 in range(0, samples, S):
        rows = min(samples - n_0, S)
        width = width_of(rows, h)
        for n in range(rows):
            tile = tile_fma(tile, h, a + row * width + n, width, panels, d)
            d += V * lanes(h)
        a += size
    tile_store_part(tile, g, g_i, n_out, columns)


@kernel
def weight_gradient(h, size, row, count, samples, panels, d, capacity, g, g_0, n_out, adds):
    """E4: ∂L/∂w_ij = (1/N) Σ_n a_i δ_j for `count` rows i of W and all j, the last row being b: E5. δ has its 1/N.

    h: rows from `row` on, blocks `size` apart; panels: those of δ from d on. Writes g, (count, n_out) from g_0 on.
    """
    V = VECTORS * lanes(h)
    for j in range(0, n_out, V):
        columns = min(n_out - j, V)
        i = 0
        while i + NEURONS <= count:
            if columns > lanes(h):
                tile_gradient(
                    NEURONS, 2, h, size, row + i, samples, panels, d, g, g_0 + i * n_out + j, n_out, columns, adds
                )
            else:
                tile_gradient(
                    NEURONS, 1, h, size, row + i, samples, panels, d, g, g_0 + i * n_out + j, n_out, columns, adds
                )
            i += NEURONS
        while i + 2 <= count:
            if columns > lanes(h):
                tile_gradient(2, 2, h, size, row + i, samples, panels, d, g, g_0 + i * n_out + j, n_out, columns, adds)
            else:
                tile_gradient(2, 1, h, size, row + i, samples, panels, d, g, g_0 + i * n_out + j, n_out, columns, adds)
            i += 2
        if i < count:
            if columns > lanes(h):
                tile_gradient(1, 2, h, size, row + i, samples, panels, d, g, g_0 + i * n_out + j, n_out, columns, adds)
            else:
                tile_gradient(1, 1, h, size, row + i, samples, panels, d, g, g_0 + i * n_out + j, n_out, columns, adds)
        d += V * capacity


# --------------------------------------------------------------------------------------- moving numbers


@kernel
def gather_block(source, places, start, rows, width, columns, index, out):
    """layout: the rows places[start], … of `source` (flat) become the columns of a block; idle lanes repeat the last."""
    L = lanes(out)
    for s in range(width):
        index[s] = places[start + min(s, rows - 1)] * columns
    for s in range(0, width, L):
        for i in range(0, columns, L):
            transpose(source, index, s, i, columns - i, out, i * width + s, width, 0)


@kernel
def panel_block(delta, delta_j, n_out, width, index, panels, d, capacity, n_0):
    """layout: δ of one block, sample by sample, into its place n_0 of each panel."""
    L = lanes(delta)
    for j in range(0, n_out, L):
        for s in range(L):
            index[s] = delta_j + (j + s) * width  # rows after n_out are read too, and fill lanes that nobody stores
        panel_width = 2 * L if n_out - (j // (2 * L)) * 2 * L > L else L
        place = d + (j // (2 * L)) * 2 * L * capacity + n_0 * panel_width + (j % (2 * L))
        for q in range(0, width, L):
            transpose(delta, index, 0, q, L, panels, place + q * panel_width, panel_width, 0)


@kernel
def pack_rows(table, plan, l, i_0, i_1, params, index, packed):
    """layout: the rows i_0..i_1 of W (b is row n_in) into the panels that E1 and, transposed, E3 read. Owns these rows."""
    n_in, n_out, w = table[l, N_IN], table[l, N_OUT], table[l, WEIGHTS]
    for j in range(0 if n_out > DIRECT else n_out // NEURONS * NEURONS, n_out, NEURONS):
        p = plan[l, FORWARD] + j * (n_in + 1)
        if j + NEURONS <= n_out:
            for i in range(i_0, i_1):
                copy_row(params, w + i * n_out + j, packed, p + i * NEURONS)
        else:
            for i in range(i_0, i_1):
                for m in range(n_out - j):
                    packed[p + i * NEURONS + m] = params[w + i * n_out + j + m]
    if l > 1:
        L = lanes(params)
        for i in range(i_0, min(i_1, n_in), L):
            for s in range(L):
                index[s] = w + min(i + s, n_in) * n_out
            p = plan[l, BACKWARD] + i // NEURONS * n_out * NEURONS + i % NEURONS
            for j in range(0, n_out, L):
                transpose(params, index, 0, j, n_out - j, packed, p + j * NEURONS, NEURONS, n_out * NEURONS)


@kernel
def sum_of_squares(x, p, count):
    """math: Σ x², in 32 interleaved partial sums of float64, so that the loop vectorises in a fixed order."""
    partial = np.zeros(32)
    for q in range(p, p + count - 31, 32):
        for m in range(32):
            partial[m] += np.float64(x[q + m]) * np.float64(x[q + m])
    total = 0.0
    for q in range(p + count // 32 * 32, p + count):
        total += np.float64(x[q]) * np.float64(x[q])
    for m in range(32):
        total += partial[m]
    return total


# --------------------------------------------------------------------------------------- what the phases share


class Model(NamedTuple):
    """The network as kernels read it: layout's table, this module's plan and tasks, θ, and W in panels."""

    table: np.ndarray
    plan: np.ndarray
    tasks: np.ndarray
    params: np.ndarray
    packed: np.ndarray
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
    seed: int
    clip_value: float
    clip_norm: float


class Steps(NamedTuple):
    """The optimizer: its code, moments (flat), settings and decay, η of each step, and the steps before."""

    code: int
    moments: np.ndarray
    settings: np.ndarray
    weight_decay: float
    rates: np.ndarray
    t: int


class Work(NamedTuple):
    """Scratch of one call: how much of it a block, a δ, a chunk and a strip take, and the arrays."""

    workers: int
    size: int
    half: int
    capacity: int
    strip: int
    a: np.ndarray  # a chunk's blocks: a, which is h where nothing is dropped
    h: np.ndarray
    panels: np.ndarray
    block_loss: np.ndarray
    z: np.ndarray  # from here on each worker has its own part
    delta: np.ndarray
    target: np.ndarray
    samples: np.ndarray
    ids: np.ndarray
    index: np.ndarray
    g: np.ndarray  # the gradient: of all parameters where `whole`, else a strip for each worker
    whole: bool
    c: np.ndarray
    squares: np.ndarray  # Σ w² and Σ g² of each task
    norms: np.ndarray


class Desk(NamedTuple):
    """One worker's own scratch."""

    z: np.ndarray
    delta: np.ndarray
    target: np.ndarray
    samples: np.ndarray
    ids: np.ndarray
    index: np.ndarray


@template
def desk_of(work, w):
    """layout: the scratch of worker w."""
    S = VECTORS * lanes(work.h)
    return Desk(
        stretch(work.z, w * work.size, work.size),
        stretch(work.delta, w * 2 * work.half, 2 * work.half),
        stretch(work.target, w * work.size, work.size),
        stretch(work.samples, w * 4 * S, 4 * S),
        stretch(work.ids, w * S, S),
        stretch(work.index, w * S, S),
    )


# --------------------------------------------------------------------------------------- one block


@template
def load_block(model, data, N, start, rows, width, desk, h):
    """layout: the samples from `start` on: inputs as layer 0 of h, rows of the data set, weights over N (idle lanes: 0)."""
    order, places, sample_weight = data.order, data.places, data.sample_weight
    ids, samples = desk.ids, desk.samples
    gather_block(data.X, places, start, rows, width, model.table[0, N_OUT], desk.index, h)
    for s in range(width):
        n = start + min(s, rows - 1)
        ids[s] = order[n]
        samples[WEIGHT * width + s] = sample_weight[places[n]] / N if s < rows else 0


@template
def forward_block(model, dropout, drops, seed, t, width, desk, a, h):
    """E1: every layer in turn for the block whose inputs are layer 0 of h. Owns a, h and the desk."""
    table, plan, params, packed = model.table, model.plan, model.params, model.packed
    z, samples, ids = desk.z, desk.samples, desk.ids
    last = table.shape[0] - 1
    for l in range(1, last + 1):
        n_in, n_out, phi = table[l, N_IN], table[l, N_OUT], table[l, PHI]
        below, here = first_row(table, l - 1) * width, first_row(table, l) * width
        for s in range(width):
            h[below + n_in * width + s] = 1
        forward_layer(params, table[l, WEIGHTS], packed, plan[l, FORWARD], n_in, n_out, h, below, width, z, here)
        if phi == SOFTMAX:
            top, total = stretch(samples, TOP * width, width), stretch(samples, TOTAL * width, width)
            softmax(view(z, here, n_out, width), view(a, here, n_out, width), top, total)
        else:
            activate(phi, view(z, here, 1, n_out * width), view(a, here, 1, n_out * width), 0)
        if drops and l < last:  # also where this layer's p is 0: the next one reads h
            key = dropout_key(seed, t, l)
            drop(dropout[l], key, ids, view(a, here, n_out, width), view(h, here, n_out, width))


@template
def loss_block(model, data, start, rows, width, desk, a):
    """E2: δ_k = ∂ℓ/∂z_k of one block, times weight; returns Σ_n weight_n ℓ_n. Owns the desk."""
    table, samples = model.table, desk.samples
    last = table.shape[0] - 1
    n_out, here = table[last, N_OUT], first_row(table, last) * width
    gather_block(data.y, data.places, start, rows, width, n_out, desk.index, desk.target)
    weight, ell = stretch(samples, WEIGHT * width, width), stretch(samples, ELL * width, width)
    top, total = stretch(samples, TOP * width, width), stretch(samples, TOTAL * width, width)
    z, a, y = view(desk.z, here, n_out, width), view(a, here, n_out, width), view(desk.target, 0, n_out, width)
    delta = view(desk.delta, 0, n_out, width)
    output_delta(model.loss, table[last, PHI], model.parameters, z, a, y, weight, top, total, delta, ell)
    L = 0.0
    for s in range(rows):
        L += weight[s] * ell[s]
    return L


@template
def backward_block(model, dropout, seed, t, width, desk, half, a, panels, capacity, n_0):
    """E3: every layer from the last down, each δ into its panels. Owns the desk, whose delta has two halves in turn."""
    table, plan, packed = model.table, model.plan, model.packed
    z, delta, ids, index = desk.z, desk.delta, desk.ids, desk.index
    delta_j = np.int64(0)  # a literal 0 would be one more type to compile for
    for l in range(table.shape[0] - 1, 0, -1):
        n_in, n_out = table[l, N_IN], table[l, N_OUT]
        panel_block(delta, delta_j, n_out, width, index, panels, plan[l, DELTA], capacity, n_0)
        if l > 1:
            here, delta_i = first_row(table, l - 1) * width, half - delta_j
            hidden_delta(packed, plan[l, BACKWARD], n_in, n_out, delta, delta_j, width, delta_i)
            z_i, a_i = view(z, here, 1, n_in * width), view(a, here, 1, n_in * width)
            scale_by_slope(table[l - 1, PHI], z_i, a_i, view(delta, delta_i, 1, n_in * width), 0)
            if dropout[l - 1] > 0:
                delta_l = view(delta, delta_i, n_in, width)
                drop(dropout[l - 1], dropout_key(seed, t, l - 1), ids, delta_l, delta_l)
            delta_j = delta_i


# --------------------------------------------------------------------------------------- one worker's share


@share
def pack_tasks(model, work, w):
    """layout: all weights into their panels. Worker w owns the rows of every workers-th task."""
    index = desk_of(work, w).index
    for task in range(w, model.tasks.shape[0], work.workers):
        l, i_0, i_1 = model.tasks[task, LAYER], model.tasks[task, FIRST], model.tasks[task, LAST]
        pack_rows(model.table, model.plan, l, i_0, i_1, model.params, index, model.packed)


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


@kernel
def step_rows(table, plan, l, i_0, i_1, code, params, g, g_0, moments, c, index, packed):
    """E6: the rows i_0..i_1 of W, whose gradient lies in g from g_0 on; then into their panels again. Owns these rows."""
    p, count = table[l, WEIGHTS] + i_0 * table[l, N_OUT], (i_1 - i_0) * table[l, N_OUT]
    m, v = stretch(moments, p, count), stretch(moments, moments.size - params.size + p, count)
    update_stretch(code, stretch(params, p, count), stretch(g, g_0, count), m, v, c)
    pack_rows(table, plan, l, i_0, i_1, params, index, packed)


@kernel
def start_rows(params, p, penalised, count, l2, g, g_0):
    """E4: the part of ∂L/∂w_ij that needs no sample: λ w_ij, and 0 for b, which comes last. Owns g; returns Σ w²."""
    for q in range(penalised):
        g[g_0 + q] = l2 * params[p + q]
    for q in range(penalised, count):
        g[g_0 + q] = 0
    return sum_of_squares(params, p, penalised)


@kernel
def clip_rows(g, g_0, count, bound, shrink):
    """E6: g ← g · shrink, kept in ±bound. Owns g."""
    for q in range(g_0, g_0 + count):
        g[q] = min(max(g[q] * shrink, -bound), bound)


@share
def weight_tasks(model, rules, steps, work, rows, first, final, l2, shrink, w):
    """E4, E5 and, unless the norm must be known first or only the gradient is asked for, E6.

    Worker w owns the rows of every workers-th task: their gradient, θ, moments and panels. `rows` samples of a chunk,
    which may be the `first` of its batch and the `final` one. With no rows: E6 alone, of g · shrink.
    """
    table, plan, tasks, params, packed = model.table, model.plan, model.tasks, model.params, model.packed
    h, panels, g, c, squares, norms = work.h, work.panels, work.g, work.c, work.squares, work.norms
    index, moments = desk_of(work, w).index, steps.moments
    norm_first, clips = rules.clip_norm < np.inf, rules.clip_value < np.inf
    for task in range(w, tasks.shape[0], work.workers):
        l, i_0, i_1 = tasks[task, LAYER], tasks[task, FIRST], tasks[task, LAST]
        n_in, n_out = table[l, N_IN], table[l, N_OUT]
        p, count = table[l, WEIGHTS] + i_0 * n_out, (i_1 - i_0) * n_out
        g_0 = p if work.whole else w * work.strip
        if rows > 0:
            if first and l2 > 0:
                squares[task] = start_rows(params, p, min(i_1, n_in) * n_out - i_0 * n_out, count, l2, g, g_0)
            row, adds = first_row(table, l - 1) + i_0, l2 > 0 or not first
            weight_gradient(
                h, work.size, row, i_1 - i_0, rows, panels, plan[l, DELTA], work.capacity, g, g_0, n_out, adds
            )
            if final and clips:
                clip_rows(g, g_0, count, rules.clip_value, shrink)
            if final and norm_first:
                norms[task] = sum_of_squares(g, g_0, count)
        else:
            clip_rows(g, g_0, count, rules.clip_value, shrink)
        if final and steps.code != NO_STEP and (rows == 0 or not norm_first):
            step_rows(table, plan, l, i_0, i_1, steps.code, params, g, g_0, moments, c, index, packed)


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
    """E6: one step for each batch of `data.order`; sums (2,) goes on to gather Σ N L and Σ N. NO_STEP: the gradient, in g."""
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


def _rounded(n: int, step: int) -> int:
    return -(-n // step) * step


def _aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start where a vector register's load does not straddle two cache lines."""
    room = np.zeros(size * dtype.itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size * dtype.itemsize].view(dtype)


def _workspace(network: "Network", rows: int, workers: int, g: np.ndarray | None, drops: bool) -> tuple[Model, Work]:
    """Model and Work for batches of at most `rows` samples; the gradient goes to `g` (P,) where that is given."""
    sizes, dtype, L = network.sizes, network.dtype, lanes_of(network.dtype)
    S, depth = VECTORS * L, len(sizes)
    size = (sum(sizes) + depth + NEURONS) * S
    half = (max(sizes) + max(NEURONS, L)) * S
    widths = [_rounded(n, L) for n in sizes]
    bytes_a_block = dtype.itemsize * (size + S * sum(widths[1:]))
    capacity = min(_rounded(rows, S), max(CHUNK_ROWS, CHUNK_BYTES // bytes_a_block * S))
    blocks = capacity // S

    plan = np.zeros((depth, 3), np.int64)
    weights = panels = 0
    for l in range(1, depth):
        backward = weights + _rounded(sizes[l], NEURONS) * (sizes[l - 1] + 1)
        plan[l] = weights, backward, panels
        weights = backward + (_rounded(sizes[l - 1], max(NEURONS, L)) * sizes[l] if l > 1 else 0)
        panels += widths[l] * capacity
    tasks = np.array(
        [
            (l, i, min(i + TASK_ROWS, n_in + 1))
            for l, n_in in enumerate(sizes[:-1], start=1)
            for i in range(0, n_in + 1, TASK_ROWS)
        ]
    )
    strip = min(TASK_ROWS, max(sizes[:-1]) + 1) * max(sizes[1:])
    model = Model(
        network.table, plan, tasks, network.params, _aligned(weights, dtype),
        network.loss_function.code, network.loss_parameters,
    )  # fmt: skip
    h = _aligned(blocks * size, dtype)
    work = Work(
        workers, size, half, capacity, strip,
        a=_aligned(blocks * size, dtype) if drops else h,
        h=h,
        panels=_aligned(panels, dtype),
        block_loss=np.zeros(blocks),
        z=_aligned(workers * size, dtype),
        delta=_aligned(workers * 2 * half, dtype),
        target=_aligned(workers * size, dtype),
        samples=_aligned(workers * 4 * S, dtype),
        ids=np.zeros(workers * S, np.int64),
        index=np.zeros(workers * S, np.int64),
        g=_aligned(workers * strip, dtype) if g is None else g,
        whole=g is not None,
        c=np.zeros(COEFFICIENTS, dtype),
        squares=np.zeros(len(tasks)),
        norms=np.zeros(len(tasks)),
    )  # fmt: skip
    return model, work


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
    rows = max(1, min(batch_size, data.order.size))
    workers = _workers(network, rows, n_threads)
    dropout = regularization.dropout_by_layer(network.sizes)
    number = network.dtype.type
    rules = Rules(
        number(regularization.l2), regularization.l2_per_sample, dropout, np.uint64(regularization.seed),
        number(regularization.clip_value), number(regularization.clip_norm),
    )  # fmt: skip
    model, work = _workspace(network, rows, workers, g, bool(dropout.any()))
    if g is None and (rules.clip_norm < np.inf or rows > work.capacity):
        work = work._replace(g=np.empty_like(network.params), whole=True)
    call(train_steps, model, data, rules, steps, work, batch_size, sums, n_threads=n_threads, parallel=workers > 1)


def _evaluate(
    network: "Network", X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, n_threads: int | None
) -> tuple[float, np.ndarray]:
    """(L, outputs) by `evaluate_rows`; L is 0 where y is empty."""
    rows, dtype = X.shape[0], network.dtype
    workers = _workers(network, rows, n_threads)
    S = VECTORS * lanes_of(dtype)
    model, work = _workspace(network, workers * S, workers, None, False)
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
    nothing = Steps(NO_STEP, network.params, np.zeros(5), 0.0, np.zeros(1), 0)
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
    sums = np.zeros(2) if sums is None else sums
    data = Data(X.reshape(-1), y.reshape(-1), sample_weight, order, order if places is None else places)
    optimizer.start(network.params)
    moments, settings, decay = optimizer.moments.reshape(-1), optimizer.settings, optimizer.decoupled_decay
    steps = Steps(optimizer.code, moments, settings, decay, rates, optimizer.t)
    _train(network, data, batch_size, regularization, steps, sums, None, n_threads)
    optimizer.t += rates.size
    return mean_loss(sums)
