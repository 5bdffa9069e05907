"""exp, expm1, log1p, softplus, sigmoid, tanh and erf of one number; LLVM vectorises the loop around them.

Without SVML, Numba makes np.exp and its kin one call to libm an element. Here each is straight-line arithmetic
without calls, branches or tables (`_straight`), for float32 and float64, and returns the dtype it was given.
Two pieces carry them all: 2ᵏ expm1(r) for the exponentials, k ln 2 + log1p(f) for the logarithms.

| function | error in ULP, float32 | float64 | ns an element, float32 (libm's) | float64 (libm's) |
|----------|-----------------------|---------|---------------------------------|------------------|
| exp      | 1.0                   | 1.1     | 0.33 (2.3)                      | 0.74 (4.3)       |
| expm1    | 1.5                   | 2.2     | 0.30 (8.6)                      | 0.68 (6.7)       |
| log1p    | 1.9                   | 2.0     | 0.44 (6.8)                      | 0.98 (5.6)       |
| softplus | 2.2                   | 2.5     | 0.79 (9.1)                      | 1.96 (9.3)       |
| sigmoid  | 1.9                   | 2.0     | 0.44 (2.7)                      | 1.00 (4.5)       |
| tanh     | 2.1                   | 2.4     | 0.41 (11.6)                     | 0.95 (10.1)      |
| erf      | 1.7                   | 1.8     | 0.50 (10.8)                     | 1.72 (11.2)      |

Measured with numba 0.68 on Zen 4 (AVX-512), the loop's 4096 numbers in cache; errors against every 11th
float32 and 9 million float64 (70 000 for erf). The errors are the same on AVX2, at 1.4 to 3 times the time,
and hardly differ without FMA. Before SSE4.1, rint and floor are calls. Multiply-adds are written `fma`, which is one
instruction where the CPU has it: unfused, exp and tanh take 1.4 to 1.9 times as long.

NaN gives NaN. Subnormal numbers are kept, not flushed. ±0 keeps its sign where the function is odd or begins
like x. exp and expm1 overflow to inf, in plain Python with NumPy's warning; nothing else overflows. sigmoid,
tanh and erf end at exactly 0 or ±1 and never turn back on the way there.

Tried, and worse:

- Each function and each piece compiled by Numba, to be inlined: 14 compilations and 0.6 s for a loop around exp, cold,
  which takes 1 and 0.04 s now. The pieces as templates and intrinsics of Numba's: 2 and 0.15 s.
- Not inlined: LLVM leaves the long ones as calls; softplus and erf of float64 take 14 and 13 ns.
- Horner's rule as a loop of the compiled code: LLVM does not unroll the 24 terms of erf, so nothing vectorises; 24 ns.
- fastmath's `reassoc`, which undoes Cody and Waite's reduction: exp is off by 4 ULP in float32, 210 in float64.
- exp with 2ᵏ in one factor: 0.27 ns for 0.33 in float32, but results below 1e-37 are lost.
- tanh as t/(t + 2), t = expm1(2 abs x): 2.4 and 2.6 ULP, unsteady next to 1; with -2 abs x: 2.5 in both.
- sigmoid as p/(1 + e): 2.4 and 2.3 ULP.
"""

from typing import Any, NamedTuple

import numpy as np

from ._straight import fma, number_of, straight_line, where

# ------------------------------------------------------------------------------------- constants


class Constants(NamedTuple):
    """What differs between the two dtypes, beside their bits.

    The polynomials, highest power first, are minimax fits made for this file: Remez's algorithm at 60 digits
    for the relative error of the function they serve, the coefficients then rounded one at a time.
    """

    number: type
    integer: type  # of as many bits
    mantissa: Any  # how many of them hold it
    root: Any  # the bits of √½, which `_exponent` counts from
    bias: Any  # added to a whole number k, it leaves k + the exponent's bias in the lowest bits of the sum
    ln2_high: Any  # ln 2 = high + low, Cody and Waite's split: k * high is exact for every k in use
    ln2_low: Any
    largest: Any
    exp_least: Any  # below it exp rounds to 0
    exp_most: Any  # above it exp overflows
    expm1_least: Any  # below it expm1 rounds to -1
    tanh_most: Any  # above these, tanh and erf round to 1
    erf_most: Any
    expm1: tuple  # (expm1(r) - r) / r² on abs(r) ≤ ½ ln 2
    log1p: tuple  # (log1p(f)/s - 2) / s² in powers of s², where s = f/(2 + f), on √½ ≤ 1 + f ≤ √2
    erf: tuple  # -log(1 - erf(a))/a - 1 on 0 ≤ a ≤ erf_most; an even number of terms


