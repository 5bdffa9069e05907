"""A session of the lanes engine: one network, the room it works in, and the job that says what is to be done there."""

import os
from time import perf_counter
from typing import Any
from weakref import ref

import numpy as np

from ..._jit import Routine, call, threads
from ...optimizers import COEFFICIENTS, SGD, Optimizer
from ...validation import is_sparse
from ..contract import FIGURES, Recipe, Regularization, Samples, mean_loss
from ..layout import PHI
from ..plan import Plan
from . import phases, routines, sparse, worker
from .blueprint import GROUP, Use, blueprint, divide
from .crew import Crew
from .crossing import enter
from .few import Predictor, most_rows
from .job import FIELDS, LAYER_FIELDS, WORD, Record, address, only_compiled
from .simd import VECTORS, lanes_of

PARALLEL_WORK = 200_000  # multiply-adds a batch, some 10 µs, from which threads are tried
REGION = 20  # as many batches' worth of work, some 200 µs, is where that begins: a region takes up to 100 µs to open
CACHE_LINE = 64  # bytes
NO_RATE, NO_FIGURES = np.zeros(1), np.zeros((0, FIGURES))


def room(size: int) -> np.ndarray:
    """So many zero bytes."""
    return np.zeros(size, np.uint8)


class Session:
    """See `contract.Session`. Its room is made when it is first needed, and kept."""

    _use: Use  # what its room is for

    def __init__(self, plan: Plan, recipe: Recipe) -> None:
        only_compiled()
        self.plan, self.recipe = plan, recipe
        self._process, self._params = 0, plan.params  # of no process: there is no room yet
        self._crews: dict[tuple, Crew] = {}
        self._moments: np.ndarray | None = None  # what its job is set for: to train with these,
        self._gradients: tuple[float, int] | None = None  # or gradients with this λ over so many samples

    # ----------------------------------------------------------------------------------- what it offers

    def train(
        self,
        samples: Samples,
        order: np.ndarray,
        rates: np.ndarray,
        figures: np.ndarray,
        places: np.ndarray | None = None,
        epoch: int | None = None,
    ) -> None:
        recipe, optimizer, rules = self.recipe, self.recipe.optimizer, self.recipe.regularization
        epoch = epoch or order.size
        rows = min(recipe.batch_size, epoch)
        crew = self._crew("train", rows, order.size)
        drops, whole = any(rules.dropout), rules.clip_norm < np.inf
        self._ready(Use(rows, crew.most, True, drops, whole, is_sparse(samples.X)))
        optimizer.start(self.plan.params)
        if self._moments is not optimizer.moments:
            self._to_train(rules, recipe.batch_size)
            self._to_update(optimizer)
        self._job.set_reals(decay=optimizer.decoupled_decay)
        self._for_steps(rates.size, rows)
        places, done = order if places is None else places, 0
        while done < rates.size:
            workers, most = crew.next(rates.size - done)
            steps, here = part_of(done, most, epoch, recipe.batch_size)
            part, started = slice(done, done + steps), perf_counter()
            size = min(epoch, here.stop - here.start)
            self._enter(samples, order[here], places[here], rates[part], figures[part], optimizer.t, workers, size)
            crew.took(workers, steps, perf_counter() - started)
            optimizer.t += steps
            done += steps

    def gradient(self, samples: Samples, *, l2: float = 0.0) -> tuple[float, np.ndarray]:
        order, figures, g = np.arange(len(samples.y)), np.empty((1, FIGURES)), np.empty_like(self.plan.params)
        crew = self._crew("gradient", order.size, order.size)
        self._ready(Use(order.size, crew.most, True, sparse=is_sparse(samples.X)))
        if self._gradients != (l2, order.size):
            self._to_train(Regularization(l2=l2), order.size)
            self._job.set(whole=True)
            self._gradients = l2, order.size
        self._job.set(g=address(g))
        self._for_steps(1, order.size)
        self._enter_by(crew, samples, order, NO_RATE, figures)
        return mean_loss(figures), g

    def evaluate(self, samples: Samples) -> tuple[float, np.ndarray]:
        N = float(samples.sample_weight.sum(dtype=np.float64))
        outputs = self._outputs(samples, N, self._loss())
        return float(np.cumsum(self._words("block_loss", -(-len(outputs) // self._plans.S)))[-1]), outputs

    def outputs(self, X: Any) -> np.ndarray:
        """E1: the outputs (N, outputs) for X (N, inputs)."""
        of_none = np.broadcast_to(self.plan.dtype.type(1), (X.shape[0], 1))
        return self._outputs(Samples(X, of_none, of_none), 1, 0)

    # ----------------------------------------------------------------------------------- room and workers

    def _crew(self, what: str, batch: int, rows: int) -> Crew:
        """The workers for calls on so many rows, in batches of so many."""
        n_params = self.plan.params.size
        most = threads(self.recipe.n_threads) if batch * n_params >= PARALLEL_WORK else 1
        key = what, batch, most
        if key not in self._crews:
            self._crews[key] = Crew(most, most if rows * n_params >= REGION * PARALLEL_WORK else 1)
        return self._crews[key]

    def _ready(self, use: Use) -> None:
        """Room for this use: what there is, where it will do; another in a forked process, or for other parameters."""
        plan = self.plan
        if self._process == os.getpid() and self._params is plan.params and self._use.covers(use):
            return
        self._use, self._process, self._params = use, os.getpid(), plan.params
        self._plans = plans = blueprint(plan, use)
        self._layers, self._room = plans.layers.copy(), room(plans.bytes + CACHE_LINE)
        self._job = job = Record(plans.numbers.copy())
        start = address(self._room)
        job.numbers[plans.places] += start + -start % CACHE_LINE
        job.keep(layers=self._layers, params=plan.params, state=plan.state, parameters=plan.loss_parameters)
        self._steps = self._losses = 0
        self._seen: tuple[ref[Any], ...] = (ref(self),) * 3  # no samples yet
        self._set_for_nothing()

    def _set_for_nothing(self) -> None:
        """Whatever the job does next, it will have to be set for it."""
        self._moments = self._gradients = None

    def _for_steps(self, steps: int, rows: int) -> None:
        """Room for what each of so many steps, on at most so many rows, comes to."""
        job, blocks = self._job, -(-rows // self._plans.S)
        if steps > self._steps or steps * blocks > self._losses:
            self._steps, self._losses = max(steps, self._steps), max(steps * blocks, self._losses)
            words = {"N": self._steps, "squares": self._steps * len(self._plans.tasks), "block_loss": self._losses}
            sizes = {"c": self._steps * COEFFICIENTS * self.plan.dtype.itemsize}
            self._starts, size = divide(sizes | {name: WORD * count for name, count in words.items()})
            self._of_steps = np.empty(size, np.uint8)
            start = address(self._of_steps)
            job.set(**{name: start + first for name, first in self._starts.items()})
        job.set(blocks=blocks)

    def _words(self, name: str, count: int) -> np.ndarray:
        """The first numbers of N or block_loss."""
        start = self._starts[name]
        return self._of_steps[start : start + WORD * count].view(np.float64)

    def _enter(
        self,
        samples: Samples,
        order: np.ndarray,
        places: np.ndarray,
        rates: np.ndarray,
        figures: np.ndarray,
        t: int,
        workers: int,
        epoch: int,
    ) -> None:
        """Run the job's program."""
        job = self._job
        X, y, sample_weight = samples
        if self._seen[0]() is not X or self._seen[1]() is not y or self._seen[2]() is not sample_weight:
            self._seen = ref(X), ref(y), ref(sample_weight)  # which the caller keeps alive
            job.set(X=address(X.data if self._use.sparse else X), y=address(y), sample_weight=address(sample_weight))
            if self._use.sparse:
                self._know_structure(X)
        go = worker.go_alone if workers == 1 else worker.go_together
        job.set(go=go.address(), group=self._plans.group(workers))
        call(
            enter, job.numbers, order, places, epoch, rates, figures.reshape(-1), t, workers,
            n_threads=self.recipe.n_threads, parallel=workers > 1,
        )  # fmt: skip

    def _know_structure(self, X: Any) -> None:
        """A sparse X: where what is there lies, and room for sorting as much as a chunk can have of it by columns."""
        job, index, (rows, columns) = self._job, X.indices.dtype, X.shape
        job.set(
            indices=address(X.indices), indptr=address(X.indptr),
            forward_nonzeros=self._address(sparse.forward(index)),
            sort_samples=self._address(sparse.columns(index)),
        )  # fmt: skip
        job.keep(sequence=np.arange(self._plans.S))
        if self._use.trains:
            held = min(self._plans.capacity, rows)
            most = sparse.most_numbers(X.indptr, held) + held
            job.keep(
                count=np.zeros(columns + 1, np.int64), begin=np.zeros(columns + 1, np.int64),
                touched=np.zeros(min(most, columns + 1) + 2, np.int64), sample=np.empty(most, np.int64),
                value=np.empty(most, self.plan.dtype),
            )  # fmt: skip

    def _enter_by(
        self, crew: Crew, samples: Samples, order: np.ndarray, rates: np.ndarray, figures: np.ndarray
    ) -> None:
        """Run the job's program, a single step, by as many of a crew as it says."""
        workers, _ = crew.next(1)
        started = perf_counter()
        self._enter(samples, order, order, rates, figures, 0, workers, order.size)
        crew.took(workers, 1, perf_counter() - started)

    # ----------------------------------------------------------------------------------- what the job is to do

    def _to_train(self, rules: Regularization, batch_size: int) -> None:
        """The gradient of each batch of this size, by these rules."""
        job, plans, clips = self._job, self._plans, rules.clip_value < np.inf
        job.set(
            program=worker.train.address(), trains=True, updates=False, norm_first=False, rests=False,
            loss=self._loss(), batch_size=batch_size, capacity=plans.capacity, apart=plans.apart, whole=plans.whole,
            clips=clips, a=job.numbers[FIELDS["own_a" if plans.apart else "h"]], g=job.numbers[FIELDS["own_g"]],
            cuts=plans.cuts_at, n_cuts=plans.cuts.size, stays=self.plan.extended, per_sample=rules.l2_per_sample,
            seed=rules.seed, plan_steps=self._address(routines.plan_steps(self.recipe.optimizer.code)),
        )  # fmt: skip
        job.set_reals(l2=rules.l2, clip_value=rules.clip_value, clip_norm=rules.clip_norm)
        self._use_if(any(rules.dropout), "drop_block")
        self._use_if(rules.l2 > 0, "start_gradient")
        self._use_if(clips, "clip")
        if plans.apart:
            p = rules.dropout_by_layer(self.plan.sizes)
            self._layers[:, LAYER_FIELDS["drops"]] = p > 0
            self._layers.view(np.float64)[:, LAYER_FIELDS["p"]] = p
        self._set_for_nothing()

    def _to_update(self, optimizer: Optimizer) -> None:
        """E6 by this optimizer after each gradient."""
        by_norm = self.recipe.regularization.clip_norm < np.inf
        step, moments = self._address(routines.optimizer_step(optimizer.code)), optimizer.moments
        self._job.keep(settings=optimizer.settings, m=moments)
        last = self._job.numbers[FIELDS["m"]] + moments.nbytes - moments[0].nbytes
        rests = self._use.sparse and self._leaves_untouched(optimizer)
        self._job.set(updates=True, norm_first=by_norm, optimizer_step=step, v=last, rests=rests)
        self._use_if(by_norm, "sum_of_squares", "clip_by_norm")
        self._moments = optimizer.moments

    def _leaves_untouched(self, optimizer: Optimizer) -> bool:
        """Whether weights whose gradient over the batch is 0 need no step, nor anything else."""
        return optimizer.rests and not self._plans.whole and self.recipe.regularization.l2 == 0

    def _outputs(self, samples: Samples, N: float, loss: int) -> np.ndarray:
        """The outputs for all samples; with a loss, Σ weight ℓ/N of each block goes to block_loss."""
        plan, rows = self.plan, len(samples.y)
        crew = self._crew("outputs", rows, rows)
        at_once = min(rows, GROUP * crew.most * VECTORS * lanes_of(plan.dtype))
        self._ready(Use(at_once, crew.most, False, sparse=is_sparse(samples.X)))
        self._for_steps(1, rows)
        out, order, job = np.empty((rows, plan.sizes[-1]), plan.dtype), np.arange(rows), self._job
        self._words("N", 1)[0] = N
        job.set(
            program=worker.evaluate.address(), trains=False, loss=loss, batch_size=rows, capacity=rows, apart=False,
            a=job.numbers[FIELDS["h"]], cuts=self._plans.uncut_at, n_cuts=2, stays=False, out=address(out),
            write_blocks=phases.write_blocks.address(), write_outputs=self._address(routines.write_outputs),
        )  # fmt: skip
        self._set_for_nothing()
        self._enter_by(crew, samples, order, NO_RATE, NO_FIGURES)
        return out

    def _loss(self) -> int:
        """The routine of ℓ."""
        return self._address(routines.loss(self.plan.loss_function, int(self.plan.table[-1, PHI])))

    def _address(self, routine: Routine) -> int:
        return routine.address(self.plan.dtype)

    def _use_if(self, needed: bool, *names: str) -> None:
        """Routines under the job's names for them, compiled where they are needed."""
        if needed:
            self._job.set(**{name: self._address(getattr(routines, name)) for name in names})


def part_of(done: int, most: int, epoch: int, batch_size: int) -> tuple[int, slice]:
    """Of epochs of so many samples, `done` steps being behind: at most so many that a call can take, and their samples.
    It takes whole epochs, or steps within one.
    """
    epoch_steps = -(-epoch // batch_size)
    k, s = divmod(done, epoch_steps)
    start = k * epoch
    if s == 0 and most >= epoch_steps:
        return most - most % epoch_steps, slice(start, start + most // epoch_steps * epoch)
    steps = min(most, epoch_steps - s)
    return steps, slice(start + s * batch_size, start + min((s + steps) * batch_size, epoch))


def forward(plan: Plan, X: Any, *, n_threads: int | None = None) -> np.ndarray:
    """E1: the outputs for X, see `contract.Engine`: a few rows as `few.py` has it, many in a session of their own."""
    predictor, rows = plan.predictor, X.shape[0]
    if type(X) is np.ndarray:
        if predictor is None and rows <= most_rows(plan):
            predictor = plan.predictor = Predictor(plan)
        if predictor is not None and rows <= predictor.most_rows:
            return predictor(X)
    return Session(plan, Recipe(SGD(), rows, n_threads=n_threads)).outputs(X)
