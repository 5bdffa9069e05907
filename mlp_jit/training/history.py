"""What a fit comes to, epoch by epoch, and its state as callbacks see it."""

import math
from dataclasses import dataclass, field
from html import escape

from ..network import Network

WIDTH, HEIGHT, MARGIN = 360, 140, 6  # of the curves in a notebook, in pixels


@dataclass(repr=False)
class History:
    """What each epoch came to: one figure an epoch in every list.

    `loss` is the mean over the epoch's batches, each before its step, with L2 and dropout as trained.
    `validation_loss` (without either) and `validation_accuracy` are empty without validation data; the accuracy is
    also empty where the output is no class. `validation_score` is what an estimator judges its validation set by.
    `learning_rate` is the epoch's last. `stopped` says why fit ended early, if it did.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    validation_score: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    stopped: str | None = None

    def __repr__(self) -> str:
        """One line: how many epochs, and the figures of the last."""
        figures = f"{self.last_line()} after {len(self.loss)} epochs" if self.loss else "no epochs"
        return f"History({figures}{f', stopped: {self.stopped}' if self.stopped else ''})"

    def _repr_html_(self) -> str:
        """The losses as curves, for a notebook: solid in training, dashed in validation."""
        curves = [(self.loss, ""), (self.validation_loss, ' stroke-dasharray="5 3"')]
        finite = [loss for losses, _ in curves for loss in losses if math.isfinite(loss)]
        if len(finite) < 2:
            return f"<code>{escape(repr(self))}</code>"
        low, high = min(finite), max(finite)
        scale = math.log if low > 0 and high > 10 * low else float
        span = (scale(high) - scale(low)) or 1.0
        lines = "".join(
            f'<polyline fill="none" stroke="currentColor" stroke-width="1.5"{style} points="'
            + " ".join(
                f"{MARGIN + (WIDTH - 2 * MARGIN) * k / max(1, len(losses) - 1):.1f},"
                f"{MARGIN + (HEIGHT - 2 * MARGIN) * (scale(high) - scale(loss)) / span:.1f}"
                for k, loss in enumerate(losses)
                if math.isfinite(loss)
            )
            + '"/>'
            for losses, style in curves
            if losses
        )
        words = "training solid, validation dashed" if self.validation_loss else "training"
        words += f", from {high:.4g} to {low:.4g}{', logarithmic' if scale is math.log else ''}"
        return (
            f'<figure><svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="loss by epoch">{lines}</svg>'
            f"<figcaption>loss by epoch: {words}<br><code>{escape(repr(self))}</code></figcaption></figure>"
        )

    @property
    def watched(self) -> list[float]:
        """The loss that stopping and plateaus go by: the validation loss where there is one."""
        return self.validation_loss or self.loss

    def last_line(self) -> str:
        """The last epoch's figures in words."""
        figures = [f"loss {self.loss[-1]:.4f}"]
        if self.validation_loss:
            figures.append(f"validation loss {self.validation_loss[-1]:.4f}")
        if self.validation_accuracy:
            figures.append(f"accuracy {self.validation_accuracy[-1]:.4f}")
        if self.validation_score:
            figures.append(f"score {self.validation_score[-1]:.4f}")
        return "  ".join(figures)


@dataclass
class Training:
    """A fit under way, as callbacks see it."""

    network: Network
    history: History
    epochs: int

    def stop(self, reason: str) -> None:
        """End the fit after this epoch."""
        self.history.stopped = reason
