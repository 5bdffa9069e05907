"""What may happen at the end of an epoch: the Callback interface, early stopping, the progress bar."""

import math
import sys
from typing import Any

import numpy as np

from .history import Training


class Callback:
    """Three moments of a fit. `training` has `network`, `history`, `epochs` and `stop(reason)`.

    Where `looks` is False, `on_epoch` goes by the figures alone: then it may hear of an epoch when the network is some
    epochs further. Where it stops the fit, the network is again that of the epoch.
    """

    looks = True

    def on_start(self, training: Training) -> None:
        """Before the first epoch."""

    def on_epoch(self, training: Training) -> None:
        """After an epoch, its figures being the last of `training.history`."""

    def on_end(self, training: Training) -> None:
        """After the last epoch, also when an error or Ctrl-C ended it."""


class EarlyStopping(Callback):
    """Stops when the loss has not fallen by more than `tol` for `patience` epochs, and puts the best parameters back.

    Watches the validation loss where there is validation data, the training loss otherwise. A loss that is NaN counts
    as no fall. Raises ValueError for a patience below 1 or a negative tol.
    """

    def __init__(self, patience: int = 10, tol: float = 0.0) -> None:
        if patience < 1 or not tol >= 0:
            raise ValueError(f"EarlyStopping: expected patience >= 1 and tol >= 0, got {patience!r} and {tol!r}")
        self.patience, self.tol = patience, tol
        self.best, self.best_epoch, self.waited = math.inf, 0, 0
        self.best_params: np.ndarray | None = None
        self.best_state: np.ndarray | None = None

    def on_start(self, training: Training) -> None:
        self.best, self.best_epoch, self.waited = math.inf, 0, 0
        self.best_params = self.best_state = None

    def on_epoch(self, training: Training) -> None:
        loss = training.history.watched[-1]
        if loss < self.best:
            self.waited = 0 if loss < self.best - self.tol else self.waited + 1
            self.best, self.best_epoch = loss, len(training.history.loss)
            self.best_params, self.best_state = training.network.params.copy(), training.network.state.copy()
        else:
            self.waited += 1
        if self.waited >= self.patience:
            training.stop(f"no better loss for {self.patience} epochs; best {self.best:.6g} in epoch {self.best_epoch}")

    def on_end(self, training: Training) -> None:
        if self.best_params is not None:
            training.network.params[:], training.network.state[:] = self.best_params, self.best_state


class Progress(Callback):
    """A progress bar with the losses: rich's, in a terminal or a notebook where it is installed; plain lines otherwise.

    Plain lines come about ten times a fit. `file` is where they go, standard error by default.
    """

    looks = False

    def __init__(self, file: Any = None) -> None:
        self.file = file
        self._bar: Any = None

    @property
    def out(self) -> Any:
        """Where it writes to."""
        return self.file or sys.stderr

    def on_start(self, training: Training) -> None:
        self._bar = self.open_bar()
        if self._bar:
            self._task = self._bar.add_task("", total=training.epochs, figures="")
            self._bar.start()

    def on_epoch(self, training: Training) -> None:
        if self._bar:
            figures = training.history.last_line()
            self._bar.update(self._task, completed=len(training.history.loss), figures=figures)
        else:
            self.print_line(training)

    def on_end(self, training: Training) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def print_line(self, training: Training) -> None:
        """The figures of the epoch just done, if it is one of the about ten."""
        done = len(training.history.loss)
        if done == 1 or done == training.epochs or done % max(1, training.epochs // 10) == 0:
            print(f"epoch {done}/{training.epochs}  {training.history.last_line()}", file=self.out, flush=True)

    def open_bar(self) -> Any:
        """rich's progress bar, or None where it is not installed or could not be drawn."""
        return open_bar(self.out, "epoch")


def open_bar(out: Any, unit: str) -> Any:
    """rich's progress bar, counting in this unit; None where rich is not installed or could not draw on `out`.

    Its tasks have a field `figures`, which stands behind the bar.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        return None
    console = Console(file=out)
    if not (out.isatty() or console.is_jupyter):
        return None
    columns = TextColumn(unit), MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[figures]}")
    return Progress(*columns, TimeElapsedColumn(), console=console)
