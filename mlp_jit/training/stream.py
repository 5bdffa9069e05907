"""fit_stream: training on rows that come one batch after the other, more than fit into memory.

Rows are gathered into windows of a given length, and shuffled within each. What is learnt depends on the rows, their
sequence and the window, not on how the batches that bring them are cut.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .. import validation
from ..engines import DEFAULT
from ..engines.contract import FIGURES, Samples, mean_loss
from ..network import Network
from ..optimizers import Optimizer
from ..schedules import Schedule
from .callbacks import Callback, EarlyStopping
from .data import Data
from .epochs import evaluate
from .fit import HeldOut, check, held_out_of
from .history import History, Training
from .run import end_callbacks, interrupted, stop_unless_finite

SLICE = 1 << 14  # rows that are read at a time


class Rows:
    """The rows of arrays that have a shape and slices (HDF5, Zarr, memory maps), as batches to go over again and again.

    Raises ValueError where they have not as many rows.
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any = None, *, at_once: int = SLICE) -> None:
        self.arrays = (X, y) if sample_weight is None else (X, y, sample_weight)
        self.at_once = validation.integer("at_once", at_once, 1)
        for name, array in zip(("X", "y", "sample_weight"), self.arrays, strict=False):
            if not hasattr(array, "shape") or len(array.shape) == 0:
                raise TypeError(f"{name}: expected an array with a shape and row slices, got {type(array).__name__}")
            if array.shape[0] != X.shape[0]:
                raise ValueError(f"{name}: expected {X.shape[0]} rows, as many as X has, got {array.shape[0]}")

    def __iter__(self) -> Iterator[tuple]:
        for first in range(0, self.arrays[0].shape[0], self.at_once):
            yield tuple(np.asarray(array[first : first + self.at_once]) for array in self.arrays)


def fit_stream(
    network: Network,
    batches: Iterable[tuple],
    *,
    window: int = 10_000,
    optimizer: str | Optimizer = "adam",
    learning_rate: float = 1e-3,
    schedule: str | Schedule = "constant",
    batch_size: int = 200,
    epochs: int = 1,
    shuffle: bool = True,
    l2: float = 0.0,
    l2_per_sample: bool = False,
    dropout: Any = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    early_stopping: int | EarlyStopping | None = None,
    validation_data: tuple | None = None,
    engine: str = DEFAULT,
    n_threads: int | None = None,
    callbacks: Iterable[Callback] = (),
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
) -> History:
    """Train `network` in place on the rows of `batches`, which are never in memory all at once.

    Parameters
    ----------
    network : Network
    batches : iterable of (X, y) or (X, y, sample_weight)
        Each X (rows, n_inputs), with any number of rows; y and sample_weight as in `fit`. `Rows` makes one of arrays
        that have row slices. For more than one epoch it has to give the rows again.
    window : int
        Rows that are in memory, and shuffled among each other; rounded up to whole steps of batch_size.
    schedule : str or Schedule
        It goes by whole epochs, as nobody knows how long one is.
    batch_size, epochs, …
        As in `fit`, and so are the history, the callbacks, the warnings and what is raised.

    Raises
    ------
    TypeError, ValueError
        For what makes no sense: in a batch the message has its number, from 0. What the steps before it have learnt
        stays. For an iterator with more than one epoch before anything has changed.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network, got {network!r}")
    if not isinstance(batches, Iterable):
        raise TypeError(f"batches: expected an iterable of (X, y) or (X, y, sample_weight), got {batches!r:.99}")
    window = validation.integer("window", window, 1)
    nothing = Data(network, *_two_rows(network), None)
    asked = check(
        network, nothing, held_out_of(network, validation_data), optimizer=optimizer, learning_rate=learning_rate,
        schedule=schedule, batch_size=batch_size, epochs=epochs, shuffle=shuffle, l2=l2, l2_per_sample=l2_per_sample,
        dropout=dropout, clip_norm=clip_norm, clip_value=clip_value, early_stopping=early_stopping, engine=engine,
        n_threads=n_threads, callbacks=callbacks, random_state=random_state,
    )  # fmt: skip
    asked.batch_size = int(batch_size)
    if asked.epochs > 1 and isinstance(batches, Iterator):
        raise ValueError(f"batches: expected what can be gone over {asked.epochs} times, got an iterator, which cannot")
    run = asked.begin(None)
    stream = Stream(run.runner.session, network, -(-window // asked.batch_size) * asked.batch_size, run.rng)
    _train(run.training, asked.callbacks, stream, batches, run.runner, asked.held_out)
    return run.training.history


def _two_rows(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Data to check a fit by before the first row is there."""
    y = np.zeros((2, network.sizes[-1]))
    y[:, 0] = 1
    return np.zeros((2, network.sizes[0])), y


