"""E6 against each optimizer's definition, written out here in NumPy from the papers, and against PyTorch."""

import copy

import numpy as np
import pytest
from problems import assert_close, problem, train_epoch

from mlp_jit import SGD, Adagrad, Adam, AdamW, Lion, NAdam, RMSprop, fit
from mlp_jit.engines import ENGINES
from mlp_jit.optimizers import BLOCK, COEFFICIENTS, OPTIMIZERS, coefficients, update

# --------------------------------------------------------------------------------------- the definitions
# Each takes θ, g, the step's number t from 1, η and a dictionary of what it remembers, and returns the new θ.


def sgd(theta, g, t, eta, memory, o):
    memory["v"] = o.momentum * memory.get("v", 0) - eta * g
    return theta + (o.momentum * memory["v"] - eta * g if o.nesterov else memory["v"])


def adam_moments(g, memory, o):
    memory["m"] = o.beta_1 * memory.get("m", 0) + (1 - o.beta_1) * g
    memory["v"] = o.beta_2 * memory.get("v", 0) + (1 - o.beta_2) * g**2
    return memory["m"], memory["v"]


def adam(theta, g, t, eta, memory, o):
    m, v = adam_moments(g, memory, o)
    return theta - eta * (m / (1 - o.beta_1**t)) / corrected_root(v, t, o)


def corrected_root(v, t, o):
    if o.epsilon_hat:  # the end of section 2 of the paper, divided by what it moves into the learning rate
        return (np.sqrt(v) + o.epsilon) / np.sqrt(1 - o.beta_2**t)
    return np.sqrt(v / (1 - o.beta_2**t)) + o.epsilon


def adamw(theta, g, t, eta, memory, o):
    return adam(theta, g, t, eta, memory, o) - eta * o.weight_decay * theta


def rmsprop(theta, g, t, eta, memory, o):
    memory["v"] = o.rho * memory.get("v", 0) + (1 - o.rho) * g**2
    return theta - eta * g / (np.sqrt(memory["v"]) + o.epsilon)


def adagrad(theta, g, t, eta, memory, o):
    memory["v"] = memory.get("v", 0) + g**2
    return theta - eta * g / (np.sqrt(memory["v"]) + o.epsilon)


def nadam(theta, g, t, eta, memory, o):
    def mu(t):
        return o.beta_1 * (1 - 0.96 ** (t * o.momentum_decay) / 2)

    m, v = adam_moments(g, memory, o)
    product = np.prod([mu(s) for s in range(1, t + 1)])
    m_bar = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
    return theta - eta * m_bar / corrected_root(v, t, o)


def lion(theta, g, t, eta, memory, o):
    m = memory.get("m", np.zeros_like(g))
    memory["m"] = o.beta_2 * m + (1 - o.beta_2) * g
    return theta - eta * (np.sign(o.beta_1 * m + (1 - o.beta_1) * g) + o.weight_decay * theta)


DEFINITIONS = {SGD: sgd, Adam: adam, AdamW: adamw, RMSprop: rmsprop, Adagrad: adagrad, NAdam: nadam, Lion: lion}
CASES = [
    *(kind() for kind in OPTIMIZERS.values()),
    SGD(0.9),
    SGD(0.8, nesterov=True),
    Adam(0.7, 0.9, 1e-3),
    Adam(0.7, 0.9, 1e-3, epsilon_hat=True),
    AdamW(0.7, 0.9, 1e-3, weight_decay=0.3),
    RMSprop(0.5, 1e-2),
    Adagrad(0.1),
    NAdam(0.7, 0.9, 1e-3, momentum_decay=0.1),
    NAdam(0.7, 0.9, 1e-3, momentum_decay=0.1, epsilon_hat=True),
    Lion(0.7, 0.8, weight_decay=0.3),
]
by_case = pytest.mark.parametrize("optimizer", CASES, ids=str)


