"""What a formula computes, found by computing it: φ, scaling, or normalisation by layer, however it is written.

A formula is cut where all that goes on passes through one operator. From the joint on, the longest run of operators
that is φ or a scaling is taken, then the next one: `Mul, Add, Clip` may be hard_sigmoid, or a scaling before hard_tanh.
Of a normalisation the shortest run is taken: what comes out of it is bounded, and hard_tanh may leave it as it is.
"""

import functools
from typing import Any

import numpy as np

from ...activations import HIDDEN, OUTPUTS
from .arithmetic import BY_ROW, decimal, result
from .file import Node
from .formulas import FORMULAS, Term
from .signals import Activated, Formula, Layer, Scaled, Value

CLOSE = 1e-6  # constants come rounded to float32, and attributes always are
LONGEST_RUN = 12  # cuts in one φ; hard_sigmoid may have five
BEFORE_OVERFLOW = 80.0  # below it e^z is a number in float32, too
BIG, TINY = 1e12, 1e-9  # rows beside whose variance ε is nothing, and all
ONE = np.ones(1)


def understood(formula: Formula) -> Value:
    """The value that a formula makes. ValueError that names the operators where it is none of what layers have."""
    parts, joint = formula.parts, formula.root
    cuts = _cuts(parts)
    at = 0
    while at < len(cuts) - 1:
        ends = range(at + 1, min(at + LONGEST_RUN + 1, len(cuts)))
        by_row = any(part.node and part.node.operator in BY_ROW for part in parts[cuts[at] + 1 : cuts[at + 1] + 1])
        for end in ends if by_row else reversed(ends):
            found = _meaning(parts[cuts[at]], parts[cuts[at] + 1 : cuts[end] + 1], joint)
            if found is not None:
                joint, at = found, end
                break
        else:
            *others, last = (part.node for part in parts[cuts[at] + 1 : cuts[at + 1] + 1])
            of = f" of {', '.join(map(str, others))}" if others else ""
            raise ValueError(
                f"{last}: expected a scaling, a normalisation by layer or one of {', '.join(_expected())}, got another "
                f"function{of}"
            )
    return joint


def _cuts(parts: list[Formula]) -> list[int]:
    """The places of the parts that all later ones go through, from the joint's to the last one's."""
    place = {id(part): p for p, part in enumerate(parts)}
    reach = list(range(len(parts)))  # the last part that uses each
    for p, part in enumerate(parts):
        for x in part.operands:
            if isinstance(x, Formula):
                reach[place[id(x)]] = p
    cuts, furthest = [0], 0
    for p in range(1, len(parts)):
        furthest = max(furthest, reach[p - 1])
        if furthest <= p:
            cuts.append(p)
    return cuts


def _meaning(start: Formula, run: list[Formula], joint: Value) -> Value | None:
    if any(part.node.operator in BY_ROW for part in run if part.node):
        return _normalisation(start, run, joint)
    return (_scaling(run[0], joint) if len(run) == 1 else None) or _activation(start, run, joint)


def _values(start: Formula, run: list[Formula], z: np.ndarray) -> np.ndarray:
    """What a run of operators makes of z (N, units), or (N, 1) where all units are alike."""
    known = {id(start): z}
    for part in run:
        if part.node is not None:
            operands = [known[id(x)] if isinstance(x, Formula) else x.reshape(1, -1) for x in part.operands]
            known[id(part)] = result(part.node, [x[:, : z.shape[1]] for x in operands])
    return known[id(run[-1])]


# --------------------------------------------------------------------------------------- scaling


def _scaling(part: Formula, joint: Value) -> Scaled | None:
    """s ⊙ z + t of one operator with a constant, without rounding."""
    node, operands = part.node, part.operands
    constants = [x.reshape(-1).astype(np.float64) for x in operands if isinstance(x, np.ndarray)]
    if node is None or len(operands) - len(constants) != 1 or len(constants) > 1:
        return None
    c, z_first = constants[0] if constants else ONE, isinstance(operands[0], Formula)
    scales = {
        "Add": (ONE, c),
        "Sum": (ONE, c),
        "Sub": (ONE, -c) if z_first else (-ONE, c),
        "Mul": (c, 0 * ONE),
        "Neg": (-ONE, 0 * ONE),
    }
    if node.operator == "Div" and z_first:
        with np.errstate(all="ignore"):
            return Scaled(joint.width, joint, node, 1 / c, 0 * ONE)
    return Scaled(joint.width, joint, node, *scales[node.operator]) if node.operator in scales else None


