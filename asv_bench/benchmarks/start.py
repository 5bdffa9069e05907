"""How long one waits at the start: for the import, the first fit and the warm-up command, each in a fresh process.

A figure is the time from a process's start to its end. Python's own files are compiled before; the folder of Numba's
compiled code is empty ("cold cache") or was filled by the same fit in another process ("warm cache").
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import mlp_jit

SECONDS = 10.0  # of measuring; what takes longer is measured once
FIT = """
import numpy as np
from mlp_jit import Network, fit
rng = np.random.default_rng(0)
X, y = rng.normal(size=(1000, 64)).astype("float32"), rng.integers(0, 10, 1000)
fit(Network([64, 100, 10], output="softmax", random_state=0), X, y, epochs=1)
"""
STARTS = {
    "import mlp_jit": ["-c", "import mlp_jit"],
    "first fit, cold cache": ["-c", FIT],
    "first fit, warm cache": ["-c", FIT],
    "warm-up command": ["-m", "mlp_jit", "warmup"],
}
COLD = {"first fit, cold cache", "warm-up command"}


def seconds_of(arguments: list[str], cache: str) -> float:
    """The seconds that `python arguments` takes with its compiled code in the folder `cache`."""
    environment = os.environ | {"NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(Path(mlp_jit.__file__).parents[1])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else Python's own files are compiled in each process
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def turns(measure: Callable[[], float]) -> list[float]:
    """What it returns, time after time, for about so many SECONDS."""
    found: list[float] = []
    end = time.perf_counter() + SECONDS
    while not found or time.perf_counter() < end:
        found.append(measure())
    return found


class FreshProcesses:
    """The starts, one in each benchmark."""

    param_names = ("what",)
    params = (list(STARTS),)
    version = "1"

    def setup(self, what: str) -> None:
        if what == "warm-up command" and find_spec("mlp_jit.warmup") is None:
            raise NotImplementedError("this commit has no such command")
        self.folder = TemporaryDirectory()
        self.numba()  # compiles Python's own files
        seconds_of(STARTS["import mlp_jit" if what in COLD else what], self.folder.name)

    def teardown(self, what: str) -> None:
        self.folder.cleanup()

    def ours(self, what: str) -> float:
        """The seconds of one start."""
        if what not in COLD:
            return seconds_of(STARTS[what], self.folder.name)
        with TemporaryDirectory() as empty:
            return seconds_of(STARTS[what], empty)

    def numba(self) -> float:
        """The seconds of `import numba`."""
        return seconds_of(["-c", "import numba"], self.folder.name)


class StartTime(FreshProcesses):
    """Seconds from a process's start to its end."""

    unit = "seconds"

    def track_seconds(self, what: str) -> float:
        return statistics.median(turns(lambda: self.ours(what)))


class StartRatio(FreshProcesses):
    """A process's time over that of `python -c "import numba"`, the two taking turns."""

    unit = "ours/import numba"

    def track_ratio(self, what: str) -> float:
        return statistics.median(turns(lambda: self.ours(what) / self.numba()))


class ImportBeyondNumba(FreshProcesses):
    """Seconds that `import mlp_jit` takes beyond `import numba`, the two taking turns."""

    params = (["import mlp_jit"],)
    unit = "seconds"

    def track_seconds(self, what: str) -> float:
        return statistics.median(turns(lambda: self.ours(what) - self.numba()))