def step(update, optimizer, theta, g, eta, t):
    """Step t of the optimizer, by the kernels that the engines call."""
    c = np.zeros(COEFFICIENTS, theta.dtype)
    coefficients(optimizer.code, optimizer.settings, optimizer.decoupled_decay, eta, t, c)
    update(optimizer.code, theta, g, optimizer.moments, c)


@by_case
@pytest.mark.python
@pytest.mark.bounds
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_is_the_definition(optimizer, dtype):
    """Five steps with gradients of many sizes."""
    optimizer = copy.deepcopy(optimizer)
    rng = np.random.default_rng(0)
    theta, gradients = rng.normal(size=12).astype(dtype), (rng.normal(size=(5, 12)) * 10.0 ** np.arange(-6, 6))
    expected, memory = theta.astype(np.float64), {}
    optimizer.start(theta)
    for t, g in enumerate(gradients.astype(dtype), start=1):
        eta = 0.1 / t
        step(update.serial, optimizer, theta, g, eta, t)
        expected = DEFINITIONS[type(optimizer)](expected, g.astype(np.float64), t, eta, memory, optimizer)
    np.testing.assert_allclose(theta, expected, rtol=1e-4 if dtype == "float32" else 1e-12)


@by_case
@pytest.mark.python
def test_an_engine_steps_by_the_definition(engine, optimizer):
    """One step, then two more, each from the gradient at the parameters that the definition has reached."""
    optimizer = copy.deepcopy(optimizer)
    network, X, y, weight = problem((3, 4, 2), activation="tanh", n=4)
    reference, memory = network.copy(), {}
    order = np.arange(4)
    for t, eta in enumerate((0.1, 0.05, 0.02), start=1):
        train_epoch(ENGINES[engine], network, X, y, weight, order, 4, optimizer, np.array([eta]))
        _, g = reference.gradient(X, y, sample_weight=weight, engine=engine)
        reference.params[:] = DEFINITIONS[type(optimizer)](reference.params, g, t, eta, memory, optimizer)
        assert_close(network.params, reference.params, ulps=1e5)
    assert optimizer.t == 3


@pytest.mark.parametrize("twin", [pytest.param("serial", marks=pytest.mark.bounds), "parallel"])
def test_every_block_of_parameters_is_updated(twin):
    size = 2 * BLOCK + 1
    theta, optimizer = np.zeros(size), SGD()
    optimizer.start(theta)
    gradient = np.arange(1.0, size + 1)
    step(getattr(update, twin), optimizer, theta, gradient, 1.0, 1)
    np.testing.assert_array_equal(theta, -gradient)


# --------------------------------------------------------------------------------------- Keras

# Where Keras' own tests have ten parameters of 1 after a gradient of 0.01 and then k gradients 0.1, 0.2, … 1.0; one
# number where all ten are alike. Its published figures, to four decimals.
GOLDEN = [
    (SGD(nesterov=True), 0.01, [
        0.9999,
        [0.9989, 0.9979, 0.9969, 0.9959, 0.9949, 0.9939, 0.9929, 0.9919, 0.9909, 0.9899],
        [0.9979, 0.9959, 0.9939, 0.9919, 0.9899, 0.9879, 0.9859, 0.9839, 0.9819, 0.9799],
        [0.9969, 0.9939, 0.9909, 0.9879, 0.9849, 0.9819, 0.9789, 0.9759, 0.9729, 0.9699],
        [0.9959, 0.9919, 0.9879, 0.9839, 0.9799, 0.9759, 0.9719, 0.9679, 0.9639, 0.9599],
    ]),
    (AdamW(epsilon=2.0, weight_decay=0.5, epsilon_hat=True), 1.0, [
        0.4998,
        [0.2486, 0.2475, 0.2463, 0.2451, 0.2440, 0.2428, 0.2417, 0.2405, 0.2394, 0.2382],
        [0.1223, 0.1198, 0.1174, 0.1149, 0.1124, 0.1100, 0.1075, 0.1051, 0.1027, 0.1003],
        [0.0586, 0.0549, 0.0512, 0.0475, 0.0439, 0.0402, 0.0366, 0.0330, 0.0294, 0.0258],
        [0.0263, 0.0215, 0.0167, 0.0120, 0.0073, 0.0026, -0.0021, -0.0067, -0.0113, -0.0159],
    ]),
    (NAdam(0.5, 0.67, 1e-5, momentum_decay=1.0), 0.5, [
        0.4281,
        [-0.1738, -0.1731, -0.1726, -0.1723, -0.1721, -0.1720, -0.1719, -0.1718, -0.1718, -0.1717],
        [-0.7115, -0.7103, -0.7096, -0.7092, -0.7090, -0.7088, -0.7086, -0.7085, -0.7085, -0.7084],
        [-1.2335, -1.2322, -1.2313, -1.2309, -1.2306, -1.2304, -1.2302, -1.2301, -1.2300, -1.2299],
        [-1.7492, -1.7478, -1.7469, -1.7464, -1.7461, -1.7459, -1.7457, -1.7456, -1.7455, -1.7454],
    ]),
    (Lion(0.9, 0.99), 0.001, [0.999, 0.998, 0.997, 0.996, 0.995]),
]  # fmt: skip


