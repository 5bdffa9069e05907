"""`to_onnx`: networks and estimators as ONNX graphs."""

import os
from collections import Counter
from typing import Any

import numpy as np

from ...engines import layout
from ...engines.layout import BATCH, KIND, LAYER, SKIPS
from ...engines.statistics import EPSILON
from ...network import Network
from .formulas import Graph, Term, activation
from .package import onnx_package

OPSET = 13  # since then Softmax goes along one axis; all that a network has can be composed of its operators
LARGEST = 2**31 - 1  # bytes that Protocol Buffers put into one message
ROWS = "n"


def to_onnx(model: Any, path: str | os.PathLike | None = None) -> Any:
    """A Network, or a fitted MLPClassifier or MLPRegressor, as an ONNX model, written to `path` where that is given.

    The input `X` (n, n_features) and the arithmetic are of the network's dtype; n is symbolic. Outputs:

    - of a Network: `output` (n, n_outputs);
    - of an MLPRegressor: `prediction` (n, n_outputs);
    - of an MLPClassifier: `label`, the classes (n,) as int64, bool, float or string, or for several labels 0 and 1
      (n, n_labels) as int64; and `probabilities` (n, n_classes) or (n, n_labels), as `predict_proba` gives them.

    Initialisers are W1, b1, W2, …; gain1 where a layer is normalised, and mean1, variance1, the running statistics,
    where by batch. The model needs opset 13, the first whose Softmax goes along one axis; what came later
    (LayerNormalization, Gelu, …) is composed of older operators. It has passed `onnx.checker`, with shapes inferred.

    Returns the onnx.ModelProto. Raises TypeError for other objects; ValueError for an estimator that is not fitted, for
    classes that ONNX has no type for, and for a model beyond the 2 GiB of such a file; ImportError without onnx;
    OSError where the file cannot be written.
    """
    onnx = onnx_package()
    graph = GraphOfFile(_network(model).dtype)
    made = model_of(graph, "X", model)
    proto = _checked(onnx, graph, made, _network(model).sizes[0])
    if path is not None:
        onnx.save(proto, os.fspath(path))
    return proto


def _network(model: Any) -> Network:
    network = _network_of(model)
    for phi in network.activations:
        if not isinstance(phi, str):
            raise ValueError(f"model: expected built-in activations, got your own {phi.name!r}, which ONNX cannot say")
    return network


def _network_of(model: Any) -> Network:
    if isinstance(model, Network):
        return model
    if not hasattr(type(model), "network_"):
        raise TypeError(f"model: expected a Network, an MLPClassifier or an MLPRegressor, got {model!r}")
    if not hasattr(model, "coefs_"):
        raise ValueError(f"model: expected a fitted estimator, got {model!r}, whose fit was never called")
    network: Network = model.network_
    return network


def model_of(graph: Graph, X: str, model: Any) -> dict[str, str]:
    """Write the model for the input named X; the names of its results, by what to call them, in their order."""
    network = _network(model)
    outputs = forward(graph, X, network)
    if model is network:
        return {"output": outputs.name}
    if not hasattr(model, "classes_"):
        return {"prediction": outputs.name}
    return {"label": label(graph, outputs, model).name, "probabilities": probabilities(outputs, network).name}


# --------------------------------------------------------------------------------------- networks


def forward(graph: Graph, X: str, network: Network) -> Term:
    """E1, E7 and E10, layer by layer: z1, a1, h1, …"""
    h = Term(graph, X)
    for l, phi in enumerate((*map(str, network.activations), network.output), 1):
        below, h = h, activation(phi, _sums(graph, h, network, l))
        if network.table[l, SKIPS]:
            h = h + below
    return h


def _sums(graph: Graph, h: Term, network: Network, l: int) -> Term:
    """z of layer l."""
    W = graph.array(f"W{l}", network.weights[l - 1])
    b = graph.array(f"b{l}", network.biases[l - 1])
    kind = network.table[l, KIND]
    if kind not in (BATCH, LAYER):
        return h.then("Gemm", W, b)
    s, gain = h.then("Gemm", W), graph.array(f"gain{l}", network.gains[l - 1])
    if kind == BATCH:
        mean, variance = layout.running_view(network.table, network.state, l)
        epsilon = float(np.float32(EPSILON))  # ONNX's attributes are float32; what that loses goes to the variance
        running = graph.array(f"mean{l}", mean), graph.array(f"variance{l}", variance + (EPSILON - epsilon))
        return s.then("BatchNormalization", gain, b, *running, epsilon=epsilon)
    units = float(network.sizes[l])
    centred = s - total(graph, s) / units
    deviation = (total(graph, centred * centred) / units + EPSILON).then("Sqrt")
    return centred / deviation * gain + b


