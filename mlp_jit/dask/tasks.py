"""What workers do: pure functions of a partition's samples and of numbers that are handed over."""

from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..engines import ENGINES
from ..engines.contract import FIGURES, Recipe, Regularization, Samples, mean_loss
from ..losses import built_in
from ..network import Network
from ..optimizers import OPTIMIZERS, SGD, Optimizer
from ..training.data import Data
from ..training.digest import digest

FAN_IN = 16  # sums that one task adds up


class Spec(NamedTuple):
    """A network in words: what a worker makes it of."""

    version: str
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    normalizations: tuple[str | None, ...]
    skip: bool
    output: str
    loss: tuple[str, Any]
    dtype: str

    @classmethod
    def of(cls, network: Network) -> "Spec":
        """Raises ValueError for what does not travel: batch normalisation, and functions of one's own."""
        own = [str(phi) for phi in network.activations if not isinstance(phi, str)]
        if own or network.loss_function.is_own:
            raise ValueError(f"network: expected built-in activations and losses, got {[*own, network.loss_name]}")
        if network.state.size:
            raise ValueError("network: expected no batch normalisation, whose batches would end at each partition")
        loss = network.loss_name, network.loss_function.parameter
        names = tuple(map(str, network.activations)), network.normalizations
        return cls(__version__, network.sizes, *names, network.skips, network.output, loss, network.dtype.name)

    def network(self, params: np.ndarray) -> Network:
        """The network with these parameters."""
        made = Network(
            self.sizes, activation=list(self.activations), normalization=list(self.normalizations), skip=self.skip,
            output=self.output, loss=built_in(*self.loss), dtype=self.dtype, initializer=_zeros,
        )  # fmt: skip
        made.params[:] = params
        return made


def _zeros(rng: Any, n_in: int, n_out: int) -> np.ndarray:
    return np.zeros((n_in, n_out))


class Part(NamedTuple):
    """What a worker keeps of a partition."""

    k: int
    samples: Samples | None  # None where it has no rows

    @property
    def weight(self) -> float:
        """The sum of its sample weights, N."""
        return 0.0 if self.samples is None else float(self.samples.sample_weight.sum(dtype=np.float64))


def prepare(k: int, X: Any, y: Any, sample_weight: Any, spec: Spec, classes: np.ndarray | None) -> Part:
    """A partition's samples as an engine takes them. With `classes`, y are labels of these.

    Raises ValueError or TypeError that names the partition; RuntimeError on a worker with another version.
    """
    if spec.version != __version__:
        raise RuntimeError(f"a worker has mlp_jit {__version__}, the client {spec.version}: expected the same")
    try:
        numbers = _numbers("X", X)
        if len(numbers) != len(y):
            raise ValueError(f"y: expected {len(numbers)} rows, one for each row of X, got {len(y)}")
        if len(numbers) == 0:
            return Part(k, None)
        targets = np.asarray(y) if classes is None else _places(np.asarray(y), classes)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        network = spec.network(np.zeros(1))
        return Part(k, Data(network, numbers, targets, weights).samples)
    except (TypeError, ValueError) as error:
        raise type(error)(f"partition {k}: {error}") from None


def _numbers(name: str, frame: Any) -> np.ndarray:
    """TypeError for a column of a data frame that holds no numbers."""
    for column, kind in getattr(frame, "dtypes", {}).items() if hasattr(frame, "columns") else ():
        if getattr(kind, "kind", "O") not in "biuf":
            raise TypeError(f"{name}: expected columns of numbers, got {column!r} of dtype {kind}")
    return np.asarray(frame)


