"""Our estimators in skl2onnx: what `convert_sklearn` has to know of them, and of pipelines that hold them."""

from typing import Any

import numpy as np

from .export import OPSET, model_of, onnx_classes
from .package import onnx_package


def register_skl2onnx() -> None:
    """Let skl2onnx convert MLPClassifier and MLPRegressor, alone and in pipelines.

    The arithmetic is of the input's dtype: double for DoubleTensorType, else float. Labels are int64 or string;
    probabilities come as dicts (of floats alone) or, with the option `zipmap=False`, as an array: all as with
    scikit-learn's own MLPs.
    Converting raises ValueError for a target opset below 13 and for classes that are no whole numbers and no texts.
    Registering again changes nothing. Raises ImportError without skl2onnx.
    """
    onnx_package()
    try:
        from skl2onnx import update_registered_converter
    except ImportError:
        raise ImportError("this needs skl2onnx: pip install skl2onnx") from None
    from ...estimators import MLPClassifier, MLPRegressor

    options = {"zipmap": [True, False, "columns"], "nocl": [False], "output_class_labels": [False, True]}
    update_registered_converter(MLPClassifier, "MlpJitMLPClassifier", _shapes, _convert, options=options)
    update_registered_converter(MLPRegressor, "MlpJitMLPRegressor", _shapes, _convert)


def _shapes(operator: Any) -> None:
    """The types and shapes of an estimator's outputs."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

    estimator, given = operator.raw_operator, operator.inputs[0].type
    n, n_outputs = given.shape[0], estimator.network_.sizes[-1]
    numbers = DoubleTensorType if isinstance(given, DoubleTensorType) else FloatTensorType
    if not hasattr(estimator, "classes_"):
        operator.outputs[0].type = numbers([n, n_outputs])
        return
    classes = onnx_classes(estimator.classes_)
    if classes.dtype.kind == "f" and (classes % 1).any():
        raise ValueError(f"classes: expected whole numbers or texts for skl2onnx's labels, got {classes.tolist()}")
    label = StringTensorType if classes.dtype == object else Int64TensorType
    operator.outputs[0].type = label([n, n_outputs] if estimator._labels.multilabel else [n])
    operator.outputs[1].type = numbers([n, max(n_outputs, 2)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Write an estimator's nodes into the graph of a pipeline."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import DoubleTensorType

    if container.target_opset < OPSET:
        raise ValueError(f"target_opset: expected {OPSET} or later, got {container.target_opset}")
    is_double = isinstance(operator.inputs[0].type, DoubleTensorType)
    graph = GraphOfPipeline(scope, container, np.dtype(np.float64 if is_double else np.float32))
    code = TensorProto.DOUBLE if is_double else TensorProto.FLOAT
    X = graph.node("Cast", [operator.inputs[0].full_name], "X", to=code)
    made = model_of(graph, X, operator.raw_operator)
    if "label" in made and onnx_classes(operator.raw_operator.classes_).dtype != object:
        made["label"] = graph.node("Cast", [made["label"]], "label", to=TensorProto.INT64)
    for name, output in zip(made.values(), operator.outputs, strict=True):
        container.add_node("Identity", [name], [output.full_name], name=scope.get_unique_operator_name("Identity"))


class GraphOfPipeline:
    """Nodes and initialisers in a graph of skl2onnx's."""

    def __init__(self, scope: Any, container: Any, dtype: np.dtype) -> None:
        self.scope, self.container, self.dtype = scope, container, dtype
        self.names: dict[str, str] = {}

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node; the name of its result."""
        result: str = self.scope.get_unique_variable_name(name)
        called = self.scope.get_unique_operator_name(operator)
        self.container.add_node(operator, inputs, [result], name=called, **attributes)
        return result

    def array(self, name: str, values: Any) -> str:
        """Add an initialiser, floats in this dtype, unless it is there; its name."""
        from onnx.helper import np_dtype_to_tensor_dtype

        if name not in self.names:
            values = np.asarray(values)
            values = values.astype(self.dtype) if values.dtype.kind == "f" else values
            code = np_dtype_to_tensor_dtype(values.dtype)
            flat = [text.encode() for text in values.flat] if values.dtype == object else values.reshape(-1)
            self.names[name] = self.scope.get_unique_variable_name(name)
            self.container.add_initializer(self.names[name], code, list(values.shape), flat)
        return self.names[name]

    def number(self, value: float) -> str:
        """The name of an initialiser that holds one number of this dtype."""
        return self.array(f"{value:.17g}", self.dtype.type(value))
