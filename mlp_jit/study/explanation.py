"""explain: one step of training written out, unit by unit, with the numbers that the loops engine computed."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .. import validation
from ..engines import ENGINES
from ..engines.contract import FIGURES, Recipe, Regularization, Samples
from ..engines.layout import BATCH, END, KIND, PLAIN, WEIGHTS, weights_view
from ..engines.loops.trace import Trace, trace
from ..network import Network
from ..optimizers import OPTIMIZERS, Optimizer
from .copies import output_only
from .derivation import Derivation
from .document import Document, Report, Section, Table, number
from .equations import ENTRIES, TERMS

SAMPLES, UNITS = 4, 8  # so much is written out: samples, units a layer


LOOPS = ENGINES["loops"]


def explain(
    network: Network,
    x: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    l2: float = 0.0,
    optimizer: str | Optimizer = "sgd",
    learning_rate: float = 0.1,
    why: bool = False,
) -> "Explanation":
    """One step of training on one sample or a small batch, every equation in letters and in numbers.

    The numbers are the loops engine's own. Batch normalisation goes by the statistics of this batch, as it does in
    training: of a sample alone ŝ is 0. Neither the network nor the optimizer is changed.

    Parameters
    ----------
    network : Network
    x : array (n_inputs,) or (n_samples, n_inputs)
    y : number or array
        The target of the one sample, or what `Network.gradient` takes for a batch.
    sample_weight : array (n_samples,), optional
    l2 : float
        λ of λ/2 ‖w‖² over weights, not biases.
    optimizer : str or Optimizer
        Whose step is shown; an Optimizer object goes on from the moments it has.
    learning_rate : float
        η.
    why : bool
        Whether the chain rule is written out, too: `Explanation.why` for the first weight.

    Raises
    ------
    TypeError, ValueError
        For arguments that make no sense; the message names the argument.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network, got {network!r}")
    X, Y = as_batch(network, x, y)
    X, Y, weight = network.check(X, Y, sample_weight)
    if np.any(weight != weight[0]) and np.any(network.table[:, KIND] == BATCH):
        raise ValueError(
            "sample_weight: expected none with batch normalisation, where one sample's δ is made of all samples' errors"
        )
    stepper: Optimizer = copy.deepcopy(validation.instance("optimizer", optimizer, OPTIMIZERS, Optimizer))
    eta = validation.number("learning_rate", learning_rate, 0, open_minimum=True)
    l2 = validation.number("l2", l2, 0)
    if why:
        _can_derive(network)
    before, after = network.copy(), network.copy()
    session = LOOPS.session(after, Recipe(stepper, len(X), Regularization(l2=l2), n_threads=1))
    session.train(Samples(X, Y, weight), np.arange(len(X)), np.array([eta]), np.empty((1, FIGURES)))
    traced = _trace(before, X, Y, weight, l2)
    head, z = output_only(network, network.dtype), traced.z[-1]
    ell = [head.loss(z[n : n + 1], Y[n : n + 1], engine="loops", n_threads=1) for n in range(len(X))]
    return Explanation(
        network=before,
        y=Y,
        sample_weight=weight,
        l2=l2,
        ell=np.array(ell),
        trace=traced,
        after=after,
        trace_after=_trace(after, X, Y, weight, l2),
        optimizer=stepper,
        learning_rate=eta,
        derives=why,
    )


def as_batch(network: Network, x: Any, y: Any) -> tuple[Any, Any]:
    """One sample as a batch of one, a batch as it is."""
    X = validation.as_array("x", x)
    if X.ndim != 1:
        return X, y
    Y = validation.as_array("y", y)
    if Y.ndim == 0 or (Y.ndim == 1 and len(Y) == network.sizes[-1] and len(Y) > 1):
        Y = Y[np.newaxis]
    return X[np.newaxis], Y


def _trace(network: Network, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, l2: float) -> Trace:
    """`trace`, with the penalty in the loss and in ∂L/∂w."""
    traced = trace(network, X, y, sample_weight)
    if not l2:
        return traced
    L, gradient = LOOPS.gradient(network, X, y, sample_weight, l2=l2, n_threads=1)
    layers = range(1, len(network.sizes))
    return replace(traced, loss=L, weight_gradients=tuple(weights_view(network.table, gradient, l) for l in layers))


def _can_derive(network: Network) -> None:
    """ValueError where the ways back to a weight are more than `why` writes out."""
    if network.skips:
        raise ValueError("why: expected a network without skip connections")


