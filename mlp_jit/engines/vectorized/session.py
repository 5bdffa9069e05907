"""The contract by matrix products: a session makes the network in the layer language and its buffers once."""

import numpy as np

from ...validation import is_sparse
from ..contract import Recipe, Samples, epoch_by_epoch
from ..plan import Plan
from .criterion import Criterion
from .layers import LAYERS, BatchNormalization, Dense, Dropout, Sequential
from .network import add_l2, sequential
from .steps import STEPS, clip


class Session:
    """See `contract.Session`."""

    def __init__(self, plan: Plan, recipe: Recipe) -> None:
        self.plan, self.recipe = plan, recipe
        self._criterion = Criterion(plan)

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
        theta, optimizer, rules, batch_size = (
            self.plan.params, self.recipe.optimizer, self.recipe.regularization, self.recipe.batch_size
        )  # fmt: skip
        g, work, model = self._to_train()
        dropouts, batch_normalized = model.of_kind(Dropout), model.of_kind(BatchNormalization)
        optimizer.start(theta)
        step_of = STEPS[optimizer.code]
        X, y, sample_weight = samples
        sparse = is_sparse(X)
        unweighted = bool((sample_weight == 1).all())
        for step, rate in enumerate(rates.tolist()):
            rows = places[step * batch_size : (step + 1) * batch_size]
            for layer in dropouts:
                layer.step, layer.rows = optimizer.t + 1, order[step * batch_size : (step + 1) * batch_size]
            weight = 1.0 if unweighted else sample_weight.take(rows)[:, None]
            N = float(rows.size) if unweighted else float(np.sum(weight, dtype=np.float64))
            divisor = N if N > 0 else 1.0  # all weights zero: no gradient, not NaN
            a = X[rows] if sparse else X.take(rows, axis=0)
            loss, delta = self._criterion(model.forward(a), y.take(rows, axis=0), weight, divisor)
            model.backward(delta)
            penalty = add_l2(model, rules.l2 / divisor if rules.l2_per_sample else rules.l2)
            clip(g, rules.clip_value, rules.clip_norm)
            optimizer.t += 1
            if optimizer.decoupled_decay > 0:
                theta *= 1 - rate * optimizer.decoupled_decay
            step_of(theta, g, optimizer.moments, optimizer.settings, rate, optimizer.t, work)
            for layer in batch_normalized:
                layer.run_on()
            figures[step] = N, loss, penalty

    def gradient(self, samples: Samples, *, l2: float = 0.0) -> tuple[float, np.ndarray]:
        X, y, sample_weight = samples
        out = np.empty_like(self.plan.params)
        model = sequential(self.plan, out, trains=True)
        N = float(sample_weight.sum(dtype=np.float64))
        loss, delta = self._criterion(model.forward(X), y, sample_weight[:, None], N)
        model.backward(delta)
        return loss + add_l2(model, l2), out

    def evaluate(self, samples: Samples) -> tuple[float, np.ndarray]:
        X, y, sample_weight = samples
        z = sequential(self.plan, np.empty_like(self.plan.params)).forward(X)
        N = float(sample_weight.sum(dtype=np.float64))
        loss, _ = self._criterion(z.copy(), y, sample_weight[:, None], N)
        return loss, LAYERS[self.plan.output]().forward(z)

    def _to_train(self) -> tuple[np.ndarray, np.ndarray, Sequential]:
        """The gradient, scratch as long, and the network that writes the one: made once, for as long as θ stays."""
        theta = self.plan.params
        if getattr(self, "_theta", None) is not theta:
            self._theta, g = theta, np.empty_like(theta)
            self._made = g, np.empty_like(theta), sequential(self.plan, g, self.recipe.regularization, trains=True)
        return self._made


def forward(plan: Plan, X: np.ndarray, *, n_threads: int | None = None) -> np.ndarray:
    """E1: the outputs for X, see `contract.Engine`. The threads are BLAS's."""
    z = sequential(plan, np.empty_like(plan.params)).forward(X)
    return LAYERS[plan.output]().forward(z)


def jacobian(plan: Plan, X: np.ndarray, outputs: range, *, n_threads: int | None = None) -> np.ndarray:
    """E3: ∂ŷ_k/∂x_i of these outputs for X, see `contract.Engine`: all samples back from one output after the other."""
    model, output = sequential(plan, np.empty_like(plan.params)), LAYERS[plan.output]()
    for layer in model.of_kind(Dense):
        layer.frozen = True
    a = output.forward(model.forward(X))
    result = np.empty((len(X), len(outputs), X.shape[1]), plan.dtype)
    for m, k in enumerate(outputs):
        delta = np.zeros_like(a)
        delta[:, k] = 1
        result[:, m] = model.input_delta(output.backward(delta))
    return result
