"""The scalar functions: a few ULP from mpmath, right at the ends, and vectorised in the loop around them."""

import functools
import platform
import re

import mpmath
import numpy as np
import pytest
from numba import njit

from mlp_jit import _math
from mlp_jit._jit import FLAGS

DTYPES = (np.float32, np.float64)
INF, NAN = np.inf, np.nan

# The function in mpmath, and the ends between which its values are finite and not saturated, for each dtype.
FUNCTIONS = {
    "exp": (mpmath.exp, {np.float32: (-103.9, 88.72), np.float64: (-745.1, 709.78)}),
    "expm1": (mpmath.expm1, {np.float32: (-18, 88.72), np.float64: (-40, 709.78)}),
    "log1p": (mpmath.log1p, {np.float32: (-1 + 2**-24, 3.4e38), np.float64: (-1 + 2**-53, 1.7e308)}),
    "softplus": (
        lambda x: mpmath.log1p(mpmath.exp(x)),
        {np.float32: (-103.9, 200), np.float64: (-745.1, 1000)},
    ),
    "sigmoid": (
        lambda x: 1 / (1 + mpmath.exp(-x)),
        {np.float32: (-103.9, 20), np.float64: (-745.1, 40)},
    ),
    "tanh": (mpmath.tanh, {np.float32: (-10, 10), np.float64: (-20, 20)}),
    "erf": (mpmath.erf, {np.float32: (-4.2, 4.2), np.float64: (-6.2, 6.2)}),
}

# Measured maxima over far more numbers are in _math's table; these leave room for another order of rounding.
MOST_ULP = {"exp": 1.5, "expm1": 2.5, "log1p": 2.5, "softplus": 3, "sigmoid": 2.5, "tanh": 3, "erf": 2.5}

every_function = pytest.mark.parametrize("name", FUNCTIONS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@functools.cache
def loop_of(name):
    """The loop that calls the function, as an engine's would."""
    function = getattr(_math, name)

    @njit(**FLAGS)
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


def applied(name, x, dtype):
    x = np.asarray(x, dtype)
    out = np.empty_like(x)
    loop_of(name)(x, out)
    return out


@functools.cache
def sample(name, dtype):
    """A few thousand numbers: evenly spaced, dense where the reduction changes over, and of every size."""
    low, high = FUNCTIONS[name][1][dtype]
    info = np.finfo(dtype)
    x = [
        np.linspace(low, min(high, 1000), 701),
        np.linspace(max(low, -2.5), 2.5, 1201),
        np.linspace(max(low, -20), min(high, 20), 501),
        np.geomspace(info.smallest_subnormal, high, 501),
        -np.geomspace(info.smallest_subnormal, -low, 501),
    ]
    return np.unique(np.concatenate(x).astype(dtype))


@functools.cache
def truth(name, dtype):
    with mpmath.workprec(150):
        return [FUNCTIONS[name][0](mpmath.mpf(float(x))) for x in sample(name, dtype)]


def ulp(value, dtype):
    """The spacing of the dtype's numbers at a value of mpmath."""
    info = np.finfo(dtype)
    exponent = mpmath.frexp(value)[1] - 1 if value else info.minexp
    return mpmath.ldexp(1, max(int(exponent), info.minexp) - info.nmant)


@every_dtype
@every_function
def test_error_is_a_few_ulp(name, dtype):
    x, y = sample(name, dtype), applied(name, sample(name, dtype), dtype)
    errors = [
        float(abs(mpmath.mpf(float(got)) - true) / ulp(true, dtype))
        for got, true in zip(y, truth(name, dtype), strict=True)
    ]
    worst = int(np.argmax(errors))
    assert errors[worst] <= MOST_ULP[name], f"{errors[worst]:.2f} ULP at {x[worst]!r}"


SPECIAL = {
    "exp": [(-INF, 0), (-1e30, 0), (-0.0, 1), (0, 1), (1e30, INF), (INF, INF)],
    "expm1": [(-INF, -1), (-1e30, -1), (-0.0, -0.0), (0, 0), (1e30, INF), (INF, INF)],
    "log1p": [(-INF, NAN), (-1e30, NAN), (-1.5, NAN), (-1, -INF), (-0.0, -0.0), (0, 0), (INF, INF)],
    "softplus": [(-INF, 0), (-1e30, 0), (1e30, 1e30), (INF, INF)],
    "sigmoid": [(-INF, 0), (-1e30, 0), (-0.0, 0.5), (0, 0.5), (1e30, 1), (INF, 1)],
    "tanh": [(-INF, -1), (-1e30, -1), (-0.0, -0.0), (0, 0), (1e30, 1), (INF, 1)],
    "erf": [(-INF, -1), (-1e30, -1), (-0.0, -0.0), (0, 0), (1e30, 1), (INF, 1)],
}


@pytest.mark.python
@every_dtype
@every_function
def test_special_values(name, dtype):
    x, expected = np.array([*SPECIAL[name], (NAN, NAN)], dtype).T
    with np.errstate(over="ignore" if name in ("exp", "expm1") else "warn"):
        y = applied(name, x, dtype)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y[:-1]), np.signbit(expected[:-1]), err_msg="the sign of zero")


