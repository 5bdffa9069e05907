"""Many fits side by side, each left as it would be alone.

A fit says what it wants next (`training.run`). Those whose networks are of one kind (`engines.lockstep`) are served
together, as many at once as a register has lanes; each of the others by its own session, a worker each.
"""

import inspect
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from .._jit import threads
from ..engines import lockstep
from ..engines.contract import FIGURES
from ..engines.lanes.session import Session
from ..training.data import Data
from ..training.epochs import ORDERS_AT_ONCE
from ..training.run import Run

FEW = 4  # networks of a kind below which each goes alone: a pack takes as long as one of some width does
MOST_ORDERS = 1 << 23  # samples in the orders of one call of all networks, 64 MB


def train_together(runs: Sequence[Run], n_threads: int | None = None) -> None:
    """Train all of these; each is left as `run.train` leaves it.

    Raises what a callback raises; the others are ended as after Ctrl-C. Ctrl-C ends all of them, each with what it has
    learnt so far.
    """
    kinds: dict[Any, list[Run]] = defaultdict(list)
    for run in runs:
        kinds[_kind(run)].append(run)
    alone = kinds.pop(None, [])
    for kind in [kind for kind, of_kind in kinds.items() if len(of_kind) < FEW]:
        alone += kinds.pop(kind)
    for of_kind in kinds.values():
        Lockstep(of_kind, n_threads).train()
    _train_each(alone, n_threads)


def _kind(run: Run) -> Any:
    """What runs that can go in lockstep have in common, or None."""
    runner = run.runner
    if not isinstance(runner.session, Session) or not runner.data.whole:
        return None
    session = runner.session
    kind = lockstep.kind(lockstep.Member(session.plan, session.recipe, runner.data.samples))
    return kind and (kind, runner.steps_per_epoch)


class Lockstep:
    """Runs of one kind."""

    def __init__(self, runs: Sequence[Run], n_threads: int | None) -> None:
        self.runs, self.fits = runs, [Fit(run) for run in runs]
        members = [lockstep.Member(run.runner.session.plan, run.runner.session.recipe, run.runner.data.samples)
                   for run in runs]  # fmt: skip
        self.session = lockstep.Session(members, n_threads)
        for run in runs:
            run.runner.orders_at_once = min(ORDERS_AT_ONCE, MOST_ORDERS // len(runs))

    def train(self) -> None:
        """All of them, to the end of the last."""
        try:
            for fit in self.fits:
                fit.go_on()
            while waiting := self._waiting():
                self._serve(waiting)
        except BaseException as error:  # of one of them, or Ctrl-C
            self._end(error)

    def _waiting(self) -> list[int]:
        """Which are still under way. KeyboardInterrupt where Ctrl-C reached one of them itself."""
        if any(fit.interrupted for fit in self.fits):
            raise KeyboardInterrupt
        return [k for k, fit in enumerate(self.fits) if fit.wants is not None]

    def _serve(self, waiting: list[int]) -> None:
        """What each of these wants, those that want alike together."""
        alike: dict[Any, list[int]] = defaultdict(list)
        for k in waiting:
            alike[_shape(self.fits[k].wants)].append(k)
        for shape, who in alike.items():
            if shape is None:
                for k in who:
                    self.fits[k].go_on(self.runs[k].serve(self.fits[k].wants))
            elif shape == "data":
                self._evaluate(who)
            else:
                self._train(who)

    def _train(self, who: list[int]) -> None:
        wants, runners = [self.fits[k].wants for k in who], [self.runs[k].runner for k in who]
        figures = np.empty((len(who), *wants[0].rates.shape, FIGURES))
        for runner in runners:
            if runner.keeper:
                runner.keeper.moves()
        epochs, steps = wants[0].rates.shape
        at_once = steps if epochs > 1 else min(runner.steps_per_call for runner in runners)
        for first in range(0, steps, at_once):
            part, began = slice(first, min(first + at_once, steps)), time.perf_counter()
            batch = runners[0].batch_size
            orders = [want.orders[:, part.start * batch : part.stop * batch] for want in wants]
            rates = [np.ascontiguousarray(want.rates[:, part]) for want in wants]
            self.session.train(np.array(who), orders, rates, figures[:, :, part])
            taken = time.perf_counter() - began
            for runner in runners:
                runner.took(epochs * (part.stop - part.start), taken)
        for k, of_one in zip(who, figures, strict=True):
            self.fits[k].go_on(of_one)

    def _evaluate(self, who: list[int]) -> None:
        answers = self.session.evaluate(np.array(who), [self.fits[k].wants.samples for k in who])
        for k, answer in zip(who, answers, strict=True):
            self.fits[k].go_on(answer)

    def _end(self, error: BaseException) -> None:
        """Of the others, each as after Ctrl-C; then raise the error, unless it was just that."""
        for fit in self.fits:
            fit.end()
        if not isinstance(error, KeyboardInterrupt):
            raise error


def _shape(wants: Any) -> Any:
    """What requests that can be served together have in common; None for one that its own session has to serve."""
    if isinstance(wants, Data):
        fits = wants.whole and isinstance(wants.X, np.ndarray) and all(part.flags.aligned for part in wants.samples)
        return "data" if fits else None
    return wants.rates.shape if len(wants.done) == 0 else None


class Fit:
    """A run's generator: what it wants, None once it has come to its end, and whether Ctrl-C has brought that about."""

    def __init__(self, run: Run) -> None:
        self.run, self.epochs = run, run.epochs()
        self.wants: Any = None  # a `run.Stretch`, or validation data
        self.interrupted = False

    def go_on(self, answer: Any = None) -> None:
        """Send it what it wanted."""
        self._resume(self.epochs.send, answer)

    def end(self) -> None:
        """As Ctrl-C does."""
        if inspect.getgeneratorstate(self.epochs) == inspect.GEN_SUSPENDED:
            self._resume(self.epochs.throw, KeyboardInterrupt())

    def _resume(self, how: Callable, value: Any) -> None:
        try:
            self.wants = how(value)
        except StopIteration:
            self.wants = None
            self.interrupted = self.run.interrupted


def _train_each(runs: Sequence[Run], n_threads: int | None) -> None:
    """Each by its own session: with all threads where there is only one, else a worker each."""
    workers, stop = min(threads(n_threads), len(runs)), threading.Event()
    if workers > 1:
        for run in runs:
            run.runner.session.recipe = replace(run.runner.session.recipe, n_threads=1)

    def work(run: Run) -> None:
        fit = Fit(run)
        try:
            if not stop.is_set():
                fit.go_on()
            while fit.wants is not None and not stop.is_set():
                fit.go_on(run.serve(fit.wants))
            if fit.interrupted:
                stop.set()
        except BaseException:
            stop.set()
            raise
        finally:
            fit.end()
            del run.runner  # and with it the room of its session

    if workers <= 1:
        for run in runs:
            work(run)
        return
    with ThreadPoolExecutor(workers) as pool:
        try:
            for done in [pool.submit(work, run) for run in runs]:
                done.result()
        except BaseException as error:
            stop.set()
            if not isinstance(error, KeyboardInterrupt):
                raise
