"""Compile ahead, into the disk cache, what a user's first fit, evaluation and prediction would wait for."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from numba import config

from . import Network, fit
from ._jit import threads
from .activations import activate
from .engines.lanes import tiles
from .engines.layout import gather
from .engines.loops import equations
from .training.callbacks import open_bar

HIDDEN = ("relu", "tanh", "sigmoid", "identity")
OUTPUTS = ("identity", "softmax", "sigmoid")  # each with the loss that it pairs with
OPTIMIZERS = ("sgd", "adam")
SIZES, SAMPLES = [256, 256, 2], 512  # enough work that an engine uses threads where it is offered some


def warm_up(dtypes: Sequence[str], engines: Sequence[str]) -> None:
    """Compile for each dtype ("float32", "float64") and each engine by name; print where the cache lies and the time.

    Training, evaluation, prediction and the gradient; serial and, where Numba has more than one thread, parallel; for
    HIDDEN, OUTPUTS and OPTIMIZERS. A progress bar by rich, lines without it. Raises OSError where no cache can be
    written, NotImplementedError under NUMBA_DISABLE_JIT.
    """
    if config.DISABLE_JIT:
        raise NotImplementedError("nothing is ever compiled where NUMBA_DISABLE_JIT is set: unset it")
    kept = activate, gather, equations.bias_gradient, tiles.forward_layer.compiled
    folders = {kernel.stats.cache_path for kernel in kept}
    if None in folders:
        raise OSError(
            "compiled code cannot be kept: neither the package's folders nor the user's cache folder can be written. "
            "Set NUMBA_CACHE_DIR to a folder that can, here and wherever mlp_jit is used"
        )
    jobs = [
        (f"{engine}, {dtype}: {name}", run)
        for engine in engines
        for dtype in dtypes
        for name, run in jobs_of(engine, dtype)
    ]
    start = time.perf_counter()
    for run in progress(jobs):
        run()
    print(f"{time.perf_counter() - start:.1f} s. The cache is in {' and '.join(sorted(folders))}")


def jobs_of(engine: str, dtype: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """(name, job) of everything to compile for one engine and dtype, the long ones first."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(SAMPLES, SIZES[0])).astype(dtype), rng.integers(0, 2, (SAMPLES, SIZES[-1])).astype(dtype)

    def network(activation: str, output: str) -> Network:
        return Network(SIZES, activation=activation, output=output, dtype=dtype, random_state=0)

    def train(activation: str, output: str, optimizer: str, n_threads: int) -> None:
        labels = y.argmax(axis=1) if output == "softmax" else y
        net = network(activation, output)
        fit(
            net, X, labels, optimizer=optimizer, learning_rate=1e-4, batch_size=SAMPLES,
            epochs=1, validation_data=(X, labels), engine=engine, n_threads=n_threads, random_state=0,
        )  # fmt: skip
        net.forward(X[:1], engine=engine, n_threads=n_threads)

    def regularize(net: Network) -> None:
        fit(
            net, X, y.argmax(axis=1) if net.output == "softmax" else y, optimizer=OPTIMIZERS[0], epochs=1, dropout=0.1,
            l2=1e-4, clip_norm=1.0, clip_value=1.0, batch_size=SAMPLES, engine=engine, random_state=0,
        )  # fmt: skip

    for n_threads in sorted({1, threads(None)}):
        suffix = "" if n_threads == 1 else f", {n_threads} threads"
        usual = network(HIDDEN[0], OUTPUTS[0])
        forward = partial(usual.forward, engine=engine, n_threads=n_threads)
        yield f"prediction of a row{suffix}", partial(forward, X[:1])
        yield f"prediction{suffix}", partial(forward, X)
        yield f"training{suffix}", partial(train, HIDDEN[0], OUTPUTS[0], OPTIMIZERS[0], n_threads)
        yield f"gradient{suffix}", partial(usual.gradient, X, y, engine=engine, n_threads=n_threads)
    yield "dropout, L2 and clipping", partial(regularize, usual)
    for activation in HIDDEN:
        yield activation, partial(train, activation, OUTPUTS[0], OPTIMIZERS[0], 1)
    for output in OUTPUTS:
        yield f"{output} outputs", partial(train, HIDDEN[0], output, OPTIMIZERS[0], 1)
    for optimizer in OPTIMIZERS:
        yield optimizer, partial(train, HIDDEN[0], OUTPUTS[0], optimizer, 1)


def progress(jobs: Iterable[tuple[str, Callable[[], object]]]) -> Iterator[Callable[[], object]]:
    """Each job in turn, its name shown on standard error."""
    jobs = list(jobs)
    bar = open_bar(sys.stderr, "job")
    if bar is None:
        for number, (name, job) in enumerate(jobs, 1):
            print(f"{number}/{len(jobs)}  {name}", file=sys.stderr, flush=True)
            yield job
        return
    with bar:
        task = bar.add_task("", total=len(jobs), figures="")
        for name, job in jobs:
            bar.update(task, figures=name)
            yield job
            bar.advance(task)
