"""fit: what a run of epochs does to a network, whatever ends it."""

import signal
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from processes import finish, start
from scipy import sparse

from mlp_jit import SGD, Adam, Callback, EarlyStopping, History, Network, fit
from mlp_jit.engines import ENGINES
from mlp_jit.schedules import SCHEDULES, Constant, Cosine
from mlp_jit.training import epochs

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (22, 3))
Y = X[:, :1] * X[:, 1:2] + 0.1 * X[:, 2:]
LABELS = (X[:, 0] > X[:, 1]).astype(int) + (X[:, 2] > 0)
WEIGHTS = RNG.integers(0, 4, 22)


def make(sizes=(3, 5, 1), **settings) -> Network:
    return Network(sizes, **{"activation": "tanh", "random_state": 0, **settings})


def trained(*, net=None, X=X, y=Y, **settings):
    """(params, history) after a short fit."""
    net = net or make()
    history = fit(net, X, y, **{"batch_size": 5, "epochs": 3, "random_state": 0, **settings})
    return net.params, history


def same_run(one, other) -> bool:
    """Whether two runs are the same bit for bit."""
    return one[0].tobytes() == other[0].tobytes() and one[1] == other[1]


class Snapshots(Callback):
    """The parameters after each epoch."""

    def __init__(self):
        self.params = []

    def on_epoch(self, training):
        self.params.append(training.network.params.copy())


# --------------------------------------------------------------------------------------- epochs and batches


@pytest.mark.python
@pytest.mark.bounds
def test_the_loss_falls(engine):
    net = make([3, 8, 1], dtype="float64")
    before = net.loss(X, Y, engine=engine)
    history = fit(net, X, Y, learning_rate=0.03, batch_size=6, epochs=60, engine=engine, random_state=0)
    assert net.loss(X, Y, engine=engine) < 0.3 * before
    assert history.loss[-1] < 0.3 * history.loss[0]


@pytest.mark.python
@pytest.mark.bounds
def test_an_epoch_is_a_step_for_each_batch_in_turn(engine):
    net, by_hand = make(dtype="float64"), make(dtype="float64")
    history = fit(net, X, Y, optimizer="sgd", learning_rate=0.1, batch_size=8, epochs=2, shuffle=False, engine=engine)
    for _ in range(2):
        losses = []
        for rows in (slice(0, 8), slice(8, 16), slice(16, 22)):
            loss, gradient = by_hand.gradient(X[rows], Y[rows], engine=engine)
            by_hand.params[:] -= 0.1 * gradient
            losses.append(loss)
    np.testing.assert_allclose(net.params, by_hand.params, rtol=1e-12)
    assert history.loss[-1] == pytest.approx(np.average(losses, weights=[8, 8, 6]), rel=1e-12)  # the mean over samples


def test_shuffling_visits_every_row_once_an_epoch_in_new_orders(engine, monkeypatch):
    orders, train = [], ENGINES[engine].session.train

    def spy(session, samples, order, *arguments):
        orders.append(order.copy())
        train(session, samples, order, *arguments)

    monkeypatch.setattr(ENGINES[engine].session, "train", spy)
    trained(engine=engine)
    epochs = np.concatenate(orders).reshape(3, 22)  # an epoch may take several calls
    assert (np.sort(epochs) == range(22)).all()
    assert len(np.unique(epochs, axis=0)) == 3


def test_the_same_seed_gives_the_same_run(engine):
    def run(random_state):
        return trained(engine=engine, dropout=0.3, random_state=random_state)

    assert same_run(run(1), run(1))
    assert same_run(run(np.random.default_rng(1)), run(np.random.default_rng(1)))
    assert same_run(run(np.random.RandomState(1)), run(np.random.RandomState(1)))
    assert run(1)[0].tobytes() != run(2)[0].tobytes()


def test_without_shuffling_no_random_numbers_are_needed(engine):
    assert same_run(*(trained(engine=engine, shuffle=False, random_state=None) for _ in range(2)))


@pytest.mark.parametrize("batch_size", [1, 22, 1000])
def test_a_batch_may_be_a_row_or_all_of_them(batch_size, engine):
    params, history = trained(engine=engine, batch_size=batch_size)
    assert np.isfinite(params).all()
    assert len(history.loss) == 3
    if batch_size > 22:
        assert same_run((params, history), trained(engine=engine, batch_size=22))


