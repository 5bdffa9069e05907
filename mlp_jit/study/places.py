"""Which number of the network lies where in memory: an element of any array that a kernel has, by its name."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..engines.layout import BIASES, GAINS, N_IN, N_OUT, WEIGHTS
from ..engines.loops.scratch import ELL, WEIGHT, Scratch


class Place(NamedTuple):
    """A letter, and the numbers from 0 that go with it: layer, sample, unit of the layer before, unit.

    `letter` is "w", "b", "γ", their derivatives "∂w", "∂b", "∂γ", "z", "a", "δ", "s", "ŝ", "∂s", "h", "∂h", "y",
    "ℓ" or "weight"; what a letter does not go with is None.
    """

    letter: str
    l: int | None = None
    n: int | None = None
    i: int | None = None
    j: int | None = None

    def __str__(self) -> str:
        """As in equations, which count units from 1: `w_21` of layer 1 is w_21¹."""
        units = [str(unit + 1) for unit in (self.i, self.j) if unit is not None]
        name = self.letter.replace("∂", "∂L/∂") if self.letter in ("∂w", "∂b", "∂γ") else self.letter
        subscript = ",".join(units) if any(len(unit) > 1 for unit in units) else "".join(units)
        text = f"{name}_{subscript}" if units else name
        where = [f"layer {self.l}"] if self.l is not None else []
        where += [f"sample {self.n + 1}"] if self.n is not None else []
        return f"{text} ({', '.join(where)})" if where else text


class Places:
    """The flat arrays of a step of training: θ, ∂L/∂θ and the scratch of `rows` samples, each with its first byte."""

    def __init__(self, table: np.ndarray, params: np.ndarray, gradient: np.ndarray, work: Scratch, rows: int) -> None:
        self.table, self.rows = table, rows
        self._inputs = int(table[0, N_OUT]) * rows
        named = {
            "θ": params, "∂θ": gradient, "transposed": work.transposed, "z": work.z, "a": work.a, "h": work.h,
            "δ": work.delta, "s": work.s, "ŝ": work.normal, "∂s": work.delta_s, "∂h": work.delta_h, "y": work.target,
            "samples": work.samples,
        }  # fmt: skip
        self._arrays = [(_address(array), array.nbytes, array.itemsize, name) for name, array in named.items()]

    def of(self, array: np.ndarray, index: Any) -> Place | None:
        """What is at array[index], or None where it is none of the network's numbers."""
        index = index if isinstance(index, tuple) else (index,)
        address = _address(array) + sum(at * stride for at, stride in zip(index, array.strides, strict=True))
        for start, size, itemsize, name in self._arrays:
            if start <= address < start + size:
                return self._named(name, (address - start) // itemsize)
        return None

    def _named(self, name: str, p: int) -> Place | None:
        match name:
            case "θ" | "∂θ":
                return self._parameter(name[:-1], p)
            case "transposed":
                l = int(np.searchsorted(self.table[1:, WEIGHTS], p, side="right"))
                j, i = divmod(p - int(self.table[l, WEIGHTS]), int(self.table[l, N_IN]))
                return Place("w", l, i=i, j=j)
            case "y":
                n, k = divmod(p, int(self.table[-1, N_OUT]))
                return Place("y", n=n, j=k)
            case "samples":
                row, n = divmod(p, self.rows)
                return Place({WEIGHT: "weight", ELL: "ℓ"}[row], n=n) if row in (WEIGHT, ELL) else None
        return self._unit(name, p)

    def _parameter(self, derivative: str, p: int) -> Place:
        l = int(np.searchsorted(self.table[1:, WEIGHTS], p, side="right"))
        weights, biases, gains, units = (int(self.table[l, column]) for column in (WEIGHTS, BIASES, GAINS, N_OUT))
        if p < biases:
            i, j = divmod(p - weights, units)
            return Place(f"{derivative}w", l, i=i, j=j)
        return Place(f"{derivative}b", l, j=p - biases) if p < gains else Place(f"{derivative}γ", l, j=p - gains)

    def _unit(self, name: str, p: int) -> Place:
        for l, start, units in self._layers():
            if p < start + units * self.rows:
                n, j = divmod(p - start, units)
                return Place("a" if name == "h" and l == 0 else name, l, n, j=j)  # the inputs are in h
        raise IndexError(p)

    def _layers(self) -> Iterator[tuple[int, int, int]]:
        """Layer, first place and units."""
        start = 0
        for l, units in enumerate(self.table[:, N_OUT].tolist()):
            yield l, start, units
            start += units * self.rows


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
