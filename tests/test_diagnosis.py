"""diagnose finds each of the faults planted here, and none in networks that learn."""

import numpy as np
import pytest

from mlp_jit import SGD, Adam, Network, fit
from mlp_jit.engines.layout import SKIPS
from mlp_jit.study import diagnose, layer_checks, training_checks, trials
from mlp_jit.study.trials import Yardstick

CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]]


def moons(seed=0, n=300):
    """Two half circles that reach into each other."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    angle = np.pi * (rng.uniform(size=n) + y)
    X = np.column_stack([np.cos(angle) + y, np.sin(angle) + 0.5 * y]) + rng.normal(0, 0.15, (n, 2))
    return X - X.mean(axis=0), y


def circles(seed=0, n=300):
    """A circle around another."""
    rng = np.random.default_rng(seed)
    y, angle = rng.integers(0, 2, n), rng.uniform(0, 2 * np.pi, n)
    radius = np.where(y == 1, 0.5, 1.0)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]) + rng.normal(0, 0.08, (n, 2)), y


def small(seed=0, **options):
    return Network([2, 16, 1], output="sigmoid", random_state=seed, **options)


def unscaled(X, y, seed):
    return diagnose(small(seed), X * [1000, 1], y, learning_rate=0.01)


def shuffled_labels(X, y, seed):
    return diagnose(small(seed), X, np.random.default_rng(seed).permutation(y), learning_rate=0.01)


def dead_relus(X, y, seed):
    network = small(seed)
    network.biases[0][:] = -20
    return diagnose(network, X, y, learning_rate=0.01)


def tower(seed=0, **options):
    """Twenty hidden layers."""
    return Network([2, *[16] * 20, 1], activation="sigmoid", output="sigmoid", random_state=seed, **options)


def vanishing_stack(X, y, seed):
    network = Network([2, *[16] * 10, 1], activation="sigmoid", output="sigmoid", random_state=seed)
    return diagnose(network, X, y, learning_rate=0.01)


def vanishing_tower(X, y, seed):
    return diagnose(tower(seed), X, y, learning_rate=0.01)


def saturated(X, y, seed):
    network = Network([2, 16, 1], activation="sigmoid", output="sigmoid", random_state=seed)
    network.biases[0][:] = 20
    return diagnose(network, X, y, learning_rate=0.01)


def rate_too_high(X, y, seed):
    return diagnose(small(seed), X, y, optimizer="sgd", learning_rate=100)


def rate_too_low(X, y, seed):
    return diagnose(small(seed), X, y, learning_rate=1e-6)


def too_small(X, y, seed):
    network = Network([2, 2, 1], activation="tanh", output="sigmoid", random_state=seed)
    return diagnose(network, *circles(seed), learning_rate=0.01)


def constant_feature(X, y, seed):
    return diagnose(small(seed), np.column_stack([X[:, 0], np.full(len(X), 0.5)]), y, learning_rate=0.01)


def one_class(X, y, seed):
    return diagnose(small(seed), X, np.ones(len(X)), learning_rate=0.01)


def not_a_number(X, y, seed):
    X = X.copy()
    X[7, 1] = np.nan
    return diagnose(small(seed), X, y, learning_rate=0.01)


def alike(activation, value, sizes=(2, 16, 1), **options):
    """All weights are one number."""
    network = Network(sizes, activation=activation, output="sigmoid", random_state=0, **options)
    for W in network.weights:
        W[...] = value
    return network


def twins():
    """A healthy network, but for one unit that equals another."""
    network = small()
    network.weights[0][:, 3], network.weights[1][3] = network.weights[0][:, 9], network.weights[1][9]
    return network


FAULTS = {  # the plant: the check that must find it, and a word of its remedy
    unscaled: ("input scale", "Standardise"),
    shuffled_labels: ("labels and inputs", "shuffled"),
    dead_relus: ("idle units", "leaky_relu"),
    vanishing_stack: ("gradient norms", "ReLU"),
    vanishing_tower: ("gradient norms", "normalization='batch', skip=True"),
    saturated: ("idle units", "normalization='batch'"),
    rate_too_high: ("learning rate", "too high"),
    rate_too_low: ("learning rate", "too low"),
    too_small: ("capacity", "widen"),
    constant_feature: ("constant features", "Drop"),
    one_class: ("targets", "nothing to tell apart"),
    not_a_number: ("finite numbers", "drop"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault):
    check, remedy = FAULTS[fault]
    diagnosis = fault(*moons(), seed=0)
    found = {finding.check: finding for finding in diagnosis.findings}
    assert check in found, str(diagnosis)
    assert remedy in found[check].remedy
    assert np.isfinite(found[check].number)
    assert not diagnosis.ok
    text = str(diagnosis)
    assert found[check].text in text
    assert found[check].remedy in text


@pytest.mark.parametrize(
    ("network", "copies", "words"),
    [
        (alike("tanh", 0.5), 15, "16 units of layer 1"),
        (alike("sigmoid", 1), 15, "16 units of layer 1"),
        (alike("relu", 0.1), 15, "16 units of layer 1"),
        (alike("tanh", 0.5, (2, 4, 6, 1), normalization="batch"), 5, "6 units of layer 2"),
        (alike("tanh", 0.5, (2, 6, 6, 1), skip=True), 5, "6 units of layer 1"),
        (twins(), 1, "16 units of layer 1"),
        (alike("tanh", 0), 16, "All weights are 0"),
        (alike("sigmoid", 0), 16, "All weights are 0"),
        (alike("relu", 0), 16, "All weights are 0"),
    ],
)
def test_units_that_are_alike(network, copies, words, monkeypatch):
    monkeypatch.setattr(trials, "STEPS", 100)
    found = {finding.check: finding for finding in diagnose(network, *moons(), learning_rate=0.01).findings}
    assert found["equal units"].number == copies
    assert words in found["equal units"].text
    assert "at random" in found["equal units"].remedy
    assert not {"gradient norms", "idle units"} & set(found)  # they would blame something else


@pytest.mark.parametrize(
    ("part", "sizes", "options"),
    [
        ("in", (2, 6, 1), {}),
        ("out", (2, 6, 1), {}),
        ("bias", (2, 6, 1), {}),
        ("in", (2, 6, 6, 1), {"skip": True}),  # the second layer's are alike, and yet linked to units that are not
    ],
)
def test_units_that_training_tells_apart_are_not_alike(part, sizes, options):
    network = alike("tanh", 0.5, sizes, **options)
    parts = {"in": network.weights[0][0], "out": network.weights[1][:, 0], "bias": network.biases[0]}
    parts[part][:] = range(6)
    finding = next(layer_checks.layers(network, network.trace(*moons()), False))
    assert (finding.check, finding.level) == ("equal units", "ok")


def test_a_network_that_has_learnt_may_have_copies():
    network, (X, y) = twins(), moons()
    finding = next(layer_checks.layers(network, network.trace(X, y), True))
    assert (finding.check, finding.level) == ("equal units", "note")


@pytest.mark.parametrize(("n", "odd", "faulty"), [(600, 2, True), (600, 1, True), (60, 2, False)])
def test_next_to_all_targets_are_alike(n, odd, faulty, monkeypatch):
    monkeypatch.setattr(trials, "STEPS", 100)
    X, y = np.random.default_rng(0).normal(size=(n, 2)), np.zeros(n)
    y[7 : 7 + odd] = 1
    for network in (
        small(),
        Network([2, 4, 3], output="softmax"),
        Network([2, 4, 1]),
        Network([2, 4, 1], output="exp"),
    ):
        checks = {check.check: check for check in diagnose(network, X, y.astype(int)).checks}
        assert (checks["targets"].level == "fault") == faulty
        for name in ("labels and inputs", "capacity"):
            assert (checks[name].level, checks[name].number) == ("skipped", odd)
            assert f"All but {odd} of {n} samples" in checks[name].text
        if faulty:
            assert f"All but {odd} of {n} samples" in checks["targets"].text
            assert "Collect more" in checks["targets"].remedy


def test_each_fold_has_its_share_of_a_rare_class(monkeypatch):
    monkeypatch.setattr(trials, "STEPS", 100)
    X, y = np.random.default_rng(0).normal(size=(600, 2)), np.zeros(600)
    y[:3] = 1
    checks = {check.check: check for check in diagnose(small(), X, y).checks}
    assert checks["labels and inputs"].level != "skipped"
    assert "rarest with 0.5 %" in checks["targets"].text


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity", "exp"])
def test_one_target_for_all(output, value):
    X, network = moons(n=2500)[0], Network([2, 4, 3 if output == "softmax" else 1], output=output)
    diagnosis = diagnose(network, X, np.full(2500, value))
    (finding,) = diagnosis.findings
    assert (finding.check, finding.level) == ("targets", "fault")
    assert "All 2000 samples looked at" in finding.text
    assert "nothing to tell apart" in finding.remedy


def healthy():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    line, wave = X[:, 0] - 2 * X[:, 1], np.sin(3 * X[:, :1])
    yield "moons", *moons(), small(), {}
    yield "moons, SGD", *moons(1), Network([2, 32, 2], activation="tanh", output="softmax", random_state=1), {
        "optimizer": SGD(momentum=0.9), "learning_rate": 0.05, "batch_size": 32,
    }  # fmt: skip
    yield "circles", *circles(), Network([2, 32, 32, 1], output="sigmoid", random_state=2), {}
    yield "quadrants", X, X[:, 0] * X[:, 1] > 0, Network([2, 64, 64, 1], output="sigmoid", random_state=3), {}
    yield "XOR", CORNERS, [0, 1, 1, 0], Network([2, 4, 1], activation="tanh", output="sigmoid", random_state=0), {
        "optimizer": "sgd", "learning_rate": 1.0,
    }  # fmt: skip
    yield "a line", X, line + rng.normal(size=300), Network([2, 1], random_state=4), {"learning_rate": 0.01}
    yield "a wave", X, wave, Network([2, 32, 1], activation="tanh", random_state=5), {"learning_rate": 0.01}
    yield "counts", X, rng.poisson(np.exp(0.5 * X[:, 0])), Network([2, 16, 1], output="exp", random_state=6), {}
    yield "a tower", *moons(), tower(normalization="batch", skip=True), {"learning_rate": 0.01}
    yield "a normalised tower", *moons(), tower(normalization="batch"), {"learning_rate": 0.01}
    layers = Network([2, 32, 32, 1], activation="tanh", output="sigmoid", normalization="layer", random_state=8)
    yield "layer normalisation", *moons(3), layers, {"learning_rate": 0.01}
    yield "deep", *moons(2), Network([2, *[32] * 5, 1], output="sigmoid", random_state=7), {"batch_size": 64}


@pytest.mark.parametrize(("X", "y", "network", "settings"), [pytest.param(*case, id=name) for name, *case in healthy()])
def test_no_false_alarm(X, y, network, settings):
    diagnosis = diagnose(network, X, y, **settings)
    assert diagnosis.findings == [], str(diagnosis)
    assert "no fault found" in str(diagnosis)


def test_no_false_alarm_on_digits():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_digits(return_X_y=True)
    diagnosis = diagnose(Network([64, 32, 10], output="softmax", random_state=0), X / 16, y)
    assert diagnosis.findings == [], str(diagnosis)
    assert any(
        check.level == "note" and "0, 32, 39" in check.text for check in diagnosis.checks
    )  # pixels of the margin


def test_no_false_alarm_on_iris_after_training():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_iris(return_X_y=True)
    network = Network([4, 16, 3], output="softmax", random_state=0)
    fit(network, X, y, learning_rate=0.01, epochs=200, batch_size=32, random_state=0)
    diagnosis = diagnose(network, X, y, learning_rate=0.01)
    assert diagnosis.findings == [], str(diagnosis)


@pytest.mark.parametrize("normalization", [None, "batch"])
def test_nothing_is_changed_and_nothing_is_random(normalization):
    X, y = moons()
    network, adam = small(dtype="float64", normalization=normalization), Adam()
    fit(network, X, y, optimizer=adam, epochs=2, random_state=0)
    params, moments, t, given = network.params.copy(), adam.moments.copy(), adam.t, X.copy()
    state = network.state.copy()
    first = diagnose(network, X, y, optimizer=adam, learning_rate=0.01)
    np.testing.assert_array_equal(network.params, params)
    np.testing.assert_array_equal(network.state, state)
    np.testing.assert_array_equal(adam.moments, moments)
    np.testing.assert_array_equal(X, given)
    assert adam.t == t
    assert str(diagnose(network, X, y, optimizer=adam, learning_rate=0.01)) == str(first)


def test_the_shape_that_is_judged_keeps_its_normalisation_and_skips(monkeypatch):
    given = Network(
        [2, 8, 8, 8, 1], output="sigmoid", normalization=["layer", None, "batch"], skip=True, random_state=1
    )
    trained, train = [], training_checks.train

    def remembered(network, *arguments, **options):
        trained.append(network)
        return train(network, *arguments, **options)

    monkeypatch.setattr(training_checks, "train", remembered)
    monkeypatch.setattr(trials, "STEPS", 100)
    diagnose(given, *moons(), learning_rate=0.01)
    afresh = [network for network in trained if network.sizes == given.sizes][-1]
    np.testing.assert_array_equal(afresh.table, given.table)
    assert (afresh.params != given.params).any()
    wide = [network for network in trained if network.sizes != given.sizes]
    assert len(wide) == training_checks.FOLDS
    assert not any(network.state.size or network.table[:, SKIPS].any() for network in wide)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_batch_normalisation_and_few_samples(count):
    X, y = moons(n=count)
    diagnosis = diagnose(small(normalization="batch"), X, y, batch_size=8, learning_rate=0.01)
    assert all(np.isfinite(check.number) for check in diagnosis.checks)
    if count == 8:
        assert diagnosis.ok, str(diagnosis)


def test_samples_that_are_all_alike():
    X, y = moons()
    diagnosis = diagnose(small(normalization="batch"), np.ones_like(X), y)
    assert {finding.check for finding in diagnosis.findings} >= {"constant features", "labels and inputs"}
    assert next(check for check in diagnosis.checks if check.check == "one batch").level == "skipped"


def test_targets_on_another_scale():
    X, _ = moons()
    diagnosis = diagnose(Network([2, 16, 1], random_state=0), X, 1000 + 300 * X[:, 0], learning_rate=0.01)
    assert "targets" in {finding.check for finding in diagnosis.findings}


def test_parameters_that_have_diverged():
    network = small()
    network.params[3] = np.inf
    (finding,) = diagnose(network, *moons()).findings
    assert finding.check == "finite numbers"
    assert "1 of 65 numbers of the parameters" in finding.text


def test_the_perceptron_is_judged_by_its_data_alone():
    diagnosis = diagnose(Network([2, 1], output="step"), CORNERS, [0, 0, 0, 1])
    assert diagnosis.ok
    assert diagnosis.checks[-1].level == "skipped"


@pytest.mark.parametrize(
    ("output", "loss", "y", "floor", "guess"),
    [
        ("sigmoid", None, [[0], [1], [1], [1]], 0, 0.5623351446188083),  # −¼ ln ¼ − ¾ ln ¾
        ("softmax", None, [[1, 0], [0, 1], [0, 1], [0, 1]], 0, 0.5623351446188083),
        ("identity", None, [[1], [2], [3], [6]], 0, 3.5),  # the variance about 3
        ("identity", "absolute_error", [[1], [2], [3], [6]], 0, 1.5),  # about the median 2.5
        ("exp", None, [[1], [2], [3], [6]], 3 - 2.8581, 3 - 3 * np.log(3)),
    ],
)
def test_the_yardstick(output, loss, y, floor, guess):
    if output == "exp":
        floor = np.mean([v - v * np.log(v) for v in (1, 2, 3, 6)])  # ŷ = y
    network = Network([1, len(y[0])], output=output, loss=loss)
    yardstick = Yardstick.of(network, np.array(y, float))
    assert yardstick.floor == pytest.approx(floor, abs=1e-5)
    assert yardstick.guess == pytest.approx(guess, abs=1e-5)
    assert yardstick.share(yardstick.guess) == 1
    assert yardstick.share(np.nan) == np.inf


def test_bad_input():
    X, y = moons()
    with pytest.raises(TypeError, match="network: expected a Network"):
        diagnose(None, X, y)
    with pytest.raises(ValueError, match="learning_rate"):
        diagnose(small(), X, y, learning_rate=-1)
    with pytest.raises(ValueError, match=r"y: expected shape"):
        diagnose(small(), X, y[:-1])


def test_html():
    diagnosis = rate_too_low(*moons(), 0)
    html = diagnosis._repr_html_()
    assert "Learning rate" in html
    assert "too low" in html
