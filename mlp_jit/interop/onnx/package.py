"""The package onnx, imported when it is used."""

from typing import Any


def onnx_package() -> Any:
    """onnx, with the parts that are needed here. ImportError with the command to install it."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
        import onnx.shape_inference
    except ImportError:
        raise ImportError("this needs onnx: pip install 'mlp_jit[onnx]'") from None
    return onnx
