"""Partitions: from Dask's collections to what workers keep of them, and sums over all of them."""

from collections.abc import Callable
from typing import Any

import dask.array
import numpy as np
from dask import delayed
from distributed import Client, get_client, wait

from ..network import Network
from . import tasks
from .tasks import FAN_IN, Spec, Sums


def client_of(client: Client | None) -> Client:
    """The given one, or the one that there is. Raises ValueError where there is none."""
    if client is not None:
        return client
    try:
        return get_client()
    except ValueError:
        raise ValueError("client: expected a distributed.Client, given or made before; there is none") from None


def rows_of(name: str, collection: Any) -> list[Any]:
    """The partitions of a Dask array or data frame, one after the other, as delayed values. TypeError for all else."""
    if isinstance(collection, dask.array.Array):
        return list(whole_rows(collection).to_delayed().ravel())
    if hasattr(collection, "to_delayed") and hasattr(collection, "npartitions"):
        return list(collection.to_delayed())
    raise TypeError(f"{name}: expected a Dask array or data frame, got {type(collection).__name__}")


def whole_rows(array: dask.array.Array) -> dask.array.Array:
    """An array whose chunks have all columns."""
    return array.rechunk({1: -1}) if array.ndim == 2 and array.numblocks[1] > 1 else array


def split(X: Any, y: Any, sample_weight: Any) -> list[tuple]:
    """(X, y, sample_weight or None) of each partition. Raises ValueError where they are cut in other places."""
    parts = [rows_of("X", X), rows_of("y", y)]
    parts.append([None] * len(parts[0]) if sample_weight is None else rows_of("sample_weight", sample_weight))
    for name, part in zip(("y", "sample_weight"), parts[1:], strict=True):
        if len(part) != len(parts[0]):
            raise ValueError(f"{name}: expected {len(parts[0])} partitions, as many as X has, got {len(part)}")
    return list(zip(*parts, strict=True))


class Partitions:
    """Samples on the workers, in the order of their partitions."""

    def __init__(
        self,
        client: Client,
        network: Network,
        parts: list[tuple],
        classes: np.ndarray | None = None,
        *,
        digests: bool = False,
    ) -> None:
        self.client, self.spec = client, Spec.of(network)
        prepared = [
            delayed(tasks.prepare, pure=False)(k, X, y, weight, self.spec, classes)
            for k, (X, y, weight) in enumerate(parts)
        ]
        self.parts = client.compute(prepared)
        wait(self.parts)
        for part in self.parts:
            if part.status == "error":
                part.result()  # raises it: of several the first one's
        found = client.gather(client.map(tasks.summary, self.parts, digests=digests, pure=False))
        self.rows, self.N = sum(rows for rows, _, _ in found), sum(N for _, N, _ in found)
        self.digests = [digest for _, _, digest in found]
        if self.rows == 0 or self.N <= 0:
            raise ValueError(f"X: expected rows that weigh something, got {self.rows} rows of weight {self.N}")

    def sums(self, task: Callable[..., Sums], *arrays: np.ndarray, **settings: Any) -> Sums:
        """What a task comes to on all partitions, added up in a tree that depends on their number alone.

        The arrays leave the client once; workers hand them on to each other, and a lost copy is made again.
        """
        handed = self.client.submit(tasks.hand_over, arrays, pure=False)
        level = self.client.map(task, self.parts, spec=self.spec, handed=handed, pure=False, **settings)
        while len(level) > 1:
            groups = [level[first : first + FAN_IN] for first in range(0, len(level), FAN_IN)]
            level = self.client.map(tasks.add, groups, pure=False)
        total: Sums = level[0].result()
        return total
