"""The equations of one step of training, E1 to E10, each in letters and with the numbers of the loops engine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..activations import Activation, named
from ..engines.layout import BATCH, KIND, PLAIN, SKIPS
from ..engines.loops.trace import Trace
from ..engines.statistics import EPSILON
from ..network import Network
from ..optimizers import SGD, Optimizer
from .document import Equation, factor, number
from .formulas import (
    ELL_IS_A_SUM,
    delta_formula,
    ell_formula,
    has_slope,
    in_letters,
    in_numbers,
    phi_formula,
    slope_formula,
)

TERMS, ENTRIES = 8, 24  # so much is written out: terms a sum, ∂L/∂θ a layer


@dataclass(frozen=True, repr=False, eq=False)
class Equations:
    """What one step of training computed, and its equations: for a sample n and units j from 0, layers l from 1."""

    network: Network
    y: np.ndarray
    sample_weight: np.ndarray
    l2: float
    ell: np.ndarray
    trace: Trace
    after: Network
    trace_after: Trace
    optimizer: Optimizer
    learning_rate: float
    derives: bool = False

    @property
    def _last(self) -> int:
        return len(self.network.sizes) - 1

    @property
    def _phi(self) -> list[str | Activation]:
        """φ for each layer 0..L: a name, or a user's own."""
        return ["identity", *self.network.activations, self.network.output]

    def _kind(self, l: int) -> int:
        """Of the normalisation of layer l."""
        return int(self.network.table[l, KIND])

    def _skips(self, l: int) -> bool:
        """Whether the inputs of layer l skip it."""
        return bool(self.network.table[l, SKIPS])

    def _input(self, l: int, i: str) -> str:
        """What layer l reads of unit i, in letters; in numbers it is trace.h[l - 1]."""
        return f"h_{{{i}}}" if self._skips(l - 1) else f"a_{{{i}}}"

    def _delta_s(self, l: int, j: str) -> str:
        """What E3 and E4 read for unit j of layer l, in letters; in numbers it is trace.delta_s[l - 1]."""
        return rf"\delta_{{{j}}}" if self._kind(l) == PLAIN else rf"\partial \ell/\partial s_{{{j}}}"

    # ------------------------------------------------------------------------------- forward

    def _forward(self, n: int, l: int, units: Sequence[int]) -> Iterator[Equation]:
        """E1, with E7 where the layer is normalised and E10 where its inputs skip it."""
        normalized = self._kind(l) != PLAIN
        if normalized:
            yield from (self._weighted_sum(n, l, j) for j in units)
            yield from self._moments(n, l, units)
        for j in units:
            yield from self._normalize(n, l, j) if normalized else [self._weighted_sum(n, l, j)]
            yield self._activation(l, j, self.trace.z[l - 1][n], self.trace.a[l][n])
            if self._skips(l):
                yield self._skip(n, l, j)

    def _weighted_sum(self, n: int, l: int, j: int) -> Equation:
        """E1's z, or E7's s, which has no bias."""
        unit, W, b = str(j + 1), self.network.weights[l - 1], self.network.biases[l - 1]
        products = [*zip(W[:, j], self.trace.h[l - 1][n], strict=True)]
        letters, value = (
            rf"\sum_{{i}} w_{{{pair('i', unit)}}} {self._input(l, 'i')}",
            number(self.trace.s[l - 1][n, j]),
        )
        if self._kind(l) == PLAIN:
            return Equation(
                "E1", f"z_{{{unit}}}", f"b_{{{unit}}} + {letters}", sum_of(products, first=number(b[j])), value
            )
        return Equation("E7", f"s_{{{unit}}}", letters, sum_of(products), value)

    def _index(self, l: int, j: int) -> str:
        """What belongs to one unit has its index where the means are over samples, none where they are over units."""
        return f"_{{{j + 1}}}" if self._kind(l) == BATCH else ""

    def _group(self, l: int, n: int, j: int, array: np.ndarray) -> np.ndarray:
        """The numbers that layer l takes means over: a unit's in all samples, or a sample's in all units."""
        return array[:, j] if self._kind(l) == BATCH else array[n]

    def _statistics(self, n: int, l: int, j: int) -> tuple[float, float, float]:
        """μ, v and r."""
        s = self._group(l, n, j, self.trace.s[l - 1])
        mean, variance = s.mean(), s.var()
        return mean, variance, 1 / np.sqrt(variance + EPSILON)

    def _moments(self, n: int, l: int, units: Sequence[int]) -> Iterator[Equation]:
        for j in units if self._kind(l) == BATCH else units[:1]:
            index, s, (mean, variance, r) = (
                self._index(l, j), self._group(l, n, j, self.trace.s[l - 1]), self._statistics(n, l, j)
            )  # fmt: skip
            squares = " + ".join(f"({number(s_m)} - {factor(mean)})^{{2}}" for s_m in s[:TERMS]) + _more(len(s))
            v_and_epsilon = rf"1/\sqrt{{{number(variance)} + {number(EPSILON)}}}"
            yield Equation(
                "E7", rf"\mu{index}", rf"\langle s{index} \rangle", _mean(len(s), sum_of([(s_m,) for s_m in s])),
                number(mean),
            )  # fmt: skip
            yield Equation(
                "E7", f"v{index}", rf"\langle (s{index} - \mu{index})^{{2}} \rangle", _mean(len(s), squares),
                number(variance),
            )  # fmt: skip
            yield Equation("E7", f"r{index}", rf"1/\sqrt{{v{index} + \varepsilon}}", v_and_epsilon, number(r))

    def _normalize(self, n: int, l: int, j: int) -> Iterator[Equation]:
        unit, index, (mean, _, r) = str(j + 1), self._index(l, j), self._statistics(n, l, j)
        s, normal = self.trace.s[l - 1][n, j], self._normal(l)[n, j]
        yield Equation(
            "E7", rf"\hat{{s}}_{{{unit}}}", rf"r{index} \cdot (s_{{{unit}}} - \mu{index})",
            rf"{number(r)} \cdot ({number(s)} - {factor(mean)})", number(normal),
        )  # fmt: skip
        b, gain = self.network.biases[l - 1][j], self.network.gains[l - 1][j]
        yield Equation(
            "E7", f"z_{{{unit}}}", rf"b_{{{unit}}} + \gamma_{{{unit}}} \hat{{s}}_{{{unit}}}",
            sum_of([(gain, normal)], first=number(b)), number(self.trace.z[l - 1][n, j]),
        )  # fmt: skip

    def _normal(self, l: int) -> np.ndarray:
        """ŝ of a normalised layer."""
        normal = self.trace.normal[l - 1]
        assert normal is not None
        return normal

    def _activation(self, l: int, j: int, z: np.ndarray, a: np.ndarray) -> Equation:
        name, z_j = f"a_{{{j + 1}}}", f"z_{{{j + 1}}}"
        if self._phi[l] == "softmax":
            exponentials = [f"e^{{{number(z_m)}}}" for z_m in z[:TERMS]] + [r"\dots"] * (len(z) > TERMS)
            letters, numbers = rf"e^{{{z_j}}} / \sum_{{m}} e^{{z_{{m}}}}", f"({' + '.join(exponentials)})"
            return Equation("E1", name, letters, f"e^{{{number(z[j])}}} / {numbers}", number(a[j]))
        formula = phi_formula(self._phi[l])
        numbers = in_numbers(formula.rpartition(" = ")[2], Z=z[j])
        return Equation("E1", name, in_letters(formula, Z=z_j), numbers, number(a[j]))

    def _skip(self, n: int, l: int, j: int) -> Equation:
        """E10; the two h have the numbers of their layers."""
        a, h_in, h = self.trace.a[l][n, j], self.trace.h[l - 1][n, j], self.trace.h[l][n, j]
        name = "h" if self._skips(l - 1) else "a"
        return Equation(
            "E10", f"h^{{{l}}}_{{{j + 1}}}", f"a^{{{l}}}_{{{j + 1}}} + {name}^{{{l - 1}}}_{{{j + 1}}}",
            sum_of([(a,), (h_in,)]), number(h),
        )  # fmt: skip

    # ------------------------------------------------------------------------------- loss

    def _loss(self, n: int) -> Equation:
        """ℓ of sample n, which E2 differentiates."""
        formula, outputs = ell_formula(self.network.loss_function), self.y.shape[1]
        if outputs > 1 and self.network.loss_name in ELL_IS_A_SUM:
            formula = f"({formula})"
        k = "1" if outputs == 1 else "k"
        letters = in_letters(formula, Z=f"z_{{{k}}}", A=rf"\hat{{y}}_{{{k}}}", Y=f"y_{{{k}}}")
        z, a = self.trace.z[-1][n], self.trace.a[-1][n]
        terms = [in_numbers(formula, Z=z[m], A=a[m], Y=self.y[n, m]) for m in range(min(outputs, TERMS))]
        numbers = " + ".join(terms) + _more(outputs)
        return Equation("E2", r"\ell", (r"\sum_{k} " if outputs > 1 else "") + letters, numbers, number(self.ell[n]))

    # ------------------------------------------------------------------------------- backward

    def _backward(self, n: int, l: int, units: Sequence[int]) -> Iterator[Equation]:
        """E2 for outputs, E3 for hidden units, with E10 where something skips them and E8 where they are normalised."""
        for j in units:
            yield from self._output_delta(n, j) if l == self._last else self._hidden_delta(n, l, j)
        if self._kind(l) != PLAIN:
            yield from self._sum_deltas(n, l, units)

    def _output_delta(self, n: int, k: int) -> Iterator[Equation]:
        loss, unit = self.network.loss_function, str(k + 1)
        z, a, y = self.trace.z[-1][n, k], self.trace.a[-1][n, k], self.y[n, k]
        parameter = self.network.loss_parameters[k]
        names = {
            "Z": f"z_{{{unit}}}", "A": rf"\hat{{y}}_{{{unit}}}", "Y": f"y_{{{unit}}}", "P": number(parameter),
        }  # fmt: skip
        letters = in_letters(delta_formula(loss), **names)
        numbers = in_numbers(delta_formula(loss), Z=z, A=a, Y=y, P=parameter)
        if has_slope(loss, self.network.output):
            slope = _slope("E2", self.network.output, unit, z, a)
            yield slope
            letters, numbers = rf"{letters} \cdot \varphi'(z_{{{unit}}})", rf"{numbers} \cdot {slope.value}"
        yield Equation("E2", rf"\delta_{{{unit}}}", letters, numbers, number(self.trace.delta[-1][n, k]))

    def _hidden_delta(self, n: int, l: int, i: int) -> Iterator[Equation]:
        unit, W, delta_out = str(i + 1), self.network.weights[l], self.trace.delta_s[l][n]
        slope = _slope("E3", self._phi[l], unit, self.trace.z[l - 1][n, i], self.trace.a[l][n, i])
        letters = rf"\sum_{{j}} w_{{{pair(unit, 'j')}}} {self._delta_s(l + 1, 'j')}"
        products = [*zip(W[i], delta_out, strict=True)]
        numbers = f"({sum_of(products)})"
        if self._skips(l) or self._skips(l + 1):
            name, delta_h, first = _of_h(l, unit), self._delta_h[l][n, i], ""
            if self._skips(l + 1):
                letters, first = f"{_of_h(l + 1, unit)} + {letters}", number(self._delta_h[l + 1][n, i])
            yield Equation("E10", name, letters, sum_of(products, first), number(delta_h))
            letters, numbers = name, factor(delta_h)
        yield slope
        yield Equation(
            "E3", rf"\delta_{{{unit}}}", rf"\varphi'(z_{{{unit}}}) {letters}", rf"{slope.value} \cdot {numbers}",
            number(self.trace.delta[l - 1][n, i]),
        )  # fmt: skip

    @cached_property
    def _delta_h(self) -> dict[int, np.ndarray]:
        """∂ℓ/∂h of each hidden layer."""
        delta_h: dict[int, np.ndarray] = {}
        for l in range(self._last - 1, 0, -1):
            delta_h[l] = self.trace.delta_s[l] @ self.network.weights[l].T
            if self._skips(l + 1):
                delta_h[l] += delta_h[l + 1]
        return delta_h

    def _sum_deltas(self, n: int, l: int, units: Sequence[int]) -> Iterator[Equation]:
        """E8."""
        gain, delta, normal = self.network.gains[l - 1], self.trace.delta[l - 1], self._normal(l)
        e = gain * delta
        for j in units:
            unit = str(j + 1)
            letters, numbers = rf"\gamma_{{{unit}}} \delta_{{{unit}}}", sum_of([(gain[j], delta[n, j])])
            yield Equation("E8", f"e_{{{unit}}}", letters, numbers, number(e[n, j]))
        for j in units if self._kind(l) == BATCH else units[:1]:
            index, e_m, normal_m = (self._index(l, j), *(self._group(l, n, j, array) for array in (e, normal)))
            sums = sum_of([(p,) for p in e_m]), sum_of([*zip(e_m, normal_m, strict=True)])
            mean, product = _mean_of(f"e{index}"), _mean_of(rf"e{index} \hat{{s}}{index}")
            yield Equation("E8", mean, "", _mean(len(e_m), sums[0]), number(e_m.mean()))
            yield Equation("E8", product, "", _mean(len(e_m), sums[1]), number((e_m * normal_m).mean()))
        for j in units:
            index, unit, r = self._index(l, j), str(j + 1), self._statistics(n, l, j)[2]
            e_m, normal_m = (self._group(l, n, j, array) for array in (e, normal))
            mean, product = _mean_of(f"e{index}"), _mean_of(rf"e{index} \hat{{s}}{index}")
            letters = rf"r{index} \cdot (e_{{{unit}}} - {mean} - \hat{{s}}_{{{unit}}} {product})"
            terms = sum_of([(e[n, j],), (-e_m.mean(),), (-normal[n, j], (e_m * normal_m).mean())])
            delta_s = self.trace.delta_s[l - 1][n, j]
            yield Equation("E8", self._delta_s(l, unit), letters, rf"{number(r)} \cdot ({terms})", number(delta_s))

    # ------------------------------------------------------------------------------- gradient and update

    def _entries(self, l: int, j: int) -> Iterator[Equation]:
        """E4 for the weights into unit j of layer l, E5, and E9 where it has a gain."""
        inputs, delta, delta_s = self.trace.h[l - 1], self.trace.delta[l - 1][:, j], self.trace.delta_s[l - 1][:, j]
        unit, W = str(j + 1), self.network.weights[l - 1]
        for i in range(min(len(W), ENTRIES)):
            letters = f"{self._input(l, str(i + 1))} {self._delta_s(l, unit)}"
            name, value = pair(str(i + 1), unit), self.trace.weight_gradients[l - 1][i, j]
            yield self._entry("E4", "w", name, letters, [inputs[:, i], delta_s], value, W[i, j])
        value = self.trace.bias_gradients[l - 1][j]
        yield self._entry("E5", "b", unit, rf"\delta_{{{unit}}}", [delta], value)
        gain_gradient = self.trace.gain_gradients[l - 1]
        if gain_gradient is not None:
            letters = rf"\hat{{s}}_{{{unit}}} \delta_{{{unit}}}"
            yield self._entry("E9", r"\gamma", unit, letters, [self._normal(l)[:, j], delta], gain_gradient[j])

    def _entry(
        self, tag: str, letter: str, index: str, letters: str, factors: list[np.ndarray], value: float, w: float = 0.0
    ) -> Equation:
        """∂L/∂θ as the mean over the samples, with the penalty on a weight w."""
        if np.any(self.sample_weight != 1) and len(self.y) > 1:
            letters, factors = rf"\mathrm{{weight}}_{{n}} {letters}", [self.sample_weight, *factors]
        numbers = sum_of([*zip(*factors, strict=True)])
        if len(self.y) > 1:
            N = self.sample_weight.sum(dtype=np.float64)
            letters, numbers = rf"1/N \sum_{{n}} {letters}", rf"1/{number(N)} \cdot ({numbers})"
        if tag == "E4" and self.l2:
            letters += rf" + \lambda w_{{{index}}}"
            numbers += rf" + {number(self.l2)} \cdot {factor(w)}"
        return Equation(tag, rf"\partial L/\partial {letter}_{{{index}}}", letters, numbers, number(value))

    @property
    def _is_plain_sgd(self) -> bool:
        """Whether the step is the gradient itself."""
        return isinstance(self.optimizer, SGD) and self.optimizer.momentum == 0

    def _steps(self, l: int, j: int) -> Iterator[Equation]:
        """E6 for the weights into unit j of layer l, for its bias and its gain."""
        unit, before, after, trace = str(j + 1), self.network, self.after, self.trace
        W, W_after = before.weights[l - 1][:, j], after.weights[l - 1][:, j]
        for i in range(min(len(W), ENTRIES)):
            gradient = trace.weight_gradients[l - 1][i, j]
            yield self._step("w", pair(str(i + 1), unit), W[i], gradient, W_after[i])
        b, b_after = before.biases[l - 1][j], after.biases[l - 1][j]
        yield self._step("b", unit, b, trace.bias_gradients[l - 1][j], b_after)
        gain_gradient = trace.gain_gradients[l - 1]
        if gain_gradient is not None:
            gain, gain_after = before.gains[l - 1][j], after.gains[l - 1][j]
            yield self._step(r"\gamma", unit, gain, gain_gradient[j], gain_after)

    def _step(self, letter: str, index: str, theta: float, gradient: float, after: float) -> Equation:
        name = f"{letter}_{{{index}}}"
        if self._is_plain_sgd:
            letters = rf"{name} - \eta \partial L/\partial {name}"
            numbers = rf"{number(theta)} - {number(self.learning_rate)} \cdot {factor(gradient)}"
        else:
            letters = rf"{name} - \eta \cdot \mathrm{{step}}"
            numbers = f"{number(theta)} - {factor(float(theta) - float(after))}"
        return Equation("E6", name, letters, numbers, number(after), r"\leftarrow")


