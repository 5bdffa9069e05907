"""A session of networks in lockstep: what they have in common, and the room that each worker needs.

Networks keep their own parameters and moments between two calls, so whoever looks finds them as after a fit of each,
and which of them take part may change from call to call.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..._jit import Crossing, Routine, call, kernel, run, run_by_all, threads
from ...optimizers import COEFFICIENTS
from ...validation import is_sparse
from ..contract import Recipe, Samples, mean_loss
from ..lanes import routines as of_lanes
from ..lanes.blueprint import divide, weight_tasks
from ..lanes.caches import first_cache, second_cache
from ..lanes.job import LAYER, WORD, address, address_of, layer_records, only_compiled
from ..lanes.simd import VECTORS, lanes_of
from ..lanes.team import LINE
from ..layout import PHI
from ..plan import Plan
from . import routines, steps, tiles
from .job import JOB, MEMBER, job_at

PARALLEL_WORK = 4_000_000  # multiply-adds of a call, some 200 µs, from which threads are worth their region


class Member(NamedTuple):
    """A network that takes part, how it is trained, and on what."""

    plan: Plan
    recipe: Recipe
    samples: Samples


def kind(member: Member) -> tuple | None:
    """What networks that go in lockstep have in common. None for one that cannot: normalised, with skips, on a sparse
    X, or so large that θ, gradient and moments of as many as there are lanes do not stay in the second cache.
    """
    plan, recipe, samples = member
    optimizer, rules = recipe.optimizer, recipe.regularization
    fits = 4 * plan.params.nbytes * lanes_of(plan.dtype) <= second_cache()
    if plan.extended or not fits or not takes(samples):
        return None
    branches = vars(optimizer).get("momentum") == 0, vars(optimizer).get("nesterov")
    return (
        plan.sizes, plan.table.tobytes(), plan.dtype.char, plan.loss_function, plan.loss_parameters.tobytes(),
        optimizer.code, branches, recipe.batch_size, rules.l2 > 0, rules.l2_per_sample, any(rules.dropout),
        rules.clip_value < np.inf, rules.clip_norm < np.inf,
    )  # fmt: skip


def takes(samples: Samples) -> bool:
    """Whether lanes can read these: a dense X, and all of it aligned."""
    return not is_sparse(samples.X) and all(part.flags.aligned for part in samples)


class Session:
    """Networks of one `kind`, for as long as their fits take. It belongs to the process that made it."""

    def __init__(self, members: Sequence[Member], n_threads: int | None = None) -> None:
        only_compiled()
        self.members, self.n_threads = members, n_threads
        self.plan, self.recipe = members[0].plan, members[0].recipe
        self.dtype, self.item, self.L = self.plan.dtype, self.plan.dtype.itemsize, lanes_of(self.plan.dtype)
        self.S = VECTORS * self.L
        self.rows = self._rows()
        self.layers = layer_records(self.plan)
        self.tasks = weight_tasks(self.plan)  # by which squares are summed, as in the lanes engine
        self.dropout = [m.recipe.regularization.dropout_by_layer(self.plan.sizes) for m in members]
        self.networks = self._records()
        self.job, self.rooms = np.zeros(1, JOB), np.empty(0, np.uint8)
        self._describe()

    # ----------------------------------------------------------------------------------- what it offers

    def train(
        self, who: np.ndarray, orders: Sequence[np.ndarray], rates: Sequence[np.ndarray], figures: np.ndarray
    ) -> None:
        """E1-E6 for the members `who` (their numbers), each on the epochs of its order (epochs, n_samples), int64, with
        a η of its rates (epochs, steps), float64, for each batch.

        Writes N, LOSS and PENALTY of each step into figures (members, epochs, steps, 3).
        """
        epochs, epoch_steps = rates[0].shape
        networks = self.networks[who]
        networks["order"] = [address(order) for order in orders]
        networks["stride"] = [order.strides[0] // WORD for order in orders]
        networks["samples"] = [order.shape[1] for order in orders]
        networks["rates"] = [address(of_one) for of_one in rates]
        networks["figures"] = address(figures) + figures.strides[0] * np.arange(len(who))
        networks["t"] = [self.members[k].recipe.optimizer.t for k in who]
        count = epochs * epoch_steps
        self.job["steps"], self.job["epoch_steps"] = count, epoch_steps
        self._enter(self.job, networks, count * self.recipe.batch_size)
        for k in who:
            self.members[k].recipe.optimizer.t += count

    def evaluate(self, who: np.ndarray, samples: Sequence[Samples]) -> list[tuple[float, np.ndarray]]:
        """E1-E2: for each of the members `who` (L, outputs) over all rows of its samples: `training.epochs.evaluate`.

        Samples that it `takes`.
        """
        networks, order = self.networks[who], np.arange(max(len(part.y) for part in samples))
        figures = np.array([[float(part.sample_weight.sum(dtype=np.float64)), 0, 0] for part in samples])
        outputs = [np.empty_like(part.y) for part in samples]
        for name in ("X", "y"):
            networks[name] = [address(getattr(part, name)) // self.item for part in samples]
        networks["sample_weight"] = [address(part.sample_weight) for part in samples]
        networks["samples"] = [len(part.y) for part in samples]
        networks["order"], networks["out"] = address(order), [address(out) for out in outputs]
        networks["figures"] = address(figures) + figures.strides[0] * np.arange(len(who))
        job = self.job.copy()
        job["pack_task"], job["steps"], job["epoch_steps"] = steps.evaluate_pack.address(), 0, 1
        job["weighted"] = are_weighted(samples)
        job["batch_size"], job["penalises"], job["drops"], job["h"] = order.size, False, False, job["a"]
        self._enter(job, networks, order.size)
        return [(mean_loss(figure[None]), out) for figure, out in zip(figures, outputs, strict=True)]

    # ----------------------------------------------------------------------------------- what is made once

    def _records(self) -> np.ndarray:
        """The networks' records, as far as they stay."""
        optimizers, records = [member.recipe.optimizer for member in self.members], np.zeros(len(self.members), MEMBER)
        for member, optimizer in zip(self.members, optimizers, strict=True):
            optimizer.start(member.plan.params)
        for name, arrays in {
            "params": [member.plan.params for member in self.members],
            "m": [optimizer.moments[0] for optimizer in optimizers],
            "v": [optimizer.moments[-1] for optimizer in optimizers],
            "X": [member.samples.X for member in self.members],
            "y": [member.samples.y for member in self.members],
        }.items():
            records[name] = [address(array) // self.item for array in arrays]
        records["settings"] = [address(optimizer.settings) for optimizer in optimizers]
        records["sample_weight"] = [address(member.samples.sample_weight) for member in self.members]
        records["dropout"] = [address(p) for p in self.dropout]
        records["decay"] = [optimizer.decoupled_decay for optimizer in optimizers]
        for name in ("seed", "l2", "clip_value", "clip_norm"):
            records[name] = [getattr(member.recipe.regularization, name) for member in self.members]
        return records

    def _set(self, **fields: int) -> None:
        for name, value in fields.items():
            self.job[name] = value

    def _describe(self) -> None:
        """The job, as far as it stays."""
        plan, rules, records = self.plan, self.recipe.regularization, self.layers.view(LAYER)[:, 0]
        starts, self.room_bytes = divide(self._sizes())
        starts["v"] = starts["m"] if self.recipe.optimizer.rows < 2 else starts["v"]
        starts["h"] = starts["h"] if any(rules.dropout) else starts["a"]
        self._set(**starts, weighted=are_weighted(member.samples for member in self.members))
        self._set(
            program=steps.work.address(), pack_task=steps.train_pack.address(), batch_size=self.recipe.batch_size,
            item=self.item, lanes=self.L, top=len(plan.sizes) - 1, layers=address(self.layers), rows=self.rows,
            loss_parameters=address(plan.loss_parameters), n_params=plan.params.size, tasks=address(self.tasks),
            n_tasks=len(self.tasks), S=self.S, half=self.item * max(plan.sizes) * self.rows * self.L,
            penalises=rules.l2 > 0, per_sample=rules.l2_per_sample, drops=any(rules.dropout),
            clips=rules.clip_value < np.inf, by_norm=rules.clip_norm < np.inf, room_bytes=self.room_bytes,
            loss_of=self._address(of_lanes.loss(plan.loss_function, int(plan.table[-1, PHI]))),
            coefficients=self._address(routines.coefficients_of(self.recipe.optimizer.code)),
            optimizer_step=self._address(routines.optimizer_step(self.recipe.optimizer.code)),
            lace_numbers=self._address(routines.lace), unlace_numbers=self._address(routines.unlace),
        )  # fmt: skip
        self._use(steps, "lace unlace plan_step start_gradient load forward drop_layer judge backward update report")
        self._use(tiles, "forward_layer weight_gradient hidden_delta")
        self._use(routines, "load_rows start_rows weigh_columns weigh_lane gather weigh count_samples copy_number")
        self._use(routines, "copy_lane figure add_losses start_at_zero write_outputs")
        if rules.l2 > 0:
            self._use(routines, "penalty_of penalise")
        if any(rules.dropout):
            self._use(routines, "drop_lane drop")
        if rules.clip_value < np.inf:
            self._use(routines, "clip")
        if rules.clip_norm < np.inf:
            self._use(routines, "shrink_by_norm scale")
        if rules.l2 > 0 or rules.clip_norm < np.inf:
            self._use(routines, "squares_of")
        for l, phi in enumerate(plan.table[:, PHI].tolist()):
            if l > 0:
                records["activate"][l] = self._address(of_lanes.activation(phi))
            if 0 < l < len(plan.sizes) - 1:
                records["slope"][l] = self._address(of_lanes.slope(phi))

    def _rows(self) -> int:
        """The samples of a block, 8 at least: as many as let two layers' numbers take half of the first cache."""
        row = self.item * self.L * max(n_in + n_out for n_in, n_out in pairwise(self.plan.sizes))
        rows = self.S
        while rows > 8 and rows * row > first_cache() // 2:
            rows //= 2
        return rows

    def _sizes(self) -> dict[str, int]:
        """The bytes of everything in a worker's room."""
        plan, L, rules = self.plan, self.L, self.recipe.regularization
        columns, drops = self.rows * L, any(rules.dropout)
        units, widest, P = sum(plan.sizes), max(plan.sizes), plan.params.size
        numbers = {
            "theta": P * L, "m": P * L, "v": P * L if self.recipe.optimizer.rows > 1 else 0, "g": P * L,
            "z": units * columns, "a": units * columns, "h": units * columns if drops else 0,
            "delta": 2 * widest * columns, "y": plan.sizes[-1] * columns, "weight": columns, "ell": columns,
            "top_z": columns, "total": columns, "one": columns, "scales": columns, "c": COEFFICIENTS * L,
            "c_lane": COEFFICIENTS, "lambdas": L, "shrink": L, "share": L,
        }  # fmt: skip
        words = {
            "ids": columns, "starts": columns, "fates": columns, "bounds": columns,
            "used": L, "first": L, "X": L, "y_k": L, "keys": L, "p_drop": L, "N": L, "block_loss": L, "loss": L,
            "squares": L, "fold": self.S * L, "of_task": L,
        }  # fmt: skip
        return {name: n * self.item for name, n in numbers.items()} | {name: n * WORD for name, n in words.items()}

    def _address(self, routine: Routine) -> int:
        return routine.address(self.dtype)

    def _use(self, module: ModuleType, names: str) -> None:
        """Routines of a module, under the job's names for them, which are theirs."""
        self._set(**{name: self._address(getattr(module, name)) for name in names.split()})

    # ----------------------------------------------------------------------------------- calls

    def _enter(self, job: np.ndarray, networks: np.ndarray, samples: int) -> None:
        """Run the job's program for these networks, each going through so many samples."""
        count = len(networks)
        packs = -(-count // self.L)
        networks = np.concatenate([networks, np.repeat(networks[-1:], packs * self.L - count)])
        work = packs * self.L * samples * self.plan.params.size
        workers = min(threads(self.n_threads), packs) if work >= PARALLEL_WORK else 1
        if self.rooms.size < workers * self.room_bytes:
            self.rooms = self._rooms(workers)
        start, counters = address(self.rooms), np.zeros((1 + workers) * LINE, np.int64)
        job["members"], job["count"], job["packs"], job["workers"] = address(networks), count, packs, workers
        job["room"], job["counters"] = start + -start % 64, address(counters)
        call(enter, job.view(np.int64), n_threads=self.n_threads, parallel=workers > 1)

    def _rooms(self, workers: int) -> np.ndarray:
        """Rooms for so many workers, each with its row of ones."""
        rooms = np.zeros(workers * self.room_bytes + 64, np.uint8)
        start, ones = -address(rooms) % 64, int(self.job["one"][0])
        for w in range(workers):
            place = start + w * self.room_bytes + ones
            rooms[place : place + self.item * self.rows * self.L].view(self.dtype)[:] = 1
        return rooms


def are_weighted(samples: Iterable[Samples]) -> bool:
    """Whether any sample weighs anything but 1."""
    return not all(
        (weight == 1).all() for weight in {id(part.sample_weight): part.sample_weight for part in samples}.values()
    )


@kernel
def enter_alone(record):
    """layout: all packs, by one worker."""
    job = job_at(address_of(record), 0)
    run(job.program, job, 0)


@kernel
def enter_together(record):
    """layout: all packs, by all workers."""
    job = job_at(address_of(record), 0)
    run_by_all(job.program, job, job.workers)


enter = Crossing(enter_alone, enter_together)
