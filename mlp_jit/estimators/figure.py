"""The loss as scikit-learn reports it, which is not always what it descends.

Both descend half the squared error summed over the outputs, with L2 over N. What scikit-learn prints and keeps in
loss_curve_ is averaged over the outputs (but for L2), its Poisson loss has y log y − y added, so that it is zero at
best, and an epoch's figure is the mean over batches by their rows, not by their weights.
"""

from functools import cached_property

import numpy as np

from ..engines.contract import LOSS, PENALTY, N
from ..network import Network
from ..training.epochs import Epochs

SUMMED = ("cross_entropy", "binary_cross_entropy", "poisson")  # over the outputs, in the figure too


class Figure:
    """From L, as engines give it, to the figure."""

    def __init__(self, network: Network) -> None:
        self.outputs = 1 if network.loss_name in SUMMED else network.sizes[-1]
        self.is_poisson = network.loss_name == "poisson"

    def of(self, L: float, penalty: float, y: np.ndarray, sample_weight: np.ndarray) -> float:
        """The figure for the samples y (n, n_outputs), L having `penalty` for L2 in it."""
        figure = (L - penalty) / self.outputs + penalty
        if self.is_poisson and sample_weight.any():
            figure += float(np.average(self.offsets(y), weights=sample_weight))
        return figure

    def offsets(self, y: np.ndarray) -> np.ndarray:
        """Σ_k y log y − y of each sample, for y (n, n_outputs), that Poisson's figure has added."""
        y = y.astype(np.float64)
        return (y * np.log(np.where(y > 0, y, 1)) - y).sum(axis=1)


def half_squares(network: Network) -> float:
    """½ ‖w‖² over the weights, not the biases."""
    return 0.5 * sum(float(np.vdot(W, W)) for W in network.weights)


class ReportedEpochs(Epochs):
    """Epochs whose mean loss is the figure: the mean of the batches', each counting by its rows."""

    reported: Figure

    def losses(self, figures: np.ndarray, orders: np.ndarray) -> list[float]:
        starts, weight = np.arange(0, orders.shape[1], self.batch_size), figures[..., N]
        counts = weight > 0  # a batch that weighs nothing comes to nothing
        of_batch = np.where(counts, figures[..., LOSS] / self.reported.outputs + figures[..., PENALTY], 0)
        if self.reported.is_poisson:
            of_samples = self._offsets[orders] * self.data.sample_weight[orders]
            of_batches = np.add.reduceat(of_samples, starts, axis=1)
            of_batch += np.divide(of_batches, weight, out=np.zeros_like(of_batch), where=counts)
        rows = np.diff([*starts, orders.shape[1]])
        found: list[float] = np.average(of_batch, axis=1, weights=rows).tolist()
        return found

    @cached_property
    def _offsets(self) -> np.ndarray:
        return self.reported.offsets(self.data.y)
