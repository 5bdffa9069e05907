"""Epochs on one session of an engine, in compiled calls of about a tenth of a second, cut between steps.

Between two of them a Ctrl-C is heard and a memory-mapped X is read on. Where an epoch is cut changes no bit.
"""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..engines.contract import FIGURES, Samples, Session, mean_loss, mean_losses
from ..schedules import Schedule
from .checkpoint import NOTHING, EpochKeeper
from .data import Data

SECONDS_PER_CALL = 0.1
IN_VAIN = 0.05  # of a call
ORDERS_AT_ONCE = 1 << 17  # samples in the orders of one call, 1 MB


class Epochs:
    """Trains by a session, with a schedule's share of the learning rate at each step.

    `follows` says whether the learning rate itself goes by what each epoch comes to.
    """

    follows = False

    def __init__(self, session: Session, data: Data, schedule: Schedule, learning_rate: float) -> None:
        self.session, self.data = session, data
        self.schedule, self.learning_rate = schedule, learning_rate
        self.batch_size = session.recipe.batch_size
        self.keeper: EpochKeeper | None = None
        self.orders_at_once, self.in_place = ORDERS_AT_ONCE, False  # whether an order that repeats needs no room
        self.steps_per_call = max(1, int(2e8 / (self.batch_size * session.plan.params.size)))  # a guess, until
        self.timed = False

    def rates(self, epoch: int, count: int) -> np.ndarray:
        """η of each step of `count` epochs from `epoch` on, (count, steps)."""
        n_steps = self.steps_per_epoch
        epochs = np.arange(epoch, epoch + count)[:, None] + np.arange(n_steps) / n_steps
        return self.learning_rate * self.schedule.factors(epochs)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of all samples."""
        return -(-len(self.data) // self.batch_size)

    def epochs_at_once(self, *, may_stop: bool, shuffles: bool) -> int:
        """How many epochs the next call may take: one before any was timed, and of a slice of X; not much more than
        what Python takes for them where a fit that `may_stop` could have trained them in vain.
        """
        if not self.timed or not self.data.whole:
            return 1
        steps = int(self.steps_per_call * (IN_VAIN if may_stop else 1))
        orders = self.orders_at_once // len(self.data) if shuffles or not self.in_place else steps
        return max(1, min(steps // self.steps_per_epoch, orders))

    def train(self, orders: np.ndarray, rates: np.ndarray, done: np.ndarray = NOTHING) -> np.ndarray:
        """A step for each of `rates` (epochs, steps) on the samples of `orders` (epochs, n_samples): its figures,
        (epochs, steps, 3), see `contract.FIGURES`. `done` are figures of the first steps, taken before.
        """
        if len(orders) == 1:
            return self._epoch(orders[0], rates[0], done)[None]
        figures = np.empty((*rates.shape, FIGURES))
        samples, order = self.data.samples, np.ascontiguousarray(orders).reshape(-1)  # of one sample it has stride 0
        self._call(samples, order, rates.reshape(-1), figures.reshape(-1, FIGURES), None, orders.shape[1])
        return figures

    def _epoch(self, order: np.ndarray, rates: np.ndarray, done: np.ndarray) -> np.ndarray:
        step, figures = len(done), np.empty((rates.size, FIGURES))
        figures[:step] = done
        while step < rates.size:
            steps = min(self.steps_per_call, rates.size - step, max(1, self.data.rows_at_once // self.batch_size))
            part, here = order[step * self.batch_size : (step + steps) * self.batch_size], slice(step, step + steps)
            samples, places = self.data.slice(part)
            if self.keeper:
                self.keeper.moves()
            self._call(samples, part, rates[here], figures[here], places)
            step += steps
            if self.keeper and step < rates.size:
                self.keeper.note(order, figures[:step])
        return figures

    def _call(self, samples: Samples, order: np.ndarray, rates: np.ndarray, figures: np.ndarray, *where: Any) -> None:
        """One call of the session, timed."""
        started = time.perf_counter()
        self.session.train(samples, order, rates, figures, *where)
        self.took(rates.size, time.perf_counter() - started)

    def took(self, steps: int, seconds: float) -> None:
        """So many steps have taken so long: how many the next call may be."""
        self.timed = True
        self.steps_per_call = max(1, int(SECONDS_PER_CALL / max(seconds / steps, 1e-9)))

    def end_epoch(self) -> None:
        """An epoch has ended."""

    def losses(self, figures: np.ndarray, orders: np.ndarray) -> list[float]:
        """The mean loss of each epoch, whose steps came to these figures (epochs, steps, 3)."""
        return mean_losses(figures)


def evaluate(session: Session, parts: Iterable[Samples]) -> tuple[float, np.ndarray]:
    """L and the outputs (n_samples, n_outputs) over all of the data, part by part."""
    figures, outputs = [], []
    for samples in parts:
        loss, part = session.evaluate(samples)
        figures.append((samples.sample_weight.sum(dtype=np.float64), loss, 0.0))
        outputs.append(part)
    return mean_loss(np.array(figures)), outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
