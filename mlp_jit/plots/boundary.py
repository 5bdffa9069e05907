"""What a network says at each point of the plane."""

from typing import Any

import numpy as np

from ..network import Network
from .figure import COLOURS, colour_numbers, one_axes, scatter
from .fitted import Fitted, fitted


class DecisionBoundaryDisplay:
    """The output of a network with two inputs over a part of the plane, with the samples on it.

    Attributes: `xx0` and `xx1` (rows, columns) are the points, `response` (rows, columns, n_outputs) the outputs there;
    after `plot` also `ax_` and `figure_`.
    """

    def __init__(self, *, network: Network, xx0: np.ndarray, xx1: np.ndarray, response: np.ndarray) -> None:
        self.network, self.xx0, self.xx1, self.response = network, xx0, xx1, response

    @classmethod
    def from_network(
        cls, network: Network, X: Any, y: Any = None, *, grid_resolution: int = 200, ax: Any = None, names: Any = None
    ) -> "DecisionBoundaryDisplay":
        """Around the samples X (n_samples, 2), drawn in the colours of y where it is given.

        `names` are the classes' in the legend. Raises ValueError unless the network has two inputs.
        """
        if network.sizes[0] != 2:
            raise ValueError(f"network: expected 2 inputs to draw, got {network.sizes[0]}")
        return cls._around(Fitted(None, network, []), X, y, grid_resolution, ax, names)

    @classmethod
    def _around(
        cls, found: Fitted, samples: Any, y: Any, grid_resolution: int, ax: Any, names: Any
    ) -> "DecisionBoundaryDisplay":
        network, X = found.network, np.asarray(samples, float)
        if X.ndim != 2 or X.shape[1] != 2:
            raise ValueError(f"X: expected 2 columns to draw, got shape {X.shape}")
        low, high = X.min(axis=0), X.max(axis=0)
        margin = 0.15 * np.maximum(high - low, 1e-9)
        axes = [np.linspace(low[i] - margin[i], high[i] + margin[i], grid_resolution) for i in range(2)]
        xx0, xx1 = np.meshgrid(*axes)
        points = np.column_stack([xx0.ravel(), xx1.ravel()])
        if hasattr(samples, "iloc"):  # a data frame, whose steps may ask for its columns by name
            points = type(samples)(points, columns=samples.columns)
        outputs = network.forward(found.inputs(points))
        display = cls(network=network, xx0=xx0, xx1=xx1, response=outputs.reshape(*xx0.shape, -1)).plot(ax=ax)
        if y is not None:
            display._samples(X, colour_numbers(network, network.check_targets(y, len(X))), names)
        return display

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, grid_resolution: int = 200, ax: Any = None
    ) -> "DecisionBoundaryDisplay":
        """Of a fitted estimator's network, over the plane of X, whatever a pipeline makes of X.

        Raises ValueError unless X has two columns.
        """
        found = fitted(estimator)
        y = None if y is None else found.targets(y)
        return cls._around(found, X, y, grid_resolution, ax, getattr(found.mlp, "classes_", None))

    def plot(self, *, ax: Any = None) -> "DecisionBoundaryDisplay":
        """Draw on `ax`, or on a new figure: shades of ŷ for one output, the classes' colours for several."""
        self.ax_ = one_axes(ax, (5, 4.4))
        self.figure_ = self.ax_.figure
        if self.response.shape[-1] == 1:
            self._shades(self.response[..., 0])
        else:
            self._classes()
        self.ax_.set(xlabel="$x_1$", ylabel="$x_2$")
        return self

    def _samples(self, X: np.ndarray, colours: np.ndarray, names: Any) -> None:
        if self.network.output in ("softmax", "sigmoid", "step"):
            scatter(self.ax_, X[:, 0], X[:, 1], colours, names)
            self.ax_.legend(title="class", frameon=True, framealpha=0.9, fontsize="small")
        elif self.response.shape[-1] == 1:  # targets on the scale of the shades
            style = {"cmap": self._mesh.cmap, "norm": self._mesh.norm, "edgecolors": "#333333", "linewidths": 0.6}
            self.ax_.scatter(X[:, 0], X[:, 1], c=colours, s=18, **style)

    def _shades(self, output: np.ndarray) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        is_class = self.network.output in ("sigmoid", "step")
        cmap = LinearSegmentedColormap.from_list("", [_tint(COLOURS[0]), "#ffffff", _tint(COLOURS[1])])
        limits = {"vmin": 0, "vmax": 1} if is_class else {}
        mesh = self.ax_.pcolormesh(self.xx0, self.xx1, output, cmap=cmap, shading="auto", rasterized=True, **limits)
        self.figure_.colorbar(mesh, ax=self.ax_, label="output ŷ")
        self._mesh = mesh
        if is_class and output.min() < 0.5 < output.max():
            self.ax_.contour(self.xx0, self.xx1, output, levels=[0.5], colors="#333333", linewidths=1.2)

    def _classes(self) -> None:
        classes = self.response.argmax(axis=-1)
        from matplotlib.colors import ListedColormap

        tints = ListedColormap([_tint(COLOURS[k % len(COLOURS)], 0.3) for k in range(self.response.shape[-1])])
        self.ax_.pcolormesh(
            self.xx0, self.xx1, classes, cmap=tints, vmin=-0.5, vmax=tints.N - 0.5, shading="auto", rasterized=True
        )
        for k in np.unique(classes)[1:]:
            self.ax_.contour(self.xx0, self.xx1, classes == k, levels=[0.5], colors="#333333", linewidths=0.8)


def _tint(colour: str, strength: float = 0.45) -> str:
    """The colour mixed with white."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))
