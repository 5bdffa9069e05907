"""∂ŷ_k/∂x_i of one sample, by the chain rule in the order that needs fewer multiply-adds.

Layer l takes h of the layer before through W, then through D: φ'(z_j) for each unit, where it is normalised γ_j r φ';
by layer the means come off, too (E8), and a softmax has D_km = a_k ([k = m] − a_m). *From the inputs*, a row is ∂h/∂x_i
for one i, and goes through W as a sample does (E1), then D, layer by layer. *From the outputs*, a row is ∂ŷ_k/∂h for
one k, and goes back through D, then W (E3). A lane is a unit; rows are as many at a time as scratch has room for.
"""

from itertools import pairwise

import numpy as np

from ..._jit import Crossing, Place, Size, call, kernel, routine, run, run_by_all, threads
from ..layout import LAYER as BY_LAYER
from ..layout import PHI
from ..plan import Plan
from . import normal_blocks, routines
from .few import CHUNK, Predictor, layer_few, widest
from .job import FIELDS, LAYER, Job, Record, address_of, job_at, layer_at
from .simd import at, lanes, square_fma, square_sums, square_zero
from .subnormals import flush_subnormals, restore

PARALLEL_WORK = 200_000  # multiply-adds from which threads are used; an estimate


# --------------------------------------------------------------------------------------- rows


@routine
def backward_rows(W: Place, n_in: Size, n_out: Size, delta: Place, out: Place, rows: Size) -> None:
    """E3: Σ_j w_ij δ_j for each row. W (n_in, n_out), delta (rows, n_out); out (rows, n_in) is written."""
    L = lanes(W)
    for i in range(0, n_in, L):
        units, W_i = min(n_in - i, L), at(W, i * n_out)
        for n in range(rows):
            sums = square_zero(W)
            for j in range(0, n_out, L):
                sums = square_fma(sums, W_i, j, n_out, units, delta, n * n_out + j, min(n_out - j, L))
            square_sums(sums, out, n * n_in + i, units)


@routine
def start_rows(delta: Place, first: Size, outputs: Size, rows: Size) -> None:
    """E2: δ_m = [k = m] for row after row, k = first, first + 1, …"""
    for n in range(rows):
        for m in range(outputs):
            delta[n * outputs + m] = 1 if m == first + n else 0


@routine
def scale_rows(delta: Place, scale: Place, units: Size, rows: Size) -> None:
    """E3: δ_j times φ'(z_j), or what else each unit has, in each row."""
    for n in range(rows):
        for j in range(units):
            delta[n * units + j] *= scale[j]


@routine
def center_rows(delta: Place, normal: Place, units: Size, rows: Size) -> None:
    """E8: r (e_j − ⟨e⟩ − ŝ_j ⟨e ŝ⟩) for e_j in each row; r lies behind ŝ."""
    share, inv_std = type(delta[0])(1 / units), normal[units]
    for n in range(rows):
        e, total, total_normal = at(delta, n * units), type(share)(0), type(share)(0)
        for j in range(units):
            total += e[j]
            total_normal += e[j] * normal[j]
        mean, mean_normal = total * share, total_normal * share
        for j in range(units):
            e[j] = inv_std * (e[j] - mean - normal[j] * mean_normal)


@routine
def softmax_rows(delta: Place, a: Place, units: Size, rows: Size) -> None:
    """E3: a_k (δ_k − Σ_m a_m δ_m) in each row."""
    for n in range(rows):
        e, total = at(delta, n * units), type(a[0])(0)
        for m in range(units):
            total += a[m] * e[m]
        for k in range(units):
            e[k] = a[k] * (e[k] - total)


@routine
def turn_rows(
    rows: Place, inputs: Size, outputs: Size, first: Size, count: Size, jacobian: Place, stride: Size
) -> None:
    """layout: jacobian[k, i] = rows[i, first + k] for `count` outputs."""
    for k in range(count):
        for i in range(inputs):
            jacobian[k * stride + i] = rows[i * outputs + first + k]


# --------------------------------------------------------------------------------------- one sample

# Scratch: z and twice a, in turns; φ' of all units; ŝ and r of all layers, where there are any; three times some rows.