@pytest.mark.parametrize("samples", [1, 13])
@pytest.mark.parametrize("shuffle", [False, True])
def test_several_epochs_a_call_are_as_many_calls(samples, shuffle, engine, monkeypatch):
    settings = {"X": X[:samples], "y": Y[:samples], "engine": engine, "epochs": 40, "shuffle": shuffle}
    at_once = trained(**settings)
    monkeypatch.setattr(epochs.Epochs, "epochs_at_once", lambda self, **rules: 1)
    assert same_run(trained(**settings), at_once)


def test_no_epochs_change_nothing(engine):
    params, history = trained(engine=engine, epochs=0)
    assert history == History()
    np.testing.assert_array_equal(params, make().params)


# --------------------------------------------------------------------------------------- where an epoch is cut


def cut(monkeypatch) -> list[int]:
    """From now on every call of an engine but the first of a fit makes one step; the list gets the steps of each."""
    steps = []
    monkeypatch.setattr(epochs, "SECONDS_PER_CALL", 0)
    for engine in ENGINES.values():

        def spy(session, samples, order, rates, *arguments, train=engine.session.train):
            steps.append(len(rates))
            train(session, samples, order, rates, *arguments)

        monkeypatch.setattr(engine.session, "train", spy)
    return steps


EVERYTHING = {"dropout": 0.2, "sample_weight": WEIGHTS / 3, "l2": 0.01, "clip_norm": 0.5, "schedule": "cosine"}


