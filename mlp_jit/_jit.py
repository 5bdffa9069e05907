"""How this package compiles and how it uses threads: the only home of both.

Eight ways to compile, all lazily (importing compiles nothing) and all with the same flags:

- `kernel`: one serial function, called from other kernels. It borrows the arrays it is given.
- `owner`: a kernel that makes arrays, returns one, or calls an owner.
- `inlined`: one scalar function, made part of whatever loop calls it.
- `template`: a function that becomes part of its caller before anything is typed, so that literals stay literals.
- `twins`: one function compiled twice, `.serial` and `.parallel`. Inside a twin, the name of another twin
  means the one of its own kind, so a serial driver never opens a parallel region. Both give the same bits.
- `rare_twins`: twins that no caller compiles before it needs them.
- `routine`: one serial function that compiled code runs by its address (`run`, `run_by_all`).
- `unkept`: a user's own scalar function.

`call` runs twins or a crossing: it picks the serial or the parallel one and keeps Numba's threading layers safe.

Why the flags are spelled out everywhere: a callee that leaves one out inherits it from whichever caller
compiled it first, and the disk cache keeps the accident.
"""

import ctypes
import functools
import gc
import inspect
import os
import site
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Annotated, Any

import numba
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from ._cache import FunctionFiles
from ._notice import Wait

# No fastmath: it lets LLVM round differently in each copy of a function that it makes, so that a serial and a parallel
# twin, or a process that compiles and one that loads the cache, would differ in the last bits. Sums are fast all the
# same where the innermost loop runs over what is summed into, not over what is summed.
FLAGS: dict[str, Any] = {
    "fastmath": False,
    "error_model": "numpy",
    "nogil": True,
    "no_cfunc_wrapper": True,  # nobody takes a C address, and each wrapper costs compile time
}
SELDOM = 1_000_000  # collections of the second generation for one of the third
_wait = Wait()


def _compile(function: Callable, *, owns: bool = False, kept: bool = True, **options: Any) -> Any:
    """njit with the house's flags; what is `kept` is cached on disk where the disk allows it.

    Only what `owns` arrays counts references: they are atomic, took 0.6 µs of a step's 1.4 for 2-8-2, and were two
    thirds of what LLVM had to compile of a worker's program.
    """
    compiled = njit(**FLAGS, **options, _nrt=owns, cache=False)(function)
    if compiled is function or not kept:  # itself with NUMBA_DISABLE_JIT
        return compiled
    return _cached(compiled, function)


def _cached(compiled: Any, function: Callable) -> Any:
    """What is to be compiled, given its disk cache."""
    with suppress(RuntimeError):  # a read-only install and no writable home: compile afresh in each process
        compiled._cache = FunctionFiles(function)
    compiled.compile = _uncollected(compiled.compile)
    return compiled


def _uncollected(compilation: Callable) -> Callable:
    """A compilation without Python's full collections, which took an eighth of its time to save 90 MB."""

    @functools.wraps(compilation)
    def compiled(*arguments: Any) -> Any:
        with global_compiler_lock:  # one at a time, and each puts back what it found
            thresholds = gc.get_threshold()
            gc.set_threshold(*thresholds[:2], SELDOM)
            _wait.begin()
            try:
                return compilation(*arguments)
            finally:
                _wait.end()
                gc.set_threshold(*thresholds)

    return compiled


def kernel(function: Callable) -> Any:
    """Compile one serial function. Its docstring carries an equation's tag, `layout` or `math`.

    It must not call an `owner`: an array that it is handed would never be freed.
    """
    return _compile(function)


def owner(function: Callable) -> Any:
    """Compile one serial function that makes arrays, returns one, or calls an owner."""
    return _compile(function, owns=True)


def unkept(function: Any) -> Any:
    """A user's own scalar function, compiled as a part of the loop that calls it; one that is compiled stays as it is.

    Not kept on disk: nothing would tell that a function of somebody else's, or what that calls, has changed. Numba
    never gives machine code back: 0.15 MB of each.
    """
    if hasattr(function, "py_func"):
        return function
    return _compile(function, kept=False, forceinline=True, no_cpython_wrapper=True)


