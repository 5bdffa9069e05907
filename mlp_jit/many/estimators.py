"""Many estimators, fitted side by side."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from ..estimators import parameters
from ..estimators.refusal import unchanged_if_refused
from ..estimators.stochastic import Descending
from .together import train_together


def fit_all(
    estimators: Sequence[Any],
    X: Sequence[Any],
    y: Sequence[Any],
    sample_weight: Sequence[Any],
    *,
    n_threads: int | None = None,
) -> None:
    """Fit each estimator on its own X, y and sample_weight (or None): the bits of `estimator.fit(X, y, sample_weight)`.

    What may differ from one to the next: everything. Those of one architecture go in lockstep. Raises what a `fit`
    raises: for data and parameters that make no sense before any has changed, for weights that diverged after all are
    trained.
    """
    with ExitStack() as held:
        prepared = []
        with ExitStack() as refused:
            for estimator, X_k, y_k, weight in zip(estimators, X, y, sample_weight, strict=True):
                refused.enter_context(unchanged_if_refused(estimator))
                parameters.check(estimator)
                prepared.append(estimator._prepare(X_k, y_k, weight, held=held))
        train_together([fit.run for fit in prepared if isinstance(fit, Descending)], n_threads)
        for estimator, fit in zip(estimators, prepared, strict=True):
            estimator._train(fit.end if isinstance(fit, Descending) else fit)
