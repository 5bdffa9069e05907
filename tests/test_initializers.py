"""The initial weights: their shape, their spread, and scikit-learn's own numbers."""

import functools

import numpy as np
import pytest

from mlp_jit import Network
from mlp_jit.activations import HIDDEN
from mlp_jit.initializers import INITIALIZERS, default_initializer, scikit_learn

pytestmark = pytest.mark.python

N_IN, N_OUT = 300, 200
VARIANCE = {
    "glorot_uniform": 2 / (N_IN + N_OUT),
    "glorot_normal": 2 / (N_IN + N_OUT),
    "he_uniform": 2 / N_IN,
    "he_normal": 2 / N_IN,
    "lecun_uniform": 1 / N_IN,
    "lecun_normal": 1 / N_IN,
    "orthogonal": 1 / N_IN,  # its columns have length 1
    "scikit_learn": 2 / (N_IN + N_OUT),
}
UNIFORM = [name for name in INITIALIZERS if "normal" not in name and name != "orthogonal"]


def drawn(name, n_in=N_IN, n_out=N_OUT, rng=None):
    """W as `name` draws it, without the b that some draw too."""
    W = INITIALIZERS[name](rng or np.random.default_rng(0), n_in, n_out)
    return W[0] if isinstance(W, tuple) else W


@pytest.mark.parametrize("name", INITIALIZERS)
def test_shape_mean_and_variance(name):
    W = drawn(name)
    assert W.shape == (N_IN, N_OUT)
    assert W.dtype == np.float64
    assert W.var() == pytest.approx(VARIANCE[name], rel=0.02)
    assert abs(W.mean()) < 4 * np.sqrt(VARIANCE[name] / W.size)


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_ones_fill_their_interval(name):
    bound = np.sqrt(3 * VARIANCE[name])  # the variance of ±bound is bound²/3
    W = drawn(name)
    assert 0.999 * bound < W.max() <= bound
    assert -bound <= W.min() < -0.999 * bound


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if "normal" in name])
def test_normal_ones_have_normal_tails(name):
    beyond = np.abs(drawn(name)) > 2 * np.sqrt(VARIANCE[name])
    assert beyond.mean() == pytest.approx(0.0455, abs=0.005)


@pytest.mark.parametrize(("n_in", "n_out"), [(7, 4), (4, 7), (5, 5), (1, 3)])
def test_orthogonal(n_in, n_out):
    W = drawn("orthogonal", n_in, n_out)
    products = W.T @ W if n_in >= n_out else W @ W.T
    np.testing.assert_allclose(products, np.eye(min(n_in, n_out)), atol=1e-14)


def test_orthogonal_favours_no_sign():
    rng = np.random.default_rng(0)
    corners = np.array([drawn("orthogonal", 3, 3, rng)[[0, 2], [0, 2]] for _ in range(400)])
    np.testing.assert_allclose((corners > 0).mean(axis=0), 0.5, atol=0.1)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize(("activation", "factor"), [("relu", 6.0), ("tanh", 6.0), ("logistic", 2.0)])
def test_scikit_learn_draws_its_own_numbers(activation, factor):
    """Its weights after one epoch of steps too small to change them."""
    neural_network = pytest.importorskip("sklearn.neural_network")
    X, y = np.zeros((4, 3)), np.arange(4.0)
    theirs = neural_network.MLPRegressor(
        hidden_layer_sizes=(5, 2), activation=activation, random_state=7, alpha=0,
        solver="sgd", learning_rate_init=1e-300, max_iter=1,
    ).fit(X, y)  # fmt: skip
    ours = Network(
        (3, 5, 2, 1),
        initializer=functools.partial(scikit_learn, factor=factor),
        dtype="float64",
        random_state=np.random.RandomState(7),
    )
    for parts, coefficients in ((ours.weights, theirs.coefs_), (ours.biases, theirs.intercepts_)):
        for part, expected in zip(parts, coefficients, strict=True):
            np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_network_takes_each_by_name(name):
    network = Network((4, 3, 2), initializer=name, dtype="float64", random_state=0)
    rng = np.random.default_rng(0)
    for W, b in zip(network.weights, network.biases, strict=True):
        expected = INITIALIZERS[name](rng, *W.shape)
        W_expected, b_expected = expected if isinstance(expected, tuple) else (expected, np.zeros_like(b))
        np.testing.assert_array_equal(W, W_expected)
        np.testing.assert_array_equal(b, b_expected)


@pytest.mark.parametrize("activation", HIDDEN)
def test_the_default_suits_the_activation(activation):
    """The first layer's is what its φ asks for, and that of the output, an identity, is Glorot's."""
    expected = {"relu": "he_uniform", "gelu": "he_uniform", "selu": "lecun_normal", "tanh": "glorot_uniform"}
    chosen = default_initializer(activation)
    assert chosen is INITIALIZERS[expected.get(activation, chosen.__name__)]
    network = Network((4, 3, 2), activation=activation, dtype="float64", random_state=0)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(network.weights[0], chosen(rng, 4, 3))
    np.testing.assert_array_equal(network.weights[1], INITIALIZERS["glorot_uniform"](rng, 3, 2))
