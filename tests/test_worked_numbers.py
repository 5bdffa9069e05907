"""Numbers that anyone can check with pencil and paper, against every engine. The sums stand in the tests."""

import math

import numpy as np
import pytest

from mlp_jit import Network, fit
from mlp_jit.activations import HIDDEN
from mlp_jit.engines import ENGINES

# Every engine; the loops engine once more as plain Python.
each_engine = pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.python if name == "loops" else ()) for name in ENGINES]
)

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
AND, OR, XOR = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0])


def network(sizes, *layers, **settings):
    """A float64 network with the given (W, b) in each layer."""
    net = Network(sizes, **{"dtype": "float64", **settings})
    for l, (W, b) in enumerate(layers):
        net.weights[l][...] = W
        net.biases[l][...] = b
    return net


def one_step_each_epoch(X):
    """Settings of `fit` for full batches in the order of the rows."""
    return {"optimizer": "sgd", "batch_size": len(X), "shuffle": False}


# ------------------------------------------------------------------------------------ one neuron


@pytest.mark.python
@pytest.mark.parametrize(
    ("x", "w", "b", "z", "a", "slope"),
    [
        ((1, 2), (0.5, -1), 0.2, 0.2 + 0.5 * 1 + -1 * 2, 0, 0),  # z = 0.2 + 0.5 − 2 = −1.3: off
        ((2, 1), (1, 2), -1, -1 + 1 * 2 + 2 * 1, 3, 1),  # z = −1 + 2 + 2 = 3: on
    ],
)
def test_a_relu_neuron(x, w, b, z, a, slope):
    assert z == pytest.approx({0: -1.3, 3: 3}[a])
    # A second neuron that hands the first one's a on, weight 1, so that its δ comes back times φ'.
    net = network([2, 1, 1], (np.reshape(w, (2, 1)), b), (1, 0), activation="relu")
    trace = net.trace([x], [10])
    assert trace.z[0][0, 0] == pytest.approx(z, abs=1e-15)
    assert trace.a[1][0, 0] == a
    assert trace.delta[1][0, 0] == 2 * (a - 10)
    assert trace.delta[0][0, 0] == slope * trace.delta[1][0, 0]


@each_engine
def test_the_slope_of_a_sigmoid_at_nine_tenths(engine):
    # φ' = a (1 − a) = 0.9 · 0.1 = 0.09; a = 0.9 where z = ln(0.9 / 0.1) = ln 9
    z = math.log(9)
    net = network([1, 1, 1], (z, 0), (1, 0), activation="sigmoid")
    _, gradient = net.gradient([[1]], [0], engine=engine)  # ∂w, ∂b, ∂w, ∂b, which with x = 1 is δ¹, δ¹, a δ², δ²
    assert net.forward([[1]], engine=engine)[0, 0] == pytest.approx(0.9, abs=1e-14)
    assert gradient[1] / gradient[3] == pytest.approx(0.09, abs=1e-14)
    assert gradient[0] == gradient[1]


@pytest.mark.parametrize(("phi", "largest"), [("sigmoid", 0.25), ("tanh", 1), ("relu", 1)])
def test_the_largest_slope(phi, largest):
    assert slopes(phi).max() == pytest.approx(largest, abs=1e-12)


def test_the_largest_slope_of_gelu():
    # φ(z) = z Φ(z), φ'(z) = Φ(z) + z N(z), φ''(z) = (2 − z²) N(z): the largest slope is at z = √2.
    z = math.sqrt(2)
    Phi = (1 + math.erf(z / math.sqrt(2))) / 2  # 0.92135
    N = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # 0.14676
    assert Phi + z * N == pytest.approx(1.129, abs=5e-4)
    assert slopes("gelu").max() == pytest.approx(Phi + z * N, abs=1e-6)


def slopes(phi):
    """φ' on a grid from −6 to 6 in steps of 0.001."""
    pair = HIDDEN[phi]
    return np.array([pair.slope(z, pair.phi(z)) for z in np.linspace(-6, 6, 12001)])


# ------------------------------------------------------------------------------------ forward


