"""ℓ and δ_k = ∂ℓ/∂z_k by hand, where they are least, far from zero, and what is refused."""

import math

import numpy as np
import pytest
from problems import PAIRS

from mlp_jit import Network, huber, quantile
from mlp_jit.losses import DEFAULT_LOSS, LOSSES

LN_2, LN_3 = math.log(2), math.log(3)
CASES = [  # loss, output, z, y, ℓ, δ
    ("squared_error", "identity", [3], [1], 4, [4]),
    ("squared_error", "identity", [3, 0], [1, 1], 4 + 1, [4, -2]),  # summed over the outputs
    ("squared_error", "sigmoid", [0], [1], 1 / 4, [2 * (-1 / 2) / 4]),  # σ(0) = ½, σ'(0) = ¼
    ("squared_error", "exp", [LN_2], [5], 9, [2 * (2 - 5) * 2]),  # e^z = φ' = 2
    ("half_squared_error", "identity", [3, 0], [1, 1], 2 + 1 / 2, [2, -1]),
    ("absolute_error", "identity", [3, 0, 1], [1, 5, 1], 2 + 5, [1, -1, 0]),
    (huber(), "identity", [3, 0.5, -3], [1, 0, -1], 1.5 + 0.125 + 1.5, [1, 0.5, -1]),
    (huber(3), "identity", [3, -3], [1, 1], 2 + 3 * (4 - 1.5), [2, -3]),
    (quantile(), "identity", [3, 0, 1], [1, 5, 1], 1 + 2.5, [0.5, -0.5, 0]),
    (quantile(0.9), "identity", [3, 1], [1, 3], 0.1 * 2 + 0.9 * 2, [0.1, -0.9]),
    (quantile((0.9, 0.1)), "identity", [1, 1], [3, 3], 0.9 * 2 + 0.1 * 2, [-0.9, -0.1]),
    ("poisson", "exp", [0, LN_3], [2, 1], 1 + (3 - LN_3), [-1, 2]),
    ("binary_cross_entropy", "sigmoid", [0, LN_3], [1, 0], LN_2 + math.log(4), [-1 / 2, 3 / 4]),  # σ(ln 3) = ¾
    ("binary_cross_entropy", "sigmoid", [LN_3], [0.25], math.log(4) - LN_3 / 4, [3 / 4 - 1 / 4]),
    ("cross_entropy", "softmax", [0, LN_3], [1, 0], math.log(4), [1 / 4 - 1, 3 / 4]),
    ("cross_entropy", "softmax", [5, 5], [0.25, 0.75], LN_2, [1 / 4, -1 / 4]),
    ("cross_entropy", "softmax", [7], [1], 0, [0]),
    ("perceptron", "step", [-2, 2, 2, -2], [1, 1, 0, 0], 2 + 0 + 2 + 0, [-1, 0, 1, 0]),
    ("perceptron", "step", [0, 0], [0, 1], 0, [1, 0]),  # step(0) = 1
]
OUTSIDE = [(loss.name, output) for loss in LOSSES.values() for output in DEFAULT_LOSS if output not in loss.outputs]


def at_z(loss, output, size, dtype="float64"):
    """A network whose z is its input: no hidden layer, W = 1, b = 0. One sample's ∂L/∂b is then δ."""
    network = Network((size, size), output=output, loss=loss, dtype=dtype)
    network.weights[0][...] = np.eye(size)
    return network


@pytest.mark.python
@pytest.mark.parametrize(("loss", "output", "z", "y", "ell", "delta"), CASES)
def test_values_by_hand(engine, loss, output, z, y, ell, delta):
    network = at_z(loss, output, len(z))
    computed, gradient = network.gradient([z], [y], engine=engine)
    assert computed == pytest.approx(ell, rel=1e-14, abs=1e-15)
    assert network.loss([z], [y], engine=engine) == computed
    assert gradient[-len(z) :].tolist() == pytest.approx(delta, rel=1e-14, abs=1e-15)


def test_every_loss_has_a_value_by_hand():
    assert {getattr(loss, "name", loss) for loss, *_ in CASES} == set(LOSSES)


@pytest.mark.python
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_quantile_is_least_at_the_quantile(engine, level):
    """Of all constants, the one that a network of one bias ends up with."""
    y = np.random.default_rng(0).normal(size=(51, 1))
    network = Network((1, 1), loss=quantile(level), dtype="float64")
    X, losses = np.zeros_like(y), []
    for constant in y[:, 0]:
        network.biases[0][:] = constant
        losses.append(network.loss(X, y, engine=engine))
    assert y[np.argmin(losses), 0] == np.quantile(y, level)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "output", "z", "y", "ell", "delta"),
    [
        ("binary_cross_entropy", "sigmoid", [1e4, -1e4, 1e4, -1e4], [1, 0, 0, 1], 2e4, [0, 0, 1, -1]),
        ("cross_entropy", "softmax", [1e4, -1e4], [1, 0], 0, [0, 0]),
        ("cross_entropy", "softmax", [-1e4, 1e4], [1, 0], 2e4, [-1, 1]),
        ("poisson", "exp", [-1e4], [3], 3e4, [-3]),
        ("perceptron", "step", [1e4, -1e4], [0, 1], 2e4, [1, -1]),
    ],
)
def test_far_from_zero(engine, dtype, loss, output, z, y, ell, delta):
    """Where e^z overflows or ŷ rounds to 0 or 1, these losses are still exact, for they are computed from z."""
    network = at_z(loss, output, len(z), dtype)
    computed, gradient = network.gradient([z], [y], engine=engine)
    assert computed == pytest.approx(ell, rel=1e-6, abs=1e-6)
    assert network.loss([z], [y], engine=engine) == computed
    assert gradient[-len(z) :].tolist() == pytest.approx(delta, abs=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.python
@pytest.mark.parametrize(("loss", "output"), OUTSIDE)
def test_a_loss_of_another_output_is_refused(loss, output):
    with pytest.raises(ValueError, match=f"loss: expected one of .*{DEFAULT_LOSS[output]}.*{output}.*got .*{loss}"):
        Network((2, 1), output=output, loss=loss)


@pytest.mark.python
def test_defaults_pair_with_their_outputs():
    assert {(loss, output) for output, loss in DEFAULT_LOSS.items()} <= set(PAIRS)
    for output, loss in DEFAULT_LOSS.items():
        assert Network((2, 1), output=output).loss_name == loss


@pytest.mark.python
@pytest.mark.parametrize("delta", [0, -1, np.nan, np.inf])
def test_huber_refuses(delta):
    with pytest.raises(ValueError, match=r"huber: expected .*delta.* got"):
        huber(delta)


@pytest.mark.python
@pytest.mark.parametrize("level", [0, 1, -0.1, np.nan, (0.5, 1)])
def test_quantile_refuses(level):
    with pytest.raises(ValueError, match=r"quantile: expected .*between 0 and 1.* got"):
        quantile(level)


@pytest.mark.python
def test_levels_for_another_number_of_outputs_are_refused():
    with pytest.raises(ValueError, match="loss 'quantile': expected 1 parameter or one for each of 3 outputs, got 2"):
        Network((2, 3), loss=quantile((0.1, 0.9)))


@pytest.mark.python
def test_unknown_loss_is_refused():
    with pytest.raises(ValueError, match=r"loss: expected one of squared_error, .*got 'hinge'"):
        Network((2, 1), loss="hinge")
