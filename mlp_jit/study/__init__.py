"""For the person who came to understand index-form backprop: every z_j, a_j and δ_j in sight.

- `explain`: one step of training, written out unit by unit with the numbers put in.
- `check_gradients`: backprop beside differences of the loss.

What they return prints as text, shows as HTML in a notebook, and has `show()` for colour in a terminal and
`to_latex()`.
"""

from .explanation import Explanation, explain
from .gradient_check import GradientCheck, check_gradients

__all__ = ["explain", "Explanation", "check_gradients", "GradientCheck"]
