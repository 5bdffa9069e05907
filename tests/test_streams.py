"""Training on rows that come one batch after the other."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from mlp_jit import Callback, History, Network, Rows, fit, fit_stream

RNG = np.random.default_rng(0)
X, Y, WEIGHTS = RNG.normal(size=(530, 4)), RNG.integers(0, 3, 530), RNG.integers(0, 3, 530) / 2
SETTINGS = {"batch_size": 16, "random_state": 0, "dropout": 0.1, "l2": 1e-3}


def network(**options):
    return Network([4, 8, 3], output="softmax", random_state=0, **{"dtype": "float64"} | options)


def cut(*places, x=X):
    """Batches that end at these rows."""
    edges = [0, *places, len(Y)]
    return [(x[a:b], Y[a:b], WEIGHTS[a:b]) for a, b in pairwise(edges)]


def trained(batches, engine="lanes", **settings):
    net = network()
    history = fit_stream(net, batches, engine=engine, **{"epochs": 3, "window": 100} | SETTINGS | settings)
    return net.params.tobytes(), history


def test_how_batches_are_cut_changes_no_bit(engine):
    whole = trained(cut(), engine)
    assert len(whole[1].loss) == 3
    assert whole[1].loss[-1] < whole[1].loss[0]
    for places in ((100,), (1, 2, 3, 400), (7, 7, 7, 112, 113, 500), range(1, 530)):
        assert trained(cut(*places), engine) == whole
    rows = Rows(X, Y, WEIGHTS, at_once=33)
    assert trained(rows, engine) == whole
    assert trained(rows, engine, window=105) == whole  # to whole batches: 112 rows, as 100 are


def test_without_shuffling_it_is_fit(engine):
    """With windows of whole batches; dropout goes by the rows' numbers."""
    alone = network()
    settings = {**SETTINGS, "shuffle": False, "epochs": 3, "engine": engine}
    history = fit(alone, X, Y, sample_weight=WEIGHTS, **settings)
    params, streamed = trained(cut(50, 300), engine, shuffle=False)
    assert params == alone.params.tobytes()
    assert streamed == history


def test_a_window_of_all_rows_is_shuffled_like_fit():
    alone = network()
    history = fit(alone, X, Y, sample_weight=WEIGHTS, epochs=1, **SETTINGS)
    params, streamed = trained(cut(77), epochs=1, window=10_000)
    assert params == alone.params.tobytes()
    assert streamed == history


def test_sparse_batches_are_as_dense_ones():
    thin = np.where(np.abs(X) > 0.7, X, 0)
    assert trained(cut(99, 200, x=sparse.csr_array(thin))) == trained(cut(99, 200, x=thin))


def test_validation_early_stopping_callbacks_and_plateaus():
    heard = []

    class Ear(Callback):
        def on_epoch(self, training):
            heard.append(len(training.history.loss))

    net = network()
    history = fit_stream(net, cut(200), epochs=50, window=100, early_stopping=2, validation_data=(X[:50], Y[:50]),
                         callbacks=[Ear()], schedule="on_plateau", learning_rate=0.05, **SETTINGS)  # fmt: skip
    assert heard == list(range(1, len(history.loss) + 1))
    assert len(history.validation_loss) == len(history.validation_accuracy) == len(history.loss) < 50
    assert net.loss(X[:50], Y[:50]) == pytest.approx(min(history.validation_loss), rel=1e-12)


class Slices:
    """What HDF5 and Zarr have: a shape, and slices; nothing else."""

    def __init__(self, array):
        self.array, self.shape, self.asked = array, array.shape, []

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        self.asked.append(rows.stop - rows.start)
        return self.array[rows]


def test_arrays_with_row_slices():
    x = Slices(X)
    assert trained(Rows(x, Slices(Y), Slices(WEIGHTS), at_once=50)) == trained(cut())
    assert max(x.asked) == 50


def test_nothing_is_kept_of_what_went_by():
    rows, columns = 40_000, 64

    def batches():
        rng = np.random.default_rng(0)
        for _ in range(40):
            yield rng.normal(size=(rows // 40, columns)).astype("f4"), rng.normal(size=rows // 40).astype("f4")

    net = Network([columns, 1], random_state=0)
    fit_stream(net, [next(batches())], window=1000, batch_size=100)
    tracemalloc.start()
    try:
        history = fit_stream(net, batches(), window=2000, batch_size=100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.isfinite(history.loss).all()
    assert peak < rows * columns * 4 / 5


@pytest.mark.parametrize(
    ("batches", "settings", "error", "message"),
    [
        (7, {}, TypeError, "batches: expected an iterable of"),
        (iter(cut()), {}, ValueError, "batches: expected what can be gone over 3 times, got an iterator"),
        ([], {}, ValueError, "batches: expected rows, got none"),
        ([(X, Y), X], {}, TypeError, r"batch 1: expected \(X, y\) or \(X, y, sample_weight\), got ndarray"),
        ([(X, Y), (X[:, :3], Y)], {}, ValueError, "batch 1: X: expected shape"),
        ([(X, Y), (X, Y), (np.where(X > 2, np.nan, X), Y)], {}, ValueError, "batch 2: X: expected finite numbers"),
        ([(X, Y + 3)], {}, ValueError, "batch 0: y: expected labels from 0 to 2"),
        (cut(), {"window": 0}, ValueError, "window: expected an integer >= 1"),
        (cut(), {"batch_size": 0}, ValueError, "batch_size: expected an integer >= 1"),
        (cut(), {"optimizer": "best"}, ValueError, "optimizer: expected one of"),
    ],
)
def test_bad_input_is_refused_with_the_number_of_its_batch(batches, settings, error, message):
    with pytest.raises(error, match=message):
        trained(batches, **settings)


def test_rows_that_do_not_match():
    with pytest.raises(ValueError, match="y: expected 530 rows, as many as X has, got 529"):
        Rows(X, Y[:-1])
    with pytest.raises(TypeError, match="X: expected an array with a shape and row slices, got list"):
        Rows([1, 2], Y)


def test_an_iterator_does_for_one_epoch_and_empty_batches_for_none():
    batches = [(X[:0], Y[:0], WEIGHTS[:0]), *cut(90)]
    assert trained(iter(batches), epochs=1) == trained(cut(), epochs=1)


def test_ctrl_c_keeps_what_was_learnt():
    def batches():
        yield X[:200], Y[:200]
        raise KeyboardInterrupt

    net = network()
    before = net.params.copy()
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        history = fit_stream(net, batches(), window=48, **SETTINGS)
    assert history == History(stopped="interrupted after 0 epochs")
    assert np.isfinite(net.params).all()
    assert not np.array_equal(net.params, before)


def test_a_loss_that_is_not_finite_ends_it():
    with pytest.warns(RuntimeWarning, match="fit stopped: the loss was"):
        _, history = trained(cut(), optimizer="sgd", learning_rate=1e6, epochs=9)
    assert history.stopped