@each_engine
def test_spam(engine):
    x = (3, 1, 0.8)
    W1, b1 = [[0.5, -0.2], [0.8, 0.6], [-0.3, 0.4]], [0.1, -0.5]
    W2, b2 = [[0.7], [1.2]], [-0.3]
    z1 = (0.1 + 0.5 * 3 + 0.8 * 1 - 0.3 * 0.8, -0.5 - 0.2 * 3 + 0.6 * 1 + 0.4 * 0.8)
    assert z1 == pytest.approx((2.16, -0.18))
    a1 = (2.16, 0)
    z2 = -0.3 + 0.7 * 2.16 + 1.2 * 0
    assert z2 == pytest.approx(1.212)
    out = 1 / (1 + math.exp(-1.212))
    assert round(out, 3) == 0.771

    net = network([3, 2, 1], (W1, b1), (W2, b2), activation="relu", output="sigmoid")
    assert net.forward([x], engine=engine)[0, 0] == pytest.approx(out, abs=1e-15)
    trace = net.trace([x], [1])
    np.testing.assert_allclose(trace.z[0], [z1], rtol=0, atol=1e-15)
    np.testing.assert_allclose(trace.a[1], [a1], rtol=0, atol=1e-15)
    np.testing.assert_allclose(trace.z[1], [[z2]], rtol=0, atol=1e-15)
    np.testing.assert_allclose(trace.a[2], [[out]], rtol=0, atol=1e-15)
    assert trace.loss == pytest.approx(-math.log(out), abs=1e-15)


@each_engine
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_xor_set_by_hand(engine, dtype):
    # h_0 = ReLU(x_0 + x_1): 0 1 1 2     h_1 = ReLU(x_0 + x_1 − 1): 0 0 0 1     y = h_0 − 2 h_1: 0 1 1 2 − 2
    W1, b1, W2 = np.zeros((2, 8)), np.zeros(8), np.zeros((8, 1))
    W1[:, 0], W1[:, 1], b1[1] = 1, 1, -1
    W2[0], W2[1] = 1, -2
    net = network([2, 8, 1], (W1, b1), (W2, 0), activation="relu", dtype=dtype)
    np.testing.assert_array_equal(net.forward(CORNERS, engine=engine)[:, 0], [0, 1, 1, 2 - 2])
    assert net.loss(CORNERS, XOR, engine=engine) == 0


# ------------------------------------------------------------------------------------ one step


@each_engine
def test_study_hours(engine):
    x, y, eta = (2, 3), 10, 0.01
    net = network([2, 1], (0, 0), loss="squared_error")
    assert net.forward([x], engine=engine)[0, 0] == 0
    loss, gradient = net.gradient([x], [y], engine=engine)
    assert loss == (0 - 10) ** 2 == 100
    delta = 2 * (0 - 10)
    np.testing.assert_array_equal(gradient, [2 * delta, 3 * delta, delta])
    np.testing.assert_array_equal(gradient, [-40, -60, -20])

    history = fit(net, [x], [y], learning_rate=eta, epochs=1, engine=engine, **one_step_each_epoch([x]))
    assert history.loss == [100]  # ℓ before the step
    np.testing.assert_allclose(net.params, [0 + 0.01 * 40, 0 + 0.01 * 60, 0 + 0.01 * 20], rtol=1e-15)
    np.testing.assert_allclose(net.params, [0.4, 0.6, 0.2], rtol=1e-15)
    # ŷ = 0.2 + 0.4 · 2 + 0.6 · 3 = 0.2 + 0.8 + 1.8 = 2.8; ℓ = (2.8 − 10)² = 7.2² = 51.84
    assert net.forward([x], engine=engine)[0, 0] == pytest.approx(0.2 + 0.4 * 2 + 0.6 * 3, rel=1e-15)
    assert net.loss([x], [y], engine=engine) == pytest.approx(51.84, rel=1e-14)


# ------------------------------------------------------------------------------------ counts and shapes


@pytest.mark.python
def test_parameter_counts():
    net = Network([10, 20, 15, 1])
    layers = [10 * 20 + 20, 20 * 15 + 15, 15 * 1 + 1]
    assert layers == [220, 315, 16]
    assert net.n_params == sum(layers) == 551
    for line, count in zip(net.summary().splitlines()[2:], layers, strict=False):
        assert line.endswith(f"= {count}")
    assert "551 parameters" in net.summary()
    assert Network([3, 5, 2]).n_params == (3 * 5 + 5) + (5 * 2 + 2) == 32
    for H in (1, 2, 8, 100):
        assert Network([2, H, 1]).n_params == (2 * H + H) + (H + 1) == 4 * H + 1


