"""The phases of a step, a task each: *samples*, E1 to E3, a group of blocks through all layers; *weights*, E4 to E6,
some rows of W. Around them what is done once: planning the steps, packing W, cutting at a batch normalisation, adding
up.

A task is known by its number, the step, the chunk of the batch, the cut that it follows, and the worker w that does it.
What it computes does not depend on w, whose desk it uses for scratch. Places are addresses in bytes; `item` is what a
number takes.
"""

from ..._jit import Size, inlined, routine, run
from ...optimizers import COEFFICIENTS
from .job import WORD, Job, integers, layer_at, task_at
from .routines import batch_at

WEIGHT, ELL, TOP, TOTAL = range(4)  # one number a sample: its weight, ℓ, max z and Σ e^(z − max z) of the outputs


@inlined
def batch_of(job, step):
    """layout: the first sample of a step's batch and the one after its last, which no later epoch's is."""
    return batch_at(step, job.batch_size, job.epoch, job.epoch_steps)


@inlined
def chunk_of(job, step, chunk):
    """layout: the first sample of a chunk of a step's batch and how many it has; none after the last chunk."""
    start, stop = batch_of(job, step)
    start += chunk * job.capacity
    return start, max(0, min(stop - start, job.capacity))


@inlined
def width_of(job, rows):
    """layout: how many samples wide the next block of `rows` samples is."""
    return job.S if rows > job.lanes else job.lanes


@inlined
def blocks_of(job, rows):
    """layout: how many blocks so many samples fill; S is a power of two, for a division takes as long as a tile."""
    return (rows + job.S - 1) >> job.shift


# --------------------------------------------------------------------------------------- before the steps


@routine
def plan(job: Job, step: Size, chunk: Size, cut: Size, task: Size, w: Size) -> None:
    """layout: for each step N and the optimizer's coefficients; a single task."""
    run(
        job.plan_steps, job.sample_weight, job.places, job.epoch, job.epoch_steps, job.batch_size, job.steps, job.N,
        job.updates, job.settings, job.decay, job.rates, job.t, job.c,
    )  # fmt: skip


@routine
def know_moments(job: Job, step: Size, chunk: Size, cut: Size, task: Size, w: Size) -> None:
    """E7: let batch normalisation go by the running μ and v; a single task."""
    for l in range(1, job.top + 1):
        layer, item = layer_at(job.layers, l), job.item
        if layer.batch:
            running = job.state + item * layer.running
            run(job.move, running, job.mean + item * layer.unit, layer.n_out)
            run(job.known_moments, running, layer.n_out, job.inv_std + item * layer.unit)


@routine
def pack(job: Job, step: Size, chunk: Size, cut: Size, task: Size, w: Size) -> None:
    """layout: some rows of W, which the task owns, into the panels of E1 and, where they are its own, of E3; none of
    the first layer's, where X is sparse.
    """
    mine, item = task_at(job.tasks, task), job.item
    if mine.layer <= job.sparse:
        return
    layer = layer_at(job.layers, mine.layer)
    # In the panels of a normalised layer b stays 0.
    last = min(mine.last, layer.n_in + (layer.batch + layer.layer == 0))
    forward, backward = job.packed + item * layer.forward, job.packed + item * layer.backward
    W, starts = job.params + item * layer.weights, job.starts + WORD * w * job.group * job.S
    own = job.trains and layer.own
    run(job.pack_rows, W, layer.n_in, layer.n_out, mine.first, last, forward, backward if own else 0, starts)


# --------------------------------------------------------------------------------------- samples: E1 to E3