# --------------------------------------------------------------------------------------- φ


class Calculator:
    """A graph that computes each node at once."""

    dtype = np.dtype(np.float64)

    def __init__(self, z: np.ndarray) -> None:
        self.results = {"z": z}

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Compute a node; the name of its result."""
        made = Node(0, operator, name, tuple(inputs), (), attributes)
        return self.array(f"{name}{len(self.results)}", result(made, [self.results[x] for x in inputs]))

    def array(self, name: str, values: Any) -> str:
        """Keep numbers by name."""
        self.results[name] = values
        return name

    def number(self, value: float) -> str:
        """Keep a number."""
        return self.array(str(value), np.float64(value))


def _phi(name: str, z: np.ndarray) -> np.ndarray:
    calculator = Calculator(z)
    return calculator.results[FORMULAS[name](Term(calculator, "z")).name]


@functools.cache
def probes() -> np.ndarray:
    """Numbers z (N, 1) to compute formulas at: close together where functions bend, and far out."""
    far, close = np.geomspace(25, 1e30, 150), np.geomspace(1e-9, 1e-2, 40)
    return np.concatenate([np.linspace(-25, 25, 2001), close, -close, far, -far])[:, None]


@functools.cache
def _expected() -> dict[str, np.ndarray]:
    """φ at the probes, of every activation."""
    return {name: _phi(name, probes()) for name in HIDDEN | OUTPUTS if name != "softmax"}


def _around(constant: Any) -> list[float]:
    """Numbers close to where a formula with this constant may bend."""
    c = float(constant)
    return [sign * c * by for sign in (1, -1) for by in (1, 0.999, 1.001)] if np.isfinite(c) else []


def _activation(start: Formula, run: list[Formula], joint: Value) -> Activated | None:
    """φ(z) that has the formula's values at the probes and around its constants. What overflows on its way there, as
    log(1 + e^z) does, is not looked at far out.
    """
    constants = [x for part in run for x in part.operands if isinstance(x, np.ndarray)]
    if not all(x.size and (x == x.flat[0]).all() for x in constants):
        return None  # φ is the same for all units
    values = _values(start, run, probes())
    bends = np.array([z for x in constants for z in _around(x.flat[0])])[:, None]
    for name, expected in _expected().items():
        if _alike(probes(), values, expected) and _alike(bends, _values(start, run, bends), _phi(name, bends)):
            return Activated(joint.width, joint, run[-1].node, name)
    return None


def _alike(z: np.ndarray, values: np.ndarray, expected: np.ndarray) -> bool:
    overflown = ~np.isfinite(values) & (abs(z) > BEFORE_OVERFLOW)
    return bool((np.isclose(values, expected, rtol=CLOSE, atol=CLOSE) | overflown).all())


# --------------------------------------------------------------------------------------- normalisation


def _normalisation(start: Formula, run: list[Formula], joint: Value) -> Layer | None:
    """E7 by layer. γ, b and ε come out of three rows: of zeros, of large numbers, of small ones."""
    units = joint.width
    if units is None or units < 2:
        return None
    row = np.random.default_rng(0).normal(size=(1, units))
    values = [_values(start, run, x) for x in (0 * row, BIG * row, TINY * row)]
    if any(x.shape != row.shape or not np.isfinite(x).all() for x in values):
        return None
    b = values[0]
    gain = (values[1] - b) / _normal(BIG * row, 0)
    j = abs(gain).argmax()
    with np.errstate(all="ignore"):
        epsilon = decimal((gain * (TINY * (row - row.mean())) / (values[2] - b))[0, j] ** 2 - (TINY * row).var())
    rows = np.concatenate([scale * row[:, ::-1] + scale for scale in (1e-3, 1, 1e3, BIG, 1e3 * BIG)])
    if not epsilon > 0 or not np.allclose(_values(start, run, rows), b + gain * _normal(rows, epsilon), CLOSE, CLOSE):
        return None
    return Layer(units, joint, run[-1].node, gain[0], b[0], epsilon)


def _normal(rows: np.ndarray, epsilon: float) -> np.ndarray:
    normal: np.ndarray = (rows - rows.mean(axis=1, keepdims=True)) / np.sqrt(rows.var(axis=1, keepdims=True) + epsilon)
    return normal