def _slope(tag: str, phi: str | Activation, unit: str, z: float, a: float) -> Equation:
    """φ'(z), from the pair that the engines compile."""
    formula = slope_formula(phi)
    value = named(phi).slope(z, a)  # type: ignore[misc]
    letters = in_letters(formula, Z=f"z_{{{unit}}}", A=f"a_{{{unit}}}")
    return Equation(tag, rf"\varphi'(z_{{{unit}}})", letters, in_numbers(formula, Z=z, A=a), number(value))


def _of_h(l: int, unit: str) -> str:
    return rf"\partial \ell/\partial h^{{{l}}}_{{{unit}}}"


def _mean_of(letters: str) -> str:
    return rf"\langle {letters} \rangle"


def _mean(count: int, total: str) -> str:
    return rf"1/{count} \cdot ({total})"


def pair(i: str, j: str) -> str:
    """The index of w_ij, with a comma where two numbers would run together."""
    return f"{i},{j}" if len(i) > 1 or len(j) > 1 else i + j


def sum_of(products: Sequence[tuple[float, ...]], first: str = "") -> str:
    r"""`0.1 + 0.5 \cdot 3 - 0.3 \cdot 0.8`"""
    text = first
    for p, *others in products[:TERMS]:
        size = r" \cdot ".join([number(abs(p)), *map(factor, others)])
        sign = "-" if p < 0 else "+"
        text += f" {sign} {size}" if text else size if p >= 0 else f"-{size}"
    return text + _more(len(products))


def _more(terms: int) -> str:
    """What ends a sum that is not written out."""
    return r" + \dots" if terms > TERMS else ""
