"""An estimator that was never fitted, but has weights."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np


def layers(coefs: Sequence[Any], intercepts: Sequence[Any]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Both as arrays, (n_in, n_out) and (n_out,) of each layer in turn; ValueError where they are not."""
    weights, biases = ([np.asarray(array) for array in arrays] for arrays in (coefs, intercepts))
    shapes = [W.shape for W in weights], [b.shape for b in biases]
    fits = len(weights) == len(biases) >= 1 and all(W.ndim == 2 for W in weights)
    fits = fits and all(b.shape == W.shape[1:] for W, b in zip(weights, biases, strict=True))
    if not fits or any(V.shape[1] != W.shape[0] for V, W in pairwise(weights)):
        raise ValueError(
            f"coefs and intercepts: expected (n_in, n_out) and (n_out,) of each layer in turn, got {shapes}"
        )
    return weights, biases


def adopt(estimator: Any, weights: list[np.ndarray], biases: list[np.ndarray]) -> Any:
    """Give these weights, as `layers` returns them, to an estimator that knows its classes or its loss; returns it."""
    estimator.hidden_layer_sizes = tuple(W.shape[1] for W in weights[:-1])
    estimator.n_features_in_, estimator.n_outputs_ = weights[0].shape[0], weights[-1].shape[1]
    estimator.n_layers_ = len(weights) + 1
    estimator.n_iter_ = estimator.t_ = 0
    output = estimator._output()
    estimator.out_activation_ = "logistic" if output == "sigmoid" else output
    estimator._use(estimator._network_of(weights, biases))
    return estimator
