"""Every script of examples/ runs by itself, from anywhere, without a warning, and prints the numbers it promises."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture
def run(tmp_path):
    """Runs a script by the start of its name, in an empty folder; returns what it printed."""

    def run_script(start):
        (script,) = (script for script in SCRIPTS if script.name.startswith(start))
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1"},
            capture_output=True,
            encoding="utf-8",
            timeout=280,
        )
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        return done.stdout

    return run_script


def numbers(text, label):
    """The numbers that follow `label` on its line."""
    assert label in text, f"no {label!r} in:\n{text}"
    line = text.partition(label)[2].partition("\n")[0]
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d*)?(?:e[-+]\d+)?", line)]


def number(text, label):
    """The first number after `label`."""
    return numbers(text, label)[0]


def test_the_examples_are_short_and_the_index_has_them_in_order():
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\[(\w+\.py)\]\(\1\)", index) == [script.name for script in SCRIPTS]
    for script in SCRIPTS:
        assert len(script.read_text(encoding="utf-8").splitlines()) < 100, script.name


@pytest.mark.examples
def test_forward_by_index(run):
    text = run("01_")
    assert "0.1 + 0.5·3 + 0.8·1 + -0.3·0.8 = 2.1600   a = 2.1600" in text
    assert "-0.5 + -0.2·3 + 0.6·1 + 0.4·0.8 = -0.1800   a = 0.0000" in text
    assert "-0.3 + 0.7·2.16 + 1.2·0 = 1.2120   a = 0.7707" in text
    for engine in ("loops", "vectorized"):
        assert number(text, f"net.forward, {engine}:") == pytest.approx(1 / (1 + math.exp(-1.212)), abs=1e-11)
    assert number(text, "largest difference:") < 1e-15


@pytest.mark.examples
def test_backprop_by_index(run):
    text = run("02_")
    rows = re.findall(r"^ *(\d+) +(-?[\d.]+) +(-?[\d.]+) +(-?[\d.]+)$", text, re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(range(20))
    assert len({row[1] for row in rows}) == 20  # numbers that say something, no zeros
    assert number(text, "loops against engine:") < 1e-14
    assert number(text, "loops against matrices:") < 1e-14
    assert number(text, "loops against differences:") < 1e-9
    assert number(text, "θ by hand against fit:") < 1e-14
    _, before, after = numbers(text, "one step with η =")
    assert after < before


@pytest.mark.examples
def test_study_hours(run):
    text = run("03_")
    for part in ("by hand\n", "by the engine\n"):
        first, second = text.partition(part)[2].splitlines()[:2]
        assert "ŷ = 0   ℓ = 100 " in first
        assert [number for number in numbers(first, "∂ℓ/∂") if number < 0] == [-40, -60, -20]
        assert numbers(second.replace("_0", "").replace("_1", ""), "one step:") == [0.4, 0.6, 0.2, 2.8, 51.84]
    measured, foretold = re.findall("ℓ measured(.*)", text), re.findall("ℓ foretold(.*)", text)
    assert len(measured) == 3
    assert measured == foretold


@pytest.mark.examples
def test_xor(run):
    text = run("04_")
    assert re.search(r"AND +0 0 0 1  0 0 0 1   learnt", text)
    assert re.search(r"OR +0 1 1 1  0 1 1 1   learnt", text)
    assert re.search(r"XOR +0 1 1 0  .*[1-4] wrong", text)
    by_hand = re.findall(r"x = \((\d), (\d)\) +(\d) +(\d) +(\d)", text)
    assert by_hand == [tuple("00000"), tuple("01101"), tuple("10101"), tuple("11210")]
    assert "17 parameters" in text
    assert number(text, "epoch 1000   loss") < 0.01 < number(text, "epoch    1   loss")
    assert number(text, "accuracy") == 1


@pytest.mark.examples
def test_quadrants(run):
    text = run("05_")
    accuracies = [float(part) for part in re.findall(r"accuracy ([\d.]+)", text)]
    assert 0.6 <= accuracies[0] <= 0.9
    assert accuracies[1] >= 0.96
    assert accuracies[2] >= 0.96
    assert re.findall(r"(\d+) steps", text) == ["300", "2100", "2400"]
    assert len(re.findall(r"^ {4}[.#]{49}$", text, re.MULTILINE)) == 2 * 17


@pytest.mark.examples
def test_digits(run):
    pytest.importorskip("sklearn")
    text = run("06_")
    assert "6400 + 100 = 6500" in text
    assert "no better loss for 10 epochs" in text
    assert number(text, "Network: test accuracy") >= 0.97
    assert number(text, "MLPClassifier: test accuracy") >= 0.97


@pytest.mark.examples
def test_layer_language(run):
    text = run("07_")
    assert number(text, "largest difference in ∂L/∂θ:") < 1e-14
    assert number(text, "largest difference in θ:") < 1e-11
    by_layers, by_loops = numbers(text, " 200 ")
    assert by_layers == pytest.approx(by_loops, abs=1e-11)
    assert by_layers < 0.2
    assert number(text, "accuracy by layers:") == number(text, "accuracy by loops:") > 0.95


@pytest.mark.examples
def test_vanishing_gradients(run):
    text = run("08_")
    assert [number(text, f"  {phi:8} ") for phi in ("sigmoid", "tanh", "relu", "gelu")] == [0.25, 1, 1, 1.1289]
    rows = re.findall(r"^ *(\d+) +(\S+) +(\S+) +#+ +(\S+) +#+$", text, re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(range(10, 0, -1))
    assert all(float(sigmoid) <= float(bound) for _, sigmoid, bound, _ in rows)
    assert float(rows[-1][1]) < 1e-6
    assert float(rows[-1][3]) > 0.1
    _, stuck, guessing = numbers(text, "sigmoid  loss")
    assert stuck == pytest.approx(math.log(2), abs=0.01)
    assert guessing < 0.65
    assert numbers(text, "relu     loss")[-1] > 0.95
