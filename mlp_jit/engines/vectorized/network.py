"""A network in the layer language, and what L2 adds to its gradient."""

import numpy as np

from ..contract import NONE, Regularization
from ..layout import BATCH, KIND, PLAIN, SKIPS, biases_view, gains_view, running_view, weights_view
from ..plan import Plan
from .layers import LAYERS, BatchNormalization, Dense, Dropout, LayerNormalization, Own, Sequential, Skip, Sums


def sequential(
    plan: Plan, gradient: np.ndarray, regularization: Regularization = NONE, *, trains: bool = False
) -> Sequential:
    """The network up to its last z in the layer language: `params` are its own views, `grads` views of `gradient`."""
    dropout = regularization.dropout_by_layer(plan.sizes)
    layers: list = []
    for l in range(1, len(plan.sizes)):
        of_layer = _linear(plan, gradient, l, trains)
        if l < len(plan.sizes) - 1:
            phi = plan.activations[l - 1]
            of_layer.append(LAYERS[phi]() if isinstance(phi, str) else Own(phi))
            if dropout[l] > 0:
                of_layer.append(Dropout(dropout[l], regularization.seed, l))
        layers += [Skip(of_layer)] if plan.table[l, SKIPS] else of_layer
    return Sequential(layers)


def _linear(plan: Plan, gradient: np.ndarray, l: int, trains: bool) -> list:
    """What makes z of layer l: a Dense, or sums and their normalisation."""
    table, kind = plan.table, plan.table[l, KIND]
    W, b, gain = plan.weights[l - 1], plan.biases[l - 1], plan.gains[l - 1]
    grads = weights_view(table, gradient, l), biases_view(table, gradient, l)
    if kind == PLAIN:
        return [Dense(W, b, *grads)]
    arrays = b, gain, grads[1], gains_view(table, gradient, l)
    if kind == BATCH:
        running = running_view(table, plan.state, l)
        return [Sums(W, grads[0]), BatchNormalization(*arrays, running=running, trains=trains)]
    return [Sums(W, grads[0]), LayerNormalization(*arrays)]


def add_l2(model: Sequential, l2: float) -> float:
    """g += λ w for weights; returns λ/2 ‖w‖²."""
    if l2 == 0:
        return 0.0
    squares = 0.0
    for layer in model.of_kind(Dense):
        layer.grad_W += l2 * layer.W
        squares += float(np.vdot(layer.W, layer.W))
    return 0.5 * l2 * squares
