"""What a user's own φ and ℓ cost: leaky_relu and squared_error written by a user over the built-in ones."""

import numpy as np

from mlp_jit import Network, fit

from .common import DTYPES, one_thread, ratio

try:
    from mlp_jit import Activation, Loss
except ImportError:  # older commits
    Activation = Loss = None

ENGINES = ["lanes", "loops", "vectorized"]


def phi(z):
    return z if z > 0 else type(z)(0.01) * z


def slope(z, a):
    return type(z)(1) if z > 0 else type(z)(0.01)


def ell(a, y):
    return (a - y) * (a - y)


def delta(a, y):
    return type(a)(2) * (a - y)


class OwnPairRatio:
    """An epoch of 64-100-100-10 with the user's pair over one with the built-in pair."""

    param_names = ("dtype", "engine")
    params = (DTYPES, ENGINES)
    unit = "own/built-in"
    version = "1"

    def setup(self, dtype: str, engine: str) -> None:
        if Activation is None:
            raise NotImplementedError("no pairs of one's own at this commit")
        rng = np.random.default_rng(0)
        self.X, self.y = rng.normal(size=(4000, 64)).astype(dtype), rng.normal(size=(4000, 10)).astype(dtype)

    @one_thread
    def track_ratio(self, dtype: str, engine: str) -> float:
        pairs = (Activation("own", phi, slope), Loss("own", ell, delta, ("identity",))), ("leaky_relu", "squared_error")
        networks = [
            Network([64, 100, 100, 10], activation=phi, loss=loss, dtype=dtype, random_state=0) for phi, loss in pairs
        ]

        def epochs(network: Network) -> None:
            fit(network, self.X, self.y, batch_size=200, epochs=4, learning_rate=1e-5, engine=engine, n_threads=1)

        return ratio(lambda: epochs(networks[0]), lambda: epochs(networks[1]))
