"""Many estimators, fitted side by side."""

from collections.abc import Callable, Sequence
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
        with ExitStack() as refused:
            prepared = []
            for estimator, X_k, y_k, weight in zip(estimators, X, y, sample_weight, strict=True):
                refused.enter_context(unchanged_if_refused(estimator))
                prepared.append(_prepared(estimator, X_k, y_k, weight, held))
        _train(prepared, n_threads)
        for estimator, fit in zip(estimators, prepared, strict=True):
            estimator._train(_end(fit))


def fit_each(
    estimators: Sequence[Any], X: Sequence[Any], y: Sequence[Any], sample_weight: Sequence[Any]
) -> list[Exception | None]:
    """The same, but one that raises an error does not keep the others from being fitted: the error of each, or None."""
    errors: list[Exception | None] = [None] * len(estimators)
    prepared: dict[int, Callable[[], None]] = {}
    with ExitStack() as held:
        for k, (estimator, X_k, y_k, weight) in enumerate(zip(estimators, X, y, sample_weight, strict=True)):
            try:
                with unchanged_if_refused(estimator):
                    prepared[k] = _prepared(estimator, X_k, y_k, weight, held)
            except Exception as error:
                errors[k] = error
        _train(list(prepared.values()), None)
        for k, fit in prepared.items():
            try:
                estimators[k]._train(_end(fit))
            except Exception as error:
                errors[k] = error
    return errors


def _prepared(estimator: Any, X: Any, y: Any, sample_weight: Any, held: ExitStack) -> Callable[[], None]:
    parameters.check(estimator)
    prepared: Callable[[], None] = estimator._prepare(X, y, sample_weight, held=held)
    return prepared


def _train(prepared: Sequence[Callable[[], None]], n_threads: int | None) -> None:
    """Those of a stochastic solver."""
    train_together([fit.run for fit in prepared if isinstance(fit, Descending)], n_threads)


def _end(fit: Callable[[], None]) -> Callable[[], None]:
    """What is still to be done."""
    return fit.end if isinstance(fit, Descending) else fit
