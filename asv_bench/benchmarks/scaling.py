"""Where the fast engine pays: 64-width-10 networks over widths, batches and threads, SGD, float32."""

import numba

from mlp_jit.optimizers import SGD

from .common import BASELINE, Epoch, Problem, assert_parity, one_thread, ratio

ENGINE = "lanes"
WIDTHS = [8, 16, 32, 64, 128, 256, 512, 1024]
BATCHES = [8, 32, 100, 320, 1000]
SAMPLES = 2000  # an epoch, at the least two batches


def epoch(width: int, batch_size: int, engine: str, n_threads: int = 1) -> Epoch:
    problem = Problem((64, width, 10), batch_size, max(2, SAMPLES // batch_size))
    return Epoch(problem, "float32", engine, SGD(), n_threads)


class WidthByBatch:
    """An epoch's time over the vectorised baseline's, one thread each."""

    param_names = ("width", "batch")
    params = (WIDTHS, BATCHES)
    unit = "ours/baseline"
    version = "1"

    @one_thread
    def setup(self, width: int, batch_size: int) -> None:
        self.pair = epoch(width, batch_size, ENGINE), epoch(width, batch_size, BASELINE)
        assert_parity(*self.pair)

    @one_thread
    def track_ratio(self, width: int, batch_size: int) -> float:
        return ratio(*self.pair)


class Threads:
    """An epoch's time with several threads over its time with one: below 1 they pay."""

    param_names = ("width", "batch", "threads")
    params = (WIDTHS[::2], BATCHES[::2], [2, 4, 8])
    unit = "several threads/one thread"
    version = "1"

    def setup(self, width: int, batch_size: int, n_threads: int) -> None:
        if n_threads > numba.config.NUMBA_NUM_THREADS:
            raise NotImplementedError(f"Numba has no {n_threads} threads here")
        self.pair = epoch(width, batch_size, ENGINE, n_threads), epoch(width, batch_size, ENGINE)
        assert_parity(*self.pair)

    def track_ratio(self, width: int, batch_size: int, n_threads: int) -> float:
        return ratio(*self.pair)
