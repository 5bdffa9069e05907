"""ONNX out and in. `export` writes a network layer by layer, each φ by its row of `formulas`.

Reading goes the other way in four steps: `file` opens a file that nobody vouches for, `signals` follows the numbers
through its operators, `meaning` finds out what a run of operators computes, and `assembly` makes layers of it.
"""

from .converters import register_skl2onnx
from .export import to_onnx
from .reading import from_onnx

__all__ = ["to_onnx", "from_onnx", "register_skl2onnx"]
