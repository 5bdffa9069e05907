"""What compiled code is handed of a network: its record, and the type of it, one for each dtype."""

from functools import cache
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numba import from_dtype, types
from numba.core.datamodel.models import TupleModel
from numba.extending import register_model, typeof_impl

from ..._cache import sources_digest
from ..plan import Plan
from .nopython import differentiate_row, nopython_job, predict_rows


class NetworkRecord(NamedTuple):
    """What compiled code knows of a network; `Network.record` makes one.

    It shares the network's arrays: what training, or you, write into `Network.params` is what it predicts by from then
    on. It belongs to the process that made it, as it holds addresses: send the network elsewhere, not the record.

    Attributes
    ----------
    params, state : ndarray
        Those of the network.
    layers, job, zero, one : ndarray
        Sizes, addresses and constants, for the package's own code.
    predict_rows, differentiate_row : int
        Addresses of that code.
    n_in, n_out : int
        The number of inputs and outputs.
    scratch : int
        0, or for a network too wide for the stack the size of the array of its dtype that each call has to be given.
    """

    params: np.ndarray
    state: np.ndarray
    layers: np.ndarray
    job: np.ndarray
    zero: np.ndarray
    one: np.ndarray
    predict_rows: int
    differentiate_row: int
    n_in: int
    n_out: int
    scratch: int

    def check(self, x: Any, out: Any, jacobian: Any = None, scratch: Any = None) -> None:
        """Raise unless compiled code may be given these: x (n_in,) or (n, n_in), out (n_out,) or (n, n_out), jacobian
        (n_out, n_in), scratch (at least `scratch`,), C-contiguous arrays of the network's dtype.

        TypeError for what is no array, or of another dtype; ValueError for another shape, order, or one that is
        read-only. It is for Python: compiled code checks the types alone, and shapes where it checks bounds.
        """
        rows = np.shape(x)[:-1] if np.ndim(x) == 2 else ()
        self._check("x", x, (*rows, self.n_in))
        self._check("out", out, (*rows, self.n_out), writes=True)
        if jacobian is not None:
            self._check("jacobian", jacobian, (self.n_out, self.n_in), writes=True)
        given = np.size(scratch) if scratch is not None else 0
        if scratch is not None:
            self._check("scratch", scratch, (given,), writes=True)
        if given < self.scratch:
            raise ValueError(f"scratch: expected {self.scratch} numbers for this network, got {given}")

    def _check(self, name: str, array: Any, shape: tuple, writes: bool = False) -> None:
        dtype = self.params.dtype
        if not isinstance(array, np.ndarray) or array.dtype != dtype:
            got = f"one of {array.dtype}" if isinstance(array, np.ndarray) else repr(array)
            raise TypeError(f"{name}: expected an array of {dtype}, got {got}")
        if array.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
        if not array.flags.c_contiguous or (writes and not array.flags.writeable):
            raise ValueError(f"{name}: expected a C-contiguous array{' that can be written' if writes else ''}")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a record holds addresses of its process: copy or send the network, and call its record()")


def record_of(plan: Plan) -> NetworkRecord:
    """The record of a network, see `Network.record`."""
    job, scratch = nopython_job(plan)
    arrays = {name: job.arrays[name].reshape(-1) for name in ("params", "state", "layers", "zero", "one")}
    arrays["layers"] = _holding(plan.activations, arrays["layers"])
    return NetworkRecord(
        **arrays,
        job=job.numbers,
        predict_rows=predict_rows.address(),
        differentiate_row=differentiate_row.address(),
        n_in=plan.sizes[0],
        n_out=plan.sizes[-1],
        scratch=scratch,
    )


class _Holder(np.ndarray):
    """An array that keeps others alive."""

    others: Any


def _holding(others: Any, array: np.ndarray) -> np.ndarray:
    """The array, which keeps `others` alive: a user's own activations, whose compiled code lies at addresses in it."""
    holder = array.view(_Holder)
    holder.others = others
    return holder.view(np.ndarray)


# --------------------------------------------------------------------------------------- its type


class RecordType(types.NamedTuple):
    """The type of the records of one dtype. It differs between versions of the package, so that code that was compiled
    for another, and kept on disk, is not used.
    """

    def __init__(self, dtype: types.Float) -> None:
        numbers, integers = types.Array(dtype, 1, "C"), types.Array(types.int64, 1, "C")
        kinds = {name: numbers for name in ("params", "state", "zero", "one")} | {"layers": integers, "job": integers}
        super().__init__([kinds.get(name, types.int64) for name in NetworkRecord._fields], NetworkRecord)
        self.sources = sources_digest()
        self.name += self.sources

    @property
    def key(self) -> Any:
        return self.instance_class, self.types, self.sources


register_model(RecordType)(TupleModel)


@cache
def _type_of(dtype: np.dtype) -> RecordType:
    return RecordType(from_dtype(dtype))


@typeof_impl.register(NetworkRecord)
def _(record: NetworkRecord, context: Any) -> RecordType:
    if context.purpose.name == "constant":
        raise ValueError("a record has to be an argument: as a global, its network would be copied into compiled code")
    return _type_of(record.params.dtype)
