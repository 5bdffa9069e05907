"""A trained network inside your own compiled code: no Python, no allocation, any number of threads.

    from numba import njit
    from mlp_jit.nopython import predict_row

    record = net.record()

    @njit(cache=True)
    def total(record, X, out):
        s = 0.0
        for n in range(X.shape[0]):
            predict_row(record, X[n], out)
            s += out[0]
        return s

Hand the record over as an argument: all networks of a dtype have the same type, so that `total` is compiled once. As a
global it would be copied into the compiled code, and Numba refuses it. The outputs have the bits of `Network.forward`.

A call costs the network and a few nanoseconds: the compiled code of the package is not copied into yours, but run by
its address, which the record holds. What you cache on disk is compiled anew after an upgrade of the package.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import lower_builtin, type_callable

from ._jit import kernel, write_run
from .engines.lanes.record import NetworkRecord

__all__ = ["NetworkRecord", "predict_row", "jacobian_row", "predict"]


# --------------------------------------------------------------------------------------- from Python


def predict_row(record: NetworkRecord, x: np.ndarray, out: np.ndarray, scratch: np.ndarray | None = None) -> None:
    """ŷ of one sample x (n_in,) into out (n_out,), both C-contiguous and of the network's dtype.

    For compiled code, with nogil and under `prange`, too; from Python it does the same after `NetworkRecord.check`.
    Compiled code that is given another dtype, order or number of dimensions does not compile. Other sizes raise
    IndexError where it checks bounds (`boundscheck=True` or NUMBA_BOUNDSCHECK=1); where it does not, **numbers behind
    the end of x are read, and behind the end of out written, which may end the process**. `scratch` (`record.scratch`,)
    is needed where that is not 0, one array for each thread; without it: ValueError. Under `prange` Numba checks
    no bounds, and makes a SystemError of the ValueError.
    """
    record.check(_of_dimensions(1, "x", x), out, None, scratch)
    _predict_row(record, x, out, scratch)


def jacobian_row(
    record: NetworkRecord, x: np.ndarray, out: np.ndarray, jacobian: np.ndarray, scratch: np.ndarray | None = None
) -> None:
    """∂ŷ_k/∂x_i of one sample x (n_in,) into jacobian (n_out, n_in), and ŷ into out (n_out,).

    As `predict_row`. The chain rule goes from the inputs or from the outputs, whichever takes fewer multiply-adds.
    """
    record.check(_of_dimensions(1, "x", x), out, jacobian, scratch)
    _jacobian_row(record, x, out, jacobian, scratch)


def predict(record: NetworkRecord, X: np.ndarray, out: np.ndarray, scratch: np.ndarray | None = None) -> None:
    """ŷ of all rows of X (n, n_in) into out (n, n_out), on the calling thread; as `predict_row`."""
    record.check(_of_dimensions(2, "X", X), out, None, scratch)
    _predict(record, X, out, scratch)


def _of_dimensions(count: int, name: str, x: Any) -> Any:
    if np.ndim(x) != count:
        raise ValueError(f"{name}: expected {count} dimension{'s' * (count > 1)}, got {np.ndim(x)}")
    return x


@kernel
def _predict_row(record, x, out, scratch):
    """E1: `predict_row`, for Python."""
    predict_row(record, x, out, scratch)


@kernel
def _jacobian_row(record, x, out, jacobian, scratch):
    """E3: `jacobian_row`, for Python."""
    jacobian_row(record, x, out, jacobian, scratch)


@kernel
def _predict(record, X, out, scratch):
    """E1: `predict`, for Python."""
    predict(record, X, out, scratch)


# --------------------------------------------------------------------------------------- in compiled code


def _typed(record: Any, **arrays: tuple[Any, int, bool]) -> types.Type:
    """The result's type, after a look at those of the arguments: of each its dimensions, and whether it is written."""
    if getattr(record, "instance_class", None) is not NetworkRecord:  # under `prange` Numba makes its type anew
        raise TypingError(f"record: expected what net.record() returns, got {record}")
    dtype = record.types[0].dtype
    for name, (kind, dimensions, writes) in arrays.items():
        kind = getattr(kind, "value", kind)  # the default None is an Omitted
        if name == "scratch" and kind in (None, types.none):
            continue
        fits = isinstance(kind, types.Array) and kind.dtype == dtype and kind.layout == "C"
        if not fits or kind.ndim != dimensions or (writes and not kind.mutable):
            expected = f"a C-contiguous array({dtype}, {dimensions}d)"
            raise TypingError(f"{name}: expected {expected}{' that can be written' if writes else ''}, got {kind}")
    return types.none


