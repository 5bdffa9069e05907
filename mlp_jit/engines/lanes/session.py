"""A session of the lanes engine: one network, the room it works in, and the job that says what is to be done there."""

import os

import numpy as np

from ..._jit import Routine, call, threads
from ...optimizers import COEFFICIENTS, SGD, Optimizer
from ..contract import FIGURES, Recipe, Regularization, Samples, mean_loss
from ..layout import PHI
from ..plan import Plan
from . import phases, routines, worker
from .blueprint import GROUP, Use, blueprint
from .crossing import enter
from .few import Predictor, most_rows
from .job import FIELDS, LAYER_FIELDS, Record, address, only_compiled
from .simd import VECTORS, lanes_of

PARALLEL_WORK = 200_000  # multiply-adds a batch from which threads are used: there two take 0.9 of one's time
REGION = 20  # as many batches' worth of work, some 200 µs, is the least that is worth opening a region, up to 100 µs
LINE = 64  # bytes of a cache line
NO_RATE, NO_FIGURES = np.zeros(1), np.zeros((0, FIGURES))


def room(size: int) -> np.ndarray:
    """So many zero bytes."""
    return np.zeros(size, np.uint8)


class Session:
    """See `contract.Session`. Its room is made when it is first needed, and kept."""

    def __init__(self, plan: Plan, recipe: Recipe) -> None:
        only_compiled()
        self.plan, self.recipe = plan, recipe
        self._use: Use | None = None

    # ----------------------------------------------------------------------------------- what it offers

    def train(
        self,
        samples: Samples,
        order: np.ndarray,
        rates: np.ndarray,
        figures: np.ndarray,
        places: np.ndarray | None = None,
    ) -> None:
        recipe, optimizer, rules = self.recipe, self.recipe.optimizer, self.recipe.regularization
        rows = min(recipe.batch_size, order.size)
        workers = self._workers(rows, order.size)
        self._ready(Use(rows, workers, True, any(rules.dropout), rules.clip_norm < np.inf))
        optimizer.start(self.plan.params)
        if self._moments is not optimizer.moments:
            self._to_train(rules, recipe.batch_size)
            self._to_update(optimizer)
        self._job.set_reals(decay=optimizer.decoupled_decay)
        self._for_steps(rates.size, rows)
        self._enter(samples, order, order if places is None else places, rates, figures, optimizer.t, workers)
        optimizer.t += rates.size

    def gradient(self, samples: Samples, *, l2: float = 0.0) -> tuple[float, np.ndarray]:
        order, figures, g = np.arange(len(samples.X)), np.empty((1, FIGURES)), np.empty_like(self.plan.params)
        workers = self._workers(order.size, order.size)
        self._ready(Use(order.size, workers, True))
        self._to_train(Regularization(l2=l2), order.size)
        self._job.set(g=address(g), whole=True)
        self._for_steps(1, order.size)
        self._enter(samples, order, order, NO_RATE, figures, 0, workers)
        return mean_loss(figures), g

    def evaluate(self, samples: Samples) -> tuple[float, np.ndarray]:
        N = float(samples.sample_weight.sum(dtype=np.float64))
        outputs = self._outputs(samples, N, self._loss())
        return float(self._job.arrays["block_loss"][: self._blocks].sum()), outputs

    def outputs(self, X: np.ndarray) -> np.ndarray:
        """E1: the outputs (N, outputs) for X (N, inputs)."""
        return self._outputs(Samples(X, X, X), 1, 0)

    # ----------------------------------------------------------------------------------- room and workers

    def _workers(self, batch: int, rows: int) -> int:
        """How many workers a call on so many rows, in batches of so many, is worth."""
        n_params = self.plan.params.size
        worth = batch * n_params >= PARALLEL_WORK and rows * n_params >= REGION * PARALLEL_WORK
        return threads(self.recipe.n_threads) if worth else 1

    def _ready(self, use: Use) -> None:
        """Room for this use: what there is, where it will do; another in a forked process, or for other parameters."""
        have, plan = self._use, self.plan
        if have and have.covers(use) and self._process == os.getpid() and self._params is plan.params:
            return
        self._use, self._process, self._params = use, os.getpid(), plan.params
        self._plans = plans = blueprint(plan, use)
        self._layers, self._room = plans.layers.copy(), room(plans.bytes + LINE)
        self._job = job = Record(plans.numbers.copy())
        start = address(self._room)
        job.numbers[plans.places] += start + -start % LINE
        job.keep(
            layers=self._layers,
            tasks=plans.tasks,
            params=plan.params,
            state=plan.state,
            parameters=plan.loss_parameters,
        )
        self._steps = self._blocks = self._losses = 0
        self._samples: Samples | None = None
        self._moments: np.ndarray | None = None

    def _for_steps(self, steps: int, rows: int) -> None:
        """Room for what each of so many steps, on at most so many rows, comes to."""
        if steps > self._steps:
            self._steps = steps
            c, squares = np.empty(steps * COEFFICIENTS, self.plan.dtype), np.empty(steps * len(self._plans.tasks))
            self._job.keep(c=c, N=np.empty(steps), squares=squares)
        self._blocks = -(-rows // self._plans.S)
        if steps * self._blocks > self._losses:
            self._losses = steps * self._blocks
            self._job.keep(block_loss=np.empty(self._losses))
        self._job.set(blocks=self._blocks)

    def _enter(
        self,
        samples: Samples,
        order: np.ndarray,
        places: np.ndarray,
        rates: np.ndarray,
        figures: np.ndarray,
        t: int,
        workers: int,
    ) -> None:
        """Run the job's program."""
        job = self._job
        if samples is not self._samples:
            self._samples = samples  # the job has their addresses
            job.set(X=address(samples.X), y=address(samples.y), sample_weight=address(samples.sample_weight))
        job.set(go=(worker.go_alone if workers == 1 else worker.go_together).address())
        call(
            enter, job.numbers, order, places, rates, figures.reshape(-1), t, workers,
            n_threads=self.recipe.n_threads, parallel=workers > 1,
        )  # fmt: skip

    # ----------------------------------------------------------------------------------- what the job is to do

    def _to_train(self, rules: Regularization, batch_size: int) -> None:
        """The gradient of each batch of this size, by these rules."""
        job, plans, clips = self._job, self._plans, rules.clip_value < np.inf
        job.set(
            program=worker.train.address(), trains=True, updates=False, norm_first=False, loss=self._loss(),
            batch_size=batch_size, capacity=plans.capacity, apart=plans.apart, whole=plans.whole, clips=clips,
            a=job.numbers[FIELDS["own_a" if plans.apart else "h"]], g=job.numbers[FIELDS["own_g"]],
            cuts=address(plans.cuts), n_cuts=plans.cuts.size, stays=self.plan.extended, per_sample=rules.l2_per_sample,
            seed=rules.seed, plan_steps=self._address(routines.plan_steps(self.recipe.optimizer.code)),
        )  # fmt: skip
        job.set_reals(l2=rules.l2, clip_value=rules.clip_value, clip_norm=rules.clip_norm)
        self._use_if(any(rules.dropout), "drop_block")
        self._use_if(rules.l2 > 0, "start_gradient")
        self._use_if(clips, "clip")
        p = rules.dropout_by_layer(self.plan.sizes)
        self._layers[:, LAYER_FIELDS["drops"]] = p > 0
        self._layers.view(np.float64)[:, LAYER_FIELDS["p"]] = p
        self._moments = None

    def _to_update(self, optimizer: Optimizer) -> None:
        """E6 by this optimizer after each gradient."""
        by_norm = self.recipe.regularization.clip_norm < np.inf
        self._job.keep(settings=optimizer.settings, m=optimizer.moments[0], v=optimizer.moments[-1])
        step = self._address(routines.optimizer_step(optimizer.code))
        self._job.set(updates=True, norm_first=by_norm, optimizer_step=step)
        self._use_if(by_norm, "sum_of_squares", "clip_by_norm")
        self._moments = optimizer.moments

    def _outputs(self, samples: Samples, N: float, loss: int) -> np.ndarray:
        """The outputs for all samples; with a loss, Σ weight ℓ/N of each block goes to block_loss."""
        plan, rows = self.plan, len(samples.X)
        workers = self._workers(rows, rows)
        self._ready(Use(min(rows, GROUP * workers * VECTORS * lanes_of(plan.dtype)), workers, False))
        self._for_steps(1, rows)
        out, order, job = np.empty((rows, plan.sizes[-1]), plan.dtype), np.arange(rows), self._job
        job.arrays["N"][0] = N
        job.set(
            program=worker.evaluate.address(), trains=False, loss=loss, batch_size=rows, capacity=rows, apart=False,
            a=job.numbers[FIELDS["h"]], cuts=address(self._plans.uncut), n_cuts=2, stays=False, out=address(out),
            write_blocks=phases.write_blocks.address(), write_outputs=self._address(routines.write_outputs),
        )  # fmt: skip
        self._moments = None
        self._enter(samples, order, order, NO_RATE, NO_FIGURES, 0, workers)
        return out

    def _loss(self) -> int:
        """The routine of ℓ."""
        return self._address(routines.loss(self.plan.loss_function.code, int(self.plan.table[-1, PHI])))

    def _address(self, routine: Routine) -> int:
        return routine.address(self.plan.dtype)

    def _use_if(self, needed: bool, *names: str) -> None:
        """Routines under the job's names for them, compiled where they are needed."""
        if needed:
            self._job.set(**{name: self._address(getattr(routines, name)) for name in names})


def forward(plan: Plan, X: np.ndarray, *, n_threads: int | None = None) -> np.ndarray:
    """E1: the outputs for X, see `contract.Engine`: a few rows as `few.py` has it, many in a session of their own."""
    predictor = plan.predictor
    if predictor is None and len(X) <= most_rows(plan):
        predictor = plan.predictor = Predictor(plan)
    if predictor is not None and len(X) <= predictor.most_rows:
        return predictor(X)
    return Session(plan, Recipe(SGD(), len(X), n_threads=n_threads)).outputs(X)
