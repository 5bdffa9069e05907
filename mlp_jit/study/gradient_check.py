"""check_gradients: backprop beside central differences of the loss, the worst entries first."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import validation
from ..engines import DEFAULT, ENGINES
from ..engines.layout import BATCH, BIASES, END, GAINS, KIND, N_OUT, WEIGHTS, count_params
from ..network import Network, generator
from .copies import in_float64
from .document import Document, Report, Section, Table

ROWS = 10  # written out
# The error of a central difference is h²/6 times the third derivative, plus the loss's rounding, ε |L| / h. With
# h = 1e-5 both are some 1e-11 where L and θ are about 1, so that agreement to 1e-6 leaves room for steep third
# derivatives and none for a wrong formula.
STEP, TOLERANCE = 1e-5, 1e-6


def check_gradients(
    network: Network,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    l2: float = 0.0,
    engine: str = DEFAULT,
    at_most: int = 1000,
    random_state: int | np.random.Generator | np.random.RandomState | None = 0,
) -> "GradientCheck":
    """∂L/∂θ_p by backprop and as (L(θ_p + h) − L(θ_p − h)) / 2h, for every parameter, in float64.

    Parameters
    ----------
    network : Network
        It is not changed: a float64 copy is checked.
    X, y, sample_weight, l2
        As for `Network.gradient`.
    engine : str
        Whose gradient and loss are checked.
    at_most : int
        Of a network with more parameters so many are checked, drawn by `random_state`: each costs two losses.

    Raises
    ------
    TypeError, ValueError
        For arguments that make no sense, and for a network with "step" outputs: the perceptron's δ is no derivative.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network, got {network!r}")
    if network.output == "step":
        raise ValueError("network: expected an output with a slope, got 'step', whose δ = ŷ − y is no derivative")
    engine_ = validation.lookup("engine", engine, ENGINES)
    l2 = validation.number("l2", l2, 0)
    twin = in_float64(network)
    data = twin.check(X, y, sample_weight)
    L, gradient = engine_.gradient(twin, *data, l2=l2)
    checked = np.arange(twin.n_params)
    if twin.n_params > validation.integer("at_most", at_most, 1):
        checked = np.sort(generator(random_state).permutation(twin.n_params)[:at_most])

    # `evaluate` knows no penalty, and goes by running statistics where `gradient` goes by this batch's.
    as_gradient = l2 > 0 or np.any(network.table[:, KIND] == BATCH)

    def loss() -> float:
        if as_gradient:
            return float(engine_.gradient(twin, *data, l2=l2, n_threads=1)[0])
        return float(engine_.evaluate(twin, *data, n_threads=1)[0])

    right, left = np.empty(len(checked)), np.empty(len(checked))
    for place, p in enumerate(checked):
        before = twin.params[p]
        twin.params[p] = before + STEP
        right[place] = (loss() - L) / STEP
        twin.params[p] = before - STEP
        left[place] = (L - loss()) / STEP
        twin.params[p] = before
    return GradientCheck(
        table=network.table,
        engine=engine,
        loss=L,
        parameters=checked,
        backprop=gradient[checked],
        right=right,
        left=left,
    )


@dataclass(frozen=True, repr=False, eq=False)
class GradientCheck(Report):
    """What `check_gradients` returns: an entry for each parameter that was checked.

    `table` is the network's, `parameters` are their places in `Network.params`, `backprop` the engine's ∂L/∂θ_p,
    `right` and `left` the differences of the loss to either side; `numeric` is their mean, the central difference.
    """

    table: np.ndarray
    engine: str
    loss: float
    parameters: np.ndarray
    backprop: np.ndarray
    right: np.ndarray
    left: np.ndarray

    @property
    def numeric(self) -> np.ndarray:
        """(L(θ_p + h) − L(θ_p − h)) / 2h."""
        return (self.right + self.left) / 2

    @cached_property
    def error(self) -> np.ndarray:
        """|backprop − numeric| over the larger of the two, and over what rounding leaves of the difference."""
        rounding = 10 * np.finfo(np.float64).eps * abs(self.loss) / STEP
        size = np.maximum(np.maximum(abs(self.backprop), abs(self.numeric)), rounding / TOLERANCE)
        size = np.where(size > 0, size, 1.0)
        return abs(self.backprop - self.numeric) / size

    @property
    def at_kink(self) -> np.ndarray:
        """Where the loss has a kink within h of θ_p, as ReLU makes them.

        There the slopes to the two sides differ by twice the error, and backprop's is one of them; a wrong gradient
        differs from both.
        """
        wrong = abs(self.backprop - self.numeric)
        jump = abs(self.right - self.left) / 2
        return (self.error > TOLERANCE) & (jump > wrong / 2)

    @property
    def ok(self) -> bool:
        """Whether every entry agrees to 1e-6, kinks aside."""
        return bool(np.all((self.error <= TOLERANCE) | self.at_kink))

    @property
    def worst(self) -> np.ndarray:
        """The entries' places in the other arrays, the largest error first."""
        return np.argsort(-self.error, kind="stable")

    def name(self, place: int) -> str:
        r"""The parameter at a place of `parameters`, such as w^{1}_{23}: layer 1, from unit 2 to unit 3, from 1 on."""
        p = int(self.parameters[place])
        l = int(np.flatnonzero(self.table[:, END] > p)[0])
        row = self.table[l]
        if p >= row[BIASES]:
            letter, start = ("b", row[BIASES]) if p < row[GAINS] else (r"\gamma", row[GAINS])
            return f"{letter}^{{{l}}}_{{{p - start + 1}}}"
        i, j = divmod(p - row[WEIGHTS], row[N_OUT])
        comma = "," if max(i, j) >= 9 else ""
        return f"w^{{{l}}}_{{{i + 1}{comma}{j + 1}}}"

    def document(self) -> Document:
        n_params = count_params(self.table)
        some = f"{len(self.parameters):,}" + (f" of {n_params:,}" if len(self.parameters) < n_params else "")
        worst = self.worst[:ROWS]
        wrong = int(np.sum((self.error > TOLERANCE) & ~self.at_kink))
        kinks = int(np.sum(self.at_kink))
        verdict = f"{some} parameters, {wrong or 'none'} wrong; largest relative error {self.error[worst[0]]:.1e}"
        notes = [verdict] + ([f"{kinks} at a kink, where there is no one slope"] if kinks else [])
        rows = [
            (self.name(p), f"{self.backprop[p]:.9g}", f"{self.numeric[p]:.9g}", f"{self.error[p]:.1e}",
             "kink" if self.at_kink[p] else "" if self.error[p] <= TOLERANCE else "wrong")
            for p in worst
        ]  # fmt: skip
        header = ("parameter", "backprop", "difference", "relative error", "")
        title = f"Gradient check, {'-'.join(map(str, self.table[:, N_OUT]))}, engine {self.engine}"
        part = f"The worst {len(worst)}" if len(worst) < len(self.parameters) else "All of them, the worst first"
        return Document(title, [Section("", notes), Section(part, [], [Table(header, rows)])])
