"""ℓ and ∂ℓ/∂z, in pairs, and their registry.

ℓ is the loss of one sample, summed over its outputs k; ŷ_k = a_k is the output after its activation, r = ŷ_k − y_k.

| name                   | ℓ                                        | output             |
|------------------------|------------------------------------------|--------------------|
| `squared_error`        | Σ_k r²                                   | identity, sigmoid, exp |
| `half_squared_error`   | ½ Σ_k r²                                 | identity, sigmoid, exp |
| `absolute_error`       | Σ_k abs(r)                               | identity, sigmoid, exp |
| `huber(delta)`         | Σ_k ½ r² where abs(r) ≤ delta, else delta (abs(r) − delta/2) | identity, sigmoid, exp |
| `quantile(level)`      | Σ_k −level r where r < 0, else (1 − level) r | identity, sigmoid, exp |
| `poisson`              | Σ_k ŷ_k − y_k z_k, with ŷ = e^z          | exp                |
| `binary_cross_entropy` | Σ_k log(1 + e^z_k) − y_k z_k             | sigmoid            |
| `cross_entropy`        | Σ_k y_k (log Σ_m e^z_m − z_k)            | softmax            |
| `perceptron`           | Σ_k max(0, −(2 y_k − 1) z_k)             | step               |

Each is a pair of straight lines (`_straight`), `ell(z, a, y, c)` and `delta(z, a, y, c)` of one output, c being its
parameter. The last four are computed from z itself, so that no logarithm of a rounded ŷ is ever taken, and each of them
has δ_k = ŷ_k − y_k. The others have δ_k = ∂ℓ/∂ŷ_k φ'(z_k), of which `delta` is the first factor. For z cross_entropy is
given log ŷ, which is z less what `softmax` summed up.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ._jit import kernel
from ._math import log1p, softplus
from ._straight import number_of, straight_line, where
from .activations import EXP, SIGMOID, exponential_slope, sigmoid_slope

(
    SQUARED_ERROR,
    HALF_SQUARED_ERROR,
    ABSOLUTE_ERROR,
    HUBER,
    QUANTILE,
    POISSON,
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    PERCEPTRON,
) = range(9)

_POINTWISE = ("identity", "sigmoid", "exp")


# --------------------------------------------------------------------------------------- ℓ and its slope


@straight_line
def squared_error(z, a, y, c):
    """math: ℓ = r²"""
    return (a - y) * (a - y)


@straight_line
def squared_error_delta(z, a, y, c):
    """math: ∂ℓ/∂ŷ = 2 r"""
    return number_of(a)(2) * (a - y)


@straight_line
def half_squared_error(z, a, y, c):
    """math: ℓ = ½ r²"""
    return number_of(a)(0.5) * (a - y) * (a - y)


@straight_line
def half_squared_error_delta(z, a, y, c):
    """math: ∂ℓ/∂ŷ = r"""
    return a - y


@straight_line
def absolute_error(z, a, y, c):
    """math: ℓ = |r|"""
    return abs(a - y)


@straight_line
def absolute_error_delta(z, a, y, c):
    """math: ∂ℓ/∂ŷ = sign r"""
    r, number = a - y, number_of(a)
    return where(r > number(0), number(1), where(r < number(0), number(-1), r))


@straight_line
def huber_loss(z, a, y, c):
    """math: ℓ = ½ r² where |r| ≤ c, else c (|r| − c/2)"""
    r = a - y
    near = np.minimum(np.maximum(r, -c), c)
    return near * (r - number_of(a)(0.5) * near)


@straight_line
def huber_delta(z, a, y, c):
    """math: ∂ℓ/∂ŷ = r, kept in ±c"""
    return np.minimum(np.maximum(a - y, -c), c)


@straight_line
def quantile_loss(z, a, y, c):
    """math: ℓ = −c r where r < 0, else (1 − c) r"""
    r, number = a - y, number_of(a)
    return where(r > number(0), r * (number(1) - c), -r * c)


@straight_line
def quantile_delta(z, a, y, c):
    """math: ∂ℓ/∂ŷ = −c where r < 0, 1 − c where r > 0"""
    r, number = a - y, number_of(a)
    return where(r > number(0), number(1) - c, where(r < number(0), -c, number(0)))


@straight_line
def poisson(z, a, y, c):
    """math: ℓ = ŷ − y z"""
    return a - y * z


@straight_line
def binary_cross_entropy(z, a, y, c):
    """math: ℓ = log(1 + e^z) − y z"""
    return softplus(z) - y * z


@straight_line
def cross_entropy(z, a, y, c):
    """math: ℓ = −y log ŷ, with log ŷ in the place of z"""
    return y * -z


@straight_line
def perceptron(z, a, y, c):
    """math: ℓ = max(0, −(2y − 1) z)"""
    number = number_of(a)
    return np.maximum(number(0), (number(1) - number(2) * y) * z)


@straight_line
def error(z, a, y, c):
    """math: δ = ∂ℓ/∂z = ŷ − y"""
    return a - y


# --------------------------------------------------------------------------------------- the registry


@dataclass(frozen=True)
class Loss:
    """A loss ℓ: the name users give, the code kernels branch on, the scalar pair, the outputs it goes with, a
    parameter.

    `ell(z, a, y, c)` gives what one output adds to ℓ, `delta(z, a, y, c)` its derivative by ŷ, or by z where the loss
    is one `of_z`. `parameter` is huber's delta or quantile's level: one number, or one for each output.
    """

    name: str
    code: int
    outputs: tuple[str, ...]
    parameter: float | tuple[float, ...] = 0.0
    ell: Callable = field(repr=False, compare=False, kw_only=True)
    delta: Callable = field(repr=False, compare=False, kw_only=True)

    @property
    def of_z(self) -> bool:
        """Whether it is computed from z, and `delta` is ∂ℓ/∂z."""
        return self.code >= POISSON

    def parameters(self, n_outputs: int, dtype: np.dtype) -> np.ndarray:
        """The parameter for each output, (n_outputs,). Raises ValueError where their number does not fit."""
        given = np.atleast_1d(np.asarray(self.parameter, dtype))
        if given.size not in (1, n_outputs):
            raise ValueError(
                f"loss {self.name!r}: expected 1 parameter or one for each of {n_outputs} outputs, got {given.size}"
            )
        return np.full(n_outputs, given)


def huber(delta: float = 1.0) -> Loss:
    """Half the squared error up to `delta`, then a straight line (Huber 1964). ValueError unless delta > 0."""
    if not np.isfinite(delta) or delta <= 0:
        raise ValueError(f"huber: expected a finite delta > 0, got {delta!r}")
    return Loss("huber", HUBER, _POINTWISE, float(delta), ell=huber_loss, delta=huber_delta)


def quantile(level: float | tuple[float, ...] = 0.5) -> Loss:
    """The pinball loss, least at the `level` quantile of y; one level, or one for each output.

    Raises ValueError unless every level lies strictly between 0 and 1.
    """
    levels = tuple(float(q) for q in np.atleast_1d(level))
    if not all(0 < q < 1 for q in levels):
        raise ValueError(f"quantile: expected levels between 0 and 1, got {level!r}")
    return Loss("quantile", QUANTILE, _POINTWISE, levels, ell=quantile_loss, delta=quantile_delta)


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("squared_error", SQUARED_ERROR, _POINTWISE, ell=squared_error, delta=squared_error_delta),
        Loss(
            "half_squared_error", HALF_SQUARED_ERROR, _POINTWISE, ell=half_squared_error, delta=half_squared_error_delta
        ),
        Loss("absolute_error", ABSOLUTE_ERROR, _POINTWISE, ell=absolute_error, delta=absolute_error_delta),
        huber(),
        quantile(),
        Loss("poisson", POISSON, ("exp",), ell=poisson, delta=error),
        Loss("binary_cross_entropy", BINARY_CROSS_ENTROPY, ("sigmoid",), ell=binary_cross_entropy, delta=error),
        Loss("cross_entropy", CROSS_ENTROPY, ("softmax",), ell=cross_entropy, delta=error),
        Loss("perceptron", PERCEPTRON, ("step",), ell=perceptron, delta=error),
    )
}

DEFAULT_LOSS = {
    "identity": "squared_error",
    "sigmoid": "binary_cross_entropy",
    "softmax": "cross_entropy",
    "exp": "poisson",
    "step": "perceptron",
}


BY_CODE = {loss.code: loss for loss in LOSSES.values()}


@kernel
def output_delta(loss, phi, parameters, z, a, y, weight, top, total, delta, ell):
    """E2: δ_k = ∂ℓ/∂z_k for every output k and sample n, times weight_n; ℓ of every sample. Writes delta, ell and
    total.

    z, a, y and delta (outputs, N) have a sample in each column, parameters (outputs,), weight and ell (N,); top and
    total (N,) are what `softmax` left: total becomes its logarithm.
    """
    number = type(z[0, 0])
    outputs, N = z.shape
    for n in range(N):
        ell[n] = 0
        if loss == CROSS_ENTROPY:
            total[n] = log1p(total[n] - number(1))
    for k in range(outputs):
        c = parameters[k]
        if loss == SQUARED_ERROR:
            for n in range(N):
                ell[n] += squared_error(z[k, n], a[k, n], y[k, n], c)
                delta[k, n] = squared_error_delta(z[k, n], a[k, n], y[k, n], c)
        elif loss == HALF_SQUARED_ERROR:
            for n in range(N):
                ell[n] += half_squared_error(z[k, n], a[k, n], y[k, n], c)
                delta[k, n] = half_squared_error_delta(z[k, n], a[k, n], y[k, n], c)
        elif loss == ABSOLUTE_ERROR:
            for n in range(N):
                ell[n] += absolute_error(z[k, n], a[k, n], y[k, n], c)
                delta[k, n] = absolute_error_delta(z[k, n], a[k, n], y[k, n], c)
        elif loss == HUBER:
            for n in range(N):
                ell[n] += huber_loss(z[k, n], a[k, n], y[k, n], c)
                delta[k, n] = huber_delta(z[k, n], a[k, n], y[k, n], c)
        elif loss == QUANTILE:
            for n in range(N):
                ell[n] += quantile_loss(z[k, n], a[k, n], y[k, n], c)
                delta[k, n] = quantile_delta(z[k, n], a[k, n], y[k, n], c)
        elif loss == POISSON:
            for n in range(N):
                ell[n] += poisson(z[k, n], a[k, n], y[k, n], c)
                delta[k, n] = error(z[k, n], a[k, n], y[k, n], c)
        elif loss == BINARY_CROSS_ENTROPY:
            for n in range(N):
                ell[n] += binary_cross_entropy(z[k, n], a[k, n], y[k, n], c)
                delta[k, n] = error(z[k, n], a[k, n], y[k, n], c)
        elif loss == PERCEPTRON:
            for n in range(N):
                ell[n] += perceptron(z[k, n], a[k, n], y[k, n], c)
                delta[k, n] = error(z[k, n], a[k, n], y[k, n], c)
        elif loss == CROSS_ENTROPY:
            for n in range(N):
                ell[n] += cross_entropy((z[k, n] - top[n]) - total[n], a[k, n], y[k, n], c)
                delta[k, n] = error(z[k, n], a[k, n], y[k, n], c)
        if phi == SIGMOID and loss < POISSON:
            for n in range(N):
                delta[k, n] *= sigmoid_slope(z[k, n], a[k, n])
        elif phi == EXP and loss < POISSON:
            for n in range(N):
                delta[k, n] *= exponential_slope(z[k, n], a[k, n])
        for n in range(N):
            delta[k, n] *= weight[n]
