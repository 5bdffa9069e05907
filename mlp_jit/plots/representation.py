"""What the samples look like to each layer."""

from typing import Any

import numpy as np

from ..engines.layout import SKIPS
from ..network import Network
from .figure import colour_numbers, grid_of_axes, plain, scatter
from .fitted import fitted


class RepresentationDisplay:
    """The samples as each layer hands them on: the inputs, every hidden layer's a, or h with a skip, the outputs.

    They are those of a training step on these samples: batch normalisation goes by their own statistics.

    Two units are the two axes, one unit is drawn along a line; of more, the two directions in which the samples differ
    most (principal components). Attributes: `points`, for each layer (n_samples, 1 or 2); `labels`, for each layer its
    axes' labels; `colours` (n_samples,); after `plot` also `axes_` and `figure_`.
    """

    def __init__(self, *, points: list[np.ndarray], labels: list[tuple[str, ...]], colours: np.ndarray) -> None:
        self.points, self.labels, self.colours = points, labels, colours

    @classmethod
    def from_network(cls, network: Network, X: Any, y: Any, *, ax: Any = None) -> "RepresentationDisplay":
        """Of the samples X, coloured by y."""
        trace = network.trace(X, y)
        colours = colour_numbers(network, network.check_targets(y, len(trace.a[0])))
        letters = ["x", *("h" if skips else "a" for skips in network.table[1:, SKIPS])]
        seen = [_plane(h, letter) for h, letter in zip(trace.h, letters, strict=True)]
        return cls(points=[p for p, _ in seen], labels=[names for _, names in seen], colours=colours).plot(ax=ax)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, *, ax: Any = None) -> "RepresentationDisplay":
        """Of a fitted estimator's network; the inputs are what a pipeline makes of X."""
        found = fitted(estimator)
        return cls.from_network(found.network, found.inputs(X), found.targets(y), ax=ax)

    def plot(self, *, ax: Any = None) -> "RepresentationDisplay":
        """Draw on a new figure, in place of one `ax`, or on an array of axes."""
        self.axes_ = grid_of_axes(ax, len(self.points), 4, (3, 2.9))
        self.figure_ = self.axes_[0].figure
        last = len(self.points) - 1
        for l, (axes, points, labels) in enumerate(zip(self.axes_, self.points, self.labels, strict=True)):
            across = points[:, 0]
            up = points[:, 1] if points.shape[1] > 1 else np.random.default_rng(0).uniform(-1, 1, len(points))
            scatter(axes, across, up, self.colours)
            plain(axes)
            if points.shape[1] == 1:
                axes.set(ylim=(-3, 3), yticks=[])
                axes.spines["left"].set_visible(False)
            axes.set(xlabel=labels[0], ylabel=labels[1] if len(labels) > 1 else "")
            axes.set_title("inputs" if l == 0 else "outputs" if l == last else f"after layer {l}", fontsize="medium")
        if self.colours.dtype.kind in "iu" and ax is None:
            points, names = self.axes_[0].get_legend_handles_labels()
            self.figure_.legend(points, names, title="class", loc="outside right center", frameon=False)
        elif self.colours.dtype.kind in "iu":
            self.axes_[0].legend(title="class", fontsize="small", framealpha=0.9)
        return self


def _plane(a: np.ndarray, letter: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Two numbers for each sample, or one where there is one unit, and what to write along them."""
    if a.shape[1] <= 2:
        return a, tuple(f"${letter}_{i + 1}$" for i in range(a.shape[1]))
    centred = a - a.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    kept = spread**2 / max(float((spread**2).sum()), np.finfo(float).tiny)
    names = tuple(f"component {c + 1} of {a.shape[1]} units, {100 * kept[c]:.0f} %" for c in range(2))
    return centred @ directions[:2].T, names