@pytest.mark.python
def test_the_shape_ledger():
    net = Network([2, 8, 1], activation="relu", output="sigmoid", random_state=0)
    cells = [line.split("  ") for line in net.summary(32).splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in cells]
    assert cells[1] == ["X", "(32, 2)"]
    assert cells[2] == ["1", "(2, 8)", "(8,)", "(32, 8)", "(32, 8)", "relu", "16 + 8 = 24"]
    assert cells[3] == ["2", "(8, 1)", "(1,)", "(32, 1)", "(32, 1)", "sigmoid", "8 + 1 = 9"]

    trace = net.trace(np.ones((32, 2)), np.ones(32))
    assert [a.shape for a in trace.a] == [(32, 2), (32, 8), (32, 1)]  # X, a¹, ŷ
    assert [z.shape for z in trace.z] == [(32, 8), (32, 1)]
    assert [delta.shape for delta in trace.delta] == [(32, 8), (32, 1)]
    assert [W.shape for W in trace.weight_gradients] == [W.shape for W in net.weights] == [(2, 8), (8, 1)]
    assert [b.shape for b in trace.bias_gradients] == [b.shape for b in net.biases] == [(8,), (1,)]


# ------------------------------------------------------------------------------------ vanishing gradients


@each_engine
def test_ten_sigmoids_at_their_steepest(engine):
    # A chain of single units with w = 1 and b = −1/2: from x = 1/2 every z is 1/2 − 1/2 = 0, every a 1/2, every φ' 1/4.
    net = network([1] * 12, *[(1, -0.5)] * 11, activation="sigmoid")
    _, gradient = net.gradient([[0.5]], [1], engine=engine)
    delta = gradient[1::2]  # w, b, w, b, …: with one sample ∂L/∂b is δ
    np.testing.assert_array_equal(delta[:-1] / delta[1:], 1 / 4)
    assert delta[0] / delta[10] == (1 / 4) ** 10 == 1 / 1048576  # 9.5e-7


def test_sigmoid_layers_keep_at_most_a_quarter_each():
    # Orthogonal weights keep the length of δ through Σ_j w_ij δ_j, so φ' is all there is.
    X = np.random.default_rng(0).normal(size=(50, 16))
    net = network([16] * 12, activation="sigmoid", initializer="orthogonal", random_state=0)
    lengths = np.array([np.linalg.norm(delta) for delta in net.trace(X, np.ones((50, 16))).delta])
    ratios = lengths[:-1] / lengths[1:]
    assert np.all(ratios <= 1 / 4)
    assert np.all(ratios > 1 / 8)  # and not much less
    assert lengths[0] / lengths[-1] <= (1 / 4) ** 10


@pytest.mark.parametrize("seed", range(3))
def test_ten_layers_as_they_start(seed):
    X = np.random.default_rng(seed).normal(size=(50, 16))
    left = {}
    for phi in ("sigmoid", "relu"):
        delta = Network([16] * 12, activation=phi, dtype="float64", random_state=seed).trace(X, X).delta
        left[phi] = np.linalg.norm(delta[0]) / np.linalg.norm(delta[-1])
    assert left["sigmoid"] <= 1e-6
    assert left["relu"] >= 1e-2


