"""L-BFGS: SciPy's, on the flat vector of all parameters, with the engine's consistent pair of loss and gradient."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..engines import ENGINES
from ..engines.contract import Recipe
from ..engines.layout import penalised
from ..network import Network
from ..optimizers import SGD
from ..training import History, Training
from ..training.checkpoint import Attributes, Keeper, Learnt, Part
from ..training.data import Data
from ..training.digest import digest
from ..training.run import end_callbacks, interrupted
from . import checkpoints
from .figure import Figure, half_squares
from .held_out import HeldOut
from .report import Report
from .scikit_learn import ConvergenceWarning


class Objective:
    """L with L2, and its gradient, over all samples: a function of the parameters (n_params,), in float64.

    A line search compares losses that differ by less than float32 resolves, so a float32 network has a twin here.
    """

    def __init__(self, estimator: Any, network: Network, X: Any, y: np.ndarray, sample_weight: Any) -> None:
        self.network = estimator._network_of(*(
            [array.astype(np.float64) for array in arrays] for arrays in (network.weights, network.biases)
        ))  # fmt: skip
        self.data = Data(self.network, X, y, sample_weight)
        recipe = Recipe(SGD(), len(self.data), n_threads=estimator.n_threads)
        self.session = ENGINES[estimator.engine].session(self.network, recipe)
        self.figure = Figure(self.network)
        self.N = self.data.sample_weight.sum(dtype=np.float64)
        self.l2 = estimator.alpha / self.N
        self.penalised = penalised(self.network.table)

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        self.network.params[:] = theta
        L, g = self.penalty(), self.l2 * self.penalised * theta
        for samples in self.data.parts():
            share = samples.sample_weight.sum(dtype=np.float64) / self.N
            part, gradient = self.session.gradient(samples)
            L += share * part
            g += share * gradient
        return L, g

    def penalty(self) -> float:
        """What L2 adds to L at the parameters last looked at."""
        return self.l2 * half_squares(self.network)

    def reported(self, L: float, theta: np.ndarray) -> float:
        """The figure that scikit-learn reports for L at theta."""
        self.network.params[:] = theta
        return self.figure.of(L, self.penalty(), self.data.y, self.data.sample_weight)


def prepare(
    estimator: Any,
    network: Network,
    X: Any,
    y: np.ndarray,
    sample_weight: Any,
    held_out: HeldOut | None,
    keeper: Keeper | None,
    *,
    first: bool,
) -> Callable[[], Any]:
    """What minimises L over the parameters of `network`, and writes what came of it into the estimator's attributes.

    Ctrl-C keeps the last finished iteration. Warns ConvergenceWarning as scikit-learn does. Raises ImportError without
    SciPy, ValueError with what only a stochastic solver can do.
    """
    try:
        from scipy import optimize
    except ImportError:
        raise ImportError("solver='lbfgs' is SciPy's: pip install 'mlp_jit[lbfgs]'") from None
    _refuse(estimator, network, held_out)
    objective = Objective(estimator, network, X, y, sample_weight)
    if keeper is None:
        return partial(_minimize, estimator, network, objective, None, optimize, first)
    if keeper.done:
        keeper.keep(**_ended(estimator, network))
        return keeper.restore
    remembered = Remembered(objective, keeper)
    return partial(_keep, partial(_minimize, estimator, network, objective, remembered, optimize, first), remembered,
                   _ended(estimator, network))  # fmt: skip


class Remembered:
    """An objective that remembers, in a checkpoint, all that it has been asked.

    SciPy's minimiser cannot be halted. After a crash it starts once more, and is told what is known as long as it asks
    for it: the way it went then it goes again.
    """

    def __init__(self, objective: Callable[[np.ndarray], tuple[float, np.ndarray]], keeper: Keeper) -> None:
        self.objective, self.keeper, self.asked = objective, keeper, 0
        self.places: list[str] = []
        self.losses: list[float] = []
        self.gradients: list[np.ndarray] = []
        keeper.keep(evaluations=Attributes(self, ("places", "losses", "gradients")))
        if keeper.found:
            keeper.restore()

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        place, k = digest(theta), self.asked
        if self.places[k : k + 1] != [place]:
            L, g = self.objective(theta)
            self.places[k:], self.losses[k:], self.gradients[k:] = [place], [L], [g]
        self.asked += 1
        return self.losses[k], self.gradients[k].copy()

    @property
    def on_known_ground(self) -> bool:
        """Whether the next answer may be known."""
        return self.asked < len(self.places)


def _ended(estimator: Any, network: Network) -> dict[str, Part]:
    """What a checkpoint keeps of a run that has come to its end."""
    return {"network": Learnt(network), "curves": checkpoints.curves(estimator)}


def _keep(minimize: Callable[[], bool], remembered: Remembered, ended: dict[str, Part]) -> None:
    """Minimise; however that ends, write the checkpoint."""
    keeper = remembered.keeper
    try:
        done = minimize()
    except BaseException:
        keeper.write()
        raise
    if done:
        del keeper.parts["evaluations"]
        keeper.keep(**ended)
    keeper.write(done=done)


def _minimize(
    estimator: Any, network: Network, objective: Objective, remembered: Remembered | None, optimize: Any, first: bool
) -> bool:
    """Whether it came to its end, before a Ctrl-C."""
    _begin_curves(estimator, first)
    training = Training(network, History(), estimator.max_iter)
    callbacks = [*([Report(bar=True)] if estimator.verbose else []), *(estimator.callbacks or ())]

    def after_iteration(intermediate_result: Any) -> None:
        network.params[:] = intermediate_result.x
        training.history.loss.append(objective.reported(intermediate_result.fun, intermediate_result.x))
        estimator.loss_curve_.append(training.history.loss[-1])
        if remembered:
            if remembered.on_known_ground:
                return
            remembered.keeper.write_if_due()
        for callback in callbacks:
            callback.on_epoch(training)
        if training.history.stopped:
            raise StopIteration

    started: list = []
    try:
        for callback in callbacks:
            started.append(callback)
            callback.on_start(training)
        result = optimize.minimize(
            remembered or objective,
            network.params.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=after_iteration,
            options={"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol},
        )
        network.params[:] = result.x
        estimator.n_iter_ = min(result.nit, estimator.max_iter)
        estimator.loss_ = objective.reported(result.fun, result.x)
        if result.status != 0 and not training.history.stopped:
            _warn(result, estimator)
        return True
    except KeyboardInterrupt:
        training.history.stopped = interrupted(len(training.history.loss))
        estimator.n_iter_ = len(training.history.loss)
        estimator.loss_ = training.history.loss[-1] if training.history.loss else np.nan
        return False
    finally:
        end_callbacks(started, training)


def _begin_curves(estimator: Any, first: bool) -> None:
    """An empty loss curve and no validation for a first fit; a warm start goes on with what there is."""
    if first or not hasattr(estimator, "loss_curve_"):
        estimator.loss_curve_ = []
        estimator.validation_scores_ = estimator.validation_loss_curve_ = estimator.best_validation_score_ = None


def _refuse(estimator: Any, network: Network, held_out: HeldOut | None) -> None:
    if network.state.size:
        raise ValueError("normalization: expected no 'batch' with solver='lbfgs', which has no batches to learn from")
    given = {name: getattr(estimator, name) for name in ("dropout", "clip_norm", "clip_value")}
    for name, value in {**given, "X_val": held_out is not None}.items():
        if np.any(value):
            raise ValueError(
                f"{name}: expected a stochastic solver, got solver='lbfgs', which has neither steps nor epochs"
            )


def _warn(result: Any, estimator: Any) -> None:
    n_iter, max_iter = estimator.n_iter_, estimator.max_iter
    message = f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n{result.message}\n"
    if n_iter == max_iter:
        message += f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
    message += (
        "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
    warnings.warn(message, ConvergenceWarning, stacklevel=5)
