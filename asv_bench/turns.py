"""What `compare.py` times, and the process that times it with the package of one tree: `python turns.py TREE`.

Through `fit` and `Network.forward` alone, which every commit has. Standard input has a line [case, seconds] for each
turn; the answer is a line [seconds of the fastest call begun within that time, null] or [null, what went wrong].
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RATE = 1e-5  # of learning: small, so that the work stays that of the first epoch


@dataclass(frozen=True)
class Training:
    """An epoch by `fit`, of random rows."""

    sizes: tuple[int, ...]
    batch_size: int
    steps: int
    optimizer: str = "sgd"
    dtype: str = "float32"
    engine: str = "lanes"
    activation: str = "relu"
    output: str = "softmax"
    n_threads: int | None = 1

    def __str__(self) -> str:
        network = f"{'-'.join(map(str, self.sizes))} {self.activation}, batch {self.batch_size}"
        return f"{self.engine} {self.dtype} {self.optimizer}, {network}" + ", all threads" * (self.n_threads is None)

    def prepare(self) -> Callable[[], object]:
        import numpy as np

        from mlp_jit import Network, fit

        rng = np.random.default_rng(0)
        rows, n_out = self.batch_size * self.steps, self.sizes[-1]
        X = rng.normal(size=(rows, self.sizes[0])).astype(self.dtype)
        classes, targets = rng.integers(0, n_out, rows), rng.normal(size=(rows, n_out)).astype(self.dtype)
        y = classes if self.output == "softmax" else targets
        network = Network(self.sizes, activation=self.activation, output=self.output, dtype=self.dtype, random_state=0)
        settings: dict[str, Any] = dict(
            optimizer=self.optimizer,
            learning_rate=RATE,
            batch_size=self.batch_size,
            epochs=1,
            engine=self.engine,
            n_threads=self.n_threads,
            random_state=0,
        )
        return lambda: fit(network, X, y, **settings)


@dataclass(frozen=True)
class Prediction:
    """The outputs for random rows by `Network.forward`."""

    rows: int
    dtype: str = "float32"
    engine: str = "lanes"
    sizes: tuple[int, ...] = (64, 64, 64, 10)

    def __str__(self) -> str:
        return f"{self.engine} {self.dtype} outputs, {'-'.join(map(str, self.sizes))} relu, {self.rows} rows"

    def prepare(self) -> Callable[[], object]:
        import numpy as np

        from mlp_jit import Network

        network = Network(self.sizes, output="softmax", dtype=self.dtype, random_state=0)
        X = np.random.default_rng(0).normal(size=(self.rows, self.sizes[0])).astype(self.dtype)
        return lambda: network.forward(X, engine=self.engine, n_threads=1)


Case = Training | Prediction
FEW: list[Case] = [  # the guard's: two minutes with the compiling
    Training((2, 8, 2), 4, 200),
    Training((64, 100, 10), 200, 5),
    Training((64, 100, 10), 200, 5, "adam"),
    Training((784, 128, 10), 128, 4),
    Training((784, 128, 10), 128, 4, "adam"),
    Training((784, 2), 512, 4),  # little but the gathering of X
    Training((4, 32, 16, 4), 2000, 1, activation="tanh", output="identity"),
    Training((64, 100, 10), 200, 5, engine="loops"),
    Prediction(1),
    Prediction(1000),
]
ALL: list[Case] = [
    *FEW,
    Training((32, 64, 32, 2), 32, 32),
    Training((784, 256, 256, 10), 128, 4),
    Training((784, 256, 256, 10), 128, 8, n_threads=None),
    Training((256, 1024, 1024, 1024, 10), 512, 1),
    *(Training((64, 100, 10), 200, 5, optimizer) for optimizer in ("adamw", "rmsprop", "adagrad", "nadam", "lion")),
    Training((2, 8, 2), 4, 200, dtype="float64"),
    Training((64, 100, 10), 200, 5, dtype="float64"),
    Training((784, 128, 10), 128, 4, "adam", dtype="float64"),
    Training((2, 8, 2), 4, 200, engine="loops"),
    Training((784, 128, 10), 128, 1, engine="loops"),
    Training((64, 100, 10), 200, 5, engine="vectorized"),
    Prediction(10),
    Prediction(100_000),
    Prediction(1000, dtype="float64"),
]
CASES = {str(case): case for case in ALL}


def fastest(function: Callable[[], object], seconds: float) -> float:
    """The seconds of the fastest call, of those that begin within so many seconds; at least one does."""
    end = time.perf_counter() + seconds
    best, stop = float("inf"), 0.0
    while stop < end:
        start = time.perf_counter()
        function()
        stop = time.perf_counter()
        best = min(best, stop - start)
    return best


def main() -> None:
    """Answer every line."""
    sys.path.insert(0, sys.argv[1])
    ready: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        name, seconds = json.loads(line)
        try:
            call = ready[name] = CASES[name].prepare()  # with the last turn's arrays still there: its own lie elsewhere
            call()  # compiles
            answer = fastest(call, seconds), None
        except Exception as error:  # an older commit lacks something, and says so in its own words
            answer = None, f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
