"""fit: mini-batches, shuffling, validation, early stopping, history."""

import os
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import validation
from ..engines import DEFAULT, ENGINES
from ..engines.contract import Recipe, Regularization
from ..network import Network, generator
from ..optimizers import OPTIMIZERS, Optimizer
from ..schedules import SCHEDULES, Cosine, Schedule
from .callbacks import Callback, EarlyStopping
from .checkpoint import Attributes, Checkpoint, EpochKeeper, Part, RunFile, Whole, described
from .data import Data
from .epochs import Epochs
from .history import History, Training
from .run import Rng, Run


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
    checkpoint: str | os.PathLike | Checkpoint | None = None,
) -> History:
    """Train `network` in place by E6 on mini-batches, and return what each epoch came to.

    Parameters
    ----------
    network : Network
    X : array or sparse matrix (n_samples, n_inputs)
        A memory-mapped X is read a slice at a time, never copied whole. A sparse one is never made dense: the loops go
        over what is there, to the same bits as over a dense X with the same numbers.
    y : array (n_samples, n_outputs)
        Or (n_samples,) for one output, or class labels 0..n_outputs-1 for softmax.
    optimizer : str or Optimizer
        A name (sgd, adam, adamw, rmsprop, adagrad, nadam, lion) starts afresh; an object keeps its moments across fits.
    learning_rate : float
        η before the schedule.
    schedule : str or Schedule
        constant, inverse_scaling, exponential, step, cosine (over all epochs), on_plateau; see `mlp_jit.schedules`.
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
    checkpoint : path or Checkpoint, optional
        A file that is written as the fit goes. Where there is one of this very run (same data, sizes and settings, any
        number of threads), the fit goes on from it, to the bits of one that was never cut; a run that came to its end
        returns at once. Callbacks of your own start anew.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError
        For arguments that make no sense; the message names the argument, what was expected and what came. Nothing has
        been changed then. ValueError for a checkpoint of another run, which says what differs.
    BlockingIOError
        Where another process keeps its checkpoint there.

    Warns
    -----
    RuntimeWarning
        If the loss is no longer finite: the fit stops.
    UserWarning
        On Ctrl-C: the fit stops, the network keeping every finished step (or the best, with early stopping).
    """
    asked = check(
        network, data_of(network, X, y, sample_weight), held_out_of(network, validation_data),
        optimizer=optimizer, learning_rate=learning_rate, schedule=schedule, batch_size=batch_size, epochs=epochs,
        shuffle=shuffle, l2=l2, l2_per_sample=l2_per_sample, dropout=dropout, clip_norm=clip_norm,
        clip_value=clip_value, early_stopping=early_stopping, engine=engine, n_threads=n_threads, callbacks=callbacks,
        random_state=random_state,
    )  # fmt: skip
    with nullcontext() if checkpoint is None else RunFile(checkpoint, asked.words()) as file:
        run = asked.begin(EpochKeeper(file) if file else None)
        run.train()
    return run.training.history


@dataclass
class Asked:
    """What `fit` is asked for, checked."""

    network: Network
    data: Data
    held_out: Data | None
    optimizer: Optimizer
    learning_rate: float
    schedule: Schedule
    batch_size: int
    epochs: int
    shuffle: bool
    regularization: Regularization
    engine: str
    n_threads: int | None
    callbacks: list[Callback]
    stopping: EarlyStopping | None
    rng: Rng

    def words(self) -> dict[str, str]:
        """What the run is, for its checkpoint."""
        return described(
            self.network, self.data, self.held_out, optimizer=self.optimizer, learning_rate=self.learning_rate,
            schedule=self.schedule, batch_size=self.batch_size, epochs=self.epochs, shuffle=self.shuffle,
            regularization=self.regularization, engine=self.engine,
            early_stopping=self.stopping and (self.stopping.patience, self.stopping.tol),
        )  # fmt: skip

    def begin(self, keeper: EpochKeeper | None) -> Run:
        """All that training starts from. Draws the seed of dropout's masks."""
        if keeper:
            keeper.begin_at(self.rng)
        drawn = seed(self.rng) if any(self.regularization.dropout) else 0
        rules = replace(self.regularization, seed=drawn)
        recipe = Recipe(self.optimizer, self.batch_size, rules, self.n_threads)
        session = ENGINES[self.engine].session(self.network, recipe)
        runner = Epochs(session, self.data, self.schedule, self.learning_rate)
        training = Training(self.network, History(), self.epochs)
        if keeper:
            self._keep(keeper, training)
            runner.keeper = keeper
        judged = None if self.held_out is None else HeldOut(self.held_out)
        return Run(training, runner, judged, self.callbacks, self.rng if self.shuffle else None)

    def _keep(self, keeper: EpochKeeper, training: Training) -> None:
        parts: dict[str, Part] = {"optimizer": Whole(self.optimizer), "schedule": Whole(self.schedule)}
        if self.stopping is not None:
            parts["early_stopping"] = Attributes(self.stopping, vars(self.stopping).keys() - {"patience", "tol"})
        keeper.keep_training(training, **parts)
        self.callbacks.insert(0 if self.stopping is None else 1, keeper)


