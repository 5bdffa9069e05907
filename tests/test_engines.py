"""The engines keep one contract, agree with each other to rounding, with the oracle, and with themselves to the bit."""

import hashlib
import inspect
import itertools
import os
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys
from oracle import Oracle, flat
from problems import COMPILED, PAIRS, RUNNABLE, assert_close, parallel_work, problem, train_epoch, works_in_parallel
from processes import run

from mlp_jit import SGD, Network, fit
from mlp_jit.activations import HIDDEN
from mlp_jit.engines import ENGINES
from mlp_jit.engines.contract import Regularization, Session
from mlp_jit.engines.lanes.session import REGION
from mlp_jit.optimizers import OPTIMIZERS

CONTRACT = ["train", "gradient", "evaluate"]
EVERYTHING = {"l2": 0.1, "l2_per_sample": True, "dropout": (0.2, 0.4), "seed": 7, "clip_value": 0.3, "clip_norm": 0.5}
REGULARIZATIONS = [
    {},
    {"l2": 0.1},
    {"l2": 0.1, "l2_per_sample": True},
    {"clip_value": 0.05},
    {"clip_norm": 0.1},
    {"clip_norm": 0.1, "clip_value": 0.05},
]
each_compiled = pytest.mark.parametrize("engine", COMPILED)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def copies(problem):
    """The problem once for each engine's name, every time with its own network."""
    network, *data = problem
    return {name: (engine, network.copy(), *data) for name, engine in RUNNABLE.items()}


def assert_agree(made, dtype, ulps):
    """What each engine made, by its name, is what the loops made, number by number."""
    for name, numbers in made.items():
        for ours, theirs in zip(numbers, made["loops"], strict=True):
            assert_close(ours, theirs, dtype, ulps, name)


