"""What each worker does with a job: the program of an epoch, and that of an evaluation.

All workers run the same program, phase after phase. A phase is a number of tasks, which they share (`team.py`), and a
routine that does one of them (`phases.py`).
"""

from ..._jit import Size, routine, run
from .job import Job, integers
from .phases import batch_of, blocks_of
from .subnormals import flush_subnormals, restore
from .team import finish, next_task, wait


@routine
def go_alone(job: Job, phase: Size, tasks: Size, step: Size, chunk: Size, cut: Size, done: Size, w: Size) -> None:
    """layout: all tasks of one phase."""
    for task in range(tasks):
        run(phase, job, step, chunk, cut, task, w)


@routine
def go_together(job: Job, phase: Size, tasks: Size, step: Size, chunk: Size, cut: Size, done: Size, w: Size) -> None:
    """layout: one phase as worker w, `done` tasks having been finished before it; it ends when all of its own are."""
    counters = integers(job.counters)
    task = next_task(counters, done, tasks, job.workers, w)
    while task >= 0:
        run(phase, job, step, chunk, cut, task, w)
        finish(counters)
        task = next_task(counters, done, tasks, job.workers, w)
    wait(counters, done + tasks, job.give_way)


@routine
def train(job: Job, w: Size) -> None:
    """E6: a step for each batch of the order, as worker w; where nothing updates, the gradient of the batch."""
    mode = flush_subnormals()
    go, done = job.go, 0
    run(go, job, job.plan, 1, 0, 0, 0, done, w)
    run(go, job, job.pack, job.n_tasks, 0, 0, 0, done + 1, w)
    done += 1 + job.n_tasks
    for step in range(job.steps):
        start, stop = batch_of(job, step)
        chunks = (stop - start + job.capacity - 1) // job.capacity
        for chunk in range(chunks):
            rows = min(stop - start - chunk * job.capacity, job.capacity)
            groups = (blocks_of(job, rows) + job.group - 1) // job.group
            for cut in range(2 * job.n_cuts - 3):  # forward to the last cut, and back
                if cut > 0:
                    run(go, job, job.cut, 1, step, chunk, cut - 1, done, w)
                    done += 1
                tasks = groups + (job.sparse if cut == 0 else 0)
                run(go, job, job.samples_task, tasks, step, chunk, cut, done, w)
                done += tasks
            run(go, job, job.weights, job.n_tasks, step, chunk, 0, done, w)
            done += job.n_tasks
        if job.norm_first:
            run(go, job, job.weights, job.n_tasks, step, chunks, 0, done, w)
            done += job.n_tasks
    run(go, job, job.losses, 1, 0, 0, 0, done, w)
    restore(mode)


@routine
def evaluate(job: Job, w: Size) -> None:
    """E2: the outputs of all samples and, where there is y, Σ weight ℓ/N of each block, as worker w."""
    mode = flush_subnormals()
    go, done = job.go, job.n_tasks
    run(go, job, job.pack, job.n_tasks, 0, 0, 0, 0, w)
    if job.know_moments:
        run(go, job, job.know_moments, 1, 0, 0, 0, done, w)
        done += 1
    groups = (blocks_of(job, job.samples) + job.group - 1) // job.group
    run(go, job, job.samples_task, groups, 0, 0, 0, done, w)
    restore(mode)
