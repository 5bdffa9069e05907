"""Estimators for Dask arrays and data frames. What they have learnt is an estimator of `mlp_jit` itself."""

from collections.abc import Sequence
from typing import Any

import dask.array
import numpy as np
from dask import delayed

from .. import estimators
from ..estimators.classifier import probabilities
from ..estimators.scikit_learn import BaseEstimator, ClassifierMixin, NotFittedError, RegressorMixin
from ..initializers import scikit_learn
from ..network import Network
from . import tasks
from .fit import predict, train
from .partitions import client_of, split


class Estimator(BaseEstimator):
    """Fitting, and predictions on any collection."""

    classes_: Any

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int = 200,
        learning_rate_init: float = 0.001,
        max_iter: int = 20,
        strategy: str = "average",
        random_state: int = 0,
        dtype: str = "float32",
        checkpoint: Any = None,
        client: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.strategy = strategy
        self.random_state = random_state
        self.dtype = dtype
        self.checkpoint = checkpoint
        self.client = client

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on a Dask array or data frame (n_samples, n_features) and y. Raises what `mlp_jit.dask.fit` raises."""
        parts, client = split(X, y, sample_weight), client_of(self.client)
        classes, n_outputs, output, loss = self._targets(y, parts, client)
        hidden = self.hidden_layer_sizes
        hidden = (hidden,) if isinstance(hidden, int) else tuple(hidden)
        phi = estimators.parameters.ACTIVATIONS.get(self.activation, self.activation)
        network = Network(
            (X.shape[1], *hidden, n_outputs), activation=phi, output=output, loss=loss, dtype=self.dtype,
            initializer=scikit_learn, random_state=np.random.RandomState(self.random_state),
        )  # fmt: skip
        history = train(
            network, parts, classes, strategy=self.strategy, optimizer=self.solver,
            learning_rate=self.learning_rate_init, schedule="constant", batch_size=self.batch_size,
            epochs=self.max_iter, l2=self.alpha, l2_per_sample=True, dropout=0.0, random_state=self.random_state,
            checkpoint=self.checkpoint, client=client,
        )  # fmt: skip
        self.loss_curve_, self.n_iter_ = history.loss, len(history.loss)
        self.estimator_ = self._of_network(network, classes)
        self.n_features_in_ = X.shape[1]
        return self

    def _targets(self, y: Any, parts: list[tuple], client: Any) -> tuple[np.ndarray | None, int, str, str]:
        """The classes, how many outputs, their φ, and ℓ."""
        raise NotImplementedError

    def _of_network(self, network: Network, classes: np.ndarray | None) -> Any:
        raise NotImplementedError

    def _outputs(self, X: Any) -> Any:
        """Outputs as a Dask array for one of Dask's collections, as an array otherwise."""
        if "estimator_" not in vars(self):
            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet: call 'fit' first.")
        if hasattr(X, "dask"):
            return predict(self.estimator_.network_, X)
        return self.estimator_._outputs(X)


class MLPClassifier(ClassifierMixin, Estimator):
    """Classes, from Dask arrays or data frames.

    Parameters are those of `mlp_jit.MLPClassifier` that are here, and `strategy` and `client` of `mlp_jit.dask.fit`;
    max_iter counts its rounds. `estimator_`, once fitted, is an
    `mlp_jit.MLPClassifier`: save it, and predict with it on one machine.
    """

    def _targets(self, y: Any, parts: list[tuple], client: Any) -> tuple[np.ndarray | None, int, str, str]:
        found = client.gather(
            client.compute([delayed(tasks.classes_of)(k, part) for k, (_, part, _) in enumerate(parts)])
        )
        classes = np.unique(np.concatenate(found))
        if len(classes) < 2:
            raise ValueError(f"y: expected two classes or more, got {classes}")
        if len(classes) == 2:
            return classes, 1, "sigmoid", "binary_cross_entropy"
        return classes, len(classes), "softmax", "cross_entropy"

    def _of_network(self, network: Network, classes: np.ndarray | None) -> Any:
        self.classes_ = classes
        phi = self.activation
        return estimators.MLPClassifier.from_weights(
            network.weights, network.biases, classes=classes, activation=phi, alpha=self.alpha
        )

    def predict_proba(self, X: Any) -> Any:
        """Probabilities (n_samples, n_classes), a Dask array for one of Dask's collections."""
        outputs = self._outputs(X)
        if not isinstance(outputs, dask.array.Array):
            return probabilities(outputs)
        chunks = outputs.chunks[0], (len(self.classes_),)
        return outputs.map_blocks(probabilities, dtype=outputs.dtype, chunks=chunks)

    def predict(self, X: Any) -> Any:
        """The most probable class (n_samples,)."""
        outputs = self._outputs(X)
        if not isinstance(outputs, dask.array.Array):
            return tasks.decode(outputs, self.classes_)
        return outputs.map_blocks(tasks.decode, self.classes_, drop_axis=1, dtype=self.classes_.dtype)


class MLPRegressor(RegressorMixin, Estimator):
    """Numbers, from Dask arrays or data frames. As MLPClassifier; `estimator_` is an `mlp_jit.MLPRegressor`."""

    def _targets(self, y: Any, parts: list[tuple], client: Any) -> tuple[np.ndarray | None, int, str, str]:
        return None, y.shape[1] if y.ndim == 2 else 1, "identity", "half_squared_error"

    def _of_network(self, network: Network, classes: np.ndarray | None) -> Any:
        return estimators.MLPRegressor.from_weights(
            network.weights, network.biases, activation=self.activation, alpha=self.alpha
        )

    def predict(self, X: Any) -> Any:
        """Predictions (n_samples,), or (n_samples, n_outputs) where there are several."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs
