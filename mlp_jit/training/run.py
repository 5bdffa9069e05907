"""A fit under way: what happens from epoch to epoch. What its steps are computed by is somebody else's.

`Run.epochs` is a generator: it yields what is to be computed next, and is sent what that came to. `train` serves one by
its own session; `mlp_jit.many` serves many together.
"""

import inspect
import math
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..schedules import Schedule
from .callbacks import Callback
from .checkpoint import NOTHING
from .data import Data
from .epochs import Epochs, evaluate
from .history import History, Training

Rng = np.random.Generator | np.random.RandomState


@dataclass
class Stretch:
    """What is to be trained: epochs in these orders (epochs, n_samples), with a η for each step, (epochs, steps).

    `done` are figures of its first steps, taken before.
    """

    orders: np.ndarray
    rates: np.ndarray
    done: np.ndarray


class Validation(Protocol):
    """A validation set, and what is made of what it comes to after each epoch."""

    data: Data

    def judge(self, training: Training, L: float, outputs: np.ndarray) -> None:
        """Add figures to the history, from the loss and the outputs (n_samples, n_outputs)."""


@dataclass
class Run:
    """A checked fit. `rng` is None for no shuffle."""

    training: Training
    runner: Epochs
    validation: Validation | None
    callbacks: Sequence[Callback]
    rng: Rng | None
    started: list[Callback] = field(default_factory=list, init=False)
    interrupted: bool = field(default=False, init=False)

    def train(self) -> None:
        """All of it, by its own session."""
        epochs, answer, error = self.epochs(), None, None
        while True:
            try:
                wanted = epochs.throw(error) if error else epochs.send(answer)
                error, answer = None, self.serve(wanted)
            except StopIteration:
                return
            except BaseException as raised:  # by a step, which the run is told of
                if inspect.getgeneratorstate(epochs) == inspect.GEN_CLOSED:  # by the run itself
                    raise
                error = raised

    def serve(self, wanted: Stretch | Data) -> Any:
        """What it is to be sent: the figures of steps, (epochs, steps, 3), or (L, outputs) over validation data."""
        if isinstance(wanted, Stretch):
            return self.runner.train(wanted.orders, wanted.rates, wanted.done)
        return evaluate(self.runner.session, wanted.parts())

    def epochs(self) -> Generator[Stretch | Data, Any, None]:
        """Epoch after epoch: yields what it wants, and is sent what `serve` says."""
        history, keeper, ended = self.training.history, self.runner.keeper, False
        if keeper and keeper.done:
            keeper.restore()
            return
        order, done = np.arange(len(self.runner.data)), NOTHING
        try:
            for callback in self.callbacks:
                self.started.append(callback)
                callback.on_start(self.training)
            if keeper and keeper.found:
                keeper.restore()
                order, done = keeper.last_order(order.size)
            while len(history.loss) < self.training.epochs and not history.stopped:
                order = yield from self._stretch(order, done)
                done = NOTHING
            ended = True
        except KeyboardInterrupt:
            if keeper:
                keeper.end()
            self.interrupted, history.stopped = True, interrupted(len(history.loss))
        except BaseException:
            if keeper:
                keeper.end()
            raise
        finally:
            end_callbacks(self.started, self.training)
        if keeper and ended:
            keeper.write(done=True)

    def _stretch(self, order: np.ndarray, done: np.ndarray) -> Generator[Stretch | Data, Any, np.ndarray]:
        """Some epochs, several where nobody looks between them; returns the order of the last one."""
        history, ended, first = self.training.history, 0, len(self.training.history.loss)
        count = self._at_once(self.training.epochs - first) if len(done) == 0 else 1
        before = self._state() if count > 1 else ()
        orders, rates, losses = yield from self._trained(first, count, order, done)
        if self._is_quiet():
            ended = self._end_quietly(losses, rates)
        for loss, rate in zip(losses[ended:], rates[ended:, -1].tolist(), strict=True):
            history.loss.append(loss)
            history.learning_rate.append(rate)
            if self.validation is not None:
                L, outputs = yield self.validation.data
                self.validation.judge(self.training, L, outputs)
            self._end_epoch()
            ended += 1
            if history.stopped:
                break
        if ended < count:  # the others were too much
            self._put_back(before)
            orders, _, _ = yield from self._trained(first, ended, order, done)
        return orders[-1]

    def _trained(
        self, first: int, count: int, order: np.ndarray, done: np.ndarray
    ) -> Generator[Stretch, Any, tuple[np.ndarray, np.ndarray, list[float]]]:
        """So many epochs from the `first` on: their orders, rates and losses."""
        orders = self._orders(order, count, goes_on=len(done) > 0)
        rates = self.runner.rates(first, count)
        if self.runner.keeper:
            self.runner.keeper.begin(orders[0])
        figures = yield Stretch(orders, rates, done)
        return orders, rates, self.runner.losses(figures, orders)

    def _is_quiet(self) -> bool:
        """Whether nobody hears of an epoch."""
        hears = type(self.runner.schedule).observe is not Schedule.observe
        return not hears and self.validation is None and not self.callbacks

    def _end_quietly(self, losses: list[float], rates: np.ndarray) -> int:
        """The history of the epochs before the first loss that is not finite; how many these are."""
        ended = next((k for k, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
        self.training.history.loss += losses[:ended]
        self.training.history.learning_rate += rates[:ended, -1].tolist()
        return ended

    def _end_epoch(self) -> None:
        """All that comes after an epoch, whose figures stand in the history."""
        history = self.training.history
        self.runner.end_epoch()
        self.runner.schedule.observe(history.watched[-1])
        for callback in self.callbacks:
            callback.on_epoch(self.training)
        stop_unless_finite(history, stacklevel=7)

    def _orders(self, order: np.ndarray, count: int, *, goes_on: bool) -> np.ndarray:
        """Of the next epochs, (count, n_samples)."""
        if self.rng is None or goes_on:
            return np.broadcast_to(order, (count, order.size))
        orders = np.empty((count, order.size), np.int64)
        for k in range(count):
            # A shuffle of the last order: so scikit-learn uses a RandomState's draws.
            order = orders[k] = order[self.rng.permutation(order.size)]
        return orders

    # ----------------------------------------------------------------------------------- several epochs at once

    def _at_once(self, left: int) -> int:
        """How many epochs are trained before anybody looks: few where one of them may turn out to be the last."""
        shuffles = self.rng is not None
        if self._is_quiet():
            return min(left, self.runner.epochs_at_once(may_stop=False, shuffles=shuffles))
        hears = type(self.runner.schedule).observe is not Schedule.observe
        looks = any(callback.looks for callback in self.callbacks)
        if self.validation is not None or self.runner.keeper or self.runner.follows or hears or looks:
            return 1
        return min(left, self.runner.epochs_at_once(may_stop=True, shuffles=shuffles))

    def _state(self) -> tuple:
        """What an epoch changes."""
        network, optimizer = self.training.network, self.runner.session.recipe.optimizer
        optimizer.start(network.params)
        copies = [array.copy() for array in (network.params, network.state, optimizer.moments, optimizer.settings)]
        return *copies, optimizer.t, self.rng and stands_at(self.rng)

    def _put_back(self, state: tuple) -> None:
        network, optimizer = self.training.network, self.runner.session.recipe.optimizer
        *copies, optimizer.t, rng_state = state
        for array, copy in zip(
            (network.params, network.state, optimizer.moments, optimizer.settings), copies, strict=True
        ):
            array[...] = copy
        if self.rng is not None:
            stand_at(self.rng, rng_state)


def stands_at(rng: Rng) -> Any:
    """Where a generator stands."""
    return rng.bit_generator.state if isinstance(rng, np.random.Generator) else rng.get_state(legacy=False)


def stand_at(rng: Rng, state: Any) -> None:
    """Put a generator to where it stood."""
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = state
    else:
        rng.set_state(state)


def stop_unless_finite(history: History, stacklevel: int) -> None:
    """End a fit whose last loss is not finite, and warn of it."""
    if not math.isfinite(history.loss[-1]):
        history.stopped = f"the loss was {history.loss[-1]} in epoch {len(history.loss)}"
        message = f"fit stopped: {history.stopped}; try a smaller learning_rate, standardised inputs or clip_norm"
        warnings.warn(message, RuntimeWarning, stacklevel=stacklevel)


def interrupted(epochs: int) -> str:
    """Warn, in scikit-learn's words, that Ctrl-C ended a fit; returns what `History.stopped` says then."""
    stopped = f"interrupted after {epochs} epochs"
    warnings.warn(
        f"Training interrupted by user. ({stopped}; what was learnt so far is kept)", UserWarning, stacklevel=5
    )
    return stopped


def end_callbacks(callbacks: list[Callback], training: Training) -> None:
    """on_end of each in turn, whatever one of them raises."""
    if callbacks:
        try:
            callbacks[0].on_end(training)
        finally:
            end_callbacks(callbacks[1:], training)