def inlined(function: Callable) -> Any:
    """Compile one scalar function that LLVM must inline: else the loops that call it may not vectorise."""
    return _compile(function, forceinline=True)


def template(function: Callable) -> Any:
    """Copy one function into each caller as if it were written there: a literal argument stays a literal inside."""
    return _compile(function, inline="always", owns=True)


def as_template(compiled: Any) -> Any:
    """A kernel once more, as a `template`."""
    return template(getattr(compiled, "py_func", compiled))  # with NUMBA_DISABLE_JIT it is the function itself


class _Place:
    """Stands in a routine's annotations for numbers of the dtype that it is compiled for."""


Place = Annotated[Any, _Place]  # where numbers of the network's dtype lie
Integers = Annotated[Any, types.CPointer(types.int64)]
Doubles = Annotated[Any, types.CPointer(types.float64)]
Size = Annotated[int, types.intp]
Real = Annotated[float, types.float64]


class Routine:
    """A kernel that compiled code calls by its address (`run`): compiled once for a dtype, and linked into nobody.

    Its annotations say what it takes. It returns nothing, raises nothing and counts no references.
    """

    def __init__(self, function: Callable, *, kept: bool = True) -> None:
        functools.update_wrapper(self, function)
        self.addresses: dict[Any, int] = {}
        self.compiled: Any = None
        if not numba.config.DISABLE_JIT:
            self.compiled = _compile(function, kept=kept, no_cpython_wrapper=True)

    def __call__(self, *arguments: Any) -> None:
        """Compiled code alone can run it: TypeError."""
        raise TypeError(f"{self.__name__} runs in compiled code only, by its address")  # type: ignore[attr-defined]

    def cache_path(self) -> str | None:
        """The folder of its compiled code, where that is kept."""
        path: str | None = self.compiled.stats.cache_path
        return path

    def address(self, dtype: Any = None) -> int:
        """Where it lies, compiled for places of numbers of this dtype."""
        if dtype not in self.addresses:
            self.addresses[dtype] = _address(self.compiled, self._signature(dtype))
        return self.addresses[dtype]

    def _signature(self, dtype: Any) -> tuple:
        taken = inspect.signature(self.__wrapped__).parameters.values()  # type: ignore[attr-defined]
        meant = (parameter.annotation.__metadata__[0] for parameter in taken)
        return tuple(types.CPointer(numba.from_dtype(dtype)) if kind is _Place else kind for kind in meant)


def routine(function: Callable) -> Routine:
    """Compile one kernel for calls by its address. An int in its closure is a constant: branches on it are cut off."""
    return Routine(function)


def _address(compiled: Any, signature: tuple) -> int:
    compiled.compile(signature)
    result = compiled.overloads[signature]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


class Twins:
    """One Python function compiled twice, as `serial` and as `parallel` (where `prange` means threads)."""

    def __init__(self, function: Callable, serial: Callable, parallel: Callable) -> None:
        functools.update_wrapper(self, function)  # type: ignore[arg-type]
        self.serial = serial(_of_kind(function, "serial"))
        self.parallel = parallel(_of_kind(function, "parallel"))


def _of_kind(function: Callable, kind: str) -> Callable:
    """A copy of `function` that sees, for each twin it names, the one of its own kind.

    The copy's name differs too: Numba's cache tells functions apart by name, not by flags.
    """
    names = {
        name: getattr(value, kind) if isinstance(value, Twins) else value
        for name, value in function.__globals__.items()
    }
    twin = FunctionType(function.__code__, names, f"{function.__name__}_{kind}", function.__defaults__)
    twin.__qualname__ = f"{function.__qualname__}_{kind}"
    twin.__module__ = function.__module__
    twin.__doc__ = function.__doc__
    return twin


def twins(function: Callable) -> Twins:
    """Compile one function twice. It may name only twins and kernels defined above it."""
    # Compiled as a part of its caller: else LLVM would optimise all that is below once for each level.
    if "prange" in function.__code__.co_names:
        return Twins(function, template, functools.partial(_compile, parallel=True, owns=True))
    return Twins(function, template, template)  # a driver


