"""The part of a diagnosis that looks at X and y alone."""

from collections.abc import Iterator

import numpy as np

from ..network import Network
from .finding import FAULT, NOTE, OK, Finding

# z of the first layer grows with the inputs, and the step of a weight with its input. Initial weights and the usual
# learning rates are made for a size of 1; one power of ten to either side does little harm (raw iris has 6, raw digits
# 13), two do.
TOO_LARGE, TOO_SMALL = 30, 1 / 30
TOO_UNEQUAL = 100  # the largest range over the smallest: a step that suits one moves nothing along the other
RARE = 0.01  # a class with fewer samples hardly weighs in the mean loss
FEW = 3  # samples: fewer can be learnt by heart, and nothing can be said about others like them


def not_finite(network: Network, X: np.ndarray, y: np.ndarray) -> Iterator[Finding]:
    """NaN and infinity, with which nothing else can be computed."""
    for name, array in (("X", X), ("y", y), ("the parameters", network.params)):
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            place = ", ".join(str(index) for index in bad[0])
            text = f"{len(bad)} of {array.size} numbers of {name} are NaN or infinite, the first at [{place}]."
            remedy = "Fill such entries in or drop their rows, and train from new weights."
            yield Finding("finite numbers", FAULT, len(bad), text, remedy)


def inputs(X: np.ndarray) -> Iterator[Finding]:
    """Columns that never change, and the size of the others."""
    low, high = X.min(axis=0), X.max(axis=0)
    constant = np.flatnonzero(low == high)
    yield _constant(X, constant)
    rest = np.delete(X, constant, axis=1).astype(np.float64)
    if rest.shape[1]:
        yield _scale(rest, np.delete(np.arange(X.shape[1]), constant))


def _constant(X: np.ndarray, constant: np.ndarray) -> Finding:
    if len(constant) == 0:
        return Finding("constant features", OK, 0, f"All {X.shape[1]} columns of X vary.")
    columns = _listed(constant)
    text = f"{len(constant)} of {X.shape[1]} columns of X hold one number only: {columns}."
    remedy = "Drop them, or look for what should have filled them: they act as a second bias."
    if _background_only(X, constant):
        return Finding("constant features", NOTE, len(constant), f"{text} It is the background of others too.")
    return Finding("constant features", FAULT, len(constant), text, remedy)


def _background_only(X: np.ndarray, constant: np.ndarray) -> bool:
    """Whether columns that never vary are to be expected: the margin of images, one-hot columns that are all zero.

    Many of the other columns then hold one number for most samples, and these hold 0 or that number.
    """
    rest = np.delete(X, constant, axis=1)
    common = [_most_frequent(column) for column in rest.T]
    mostly = [value for value, share in common if share > 0.5]
    return len(mostly) > 0.1 * len(common) and bool(np.isin(X[0, constant], [0, *mostly]).all())


def _most_frequent(column: np.ndarray) -> tuple[float, float]:
    """The column's most frequent number, and the share of rows that have it."""
    values, counts = np.unique(column, return_counts=True)
    return float(values[counts.argmax()]), float(counts.max() / len(column))


def _scale(X: np.ndarray, names: np.ndarray) -> Finding:
    size = np.sqrt(np.mean(X * X, axis=0))
    largest = int(size.argmax())
    spread = np.ptp(X, axis=0)
    ratio = float(spread.max() / spread.min())
    remedy = "Standardise: take off each column's mean and divide by its standard deviation."
    if size[largest] > TOO_LARGE or size[largest] < TOO_SMALL:
        text = (
            f"Column {names[largest]} of X has size {size[largest]:.3g} (root mean square), where about 1 is expected."
        )
        return Finding("input scale", FAULT, float(size[largest]), text, remedy)
    if ratio > TOO_UNEQUAL:
        wide, narrow = names[spread.argmax()], names[spread.argmin()]
        text = f"Column {wide} of X has {ratio:.3g} times the range of column {narrow}."
        return Finding("input scale", FAULT, ratio, text, remedy)
    text = f"The columns of X have sizes of {size.min():.2g} to {size[largest]:.2g} (root mean square)."
    return Finding("input scale", OK, float(size[largest]), text)


def nothing_to_learn(y: np.ndarray) -> bool:
    """Whether every output has one and the same target for all samples."""
    return not np.ptp(y, axis=0).any()


def odd_ones(y: np.ndarray) -> int:
    """How many samples have another target than the most frequent one."""
    return len(y) - int(np.unique(y, axis=0, return_counts=True)[1].max())


def targets(network: Network, y: np.ndarray) -> Finding:
    """Whether there is anything to tell apart in y (n_samples, n_outputs), how evenly, and on which scale."""
    if nothing_to_learn(y):
        text = f"All {len(y)} samples looked at have one and the same target."
        return Finding("targets", FAULT, 1, text, "Look at how y was made: there is nothing to tell apart.")
    odd = odd_ones(y)
    if odd < FEW and odd < RARE * len(y):
        text = f"All but {odd} of {len(y)} samples looked at have one and the same target."
        return Finding(
            "targets", FAULT, odd, text, "Collect more of the others: from so few nothing general is learnt."
        )
    return _numbers(network, y) if network.output in ("identity", "exp") else _classes(network, y)


def _classes(network: Network, y: np.ndarray) -> Finding:
    shares = y.mean(axis=0, dtype=np.float64)
    if network.output != "softmax":
        shares = np.concatenate([shares, 1 - shares])
    missing = int(np.sum(shares == 0))
    if missing:
        text = f"{missing} of {len(shares)} classes do not occur in y."
        return Finding("targets", NOTE, missing, text, "The network will learn never to say so.")
    text = f"{len(shares)} classes, the rarest with {100 * shares.min():.2g} % of the samples."
    if shares.min() < RARE:
        return Finding("targets", NOTE, float(shares.min()), text, "Give its samples a larger sample_weight.")
    return Finding("targets", OK, float(shares.min()), text)


def _numbers(network: Network, y: np.ndarray) -> Finding:
    size = float(np.sqrt(np.mean(np.square(y, dtype=np.float64), axis=0)).max())
    text = f"The targets have size {size:.3g} (root mean square)"
    if network.output == "identity" and size > TOO_LARGE:
        remedy = "Standardise y, and put its scale back into what the network predicts."
        return Finding("targets", FAULT, size, f"{text}, where about 1 is expected.", remedy)
    return Finding("targets", OK, size, f"{text}.")


def _listed(columns: np.ndarray) -> str:
    return ", ".join(map(str, columns[:5])) + (", …" if len(columns) > 5 else "")
