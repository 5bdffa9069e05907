"""E6, θ ← θ − η · step(∂L/∂θ), for seven optimizers, and the objects that remember their moments.

Each kernel reads as its definition, for a stretch of the flat parameter vector: g is ∂L/∂θ, m and v are the same
stretch of the moments, of the first row and of the last: the same where there is one. The numbers that change only with
t, the number of the step (from 1), come in `c`: `coefficients` works them out once a step, in float64. What a kernel
has written it takes from its own hand (g_p, m_p, v_p): read back at once from an array that does not start at a cache
line, a step of Adam takes twice as long.

All of E6 with momentum is written with the velocity v ← μ v − η g, as scikit-learn and Keras have it; PyTorch keeps η
out of v, which is the same while η stays constant.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numba import prange

from ._jit import kernel, twins
from .validation import number, plain

SGD_CODE, ADAM_CODE, ADAMW_CODE, RMSPROP_CODE, ADAGRAD_CODE, NADAM_CODE, LION_CODE = range(7)
BLOCK = 4096  # parameters that one thread updates in one go; fixed, so that every block is compiled code's same path

# What `coefficients` writes where: 1 − ηλ, η (with Adam's bias correction), β₁ or μ, 1 − β₁, β₂ or ρ, 1 − β₂,
# 1/√(1 − β₂ᵗ), ε, whether Nesterov, and NAdam's second η.
KEEP, ETA, BETA_1, REST_1, BETA_2, REST_2, ROOT, EPSILON, NESTEROV, ETA_G = range(10)
COEFFICIENTS = 10
SETTINGS = 6


@kernel
def sgd(theta, g, m, v, c):
    """E6: θ ← θ − η g. With momentum v ← μ v − η g, θ ← θ + v; Nesterov's: θ ← θ + μ v − η g. Owns θ and v."""
    eta, mu = c[ETA], c[BETA_1]
    if mu == 0:
        for p in range(theta.size):
            theta[p] -= eta * g[p]
    elif c[NESTEROV] > 0:
        for p in range(theta.size):
            g_p = g[p]
            v_p = mu * v[p] - eta * g_p
            v[p] = v_p
            theta[p] += mu * v_p - eta * g_p
    else:
        for p in range(theta.size):
            v_p = mu * v[p] - eta * g[p]
            v[p] = v_p
            theta[p] += v_p


@kernel
def adam(theta, g, m, v, c):
    """E6: m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← θ − η m̂ / (√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ).

    Owns θ, m and v. Kingma & Ba 2015, algorithm 1; with 1 − ηλ before θ: AdamW, Loshchilov & Hutter 2019.
    """
    keep, eta, beta_1, rest_1 = c[KEEP], c[ETA], c[BETA_1], c[REST_1]
    beta_2, rest_2, root, epsilon = c[BETA_2], c[REST_2], c[ROOT], c[EPSILON]
    for p in range(theta.size):
        g_p = g[p]
        m_p = beta_1 * m[p] + rest_1 * g_p
        v_p = beta_2 * v[p] + rest_2 * g_p * g_p
        m[p], v[p] = m_p, v_p
        theta[p] = keep * theta[p] - eta * m_p / (np.sqrt(v_p) * root + epsilon)


@kernel
def rmsprop(theta, g, m, v, c):
    """E6: v ← ρ v + (1 − ρ) g², θ ← θ − η g / (√v + ε). Owns θ and v. Tieleman & Hinton 2012."""
    eta, rho, rest, epsilon = c[ETA], c[BETA_2], c[REST_2], c[EPSILON]
    for p in range(theta.size):
        g_p = g[p]
        v_p = rho * v[p] + rest * g_p * g_p
        v[p] = v_p
        theta[p] -= eta * g_p / (np.sqrt(v_p) + epsilon)


@kernel
def adagrad(theta, g, m, v, c):
    """E6: v ← v + g², θ ← θ − η g / (√v + ε). Owns θ and v. Duchi et al. 2011."""
    eta, epsilon = c[ETA], c[EPSILON]
    for p in range(theta.size):
        g_p = g[p]
        v_p = v[p] + g_p * g_p
        v[p] = v_p
        theta[p] -= eta * g_p / (np.sqrt(v_p) + epsilon)


