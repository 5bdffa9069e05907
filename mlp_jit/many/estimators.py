"""Many estimators, fitted side by side."""

from collections.abc import Sequence
from typing import Any


def fit_all(estimators: Sequence[Any], X: Sequence[Any], y: Sequence[Any], sample_weight: Sequence[Any]) -> None:
    """Fit each estimator on its own X, y and sample_weight (or None): the bits of `estimator.fit(X, y, sample_weight)`.

    What may differ from one to the next: everything. Those of one architecture are the faster together. Raises what a
    `fit` raises; none has been fitted then.
    """
    for estimator, X_k, y_k, weight in zip(estimators, X, y, sample_weight, strict=True):
        estimator.fit(X_k, y_k, weight)
