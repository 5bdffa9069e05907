"""One checkpoint for many fits: each goes on from the end of an epoch of its own."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..files.values import Reader
from ..training.checkpoint import Checkpoint, EpochKeeper, RunFile
from ..training.digest import digest


class ManyFile(RunFile):
    """The file of many runs: their states under their numbers, as each was when it was last kept.

    What was kept is written once all that are under way have been kept anew, and in the end.
    """

    def __init__(self, checkpoint: str | os.PathLike | Checkpoint, runs: Sequence[dict[str, str]]) -> None:
        self.states: list[Any] = [None] * len(runs)
        self.arrays: list[dict[str, np.ndarray]] = [{} for _ in runs]
        super().__init__(checkpoint, alike(runs))
        self.known, self.n_bytes = self.found or [None] * len(runs), 0
        self.under_way: set[int] = set()
        self.anew: set[int] = set()

    def __exit__(self, *error: object) -> None:
        try:
            if self.anew:
                self.write_all()
        finally:
            super().__exit__(*error)

    def keeper(self, k: int) -> EpochKeeper:
        """That of run k."""
        return EpochKeeper(OneOfMany(self, k), f"{k}.")

    def take(self, k: int, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Keep a state of run k."""
        self.states[k], self.arrays[k] = state, {name: array.copy() for name, array in arrays.items()}
        self.anew.add(k)
        if state["done"]:
            self.under_way.discard(k)
        else:
            self.under_way.add(k)
            if self.under_way <= self.anew:
                self.write_all()

    def write_all(self) -> None:
        """Write the file. Raises OSError."""
        arrays = {name: array for of_one in self.arrays for name, array in of_one.items()}
        self.write({"runs": self.states}, arrays)
        self.anew = set()

    def _heard(self, state: Any, arrays: dict[str, np.ndarray]) -> list[dict[str, Any] | None]:
        self.states = state["runs"]
        for name, array in arrays.items():
            self.arrays[int(name.partition(".")[0])][name] = array
        return [one and Reader(arrays).fields(one) for one in self.states]


class OneOfMany:
    """The part of run k: see `checkpoint.File`."""

    def __init__(self, file: ManyFile, k: int) -> None:
        self.file, self.k, self.path, self.found = file, k, file.path, file.known[k]

    @property
    def is_due(self) -> bool:
        return self.file.is_due and self.k not in self.file.anew

    def expect(self, n_bytes: int) -> None:
        self.file.n_bytes += n_bytes
        self.file.expect(self.file.n_bytes)

    def write(self, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.file.take(self.k, state, arrays)


def alike(runs: Sequence[dict[str, str]]) -> dict[str, str]:
    """What many runs are: what all have in common in words, what they have not as a digest."""
    found = {"networks": str(len(runs))}
    for name in runs[0] if runs else ():
        words = [run[name] for run in runs]
        found[name] = words[0] if len(set(words)) == 1 else digest(np.frombuffer("\n".join(words).encode(), np.uint8))
    return found
