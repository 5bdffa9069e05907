"""Checkpoints of an estimator's `fit`: what the run is, and which attributes learn."""

from contextlib import ExitStack
from typing import Any

import numpy as np

from ..training.checkpoint import Attributes, EpochKeeper, Keeper, RunFile, Whole, in_words
from ..training.digest import digest
from .held_out import HeldOut
from .parameters import APART
from .scikit_learn import check_random_state

DESCENT = ("learning_rate", "epochs", "seen")
CURVES = ("n_iter_", "t_", "loss_", "loss_curve_", "validation_scores_", "validation_loss_curve_",
          "best_validation_score_", "best_loss_", "_best", "_no_improvement_count")  # fmt: skip


def keeper(
    estimator: Any,
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    given: HeldOut | None,
    held: ExitStack,
    *,
    first: bool,
) -> Keeper:
    """The checkpoint of a fit of these samples, held by a context; the estimator's generator is where the run began.

    Raises BlockingIOError where another process keeps a run there, and ValueError where the file is of another run.
    """
    run = {name: in_words(value) for name, value in estimator.get_params(deep=False).items() if name not in APART}
    run["X, y and sample_weight"] = digest(X, y, sample_weight)
    run["X_val, y_val and sample_weight_val"] = in_words(given and digest(*given))
    run["classes"] = in_words(getattr(estimator, "classes_", np.empty(0)).tolist())
    run["warm start from"] = in_words(None if first else digest(estimator.network_.params, estimator.network_.state))
    file = held.enter_context(RunFile(estimator.checkpoint, run))
    opened = Keeper(file) if estimator.solver == "lbfgs" else EpochKeeper(file)
    if estimator.random_state is None:  # the global generator is not ours to put back
        estimator._random_state = check_random_state(estimator._random_state.randint(2**31))
    opened.begin_at(estimator._random_state)
    return opened


def curves(estimator: Any) -> Attributes:
    """What a fit writes into the estimator as it goes."""
    return Attributes(estimator, CURVES)


def parts(estimator: Any) -> dict[str, Any]:
    """What learns beside the network in a stochastic solver's fit."""
    descent = estimator._optimizer
    return {
        "optimizer": Whole(descent.optimizer),
        "schedule": Whole(descent.schedule),
        "descent": Attributes(descent, DESCENT),
        "curves": curves(estimator),
    }
