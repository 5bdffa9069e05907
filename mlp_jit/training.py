"""fit: mini-batches, shuffling, validation, early stopping, history.

An epoch runs in compiled calls of about a tenth of a second, cut between steps: between two of them a Ctrl-C is heard
and a memory-mapped or sparse X is read on. Where an epoch is cut changes no bit of the result.
"""

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from . import validation
from .callbacks import Callback, EarlyStopping
from .engines import DEFAULT, ENGINES
from .engines.contract import Engine, Regularization, mean_loss
from .network import Network, generator
from .optimizers import OPTIMIZERS, Optimizer
from .schedules import SCHEDULES, Schedule

SECONDS_PER_CALL = 0.1


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


def fit(
    network: Network,
    X: Any,
    y: Any,
    *,
    optimizer: str | Optimizer = "adam",
    learning_rate: float = 1e-3,
    schedule: str | Schedule = "constant",
    batch_size: int = 200,
    epochs: int = 10,
    shuffle: bool = True,
    l2: float = 0.0,
    l2_per_sample: bool = False,
    dropout: float | Sequence[float] = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    early_stopping: int | EarlyStopping | None = None,
    validation_data: tuple | None = None,
    sample_weight: Any = None,
    engine: str = DEFAULT,
    n_threads: int | None = None,
    callbacks: Iterable[Callback] = (),
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
) -> History:
    """Train `network` in place by E6 on mini-batches, and return what each epoch came to.

    Parameters
    ----------
    network : Network
    X : array (n_samples, n_inputs)
        A memory-mapped X is read a slice at a time, never copied whole; a sparse one is made dense a slice at a time.
    y : array (n_samples, n_outputs)
        Or (n_samples,) for one output, or class labels 0..n_outputs-1 for softmax.
    optimizer : str or Optimizer
        A name (sgd, adam, adamw, rmsprop, adagrad, nadam, lion) starts afresh; an object keeps its moments across fits.
    learning_rate : float
        η before the schedule.
    schedule : str or Schedule
        constant, inverse_scaling, exponential, step, cosine, on_plateau; see `mlp_jit.schedules`.
    batch_size : int
        Samples a step; the last batch of an epoch may be smaller. Batch normalisation keeps a batch's numbers in memory
        all at once, and learns nothing about W from a batch of one.
    l2 : float
        λ of λ/2 ‖w‖² over weights, not biases.
    l2_per_sample : bool
        Divide λ by N, the sum of each batch's sample weights, as scikit-learn does with its alpha.
    dropout : float or sequence of float
        Probability of dropping a hidden unit, one for all hidden layers or one for each.
    clip_norm, clip_value : float, optional
        Bounds on the gradient's norm and on its entries; with both, entries first.
    early_stopping : int or EarlyStopping, optional
        Patience in epochs; the best parameters are kept.
    validation_data : tuple, optional
        (X, y) or (X, y, sample_weight).
    sample_weight : array (n_samples,), optional
        Not negative; N of E4 is their sum over the batch.
    engine : str
        "lanes", "loops" or "vectorized".
    n_threads : int, optional
        At most this many threads, for this call; None for Numba's number. The result is the same for any. (The
        vectorised engine leaves threads to BLAS.)
    callbacks : iterable of Callback
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        Shuffles and dropout masks come from it.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError
        For arguments that make no sense; the message names the argument, what was expected and what came. Nothing has
        been changed then.

    Warns
    -----
    RuntimeWarning
        If the loss is no longer finite: the fit stops.
    UserWarning
        On Ctrl-C: the fit stops, the network keeping every finished step (or the best, with early stopping).
    """
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network, got {network!r}")
    data = Data(network, X, y, sample_weight)
    held_out = _held_out(network, validation_data)
    stepper: Optimizer = validation.instance("optimizer", optimizer, OPTIMIZERS, Optimizer)
    pacer: Schedule = validation.instance("schedule", schedule, SCHEDULES, Schedule)
    rng = generator(random_state)
    dropout = validation.dropout(dropout, len(network.sizes) - 2)
    regularization = Regularization(
        l2=validation.number("l2", l2, 0),
        l2_per_sample=bool(l2_per_sample),
        dropout=dropout,
        seed=seed(rng) if np.any(dropout) else 0,
        clip_value=np.inf if clip_value is None else validation.number("clip_value", clip_value, 0, open_minimum=True),
        clip_norm=np.inf if clip_norm is None else validation.number("clip_norm", clip_norm, 0, open_minimum=True),
    )
    runner = Epochs(
        network,
        validation.lookup("engine", engine, ENGINES),
        data,
        stepper,
        pacer,
        validation.number("learning_rate", learning_rate, 0, open_minimum=True),
        min(validation.integer("batch_size", batch_size, 1), len(data)),
        regularization,
        validation.n_threads(n_threads),
    )
    if network.state.size and runner.batch_size == 1:
        raise ValueError(f"batch_size: expected at least 2 with batch normalisation, got 1 (of {len(data)} samples)")
    training = Training(network, History(), validation.integer("epochs", epochs, 0))
    run(
        training,
        runner,
        None if held_out is None else partial(_validate, runner, held_out),
        _callbacks(callbacks, early_stopping),
        rng if shuffle else None,
    )
    return training.history


