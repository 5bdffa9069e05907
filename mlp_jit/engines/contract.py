"""What every engine offers: four functions with one signature, and what regularises a step.

Arrays reach an engine validated: C-contiguous, of the network's dtype, X (N, inputs), y (N, outputs) with classes
one-hot, sample_weight (N,). An engine checks nothing and never writes X, y or sample_weight. Only `train_epoch` writes
the network: its parameters and, with batch normalisation, its state.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from ..network import Network
    from ..optimizers import Optimizer


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


def mean_loss(sums: np.ndarray) -> float:
    """Σ N L / Σ N over the batches so far, from the two sums; 0 where every sample weighed nothing."""
    return float(sums[0] / sums[1]) if sums[1] > 0 else 0.0


class Engine(Protocol):
    """The contract. A module is an engine when it has these four functions."""

    def forward(self, network: "Network", X: np.ndarray, *, n_threads: int | None = None) -> np.ndarray:
        """E1: the network's output (N, outputs) for X."""

    def evaluate(
        self,
        network: "Network",
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        *,
        n_threads: int | None = None,
    ) -> tuple[float, np.ndarray]:
        """E1-E2: (L, outputs) over all rows, L from z where the loss is defined by it. Nothing is dropped out.

        Batch normalisation goes by the running statistics, here and in `forward`.
        """

    def gradient(
        self,
        network: "Network",
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        *,
        l2: float = 0.0,
        n_threads: int | None = None,
    ) -> tuple[float, np.ndarray]:
        """E1-E5: (L, ∂L/∂θ) over all rows, the gradient laid out like `network.params`."""

    def train_epoch(
        self,
        network: "Network",
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        optimizer: "Optimizer",
        rates: np.ndarray,
        *,
        places: np.ndarray | None = None,
        sums: np.ndarray | None = None,
        regularization: Regularization = NONE,
        n_threads: int | None = None,
    ) -> float:
        """E1-E6 for each batch of `order`, with `rates[step]` as η; returns the mean loss over the samples.

        `order` (int64) names the samples by their row in the data set. Where X, y and sample_weight hold other rows
        than the whole data set, `places` says at which of theirs each sample lies. `sums` (2,) holds Σ N L and Σ N of
        the epoch's batches before these and goes on: where an epoch is cut into calls changes no bit of its loss.
        """
