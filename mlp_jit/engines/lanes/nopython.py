"""What other people's compiled code runs, by its address: `forward_few` and `jacobian_row` on a stack of their own.

Nothing here makes an array, and nothing is written but what the caller hands over: any number of threads may use one
job.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..._jit import Size, routine, run
from ..plan import Plan
from .derivatives import job_of
from .few import CHUNK, forward_few, widest
from .job import FIELDS, Job, Record, layer_at
from .subnormals import flush_subnormals, restore

STACK = 2**16  # bytes of scratch that a call takes from its thread's stack
AT_ONCE = 8  # rows of a Jacobian that scratch of the caller's has room for


@intrinsic
def stack(typingctx):
    """The address of STACK bytes that are the function's until it returns."""

    def codegen(context, builder, signature, args):
        with builder.goto_entry_block():
            place = builder.alloca(ir.ArrayType(ir.IntType(8), STACK))
        place.align = 64
        return builder.ptrtoint(place, ir.IntType(64))

    return types.intp(), codegen


@routine
def predict_rows(job: Job, X: Size, rows: Size, scratch: Size, out: Size) -> None:
    """E1: the outputs for the rows of X; of scratch, room for job.room numbers, where the job is `wide`."""
    mode, place = flush_subnormals(), scratch if job.wide else stack()
    for n in range(0, rows, job.capacity):
        x, y = X + job.item * n * layer_at(job.layers, 1).n_in, out + job.item * n * layer_at(job.layers, job.top).n_out
        run(job.program, job, x, min(rows - n, job.capacity), place, y)
    restore(mode)


@routine
def differentiate_row(job: Job, x: Size, scratch: Size, out: Size, jacobian: Size) -> None:
    """E3: the outputs for x and their Jacobian; scratch as for `predict_rows`."""
    mode, place = flush_subnormals(), scratch if job.wide else stack()
    run(job.jacobian_row, job, x, place, 0, layer_at(job.layers, job.top).n_out, out, jacobian)
    restore(mode)


def nopython_job(plan: Plan) -> tuple[Record, int]:
    """The job for both, and the numbers of scratch that a caller has to bring along: 0 unless the job is `wide`."""
    job, size = job_of(plan), widest(plan)
    fixed, on_stack = int(job.numbers[FIELDS["fixed"]]), STACK // plan.dtype.itemsize
    one_row = max(5 * size + 2, fixed + 3 * size)  # of `forward_few`, of `jacobian_row`
    wide = one_row > on_stack
    at_once = 1 if wide else min(CHUNK, (on_stack - 2 * size - 2) // (3 * size))
    scratch = one_row + 3 * size * (AT_ONCE - 1) if wide else 0
    job.set(program=forward_few.address(), wide=wide, room=scratch or on_stack, capacity=at_once)
    return job, scratch