@pytest.mark.parametrize("optimizer", ["adam", "nadam"])
def test_cutting_an_epoch_changes_no_bit(optimizer, engine, monkeypatch):
    x = np.random.default_rng(1).normal(size=(203, 3))
    data = {"X": x, "y": x[:, :1], "sample_weight": abs(x[:, 1])}
    settings = {**EVERYTHING, **data, "engine": engine, "batch_size": 7, "epochs": 100}
    monkeypatch.setattr(epochs, "SECONDS_PER_CALL", 1e9)
    whole = trained(net=make(dtype="float64"), optimizer=optimizer, **settings)
    steps = cut(monkeypatch)
    in_steps = trained(net=make(dtype="float64"), optimizer=optimizer, **settings)
    assert steps[1:] == [1] * 29 * 99
    np.testing.assert_array_equal(whole[0], in_steps[0])
    assert whole[1] == in_steps[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_memory_map_is_trained_on_as_if_in_memory(dtype, engine, tmp_path, monkeypatch):
    mapped = np.memmap(tmp_path / "X", dtype, "w+", shape=X.shape)
    mapped[:] = X
    mapped = np.memmap(tmp_path / "X", dtype, "r", shape=X.shape)
    in_memory = trained(engine=engine, X=X.astype(dtype), **EVERYTHING)
    assert same_run(trained(engine=engine, X=mapped, **EVERYTHING), in_memory)
    steps = cut(monkeypatch)
    np.testing.assert_array_equal(trained(engine=engine, X=mapped, **EVERYTHING)[0], in_memory[0])
    assert max(steps[1:]) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_memory_map_is_never_copied_whole(dtype, engine, tmp_path):
    mapped = np.memmap(tmp_path / "X", dtype, "w+", shape=(1_000_000 // np.dtype(dtype).itemsize, 64))
    net, y = make([64, 1]), np.zeros(len(mapped), "float32")
    fit(net, mapped[:500], y[:500], epochs=1, engine=engine)  # so that compiling does not count
    tracemalloc.start()
    try:
        fit(net, mapped, y, epochs=1, engine=engine, random_state=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mapped.nbytes / 2


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.coo_array])
def test_a_fit_on_a_sparse_X_is_that_on_a_dense_one(engine, form):
    thin = np.where(np.abs(X) > 0.7, X, 0)
    (params, history), (expected, dense) = (
        trained(net=make(dtype="float64"), engine=engine, X=given, **EVERYTHING) for given in (form(thin), thin)
    )
    np.testing.assert_allclose(params, expected, rtol=1e-10)
    np.testing.assert_allclose(history.loss, dense.loss, rtol=1e-12)
    assert engine == "vectorized" or same_run((params, history), (expected, dense))


# --------------------------------------------------------------------------------------- sample weights


@pytest.mark.python
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_whole_weight_counts_as_that_many_rows(optimizer, engine):
    """And a weight of 0 as none."""
    settings = {"engine": engine, "optimizer": optimizer, "batch_size": 1000, "shuffle": False, "learning_rate": 0.05}
    weighted = trained(net=make(dtype="float64"), sample_weight=WEIGHTS, **settings)
    rows = np.repeat(np.arange(22), WEIGHTS)
    repeated = trained(net=make(dtype="float64"), X=X[rows], y=Y[rows], **settings)
    np.testing.assert_allclose(weighted[0], repeated[0], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(weighted[1].loss, repeated[1].loss, rtol=1e-10)


def test_a_batch_without_weight_teaches_nothing(engine):
    weights = np.repeat([0, 1], 11)
    settings = {"engine": engine, "optimizer": "sgd", "batch_size": 11, "shuffle": False}
    params, history = trained(sample_weight=weights, **settings)
    expected, rest = trained(X=X[11:], y=Y[11:], **settings)
    np.testing.assert_array_equal(params, expected)
    np.testing.assert_allclose(history.loss, rest.loss, rtol=1e-12)


# --------------------------------------------------------------------------------------- optimizer, schedule, penalties


def test_a_name_starts_afresh_and_an_object_goes_on(engine):
    settings = {"engine": engine, "shuffle": False}
    once, _ = trained(optimizer="adam", epochs=2, **settings)
    np.testing.assert_array_equal(trained(optimizer=Adam(), epochs=2, **settings)[0], once)

    def twice(optimizer):
        net = make()
        for _ in range(2):
            fit(net, X, Y, optimizer=optimizer, epochs=1, batch_size=5, engine=engine, shuffle=False)
        return net.params

    np.testing.assert_array_equal(twice(Adam()), once)
    assert (twice("adam") != once).any()


def test_an_object_starts_afresh_for_another_network(engine):
    optimizer, settings = Adam(), {"engine": engine, "y": X, "epochs": 1}
    trained(net=make([3, 5, 5, 3]), optimizer=optimizer, **settings)
    used, _ = trained(net=make([3, 3]), optimizer=optimizer, **settings)
    np.testing.assert_array_equal(used, trained(net=make([3, 3]), optimizer=Adam(), **settings)[0])


@pytest.mark.parametrize("schedule", sorted(set(SCHEDULES) - {"on_plateau"}))
def test_the_history_holds_the_last_rate_of_each_epoch(schedule, engine):
    _, history = trained(engine=engine, schedule=schedule, learning_rate=0.5, epochs=4)
    last_steps = np.arange(4) + 4 / 5  # 22 rows in batches of 5 are 5 steps
    np.testing.assert_allclose(history.learning_rate, 0.5 * by_name(schedule, 4).factors(last_steps), rtol=1e-14)


def by_name(schedule, epochs):
    """The schedule that a fit of so many epochs makes of a name: the cosine falls over all of them."""
    return Cosine(epochs=epochs) if schedule == "cosine" else SCHEDULES[schedule]()


@pytest.mark.parametrize(("validation_data", "falls"), [(None, True), ((X, Y), False)])
def test_a_schedule_hears_the_validation_loss_where_there_is_one(validation_data, falls):
    class Listening(Constant):
        def observe(self, loss):
            heard.append(loss)

    heard = []
    _, history = trained(schedule=Listening(), validation_data=validation_data)
    assert heard == (history.loss if falls else history.validation_loss)


def test_each_step_uses_its_own_rate(engine):
    """A schedule that is 0 but for the first step of each epoch trains on the first batch alone."""

    class First(Constant):
        def factors(self, epochs):
            return (epochs == np.floor(epochs)).astype(float)

    settings = {"engine": engine, "optimizer": "sgd", "shuffle": False}
    some, _ = trained(schedule=First(), **settings)
    np.testing.assert_array_equal(some, trained(X=X[:5], y=Y[:5], **settings)[0])


def test_the_history_counts_l2(engine):
    expected, _ = make(dtype="float64").gradient(X, Y, l2=0.3)
    assert expected > make(dtype="float64").loss(X, Y) + 0.1
    for settings in ({"l2": 0.3}, {"l2": 0.3 * 22, "l2_per_sample": True}):
        _, history = trained(net=make(dtype="float64"), engine=engine, batch_size=22, epochs=1, **settings)
        assert history.loss == [pytest.approx(expected, rel=1e-12)]


def test_clipping_bounds_the_step(engine):
    def step(**settings):
        before = make(dtype="float64")
        sgd = {"optimizer": "sgd", "learning_rate": 1, "batch_size": 22, "epochs": 1, "engine": engine}
        return trained(net=before.copy(), **sgd, **settings)[0] - before.params

    free = step()
    size = np.linalg.norm(free)
    np.testing.assert_allclose(step(clip_norm=size / 3), free / 3, rtol=1e-12)
    np.testing.assert_array_equal(step(clip_norm=size * 3), free)
    bound = np.median(abs(free))
    np.testing.assert_allclose(step(clip_value=bound), np.clip(free, -bound, bound), rtol=1e-12)


# --------------------------------------------------------------------------------------- validation and early stopping


def test_the_history_has_a_figure_for_each_epoch():
    assert [len(figures) for figures in vars(trained()[1]).values() if figures is not None] == [3, 0, 0, 0, 3]
    _, history = trained(net=make(output="sigmoid"), y=Y > 0, validation_data=(X, Y > 0))
    assert [len(figures) for figures in vars(history).values() if figures is not None] == [3, 3, 3, 0, 3]
    assert history.stopped is None


ONE_HOT = np.eye(2)[(LABELS > 0).astype(int)]
CLASSES = {  # output, targets, and how many of the outputs are right
    "classes": ("softmax", LABELS, lambda a: (a.argmax(axis=1) == LABELS).mean()),
    "two classes": ("sigmoid", LABELS > 0, lambda a: ((a[:, 0] > 0.5) == (LABELS > 0)).mean()),
    "labels": ("sigmoid", X[:, :2] > 0, lambda a: ((a > 0.5) == (X[:, :2] > 0)).all(axis=1).mean()),
    "steps": ("step", X[:, :2] > 0, lambda a: ((a > 0.5) == (X[:, :2] > 0)).all(axis=1).mean()),
    "one label": ("sigmoid", ONE_HOT, lambda a: ((a > 0.5) == ONE_HOT).all(axis=1).mean()),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_validation_is_measured_after_each_epoch(kind, engine):
    output, y, right = CLASSES[kind]
    net = make([3, 5, {"classes": 3, "two classes": 1}.get(kind, 2)], output=output)
    snapshots = Snapshots()
    history = fit(net, X, y, validation_data=(X, y, WEIGHTS), epochs=3, callbacks=[snapshots], engine=engine)
    for epoch, params in enumerate(snapshots.params):
        net.params[:] = params
        loss = net.loss(X, y, sample_weight=WEIGHTS, engine=engine)
        assert history.validation_loss[epoch] == pytest.approx(loss, rel=1e-6)
        assert history.validation_accuracy[epoch] == pytest.approx(right(net.forward(X, engine=engine)))


def test_there_is_no_accuracy_without_classes():
    assert trained(validation_data=(X, Y))[1].validation_accuracy == []


@pytest.mark.parametrize("early_stopping", [4, EarlyStopping(4)])
@pytest.mark.parametrize("validation_data", [None, (X[:7], -Y[:7])], ids=["training loss", "validation loss"])
def test_early_stopping_keeps_the_best_parameters(early_stopping, validation_data, engine):
    snapshots = Snapshots()
    settings = {"optimizer": SGD(0.9), "learning_rate": 0.3, "epochs": 500, "batch_size": 3, "engine": engine}
    params, history = trained(
        early_stopping=early_stopping, validation_data=validation_data, callbacks=[snapshots], **settings
    )
    best = np.argmin(history.watched)
    assert len(history.loss) == best + 1 + 4
    assert "4 epochs" in history.stopped
    np.testing.assert_array_equal(params, snapshots.params[best])


# --------------------------------------------------------------------------------------- callbacks


class Recorder(Callback):
    """Writes down what it hears, and may raise an error at one of it."""

    def __init__(self, name, heard, error_at=None, error=ZeroDivisionError):
        self.name, self.heard, self.error_at, self.error = name, heard, error_at, error

    def _hear(self, moment):
        self.heard.append(f"{self.name} {moment}")
        if moment == self.error_at:
            raise self.error

    def on_start(self, training):
        assert training.history.loss == []
        self._hear("start")

    def on_epoch(self, training):
        self._hear(len(training.history.loss))

    def on_end(self, training):
        self._hear("end")


def test_callbacks_are_called_in_their_order():
    heard = []
    trained(callbacks=(Recorder(name, heard) for name in "ab"), epochs=2)
    assert heard == ["a start", "b start", "a 1", "b 1", "a 2", "b 2", "a end", "b end"]


@pytest.mark.parametrize(
    ("error_at", "expected"),
    [
        ("start", ["a start", "b start", "a end", "b end"]),
        (1, ["a start", "b start", "c start", "a 1", "b 1", "a end", "b end", "c end"]),
        ("end", ["a start", "b start", "c start", "a 1", "b 1", "c 1", "a end", "b end", "c end"]),
    ],
)
def test_callbacks_hear_the_end_whatever_happens(error_at, expected):
    heard = []
    callbacks = [Recorder("a", heard), Recorder("b", heard, error_at), Recorder("c", heard)]
    with pytest.raises(ZeroDivisionError):
        trained(callbacks=callbacks, epochs=1)
    assert heard == expected


def test_a_callback_can_stop_the_fit():
    class Stop(Callback):
        def on_epoch(self, training):
            if len(training.history.loss) == 2:
                training.stop("enough")

    _, history = trained(callbacks=[Stop()], epochs=5)
    assert (len(history.loss), history.stopped) == (2, "enough")


# --------------------------------------------------------------------------------------- what may end a fit early


def test_a_loss_that_is_not_finite_stops_the_fit(engine):
    with warnings.catch_warnings(record=True) as caught:  # NumPy, too, warns in the vectorised engine
        warnings.simplefilter("always")
        _, history = trained(engine=engine, optimizer="sgd", learning_rate=1e30, epochs=50)
    assert any(w.category is RuntimeWarning and "fit stopped: the loss was" in str(w.message) for w in caught)
    assert not np.isfinite(history.loss[-1])
    assert np.isfinite(history.loss[:-1]).all()
    assert f"in epoch {len(history.loss)}" in history.stopped


@pytest.mark.parametrize("early_stopping", [None, 10])
def test_an_interrupt_between_epochs_keeps_what_was_learnt(early_stopping):
    snapshots = Snapshots()
    callbacks = [snapshots, Recorder("", [], error_at=3, error=KeyboardInterrupt)]
    with pytest.warns(UserWarning, match="Training interrupted by user.*after 3 epochs"):
        params, history = trained(callbacks=callbacks, early_stopping=early_stopping, epochs=10, learning_rate=0.1)
    assert len(history.loss) == 3
    assert history.stopped.startswith("interrupted")
    kept = -1 if early_stopping is None else np.argmin(history.loss[:2])
    np.testing.assert_array_equal(params, snapshots.params[kept])


def test_an_interrupt_between_steps_keeps_the_steps_done(engine, monkeypatch):
    cut(monkeypatch)
    expected, _ = trained(engine=engine, epochs=1)
    train, calls = ENGINES[engine].session.train, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        train(*arguments)

    monkeypatch.setattr(ENGINES[engine].session, "train", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user.*after 1 epoch"):
        params, _ = trained(engine=engine)
    np.testing.assert_array_equal(params, expected)


CTRL_C = """
import numpy as np, warnings
from mlp_jit import Callback, Network, fit

class Say(Callback):
    def on_epoch(self, training):
        if len(training.history.loss) == 1:
            print("training", flush=True)

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(3000, 3))
net = Network([3, 4, 1], random_state=0)
before = net.loss(X, X[:, :1])
history = fit(net, X, X[:, :1], epochs=10**9, batch_size=10, engine=ENGINE, callbacks=[Say()], random_state=0)
assert history.stopped == f"interrupted after {len(history.loss)} epochs", history.stopped
assert net.loss(X, X[:, :1]) < before
fit(net, X, X[:, :1], epochs=1, engine=ENGINE)
assert np.isfinite(net.params).all()
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process alone")
def test_ctrl_c_leaves_a_usable_network(engine):
    process = start("-c", CTRL_C.replace("ENGINE", repr(engine)))
    assert process.stdout.readline() == "training\n" or finish(process)
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == "done\n"
