"""explain: one step of training written out, unit by unit, with the numbers that the loops engine computed."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import validation
from ..activations import HIDDEN, OUTPUTS
from ..engines import loops
from ..engines.trace import Trace, trace
from ..network import Network
from ..optimizers import OPTIMIZERS, SGD, Optimizer
from .document import Document, Equation, Report, Section, Table, factor, number
from .formulas import DELTA, ELL, ELL_IS_A_SUM, SLOPE, has_slope, in_letters, in_numbers, phi_formula

SAMPLES, UNITS, TERMS, ENTRIES = (
    4,
    8,
    8,
    24,
)  # so much is written out: samples, units a layer, terms a sum, ∂L/∂θ a layer


def explain(
    network: Network,
    x: Any,
    y: Any,
    *,
    optimizer: str | Optimizer = "sgd",
    learning_rate: float = 0.1,
) -> "Explanation":
    """One step of training on one sample or a small batch, every equation in letters and in numbers.

    The numbers are the loops engine's own. Neither the network nor the optimizer is changed.

    Parameters
    ----------
    network : Network
    x : array (n_inputs,) or (n_samples, n_inputs)
    y : number or array
        The target of the one sample, or what `Network.gradient` takes for a batch.
    optimizer : str or Optimizer
        Whose step is shown; an Optimizer object goes on from the moments it has.
    learning_rate : float
        η.

    Raises
    ------
    TypeError, ValueError
        For arguments that make no sense; the message names the argument.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network, got {network!r}")
    X, Y = _batch(network, x, y)
    X, Y, sample_weight = network.check(X, Y)
    stepper: Optimizer = copy.deepcopy(validation.instance("optimizer", optimizer, OPTIMIZERS, Optimizer))
    eta = validation.number("learning_rate", learning_rate, 0, open_minimum=True)
    before, after = network.copy(), network.copy()
    order = np.arange(len(X))
    loops.train_epoch(after, X, Y, sample_weight, order, len(X), stepper, np.array([eta]), n_threads=1)
    ell = [loops.evaluate(before, X[n : n + 1], Y[n : n + 1], sample_weight[n : n + 1])[0] for n in range(len(X))]
    return Explanation(
        network=before,
        y=Y,
        ell=np.array(ell),
        trace=trace(before, X, Y, sample_weight),
        after=after,
        trace_after=trace(after, X, Y, sample_weight),
        optimizer=stepper,
        learning_rate=eta,
    )


def _batch(network: Network, x: Any, y: Any) -> tuple[Any, Any]:
    """One sample as a batch of one, a batch as it is."""
    X = validation.as_array("x", x)
    if X.ndim != 1:
        return X, y
    Y = validation.as_array("y", y)
    if Y.ndim == 0 or (Y.ndim == 1 and len(Y) == network.sizes[-1] and len(Y) > 1):
        Y = Y[np.newaxis]
    return X[np.newaxis], Y


