"""What a fit comes to, epoch by epoch, and its state as callbacks see it."""

from dataclasses import dataclass, field

from ..network import Network


@dataclass
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
