"""For the person who came to understand index-form backprop: every z_j, a_j and δ_j in sight.

- `explain`: one step of training, written out unit by unit with the numbers put in.
- `walk`: the same step statement by statement, by the loops engine's own source; play it in a notebook.
- `exercises`: a dozen with fresh numbers from a seed, which check themselves.
- `check_gradients`: backprop beside differences of the loss.
- `diagnose`: why does it not learn? The debugging checklist as one call.

What they return prints as text and shows as HTML in a notebook; reports have `show()` for colour in a terminal and
`to_latex()`.
"""

from .diagnosis import Diagnosis, diagnose
from .exercise import Exercise, Exercises, Grade, exercises
from .explanation import Explanation, explain
from .finding import Finding
from .gradient_check import GradientCheck, check_gradients
from .places import Place
from .walking import Operand, Step, Walk, walk

__all__ = [
    "explain", "Explanation", "walk", "Walk", "Step", "Operand", "Place", "check_gradients", "GradientCheck",
    "diagnose", "Diagnosis", "Finding", "exercises", "Exercises", "Exercise", "Grade",
]  # fmt: skip
