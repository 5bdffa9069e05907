"""The part of a diagnosis that trains copies: one batch, the learning rate, the labels, the capacity."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..engines.layout import SKIPS
from ..network import Network
from ..optimizers import Optimizer
from .data_checks import nothing_to_learn, odd_ones
from .finding import FAULT, OK, SKIPPED, Finding
from .trials import Trial, Yardstick, steps_for, train

LEARNT_BY_HEART = 0.1  # of guessing's loss
BATCH = 8
GAP = 0.25  # of guessing's loss: how much better another rate or another network must do before it is worth a word
BEGUN = 0.25  # of the way that a larger rate goes: more epochs finish what a slow rate has begun
WORSE = 1.5  # of guessing's loss
CLEAR = 0.05  # of guessing's loss: a gain that is no accident of the batches
DECADES = 5  # how far from the given rate others are tried
FOLDS, LEAST_SAMPLES = 3, 40
# By how many standard deviations predictions for unseen samples must agree with their labels better than with the same
# labels shuffled: one shuffled data set in a hundred passes by chance.
SIGNIFICANT = 2.33
WIDE, WIDE_BATCH, WIDE_L2 = (64, 64), 64, 1e-4  # a network that learns most small problems
RATES = 3e-3, 1e-2, 3e-2  # for it the first will do; sigmoids want more


def one_batch(network: Network, X: np.ndarray, y: np.ndarray) -> Finding:
    """Whether the network, as it is, learns a few samples by heart: with one of three rates it should."""
    # No more samples than the narrowest layer can tell apart.
    rows = _various_rows(X, y, min(BATCH, 1 + min(network.sizes[1:-1] or network.sizes[:1])))
    X, y = X[rows], y[rows]
    if nothing_to_learn(y):
        return Finding("one batch", SKIPPED, len(rows), "No two samples differ both in X and in y.")
    yardstick, best = Yardstick.of(network, y), np.inf
    for rate in (1e-2, 1e-3, 1e-1):
        best = min(best, yardstick.share(train(network, X, y, "adam", rate, len(X)).loss))
        if best <= LEARNT_BY_HEART:
            break
    text = f"On one batch of {len(rows)} samples the loss falls to {_percent(best)} of guessing's."
    if best <= LEARNT_BY_HEART:
        return Finding("one batch", OK, best, text)
    remedy = "Until it learns one batch by heart nothing else matters: see the other findings, then widen the network."
    return Finding("one batch", FAULT, best, text, remedy)


def _various_rows(X: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Rows of X that differ, evenly along the order of their targets: so many, or all there are."""
    _, rows = np.unique(X, axis=0, return_index=True)
    rows = rows[np.lexsort(y[rows].T)]
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]


def learning_rate(
    network: Network, X: np.ndarray, y: np.ndarray, optimizer: str | Optimizer, rate: float, batch_size: int
) -> Finding:
    """η, η ÷ 10 and η × 10; where η does badly, further powers of ten."""
    yardstick = Yardstick.of(network, y)

    def capped(loss: float) -> float:
        return min(yardstick.share(loss), WORSE)  # much worse than guessing is all the same

    def at(power: int) -> float:
        return capped(train(network, X, y, optimizer, rate * 10.0**power, batch_size).loss)

    start, shares = capped(network.gradient(X, y)[0]), {power: at(power) for power in (0, -1, 1)}
    given = shares[0]
    if given > GAP:
        _go_on(shares, at, -1)
        _go_on(shares, at, 1)
    lowest = min(shares.values())
    best = min((power for power in shares if shares[power] <= lowest + CLEAR), key=abs)
    text = (
        f"In {steps_for(network, min(batch_size, len(X)))} steps the loss falls to {_percent(given)} of guessing's at "
        f"η = {rate:g}, to {_percent(shares[-1])} at η ÷ 10, to {_percent(shares[1])} at η × 10."
    )
    has_begun = start - given > BEGUN * (start - shares[best])
    if given - shares[best] <= GAP or (best > 0 and has_begun):
        return Finding("learning rate", OK, given, text)
    better = f"{rate * 10.0**best:g}"
    text += "" if best in (-1, 1) else f" At η = {better}: {_percent(shares[best])}."
    remedy = f"It is too {'high' if best < 0 else 'low'}: try {better}."
    return Finding("learning rate", FAULT, given, text, remedy)


def _go_on(shares: dict[int, float], at: Callable[[int], float], sign: int) -> None:
    """Try further powers of ten that way, up to where it has become better and gets better no more."""
    power = sign
    while abs(power) < DECADES:
        if shares[power] < shares[0] - CLEAR and shares[power] > shares[power - sign] - CLEAR:
            return
        power += sign
        shares[power] = at(power)


