"""What a worker does: pack after pack, all steps of a call; each step E1 to E6 as the textbook has them, for as many
networks as there are lanes.

Between two calls every member has its own numbers: a pack is laced when its turn comes, in the worker's room, and
unlaced in the end. `room` is where that begins; places there are the job's fields.
"""

from ..._jit import Size, inlined, routine, run
from ..contract import FIGURES
from ..lanes.job import WORD, integers, layer_at, task_at
from ..lanes.subnormals import flush_subnormals, restore
from ..lanes.team import next_task
from .job import Job, member_at


@inlined
def longest_batch(job, room):
    """layout: the most samples that any lane has in this step."""
    most_used, used = 0, integers(room + job.used)
    for k in range(job.lanes):
        most_used = max(most_used, used[k])
    return most_used


@routine
def work(job: Job, w: Size) -> None:
    """layout: packs, until none is left, as worker w. Owns its room, and the networks of its packs."""
    mode, counters = flush_subnormals(), integers(job.counters)
    pack = next_task(counters, 0, job.packs, job.workers, w)
    while pack >= 0:
        run(job.pack_task, job, pack * job.lanes, job.room + w * job.room_bytes)
        pack = next_task(counters, 0, job.packs, job.workers, w)
    restore(mode)


@routine
def train_pack(job: Job, pack: Size, room: Size) -> None:
    """E6: all steps of the networks from `pack` on."""
    run(job.lace, job, pack, room, 1)
    for step in range(job.steps):
        run(job.plan_step, job, pack, step, room)
        run(job.start_gradient, job, pack, room)
        most_used = longest_batch(job, room)
        for n_0 in range(0, most_used, job.rows):
            rows = min(job.rows, most_used - n_0)
            run(job.load, job, pack, n_0, rows, room)
            run(job.forward, job, pack, step, rows, room)
            run(job.backward, job, pack, step, n_0, rows, n_0 + rows >= most_used, room)
        run(job.update, job, pack, step, room)
    run(job.unlace, job, pack, room)


@routine
def evaluate_pack(job: Job, pack: Size, room: Size) -> None:
    """E2: the outputs of all samples of the networks from `pack` on, and their losses."""
    run(job.lace, job, pack, room, 0)
    run(job.plan_step, job, pack, 0, room)
    most_used, lanes = longest_batch(job, room), job.lanes
    mine = min(lanes, job.count - pack)
    output = layer_at(job.layers, job.top)
    for n_0 in range(0, most_used, job.rows):
        rows = min(job.rows, most_used - n_0)
        run(job.load, job, pack, n_0, rows, room)
        run(job.forward, job, pack, 0, rows, room)
        run(job.judge, job, n_0, rows, n_0 + rows >= most_used, room)
        a = room + job.a + job.item * output.unit * rows * lanes
        for k in range(mine):
            used, out = integers(room + job.used)[k] - n_0, member_at(job.members, pack + k).out
            if used > 0:
                run(job.write_outputs, a, output.n_out, rows, min(used, rows), k, out + job.item * n_0 * output.n_out)
    run(job.report, job, pack, 0, room)


# --------------------------------------------------------------------------------------- before and after the steps


@routine
def lace(job: Job, pack: Size, room: Size, trains: Size) -> None:
    """layout: θ and, where it trains, the moments of a pack's networks, side by side; where their X and y begin."""
    starts = integers(room + job.starts)
    for k in range(job.lanes):
        member = member_at(job.members, pack + k)
        starts[k], integers(room + job.X)[k], integers(room + job.y_k)[k] = member.params, member.X, member.y
    run(job.lace_numbers, room + job.starts, job.n_params, room + job.theta, 0)
    if trains:
        for k in range(job.lanes):
            starts[k] = member_at(job.members, pack + k).m
        run(job.lace_numbers, room + job.starts, job.n_params, room + job.m, 0)
        if job.v != job.m:
            for k in range(job.lanes):
                starts[k] = member_at(job.members, pack + k).v
            run(job.lace_numbers, room + job.starts, job.n_params, room + job.v, 0)


@routine
def unlace(job: Job, pack: Size, room: Size) -> None:
    """layout: θ and the moments back to the networks."""
    for k in range(min(job.lanes, job.count - pack)):
        member = member_at(job.members, pack + k)
        run(job.unlace_numbers, room + job.theta, k, job.n_params, job.item * member.params)
        run(job.unlace_numbers, room + job.m, k, job.n_params, job.item * member.m)
        if job.v != job.m:
            run(job.unlace_numbers, room + job.v, k, job.n_params, job.item * member.v)


