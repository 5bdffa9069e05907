"""To other libraries and back: scikit-learn, ONNX."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .onnx import from_onnx, register_skl2onnx, to_onnx

__all__ = ["to_onnx", "from_onnx", "register_skl2onnx"]


def __getattr__(name: str) -> Any:
    """ONNX on first use: the estimators import this package, too."""
    if name in __all__:
        from . import onnx

        return getattr(onnx, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
