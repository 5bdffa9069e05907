"""diagnose: why does it not learn? The debugging checklist as one call."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import validation
from ..network import Network
from ..optimizers import OPTIMIZERS, Optimizer
from . import data_checks, layer_checks, training_checks
from .document import Document, Report, Section
from .finding import FAULT, OK, SKIPPED, Finding
from .trials import Yardstick

ROWS, TRACED_ROWS = 2000, 200  # samples that trials train on, samples that are traced
LEARNT = 0.25  # of guessing's loss: a network below it has learnt something


def diagnose(
    network: Network,
    X: Any,
    y: Any,
    *,
    optimizer: str | Optimizer = "adam",
    learning_rate: float = 1e-3,
    batch_size: int = 200,
) -> "Diagnosis":
    """Look for what keeps a network from learning: in the data, in its layers, in the settings.

    The checklist: finite numbers; constant features, scales and labels; units that are alike, gradient norms by layer,
    dead and saturated units; can it learn one batch by heart; the learning rate, × 10 and ÷ 10; do the labels have to
    do with the inputs; is the network large enough. Copies are trained, for some seconds; the network, the optimizer
    and the data stay as they are. The same call gives the same findings.

    Parameters
    ----------
    network : Network
        As you would train it, or as far as you have.
    X, y
        As for `fit`, except that NaN and infinity are a finding here and no error. Of more than 2,000 samples 2,000
        are used.
    optimizer, learning_rate, batch_size
        What you give to `fit`.

    Raises
    ------
    TypeError, ValueError
        For arguments that make no sense; the message names the argument.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network, got {network!r}")
    matrix, target = validation.matrix("X", X, network.sizes[0]), validation.as_array("y", y)
    stepper: Optimizer = validation.instance("optimizer", optimizer, OPTIMIZERS, Optimizer)
    rate = validation.number("learning_rate", learning_rate, 0, open_minimum=True)
    batch_size = validation.integer("batch_size", batch_size, 1)
    findings = list(data_checks.not_finite(network, matrix, target))
    if not findings:
        X, y, _ = network.check(X, y)
        findings = list(_checks(network.copy(), *_some(X, y), stepper, rate, batch_size))
    return Diagnosis(network.sizes, len(matrix), tuple(findings))


def _some(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows in a random order, at most ROWS of them."""
    rows = np.random.default_rng(0).permutation(len(X))[:ROWS]
    return X[rows], y[rows]


def _checks(
    network: Network, X: np.ndarray, y: np.ndarray, optimizer: Optimizer, learning_rate: float, batch_size: int
) -> Iterator[Finding]:
    yield Finding("finite numbers", OK, 0, "Neither X, y nor the parameters hold NaN or infinity.")
    yield from data_checks.inputs(X)
    yield data_checks.targets(network, y)
    if data_checks.nothing_to_learn(y):
        return
    if network.output == "step":
        yield Finding("training", SKIPPED, 0, "A perceptron's loss has no scale to read trials on.")
        return
    yardstick = Yardstick.of(network, y)
    has_learnt = yardstick.share(network.loss(X, y)) < LEARNT
    trace = network.trace(X[:TRACED_ROWS], y[:TRACED_ROWS])
    of_layers = list(layer_checks.layers(network, trace, has_learnt))
    yield from of_layers
    yield training_checks.one_batch(network, X, y)
    yield training_checks.learning_rate(network, X, y, optimizer, learning_rate, batch_size)
    stuck = any(finding.check == "gradient norms" and finding.level == FAULT for finding in of_layers)
    yield from training_checks.labels_and_capacity(network, X, y, judge_capacity=not stuck)


@dataclass(frozen=True, repr=False)
class Diagnosis(Report):
    """What `diagnose` returns: `checks` is all that was looked at, `findings` the faults among it."""

    sizes: tuple[int, ...]
    n_samples: int
    checks: tuple[Finding, ...]

    @property
    def findings(self) -> list[Finding]:
        """The faults, each with its number and a remedy; empty for a network that should learn."""
        return [check for check in self.checks if check.level == FAULT]

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return not self.findings

    def document(self) -> Document:
        count = len(self.findings)
        verdict = f"{count} fault{'s' * (count > 1)} found" if count else "no fault found"
        title = f"Diagnosis of {'-'.join(map(str, self.sizes))} on {self.n_samples} samples: {verdict}"
        faults = [
            Section(finding.check.capitalize(), [finding.text, f"→ {finding.remedy}"]) for finding in self.findings
        ]
        rest = [f"{check.level}: {check}" for check in self.checks if check.level != FAULT]
        return Document(title, [*faults, *([Section("Also looked at", rest)] if rest else [])])
