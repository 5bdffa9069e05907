"""What ONNX's operators on single numbers compute, in NumPy's float64: to find out which φ a run of them is."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .file import Node


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


def _elu(node: Node, x: np.ndarray, default: float = 1.0) -> np.ndarray:
    return np.maximum(x, 0) + _decimal(node, "alpha", default) * np.expm1(np.minimum(x, 0))


def _selu(node: Node, x: np.ndarray) -> np.ndarray:
    return _decimal(node, "gamma", 1.05070102214813232421875) * _elu(node, x, 1.67326319217681884765625)


def _hard_sigmoid(node: Node, x: np.ndarray) -> np.ndarray:
    return np.clip(_decimal(node, "alpha", 0.2) * x + _decimal(node, "beta", 0.5), 0, 1)


def _leaky_relu(node: Node, x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + _decimal(node, "alpha", 0.01) * np.minimum(x, 0)


def _one_by_one(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.array([function(number) for number in x.flat]).reshape(x.shape)


_erf = _one_by_one(math.erf)


def _gelu(node: Node, x: np.ndarray) -> np.ndarray:
    if node.attribute("approximate", "none") == "none":
        return 0.5 * x * (1 + _erf(x * math.sqrt(0.5)))
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _clip(node: Node, x: np.ndarray, low: Any = -math.inf, high: Any = math.inf) -> np.ndarray:
    low = np.maximum(low, _decimal(node, "min", -math.inf))  # attributes before opset 11
    return np.minimum(np.maximum(x, low), np.minimum(high, _decimal(node, "max", math.inf)))


def _prelu(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return np.where(x < 0, slope * x, x)


def _along_rows(reduce: Callable) -> Callable:
    return lambda node, x, *axes: reduce(x, axis=1, keepdims=True)


def _decimal(node: Node, name: str, default: float) -> float:
    """An attribute as the decimal number that its float32 stands for."""
    return decimal(node.attribute(name, default))


def decimal(value: float) -> float:
    """The shortest decimal number that rounds to this float32."""
    return float(str(np.float32(value)))


def _all(ufunc: Callable) -> Callable:
    def function(*inputs: np.ndarray) -> np.ndarray:
        found = inputs[0]
        for x in inputs[1:]:
            found = ufunc(found, x)
        return found

    return function


BY_NUMBER: dict[str, Callable] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Neg": np.negative,
    "Abs": np.abs,
    "Sign": np.sign,
    "Sqrt": np.sqrt,
    "Reciprocal": np.reciprocal,
    "Pow": np.power,
    "Exp": np.exp,
    "Log": np.log,
    "Erf": _erf,
    "Erfc": _one_by_one(math.erfc),  # no operator of ONNX, but tf2onnx writes it for Keras's GELU
    "Max": _all(np.maximum),
    "Min": _all(np.minimum),
    "Sum": _all(np.add),
    "Relu": lambda x: np.maximum(x, 0),
    "PRelu": _prelu,
    "Sigmoid": _sigmoid,
    "Tanh": np.tanh,
    "Softplus": _softplus,
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Not": lambda x: 1 - x,
    "Where": lambda condition, x, y: np.where(condition != 0, x, y),
    "Cast": lambda x: x,
}
BY_NODE: dict[str, Callable] = {  # with attributes
    "Elu": _elu,
    "Selu": _selu,
    "LeakyRelu": _leaky_relu,
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
    "Gelu": _gelu,
    "Swish": lambda node, x: x * _sigmoid(_decimal(node, "alpha", 1.0) * x),
}
BY_ROW: dict[str, Callable] = {"ReduceMean": _along_rows(np.mean), "ReduceSum": _along_rows(np.sum)}
COMPARISONS = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not")


def takes(operator: str, count: int) -> bool:
    """Whether one of these operators has so many inputs."""
    function = (BY_NUMBER | BY_NODE)[operator]
    if isinstance(function, np.ufunc):
        return count == function.nin
    try:
        inspect.signature(function).bind(*range(count + (operator in BY_NODE)))
    except TypeError:
        return False
    return count > 0


def result(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    """What a node of these makes of its operands."""
    numbers = [np.asarray(x, np.float64) for x in operands]
    with np.errstate(all="ignore"):
        if node.operator in BY_NUMBER:
            found = BY_NUMBER[node.operator](*numbers)
        else:
            found = (BY_NODE | BY_ROW)[node.operator](node, *numbers)
        return np.asarray(found, np.float64)
