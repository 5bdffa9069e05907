"""Many fits side by side, each left as it would be alone.

A fit says what it wants next (`training.run`). Those whose networks are of one kind (`engines.lockstep`) are served
together, as many at once as a register has lanes; each of the others by its own session, a worker each.
"""

import inspect
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from .._jit import threads
from ..engines import lockstep
from ..engines.contract import FIGURES
from ..engines.lanes.session import Session
from ..engines.lanes.simd import lanes_of
from ..training.data import Data
from ..training.epochs import ORDERS_AT_ONCE
from ..training.run import Run, Stretch

WAVE = 1024  # networks that advance together: enough for all workers, and few enough for many epochs a call
MOST_ORDERS = 1 << 23  # samples in the orders of one call, 64 MB
PATIENCE = 1.0  # seconds of calls before a network is tried alone
TRIES = 3  # calls, of which the fastest counts


def train_together(runs: Sequence[Run], n_threads: int | None = None) -> None:
    """Train all of these; each is left as `run.train` leaves it.

    Raises what a callback raises; the others are ended as after Ctrl-C. Ctrl-C ends all of them, each with what it has
    learnt so far.
    """
    kinds: dict[Any, list[Fit]] = defaultdict(list)
    for run in runs:
        kinds[_kind(run)].append(Fit(run))
    alone = kinds.pop(None, [])
    everyone = [*alone, *chain.from_iterable(kinds.values())]
    try:
        for fits in kinds.values():
            for first in range(0, len(fits), WAVE):
                alone += Lockstep(fits[first : first + WAVE], n_threads).train()
        _train_each(alone, n_threads)
    except KeyboardInterrupt:
        for fit in everyone:
            fit.end()
    except BaseException:
        for fit in everyone:
            fit.close()
        raise


def _kind(run: Run) -> Any:
    """What runs that can go in lockstep have in common, or None."""
    runner = run.runner
    if not isinstance(runner.session, Session) or not runner.data.whole:
        return None
    kind = lockstep.kind(_member(run))
    return kind and (kind, runner.steps_per_epoch)


def _member(run: Run) -> lockstep.Member:
    session = run.runner.session
    return lockstep.Member(session.plan, session.recipe, run.runner.data.samples)


class Fit:
    """A run's generator, and what it wants: a `run.Stretch`, or validation data; None before it begins and in the end.

    KeyboardInterrupt comes out of it where Ctrl-C has reached the run itself, and ended it.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.epochs = run, run.epochs()
        self.wants: Any = None

    def go_on(self, answer: Any = None) -> None:
        """Send it what it wanted."""
        try:
            self.wants = self.epochs.send(answer)
        except StopIteration:
            self.wants = None
            if self.run.interrupted:
                raise KeyboardInterrupt from None

    def end(self) -> None:
        """As Ctrl-C does, if it has not come to its end."""
        with suppress(KeyboardInterrupt):
            if inspect.getgeneratorstate(self.epochs) == inspect.GEN_CREATED:
                self.go_on()  # so that it hears of it
        if inspect.getgeneratorstate(self.epochs) == inspect.GEN_SUSPENDED:
            with suppress(StopIteration):
                self.epochs.throw(KeyboardInterrupt())
        self.wants = None

    def close(self) -> None:
        """As where another has raised an error: callbacks hear of the end, nothing more."""
        if inspect.getgeneratorstate(self.epochs) != inspect.GEN_CLOSED:
            self.epochs.close()
            self.run.training.history.stopped = "another fit raised an error"


def guessed_share(n_params: int) -> float:
    """A pack's share of the time that its networks take alone, as it is on a Zen 5 from 2-8-2 to 64-100-10."""
    return float(np.log10(n_params)) / 3 - 0.25


