"""Checkpoints: a fit that died goes on from what it wrote last, and ends with the bits of one that was never cut.

All that the rest of a fit depends on goes into the file, part by part: parameters and running statistics, the optimizer
with its moments and t, the schedule, the generator, the present order and how far it has come, the history, and early
stopping with its best. What the run is stands there, too: another one is refused.
"""

import dataclasses
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol, Self

import numpy as np

from .. import validation
from ..engines.contract import FIGURES
from ..files import container
from ..files.values import Reader, Writer
from ..losses import Loss
from ..network import Network
from ..optimizers import Optimizer
from ..schedules import Schedule
from .callbacks import Callback
from .data import Data
from .history import Training

FORMAT, KIND = 2, "checkpoint"
SHARE = 0.01  # of the time that writing may take, of 2 % in all: the digest of the data and the last file come on top
FIRST, BYTES_PER_SECOND = 0.005, 2e8  # what it may take, as long as nothing was written
NOTHING = np.empty((0, FIGURES))


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


# --------------------------------------------------------------------------------------- what a run is


def described(network: Network, data: Data, held_out: Data | None, **settings: Any) -> dict[str, str]:
    """What a run is, in words and digests: two runs are the same where all of these are."""
    layers = {"sizes": network.sizes, "activation": network.activations, "output": network.output,
              "loss": network.loss_function, "dtype": network.dtype.name, "normalization": network.normalizations,
              "skip": network.skips}  # fmt: skip
    sets = {"X, y and sample_weight": data, "validation_data": held_out}
    digests = {name: part and part.digest for name, part in sets.items()}
    return {name: in_words(value) for name, value in (layers | settings | digests).items()}


def in_words(value: Any) -> str:
    """A setting, the same in every process: an optimizer, a schedule or a loss by the numbers it was made with."""
    if isinstance(value, Loss):
        return f"{value.name} {value.parameter}"
    if isinstance(value, Optimizer | Schedule):
        given = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return f"{type(value).__name__} with {given}"
    return str(getattr(value, "__qualname__", value))


# --------------------------------------------------------------------------------------- what is kept of it


class Part(Protocol):
    """A part of a run's state: how a file says it, and how it is put back."""

    def said(self) -> Any:
        """What a `files.values.Writer` can say."""

    def put_back(self, kept: Any) -> None:
        """What was said, read again, becomes the present state. Raises ValueError where it does not fit."""


class Attributes:
    """Some attributes of an object, by name: those that there are."""

    def __init__(self, of: Any, names: Iterable[str]) -> None:
        self.of, self.names = of, tuple(names)

    def said(self) -> dict[str, Any]:
        return {name: vars(self.of)[name] for name in self.names if name in vars(self.of)}

    def put_back(self, kept: Any) -> None:
        if not isinstance(kept, dict) or not set(kept) <= set(self.names):
            raise ValueError(f"{kept!r:.99} for attributes of a {type(self.of).__name__}")
        vars(self.of).update(kept)


class Whole:
    """An optimizer or a schedule, which others hold: its attributes are put back, the object stays."""

    def __init__(self, of: Optimizer | Schedule) -> None:
        self.of = of

    def said(self) -> Any:
        return self.of

    def put_back(self, kept: Any) -> None:
        if type(kept) is not type(self.of):
            raise ValueError(f"a {type(kept).__name__} for a {type(self.of).__name__}")
        vars(self.of).update(vars(kept))


