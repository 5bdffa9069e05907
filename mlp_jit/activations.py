"""φ and φ', in pairs, and their registry.

Each pair is two scalar kernels: `relu(z)` and `relu_slope(z, a)` with a = φ(z), which many slopes are cheapest
from. `activate` and `scale_by_slope` run a pair along the units of one sample: they branch on the activation's
code outside the loop, so that LLVM vectorises the loop.

Each is a straight line (`_straight`). A literal would make float32 arithmetic float64; hence `number(0.5)`, where
`number` is the type of z.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ._jit import Place, Routine, Size, kernel, unkept
from ._math import erf, exp, expm1, larger, softplus, tanh
from ._math import sigmoid as logistic
from ._straight import number_of, straight_line, where
from .own import Routines, check_slope, python, run_own

LEAK = 0.01  # leaky_relu's slope below zero
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017
SQRT_HALF, INVERSE_SQRT_TAU = 0.7071067811865476, 0.3989422804014327  # √½ and 1/√(2π), for gelu


@straight_line
def identity(z):
    """math: φ(z) = z"""
    return z


@straight_line
def identity_slope(z, a):
    """math: φ'(z) = 1"""
    return number_of(z)(1)


@straight_line
def step(z):
    """math: φ(z) = 1 where z ≥ 0, else 0"""
    number = number_of(z)
    return where(z >= number(0), number(1), number(0))


@straight_line
def step_slope(z, a):
    """math: φ'(z) = 0, so nothing is learnt through a step"""
    return number_of(z)(0)


@straight_line
def sigmoid(z):
    """math: φ(z) = 1 / (1 + e⁻ᶻ)"""
    return logistic(z)


@straight_line
def sigmoid_slope(z, a):
    """math: φ'(z) = a (1 − a), at most 1/4"""
    return a * (number_of(z)(1) - a)


@straight_line
def hyperbolic_tangent(z):
    """math: φ(z) = tanh z"""
    return tanh(z)


@straight_line
def hyperbolic_tangent_slope(z, a):
    """math: φ'(z) = 1 − a², at most 1"""
    return number_of(z)(1) - a * a


@straight_line
def relu(z):
    """math: φ(z) = max(z, 0); NaN stays NaN"""
    return np.maximum(z, number_of(z)(0))


@straight_line
def relu_slope(z, a):
    """math: φ'(z) = 1 where z > 0, else 0"""
    number = number_of(z)
    return where(z > number(0), number(1), number(0))


@straight_line
def leaky_relu(z):
    """math: φ(z) = z where z > 0, else 0.01 z"""
    number = number_of(z)
    return np.maximum(z, number(0)) + number(LEAK) * np.minimum(z, number(0))


@straight_line
def leaky_relu_slope(z, a):
    """math: φ'(z) = 1 where z > 0, else 0.01"""
    number = number_of(z)
    return where(z > number(0), number(1), number(LEAK))


@straight_line
def elu(z):
    """math: φ(z) = z where z > 0, else eᶻ − 1"""
    number = number_of(z)
    return np.maximum(z, number(0)) + expm1(np.minimum(z, number(0)))


@straight_line
def elu_slope(z, a):
    """math: φ'(z) = 1 where z > 0, else eᶻ = a + 1"""
    number = number_of(z)
    return np.minimum(a, number(0)) + number(1)


@straight_line
def selu(z):
    """math: φ(z) = λ z where z > 0, else λ α (eᶻ − 1)"""
    number = number_of(z)
    return number(SELU_SCALE) * (np.maximum(z, number(0)) + number(SELU_ALPHA) * expm1(np.minimum(z, number(0))))


@straight_line
def selu_slope(z, a):
    """math: φ'(z) = λ where z > 0, else λ α eᶻ = a + λ α"""
    number = number_of(z)
    return where(z > number(0), number(SELU_SCALE), a + number(SELU_SCALE * SELU_ALPHA))


@straight_line
def soft_plus(z):
    """math: φ(z) = log(1 + eᶻ)"""
    return softplus(z)


@straight_line
def soft_plus_slope(z, a):
    """math: φ'(z) = σ(z)"""
    return logistic(z)


