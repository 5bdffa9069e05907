"""The gallery of activations: φ and φ', with its range and its largest slope."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..activations import HIDDEN, OUTPUTS
from ..validation import choice
from .figure import COLOURS, grid_of_axes, plain

FAR = 1e6  # where an activation has reached its limit, or is beyond all bounds
KNOWN = {**HIDDEN, **OUTPUTS}


def values(name: str, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ(z) and φ'(z) from the scalar pair that the engines compile."""
    pair = KNOWN[name]
    a = np.frompyfunc(pair.phi, 1, 1)(z).astype(float)  # type: ignore[arg-type]
    return a, np.frompyfunc(pair.slope, 2, 1)(z, a).astype(float)  # type: ignore[arg-type]


def extent(name: str) -> tuple[float, float, float]:
    """The least and the largest φ(z), infinite where it has no bound, and the largest φ'(z)."""
    ends = [-FAR, FAR] if name != "exp" else [-FAR, 700.0]  # e^z leaves float64 past 709
    a, slope = values(name, np.concatenate([np.linspace(-6, 6, 12001), ends]))
    low, high = float(a.min()), float(a.max())
    return (low if low > -100 else -np.inf), (high if high < 100 else np.inf), float(slope.max())


class ActivationDisplay:
    """φ and φ' of some activations, each on axes of its own.

    Attributes: `names`; `z`, `phi` and `slope` (len(names), points) are the curves; after `plot` also `axes_` and
    `figure_`.
    """

    def __init__(self, *, names: Sequence[str], z: np.ndarray, phi: np.ndarray, slope: np.ndarray) -> None:
        self.names, self.z, self.phi, self.slope = tuple(names), z, phi, slope

    @classmethod
    def from_names(
        cls, names: Sequence[str] = tuple(HIDDEN), *, reach: float = 4, ax: Any = None
    ) -> "ActivationDisplay":
        """Of these activations, for z from −reach to reach. ValueError for a name that is none."""
        for name in names:
            choice("names", name, [known for known, pair in KNOWN.items() if pair.phi])
        z = np.linspace(-reach, reach, 401)
        curves = [values(name, z) for name in names]
        phi, slope = np.array([a for a, _ in curves]), np.array([s for _, s in curves])
        return cls(names=names, z=z, phi=phi, slope=slope).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> "ActivationDisplay":
        """Draw on a new figure, in place of one `ax`, or on an array of axes."""
        self.axes_ = grid_of_axes(ax, len(self.names), 5, (2.6, 2.3))
        self.figure_ = self.axes_[0].figure
        for axes, name, phi, slope in zip(self.axes_, self.names, self.phi, self.slope, strict=True):
            axes.plot(self.z, phi, color=COLOURS[0], linewidth=1.8, label="φ(z)")
            axes.plot(self.z, slope, color=COLOURS[1], linewidth=1.4, linestyle="--", label="φ'(z)")
            low, high, steepest = (f"{bound:.4g}".replace("-", "−").replace("inf", "∞") for bound in extent(name))
            axes.set_title(f"{name}\n{low} to {high}, max φ' {steepest}", fontsize="small")
            axes.set_ylim(-1.9, 3.2)
            plain(axes)
        for axes in self.axes_:
            axes.set_xlabel("z", fontsize="small", labelpad=0)
        self.axes_[0].legend(frameon=False, fontsize="small")
        return self
