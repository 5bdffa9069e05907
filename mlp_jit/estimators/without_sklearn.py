"""Small stand-ins for what the estimators take from scikit-learn: same names, same arguments, same draws from a
RandomState; plain arrays only, and the package's own messages about them.
"""

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import validation
from .metrics import r2


class NotFittedError(ValueError, AttributeError):
    """Raised where a method needs a fitted estimator."""


class ConvergenceWarning(UserWarning):
    """The iterations ran out before the loss had settled."""


class BaseEstimator:
    """Parameters by name, and an estimator's `repr`."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's parameters and their values; `deep` changes nothing here."""
        return {name: getattr(self, name) for name in sorted(inspect.signature(type(self)).parameters)}

    def set_params(self, **params: Any) -> "BaseEstimator":
        """Set some parameters; ValueError for one that does not exist."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self!r}. Valid parameters are: {list(known)!r}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = {name: p.default for name, p in inspect.signature(type(self)).parameters.items()}
        values = self.get_params().items()
        changed = [f"{name}={value!r}" for name, value in values if repr(value) != repr(defaults[name])]
        return f"{type(self).__name__}({', '.join(changed)})"


class ClassifierMixin:
    """The score of a classifier."""

    _estimator_type = "classifier"
    predict: Callable[[Any], np.ndarray]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The (weighted) fraction of rows predicted right; of several labels, all of them right."""
        y, predicted = np.asarray(y), self.predict(X)
        right = (y.reshape(-1) if y.shape[1:] == (1,) else y) == predicted
        return float(np.average(right.all(axis=1) if right.ndim == 2 else right, weights=sample_weight))


class RegressorMixin:
    """The score of a regressor."""

    _estimator_type = "regressor"
    predict: Callable[[Any], np.ndarray]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², the mean over the outputs."""
        y = validation.as_array("y", y)
        return r2(self.predict(X).reshape(len(y), -1), y.reshape(len(y), -1), sample_weight)


class available_if:
    """A method that exists where `check(self)` is true; AttributeError otherwise."""

    def __init__(self, check: Callable[[Any], bool]) -> None:
        self.check = check

    def __call__(self, method: Callable) -> "available_if":
        self.method = method
        return self

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self.method
        if not self.check(instance):
            raise AttributeError(f"This {owner.__name__!r} has no attribute {self.method.__name__!r}")
        return self.method.__get__(instance, owner)


def check_is_fitted(estimator: Any) -> None:
    """NotFittedError before `fit`."""
    if not hasattr(estimator, "coefs_"):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' with appropriate arguments before "
            "using this estimator."
        )


def check_random_state(seed: Any) -> np.random.RandomState:
    """The RandomState that `seed` stands for: NumPy's global one for None."""
    if seed is None or seed is np.random:
        return np.random.mtrand._rand
    if isinstance(seed, np.random.RandomState):
        return seed
    return np.random.RandomState(validation.integer("random_state", seed, 0))


def check_sample_weight(sample_weight: Any, X: Any, *, dtype: Any, ensure_non_negative: bool) -> np.ndarray:
    """One weight for each row of X, or a number for all of them; ValueError or TypeError otherwise."""
    if np.ndim(sample_weight) == 0:
        sample_weight = np.full(X.shape[0], validation.number("sample_weight", sample_weight, 0))
    return validation.weights("sample_weight", sample_weight, X.shape[0], np.dtype(dtype))


def check_scoring(estimator: Any, scoring: Any) -> Callable:
    """`scoring` itself where it is a function; names of scores are scikit-learn's."""
    if callable(scoring):
        return scoring
    raise ImportError(f"scoring={scoring!r} is scikit-learn's: pip install 'mlp_jit[sklearn]'")


def column_or_1d(y: np.ndarray, *, warn: bool) -> np.ndarray:
    """A column (n, 1) as (n,)."""
    return y.reshape(-1)


_NOT_GIVEN = object()


def validate_data(
    estimator: Any,
    X: Any,
    y: Any = _NOT_GIVEN,
    *,
    reset: bool,
    accept_sparse: Any,
    dtype: Any = None,
    multi_output: bool = False,
    y_numeric: bool = False,
) -> Any:
    """X in float32 or float64, finite, by rows if sparse, with y where given; `reset` learns its columns' number and
    names, which are checked otherwise.
    """
    names = _column_names(X)
    if not reset:
        _check_names(estimator, names)
    if validation.is_sparse(X):
        kind = np.dtype("float32" if X.dtype == np.float32 else "float64")
        X = validation.sparse_matrix("X", X, X.shape[1], kind).astype(kind)
    else:
        X = validation.matrix("X", X, None)
        kind = np.dtype("float32" if X.dtype == np.float32 else "float64")
        X = validation.for_engine(validation.finite("X", X, kind), kind)
    if reset:
        estimator.n_features_in_ = X.shape[1]
        vars(estimator).pop("feature_names_in_", None)
        if names is not None:
            estimator.feature_names_in_ = names
    elif X.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting {estimator.n_features_in_} "
            "features as input."
        )
    if y is _NOT_GIVEN:
        return X
    y = validation.as_array("y", y) if y_numeric else np.asarray(validation.dense(y))
    if y.ndim not in (1, 2):
        raise ValueError(f"y: expected shape (n_samples,) or (n_samples, n_outputs), got {y.shape}")
    if len(y) != X.shape[0]:
        raise ValueError(f"y: expected {X.shape[0]} rows, one for each row of X, got {len(y)}")
    if y.dtype.kind == "f":
        validation.finite("y", y, np.dtype("float64"))
    return X, y