def run(
    training: Training,
    runner: "Epochs",
    validate: Callable[[Training], None] | None,
    callbacks: Sequence[Callback],
    rng: np.random.Generator | np.random.RandomState | None,
) -> None:
    """All epochs of a checked fit: `validate` adds its figures to the history of each, `rng` is None for no shuffle."""
    history, n_samples = training.history, len(runner.data)
    started: list[Callback] = []
    order = np.arange(n_samples)
    try:
        for callback in callbacks:
            started.append(callback)
            callback.on_start(training)
        for epoch in range(training.epochs):
            if rng is not None:  # a shuffle of the last order: so scikit-learn uses a RandomState's draws
                order = order[rng.permutation(n_samples)]
            loss, rate = runner.run(epoch, order)
            history.loss.append(loss)
            history.learning_rate.append(rate)
            if validate is not None:
                validate(training)
            runner.schedule.observe(history.watched[-1])
            for callback in callbacks:
                callback.on_epoch(training)
            if not np.isfinite(loss):
                history.stopped = f"the loss was {loss} in epoch {epoch + 1}"
                warnings.warn(f"fit stopped: {history.stopped}; try a smaller learning_rate, standardised inputs or "
                              "clip_norm", RuntimeWarning, stacklevel=3)  # fmt: skip
            if history.stopped:
                break
    except KeyboardInterrupt:
        history.stopped = interrupted(len(history.loss))
    finally:
        end_callbacks(started, training)


def interrupted(epochs: int) -> str:
    """Warn, in scikit-learn's words, that Ctrl-C ended a fit; returns what `History.stopped` says then."""
    stopped = f"interrupted after {epochs} epochs"
    warnings.warn(
        f"Training interrupted by user. ({stopped}; what was learnt so far is kept)", UserWarning, stacklevel=4
    )
    return stopped


def end_callbacks(callbacks: list[Callback], training: Training) -> None:
    """on_end of each in turn, whatever one of them raises."""
    if callbacks:
        try:
            callbacks[0].on_end(training)
        finally:
            end_callbacks(callbacks[1:], training)


def _validate(runner: "Epochs", held_out: "Data", training: Training) -> None:
    network, history = training.network, training.history
    loss, outputs = evaluate(network, runner.engine, held_out, runner.n_threads)
    history.validation_loss.append(loss)
    if network.output in ("softmax", "sigmoid", "step"):
        history.validation_accuracy.append(accuracy(outputs, held_out.y, one_class=network.output == "softmax"))


def evaluate(network: Network, engine: Engine, data: "Data", n_threads: int | None) -> tuple[float, np.ndarray]:
    """L and the outputs (n_samples, n_outputs) over all of the data, part by part."""
    sums, outputs = np.zeros(2), []
    for X, y, sample_weight in data.parts():
        loss, part = engine.evaluate(network, X, y, sample_weight, n_threads=n_threads)
        N = sample_weight.sum(dtype=np.float64)
        sums += N * loss, N
        outputs.append(part)
    return mean_loss(sums), outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


def accuracy(outputs: np.ndarray, y: np.ndarray, *, one_class: bool) -> float:
    """The fraction of samples that are right, of outputs and encoded y (n_samples, n_outputs).

    With `one_class` a sample's class is its largest output; otherwise all of its outputs must lie on y's side of ½.
    """
    if one_class:
        return float(np.mean(outputs.argmax(axis=1) == y.argmax(axis=1)))
    return float(np.mean(((outputs >= 0.5) == (y >= 0.5)).all(axis=1)))