@routine
def jacobian_row(job: Job, x: Size, scratch: Size, first: Size, count: Size, out: Size, jacobian: Size) -> None:
    """E3: ∂ŷ_k/∂x_i (count, inputs) of outputs `first` and on, and all ŷ, of the sample x."""
    find_slopes(job, x, scratch, out)
    if job.by_inputs <= job.by_outputs * count:
        from_inputs(job, scratch, first, count, out, jacobian)
    else:
        from_outputs(job, scratch, first, count, out, jacobian)


@kernel
def place_of(job, l, scratch):
    """layout: where φ' of layer l lies, and its ŝ."""
    before = layer_at(job.layers, l).unit - layer_at(job.layers, 1).n_in
    slopes = scratch + job.item * (3 * job.size + before)
    return slopes, slopes + job.item * (job.units + l)


@kernel
def find_slopes(job, x, scratch, out):
    """E1: `forward_few` for one sample, which leaves φ'(z_j) of all units, times γ_j and by batch r, and ŝ."""
    z, h, item = scratch, x, job.item
    for l in range(1, job.top + 1):
        layer, units = layer_at(job.layers, l), layer_at(job.layers, l).n_out
        a = out if l == job.top else scratch + item * job.size * (1 + (l & 1))
        slopes, normal = place_of(job, l, scratch)
        layer_few(job, l, h, 1, z, a, normal)
        normalized = layer.batch + layer.layer > 0
        run(job.move, job.params + item * layer.gains if normalized else job.one, slopes, units)
        if layer.softmax == 0:
            run(layer.slope, z, a, slopes, units)
        if layer.batch:
            run(job.scale_rows, slopes, normal + item * (units + 1), units, 1)
        if layer.skips:
            run(job.add, a, h, a, units)
        h = a


@kernel
def through_slopes(job, l, scratch, out, delta, rows, back):
    """E3: each row times D of layer l, or `back`, times D transposed."""
    layer, units = layer_at(job.layers, l), layer_at(job.layers, l).n_out
    slopes, normal = place_of(job, l, scratch)
    if layer.softmax and back:
        run(job.softmax_rows, delta, out, units, rows)
    if layer.layer and not back:
        run(job.center_rows, delta, normal, units, rows)
    run(job.scale_rows, delta, slopes, units, rows)
    if layer.layer and back:
        run(job.center_rows, delta, normal, units, rows)
    if layer.softmax and not back:
        run(job.softmax_rows, delta, out, units, rows)


@kernel
def rows_at_once(job):
    """layout: how many rows there is room for."""
    return (job.room - job.fixed) // (3 * job.size)


@kernel
def from_inputs(job, scratch, first, count, out, jacobian):
    """E3: ∂ŷ_k/∂x_i, all k for some i at a time; W of the first layer has their rows as they are."""
    inputs, outputs, item = layer_at(job.layers, 1).n_in, layer_at(job.layers, job.top).n_out, job.item
    for i in range(0, inputs, rows_at_once(job)):
        rows = min(inputs - i, rows_at_once(job))
        here, there = scratch + item * job.fixed, scratch + item * (job.fixed + rows * job.size)
        for l in range(1, job.top + 1):
            layer = layer_at(job.layers, l)
            W = job.params + item * layer.weights
            if l == 1:
                run(job.move, W + item * i * layer.n_out, there, rows * layer.n_out)
            else:
                run(job.forward_layer, W, job.zero, layer.n_in, layer.n_out, here, there, rows)
            through_slopes(job, l, scratch, out, there, rows, False)
            if layer.skips:
                run(job.add, there, here, there, rows * layer.n_out)
            here, there = there, here
        run(job.turn_rows, here, rows, outputs, first, count, jacobian + item * i, inputs)


@kernel
def from_outputs(job, scratch, first, count, out, jacobian):
    """E3: ∂ŷ_k/∂x_i, all i for some k at a time."""
    inputs, outputs, item = layer_at(job.layers, 1).n_in, layer_at(job.layers, job.top).n_out, job.item
    for k in range(0, count, rows_at_once(job)):
        rows = min(count - k, rows_at_once(job))
        room = item * rows * job.size
        here = scratch + item * job.fixed
        there, delta = here + room, here + 2 * room
        run(job.start_rows, here, first + k, outputs, rows)
        for l in range(job.top, 0, -1):
            layer = layer_at(job.layers, l)
            if l == 1:
                there = jacobian + item * k * inputs
            run(job.move, here, delta, rows * layer.n_out)
            through_slopes(job, l, scratch, out, delta, rows, True)
            run(job.backward_rows, job.params + item * layer.weights, layer.n_in, layer.n_out, delta, there, rows)
            if layer.skips:
                run(job.add, there, here, there, rows * layer.n_in)
            here, there = there, here


