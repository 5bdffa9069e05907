"""E6, θ ← θ − η · step(∂L/∂θ), for seven optimizers, and the objects that remember their moments.

Each kernel reads as its definition: g is ∂L/∂θ_p, t the number of the step (from 1), and every other letter is a
row of `moments`. They walk the flat parameter vector between two places, so that each thread owns a stretch of it.
Numbers that change only with t are worked out in float64 and then take the parameters' dtype.

All of E6 with momentum is written with the velocity v ← μ v − η g, as scikit-learn and Keras have it; PyTorch keeps η
out of v, which is the same while η stays constant.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numba import prange

from ._jit import kernel, twins
from .validation import number

SGD_CODE, ADAM_CODE, ADAMW_CODE, RMSPROP_CODE, ADAGRAD_CODE, NADAM_CODE, LION_CODE = range(7)
BLOCK = 4096  # parameters that one thread updates in one go; fixed, so that every block is compiled code's same path


@kernel
def sgd(theta, grad, moments, settings, rate, t, start, stop):
    """E6: θ ← θ + v with v ← μ v − η g; Nesterov: θ ← θ + μ v − η g. Owns θ and v of [start, stop)."""
    number = type(theta[0])
    mu, nesterov = number(settings[0]), settings[1] > 0
    eta = number(rate)
    if mu == number(0):
        for p in range(start, stop):
            theta[p] -= eta * grad[p]
    elif nesterov:
        for p in range(start, stop):
            v = mu * moments[0, p] - eta * grad[p]
            moments[0, p] = v
            theta[p] += mu * v - eta * grad[p]
    else:
        for p in range(start, stop):
            v = mu * moments[0, p] - eta * grad[p]
            moments[0, p] = v
            theta[p] += v


@kernel
def adam(theta, grad, moments, settings, rate, t, start, stop):
    """E6: m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← θ − η m̂ / (√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ).

    Owns θ, m and v of [start, stop). Kingma & Ba 2015, algorithm 1.
    """
    number = type(theta[0])
    beta_1, beta_2, epsilon = number(settings[0]), number(settings[1]), number(settings[2])
    eta = number(rate / (1 - settings[0] ** t))
    root = number(1 / np.sqrt(1 - settings[1] ** t))
    for p in range(start, stop):
        g = grad[p]
        m = beta_1 * moments[0, p] + (number(1) - beta_1) * g
        v = beta_2 * moments[1, p] + (number(1) - beta_2) * g * g
        moments[0, p] = m
        moments[1, p] = v
        theta[p] -= eta * m / (np.sqrt(v) * root + epsilon)


@kernel
def decay(theta, factor, start, stop):
    """E6: θ ← (1 − η λ) θ: decoupled weight decay (Loshchilov & Hutter 2019). Owns θ of [start, stop)."""
    keep = type(theta[0])(1 - factor)
    for p in range(start, stop):
        theta[p] *= keep


@kernel
def rmsprop(theta, grad, moments, settings, rate, t, start, stop):
    """E6: v ← ρ v + (1 − ρ) g², θ ← θ − η g / (√v + ε). Owns θ and v of [start, stop). Tieleman & Hinton 2012."""
    number = type(theta[0])
    rho, epsilon, eta = number(settings[0]), number(settings[1]), number(rate)
    for p in range(start, stop):
        g = grad[p]
        v = rho * moments[0, p] + (number(1) - rho) * g * g
        moments[0, p] = v
        theta[p] -= eta * g / (np.sqrt(v) + epsilon)


@kernel
def adagrad(theta, grad, moments, settings, rate, t, start, stop):
    """E6: v ← v + g², θ ← θ − η g / (√v + ε). Owns θ and v of [start, stop). Duchi et al. 2011."""
    number = type(theta[0])
    epsilon, eta = number(settings[0]), number(rate)
    for p in range(start, stop):
        g = grad[p]
        v = moments[0, p] + g * g
        moments[0, p] = v
        theta[p] -= eta * g / (np.sqrt(v) + epsilon)


@kernel
def nadam(theta, grad, moments, settings, rate, t, start, stop):
    """E6: Adam with Nesterov's momentum: θ ← θ − η (μₜ₊₁ m/(1 − Π μ₁..ₜ₊₁) + (1 − μₜ) g/(1 − Π μ₁..ₜ)) / (√v̂ + ε).

    m and v as in Adam, μₜ = β₁ (1 − ½ 0.96^(ψ t)). settings[4] is Π μ₁..ₜ. Owns θ, m and v of [start, stop). Dozat
    2016.
    """
    number = type(theta[0])
    beta_1, beta_2, epsilon = number(settings[0]), number(settings[1]), number(settings[2])
    now = settings[0] * (1 - 0.5 * 0.96 ** (t * settings[3]))
    after = settings[0] * (1 - 0.5 * 0.96 ** ((t + 1) * settings[3]))
    eta_g = number(rate * (1 - now) / (1 - settings[4]))
    eta_m = number(rate * after / (1 - settings[4] * after))
    root = number(1 / np.sqrt(1 - settings[1] ** t))
    for p in range(start, stop):
        g = grad[p]
        m = beta_1 * moments[0, p] + (number(1) - beta_1) * g
        v = beta_2 * moments[1, p] + (number(1) - beta_2) * g * g
        moments[0, p] = m
        moments[1, p] = v
        theta[p] -= (eta_g * g + eta_m * m) / (np.sqrt(v) * root + epsilon)


@kernel
def lion(theta, grad, moments, settings, rate, t, start, stop):
    """E6: θ ← θ − η sign(β₁ m + (1 − β₁) g), m ← β₂ m + (1 − β₂) g. Owns θ and m of [start, stop). Chen et al. 2023."""
    number = type(theta[0])
    beta_1, beta_2, eta = number(settings[0]), number(settings[1]), number(rate)
    for p in range(start, stop):
        g = grad[p]
        m = moments[0, p]
        theta[p] -= eta * np.sign(beta_1 * m + (number(1) - beta_1) * g)
        moments[0, p] = beta_2 * m + (number(1) - beta_2) * g


@kernel
def update_stretch(code, theta, grad, moments, settings, weight_decay, rate, t, start, stop):
    """E6: one step of the optimizer `code` on the parameters [start, stop), which the caller owns."""
    if weight_decay > 0:
        decay(theta, rate * weight_decay, start, stop)
    if code == SGD_CODE:
        sgd(theta, grad, moments, settings, rate, t, start, stop)
    elif code in (ADAM_CODE, ADAMW_CODE):
        adam(theta, grad, moments, settings, rate, t, start, stop)
    elif code == RMSPROP_CODE:
        rmsprop(theta, grad, moments, settings, rate, t, start, stop)
    elif code == ADAGRAD_CODE:
        adagrad(theta, grad, moments, settings, rate, t, start, stop)
    elif code == NADAM_CODE:
        nadam(theta, grad, moments, settings, rate, t, start, stop)
    elif code == LION_CODE:
        lion(theta, grad, moments, settings, rate, t, start, stop)


@twins
def update(code, theta, grad, moments, settings, weight_decay, rate, t):
    """E6: one step of the optimizer `code` on every parameter; a thread owns whole blocks of θ and its moments.

    theta and grad (P,), moments (rows, P), settings (5,) float64.
    """
    if code == NADAM_CODE:
        settings[4] *= settings[0] * (1 - 0.5 * 0.96 ** (t * settings[3]))
    for block in prange((theta.size + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        stop = min(start + BLOCK, theta.size)
        update_stretch(code, theta, grad, moments, settings, weight_decay, rate, t, start, stop)


@dataclass
class Optimizer:
    """What all optimizers share: `moments` (rows, P), the step count `t`, and the five numbers kernels read.

    An object keeps its moments from one `fit` to the next, for a network of the same size and dtype; a network of
    another size or dtype starts it afresh.
    """

    code: ClassVar[int]
    rows: ClassVar[int]
    moments: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)), init=False, repr=False, compare=False)
    settings: np.ndarray = field(default_factory=lambda: np.zeros(5), init=False, repr=False, compare=False)
    t: int = field(default=0, init=False, repr=False, compare=False)

    @property
    def decoupled_decay(self) -> float:
        """λ of θ ← (1 − η λ) θ; zero where the optimizer does not define it."""
        return getattr(self, "weight_decay", 0.0)

    def numbers(self) -> tuple[float, ...]:
        """The settings the kernel reads, in its order."""
        raise NotImplementedError

    def start(self, theta: np.ndarray) -> None:
        """Make ready for the parameters `theta` (P,): new moments unless those there fit."""
        rows = max(1, self.rows)
        if self.moments.shape != (rows, theta.size) or self.moments.dtype != theta.dtype:
            self.moments = np.zeros((rows, theta.size), theta.dtype)
            self.t = 0
            self.settings = np.ones(5)  # the last one is nadam's running product
        numbers = self.numbers()
        self.settings[: len(numbers)] = numbers


def _check(name: str, **values: float) -> None:
    """ValueError unless every setting is a number that its definition allows."""
    for key, value in values.items():
        unbounded = key in ("epsilon", "weight_decay", "momentum_decay")
        number(f"{name}({key})", value, 0, below=np.inf if unbounded else 1)


@dataclass
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's form of it. ValueError unless 0 <= momentum < 1."""

    momentum: float = 0.0
    nesterov: bool = False
    code = SGD_CODE
    rows = 1

    def __post_init__(self) -> None:
        _check("SGD", momentum=self.momentum)

    def numbers(self) -> tuple[float, ...]:
        return self.momentum, float(self.nesterov)


