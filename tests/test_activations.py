"""φ and φ': the kernels and the NumPy layers against the oracle's one-liners, for everything in the registries."""

import math

import numpy as np
import oracle
import pytest
from problems import problem

from mlp_jit import Network
from mlp_jit.activations import HIDDEN, OUTPUTS, activate, scale_by_slope
from mlp_jit.engines.vectorized import layers

POINTWISE = {name: phi for name, phi in (HIDDEN | OUTPUTS).items() if phi.phi is not None}
GRID = np.concatenate([np.linspace(-8, 8, 641), np.random.default_rng(0).uniform(-8, 8, 60)])  # every kink lies on it
LARGEST_SLOPE = {
    "sigmoid": 0.25,
    "tanh": 1,
    "relu": 1,
    "gelu": 0.5 * (1 + math.erf(1)) + math.sqrt(2) * math.exp(-1) / math.sqrt(2 * math.pi),  # at z = √2: 1.1289
}
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}
by_name = pytest.mark.parametrize("name", POINTWISE)
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def kernels(name, z):
    """φ(z) and φ'(z) as the compiled loops have them. Only hidden layers have a kernel for the slopes of a row."""
    entry, z = POINTWISE[name], z.reshape(1, -1)
    a, slope = np.full_like(z, 9), np.ones_like(z)
    activate(entry.code, z, a, 0)
    if name in HIDDEN:
        scale_by_slope(entry.code, z, a, slope, 0)
    else:
        slope[0] = [entry.slope(*pair) for pair in zip(z[0], a[0], strict=True)]
    return a[0], slope[0]


@by_name
@by_dtype
@pytest.mark.python
@pytest.mark.bounds
def test_kernels_are_the_oracle(name, dtype):
    z = GRID[::10].astype(dtype)
    phi, slope = oracle.PHI[name]
    computed = kernels(name, z)
    for values, expected in zip(computed, ([f(x) for x in z.tolist()] for f in (phi, slope)), strict=True):
        np.testing.assert_allclose(values, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@by_name
def test_slope_is_the_numerical_derivative(name):
    h = 1e-5
    z = GRID[np.abs((GRID + 0.5) % 1 - 0.5) > 2 * h]  # kinks are at whole numbers
    numeric = (kernels(name, z + h)[0] - kernels(name, z - h)[0]) / (2 * h)
    scale = np.maximum(1, np.abs(numeric))
    np.testing.assert_allclose(kernels(name, z)[1] / scale, numeric / scale, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("name", "largest"), LARGEST_SLOPE.items())
def test_largest_slope(name, largest):
    _, slope = kernels(name, np.linspace(-10, 10, 1_000_001))
    assert slope.max() == pytest.approx(largest, rel=1e-9)


@by_name
@pytest.mark.python
def test_registry_has_the_pair_of_its_code(name):
    """`Activation.phi` and `.slope` are what the code stands for, and keep the type of z."""
    entry = POINTWISE[name]
    for dtype in (np.float32, np.float64):
        z = GRID[::40].astype(dtype)
        a, slope = kernels(name, z)
        np.testing.assert_allclose([entry.phi(x) for x in z], a, rtol=TOLERANCE[dtype.__name__])
        slopes = [entry.slope(x, y) for x, y in zip(z, a, strict=True)]
        np.testing.assert_allclose(slopes, slope, rtol=TOLERANCE[dtype.__name__])


def test_codes_are_unique():
    entries = {entry.name: entry.code for entry in (HIDDEN | OUTPUTS).values()}
    assert len(set(entries.values())) == len(entries)
    assert all(name == entry.name for name, entry in (HIDDEN | OUTPUTS).items())


@by_name
def test_float32_stays_float32(name):
    """A stray float64 constant would make the compiled scalar return float64."""
    entry = POINTWISE[name]
    z = np.float32(0.5)
    entry.phi(z), entry.slope(z, z)
    for function in (entry.phi, entry.slope):
        returned = [s.return_type for s in function.compiled.nopython_signatures if str(s.args[0].dtype) == "float32"]
        assert [str(kind) for kind in returned] == ["float32"]


@by_name
@by_dtype
def test_layers_equal_kernels(name, dtype):
    """Forward and backward, at the kinks too, and without a look at anything but the dtype given."""
    z = GRID.astype(dtype)
    a, slope = kernels(name, z)
    layer, delta = layers.LAYERS[name](), np.full((1, z.size), 3, dtype)
    forward = layer.forward(z.reshape(1, -1).copy())
    backward = layer.backward(delta)
    assert forward.dtype == backward.dtype == dtype
    # NumPy's tanh(z/2) route to σ is exact to a rounding of 1, not of σ itself
    np.testing.assert_allclose(forward[0], a, rtol=TOLERANCE[dtype], atol=8 * TOLERANCE[dtype])
    np.testing.assert_allclose(backward[0], 3 * slope, rtol=TOLERANCE[dtype], atol=8 * TOLERANCE[dtype])


def test_every_activation_has_a_layer():
    assert layers.LAYERS.keys() == HIDDEN.keys() | OUTPUTS.keys()


@by_dtype
@pytest.mark.python
def test_softmax(engine, dtype):
    """Rows that sum to one, in the ratios of e^z, whatever is added to all of z; and no overflow."""
    network = Network((3, 3), output="softmax", dtype=dtype)
    network.weights[0][...] = np.eye(3)
    z = np.array([[0, math.log(2), math.log(5)], [1000, 1000 + math.log(2), 1000 + math.log(5)]])
    np.testing.assert_allclose(network.forward(z, engine=engine), [[1 / 8, 2 / 8, 5 / 8]] * 2, rtol=1e-4)
    np.testing.assert_allclose(network.forward(z[:1], engine=engine), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-6)
    extreme = network.forward([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], engine=engine)
    np.testing.assert_allclose(extreme, [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)


@by_dtype
@pytest.mark.python
@pytest.mark.parametrize("name", [name for name in HIDDEN if name != "step"])
def test_nan_passes_through(engine, name, dtype):
    """One NaN among the inputs: that sample's outputs are NaN, and the others' are as before."""
    network, X, *_ = problem((3, 4, 2), activation=name, dtype=dtype, n=3)
    clean = network.forward(X, engine=engine)
    X = X.copy()
    X[1, 2] = np.nan
    outputs = network.forward(X, engine=engine)
    assert np.isnan(outputs[1]).all()
    np.testing.assert_array_equal(outputs[[0, 2]], clean[[0, 2]])


@pytest.mark.python
@pytest.mark.parametrize("name", [name for name in POINTWISE if name != "step"])
def test_kernels_keep_nan(name):
    a, _ = kernels(name, np.array([np.nan, 0.5]))
    assert np.isnan(a).tolist() == [True, False]