class Explanation(Derivation, Report):
    """What `explain` returns.

    `network` and `after` are copies from before and after the step; `trace` and `trace_after` hold every z, a and δ,
    the losses and the gradients of the batch (see `Network.trace`), with the penalty of `l2`; `y` (n_samples,
    n_outputs) and `sample_weight` (n_samples,) are as the engine takes them, `ell` (n_samples,) is ℓ of each sample.
    Layers, units and samples are counted from 1 in what is printed, as in the equations.
    """

    def document(self) -> Document:
        sizes, n_samples = "-".join(map(str, self.network.sizes)), len(self.y)
        sections = [section for n in range(min(n_samples, SAMPLES)) for section in self._sample(n)]
        sections += [self._gradient(l) for l in range(1, self._last + 1)]
        sections += [self._update(l) for l in range(1, self._last + 1)]
        sections.append(self._outcome())
        if self.derives:
            sections += self._chain(0, 1, 0, 0)
        samples = "one sample" if n_samples == 1 else f"{n_samples} samples" + _part(SAMPLES, n_samples)
        if max(self.network.sizes) > TERMS:
            sections.insert(0, Section("", ["Shown in part; .unit(layer, unit, sample) writes out any one unit."]))
        return Document(f"A step of training, {sizes}, {samples}", sections)

    def unit(self, layer: int, unit: int, sample: int = 1) -> Document:
        """All equations of one unit, forward and backward: layers 1..L, units and samples from 1.

        Raises ValueError or TypeError where there is none.
        """
        l, j, n = (
            validation.integer(name, value, 1) for name, value in (("layer", layer), ("unit", unit), ("sample", sample))
        )
        if l > self._last or j > self.network.sizes[l] or n > len(self.y):
            raise ValueError(
                f"expected a layer up to {self._last}, one of its units and a sample up to {len(self.y)}, "
                f"got layer {l}, unit {j}, sample {n}"
            )
        title = f"Layer {l}, unit {j}" + (f", sample {n}" if len(self.y) > 1 else "")
        equations = [*self._forward(n - 1, l, [j - 1]), *self._backward(n - 1, l, [j - 1])]
        return Document(title, [Section("", self._notes(l), equations), Section("", [], [*self._entries(l, j - 1)])])

    def why(self, layer: int = 1, input: int = 1, unit: int = 1, sample: int = 1) -> Document:
        """The chain rule by index, from L back to one weight, each step one line with its numbers.

        The weight is the one between an input and a unit of a layer, all counted from 1. On the way stand the
        derivations of E2 (softmax with cross-entropy, sigmoid, …) and of E8 (normalisation); of the layers after, the
        first unit stands for all. ValueError or TypeError where there is none, or with skip connections.
        """
        _can_derive(self.network)
        counted = {"layer": layer, "input": input, "unit": unit, "sample": sample}
        l, i, j, n = (validation.integer(name, value, 1) for name, value in counted.items())
        sizes = self.network.sizes
        if l > self._last or i > sizes[l - 1] or j > sizes[l] or n > len(self.y):
            raise ValueError(
                f"expected a layer up to {self._last}, one of its inputs and units and a sample up to {len(self.y)}, "
                f"got layer {l}, input {i}, unit {j}, sample {n}"
            )
        title, *sections = self._chain(n - 1, l, i - 1, j - 1)
        return Document(title.title, sections)

    def _sample(self, n: int) -> Iterator[Section]:
        of = f"Sample {n + 1}: " if len(self.y) > 1 else ""
        for l in range(1, self._last + 1):
            yield self._section(f"{of}forward, layer {l}", n, l, self._forward)
        yield Section(_sentence(f"{of}loss, {self.network.loss_name.replace('_', ' ')}"), [], [self._loss(n)])
        for l in range(self._last, 0, -1):
            yield self._section(f"{of}backward, layer {l}", n, l, self._backward)

    def _section(self, title: str, n: int, l: int, equations: Any) -> Section:
        n_in, n_out = self.network.sizes[l - 1 : l + 1]
        units = f"{n_in} → {n_out} units{_part(UNITS, n_out)}, φ = {self._phi[l]}"
        return Section(_sentence(f"{title} ({units})"), self._notes(l), [*equations(n, l, range(min(n_out, UNITS)))])

    def _notes(self, l: int) -> list[str]:
        """What ⟨·⟩ means in a normalised layer."""
        if self._kind(l) == PLAIN:
            return []
        if self._kind(l) == BATCH:
            return [f"Batch normalisation: ⟨·⟩ is the mean over {_count(len(self.y), 'sample')} of the batch."]
        return [f"Layer normalisation: ⟨·⟩ is the mean over {_count(self.network.sizes[l], 'unit')} of the layer."]

    def _gradient(self, l: int) -> Section:
        entries = [entry for j in range(min(self.network.sizes[l], ENTRIES)) for entry in self._entries(l, j)]
        return Section(f"Gradient, layer {l}{_part(ENTRIES, self._entry_count(l))}", [], entries[:ENTRIES])

    def _update(self, l: int) -> Section:
        steps = [step for j in range(min(self.network.sizes[l], ENTRIES)) for step in self._steps(l, j)]
        rule = "" if self._is_plain_sgd else f" by {type(self.optimizer).__name__}"
        title = f"Update{rule}, η = {number(self.learning_rate)}, layer {l}{_part(ENTRIES, self._entry_count(l))}"
        return Section(title, [], steps[:ENTRIES])

    def _entry_count(self, l: int) -> int:
        return int(self.network.table[l, END] - self.network.table[l, WEIGHTS])

    def _outcome(self) -> Section:
        rows = [("L", number(self.trace.loss), number(self.trace_after.loss))]
        before, after = self.trace.a[-1], self.trace_after.a[-1]
        for n in range(min(len(self.y), SAMPLES)):
            of = f", sample {n + 1}" if len(self.y) > 1 else ""
            for k in range(min(after.shape[1], UNITS)):
                rows.append((rf"\hat{{y}}_{{{k + 1}}}{of}", number(before[n, k]), number(after[n, k])))
        return Section("What the step changed", [], [Table(("", "before", "after"), rows)])


def _part(shown: int, there: int) -> str:
    """What to say where not all is shown."""
    return f", {shown} of {there:,} shown" if there > shown else ""


def _count(count: int, what: str) -> str:
    return f"the one {what}" if count == 1 else f"the {count} {what}s"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