@straight_line
def silu(z):
    """math: φ(z) = z σ(z)"""
    return z * logistic(z)


@straight_line
def silu_slope(z, a):
    """math: φ'(z) = σ + z σ (1 − σ), with σ = σ(z)"""
    s = logistic(z)
    return s + z * s * (number_of(z)(1) - s)


@straight_line
def gelu(z):
    """math: φ(z) = z Φ(z), with Φ(z) = ½ (1 + erf(z/√2)): the exact form"""
    number = number_of(z)
    return z * number(0.5) * (number(1) + erf(z * number(SQRT_HALF)))


@straight_line
def gelu_slope(z, a):
    """math: φ'(z) = Φ(z) + z N(z), with N the normal density; at most 1.129"""
    number = number_of(z)
    below = number(0.5) * (number(1) + erf(z * number(SQRT_HALF)))
    return below + z * number(INVERSE_SQRT_TAU) * exp(number(-0.5) * z * z)


@straight_line
def hard_sigmoid(z):
    """math: φ(z) = (z + 3)/6, kept in [0, 1]"""
    number = number_of(z)
    return np.minimum(np.maximum(z * number(1 / 6) + number(0.5), number(0)), number(1))


@straight_line
def hard_sigmoid_slope(z, a):
    """math: φ'(z) = 1/6 where |z| < 3, else 0"""
    number = number_of(z)
    return where(abs(z) < number(3), number(1 / 6), number(0))


@straight_line
def hard_tanh(z):
    """math: φ(z) = z, kept in [−1, 1]"""
    number = number_of(z)
    return np.minimum(np.maximum(z, number(-1)), number(1))


@straight_line
def hard_tanh_slope(z, a):
    """math: φ'(z) = 1 where |z| < 1, else 0"""
    number = number_of(z)
    return where(abs(z) < number(1), number(1), number(0))


@straight_line
def hard_silu(z):
    """math: φ(z) = z hard_sigmoid(z)"""
    return z * hard_sigmoid(z)


@straight_line
def hard_silu_slope(z, a):
    """math: φ'(z) = (2z + 3)/6 where |z| < 3, else 1 above and 0 below"""
    number = number_of(z)
    return where(abs(z) >= number(3), np.minimum(np.maximum(z, number(0)), number(1)), z * number(1 / 3) + number(0.5))


@straight_line
def exponential(z):
    """math: φ(z) = eᶻ, an output for rates"""
    return exp(z)


@straight_line
def exponential_slope(z, a):
    """math: φ'(z) = a"""
    return a


@kernel
def softmax(z, a, top, total):
    """E1: a_k = e^(z_k) / Σ_m e^(z_m) for every sample n, shifted by max z so that nothing overflows.

    z and a (outputs, N) have a sample in each column; top and total (N,) are left with max_m z_m and
    Σ_m e^(z_m − top). All but z are written.
    """
    outputs, N = z.shape
    for n in range(N):
        top[n] = z[0, n]
        total[n] = 0
    for k in range(1, outputs):
        for n in range(N):
            top[n] = larger(top[n], z[k, n])
    for k in range(outputs):
        for n in range(N):
            a[k, n] = exp(z[k, n] - top[n])
            total[n] += a[k, n]
    for k in range(outputs):
        for n in range(N):
            a[k, n] /= total[n]


(
    IDENTITY,
    STEP,
    SIGMOID,
    TANH,
    RELU,
    LEAKY_RELU,
    ELU,
    SELU,
    SOFTPLUS,
    SILU,
    GELU,
    HARD_SIGMOID,
    HARD_TANH,
    HARD_SILU,
    EXP,
    SOFTMAX,
) = range(16)
OWN = -1  # the code of none


