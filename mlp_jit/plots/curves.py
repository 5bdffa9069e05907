"""Curves over epochs and over layers."""

from typing import Any

import numpy as np

from ..network import Network
from ..study.layer_checks import delta_norms
from ..training import History
from .figure import COLOURS, one_axes, plain
from .fitted import fitted


class LossCurveDisplay:
    """The loss of each epoch, and of the validation set where there is one.

    Attributes: `loss` and `validation_loss` (one figure an epoch), after `plot` also `ax_`, `figure_` and `lines_`.
    """

    def __init__(self, *, loss: Any, validation_loss: Any = ()) -> None:
        self.loss, self.validation_loss = np.asarray(loss, float), np.asarray(validation_loss, float)

    @classmethod
    def from_history(cls, history: History, *, name: str | None = None, ax: Any = None) -> "LossCurveDisplay":
        """Of what `fit` returned. `name` stands in the legend, so that several can share one `ax`."""
        return cls(loss=history.loss, validation_loss=history.validation_loss).plot(name=name, ax=ax)

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Any = None) -> "LossCurveDisplay":
        """Of a fitted estimator's `loss_curve_` and `validation_loss_curve_`, which scikit-learn's own do not have.

        Raises ValueError for one that kept no losses: made by `from_weights`, or scikit-learn's own by lbfgs.
        """
        mlp = fitted(estimator).mlp
        loss, validation_loss = getattr(mlp, "loss_curve_", None), getattr(mlp, "validation_loss_curve_", None)
        if not loss:
            raise ValueError(f"estimator: expected one with losses in loss_curve_, got {mlp!r} without: {_remedy(mlp)}")
        return cls(loss=loss, validation_loss=validation_loss or ()).plot(name=name, ax=ax)

    def plot(self, *, name: str | None = None, ax: Any = None) -> "LossCurveDisplay":
        """Draw on `ax`, or on a new figure; on a logarithmic scale where all losses are above zero, and some ten times
        others.
        """
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        epochs = np.arange(1, len(self.loss) + 1)
        self.lines_ = self.ax_.plot(epochs, self.loss, **_next_style(self.ax_), label=name or "training")
        if len(self.validation_loss):
            label = f"{name}, validation" if name else "validation"
            style = {"linewidth": 1.6, "color": self.lines_[0].get_color()} if name else _next_style(self.ax_)
            epochs = np.arange(1, len(self.validation_loss) + 1)  # a warm start may have gone on without
            self.lines_ += self.ax_.plot(epochs, self.validation_loss, linestyle="--", label=label, **style)
        drawn = np.concatenate([line.get_ydata() for line in self.ax_.get_lines()])
        drawn = drawn[np.isfinite(drawn)]
        wide = drawn.size > 0 and drawn.min() > 0 and drawn.max() > 10 * drawn.min()  # less has no ticks on a log scale
        self.ax_.set_yscale("log" if wide else "linear")
        self.ax_.set(xlabel="epoch", ylabel="loss L")
        plain(self.ax_)
        self.ax_.legend(frameon=False)
        return self


class GradientNormsDisplay:
    """‖δ‖ at each layer: how much of the gradient comes back.

    Attributes: `norms` (L,), the root mean square over the samples of the length of δ at layers 1..L; after `plot` also
    `ax_`, `figure_` and `line_`.
    """

    def __init__(self, *, norms: Any) -> None:
        self.norms = np.asarray(norms, float)

    @classmethod
    def from_network(
        cls, network: Network, X: Any, y: Any, *, name: str | None = None, ax: Any = None
    ) -> "GradientNormsDisplay":
        """Of one backward pass over X, y (see `Network.trace`). `name` stands in the legend."""
        return cls(norms=delta_norms(network.trace(X, y))).plot(name=name, ax=ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, name: str | None = None, ax: Any = None
    ) -> "GradientNormsDisplay":
        """Of a fitted estimator's network."""
        found = fitted(estimator)
        return cls.from_network(found.network, found.inputs(X), found.targets(y), name=name, ax=ax)

    def plot(self, *, name: str | None = None, ax: Any = None) -> "GradientNormsDisplay":
        """Draw on `ax`, or on a new figure."""
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        layers = np.arange(1, len(self.norms) + 1)
        (self.line_,) = self.ax_.plot(layers, self.norms, marker="o", label=name, **_next_style(self.ax_))
        self.ax_.set(yscale="log", xlabel="layer (the output is the last)", ylabel="‖δ‖, root mean square")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        plain(self.ax_)
        if name:
            self.ax_.legend(frameon=False)
        return self


def _remedy(mlp: Any) -> str:
    if mlp.solver == "lbfgs" and not hasattr(mlp, "network_"):
        return "scikit-learn's lbfgs keeps none, use solver='adam' or mlp_jit's estimators"
    return "call its fit, which records them"


def _next_style(ax: Any) -> dict[str, Any]:
    """For a line that joins those already there."""
    return {"color": COLOURS[len(ax.get_lines()) % len(COLOURS)], "linewidth": 1.6}
