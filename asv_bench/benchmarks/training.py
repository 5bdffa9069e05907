"""How long an epoch takes: each engine, over sizes, batches, dtypes and optimizers, alone and beside the baseline."""

from inspect import signature
from itertools import count
from tempfile import TemporaryDirectory

from threadpoolctl import threadpool_limits

from mlp_jit import Network, fit
from mlp_jit.optimizers import OPTIMIZERS, SGD

from .common import BASELINE, DTYPES, OURS, PROBLEMS, RATE, Epoch, assert_parity, one_thread, ratio, turn


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


class CheckpointRatio:
    """A fit's time with a checkpoint, written as seldom as by default, over its time without; two seconds each."""

    param_names = ("network",)
    params = (["2-8-2 batch 4", "64-100-10 batch 200", "784-256-256-10 batch 128"],)
    unit = "with/without"
    version = "1"

    @one_thread
    def setup(self, problem: str) -> None:
        if "checkpoint" not in signature(fit).parameters:
            raise NotImplementedError("no checkpoints at this commit")
        self.folder = TemporaryDirectory()
        given, self.runs = PROBLEMS[problem], count()
        X, y = given.data()
        network = Network(given.sizes, output=given.output, random_state=0)
        settings = {"batch_size": given.batch_size, "learning_rate": RATE, "random_state": 0, "n_threads": 1}

        def run(epochs: int, **checkpoint: str) -> None:
            fit(network, X, y, epochs=epochs, **settings, **checkpoint)

        run(1)
        self.epochs = max(1, int(2 / turn(lambda: run(1))))
        self.run = run

    def teardown(self, problem: str) -> None:
        self.folder.cleanup()

    @one_thread
    def track_ratio(self, problem: str) -> float:
        def kept() -> None:
            self.run(self.epochs, checkpoint=f"{self.folder.name}/{next(self.runs)}")  # each a new run

        return ratio(kept, lambda: self.run(self.epochs))
