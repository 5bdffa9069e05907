"""exercises: a dozen with fresh numbers from a seed, which check themselves; every answer is computed by the engine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from .. import validation
from ..network import Network
from .document import Document, Equation, math_to_text, number
from .explanation import Explanation, explain

CORNERS = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
NEAR = 0.02  # an answer may be so far off, as a part of the right one
HYPHEN = "\u2010"  # what no formula takes for a minus
LEAST = 0.05  # the least number that is asked for or that decides


def exercises(seed: int = 0) -> "Exercises":
    """A dozen exercises on index-form backprop, the same ones for the same seed.

    Print them, or show them in a notebook, where they check themselves; `check`, `hint` and `grade` do so in Python. A
    lecturer grades with the seed: `exercises(7).grade({1: 0.35, 2: 0, ...})`.

    Parameters
    ----------
    seed : int
        At least 0.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    return Exercises(validation.integer("seed", seed, 0))


@dataclass(frozen=True)
class Exercise:
    """A question, its answer, and hints, each the next step of the derivation, in the small LaTeX of `document`.

    Where there are `choices`, the answer is the number of one, from 1.
    """

    question: str
    answer: float
    hints: tuple[str, ...]
    choices: tuple[str, ...] = ()
    whole: bool = False

    def check(self, answer: Any) -> bool:
        """Whether an answer is right: to within a fiftieth, or exactly where a whole number is asked for."""
        if not isinstance(answer, Real) or isinstance(answer, bool | np.bool_):
            raise TypeError(f"answer: expected a number, got {answer!r}")
        given = float(answer)
        if self.choices or self.whole:
            return given == self.answer
        return abs(given - self.answer) <= NEAR * abs(self.answer)


@dataclass(frozen=True)
class Grade:
    """What `grade` found: the numbers of the exercises with a right answer, a wrong one and none."""

    right: tuple[int, ...]
    wrong: tuple[int, ...]
    missing: tuple[int, ...]

    @property
    def points(self) -> int:
        """One for each right answer."""
        return len(self.right)

    def __str__(self) -> str:
        parts = [f"{self.points} of {len(self.right) + len(self.wrong) + len(self.missing)}"]
        for name, numbers in (("wrong", self.wrong), ("missing", self.missing)):
            parts += [f"{name}: {', '.join(map(str, numbers))}"] if numbers else []
        return "; ".join(parts)