@routine
def samples_task(job: Job, step: Size, chunk: Size, cut: Size, task: Size, w: Size) -> None:
    """E3: E1 and E2 before it, of a group of blocks, as far as the next cut. Where nothing trains, E1 and E2 alone.

    Owns the blocks of a and h, a desk each, their part of δ's panels, their losses, and what they leave at a cut. After
    the last group there may come one task more, where X is sparse, which sorts its numbers for the weights phase.
    """
    group, S, item, turn = job.group, job.S, job.item, job.n_cuts - 2
    start, rows = chunk_of(job, step, chunk)
    first = task * group * S  # in the chunk
    if first >= rows:
        run(job.sort_chunk, job, step, chunk)
        return
    start, rows = start + first, min(rows - first, group * S)
    block = blocks_of(job, chunk * job.capacity) + task * group
    desk = (task if job.stays else w) * group
    place = item * job.size * (task if job.trains else w) * group
    a, h = job.a + place, job.h + place
    k = min(cut, 2 * turn - cut)
    below, above = integers(job.cuts)[k], integers(job.cuts)[k + 1]
    if cut == 0:
        run(job.load_blocks, job, start, rows, step, desk, h)
    if cut <= turn:
        run(job.forward_blocks, job, rows, step, desk, task * group, a, h, below, above, cut == turn)
    if cut == turn and job.loss != 0:
        run(job.loss_blocks, job, start, rows, step, block, desk, a)
    if not job.trains:
        run(job.write_blocks, job, start, rows, h)
    elif cut >= turn:
        run(job.backward_blocks, job, first, rows, step, desk, task * group, a, above, below)


@routine
def load_blocks(job: Job, start: Size, rows: Size, step: Size, desk: Size, h: Size) -> None:
    """layout: the samples from `start` on: X as layer 0 of h, rows of the data set, weights over N (idle lanes: 0)."""
    S, item, columns = job.S, job.item, layer_at(job.layers, 0).n_out
    for k in range(blocks_of(job, rows)):
        width, d = width_of(job, rows - k * S), desk + k
        here, h_0, starts = min(rows - k * S, S), h + item * k * job.size, job.starts + WORD * d * S
        run(job.gather_block, job.X, job.places, start + k * S, here, width, columns, starts, h_0)
        run(
            job.weigh_block, job.sample_weight, job.order, job.places, start + k * S, here, width, job.N + WORD * step,
            job.ids + WORD * d * S, job.of_samples + item * (d * 4 * S + WEIGHT * width),
        )  # fmt: skip


@routine
def forward_blocks(
    job: Job, rows: Size, step: Size, desk: Size, block: Size, a: Size, h: Size, below: Size, above: Size, ends: Size
) -> None:
    """E1: the layers from `below` on, whose s_j are there already, to `above`, only to its s_j unless it `ends`."""
    S, item, size = job.S, job.item, job.item * job.size
    z = job.z + size * desk
    for l in range(max(1, below), above + 1):
        layer, inputs = layer_at(job.layers, l), layer_at(job.layers, l - 1)
        normalized = layer.batch + layer.layer > 0
        if l > max(below, job.sparse):  # where X is sparse, layer 1 has its sums
            run(
                job.forward_layer, job.packed + item * layer.forward, layer.n_in, layer.n_out, h, inputs.first, z,
                layer.first, job.size, rows, job.few,
            )  # fmt: skip
        for k in range(blocks_of(job, rows)):
            width, d = width_of(job, rows - k * S), desk + k
            p, count = k * size + item * layer.first * width, layer.n_out * width
            samples = job.of_samples + item * d * 4 * S
            if normalized:
                goes_on = ends or l < above
                run(job.normalize_block, job, l, min(rows - k * S, S), width, d, block + k, z + p, samples, goes_on)
                if not goes_on:
                    continue
            if layer.softmax:
                top, total = samples + item * TOP * width, samples + item * TOTAL * width
                run(layer.activate, z + p, a + p, top, total, layer.n_out, width)
            else:
                run(layer.activate, z + p, a + p, count)
            if l < job.top and (job.apart or layer.skips):
                h_i = h + k * size + item * inputs.first * width
                run(job.hand_on, job, l, step, job.ids + WORD * d * S, a + p, h + p, h_i, width)


