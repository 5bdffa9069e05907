"""The NumPy baseline: E1-E6 as matrix products, one mini-batch after the other, in the layer language of `layers`.

Everything the other engines are measured against, so it is written as fast NumPy: BLAS does E1, E3 and E4, the rest
works in place, float32 stays float32, and E6 is a few passes over the flat parameter vector instead of a loop over
its arrays.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..optimizers import ADAGRAD_CODE, ADAM_CODE, ADAMW_CODE, LION_CODE, NADAM_CODE, RMSPROP_CODE, SGD_CODE
from .contract import NONE, Regularization, mean_loss
from .layers import (
    LAYERS,
    BatchNormalization,
    Dense,
    Dropout,
    LayerNormalization,
    Sequential,
    Skip,
    Sums,
    sigmoid,
    softplus,
)
from .layout import BATCH, KIND, PLAIN, SKIPS, biases_view, gains_view, running_view, weights_view

if TYPE_CHECKING:
    from ..network import Network
    from ..optimizers import Optimizer

# --------------------------------------------------------------------------------------- E2: losses
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


class _Criterion:
    """E2: the output's φ and the loss together, for the last layer's z (N, outputs), which it overwrites."""

    def __init__(self, network: "Network") -> None:
        self.phi = LAYERS[network.output]()
        self.parameters = network.loss_parameters
        self.of_z = network.loss_name in LOSSES_OF_Z
        self.loss = LOSSES_OF_Z[network.loss_name] if self.of_z else LOSSES[network.loss_name]

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


# --------------------------------------------------------------------------------------- E6: optimizers
# Each updates theta in place from g, which it may overwrite; `work` is scratch as long as theta.


def _sgd(theta, g, moments, settings, rate, t, work):
    momentum, nesterov = settings[:2]
    g *= -rate
    if momentum == 0:
        theta += g
        return
    v = moments[0]
    v *= momentum
    v += g
    if nesterov:
        np.multiply(v, momentum, out=work)
        theta += work
        theta += g
    else:
        theta += v


def _moments(g, moments, beta_1, beta_2, work):
    """m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g²."""
    m, v = moments
    m *= beta_1
    np.multiply(g, 1 - beta_1, out=work)
    m += work
    v *= beta_2
    np.multiply(g, g, out=work)
    work *= 1 - beta_2
    v += work
    return m, v


def _adam(theta, g, moments, settings, rate, t, work):
    beta_1, beta_2, epsilon, hat = settings[:4].tolist()
    m, v = _moments(g, moments, beta_1, beta_2, work)
    _corrected_root(v, beta_2, epsilon, hat, t, work)
    np.divide(m, work, out=work)
    work *= rate / (1 - beta_1**t)
    theta -= work


def _corrected_root(v, beta_2, epsilon, hat, t, work):
    """work = √v̂ + ε, or with ε̂ (√v + ε)/√(1 − β₂ᵗ), which is √v̂ again but for where ε is added."""
    root = 1 / np.sqrt(1 - beta_2**t).item()
    np.sqrt(v, out=work)
    work *= root
    work += epsilon * root if hat else epsilon


def _rmsprop(theta, g, moments, settings, rate, t, work):
    rho, epsilon = settings[:2].tolist()
    v = moments[0]
    v *= rho
    np.multiply(g, g, out=work)
    work *= 1 - rho
    v += work
    _scaled_step(theta, g, v, epsilon, rate, work)


def _adagrad(theta, g, moments, settings, rate, t, work):
    np.multiply(g, g, out=work)
    moments[0] += work
    _scaled_step(theta, g, moments[0], settings[0].item(), rate, work)


def _scaled_step(theta, g, v, epsilon, rate, work):
    """θ ← θ − η g / (√v + ε)"""
    np.sqrt(v, out=work)
    work += epsilon
    np.divide(g, work, out=work)
    work *= rate
    theta -= work


def _nadam(theta, g, moments, settings, rate, t, work):
    beta_1, beta_2, epsilon, hat, psi, product = settings.tolist()
    now = beta_1 * (1 - 0.5 * 0.96 ** (t * psi))
    after = beta_1 * (1 - 0.5 * 0.96 ** ((t + 1) * psi))
    product *= now
    settings[5] = product
    m, v = _moments(g, moments, beta_1, beta_2, work)
    np.multiply(m, rate * after / (1 - product * after), out=work)
    g *= rate * (1 - now) / (1 - product)
    g += work
    _corrected_root(v, beta_2, epsilon, hat, t, work)
    g /= work
    theta -= g


def _lion(theta, g, moments, settings, rate, t, work):
    beta_1, beta_2 = settings[:2].tolist()
    m = moments[0]
    np.subtract(m, g, out=work)
    work *= beta_1
    work += g
    np.sign(work, out=work)
    work *= rate
    theta -= work
    m *= beta_2
    g *= 1 - beta_2
    m += g


STEPS: dict[int, Callable] = {
    SGD_CODE: _sgd,
    ADAM_CODE: _adam,
    ADAMW_CODE: _adam,
    RMSPROP_CODE: _rmsprop,
    ADAGRAD_CODE: _adagrad,
    NADAM_CODE: _nadam,
    LION_CODE: _lion,
}


def _clip(g: np.ndarray, clip_value: float, clip_norm: float) -> None:
    if clip_value < np.inf:
        np.clip(g, -clip_value, clip_value, out=g)
    if clip_norm < np.inf:
        norm = np.sqrt(np.add.reduce(np.square(g, dtype=np.float64)))
        if norm > clip_norm:
            g *= clip_norm / norm


# --------------------------------------------------------------------------------------- the contract


def sequential(
    network: "Network", gradient: np.ndarray, regularization: Regularization = NONE, *, trains: bool = False
) -> Sequential:
    """The network up to its last z in the layer language: `params` are its own views, `grads` views of `gradient`."""
    dropout = regularization.dropout_by_layer(network.sizes)
    layers: list = []
    for l in range(1, len(network.sizes)):
        of_layer = _linear(network, gradient, l, trains)
        if l < len(network.sizes) - 1:
            of_layer.append(LAYERS[network.activations[l - 1]]())
            if dropout[l] > 0:
                of_layer.append(Dropout(dropout[l], regularization.seed, l))
        layers += [Skip(of_layer)] if network.table[l, SKIPS] else of_layer
    return Sequential(layers)


def _linear(network: "Network", gradient: np.ndarray, l: int, trains: bool) -> list:
    """What makes z of layer l: a Dense, or sums and their normalisation."""
    table, kind = network.table, network.table[l, KIND]
    W, b, gain = network.weights[l - 1], network.biases[l - 1], network.gains[l - 1]
    grads = weights_view(table, gradient, l), biases_view(table, gradient, l)
    if kind == PLAIN:
        return [Dense(W, b, *grads)]
    arrays = b, gain, grads[1], gains_view(table, gradient, l)
    if kind == BATCH:
        running = running_view(table, network.state, l)
        return [Sums(W, grads[0]), BatchNormalization(*arrays, running=running, trains=trains)]
    return [Sums(W, grads[0]), LayerNormalization(*arrays)]


def _add_l2(model: Sequential, l2: float) -> float:
    """g += λ w for weights; returns λ/2 ‖w‖²."""
    if l2 == 0:
        return 0.0
    squares = 0.0
    for layer in model.of_kind(Dense):
        layer.grad_W += l2 * layer.W
        squares += float(np.vdot(layer.W, layer.W))
    return 0.5 * l2 * squares


def forward(network: "Network", X: np.ndarray, *, n_threads: int | None = None) -> np.ndarray:
    z = sequential(network, np.empty_like(network.params)).forward(X)
    return LAYERS[network.output]().forward(z)


def evaluate(
    network: "Network",
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    *,
    n_threads: int | None = None,
) -> tuple[float, np.ndarray]:
    z = sequential(network, np.empty_like(network.params)).forward(X)
    N = float(sample_weight.sum(dtype=np.float64))
    loss, _ = _Criterion(network)(z.copy(), y, sample_weight[:, None], N)
    return loss, LAYERS[network.output]().forward(z)


def gradient(
    network: "Network",
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    *,
    l2: float = 0.0,
    n_threads: int | None = None,
) -> tuple[float, np.ndarray]:
    out = np.empty_like(network.params)
    model = sequential(network, out, trains=True)
    N = float(sample_weight.sum(dtype=np.float64))
    loss, delta = _Criterion(network)(model.forward(X), y, sample_weight[:, None], N)
    model.backward(delta)
    return loss + _add_l2(model, l2), out


def train_epoch(
    network: "Network",
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    order: np.ndarray,
    batch_size: int,
    optimizer: "Optimizer",
    rates: np.ndarray,
    *,
    places: np.ndarray | None = None,
    sums: np.ndarray | None = None,
    regularization: Regularization = NONE,
    n_threads: int | None = None,
) -> float:
    theta = network.params
    g, work = np.empty_like(theta), np.empty_like(theta)
    model, criterion = sequential(network, g, regularization, trains=True), _Criterion(network)
    dropouts, batch_normalized = model.of_kind(Dropout), model.of_kind(BatchNormalization)
    clips = min(regularization.clip_value, regularization.clip_norm) < np.inf
    optimizer.start(theta)
    step_of = STEPS[optimizer.code]
    unweighted = bool((sample_weight == 1).all())
    places = order if places is None else places
    sums = np.zeros(2) if sums is None else sums
    for step, rate in enumerate(rates.tolist()):
        rows = places[step * batch_size : (step + 1) * batch_size]
        for layer in dropouts:
            layer.step, layer.rows = optimizer.t + 1, order[step * batch_size : (step + 1) * batch_size]
        weight = 1.0 if unweighted else sample_weight.take(rows)[:, None]
        N = float(rows.size) if unweighted else float(np.sum(weight, dtype=np.float64))
        divisor = N if N > 0 else 1.0  # all weights zero: no gradient, not NaN
        loss, delta = criterion(model.forward(X.take(rows, axis=0)), y.take(rows, axis=0), weight, divisor)
        model.backward(delta)
        l2 = regularization.l2 / divisor if regularization.l2_per_sample else regularization.l2
        loss += _add_l2(model, l2)
        if clips:
            _clip(g, regularization.clip_value, regularization.clip_norm)
        optimizer.t += 1
        if optimizer.decoupled_decay > 0:
            theta *= 1 - rate * optimizer.decoupled_decay
        step_of(theta, g, optimizer.moments, optimizer.settings, rate, optimizer.t, work)
        for layer in batch_normalized:
            layer.run_on()
        sums += N * loss, N
    return mean_loss(sums)
