"""An ONNX file that nobody vouches for: its nodes and numbers, each looked at before it is used."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .package import onnx_package

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
# The types whose numbers are read, each with the field that may hold them in place of `raw_data`.
FIELDS = {
    "FLOAT": "float_data",
    "DOUBLE": "double_data",
    "INT32": "int32_data",
    "INT64": "int64_data",
    "BOOL": "int32_data",
}
FLOATS = ("FLOAT", "DOUBLE")


@dataclass(frozen=True, eq=False)
class Node:
    """An operator, where it stands, and what it reads and writes. An input that is left out is ''."""

    place: int
    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.operator} at node {self.place}" + (f" ({self.name})" if self.name else "")

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute of the default's type. ValueError for another type."""
        value = self.attributes.get(name, default)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if type(value) is not type(default):
            raise ValueError(f"{self}: expected {name} to be a {type(default).__name__}, got {value!r}")
        return value


def read(path: str | os.PathLike) -> Any:
    """The ModelProto in a file. Nothing outside of the file is looked at.

    Raises ValueError for what is no such file, and OSError where there is none that can be read.
    """
    onnx_package()
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError("a folder" if os.path.isdir(path) else "a device or a pipe")
    model = ModelProto()
    try:
        model.ParseFromString(Path(path).read_bytes())
    except DecodeError:
        raise ValueError("a file of another kind, or a damaged one") from None
    if not model.graph.node:
        raise ValueError("a file without a graph")
    return model


def nodes_of(graph: Any) -> list[Node]:
    """All nodes, none of them looked at."""
    from onnx.helper import get_attribute_value

    found = []
    for place, node in enumerate(graph.node):
        known = node.domain in DOMAINS
        attributes = {a.name: get_attribute_value(a) for a in node.attribute} if known else {}
        operator = node.op_type if known else f"{node.domain}.{node.op_type}"
        found.append(Node(place, operator, node.name, tuple(node.input), tuple(node.output), attributes))
    return found


def type_name(code: int) -> str:
    """ONNX's name of a type."""
    from onnx import TensorProto

    known = TensorProto.DataType.values()
    return TensorProto.DataType.Name(code) if code in known else f"type {code}"


def array_of(tensor: Any, where: str) -> np.ndarray:
    """The numbers of a tensor. ValueError for other types, for numbers that another file holds or that are missing."""
    from onnx import TensorProto, numpy_helper

    kind = type_name(tensor.data_type)
    if kind not in FIELDS:
        raise ValueError(f"{where}: expected numbers of {', '.join(FIELDS)}, got {kind}")
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ValueError(
            f"{where}: expected its numbers in this file, got a place in another one, which is never opened; "
            "with PyTorch, torch.onnx.export(…, external_data=False) writes one file"
        )
    dtype = np.dtype(np.bool_ if kind == "BOOL" else {"FLOAT": "float32", "DOUBLE": "float64"}.get(kind, kind.lower()))
    count = math.prod(tensor.dims)
    held = len(tensor.raw_data) / dtype.itemsize if tensor.HasField("raw_data") else len(getattr(tensor, FIELDS[kind]))
    if any(size < 0 for size in tensor.dims) or len(tensor.dims) > 4 or held != count or tensor.HasField("segment"):
        raise ValueError(f"{where}: expected as many numbers as its shape {list(tensor.dims)} has, got {held:g}")
    return np.asarray(numpy_helper.to_array(tensor))
