"""Epochs on one session of an engine, in compiled calls of about a tenth of a second, cut between steps.

Between two of them a Ctrl-C is heard and a memory-mapped X is read on. Where an epoch is cut changes no bit.
"""

import time
from collections.abc import Iterable

import numpy as np

from ..engines.contract import FIGURES, Samples, Session, mean_loss
from ..schedules import Schedule
from .checkpoint import NOTHING, EpochKeeper
from .data import Data

SECONDS_PER_CALL = 0.1


class Epochs:
    """Trains by a session, with a schedule's share of the learning rate at each step."""

    def __init__(self, session: Session, data: Data, schedule: Schedule, learning_rate: float) -> None:
        self.session, self.data = session, data
        self.schedule, self.learning_rate = schedule, learning_rate
        self.batch_size = session.recipe.batch_size
        self.keeper: EpochKeeper | None = None
        self.steps_per_call = max(1, int(2e8 / (self.batch_size * session.plan.params.size)))  # until a call is timed

    def run(self, epoch: int, order: np.ndarray, done: np.ndarray = NOTHING) -> tuple[float, float]:
        """One epoch: its mean loss and its last learning rate. `done` are figures of its first steps, taken before."""
        n_steps = -(-order.size // self.batch_size)
        rates = self.learning_rate * self.schedule.factors(epoch + np.arange(n_steps) / n_steps)
        return self.figure(self.train(order, rates, done), order), float(rates[-1])

    def train(self, order: np.ndarray, rates: np.ndarray, done: np.ndarray) -> np.ndarray:
        """A step for each of `rates` on the samples of `order`; what each came to, see `contract.FIGURES`."""
        step, figures = len(done), np.empty((rates.size, FIGURES))
        figures[:step] = done
        while step < rates.size:
            steps = min(self.steps_per_call, rates.size - step, max(1, self.data.rows_at_once // self.batch_size))
            part, here = order[step * self.batch_size : (step + steps) * self.batch_size], slice(step, step + steps)
            samples, places = self.data.slice(part)
            started = time.perf_counter()
            if self.keeper:
                self.keeper.moves()
            self.session.train(samples, part, rates[here], figures[here], places)
            per_step = (time.perf_counter() - started) / steps
            self.steps_per_call = max(1, int(SECONDS_PER_CALL / per_step))
            step += steps
            if self.keeper and step < rates.size:
                self.keeper.note(order, figures[:step])
        return figures

    def figure(self, figures: np.ndarray, order: np.ndarray) -> float:
        """The mean loss of an epoch of these batches."""
        return mean_loss(figures)


def evaluate(session: Session, parts: Iterable[Samples]) -> tuple[float, np.ndarray]:
    """L and the outputs (n_samples, n_outputs) over all of the data, part by part."""
    figures, outputs = [], []
    for samples in parts:
        loss, part = session.evaluate(samples)
        figures.append((samples.sample_weight.sum(dtype=np.float64), loss, 0.0))
        outputs.append(part)
    return mean_loss(np.array(figures)), outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