def _train(
    training: Training, callbacks: list[Callback], stream: "Stream", batches: Iterable, runner: Any, held_out: Any
) -> None:
    """Epoch after epoch."""
    history, started = training.history, []
    try:
        for callback in callbacks:
            started.append(callback)
            callback.on_start(training)
        while len(history.loss) < training.epochs and not history.stopped:
            epoch = len(history.loss)
            rate = float(runner.learning_rate * runner.schedule.factors(np.array([float(epoch)]))[0])
            history.loss.append(stream.epoch(batches, rate))
            history.learning_rate.append(rate)
            if held_out is not None:
                HeldOut(held_out).judge(training, *evaluate(runner.session, held_out.parts()))
            runner.schedule.observe(history.watched[-1])
            for callback in callbacks:
                callback.on_epoch(training)
            stop_unless_finite(history, stacklevel=4)
    except KeyboardInterrupt:
        history.stopped = interrupted(len(history.loss))
    finally:
        end_callbacks(started, training)


class Stream:
    """Windows of rows, and a session that trains on each."""

    def __init__(self, session: Any, network: Network, window: int, rng: Any) -> None:
        self.session, self.network, self.window, self.rng = session, network, window, rng

    def epoch(self, batches: Iterable[tuple], rate: float) -> float:
        """Train on all rows once: the mean loss. ValueError where there are none."""
        figures, first = [], 0
        for samples in self._windows(batches):
            rows = len(samples.y)
            places = np.arange(rows) if self.rng is None else self.rng.permutation(rows)
            steps = -(-rows // self.session.recipe.batch_size)
            of_window = np.empty((steps, FIGURES))
            self.session.train(samples, first + places, np.full(steps, rate), of_window, places)
            figures.append(of_window)
            first += rows
        if not figures:
            raise ValueError("batches: expected rows, got none")
        return mean_loss(np.concatenate(figures))

    def _windows(self, batches: Iterable[tuple]) -> Iterator[Samples]:
        """The rows of all batches, so many at a time; the last window has what is left."""
        held: list[Samples] = []
        count = 0
        for k, batch in enumerate(batches):
            samples = self._checked(k, batch)
            while samples is not None:
                part, samples = _split(samples, self.window - count)
                held.append(part)
                count += len(part.y)
                if count == self.window:
                    yield _joined(held)
                    held, count = [], 0
        if held:
            yield _joined(held)

    def _checked(self, k: int, batch: Any) -> Samples | None:
        """A batch as an engine takes it; None for one without rows. The message of an error has its number."""
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise TypeError(f"batch {k}: expected (X, y) or (X, y, sample_weight), got {type(batch).__name__}")
        if np.shape(batch[0])[:1] == (0,):
            return None
        try:
            samples = Data(self.network, batch[0], batch[1], None).samples
            weight = batch[2] if len(batch) == 3 else None
            weight = validation.weights("sample_weight", weight, len(samples.y), self.network.dtype, of_all=False)
            return samples._replace(sample_weight=weight)
        except (TypeError, ValueError) as error:
            raise type(error)(f"batch {k}: {error}") from None


def _split(samples: Samples, rows: int) -> tuple[Samples, Samples | None]:
    """The first rows, and the others."""
    if len(samples.y) <= rows:
        return samples, None
    return Samples(*(part[:rows] for part in samples)), Samples(*(part[rows:] for part in samples))


def _joined(parts: list[Samples]) -> Samples:
    """One after the other, in memory of their own."""
    if validation.is_sparse(parts[0].X):
        from scipy import sparse

        X: Any = sparse.vstack([part.X for part in parts], format="csr")
    else:
        X = np.concatenate([part.X for part in parts])
    return Samples(X, *(np.concatenate(columns) for columns in zip(*(part[1:] for part in parts), strict=True)))