def labels_and_capacity(network: Network, X: np.ndarray, y: np.ndarray, judge_capacity: bool) -> Iterator[Finding]:
    """Whether y has to do with X at all, then whether this network is large enough for it.

    Both by a wide ReLU network on standardised data: what it predicts for samples it has not seen.
    """
    if len(X) < LEAST_SAMPLES:
        yield from _skipped(len(X), f"{len(X)} samples are too few to tell; {LEAST_SAMPLES} would do.")
        return
    fold = _folds(y)
    if _has_a_fold_with_one_target(fold, y):
        odd = odd_ones(y)
        reason = f"All but {odd} of {len(y)} samples have one and the same target: that is too few others to tell."
        yield from _skipped(odd, reason)
        return
    X, y = _standardised(X), _standardised(y) if network.output == "identity" else y
    agreement, variance, unseen = 0.0, 0.0, []
    for k in range(FOLDS):
        trial = _train_afresh(network, WIDE, X[fold != k], y[fold != k], activation="relu")
        agreed, spread = _agreement(trial.network.forward(X[fold == k]), y[fold == k])
        agreement, variance = agreement + agreed, variance + spread
        unseen.append(_share(trial.network, X[fold == k], y[fold == k]))
    score = agreement / np.sqrt(variance) if variance > 0 else 0.0
    text = f"Predictions for unseen samples agree with y {score:.1f} standard deviations better than with y shuffled"
    if score < SIGNIFICANT:
        remedy = "Were X and y shuffled or sorted apart? If not, these inputs say next to nothing about y."
        yield Finding(
            "labels and inputs", FAULT, score, f"{text}, where chance alone gives up to {SIGNIFICANT}.", remedy
        )
    else:
        yield Finding("labels and inputs", OK, score, f"{text}.")
    if judge_capacity:
        yield _capacity(network, X, y, float(np.median(unseen)))


def _folds(y: np.ndarray) -> np.ndarray:
    """A fold 0..FOLDS-1 for each sample: as they come or, where one would miss the rare targets, in order."""
    fold = np.arange(len(y)) % FOLDS
    if _has_a_fold_with_one_target(fold, y):
        fold[np.lexsort(y.T)] = np.arange(len(y)) % FOLDS
    return fold


def _has_a_fold_with_one_target(fold: np.ndarray, y: np.ndarray) -> bool:
    return any(nothing_to_learn(y[fold == k]) for k in range(FOLDS))


def _skipped(number: int, reason: str) -> Iterator[Finding]:
    for check in ("labels and inputs", "capacity"):
        yield Finding(check, SKIPPED, number, reason)


def _capacity(network: Network, X: np.ndarray, y: np.ndarray, unseen: float) -> Finding:
    """This shape with new weights, on what it has seen, against the wide network on what it has not."""
    own, shape = np.inf, {
        "activation": network.activations, "normalization": network.normalizations,
        "skip": bool(network.table[:, SKIPS].any()),
    }  # fmt: skip
    for seed, rate in enumerate(RATES):  # and a small network may be caught in a bad minimum
        trial = _train_afresh(network, network.sizes[1:-1], X, y, rate, seed, **shape)
        own = min(own, _share(trial.network, X, y))
        if own - unseen <= GAP:
            break
    sizes, wide = "-".join(map(str, network.sizes)), "-".join(map(str, WIDE))
    text = (
        f"Trained afresh, {sizes} leaves {_percent(own)} of guessing's loss on samples it has seen; hidden layers of "
        f"{wide} ReLUs leave {_percent(unseen)} on samples they have not."
    )
    if own - unseen > GAP:
        return Finding("capacity", FAULT, own, text, "The network is too small: widen it, or add a hidden layer.")
    return Finding("capacity", OK, own, text)


def _train_afresh(
    network: Network, hidden: tuple[int, ...], X: np.ndarray, y: np.ndarray, rate: float = RATES[0], seed: int = 0,
    **shape: Any,
) -> Trial:  # fmt: skip
    """A new network with these hidden layers and the given one's output, trained the way that mostly works."""
    fresh = Network(
        [network.sizes[0], *hidden, network.sizes[-1]], output=network.output, loss=network.loss_function,
        dtype=network.dtype, random_state=seed, **shape,
    )  # fmt: skip
    return train(fresh, X, y, "adam", rate, WIDE_BATCH, l2=WIDE_L2, seed=seed)


def _share(network: Network, X: np.ndarray, y: np.ndarray) -> float:
    return Yardstick.of(network, y).share(network.loss(X, y))


def _standardised(X: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1 in each column that varies."""
    spread = X.std(axis=0, dtype=np.float64)
    return ((X - X.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)).astype(X.dtype)


def _agreement(outputs: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Σ_n ⟨ŷ_n, y_n⟩ of the centred outputs and targets, and its variance when the rows of y are shuffled."""
    outputs, y = (part - part.mean(axis=0) for part in (outputs.astype(np.float64), y.astype(np.float64)))
    return float(np.sum(outputs * y)), float(np.sum((outputs.T @ outputs) * (y.T @ y)) / (len(y) - 1))


def _percent(share: float) -> str:
    return "more than 150 %" if share >= WORSE else f"{max(100 * share, 0):.{0 if share >= 0.1 else 1}f} %"
