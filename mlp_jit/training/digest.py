"""A digest of arrays: by it a checkpoint knows its data again."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import validation

SLICE = 1 << 22  # bytes of an array that are digested at a time


def digest(*arrays: Any) -> str:
    """A digest of arrays and sparse matrices, a slice at a time."""
    found = hashlib.sha256()
    for array in arrays:
        for part in (array.data, array.indices, array.indptr) if validation.is_sparse(array) else (array,):
            if part is not None:
                found.update(f"{part.dtype}{part.shape}".encode())
                for rows in _slices(part):
                    found.update(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
    return found.hexdigest()[:16]


def _slices(array: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, SLICE * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
