"""Ensembles of networks that differ in their seeds and, if asked for, in the samples they see.

The members' outputs are averaged (Lakshminarayanan, Pritzel & Blundell 2017): probabilities become better calibrated,
and where members disagree nothing was learnt. Samples are drawn as weights: how often a member draws each, so that all
know the same classes and share one X.
"""

import copy
import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from ..estimators import MLPClassifier, MLPRegressor
from ..estimators.base import FLOATS, SPARSE
from ..estimators.classifier import probabilities
from ..estimators.metrics import r2
from ..estimators.refusal import unchanged_if_refused
from ..estimators.scikit_learn import (
    BaseEstimator,
    ClassifierMixin,
    NotFittedError,
    RegressorMixin,
    check_random_state,
    check_sample_weight,
    column_or_1d,
    validate_data,
)
from .estimators import fit_all


class Ensemble(BaseEstimator):
    """Members, and the mean of their outputs. A subclass knows of what kind they are."""

    member: ClassVar[type]

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 10,
        *,
        bootstrap: bool = False,
        max_samples: float | int = 1.0,
        oob_score: bool = False,
        n_threads: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.oob_score = oob_score
        self.n_threads = n_threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train all members on X (n_samples, n_features), dense or sparse, and y, weighted by sample_weight
        (n_samples,).

        Raises ValueError or TypeError for parameters or data that make no sense; nothing is learnt then.
        """
        with unchanged_if_refused(self):
            self._check_parameters()
            X, y = validate_data(
                self, X, y, accept_sparse=SPARSE, multi_output=True, y_numeric=self.member is MLPRegressor,
                dtype=FLOATS, reset=True,
            )  # fmt: skip
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)
            rng = check_random_state(self.random_state)
            seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_estimators)
            drawn = [self._draw(X.shape[0], np.random.RandomState(seed)) for seed in seeds]
            if sample_weight is not None:
                sample_weight = check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
            weights = [_product(counts, sample_weight) for counts in drawn]
            members = [self._made(int(seed)) for seed in seeds]
            fit_all(members, [X] * len(members), [y] * len(members), weights, n_threads=self.n_threads)
        self._keep_members(members)
        if self.oob_score:
            self._score_out_of_bag(X, y, sample_weight, drawn)
        return self

    def _keep_members(self, members: list[Any]) -> None:
        self.estimators_ = members
        self.n_outputs_ = members[0].n_outputs_

    # ----------------------------------------------------------------------------------- what members are made of

    def _check_parameters(self) -> None:
        if self.estimator is not None and type(self.estimator) is not self.member:
            raise TypeError(f"estimator: expected a {self.member.__name__} or None, got {self.estimator!r}")
        if not isinstance(self.n_estimators, Integral) or self.n_estimators < 1:
            raise ValueError(f"n_estimators: expected an integer >= 1, got {self.n_estimators!r}")
        share, number = self.max_samples, isinstance(self.max_samples, Real)
        if not number or isinstance(share, bool) or not (share >= 1 if isinstance(share, Integral) else 0 < share <= 1):
            raise ValueError(f"max_samples: expected an integer >= 1 or a share in (0, 1], got {share!r}")
        if self.oob_score and not self.bootstrap and (self.max_samples == 1.0 and not isinstance(share, Integral)):
            raise ValueError("oob_score: expected bootstrap=True or max_samples below 1, so that some samples are left")

    def _made(self, seed: int) -> Any:
        """A member that is not fitted yet."""
        base = self.member() if self.estimator is None else self.estimator
        made = self.member(**copy.deepcopy(base.get_params(deep=False)))
        return made.set_params(random_state=seed)

    def _draw(self, n_samples: int, rng: np.random.RandomState) -> np.ndarray | None:
        """How often a member draws each sample, (n_samples,); None for all of them once."""
        share = self.max_samples
        count = min(int(share), n_samples) if isinstance(share, Integral) else max(1, int(share * n_samples))
        if self.bootstrap:
            return np.bincount(rng.randint(n_samples, size=count), minlength=n_samples)
        if count == n_samples:
            return None
        drawn = np.zeros(n_samples, np.intp)
        drawn[rng.permutation(n_samples)[:count]] = 1
        return drawn

    # ----------------------------------------------------------------------------------- outputs

    def _outputs(self, X: Any) -> np.ndarray:
        """Each member's outputs, (n_estimators, n_samples, n_outputs)."""
        if "estimators_" not in vars(self):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate arguments before "
                "using this estimator."
            )
        X = validate_data(self, X, accept_sparse=SPARSE, dtype=FLOATS, reset=False)
        return np.stack([member._outputs(X) for member in self.estimators_])

    def _score_out_of_bag(
        self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None, drawn: list[np.ndarray | None]
    ) -> None:
        """Of each sample the mean over those members that have not drawn it."""
        first = self.estimators_[0]
        total, counts = np.zeros((X.shape[0], first.n_outputs_)), np.zeros(X.shape[0])
        for member, times in zip(self.estimators_, drawn, strict=True):
            left = np.flatnonzero(times == 0)
            if left.size:
                total[left] += member._outputs(X[left])
                counts[left] += 1
        seen = counts > 0
        if not seen.all():
            warnings.warn(
                f"{int((~seen).sum())} samples were drawn by all members: oob_score_ leaves them out", stacklevel=3
            )
        with np.errstate(invalid="ignore"):
            outputs = total / counts[:, None]
        self._keep_out_of_bag(outputs, y, seen, sample_weight)

    def _keep_out_of_bag(
        self, outputs: np.ndarray, y: np.ndarray, seen: np.ndarray, sample_weight: np.ndarray | None
    ) -> None:
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        return "estimators_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _product(counts: np.ndarray | None, sample_weight: np.ndarray | None) -> np.ndarray | None:
    if counts is None:
        return sample_weight
    return counts.astype(float) if sample_weight is None else counts * sample_weight