@pytest.mark.parametrize(("optimizer", "eta", "golden"), GOLDEN, ids=lambda value: type(value).__name__)
def test_the_trajectories_that_keras_publishes(optimizer, eta, golden):
    """Of its optimizers that define the same step: its Adam's figures are AMSGrad's, its RMSprop's are centred, its
    Adagrad's start from another sum of squares.
    """
    optimizer = copy.deepcopy(optimizer)
    theta = np.ones(10)
    optimizer.start(theta)
    for t, expected in enumerate(golden, start=1):
        g = np.full(10, 0.01) if t == 1 else np.arange(1, 11) / 10
        step(update.serial, optimizer, theta, g, eta, t)
        np.testing.assert_allclose(theta, np.broadcast_to(expected, 10), rtol=0, atol=6e-5)


# --------------------------------------------------------------------------------------- PyTorch

TORCH = {
    "SGD": [SGD(), SGD(0.9), SGD(0.9, nesterov=True)],
    "Adam": [Adam()],
    "AdamW": [AdamW(weight_decay=0.1)],
    "NAdam": [NAdam()],
    "RMSprop": [RMSprop(rho=0.99)],
    "Adagrad": [Adagrad()],
}


@pytest.fixture
def torch():
    """PyTorch, in float64 throughout: NAdam's running product would be float32."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


def torch_settings(o):
    """The same settings by PyTorch's names."""
    settings = {name: value for name, value in vars(o).items() if name in ("momentum", "nesterov", "weight_decay")}
    if isinstance(o, Adam):
        settings["betas"] = o.beta_1, o.beta_2
    if isinstance(o, RMSprop):
        settings["alpha"] = o.rho
    if isinstance(o, NAdam):
        settings["momentum_decay"] = o.momentum_decay
    if not isinstance(o, SGD):
        settings["eps"] = o.epsilon
    return settings


@pytest.mark.parametrize(
    ("name", "optimizer"), [(name, o) for name, optimizers in TORCH.items() for o in optimizers], ids=str
)
def test_twenty_steps_are_pytorchs(torch, engine, name, optimizer):
    """4-8-3 with cross-entropy, PyTorch's own gradients, every parameter after every step."""
    optimizer = copy.deepcopy(optimizer)
    network, X, y, weight = problem((4, 8, 3), activation="tanh", output="softmax", n=16)
    W_1, b_1, W_2, b_2 = theirs = [
        torch.tensor(part.copy(), requires_grad=True)
        for W, b in zip(network.weights, network.biases, strict=True)
        for part in (W, b)
    ]
    inputs, labels, shares = (torch.tensor(part.copy()) for part in (X, y, weight / weight.sum()))
    stepper = getattr(torch.optim, name)(theirs, lr=0.05, **torch_settings(optimizer))
    for t in range(20):
        train_epoch(ENGINES[engine], network, X, y, weight, np.arange(16), 16, optimizer, np.array([0.05]))
        stepper.zero_grad()
        z = torch.tanh(inputs @ W_1 + b_1) @ W_2 + b_2
        (-(labels * torch.log_softmax(z, dim=1)).sum(dim=1) * shares).sum().backward()
        stepper.step()
        flat = torch.cat([part.detach().reshape(-1) for part in theirs]).numpy()
        np.testing.assert_allclose(network.params, flat, rtol=1e-8, atol=1e-10, err_msg=f"step {t + 1}")