def _constants(number: type, integer: type, *, mantissa: int, root: int, **values: Any) -> Constants:
    """The constants as numbers of one dtype: a literal would make float32 arithmetic float64."""
    return Constants(
        number,
        integer,
        integer(mantissa),
        integer(root),
        largest=np.finfo(number).max,
        **{
            name: tuple(map(number, value)) if isinstance(value, tuple) else number(value)
            for name, value in values.items()
        },
    )


FLOAT32 = _constants(
    np.float32,
    np.int32,
    mantissa=23,
    root=0x3F3504F3,
    bias=1.5 * 2**23 + 127,
    ln2_high=0.693359375,
    ln2_low=-2.12194440e-4,
    exp_least=-104,
    exp_most=89,
    expm1_least=-18,
    tanh_most=10,
    erf_most=4,
    expm1=(0.00019845837, 0.0013940667, 0.00833339, 0.04166636, 0.16666666, 0.5),
    log1p=(0.2987123, 0.39977574, 0.66666776),
    erf=(
        *(1.0885702e-06, -2.0370922e-05, 0.00016382798, -0.0007338818, 0.0017927754),
        *(-0.0002501266, -0.019117933, 0.102771096, 0.63661987, 0.12837917),
    ),
)

FLOAT64 = _constants(
    np.float64,
    np.int64,
    mantissa=52,
    root=0x3FE6A09E667F3BCD,
    bias=1.5 * 2**52 + 1023,
    ln2_high=6.93147180369123816490e-01,
    ln2_low=1.90821492927058770002e-10,
    exp_least=-746,
    exp_most=710,
    expm1_least=-40,
    tanh_most=20,
    erf_most=6,
    expm1=(
        *(2.5053784024858122e-08, 2.7626092709935394e-07, 2.7557407664515304e-06, 2.4801505142762307e-05),
        *(0.0001984126971873036, 0.0013888888931667311, 0.008333333333389724, 0.041666666666576466),
        *(0.16666666666666588, 0.5000000000000006),
    ),
    log1p=(
        *(0.14798601098425015, 0.15313803225846803, 0.18183573271667572, 0.22222198415623823),
        *(0.2857142874377345, 0.3999999999940916, 0.6666666666666735),
    ),
    erf=(
        *(-3.608686659877111e-15, 1.6220036084046083e-13, -3.378662313033584e-12, 4.3194870586354766e-11),
        *(-3.775829680259051e-10, 2.3699835000934962e-09, -1.081842628255387e-08, 3.475168293354496e-08),
        *(-6.622056755095967e-08, -1.0577065748774229e-08, 5.685331822758662e-07, -2.0340731444713126e-06),
        *(3.1292751524411482e-06, 3.173131539599187e-06, -2.9578217795787888e-05, 6.442192917836111e-05),
        *(2.590386595462459e-05, -0.0005901322254440334, 0.0016962076224233925, -0.00020919484640469127),
        *(-0.019128446993853528, 0.10277260330135904, 0.6366197723675898, 0.12837916709551256),
    ),
)


def _constants_for(x):
    """The constants in the dtype of x"""
    return FLOAT32 if number_of(x) is np.float32 else FLOAT64


# ---------------------------------------------------------------------------------------- pieces


def _power_of_two(k):
    """2ᵏ for a whole k that the dtype has a normal 2ᵏ of, by writing the exponent's bits; for NaN, any number: no
    conversion to int that NaN would make undefined
    """
    c = _constants_for(k)
    return ((k + c.bias).view(c.integer) << c.mantissa).view(c.number)


def _exponent(x):
    """The whole k with √½ ≤ x/2ᵏ < √2, from the bits of a normal x > 0"""
    c = _constants_for(x)
    k = (x.view(c.integer) - c.root) >> c.mantissa
    return k.astype(np.int32).astype(c.number)  # by int32, as AVX2 converts no int64


def _polynomial(x, coefficients):
    """Horner's rule, highest power first"""
    y, *rest = coefficients
    for c in rest:
        y = fma(y, x, c)
    return y


def _reduced(x):
    """k and expm1(r), with x = k ln 2 + r and abs(r) ≤ ½ ln 2 (Cody and Waite)"""
    c = _constants_for(x)
    k = np.rint(x * number_of(x)(1.4426950408889634))
    r = fma(-k, c.ln2_low, fma(-k, c.ln2_high, x))
    return k, fma(r * r, _polynomial(r, c.expm1), r)


