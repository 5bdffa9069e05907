"""`from_onnx`: an ONNX file as a network."""

import inspect
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ...network import Network
from .arithmetic import BY_NODE, BY_NUMBER, BY_ROW, COMPARISONS, decimal, result, takes
from .assembly import network_of
from .file import FLOATS, Node, array_of, nodes_of, read, type_name
from .meaning import understood
from .signals import Activated, Batch, Formula, Layer, Linear, Pair, Scaled, Skip, Value

ELEMENTWISE = {*BY_NUMBER, *BY_NODE} - {"Cast"}
FAILURES = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, MemoryError)


def from_onnx(path: str | os.PathLike) -> Network:
    """The network that an ONNX file describes, with its parameters, on the dtype that they have: float32 or float64.

    Read are chains of Gemm, or MatMul and Add, with BatchNormalization, LayerNormalization, the activations of
    `Network`, residual Adds, and Softmax, Sigmoid, Exp or none of these at the end; Flatten, Reshape, Identity, Cast
    and Dropout; skl2onnx's Scaler and ZipMap. Activations and normalisations may be composed of other operators: what
    these compute counts. A classifier's labels are left out: the network gives the probabilities.

    What `Network` has no place for goes where it has: a scaling, or a batch normalisation that does not follow a Gemm,
    into the weights beside it; what is left over, such as a Linear with a bias before a LayerNormalization, becomes a
    hidden layer of its own with the identity for W. A batch normalisation's ε goes into its running variance.

    Raises ValueError that names the operator and its place for every other graph, for float16 and bfloat16, for
    numbers in other files, which are never opened, and for files that are damaged or no ONNX; OSError where there is no
    file; ImportError without onnx.
    """
    try:
        return Reader(read(path).graph).network()
    except FAILURES as error:
        raise ValueError(f"{path}: expected an ONNX file of a network, got {error or type(error).__name__}") from None


