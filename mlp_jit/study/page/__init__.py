"""The page of `python -m mlp_jit study`: a playground in which every z_j, a_j and δ_j is a number in sight.

`record` has the loops engine train and writes down what it did; `build` makes one HTML file of that and of the
JavaScript beside it, which ports the loops; `notebook` shows the same in a notebook.
"""

from .build import write
from .notebook import widget

__all__ = ["write", "widget"]
