"""Short trainings of copies, for a diagnosis, and the scale on which their losses are read."""

import copy
import warnings
from dataclasses import dataclass

import numpy as np

from ..losses import ABSOLUTE_ERROR, QUANTILE
from ..network import Network
from ..optimizers import Optimizer
from ..training import fit
from .copies import output_only

STEPS, LEAST_STEPS = 1500, 100
WORK = 1e10  # multiply-adds of one trial, about: a second or less
TINY = 1e-7  # what stands for 0 in a logarithm of a target


@dataclass(frozen=True)
class Yardstick:
    """Losses as shares: 0 is the least that these targets allow, 1 what the best constant guess gets."""

    floor: float
    guess: float

    @classmethod
    def of(cls, network: Network, y: np.ndarray) -> "Yardstick":
        """For the network's loss and targets y (n_samples, n_outputs): computed by a layer that hands on its inputs."""
        wanted = _link(network.output, y.astype(np.float64))
        constant = np.broadcast_to(_link(network.output, _centre(network, y)), wanted.shape)
        layer = output_only(network, "float64")
        return cls(layer.loss(wanted, y), layer.loss(constant, y))

    def share(self, loss: float) -> float:
        """The share that a loss is; infinity for one that is not finite."""
        return (loss - self.floor) / (self.guess - self.floor) if np.isfinite(loss) else np.inf


def _centre(network: Network, y: np.ndarray) -> np.ndarray:
    """The best constant guess for each output."""
    if network.loss_function.code == ABSOLUTE_ERROR:
        return np.asarray(np.median(y, axis=0))
    if network.loss_function.code == QUANTILE:
        return np.array([np.quantile(y_k, level) for y_k, level in zip(y.T, network.loss_parameters, strict=True)])
    return np.asarray(y.mean(axis=0, dtype=np.float64))


def _link(output: str, share: np.ndarray) -> np.ndarray:
    """The z that gives these outputs."""
    if output == "identity":
        return share
    if output == "sigmoid":
        share = np.clip(share, TINY, 1 - TINY)
        return np.log(share / (1 - share))
    return np.log(np.maximum(share, TINY))


def steps_for(network: Network, batch_size: int) -> int:
    """How many steps a trial may take."""
    return int(np.clip(WORK / (3 * batch_size * network.n_params), LEAST_STEPS, STEPS))


@dataclass(frozen=True)
class Trial:
    """A copy after a short training, its loss over the last quarter of the epochs (their median)."""

    network: Network
    loss: float


def train(
    network: Network,
    X: np.ndarray,
    y: np.ndarray,
    optimizer: str | Optimizer,
    learning_rate: float,
    batch_size: int,
    *,
    l2: float = 0.0,
    seed: int = 0,
) -> Trial:
    """Train a copy. A loss that is not finite ends it, without a warning: here that is a result."""
    trained, stepper = network.copy(), copy.deepcopy(optimizer)
    batch_size = min(batch_size, len(X))
    steps_an_epoch = -(-len(X) // batch_size)
    epochs = max(1, steps_for(trained, batch_size) // steps_an_epoch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        losses = fit(
            trained, X, y, optimizer=stepper, learning_rate=learning_rate, batch_size=batch_size, epochs=epochs, l2=l2,
            random_state=seed,
        ).loss  # fmt: skip
    late = losses[-max(1, len(losses) // 4) :]
    loss = float(np.median(late)) if np.isfinite(losses[-1]) else np.inf
    return Trial(trained, loss)
