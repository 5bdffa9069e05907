"""What checkpoints cost: a fit that keeps one, by default as seldom as costs 2 %, over the same fit without."""

import tempfile
from pathlib import Path

import numpy as np

from mlp_jit import Network, fit

from .common import one_thread, ratio

try:
    from mlp_jit import Checkpoint
except ImportError:  # older commits
    Checkpoint = None

BATCHES = {"64-100-10": 200, "784-256-256-10": 128}


class CheckpointRatio:
    """A fit of some seconds with a checkpoint over one without."""

    param_names = ("network",)
    params = (list(BATCHES),)
    unit = "with/without"
    version = "1"

    def setup(self, network: str) -> None:
        if Checkpoint is None:
            raise NotImplementedError("no checkpoints at this commit")
        self.sizes, rng = [int(n) for n in network.split("-")], np.random.default_rng(0)
        self.X = rng.normal(size=(4000, self.sizes[0])).astype("float32")
        self.y = rng.integers(0, self.sizes[-1], 4000)
        self.settings = {"batch_size": BATCHES[network], "random_state": 0, "n_threads": 1}
        self.settings["epochs"] = 800 if network == "64-100-10" else 40  # some two seconds
        self.train()

    def train(self, **given: object) -> None:
        network = Network(self.sizes, output="softmax", random_state=0)
        fit(network, self.X, self.y, **self.settings, **given)

    @one_thread
    def track_ratio(self, network: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.mlp"

            def with_checkpoint() -> None:
                path.unlink(missing_ok=True)
                self.train(checkpoint=path)

            return ratio(with_checkpoint, self.train)