# ------------------------------------------------------------------------------------ the quadrants


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", [0, 1, 4])
def test_quadrants(engine, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    net = Network(
        [2, 64, 64, 2],
        activation="relu",
        output="softmax",
        initializer=lambda rng, n_in, n_out: 0.1 * rng.normal(size=(n_in, n_out)),
        random_state=seed,
    )

    def accuracy_after_300_epochs(batch_size):
        settings = {"learning_rate": 0.01, "l2": 1e-4, "engine": engine, "random_state": seed}
        fit(net, X, y, optimizer="sgd", batch_size=batch_size, epochs=300, **settings)
        return np.mean(net.forward(X, engine=engine).argmax(axis=1) == y)

    assert 0.6 <= accuracy_after_300_epochs(400) <= 0.9  # 300 steps
    assert accuracy_after_300_epochs(64) >= 0.96  # 300 · 7 steps


# ------------------------------------------------------------------------------------ no hidden layer


@each_engine
@pytest.mark.parametrize("y", [AND, OR], ids=["AND", "OR"])
def test_the_perceptron_learns_what_a_line_can_part(engine, y):
    # Rosenblatt's rule by hand: only a mistake changes anything, and then w ← w + η (y − ŷ) x, b ← b + η (y − ŷ).
    w, b, eta = np.zeros(2), 0.0, 0.25  # a power of two: every sum is exact
    for _ in range(10):
        for x, wanted in zip(CORNERS, y, strict=True):
            guess = 1 if b + w @ x >= 0 else 0
            w, b = w + eta * (wanted - guess) * x, b + eta * (wanted - guess)

    net = network([2, 1], (0, 0), output="step")
    one_by_one = {"optimizer": "sgd", "batch_size": 1, "shuffle": False}
    history = fit(net, CORNERS, y, learning_rate=eta, epochs=10, engine=engine, **one_by_one)
    np.testing.assert_array_equal(net.params, [*w, b])
    np.testing.assert_array_equal(net.forward(CORNERS, engine=engine)[:, 0], y)
    assert history.loss[-1] == 0


@each_engine
def test_the_perceptron_cannot_learn_xor(engine):
    net = network([2, 1], (0, 0), output="step")
    one_by_one = {"optimizer": "sgd", "batch_size": 1}
    for epoch in range(50):
        fit(net, CORNERS, XOR, learning_rate=0.25, epochs=1, engine=engine, random_state=epoch, **one_by_one)
        assert np.any(net.forward(CORNERS, engine=engine)[:, 0] != XOR)
        # Why: z(0,0) + z(1,1) = (b) + (w_0 + w_1 + b) = (w_0 + b) + (w_1 + b) = z(1,0) + z(0,1), whatever w and b are,
        # and XOR wants the first sum below zero and the second one not.
        z = net.trace(CORNERS, XOR).z[0][:, 0]
        assert z[0] + z[3] == z[1] + z[2]


@pytest.mark.parametrize("engine", ENGINES)
def test_linear_regression_finds_least_squares(engine):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = X @ [1.5, -2.0, 0.5] + 3 + rng.normal(size=40)
    best = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y, rcond=None)[0]  # (w_0, w_1, w_2, b)

    net = Network([3, 1], output="identity", dtype="float64", random_state=0)
    fit(net, X, y, learning_rate=0.2, epochs=300, engine=engine, **one_step_each_epoch(X))
    np.testing.assert_allclose(net.params, best, rtol=0, atol=1e-12)
    residual = y - X @ best[:3] - best[3]
    assert net.loss(X, y, engine=engine) == pytest.approx(residual @ residual / 40, rel=1e-14)


@pytest.mark.parametrize("engine", ENGINES)
def test_logistic_regression_finds_the_odds(engine):
    # Of ten samples with x = 0 three are positive, of ten with x = 1 eight: the sample weights count them.
    X, y, counts = [[0], [0], [1], [1]], [0, 1, 0, 1], [7, 3, 2, 8]
    # The most likely ŷ is the share itself: σ(b) = 3/10 and σ(w + b) = 8/10, so b = ln(3/7) and w + b = ln(8/2).
    b, w = math.log(3 / 7), math.log(8 / 2) - math.log(3 / 7)

    net = Network([1, 1], output="sigmoid", dtype="float64", random_state=0)
    fit(net, X, y, sample_weight=counts, learning_rate=4, epochs=500, engine=engine, **one_step_each_epoch(X))
    np.testing.assert_allclose(net.params, [w, b], rtol=0, atol=1e-12)
    np.testing.assert_allclose(net.forward([[0], [1]], engine=engine)[:, 0], [0.3, 0.8], rtol=0, atol=1e-12)
    entropy = -(7 * math.log(0.7) + 3 * math.log(0.3) + 2 * math.log(0.2) + 8 * math.log(0.8)) / 20
    assert net.loss(X, y, sample_weight=counts, engine=engine) == pytest.approx(entropy, abs=1e-14)


@pytest.mark.parametrize("engine", ENGINES)
def test_softmax_regression_finds_the_shares(engine):
    # Ten samples with x = 0, of classes 0, 1, 2 in the shares 6, 3, 1; ten with x = 1 in the shares 2, 2, 6.
    X, y, counts = [[0], [0], [0], [1], [1], [1]], [0, 1, 2, 0, 1, 2], [6, 3, 1, 2, 2, 6]
    net = Network([1, 3], output="softmax", dtype="float64", random_state=0)
    fit(net, X, y, sample_weight=counts, learning_rate=4, epochs=1000, engine=engine, **one_step_each_epoch(X))
    shares = [[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]
    np.testing.assert_allclose(net.forward([[0], [1]], engine=engine), shares, rtol=0, atol=1e-12)
    # Only differences of z matter: z_0 − z_2 is ln(6/1) where x = 0, and ln(2/6) where x = 1.
    z = net.weights[0][0] * np.array([[0], [1]]) + net.biases[0]
    np.testing.assert_allclose(z[:, 0] - z[:, 2], [math.log(6 / 1), math.log(2 / 6)], rtol=0, atol=1e-11)
