"""To other libraries and back."""

from .onnx import from_onnx, register_skl2onnx, to_onnx

__all__ = ["to_onnx", "from_onnx", "register_skl2onnx"]