@type_callable(predict_row)
def _(context: Any) -> Any:
    def typed(record, x, out, scratch=None):
        return _typed(record, x=(x, 1, False), out=(out, 1, True), scratch=(scratch, 1, True))

    return typed


@type_callable(jacobian_row)
def _(context: Any) -> Any:
    def typed(record, x, out, jacobian, scratch=None):
        return _typed(
            record, x=(x, 1, False), out=(out, 1, True), jacobian=(jacobian, 2, True), scratch=(scratch, 1, True)
        )

    return typed


@type_callable(predict)
def _(context: Any) -> Any:
    def typed(record, X, out, scratch=None):
        return _typed(record, X=(X, 2, False), out=(out, 2, True), scratch=(scratch, 1, True))

    return typed


class _Call:
    """What is written into compiled code for one call: it looks at shapes where it has to, and runs a routine."""

    def __init__(self, context: Any, builder: ir.IRBuilder, signature: Any, args: Any, arrays: int) -> None:
        self.context, self.builder = context, builder
        self._record = dict(zip(NetworkRecord._fields, cgutils.unpack_tuple(builder, args[0]), strict=True))
        self._types = dict(zip(NetworkRecord._fields, signature.args[0].types, strict=True))
        given = list(zip(signature.args[1:], args[1:], strict=True))
        self.arrays = [context.make_array(kind)(context, builder, value) for kind, value in given[:arrays]]
        self.n_in, self.n_out = self._record["n_in"], self._record["n_out"]
        self._scratch = self._scratch_of(*(given[arrays] if given[arrays:] else (types.none, None)))

    def _scratch_of(self, kind: Any, value: Any) -> ir.Value:
        """The address of the caller's scratch."""
        if isinstance(kind, types.Array):
            array = self.context.make_array(kind)(self.context, self.builder, value)
            size, place = array.nitems, self.address(array)
        else:
            size = place = ir.Constant(ir.IntType(64), 0)
        short = self.builder.icmp_signed(">", self._record["scratch"], size)
        self._raise_if(short, ValueError, "the network needs scratch: an array with record.scratch numbers")
        return place

    def address(self, array: Any) -> ir.Value:
        """Where an array starts."""
        return self.builder.ptrtoint(array.data, ir.IntType(64))

    def shape(self, k: int) -> list:
        """The shape of the k-th array."""
        return cgutils.unpack_tuple(self.builder, self.arrays[k].shape)

    def expect(self, *pairs: tuple[ir.Value, ir.Value]) -> None:
        """Raise IndexError where two sizes differ, if this code checks bounds."""
        if self.context.enable_boundscheck:
            for size, expected in pairs:
                differ = self.builder.icmp_signed("!=", size, expected)
                self._raise_if(differ, IndexError, "an array has another size than the network's record says")

    def _raise_if(self, condition: ir.Value, error: type[Exception], message: str) -> None:
        with self.builder.if_then(condition, likely=False):
            self.context.call_conv.return_user_exc(self.builder, error, (message,))

    def run(self, routine: str, *values: ir.Value) -> Any:
        """Run the routine whose address the record has under this name, for its job; `None` stands for the scratch."""
        job = self.context.make_array(self._types["job"])(self.context, self.builder, self._record["job"])
        handed = [self.address(job), *(self._scratch if value is None else value for value in values)]
        write_run(self.context, self.builder, self._record[routine], [types.intp] * len(handed), handed)
        return self.context.get_dummy_value()


@lower_builtin(predict_row, types.VarArg(types.Any))
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    call = _Call(context, builder, signature, args, 2)
    call.expect((*call.shape(0), call.n_in), (*call.shape(1), call.n_out))
    x, out = map(call.address, call.arrays)
    return call.run("predict_rows", x, ir.Constant(ir.IntType(64), 1), None, out)


@lower_builtin(jacobian_row, types.VarArg(types.Any))
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    call = _Call(context, builder, signature, args, 3)
    (outputs, inputs) = call.shape(2)
    call.expect((*call.shape(0), call.n_in), (*call.shape(1), call.n_out))
    call.expect((outputs, call.n_out), (inputs, call.n_in))
    x, out, jacobian = map(call.address, call.arrays)
    return call.run("differentiate_row", x, None, out, jacobian)


@lower_builtin(predict, types.VarArg(types.Any))
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    call = _Call(context, builder, signature, args, 2)
    (rows, inputs), (out_rows, outputs) = call.shape(0), call.shape(1)
    call.expect((inputs, call.n_in), (outputs, call.n_out), (out_rows, rows))
    X, out = map(call.address, call.arrays)
    return call.run("predict_rows", X, rows, None, out)