def _exp(x):
    """2ᵏ (1 + expm1(r)), from exp_least to exp_most; 2ᵏ in two factors, as it may over- or underflow"""
    k, q = _reduced(x)
    half = np.floor(k * number_of(x)(0.5))
    power = _power_of_two(half)
    return fma(power, q, power) * _power_of_two(k - half)


def _expm1(x):
    """2 (2ᵏ⁻¹ expm1(r) + (2ᵏ⁻¹ - ½)), from expm1_least to exp_most; doubled last, as 2ᵏ may overflow"""
    number = number_of(x)
    k, q = _reduced(x)
    power = _power_of_two(k - number(1))
    y = fma(power, q, power - number(0.5))
    return y + y


def _log1p(x):
    """k ln 2 + log1p(f) with 1 + x = 2ᵏ (1 + f), for -1 < x < inf; log1p(f) by fdlibm's series in s"""
    c, number = _constants_for(x), number_of(x)
    k = _exponent(number(1) + x)
    scale = _power_of_two(number(2) - k)  # 4/2ᵏ: 1/2ᵏ may underflow
    f = number(0.25) * (x * scale + (scale - number(4)))  # from x, not from a rounded 1 + x
    s = f / (number(2) + f)
    z, h = s * s, number(0.5) * f * f
    return k * number(0.6931471805599453) + (f - (h - s * (h + z * _polynomial(z, c.log1p))))


# ------------------------------------------------------------------------------------- functions


@straight_line
def exp(x):
    """math: eˣ = 2ᵏ eʳ. Off by at most 1.0 ULP in float32, 1.1 in float64"""
    c = _constants_for(x)
    return _exp(np.minimum(np.maximum(x, c.exp_least), c.exp_most))


@straight_line
def expm1(x):
    """math: eˣ - 1 = 2ᵏ expm1(r) + 2ᵏ - 1. Off by at most 1.5 ULP in float32, 2.2 in float64"""
    c = _constants_for(x)
    return np.copysign(_expm1(np.minimum(np.maximum(x, c.expm1_least), c.exp_most)), x)


@straight_line
def log1p(x):
    """math: log(1 + x), NaN below -1. Off by at most 1.9 ULP in float32, 2.0 in float64"""
    c, number = _constants_for(x), number_of(x)
    y = np.copysign(_log1p(np.minimum(np.maximum(x, number(-1)), c.largest)), x)
    y = where(x < number(np.inf), y, x)
    return where(x > number(-1), y, where(x == number(-1), number(-np.inf), number(np.nan)))


@straight_line
def softplus(x):
    """math: log(1 + eˣ) = max(x, 0) + log1p(e^(-abs x)). Off by at most 2.2 ULP in float32, 2.5 in float64"""
    c, number = _constants_for(x), number_of(x)
    return np.maximum(x, number(0)) + _log1p(_exp(np.maximum(-abs(x), c.exp_least)))


@straight_line
def sigmoid(x):
    """math: 1/(1 + e⁻ˣ) = p - p s, with e = e^(-abs x), s = e/(1 + e) and p = e or 1: nothing overflows, and
    as s is at most ½ its error counts half. Off by at most 1.9 ULP in float32, 2.0 in float64
    """
    c, number = _constants_for(x), number_of(x)
    e = _exp(np.maximum(-abs(x), c.exp_least))
    s = e / (number(1) + e)
    p = where(x < number(0), e, number(1))
    return p - p * s


@straight_line
def tanh(x):
    """math: h/(h + 1) with h = ½ expm1(2 abs x), as h - h h/(h + 1) up to h = 1 and as 1 - 1/(h + 1) beyond.
    Off by at most 2.1 ULP in float32, 2.4 in float64
    """
    c, number = _constants_for(x), number_of(x)
    h = number(0.5) * _expm1(number(2) * np.minimum(abs(x), c.tanh_most))
    w = np.minimum(h, number(1))
    return np.copysign(w - w * (w / (h + number(1))), x)


@straight_line
def erf(x):
    """math: -expm1(-g) with g = -log(1 - erf(abs x)), a polynomial: one formula from 0 to saturation, where
    the error of g counts less and less. Off by at most 1.7 ULP in float32, 1.8 in float64
    """
    c = _constants_for(x)
    a = np.minimum(abs(x), c.erf_most)
    even, odd = _polynomial(a * a, c.erf[1::2]), _polynomial(a * a, c.erf[::2])
    return np.copysign(_expm1(-(a + a * (even + a * odd))), x)


@straight_line
def larger(x, y):
    """math: max(x, y), where a NaN in x stays: to Numba, max is a function to compile"""
    return np.maximum(x, y)
