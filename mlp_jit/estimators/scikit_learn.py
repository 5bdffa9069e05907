"""What the estimators take from scikit-learn, or the small stand-ins where it is not installed."""

from collections.abc import Callable
from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning, NotFittedError
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import type_of_target, unique_labels
    from sklearn.utils.validation import _check_sample_weight as check_sample_weight
    from sklearn.utils.validation import check_is_fitted, validate_data

    def train_test_split(rows: np.ndarray, **settings: Any) -> list[np.ndarray]:
        """scikit-learn's, imported when used: it brings half of the library along."""
        from sklearn import model_selection

        return model_selection.train_test_split(rows, **settings)

    def check_scoring(estimator: Any, scoring: Any) -> Callable:
        """scikit-learn's, imported when used."""
        from sklearn import metrics

        return metrics.check_scoring(estimator, scoring)

except ImportError:
    from .without_sklearn import (  # type: ignore[assignment]
        BaseEstimator,
        ClassifierMixin,
        ConvergenceWarning,
        NotFittedError,
        RegressorMixin,
        available_if,
        check_is_fitted,
        check_random_state,
        check_sample_weight,
        check_scoring,
        column_or_1d,
        train_test_split,
        type_of_target,
        unique_labels,
        validate_data,
    )

__all__ = [
    "BaseEstimator",
    "ClassifierMixin",
    "ConvergenceWarning",
    "NotFittedError",
    "RegressorMixin",
    "available_if",
    "check_is_fitted",
    "check_random_state",
    "check_sample_weight",
    "check_scoring",
    "column_or_1d",
    "train_test_split",
    "type_of_target",
    "unique_labels",
    "validate_data",
]