@kernel
def nadam(theta, g, m, v, c):
    """E6: Adam with Nesterov's momentum: θ ← θ − η (μₜ₊₁ m/(1 − Π μ₁..ₜ₊₁) + (1 − μₜ) g/(1 − Π μ₁..ₜ)) / (√v̂ + ε).

    m and v as in Adam, μₜ = β₁ (1 − ½ 0.96^(ψ t)). Owns θ, m and v. Dozat 2016.
    """
    eta_m, eta_g, beta_1, rest_1 = c[ETA], c[ETA_G], c[BETA_1], c[REST_1]
    beta_2, rest_2, root, epsilon = c[BETA_2], c[REST_2], c[ROOT], c[EPSILON]
    for p in range(theta.size):
        g_p = g[p]
        m_p = beta_1 * m[p] + rest_1 * g_p
        v_p = beta_2 * v[p] + rest_2 * g_p * g_p
        m[p], v[p] = m_p, v_p
        theta[p] -= (eta_g * g_p + eta_m * m_p) / (np.sqrt(v_p) * root + epsilon)


@kernel
def lion(theta, g, m, v, c):
    """E6: θ ← θ − η sign(β₁ m + (1 − β₁) g), m ← β₂ m + (1 − β₂) g. Owns θ and m. Chen et al. 2023."""
    keep, eta = c[KEEP], c[ETA]
    beta_1, rest_1, beta_2, rest_2 = c[BETA_1], c[REST_1], c[BETA_2], c[REST_2]
    for p in range(theta.size):
        g_p, m_p = g[p], m[p]
        theta[p] = keep * theta[p] - eta * np.sign(beta_1 * m_p + rest_1 * g_p)
        m[p] = beta_2 * m_p + rest_2 * g_p


BY_CODE = {
    SGD_CODE: sgd, ADAM_CODE: adam, ADAMW_CODE: adam, RMSPROP_CODE: rmsprop, ADAGRAD_CODE: adagrad, NADAM_CODE: nadam,
    LION_CODE: lion,
}  # fmt: skip


@kernel
def coefficients(code, settings, weight_decay, rate, t, c):
    """E6: the numbers of step t that all parameters share, for the optimizer `code`. Writes c (COEFFICIENTS,).

    settings (SETTINGS,) float64, as the optimizer's `numbers` gives them; the last one is NAdam's running product
    Π μ₁..ₜ.
    """
    c[KEEP], c[ETA] = 1 - rate * weight_decay, rate
    if code == SGD_CODE:
        c[BETA_1], c[NESTEROV] = settings[0], settings[1]
    elif code == RMSPROP_CODE:
        c[BETA_2], c[REST_2], c[EPSILON] = settings[0], 1 - settings[0], settings[1]
    elif code == ADAGRAD_CODE:
        c[EPSILON] = settings[0]
    else:
        c[BETA_1], c[REST_1] = settings[0], 1 - settings[0]
        c[BETA_2], c[REST_2] = settings[1], 1 - settings[1]
    if code in (ADAM_CODE, ADAMW_CODE, NADAM_CODE):
        root = 1 / np.sqrt(1 - settings[1] ** t)
        c[ROOT], c[EPSILON] = root, settings[2] * root if settings[3] > 0 else settings[2]
        c[ETA] = rate / (1 - settings[0] ** t)
    if code == NADAM_CODE:
        now = settings[0] * (1 - 0.5 * 0.96 ** (t * settings[4]))
        after = settings[0] * (1 - 0.5 * 0.96 ** ((t + 1) * settings[4]))
        settings[5] *= now
        c[ETA] = rate * after / (1 - settings[5] * after)
        c[ETA_G] = rate * (1 - now) / (1 - settings[5])


