"""Batch and layer normalisation and skip connections, E7 to E10, in all engines."""

import hashlib
import itertools
import pickle

import numpy as np
import pytest
from guards import Guarded
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import COMPILED, PAIRS, RUNNABLE, assert_close, parallel_work, problem, train_epoch
from test_gradients import central_differences
from test_lanes import compiled, each_dtype, everything

from mlp_jit import SGD, Adam, EarlyStopping, Network, fit
from mlp_jit.engines import ENGINES
from mlp_jit.engines.contract import Regularization

EPSILON, MOMENTUM = 1e-5, 0.1
SPECIAL = {
    "batch": {"normalization": "batch"},
    "layer": {"normalization": "layer"},
    "skip": {"skip": True},
    "batch, skip": {"normalization": "batch", "skip": True},
    "layer, skip": {"normalization": "layer", "skip": True},
    "mixed": {"normalization": ["batch", None, "layer", "batch"], "skip": True},
}
each_special = pytest.mark.parametrize("special", SPECIAL.values(), ids=SPECIAL)
SIZES = (3, 4, 4, 4, 4, 2)


def deep(special, sizes=SIZES, **options):
    """A problem for a network of four hidden layers."""
    return problem(sizes, **{"activation": "tanh", "n": 7, **special, **options})


# --------------------------------------------------------------------------------------- the equations


@pytest.mark.python
@pytest.mark.bounds
@each_special
def test_the_trace_is_the_definition_number_by_number(special):
    network, X, y, _ = deep(special)
    trace = network.trace(X, y)
    for l, kind in enumerate((*network.normalizations, None), start=1):
        s = trace.h[l - 1] @ network.weights[l - 1]
        b, z, a = network.biases[l - 1], trace.z[l - 1], trace.a[l]
        if kind is None:
            assert trace.normal[l - 1] is trace.gain_gradients[l - 1] is None
            assert_close(z, s + b)
        else:
            axis = 0 if kind == "batch" else 1
            normal = (s - s.mean(axis, keepdims=True)) / np.sqrt(s.var(axis, keepdims=True) + EPSILON)
            assert_close(trace.s[l - 1], s)
            assert_close(trace.normal[l - 1], normal)
            assert_close(z, b + network.gains[l - 1] * normal)
            assert_close(trace.gain_gradients[l - 1], (trace.delta[l - 1] * normal).mean(axis=0))
        skips = special.get("skip", False) and 1 < l < 5
        assert_close(trace.h[l], a + trace.h[l - 1] if skips else a)


@pytest.mark.python
@pytest.mark.bounds
@each_special
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_central_differences(engine, special, l2):
    """Of the loss that `gradient` reports: with batch normalisation that of the batch's statistics."""
    network, X, y, weight = deep(special, n=5)
    computed, gradient = ENGINES[engine].gradient(network, X, y, weight, l2=l2)
    numeric = central_differences(network.params, lambda: ENGINES[engine].gradient(network, X, y, weight, l2=l2)[0])
    assert np.linalg.norm(gradient - numeric) <= 1e-7 * np.linalg.norm(numeric)
    if not network.state.size:
        squares = sum(float((W * W).sum()) for W in network.weights)
        evaluated = ENGINES[engine].evaluate(network, X, y, weight)[0]
        assert computed == pytest.approx(evaluated + l2 / 2 * squares, rel=1e-12)


@pytest.mark.python
def test_running_statistics_are_those_of_the_batches_and_predictions_go_by_them(engine):
    network, X, y, weight = deep(SPECIAL["batch"], n=10, sizes=(3, 4, 2))
    np.testing.assert_array_equal(network.state, [0] * 4 + [1] * 4)
    ENGINES[engine].gradient(network, X, y, weight)
    ENGINES[engine].evaluate(network, X, y, weight)
    np.testing.assert_array_equal(network.state, [0] * 4 + [1] * 4)

    mean, variance, order = np.zeros(4), np.ones(4), np.arange(10)
    before = network.copy()
    for batch in (order[:6], order[6:9], order[9:]):
        s = X[batch] @ before.weights[0]
        if len(batch) > 1:  # one sample says nothing of the variance
            mean += MOMENTUM * (s.mean(axis=0) - mean)
            variance += MOMENTUM * (s.var(axis=0, ddof=1) - variance)
        train_epoch(ENGINES[engine], before, X, y, weight, batch, len(batch), SGD(), np.array([0.1]))
    assert_close(before.state, [*mean, *variance])

    s = X @ before.weights[0]
    a = np.tanh(before.biases[0] + before.gains[0] * (s - mean) / np.sqrt(variance + EPSILON))
    outputs = a @ before.weights[1] + before.biases[1]
    assert_close(ENGINES[engine].forward(before, X), outputs)
    assert_close(ENGINES[engine].evaluate(before, X, y, weight)[1], outputs)
    for n in range(10):  # each sample by itself
        assert_close(ENGINES[engine].forward(before, X[n : n + 1]), outputs[n : n + 1])


