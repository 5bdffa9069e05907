"""The API's edge: arrays and settings as users give them, checked once and turned into what engines take.

Every message says which argument, what was expected and what came. The input itself is never written to: what is
passed on is a read-only view or a copy.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np

CHUNK = 1 << 20  # numbers handled in one go where the whole array might not fit in memory a second time


def choice(name: str, value: Any, known: Collection[str]) -> str:
    """`value` if it is one of the names known, else ValueError that lists them."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}; got {value!r}")
    return value


def lookup(name: str, value: Any, registry: Mapping[str, Any]) -> Any:
    """The registry's entry for the name `value`; ValueError lists the names there are."""
    return registry[choice(name, value, registry)]


def instance(name: str, value: Any, registry: Mapping[str, type], kind: type) -> Any:
    """`value` if it is a `kind`, or the registry's class of that name with its defaults; ValueError otherwise."""
    return value if isinstance(value, kind) else lookup(name, value, registry)()


def integer(name: str, value: Any, minimum: int) -> int:
    """`value` as an int no smaller than `minimum`; TypeError or ValueError otherwise. A bool is no integer."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name}: expected an integer >= {minimum}, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name}: expected an integer >= {minimum}, got {value!r}")
    return int(value)


def number(name: str, value: Any, minimum: float, *, below: float = np.inf, open_minimum: bool = False) -> float:
    """`value` as a finite float in [minimum, below), or (minimum, below); TypeError or ValueError otherwise."""
    relation = ">" if open_minimum else ">="
    expected = f"a number {relation} {minimum:g}" + ("" if below == np.inf else f" and < {below:g}")
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected {expected}, got {value!r}")
    value = float(value)
    inside = (value > minimum if open_minimum else value >= minimum) and value < below
    if not inside:  # NaN is never inside
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return value


def n_threads(value: Any) -> int | None:
    """None, or an integer >= 1."""
    return None if value is None else integer("n_threads", value, 1)


def dropout(value: Any, n_hidden: int) -> tuple[float, ...]:
    """The probability for each hidden layer, in [0, 1); from one number, or one for each of them."""
    if not isinstance(value, Sequence | np.ndarray):
        return (number("dropout", value, 0, below=1),) * n_hidden
    given = list(value)
    if len(given) != n_hidden:
        raise ValueError(f"dropout: expected one number or one for each of {n_hidden} hidden layers, got {len(given)}")
    return tuple(number("dropout", p, 0, below=1) for p in given)


def sizes(value: Any) -> tuple[int, ...]:
    """Layer sizes, inputs first: two or more integers >= 1 whose parameters fit in memory's address range."""
    try:
        given = tuple(value)
    except TypeError:
        raise TypeError(f"sizes: expected a sequence of integers such as [2, 8, 1], got {value!r}") from None
    if len(given) < 2:
        raise ValueError(f"sizes: expected at least an input and an output size, got {list(given)!r}")
    given = tuple(integer(f"sizes[{l}]", size, 1) for l, size in enumerate(given))
    n_params = sum((n_in + 1) * n_out for n_in, n_out in pairwise(given))
    if n_params * 8 > np.iinfo(np.intp).max:
        raise ValueError(f"sizes: expected a number of parameters that can be addressed, got {n_params} from {given}")
    return given


def dtype(value: Any) -> np.dtype:
    """float32 or float64; ValueError otherwise."""
    try:
        result = np.dtype(value)
    except TypeError:
        result = None
    if result not in (np.float32, np.float64):
        raise ValueError(f"dtype: expected float32 or float64, got {value!r}")
    return result