# --------------------------------------------------------------------------------------- the objects


def trained(engine, *fits):
    """The parameters after some fits, each (optimizer, epochs), of the same network on the same data."""
    network, X, y, _ = problem((3, 4, 2), n=12)
    for optimizer, epochs in fits:
        fit(network, X, y, optimizer=optimizer, epochs=epochs, batch_size=5, shuffle=False, engine=engine)
    return network.params


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "sgd"])
def test_an_object_keeps_its_moments_and_a_name_starts_afresh(engine, name):
    kind = OPTIMIZERS[name]
    kept = kind()
    at_once = trained(engine, (kind(), 4))
    in_two = trained(engine, (kept, 1), (kept, 3))
    np.testing.assert_array_equal(in_two, at_once)
    assert kept.t == 12
    afresh = trained(engine, (name, 1), (name, 3))
    np.testing.assert_array_equal(afresh, trained(engine, (kind(), 1), (kind(), 3)))
    assert (afresh != at_once).any()


def test_momentum_is_kept_too(engine):
    kept = SGD(0.9)
    np.testing.assert_array_equal(trained(engine, (kept, 1), (kept, 3)), trained(engine, (SGD(0.9), 4)))


@pytest.mark.python
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_another_network_starts_an_object_afresh(name):
    optimizer = OPTIMIZERS[name]()
    for size, dtype in ((5, "float64"), (5, "float32"), (4, "float32")):
        optimizer.start(np.zeros(size, dtype))
        assert optimizer.moments.shape[1] == size
        assert optimizer.moments.dtype == dtype
        assert optimizer.t == 0
        assert not optimizer.moments.any()
        optimizer.moments += 1
        optimizer.t = 3
        optimizer.start(np.ones(size, dtype))
        assert optimizer.t == 3
        assert optimizer.moments.all()


BAD = [
    *(
        (kind, name, value)
        for kind in (Adam, AdamW, NAdam, Lion)
        for name in ("beta_1", "beta_2")
        for value in (1, -0.1)
    ),
    *((kind, "epsilon", -1e-8) for kind in (Adam, AdamW, NAdam, RMSprop, Adagrad)),
    *((kind, "weight_decay", -0.1) for kind in (AdamW, Lion)),
    (SGD, "momentum", 1.1),
    (SGD, "momentum", -0.5),
    (RMSprop, "rho", 1),
    (NAdam, "momentum_decay", -1),
    *((kind, name, value) for kind, name in ((SGD, "momentum"), (Adam, "epsilon")) for value in (np.nan, np.inf)),
    (Adam, "beta_1", "0.9"),
    (Adam, "epsilon", None),
]


@pytest.mark.python
@pytest.mark.parametrize(("kind", "name", "value"), BAD)
def test_bad_settings_are_refused(kind, name, value):
    with pytest.raises((TypeError, ValueError), match=rf"{kind.__name__}\({name}\): expected .* got"):
        kind(**{name: value})


def test_a_setting_changed_between_fits_counts(engine):
    optimizer = SGD()
    optimizer.momentum = 0.9
    np.testing.assert_array_equal(trained(engine, (optimizer, 2)), trained(engine, (SGD(0.9), 2)))
    assert (trained(engine, (SGD(0.9), 2)) != trained(engine, (SGD(), 2))).any()