def check(
    network: Network,
    data: Data,
    held_out: Data | None,
    *,
    optimizer: str | Optimizer,
    learning_rate: float,
    schedule: str | Schedule,
    batch_size: int,
    epochs: int,
    shuffle: bool,
    l2: float,
    l2_per_sample: bool,
    dropout: float | Sequence[float],
    clip_norm: float | None,
    clip_value: float | None,
    early_stopping: int | EarlyStopping | None,
    engine: str,
    n_threads: int | None,
    callbacks: Iterable[Callback],
    random_state: int | np.random.Generator | np.random.RandomState | None,
) -> Asked:
    """All checks of what `fit` is asked for beside its data."""
    stepper: Optimizer = validation.instance("optimizer", optimizer, OPTIMIZERS, Optimizer)
    epochs = validation.integer("epochs", epochs, 0)
    pacer = schedule_of(schedule, epochs)
    rng = generator(random_state)
    regularization = Regularization(
        l2=validation.number("l2", l2, 0),
        l2_per_sample=bool(l2_per_sample),
        dropout=validation.dropout(dropout, len(network.sizes) - 2),
        clip_value=np.inf if clip_value is None else validation.number("clip_value", clip_value, 0, open_minimum=True),
        clip_norm=np.inf if clip_norm is None else validation.number("clip_norm", clip_norm, 0, open_minimum=True),
    )
    batch_size = min(validation.integer("batch_size", batch_size, 1), len(data))
    if network.state.size and batch_size == 1:
        raise ValueError(f"batch_size: expected at least 2 with batch normalisation, got 1 (of {len(data)} samples)")
    validation.lookup("engine", engine, ENGINES)
    rate = validation.number("learning_rate", learning_rate, 0, open_minimum=True)
    n_threads = validation.n_threads(n_threads)
    calls = _callbacks(callbacks, early_stopping)
    stopping = calls[0] if early_stopping is not None and isinstance(calls[0], EarlyStopping) else None
    return Asked(
        network, data, held_out, stepper, rate, pacer, batch_size, epochs, bool(shuffle), regularization, engine,
        n_threads, calls, stopping, rng,
    )  # fmt: skip


def schedule_of(schedule: str | Schedule, epochs: int) -> Schedule:
    """By name, the cosine falls over all epochs of the fit."""
    if schedule == "cosine":
        return Cosine(epochs=max(1, epochs))
    found: Schedule = validation.instance("schedule", schedule, SCHEDULES, Schedule)
    return found


def data_of(network: Network, X: Any, y: Any, sample_weight: Any) -> Data:
    """Training data. Raises TypeError or ValueError for what does not fit the network."""
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network, got {network!r}")
    return Data(network, X, y, sample_weight)


class HeldOut:
    """Validation data: their loss and, where the outputs are classes, the accuracy."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def judge(self, training: Training, L: float, outputs: np.ndarray) -> None:
        """See `run.Validation`."""
        network, history = training.network, training.history
        history.validation_loss.append(L)
        if network.output in ("softmax", "sigmoid", "step"):
            history.validation_accuracy.append(accuracy(outputs, self.data.y, one_class=network.output == "softmax"))


def accuracy(outputs: np.ndarray, y: np.ndarray, *, one_class: bool) -> float:
    """The fraction of samples that are right, of outputs and encoded y (n_samples, n_outputs).

    With `one_class` a sample's class is its largest output; otherwise all of its outputs must lie on y's side of ½.
    """
    if one_class:
        return float(np.mean(outputs.argmax(axis=1) == y.argmax(axis=1)))
    return float(np.mean(((outputs >= 0.5) == (y >= 0.5)).all(axis=1)))


def held_out_of(network: Network, validation_data: Any) -> Data | None:
    """Validation data, where there are some: (X, y) or (X, y, sample_weight)."""
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
    """Early stopping first, so that the others' on_end find the best parameters put back."""
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: expected a sequence of Callback objects, got {callbacks!r}")
    result = list(callbacks)
    for callback in result:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks: expected Callback objects, got {callback!r}")
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
        early_stopping = EarlyStopping(validation.integer("early_stopping", early_stopping, 1))
    return result if early_stopping is None else [early_stopping, *result]
