"""What every engine offers, what a fit hands over to it, and what regularises a step.

Arrays reach an engine validated: C-contiguous, of the network's dtype, X (N, inputs), y (N, outputs) with classes
one-hot, sample_weight (N,). X may also be SciPy's CSR, see `validation.sparse_matrix`: the first layer's sums then go
over what is there, in the same order, so that only −0 tells their bits from those of a dense X. An engine checks
nothing and never writes X, y or sample_weight. Only `Session.train` writes the network: its parameters and, with batch
normalisation, its state.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..optimizers import SGD, Optimizer
from .plan import Plan

N, LOSS, PENALTY = range(3)  # what a step comes to: the sum of its batch's weights, mean ℓ, and λ/2 ‖w‖²
FIGURES = 3


@dataclass(frozen=True)
class Regularization:
    """What is added to the loss, hidden from a step, or taken off its gradient.

    `l2`: λ of λ/2 ‖w‖² over weights, not biases; with `l2_per_sample` it is λ/N for a batch whose weights sum to N,
    as scikit-learn has it. `dropout`: the probability for each hidden layer. `seed` keys the dropout masks.
    `clip_value` and `clip_norm` bound the gradient's entries, then its norm; infinity asks for nothing.
    """

    l2: float = 0.0
    l2_per_sample: bool = False
    dropout: tuple[float, ...] = ()
    seed: int = 0
    clip_value: float = np.inf
    clip_norm: float = np.inf

    def dropout_by_layer(self, sizes: tuple[int, ...]) -> np.ndarray:
        """The probability for each layer 0..L, float64; zero for the inputs and the outputs."""
        by_layer = np.zeros(len(sizes))
        by_layer[1 : 1 + len(self.dropout)] = self.dropout
        return by_layer


NONE = Regularization()


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: E6 by this optimizer, on batches of at most this many samples."""

    optimizer: Optimizer
    batch_size: int
    regularization: Regularization = NONE
    n_threads: int | None = None


class Samples(NamedTuple):
    """X (N, inputs), y (N, outputs) and sample_weight (N,)."""

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray


class Session(Protocol):
    """One network on one engine, for as long as a fit takes: what every epoch needs is made once.

    It belongs to one thread at a time, and to the process that made it.
    """

    plan: Plan
    recipe: Recipe

    def __init__(self, plan: Plan, recipe: Recipe) -> None: ...

    def train(
        self,
        samples: Samples,
        order: np.ndarray,
        rates: np.ndarray,
        figures: np.ndarray,
        places: np.ndarray | None = None,
        epoch: int | None = None,
    ) -> None:
        """E1-E6 for each batch of `order`, with `rates[step]` as η; writes N, LOSS and PENALTY of each into
        figures (steps, 3).

        `order` (int64) names the samples by their row in the data set, those of one epoch, or of several with `epoch`
        samples each, across whose ends no batch goes. Where the samples are other rows than the whole data set,
        `places` says at which of theirs each one lies. Where a fit is cut into calls changes no bit.
        """

    def gradient(self, samples: Samples, *, l2: float = 0.0) -> tuple[float, np.ndarray]:
        """E1-E5: (L, ∂L/∂θ) over all rows, the gradient laid out like the parameters."""

    def evaluate(self, samples: Samples) -> tuple[float, np.ndarray]:
        """E1-E2: (L, outputs) over all rows, L from z where the loss is defined by it. Nothing is dropped out.

        Batch normalisation goes by the running statistics, here and in `Engine.forward`.
        """


@dataclass(frozen=True)
class Engine:
    """One of the three: how it predicts, and its sessions.

    `forward(plan, X, *, n_threads=None)` is E1: the output (N, outputs) for X (N, inputs). `jacobian(plan, X, outputs,
    *, n_threads=None)` is ∂ŷ_k/∂x_i (N, len(outputs), inputs) for a range of outputs k and a dense X; with batch
    normalisation by the running statistics, as `forward`.
    """

    forward: Callable[..., np.ndarray]
    jacobian: Callable[..., np.ndarray]
    session: type[Session]

    def evaluate(
        self, plan: Plan, X: Any, y: np.ndarray, sample_weight: np.ndarray, *, n_threads: int | None = None
    ) -> tuple[float, np.ndarray]:
        """`Session.evaluate` in a session of its own."""
        return self._session(plan, len(y), n_threads).evaluate(Samples(X, y, sample_weight))

    def gradient(
        self,
        plan: Plan,
        X: Any,
        y: np.ndarray,
        sample_weight: np.ndarray,
        *,
        l2: float = 0.0,
        n_threads: int | None = None,
    ) -> tuple[float, np.ndarray]:
        """`Session.gradient` in a session of its own."""
        return self._session(plan, len(y), n_threads).gradient(Samples(X, y, sample_weight), l2=l2)

    def _session(self, plan: Plan, n_samples: int, n_threads: int | None) -> Session:
        return self.session(plan, Recipe(SGD(), n_samples, n_threads=n_threads))


def epoch_by_epoch(epoch: int, batch_size: int, order: np.ndarray, places: np.ndarray | None) -> Iterator[tuple]:
    """For each epoch of `order`: its part of that and of the places, and where its steps are."""
    steps = -(-epoch // batch_size)
    for k in range(order.size // epoch):
        here = slice(k * epoch, (k + 1) * epoch)
        yield order[here], None if places is None else places[here], slice(k * steps, (k + 1) * steps)


def mean_loss(figures: np.ndarray) -> float:
    """Σ N (ℓ + penalty) / Σ N over batches, figures (steps, 3), summed in their order; 0 where all weighed nothing."""
    return mean_losses(figures[None])[0]


def mean_losses(figures: np.ndarray) -> list[float]:
    """`mean_loss` of each epoch, figures (epochs, steps, 3)."""
    weight = figures[..., N]
    weighted = weight * (figures[..., LOSS] + figures[..., PENALTY])
    if figures.shape[1] > 1:
        weight, weighted = np.cumsum(weight, axis=1), np.cumsum(weighted, axis=1)
    pairs = zip(weighted[:, -1].tolist(), weight[:, -1].tolist(), strict=True)
    return [total / of_all if of_all > 0 else 0.0 for total, of_all in pairs]
