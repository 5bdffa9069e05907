"""Checkpoints: a fit that was cut, however and whenever, ends with the bits of one that was not."""

import os

import numpy as np
import pytest
from scipy import sparse

from mlp_jit import Adam, Callback, Checkpoint, EarlyStopping, MLPClassifier, Network, fit, save
from mlp_jit.engines import ENGINES
from mlp_jit.estimators import lbfgs
from mlp_jit.schedules import Constant
from mlp_jit.training import epochs
from mlp_jit.training.checkpoint import Keeper

rng = np.random.default_rng(0)
X, HELD_OUT = rng.normal(size=(90, 5)), rng.normal(size=(40, 5))
Y = np.tanh(X[:, :2])
CASES = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05},
    "adam, dropout and cosine": {"dropout": 0.3, "schedule": "cosine", "l2": 0.01},
    "by batch, with early stopping": {
        "normalization": "batch", "early_stopping": EarlyStopping(2, tol=1e-3), "learning_rate": 0.03,
        "validation_data": (HELD_OUT, np.tanh(HELD_OUT[:, 1:3])), "epochs": 30,
    },
    "nadam on a plateau": {
        "optimizer": "nadam", "schedule": "on_plateau", "clip_norm": 0.1, "sample_weight": abs(X[:, 0]),
    },
    "a legacy generator": {"random_state": "legacy"},
    "sparse": {"X": sparse.csr_matrix(np.where(X > 0.5, X, 0)), "optimizer": "adagrad"},
}  # fmt: skip


def run(checkpoint=None, *, callbacks=(), case="sgd", **changes):
    """(parameters, state, history) of a fit: always the same call."""
    given = {"X": X, "batch_size": 20, "epochs": 6, "random_state": 3} | CASES[case] | changes
    if given["random_state"] == "legacy":
        given["random_state"] = np.random.RandomState(3)
    network = Network([5, 8, 2], normalization=given.pop("normalization", None), random_state=0)
    history = fit(network, given.pop("X"), Y, checkpoint=checkpoint, callbacks=callbacks, **given)
    return network.params, network.state, history


