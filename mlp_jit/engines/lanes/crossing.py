"""Where Python meets compiled code: a job's record is completed by what a call brings, and its program runs."""

from ..._jit import Crossing, inlined, kernel, run, run_by_all
from .job import address_of, integers, job_at
from .team import LINE


@inlined
def completed(record, order, places, epoch, rates, figures, t, workers):
    """layout: the job of this record (int64), for the samples of `order`, in epochs of so many, and a step for each of
    `rates`.
    """
    job = job_at(address_of(record), 0)
    job.order, job.places, job.samples = address_of(order), address_of(places), order.size
    job.epoch, job.epoch_steps = epoch, (epoch + job.batch_size - 1) // job.batch_size
    job.rates, job.steps, job.figures = address_of(rates), rates.size, address_of(figures)
    job.t, job.workers = t, workers
    if workers > 1:
        counters = integers(job.counters)
        for k in range((1 + workers) * LINE):
            counters[k] = 0
    return job


@kernel
def enter_alone(record, order, places, epoch, rates, figures, t, workers):
    """layout: the job's program, by one worker."""
    job = completed(record, order, places, epoch, rates, figures, t, workers)
    run(job.program, job, 0)


@kernel
def enter_together(record, order, places, epoch, rates, figures, t, workers):
    """layout: the job's program, by all workers."""
    job = completed(record, order, places, epoch, rates, figures, t, workers)
    run_by_all(job.program, job, workers)


enter = Crossing(enter_alone, enter_together)