class Reader:
    """A graph, and what its names stand for as far as it has been read: numbers or formulas."""

    def __init__(self, graph: Any) -> None:
        self.graph, self.nodes = graph, nodes_of(graph)
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.sparse = {tensor.values.name for tensor in graph.sparse_initializer}
        self.known: dict[str, Formula | np.ndarray] = {}
        self.values: dict[Formula, Value] = {}
        self.dtype = np.dtype(np.float32)

    def network(self) -> Network:
        """The network. ValueError for any other graph."""
        producers = self._producers()
        name = self._output(producers)
        needed = self._needed(name, producers)
        self._read_input(needed)
        of_use = set(needed.values())
        for node in self.nodes:
            if node in of_use:
                try:
                    self._read(node, producers)
                except FAILURES as error:  # NumPy's, too, of shapes that do not fit
                    raise ValueError(str(error) if " at node " in str(error) else f"{node}: {error}") from None
        found = self.known.get(name)
        if not isinstance(found, Formula):
            raise ValueError(f"an output {name!r} that does not depend on the input")
        return network_of(self.value(found, None), self.dtype)

    # ----------------------------------------------------------------------------------- the graph

    def _producers(self) -> dict[str, Node]:
        """The node that writes each name. ValueError where a name is written twice."""
        found: dict[str, Node] = {}
        given = {value.name for value in self.graph.input} | set(self.initializers)
        for node in self.nodes:
            for name in filter(None, node.outputs):
                if name in found or name in given:
                    raise ValueError(f"{node}: expected a new name, got {name!r} once more")
                found[name] = node
        return found

    def _output(self, producers: dict[str, Node]) -> str:
        """The name of the outputs that are numbers, a classifier's probabilities."""
        found = []
        for output in self.graph.output:
            producer = producers.get(output.name)
            if producer is not None and producer.operator == "ZipMap":
                found.append((output, (*producer.inputs, "")[0]))
            elif output.type.WhichOneof("value") in (None, "tensor_type"):
                kind = type_name(output.type.tensor_type.elem_type)
                if kind in (*FLOATS, "UNDEFINED"):
                    found.append((output, output.name))
                elif kind not in ("INT64", "INT32", "STRING", "BOOL"):
                    raise ValueError(f"an output {output.name!r} of {kind}")
        if len(found) > 1:  # classes may be floats
            found = [pair for pair in found if len(pair[0].type.tensor_type.shape.dim) != 1]
        if len(found) != 1:
            raise ValueError(f"{len(found)} outputs of FLOAT or DOUBLE instead of one: {[o.name for o, _ in found]}")
        return found[0][1]

    def _needed(self, name: str, producers: dict[str, Node]) -> dict[str, Node | None]:
        """All names that this one is computed from, each with the node that writes it."""
        found: dict[str, Node | None] = {}
        waiting = [name]
        while waiting:
            name = waiting.pop()
            if name not in found:
                node = found[name] = producers.get(name)
                waiting += filter(None, node.inputs if node else ())
        return found

    def _read_input(self, needed: dict[str, Node | None]) -> None:
        inputs = [value for value in self.graph.input if value.name in needed and value.name not in self.initializers]
        if len(inputs) != 1:
            raise ValueError(f"{len(inputs)} inputs instead of one: {[value.name for value in inputs]}")
        tensor = inputs[0].type.tensor_type
        kind, axes = type_name(tensor.elem_type), tensor.shape.dim
        if kind not in (*FLOATS, "INT64", "INT32", "BOOL"):
            raise ValueError(f"an input {inputs[0].name!r} of {kind}")
        if tensor.HasField("shape") and len(axes) < 2:
            raise ValueError(f"an input {inputs[0].name!r} with {len(axes)} axes instead of (n, n_features)")
        is_known = len(axes) > 1 and all(axis.HasField("dim_value") for axis in axes[1:])
        width = math.prod(axis.dim_value for axis in axes[1:]) if is_known else None
        self.known[inputs[0].name] = Formula(Value(width, None, None), flat=len(axes) <= 2)

    def _read(self, node: Node, producers: dict[str, Node]) -> None:
        """What a node makes of what is known."""
        inputs: list[Any] = [self.operand(node, name, producers) for name in node.inputs]
        is_constant = not any(isinstance(x, Formula) for x in inputs)
        if is_constant and node.operator in CONSTANTS:
            made = _applied(CONSTANTS[node.operator], self, node, inputs)
        elif not is_constant and node.operator in OPERATORS:
            made = _applied(OPERATORS[node.operator], self, node, inputs)
        elif node.operator in ELEMENTWISE:
            if not takes(node.operator, len(inputs)):
                raise ValueError(f"{node}: expected another number of inputs, got {list(node.inputs)}")
            inputs = [_left_out(node, place) if x is None else x for place, x in enumerate(inputs)]
            made = self.folded(node, inputs) if is_constant else self.elementwise(node, inputs)
        elif node.operator in OPERATORS:
            raise ValueError(f"{node}: expected the input's numbers on their way, got constants for its inputs")
        else:
            raise ValueError(f"{node}: an operator that is not read")
        self.known[node.outputs[0]] = made

    def operand(self, node: Node, name: str, producers: dict[str, Node]) -> Formula | np.ndarray | None:
        """What a name stands for; None for an input that is left out."""
        if name == "":
            return None
        if name not in self.known:
            if name in self.sparse:
                raise ValueError(f"{node}: a sparse tensor {name!r}")
            if name not in self.initializers:
                later = name in producers
                raise ValueError(
                    f"{node}: {name!r}, which "
                    + ("is an output of a later node, or of a second kind" if later else "is nowhere in the graph")
                )
            self.known[name] = self.array(self.initializers[name], f"{node}: {name!r}")
        return self.known[name]

    def array(self, tensor: Any, where: str) -> np.ndarray:
        """The numbers of a tensor."""
        numbers = array_of(tensor, where)
        if numbers.dtype == np.float64:
            self.dtype = numbers.dtype
        return numbers

    # ----------------------------------------------------------------------------------- formulas

    def value(self, formula: Any, node: Node | None) -> Value:
        """What a formula comes to. ValueError where it is none, or still has to be flattened."""
        if not isinstance(formula, Formula):
            raise ValueError(f"{node}: expected the input's numbers on their way, got a constant")
        if not formula.flat:
            raise ValueError(
                f"{node or 'the output'}: expected numbers (n, n_features), got more axes: Flatten is missing"
            )
        if formula not in self.values:
            self.values[formula] = understood(formula)
        return self.values[formula]

    def folded(self, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
        """What a node makes of constants. It may not make them larger."""
        size = math.prod(np.broadcast_shapes(*(x.shape for x in inputs)))
        if size > max(x.size for x in inputs):
            raise ValueError(f"{node}: expected a constant no larger than what it is made of, got {size} numbers")
        return result(node, inputs).astype(np.result_type(*inputs, np.float32))

    def elementwise(self, node: Node, inputs: list[Formula | np.ndarray]) -> Formula:
        """A formula of formulas of one joint; a residual Add of two joints."""
        formulas = [x for x in inputs if isinstance(x, Formula)]
        if len({id(x.root) for x in formulas}) > 1:
            return self.residual(node, inputs)
        if len({x.flat for x in formulas}) > 1:
            raise ValueError(f"{node}: expected operands of one shape, got flattened ones and others")
        width = formulas[0].root.width if formulas[0].flat else 1
        for x in inputs:
            if isinstance(x, np.ndarray):
                _need_fit(node, x, width)
        return Formula(formulas[0].root, node, tuple(inputs), formulas[0].flat)

    def residual(self, node: Node, inputs: list[Any]) -> Formula:
        """E10."""
        if node.operator not in ("Add", "Sum") or len(inputs) != 2:
            raise ValueError(f"{node}: expected numbers of one layer, or a residual Add of two, got others")
        one, other = (self.value(x, node) for x in inputs)
        if one.width != other.width:
            raise ValueError(f"{node}: expected as many numbers from both, got {one.width} and {other.width}")
        return Formula(
            Skip(one.width, other, node, one) if _comes_from(other, one) else Skip(one.width, one, node, other)
        )


def _applied(function: Callable, reader: Reader, node: Node, inputs: list) -> Any:
    """What a function makes of a node's inputs. ValueError where it takes another number of them."""
    try:
        inspect.signature(function).bind(reader, node, *inputs)
    except TypeError:
        raise ValueError(f"{node}: expected another number of inputs, got {list(node.inputs)}") from None
    return function(reader, node, *inputs)


def _left_out(node: Node, place: int) -> np.ndarray:
    """What stands for an input that is left out: Clip's bounds may be."""
    if node.operator != "Clip" or place == 0:
        raise ValueError(f"{node}: expected all its inputs, got {list(node.inputs)}")
    return np.array(-np.inf if place == 1 else np.inf, np.float32)


def _comes_from(value: Value, earlier: Value) -> bool:
    source: Value | None = value
    while source is not None and source is not earlier:
        source = source.source
    return source is earlier


def _need_fit(node: Node, x: np.ndarray, width: int | None) -> None:
    """ValueError for a constant that is neither one number nor one for each unit."""
    fits = x.size == 1 or (width in (None, x.size) and x.shape in ((x.size,), (1, x.size)))
    if not fits or x.ndim > 2:
        raise ValueError(f"{node}: expected one number or one for each of {width} units, got an array {list(x.shape)}")


def _vector(node: Node, x: Any, width: int) -> np.ndarray:
    """A constant (width,) in float64; zeros where it is left out."""
    if x is None:
        return np.zeros(width)
    if not isinstance(x, np.ndarray):
        raise ValueError(f"{node}: expected constants beside its first input")
    _need_fit(node, x, width)
    return np.array(np.broadcast_to(x.reshape(-1), (width,)), np.float64)


# --------------------------------------------------------------------------------------- operators


def _gemm(reader: Reader, node: Node, x: Any, W: Any = None, c: Any = None) -> Formula:
    if node.attribute("transA", 0):
        raise ValueError(f"{node}: expected transA = 0")
    W = _matrix(node, W)
    W = node.attribute("alpha", 1.0) * (W.T if node.attribute("transB", 0) else W)
    return _linear(reader, node, x, W, node.attribute("beta", 1.0) * _vector(node, c, W.shape[1]))


def _matmul(reader: Reader, node: Node, x: Any, W: Any = None) -> Formula:
    W = _matrix(node, W)
    return _linear(reader, node, x, W, np.zeros(W.shape[1]))


def _matrix(node: Node, W: Any) -> np.ndarray:
    if not isinstance(W, np.ndarray):
        raise ValueError(f"{node}: expected constant weights as its second input")
    if W.ndim != 2 or 0 in W.shape:
        raise ValueError(f"{node}: expected weights (n_in, n_out), got an array {list(W.shape)}")
    return W.astype(np.float64)


def _linear(reader: Reader, node: Node, x: Any, W: np.ndarray, b: np.ndarray) -> Formula:
    source = reader.value(x, node)
    if source.width not in (None, W.shape[0]):
        raise ValueError(f"{node}: expected weights for {source.width} numbers, got {list(W.shape)}")
    return Formula(Linear(W.shape[1], source, node, W, b))


def _batch_normalization(reader: Reader, node: Node, x: Any, *arrays: Any) -> Formula:
    if node.attribute("training_mode", 0):
        raise ValueError(f"{node}: expected training_mode = 0, got a graph that still trains")
    source = reader.value(x, node)
    if len(arrays) != 4 or any(not isinstance(array, np.ndarray) for array in arrays):
        raise ValueError(f"{node}: expected four constants beside its first input")
    width = source.width or arrays[0].size
    gain, b, mean, variance = (_vector(node, array, width) for array in arrays)
    epsilon = node.attribute("epsilon", 1e-5)
    if not (variance + epsilon > 0).all():
        raise ValueError(f"{node}: expected variances above {-epsilon:g}, got {variance.min():g}")
    return Formula(Batch(width, source, node, gain, b, mean, variance, epsilon))


def _layer_normalization(reader: Reader, node: Node, x: Any, gain: Any = None, b: Any = None) -> Formula:
    source = reader.value(x, node)
    axis, epsilon = node.attribute("axis", -1), decimal(node.attribute("epsilon", 1e-5))
    if source.width is None or axis not in (-1, 1) or not epsilon > 0 or gain is None:
        raise ValueError(f"{node}: expected numbers (n, n_features), their axis, a scale and an epsilon above 0")
    gain, b = (_vector(node, array, source.width) for array in (gain, b))
    return Formula(Layer(source.width, source, node, gain, b, epsilon))


def _softmax(reader: Reader, node: Node, x: Any) -> Formula:
    source = reader.value(x, node)
    _need_rows(node, node.attribute("axis", -1))
    return Formula(Activated(source.width, source, node, "softmax"))


def _need_rows(node: Node, axis: int) -> None:
    if axis not in (-1, 1):
        raise ValueError(f"{node}: expected axis 1 or -1, got {axis}")


def _reduced(reader: Reader, node: Node, x: Any, axes: Any = None) -> Formula:
    """A mean or a sum of each row."""
    given = axes.tolist() if isinstance(axes, np.ndarray) else node.attribute("axes", [])
    if given not in ([1], [-1]) or not node.attribute("keepdims", 1) or not isinstance(x, Formula) or not x.flat:
        raise ValueError(f"{node}: expected it along axis 1 of (n, units), with keepdims, got axes {given}")
    return Formula(x.root, node, (x,))


def _same(reader: Reader, node: Node, x: Any, *others: Any) -> Any:
    """Identity."""
    return x


def _dropout(reader: Reader, node: Node, x: Any, ratio: Any = None, trains: Any = None) -> Any:
    if isinstance(trains, Formula) or (trains is not None and np.any(trains)):
        raise ValueError(f"{node}: expected training_mode to be false, got a graph that still trains")
    return x


def _cast(reader: Reader, node: Node, x: Any) -> Any:
    kind = type_name(node.attribute("to", 0))
    if kind not in FLOATS:
        raise ValueError(f"{node}: expected a cast to {' or '.join(FLOATS)}, got {kind}")
    compared = x.node is not None and x.node.operator in COMPARISONS
    return Formula(x.root, node, (x,), x.flat) if compared else x


def _flatten(reader: Reader, node: Node, x: Formula) -> Formula:
    axis = node.attribute("axis", 1)
    if axis != 1 and not (x.flat and axis == -1):
        raise ValueError(f"{node}: expected axis 1, got {axis}")
    return _flat(x)


def _reshape(reader: Reader, node: Node, x: Formula, shape: Any = None) -> Formula:
    sizes = shape.tolist() if isinstance(shape, np.ndarray) else None
    width = x.root.width
    fits = (
        isinstance(sizes, list)
        and len(sizes) == 2
        and ((sizes[1] == width and width is not None) or (sizes[1] == -1 and sizes[0] != -1))
    )
    if not fits:
        raise ValueError(f"{node}: expected a constant shape (n, {width}), got {sizes}")
    return _flat(x)


def _flat(x: Formula) -> Formula:
    return x if x.flat else Formula(x.root, x.node, x.operands)


def _scaler(reader: Reader, node: Node, x: Any) -> Formula:
    """skl2onnx's: (x − offset) scale."""
    source = reader.value(x, node)
    offset, scale = (np.array(node.attribute(name, [0.0])) for name in ("offset", "scale"))
    for array in (offset, scale):
        _need_fit(node, array, source.width)
    return Formula(Scaled(source.width, source, node, scale, -offset * scale))


def _concat(reader: Reader, node: Node, *parts: Any) -> Formula:
    """(1 − p, p): the two classes' probabilities."""
    _need_rows(node, node.attribute("axis", 0))
    if len(parts) == 2 and all(isinstance(part, Formula) for part in parts):
        first, second = parts
        if (
            first.node is not None
            and first.node.operator == "Sub"
            and first.operands[1] is second
            and isinstance(first.operands[0], np.ndarray)
            and first.operands[0].size == 1
            and first.operands[0] == 1
            and second.root.width == 1
        ):
            return Formula(Pair(2, reader.value(second, node), node))
    raise ValueError(f"{node}: expected the probabilities of two classes, 1 − p and p")


OPERATORS: dict[str, Callable[..., Any]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "Softmax": _softmax,
    "Identity": _same,
    "Dropout": _dropout,
    "Cast": _cast,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Scaler": _scaler,
    "Concat": _concat,
    **dict.fromkeys(BY_ROW, _reduced),
}


def _constant(reader: Reader, node: Node) -> np.ndarray:
    if "value" in node.attributes:
        return reader.array(node.attributes["value"], str(node))
    for name, kind in {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64}.items():
        if name in node.attributes:
            return np.array(node.attributes[name], kind)
    return np.array(node.attribute("value_ints", [0]), np.int64)


def _cast_constant(reader: Reader, node: Node, x: np.ndarray) -> np.ndarray:
    kind = type_name(node.attribute("to", 0))
    if kind not in (*FLOATS, "INT64"):
        raise ValueError(f"{node}: expected a cast to {' or '.join(FLOATS)}, got {kind}")
    return x.astype({"FLOAT": np.float32, "DOUBLE": np.float64, "INT64": np.int64}[kind])


def _transpose(reader: Reader, node: Node, x: np.ndarray) -> np.ndarray:
    return x.transpose(node.attribute("perm", list(range(x.ndim))[::-1]))


def _reshape_constant(reader: Reader, node: Node, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape.tolist())]
    return x.reshape(sizes)


def _squeezed(change: Callable) -> Callable:
    def function(reader: Reader, node: Node, x: np.ndarray, axes: Any = None) -> np.ndarray:
        given = axes.tolist() if axes is not None else node.attribute("axes", [])
        found: np.ndarray = change(x, tuple(given) if given else None)
        return found

    return function


CONSTANTS: dict[str, Callable[..., np.ndarray]] = {
    "Constant": _constant,
    "Identity": _same,
    "Cast": _cast_constant,
    "Transpose": _transpose,
    "Reshape": _reshape_constant,
    "Squeeze": _squeezed(np.squeeze),
    "Unsqueeze": _squeezed(np.expand_dims),
}
