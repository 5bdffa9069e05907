"""How the workers of one parallel region go through the phases of an epoch together.

All of them run the same program. In each phase a worker claims tasks, first of its own share, whose numbers are in its
cache, then what is left of the others'; when none is left it waits until every claimed one is finished. Who comes late,
or never, has left the tasks to the rest: nobody waits for a worker that holds none. So it does not matter how many
threads the region really gets, and a phase ends in a fraction of a microsecond where a region of its own takes up to a
hundred. What a task computes does not depend on who does it.

The counters are int64, a cache line apart: the tasks finished since the call began, then for each share the phase
(times PHASE) plus the tasks claimed in it, so that a late worker's claim in a phase long past finds nothing.
"""

import ctypes
import sys

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..._jit import kernel

LINE = 16  # int64 in two cache lines, which processors fetch together
PHASE = 2**32
SPINS = 1000  # looks at a counter, some tens of µs, before a waiting worker offers its core to others
PAUSES = {
    "x86": ("llvm.x86.sse2.pause", []),
    "aarch64": ("llvm.aarch64.hint", [1]),
    "arm64": ("llvm.aarch64.hint", [1]),
}
GIVE_WAY = ctypes.CDLL("kernel32").SwitchToThread if sys.platform == "win32" else ctypes.CDLL(None).sched_yield


def give_way() -> int:
    """The address of the system's call that offers the core to other threads."""
    return ctypes.cast(GIVE_WAY, ctypes.c_void_p).value or 0


# --------------------------------------------------------------------------------------- one counter


@intrinsic
def read(typingctx, counters, p):
    """The counter counters[p], and all that was written before it was set."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(builder.gep(args[0], [args[1]]), "acquire", 8)

    return types.int64(counters, types.intp), codegen


@intrinsic
def add_one(typingctx, counters, p):
    """Count counters[p] up, after all that this worker has written."""

    def codegen(context, builder, signature, args):
        one = ir.Constant(ir.IntType(64), 1)
        builder.atomic_rmw("add", builder.gep(args[0], [args[1]]), one, "acq_rel")
        return context.get_dummy_value()

    return types.void(counters, types.intp), codegen


@intrinsic
def replace(typingctx, counters, p, old, new):
    """Set counters[p] to new if it is old, and say whether it was."""

    def codegen(context, builder, signature, args):
        place = builder.gep(args[0], [args[1]])
        return builder.extract_value(builder.cmpxchg(place, args[2], args[3], "acq_rel", "acquire"), 1)

    return types.boolean(counters, types.intp, types.int64, types.int64), codegen


@intrinsic
def pause(typingctx):
    """A moment in which the processor's other thread may go on, where there is one and an instruction for it."""

    def codegen(context, builder, signature, args):
        for family, (name, numbers) in PAUSES.items():
            if builder.module.triple.startswith(family):
                values = [ir.Constant(ir.IntType(32), number) for number in numbers]
                function_type = ir.FunctionType(ir.VoidType(), [value.type for value in values])
                builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), values)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def call_system(typingctx, address):
    """Call the system's function at this address, which takes nothing."""

    def codegen(context, builder, signature, args):
        function_type = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.inttoptr(args[0], function_type.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


# --------------------------------------------------------------------------------------- a phase


@kernel
def next_task(counters, phase, tasks, workers, w):
    """layout: claim one of `tasks` in this phase for worker w: its number, or −1 where all are claimed."""
    for turn in range(workers):
        share = (w + turn) % workers
        first, count, p = share * tasks // workers, (share + 1) * tasks // workers, (1 + share) * LINE
        count -= first
        while True:
            seen = read(counters, p)
            claimed = max(0, seen - phase * PHASE)
            if claimed >= count:
                break
            if replace(counters, p, seen, phase * PHASE + claimed + 1):
                return first + claimed
    return np.int64(-1)


@kernel
def finish(counters):
    """layout: a claimed task is done."""
    add_one(counters, 0)


@kernel
def wait(counters, finished, give_way):
    """layout: until so many tasks are finished since the call began; returns their number."""
    spins = 0
    while read(counters, 0) < finished:
        pause()
        spins += 1
        if spins > SPINS:
            call_system(give_way)
    return finished
