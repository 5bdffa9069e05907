"""Pictures of networks and of their training, after scikit-learn's displays.

Each class draws with `from_network` (or `from_history`, `from_names`) and, where it makes sense, with `from_estimator`:
of a fitted MLP, ours or scikit-learn's, by itself or at the end of a pipeline, or the best of a search. Each keeps the
numbers it draws, and draws them again with `plot(ax=...)`. Afterwards `figure_` is the figure and `ax_` the axes, or
`axes_` where there are several. matplotlib is imported when something is drawn.
"""

from .activation import ActivationDisplay
from .boundary import DecisionBoundaryDisplay
from .curves import GradientNormsDisplay, LossCurveDisplay
from .representation import RepresentationDisplay
from .weights import WeightsDisplay

__all__ = [
    "LossCurveDisplay",
    "DecisionBoundaryDisplay",
    "ActivationDisplay",
    "GradientNormsDisplay",
    "RepresentationDisplay",
    "WeightsDisplay",
]