@dataclass(frozen=True)
class Activation:
    """An activation function φ: a name, and a pair of scalar functions. One of your own goes where a name of a hidden
    layer's goes.

    Parameters
    ----------
    name : str
        None of the built-in ones'.
    phi : function
        `phi(z)` gives a = φ(z): plain Python that Numba can compile, or compiled by it. Where z is float32, so are the
        numbers that it should count with (`np.float32(0.01)`, or `type(z)(0.01)`): others are float64, and slower.
    slope : function
        `slope(z, a)` gives φ'(z), a being φ(z).

    Raises
    ------
    TypeError, ValueError
        For what is no function, raises, or gives no finite number; and for a slope that is not the derivative, which
        is measured at some numbers between −3.1 and 2.9. At a kink it may be anything between the slopes on its sides.
    """

    name: str
    phi: Callable | None = field(repr=False)
    slope: Callable | None = field(repr=False)
    routines: ClassVar[Routines]
    code: int = field(default=OWN, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.code == OWN:
            routines = _own(self.name, self.phi, self.slope)
            object.__setattr__(self, "routines", routines)
            object.__setattr__(self, "code", routines.code)

    @property
    def is_own(self) -> bool:
        """Whether it is a user's."""
        return self.code > SOFTMAX

    def ready(self, dtype: Any) -> int:
        """Its code, once it can run on numbers of this dtype. TypeError where Numba cannot compile it."""
        return self.routines.ready(f"activation {self.name!r}", dtype) if self.is_own else self.code

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:
        return (Activation, (self.name, self.phi, self.slope)) if self.is_own else (named, (self.name,))


def _own(name: Any, phi: Any, slope: Any) -> Routines:
    """The routines (z, a; count) and (z, a, delta; count), which the lanes engine has of the built-in pairs, too."""
    what = f"activation {name!r}"
    if not isinstance(name, str) or name in KNOWN:
        raise ValueError(f"activation: expected a name that is none of {', '.join(KNOWN)}, got {name!r}")
    if not callable(phi) or not callable(slope):
        raise TypeError(f"{what}: expected functions phi(z) and slope(z, a), got {phi!r} and {slope!r}")
    phi_at, slope_at = python(phi), python(slope)
    check_slope(what, phi_at, lambda z: slope_at(z, phi_at(z)))
    phi_of, slope_of = unkept(phi), unkept(slope)

    def activate(z: Place, a: Place, count: Size) -> None:
        """E1: a_j = φ(z_j)."""
        for j in range(count):
            a[j] = phi_of(z[j])

    def scale(z: Place, a: Place, delta: Place, count: Size) -> None:
        """E3: δ_i ← φ'(z_i) δ_i."""
        for i in range(count):
            delta[i] *= slope_of(z[i], a[i])

    def activate_row(z: np.ndarray, a: np.ndarray) -> None:
        activate(z, a, len(z))

    def scale_row(z: np.ndarray, a: np.ndarray, delta: np.ndarray) -> None:
        scale(z, a, delta, len(z))

    return Routines([Routine(activate, kept=False), Routine(scale, kept=False)], [activate_row, scale_row])


def named(phi: "str | Activation") -> Activation:
    """The activation of a name; one of a user's own is itself."""
    return phi if isinstance(phi, Activation) else KNOWN[phi]


HIDDEN: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("identity", identity, identity_slope, IDENTITY),
        Activation("step", step, step_slope, STEP),
        Activation("sigmoid", sigmoid, sigmoid_slope, SIGMOID),
        Activation("tanh", hyperbolic_tangent, hyperbolic_tangent_slope, TANH),
        Activation("relu", relu, relu_slope, RELU),
        Activation("leaky_relu", leaky_relu, leaky_relu_slope, LEAKY_RELU),
        Activation("elu", elu, elu_slope, ELU),
        Activation("selu", selu, selu_slope, SELU),
        Activation("softplus", soft_plus, soft_plus_slope, SOFTPLUS),
        Activation("silu", silu, silu_slope, SILU),
        Activation("gelu", gelu, gelu_slope, GELU),
        Activation("hard_sigmoid", hard_sigmoid, hard_sigmoid_slope, HARD_SIGMOID),
        Activation("hard_tanh", hard_tanh, hard_tanh_slope, HARD_TANH),
        Activation("hard_silu", hard_silu, hard_silu_slope, HARD_SILU),
    )
}

OUTPUTS: dict[str, Activation] = {
    **{name: HIDDEN[name] for name in ("identity", "sigmoid", "step")},
    "exp": Activation("exp", exponential, exponential_slope, EXP),
    "softmax": Activation("softmax", None, None, SOFTMAX),
}
KNOWN = HIDDEN | OUTPUTS


