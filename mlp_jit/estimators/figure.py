"""The loss as scikit-learn reports it, which is not always what it descends.

Both descend half the squared error summed over the outputs, with L2 over N. What scikit-learn prints and keeps in
loss_curve_ is averaged over the outputs (but for L2), its Poisson loss has y log y − y added, so that it is zero at
best, and an epoch's figure is the mean over batches by their rows, not by their weights.
"""

from typing import Any

import numpy as np

from ..network import Network
from ..training import Epochs

SUMMED = ("cross_entropy", "binary_cross_entropy", "poisson")  # over the outputs, in the figure too


class Figure:
    """From L, as engines give it, to the figure."""

    def __init__(self, network: Network) -> None:
        self.outputs = 1 if network.loss_name in SUMMED else network.sizes[-1]
        self.is_poisson = network.loss_name == "poisson"

    def of(self, L: float, penalty: float, y: np.ndarray, sample_weight: np.ndarray) -> float:
        """The figure for the samples y (n, n_outputs), L having `penalty` for L2 in it."""
        return (L - penalty) / self.outputs + penalty + self._offset(y, sample_weight)

    def _offset(self, y: np.ndarray, sample_weight: np.ndarray) -> float:
        if not self.is_poisson or not sample_weight.any():
            return 0.0
        y = y.astype(np.float64)
        constant = y * np.log(np.where(y > 0, y, 1)) - y
        return float(np.average(constant.sum(axis=1), weights=sample_weight))


def half_squares(network: Network) -> float:
    """½ ‖w‖² over the weights, not the biases."""
    return 0.5 * sum(float(np.vdot(W, W)) for W in network.weights)


class ReportedEpochs(Epochs):
    """Epochs whose mean loss is the figure. Where the batches' own figures are needed, each is a call by itself."""

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self.figure = Figure(self.network)
        weight = self.data.sample_weight
        mixed = self.batch_size < len(self.data) and weight.min() < weight.max()
        self.by_batch = mixed or (self.figure.outputs > 1 and self.regularization.l2 > 0)

    def train(self, order: np.ndarray, rates: np.ndarray) -> float:
        y, weight = self.data.y, self.data.sample_weight
        if not self.by_batch:
            return self.figure.of(super().train(order, rates), 0.0, y, weight)
        total = 0.0
        for step in range(rates.size):
            batch = order[step * self.batch_size : (step + 1) * self.batch_size]
            N = weight[batch].sum(dtype=np.float64)
            penalty = self.regularization.l2 / N * half_squares(self.network) if N > 0 else 0.0
            L = super().train(batch, rates[step : step + 1])
            total += batch.size * self.figure.of(L, penalty, y[batch], weight[batch])
        return total / order.size