def _places(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Where each label stands in `classes`."""
    return np.searchsorted(classes, y.reshape(-1))


def classes_of(k: int, y: Any) -> np.ndarray:
    """The labels in a partition, sorted. Raises ValueError for numbers that are no classes."""
    found = np.unique(np.asarray(y))
    if found.dtype.kind == "f" and not (np.isfinite(found).all() and (found == np.round(found)).all()):
        raise ValueError(f"partition {k}: y: expected classes, got other numbers")
    return found


def summary(part: Part, *, digests: bool) -> tuple[int, float, str]:
    """Rows, N and, if asked for, a digest of a partition."""
    rows = 0 if part.samples is None else len(part.samples.y)
    return rows, part.weight, digest(*part.samples) if digests and part.samples else ""


# --------------------------------------------------------------------------------------- a round


class Sums(NamedTuple):
    """Of some partitions: N, and N-weighted sums of the loss, of an array (θ or its gradient), and of moments."""

    N: float
    loss: float
    array: Any  # None where there are no rows
    moments: Any = None
    t: int = 0


NOTHING = Sums(0.0, 0.0, None)


def hand_over(arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """What all partitions are given in a round."""
    return arrays


def gradient(part: Part, spec: Spec, handed: tuple[np.ndarray]) -> Sums:
    """E4: N · L and N · ∂L/∂θ of a partition at the parameters that are handed over, in float64."""
    if part.samples is None:
        return NOTHING
    (params,) = handed
    recipe = Recipe(SGD(), len(part.samples.y), n_threads=1)
    session = ENGINES["lanes"].session(spec.network(params), recipe)
    L, g = session.gradient(part.samples)
    return Sums(part.weight, part.weight * L, part.weight * g.astype(np.float64))


class Local(NamedTuple):
    """How a partition trains by itself for a round."""

    optimizer: tuple[str, dict[str, Any]]
    batch_size: int
    l2: float
    l2_per_sample: bool
    dropout: tuple[float, ...]
    seed: int
    round: int
    rate: float
    t: int


def epoch(part: Part, spec: Spec, handed: tuple[np.ndarray, np.ndarray], local: Local) -> Sums:
    """E6: a partition's epoch from the parameters and moments handed over: N times where it ended, in float64."""
    if part.samples is None:
        return NOTHING
    params, moments = handed
    network, rows = spec.network(params), len(part.samples.y)
    optimizer = made_again(local.optimizer)
    optimizer.start(network.params)
    optimizer.moments[...], optimizer.t = moments, local.t
    rules = Regularization(local.l2, local.l2_per_sample, local.dropout, seed=local.seed + part.k)
    session = ENGINES["lanes"].session(network, Recipe(optimizer, min(local.batch_size, rows), rules, 1))
    order = np.random.default_rng([local.seed, local.round, part.k]).permutation(rows)
    rates = np.full(-(-rows // min(local.batch_size, rows)), local.rate)
    figures = np.empty((rates.size, FIGURES))
    session.train(part.samples, order, rates, figures)
    N = part.weight
    theta, m = N * network.params.astype(np.float64), N * optimizer.moments.astype(np.float64)
    return Sums(N, N * mean_loss(figures), theta, m, optimizer.t)


def made_again(words: tuple[str, dict[str, Any]]) -> Optimizer:
    """An optimizer by its name and its numbers."""
    name, numbers = words
    kinds = {kind.__name__: kind for kind in OPTIMIZERS.values()}
    return kinds[name](**numbers)


def add(sums: list[Sums]) -> Sums:
    """The sum of some, in their order."""
    total = NOTHING
    for one in sums:
        if one.array is None:
            continue
        if total.array is None:
            total = one
            continue
        moments = None if one.moments is None else total.moments + one.moments
        total = Sums(total.N + one.N, total.loss + one.loss, total.array + one.array, moments, max(total.t, one.t))
    return total


def decode(outputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The most probable class of each row."""
    one = outputs.shape[1] == 1
    return classes[(outputs[:, 0] > 0.5).astype(np.intp) if one else outputs.argmax(axis=1)]


def outputs(X: Any, spec: Spec, params: np.ndarray) -> np.ndarray:
    """E1: the outputs for a block of X."""
    return spec.network(params).forward(_numbers("X", X), n_threads=1)
