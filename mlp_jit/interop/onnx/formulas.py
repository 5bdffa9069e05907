"""Each φ in ONNX operators, of opset 13 and every later one.

Formulas are written as arithmetic on a `Term`, the result of a node: each operation adds a node to the graph.
onnxruntime, on the CPU, has Elu, Selu, LeakyRelu, Softplus, HardSigmoid and Erf for float32 only, and some versions
make one operator of z σ(z) that they have for float32 only; in float64 all these are composed of what it has.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..._math import FLOAT64
from ...activations import LEAK, SELU_ALPHA, SELU_SCALE, SQRT_HALF


class Graph(Protocol):
    """What nodes are added to."""

    dtype: np.dtype

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node; the name of its result."""

    def array(self, name: str, values: Any) -> str:
        """Add an initialiser; its name."""

    def number(self, value: float) -> str:
        """The name of an initialiser that holds one number of this dtype."""


class Term:
    """The result of a node, (n, units)."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def then(self, operator: str, *others: "Term | float | str", **attributes: Any) -> "Term":
        """The result of an operator whose first input is this one."""
        return self._made(operator, [self, *others], attributes)

    def _made(self, operator: str, operands: list, attributes: dict | None = None) -> "Term":
        names = [x.name if isinstance(x, Term) else x if isinstance(x, str) else self.graph.number(x) for x in operands]
        return Term(self.graph, self.graph.node(operator, names, operator.lower(), **attributes or {}))

    def __add__(self, other: "Term | float | str") -> "Term":
        return self.then("Add", other)

    def __radd__(self, other: float) -> "Term":
        return self._made("Add", [other, self])

    def __sub__(self, other: "Term | float") -> "Term":
        return self.then("Sub", other)

    def __rsub__(self, other: float) -> "Term":
        return self._made("Sub", [other, self])

    def __mul__(self, other: "Term | float | str") -> "Term":
        return self.then("Mul", other)

    def __rmul__(self, other: float) -> "Term":
        return self._made("Mul", [other, self])

    def __truediv__(self, other: "Term | float") -> "Term":
        return self.then("Div", other)

    def __neg__(self) -> "Term":
        return self.then("Neg")

    def __abs__(self) -> "Term":
        return self.then("Abs")


def above(z: Term) -> Term:
    """max(z, 0)"""
    return z.then("Max", 0.0)


def below(z: Term) -> Term:
    """min(z, 0)"""
    return z.then("Min", 0.0)


def expm1(z: Term) -> Term:
    return z.then("Exp") - 1.0


def erf(x: Term) -> Term:
    """As `_math.erf`: 1 − e⁻ᵍ of |x| with its sign, g a polynomial."""
    a = abs(x).then("Min", float(FLOAT64.erf_most))
    highest, *rest = map(float, FLOAT64.erf)
    g = a * highest + rest[0]
    for coefficient in rest[1:]:
        g = g * a + coefficient
    return x.then("Sign") * (1.0 - (-(a + a * g)).then("Exp"))


def step(z: Term) -> Term:
    from onnx.helper import np_dtype_to_tensor_dtype

    return z.then("GreaterOrEqual", 0.0).then("Cast", to=np_dtype_to_tensor_dtype(z.graph.dtype))


def hard_sigmoid(z: Term) -> Term:
    return (z * (1 / 6) + 0.5).then("Clip", 0.0, 1.0)


def gelu_by(erf_of: Callable[[Term], Term]) -> Callable[[Term], Term]:
    return lambda z: z * 0.5 * (1.0 + erf_of(z * SQRT_HALF))


FORMULAS: dict[str, Callable[[Term], Term]] = {
    "identity": lambda z: z,
    "step": step,
    "sigmoid": lambda z: z.then("Sigmoid"),
    "tanh": lambda z: z.then("Tanh"),
    "relu": lambda z: z.then("Relu"),
    "leaky_relu": lambda z: above(z) + LEAK * below(z),
    "elu": lambda z: above(z) + expm1(below(z)),
    "selu": lambda z: SELU_SCALE * (above(z) + SELU_ALPHA * expm1(below(z))),
    "softplus": lambda z: above(z) + (1.0 + (-abs(z)).then("Exp")).then("Log"),
    "silu": lambda z: z / (1.0 + (-z).then("Exp")),
    "gelu": gelu_by(erf),
    "hard_sigmoid": hard_sigmoid,
    "hard_tanh": lambda z: z.then("Clip", -1.0, 1.0),
    "hard_silu": lambda z: z * hard_sigmoid(z),
    "exp": lambda z: z.then("Exp"),
    "softmax": lambda z: z.then("Softmax", axis=1),
}
IN_FLOAT32: dict[str, Callable[[Term], Term]] = {
    "leaky_relu": lambda z: z.then("LeakyRelu", alpha=LEAK),
    "elu": lambda z: z.then("Elu", alpha=1.0),
    "selu": lambda z: z.then("Selu", alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "softplus": lambda z: z.then("Softplus"),
    "silu": lambda z: z * z.then("Sigmoid"),
    "gelu": gelu_by(lambda x: x.then("Erf")),
    "hard_sigmoid": lambda z: z.then("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": lambda z: z * z.then("HardSigmoid", alpha=1 / 6, beta=0.5),
}


def activation(name: str, z: Term) -> Term:
    """φ(z), written in the way that onnxruntime can run in z's dtype."""
    short = IN_FLOAT32 if z.graph.dtype == np.float32 else FORMULAS
    return short.get(name, FORMULAS[name])(z)