# --------------------------------------------------------------------------------------- from Python


@routine
def jacobian_worker(job: Job, worker: Size) -> None:
    """E3: `jacobian_row` for a worker's share of the samples."""
    inputs, outputs, mode = layer_at(job.layers, 1).n_in, layer_at(job.layers, job.top).n_out, flush_subnormals()
    scratch = job.g + job.item * job.room * worker
    for n in range(worker * job.samples // job.workers, (worker + 1) * job.samples // job.workers):
        x, out = job.X + job.item * n * inputs, job.out + job.item * n * outputs
        jacobian = job.jacobian + job.item * n * job.n_outputs * inputs
        run(job.jacobian_row, job, x, scratch, job.first_output, job.n_outputs, out, jacobian)
    restore(mode)


@kernel
def work_alone(record):
    """layout: the program of the job of this record, for one worker after the other."""
    job = job_at(address_of(record), 0)
    for worker in range(job.workers):
        run(job.program, job, worker)


@kernel
def work_together(record):
    """layout: the same for all workers at once."""
    job = job_at(address_of(record), 0)
    run_by_all(job.program, job, job.workers)


work = Crossing(work_alone, work_together)


def job_of(plan: Plan) -> Record:
    """A job for `forward_few` and `jacobian_row`, where scratch has as yet no room."""
    job, sizes, normalized = Predictor(plan).job, plan.sizes, any(plan.kinds)
    records = job.arrays["layers"].view(LAYER)[:, 0]
    for l, phi in enumerate(plan.table[1:, PHI].tolist(), start=1):
        if not records["softmax"][l]:
            records["slope"][l] = routines.slope(phi).address(plan.dtype)
    job.keep(one=np.ones(widest(plan), plan.dtype))
    products = [n_in * n_out for n_in, n_out in pairwise(sizes)]
    size, units, top = widest(plan), sum(sizes[1:]), len(sizes) - 1
    job.set(
        by_inputs=sizes[0] * sum(products[1:]), by_outputs=sum(products), units=units,
        fixed=3 * size + units + (units + top + size + 2 if normalized else 0),
        move=normal_blocks.move.address(plan.dtype), jacobian_row=jacobian_row.address(),
    )  # fmt: skip
    rows = {"backward_rows": backward_rows, "start_rows": start_rows, "scale_rows": scale_rows, "turn_rows": turn_rows}
    if BY_LAYER in plan.kinds:
        rows["center_rows"] = center_rows
    if plan.output == "softmax":
        rows["softmax_rows"] = softmax_rows
    job.set(**{name: of_rows.address(plan.dtype) for name, of_rows in rows.items()})
    return job


def jacobian(plan: Plan, X: np.ndarray, outputs: range, *, n_threads: int | None = None) -> np.ndarray:
    """∂ŷ_k/∂x_i of these outputs for X, see `contract.Engine`."""
    job, rows, inputs = job_of(plan), *X.shape
    one_row = min(int(job.numbers[FIELDS["by_inputs"]]), len(outputs) * int(job.numbers[FIELDS["by_outputs"]]))
    workers = threads(n_threads) if rows * one_row >= PARALLEL_WORK else 1
    room = int(job.numbers[FIELDS["fixed"]]) + 3 * widest(plan) * min(CHUNK, max(inputs, len(outputs)))
    result = np.empty((rows, len(outputs), inputs), plan.dtype)
    job.keep(
        X=X, out=np.empty((rows, plan.sizes[-1]), plan.dtype), jacobian=result, g=np.empty(workers * room, plan.dtype)
    )
    job.set(
        program=jacobian_worker.address(), samples=rows, workers=workers, room=room, first_output=outputs.start,
        n_outputs=len(outputs),
    )  # fmt: skip
    call(work, job.numbers, n_threads=n_threads, parallel=workers > 1)
    return result