class Lockstep:
    """Fits of one kind, as many at once as there are lanes.

    A pack takes as long for one network as for all its lanes, and wide layers fill the registers of the lanes engine,
    too: so its share of the time that as many networks take alone is guessed at first, and measured where it counts.
    Those that are faster alone leave: all, or the few that are left over.
    """

    def __init__(self, fits: Sequence[Fit], n_threads: int | None) -> None:
        self.fits, self.runs, self.n_threads = list(fits), [fit.run for fit in fits], n_threads
        plan = self.runs[0].runner.session.plan
        self.lanes, self.share = lanes_of(plan.dtype), guessed_share(plan.params.size)
        self.seconds, self.of_pack, self.of_one = 0.0, np.inf, [np.inf]
        for run in self.runs:
            run.runner.in_place = True
            run.runner.orders_at_once = max(ORDERS_AT_ONCE, MOST_ORDERS // len(self.runs))

    def train(self) -> list[Fit]:
        """To the end of all but those that it returns, which are to go on alone."""
        left_over: list[Fit] = []
        here = self._stay(list(range(len(self.fits))), left_over)
        for k in here:
            self.fits[k].go_on()
        if here:  # only now: what goes on from a checkpoint has other moments before it begins
            self.session = lockstep.Session([_member(run) for run in self.runs], self.n_threads)
        while here := self._stay([k for k in here if self.fits[k].wants is not None], left_over):
            self._measure(here)
            self._serve(here)
        return left_over

    def _stay(self, here: list[int], left_over: list[Fit]) -> list[int]:
        """Which of those under way stay."""
        stay = len(here) - len(here) % self.lanes
        if len(here) % self.lanes > self.share * self.lanes:
            stay = len(here)
        if self.share >= 1:
            stay = 0
        left_over += [self.fits[k] for k in here[stay:]]
        return here[:stay]

    def _measure(self, here: list[int]) -> None:
        """Once calls have taken a while: serve one alone, what it wants is the same."""
        if self.seconds < PATIENCE or len(self.of_one) > TRIES:
            return
        run, wants = self.runs[here[0]], self.fits[here[0]].wants
        if isinstance(wants, Stretch) and len(wants.done) == 0:
            run.runner.session.recipe = replace(run.runner.session.recipe, n_threads=1)
            at_once, began = run.runner.steps_per_call, time.perf_counter()
            figures = run.serve(wants)
            self.of_one.append((time.perf_counter() - began) / wants.rates.size)
            run.runner.steps_per_call = at_once  # as all others'
            self.fits[here[0]].go_on(figures)
            if self.fits[here[0]].wants is None:
                del here[0]
        if len(self.of_one) > TRIES:
            self.share = self.of_pack / (self.lanes * min(self.of_one))

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
            self._took(taken, epochs * (part.stop - part.start), len(who))
            for runner in runners:
                runner.took(epochs * (part.stop - part.start), taken)
        for k, of_one in zip(who, figures, strict=True):
            self.fits[k].go_on(of_one)

    def _took(self, seconds: float, steps: int, count: int) -> None:
        """What a call has taken, and a step of a pack in it."""
        packs, workers = -(-count // self.lanes), int(self.session.job["workers"][0])
        self.seconds += seconds
        self.of_pack = min(self.of_pack, seconds / steps / -(-packs // workers))

    def _evaluate(self, who: list[int]) -> None:
        answers = self.session.evaluate(np.array(who), [self.fits[k].wants.samples for k in who])
        for k, answer in zip(who, answers, strict=True):
            self.fits[k].go_on(answer)


def _shape(wants: Any) -> Any:
    """What requests that can be served together have in common; None for one that its own session has to serve."""
    if isinstance(wants, Data):
        return "data" if wants.whole and lockstep.takes(wants.samples) else None
    return wants.rates.shape if len(wants.done) == 0 else None


def _train_each(fits: Sequence[Fit], n_threads: int | None) -> None:
    """Each by its own session: with all threads where there is only one, else a worker each."""
    workers, stop = min(threads(n_threads), len(fits)), threading.Event()
    if workers > 1:
        for fit in fits:
            session = fit.run.runner.session
            session.recipe = replace(session.recipe, n_threads=1)

    def work(fit: Fit) -> None:
        if fit.wants is None and not stop.is_set():
            fit.go_on()
        while fit.wants is not None and not stop.is_set():
            fit.go_on(fit.run.serve(fit.wants))
        if fit.wants is None:
            del fit.run.runner  # and with it the room of its session

    if workers <= 1:
        for fit in fits:
            work(fit)
        return
    with ThreadPoolExecutor(workers) as pool:
        try:
            for done in [pool.submit(work, fit) for fit in fits]:
                done.result()
        finally:
            stop.set()
