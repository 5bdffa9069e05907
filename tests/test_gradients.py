"""The gradient is that of the reported loss: central differences over everything a network can be made of."""

import itertools

import numpy as np
import pytest
from problems import PAIRS, problem

from mlp_jit.activations import HIDDEN
from mlp_jit.engines import ENGINES

H = 1e-5
MARGIN = 1e-3  # the least distance of any z or residual from a kink; a step of H moves none of them that far
KINKS = {  # where φ' jumps, or φ''
    **dict.fromkeys(("relu", "leaky_relu", "elu", "selu"), (0,)),
    **dict.fromkeys(("hard_sigmoid", "hard_silu"), (-3, 3)),
    "hard_tanh": (-1, 1),
}
LOSS_KINKS = {"absolute_error": (0,), "quantile": (0,), "huber": (-1, 1)}  # in r = ŷ − y
DIFFERENTIABLE = [name for name in HIDDEN if name != "step"]


def distance_from_kinks(network, X, y):
    trace = network.trace(X, y)
    kinked = [(z, KINKS.get(phi, ())) for z, phi in zip(trace.z, network.activations, strict=False)]
    kinked.append((trace.a[-1] - y, LOSS_KINKS.get(network.loss_name, ())))
    kinked.append((trace.z[-1], (0,) if network.loss_name == "perceptron" else ()))
    return min((np.abs(values - kink).min() for values, kinks in kinked for kink in kinks), default=np.inf)


def smooth_problem(sizes, loss, **options):
    """The first of a row of random problems that lies away from every kink and has a slope (no ReLU need be alive)."""
    flat = loss == "cross_entropy" and sizes[-1] == 1  # ŷ is always 1
    for seed in range(200):
        network, X, y, weight = problem(sizes, seed=seed, loss=loss, **options)
        for W in network.weights[:-1]:
            W *= 2.5  # so that both sides of the kinks at ±3 are seen
        steep = np.abs(network.trace(X, y).delta[-1]).max() > 0.01
        if distance_from_kinks(network, X, y) > MARGIN and (steep or flat):
            return network, X, y, weight
    raise AssertionError("no problem without a kink nearby")


def central_differences(theta, loss):
    """∂L/∂θ_p = (L(θ_p + h) − L(θ_p − h)) / 2h, one parameter at a time."""
    slopes = np.empty_like(theta)
    for p, before in enumerate(theta.tolist()):
        theta[p] = before + H
        above = loss()
        theta[p] = before - H
        slopes[p] = (above - loss()) / (2 * H)
        theta[p] = before
    return slopes


def assert_gradient(engine, network, X, y, weight, l2=0.0):
    engine = ENGINES[engine]
    loss, gradient = engine.gradient(network, X, y, weight, l2=l2)
    squares = sum(float((W * W).sum()) for W in network.weights)
    assert loss == pytest.approx(engine.evaluate(network, X, y, weight)[0] + l2 / 2 * squares, rel=1e-12, abs=1e-14)
    numeric = central_differences(network.params, lambda: engine.gradient(network, X, y, weight, l2=l2)[0])
    if network.loss_name == "cross_entropy" and network.sizes[-1] == 1 and l2 == 0:
        # The softmax of one output is 1 whatever z is.
        np.testing.assert_array_equal(gradient, 0)
        np.testing.assert_array_equal(numeric, 0)
        return
    error = np.linalg.norm(gradient - numeric) / np.linalg.norm(numeric)
    assert error <= 1e-6, f"{network}, {len(X)} samples: relative error {error:.1e}"


@pytest.mark.parametrize(("loss", "output"), PAIRS)
@pytest.mark.parametrize("activation", DIFFERENTIABLE)
def test_central_differences(engine, activation, loss, output):
    for hidden, outputs, n in itertools.product([(3,), (3, 2)], (1, 3), (1, 5)):
        assert_gradient(engine, *smooth_problem((2, *hidden, outputs), loss, activation=activation, output=output, n=n))


@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_central_differences_without_hidden_layers(engine, loss, output):
    for outputs, n in itertools.product((1, 3), (1, 5)):
        assert_gradient(engine, *smooth_problem((2, outputs), loss, output=output, n=n))


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("weight", [(1, 1, 1, 1), (0.2, 0, 3, 1)])
def test_central_differences_with_l2_and_weights(engine, weight, l2):
    network, X, y, _ = problem((3, 4, 4, 2), activation=("tanh", "gelu"), n=4)
    assert_gradient(engine, network, *network.check(X, y, weight), l2=l2)


def test_weights_count_samples(engine):
    """A sample of weight 3 is three samples, and one of weight 0 none."""
    network, X, y, _ = problem((3, 4, 2), n=3)
    thrice = np.repeat(np.arange(3), (1, 3, 0))
    weighted = network.gradient(X, y, sample_weight=[1, 3, 0], engine=engine)
    counted = network.gradient(X[thrice], y[thrice], engine=engine)
    assert weighted[0] == pytest.approx(counted[0], rel=1e-14)
    np.testing.assert_allclose(weighted[1], counted[1], rtol=1e-12, atol=1e-15)


def test_nothing_is_learnt_through_a_step(engine):
    network, X, y, _ = problem((3, 4, 2), activation="step")
    _, gradient = network.gradient(X, y, engine=engine)
    first_layer = 3 * 4 + 4
    assert not gradient[:first_layer].any()
    assert gradient[first_layer:].all()
