"""A user's own scalar functions: looked at when they are given, compiled by themselves, and run by their address.

A built-in φ or ℓ has a small number, its code, by which kernels branch. The code of a user's own is an address, that of
a few words which say where its routines lie. So no kernel that runs them is compiled again. They are not kept on disk,
and go when the last that names them goes.
"""

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import Routine, kernel, write_run

PROBES = (-3.1, -1.7, -0.6, -0.01, 0.0, 0.02, 0.7, 1.3, 2.9)  # where functions are looked at
STEP, TOLERANCE = 1e-5, 1e-3  # of a difference, and how far it may lie from a slope: of 1, or of the slope
WORDS = 2  # for each routine: of float32 and of float64


class Routines:
    """Compiled code runs these by `code`, where `ready` has made them; plain Python (NUMBA_DISABLE_JIT) runs `plain`.

    The code is odd where they have a `mark`.
    """

    def __init__(self, routines: Sequence[Routine], plain: Sequence[Callable], *, mark: bool = False) -> None:
        self.routines, self.plain = tuple(routines), tuple(plain)
        self.words = np.zeros(WORDS * len(routines), np.int64)
        self.code = self.words.ctypes.data + mark  # words start at multiples of 8
        KNOWN[self.code] = self

    def ready(self, what: str, dtype: np.dtype) -> int:
        """Compile them for numbers of this dtype; the code. TypeError where Numba cannot."""
        if not numba.config.DISABLE_JIT:
            for k, routine in enumerate(self.routines):
                try:
                    self.words[WORDS * k + (dtype == np.float64)] = routine.address(np.dtype(dtype))
                except Exception as error:  # inference may raise anything
                    raise TypeError(f"{what}: Numba cannot compile it for {dtype}\n{error}") from None
        return self.code


KNOWN: WeakValueDictionary[int, Routines] = WeakValueDictionary()


@intrinsic(prefer_literal=True)
def _run_own(typingctx, code, which, n, arrays):
    dtype, routine = arrays[0].dtype, which.literal_value
    assert all(array.dtype == dtype for array in arrays)
    taken = [types.CPointer(dtype)] * len(arrays) + [types.intp]

    def codegen(context, builder, signature, args):
        code, _, n, arrays_ = args
        word = builder.inttoptr(builder.and_(code, code.type(-8)), ir.IntType(64).as_pointer())
        place = ir.Constant(ir.IntType(64), WORDS * routine + (dtype == types.float64))
        address = builder.load(builder.gep(word, [place]))
        values = []
        for kind, value in zip(arrays, cgutils.unpack_tuple(builder, arrays_), strict=True):
            array = context.make_array(kind)(context, builder, value)
            values.append(cgutils.get_item_pointer(context, builder, kind, array, [n, n.type(0)]))
        values.append(cgutils.unpack_tuple(builder, array.shape)[1])
        write_run(context, builder, address, taken, values)
        return context.get_dummy_value()

    return types.void(types.int64, which, types.intp, arrays), codegen


def _run_plain(code, which, n, arrays):
    KNOWN[code].plain[which](*(array[n] for array in arrays))


run_own = _run_plain if numba.config.DISABLE_JIT else _run_own
"""Run a routine of the user's own of this code on row n of each array (N, units): on all units of it."""


@kernel
def _first(code, n, arrays):
    """layout: the first routine, for Python. Owns what the routine writes."""
    run_own(code, 0, n, arrays)


@kernel
def _second(code, n, arrays):
    """layout: the second routine, for Python. Owns what the routine writes."""
    run_own(code, 1, n, arrays)


def run_from_python(code: int, which: int, n: int, arrays: tuple) -> None:
    """`run_own`, which only compiled code can run."""
    (_first, _second)[which](code, n, arrays)


def check_slope(what: str, value: Callable, slope: Callable, x: Sequence[float] = PROBES) -> None:
    """ValueError, which says where, unless `slope(x)` is what `value(x)` changes by: at a kink, anything between the
    slopes on its two sides. TypeError where one of them does not give a number.
    """
    for at in x:
        left, here, right = (_number(what, value, "value", p) for p in (at - STEP, at, at + STEP))
        given = _number(what, slope, "slope", at)
        sides = sorted([(here - left) / STEP, (right - here) / STEP])
        room = TOLERANCE * (1 + abs(given))
        if not sides[0] - room <= given <= sides[1] + room:
            measured = f"{sides[0]:.6g}" if sides[1] - sides[0] < room else f"{sides[0]:.6g} to {sides[1]:.6g}"
            raise ValueError(f"{what}: expected the derivative, {measured} at {at}, got {given:.6g}")


def _number(what: str, function: Callable, name: str, at: float) -> float:
    try:
        number = function(at)
    except Exception as error:
        raise ValueError(f"{what}: expected a {name} at {at:.6g}, got {type(error).__name__}: {error}") from error
    try:
        number = float(number)
    except (TypeError, ValueError):
        raise TypeError(f"{what}: expected a number for the {name} at {at:.6g}, got {number!r}") from None
    if not np.isfinite(number):
        raise ValueError(f"{what}: expected a finite {name} at {at:.6g}, got {number}")
    return number


def python(function: Any) -> Callable:
    """The Python function behind a compiled one."""
    plain: Callable = getattr(function, "py_func", function)
    return plain
