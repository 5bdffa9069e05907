"""How long an epoch takes: each engine, over sizes, batches, dtypes and optimizers, alone and beside the baseline."""

import numpy as np

from .common import BASELINE, DTYPES, OURS, PROBLEMS, Epoch, one_thread, ratio


class EpochTime:
    """Seconds an epoch of SGD."""

    param_names = ("network", "dtype", "engine")
    params = (list(PROBLEMS), DTYPES, [*OURS, BASELINE])
    version = "1"

    @one_thread
    def setup(self, problem: str, dtype: str, engine: str) -> None:
        self.epoch = Epoch(problem, dtype, engine)
        self.epoch()

    @one_thread
    def time_epoch(self, problem: str, dtype: str, engine: str) -> None:
        self.epoch()


class EpochRatio:
    """An epoch's time over the vectorised baseline's, one thread each."""

    param_names = ("network", "dtype", "engine", "optimizer")
    params = (list(PROBLEMS), DTYPES, OURS, ["sgd", "adam"])
    unit = "ours/baseline"
    version = "1"

    @one_thread
    def setup(self, problem: str, dtype: str, engine: str, optimizer: str) -> None:
        self.ours = Epoch(problem, dtype, engine, optimizer)
        self.baseline = Epoch(problem, dtype, BASELINE, optimizer)
        losses = self.ours(), self.baseline()
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
        np.testing.assert_allclose(self.ours.params, self.baseline.params, atol=1e-3)

    @one_thread
    def track_ratio(self, problem: str, dtype: str, engine: str, optimizer: str) -> float:
        return ratio(self.ours, self.baseline)
