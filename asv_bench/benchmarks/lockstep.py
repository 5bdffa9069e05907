"""How long many networks take at once, `fit_many`, beside JAX's vmap over networks and beside one fit after the other.

All sides train the same networks on the same batches, each network by its own learning rate, with Adam in float32. Ours
is the whole call, with all that `fit_many` checks and makes ready. JAX's is one jitted program: a scan over epochs, in
it one over batches, in it a step vmapped over the networks; compiling it does not count. The setup compares parameters.
"""

import os
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from mlp_jit import Network, fit
from mlp_jit.optimizers import Adam

try:
    from mlp_jit.many import fit_many
except ImportError:  # older commits
    fit_many = None

from .common import median_ratio, ratio
from .peers import JAX, rested_turn


class Many(NamedTuple):
    """So many networks of these sizes, and what they are trained on."""

    count: int
    sizes: tuple[int, ...]
    batch_size: int
    steps: int  # of an epoch
    epochs: int
    activation: str = "relu"
    output: str = "softmax"

    def networks(self) -> list[Network]:
        return [
            Network(self.sizes, activation=self.activation, output=self.output, random_state=k)
            for k in range(self.count)
        ]

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        rng, rows = np.random.default_rng(0), self.batch_size * self.steps
        X = rng.normal(size=(rows, self.sizes[0])).astype("float32")
        y = rng.integers(0, self.sizes[-1], rows) if self.output == "softmax" else X[:, :1] * X[:, 1:2]
        return X, y

    @property
    def rates(self) -> np.ndarray:
        return 1e-4 * (1 + np.arange(self.count) / self.count)


MANY = {
    "256 x 2-8-2": Many(256, (2, 8, 2), 16, 16, 100),
    "256 x 4-16-1": Many(256, (4, 16, 1), 150, 1, 500, output="identity"),
    "64 x 10-32-32-3": Many(64, (10, 32, 32, 3), 50, 10, 60),
    "16 x 64-100-10": Many(16, (64, 100, 10), 200, 5, 40),
}


class Ours:
    """Calling it trains all networks for all epochs, from where they are."""

    def __init__(self, many: Many, n_threads: int) -> None:
        self.many, self.networks, (self.X, self.y), self.n_threads = many, many.networks(), many.data(), n_threads
        self.optimizers = [Adam() for _ in self.networks]

    def settings(self) -> dict[str, Any]:
        many = self.many
        return {"batch_size": many.batch_size, "epochs": many.epochs, "shuffle": False, "n_threads": self.n_threads}

    def __call__(self) -> None:
        rates = self.many.rates.tolist()
        fit_many(self.networks, self.X, self.y, optimizer=self.optimizers, learning_rate=rates, **self.settings())

    def seconds(self) -> float:
        return rested_turn(self)


class OneByOne(Ours):
    """The same, by a fit after the other."""

    def __call__(self) -> None:
        for network, optimizer, rate in zip(self.networks, self.optimizers, self.many.rates.tolist(), strict=True):
            fit(network, self.X, self.y, optimizer=optimizer, learning_rate=rate, **self.settings())