@dataclass
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015). ValueError unless 0 <= beta < 1 and epsilon >= 0."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    code = ADAM_CODE
    rows = 2

    def __post_init__(self) -> None:
        _check(type(self).__name__, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)

    def numbers(self) -> tuple[float, ...]:
        return self.beta_1, self.beta_2, self.epsilon


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay on every parameter (Loshchilov & Hutter 2019; PyTorch's default decay)."""

    weight_decay: float = 0.01
    code = ADAMW_CODE

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("AdamW", weight_decay=self.weight_decay)


@dataclass
class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012), ε outside the root as in PyTorch. ValueError unless 0 <= rho < 1."""

    rho: float = 0.9
    epsilon: float = 1e-8
    code = RMSPROP_CODE
    rows = 1

    def __post_init__(self) -> None:
        _check("RMSprop", rho=self.rho, epsilon=self.epsilon)

    def numbers(self) -> tuple[float, ...]:
        return self.rho, self.epsilon


@dataclass
class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011), its sum of squares starting at zero as in PyTorch."""

    epsilon: float = 1e-10
    code = ADAGRAD_CODE
    rows = 1

    def __post_init__(self) -> None:
        _check("Adagrad", epsilon=self.epsilon)

    def numbers(self) -> tuple[float, ...]:
        return (self.epsilon,)


@dataclass
class NAdam(Adam):
    """Adam with Nesterov's momentum (Dozat 2016), its momentum warming up with 0.96^(momentum_decay t)."""

    momentum_decay: float = 0.004
    code = NADAM_CODE

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("NAdam", momentum_decay=self.momentum_decay)

    def numbers(self) -> tuple[float, ...]:
        return self.beta_1, self.beta_2, self.epsilon, self.momentum_decay


@dataclass
class Lion(Optimizer):
    """Lion (Chen et al. 2023), with decoupled weight decay on every parameter."""

    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0
    code = LION_CODE
    rows = 1

    def __post_init__(self) -> None:
        _check("Lion", beta_1=self.beta_1, beta_2=self.beta_2, weight_decay=self.weight_decay)

    def numbers(self) -> tuple[float, ...]:
        return self.beta_1, self.beta_2


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "nadam": NAdam,
    "lion": Lion,
}