def is_finite(array: np.ndarray) -> bool:
    """Whether a float array holds neither NaN nor infinity, looked at in pieces."""
    rows = max(1, CHUNK // max(1, array[:1].size))
    return all(np.isfinite(array[start : start + rows]).all() for start in range(0, len(array), rows))


def is_sparse(value: Any) -> bool:
    """Whether `value` is one of SciPy's sparse matrices or arrays."""
    return hasattr(value, "toarray") and hasattr(value, "nnz")


def dense(array: Any) -> np.ndarray:
    """`array` itself, or what a sparse one holds, zeros included."""
    return array.toarray() if is_sparse(array) else array


def sparse_matrix(name: str, value: Any, columns: int, kind: np.dtype, *, minimum_rows: int = 1) -> Any:
    """A sparse matrix as engines take it: CSR in dtype `kind`, each row in the order of its columns, none of them
    twice. `indices` and `indptr` keep their dtype, int32 or int64. What is right already is not copied.

    Raises TypeError or ValueError for what is no such matrix: another shape, numbers that are not finite, a structure
    that points outside of it. That is looked at before anything reads by it.
    """
    if value.ndim != 2 or value.shape[1] != columns:
        raise ValueError(f"{name}: expected shape (n_samples, {columns}), got {value.shape}")
    if value.shape[0] < minimum_rows:
        raise ValueError(f"{name}: expected at least {minimum_rows} row, got {value.shape[0]}")
    given = _by_rows(name, value)
    indptr, indices = _structure(name, given, value.shape)
    data = as_array(name, given.data)[: indices.size]
    if data.size < indices.size:
        raise ValueError(f"{name}: expected {indices.size} numbers for as many column indices, got {data.size}")
    data = np.ascontiguousarray(finite(name, data, kind), dtype=kind)
    matrix = type(given)(value.shape, dtype=kind)
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


def _by_rows(name: str, value: Any) -> Any:
    """A sparse matrix of any format as CSR, whose structure is still to be looked at. ValueError for one that its own
    conversion could not read.
    """
    if value.format == "csr":
        return value
    try:
        if hasattr(value, "check_format"):
            value.check_format(full_check=True)
        elif value.format == "coo":
            type(value)((value.data, value.coords), shape=value.shape)  # looks at the indices
        return value.tocsr()
    except (ValueError, IndexError, TypeError) as error:
        kind = value.format.upper()
        raise ValueError(f"{name}: expected a well-formed sparse matrix, got {kind} with {error}") from None


def _structure(name: str, matrix: Any, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(indptr, indices) of a CSR matrix in one dtype, int32 or int64, that point into it; ValueError otherwise."""
    indptr, indices = np.asarray(matrix.indptr), np.asarray(matrix.indices)
    if indptr.dtype.kind != "i" or indices.dtype.kind != "i" or indptr.ndim != 1 or indices.ndim != 1:
        raise ValueError(f"{name}: expected indptr and indices of integers, got {indptr.dtype} and {indices.dtype}")
    if indptr.size != shape[0] + 1 or indptr[0] != 0 or np.any(indptr[1:] < indptr[:-1]):
        raise ValueError(f"{name}: expected an indptr of {shape[0] + 1} integers that rise from 0, got {indptr}")
    if indptr[-1] > indices.size:
        raise ValueError(f"{name}: expected {indptr[-1]} column indices, as indptr says, got {indices.size}")
    indices = indices[: indptr[-1]]
    if indices.size and not (indices.min() >= 0 and indices.max() < shape[1]):
        raise ValueError(
            f"{name}: expected column indices from 0 to {shape[1] - 1}, got {indices.min()} to {indices.max()}"
        )
    kind = np.int32 if indptr.dtype.itemsize <= 4 and indices.dtype.itemsize <= 4 else np.int64
    return np.ascontiguousarray(indptr, kind), np.ascontiguousarray(indices, kind)


def as_array(name: str, value: Any) -> np.ndarray:
    """`value` as an array of real numbers, in whatever dtype and layout it came. TypeError for anything else."""
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        return value
    if is_sparse(value):
        raise TypeError(f"{name}: expected a dense array, got the sparse {type(value).__name__}; use {name}.toarray()")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: expected rows of one length, got rows that differ in length") from None
    if array.dtype.kind == "O":
        try:  # a frame of mixed columns, or a list of numbers that came as objects
            array = array.astype(np.float64)
        except OverflowError:
            raise ValueError(f"{name}: expected finite numbers, got an integer beyond float64") from None
        except (TypeError, ValueError):
            raise TypeError(f"{name}: expected real numbers, got dtype object with other values") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    return array


def plain(array: np.ndarray) -> np.ndarray:
    """`array` itself if it is a writable ndarray, else a copy: joblib maps arrays from a file, for reading only, and
    compiled code would be compiled anew for that.
    """
    return array if type(array) is np.ndarray and array.flags.writeable else np.array(array)


def for_engine(array: np.ndarray, kind: np.dtype) -> np.ndarray:
    """A read-only, C-contiguous, native array of dtype `kind` with the same numbers: a view where possible.

    Always read-only, so that compiled code has one signature and no way to change its input.
    """
    if array.dtype == kind and array.flags.c_contiguous:
        ready = array.view(np.ndarray)
    else:
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, and the caller's check says so
            ready = np.ascontiguousarray(array, dtype=kind)
    ready.flags.writeable = False
    return ready


def matrix(name: str, value: Any, columns: int | None, *, minimum_rows: int = 1) -> np.ndarray:
    """A 2-D array of real numbers with `columns` columns, in its own dtype and layout."""
    array = as_array(name, value)
    if array.ndim != 2 or (columns is not None and array.shape[1] != columns):
        expected = "(n_samples, n_features)" if columns is None else f"(n_samples, {columns})"
        hint = f"; reshape a single row with {name}.reshape(1, -1)" if array.ndim == 1 else ""
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}{hint}")
    if array.shape[0] < minimum_rows:
        raise ValueError(f"{name}: expected at least {minimum_rows} row, got {array.shape[0]}")
    return array


def finite(name: str, array: np.ndarray, kind: np.dtype) -> np.ndarray:
    """`array` itself if all of it is finite in dtype `kind`; ValueError otherwise."""
    bound = np.finfo(kind).max
    if array.dtype.kind != "f":
        return array
    if not is_finite(array):
        what = "NaN" if np.isnan(array).any() else "infinity"
        raise ValueError(f"{name}: expected finite numbers, got {what}")
    if np.finfo(array.dtype).max > bound and array.size and max(array.max(), -array.min()) > bound:
        raise ValueError(f"{name}: expected numbers that {kind} can hold, got one beyond {bound:.3g}")
    return array


def targets(name: str, value: Any, output: str, n_outputs: int, n_samples: int, kind: np.dtype) -> np.ndarray:
    """y as engines take it: (n_samples, n_outputs), read-only, of dtype `kind`, classes one-hot.

    For softmax: integer labels (n_samples,) in 0..n_outputs-1, or rows that are not negative and sum to 1. For
    sigmoid and step: numbers in [0, 1] (0 or 1 for step). For exp: numbers >= 0. For identity: any finite numbers.
    """
    array = as_array(name, value)
    if output == "softmax" and (array.ndim == 1 or array.shape[1:] == (1,)) and n_outputs > 1:
        return _one_hot(name, array.reshape(-1), n_outputs, n_samples, kind)
    if array.ndim == 1 and n_outputs == 1:
        array = array.reshape(-1, 1)
    if array.shape != (n_samples, n_outputs):
        also = f" or ({n_samples},)" if n_outputs == 1 or output == "softmax" else ""
        raise ValueError(f"{name}: expected shape ({n_samples}, {n_outputs}){also}, got {array.shape}")
    finite(name, array, kind)
    low, high = array.min(), array.max()
    if output in ("softmax", "sigmoid", "step") and (low < 0 or high > 1):
        raise ValueError(f"{name}: expected numbers from 0 to 1 for output {output!r}, got {low:g} to {high:g}")
    if output == "step" and not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name}: expected 0 or 1 for output 'step', got other numbers")
    if output == "exp" and low < 0:
        raise ValueError(f"{name}: expected numbers >= 0 for output 'exp', got {low:g}")
    if output == "softmax" and not np.allclose(array.sum(axis=1, dtype=np.float64), 1, atol=1e-5):
        raise ValueError(f"{name}: expected rows that sum to 1 for output 'softmax', got others")
    return for_engine(array, kind)


def _one_hot(name: str, labels: np.ndarray, n_classes: int, n_samples: int, kind: np.dtype) -> np.ndarray:
    if labels.shape != (n_samples,):
        raise ValueError(f"{name}: expected {n_samples} labels, one for each row of X, got {labels.size}")
    finite(name, labels, kind)
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"{name}: expected labels from 0 to {n_classes - 1}, got {labels.min()} to {labels.max()}")
    whole = labels.astype(np.int64)
    if (whole != labels).any():
        raise ValueError(f"{name}: expected integer class labels, got other numbers")
    encoded = np.zeros((n_samples, n_classes), kind)
    encoded[np.arange(n_samples), whole] = 1
    return for_engine(encoded, kind)


def weights(name: str, value: Any, n_samples: int, kind: np.dtype, *, of_all: bool = True) -> np.ndarray:
    """Sample weights (n_samples,), finite, none negative and, where they are those `of_all`, not all zero; ones for
    None.
    """
    if value is None:
        return for_engine(np.ones(n_samples, kind), kind)
    array = as_array(name, value)
    if array.shape != (n_samples,):
        raise ValueError(f"{name}: expected shape ({n_samples},), got {array.shape}")
    finite(name, array, kind)
    ready = for_engine(array, kind)
    if array.min() < 0 or (of_all and ready.max() <= 0):  # a weight may also be too small for float32
        raise ValueError(f"{name}: expected weights >= 0, not all zero, got {array.min():g} to {array.max():g}")
    return ready