@dataclass(frozen=True, repr=False, eq=False)
class Explanation(Report):
    """What `explain` returns.

    `network` and `after` are copies from before and after the step; `trace` and `trace_after` hold every z, a and δ,
    the losses and the gradients of the batch (see `Network.trace`); `y` (n_samples, n_outputs) are the targets as the
    engine takes them, `ell` (n_samples,) is ℓ of each sample. Layers, units and samples are counted from 1 in what is
    printed, as in the equations.
    """

    network: Network
    y: np.ndarray
    ell: np.ndarray
    trace: Trace
    after: Network
    trace_after: Trace
    optimizer: Optimizer
    learning_rate: float

    def document(self) -> Document:
        sizes, n_samples = "-".join(map(str, self.network.sizes)), len(self.y)
        sections = [section for n in range(min(n_samples, SAMPLES)) for section in self._sample(n)]
        sections += [self._gradient(l) for l in range(1, self._last + 1)]
        sections += [self._update(l) for l in range(1, self._last + 1)]
        sections.append(self._outcome())
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
        equations = [*self._forward(n - 1, l, j - 1), *self._backward(n - 1, l, j - 1)]
        return Document(title, [Section("", [], equations), Section("", [], [*self._entries(l, j - 1)])])

    # ------------------------------------------------------------------------------- sections

    @property
    def _last(self) -> int:
        return len(self.network.sizes) - 1

    @property
    def _phi(self) -> list[str]:
        """φ's name for each layer 0..L."""
        return ["identity", *self.network.activations, self.network.output]

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
        shown = range(min(n_out, UNITS))
        return Section(_sentence(f"{title} ({units})"), [], [e for j in shown for e in equations(n, l, j)])

    def _gradient(self, l: int) -> Section:
        entries = [entry for j in range(min(self.network.sizes[l], ENTRIES)) for entry in self._entries(l, j)]
        return Section(f"Gradient, layer {l}{_part(ENTRIES, self._entry_count(l))}", [], entries[:ENTRIES])

    def _update(self, l: int) -> Section:
        steps = [step for j in range(min(self.network.sizes[l], ENTRIES)) for step in self._steps(l, j)]
        rule = "" if self._is_plain else f" by {type(self.optimizer).__name__}"
        title = f"Update{rule}, η = {number(self.learning_rate)}, layer {l}{_part(ENTRIES, self._entry_count(l))}"
        return Section(title, [], steps[:ENTRIES])

    def _outcome(self) -> Section:
        rows = [("L", number(self.trace.loss), number(self.trace_after.loss))]
        before, after = self.trace.a[-1], self.trace_after.a[-1]
        for n in range(min(len(self.y), SAMPLES)):
            of = f", sample {n + 1}" if len(self.y) > 1 else ""
            for k in range(min(after.shape[1], UNITS)):
                rows.append((rf"\hat{{y}}_{{{k + 1}}}{of}", number(before[n, k]), number(after[n, k])))
        return Section("What the step changed", [], [Table(("", "before", "after"), rows)])

    # ------------------------------------------------------------------------------- equations

    def _forward(self, n: int, l: int, j: int) -> list[Equation]:
        """E1 for unit j of layer l."""
        W, b = self.network.weights[l - 1], self.network.biases[l - 1]
        a_in, z, a = self.trace.a[l - 1][n], self.trace.z[l - 1][n], self.trace.a[l][n]
        unit = str(j + 1)
        return [
            Equation(
                "E1",
                f"z_{{{unit}}}",
                rf"b_{{{unit}}} + \sum_{{i}} w_{{{_pair('i', unit)}}} a_{{i}}",
                _sum([(W[i, j], a_in[i]) for i in range(len(a_in))], first=number(b[j])),
                number(z[j]),
            ),
            self._activation(l, j, z, a),
        ]

    def _activation(self, l: int, j: int, z: np.ndarray, a: np.ndarray) -> Equation:
        name, z_j = f"a_{{{j + 1}}}", f"z_{{{j + 1}}}"
        if self._phi[l] == "softmax":
            exponentials = [f"e^{{{number(z_m)}}}" for z_m in z[:TERMS]] + [r"\dots"] * (len(z) > TERMS)
            letters, numbers = rf"e^{{{z_j}}} / \sum_{{m}} e^{{z_{{m}}}}", f"({' + '.join(exponentials)})"
            return Equation("E1", name, letters, f"e^{{{number(z[j])}}} / {numbers}", number(a[j]))
        formula = phi_formula(self._phi[l])
        numbers = in_numbers(formula.rpartition(" = ")[2], Z=z[j])
        return Equation("E1", name, in_letters(formula, Z=z_j), numbers, number(a[j]))

    def _loss(self, n: int) -> Equation:
        """ℓ of sample n, which E2 differentiates."""
        formula, outputs = ELL[self.network.loss_name], self.y.shape[1]
        if outputs > 1 and self.network.loss_name in ELL_IS_A_SUM:
            formula = f"({formula})"
        k = "1" if outputs == 1 else "k"
        letters = in_letters(formula, Z=f"z_{{{k}}}", A=rf"\hat{{y}}_{{{k}}}", Y=f"y_{{{k}}}")
        z, a = self.trace.z[-1][n], self.trace.a[-1][n]
        terms = [in_numbers(formula, Z=z[m], A=a[m], Y=self.y[n, m]) for m in range(min(outputs, TERMS))]
        numbers = " + ".join(terms) + (r" + \dots" if outputs > TERMS else "")
        return Equation("E2", r"\ell", (r"\sum_{k} " if outputs > 1 else "") + letters, numbers, number(self.ell[n]))

    def _backward(self, n: int, l: int, j: int) -> list[Equation]:
        """E2 for an output, E3 for a hidden unit."""
        return self._output_delta(n, j) if l == self._last else self._hidden_delta(n, l, j)

    def _output_delta(self, n: int, k: int) -> list[Equation]:
        loss, unit = self.network.loss_name, str(k + 1)
        z, a, y = self.trace.z[-1][n, k], self.trace.a[-1][n, k], self.y[n, k]
        parameter = self.network.loss_parameters[k]
        names = {"A": rf"\hat{{y}}_{{{unit}}}", "Y": f"y_{{{unit}}}", "P": number(parameter)}
        letters = in_letters(DELTA[loss], **names)
        numbers = in_numbers(DELTA[loss], A=a, Y=y, P=parameter)
        slope = []
        if has_slope(loss, self.network.output):
            slope = [_slope("E2", self.network.output, unit, z, a)]
            letters, numbers = rf"{letters} \cdot \varphi'(z_{{{unit}}})", rf"{numbers} \cdot {slope[0].value}"
        return [*slope, Equation("E2", rf"\delta_{{{unit}}}", letters, numbers, number(self.trace.delta[-1][n, k]))]

    def _hidden_delta(self, n: int, l: int, i: int) -> list[Equation]:
        unit = str(i + 1)
        W, delta_out = self.network.weights[l], self.trace.delta[l][n]
        slope = _slope("E3", self._phi[l], unit, self.trace.z[l - 1][n, i], self.trace.a[l][n, i])
        letters = rf"\varphi'(z_{{{unit}}}) \sum_{{j}} w_{{{_pair(unit, 'j')}}} \delta_{{j}}"
        numbers = rf"{slope.value} \cdot ({_sum([(W[i, j], delta_out[j]) for j in range(len(delta_out))])})"
        delta = self.trace.delta[l - 1][n, i]
        return [slope, Equation("E3", rf"\delta_{{{unit}}}", letters, numbers, number(delta))]

    def _entry_count(self, l: int) -> int:
        return self.network.weights[l - 1].size + self.network.biases[l - 1].size

    def _entries(self, l: int, j: int) -> Iterator[Equation]:
        """E4 for the weights into unit j of layer l, and E5."""
        a, delta, unit = self.trace.a[l - 1], self.trace.delta[l - 1][:, j], str(j + 1)
        mean = r"1/N \sum_{n} " if len(delta) > 1 else ""
        for i in range(min(a.shape[1], ENTRIES)):
            letters = rf"{mean}a_{{{i + 1}}} \delta_{{{unit}}}"
            numbers = self._mean(_sum([(a[n, i], delta[n]) for n in range(len(delta))]))
            value = self.trace.weight_gradients[l - 1][i, j]
            yield Equation("E4", _partial("w", _pair(str(i + 1), unit)), letters, numbers, number(value))
        numbers = self._mean(_sum([(delta[n], 1.0) for n in range(len(delta))], single=True))
        value = self.trace.bias_gradients[l - 1][j]
        yield Equation("E5", _partial("b", unit), rf"{mean}\delta_{{{unit}}}", numbers, number(value))

    def _mean(self, total: str) -> str:
        return total if len(self.y) == 1 else rf"1/{len(self.y)} \cdot ({total})"

    @property
    def _is_plain(self) -> bool:
        """Whether the step is the gradient itself."""
        return isinstance(self.optimizer, SGD) and self.optimizer.momentum == 0

    def _steps(self, l: int, j: int) -> Iterator[Equation]:
        """E6 for the weights into unit j of layer l, and for its bias."""
        unit = str(j + 1)
        W, W_after = self.network.weights[l - 1][:, j], self.after.weights[l - 1][:, j]
        for i in range(min(len(W), ENTRIES)):
            gradient = self.trace.weight_gradients[l - 1][i, j]
            yield self._step("w", _pair(str(i + 1), unit), W[i], gradient, W_after[i])
        b, b_after = self.network.biases[l - 1][j], self.after.biases[l - 1][j]
        yield self._step("b", unit, b, self.trace.bias_gradients[l - 1][j], b_after)

    def _step(self, letter: str, index: str, theta: float, gradient: float, after: float) -> Equation:
        name = f"{letter}_{{{index}}}"
        if self._is_plain:
            letters = rf"{name} - \eta \partial L/\partial {name}"
            numbers = rf"{number(theta)} - {number(self.learning_rate)} \cdot {factor(gradient)}"
        else:
            letters = rf"{name} - \eta \cdot \mathrm{{step}}"
            numbers = f"{number(theta)} - {factor(float(theta) - float(after))}"
        return Equation("E6", name, letters, numbers, number(after), r"\leftarrow")


