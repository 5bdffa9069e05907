"""scikit-learn's rule for when to stop, and the curves that it keeps.

More than n_iter_no_change epochs in a row without a gain of tol are too many: of the training loss, or with
early_stopping of the validation score, whose best weights are put back in the end.
"""

import warnings
from typing import Any

import numpy as np

from ..network import Network
from ..training import Callback, Training
from .scikit_learn import ConvergenceWarning


def begin(estimator: Any, network: Network, *, first: bool, validates: bool) -> None:
    """Empty curves for a first fit; warm starts and partial fits go on with those there are."""
    known = {} if first else vars(estimator)
    estimator.n_iter_ = 0
    estimator.loss_curve_ = known.get("loss_curve_", [])
    estimator._no_improvement_count = known.get("_no_improvement_count", 0)
    scores, best = known.get("validation_scores_"), known.get("best_validation_score_")
    losses = known.get("validation_loss_curve_") or []
    if validates:
        scores, best = ([], -np.inf) if scores is None else (scores, best)
        missing = len(estimator.loss_curve_) - len(losses)  # epochs of fits without a validation set
        losses = [*losses, *[np.nan] * missing]
    estimator.validation_scores_ = scores
    estimator.validation_loss_curve_ = None if scores is None else losses
    estimator.best_validation_score_ = best
    if estimator.early_stopping:
        estimator.best_loss_ = None
        estimator._best = known.get("_best", (network.params.copy(), network.state.copy()))
    elif known.get("best_loss_") is None:
        estimator.best_loss_ = np.inf


class Bookkeeping(Callback):
    """Writes each epoch into the estimator's attributes, stops the fit by the rule, and puts the best weights back."""

    looks = False  # but for early stopping, which comes with a validation set

    def __init__(self, estimator: Any, n_samples: int) -> None:
        self.estimator, self.n_samples = estimator, n_samples

    def on_epoch(self, training: Training) -> None:
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = training.history.loss[-1]
        estimator.loss_curve_.append(estimator.loss_)
        estimator.t_ += self.n_samples
        if estimator.validation_scores_:
            self._count_score(training.network)
        if not estimator.early_stopping:
            self._count_loss()
        estimator._optimizer.end_epoch(estimator.t_)
        if estimator._optimizer.has_slowed_down():
            estimator._no_improvement_count = 0  # the new rate has its time, as with "adaptive"
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self._stagnant(training)

    def on_end(self, training: Training) -> None:
        if self.estimator.early_stopping:
            training.network.params[:], training.network.state[:] = self.estimator._best

    def _count_score(self, network: Network) -> None:
        estimator = self.estimator
        score, best = estimator.validation_scores_[-1], estimator.best_validation_score_
        if estimator.early_stopping:
            self._count(score < best + estimator.tol)
        if score > best:
            estimator.best_validation_score_ = score
            if estimator.early_stopping:
                estimator._best = network.params.copy(), network.state.copy()

    def _count_loss(self) -> None:
        estimator = self.estimator
        self._count(estimator.loss_ > estimator.best_loss_ - estimator.tol)
        if estimator.loss_ < estimator.best_loss_:
            estimator.best_loss_ = estimator.loss_

    def _count(self, stagnates: bool) -> None:
        self.estimator._no_improvement_count = self.estimator._no_improvement_count + 1 if stagnates else 0

    def _stagnant(self, training: Training) -> None:
        estimator = self.estimator
        what = "Validation score" if estimator.early_stopping else "Training loss"
        reason = (
            f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change:.0f} consecutive "
            "epochs."
        )
        verdict = estimator._optimizer.slow_down()
        if verdict == "Stopping.":
            training.stop(reason)
        elif verdict.endswith("Stopping."):
            training.stop(f"{reason} {verdict.removesuffix(' Stopping.')}")
        else:
            estimator._no_improvement_count = 0
        if estimator.verbose:
            print(f"{reason} {verdict}")


def warn_unless_converged(max_iter: int) -> None:
    """scikit-learn's warning where the epochs ran out."""
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=6,
    )
