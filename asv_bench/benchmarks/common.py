"""What the benchmarks share: the table of problems, one thread for everyone, and interleaved ratios."""

import ctypes
import functools
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mlp_jit import Network
from mlp_jit.engines import ENGINES
from mlp_jit.engines import contract as _contract
from mlp_jit.optimizers import Optimizer

BASELINE = "vectorized"
contract = _contract if hasattr(_contract, "Recipe") else None  # older commits train an epoch in a call by itself
OURS = ["lanes", "loops"]  # by name, not from ENGINES: asv goes by places in `params`, which no commit may shift
DTYPES = ["float32", "float64"]
RATE = 1e-5  # small: after thousands of epochs the work must still be that of the first, without vanishing gradients
ROUNDS = 7  # of a ratio, at least


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt's names for its settings


def keep_memory() -> None:
    """Let the process keep what it frees, where the C library is glibc.

    Else that gives memory back or not as the heap happens to lie, and NumPy, whose temporaries are new in each step,
    may pay for every page of them: the tanh network's ratio was 0.21 or 0.52.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, 2**30)
        mallopt(M_MMAP_THRESHOLD, 2**25)  # bytes, the most that it takes


keep_memory()


@dataclass(frozen=True)
class Problem:
    """Layer sizes, samples a batch and batches an epoch: enough that a call's own cost does not show."""

    sizes: tuple[int, ...]
    batch_size: int
    steps: int
    activation: str = "relu"
    output: str = "softmax"

    @property
    def n_samples(self) -> int:
        return self.batch_size * self.steps

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """X (n_samples, inputs) and y: random classes (n_samples,), or the exponentials of random matrices.

        Each class is there: scikit-learn has no output for others.
        """
        rng = np.random.default_rng(0)
        if self.output == "identity":
            return exponentials(rng, self.n_samples)
        X = rng.normal(size=(self.n_samples, self.sizes[0]))
        y = rng.integers(0, classes := max(2, self.sizes[-1]), self.n_samples)
        y[-classes:] = np.arange(classes)
        return X, y