def _slope(tag: str, phi: str, unit: str, z: float, a: float) -> Equation:
    """φ'(z), from the pair that the engines compile."""
    formula = SLOPE[phi]
    value = {**HIDDEN, **OUTPUTS}[phi].slope(z, a)  # type: ignore[misc]
    letters = in_letters(formula, Z=f"z_{{{unit}}}", A=f"a_{{{unit}}}")
    return Equation(tag, rf"\varphi'(z_{{{unit}}})", letters, in_numbers(formula, Z=z, A=a), number(value))


def _partial(letter: str, index: str) -> str:
    return rf"\partial L/\partial {letter}_{{{index}}}"


def _pair(i: str, j: str) -> str:
    """The index of w_ij, with a comma where two numbers would run together."""
    return f"{i},{j}" if len(i) > 1 or len(j) > 1 else i + j


def _sum(products: Sequence[tuple[float, float]], first: str = "", single: bool = False) -> str:
    r"""`0.1 + 0.5 \cdot 3 - 0.3 \cdot 0.8`; only the first of each pair where `single`."""
    text = first
    for p, q in products[:TERMS]:
        size = number(abs(p)) + ("" if single else rf" \cdot {factor(q)}")
        sign = "-" if p < 0 else "+"
        text += f" {sign} {size}" if text else size if p >= 0 else f"-{size}"
    return text + (r" + \dots" if len(products) > TERMS else "")


def _part(shown: int, there: int) -> str:
    """What to say where not all is shown."""
    return f", {shown} of {there:,} shown" if there > shown else ""


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
