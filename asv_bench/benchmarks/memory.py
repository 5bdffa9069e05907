"""How much memory a fit takes beyond the data it is given: its peak, and what each parameter and each row add to it.

The figures are tracemalloc's, which NumPy tells of every array: the same to the byte from run to run, but for BLAS's
own buffers. The resident peak of a process (asv's peakmem) has the interpreter and the compiler in it, some hundred
megabytes in which scratch of one megabyte is lost.
"""

import gc
import tracemalloc
from typing import Any

import numpy as np

from .common import BASELINE, DTYPES, OURS, PROBLEMS, RATE, Problem, classifiers, need_engines, one_thread

ENGINE = "lanes"
PEER = "scikit-learn"
MODELS = [*OURS, BASELINE, PEER]
NETWORKS = ["64-100-10 batch 200", "784-256-256-10 batch 128", "256-1024-1024-1024-10 batch 512"]
MANY_PARAMETERS = Problem((64, 1024, 1024, 32, 32, 10), 32, 2)  # the same units in another order, so that all but the
FEW_PARAMETERS = Problem((64, 1024, 32, 1024, 32, 10), 32, 2)  # parameters takes the same room
MANY_ROWS = Problem((64, 64, 10), 200, 200)
FEW_ROWS = Problem((64, 64, 10), 200, 50)


class Fit:
    """One epoch of Adam with one thread by a new classifier: an engine of ours, or scikit-learn's."""

    def __init__(self, problem: Problem, dtype: str, name: str) -> None:
        Ours, Theirs = classifiers()
        self.make: Any = Theirs
        self.settings: dict[str, Any] = {}
        if name != PEER:
            need_engines(name)
            self.make, self.settings = Ours, {"engine": name, "n_threads": 1}
        X, self.y = problem.data()
        self.X = X.astype(dtype)
        self.settings |= dict(
            hidden_layer_sizes=problem.sizes[1:-1],
            batch_size=problem.batch_size,
            learning_rate_init=RATE,
            max_iter=1,
            random_state=0,
        )

    def __call__(self) -> Any:
        return self.make(**self.settings).fit(self.X, self.y)

    def peak(self) -> int:
        """Bytes: the most that was allocated at one time, the fitted classifier included, X and y not."""
        self()  # compiles, and fills the caches that outlive a fit
        gc.collect()
        tracemalloc.start()
        try:
            self()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def n_params(problem: Problem) -> int:
    return sum((n_in + 1) * n_out for n_in, n_out in zip(problem.sizes[:-1], problem.sizes[1:], strict=True))


class FitPeak:
    """The most bytes that a fit holds at one time, one epoch of Adam."""

    param_names = ("network", "dtype", "model")
    params = (NETWORKS, DTYPES, MODELS)
    unit = "bytes"
    version = "1"

    def setup(self, network: str, dtype: str, model: str) -> None:
        self.fit = Fit(PROBLEMS[network], dtype, model)

    @one_thread
    def track_peak(self, network: str, dtype: str, model: str) -> int:
        return self.fit.peak()


class FitPeakRatio:
    """The lanes engine's peak over that of the vectorised engine and of scikit-learn."""

    param_names = ("network", "dtype", "baseline")
    params = (NETWORKS, DTYPES, [BASELINE, PEER])
    unit = "ours/baseline"
    version = "1"

    @one_thread
    def setup(self, network: str, dtype: str, baseline: str) -> None:
        self.pair = tuple(Fit(PROBLEMS[network], dtype, model) for model in (ENGINE, baseline))
        losses = [fit().loss_ for fit in self.pair]
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)

    @one_thread
    def track_ratio(self, network: str, dtype: str, baseline: str) -> float:
        ours, theirs = self.pair
        return ours.peak() / theirs.peak()


class PeakPerParameter:
    """What one more parameter adds to a fit's peak: itself, its gradient, Adam's moments, copies."""

    param_names = ("dtype", "model")
    params = (DTYPES, MODELS)
    unit = "bytes/parameter"
    version = "1"

    def setup(self, dtype: str, model: str) -> None:
        self.many, self.few = (Fit(problem, dtype, model) for problem in (MANY_PARAMETERS, FEW_PARAMETERS))

    @one_thread
    def track_slope(self, dtype: str, model: str) -> float:
        return (self.many.peak() - self.few.peak()) / (n_params(MANY_PARAMETERS) - n_params(FEW_PARAMETERS))


class PeakPerRow:
    """What one more row of 64 inputs and 10 classes adds to a fit's peak: its target, its place in the order, copies.

    X itself, 256 bytes a row in float32, is the caller's and not counted, unless it is copied.
    """

    param_names = ("dtype", "model")
    params = (DTYPES, MODELS)
    unit = "bytes/row"
    version = "1"

    def setup(self, dtype: str, model: str) -> None:
        self.many, self.few = (Fit(problem, dtype, model) for problem in (MANY_ROWS, FEW_ROWS))

    @one_thread
    def track_slope(self, dtype: str, model: str) -> float:
        return (self.many.peak() - self.few.peak()) / (MANY_ROWS.n_samples - FEW_ROWS.n_samples)
