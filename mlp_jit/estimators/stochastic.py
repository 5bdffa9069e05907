"""The stochastic solvers: epochs of E6 on mini-batches, as scikit-learn runs them."""

import dataclasses
import warnings
from typing import Any

import numpy as np

from .. import validation
from ..engines import ENGINES
from ..engines.contract import Recipe, Regularization, Session
from ..network import Network
from ..optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from ..schedules import SCHEDULES, Constant, Cosine, OnPlateau, Schedule
from ..training import History, Training
from ..training.data import Data
from ..training.fit import seed
from ..training.run import Run
from . import checkpoints, stopping
from .figure import Figure, ReportedEpochs
from .held_out import HeldOut, Validation, split
from .report import Report

SLOWEST = 1e-6  # "adaptive" stops below this learning rate


class Descent:
    """What partial_fit goes on with: the optimizer with its moments, the epochs done, and the learning rate.

    scikit-learn's "invscaling" and "adaptive" change `learning_rate` between epochs, and with sgd alone, as there; any
    other schedule multiplies it, with every optimizer.
    """

    def __init__(self, estimator: Any) -> None:
        self.optimizer = _optimizer(estimator)
        self.schedule = _schedule(estimator)
        self.learning_rate_init = self.learning_rate = float(estimator.learning_rate_init)
        self.power_t = estimator.power_t
        follows = isinstance(self.optimizer, SGD) and estimator.learning_rate in ("invscaling", "adaptive")
        self.rule = estimator.learning_rate if follows else None
        self.epochs, self.seen = 0, 1.0

    def end_epoch(self, t: int) -> None:
        """After an epoch, t samples having been seen in all."""
        if self.rule == "invscaling":
            self.learning_rate = self.learning_rate_init / (t + 1) ** self.power_t

    def has_slowed_down(self) -> bool:
        """Whether a plateau has lowered the rate since this was asked last, to one that is worth its time."""
        before, self.seen = self.seen, getattr(self.schedule, "present", 1.0)
        return bool(self.seen < before and self.learning_rate * self.seen > SLOWEST)

    def slow_down(self) -> str:
        """Where the loss has stagnated: what is done about it, in scikit-learn's words."""
        if self.rule != "adaptive":
            return "Stopping."
        if self.learning_rate <= SLOWEST:
            return "Learning rate too small. Stopping."
        self.learning_rate /= 5
        return f"Setting learning rate to {self.learning_rate:f}"


def _optimizer(estimator: Any) -> Optimizer:
    if isinstance(estimator.solver, Optimizer):
        return dataclasses.replace(estimator.solver)  # the parameter itself stays as it is
    kind = OPTIMIZERS[estimator.solver]
    if kind is SGD:
        return SGD(estimator.momentum, estimator.nesterovs_momentum)
    if issubclass(kind, Adam):
        return kind(estimator.beta_1, estimator.beta_2, estimator.epsilon, epsilon_hat=True)
    return kind()