class VmappedJAX:
    """The same networks, stacked."""

    def __init__(self, many: Many, n_threads: int) -> None:
        os.environ["NPROC"] = str(n_threads)  # how many threads it makes, when it is first used
        try:
            import jax
        except ImportError:
            raise NotImplementedError("JAX is not installed") from None
        networks, (X, y) = many.networks(), many.data()
        stacked = [
            tuple(jax.numpy.array(np.stack(arrays)) for arrays in zip(*pairs, strict=True))
            for pairs in zip(*(zip(n.weights, n.biases, strict=True) for n in networks), strict=True)
        ]
        zeros = jax.tree.map(jax.numpy.zeros_like, stacked)
        self.state, rates = (
            (stacked, zeros, jax.tree.map(jax.numpy.copy, zeros), 0),
            jax.numpy.array(many.rates, "float32"),
        )
        self.batches = [
            jax.device_put(array.reshape(many.steps, many.batch_size, *array.shape[1:])) for array in (X, y)
        ]
        of_one = JAX.loss(jax, many)

        def step(state: tuple, batch: list) -> tuple:
            theta, m, v, t = state
            L, g = jax.vmap(jax.value_and_grad(of_one), in_axes=(0, None, None))(theta, *batch)
            return JAX.adam(jax, theta, g, m, v, t + 1, rates), L

        def epoch(state: tuple, _: Any) -> tuple:
            return jax.lax.scan(step, state, self.batches)

        self.train = jax.jit(lambda state: jax.lax.scan(epoch, state, None, length=many.epochs), donate_argnums=0)

    def __call__(self) -> None:
        self.state, losses = self.train(self.state)
        losses.block_until_ready()

    @property
    def params(self) -> list[np.ndarray]:
        arrays = [np.asarray(array) for pair in self.state[0] for array in pair]
        return [np.concatenate([array[k].ravel() for array in arrays]) for k in range(len(arrays[0]))]

    def seconds(self) -> float:
        return rested_turn(self)


PEERS = {"JAX's vmap": VmappedJAX, "fit, one by one": OneByOne}


def need(n_threads: int) -> None:
    """NotImplementedError where there is no `fit_many`, or no such number of threads."""
    if fit_many is None:
        raise NotImplementedError("no many networks at once at this commit")
    if n_threads > numba.config.NUMBA_NUM_THREADS:
        raise NotImplementedError(f"Numba has no {n_threads} threads here")


class FitManyRatio:
    """The time of `fit_many` over a peer's, with the same number of threads each."""

    param_names = ("networks", "threads", "peer")
    params = (list(MANY), [1, 2], list(PEERS))
    unit = "ours/theirs"
    version = "1"

    def setup(self, name: str, n_threads: int, peer: str) -> None:
        need(n_threads)
        with threadpool_limits(n_threads):
            self.ours, self.theirs = Ours(MANY[name], n_threads), PEERS[peer](MANY[name], n_threads)
            self.ours()
            self.theirs()
        theirs = self.theirs.params if peer == "JAX's vmap" else [n.params for n in self.theirs.networks]
        for network, params in zip(self.ours.networks, theirs, strict=True):
            np.testing.assert_allclose(network.params, params, rtol=1e-3, atol=1e-3)

    def track_ratio(self, name: str, n_threads: int, peer: str) -> float:
        with threadpool_limits(n_threads):
            return median_ratio(self.ours.seconds, self.theirs.seconds)


class FitManyOnTwoThreads:
    """The time of `fit_many` on two threads over that on one."""

    param_names = ("networks",)
    params = (list(MANY),)
    unit = "two/one"
    version = "1"

    def setup(self, name: str) -> None:
        need(2)
        self.two, self.one = Ours(MANY[name], 2), Ours(MANY[name], 1)
        self.two()
        self.one()

    def track_ratio(self, name: str) -> float:
        return median_ratio(self.two.seconds, self.one.seconds)


class SearchRatio:
    """The time of a search, 18 candidates on five folds of iris, over that of scikit-learn's own with ours."""

    unit = "ours/theirs"
    version = "1"

    def setup(self) -> None:
        need(1)
        import warnings

        from sklearn import model_selection
        from sklearn.datasets import load_iris

        from mlp_jit import MLPClassifier
        from mlp_jit.many import GridSearchCV

        warnings.simplefilter("ignore")  # epochs that run out
        X, y = load_iris(return_X_y=True)
        grid = {
            "hidden_layer_sizes": [(8,), (16,)],
            "alpha": [1e-4, 1e-2, 1.0],
            "learning_rate_init": [1e-3, 1e-2, 3e-2],
        }
        network = MLPClassifier(max_iter=200, random_state=0, n_threads=1)
        kinds = GridSearchCV, model_selection.GridSearchCV
        self.ours, self.theirs = (partial(kind(network, grid, cv=5).fit, X, y) for kind in kinds)
        assert self.ours().best_score_ == self.theirs().best_score_

    def track_ratio(self) -> float:
        with threadpool_limits(1):
            return ratio(self.ours, self.theirs)