def rare_twins(function: Callable) -> Twins:
    """`twins` for what few networks need: a caller that cuts off the branch to them does not compile them."""
    return Twins(function, owner, owner)


def write_run(context: Any, builder: ir.IRBuilder, address: ir.Value, kinds: list, values: list) -> None:
    """Write the call of the routine at this address with these values, of these types."""
    function_type = context.call_conv.get_function_type(types.none, kinds)
    nothing = cgutils.alloca_once(builder, function_type.args[0].pointee)
    no_error = cgutils.get_null_value(function_type.args[1])
    function = builder.inttoptr(address, function_type.as_pointer())
    builder.call(function, [nothing, no_error, *context.get_arg_packer(kinds).as_arguments(builder, values)])


@intrinsic
def run(typingctx, address, *arguments):
    """Run the routine at this address with these arguments; whole numbers and truths go as a `Size` each."""
    given = types.StarArgTuple.from_types(tuple(map(types.unliteral, arguments)))
    taken = [types.intp if isinstance(kind, types.Integer | types.Boolean) else kind for kind in given]

    def codegen(context, builder, signature, args):
        handed = zip(cgutils.unpack_tuple(builder, args[1]), given, taken, strict=True)
        cast = [context.cast(builder, value, kind, into) for value, kind, into in handed]
        write_run(context, builder, args[0], taken, cast)
        return context.get_dummy_value()

    return types.void(types.intp, given), codegen


@intrinsic
def run_by_all(typingctx, address, argument, workers):
    """Run the routine at this address once for each worker, with the argument and the worker's number, on as many
    threads of Numba's: what a `prange` over the workers does, which takes a second to compile.
    """

    def codegen(context, builder, signature, args):
        address, argument, workers = args
        integer, place = workers.type, ir.IntType(8).as_pointer()
        given = (signature.args[1], types.intp)
        kernel_type = context.call_conv.get_function_type(types.none, given)
        # Numba's threads call f(arrays, shape, strides, data) for a part of the workers each: shape[0] of them, from
        # the one whose number is arrays[0], as the array starts at 0 and has a stride of 1.
        parts_type = ir.FunctionType(
            ir.VoidType(), [place.as_pointer(), integer.as_pointer(), integer.as_pointer(), place]
        )
        part = ir.Function(builder.module, parts_type, f"{builder.function.name}.part")
        part.linkage = "internal"
        inside = ir.IRBuilder(part.append_basic_block())
        known = inside.load(inside.bitcast(part.args[3], ir.LiteralStructType([integer, argument.type]).as_pointer()))
        function = inside.inttoptr(inside.extract_value(known, 0), kernel_type.as_pointer())
        first, count = inside.ptrtoint(inside.load(part.args[0]), integer), inside.load(part.args[1])
        nothing = cgutils.alloca_once(inside, kernel_type.args[0].pointee)
        with cgutils.for_range(inside, count, intp=integer) as loop:
            values = [inside.extract_value(known, 1), inside.add(first, loop.index)]
            inside.call(function, [nothing, cgutils.get_null_value(kernel_type.args[1]), *values])
        inside.ret_void()

        data = cgutils.alloca_once_value(builder, cgutils.pack_struct(builder, [address, argument]))
        arrays = cgutils.alloca_once_value(builder, cgutils.get_null_value(place))
        shape = cgutils.alloca_once_value(builder, workers)
        strides = cgutils.alloca_once_value(builder, integer(1))
        every = ir.FunctionType(ir.VoidType(), [place] * 5 + [integer] * 3)
        parallel_for = cgutils.get_or_insert_function(builder.module, every, "numba_parallel_for")
        places = [builder.bitcast(value, place) for value in (part, arrays, shape, strides, data)]
        builder.call(parallel_for, [*places, integer(0), integer(1), workers])
        return context.get_dummy_value()

    return types.void(types.intp, argument, types.intp), codegen


@dataclass(frozen=True)
class Crossing:
    """Two kernels that Python calls alike: `serial` works alone, `parallel` with Numba's threads."""

    serial: Callable
    parallel: Callable


