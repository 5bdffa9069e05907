"""Dropout: a mask that looks random, depends on nothing but its key, and is the same in every engine."""

import itertools

import numpy as np
import pytest
from oracle import Oracle
from problems import assert_close, problem, train_epoch

from mlp_jit import SGD, fit
from mlp_jit.dropout import drop, dropout_key, dropout_mask
from mlp_jit.engines import ENGINES
from mlp_jit.engines.contract import Regularization

ROWS, UNITS = 400, 300
PROBABILITIES = [0.1, 0.5, 0.9]
by_probability = pytest.mark.parametrize("p", PROBABILITIES)


def mask(p=0.5, seed=0, step=1, layer=1, rows=None, units=UNITS):
    rows = np.arange(ROWS) if rows is None else rows
    return dropout_mask(p, dropout_key(np.uint64(seed), step, layer), rows, units, np.dtype("float64"))


@by_probability
def test_as_many_are_dropped_as_asked_and_the_mean_is_kept(p):
    """Within four standard deviations, over all and in every row and column within five."""
    dropped = mask(p) == 0
    deviation = np.sqrt(p * (1 - p))
    assert dropped.mean() == pytest.approx(p, abs=4 * deviation / np.sqrt(dropped.size))
    assert dropped.mean(axis=0) == pytest.approx(p, abs=5 * deviation / np.sqrt(ROWS))
    assert dropped.mean(axis=1) == pytest.approx(p, abs=5 * deviation / np.sqrt(UNITS))
    assert set(np.unique(mask(p))) == {0, 1 / (1 - p)}
    assert mask(p).mean() == pytest.approx(1, abs=4 * deviation / (1 - p) / np.sqrt(dropped.size))


UPPER = np.triu_indices(UNITS, 1)
NEIGHBOURS = {
    "units": lambda: (mask()[:, 1:], mask()[:, :-1]),
    "distant units": lambda: (mask()[:, 128:], mask()[:, :-128]),
    "rows": lambda: (mask()[1:], mask()[:-1]),
    "distant rows": lambda: (mask(), mask(rows=np.arange(ROWS) + 2**20)),
    "steps": lambda: (mask(), mask(step=2)),
    "layers": lambda: (mask(), mask(layer=2)),
    "seeds": lambda: (mask(), mask(seed=1)),
    "high halves of seeds": lambda: (mask(), mask(seed=2**32)),
    "step and layer": lambda: (mask(step=1, layer=2), mask(step=2, layer=1)),
    "row and unit": lambda: (mask()[UPPER], mask().T[UPPER]),
}


@pytest.mark.python
@pytest.mark.parametrize("masks", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_neighbours_are_independent(masks):
    """When half are dropped, half of the fates agree, within four standard deviations."""
    one, other = masks()
    assert (one == other).mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(one.size))


def test_pairs_of_units_drop_together_as_often_as_chance_says():
    """All four combinations for every pair of the first units, over many rows and steps."""
    kept = np.concatenate([mask(step=step, units=8) > 0 for step in range(20)])
    for i, j in itertools.combinations(range(8), 2):
        counts = np.bincount(2 * kept[:, i] + kept[:, j], minlength=4) / len(kept)
        assert counts == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / len(kept)))


@by_probability
@pytest.mark.python
@pytest.mark.bounds
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_is_the_mask(p, dtype):
    a = np.random.default_rng(0).normal(size=(5, 7)).astype(dtype)
    rows, key = np.array([3, 0, 2**31, 2**40, 12]), dropout_key(np.uint64(2**63 - 1), 5, 2)
    h = np.full_like(a, 9)
    drop(p, key, rows, a.T, h.T)
    expected = a * dropout_mask(p, key, rows, 7, a.dtype)
    np.testing.assert_array_equal(h, expected)
    assert (h == 0).any()
    drop(p, key, rows, a.T, a.T)  # in place, as E3 has it
    np.testing.assert_array_equal(a, expected)


@pytest.mark.python
@pytest.mark.bounds
def test_a_step_is_the_oracles_with_that_mask(engine):
    """Three hidden layers, one of them whole, and rows of the data set in another order: E1, E3 and E4 see the mask."""
    network, X, y, weight = problem((3, 6, 4, 5, 2), activation="tanh", n=6)
    oracle, order = Oracle.of(network), np.array([4, 1, 3])
    regularization = Regularization(dropout=(0.5, 0.0, 0.25), seed=11)
    masks = [
        mask(p, 11, 1, l, order, units).tolist()
        for l, p, units in zip(range(4), (0, *regularization.dropout), network.sizes, strict=False)
    ]
    loss = train_epoch(
        ENGINES[engine], network, X, y, weight, order, 3, SGD(), np.array([0.1]), regularization=regularization
    )
    assert_close(loss, oracle.step(0.1, *(part[order].tolist() for part in (X, y, weight)), mask=masks))
    assert_close(network.params, oracle.params)


def test_steps_go_on_where_the_optimizer_is(engine):
    """The masks of the second call differ from the first's, and are those of one call that does both steps."""
    (network, X, y, weight), order = problem((3, 8, 2), n=4), np.arange(4)
    regularization, twice = Regularization(dropout=(0.5,), seed=1), np.tile(order, 2)
    at_once, optimizer = network.copy(), SGD()
    losses = [
        train_epoch(
            ENGINES[engine],
            network,
            X,
            y,
            weight,
            order,
            4,
            optimizer,
            np.array([1e-12]),
            regularization=regularization,
        )
        for _ in range(2)
    ]
    assert losses[0] != pytest.approx(losses[1], rel=1e-6)
    loss = train_epoch(
        ENGINES[engine], at_once, X, y, weight, twice, 4, SGD(), np.full(2, 1e-12), regularization=regularization
    )
    assert loss == pytest.approx(np.mean(losses), rel=1e-14)
    np.testing.assert_array_equal(at_once.params, network.params)


def test_only_training_drops(engine):
    """The validation loss after an epoch is the loss of the whole network; the training loss is not."""
    network, X, y, _ = problem((3, 20, 2), n=30)
    before = network.loss(X, y, engine=engine)
    history = fit(
        network, X, y, dropout=0.5, epochs=1, learning_rate=1e-12, validation_data=(X, y), engine=engine, random_state=0
    )
    assert history.validation_loss == [network.loss(X, y, engine=engine)]
    assert history.validation_loss[0] == pytest.approx(before, rel=1e-9)
    assert history.loss[0] != pytest.approx(before, rel=1e-3)
    assert network.gradient(X, y, engine=engine)[0] == pytest.approx(before, rel=1e-9)


def test_the_expected_output_is_kept(engine):
    """A linear network's training loss differs from its loss, but on average over the masks its output does not."""
    network, X, y, weight = problem((3, 40, 1), activation="identity", n=1, loss="absolute_error")
    y = np.full_like(y, -1e3)  # so that the loss is ŷ − y, and its mean tells that of ŷ
    repeats = 20_000
    order = np.zeros(repeats, np.int64)
    loss = train_epoch(
        ENGINES[engine],
        network, X, y, weight, order, 1, SGD(), np.full(repeats, 1e-300),
        regularization=Regularization(dropout=(0.3,), seed=0),
    )  # fmt: skip
    assert loss - 1e3 == pytest.approx(network.forward(X, engine=engine)[0, 0], abs=0.1)
