"""The weights into each unit, as a picture."""

from typing import Any

import numpy as np

from .. import validation
from ..network import Network
from .figure import grid_of_axes
from .fitted import fitted


class WeightsDisplay:
    """w_ij into each unit j of a layer, laid out like the image that the inputs i are.

    Attributes: `images` (units, height, width); after `plot` also `axes_` and `figure_`.
    """

    def __init__(self, *, images: np.ndarray) -> None:
        self.images = images

    @classmethod
    def from_network(
        cls, network: Network, *, layer: int = 1, shape: tuple[int, int] | None = None, units: int = 20, ax: Any = None
    ) -> "WeightsDisplay":
        """Of the first `units` units of `layer` (1..L); `shape` is the image's, a square by default.

        Raises ValueError for a layer that is not there, or inputs that do not fill the shape.
        """
        if validation.integer("layer", layer, 1) > len(network.weights):
            raise ValueError(f"layer: expected at most {len(network.weights)}, got {layer}")
        W = network.weights[layer - 1][:, : validation.integer("units", units, 1)]
        side = round(np.sqrt(len(W)))
        height, width = shape or ((side, side) if side * side == len(W) else (1, len(W)))
        if height * width != len(W):
            raise ValueError(f"shape: expected height · width = {len(W)}, got {shape}")
        return cls(images=W.T.reshape(-1, height, width).copy()).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, layer: int = 1, shape: tuple[int, int] | None = None, units: int = 20, ax: Any = None
    ) -> "WeightsDisplay":
        """Of a fitted estimator's network."""
        return cls.from_network(fitted(estimator).network, layer=layer, shape=shape, units=units, ax=ax)

    def plot(self, *, ax: Any = None) -> "WeightsDisplay":
        """Draw on a new figure, in place of one `ax`, or on an array of axes; all on one scale, white is 0."""
        scale = max(1, 4 / len(self.images))  # a few are drawn larger
        self.axes_ = grid_of_axes(ax, len(self.images), 10, (scale, 1.15 * scale))
        self.figure_ = self.axes_[0].figure
        largest = float(np.abs(self.images).max()) or 1.0
        for j, (axes, image) in enumerate(zip(self.axes_, self.images, strict=True)):
            mesh = axes.imshow(image, cmap="RdBu_r", vmin=-largest, vmax=largest)
            axes.set_title(f"j = {j + 1}", fontsize="x-small", pad=2)
            axes.set(xticks=[], yticks=[])
        self.figure_.colorbar(mesh, ax=list(self.axes_), label="$w_{ij}$", shrink=0.8)
        return self