class Exercises(Sequence[Exercise]):
    """What `exercises` returns: a dozen exercises, counted from 1 in `check`, `hint`, `grade` and in print.

    `given` says what the first eight are about.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        rng = np.random.default_rng(seed)
        step = _step(rng)
        self.given = _given(step)
        self._all = [*_by_hand(step), _rate(rng), _dead(rng), _count(rng), _equal(rng)]
        self._hinted = dict.fromkeys(range(1, len(self._all) + 1), 0)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, place: Any) -> Any:
        return self._all[place]

    def _numbered(self, number: int) -> Exercise:
        n = validation.integer("number", number, 1)
        if n > len(self):
            raise ValueError(f"number: expected an exercise from 1 to {len(self)}, got {n}")
        return self._all[n - 1]

    def check(self, number: int, answer: Any) -> bool:
        """Whether an answer to this exercise is right. ValueError or TypeError where there is no such exercise."""
        return self._numbered(number).check(answer)

    def hint(self, number: int) -> str:
        """The next step of the derivation each time that it is called; the last one stays."""
        hints = self._numbered(number).hints
        self._hinted[number] = min(self._hinted[number] + 1, len(hints))
        return math_to_text(hints[self._hinted[number] - 1])

    def grade(self, answers: Mapping[int, Any] | Sequence[Any]) -> Grade:
        """The points for answers by number, or in order; None is no answer.

        Raises ValueError or TypeError for an answer that is no number and for an exercise that there is not.
        """
        given = dict(answers) if isinstance(answers, Mapping) else dict(enumerate(answers, start=1))
        answered = {n: self.check(n, answer) for n, answer in given.items() if answer is not None}
        return Grade(
            tuple(n for n in sorted(answered) if answered[n]),
            tuple(n for n in sorted(answered) if not answered[n]),
            tuple(n for n in range(1, len(self) + 1) if n not in answered),
        )

    def __str__(self) -> str:
        lines = [f"Exercises, seed {self.seed}", "", *(f"  {math_to_text(line)}" for line in self.given), ""]
        for n, exercise in enumerate(self._all, start=1):
            lines.append(f"{n:4}. {math_to_text(exercise.question)}")
            lines += [f"        {c}: {math_to_text(choice)}" for c, choice in enumerate(exercise.choices, start=1)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .page.notebook import exercises_html

        return exercises_html(self)


# --------------------------------------------------------------------------------------- one step by hand


def _step(rng: np.random.Generator) -> Explanation:
    """A step of 2-2-1 with numbers that are easy to reckon with, and no answer that is 0 for a reason not asked for."""
    network = Network([2, 2, 1], activation="relu", output="sigmoid", dtype="float64")
    while True:
        network.params[:] = rng.integers(-9, 10, network.n_params) / 10
        x, y = rng.choice([-2.0, -1, 1, 2, 3], 2, replace=False), int(rng.integers(2))
        step = explain(network, x, y, learning_rate=float(rng.choice([0.1, 0.5, 1])))
        trace = step.trace
        decide = [*network.params, *trace.z[0][0], trace.z[1][0, 0], trace.delta[0][0, 0], step.ell[0]]
        asked = [trace.weight_gradients[0][1, 0], step.after.weights[0][1, 0], trace.delta[1][0, 0]]
        if min(map(abs, [*decide, *asked])) >= LEAST and trace.z[0][0, 0] > 0:
            return step


def _given(step: Explanation) -> list[str]:
    """What is given, a line each."""
    network, x = step.network, step.trace.a[0][0]
    weights = [
        ", ".join(
            rf"w_{{{i + 1}{j + 1}}} = {number(W[i, j])}" for i in range(W.shape[0]) for j in range(W.shape[1])
        )
        for W in network.weights
    ]  # fmt: skip
    biases = [", ".join(f"b_{{{j + 1}}} = {number(b_j)}" for j, b_j in enumerate(b)) for b in network.biases]
    return [
        rf"Exercises 1 to 8: a network {HYPHEN.join('221')}, \varphi of layer 1 is relu, the output is a sigmoid with "
        rf"cross{HYPHEN}entropy.",
        f"Layer 1: {weights[0]}; {biases[0]}",
        f"Layer 2: {weights[1]}; {biases[1]}",
        rf"One sample: x_{{1}} = {number(x[0])}, x_{{2}} = {number(x[1])}, y = {number(step.y[0, 0])}; "
        rf"\eta = {number(step.learning_rate)}",
    ]


def _by_hand(step: Explanation) -> Iterator[Exercise]:
    """E1 to E6 of one step."""
    trace, hidden, output = step.trace, step.unit(1, 1), step.unit(2, 1)
    second = step.unit(1, 2)
    yield _asked(r"z_{2} of layer 1?", trace.z[0][0, 1], _line(second, "z_{2}"))
    yield _asked(r"a_{2} of layer 1?", trace.a[1][0, 1], _line(second, "a_{2}"))
    yield _asked(r"\hat{y}, the output?", trace.a[2][0, 0], _line(output, "z_{1}"), _line(output, "a_{1}"))
    yield _asked(r"\ell, the loss of this sample?", step.ell[0], _line(step.document(), r"\ell"))
    yield _asked(r"\delta_{1} of the output?", trace.delta[1][0, 0], _line(output, r"\delta_{1}"))
    delta = _line(hidden, r"\varphi'(z_{1})"), _line(hidden, r"\delta_{1}")
    yield _asked(r"\delta_{1} of layer 1?", trace.delta[0][0, 0], *delta)
    gradient = _line(hidden, r"\partial L/\partial w_{21}")
    yield _asked(r"\partial L/\partial w_{21} of layer 1?", trace.weight_gradients[0][1, 0], *delta, gradient)
    update = next(
        _line(Document("", [section]), "w_{21}")
        for section in step.document().sections if section.title.startswith("Update")
    )  # fmt: skip
    yield _asked(r"w_{21} of layer 1 after one step of SGD?", step.after.weights[0][1, 0], gradient, update)


def _line(document: Document, name: str) -> Equation:
    """The line for this name."""
    lines = (item for section in document.sections for item in section.items)
    return next(line for line in lines if isinstance(line, Equation) and line.name == name)


def _asked(question: str, answer: float, *lines: Equation) -> Exercise:
    """What the last of these lines comes to; the others' values are given away in turn, the last one's is not."""
    hints = []
    for line in lines:
        parts = [source for _, source in line.parts]
        known = parts if line is not lines[-1] else parts[:-1]
        sign = f" {line.relation} "
        hints += [
            f"{line.tag}: " + known[0] + sign + " = ".join(known[1:stop]) for stop in range(2, len(known) + 1)
        ] or [f"{line.tag}: {line.name}"]
    return Exercise(f"What is {question}", float(answer), tuple(hints))


# --------------------------------------------------------------------------------------- what to know


def _rate(rng: np.random.Generator) -> Exercise:
    """The learning rate for a parabola, tried out."""
    c = float(rng.choice([0.5, 2, 4, 5, 8]))
    rates = rng.permutation([0.01, 0.8, 2.2, 20]) / c
    losses = []
    for eta in rates:
        w = 1.0
        for _ in range(10):
            w -= eta * c * w  # E6, as ∂L/∂w = c w
        losses.append(w * w)
    return Exercise(
        rf"L = {number(c / 2)} \cdot w^{{2}}. With which \eta is L the smallest after ten steps w \leftarrow w - \eta "
        r"\partial L/\partial w?",
        1.0 + int(np.argmin(losses)),
        (
            rf"\partial L/\partial w = {number(c)} \cdot w",
            rf"w \leftarrow (1 - {number(c)} \cdot \eta) \cdot w: every step multiplies w by the same number",
            r"that number has to lie between -1 and 1, and the nearer to 0 the better",
        ),
        tuple(rf"\eta = {number(eta)}" for eta in rates),
    )


def _dead(rng: np.random.Generator) -> Exercise:
    """Four units of relu of which one is never above 0."""
    network = Network([2, 4, 1], activation="relu", dtype="float64")
    W, b = network.weights[0], network.biases[0]
    while True:
        W[:], b[:] = rng.integers(-9, 10, W.shape) / 10, rng.integers(-9, 10, b.shape) / 10
        largest = network.trace(CORNERS, np.zeros(4)).z[0].max(axis=0)
        if np.sum(largest < 0) == 1 and np.abs(largest).min() >= LEAST:
            break
    units = [
        f"w_{{1{j + 1}}} = {number(W[0, j])}, w_{{2{j + 1}}} = {number(W[1, j])}, b_{{{j + 1}}} = {number(b[j])}"
        for j in range(4)
    ]
    return Exercise(
        "Four units of relu read the corners (-1, -1), (-1, 1), (1, -1), (1, 1). Which one is dead?",
        1.0 + int(np.argmin(largest)),
        (
            r"a dead unit has z_{j} \le 0 for every sample: its a_{j} is 0, and \varphi'(z_{j}), and so its \delta_{j}",
            r"of all corners z_{j} = b_{j} + w_{1j} x_{1} + w_{2j} x_{2} is largest at b_{j} + |w_{1j}| + |w_{2j}|",
            "; ".join(rf"{j + 1}: \max z_{{{j + 1}}} = {number(z)}" for j, z in enumerate(largest)),
        ),
        tuple(units),
    )


def _count(rng: np.random.Generator) -> Exercise:
    """W and b of every layer."""
    sizes = [int(size) for size in rng.integers(3, 12, 4)]
    layers = [*pairwise(sizes)]
    return Exercise(
        f"How many parameters has a network {HYPHEN.join(map(str, sizes))}?",
        float(Network(sizes).n_params),
        (
            "a layer has one weight for each pair of an input and a unit, and one bias for each unit",
            " + ".join(rf"({n_in} \cdot {n_out} + {n_out})" for n_in, n_out in layers),
        ),
        whole=True,
    )


def _equal(rng: np.random.Generator) -> Exercise:
    """Units that start alike stay alike."""
    inputs, units = int(rng.integers(2, 5)), int(rng.integers(3, 6))
    network = Network([inputs, units, 1], activation="tanh", dtype="float64")
    network.params[:] = rng.integers(1, 6) / 10
    x = rng.permutation(np.arange(1.0, 6))[:inputs]
    gradient = network.trace(x[np.newaxis], [0.5]).weight_gradients[0]
    return Exercise(
        rf"All weights and biases of a network {inputs}{HYPHEN}{units}{HYPHEN}1 with \varphi = tanh are "
        f"{number(network.params[0])}, and x = ({', '.join(map(number, x))}), y = 0.5. How many different numbers are "
        rf"there among the {inputs * units} numbers \partial L/\partial w_{{ij}} of layer 1?",
        float(len(np.unique(gradient.round(12)))),
        (
            r"all units of layer 1 have the same z_{j}, a_{j} and w_{j1}",
            r"so all have the same \delta_{j}, and \partial L/\partial w_{ij} = x_{i} \delta_{j} does not depend on j",
            "the units stay alike after every step: that is why weights start from random numbers",
        ),
        whole=True,
    )