# --------------------------------------------------------------------------------------- a step


@routine
def plan_step(job: Job, pack: Size, step: Size, room: Size) -> None:
    """E6: of each lane its batch, N, λ and the optimizer's coefficients."""
    mine, used, first = min(job.lanes, job.count - pack), integers(room + job.used), integers(room + job.first)
    epoch, start = step // job.epoch_steps, step % job.epoch_steps * job.batch_size
    for k in range(job.lanes):
        member, N = member_at(job.members, pack + k), room + job.N + WORD * k
        used[k] = min(job.batch_size, member.samples - start)
        first[k] = member.order + WORD * (epoch * member.stride + start)
        integers(room + job.loss)[k] = 0
        integers(room + job.block_loss)[k] = 0
        integers(room + job.squares)[k] = 0
        if not job.weighted:
            run(job.count_samples, used[k], k, room + job.N, room + job.share)
        elif job.steps:
            run(job.weigh, member.sample_weight, first[k], used[k], N)
        else:
            run(job.copy_number, member.figures, N)
        if job.penalises:
            run(job.penalty_of, member.l2, job.per_sample, N, k, room + job.lambdas)
        if job.steps:
            rate, t = member.rates + WORD * step, member.t + step + 1
            if k < mine:
                run(job.coefficients, member.settings, member.decay, rate, t, room + job.c_lane, k, room + job.c)
            else:
                run(job.copy_lane, room + job.c, mine - 1, k)


@routine
def start_gradient(job: Job, pack: Size, room: Size) -> None:
    """E4: of the gradient what needs no sample, and Σ w² of each lane where that counts."""
    lanes, item, theta, g = job.lanes, job.item, room + job.theta, room + job.g
    if not job.penalises:
        run(job.start_at_zero, g, job.n_params)
        return
    for task in range(job.n_tasks):
        mine = task_at(job.tasks, task)
        layer = layer_at(job.layers, mine.layer)
        place = item * lanes * (layer.weights + mine.first * layer.n_out)
        penalised = (min(mine.last, layer.n_in) - mine.first) * layer.n_out
        count = (mine.last - mine.first) * layer.n_out
        run(job.penalise, theta + place, penalised, count, room + job.lambdas, g + place)
        sums = room + job.fold, room + job.of_task, room + job.squares
        run(job.squares_of, theta + place, penalised, sums[0], sums[1], sums[2])


@routine
def load(job: Job, pack: Size, n_0: Size, rows: Size, room: Size) -> None:
    """layout: the samples n_0, … of each lane's batch: X, y, rows of the data set, weights over N."""
    inputs, outputs = layer_at(job.layers, 0).n_out, layer_at(job.layers, job.top).n_out
    lanes, ids, starts = job.lanes, room + job.ids, room + job.starts
    run(job.load_rows, room + job.first, room + job.used, n_0, rows, lanes, ids)
    run(job.start_rows, ids, room + job.X, inputs, rows, lanes, starts)
    run(job.gather, starts, rows, inputs, 0, room + job.h)
    run(job.start_rows, ids, room + job.y_k, outputs, rows, lanes, starts)
    run(job.gather, starts, rows, outputs, 0, room + job.y)
    if not job.weighted:
        run(job.weigh_columns, room + job.used, n_0, rows, lanes, room + job.share, room + job.weight)
        return
    for k in range(lanes):
        sample_weight, used = member_at(job.members, pack + k).sample_weight, integers(room + job.used)[k]
        run(job.weigh_lane, sample_weight, ids, used, n_0, rows, k, room + job.N, room + job.weight)


@routine
def forward(job: Job, pack: Size, step: Size, rows: Size, room: Size) -> None:
    """E1: all layers of a block."""
    item, lanes = job.item, job.lanes
    row = item * rows * lanes  # bytes of a unit
    for l in range(1, job.top + 1):
        layer, inputs = layer_at(job.layers, l), layer_at(job.layers, l - 1)
        W, b = room + job.theta + item * lanes * layer.weights, room + job.theta + item * lanes * layer.biases
        here = room + row * layer.unit
        z, a, h = here + job.z, here + job.a, here + job.h
        run(job.forward_layer, W, b, layer.n_in, layer.n_out, room + job.h + row * inputs.unit, z, rows)
        if layer.softmax:
            run(layer.activate, z, a, room + job.top_z, room + job.total, layer.n_out, rows * lanes)
        else:
            run(layer.activate, z, a, layer.n_out * rows * lanes)
        if job.drops and l < job.top:
            run(job.drop_layer, job, pack, step, l, rows, a, h, room)