@kernel
def update_stretch(code, theta, g, m, v, c):
    """E6: one step of the optimizer `code` on a stretch of parameters, all (size,), which the caller owns.

    m and v are the first and the last row of the moments there: the same where the optimizer keeps one.
    """
    if code == SGD_CODE:
        sgd(theta, g, m, v, c)
    elif code in (ADAM_CODE, ADAMW_CODE):
        adam(theta, g, m, v, c)
    elif code == RMSPROP_CODE:
        rmsprop(theta, g, m, v, c)
    elif code == ADAGRAD_CODE:
        adagrad(theta, g, m, v, c)
    elif code == NADAM_CODE:
        nadam(theta, g, m, v, c)
    elif code == LION_CODE:
        lion(theta, g, m, v, c)


@twins
def update(code, theta, g, moments, c):
    """E6: one step of the optimizer `code` on every parameter; a thread owns whole blocks of θ and its moments.

    theta and g (P,), moments (rows, P), c as `coefficients` leaves it.
    """
    for block in prange((theta.size + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        stop = min(start + BLOCK, theta.size)
        m, v = moments[0, start:stop], moments[moments.shape[0] - 1, start:stop]
        update_stretch(code, theta[start:stop], g[start:stop], m, v, c)


@dataclass
class Optimizer:
    """What all optimizers share: `moments` (rows, P), the step count `t`, and the numbers kernels read.

    An object keeps its moments from one `fit` to the next, for a network of the same size and dtype; a network of
    another size or dtype starts it afresh.
    """

    code: ClassVar[int]
    rows: ClassVar[int]
    moments: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)), init=False, repr=False, compare=False)
    settings: np.ndarray = field(default_factory=lambda: np.zeros(SETTINGS), init=False, repr=False, compare=False)
    t: int = field(default=0, init=False, repr=False, compare=False)

    @property
    def decoupled_decay(self) -> float:
        """λ of θ ← (1 − η λ) θ; zero where the optimizer does not define it."""
        return getattr(self, "weight_decay", 0.0)

    @property
    def rests(self) -> bool:
        """Whether a step leaves parameters whose gradient is 0 as they are, and their moments."""
        return False

    def numbers(self) -> tuple[float, ...]:
        """The settings the kernel reads, in its order."""
        raise NotImplementedError

    def start(self, theta: np.ndarray) -> None:
        """Make ready for the parameters `theta` (P,): new moments unless those there fit."""
        rows = max(1, self.rows)
        if self.moments.shape != (rows, theta.size) or self.moments.dtype != theta.dtype:
            self.moments = np.zeros((rows, theta.size), theta.dtype)
            self.t = 0
            self.settings = np.ones(SETTINGS)  # the last one is nadam's running product
        self.moments, self.settings = plain(self.moments), plain(self.settings)
        numbers = self.numbers()
        self.settings[: len(numbers)] = numbers


def _check(name: str, **values: float) -> None:
    """ValueError unless every setting is a number that its definition allows."""
    for key, value in values.items():
        unbounded = key in ("epsilon", "weight_decay", "momentum_decay")
        number(f"{name}({key})", value, 0, below=np.inf if unbounded else 1)


@dataclass
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's form of it. ValueError unless 0 <= momentum <= 1."""

    momentum: float = 0.0
    nesterov: bool = False
    code = SGD_CODE
    rows = 1

    def __post_init__(self) -> None:
        if self.momentum != 1:  # a velocity that never fades, which scikit-learn allows
            _check("SGD", momentum=self.momentum)

    @property
    def rests(self) -> bool:
        return self.momentum == 0

    def numbers(self) -> tuple[float, ...]:
        return self.momentum, float(self.nesterov)


@dataclass
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015). ValueError unless 0 <= beta < 1 and epsilon >= 0.

    With `epsilon_hat` ε is added to √v itself, before the bias correction, which is their ε̂ (the end of section 2) and
    what scikit-learn and Keras do; without it to √v̂, as in their algorithm 1 and PyTorch.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = field(default=False, kw_only=True)
    code = ADAM_CODE
    rows = 2

    def __post_init__(self) -> None:
        _check(type(self).__name__, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)

    def numbers(self) -> tuple[float, ...]:
        return self.beta_1, self.beta_2, self.epsilon, float(self.epsilon_hat)


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

    @property
    def rests(self) -> bool:
        return self.epsilon > 0  # else 0/0 where there has been no gradient yet

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
        return *super().numbers(), self.momentum_decay


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