class MLPEnsembleClassifier(ClassifierMixin, Ensemble):
    """Classifiers that average their probabilities.

    Parameters
    ----------
    estimator : MLPClassifier, optional
        What each member is made like, but for its random_state; MLPClassifier() by default.
    n_estimators : int
    bootstrap : bool
        Whether each member draws its samples with replacement.
    max_samples : float or int
        How many it draws: a share of all, or a number.
    oob_score : bool
        Judge each sample by the members that have not drawn it.
    n_threads : int, optional
        At most this many threads; the result is the same for any.
    random_state : int, RandomState or None
        The members' seeds and draws come from it.

    Attributes
    ----------
    estimators_ : list of MLPClassifier
    classes_ : ndarray (n_classes,)
    oob_score_, oob_decision_function_ : float, ndarray (n_samples, n_classes)
        The accuracy and the probabilities out of bag; NaN for a sample that all members have drawn.
    n_features_in_, feature_names_in_, n_outputs_
        As scikit-learn has them.
    """

    member = MLPClassifier

    def _keep_members(self, members: list[Any]) -> None:
        super()._keep_members(members)
        self._labels, self.classes_ = members[0]._labels, members[0].classes_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Mean probabilities (n_samples, n_classes) in the order of classes_; of several labels, each label's own."""
        return probabilities(self._outputs(X).mean(axis=0))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of `predict_proba`."""
        return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> Any:
        """The most probable class (n_samples,), or for several labels 0 and 1 (n_samples, n_labels)."""
        outputs = self._outputs(X).mean(axis=0)
        return self._labels.decode(outputs)

    def _keep_out_of_bag(
        self, outputs: np.ndarray, y: np.ndarray, seen: np.ndarray, sample_weight: np.ndarray | None
    ) -> None:
        self.oob_decision_function_ = probabilities(outputs)
        right = self._labels.right(outputs[seen], self._labels.encode(y)[seen])
        weights = None if sample_weight is None else sample_weight[seen]
        self.oob_score_ = float(np.average(right, weights=weights)) if seen.any() else float("nan")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPEnsembleRegressor(RegressorMixin, Ensemble):
    """Regressors that average their predictions, and say how far they are apart.

    Parameters are those of MLPEnsembleClassifier, with an MLPRegressor.

    Attributes
    ----------
    estimators_ : list of MLPRegressor
    oob_score_, oob_prediction_ : float, ndarray (n_samples,) or (n_samples, n_outputs)
        R² and the predictions out of bag; NaN for a sample that all members have drawn.
    n_features_in_, feature_names_in_, n_outputs_
        As scikit-learn has them.
    """

    member = MLPRegressor

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean predictions (n_samples,), or (n_samples, n_outputs) where there are several; with `return_std` also the
        standard deviation over the members, of the same shape.
        """
        outputs = self._outputs(X)
        mean = _columns(outputs.mean(axis=0))
        return (mean, _columns(outputs.std(axis=0))) if return_std else mean

    def _keep_out_of_bag(
        self, outputs: np.ndarray, y: np.ndarray, seen: np.ndarray, sample_weight: np.ndarray | None
    ) -> None:
        self.oob_prediction_ = _columns(outputs)
        weights = None if sample_weight is None else sample_weight[seen]
        columns = y.reshape(len(y), -1)[seen]
        self.oob_score_ = r2(outputs[seen], columns, weights) if seen.any() else float("nan")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _columns(outputs: np.ndarray) -> np.ndarray:
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs
