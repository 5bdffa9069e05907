"""The validation set, and what is measured on it after each epoch."""

from typing import Any, NamedTuple

import numpy as np

from ..training import Training
from ..training.data import Data
from .figure import Figure
from .scikit_learn import check_scoring, train_test_split


class HeldOut(NamedTuple):
    """X (n_samples, n_features), y as targets (n_samples, n_outputs), sample_weight (n_samples,) or None."""

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None


def split(estimator: Any, y: np.ndarray, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on and the rows set aside, by scikit-learn's draw. ValueError where too few are either."""
    if estimator.validation_fraction == 0:
        raise ValueError(
            f"test_size={estimator.validation_fraction} should be either positive and smaller than the number of "
            f"samples {len(y)} or a float in the (0, 1) range"
        )
    train, aside = train_test_split(
        np.arange(len(y)),
        random_state=rng,
        test_size=estimator.validation_fraction,
        stratify=estimator._strata(y),
    )
    if len(aside) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    return train, aside


class Validation:
    """What the validation set comes to after each epoch: its loss, and the score that early stopping goes by."""

    def __init__(self, estimator: Any, training: Training, held_out: HeldOut, figure: Figure) -> None:
        self.estimator, self.held_out, self.figure = estimator, held_out, figure
        self.data = Data(training.network, *held_out)
        scoring = estimator.scoring
        self.scorer = None if scoring in (None, "loss") else check_scoring(estimator, scoring)

    def judge(self, training: Training, L: float, outputs: np.ndarray) -> None:
        """See `training.run.Validation`."""
        network, estimator = training.network, self.estimator
        loss = self.figure.of(L, 0.0, self.data.y, self.data.sample_weight)
        training.history.validation_loss.append(loss)
        estimator.validation_loss_curve_.append(loss)
        score = self._score(network, outputs, loss)
        training.history.validation_score.append(score)
        estimator.validation_scores_.append(score)

    def _score(self, network: Any, outputs: np.ndarray, loss: float) -> float:
        """Higher is better; NaN where the weights have diverged."""
        if not (np.isfinite(outputs).all() and np.isfinite(network.params).all()):
            return float("nan")
        if self.scorer is not None:
            return float(self.scorer(_nameless(self.estimator), self.held_out.X, self._targets()))
        if self.estimator.scoring == "loss":
            return -loss
        return self.estimator._score_outputs(outputs, self.held_out.y, self.held_out.sample_weight)

    def _targets(self) -> Any:
        return self.estimator._decode(self.held_out.y)


def _nameless(estimator: Any) -> Any:
    """The estimator without the names of its columns, which a validated X no longer has; it shares the network."""
    twin = object.__new__(type(estimator))
    vars(twin).update({name: value for name, value in vars(estimator).items() if name != "feature_names_in_"})
    return twin
