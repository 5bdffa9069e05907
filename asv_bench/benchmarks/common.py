"""What the benchmarks share: the table of problems, one thread for everyone, and interleaved ratios."""

import functools
import statistics
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from mlp_jit import Network
from mlp_jit.engines import ENGINES
from mlp_jit.optimizers import OPTIMIZERS

BASELINE = "vectorized"
OURS = [name for name in ENGINES if name != BASELINE]
DTYPES = ["float32", "float64"]

# name: layer sizes, batch size, steps an epoch (enough of them that a call's own cost does not show)
PROBLEMS = {
    "2-8-2 batch 4": ([2, 8, 2], 4, 100),
    "32-32-2 batch 16": ([32, 32, 2], 16, 60),
    "32-64-32-2 batch 32": ([32, 64, 32, 2], 32, 40),
    "64-100-10 batch 200": ([64, 100, 10], 200, 7),
    "784-128-10 batch 128": ([784, 128, 10], 128, 4),
    "784-256-256-10 batch 128": ([784, 256, 256, 10], 128, 2),
}


def one_thread(function: Callable) -> Callable:
    """Pin BLAS to one thread while `function` runs; our engines are told so by `n_threads=1`."""

    @functools.wraps(function)
    def pinned(*args: object) -> object:
        with threadpool_limits(1):
            return function(*args)

    return pinned


class Epoch:
    """One network and one data set; calling it trains an epoch. `params` shows what came of it."""

    def __init__(self, problem: str, dtype: str, engine: str, optimizer: str = "sgd") -> None:
        sizes, self.batch_size, steps = PROBLEMS[problem]
        rng = np.random.default_rng(0)
        n_samples = self.batch_size * steps
        self.network = Network(sizes, activation="relu", output="softmax", dtype=dtype, random_state=0)
        self.data = self.network.check(rng.normal(size=(n_samples, sizes[0])), rng.integers(0, sizes[-1], n_samples))
        self.order = rng.permutation(n_samples)
        self.rates = np.full(steps, 1e-3)
        self.engine = ENGINES[engine]
        self.optimizer = OPTIMIZERS[optimizer]()

    @property
    def params(self) -> np.ndarray:
        return self.network.params

    def __call__(self) -> float:
        return self.engine.train_epoch(
            self.network, *self.data, self.order, self.batch_size, self.optimizer, self.rates, n_threads=1
        )


def ratio(ours: Callable, baseline: Callable, seconds: float = 1.0) -> float:
    """The median over rounds of time(ours) / time(baseline), the two taking turns for about this long."""
    ratios: list[float] = []
    end = time.perf_counter() + seconds
    while len(ratios) < 11 or time.perf_counter() < end:
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        baseline()
        ratios.append((middle - start) / (time.perf_counter() - middle))
    return statistics.median(ratios)