@pytest.mark.python
@every_dtype
@every_function
def test_a_handful_of_values(name, dtype):
    x = np.array([-0.75, -0.1, 1e-5, 0.3, 0.6, 1.25, 3.5], dtype)
    expected = [float(FUNCTIONS[name][0](mpmath.mpf(float(value)))) for value in x]
    np.testing.assert_allclose(applied(name, x, dtype), expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.python
@every_dtype
@every_function
def test_dtype_is_kept(name, dtype):
    function = getattr(_math, name)
    y = function(dtype(0.5))
    if hasattr(function.compiled, "nopython_signatures"):  # float32 comes back to Python as a float
        kept = {str(s.args[0].dtype): str(s.return_type) for s in function.compiled.nopython_signatures}
        assert kept[np.dtype(dtype).name] == np.dtype(dtype).name
    else:
        assert type(y) is dtype


@every_dtype
@pytest.mark.parametrize("name", ["exp", "expm1", "softplus", "sigmoid", "tanh", "erf"])
def test_monotone_to_saturation(name, dtype):
    """No step back on the way to the value at ±inf, which is reached and never passed."""
    low, high = FUNCTIONS[name][1][dtype]
    ends = [np.linspace(1.1 * low, 0.5 * low, 20_000)]
    if name in ("sigmoid", "tanh", "erf"):
        ends.append(np.linspace(0.4 * high, 1.1 * high, 20_000))
    for x in ends:
        y = applied(name, x, dtype)
        assert (np.diff(y) >= 0).all()
    bottom, top = applied(name, [-INF, INF], dtype)
    assert applied(name, [1.1 * low], dtype)[0] == bottom
    assert y.min() >= bottom
    assert y.max() == top if len(ends) == 2 else y.max() < top


@every_dtype
def test_exp_ends_where_the_dtype_does(dtype):
    info = np.finfo(dtype)
    largest, smallest = np.log(float(info.max)), np.log(float(info.tiny)) - info.nmant * np.log(2)
    eps = 4 * float(info.eps)
    y = applied("exp", [largest * (1 - eps), largest * (1 + eps), smallest + 0.3, smallest - 0.3], dtype)
    assert np.isfinite(y[0])
    assert y[1] == INF
    assert y[2] == y[3] == info.smallest_subnormal  # kept, not flushed
    assert applied("exp", [smallest - 1], dtype)[0] == 0


@every_dtype
@every_function
def test_same_bits_wherever_the_number_stands(name, dtype):
    """In the packed part of the loop or in its remainder: else a batch's split would change its results."""
    x = sample(name, dtype)[::29]
    together = applied(name, x, dtype)
    alone = [applied(name, x[i : i + 1], dtype)[0] for i in range(x.size)]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="reads x86-64 assembly")
@every_dtype
@every_function
def test_the_loop_around_it_is_vectorised(name, dtype):
    loop = loop_of(name)
    applied(name, [0.5], dtype)
    signature = next(s for s in loop.signatures if s[0].dtype.name == np.dtype(dtype).name)
    assembly = loop.inspect_asm(signature)
    packed = "ps" if dtype is np.float32 else "pd"
    products = re.findall(rf"\bv?(?:mul|fn?m(?:add|sub)\d+){packed}\b", assembly)
    assert len(products) >= 8, f"{len(products)} packed products"
    called = re.findall(r"\$(\w*(?:exp|log|tanh|erf|rint|floor|copysign)\w*)", assembly)
    assert [symbol for symbol in called if not symbol.startswith("_Z")] == [], "a call to libm"
