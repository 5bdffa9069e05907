"""exercises: the same ones for a seed, every answer reckoned again by other means, and graded."""

import html
import json
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from test_explain import worth

import mlp_jit
from mlp_jit.study import exercises
from mlp_jit.study.document import math_to_text

SEEDS = range(25)


def numbers(text):
    """The numbers of a text with a minus of typography."""
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", text.replace("−", "-"))]


def named(line):
    """`w_11 = 0.5, …` as {"w_11": 0.5, …}."""
    pairs = re.findall(r"(\w+) = (-?[\d.]+)", math_to_text(line).replace("−", "-"))
    return {name: float(value) for name, value in pairs}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_step_by_hand_is_what_is_asked_for(seed):
    """E1 to E6 in plain Python from what is given in print."""
    asked = exercises(seed)
    one, two, given = (named(line) for line in asked.given[1:])
    x, y, eta = (given["x_1"], given["x_2"]), given["y"], given["η"]
    z = [one[f"b_{j}"] + sum(one[f"w_{i}{j}"] * x[i - 1] for i in (1, 2)) for j in (1, 2)]
    a = [max(z_j, 0) for z_j in z]
    out = two["b_1"] + two["w_11"] * a[0] + two["w_21"] * a[1]
    y_hat = 1 / (1 + math.exp(-out))
    ell = -(y * math.log(y_hat) + (1 - y) * math.log(1 - y_hat))
    delta_out = y_hat - y
    delta = (z[0] > 0) * two["w_11"] * delta_out
    gradient = x[1] * delta
    expected = [z[1], a[1], y_hat, ell, delta_out, delta, gradient, one["w_21"] - eta * gradient]
    assert [exercise.answer for exercise in asked[:8]] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert all(abs(answer) > 0.01 for n, answer in enumerate(expected) if n != 1)  # only a relu may be 0


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_to_be_known_is_so(seed):
    rate, dead, count, equal = exercises(seed)[8:]
    (c, *_) = numbers(math_to_text(rate.question))
    factors = [abs(1 - 2 * c * named(choice)["η"]) for choice in rate.choices]
    assert rate.answer == 1 + factors.index(min(factors))
    assert sum(factor > 1 for factor in factors) == 2  # which diverge
    largest = [b + abs(v) + abs(w) for v, w, b in (named(choice).values() for choice in dead.choices)]
    assert [z < 0 for z in largest].count(True) == 1
    assert dead.answer == 1 + largest.index(min(largest))
    sizes = [int(size) for size in re.findall(r"\d+", count.question)]
    assert count.answer == sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    assert equal.answer == int(re.search(r"network (\d)", equal.question)[1])  # one for each input


def test_a_seed_is_the_same_dozen_each_time_and_another_one_another():
    assert len(exercises(7)) == 12
    assert str(exercises(7)) == str(exercises(7))
    assert len({str(exercises(seed)) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_a_hint_leads_to_the_answer_and_does_not_give_it_away(seed):
    for n, exercise in enumerate(exercises(seed)[:8], start=1):
        last = math_to_text(exercise.hints[-1])
        *_, formula = re.split(r" = | ← ", last)
        assert worth(formula.partition(": ")[2] or formula) == pytest.approx(exercise.answer, rel=5e-3, abs=1e-3), n
        before = math_to_text(exercise.hints[0])
        assert not before.endswith(f"= {exercise.answer:.4g}".replace("-", "−"))


def test_hints_come_one_by_one():
    asked = exercises(0)
    assert asked.hint(1) == "E1: z_2 = b_2 + Σ_i w_i2 a_i"
    second = asked.hint(1)
    assert second.startswith("E1: z_2 = b_2 + Σ_i w_i2 a_i = ")
    assert asked.hint(1) == second  # the last one stays
    assert asked.hint(5) == "E2: δ_1 = ŷ_1 − y_1"


def test_an_answer_is_right_to_three_digits():
    asked = exercises(1)
    value = asked[3].answer
    assert asked.check(4, value)
    assert asked.check(4, float(f"{value:.3g}"))
    assert not asked.check(4, 1.03 * value)
    assert not asked.check(4, -value)
    assert not asked.check(4, float("nan"))
    assert asked.check(11, int(asked[10].answer))
    assert not asked.check(11, asked[10].answer + 1)  # within a fiftieth, but a whole number


def test_a_lecturer_grades_by_the_seed():
    asked = exercises(3)
    answers = [exercise.answer for exercise in asked]
    assert exercises(3).grade(answers).points == 12
    grade = asked.grade({1: answers[0], 2: answers[1] + 1, 12: answers[11], 5: None})
    assert (grade.points, grade.right, grade.wrong) == (2, (1, 12), (2,))
    assert grade.missing == (3, 4, 5, 6, 7, 8, 9, 10, 11)
    assert str(grade) == "2 of 12; wrong: 2; missing: 3, 4, 5, 6, 7, 8, 9, 10, 11"
    assert exercises(4).grade(answers).points < 12


@pytest.mark.parametrize("seed", [-1, 1.5, "seven"])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises((TypeError, ValueError), match="seed"):
        exercises(seed)


def test_what_is_no_answer_is_refused():
    asked = exercises(0)
    with pytest.raises(TypeError, match=r"answer: expected a number, got '0\.5'"):
        asked.check(1, "0.5")
    with pytest.raises(ValueError, match="from 1 to 12, got 13"):
        asked.grade({13: 1})
    with pytest.raises(ValueError, match="number"):
        asked.hint(0)


def test_it_prints_what_is_given_every_question_and_its_choices():
    text = str(exercises(0))
    assert "Layer 1: w_11 = " in text
    assert [int(n) for n in re.findall(r"^ +(\d+)\. ", text, re.MULTILINE)] == [*range(1, 13)]
    assert len(re.findall(r"^ +\d: ", text, re.MULTILINE)) == 8


def test_in_a_notebook_they_are_a_page_of_their_own():
    frame = exercises(5)._repr_html_()
    page = html.unescape(re.fullmatch(r'<iframe srcdoc="([^"]*)".*', frame, re.DOTALL)[1])
    assert "default-src 'none'" in page
    record = json.loads(re.search(r'id="record">(.*?)</script>', page)[1])
    assert [exercise["answer"] for exercise in record["exercises"]] == [each.answer for each in exercises(5)]
    assert np.isfinite([exercise["answer"] for exercise in record["exercises"]]).all()


def test_the_readmes_exercises(capsys):
    readme = (Path(mlp_jit.__file__).parents[1] / "docs/guide/study.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(from mlp_jit.study import exercises\n.*?)```", readme, re.DOTALL)[1]
    exec(code, {})
    assert capsys.readouterr().out.strip() == code.rpartition("# ")[2].strip()
    assert repr(exercises(7).hint(1)) == re.search(r"hint\(1\)  # (.*)", code)[1]
