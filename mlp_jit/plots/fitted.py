"""The multilayer perceptron in a fitted estimator, as displays need it."""

from typing import Any, NamedTuple

import numpy as np

from ..network import Network


class Fitted(NamedTuple):
    """A fitted MLPClassifier or MLPRegressor, ours or scikit-learn's; its network; the pipeline steps before it."""

    mlp: Any
    network: Network
    before: list[Any]

    def inputs(self, X: Any) -> Any:
        """X as the network gets it."""
        for steps in self.before:
            X = steps.transform(X)
        return X

    def targets(self, y: Any) -> Any:
        """y as the network gets it: classes by their place in `classes_`."""
        classes, labels = getattr(self.mlp, "classes_", None), np.asarray(y)
        if classes is None or labels.ndim > 1:
            return labels
        if not np.isin(labels, classes).all():
            raise ValueError(f"y: expected the classes {list(classes)}, got others")
        return np.searchsorted(classes, labels)


def fitted(estimator: Any) -> Fitted:
    """What is at the end of pipelines and the best of searches. TypeError unless it is a fitted MLP."""
    mlp, before = estimator, []
    while hasattr(mlp, "best_estimator_") or hasattr(mlp, "steps"):
        if hasattr(mlp, "best_estimator_"):
            mlp = mlp.best_estimator_
        else:
            before += [mlp[:-1]] if len(mlp.steps) > 1 else []
            mlp = mlp.steps[-1][1]
    try:
        network = Network.from_sklearn(mlp)
    except TypeError:
        raise TypeError(
            "estimator: expected a fitted MLPClassifier or MLPRegressor, or a pipeline or search with one, "
            f"got {estimator!r}{_missing(mlp)}"
        ) from None
    return Fitted(mlp, network, before)


def _missing(estimator: Any) -> str:
    if hasattr(estimator, "hidden_layer_sizes"):
        return ", which is not fitted: call its fit first"
    if hasattr(estimator, "refit"):
        return ", which has no best_estimator_: call its fit first, with refit=True"
    return ""
