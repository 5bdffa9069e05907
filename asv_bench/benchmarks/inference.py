"""How long outputs take, for one row and for many, through 64-64-64-10: each engine, beside NumPy and scikit-learn."""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from mlp_jit import Network

from .common import BASELINE, DTYPES, OURS, RATE, classifiers, median_ratio, need_engines, one_thread, turn

ENGINE = "lanes"
SIZES = (64, 64, 64, 10)
ROWS = [1, 10, 1000, 100_000]
TURN = 0.01  # seconds: thousands of calls where one takes microseconds
TOLERANCE = 1e-5  # of a probability


def rows_of(n_rows: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n_rows, SIZES[0])).astype(dtype)


def forward(n_rows: int, dtype: str, engine: str) -> Callable[[], np.ndarray]:
    """A function that computes the outputs (n_rows, 10) by `Network.forward`, one thread."""
    need_engines(engine)
    network = Network(SIZES, output="softmax", dtype=dtype, random_state=0)
    X = rows_of(n_rows, dtype)
    return lambda: network.forward(X, engine=engine, n_threads=1)


def ratio(ours: Callable, baseline: Callable) -> float:
    return median_ratio(lambda: turn(ours, TURN), lambda: turn(baseline, TURN))


class ForwardTime:
    """Seconds a call of Network.forward, softmax outputs."""

    param_names = ("rows", "dtype", "engine")
    params = (ROWS, DTYPES, [*OURS, BASELINE])
    version = "1"

    def setup(self, n_rows: int, dtype: str, engine: str) -> None:
        self.forward = forward(n_rows, dtype, engine)
        self.limits = threadpool_limits(1)  # not around the call: setting it takes a millisecond, a row microseconds
        self.forward()

    def teardown(self, n_rows: int, dtype: str, engine: str) -> None:
        self.limits.restore_original_limits()

    def time_forward(self, n_rows: int, dtype: str, engine: str) -> None:
        self.forward()


class ForwardRatio:
    """A call's time over the vectorised baseline's, one thread each."""

    param_names = ("rows", "dtype")
    params = (ROWS, DTYPES)
    unit = "ours/baseline"
    version = "1"

    @one_thread
    def setup(self, n_rows: int, dtype: str) -> None:
        self.pair = forward(n_rows, dtype, ENGINE), forward(n_rows, dtype, BASELINE)
        np.testing.assert_allclose(self.pair[0](), self.pair[1](), atol=TOLERANCE)

    @one_thread
    def track_ratio(self, n_rows: int, dtype: str) -> float:
        return ratio(*self.pair)


class PredictProbaRatio:
    """A predict_proba's time over scikit-learn's, one thread each, both fitted to the same rows in the same dtype."""

    param_names = ("rows", "dtype")
    params = (ROWS, DTYPES)
    unit = "ours/scikit-learn's"
    version = "1"

    @one_thread
    def setup(self, n_rows: int, dtype: str) -> None:
        need_engines(ENGINE)
        Ours, Theirs = classifiers()
        settings = dict(hidden_layer_sizes=SIZES[1:-1], learning_rate_init=RATE, max_iter=1, random_state=0)
        fitted = Ours(engine=ENGINE, n_threads=1, **settings), Theirs(**settings)
        training = rows_of(1000, dtype), np.arange(1000) % SIZES[-1]
        self.X = rows_of(n_rows, dtype)
        self.ours, self.theirs = (model.fit(*training).predict_proba for model in fitted)
        np.testing.assert_allclose(self.ours(self.X), self.theirs(self.X), atol=TOLERANCE)

    @one_thread
    def track_ratio(self, n_rows: int, dtype: str) -> float:
        return ratio(lambda: self.ours(self.X), lambda: self.theirs(self.X))