def exponentials(rng: np.random.Generator, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices A, 2 by 2 and uniform on ±1, and e^A, each as a row of four."""
    from scipy.linalg import expm  # it comes with scikit-learn

    A = rng.uniform(-1, 1, (n_samples, 2, 2))
    return A.reshape(-1, 4), expm(A).reshape(-1, 4)


PROBLEMS = {
    "2-8-2 batch 4": Problem((2, 8, 2), 4, 500),
    "32-32-2 batch 16": Problem((32, 32, 2), 16, 128),
    "32-64-32-2 batch 32": Problem((32, 64, 32, 2), 32, 64),
    "64-100-10 batch 200": Problem((64, 100, 10), 200, 10),
    "784-128-10 batch 128": Problem((784, 128, 10), 128, 78),
    "784-256-256-10 batch 128": Problem((784, 256, 256, 10), 128, 78),
    "256-1024-1024-1024-10 batch 512": Problem((256, 1024, 1024, 1024, 10), 512, 4),
    "4-32-16-4 tanh full batch": Problem((4, 32, 16, 4), 10_000, 1, "tanh", "identity"),
    "13-37-3 batch 32": Problem((13, 37, 3), 32, 128),
    "54-200-200-7 batch 256": Problem((54, 200, 200, 7), 256, 20),
    "90-333-111-5 tanh batch 100": Problem((90, 333, 111, 5), 100, 20, "tanh"),
    "512-512-512-512 batch 300": Problem((512, 512, 512, 512), 300, 4),
}


def need_engines(*names: str) -> None:
    """NotImplementedError where this commit lacks one of these engines."""
    for name in names:
        if name not in ENGINES:
            raise NotImplementedError(f"no engine {name!r}")


def classifiers() -> tuple[type, type]:
    """Our MLPClassifier and scikit-learn's, both silent about epochs that run out; NotImplementedError without them."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier as Theirs

        from mlp_jit import MLPClassifier as Ours
    except ImportError as error:
        raise NotImplementedError(str(error)) from None
    warnings.simplefilter("ignore", ConvergenceWarning)
    return Ours, Theirs


def one_thread(function: Callable) -> Callable:
    """Pin BLAS to one thread while `function` runs; our engines are told so by `n_threads=1`."""

    @functools.wraps(function)
    def pinned(*args: object) -> object:
        with threadpool_limits(1):
            return function(*args)

    return pinned


class Epoch:
    """One network and one data set; calling it trains an epoch. `params` shows what came of it.

    Weights and then the order of the samples are drawn as scikit-learn's MLP draws them for `random_state=0`.
    """

    def __init__(self, problem: Problem, dtype: str, engine: str, optimizer: Optimizer, n_threads: int = 1) -> None:
        need_engines(engine)
        rng = np.random.RandomState(0)
        self.problem, self.optimizer, self.n_threads = problem, optimizer, n_threads
        self.network = Network(
            problem.sizes,
            activation=problem.activation,
            output=problem.output,
            initializer="scikit_learn",
            dtype=dtype,
            random_state=rng,
        )
        self.data = self.network.check(*problem.data())
        self.order = rng.permutation(problem.n_samples)
        self.rates = np.full(problem.steps, RATE)
        self.train = self._one_call(ENGINES[engine]) if contract is None else self._session(ENGINES[engine])

    @property
    def params(self) -> np.ndarray:
        return self.network.params

    def __call__(self) -> float:
        return self.train()

    def _session(self, engine: Any) -> Callable[[], float]:
        """As `fit` trains: all epochs in one session."""
        recipe = contract.Recipe(self.optimizer, self.problem.batch_size, n_threads=self.n_threads)
        session, samples = engine.session(self.network, recipe), contract.Samples(*self.data)
        figures = np.empty((self.rates.size, contract.FIGURES))

        def train() -> float:
            session.train(samples, self.order, self.rates, figures)
            return contract.mean_loss(figures)

        return train

    def _one_call(self, engine: Any) -> Callable[[], float]:
        """Before there were sessions: each epoch by itself."""
        arguments = self.network, *self.data, self.order, self.problem.batch_size, self.optimizer, self.rates
        return lambda: engine.train_epoch(*arguments, n_threads=self.n_threads)


def assert_parity(ours: Any, theirs: Any) -> None:
    """Train both for an epoch: losses must agree to 1e-4, parameters to a part of the way they came.

    That part is 1e-6, and 1e-2 in float32, where some z lies so close to ReLU's kink that rounding decides.
    """
    start = ours.params.copy()
    losses = ours(), theirs()
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    apart, way = np.linalg.norm(ours.params - theirs.params), np.linalg.norm(ours.params - start)
    assert apart < (1e-2 if start.dtype == np.float32 else 1e-6) * way, f"{apart:.2g} apart after a way of {way:.2g}"


def ratio(ours: Callable, baseline: Callable, seconds: float = 1.0) -> float:
    """The median over rounds of time(ours) / time(baseline), the two taking turns for about this long."""
    return median_ratio(lambda: turn(ours), lambda: turn(baseline), seconds)


def median_ratio(ours: Callable[[], float], baseline: Callable[[], float], seconds: float = 1.0) -> float:
    """`ratio` of two functions that take the time themselves and return it."""
    ratios: list[float] = []
    end = time.perf_counter() + seconds
    while len(ratios) < ROUNDS or time.perf_counter() < end:
        ratios.append(ours() / baseline())
    return statistics.median(ratios)


def turn(function: Callable, seconds: float = 0.0) -> float:
    """The median time of a call, over calls for at least this long."""
    times: list[float] = []
    stop, end = 0.0, time.perf_counter() + seconds
    while not times or stop < end:
        start = time.perf_counter()
        function()
        stop = time.perf_counter()
        times.append(stop - start)
    return statistics.median(times)
