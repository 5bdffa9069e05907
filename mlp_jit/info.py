"""What this machine is to the package: versions, CPU, register tile, threads, cache, and the rate of arithmetic."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from itertools import pairwise

import numba
import numpy as np
from numba.core.registry import cpu_target

from . import Network, __version__
from ._jit import threading_layer, threads
from .engines import ENGINES
from .engines.contract import FIGURES, Recipe, Samples
from .engines.lanes import simd, tiles
from .optimizers import SGD

SIZES, BATCH, STEPS = [784, 256, 256, 10], 128, 4
MATRIX = 512
SECONDS = 1.0  # of measuring, for each number of threads
PINS_BLAS = find_spec("threadpoolctl") is not None
TURN = 0.1  # seconds: idle threads of BLAS spin for some 30 ms, which the median ignores


def info() -> None:
    """Print it all. Measuring takes 2 seconds, and longer once, where the engine is not compiled yet."""
    for name, value in machine().items():
        print(f"{name:10} {value}")
    if numba.config.DISABLE_JIT:
        print("\nThe lanes engine exists only compiled: unset NUMBA_DISABLE_JIT to have it measured.")
        return
    print(f"\nGFLOP/s in float32: the lanes engine training {'-'.join(map(str, SIZES))} in batches of {BATCH},")
    print(f"and NumPy multiplying matrices of {MATRIX} × {MATRIX}")
    for n_threads in sorted({1, threads(None)}):
        with blas_threads(n_threads):
            training, product = rates(n_threads)
        label = f"{n_threads} thread" + "s" * (n_threads > 1)
        print(f"  {label:10} training {training:6.1f}   product {product:6.1f}", flush=True)
    if not PINS_BLAS:
        print("The products used BLAS's own number of threads; threadpoolctl, if installed, sets it.")


def machine() -> dict[str, str]:
    """What there is to know without measuring."""
    _, cpu, _ = cpu_target.target_context.codegen().magic_tuple()
    samples = {name: simd.VECTORS * simd.lanes_of(np.dtype(name)) for name in ("float32", "float64")}
    return {
        "versions": f"mlp_jit {__version__}, numba {numba.__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}",
        "CPU": f"{cpu}, {platform.machine()}, {os.cpu_count()} cores",
        "registers": f"{simd.REGISTERS} vectors of {simd.VECTOR_BYTES} bytes",
        "tile": f"{simd.NEURONS} neurons × {simd.VECTORS} vectors of samples, "
        + " or ".join(f"{count} {name}" for name, count in samples.items()),
        "threads": f"{threads(None)}, by {threading_layer()}",
        "cache": cache(),
    }


def cache() -> str:
    """Where compiled code is kept."""
    if numba.config.DISABLE_JIT:
        return "none: NUMBA_DISABLE_JIT is set"
    return tiles.forward_layer.cache_path() or "none: each process compiles anew"


def blas_threads(n_threads: int) -> AbstractContextManager:
    """Pin BLAS to so many threads, where threadpoolctl is installed."""
    if not PINS_BLAS:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(n_threads)


def rates(n_threads: int) -> tuple[float, float]:
    """GFLOP/s (training, matrix product): medians over the calls, the two taking turns."""
    rng = np.random.default_rng(0)
    network = Network(SIZES, output="softmax", random_state=0)
    n_samples = STEPS * BATCH
    data = Samples(*network.check(rng.normal(size=(n_samples, SIZES[0])), rng.integers(0, SIZES[-1], n_samples)))
    order, eta, figures = np.arange(n_samples), np.full(STEPS, 1e-3), np.empty((STEPS, FIGURES))
    session = ENGINES["lanes"].session(network, Recipe(SGD(), BATCH, n_threads=n_threads))
    A, B = rng.normal(size=(2, MATRIX, MATRIX)).astype("float32")

    def train() -> None:
        session.train(data, order, eta, figures)

    train()  # compiles
    training, product = medians(train, lambda: A @ B)
    weights = [n_in * n_out for n_in, n_out in pairwise(SIZES)]
    multiplications = n_samples * (3 * sum(weights) - weights[0])  # E1, E3 and E4, and no E3 into the inputs
    return 2e-9 * multiplications / training, 2e-9 * MATRIX**3 / product


def medians(*functions: Callable[[], object]) -> list[float]:
    """The median seconds of a call of each, taking turns of TURN for about SECONDS in all."""
    seconds: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for function, times in zip(functions, seconds, strict=True):
            turn_end = time.perf_counter() + TURN
            while time.perf_counter() < turn_end:
                start = time.perf_counter()
                function()
                times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]
