"""What a fit has learnt after a fixed budget of epochs, on real sets, so that speed bought with quality shows.

Each set is split in halves by class, and standardised by the half that is trained on. Both sides get the same halves,
starting weights and batches. A figure is the mean over `SEEDS` of splits and weights.
"""

from typing import NamedTuple

import numpy as np

from .common import DTYPES, classifiers, need_engines, one_thread

ENGINE = "lanes"
SETS = ["iris", "wine", "breast_cancer", "digits"]
SOLVERS = ["sgd", "adam"]
EPOCHS, BATCH_SIZE = 40, 32
SEEDS = range(5)


class Outcome(NamedTuple):
    """Of one fit, or of the mean of several: % of the held-out rows misclassified, and the last epoch's loss."""

    error: float
    loss: float


def halves(name: str, dtype: str, seed: int) -> list[np.ndarray]:
    """X to train on, X held out, y to train on, y held out."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    mean, deviation = X_train.mean(axis=0), X_train.std(axis=0)
    deviation[deviation == 0] = 1  # some pixels of the digits are always white
    return [*(((half - mean) / deviation).astype(dtype) for half in (X_train, X_test)), y_train, y_test]


class BothSides:
    """Fits of ours and of scikit-learn's classifier, for each seed."""

    param_names = ("data set", "solver", "dtype")
    params = (SETS, SOLVERS, DTYPES)
    version = "1"

    def setup(self, name: str, solver: str, dtype: str) -> None:
        need_engines(ENGINE)
        self.Ours, self.Theirs = classifiers()
        self.settings = dict(
            hidden_layer_sizes=(32,),
            solver=solver,
            batch_size=BATCH_SIZE,
            max_iter=EPOCHS,
            tol=0,
            n_iter_no_change=10**9,
        )
        self.splits = [halves(name, dtype, seed) for seed in SEEDS]

    def ours(self) -> Outcome:
        return self.mean_outcome(self.Ours, engine=ENGINE, n_threads=1)

    def theirs(self) -> Outcome:
        return self.mean_outcome(self.Theirs)

    def mean_outcome(self, classifier: type, **settings: object) -> Outcome:
        outcomes = []
        for seed, (X_train, X_test, y_train, y_test) in zip(SEEDS, self.splits, strict=True):
            model = classifier(random_state=seed, **self.settings, **settings).fit(X_train, y_train)
            assert model.n_iter_ == EPOCHS, f"{classifier} spent {model.n_iter_} epochs of {EPOCHS}"
            outcomes.append(Outcome(100 * (1 - model.score(X_test, y_test)), model.loss_))
        return Outcome(*np.mean(outcomes, axis=0).tolist())


class HeldOutError(BothSides):
    """How many of the rows held out our classifier gets wrong: 100 % less its accuracy."""

    unit = "% of held-out rows"

    @one_thread
    def track_error(self, name: str, solver: str, dtype: str) -> float:
        return self.ours().error


class HeldOutErrorDifference(BothSides):
    """Our held-out error less scikit-learn's: above 0 ours is the worse."""

    unit = "percentage points"

    @one_thread
    def track_difference(self, name: str, solver: str, dtype: str) -> float:
        return self.ours().error - self.theirs().error


class TrainingLoss(BothSides):
    """Our training loss in the last epoch."""

    unit = "cross-entropy"

    @one_thread
    def track_loss(self, name: str, solver: str, dtype: str) -> float:
        return self.ours().loss


class TrainingLossRatio(BothSides):
    """Our training loss in the last epoch over scikit-learn's: 1 where both learn alike."""

    unit = "ours/scikit-learn's"

    @one_thread
    def track_ratio(self, name: str, solver: str, dtype: str) -> float:
        return self.ours().loss / self.theirs().loss