def total(graph: Graph, x: Term) -> Term:
    """Σ_j x_j, (n, 1). ReduceSum reads alike in every opset since 13, ReduceMean does not."""
    return x.then("ReduceSum", graph.array("axes", np.array([1], np.int64)), keepdims=1)


# --------------------------------------------------------------------------------------- classes


def label(graph: Graph, outputs: Term, classifier: Any) -> Term:
    """What `predict` says: classes (n,), or of several labels 0 and 1 (n, n_labels)."""
    from onnx import TensorProto

    n_outputs = classifier.network_.sizes[-1]
    if classifier._labels.multilabel:
        return outputs.then("Greater", 0.5).then("Cast", to=TensorProto.INT64)
    classes = graph.array("classes", np.resize(onnx_classes(classifier.classes_), max(n_outputs, 2)))
    if n_outputs > 1:
        place = outputs.then("ArgMax", axis=1, keepdims=0)
    else:
        second = outputs.then("Greater", 0.5).then("Cast", to=TensorProto.INT64)
        place = second.then("Squeeze", graph.array("axes", np.array([1], np.int64)))
    return Term(graph, graph.node("Gather", [classes, place.name], "label"))


def onnx_classes(classes: np.ndarray) -> np.ndarray:
    """Classes in one of the types that ONNX's labels have. TypeError for what is neither text nor number."""
    if classes.dtype.kind == "U" or (classes.dtype.kind == "O" and all(isinstance(c, str) for c in classes)):
        return classes.astype(object)
    if classes.dtype.kind in "iu":
        if classes.size and int(classes.max()) > np.iinfo(np.int64).max:
            raise ValueError(f"classes: expected integers that int64 can hold, got {classes.max()}")
        return classes.astype(np.int64)
    if classes.dtype in (np.bool_, np.float32, np.float64):
        return classes
    raise ValueError(f"classes: expected integers, truths, floats or texts, got {classes.dtype}: {classes.tolist()}")


def probabilities(outputs: Term, network: Network) -> Term:
    """What `predict_proba` says, (n, n_classes)."""
    return outputs if network.sizes[-1] > 1 else (1.0 - outputs).then("Concat", outputs, axis=1)


# --------------------------------------------------------------------------------------- the file


class GraphOfFile:
    """Nodes and initialisers of a graph of its own."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.counts: Counter[str] = Counter()

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node; the name of its result."""
        from onnx.helper import make_node

        result = f"{name}_{self.counts[name]}" if self.counts[name] else name
        self.counts[name] += 1
        self.nodes.append(make_node(operator, inputs, [result], name=result, **attributes))
        return result

    def array(self, name: str, values: Any) -> str:
        """Add an initialiser; its name."""
        values = np.asarray(values)
        self.arrays[name] = values
        return name

    def number(self, value: float) -> str:
        """The name of an initialiser that holds one number of this dtype."""
        return self.array(f"{value:.17g}", self.dtype.type(value))

    def rename(self, old: str, new: str) -> None:
        """Call the result of a node otherwise."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    if name == old:
                        names[place] = new


def _checked(onnx: Any, graph: GraphOfFile, made: dict[str, str], n_features: int) -> Any:
    from ... import __version__

    size = sum(array.nbytes for array in graph.arrays.values() if array.dtype != object)
    if size > LARGEST:
        raise ValueError(
            f"model: expected less than 2 GiB of parameters, which an ONNX file can hold, got {size} bytes"
        )
    for called, name in made.items():
        graph.rename(name, called)
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "network",
            [onnx.helper.make_tensor_value_info("X", _code(onnx, graph.dtype), [ROWS, n_features])],
            [onnx.ValueInfoProto(name=name) for name in made],
            [onnx.numpy_helper.from_array(array, name) for name, array in graph.arrays.items()],
        ),
        producer_name="mlp_jit",
        producer_version=__version__,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    proto.ir_version = onnx.helper.find_min_ir_version_for(proto.opset_import)
    proto = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _code(onnx: Any, dtype: np.dtype) -> int:
    code: int = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    return code
