"""E2: the losses in matrix form, each with its gradient."""

from collections.abc import Callable
from functools import partial

import numpy as np

from ...losses import own_loss
from ..plan import Plan
from .layers import LAYERS, sigmoid, softplus

# From a, y (N, outputs) and its parameters (outputs,) each returns ℓ by output and ∂ℓ/∂a.


def _squared_error(a, y, _):
    r = a - y
    return r * r, 2 * r


def _half_squared_error(a, y, _):
    r = a - y
    return 0.5 * r * r, r


def _absolute_error(a, y, _):
    r = a - y
    return np.abs(r), np.sign(r)


def _huber(a, y, delta):
    r = a - y
    near = np.clip(r, -delta, delta)
    return near * (r - 0.5 * near), near


def _quantile(a, y, level):
    r = a - y
    slope = (r > 0) - level
    slope[r == 0] = 0
    return r * slope, slope


# These are defined by z: from z and y they return ℓ by output and δ = ∂ℓ/∂z itself, which is a − y.


def _poisson(z, y):
    a = np.exp(z)
    return a - y * z, a - y


def _binary_cross_entropy(z, y):
    ell = softplus(z)
    ell -= y * z
    a = sigmoid(z, z)
    a -= y
    return ell, a


def _cross_entropy(z, y):
    z -= np.maximum.reduce(z, axis=1, keepdims=True)
    a = np.exp(z)
    total = np.add.reduce(a, axis=1, keepdims=True)
    a /= total
    a -= y
    np.subtract(np.log(total), z, out=z)
    z *= y
    return z, a


def _perceptron(z, y):
    return np.maximum((1 - 2 * y) * z, 0), (z >= 0) - y


def _own(code, a_or_z, y, parameters=None):
    ell, delta = np.empty_like(a_or_z), np.empty_like(a_or_z)
    own_loss(code, a_or_z, a_or_z, y, ell, delta)
    return ell, delta


LOSSES: dict[str, Callable] = {
    "squared_error": _squared_error,
    "half_squared_error": _half_squared_error,
    "absolute_error": _absolute_error,
    "huber": _huber,
    "quantile": _quantile,
}
LOSSES_OF_Z: dict[str, Callable] = {
    "poisson": _poisson,
    "binary_cross_entropy": _binary_cross_entropy,
    "cross_entropy": _cross_entropy,
    "perceptron": _perceptron,
}


class Criterion:
    """E2: the output's φ and the loss together, for the last layer's z (N, outputs), which it overwrites."""

    def __init__(self, plan: Plan) -> None:
        self.phi = LAYERS[plan.output]()
        self.parameters = plan.loss_parameters
        loss = plan.loss_function
        self.of_z = loss.of_z
        if loss.is_own:
            self.loss: Callable = partial(_own, loss.code)
        else:
            self.loss = LOSSES_OF_Z[loss.name] if self.of_z else LOSSES[loss.name]

    def __call__(self, z: np.ndarray, y: np.ndarray, weight: np.ndarray | float, N: float) -> tuple[float, np.ndarray]:
        """(Σ_n weight_n ℓ_n / N, its gradient by z). weight is (N, 1), or 1.0 for all."""
        if self.of_z:
            ell, delta = self.loss(z, y)
        else:
            ell, delta = self.loss(self.phi.forward(z), y, self.parameters)
            delta = self.phi.backward(delta)
        delta *= weight / N
        ell *= weight
        return float(np.add.reduce(ell, axis=None)) / N, delta