def assert_same(one, other):
    for ours, theirs in zip(one[:2], other[:2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert one[2] == other[2]


class Cut(Callback):
    """Raises after some epochs of this call."""

    def __init__(self, after, error=ZeroDivisionError):
        self.left, self.error = after, error

    def on_epoch(self, training):
        self.left -= 1
        if self.left == 0:
            raise self.error


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.mlp"


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_cut_again_and_again(case, path):
    whole = run(case=case)
    for cuts in range(99):
        try:
            ended = run(path, case=case, callbacks=[Cut(1 + cuts % 2)])
            break
        except ZeroDivisionError:
            pass
    assert cuts >= 3
    assert_same(ended, whole)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.filterwarnings("ignore:Training interrupted")
@pytest.mark.parametrize("case", ["sgd", "adam, dropout and cosine"])
def test_a_run_that_is_cut_within_an_epoch(case, path, monkeypatch):
    """Ctrl-C comes after a call of the session, before anything has counted its steps: the state before it is kept."""
    whole, calls = run(case=case), []
    session = ENGINES["lanes"].session
    train = session.train

    def cut(self, *given):
        train(self, *given)
        calls.append(given)
        if len(calls) % 7 == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(epochs, "SECONDS_PER_CALL", 0)  # a step a call
    monkeypatch.setattr(session, "train", cut)
    ended, runs = run(Checkpoint(path, every=0), case=case), 1
    while ended[2].stopped:
        ended, runs = run(Checkpoint(path, every=0), case=case), runs + 1
    assert runs > 2
    assert_same(ended, whole)


ESTIMATORS = {
    "adam, dropout and cosine": {"dropout": 0.2, "learning_rate": "cosine"},
    "early stopping, by batch": {"early_stopping": True, "n_iter_no_change": 2, "normalization": "batch", "tol": 0.01},
    "sgd, slowing down": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.3, "tol": 1e-2, "n_iter_no_change": 1,
    },
    "lbfgs": {"solver": "lbfgs", "max_iter": 12},
    "a generator of NumPy's": {"random_state": None, "early_stopping": True},
}  # fmt: skip


def estimator(case, checkpoint=None, callbacks=(), **changes):
    """A fitted one: always the same call."""
    np.random.seed(3)  # noqa: NPY002, which random_state=None goes by
    given = {"hidden_layer_sizes": (6,), "batch_size": 20, "max_iter": 9, "random_state": 0} | ESTIMATORS[case]
    found = MLPClassifier(**given | changes, checkpoint=checkpoint, callbacks=list(callbacks))
    return found.fit(X, np.digitize(X[:, 0] + X[:, 1] ** 2, [0, 1]))


def learnt(found):
    kept = {
        name: value for name, value in vars(found).items() if name[-1] == "_" and name not in ("coefs_", "intercepts_")
    }
    arrays = {"params": found.network_.params, "state": found.network_.state}
    return {name: np.asarray(value).tolist() for name, value in (kept | arrays).items() if name != "_network_"}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")
@pytest.mark.parametrize("case", ESTIMATORS)
def test_an_estimator_that_is_cut_again_and_again(case, path):
    whole = learnt(estimator(case, path.parent / "whole"))
    if "None" not in str(ESTIMATORS[case]):
        assert learnt(estimator(case)) == whole
    every = Checkpoint(path, every=0)
    for cuts in range(99):
        try:
            ended = estimator(case, every, [Cut(1 + cuts % 2)])
            break
        except ZeroDivisionError:
            pass
    assert cuts >= 2
    assert learnt(ended) == whole
    assert learnt(estimator(case, every, [Cut(1)])) == whole  # at once


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed", "ignore:Training interrupted")
def test_lbfgs_goes_again_the_way_that_it_went(path, monkeypatch):
    whole, asked = learnt(estimator("lbfgs")), []
    objective = lbfgs.Objective.__call__
    monkeypatch.setattr(lbfgs.Objective, "__call__", lambda self, theta: (asked.append(0), objective(self, theta))[1])
    estimator("lbfgs", path, [Cut(7, KeyboardInterrupt)])
    before = len(asked)
    assert learnt(estimator("lbfgs", path)) == whole
    once = len(asked)
    estimator("lbfgs")
    assert len(asked) - once == once  # none twice
    assert 0 < before < once


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")
def test_an_estimators_other_run_is_refused_and_the_estimator_unchanged(path):
    first = estimator("lbfgs", path)
    before = learnt(first)
    for changes, words in (({"alpha": 1.0}, "alpha: 0.0001 there, 1.0 here"), ({"random_state": 1}, "random_state")):
        with pytest.raises(ValueError, match=f"one of another .*{words}"):
            first.set_params(**changes).fit(X, np.digitize(X[:, 0] + X[:, 1] ** 2, [0, 1]))
        assert learnt(first) == before
        first.set_params(alpha=0.0001, random_state=0)
    with pytest.raises(ValueError, match="X, y and sample_weight"):
        first.fit(X, X[:, 0] > 0)
    with pytest.raises(ValueError, match="warm start from: None there"):
        first.set_params(warm_start=True).fit(X, np.digitize(X[:, 0] + X[:, 1] ** 2, [0, 1]))
    with pytest.raises(ValueError, match="'checkpoint' parameter of MLPClassifier must be an instance of 'str'"):
        estimator("lbfgs", 3)
    assert os.listdir(path.parent) == [path.name]


def test_an_unknown_schedule_is_refused_before_anything_is_trained(path):
    class Mine(Constant):
        pass

    with pytest.raises(TypeError, match="schedule: Mine"):
        run(path, schedule=Mine())
    assert os.listdir(path.parent) == []


def test_a_run_that_has_ended_returns_at_once(path):
    seen = []

    class See(Callback):
        def on_start(self, training):
            seen.append(training)

    whole = run(path, callbacks=[See()])
    assert_same(run(path, callbacks=[See()]), whole)
    assert len(seen) == 1


def test_the_number_of_threads_may_change_and_checkpoints_change_no_bit(path):
    whole = run()
    with pytest.raises(ZeroDivisionError):
        run(path, callbacks=[Cut(2)], n_threads=1)
    assert_same(run(path, n_threads=2), whole)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 0.1}, "learning_rate: 0.05 there, 0.1 here"),
        ({"X": X + 1}, "X, y and sample_weight"),
        ({"epochs": 7}, "epochs: 6 there, 7 here"),
        ({"optimizer": Adam()}, "optimizer: SGD with"),
        ({"normalization": "layer"}, "normalization"),
        ({"dropout": 0.1, "l2": 1.0}, "regularization"),
        ({"engine": "loops"}, "engine: lanes there, loops here"),
    ],
)
def test_another_run_is_refused_and_nothing_is_lost(changes, words, path):
    with pytest.raises(ZeroDivisionError):
        run(path, callbacks=[Cut(2)])
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"expected a checkpoint of this run, got one of another .*{words}"):
        run(path, **changes)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_other_files_are_refused(path):
    save(Network([2, 2]), path)
    with pytest.raises(ValueError, match="expected a checkpoint of format 2, got another file"):
        run(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="another digest than it says"):
        run(path)


def test_two_at_once_on_one_path(path):
    class Second(Callback):
        def on_epoch(self, training):
            with pytest.raises(BlockingIOError, match=r"run\.mlp: another process keeps a run there"):
                run(path)

    assert_same(run(path, callbacks=[Second()]), run())


def test_it_is_written_as_seldom_as_asked(path, monkeypatch):
    written, write = [], Keeper.write
    monkeypatch.setattr(Keeper, "write", lambda self, **given: (written.append(given), write(self, **given)))
    run(Checkpoint(path, every=1000))
    assert written == [{"done": True}]
    path.unlink()
    run(Checkpoint(path, every=0))
    assert len(written) == 1 + 6 + 1


@pytest.mark.parametrize("every", [-1, "often", float("nan")])
def test_no_time_is_refused(every):
    with pytest.raises((TypeError, ValueError), match=r"Checkpoint\(every\): expected a number >= 0"):
        Checkpoint("run.mlp", every)