@kernel
def activate(phi, z, a, n):
    """E1: a_j = φ(z_j) for every unit j of sample n; z and a (N, units), row n of a is written.

    Not for softmax, whose outputs depend on each other.
    """
    units = z.shape[1]
    if phi == IDENTITY:
        for j in range(units):
            a[n, j] = z[n, j]
    elif phi == STEP:
        for j in range(units):
            a[n, j] = step(z[n, j])
    elif phi == SIGMOID:
        for j in range(units):
            a[n, j] = sigmoid(z[n, j])
    elif phi == TANH:
        for j in range(units):
            a[n, j] = tanh(z[n, j])
    elif phi == RELU:
        for j in range(units):
            a[n, j] = relu(z[n, j])
    elif phi == LEAKY_RELU:
        for j in range(units):
            a[n, j] = leaky_relu(z[n, j])
    elif phi == ELU:
        for j in range(units):
            a[n, j] = elu(z[n, j])
    elif phi == SELU:
        for j in range(units):
            a[n, j] = selu(z[n, j])
    elif phi == SOFTPLUS:
        for j in range(units):
            a[n, j] = soft_plus(z[n, j])
    elif phi == SILU:
        for j in range(units):
            a[n, j] = silu(z[n, j])
    elif phi == GELU:
        for j in range(units):
            a[n, j] = gelu(z[n, j])
    elif phi == HARD_SIGMOID:
        for j in range(units):
            a[n, j] = hard_sigmoid(z[n, j])
    elif phi == HARD_TANH:
        for j in range(units):
            a[n, j] = hard_tanh(z[n, j])
    elif phi == HARD_SILU:
        for j in range(units):
            a[n, j] = hard_silu(z[n, j])
    elif phi == EXP:
        for j in range(units):
            a[n, j] = exponential(z[n, j])
    elif phi > SOFTMAX:
        run_own(phi, 0, n, (z, a))


@kernel
def scale_by_slope(phi, z, a, delta, n):
    """E3: δ_i ← φ'(z_i) δ_i for every hidden unit i of sample n; all (N, units), row n of delta is written."""
    units = z.shape[1]
    if phi == STEP:
        for i in range(units):
            delta[n, i] *= step_slope(z[n, i], a[n, i])
    elif phi == SIGMOID:
        for i in range(units):
            delta[n, i] *= sigmoid_slope(z[n, i], a[n, i])
    elif phi == TANH:
        for i in range(units):
            delta[n, i] *= hyperbolic_tangent_slope(z[n, i], a[n, i])
    elif phi == RELU:
        for i in range(units):
            delta[n, i] *= relu_slope(z[n, i], a[n, i])
    elif phi == LEAKY_RELU:
        for i in range(units):
            delta[n, i] *= leaky_relu_slope(z[n, i], a[n, i])
    elif phi == ELU:
        for i in range(units):
            delta[n, i] *= elu_slope(z[n, i], a[n, i])
    elif phi == SELU:
        for i in range(units):
            delta[n, i] *= selu_slope(z[n, i], a[n, i])
    elif phi == SOFTPLUS:
        for i in range(units):
            delta[n, i] *= soft_plus_slope(z[n, i], a[n, i])
    elif phi == SILU:
        for i in range(units):
            delta[n, i] *= silu_slope(z[n, i], a[n, i])
    elif phi == GELU:
        for i in range(units):
            delta[n, i] *= gelu_slope(z[n, i], a[n, i])
    elif phi == HARD_SIGMOID:
        for i in range(units):
            delta[n, i] *= hard_sigmoid_slope(z[n, i], a[n, i])
    elif phi == HARD_TANH:
        for i in range(units):
            delta[n, i] *= hard_tanh_slope(z[n, i], a[n, i])
    elif phi == HARD_SILU:
        for i in range(units):
            delta[n, i] *= hard_silu_slope(z[n, i], a[n, i])
    elif phi > SOFTMAX:
        run_own(phi, 1, n, (z, a, delta))
