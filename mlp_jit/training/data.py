"""Samples as engines take them: whole, or a slice at a time where X is mapped from a file."""

import sys
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from .. import validation
from ..engines.contract import Samples
from ..network import Network
from .digest import digest


class Data:
    """X, y and sample_weight as an engine takes them: whole, or a slice at a time where X is mapped from a file and not
    as an engine needs it.
    """

    def __init__(self, network: Network, X: Any, y: Any, sample_weight: Any) -> None:
        self.dtype, sparse = network.dtype, validation.is_sparse(X)
        array = (
            validation.sparse_matrix("X", X, network.sizes[0], network.dtype)
            if sparse
            else validation.finite("X", validation.matrix("X", X, network.sizes[0]), network.dtype)
        )
        self.y = network.check_targets(y, array.shape[0])
        self.sample_weight = validation.weights("sample_weight", sample_weight, array.shape[0], network.dtype)
        fits = not sparse and array.dtype == network.dtype and array.flags.c_contiguous
        self.whole = sparse or fits or not isinstance(X, np.memmap)
        self.X = validation.for_engine(array, network.dtype) if self.whole and not sparse else array
        self.samples = Samples(self.X, self.y, self.sample_weight)
        self.rows_at_once = sys.maxsize if self.whole else max(1, validation.CHUNK // array.shape[1])

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def digest(self) -> str:
        """Of all of them: networks that share them ask often."""
        return digest(self.X, self.y, self.sample_weight)

    def slice(self, order: np.ndarray) -> tuple[Samples, np.ndarray]:
        """Samples, and at which of their rows those of `order` lie."""
        if self.whole:
            return self.samples, order
        parts = self.X[order], self.y[order], self.sample_weight[order]
        return Samples(*(validation.for_engine(part, self.dtype) for part in parts)), np.arange(order.size)

    def parts(self) -> Iterator[Samples]:
        """All rows in turn."""
        if self.whole:
            yield self.samples
            return
        rows = np.arange(len(self))
        for start in range(0, len(self), self.rows_at_once):
            yield self.slice(rows[start : start + self.rows_at_once])[0]
