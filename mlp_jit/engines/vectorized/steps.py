"""E6: the optimizers as a few passes over the flat parameter vector, and clipping."""

from collections.abc import Callable

import numpy as np

from ...optimizers import ADAGRAD_CODE, ADAM_CODE, ADAMW_CODE, LION_CODE, NADAM_CODE, RMSPROP_CODE, SGD_CODE

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


def clip(g: np.ndarray, clip_value: float, clip_norm: float) -> None:
    if clip_value < np.inf:
        np.clip(g, -clip_value, clip_value, out=g)
    if clip_norm < np.inf:
        norm = np.sqrt(np.add.reduce(np.square(g, dtype=np.float64)))
        if norm > clip_norm:
            g *= clip_norm / norm
