"""Every number of a pass of the loops engine, forward and back."""

from dataclasses import dataclass

import numpy as np

from ...optimizers import SGD
from ..contract import Recipe, Regularization, Samples
from ..layout import KIND, PLAIN, SKIPS, biases_view, gains_view, layer_view, weights_view
from ..plan import Plan
from .session import Session, all_of, net_of, rules_of, state_of
from .steps import gradient_of


@dataclass(frozen=True)
class Trace:
    """Every number of one forward and backward pass over N samples, layer by layer.

    `a[0]` (N, inputs) is X; `z[l-1]`, `a[l]` and `delta[l-1]` (N, units) belong to layer l = 1..L. `delta` is ∂ℓ/∂z
    of each sample, `weight_gradients[l-1]` (n_in, n_out) and `bias_gradients[l-1]` (n_out,) are those of the mean
    loss `loss`. `h[l]` is what the next layer reads: a, or with a skip connection a + h of the layer before. For a
    normalised layer `s[l-1]`, `normal[l-1]` (ŝ) and `delta_s[l-1]` (∂ℓ/∂s) are (N, units), `gain_gradients[l-1]`
    (n_out,); for another one `s` is z, `delta_s` is delta, and the other two are None.
    """

    loss: float
    z: tuple[np.ndarray, ...]
    a: tuple[np.ndarray, ...]
    delta: tuple[np.ndarray, ...]
    weight_gradients: tuple[np.ndarray, ...]
    bias_gradients: tuple[np.ndarray, ...]
    h: tuple[np.ndarray, ...]
    s: tuple[np.ndarray, ...]
    normal: tuple[np.ndarray | None, ...]
    delta_s: tuple[np.ndarray, ...]
    gain_gradients: tuple[np.ndarray | None, ...]


def trace(plan: Plan, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray) -> Trace:
    """Every number of every layer for the rows of X, from the serial kernels that train; L, ∂L/∂θ with the weights."""
    L, out = Session(plan, Recipe(SGD(), len(X), n_threads=1)).gradient(Samples(X, y, sample_weight))
    rows, table, same_weight = len(X), plan.table, np.ones_like(sample_weight)
    same_weight.flags.writeable = False  # the signature that is compiled already
    data, rules = all_of(Samples(X, y, same_weight)), rules_of(plan, Regularization())
    _, work = gradient_of.serial(net_of(plan), state_of(plan), None, data, rules, rows, np.empty_like(plan.params))
    layers = range(1, len(plan.sizes))
    skipped, normalized = table[:, SKIPS] > 0, table[:, KIND] != PLAIN
    skipped[0] = True  # the inputs are in h
    return Trace(
        loss=L,
        z=tuple(layer_view(table, work.z, l, rows) for l in layers),
        a=tuple(layer_view(table, work.a if l else work.h, l, rows) for l in (0, *layers)),
        delta=tuple(layer_view(table, work.delta, l, rows) for l in layers),
        weight_gradients=tuple(weights_view(table, out, l) for l in layers),
        bias_gradients=tuple(biases_view(table, out, l) for l in layers),
        h=tuple(layer_view(table, work.h if skipped[l] else work.a, l, rows) for l in (0, *layers)),
        s=tuple(layer_view(table, work.s if normalized[l] else work.z, l, rows) for l in layers),
        normal=tuple(layer_view(table, work.normal, l, rows) if normalized[l] else None for l in layers),
        delta_s=tuple(layer_view(table, work.delta_s if normalized[l] else work.delta, l, rows) for l in layers),
        gain_gradients=tuple(gains_view(table, out, l) if normalized[l] else None for l in layers),
    )
