"""What a session needs that follows from a network's structure and a few sizes alone: worked out once, and built many
times.

A blueprint holds a job's record and the layers' records with every number that is known before there is memory, and for
places how far behind the start of the room they lie. So a session is made in some ten microseconds.
"""

from itertools import pairwise
from threading import Lock
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..layout import BATCH, KIND, PHI, PLAIN
from ..plan import Plan
from . import normal_blocks, panels, phases, routines, sparse, tiles
from .caches import chunk_bytes, few_inputs, is_large, largest_weights
from .job import FIELDS, LAYER, TASK, WORD, address, layer_records
from .simd import NEURONS, VECTORS, lanes_of
from .team import LINE, give_way

TASK_ROWS = 32  # rows of W that one task of the weights phase updates: 16 to 128 take one thread the same time
GROUP = 8  # blocks that share their way through layers with a large W: up to 4 % faster than one at a time
SHARED = 512  # inputs up to which E3 reads E1's panels; at 1024 it is half as fast, each panel on pages of its own
CHUNK_ROWS = 1024  # a batch beyond this and `chunk_bytes` is walked in chunks, its gradient summed up


class Use(NamedTuple):
    """What a session is for: batches of at most `rows` samples, and so many workers.

    Where it `trains` there is room for the way back; where it `drops`, for an h beside a; where the gradient is
    `whole`, for all of it: that of a batch that is walked in chunks always is. Where X is `sparse` there is none for
    its numbers, nor for panels of the first W.
    """

    rows: int
    workers: int
    trains: bool
    drops: bool = False
    whole: bool = False
    sparse: bool = False

    def covers(self, other: "Use") -> bool:
        """Whether what was made for this is enough for that: where it trains, for evaluating any number of rows."""
        if self.sparse != other.sparse or self.workers < other.workers:
            return False
        if not other.trains:
            return self.trains or self.rows >= other.rows
        return self.trains and self.rows >= other.rows and self.drops >= other.drops and self.whole >= other.whole