def test_a_batch_of_one_sample_moves_only_what_comes_after(engine):
    """Its ŝ is 0, whatever W is."""
    network, X, y, weight = deep(SPECIAL["batch"], n=1, sizes=(3, 4, 2))
    loss, gradient = ENGINES[engine].gradient(network, X, y, weight)
    assert np.isfinite(loss)
    np.testing.assert_array_equal(gradient[: 3 * 4], 0)
    assert gradient[3 * 4 + 4 :].any()


# --------------------------------------------------------------------------------------- the engines agree


@st.composite
def special_problems(draw):
    loss, output = draw(st.sampled_from([pair for pair in PAIRS if pair[1] != "exp"]))  # e^z would overflow
    width, depth = draw(st.integers(4, 40)), draw(st.integers(1, 4))  # of one unit nothing but rounding is left
    kinds = draw(st.lists(st.sampled_from(["batch", "layer", None]), min_size=depth, max_size=depth))
    return problem(
        (draw(st.integers(1, 40)), *[width] * depth, draw(st.integers(1, 20))),
        activation=draw(st.sampled_from(["tanh", "silu", "softplus"])),
        normalization=kinds,
        skip=depth > 1 and draw(st.booleans()),
        loss=loss,
        output=output,
        n=draw(st.integers(16, 70)),
        seed=draw(st.integers(0, 1000)),
        dtype=draw(st.sampled_from(["float32", "float64"])),
        noise=0.1,
    )


@settings(max_examples=50)
@given(special_problems(), st.sampled_from([1, 3, 8]))
def test_a_row_has_the_same_bits_whatever_rows_come_with_it(problem, n):
    """A few rows, and as many as lanes leaves to its tiles."""
    network, X, *_ = problem
    X = np.resize(X, (1001, X.shape[1]))
    for engine in COMPILED:
        few, many = network.forward(X[:n], engine=engine), network.forward(X, engine=engine)
        np.testing.assert_array_equal(few, many[:n], engine)