def _schedule(estimator: Any) -> Schedule:
    """By name, the cosine falls over max_iter epochs, and a plateau is half the epochs that would end the fit."""
    given = estimator.learning_rate
    if isinstance(given, Schedule):
        return dataclasses.replace(given)
    if given == "cosine":
        return Cosine(epochs=estimator.max_iter)
    if given == "on_plateau":
        return OnPlateau(patience=max(1, int(min(estimator.n_iter_no_change, 20)) // 2), tol=estimator.tol)
    return SCHEDULES.get(given, Constant)()


class DescentEpochs(ReportedEpochs):
    """Epochs that count on from one partial_fit to the next, at the present learning rate."""

    descent: Descent
    before: int  # epochs of earlier fits

    def rates(self, epoch: int, count: int) -> np.ndarray:
        self.learning_rate = self.descent.learning_rate
        return super().rates(self.before + epoch, count)

    @property
    def follows(self) -> bool:  # type: ignore[override]
        return self.descent.rule is not None

    def end_epoch(self) -> None:
        self.descent.epochs += 1


def prepare(
    estimator: Any,
    network: Network,
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    held_out: HeldOut | None,
    keeper: Any,
    *,
    first: bool,
    incremental: bool,
) -> "Descending":
    """What trains `network` and writes what was learnt into the estimator's attributes; one epoch if `incremental`."""
    if incremental and estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    rng = estimator._random_state
    if not incremental or not hasattr(estimator, "_optimizer"):
        estimator._optimizer = Descent(estimator)
    if held_out is None and estimator.early_stopping:
        train, aside = split(estimator, y, rng)
        held_out = HeldOut(X[aside], y[aside], None if sample_weight is None else sample_weight[aside])
        X, y, sample_weight = X[train], y[train], None if sample_weight is None else sample_weight[train]

    epochs = _epochs(estimator, network, Data(network, X, y, sample_weight), rng)
    training = Training(network, History(), 1 if incremental else estimator.max_iter)
    stopping.begin(estimator, network, first=first, validates=held_out is not None)
    validation = None
    if held_out is not None:
        validation = Validation(estimator, training, held_out, epochs.reported)
    report = [Report(bar=not incremental)] if estimator.verbose else []
    kept = [keeper] if keeper else []
    callbacks = [*report, stopping.Bookkeeping(estimator, len(epochs.data)), *kept, *(estimator.callbacks or ())]
    if keeper:
        epochs.keeper = keeper
        keeper.keep_training(training, **checkpoints.parts(estimator))

    return Descending(
        estimator, Run(training, epochs, validation, callbacks, rng if estimator.shuffle else None), incremental
    )


@dataclasses.dataclass
class Descending:
    """A prepared fit: called, it trains; one that is trained by others is only to be ended."""

    estimator: Any
    run: Run
    incremental: bool

    def __call__(self) -> None:
        self.run.train()
        self.end()

    def end(self) -> None:
        """Warn of epochs that were not enough, and let go of the room."""
        if self.incremental:
            return
        if self.run.training.history.stopped is None:
            stopping.warn_unless_converged(self.estimator.max_iter)
        del self.estimator._session


def _epochs(estimator: Any, network: Network, data: Data, rng: np.random.RandomState) -> DescentEpochs:
    descent, dropout = estimator._optimizer, validation.dropout(estimator.dropout, len(network.sizes) - 2)
    batch_size = _batch_size(estimator, len(data))
    if network.state.size and batch_size == 1:
        raise ValueError(f"batch_size: expected at least 2 with batch normalisation, got 1 (of {len(data)} samples)")
    recipe = Recipe(
        descent.optimizer,
        batch_size,
        Regularization(
            l2=float(estimator.alpha),
            l2_per_sample=True,
            dropout=dropout,
            seed=seed(rng) if any(dropout) else 0,
            clip_value=np.inf if estimator.clip_value is None else float(estimator.clip_value),
            clip_norm=np.inf if estimator.clip_norm is None else float(estimator.clip_norm),
        ),
        estimator.n_threads,
    )
    epochs = DescentEpochs(_session(estimator, network, recipe), data, descent.schedule, descent.learning_rate)
    epochs.descent, epochs.before, epochs.reported = descent, descent.epochs, Figure(network)
    return epochs


def _session(estimator: Any, network: Network, recipe: Recipe) -> Session:
    """The session of the last slice, where it does for this one, too."""
    kind, kept = ENGINES[estimator.engine].session, vars(estimator).get("_session")
    if (
        type(kept) is not kind
        or kept.plan is not network
        or kept.recipe.optimizer is not recipe.optimizer
        or kept.recipe != recipe
    ):
        kept = estimator._session = kind(network, recipe)
    return kept


def _batch_size(estimator: Any, n_samples: int) -> int:
    if isinstance(estimator.batch_size, str):
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            UserWarning,
            stacklevel=6,
        )
    return min(int(estimator.batch_size), n_samples)
