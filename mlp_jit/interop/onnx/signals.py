"""What flows from the input to the output: values at the joints of a network, and formulas between them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .file import Node

LONGEST = 200  # operators in a row between two joints


@dataclass(frozen=True, eq=False)
class Value:
    """The numbers (n, width) at a joint. `width` is None while nothing has said what it is."""

    width: int | None
    source: "Value | None"
    node: Node | None  # the operator that made it


@dataclass(frozen=True, eq=False)
class Linear(Value):
    """source @ W + b; W (n_in, n_out), b (n_out,)."""

    W: np.ndarray
    b: np.ndarray


@dataclass(frozen=True, eq=False)
class Scaled(Value):
    """s ⊙ source + t; both (width,) or (1,)."""

    s: np.ndarray
    t: np.ndarray


@dataclass(frozen=True, eq=False)
class Batch(Value):
    """E7 by running statistics: b + γ (source − μ)/√(v + ε)."""

    gain: np.ndarray
    b: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float


@dataclass(frozen=True, eq=False)
class Layer(Value):
    """E7 by the moments of each row: b + γ (source − μ)/√(v + ε)."""

    gain: np.ndarray
    b: np.ndarray
    epsilon: float


@dataclass(frozen=True, eq=False)
class Activated(Value):
    """φ(source), by our name."""

    phi: str


@dataclass(frozen=True, eq=False)
class Skip(Value):
    """E10: source + other."""

    other: Value


@dataclass(frozen=True, eq=False)
class Pair(Value):
    """(1 − source, source), of one unit."""


@dataclass(frozen=True, eq=False)
class Formula:
    """What operators make of the numbers at a joint, one by one or row by row; the joint itself where there is none.

    `flat` says whether it is (n, width); else it has more axes, which a Flatten is still to join.
    """

    root: Value
    node: Node | None = None
    operands: tuple["Formula | np.ndarray", ...] = ()
    flat: bool = True

    @cached_property
    def parts(self) -> list["Formula"]:
        """All formulas it is made of, each after its operands, from the joint to itself. ValueError for too many."""
        found: dict[int, Formula] = {}
        path = [self]
        while path:
            missing = [x for x in path[-1].operands if isinstance(x, Formula) and id(x) not in found]
            if missing:
                path.append(missing[0])
            else:
                part = path.pop()
                found[id(part)] = part
            if len(path) + len(found) > LONGEST:
                raise ValueError(f"{self.node}: expected at most {LONGEST} operators between two layers, got more")
        if sum(part.node is None for part in found.values()) > 1:
            raise ValueError(f"{self.node}: expected operands of one shape, got flattened ones and others")
        return list(found.values())
