r"""φ, φ', ℓ and ∂ℓ/∂z in letters, to be filled with names or with numbers.

Z, A, Y and P stand for z, a (or ŷ), y and the loss's parameter; <Z> is Z where a negative number needs parentheses.
[…] is 1 where what it says is true, else 0.
"""

import re

from ..activations import Activation
from ..losses import Loss
from .document import factor, number

PHI = {
    "identity": "Z",
    "step": r"[Z \ge 0]",
    "sigmoid": r"1/(1 + e^{-<Z>})",
    "tanh": "",
    "relu": r"\max(Z, 0)",
    "leaky_relu": r"\max(Z, 0) + 0.01 \cdot \min(Z, 0)",
    "elu": r"\max(Z, 0) + e^{\min(Z, 0)} - 1",
    "selu": r"1.0507 \cdot (\max(Z, 0) + 1.6733 \cdot (e^{\min(Z, 0)} - 1))",
    "softplus": r"\ln(1 + e^{Z})",
    "silu": r"<Z> \cdot \sigma(Z)",
    "gelu": r"<Z> \cdot \Phi(Z)",
    "hard_sigmoid": r"\min(\max(<Z>/6 + 1/2, 0), 1)",
    "hard_tanh": r"\min(\max(Z, -1), 1)",
    "hard_silu": r"<Z> \cdot \min(\max(<Z>/6 + 1/2, 0), 1)",
    "exp": "e^{Z}",
}

SLOPE = {
    "identity": "1",
    "step": "0",
    "sigmoid": r"A \cdot (1 - A)",
    "tanh": "1 - <A>^{2}",
    "relu": "[Z > 0]",
    "leaky_relu": r"[Z > 0] + 0.01 \cdot [Z \le 0]",
    "elu": r"\min(A, 0) + 1",
    "selu": r"1.0507 \cdot [Z > 0] + (A + 1.7581) \cdot [Z \le 0]",
    "softplus": r"\sigma(Z)",
    "silu": r"\sigma(Z) + <Z> \cdot \sigma(Z) \cdot (1 - \sigma(Z))",
    "gelu": r"\Phi(Z) + <Z> \cdot \mathrm{N}(Z)",
    "hard_sigmoid": "[-3 < Z < 3]/6",
    "hard_tanh": "[-1 < Z < 1]",
    "hard_silu": r"(<Z>/3 + 1/2) \cdot [-3 < Z < 3] + [Z \ge 3]",
    "exp": "A",
}

ELL = {  # of one output
    "squared_error": "(A - <Y>)^{2}",
    "half_squared_error": "(A - <Y>)^{2}/2",
    "absolute_error": "|A - <Y>|",
    "huber": r"\mathrm{huber}(A - <Y>)",
    "quantile": r"\mathrm{quantile}(A - <Y>)",
    "poisson": r"A - Y \cdot <Z>",
    "binary_cross_entropy": r"\ln(1 + e^{Z}) - Y \cdot <Z>",
    "cross_entropy": r"Y \cdot (-\ln(A))",
    "perceptron": r"\max(0, (1 - 2 \cdot Y) \cdot <Z>)",
}

ELL_IS_A_SUM = {"poisson", "binary_cross_entropy"}  # and needs parentheses after Σ_k

DELTA = {  # ∂ℓ/∂z where ℓ is computed from z, ∂ℓ/∂ŷ elsewhere
    "squared_error": r"2 \cdot (A - <Y>)",
    "half_squared_error": "(A - <Y>)",
    "absolute_error": r"\mathrm{sign}(A - <Y>)",
    "huber": r"\min(\max(A - <Y>, -P), P)",
    "quantile": "([A > Y] - P)",
    "poisson": "A - Y",
    "binary_cross_entropy": "A - Y",
    "cross_entropy": "A - Y",
    "perceptron": "A - Y",
}


def in_letters(formula: str, **names: str) -> str:
    """The formula with a name for each of its capitals."""
    return _fill(formula, names, names)


def in_numbers(formula: str, **values: float) -> str:
    """The formula with a number for each of its capitals."""
    return _fill(
        formula,
        {name: number(value) for name, value in values.items()},
        {name: factor(value) for name, value in values.items()},
    )


def _fill(formula: str, plain: dict[str, str], protected: dict[str, str]) -> str:
    return re.sub(
        r"<([ZAYP])>|\b([ZAYP])\b", lambda found: protected[found[1]] if found[1] else plain[found[2]], formula
    )


def phi_formula(phi: str | Activation) -> str:
    """`relu(Z) = max(Z, 0)`; of a user's own the name."""
    if phi == "identity":
        return PHI["identity"]
    formula = PHI.get(phi, "") if isinstance(phi, str) else ""
    return rf"\mathrm{{{_in_latex(phi)}}}(Z)" + (f" = {formula}" if formula else "")


def slope_formula(phi: str | Activation) -> str:
    """`A (1 - A)`; of a user's own the name with a prime."""
    return SLOPE[phi] if isinstance(phi, str) else rf"\mathrm{{{_in_latex(phi)}}}'(Z)"


def _in_latex(phi: str | Activation) -> str:
    return str(phi).replace("_", r"\_")


def has_slope(loss: Loss, output: str) -> bool:
    """Whether ∂ℓ/∂z is ∂ℓ/∂ŷ times a φ' that is not 1."""
    return not loss.of_z and output != "identity"


def ell_formula(loss: Loss) -> str:
    """`(A - Y)^2`, of one output; of a user's own the name."""
    return rf"\mathrm{{{_in_latex(loss.name)}}}({'Z' if loss.of_z else 'A'}, Y)" if loss.is_own else ELL[loss.name]


def delta_formula(loss: Loss) -> str:
    """`2 (A - Y)`, ∂ℓ/∂z where ℓ is computed from z, ∂ℓ/∂ŷ elsewhere; of a user's own the name with a prime."""
    return rf"\mathrm{{{_in_latex(loss.name)}}}'({'Z' if loss.of_z else 'A'}, Y)" if loss.is_own else DELTA[loss.name]
