"""The contract by the loops: a session keeps the records that its drivers take, and makes its scratch anew in each
call.
"""

from typing import Any

import numpy as np

from ..._jit import call
from ...validation import for_engine, is_sparse
from ..contract import Recipe, Regularization, Samples, epoch_by_epoch
from ..layout import without_inputs
from ..plan import Plan
from .derivatives import jacobian_rows
from .sparse import Nonzeros, nonzeros_of
from .steps import Data, Net, Rules, Steps, evaluate_rows, forward_rows, gradient_of, train_steps

ROWS = 1024  # samples in a chunk
PARALLEL_WORK = 200_000  # multiply-adds a batch from which threads are used; an estimate, still to be measured


def net_of(plan: Plan, sparse: Nonzeros | None = None) -> Net:
    """The network's record, without room for the inputs where they are sparse."""
    table = plan.table if sparse is None else without_inputs(plan.table)
    return Net(table, plan.params, plan.loss_function.code, plan.loss_parameters)


def state_of(plan: Plan) -> np.ndarray | None:
    """None is a type of its own, for which E7 to E10 are not even compiled."""
    return plan.state if plan.extended else None


def rules_of(plan: Plan, regularization: Regularization) -> Rules:
    """The rules' record."""
    r = regularization
    dropout, seed = r.dropout_by_layer(plan.sizes), np.uint64(r.seed)
    return Rules(plan.dtype.type(r.l2), r.l2_per_sample, dropout, seed, r.clip_value, r.clip_norm)


def chunk_of(samples: int) -> int:
    """The samples of a chunk."""
    return max(1, min(ROWS, samples))


def is_parallel(plan: Plan, rows: int) -> bool:
    """Whether so many rows at a time are worth threads."""
    return rows * plan.params.size >= PARALLEL_WORK


class Session:
    """See `contract.Session`."""

    def __init__(self, plan: Plan, recipe: Recipe) -> None:
        self.plan, self.recipe = plan, recipe
        self._rules = rules_of(plan, recipe.regularization)

    def train(
        self,
        samples: Samples,
        order: np.ndarray,
        rates: np.ndarray,
        figures: np.ndarray,
        places: np.ndarray | None = None,
        epoch: int | None = None,
    ) -> None:
        for part, lie, here in epoch_by_epoch(epoch or order.size, self.recipe.batch_size, order, places):
            self._train(samples, part, rates[here], figures[here], part if lie is None else lie)

    def _train(
        self, samples: Samples, order: np.ndarray, rates: np.ndarray, figures: np.ndarray, places: np.ndarray
    ) -> None:
        """An epoch, or a part of one."""
        plan, optimizer, batch_size = self.plan, self.recipe.optimizer, self.recipe.batch_size
        optimizer.start(plan.params)
        sparse, samples = apart(samples)
        data = Data(*samples, order, places)
        code, moments, settings = optimizer.code, optimizer.moments, optimizer.settings
        steps = Steps(code, moments, settings, optimizer.decoupled_decay, batch_size, rates, optimizer.t)
        rows = min(batch_size, order.size)
        self._call(train_steps, rows, sparse, data, self._rules, steps, self._batch_chunk(rows), figures)
        optimizer.t += rates.size

    def gradient(self, samples: Samples, *, l2: float = 0.0) -> tuple[float, np.ndarray]:
        sparse, samples = apart(samples)
        out, rows = np.empty_like(self.plan.params), len(samples.y)
        rules = rules_of(self.plan, Regularization(l2=l2))
        L, _ = self._call(gradient_of, rows, sparse, all_of(samples), rules, self._batch_chunk(rows), out)
        return float(L), out

    def evaluate(self, samples: Samples) -> tuple[float, np.ndarray]:
        sparse, samples = apart(samples)
        plan, rows = self.plan, len(samples.y)
        out, rules = np.empty((rows, plan.sizes[-1]), plan.dtype), rules_of(plan, Regularization())
        L = self._call(evaluate_rows, chunk_of(rows), sparse, all_of(samples), rules, chunk_of(rows), out)
        return float(L), out

    def _batch_chunk(self, samples: int) -> int:
        """Batch normalisation looks at all samples of a batch at once."""
        return max(1, samples) if self.plan.state.size else chunk_of(samples)

    def _call(self, driver: Any, rows: int, sparse: Nonzeros | None, *arguments: Any) -> Any:
        """A driver, with threads where so many rows at a time are worth them."""
        plan, n_threads = self.plan, self.recipe.n_threads
        parallel = is_parallel(plan, rows)
        net, state = net_of(plan, sparse), state_of(plan)
        return call(driver, net, state, sparse, *arguments, n_threads=n_threads, parallel=parallel)


def all_of(samples: Samples) -> Data:
    """All samples, in the order of their rows."""
    order = np.arange(len(samples.y))
    return Data(*samples, order, order)


def apart(samples: Samples) -> tuple[Nonzeros | None, Samples]:
    """A sparse X, or None; and the samples, without it."""
    sparse, X = split(samples.X)
    return sparse, samples._replace(X=X)


def split(X: Any) -> tuple[Nonzeros | None, np.ndarray]:
    """(None, X), or what is there in a sparse X and an X without columns."""
    if not is_sparse(X):
        return None, X
    return nonzeros_of(X), for_engine(np.empty((0, 0)), X.dtype)


def forward(plan: Plan, X: Any, *, n_threads: int | None = None) -> np.ndarray:
    """E1: the outputs for X, see `contract.Engine`."""
    out, rows, rules = np.empty((X.shape[0], plan.sizes[-1]), plan.dtype), chunk_of(X.shape[0]), Regularization()
    sparse, X = split(X)
    call(
        forward_rows, net_of(plan, sparse), state_of(plan), sparse, X, rules_of(plan, rules), rows, out,
        n_threads=n_threads, parallel=is_parallel(plan, rows),
    )  # fmt: skip
    return out


def jacobian(plan: Plan, X: np.ndarray, outputs: range, *, n_threads: int | None = None) -> np.ndarray:
    """E3: ∂ŷ_k/∂x_i of these outputs for X, see `contract.Engine`."""
    out, rows = np.empty((len(X), len(outputs), X.shape[1]), plan.dtype), chunk_of(len(X))
    call(
        jacobian_rows, net_of(plan), state_of(plan), X, rules_of(plan, Regularization()), rows, outputs.start, out,
        n_threads=n_threads, parallel=is_parallel(plan, rows),
    )  # fmt: skip
    return out