@routine
def drop_layer(job: Job, pack: Size, step: Size, l: Size, rows: Size, a: Size, h: Size, room: Size) -> None:
    """E1: dropout of layer l; E3 where a and h are δ."""
    for k in range(job.lanes):
        member = member_at(job.members, pack + k)
        t = member.t + step + 1
        run(job.drop_lane, member.seed, t, l, member.dropout, k, room + job.keys, room + job.p_drop)
    run(
        job.drop, room + job.ids, room + job.keys, room + job.p_drop, room + job.fates, room + job.bounds,
        room + job.scales, a, h, layer_at(job.layers, l).n_out, rows,
    )  # fmt: skip


@routine
def judge(job: Job, n_0: Size, rows: Size, last: Size, room: Size) -> None:
    """E2: δ of the output layer times its weight, and each lane's loss."""
    output, row = layer_at(job.layers, job.top), job.item * rows * job.lanes
    z, a = room + job.z + row * output.unit, room + job.a + row * output.unit
    run(
        job.loss_of, job.loss_parameters, z, a, room + job.y, room + job.weight, room + job.top_z, room + job.total,
        room + job.delta, room + job.ell, output.n_out, rows * job.lanes, 0, room + job.fold,
    )  # fmt: skip
    run(
        job.add_losses, room + job.weight, room + job.ell, room + job.used, n_0, rows, job.S, last,
        room + job.block_loss, room + job.loss,
    )  # fmt: skip


@routine
def backward(job: Job, pack: Size, step: Size, n_0: Size, rows: Size, last: Size, room: Size) -> None:
    """E3: after E2, layer by layer; E4 and E5 of each before it."""
    item, lanes = job.item, job.lanes
    row, g = item * rows * lanes, room + job.g
    run(job.judge, job, n_0, rows, last, room)
    delta_j, delta_i = room + job.delta, room + job.delta + job.half
    for l in range(job.top, 0, -1):
        layer, inputs = layer_at(job.layers, l), layer_at(job.layers, l - 1)
        W = item * lanes * layer.weights
        h_i = room + job.h + row * inputs.unit
        run(job.weight_gradient, h_i, layer.n_in, delta_j, layer.n_out, rows, g + W)
        run(job.weight_gradient, room + job.one, 1, delta_j, layer.n_out, rows, g + item * lanes * layer.biases)
        if l > 1:
            z_i, a_i = room + job.z + row * inputs.unit, room + job.a + row * inputs.unit
            run(job.hidden_delta, room + job.theta + W, layer.n_in, layer.n_out, delta_j, delta_i, rows)
            run(inputs.slope, z_i, a_i, delta_i, layer.n_in * rows * lanes)
            if job.drops:
                run(job.drop_layer, job, pack, step, l - 1, rows, delta_i, delta_i, room)
            delta_j, delta_i = delta_i, delta_j


@routine
def update(job: Job, pack: Size, step: Size, room: Size) -> None:
    """E6: the gradient clipped as each lane asks for, the optimizer's step, and what the step came to."""
    g, lanes = room + job.g, job.lanes
    if job.clips:
        for k in range(lanes):
            run(job.clip, g, job.n_params, k, member_at(job.members, pack + k).clip_value)
    run(job.report, job, pack, step, room)
    if job.by_norm:
        for k in range(lanes):
            integers(room + job.squares)[k] = 0
        for task in range(job.n_tasks):
            mine = task_at(job.tasks, task)
            layer = layer_at(job.layers, mine.layer)
            place = job.item * lanes * (layer.weights + mine.first * layer.n_out)
            count = (mine.last - mine.first) * layer.n_out
            sums = room + job.fold, room + job.of_task, room + job.squares
            run(job.squares_of, g + place, count, sums[0], sums[1], sums[2])
        for k in range(lanes):
            clip_norm = member_at(job.members, pack + k).clip_norm
            run(job.shrink_by_norm, room + job.squares, clip_norm, k, room + job.shrink)
        run(job.scale, g, job.n_params, room + job.shrink)
    run(job.optimizer_step, room + job.theta, g, room + job.m, room + job.v, room + job.c, job.n_params)


@routine
def report(job: Job, pack: Size, step: Size, room: Size) -> None:
    """E2: what a step came to, to each network's figures."""
    for k in range(min(job.lanes, job.count - pack)):
        figures = member_at(job.members, pack + k).figures + WORD * FIGURES * step
        run(
            job.figure, room + job.N, room + job.loss, room + job.squares, room + job.lambdas, job.penalises, k,
            figures,
        )  # fmt: skip