@routine
def hand_on(job: Job, l: Size, step: Size, ids: Size, a: Size, h: Size, h_i: Size, width: Size) -> None:
    """E10: what the next layer reads where that is not a: a with some units dropped, and a + h of the layer before."""
    layer = layer_at(job.layers, l)
    if job.apart and layer.drops:
        run(job.drop_block, layer.p, job.seed, job.t + step + 1, l, ids, a, h, layer.n_out, width)
    elif job.apart:
        run(job.move, a, h, layer.n_out * width)
    if layer.skips:
        run(job.add, h, h_i, h, layer.n_out * width)


@routine
def normalize_block(
    job: Job, l: Size, rows: Size, width: Size, d: Size, block: Size, z: Size, samples: Size, goes_on: Size
) -> None:
    """E7: where it goes on, s_j of one block of layer l becomes z_j; else its moments are taken."""
    layer, item = layer_at(job.layers, l), job.item
    unit, n_out = item * layer.unit, layer.n_out
    normal = job.normal + item * (d * job.size + layer.first * width)
    if goes_on:
        b, gain, top = job.params + item * layer.biases, job.params + item * layer.gains, samples + item * TOP * width
        run(layer.normalize, z, normal, job.mean + unit, job.inv_std + unit, gain, b, top, n_out, width)
    else:
        mean = job.moments + item * 2 * block * job.units + unit
        run(job.block_moments, z, normal, n_out, width, rows, mean, mean + item * job.units)


@routine
def loss_blocks(job: Job, start: Size, rows: Size, step: Size, block: Size, desk: Size, a: Size) -> None:
    """E2: δ_k = ∂ℓ/∂z_k times its weight of the samples from `start` on, and Σ weight ℓ of each block."""
    S, item, output = job.S, job.item, layer_at(job.layers, job.top)
    for k in range(blocks_of(job, rows)):
        width, d = width_of(job, rows - k * S), desk + k
        here, y, starts = min(rows - k * S, S), job.target + item * d * job.size, job.starts + WORD * d * S
        run(job.gather_block, job.y, job.places, start + k * S, here, width, output.n_out, starts, y)
        p, numbers = item * output.first * width, item * width
        samples = job.of_samples + item * d * 4 * S
        z, a_k = job.z + item * d * job.size + p, a + item * k * job.size + p
        run(
            job.loss, job.parameters, z, a_k, y, samples + WEIGHT * numbers, samples + TOP * numbers,
            samples + TOTAL * numbers, job.delta + item * d * 2 * job.half, samples + ELL * numbers, output.n_out,
            width, here, job.block_loss + WORD * (step * job.blocks + block + k),
        )  # fmt: skip


@routine
def write_blocks(job: Job, start: Size, rows: Size, h: Size) -> None:
    """layout: the outputs of the samples from `start` on, into rows of `out`."""
    S, item, output = job.S, job.item, layer_at(job.layers, job.top)
    for k in range(blocks_of(job, rows)):
        width, here = width_of(job, rows - k * S), min(rows - k * S, S)
        a_k, out = h + item * (k * job.size + output.first * width), job.out + item * (start + k * S) * output.n_out
        run(job.write_outputs, a_k, output.n_out, width, here, out)


