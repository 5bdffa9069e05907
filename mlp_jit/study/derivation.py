"""Why ∂L/∂w_ij is what it is: the chain rule by index, from L back to one weight, with the numbers of one sample.

A raised number is a layer. The sum in which a weight stands is s in a normalised layer and z in any other.
"""

from collections.abc import Iterator

import numpy as np

from ..activations import named
from ..engines.layout import BATCH, PLAIN
from .document import Equation, Section, factor, number
from .equations import TERMS, Equations, pair, sum_of
from .formulas import in_letters, in_numbers, slope_formula


class Derivation(Equations):
    """The derivations of `Explanation.why`; n, i and j from 0, layers l from 1."""

    def _chain(self, n: int, l: int, i: int, j: int) -> Iterator[Section]:
        """Each link from L back to w_ij of layer l: a sentence and its lines."""
        weight = f"w_{pair(str(i + 1), str(j + 1))} of layer {l}"
        yield Section(f"Why: from L back to {weight}, by the chain rule, sample {n + 1}")
        yield from self._why_weight(n, l, i, j)
        unit = j
        for layer in range(l, self._last + 1):
            if self._kind(layer) != PLAIN:
                yield from self._why_normalized(n, layer, unit)
            yield from self._why_hidden(n, layer, unit) if layer < self._last else self._why_output(n, unit)
            unit = 0  # of the next layer the first unit stands for all
        yield _because("Over all samples, as the engine adds it up.", [*self._entries(l, j)][i])

    def _sum_of(self, l: int, j: int | str) -> str:
        """The sum in which the weights of unit j of layer l stand."""
        return _symbol("s" if self._kind(l) != PLAIN else "z", l, j)

    def _error_of(self, l: int, j: int | str) -> str:
        """∂ℓ by that sum."""
        return _by(self._sum_of(l, j)) if self._kind(l) != PLAIN else _symbol(r"\delta", l, j)

    def _why_weight(self, n: int, l: int, i: int, j: int) -> Iterator[Section]:
        """E4 and E5: the last link."""
        w, b, a = _symbol("w", l, i, j), _symbol("b", l, j), _symbol("a", l - 1, i)
        total, error = self._sum_of(l, j), self._error_of(l, j)
        a_i, delta = float(self.trace.h[l - 1][n, i]), float(self.trace.delta_s[l - 1][n, j])
        if len(self.y) > 1:
            yield _because(
                f"L is the mean of ℓ over {len(self.y)} samples, and the weight is the same number in all of "
                "them: what each sample asks of it is added up.",
                Equation("E4", rf"\partial L/\partial {w}", rf"1/N \sum_{{n}} {_by(w)}", "", ""),
            )
        yield _because(
            "The weight stands in one sum only, so it reaches ℓ by one way only.",
            Equation("E4", _by(w), rf"{_by(total)} \cdot \partial {total}/\partial {w}", "", ""),
        )
        bias = "" if self._kind(l) != PLAIN else f"{b} + "
        yield _because(
            "Of all the terms of that sum, one has the weight in it.",
            Equation("E1", total, rf"{bias}\sum_{{i}} {_symbol('w', l, 'i', j)} {_symbol('a', l - 1, 'i')}", "", ""),
            Equation("E4", rf"\partial {total}/\partial {w}", a, "", number(a_i)),
        )
        called = "What is left has a name, δ." if self._kind(l) == PLAIN else "What is left is the sum's own error."
        yield _because(called, Equation("E4", _by(w), f"{a} {error}", sum_of([(a_i, delta)]), number(a_i * delta)))
        if self._kind(l) == PLAIN:
            yield _because(
                "The bias stands in the same sum, with a factor of 1.",
                Equation("E5", _by(b), error, "", number(delta)),
            )

    def _why_hidden(self, n: int, l: int, i: int) -> Iterator[Section]:
        """E3: from the sums of layer l + 1 to z_i of layer l."""
        phi = self._phi[l]
        z, a, delta = _symbol("z", l, i), _symbol("a", l, i), _symbol(r"\delta", l, i)
        z_i, a_i, W = self.trace.z[l - 1][n, i], self.trace.a[l][n, i], self.network.weights[l][i]
        slope = float(named(phi).slope(z_i, a_i))  # type: ignore[misc]
        onward, wants = self._sum_of(l + 1, "j"), self._error_of(l + 1, "j")
        yield _because(
            "z reaches ℓ through its own activation only, so δ is a product of two.",
            Equation("E3", delta, rf"{_by(a)} \cdot \partial {a}/\partial {z}", "", ""),
            Equation(
                "E3", rf"\partial {a}/\partial {z}", rf"\varphi'({z}) = {in_letters(slope_formula(phi), Z=z, A=a)}",
                in_numbers(slope_formula(phi), Z=z_i, A=a_i), number(slope),
            ),
        )  # fmt: skip
        links = [
            Equation(
                "E3", rf"\partial {self._sum_of(l + 1, j)}/\partial {a}", _symbol("w", l + 1, i, j), "", number(W[j])
            )
            for j in range(min(len(W), TERMS))
        ]
        yield _because(
            f"Every unit j of layer {l + 1} reads the activation: that is one way to ℓ for each, and the ways add up. "
            "This is the sum in E3.",
            Equation("E3", _by(a), rf"\sum_{{j}} {_by(onward)} \cdot \partial {onward}/\partial {a}", "", ""),
            *links,
        )
        products = [*zip(W, self.trace.delta_s[l][n], strict=True)]
        yield _because(
            f"Both put in: E3, with the errors of layer {l + 1} for what is left.",
            Equation(
                "E3", delta, rf"\varphi'({z}) \sum_{{j}} {_symbol('w', l + 1, i, 'j')} {wants}",
                rf"{factor(slope)} \cdot ({sum_of(products)})", number(self.trace.delta[l - 1][n, i]),
            ),
        )  # fmt: skip

    def _why_output(self, n: int, k: int) -> Iterator[Section]:
        """E2: from ℓ to z_k of the output."""
        match self.network.loss_name:
            case "cross_entropy":
                yield from self._why_softmax(n, k)
            case "binary_cross_entropy":
                words = "Sigmoid and cross-entropy together are simple in z: the slope of the logarithm is the sigmoid."
                yield self._why_of_z(n, k, words, r"\ln(1 + e^{Z}) - Y \cdot Z", r"e^{Z}/(1 + e^{Z}) - Y")
            case "poisson":
                yield self._why_of_z(n, k, "e to the z is its own slope.", r"e^{Z} - Y \cdot Z", "e^{Z} - Y")
            case _:
                words = "z reaches ℓ through ŷ only: the slope of ℓ there, times φ'."
                yield _because(words, self._loss(n), *self._output_delta(n, k))

    def _why_softmax(self, n: int, k: int) -> Iterator[Section]:
        """Cross-entropy after softmax: every ŷ has every z in it."""
        a, y = self.trace.a[-1][n], self.y[n]
        z, y_hat, target = _symbol("z", self._last, k), rf"\hat{{y}}_{{{k + 1}}}", f"y_{{{k + 1}}}"
        outputs = range(min(len(a), TERMS))
        yield _because(
            "Softmax and cross-entropy: z is in the numerator of its own ŷ, and in the denominator of all.",
            Equation("E1", r"\hat{y}_{k}", r"e^{z_{k}} / \sum_{m} e^{z_{m}}", "", ""),
            Equation("E2", r"\ell", r"- \sum_{k} y_{k} \ln \hat{y}_{k}", "", number(self.ell[n])),
        )
        yield _because(
            "The quotient rule: [k = m] is 1 for the same unit and else 0.",
            Equation(
                "E2", r"\partial \hat{y}_{k}/\partial z_{m}", r"\hat{y}_{k} \cdot ([k = m] - \hat{y}_{m})", "", ""
            ),
            *(
                Equation(
                    "E2", rf"\partial \hat{{y}}_{{{m + 1}}}/\partial {z}", "",
                    rf"{number(a[m])} \cdot ({int(m == k)} - {factor(a[k])})", number(a[m] * ((m == k) - a[k])),
                )
                for m in outputs
            ),
        )  # fmt: skip
        yield _because(
            "Every ŷ is a way to ℓ, and the ways add up. ŷ_k cancels, and the targets add up to 1.",
            Equation("E2", r"\partial \ell/\partial \hat{y}_{k}", r"- y_{k} / \hat{y}_{k}", "", ""),
            Equation(
                "E2", _symbol(r"\delta", self._last, k),
                rf"\sum_{{k}} (- y_{{k}} / \hat{{y}}_{{k}}) \cdot \partial \hat{{y}}_{{k}}/\partial {z}"
                rf" = {y_hat} \sum_{{k}} y_{{k}} - {target}", "", "",
            ),
            Equation(
                "E2", _symbol(r"\delta", self._last, k), f"{y_hat} - {target}", f"{number(a[k])} - {factor(y[k])}",
                number(self.trace.delta[-1][n, k]),
            ),
        )  # fmt: skip

    def _why_of_z(self, n: int, k: int, words: str, ell: str, slope: str) -> Section:
        """E2 where the loss is derived by z at once; `ell` and `slope` of one output, in the letters of `formulas`."""
        name, z, y_k = _symbol(r"\delta", self._last, k), f"z_{{{k + 1}}}", f"y_{{{k + 1}}}"
        a, y = self.trace.a[-1][n, k], self.y[n, k]
        words += " Of ℓ, a sum over the outputs, this is the term that has this z." if self.y.shape[1] > 1 else ""
        return _because(
            words,
            Equation("E2", r"\ell", in_letters(ell, Z=z, Y=y_k), "", ""),
            Equation("E2", name, rf"\partial \ell/\partial {z} = {in_letters(slope, Z=z, Y=y_k)}", "", ""),
            Equation(
                "E2", name, rf"\hat{{y}}_{{{k + 1}}} - {y_k}", f"{number(a)} - {factor(y)}",
                number(self.trace.delta[-1][n, k]),
            ),
        )  # fmt: skip

    def _why_normalized(self, n: int, l: int, j: int) -> Iterator[Section]:
        """E8: from δ to ∂ℓ/∂s, where every s of the group has a part in μ and v, and so in every ŝ."""
        group, here = ("samples", n) if self._kind(l) == BATCH else ("units", j)
        mean, _, r = map(float, self._statistics(n, l, j))
        s, normal, e = (
            self._group(l, n, j, array)
            for array in (self.trace.s[l - 1], self._normal(l), self.network.gains[l - 1] * self.trace.delta[l - 1])
        )
        M, s_n, normal_n = len(s), float(s[here]), float(normal[here])
        moved = r * ((np.arange(M) == here) - 1 / M - normal * normal_n / M)  # ∂ŝ_m/∂s_n
        name, gain = _symbol(r"\delta", l, j), _symbol(r"\gamma", l, j)
        gain_j, delta = self.network.gains[l - 1][j], self.trace.delta[l - 1][n, j]
        yield _because(
            f"Layer {l} is normalised over the {M} {group}, here m and n: μ, v and r are made of every s, and so "
            "is every ŝ. First past γ.",
            Equation("E7", r"\hat{s}_{m}", r"r \cdot (s_{m} - \mu)", "", ""),
            Equation("E8", r"e = \partial \ell/\partial \hat{s}", f"{gain} {name}", sum_of([(gain_j, delta)]),
                     number(gain_j * delta)),
        )  # fmt: skip
        yield _because(
            "How μ, v and r move with one s. That μ moves adds nothing to v, because the s − μ add up to 0.",
            Equation("E8", r"\partial \mu/\partial s_{n}", "1/M", f"1/{M}", number(1 / M)),
            Equation(
                "E8", r"\partial v/\partial s_{n}", r"2 \cdot (s_{n} - \mu)/M",
                rf"2 \cdot ({number(s_n)} - {factor(mean)})/{M}", number(2 * (s_n - mean) / M),
            ),
            Equation(
                "E8", r"\partial r/\partial s_{n}", r"- r^{2} \hat{s}_{n}/M",
                rf"-{number(r)}^{{2}} \cdot {factor(normal_n)}/{M}", number(-r * r * normal_n / M),
            ),
        )  # fmt: skip
        yield _because(
            "The product rule, for every ŝ.",
            Equation(
                "E8", r"\partial \hat{s}_{m}/\partial s_{n}", r"r \cdot ([m = n] - 1/M - \hat{s}_{m} \hat{s}_{n}/M)",
                "", "",
            ),
            *(
                Equation(
                    "E8", rf"\partial \hat{{s}}_{{{m + 1}}}/\partial s_{{{here + 1}}}", "",
                    rf"{number(r)} \cdot ({int(m == here)} - 1/{M} - {factor(normal[m])} \cdot {factor(normal_n)}/{M})",
                    number(moved[m]),
                )
                for m in range(min(M, TERMS))
            ),
        )  # fmt: skip
        products = [*zip(e, moved, strict=True)]
        yield _because(
            "Every ŝ is a way to ℓ, and the ways add up; ⟨·⟩ is the mean over m. This is E8.",
            Equation(
                "E8", self._error_of(l, j), r"\sum_{m} e_{m} \partial \hat{s}_{m}/\partial s_{n}", sum_of(products),
                number(self.trace.delta_s[l - 1][n, j]),
            ),
            Equation(
                "E8", self._error_of(l, j),
                r"r \cdot (e_{n} - \langle e \rangle - \hat{s}_{n} \langle e \hat{s} \rangle)",
                rf"{number(r)} \cdot ({sum_of([(e[here],), (-e.mean(),), (-normal_n, (e * normal).mean())])})",
                number(self.trace.delta_s[l - 1][n, j]),
            ),
        )  # fmt: skip


def _because(words: str, *lines: Equation) -> Section:
    """One step: why, and what follows."""
    return Section("", [words], lines)


def _symbol(letter: str, l: int, *units: int | str) -> str:
    """A letter with its layer above and its units, from 0, below."""
    index = pair(*(unit if isinstance(unit, str) else str(unit + 1) for unit in units)) if len(units) > 1 else (
        units[0] if isinstance(units[0], str) else str(units[0] + 1)
    )  # fmt: skip
    return f"{letter}^{{{l}}}_{{{index}}}"


def _by(symbol: str) -> str:
    return rf"\partial \ell/\partial {symbol}"