def rounded(n: int, step: int) -> int:
    """n, or the next multiple of `step`."""
    return -(-n // step) * step


def divide(sizes: dict[str, int]) -> tuple[dict[str, int], int]:
    """Where each array of so many bytes starts in a room, and how large that is: each at a cache line, which no load of
    a vector register from its start then straddles.
    """
    starts, end = {}, 0
    for name, size in sizes.items():
        starts[name] = end
        end += rounded(size, 64)
    return starts, end


def weight_tasks(plan: Plan) -> np.ndarray:
    """The tasks of the weights phase: rows of W, b as the last of them; of a normalised layer b and γ by themselves."""
    tasks = []
    for l, n_in in enumerate(plan.sizes[:-1], start=1):
        plain = plan.kinds[l] == PLAIN
        tasks += [(l, i, min(i + TASK_ROWS, n_in + plain)) for i in range(0, n_in + plain, TASK_ROWS)]
        tasks += [(l, n_in, n_in + 2)] * (not plain)
    return np.array(tasks, TASK)


class Blueprint:
    """See the module. `plan` lends its structure only: networks of the same one share a blueprint."""

    def __init__(self, plan: Plan, use: Use) -> None:
        self.plan, self.use, self.dtype = plan, use, plan.dtype
        self.item, self.lanes = plan.dtype.itemsize, lanes_of(plan.dtype)
        self.S = VECTORS * self.lanes
        self.units = (0 if use.sparse else plan.sizes[0], *plan.sizes[1:])  # of each layer, that have room in a block
        self.size = (sum(self.units) + len(self.units) + NEURONS) * self.S
        self.half = (max(self.units) + max(NEURONS, self.lanes)) * self.S
        self.capacity = self._capacity(use.rows if use.trains else 1)
        self.whole = use.whole or (use.trains and use.rows > self.capacity)
        self.apart = use.drops or (use.trains and plan.skips)
        self.numbers, self.layers = np.zeros(len(FIELDS), np.int64), layer_records(plan)
        self.cuts = np.array([0, *np.flatnonzero(plan.table[:, KIND] == BATCH), len(plan.sizes) - 1])
        self.uncut = self.cuts[[0, -1]]
        self.cuts_at, self.uncut_at = address(self.cuts), address(self.uncut)
        self.largest = largest_weights(plan)
        self.tasks = weight_tasks(plan)
        self._set(tasks=address(self.tasks))
        self._number()
        starts, self.bytes = divide(self._sizes())
        self.places = np.array([FIELDS[name] for name in starts])
        self._set(**starts)
        self._equip()
        del self.plan

    @property
    def records(self) -> np.ndarray:
        """The layers' records by the names of their fields."""
        return self.layers.view(LAYER)[:, 0]

    def _set(self, **fields: int) -> None:
        for name, value in fields.items():
            self.numbers[FIELDS[name]] = value

    # ----------------------------------------------------------------------------------- numbers

    def _capacity(self, rows: int) -> int:
        """The samples of a chunk. Batch normalisation looks at all of a batch at once."""
        widths = sum(rounded(n, self.lanes) for n in self.plan.sizes[1:])
        bytes_a_block = self.item * (self.size + self.S * widths)
        at_most = max(rounded(CHUNK_ROWS, self.S), chunk_bytes() // bytes_a_block * self.S)
        return rounded(rows, self.S) if BATCH in self.plan.kinds else min(rounded(rows, self.S), at_most)

    def _number(self) -> None:
        """Sizes: of the job, and of each layer where it lies in a block, and where its panels lie."""
        plan, L, layers, use = self.plan, self.lanes, self.records, self.use
        self.n_packed = self.n_panels = 0
        layers["unit"] = np.cumsum((0, *self.units[:-1]))
        layers["first"] = layers["unit"] + np.arange(len(plan.sizes))  # each layer before it has a row of ones
        for l, (n_in, n_out) in enumerate(pairwise(plan.sizes), start=1):
            layers["forward"][l] = layers["backward"][l] = self.n_packed
            self.n_packed += rounded(n_out, NEURONS) * (n_in + 1) if l > use.sparse else 0
            if use.trains:
                layers["own"][l] = l > 1 and n_in > SHARED
                if layers["own"][l]:
                    layers["backward"][l] = self.n_packed
                    self.n_packed += rounded(n_in, max(NEURONS, L)) * n_out
                layers["delta"][l] = self.n_panels
                self.n_panels += rounded(n_out, L) * self.capacity
        self.n_packed += NEURONS * NEURONS  # rows after the last that E3 reads, too
        blocks = -(-use.rows // self.S)
        if use.trains:
            blocks = min(blocks, self.capacity // self.S)
        self.blocks = blocks
        groups = {w: self.group(w) for w in range(1, use.workers + 1)}
        self.desks = max(w * group for w, group in groups.items())
        self.stored = self.desks
        if use.trains:
            self.stored = max(self.desks, *(rounded(blocks, group) for group in groups.values()))
        if use.trains and plan.extended:
            self.desks = self.stored  # what a block leaves there has to last until all have come as far
        self.strip = min(TASK_ROWS, max(plan.sizes[:-1]) + 1) * max(plan.sizes[1:])
        self._set(
            item=self.item, top=len(plan.sizes) - 1, give_way=give_way(), S=self.S, lanes=L,
            shift=self.S.bit_length() - 1, size=self.size, half=self.half, n_tasks=len(self.tasks),
            units=sum(self.units), strip=self.strip, few=few_inputs(self.S * self.item), sparse=use.sparse,
        )  # fmt: skip

    def group(self, workers: int) -> int:
        """How many blocks go through a layer together: more than one where a layer's W does not stay in the cache."""
        return max(1, min(GROUP, self.blocks // workers)) if is_large(self.largest) else 1

    def _sizes(self) -> dict[str, int]:
        """The bytes of each array: blocks of a chunk, workers' desks, all weights, E7 to E10, and what is no float."""
        plan, trains, size, S, desks = self.plan, self.use.trains, self.size, self.S, self.desks
        blocks = self.stored * size
        gradient = plan.params.size if self.whole else self.use.workers * self.strip
        numbers = {
            "packed": self.n_packed, "h": blocks, "own_a": blocks if self.apart else 0,
            "panels": self.n_panels, "z": desks * size, "delta": desks * 2 * self.half, "target": desks * size,
            "of_samples": desks * 4 * S, "own_g": gradient if trains else 0,
        }  # fmt: skip
        if plan.extended:
            units = sum(self.units)
            of_blocks = self.stored * 2 * units if trains else 0
            numbers |= {
                "normal": desks * size, "delta_h": desks * self.half if trains and plan.skips else 0,
                "moments": of_blocks,
                "sums": of_blocks, "mean": units, "inv_std": units, "product": units, "product_normal": units,
            }  # fmt: skip
        numbers["zero"] = max(plan.sizes) if self.use.sparse and any(plan.kinds) else 0
        words = {
            "ids": desks * S, "starts": desks * S, "counters": (1 + self.use.workers) * LINE, "norms": len(self.tasks),
        }  # fmt: skip
        return {name: n * self.item for name, n in numbers.items()} | {name: n * WORD for name, n in words.items()}

    # ----------------------------------------------------------------------------------- routines

    def _use(self, module: ModuleType, *names: str) -> None:
        """Routines of a module, under the job's names for them, which are theirs."""
        self._set(**{name: getattr(module, name).address(self.dtype) for name in names})

    def _equip(self) -> None:
        """The routines that a job may run."""
        plan, layers, trains = self.plan, self.records, self.use.trains
        self._use(phases, "pack", "samples_task", "load_blocks", "forward_blocks", "loss_blocks")
        self._use(panels, "pack_rows", "gather_block")
        self._use(tiles, "forward_layer")
        self._use(routines, "weigh_block")
        if trains:
            self._use(phases, "plan", "backward_blocks", "weights", "sum_gradient", "losses")
            self._use(panels, "panel_block")
            self._use(tiles, "weight_gradient")
            self._use(routines, "add_losses")
        if plan.skips or self.apart:
            self._use(phases, "hand_on")
            self._use(normal_blocks, "add", "move")
        if self.use.sparse:
            self._set(load_blocks=sparse.load_nonzeros.address(self.dtype))
        if self.use.sparse and trains:
            self._use(sparse, "sort_chunk", "rows_gradient", "step_touched", "nonzero_gradient")
        if any(plan.kinds):
            self._use(phases, "normalize_block")
        if trains and any(plan.kinds):
            self._use(phases, "sum_products", "normalized_delta")
            self._use(normal_blocks, "block_products", "gain_gradient")
        if trains and BATCH in plan.kinds:
            self._use(phases, "cut")
            self._use(normal_blocks, "block_moments", "combine_moments", "combine_products")
        if BATCH in plan.kinds:
            self._use(phases, "know_moments")
            self._use(normal_blocks, "known_moments", "move")
        for l, (phi, kind) in enumerate(zip(plan.table[:, PHI].tolist(), plan.kinds, strict=True)):
            if l > 0:
                layers["activate"][l] = routines.activation(phi).address(self.dtype)
            if trains and l > 1:
                delta = tiles.wide_delta if layers["own"][l] else tiles.hidden_delta
                layers["hidden_delta"][l] = delta.address(self.dtype)
            if trains and 0 < l < len(layers) - 1:
                layers["slope"][l] = routines.slope(phi).address(self.dtype)
            if kind != PLAIN:
                layers["normalize"][l] = routines.normalization(kind).address(self.dtype)
            if kind != PLAIN and trains:
                layers["normalize_delta"][l] = routines.normalization_delta(kind).address(self.dtype)


_known: dict[tuple, Blueprint] = {}
_one_at_a_time = Lock()
MOST = 256  # blueprints that are remembered


def blueprint(plan: Plan, use: Use) -> Blueprint:
    """The blueprint for such a network and use: one that was worked out before, or a new one."""
    key = plan.sizes, plan.table.tobytes(), plan.dtype.char, use
    found = _known.get(key)
    if found is None:
        found = Blueprint(plan, use)
        with _one_at_a_time:
            if len(_known) >= MOST:
                del _known[next(iter(_known))]
            _known[key] = found
    return found
