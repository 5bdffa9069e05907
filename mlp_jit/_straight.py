"""Straight-line functions of numbers: no branch, no loop, and no compilation of their own.

What Numba compiles it types, lowers and makes a library of: 25 to 60 ms for however short a function. Arithmetic that
neither branches nor loops needs none of that. `straight_line` runs the Python function itself, once, with a `Value` in
the place of each number, and every operation on a value writes an LLVM instruction into the compiled code that calls
the function. Nothing is left to inline.

In such a function, constants are numbers of the dtype at hand (`number_of(x)(0.5)`: a literal would make float32
arithmetic float64), choices are `where`, `np.minimum` and `np.maximum`, and multiply-adds are `fma`.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from ._jit import kernel

TYPES: dict[type, ir.Type] = {
    np.float32: ir.FloatType(),
    np.float64: ir.DoubleType(),
    np.int32: ir.IntType(32),
    np.int64: ir.IntType(64),
}
KINDS = {llvm_type: kind for kind, llvm_type in TYPES.items()}


def _named(name: str) -> Callable:
    """LLVM's own function of this name, on numbers of one type."""

    def write(builder: ir.IRBuilder, *values: ir.Value) -> ir.Value:
        number = values[0].type
        function_type = ir.FunctionType(number, [number] * len(values))
        function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.{number.intrinsic_name}")
        return builder.call(function, values)

    return write


def _compared(operator: str) -> Callable:
    return lambda builder, x, y: builder.fcmp_ordered(operator, x, y)


def _chosen(operator: str) -> Callable:
    """As Python's min and max: x unless y is beyond it, so that a NaN in x stays."""
    return lambda builder, x, y: builder.select(builder.fcmp_ordered(operator, y, x), y, x)


REAL: dict[Any, Callable] = {
    np.add: ir.IRBuilder.fadd,
    np.subtract: ir.IRBuilder.fsub,
    np.multiply: ir.IRBuilder.fmul,
    np.divide: ir.IRBuilder.fdiv,
    np.negative: ir.IRBuilder.fneg,
    np.less: _compared("<"),
    np.equal: _compared("=="),
    np.greater: _compared(">"),
    np.greater_equal: _compared(">="),
    np.minimum: _chosen("<"),
    np.maximum: _chosen(">"),
    np.absolute: _named("fabs"),
    np.rint: _named("rint"),
    np.floor: _named("floor"),
    np.copysign: _named("copysign"),
}
WHOLE: dict[Any, Callable] = {
    np.subtract: ir.IRBuilder.sub,
    np.left_shift: ir.IRBuilder.shl,
    np.right_shift: ir.IRBuilder.ashr,
}


class Value(np.lib.mixins.NDArrayOperatorsMixin):
    """A number that compiled code will have. NumPy hands over what is done with it (`__array_ufunc__`)."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    @property
    def dtype(self) -> np.dtype:
        """NumPy's name of its type."""
        return np.dtype(KINDS[self.value.type])

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any) -> "Value":
        return self.written((WHOLE if self.dtype.kind == "i" else REAL)[ufunc], *inputs)

    def written(self, instruction: Callable, *inputs: Any) -> "Value":
        """What an instruction makes of these inputs, now written."""
        return Value(self.builder, instruction(self.builder, *map(_in_llvm, inputs)))

    def view(self, kind: type) -> "Value":
        """The same bits as another kind of number."""
        return Value(self.builder, self.builder.bitcast(self.value, TYPES[kind]))

    def astype(self, kind: type) -> "Value":
        """A whole number as a shorter one, or as a real one."""
        convert = self.builder.trunc if np.issubdtype(kind, np.integer) else self.builder.sitofp
        return Value(self.builder, convert(self.value, TYPES[kind]))


def _in_llvm(x: Any) -> ir.Value:
    """A value, or one of NumPy's numbers as a constant."""
    return x.value if isinstance(x, Value) else ir.Constant(TYPES[type(x)], x.item())


def number_of(x: Any) -> type:
    """NumPy's type of a number or value; a float of Python's is float64."""
    return x.dtype.type if hasattr(x, "dtype") else np.float64


def _or_written(instruction: Callable) -> Callable[[Callable], Callable]:
    """A function for Python's numbers that writes this instruction for values."""

    def decorate(plain: Callable) -> Callable:
        @functools.wraps(plain)
        def function(*inputs: Any) -> Any:
            value = next((x for x in inputs if isinstance(x, Value)), None)
            return plain(*inputs) if value is None else value.written(instruction, *inputs)

        return function

    return decorate


@_or_written(_named("fmuladd"))
def fma(x, y, z):
    """x y + z, rounded once where the CPU has an instruction for it; only compiled."""
    return x * y + z


@_or_written(ir.IRBuilder.select)
def where(condition, x, y):
    """x where the condition holds, else y."""
    return x if condition else y


def straight_line(function: Callable) -> Callable:
    """Make a function of numbers part of whatever compiled code calls it. From Python it gives the same bits.

    Its docstring carries the tag `math`. With NUMBA_DISABLE_JIT it runs as plain Python.
    """

    @functools.wraps(function)
    def scalar(*numbers: Any) -> Any:
        part = isinstance(numbers[0], Value)  # of another straight line
        return function(*numbers) if part else scalar.compiled(*numbers)  # type: ignore[attr-defined]

    def from_python(*numbers):
        """math: the function, for Python."""
        return scalar(*numbers)

    def type_of(*numbers: types.Type) -> types.Type:
        return numbers[0]

    type_of.pysig = inspect.signature(function)  # type: ignore[attr-defined]
    type_callable(scalar)(lambda context: type_of)

    @lower_builtin(scalar, types.VarArg(types.Float))
    def write(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return _in_llvm(function(*(Value(builder, x) for x in args)))

    from_python.__qualname__ = f"{function.__module__}.{function.__qualname__}"  # what its disk cache goes by
    scalar.compiled = function if numba.config.DISABLE_JIT else kernel(from_python)  # type: ignore[attr-defined]
    return scalar