@routine
def backward_blocks(
    job: Job, first: Size, rows: Size, step: Size, desk: Size, block: Size, a: Size, above: Size, below: Size
) -> None:
    """E3: the layers from `above` down to the one after `below`, each ∂ℓ/∂s into its panels; leaves δ of layer `below`.

    `first` is the group's first sample in the chunk.
    """
    S, item, size, half = job.S, job.item, job.item * job.size, job.half
    deltas = job.delta + item * desk * 2 * half
    for l in range(above, below, -1):
        layer, inputs = layer_at(job.layers, l), layer_at(job.layers, l - 1)
        delta_j = item * half * (job.top - l & 1)
        delta_i = item * half - delta_j
        if layer.batch + layer.layer > 0:
            for k in range(blocks_of(job, rows)):
                delta = deltas + item * k * 2 * half + delta_j
                run(job.normalized_delta, job, l, rows - k * S, desk + k, delta, block + k)
        if l > 1:
            panels = job.packed + item * layer.backward
            run(
                layer.hidden_delta, panels, layer.n_in, layer.n_out, deltas + delta_j, deltas + delta_i, 2 * half, rows,
                job.few,
            )  # fmt: skip
        for k in range(blocks_of(job, rows)):
            width, d = width_of(job, rows - k * S), desk + k
            delta, starts = deltas + item * k * 2 * half, job.starts + WORD * d * S
            panels = job.panels + item * layer.delta
            run(job.panel_block, delta + delta_j, layer.n_out, width, starts, panels, job.capacity, first + k * S)
            if l > 1:
                p, count = item * inputs.first * width, layer.n_in * width
                z, a_i = job.z + size * d + p, a + size * k + p
                if layer.skips:  # E10: ∂ℓ/∂h_j goes on to h_i
                    run(job.add, delta + delta_i, job.delta_h + item * d * half, delta + delta_i, count)
                if inputs.skips:
                    run(job.move, delta + delta_i, job.delta_h + item * d * half, count)
                run(inputs.slope, z, a_i, delta + delta_i, count)
                if inputs.drops:
                    delta_h, ids, t = delta + delta_i, job.ids + WORD * d * S, job.t + step + 1
                    run(job.drop_block, inputs.p, job.seed, t, l - 1, ids, delta_h, delta_h, layer.n_in, width)
    if below > 0:
        for k in range(blocks_of(job, rows)):
            delta = deltas + item * (k * 2 * half + half * ((job.top - below) & 1))
            run(job.sum_products, job, below, rows - k * S, desk + k, delta, block + k)


@routine
def sum_products(job: Job, l: Size, rows: Size, d: Size, delta: Size, block: Size) -> None:
    """E9: the sums of one block of a normalised layer, Σ δ_j and Σ δ_j ŝ_j."""
    layer, item, width = layer_at(job.layers, l), job.item, width_of(job, rows)
    normal = job.normal + item * (d * job.size + layer.first * width)
    total = job.sums + item * (2 * block * job.units + layer.unit)
    run(job.block_products, delta, normal, layer.n_out, width, min(rows, job.S), total, total + item * job.units)


@routine
def normalized_delta(job: Job, l: Size, rows: Size, d: Size, delta: Size, block: Size) -> None:
    """E8: δ of one block of a normalised layer becomes ∂ℓ/∂s. By batch, its sums are known already."""
    layer, item, width = layer_at(job.layers, l), job.item, width_of(job, rows)
    if layer.layer:
        run(job.sum_products, job, l, rows, d, delta, block)
    normal, unit = job.normal + item * (d * job.size + layer.first * width), item * layer.unit
    samples = job.of_samples + item * d * 4 * job.S
    run(
        layer.normalize_delta, delta, normal, job.product + unit, job.product_normal + unit, job.inv_std + unit,
        job.params + item * layer.gains, samples + item * TOP * width, samples + item * TOTAL * width, layer.n_out,
        width,
    )  # fmt: skip


@routine
def cut(job: Job, step: Size, chunk: Size, cut: Size, task: Size, w: Size) -> None:
    """E8: and E7 on the way forward: what the blocks come to together at a cut; a single task."""
    turn, item = job.n_cuts - 2, job.item
    _, rows = chunk_of(job, step, chunk)
    layer = layer_at(job.layers, integers(job.cuts)[cut + 1 if cut < turn else 2 * turn - cut])
    unit = item * layer.unit
    if cut < turn:
        run(
            job.combine_moments, job.moments + unit, job.units, layer.n_out, rows, job.S, job.mean + unit,
            job.inv_std + unit, job.state + item * layer.running, job.updates,
        )  # fmt: skip
    else:
        run(
            job.combine_products, job.sums + unit, job.units, layer.n_out, rows, job.S, job.params + item * layer.gains,
            job.product + unit, job.product_normal + unit,
        )  # fmt: skip


