"""How long an epoch takes: each engine, over sizes, batches, dtypes and optimizers, alone and beside the baseline."""

from threadpoolctl import threadpool_limits

from mlp_jit.optimizers import OPTIMIZERS, SGD

from .common import BASELINE, DTYPES, OURS, PROBLEMS, Epoch, assert_parity, one_thread, ratio


class EpochTime:
    """Seconds an epoch of SGD."""

    param_names = ("network", "dtype", "engine")
    params = (list(PROBLEMS), DTYPES, [*OURS, BASELINE])
    version = "3"

    def setup(self, problem: str, dtype: str, engine: str) -> None:
        self.epoch = Epoch(PROBLEMS[problem], dtype, engine, SGD())
        self.limits = threadpool_limits(1)  # not around the epoch: setting it takes a millisecond
        self.epoch()

    def teardown(self, problem: str, dtype: str, engine: str) -> None:
        self.limits.restore_original_limits()

    def time_epoch(self, problem: str, dtype: str, engine: str) -> None:
        self.epoch()


class EpochRatio:
    """An epoch's time over the vectorised baseline's, one thread each."""

    param_names = ("network", "dtype", "engine", "optimizer")
    params = (list(PROBLEMS), DTYPES, OURS, ["sgd", "adam"])
    unit = "ours/baseline"
    version = "2"

    @one_thread
    def setup(self, problem: str, dtype: str, engine: str, optimizer: str) -> None:
        self.ours = Epoch(PROBLEMS[problem], dtype, engine, OPTIMIZERS[optimizer]())
        self.baseline = Epoch(PROBLEMS[problem], dtype, BASELINE, OPTIMIZERS[optimizer]())
        assert_parity(self.ours, self.baseline)

    @one_thread
    def track_ratio(self, problem: str, dtype: str, engine: str, optimizer: str) -> float:
        return ratio(self.ours, self.baseline)
