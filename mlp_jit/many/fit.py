"""fit_many: many networks, each as `fit` would leave it."""

import copy
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from .. import validation
from ..engines import DEFAULT
from ..network import Network
from ..optimizers import Optimizer
from ..schedules import Schedule
from ..training import Checkpoint, EarlyStopping, History
from ..training.data import Data
from ..training.fit import check, data_of, held_out_of
from .checkpoint import ManyFile
from .together import train_together

GENERATORS = np.random.Generator, np.random.RandomState


def fit_many(
    networks: Sequence[Network],
    X: Any,
    y: Any,
    *,
    optimizer: Any = "adam",
    learning_rate: Any = 1e-3,
    schedule: Any = "constant",
    batch_size: Any = 200,
    epochs: Any = 10,
    shuffle: Any = True,
    l2: Any = 0.0,
    l2_per_sample: Any = False,
    dropout: Any = 0.0,
    clip_norm: Any = None,
    clip_value: Any = None,
    early_stopping: Any = None,
    validation_data: Any = None,
    sample_weight: Any = None,
    engine: str = DEFAULT,
    n_threads: int | None = None,
    random_state: Any = None,
    checkpoint: str | os.PathLike | Checkpoint | None = None,
) -> list[History]:
    """Train many networks at once, each to the bits that `fit` alone would give it with the same arguments.

    Those of one architecture go in lockstep, as many at once as a vector register has lanes, which takes small ones a
    third of the time of one after the other; large ones, and all others, go a worker each.

    Parameters
    ----------
    networks : sequence of Network
        Each is another object.
    X, y, sample_weight, validation_data
        As in `fit`, for all; or a list with one for each network. X, y or sample_weight is such a list where its
        entries are arrays (or sparse matrices, or data frames): [[0, 1], [1, 0]] is data.
    optimizer, learning_rate, schedule, batch_size, epochs, shuffle, l2, l2_per_sample, dropout, clip_norm, clip_value,
    early_stopping, random_state
        As in `fit`, for all; or a list or an array with one for each network. A dropout for each layer is a tuple. Each
        network has an optimizer, a schedule and an early stopping of its own: given one object, a copy each. A
        generator, which each would have to itself, is refused: give a seed, or one generator each.
    engine : str
    n_threads : int, optional
        Workers, at most. The result is the same for any number.
    checkpoint : path or Checkpoint, optional
        One file for all, from which the same call goes on, see `fit`.

    Returns
    -------
    list of History

    Raises
    ------
    TypeError, ValueError
        As `fit`, naming the network, before any has changed.
    BlockingIOError
        Where another process keeps its checkpoint there.

    Warns
    -----
    RuntimeWarning, UserWarning
        As `fit`. Ctrl-C ends all, each with what it has learnt so far.
    """
    networks = list(networks)
    count = len(networks)
    if len({id(network) for network in networks}) < count:
        raise ValueError("networks: expected each to be another object, got one twice")
    n_threads, data = validation.n_threads(n_threads), Shared()
    alike = {
        "learning_rate": learning_rate, "batch_size": batch_size, "epochs": epochs, "shuffle": shuffle, "l2": l2,
        "l2_per_sample": l2_per_sample, "dropout": dropout, "clip_norm": clip_norm, "clip_value": clip_value,
    }  # fmt: skip
    objects = {
        "optimizer": optimizer, "schedule": schedule, "early_stopping": early_stopping, "random_state": random_state
    }  # fmt: skip
    settings = {name: each(value, count, name) for name, value in alike.items()}
    settings |= {name: own(value, count, name) for name, value in objects.items()}
    parts = arrays(X, count, "X"), arrays(y, count, "y"), arrays(sample_weight, count, "sample_weight")
    held_out = each(validation_data, count, "validation_data")
    asked = []
    for k, network in enumerate(networks):
        try:
            trained, judged = data.of(network, *(part[k] for part in parts)), data.held_out(network, held_out[k])
            of_one = {name: value[k] for name, value in settings.items()}
            asked.append(check(network, trained, judged, **of_one, engine=engine, callbacks=(), n_threads=n_threads))
        except (TypeError, ValueError) as error:
            raise type(error)(f"network {k}: {error}") from None
    with nullcontext() if checkpoint is None else ManyFile(checkpoint, [one.words() for one in asked]) as file:
        runs = [one.begin(file.keeper(k) if file else None) for k, one in enumerate(asked)]
        train_together(runs, n_threads)
    return [run.training.history for run in runs]


class Shared:
    """Data that several networks have in common are checked and kept once."""

    def __init__(self) -> None:
        self.known: dict[tuple, Data | None] = {}

    def of(self, network: Any, X: Any, y: Any, sample_weight: Any) -> Data:
        """Training data of a network."""
        return self._once(network, (X, y, sample_weight), lambda: data_of(network, X, y, sample_weight))

    def held_out(self, network: Any, validation_data: Any) -> Data | None:
        """Validation data of a network."""
        return self._once(network, (validation_data,), lambda: held_out_of(network, validation_data))

    def _once(self, network: Any, parts: tuple, make: Callable[[], Any]) -> Any:
        if not isinstance(network, Network):
            return make()  # which says so
        taken = network.sizes[0], network.sizes[-1], network.output, network.loss_name, network.dtype
        key = *(id(part) for part in parts), *taken
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]


def each(value: Any, count: int, name: str) -> list:
    """One for each network: the entries of a list or an array, or the same for all. ValueError where they are others
    than `count`.
    """
    if not isinstance(value, list) and not (isinstance(value, np.ndarray) and value.ndim == 1):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name}: expected one for all or one for each of {count} networks, got {len(value)}")
    return list(value)


def arrays(value: Any, count: int, name: str) -> list:
    """The same of data: a list of arrays has one for each network, all else is for all."""
    several = (
        isinstance(value, list) and bool(value) and all(np.ndim(part) and hasattr(part, "shape") for part in value)
    )
    return each(value, count, name) if several else [value] * count


def own(value: Any, count: int, name: str) -> list:
    """The same of what a fit changes: one object for all is copied for each."""
    if isinstance(value, GENERATORS):
        raise TypeError(f"{name}: expected a seed for all, or a generator for each network, got one {value!r}")
    if not isinstance(value, list):
        return [copy.deepcopy(value) for _ in range(count)]
    found = each(value, count, name)
    objects = [id(one) for one in found if isinstance(one, (*GENERATORS, Optimizer, Schedule, EarlyStopping))]
    if len(set(objects)) < len(objects):
        raise ValueError(f"{name}: expected each network to have its own, got one twice")
    return found