# --------------------------------------------------------------------------------------- weights: E4 to E6


@routine
def weights(job: Job, step: Size, chunk: Size, cut: Size, task: Size, w: Size) -> None:
    """E6: E4, E5 and E6 of some rows of W, which the task owns: their gradient, θ, moments and panels.

    E6 has to wait where the batch has more chunks, or the gradient's norm must be known first: then it comes by itself,
    after the last chunk.
    """
    item, mine = job.item, task_at(job.tasks, task)
    layer = layer_at(job.layers, mine.layer)
    start, rows = chunk_of(job, step, chunk)
    p, count = layer.weights + mine.first * layer.n_out, (mine.last - mine.first) * layer.n_out
    theta, g = job.params + item * p, job.g + item * (p if job.whole else w * job.strip)
    if mine.layer <= job.rests and mine.last <= layer.n_in + 1:  # not the task of b and γ
        run(job.step_touched, job, step, task, theta, g)
        return
    final = start + rows >= batch_of(job, step)[1]
    if rows > 0:
        run(job.sum_gradient, job, step, chunk, rows, task, theta, g)
        if final and job.clips:
            run(job.clip, g, count, job.clip_value)
        if final and job.norm_first:
            run(job.sum_of_squares, g, count, job.norms + WORD * task)
    else:
        run(job.clip_by_norm, g, count, job.clip_norm, job.norms, job.n_tasks)
    if final and job.updates and (rows == 0 or not job.norm_first):
        run(job.optimizer_step, theta, g, job.m + item * p, job.v + item * p, job.c + item * step * COEFFICIENTS, count)
        if step + 1 < job.steps:
            run(job.pack, job, step, chunk, cut, task, w)


@routine
def sum_gradient(job: Job, step: Size, chunk: Size, rows: Size, task: Size, theta: Size, g: Size) -> None:
    """E4: and E5 of a task's rows of W over the `rows` samples of a chunk, added to g after the first chunk."""
    item, mine = job.item, task_at(job.tasks, task)
    layer, i_0, i_1 = layer_at(job.layers, mine.layer), mine.first, mine.last
    n_in, n_out, count, adds = layer.n_in, layer.n_out, i_1 - i_0, job.l2 > 0 or chunk > 0
    if chunk == 0 and job.l2 > 0:
        penalised = (min(i_1, n_in) - i_0) * n_out
        squares = job.squares + WORD * (step * job.n_tasks + task)
        N = job.N + WORD * step
        run(job.start_gradient, theta, penalised, count * n_out, job.l2, job.per_sample, N, g, squares)
    if i_1 > n_in + 1:  # b and γ
        blocks = blocks_of(job, rows)
        run(job.gain_gradient, job.sums + item * layer.unit, job.units, blocks, n_out, g, chunk > 0)
    elif mine.layer <= job.sparse:
        run(job.rows_gradient, job, i_0, i_1, g, adds)
    else:
        row, delta = layer_at(job.layers, mine.layer - 1).first + i_0, job.panels + item * layer.delta
        run(job.weight_gradient, job.h, job.size, row, count, rows, delta, job.capacity, g, n_out, adds)


@routine
def losses(job: Job, step: Size, chunk: Size, cut: Size, task: Size, w: Size) -> None:
    """E2: the figures of every step; a single task."""
    run(
        job.add_losses, job.epoch, job.epoch_steps, job.batch_size, job.steps, job.N, job.block_loss, job.blocks, job.S,
        job.squares, job.n_tasks, job.l2, job.per_sample, job.params, job.figures,
    )  # fmt: skip