def _column_names(X: Any) -> np.ndarray | None:
    """The names of a frame's columns, where they are strings; TypeError where only some of them are."""
    columns = getattr(X, "columns", None)
    if columns is None or len(columns) == 0:
        return None
    kinds = sorted({type(name).__qualname__ for name in columns})
    if len(kinds) > 1 and "str" in kinds:
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your input has "
            f"{kinds} as feature name / column name types."
        )
    return np.asarray(columns, dtype=object) if kinds == ["str"] else None


def _check_names(estimator: Any, names: np.ndarray | None) -> None:
    """ValueError where these columns are not those of `fit`, a warning where only one of the two has names."""
    known, who = getattr(estimator, "feature_names_in_", None), type(estimator).__name__
    if known is None or names is None:
        if names is not None:
            warnings.warn(f"X has feature names, but {who} was fitted without feature names", stacklevel=4)
        elif known is not None:
            warnings.warn(f"X does not have valid feature names, but {who} was fitted with feature names", stacklevel=4)
        return
    if np.array_equal(known, names):
        return
    message = "The feature names should match those that were passed during fit.\n"
    unexpected, missing = sorted({*names} - {*known}), sorted({*known} - {*names})
    for heading, listed in (
        ("Feature names unseen at fit time", unexpected),
        ("Feature names seen at fit time, yet now missing", missing),
    ):
        if listed:
            message += "\n".join(
                [f"{heading}:", *(f"- {name}" for name in listed[:5]), *["- ..."] * (len(listed) > 5), ""]
            )
    if not unexpected and not missing:
        message += "Feature names must be in the same order as they were in fit.\n"
    raise ValueError(message)


def type_of_target(y: Any, input_name: str = "") -> str:
    """binary, multiclass, continuous, or one of these for several columns, in scikit-learn's words."""
    y = np.asarray(validation.dense(y))
    values = np.unique(y)
    whole = y.dtype.kind != "f" or bool((values == np.round(values)).all())
    if y.ndim == 2 and y.shape[1] > 1:
        return (
            "multilabel-indicator" if whole and len(values) < 3 and y.dtype.kind in "fiub" else "multiclass-multioutput"
        )
    if not whole:
        return "continuous"
    return "binary" if len(values) < 3 else "multiclass"


def unique_labels(y: Any) -> np.ndarray:
    """The classes in y, or the columns of a matrix of labels; ValueError where y holds no classes."""
    kind, y = type_of_target(y), np.asarray(validation.dense(y))
    if kind == "multilabel-indicator":
        return np.arange(y.shape[1])
    if kind not in ("binary", "multiclass"):
        raise ValueError(f"Unknown label type: {kind}: expected classes, got {y[:5]!r}")
    return np.unique(y)


def train_test_split(
    rows: np.ndarray, *, test_size: float, random_state: np.random.RandomState, stratify: np.ndarray | None
) -> list[np.ndarray]:
    """[train, test]: rows drawn as scikit-learn draws them, `stratify` (n,) or (n, 1) keeping its proportions."""
    n_samples = len(rows)
    n_test = math.ceil(test_size * n_samples)
    n_train = n_samples - n_test
    if n_train == 0:
        raise ValueError(f"test_size={test_size}: expected a part of {n_samples} samples that leaves some of them")
    if stratify is None:
        order = random_state.permutation(n_samples)
        return [rows[order[n_test:]], rows[order[:n_test]]]
    classes, members, counts = np.unique(stratify.reshape(-1).astype(str), return_inverse=True, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            "The least populated classes in y have only 1 member, which is too few. Classes with too few members are: "
            f"{classes[counts < 2].tolist()}"
        )
    if min(n_train, n_test) < len(classes):
        raise ValueError(
            f"The test_size = {n_test} should be greater or equal to the number of classes = {len(classes)}"
        )
    in_train = _shares(counts, n_train, random_state)
    in_test = _shares(counts - in_train, n_test, random_state)
    train, test = [], []
    for k, count in enumerate(counts):
        order = np.flatnonzero(members == k)[random_state.permutation(count)]
        train.append(order[: in_train[k]])
        test.append(order[in_train[k] : in_train[k] + in_test[k]])
    return [rows[random_state.permutation(np.concatenate(part))] for part in (train, test)]


def _shares(counts: np.ndarray, total: int, rng: np.random.RandomState) -> np.ndarray:
    """`total` shared out over the classes by their counts, what rounding leaves to the largest remainders first."""
    exact = counts / counts.sum() * total
    shares = np.floor(exact)
    for remainder in sorted(set(exact - shares), reverse=True):
        missing = int(total - shares.sum())
        if missing == 0:
            break
        equal = np.flatnonzero(exact - np.floor(exact) == remainder)
        shares[rng.choice(equal, min(len(equal), missing), replace=False)] += 1
    return shares.astype(int)