def epoch(engine, network, X, y, weight, *, optimizer, regularization=None, batch_size=4, rate=0.05, seed=3):
    """Train on every sample once in a shuffled order, η falling from step to step; returns the mean loss."""
    order = np.random.default_rng(seed).permutation(len(X))
    rates = rate / np.arange(1.0, 1 + -(-len(X) // batch_size))
    return train_epoch(
        engine, network, X, y, weight, order, batch_size, optimizer, rates,
        regularization=Regularization(**(regularization or {})),
    )  # fmt: skip


# --------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("name", CONTRACT)
def test_engines_have_the_signatures_of_the_contract(engine, name):
    def parameters(function):
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    contract = parameters(getattr(Session, name))
    assert parameters(getattr(ENGINES[engine].session, name)) == contract


def test_this_is_the_whole_contract():
    assert [name for name, value in vars(Session).items() if callable(value) and not name.startswith("_")] == CONTRACT


# --------------------------------------------------------------------------------------- the oracle


def assert_oracle(engine, network, X, y, weight, l2):
    engine, oracle = ENGINES[engine], Oracle.of(network)
    data = X.tolist(), y.tolist(), weight.tolist()
    outputs = oracle.forward(data[0])[1][-1]
    loss, dW, db = oracle.gradient(*data, l2)

    assert_close(engine.forward(network, X), outputs)
    evaluated, outputs_too = engine.evaluate(network, X, y, weight)
    assert_close(outputs_too, outputs)
    assert_close(evaluated, oracle.gradient(*data)[0])
    computed, gradient = engine.gradient(network, X, y, weight, l2=l2)
    assert_close(computed, loss)
    assert_close(gradient, flat(dW, db))

    order, rates = np.arange(len(X)), np.array([0.1])
    trained = train_epoch(
        engine, network, X, y, weight, order, len(X), SGD(), rates, regularization=Regularization(l2=l2)
    )
    assert_close(trained, oracle.step(0.1, *data, l2))
    assert_close(network.params, oracle.params)


@pytest.mark.python
@pytest.mark.bounds
@pytest.mark.parametrize("activation", HIDDEN)
def test_oracle_agrees_for_every_activation(engine, activation):
    assert_oracle(engine, *problem((2, 3, 4, 2), activation=activation, n=3), l2=0.1)


@pytest.mark.python
@pytest.mark.bounds
@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_oracle_agrees_for_every_loss_and_output(engine, loss, output):
    for outputs in (1, 3):
        assert_oracle(engine, *problem((2, 3, outputs), activation="tanh", output=output, loss=loss, n=3), l2=0)


@pytest.mark.python
def test_trace_is_the_oracle_number_by_number():
    network, X, y, weight = problem((2, 3, 4, 2), n=2)
    trace, oracle = network.trace(X, y, sample_weight=weight), Oracle.of(network)
    loss, dW, db = oracle.gradient(X.tolist(), y.tolist(), weight.tolist())
    z, a = oracle.forward(X.tolist())
    assert_close(trace.loss, loss)
    for l in (1, 2, 3):
        assert_close(trace.z[l - 1], z[l])
        assert_close(trace.a[l - 1], a[l - 1])
        assert_close(trace.weight_gradients[l - 1], dW[l])
        assert_close(trace.bias_gradients[l - 1], db[l])
        # E5 once more: the bias's gradient is the mean of the δ that the trace shows.
        assert_close(weight @ trace.delta[l - 1] / weight.sum(), db[l])
    assert_close(trace.a[3], a[3])


@pytest.mark.python
def test_hidden_delta_uses_the_weights_from_before_the_update(engine):
    """1-1-1, no φ, ℓ = (ŷ − y)², every number by hand; the updated w_2 = 2.76 would make the last one 2 − 0.3312."""
    network = Network((1, 1, 1), activation="identity", dtype="float64")
    network.params[:] = [2, 0, 3, 0]  # w_1, b_1, w_2, b_2
    X, y, weight = network.check([[1.0]], [[0.0]])  # a = 2, ŷ = 6
    order, rates = np.zeros(1, np.int64), np.array([0.01])
    loss = train_epoch(ENGINES[engine], network, X, y, weight, order, 1, SGD(), rates)
    assert loss == 36
    w_1, b_1, w_2, b_2 = network.params
    assert b_2 == pytest.approx(-0.01 * 12, rel=1e-14)  # δ_2 = 2 (6 − 0) = 12
    assert w_2 == pytest.approx(3 - 0.01 * 2 * 12, rel=1e-14)
    assert b_1 == pytest.approx(-0.01 * 36, rel=1e-14)  # δ_1 = w_2 δ_2 = 3 · 12 = 36
    assert w_1 == pytest.approx(2 - 0.01 * 36, rel=1e-14)


# --------------------------------------------------------------------------------------- each other


@st.composite
def random_problems(draw):
    loss, output = draw(st.sampled_from(PAIRS))
    units = st.integers(1, 70)
    hidden = draw(st.lists(st.tuples(units, st.sampled_from(list(HIDDEN))), max_size=4))
    network, *data = problem(
        (draw(units), *(n_out for n_out, _ in hidden), draw(units)),
        activation=[name for _, name in hidden],
        loss=loss,
        output=output,
        n=draw(st.integers(1, 100)),
        seed=draw(st.integers(0, 1000)),
        dtype=draw(st.sampled_from(["float32", "float64"])),
        noise=0.1,
        weightless=draw(st.sampled_from([0.0, 0.3])),
    )
    if output == "exp":
        network.weights[-1][...] *= 0.05  # else e^z of a wide network overflows within an epoch
    return network, *data


@settings(max_examples=300)
@given(random_problems(), st.sampled_from([0.0, 0.2]))
def test_engines_agree_on_random_networks(problem, l2):
    """To 21 roundings of the largest number, as measured."""
    made = {
        name: (
            engine.forward(network, X),
            *engine.evaluate(network, X, y, weight),
            *engine.gradient(network, X, y, weight, l2=l2),
        )
        for name, (engine, network, X, y, weight) in copies(problem).items()
    }
    assert_agree(made, problem[0].dtype, 200)


@settings(max_examples=300)
@given(
    random_problems(),
    st.integers(1, 110),
    st.sampled_from([*REGULARIZATIONS, EVERYTHING]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([SGD(), SGD(0.9), SGD(0.9, nesterov=True)]),
)
def test_engines_agree_on_random_epochs(problem, batch_size, regularization, p, optimizer):
    """To 20 roundings of the largest number, as measured.

    Only SGD, whose step is no steeper than its gradient: the others turn a rounding near g = 0 into a whole step.
    """
    regularization = {**regularization, "dropout": (p,) * (len(problem[0].sizes) - 2)}
    made = {}
    for name, (engine, network, *data) in copies(problem).items():
        loss = epoch(
            engine, network, *data,
            optimizer=SGD(optimizer.momentum, optimizer.nesterov), regularization=regularization,
            batch_size=batch_size, rate=0.001,
        )  # fmt: skip
        made[name] = loss, network.params
    assert_agree(made, problem[0].dtype, 200)


@pytest.mark.python
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.bounds)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_engines_agree_on_epochs_with_everything(optimizer, dtype):
    """Three epochs of three batches, the last of them smaller, for every optimizer."""
    trained = {}
    networks = copies(problem((3, 5, 4, 2), activation=("tanh", "silu"), n=10, dtype=dtype))
    for name, (engine, network, *data) in networks.items():
        steps = OPTIMIZERS[optimizer]()
        losses = [
            epoch(engine, network, *data, optimizer=steps, regularization=EVERYTHING, seed=seed) for seed in range(3)
        ]
        assert steps.t == 9
        trained[name] = losses, network.params, steps.moments
    assert_agree(trained, dtype, 1000)


@pytest.mark.parametrize("regularization", REGULARIZATIONS, ids=str)
def test_an_epoch_is_gradient_clip_and_step_for_each_batch(engine, regularization):
    """The loss and the parameters of an epoch from `gradient` and the definitions, in the order they are written in."""
    network, X, y, weight = problem((3, 5, 2), activation="tanh", n=10)
    rules = Regularization(**regularization)
    reference = network.copy()
    loss = epoch(ENGINES[engine], network, X, y, weight, optimizer=SGD(), regularization=regularization)

    losses, sums = [], []
    order = np.random.default_rng(3).permutation(10)
    for step, batch in enumerate((order[:4], order[4:8], order[8:]), start=1):
        N = weight[batch].sum()
        l2 = rules.l2 / N if rules.l2_per_sample else rules.l2
        L, g = reference.gradient(X[batch], y[batch], sample_weight=weight[batch], l2=l2, engine=engine)
        g = np.clip(g, -rules.clip_value, rules.clip_value)
        g *= min(1, rules.clip_norm / np.linalg.norm(g))
        reference.params -= 0.05 / step * g
        losses.append(L)
        sums.append(N)
    assert loss == pytest.approx(np.average(losses, weights=sums), rel=1e-13)
    assert_close(network.params, reference.params)


def test_the_regularizations_change_the_result(engine):
    """So that the test above could tell when one of them is left out."""
    results = set()
    for regularization in REGULARIZATIONS:
        network, *data = problem((3, 5, 2), activation="tanh", n=10)
        epoch(ENGINES[engine], network, *data, optimizer=SGD(), regularization=regularization)
        results.add(network.params.tobytes())
    assert len(results) == len(REGULARIZATIONS)


@pytest.mark.parametrize("dropout", [(), (0.5,)])
def test_places_say_where_the_samples_lie(engine, dropout):
    """The whole data set, or only the rows of the epoch in another order: the same steps, dropout included."""
    network, X, y, weight = problem((3, 6, 2), n=12)
    order = np.random.default_rng(0).permutation(12)[:7]
    slices = network.copy()
    rates, regularization = np.full(3, 0.1), Regularization(dropout=dropout, seed=1)
    whole = train_epoch(ENGINES[engine], network, X, y, weight, order, 3, SGD(), rates, regularization=regularization)
    data = network.check(*(part[order[::-1]] for part in (X, y, weight)))
    part = train_epoch(
        ENGINES[engine],
        slices,
        *data,
        order,
        3,
        SGD(),
        rates,
        places=np.arange(7)[::-1].copy(),
        regularization=regularization,
    )
    assert part == whole
    np.testing.assert_array_equal(slices.params, network.params)


def without(array, place):
    """A copy with NaN in that place, read-only as engines get it: a part of the type that they are compiled for."""
    copy = array.copy()
    copy[place] = np.nan
    copy.flags.writeable = False
    return copy


@each_dtype
def test_samples_outside_the_order_are_never_seen(engine, dtype):
    """NaN in every row that the order leaves out."""
    network, X, y, weight = problem((5, 9, 3), n=90, dtype=dtype)
    order = np.random.default_rng(0).permutation(90)[:50]
    clean, other = network.copy(), np.setdiff1d(np.arange(90), order)
    rates = np.full(2, 0.1)
    loss = train_epoch(ENGINES[engine], clean, X, y, weight, order, 40, SGD(), rates)
    hidden = (without(part, other) for part in (X, y, weight))
    assert train_epoch(ENGINES[engine], network, *hidden, order, 40, SGD(), rates) == loss
    np.testing.assert_array_equal(network.params, clean.params)


@each_dtype
def test_samples_do_not_touch_each_other(engine, dtype):
    """NaN in one row of X is NaN in that row of the output alone."""
    network, X, *_ = problem((5, 9, 3), activation="tanh", n=70, dtype=dtype)
    for n in range(len(X)):
        outputs = ENGINES[engine].forward(network, without(X, (n, 2)))
        assert np.flatnonzero(np.isnan(outputs).any(axis=1)).tolist() == [n]


@each_compiled
@settings(max_examples=100)
@given(random_problems(), st.sampled_from([1, 2, 3, 5, 8, 30, 100]))
def test_a_row_has_the_same_bits_whatever_rows_come_with_it(engine, problem, n):
    """A few rows, and as many as lanes leaves to its tiles."""
    network, X, *_ = problem
    X = np.resize(X, (1001, X.shape[1]))
    np.testing.assert_array_equal(network.forward(X[:n], engine=engine), network.forward(X, engine=engine)[:n])


def test_a_batch_of_zero_weights_teaches_nothing(engine):
    network, X, y, _ = problem((3, 4, 2), n=4)
    before = network.params.copy()
    _, _, weight = network.check(X, y, [1, 1, 0, 0])
    order = np.array([2, 3, 0, 1])
    loss = train_epoch(ENGINES[engine], network, X, y, weight, order[:2], 2, SGD(), np.array([0.1]))
    assert loss == 0
    np.testing.assert_array_equal(network.params, before)
    loss = train_epoch(ENGINES[engine], network, X, y, weight, order, 2, SGD(), np.full(2, 0.1))
    assert loss == pytest.approx(network_loss(before, network, X[:2], y[:2], engine), rel=1e-14)


def network_loss(params, network, X, y, engine):
    network = network.copy()
    network.params[:] = params
    return network.loss(X, y, engine=engine)


@each_compiled
@each_dtype
@pytest.mark.parametrize("rules", [*REGULARIZATIONS, EVERYTHING], ids=str)
def test_long_batches_are_walked_in_chunks(engine, dtype, rules, short_chunks):
    """Batches of 90 and 20 samples, in one piece or a block at a time: the same numbers to rounding."""

    def results():
        network, X, y, weight = problem((3, 40, 5, 2), activation="tanh", n=200, dtype=dtype)
        loss = epoch(COMPILED[engine], network, X, y, weight, optimizer=SGD(), regularization=rules, batch_size=90)
        l2 = rules.get("l2", 0)
        return loss, network.params, *COMPILED[engine].gradient(network, X, y, weight, l2=l2)

    whole = results()
    short_chunks()
    for chunked, expected in zip(results(), whole, strict=True):
        assert_close(chunked, expected, dtype)


def test_long_inputs_are_walked_in_chunks(engine, short_chunks):
    """The outputs are those of a few rows, the loss and the gradient are the means of those of the parts."""
    network, X, y, weight = problem((2, 3, 2), activation="tanh", n=99)
    head, tail = slice(64), slice(64, 99)
    parts = [network.gradient(X[s], y[s], sample_weight=weight[s], engine="loops") for s in (head, tail)]
    shares = [weight[head].sum(), weight[tail].sum()]
    short_chunks()
    outputs = network.forward(X, engine=engine)
    assert_close(outputs[-3:], network.forward(X[-3:], engine=engine))
    whole = ENGINES[engine].gradient(network, X, y, weight)
    assert whole[0] == pytest.approx(np.average([loss for loss, _ in parts], weights=shares), rel=1e-12)
    assert_close(whole[1], np.average([gradient for _, gradient in parts], axis=0, weights=shares))
    assert ENGINES[engine].evaluate(network, X, y, weight)[0] == pytest.approx(whole[0], rel=1e-12)


@pytest.mark.threads
@each_compiled
@pytest.mark.parametrize("options", [{}, {"normalization": "batch", "skip": True}, {"normalization": "layer"}], ids=str)
@pytest.mark.parametrize("parallel", [False, True])
def test_a_call_leaves_no_array_behind(engine, options, parallel, monkeypatch):
    """Most kernels count no references, so that whatever they are handed to keep would never be freed."""
    works_in_parallel(monkeypatch, COMPILED[engine], 0 if parallel else np.inf)
    network, X, y, weight = problem((3, 4, 4, 2), n=40, output="softmax", **options)

    def calls():
        epoch(COMPILED[engine], network, X, y, weight, optimizer=SGD(), regularization=EVERYTHING, batch_size=20)
        for rows in (1, 40):
            COMPILED[engine].forward(network, X[:rows])
        COMPILED[engine].evaluate(network, X, y, weight)
        COMPILED[engine].gradient(network, X, y, weight)

    def kept():
        stats = rtsys.get_allocation_stats()
        return stats.mi_alloc - stats.mi_free, [sys.getrefcount(a) for a in (network.params, network.state, X, weight)]

    _nrt_python.memsys_enable_stats()
    calls()
    before, made = kept(), rtsys.get_allocation_stats().mi_alloc
    calls()
    makes = rtsys.get_allocation_stats().mi_alloc > made
    assert makes is (engine == "loops")  # the lanes' room is NumPy's
    assert kept() == before


@each_compiled
def test_scratch_does_not_grow_with_the_batch(engine, short_chunks):
    """Of 200 hidden units 1600 bytes a sample; but the numbers of the samples, the outputs and the like must grow."""
    short_chunks()

    def peak(n):
        network, X, y, weight = problem((2, 200, 1), n=n)
        tracemalloc.start()
        COMPILED[engine].gradient(network, X, y, weight)
        COMPILED[engine].evaluate(network, X, y, weight)
        return tracemalloc.get_traced_memory()[1], tracemalloc.stop()

    assert peak(2000)[0] - peak(1000)[0] < 1000 * 100


# --------------------------------------------------------------------------------------- bits


def digest(engine, n_threads, dtype="float32"):
    """A hash of all that an engine makes of work that is large enough for threads, in four blocks of E6."""
    network, X, y, weight = problem((64, 97, 64, 5), activation=("tanh", "relu"), output="softmax", n=320, dtype=dtype)
    engine = COMPILED[engine]
    assert 128 * network.n_params > parallel_work(engine)
    assert 320 * network.n_params > REGION * parallel_work(COMPILED["lanes"])
    outputs = [
        engine.forward(network, X, n_threads=n_threads),
        *engine.evaluate(network, X, y, weight, n_threads=n_threads),
        *engine.gradient(network, X, y, weight, l2=0.1, n_threads=n_threads),
    ]
    optimizer = OPTIMIZERS["adam"]()
    for rate, regularization in ((1e-2, EVERYTHING), (1e-3, {})):
        loss = train_epoch(
        engine, network, X, y, weight, np.arange(320), 128, optimizer, np.full(3, rate),
            regularization=Regularization(**regularization), n_threads=n_threads,
        )  # fmt: skip
        outputs += [loss, network.params.copy()]
    return hashlib.sha256(b"".join(np.asarray(output).tobytes() for output in outputs)).hexdigest()


def digests(engine, numbers_of_threads, **environment):
    """`digest` for each number of threads, in a process of its own; what it prints instead where it cannot start."""
    script = f"""
import sys, numba
from mlp_jit._jit import threading_layer
try:
    threading_layer()
except ValueError as error:
    sys.exit(print(error))
import test_engines
print(*(test_engines.digest({engine!r}, n) for n in {numbers_of_threads}))
"""
    return run(script, PYTHONPATH=os.pathsep.join(sys.path), **environment).split()


@pytest.mark.threads
@each_dtype
@each_compiled
def test_same_bits_for_any_number_of_threads(engine, dtype):
    assert len({digest(engine, n_threads, dtype) for n_threads in (1, 2, 3, 4, None)}) == 1


@pytest.mark.threads
@each_compiled
def test_same_bits_with_more_threads_than_cores(engine):
    """In a process of its own, since Numba starts its threads once."""
    assert digests(engine, (1, 2, 3, 4), NUMBA_NUM_THREADS="4") == [digest(engine, 1)] * 4


@each_compiled
@pytest.mark.parametrize("layer", ["tbb", "omp", "workqueue"])
def test_same_bits_on_every_threading_layer(engine, layer):
    made = digests(engine, (2,), NUMBA_THREADING_LAYER=layer)
    if "threading" in made:
        pytest.skip(" ".join(made))
    assert made == [digest(engine, 2)]


@pytest.mark.threads
@each_compiled
def test_serial_and_parallel_twins_give_the_same_bits(engine, monkeypatch):
    """Every driver on work of any size, in the twin that would not have been chosen for it."""
    engine = COMPILED[engine]
    for sizes, rules in itertools.product(((1, 1), (3, 5, 4, 2), (30, 7, 9, 33), (70, 130, 3)), ({}, EVERYTHING)):
        results = set()
        for work in (0, 2**62):
            works_in_parallel(monkeypatch, engine, work)
            network, *data = problem(sizes, activation="elu", n=99)
            regularization = {**rules, "dropout": (0.3,) * (len(sizes) - 2) if rules else ()}
            loss = epoch(engine, network, *data, optimizer=SGD(0.9), regularization=regularization, batch_size=70)
            made = loss, network.params, *engine.gradient(network, *data), *engine.evaluate(network, *data)
            results.add(b"".join(np.asarray(part).tobytes() for part in made))
        assert len(results) == 1, sizes


def test_same_seed_same_run(engine):
    def run(seed):
        network, X, y, weight = problem((3, 8, 2), output="softmax", n=50, seed=0)
        history = fit(
            network, X, y, epochs=3, batch_size=16, dropout=0.3, sample_weight=weight, engine=engine, random_state=seed
        )
        return network.params.tobytes(), tuple(history.loss)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_initial_weights_follow_the_seed():
    params = [Network((3, 4, 2), random_state=seed).params.tobytes() for seed in (0, 0, 1)]
    assert params[0] == params[1] != params[2]
