"""The engines that are tested, random networks with data that fits them, and what "equal to rounding" means here."""

import sys

import numba
import numpy as np

from mlp_jit import Network
from mlp_jit.engines import ENGINES
from mlp_jit.engines.contract import FIGURES, NONE, Recipe, Samples, mean_loss
from mlp_jit.losses import LOSSES

COMPILED = {name: ENGINES[name] for name in ("lanes", "loops")}  # these promise the same bits for any number of threads
# As plain Python (NUMBA_DISABLE_JIT=1) all but lanes: intrinsics exist only compiled.
RUNNABLE = {name: engine for name, engine in ENGINES.items() if name != "lanes" or not numba.config.DISABLE_JIT}
PAIRS = [(loss.name, output) for loss in LOSSES.values() for output in loss.outputs]  # every loss with its every output


def problem(sizes, *, n=5, seed=0, dtype="float64", noise=0.3, weightless=0.0, **options):
    """(network, X, y, sample_weight) as engines take them; biases are not zero and samples weigh differently.

    `noise` is added to the initial parameters; `weightless` is the share of samples after the first without weight.
    """
    rng = np.random.default_rng(seed)
    network = Network(sizes, dtype=dtype, random_state=seed, **options)
    network.params += rng.normal(0, noise, network.n_params).astype(dtype)
    X = rng.normal(size=(n, sizes[0]))
    y = targets(rng, network.output, (n, sizes[-1]))
    weight = rng.uniform(0.5, 2, n)
    weight[1:] *= rng.uniform(size=n - 1) >= weightless
    return network, *network.check(X, y, weight)


def works_in_parallel(monkeypatch, engine, work):
    """From now on threads are used from so many multiply-adds a batch."""
    monkeypatch.setattr(sys.modules[engine.session.__module__], "PARALLEL_WORK", work)


def parallel_work(engine):
    """The multiply-adds a batch from which it uses threads."""
    return sys.modules[engine.session.__module__].PARALLEL_WORK


def train_epoch(
    engine, network, X, y, sample_weight, order, batch_size, optimizer, rates, *,
    places=None, regularization=NONE, n_threads=None,
):  # fmt: skip
    """`Session.train` in a session of its own; returns the mean loss."""
    figures = np.full((len(rates), FIGURES), np.nan)
    session = engine.session(network, Recipe(optimizer, batch_size, regularization, n_threads))
    session.train(Samples(X, y, sample_weight), order, rates, figures, places)
    return mean_loss(figures)


def targets(rng, output, shape):
    """Targets of every kind that the output allows."""
    if output == "softmax":
        shares = rng.uniform(size=shape)
        return shares / shares.sum(axis=1, keepdims=True)
    if output == "step":
        return rng.integers(0, 2, shape)
    if output == "identity":
        return rng.normal(0, 2, shape)
    return rng.uniform(0, 1 if output == "sigmoid" else 3, shape)


def assert_close(actual, expected, dtype="float64", ulps=100, message=""):
    """Every entry within `ulps` roundings of the largest one."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    bound = ulps * np.finfo(dtype).eps * np.abs(expected).max(initial=1e-30)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound, err_msg=message)
