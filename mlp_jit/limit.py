"""Where the limit is: how fast this machine multiplies and adds, and what part of that a step of training reaches.

Three rates, in operations a second (a multiplication and an addition are two):

- the *peak*: fused multiply-adds of a register tile that never leaves its registers;
- BLAS's: NumPy's product of two matrices of `MATRIX` × `MATRIX`;
- a *step*'s: E1, E3 and E4 of a batch, 2 B (3 Σ n_in n_out − first layer) operations, over the time of all of it.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from . import Network
from .engines import ENGINES
from .engines.contract import FIGURES, Recipe, Samples
from .engines.lanes.peak import multiply_add, tile_numbers
from .optimizers import SGD

MATRIX = 2048
STEPS, RATE = 4, 1e-5
COUNT = 100_000  # multiply-adds of a tile
SECONDS = 1.0  # of measuring, for each network and number of threads
REST, TURN = 0.05, 0.05  # seconds; idle threads of BLAS spin for some 30 ms, and have left after the rest
PINS_BLAS = find_spec("threadpoolctl") is not None
NETWORKS = [  # sizes, samples a batch
    ((64, 100, 10), 200),
    ((54, 200, 200, 7), 256),
    ((784, 128, 10), 128),
    ((784, 256, 256, 10), 128),
    ((512, 512, 512, 512), 300),
    ((256, 1024, 1024, 1024, 10), 512),
]


class Rates(NamedTuple):
    """Operations a second."""

    peak: float
    product: float
    step: float


def rates(sizes: Sequence[int], batch_size: int, n_threads: int, dtype: Any = "float32") -> Rates:
    """The three rates on so many threads: medians over the turns that the three take for about SECONDS.

    BLAS keeps its own number of threads where threadpoolctl is not installed.
    """
    with ThreadPoolExecutor(n_threads) as pool:
        work = peak(pool, n_threads, dtype), product(dtype), step(sizes, batch_size, n_threads, dtype)
        for task in work:
            task.run()  # compiles, wakes threads
        with blas_threads(n_threads):
            seconds = medians([task.run for task in work])
    return Rates(*(task.operations / median for task, median in zip(work, seconds, strict=True)))


class Work(NamedTuple):
    """Something to do, and the operations that it takes."""

    run: Callable[[], object]
    operations: int


def peak(pool: Executor, n_threads: int, dtype: Any) -> Work:
    """Multiply-adds that wait for nothing, on so many threads at once."""
    tiles = [np.zeros(tile_numbers(dtype), dtype) for _ in range(n_threads)]
    return Work(
        lambda: list(pool.map(multiply_add, tiles, [COUNT] * n_threads)), 2 * tile_numbers(dtype) * COUNT * n_threads
    )


def product(dtype: Any) -> Work:
    """NumPy's product of two matrices."""
    A, B = np.random.default_rng(0).normal(size=(2, MATRIX, MATRIX)).astype(dtype)
    out = np.empty_like(A)
    return Work(lambda: np.matmul(A, B, out=out), 2 * MATRIX**3)


def step(sizes: Sequence[int], batch_size: int, n_threads: int, dtype: Any) -> Work:
    """STEPS steps of SGD, as `fit` takes them: a multiplication and an addition for each term of E1, E3 and E4, and
    none in E3 below the first layer.
    """
    rng, n_samples = np.random.default_rng(0), STEPS * batch_size
    network = Network(sizes, output="softmax", dtype=dtype, random_state=0)
    data = Samples(*network.check(rng.normal(size=(n_samples, sizes[0])), rng.integers(0, sizes[-1], n_samples)))
    order, eta, figures = rng.permutation(n_samples), np.full(STEPS, RATE), np.empty((STEPS, FIGURES))
    session = ENGINES["lanes"].session(network, Recipe(SGD(), batch_size, n_threads=n_threads))
    weights = [n_in * n_out for n_in, n_out in pairwise(sizes)]
    return Work(lambda: session.train(data, order, eta, figures), 2 * n_samples * (3 * sum(weights) - weights[0]))


def blas_threads(n_threads: int) -> AbstractContextManager:
    """Pin BLAS to so many threads, where threadpoolctl is installed."""
    if not PINS_BLAS:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(n_threads)


def medians(functions: Sequence[Callable[[], object]]) -> list[float]:
    """The median seconds of a call of each, taking turns for about SECONDS in all; a turn is a rest and some calls."""
    seconds: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + SECONDS
    while not seconds[0] or time.perf_counter() < end:
        for function, times in zip(functions, seconds, strict=True):
            time.sleep(REST)
            turn_end = time.perf_counter() + TURN
            while len(times) == 0 or time.perf_counter() < turn_end:
                start = time.perf_counter()
                function()
                times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]
