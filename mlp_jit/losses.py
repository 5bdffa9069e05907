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

The last four are computed from z itself, so that no logarithm of a rounded ŷ is ever taken, and each of them has
δ_k = ŷ_k − y_k. The others have δ_k = ∂ℓ/∂ŷ_k φ'(z_k).
"""

from dataclasses import dataclass

import numpy as np

from ._jit import kernel
from ._math import log1p, softplus
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


@dataclass(frozen=True)
class Loss:
    """A loss ℓ: the name users give, the code kernels branch on, the outputs it goes with, its parameter.

    `parameter` is huber's delta or quantile's level: one number, or one for each output.
    """

    name: str
    code: int
    outputs: tuple[str, ...]
    parameter: float | tuple[float, ...] = 0.0

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
    return Loss("huber", HUBER, _POINTWISE, float(delta))


def quantile(level: float | tuple[float, ...] = 0.5) -> Loss:
    """The pinball loss, least at the `level` quantile of y; one level, or one for each output.

    Raises ValueError unless every level lies strictly between 0 and 1.
    """
    levels = tuple(float(q) for q in np.atleast_1d(level))
    if not all(0 < q < 1 for q in levels):
        raise ValueError(f"quantile: expected levels between 0 and 1, got {level!r}")
    return Loss("quantile", QUANTILE, _POINTWISE, levels)


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("squared_error", SQUARED_ERROR, _POINTWISE),
        Loss("half_squared_error", HALF_SQUARED_ERROR, _POINTWISE),
        Loss("absolute_error", ABSOLUTE_ERROR, _POINTWISE),
        huber(),
        quantile(),
        Loss("poisson", POISSON, ("exp",)),
        Loss("binary_cross_entropy", BINARY_CROSS_ENTROPY, ("sigmoid",)),
        Loss("cross_entropy", CROSS_ENTROPY, ("softmax",)),
        Loss("perceptron", PERCEPTRON, ("step",)),
    )
}

DEFAULT_LOSS = {
    "identity": "squared_error",
    "sigmoid": "binary_cross_entropy",
    "softmax": "cross_entropy",
    "exp": "poisson",
    "step": "perceptron",
}


@kernel
def output_delta(loss, phi, parameters, z, a, y, weight, top, total, delta, ell):
    """E2: δ_k = ∂ℓ/∂z_k for every output k and sample n, times weight_n; ℓ of every sample. Writes delta, ell and
    total.

    z, a, y and delta (outputs, N) have a sample in each column, parameters (outputs,), weight and ell (N,); top and
    total (N,) are what `softmax` left.
    """
    number = type(z[0, 0])
    outputs, N = z.shape
    for n in range(N):
        ell[n] = 0
    if loss == CROSS_ENTROPY:
        cross_entropy(z, y, top, total, ell)
    for k in range(outputs):
        if loss >= POISSON:
            for n in range(N):
                delta[k, n] = a[k, n] - y[k, n]
        if loss == POISSON:
            for n in range(N):
                ell[n] += a[k, n] - y[k, n] * z[k, n]
        elif loss == BINARY_CROSS_ENTROPY:
            for n in range(N):
                ell[n] += softplus(z[k, n]) - y[k, n] * z[k, n]
        elif loss == PERCEPTRON:
            for n in range(N):
                ell[n] += max(number(0), (number(1) - number(2) * y[k, n]) * z[k, n])
        elif loss == SQUARED_ERROR:
            for n in range(N):
                r = a[k, n] - y[k, n]
                ell[n] += r * r
                delta[k, n] = number(2) * r
        elif loss == HALF_SQUARED_ERROR:
            for n in range(N):
                r = a[k, n] - y[k, n]
                ell[n] += number(0.5) * r * r
                delta[k, n] = r
        elif loss == ABSOLUTE_ERROR:
            for n in range(N):
                r = a[k, n] - y[k, n]
                ell[n] += abs(r)
                delta[k, n] = np.sign(r)
        elif loss == HUBER:
            bound = parameters[k]
            for n in range(N):
                r = a[k, n] - y[k, n]
                near = min(max(r, -bound), bound)
                ell[n] += near * (r - number(0.5) * near)
                delta[k, n] = near
        elif loss == QUANTILE:
            below, above = parameters[k], number(1) - parameters[k]  # −∂ℓ/∂ŷ where ŷ < y, ∂ℓ/∂ŷ where ŷ > y
            for n in range(N):
                r = a[k, n] - y[k, n]
                ell[n] += r * above if r > number(0) else -r * below
                delta[k, n] = above if r > number(0) else (-below if r < number(0) else number(0))
        if phi == SIGMOID and loss < POISSON:
            for n in range(N):
                delta[k, n] *= sigmoid_slope(z[k, n], a[k, n])
        elif phi == EXP and loss < POISSON:
            for n in range(N):
                delta[k, n] *= exponential_slope(z[k, n], a[k, n])
        for n in range(N):
            delta[k, n] *= weight[n]


@kernel
def cross_entropy(z, y, top, total, ell):
    """E2: ℓ = Σ_k y_k (log Σ_m e^(z_m) − z_k) of every sample n, from the shift and the sum that `softmax` left.

    z and y (outputs, N); ell (N,) is written, total (N,) becomes its logarithm.
    """
    outputs, N = z.shape
    for n in range(N):
        total[n] = log1p(total[n] - type(total[n])(1))
    for k in range(outputs):
        for n in range(N):
            ell[n] += y[k, n] * (total[n] - (z[k, n] - top[n]))
