"""Subnormal numbers are zeros to the lanes engine while it works, and to nobody else."""

import numpy as np
import pytest
from numba import njit, prange

from mlp_jit import Callback, MLPClassifier, Network, fit
from mlp_jit.engines.lanes import session
from mlp_jit.optimizers import Adam

TINY = np.full(64, 1e-40, np.float32)


def shrinking():
    """A network whose outputs for ones are 4e-40: above zero, below what a normal float32 can be."""
    network = Network([2, 2, 1], activation="identity", random_state=0)
    network.params[:] = 0
    for W in network.weights:
        W[...] = 1e-20
    return network


@pytest.mark.parametrize("rows", [1, 30, 5000])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_outputs_that_would_be_subnormal_are_zero(rows, n_threads, monkeypatch):
    monkeypatch.setattr(session, "PARALLEL_WORK", 0)
    network, X = shrinking(), np.ones((rows, 2), np.float32)
    assert 0 < network.forward(X, engine="loops")[0, 0] < 1e-39
    assert not network.forward(X, n_threads=n_threads).any()
    assert network.loss(X, np.zeros(rows), n_threads=n_threads) == 0


@pytest.mark.parametrize("n_threads", [1, 2])
def test_moments_of_dead_units_end_at_zero(n_threads, monkeypatch):
    monkeypatch.setattr(session, "PARALLEL_WORK", 0)
    X, y = np.random.default_rng(0).normal(size=(64, 4)), np.arange(64) % 2
    network, adam = Network([4, 6, 2], output="softmax", random_state=0), Adam(beta_2=0.9)
    settings = {"optimizer": adam, "batch_size": 32, "n_threads": n_threads, "random_state": 0}
    fit(network, X, y, epochs=1, **settings)
    network.biases[0][:3] = -1e3  # they answer to nothing any more
    fit(network, X, y, epochs=1000, **settings)
    gradients = adam.moments[0, : 4 * 6].reshape(4, 6)
    assert not gradients[:, :3].any()
    assert gradients[:, 3:].any()


@njit(parallel=True)
def halves_by_all(x, out):
    for k in prange(len(x)):
        out[k] = x[k] * np.float32(0.5)


def still_there():
    """Whether this thread and Numba's compute with subnormal numbers."""
    out = np.zeros_like(TINY)
    halves_by_all(TINY, out)
    return bool((TINY * np.float32(0.5)).all() and out.all())


def classifier(X, y):
    estimator = MLPClassifier((8,), max_iter=2, random_state=0, tol=0).fit(X, y)
    estimator.partial_fit(X, y).predict_proba(X)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize(
    "call",
    [
        lambda network, X, y: fit(network, X, y, epochs=2, validation_data=(X, y)),
        lambda network, X, y: fit(network, X, y, epochs=2, n_threads=1),
        lambda network, X, y: network.forward(X),
        lambda network, X, y: network.forward(X[:1]),
        lambda network, X, y: network.loss(X, y),
        lambda network, X, y: network.gradient(X, y),
        lambda network, X, y: classifier(X, y),
    ],
    ids=["fit", "fit alone", "forward", "forward of a row", "loss", "gradient", "estimator"],
)
def test_the_callers_arithmetic_stays_as_it_was(call, monkeypatch):
    monkeypatch.setattr(session, "PARALLEL_WORK", 0)
    monkeypatch.setattr(session, "REGION", 0)
    network = Network([3, 8, 2], output="softmax", random_state=0)
    X, y = np.random.default_rng(0).normal(size=(3000, 3)).astype(np.float32), np.arange(3000) % 2
    assert still_there()
    call(network, X, y)
    assert still_there()


class Refuses(Callback):
    def on_epoch(self, training):
        raise RuntimeError("enough")


def test_the_callers_arithmetic_stays_as_it_was_where_a_call_raises():
    network, X, y = Network([3, 8, 2], output="softmax"), np.ones((40, 3), np.float32), np.arange(40) % 2
    with pytest.raises(ValueError, match="X"):
        fit(network, X[:, :2], y)
    with pytest.raises(RuntimeError, match="enough"):
        fit(network, X, y, callbacks=[Refuses()])
    assert still_there()