@settings(max_examples=150)
@given(
    special_problems(),
    st.sampled_from([1, 2]),
    st.sampled_from([{}, {"l2": 0.1}, {"clip_norm": 0.1}, {"l2": 0.1, "l2_per_sample": True, "clip_value": 0.05}]),
    st.sampled_from([0.0, 0.3]),
)
def test_engines_agree_on_random_networks(problem, steps, rules, p):
    """Where a unit's s hardly varies over a batch, 1/√(v + ε) makes up to 316 roundings of one, and so on."""
    network, X, y, weight = problem
    batch_size = -(-len(X) // steps)
    rules = {**rules, "dropout": (p,) * (len(network.sizes) - 2), "seed": 5}
    made = {}
    for name, engine in RUNNABLE.items():
        ours, order = network.copy(), np.random.default_rng(1).permutation(len(X))
        rates = np.full(-(-len(X) // batch_size), 1e-3)
        made[name] = [
            *engine.gradient(ours, X, y, weight, l2=0.1),
            train_epoch(
                engine, ours, X, y, weight, order, batch_size, SGD(0.9), rates, regularization=Regularization(**rules)
            ),
            ours.params,
            ours.state,
            *engine.evaluate(ours, X, y, weight),
            engine.forward(ours, X),
        ]
    for name, numbers in made.items():
        for ours, theirs in zip(numbers, made["loops"], strict=True):
            assert_close(ours, theirs, network.dtype, 20_000, f"{name}: {network}")


@compiled
@each_dtype
def test_every_batch_gives_the_numbers_of_the_loops(dtype):
    for (n, special), rules in zip(
        itertools.product((*range(1, 71, 3), 1000), SPECIAL.values()), itertools.cycle([{}, {"l2": 0.1}])
    ):
        network, *data = deep(special, sizes=(11, 19, 19, 19, 19, 5), n=n, dtype=dtype)
        ours, theirs = (everything(engine, network.copy(), *data, SGD(0.9), rules) for engine in COMPILED.values())
        for lane, loop in zip(ours, theirs, strict=True):
            assert_close(lane, loop, dtype, 5000, f"{n} samples, {special}, {rules}")


@each_special
@pytest.mark.parametrize("engine", COMPILED)
def test_long_batches_are_walked_in_chunks_or_kept_whole(engine, special, short_chunks):
    def results():
        network, X, y, weight = deep(special, n=200)
        order = np.arange(200)
        loss = train_epoch(COMPILED[engine], network, X, y, weight, order, 90, SGD(), np.full(3, 0.1))
        return loss, network.params, network.state, *COMPILED[engine].gradient(network, X, y, weight)

    whole = results()
    short_chunks()
    for chunked, expected in zip(results(), whole, strict=True):
        assert_close(chunked, expected, ulps=1000)


def digest(engine, special, n_threads, dtype):
    """A hash of all that an engine makes of work that is large enough for threads."""
    network, X, y, weight = problem((64, 97, 97, 97, 97, 5), activation="relu", n=320, dtype=dtype, **special)
    optimizer, order, rules = Adam(), np.arange(320), Regularization(dropout=(0.2, 0, 0.1, 0), l2=0.1, clip_norm=0.5)
    assert 128 * network.n_params > parallel_work(COMPILED[engine])
    losses = [
        train_epoch(
            COMPILED[engine],
            network,
            X,
            y,
            weight,
            order,
            128,
            optimizer,
            np.full(3, 0.01),
            regularization=rules,
            n_threads=n_threads,
        ),
        *COMPILED[engine].gradient(network, X, y, weight, n_threads=n_threads),
        *COMPILED[engine].evaluate(network, X, y, weight, n_threads=n_threads),
    ]
    numbers = [network.params, network.state, *losses]
    return hashlib.sha256(b"".join(np.asarray(number).tobytes() for number in numbers)).hexdigest()


@pytest.mark.threads
@each_special
@pytest.mark.parametrize(("engine", "dtype"), [("lanes", "float32"), ("lanes", "float64"), ("loops", "float64")])
def test_same_bits_for_any_number_of_threads(engine, special, dtype):
    assert len({digest(engine, special, n_threads, dtype) for n_threads in (1, 2, 3, 4)}) == 1


@compiled
@each_dtype
@each_special
def test_nothing_is_written_outside_of_any_buffer(special, dtype, monkeypatch):
    """No guard word changes; and what is read of them, all NaN, changes nothing."""
    for width, n in itertools.product((1, 7, 8, 9, 15, 16, 17, 31, 33), (2, 16, 17, 31, 33, 70)):
        network, *data = deep(special, sizes=(width, *[width + 1] * 4, 3), n=n, dtype=dtype)
        expected = everything(COMPILED["lanes"], network.copy(), *data, SGD(0.9), {"dropout": (0.2, 0, 0, 0.1)})
        with monkeypatch.context() as patched:
            memory = Guarded()
            guarded, moving = memory.surround(network, SGD(0.9))
            surrounded = [memory.copy(part) for part in data]
            memory.stand_in(patched)
            made = everything(COMPILED["lanes"], guarded, *surrounded, moving, {"dropout": (0.2, 0, 0, 0.1)})
        memory.assert_untouched(f"{width} units, {n} samples")
        for ours, theirs in zip(made, expected, strict=True):
            assert np.isfinite(ours).all()
            np.testing.assert_array_equal(ours, theirs)


@each_special
def test_samples_outside_the_order_are_never_seen(engine, special):
    network, X, y, weight = deep(special, n=60)
    order, clean = np.arange(50), network.copy()
    hidden = X.copy()
    hidden[50:] = np.nan
    hidden.flags.writeable = False
    rates, losses = np.full(2, 0.1), []
    for other, rows in ((network, hidden), (clean, X)):
        losses.append(train_epoch(ENGINES[engine], other, rows, y, weight, order, 40, SGD(), rates))
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(network.params, clean.params)
    np.testing.assert_array_equal(network.state, clean.state)


# --------------------------------------------------------------------------------------- the network


def test_gains_and_state_lie_where_they_should():
    network = Network([3, 4, 4, 2], normalization=["batch", "layer"], dtype="float64", random_state=0)
    assert network.normalizations == ("batch", "layer")
    assert [gain.size for gain in network.gains] == [4, 4, 0]
    assert network.n_params == (3 * 4 + 4 + 4) + (4 * 4 + 4 + 4) + (4 * 2 + 2)
    assert all(np.shares_memory(gain, network.params) for gain in network.gains[:2])
    np.testing.assert_array_equal(network.params[3 * 4 + 4 : 3 * 4 + 8], 1)
    np.testing.assert_array_equal(network.state, [0, 0, 0, 0, 1, 1, 1, 1])
    plain = Network([3, 4, 4, 2], dtype="float64", random_state=0)
    assert plain.state.size == 0
    for ours, theirs in zip(network.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("copied", [Network.copy, lambda network: pickle.loads(pickle.dumps(network))])
def test_copies_have_a_state_of_their_own(copied):
    network, X, y, _ = deep(SPECIAL["mixed"], n=20)
    fit(network, X, y, epochs=2, batch_size=10, random_state=0)
    twin = copied(network)
    np.testing.assert_array_equal(twin.state, network.state)
    np.testing.assert_array_equal(twin.forward(X), network.forward(X))
    fit(twin, X, y, epochs=1, batch_size=10, random_state=0)
    assert not np.array_equal(twin.state, network.state)
    assert np.shares_memory(twin.gains[0], twin.params)


@each_special
def test_a_part_gives_the_activations(engine, special):
    network, X, y, _ = deep(special, n=20)
    fit(network, X, y, epochs=2, batch_size=10, random_state=0)
    network.state[:] = network.state.round(1)  # so that a part which trained instead would be seen
    rest = X
    for l in range(1, 6):
        a = network.part(l).forward(X, engine=engine)
        assert a.shape == (20, network.sizes[l])
        rest = a + rest if special.get("skip") and 1 < l < 5 else a
    assert_close(rest, network.forward(X, engine="loops"))


def test_it_says_what_it_is():
    network = Network([3, 4, 4, 2], normalization=["batch", None], skip=True)
    assert "normalization=['batch', None], skip=True" in repr(network)
    assert "relu, batch normalisation" in network.summary()
    assert "relu + h" in network.summary()
    assert "12 + 4 + 4 = 20" in network.summary()


def test_scikit_learn_has_none_of_this():
    pytest.importorskip("sklearn")
    for special in ({"normalization": "layer"}, {"skip": True}):
        with pytest.raises(ValueError, match="expected no normalization and no skip connections"):
            Network([3, 4, 4, 2], **special).to_sklearn()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"normalization": "group"}, ValueError, "normalization: expected one of batch, layer; got 'group'"),
        ({"normalization": ["batch"]}, ValueError, "one for each of 2 hidden layers, got 1"),
        ({"normalization": 3}, TypeError, "normalization: expected a name, None or a sequence of these, got 3"),
        ({"skip": "yes"}, TypeError, "skip: expected True or False, got 'yes'"),
        ({"skip": True, "sizes": [3, 4, 5, 2]}, ValueError, "skip: expected two hidden layers of one width"),
        ({"skip": True, "sizes": [4, 4, 4]}, ValueError, "skip: expected two hidden layers of one width"),
    ],
)
def test_what_makes_no_sense_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        Network(options.pop("sizes", [3, 4, 4, 2]), **options)


def test_fit_refuses_batches_of_one_sample():
    network, X, y, _ = deep(SPECIAL["batch"])
    with pytest.raises(ValueError, match="batch_size: expected at least 2 with batch normalisation, got 1"):
        fit(network, X, y, batch_size=1)


def test_early_stopping_puts_the_state_back_as_well():
    network, X, y, _ = deep(SPECIAL["batch"], n=40)
    best = []

    class Keep(EarlyStopping):
        def on_epoch(self, training):
            super().on_epoch(training)
            if not self.waited:
                best.append(training.network.copy())

    history = fit(
        network, X, y, epochs=60, learning_rate=0.5, batch_size=10, early_stopping=Keep(patience=3),
        validation_data=(X[:5], y[:5]), random_state=0,
    )  # fmt: skip
    assert history.stopped
    np.testing.assert_array_equal(network.state, best[-1].state)
    assert network.loss(X[:5], y[:5]) == pytest.approx(min(history.validation_loss), rel=1e-12)