# --------------------------------------------------------------------------------------- threads

_one_at_a_time = threading.Lock()  # for workqueue, which aborts when two threads enter it at once
_layer_lock = threading.Lock()
_layer: str | None = None  # the threading layer, once the first parallel call has chosen it
_serial_since_fork = False
_callers: set[int] = set()  # the threads that have opened a region


_calls_changed = threading.Condition()
_calls_under_way = 0  # a fork waits until there are none: TBB cannot be forked in the midst of a region


def _before_fork() -> None:
    """Wait for calls, then for compilations: a child would inherit their locks, which nobody there could give back."""
    _calls_changed.acquire()
    _calls_changed.wait_for(lambda: _calls_under_way == 0)
    global_compiler_lock.acquire()


def _after_fork_in_parent() -> None:
    global_compiler_lock.release()
    _calls_changed.release()


def _after_fork_in_child() -> None:
    """GNU OpenMP kills a child that opens a region after its parent has. Of TBB the parent joins all threads first, but
    not where another thread than the forking one has opened a region: then one of TBB's may hold its lock, for good.
    """
    global _calls_changed, _one_at_a_time, _layer_lock, _serial_since_fork
    global_compiler_lock.release()
    _calls_changed = threading.Condition()
    _one_at_a_time, _layer_lock = threading.Lock(), threading.Lock()  # a thread left behind may hold them
    try:
        layer, others = numba.threading_layer(), _callers - {threading.get_ident()}
        _serial_since_fork |= layer == "omp" or (layer == "tbb" and bool(others))
    except ValueError:  # the parent had not started Numba's threads
        pass


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def _load_tbb() -> None:
    """Bring pip's TBB into the process: its wheel puts the library where no loader looks."""
    for prefix in (sys.prefix, site.getuserbase()):
        for place in ("lib/libtbb.so.12", "Library/bin/tbb12.dll"):
            library = Path(prefix, place)
            if library.exists():
                try:
                    ctypes.CDLL(str(library))
                except OSError:  # another machine's file: Numba goes on to its next layer
                    continue
                return


def threading_layer() -> str:
    """The threading layer that Numba uses here: "tbb", "omp" or "workqueue" (starts it if need be)."""
    global _layer
    with _layer_lock:
        if _layer is None:
            _load_tbb()
            numba.get_num_threads()  # launches the threads; before it there is no layer to ask for
            _layer = numba.threading_layer()
        return _layer


def threads(n_threads: int | None) -> int:
    """How many threads a call with this `n_threads` uses: at most as many as Numba was started with."""
    threading_layer()  # before Numba is asked for a number, which would start it without TBB
    if n_threads is None:
        return int(numba.get_num_threads())
    return min(n_threads, numba.config.NUMBA_NUM_THREADS)


def call(function: Twins | Crossing, *arguments: Any, n_threads: int | None, parallel: bool) -> Any:
    """Run a twin of `function`, parallel where `parallel` asks for it and the layer allows it now.

    `n_threads` holds for this call alone; None means Numba's present number.
    """
    if not parallel or n_threads == 1 or _serial_since_fork:
        return function.serial(*arguments)
    count, layer = threads(n_threads), threading_layer()
    if count == 1:
        return function.serial(*arguments)
    if layer != "workqueue":
        return _with_threads(count, function.parallel, arguments)
    if not _one_at_a_time.acquire(blocking=False):
        return function.serial(*arguments)
    try:
        return _with_threads(count, function.parallel, arguments)
    finally:
        _one_at_a_time.release()


def _with_threads(count: int, function: Callable, arguments: tuple) -> Any:
    global _calls_under_way
    before = numba.get_num_threads()  # Numba keeps this number per calling thread
    with _calls_changed:
        _calls_under_way += 1
        _callers.add(threading.get_ident())
    try:
        numba.set_num_threads(count)
        return function(*arguments)
    finally:
        numba.set_num_threads(before)
        with _calls_changed:
            _calls_under_way -= 1
            _calls_changed.notify_all()
