"""Numbers below the smallest normal one (1.2e-38 in float32) count as zero while a worker works.

The moments of units that died decay into them, and a processor takes up to a hundred times as long for each. A worker
asks its core for zeros when it begins and puts back what it found when it ends. Where the processor has no such mode
nothing is done.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

X86_BITS = 0x8040  # of MXCSR: results (FTZ) and operands (DAZ)
X86_FLAGS = 0x3F  # of MXCSR: what arithmetic has come across
ARM_BITS = 1 << 24  # of FPCR: FZ
WORD, LONG, NOTHING = ir.IntType(32), ir.IntType(64), ir.VoidType()
PLACE = ir.IntType(8).as_pointer()


def _call(builder, name, returns, *arguments):
    function_type = ir.FunctionType(returns, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


def _of_x86(builder, value):
    """MXCSR goes by way of memory."""
    place = cgutils.alloca_once_value(builder, builder.trunc(value, WORD))
    return place, builder.bitcast(place, PLACE)


def _get(builder):
    """The core's floating-point mode, int64."""
    family = builder.module.triple
    if family.startswith("x86_64"):
        place, argument = _of_x86(builder, LONG(0))
        _call(builder, "llvm.x86.sse.stmxcsr", NOTHING, argument)
        return builder.zext(builder.load(place), LONG)
    if family.startswith(("aarch64", "arm64")):
        return _call(builder, "llvm.aarch64.get.fpcr", LONG)
    return LONG(0)


def _set(builder, mode):
    family = builder.module.triple
    if family.startswith("x86_64"):
        _call(builder, "llvm.x86.sse.ldmxcsr", NOTHING, _of_x86(builder, mode)[1])
    elif family.startswith(("aarch64", "arm64")):
        _call(builder, "llvm.aarch64.set.fpcr", NOTHING, mode)


@intrinsic
def flush_subnormals(typingctx):
    """From here on they are zeros to this thread. The mode that `restore` puts back."""

    def codegen(context, builder, signature, args):
        before = _get(builder)
        bits = X86_BITS if builder.module.triple.startswith("x86_64") else ARM_BITS
        _set(builder, builder.or_(before, LONG(bits)))
        return before

    return types.int64(), codegen


@intrinsic
def restore(typingctx, mode):
    """Put back the mode that `flush_subnormals` found. Flags stay raised, as after all arithmetic: to lower them takes
    a core 50 ns, a quarter of a small network.
    """

    def codegen(context, builder, signature, args):
        mode = args[0]
        if builder.module.triple.startswith("x86_64"):
            mode = builder.or_(mode, builder.and_(_get(builder), LONG(X86_FLAGS)))
        _set(builder, mode)
        return context.get_dummy_value()

    return types.void(types.int64), codegen
