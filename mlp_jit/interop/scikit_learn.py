"""Networks from scikit-learn's estimators and to them, and the order of classes that it goes by."""

from typing import Any

import numpy as np

from ..network import Network

TO_SKLEARN = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
FROM_SKLEARN = {theirs: ours for ours, theirs in TO_SKLEARN.items()}


def from_sklearn(estimator: Any) -> Network:
    """See `Network.from_sklearn`."""
    if isinstance(getattr(estimator, "network_", None), Network):
        return estimator.network_.copy()
    try:
        weights, biases, output = estimator.coefs_, estimator.intercepts_, estimator.out_activation_
        activation, loss = estimator.activation, estimator.loss
    except AttributeError:
        raise TypeError(f"estimator: expected a fitted MLPClassifier or MLPRegressor, got {estimator!r}") from None
    network = Network(
        [weights[0].shape[0], *(W.shape[1] for W in weights)],
        activation=FROM_SKLEARN.get(activation, activation),
        output=FROM_SKLEARN.get(output, output),
        loss="half_squared_error" if loss == "squared_error" else None,
        initializer=lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
        dtype=weights[0].dtype,
    )
    for views, arrays in ((network.weights, weights), (network.biases, biases)):
        for view, array in zip(views, arrays, strict=True):
            view[...] = array
    return network


def to_sklearn(network: Network, classes: Any = None) -> Any:
    """See `Network.to_sklearn`."""
    try:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from sklearn.preprocessing import LabelBinarizer
    except ImportError:
        raise ImportError("this needs scikit-learn: pip install 'mlp_jit[sklearn]'") from None
    names = set(map(str, network.activations)) or {"relu"}
    if len(names) > 1 or not names <= set(TO_SKLEARN) or network.output == "step":
        raise ValueError(f"expected one of {', '.join(TO_SKLEARN)} in all hidden layers, got {network!r}")
    if network.extended:
        raise ValueError(f"expected no normalization and no skip connections, got {network!r}")
    settings = {"hidden_layer_sizes": network.sizes[1:-1], "activation": TO_SKLEARN[names.pop()]}
    weights, biases = [W.copy() for W in network.weights], [b.copy() for b in network.biases]
    if network.output in ("identity", "exp"):
        estimator = MLPRegressor(loss="poisson" if network.output == "exp" else "squared_error", **settings)
    else:
        estimator = MLPClassifier(**settings)
        several = network.output == "sigmoid" and network.sizes[-1] > 1
        estimator.classes_, weights[-1], biases[-1] = in_order(classes, weights[-1], biases[-1], several=several)
        if network.output == "softmax" and network.sizes[-1] == 2:  # of two classes scikit-learn has one output
            weights[-1], biases[-1] = (part[..., 1:] - part[..., :1] for part in (weights[-1], biases[-1]))
        labels = np.eye(network.sizes[-1], dtype=int) if several else estimator.classes_
        estimator._label_binarizer = LabelBinarizer().fit(labels)
    estimator.coefs_, estimator.intercepts_ = weights, biases
    estimator.out_activation_ = TO_SKLEARN.get(network.output, network.output)
    if network.output == "softmax" and len(biases[-1]) == 1:
        estimator.out_activation_ = "logistic"
    estimator.n_features_in_, estimator.n_outputs_ = network.sizes[0], len(biases[-1])
    estimator.n_layers_ = len(network.sizes)
    estimator.n_iter_ = estimator.t_ = 0
    return estimator


def in_order(classes: Any, W: np.ndarray, b: np.ndarray, *, several: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes sorted, as scikit-learn's estimators and metrics take them to be, and the last layer that goes with them.

    `classes` name the columns of W (n_in, n_outputs) and b (n_outputs,), or the two answers of one output; 0, 1, … for
    None. The names of `several` labels at once keep their order, which is that of y's columns. Raises ValueError where
    they are not as many distinct labels.
    """
    n_outputs = b.shape[0]
    n_classes = 2 if n_outputs == 1 and not several else n_outputs
    given = np.arange(n_classes) if classes is None else np.asarray(classes)
    if given.ndim != 1:
        raise ValueError(f"classes: expected {n_classes} labels (n_classes,), got an array of shape {given.shape}")
    ordered, order = np.unique(given, return_index=True)
    if len(given) != n_classes or len(ordered) != n_classes:
        raise ValueError(
            f"classes: expected {n_classes} distinct labels for {n_outputs} outputs, got {len(given)}: {given.tolist()}"
        )
    if several:
        return given, W, b
    if n_outputs > 1:
        return ordered, W[:, order], b[order]
    sign = 1 if order[0] == 0 else -1  # the one output says how likely the second class is
    return ordered, sign * W, sign * b