class Learnt:
    """A network's parameters and running statistics."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def said(self) -> dict[str, np.ndarray]:
        return {"params": self.network.params, "state": self.network.state}

    def put_back(self, kept: Any) -> None:
        for name, present in self.said().items():
            if (kept[name].shape, kept[name].dtype) != (present.shape, present.dtype):
                raise ValueError(f"{name} of shape {kept[name].shape} and dtype {kept[name].dtype}")
            present[...] = kept[name]


class Generator:
    """Where a random generator stands."""

    def __init__(self, rng: np.random.Generator | np.random.RandomState) -> None:
        self.rng = rng

    def said(self) -> Any:
        return self.rng.bit_generator.state if isinstance(self.rng, np.random.Generator) else self.rng

    def put_back(self, kept: Any) -> None:
        if isinstance(self.rng, np.random.Generator):
            self.rng.bit_generator.state = kept
        else:
            self.rng.set_state(kept.get_state(legacy=True))


# --------------------------------------------------------------------------------------- the file of a run


class File(Protocol):
    """Where the state of a run is kept: `found` is the one that was there, if any."""

    path: str
    found: dict[str, Any] | None

    @property
    def is_due(self) -> bool:
        """Whether the last time is long enough ago."""

    def expect(self, n_bytes: int) -> None:
        """A state has so many bytes of arrays: what writing it may take, as long as nothing was written."""

    def write(self, state: Any, arrays: dict[str, np.ndarray]) -> None:
        """Keep this state. Raises OSError."""


class RunFile:
    """The file of a run, for as long as that lasts: `found` is the state in it, if there is one.

    Used as a context, which lets go of the path in the end. Raises BlockingIOError where another process keeps a run
    there, and ValueError where the file is of another run, or no checkpoint.
    """

    def __init__(self, checkpoint: str | os.PathLike | Checkpoint, run: dict[str, str]) -> None:
        given = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        self.path, self.every, self.run = os.fspath(given.path), given.every, run
        self.last, self.took = time.perf_counter(), 0.0
        self.lock = Lock(f"{self.path}.lock")
        try:
            self.found = self._read()
        except BaseException:
            self.lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.lock.release()

    def expect(self, n_bytes: int) -> None:
        self.took = FIRST + n_bytes / BYTES_PER_SECOND

    @property
    def is_due(self) -> bool:
        every = self.took / SHARE if self.every is None else self.every
        return time.perf_counter() - self.last >= every

    def write(self, state: Any, arrays: dict[str, np.ndarray]) -> None:
        started = time.perf_counter()
        container.write(self.path, {"format": FORMAT, "kind": KIND, "run": self.run, "state": state}, arrays)
        self.last = time.perf_counter()
        self.took = self.last - started

    def _read(self) -> Any:
        if not os.path.exists(self.path):
            return None
        content, arrays = container.read(self.path)
        if not isinstance(content, dict) or content.get("kind") != KIND or content.get("format") != FORMAT:
            raise ValueError(f"{self.path}: expected a checkpoint of format {FORMAT}, got another file")
        run = content["run"]
        other = [name for name in {**self.run, **run} if run.get(name) != self.run.get(name)]
        if other:
            differs = "; ".join(f"{name}: {run.get(name)} there, {self.run.get(name)} here" for name in other)
            raise ValueError(f"{self.path}: expected a checkpoint of this run, got one of another ({differs})")
        return self._heard(content["state"], arrays)

    def _heard(self, state: Any, arrays: dict[str, np.ndarray]) -> Any:
        return Reader(arrays).fields(state)


class Keeper:
    """What is kept of a fit under way: `begin_at`, `keep`, then `restore` where something was found; `write`."""

    def __init__(self, file: File, place: str = "") -> None:
        self.file, self.found, self.place = file, file.found, place  # which stands before the names of its arrays
        self.parts: dict[str, Part] = {}
        self.start: Any = None

    @property
    def done(self) -> bool:
        """Whether the run has come to its end already."""
        return bool(self.found and self.found["done"])

    def begin_at(self, rng: np.random.Generator | np.random.RandomState) -> None:
        """Before anything is drawn: where something was found, put `rng` to where it stood when the run began."""
        if self.found:
            self._put_back(Generator(rng), "start", self.found)
        writer = Writer()
        said = writer.say(Generator(rng).said(), f"{self.place}start")
        self.start = said, {k: a.copy() for k, a in writer.arrays.items()}
        self.parts["rng"] = Generator(rng)

    def keep(self, **parts: Part) -> None:
        """All that is kept, from now on. Raises TypeError for what a file cannot say."""
        self.parts |= parts
        _, arrays = self.said(done=False)
        self.file.expect(sum(array.nbytes for array in arrays.values()))

    def restore(self) -> None:
        """Put back what was found."""
        for name, part in self.parts.items():
            self._put_back(part, name, self.found["parts"] if self.found else {})

    def said(self, *, done: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as a file says it, and its arrays."""
        writer = Writer()
        start, arrays = self.start
        writer.arrays |= arrays
        parts = {name: part.said() for name, part in self.parts.items()}
        return {"done": done, "start": start, "parts": writer.say(parts, f"{self.place}parts")}, writer.arrays

    def write_if_due(self) -> None:
        """Write it, if the last time is long enough ago. Raises OSError."""
        if self.file.is_due:
            self.write()

    def write(self, *, done: bool = False) -> None:
        """Write it. Raises OSError."""
        self.file.write(*self.said(done=done))

    def _put_back(self, part: Part, name: str, kept: dict[str, Any]) -> None:
        try:
            part.put_back(kept[name])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            path = self.file.path
            raise ValueError(f"{path}: expected a checkpoint of this run, got {name!r} with {error}") from None


class EpochKeeper(Keeper, Callback):
    """That of a fit by epochs: a callback that comes right after early stopping, which belongs to its state."""

    def __init__(self, file: File, place: str = "") -> None:
        super().__init__(file, place)
        self.order, self.figures = np.arange(0), NOTHING
        self.whole = False  # whether nothing has moved since order and figures were noted

    def keep_training(self, training: Training, **parts: Part) -> None:
        """The network, the history, the order and the figures, and these parts."""
        history = Attributes(training.history, vars(training.history))
        self.keep(network=Learnt(training.network), history=history, epoch=Attributes(self, ("order", "figures")),
                  **parts)  # fmt: skip

    def last_order(self, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Once restored: the order of the epoch that the run was in, and its figures so far."""
        order, figures = self.order, self.figures.reshape(-1, FIGURES)
        if not np.array_equal(np.sort(order), np.arange(n_samples)):
            raise ValueError(f"{self.file.path}: expected an order of {n_samples} samples, got {order}")
        return order, figures

    def begin(self, order: np.ndarray) -> None:
        """An epoch in this order."""
        self.order, self.figures, self.whole = order, NOTHING, False

    def moves(self) -> None:
        """A call of the session begins: until it has ended, and all that counts its steps, there is no whole state."""
        self.whole = False

    def note(self, order: np.ndarray, figures: np.ndarray = NOTHING) -> None:
        """The state is whole: this order, so many steps of it done; an epoch that has ended has none."""
        self.order, self.figures, self.whole = order, figures, True
        self.write_if_due()

    def on_epoch(self, training: Training) -> None:
        self.note(self.order)

    def end(self) -> None:
        """The run was cut: write its state, where that is whole."""
        if self.whole:
            self.write()


class Lock:
    """A file that one process holds at a time, and that is free again when it dies."""

    def __init__(self, path: str) -> None:
        self.path = path
        while True:
            self.file = open(path, "ab")  # noqa: SIM115
            try:
                _hold(self.file)
            except OSError:
                self.file.close()
                raise BlockingIOError(f"{path.removesuffix('.lock')}: another process keeps a run there") from None
            with suppress(OSError):
                if os.path.samestat(os.fstat(self.file.fileno()), os.stat(path)):
                    return
            self.file.close()  # its holder had just removed it: this file has no name any more

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
