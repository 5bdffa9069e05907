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
from typing import Any, ClassVar

import numpy as np

from ._jit import Place, Routine, Size, kernel, unkept
from ._math import log1p, softplus
from ._straight import number_of, straight_line, where
from .activations import EXP, OWN, SIGMOID, exponential_slope, sigmoid_slope
from .own import PROBES, Routines, check_slope, python, run_own

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
    """A loss ℓ: a name, and what one output adds to it, with its derivative. One of your own goes where a name goes.

    Parameters
    ----------
    name : str
        None of the built-in ones'.
    ell : function
        `ell(a, y)` gives what an output a = ŷ_k adds to ℓ: plain Python that Numba can compile, or compiled by it.
    delta : function
        `delta(a, y)` gives ∂ℓ/∂a.
    outputs : sequence of str
        Which outputs it goes with: "identity", "sigmoid", "exp".
    of_z : bool
        Both functions take z, the output before its φ, in the place of a, and `delta` gives ∂ℓ/∂z.
    parameter : float or tuple of float
        huber's delta or quantile's level: one number, or one for each output. Built-in pairs have it as the last of
        four arguments, (z, a, y, c); your own are closures over theirs.

    Raises
    ------
    TypeError, ValueError
        For what is no function, raises, or gives no finite number; and for a delta that is not the derivative of ell,
        which is measured at some numbers. At a kink it may be anything between the slopes on its sides.
    """

    name: str
    ell: Callable = field(repr=False)
    delta: Callable = field(repr=False)
    outputs: tuple[str, ...]
    of_z: bool = False
    parameter: float | tuple[float, ...] = 0.0
    routines: ClassVar["OwnLoss"]
    code: int = field(default=OWN, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.code == OWN:
            object.__setattr__(self, "outputs", tuple(self.outputs))
            routines = _own(self)
            object.__setattr__(self, "routines", routines)
            object.__setattr__(self, "code", routines.code)

    @property
    def is_own(self) -> bool:
        """Whether it is a user's."""
        return self.code > PERCEPTRON

    def ready(self, dtype: Any) -> "Loss":
        """Itself, once it can run on numbers of this dtype. TypeError where Numba cannot compile it."""
        if self.is_own:
            self.routines.ready(f"loss {self.name!r}", dtype)
        return self

    def parameters(self, n_outputs: int, dtype: np.dtype) -> np.ndarray:
        """The parameter for each output, (n_outputs,). Raises ValueError where their number does not fit."""
        given = np.atleast_1d(np.asarray(self.parameter, dtype))
        if given.size not in (1, n_outputs):
            raise ValueError(
                f"loss {self.name!r}: expected 1 parameter or one for each of {n_outputs} outputs, got {given.size}"
            )
        return np.full(n_outputs, given)

    def __reduce__(self) -> Any:
        if self.is_own:
            return Loss, (self.name, self.ell, self.delta, self.outputs, self.of_z)
        return built_in, (self.name, self.parameter)


def built_in(name: str, parameter: Any) -> Loss:
    """The built-in loss of this name, with its parameter where it takes one."""
    made = {"huber": huber, "quantile": quantile}.get(name)
    return LOSSES[name] if made is None else made(parameter)


class OwnLoss(Routines):
    """A user's own ℓ: the routines (z, a, y, out; count) of what outputs add to it, and of its derivative.

    `ell` and `delta` are compiled, with the built-in pairs' four arguments; `blocks` holds what the lanes engine makes.
    """

    def __init__(self, loss: Loss) -> None:
        self.ell, self.delta = (_of_four(function, loss.of_z) for function in (loss.ell, loss.delta))
        self.blocks: dict[int, Routine] = {}
        made = [_of_outputs(function) for function in (self.ell, self.delta)]
        super().__init__([routine for routine, _ in made], [row for _, row in made], mark=loss.of_z)


def _of_four(function: Callable, of_z: bool) -> Any:
    inner = unkept(function)
    if of_z:
        return unkept(lambda z, a, y, c: inner(z, y))
    return unkept(lambda z, a, y, c: inner(a, y))


def _of_outputs(function: Any) -> tuple[Routine, Callable]:
    def of_outputs(z: Place, a: Place, y: Place, out: Place, count: Size) -> None:
        """E2: the function of each output of a sample."""
        for k in range(count):
            out[k] = function(z[k], a[k], y[k], z[k])

    def of_row(z: np.ndarray, a: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
        of_outputs(z, a, y, out, len(z))

    return Routine(of_outputs, kept=False), of_row


def _own(loss: Loss) -> OwnLoss:
    what = f"loss {loss.name!r}"
    if not isinstance(loss.name, str) or loss.name in LOSSES:
        raise ValueError(f"loss: expected a name that is none of {', '.join(LOSSES)}, got {loss.name!r}")
    if not callable(loss.ell) or not callable(loss.delta):
        raise TypeError(f"{what}: expected functions ell(a, y) and delta(a, y), got {loss.ell!r} and {loss.delta!r}")
    if not loss.outputs or not set(loss.outputs) <= set(_POINTWISE):
        raise ValueError(f"{what}: expected outputs among {', '.join(_POINTWISE)}, got {loss.outputs!r}")
    ell, delta = python(loss.ell), python(loss.delta)
    x, targets = _probes(loss)
    for y in targets:
        check_slope(f"{what} for y = {y}", lambda a, y=y: ell(a, y), lambda a, y=y: delta(a, y), x)
    return OwnLoss(loss)


def _probes(loss: Loss) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Numbers that a (or z) and y may have with all of the loss's outputs."""
    fractions = (0.03, 0.2, 0.45, 0.7, 0.96)
    if "sigmoid" in loss.outputs:
        return PROBES if loss.of_z else fractions, (0.0, 1.0)
    if "exp" in loss.outputs:
        return PROBES if loss.of_z else (*fractions, 1.7, 3.9), (0.0, 1.0, 3.0)
    return PROBES, (-1.2, 0.4, 2.3)


def huber(delta: float = 1.0) -> Loss:
    """Half the squared error up to `delta`, then a straight line (Huber 1964). ValueError unless delta > 0."""
    if not np.isfinite(delta) or delta <= 0:
        raise ValueError(f"huber: expected a finite delta > 0, got {delta!r}")
    return Loss("huber", huber_loss, huber_delta, _POINTWISE, parameter=float(delta), code=HUBER)


def quantile(level: float | tuple[float, ...] = 0.5) -> Loss:
    """The pinball loss, least at the `level` quantile of y; one level, or one for each output.

    Raises ValueError unless every level lies strictly between 0 and 1.
    """
    levels = tuple(float(q) for q in np.atleast_1d(level))
    if not all(0 < q < 1 for q in levels):
        raise ValueError(f"quantile: expected levels between 0 and 1, got {level!r}")
    return Loss("quantile", quantile_loss, quantile_delta, _POINTWISE, parameter=levels, code=QUANTILE)


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("squared_error", squared_error, squared_error_delta, _POINTWISE, code=SQUARED_ERROR),
        Loss("half_squared_error", half_squared_error, half_squared_error_delta, _POINTWISE, code=HALF_SQUARED_ERROR),
        Loss("absolute_error", absolute_error, absolute_error_delta, _POINTWISE, code=ABSOLUTE_ERROR),
        huber(),
        quantile(),
        Loss("poisson", poisson, error, ("exp",), True, code=POISSON),
        Loss("binary_cross_entropy", binary_cross_entropy, error, ("sigmoid",), True, code=BINARY_CROSS_ENTROPY),
        Loss("cross_entropy", cross_entropy, error, ("softmax",), True, code=CROSS_ENTROPY),
        Loss("perceptron", perceptron, error, ("step",), True, code=PERCEPTRON),
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
def own_loss(loss, z, a, y, ell, delta):
    """E2: of a user's own loss, what each output adds to ℓ, and ∂ℓ/∂a or ∂ℓ/∂z, all (N, outputs). Owns both."""
    for n in range(z.shape[0]):
        run_own(loss, 0, n, (z, a, y, ell))
        run_own(loss, 1, n, (z, a, y, delta))


@kernel
def output_delta(loss, phi, parameters, z, a, y, weight, top, total, delta, ell):
    """E2: δ_k = ∂ℓ/∂z_k for every output k and sample n, times weight_n; ℓ of every sample. Writes delta, ell and
    total.

    z, a, y and delta (outputs, N) have a sample in each column, parameters (outputs,), weight and ell (N,); top and
    total (N,) are what `softmax` left: total becomes its logarithm.
    """
    number = type(z[0, 0])
    outputs, N = z.shape
    scales = loss < POISSON  # not where `delta` is ∂ℓ/∂z
    for n in range(N):
        ell[n] = 0
        if loss == CROSS_ENTROPY:
            total[n] = log1p(total[n] - number(1))
    if loss > PERCEPTRON:
        scales = loss % 2 == 0
        for n in range(N):
            run_own(loss, 0, n, (z.T, a.T, y.T, delta.T))
            for k in range(outputs):
                ell[n] += delta[k, n]
            run_own(loss, 1, n, (z.T, a.T, y.T, delta.T))
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
        if phi == SIGMOID and scales:
            for n in range(N):
                delta[k, n] *= sigmoid_slope(z[k, n], a[k, n])
        elif phi == EXP and scales:
            for n in range(N):
                delta[k, n] *= exponential_slope(z[k, n], a[k, n])
        for n in range(N):
            delta[k, n] *= weight[n]
