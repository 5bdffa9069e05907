"""Checkpoints: a fit that died goes on from what it wrote last, and ends with the bits of one that was never cut.

All that the rest of a fit depends on goes into the file: parameters and running statistics, the optimizer with its
moments and t, the schedule, the generator, the present order and how far it has come, dropout's seed, the history, and
early stopping with its best. What the run is stands there, too: another one is refused.
"""

import dataclasses
import hashlib
import os
import time
from contextlib import suppress
from typing import Any

import numpy as np

from .. import validation
from ..engines.contract import FIGURES
from ..files import container
from ..files.values import Reader, Writer
from ..network import Network
from ..optimizers import Optimizer
from ..schedules import Schedule
from .callbacks import Callback, EarlyStopping
from .data import Data
from .history import History, Training

FORMAT, KIND = 1, "checkpoint"
SHARE = 0.02  # of the time that writing may take
NOTHING = np.empty((0, FIGURES))
CHANGING = ("patience", "tol")  # what does not change in an EarlyStopping


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where a fit keeps what it needs to go on.

    It is written after an epoch, or between two calls of a long one, where `every` seconds have passed since: by
    default so many that writing takes at most 2 % of the time; and once more in the end, at Ctrl-C and at an error in a
    callback. Raises TypeError or ValueError for an `every` that is no time.
    """

    path: str | os.PathLike
    every: float | None = None

    def __post_init__(self) -> None:
        if self.every is not None:
            validation.number("Checkpoint(every)", self.every, 0)


def described(network: Network, data: Data, held_out: Data | None, **settings: Any) -> dict[str, str]:
    """What a run is, in words and digests: two runs are the same where all of these are."""
    layers = {"sizes": network.sizes, "activation": network.activations, "output": network.output,
              "loss": (network.loss_name, network.loss_parameters.tolist()), "dtype": network.dtype.name,
              "normalization": network.normalizations, "skip": network.skips}  # fmt: skip
    sets = {"X, y and sample_weight": data, "validation_data": held_out}
    digests = {name: None if part is None else digest(part) for name, part in sets.items()}
    return {name: str(value) for name, value in (layers | settings | digests).items()}


def digest(data: Data) -> str:
    """A digest of all samples, slice by slice."""
    found = hashlib.sha256()
    for X, *others in data.parts():
        for array in (*((X.data, X.indices, X.indptr) if validation.is_sparse(X) else (X,)), *others):
            found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()[:16]


class Keeper(Callback):
    """The checkpoint of a fit under way: a callback that comes right after early stopping, which belongs to its state.

    Raises BlockingIOError where another process keeps a run there, and ValueError where the file is of another run, or
    no checkpoint.
    """

    def __init__(
        self, checkpoint: str | os.PathLike | Checkpoint, run: dict[str, str], network: Network, optimizer: Optimizer,
        schedule: Schedule, rng: Any, early_stopping: EarlyStopping | None, seed: int,
    ) -> None:  # fmt: skip
        given = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        self.path, self.every, self.described = os.fspath(given.path), given.every, run
        self.network, self.optimizer, self.schedule, self.rng = network, optimizer, schedule, rng
        self.early_stopping, self.seed = early_stopping, seed
        self.history = History()
        self.last, self.took = time.perf_counter(), 0.0
        self.order, self.figures = np.arange(0), NOTHING
        self.whole = False  # whether nothing has moved since order and figures were noted
        self.lock = Lock(f"{self.path}.lock")
        try:
            self.found = self._read()
        except BaseException:
            self.close()
            raise
        if self.found:
            self.seed = self.found["seed"]

    def close(self) -> None:
        """Let others have the path."""
        self.lock.release()

    # ----------------------------------------------------------------------------------- going on

    def _read(self) -> dict[str, Any] | None:
        if not os.path.exists(self.path):
            return None
        content, arrays = container.read(self.path)
        if not isinstance(content, dict) or content.get("kind") != KIND or content.get("format") != FORMAT:
            raise ValueError(f"{self.path}: expected a checkpoint of format {FORMAT}, got another file")
        run = content["run"]
        other = [name for name in self.described if run.get(name) != self.described[name]]
        if other:
            differs = "; ".join(f"{name}: {run.get(name)} there, {self.described[name]} here" for name in other)
            raise ValueError(f"{self.path}: expected a checkpoint of this run, got one of another ({differs})")
        return Reader(arrays).fields(content["state"])

    @property
    def done(self) -> bool:
        """Whether the run has come to its end already."""
        return bool(self.found and self.found["done"])

    def restore(self, training: Training) -> tuple[np.ndarray, np.ndarray]:
        """Put back what was found: the history, and all that this keeps. Returns the order of the epoch that it was in,
        and its figures so far.
        """
        self.history, found = training.history, self.found or {}
        self.network.params[:], self.network.state[:] = found["params"], found["state"]
        for mine, kept in ((self.optimizer, found["optimizer"]), (self.schedule, found["schedule"])):
            vars(mine).update(vars(kept))
        vars(self.history).update(found["history"])
        if self.early_stopping is not None:
            vars(self.early_stopping).update(found["early_stopping"])
        if isinstance(self.rng, np.random.Generator):
            self.rng.bit_generator.state = found["rng"]
        else:
            self.rng.set_state(found["rng"])
        return found["order"], found["figures"].reshape(-1, FIGURES)

    # ----------------------------------------------------------------------------------- writing

    def begin(self, order: np.ndarray) -> None:
        """An epoch in this order."""
        self.order, self.figures, self.whole = order, NOTHING, False

    def moves(self) -> None:
        """A call of the session begins: until it has ended, and all that counts its steps, there is no whole state."""
        self.whole = False

    def note(self, order: np.ndarray, figures: np.ndarray = NOTHING) -> None:
        """The state is whole: this order, so many steps of it done; an epoch that has ended has none."""
        self.order, self.figures, self.whole = order, figures, True
        every = self.took / SHARE if self.every is None else self.every
        if time.perf_counter() - self.last >= every:
            self.write()

    def on_start(self, training: Training) -> None:
        self.history = training.history

    def on_epoch(self, training: Training) -> None:
        self.note(self.order)

    def end(self) -> None:
        """The run was cut: write its state, where that is whole."""
        if self.whole:
            self.write()

    def write(self, done: bool = False) -> None:
        """Write the file. Raises OSError."""
        started = time.perf_counter()
        writer, rng, early = Writer(), self.rng, self.early_stopping
        state = {
            "done": done,
            "seed": self.seed,
            "params": self.network.params,
            "state": self.network.state,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "history": vars(self.history),
            "early_stopping": early and {k: v for k, v in vars(early).items() if k not in CHANGING},
            "rng": rng.bit_generator.state if isinstance(rng, np.random.Generator) else rng.get_state(),
            "order": self.order,
            "figures": self.figures,
        }
        said = {name: writer.say(value, name) for name, value in state.items()}
        container.write(
            self.path, {"format": FORMAT, "kind": KIND, "run": self.described, "state": said}, writer.arrays
        )
        self.last = time.perf_counter()
        self.took = self.last - started


class Lock:
    """A file that one process holds at a time, and that is free again when it dies."""

    def __init__(self, path: str) -> None:
        self.path, self.file = path, open(path, "ab")  # noqa: SIM115
        try:
            _hold(self.file)
        except OSError:
            self.file.close()
            raise BlockingIOError(f"{path.removesuffix('.lock')}: another process keeps a run there") from None

    def release(self) -> None:
        """Let go of it, and remove it while nobody else can hold it."""
        with suppress(OSError):
            os.unlink(self.path)
        self.file.close()


def _hold(file: Any) -> None:
    """OSError where another process holds the file."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
