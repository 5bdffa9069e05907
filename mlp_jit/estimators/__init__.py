"""MLPClassifier and MLPRegressor in place of scikit-learn's: its parameters, attributes, methods and messages, and what
its users asked for besides.

With scikit-learn installed they are its estimators (clone, pipelines, searches, metadata routing work); without it they
fit, predict and score all the same. From the same `random_state` come the initial weights, the validation split and
the shuffles that scikit-learn draws, so the two train alike.
"""

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