class Data:
    """X, y and sample_weight as an engine takes them: whole, or a slice at a time where X is sparse, or mapped from a
    file and not as an engine needs it.
    """

    def __init__(self, network: Network, X: Any, y: Any, sample_weight: Any) -> None:
        self.dtype, sparse = network.dtype, validation.is_sparse(X)
        array = (
            validation.sparse_matrix("X", X, network.sizes[0], network.dtype)
            if sparse
            else validation.finite("X", validation.matrix("X", X, network.sizes[0]), network.dtype)
        )
        n_samples = array.shape[0]
        self.y = network.check_targets(y, n_samples)
        self.sample_weight = validation.weights("sample_weight", sample_weight, n_samples, network.dtype)
        fits = not sparse and array.dtype == network.dtype and array.flags.c_contiguous
        self.whole = fits or not (sparse or isinstance(X, np.memmap))
        self.X = validation.for_engine(array, network.dtype) if self.whole else array
        self.rows_at_once = sys.maxsize if self.whole else max(1, validation.CHUNK // array.shape[1])

    def __len__(self) -> int:
        return len(self.y)

    def slice(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """X, y and sample_weight with `places`, where in them the samples of `order` lie."""
        if self.whole:
            return self.X, self.y, self.sample_weight, order
        parts = validation.dense(self.X[order]), self.y[order], self.sample_weight[order]
        X, y, weight = (validation.for_engine(part, self.dtype) for part in parts)
        return X, y, weight, np.arange(order.size)

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """X, y and sample_weight of all rows in turn."""
        rows = np.arange(len(self))
        for start in range(0, len(self), self.rows_at_once):
            yield self.slice(rows[start : start + self.rows_at_once])[:3]


class Epochs:
    """Runs epochs on one engine, in calls of about `SECONDS_PER_CALL`."""

    def __init__(
        self,
        network: Network,
        engine: Engine,
        data: Data,
        optimizer: Optimizer,
        schedule: Schedule,
        learning_rate: float,
        batch_size: int,
        regularization: Regularization,
        n_threads: int | None,
    ) -> None:
        self.network, self.engine, self.data, self.optimizer = network, engine, data, optimizer
        self.schedule, self.learning_rate, self.batch_size = schedule, learning_rate, batch_size
        self.regularization, self.n_threads = regularization, n_threads
        self.steps_per_call = max(1, int(2e8 / (batch_size * network.n_params)))  # until a call has been timed

    def run(self, epoch: int, order: np.ndarray) -> tuple[float, float]:
        """One epoch: its mean loss and its last learning rate."""
        n_steps = -(-order.size // self.batch_size)
        rates = self.learning_rate * self.schedule.factors(epoch + np.arange(n_steps) / n_steps)
        return self.train(order, rates), float(rates[-1])

    def train(self, order: np.ndarray, rates: np.ndarray) -> float:
        """A step for each of `rates` on the samples of `order`; their mean loss."""
        step, loss, sums = 0, 0.0, np.zeros(2)
        while step < rates.size:
            steps = min(self.steps_per_call, rates.size - step, max(1, self.data.rows_at_once // self.batch_size))
            part = order[step * self.batch_size : (step + steps) * self.batch_size]
            X, y, sample_weight, places = self.data.slice(part)
            started = time.perf_counter()
            loss = self.engine.train_epoch(
                self.network, X, y, sample_weight, part, self.batch_size, self.optimizer, rates[step : step + steps],
                places=places, sums=sums, regularization=self.regularization, n_threads=self.n_threads,
            )  # fmt: skip
            per_step = (time.perf_counter() - started) / steps
            self.steps_per_call = max(1, int(SECONDS_PER_CALL / per_step))
            step += steps
        return loss


def _held_out(network: Network, validation_data: Any) -> Data | None:
    if validation_data is None:
        return None
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        raise TypeError(
            f"validation_data: expected (X, y) or (X, y, sample_weight), got {type(validation_data).__name__}"
        )
    try:
        return Data(network, *validation_data, *[None] * (3 - len(validation_data)))
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data: {error}") from None


def seed(rng: np.random.Generator | np.random.RandomState) -> int:
    """A seed for dropout's masks."""
    if isinstance(rng, np.random.RandomState):
        return int(rng.randint(2**63 - 1, dtype=np.int64))
    return int(rng.integers(2**63))


def _callbacks(callbacks: Iterable[Callback], early_stopping: int | EarlyStopping | None) -> list[Callback]:
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: expected a sequence of Callback objects, got {callbacks!r}")
    result = list(callbacks)
    for callback in result:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks: expected Callback objects, got {callback!r}")
    if isinstance(early_stopping, EarlyStopping):
        result.append(early_stopping)
    elif early_stopping is not None:
        result.append(EarlyStopping(validation.integer("early_stopping", early_stopping, 1)))
    return result
