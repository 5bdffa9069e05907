"""Every script of examples/ runs by itself, from anywhere, without a warning, and keeps what it promises: its numbers,
its pictures.
"""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
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
        promised = re.findall(r"\w+\.png", re.findall(r"pictures?: (.*)$", done.stdout)[-1])
        assert promised
        assert sorted(path.name for path in tmp_path.glob("*.png")) == sorted(promised)
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
def test_one_neuron(run):
    text = run("01_")
    assert "z = 0.2 + 0.5·1 + -1·2 = -1.3   a = 0   φ' = 0" in text
    assert "z = -1 + 1·2 + 2·1 = 3   a = 3   φ' = 1" in text
    assert "engine: z = -1.3   a = 0   φ' = 0" in text
    assert "engine: z = 3   a = 3   φ' = 1" in text
    assert number(text, "φ' = 0.9 · 0.1 =") == 0.09
    assert [number(text, f"  {phi:8} ") for phi in ("sigmoid", "tanh", "relu", "gelu")] == [0.25, 1, 1, 1.1289]
    assert number(text, "all 14 of them:") < 1e-8


@pytest.mark.examples
def test_forward_by_index(run):
    text = run("02_")
    assert "z_1 = b_1 + Σ_i w_i1 a_i = 0.1 + 0.5·3 + 0.8·1 − 0.3·0.8 = 2.16" in text
    assert "z_2 = b_2 + Σ_i w_i2 a_i = −0.5 − 0.2·3 + 0.6·1 + 0.4·0.8 = −0.18" in text
    assert "z_1 = b_1 + Σ_i w_i1 a_i = −0.3 + 0.7·2.16 + 1.2·0 = 1.212" in text
    assert number(text, "by loops: spam with probability") == 0.7707
    for engine in ("loops", "vectorized"):
        assert number(text, f"net.forward, {engine}:") == pytest.approx(1 / (1 + math.exp(-1.212)), abs=1e-11)
    assert number(text, "largest difference:") < 1e-15
    assert "10-20-15-1: 220 + 315 + 16 = 551 parameters; the engine has 551" in text
    assert "3-5-2: 20 + 12 = 32 parameters; the engine has 32" in text
    assert re.search(r"^1 +\(2, 8\) +\(8,\) +\(32, 8\) +\(32, 8\) +relu +16 \+ 8 = 24$", text, re.MULTILINE)


@pytest.mark.examples
def test_backprop_by_index(run):
    text = run("03_")
    rows = re.findall(r"^ *(\d+) +(-?[\d.]+) +(-?[\d.]+) +(-?[\d.]+)$", text, re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(range(20))
    assert len({row[1] for row in rows}) == 20  # numbers that say something, no zeros
    assert number(text, "loops against engine:") < 1e-14
    assert number(text, "loops against matrices:") < 1e-14
    assert number(text, "loops against differences:") < 1e-9
    assert "20 parameters, none wrong" in text
    assert number(text, "θ by hand against fit:") < 1e-14
    _, before, after = numbers(text, "one step with η =")
    assert after < before


@pytest.mark.examples
def test_study_hours(run):
    text = run("04_")
    for part in ("by hand\n", "by the engine\n"):
        first, second = text.partition(part)[2].splitlines()[:2]
        assert "ŷ = 0   ℓ = 100 " in first
        assert [number for number in numbers(first, "∂ℓ/∂") if number < 0] == [-40, -60, -20]
        assert numbers(second.replace("_0", "").replace("_1", ""), "one step:") == [0.4, 0.6, 0.2, 2.8, 51.84]
    assert "∂L/∂w_11 = a_1 δ_1 = 2·(−20) = −40" in text
    measured, foretold = re.findall("ℓ measured(.*)", text), re.findall("ℓ foretold(.*)", text)
    assert len(measured) == 3
    assert measured == foretold


@pytest.mark.examples
def test_xor(run):
    text = run("06_")
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
    text = run("08_")
    accuracies = [float(part) for part in re.findall(r"accuracy ([\d.]+)", text)]
    assert 0.6 <= accuracies[0] <= 0.9
    assert accuracies[1] >= 0.96
    assert accuracies[2] >= 0.96
    assert re.findall(r"(\d+) steps", text) == ["300", "2100", "2400"]
    assert len(re.findall(r"^ {4}[.#]{49}$", text, re.MULTILINE)) == 2 * 17


@pytest.mark.examples
def test_digits(run):
    pytest.importorskip("sklearn")
    text = run("12_")
    assert "6400 + 100 = 6500" in text
    assert "no better loss for 10 epochs" in text
    assert number(text, "Network: test accuracy") >= 0.97
    assert number(text, "MLPClassifier: test accuracy") >= 0.97


@pytest.mark.examples
def test_from_pytorch(run):
    for package in ("torch", "onnx", "onnxscript"):
        pytest.importorskip(package)
    text = run("from_pytorch")
    assert "activation=['silu'], output='softmax'" in text
    assert number(text, "largest difference of the probabilities:") < 1e-5
    assert number(text, "accuracy in PyTorch") == number(text, ", here") > 0.95
    before, after = numbers(text, "trained on for 50 epochs here: loss")
    assert after < before


@pytest.mark.examples
def test_from_pytorch_where_that_is_missing(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError\n", encoding="utf-8")
    (script,) = (script for script in SCRIPTS if script.name == "from_pytorch.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("This example needs PyTorch: pip install torch")


@pytest.mark.examples
def test_layer_language(run):
    text = run("09_")
    assert number(text, "largest difference in ∂L/∂θ:") < 1e-14
    assert number(text, "largest difference in θ:") < 1e-11
    by_layers, by_loops = numbers(text, " 200 ")
    assert by_layers == pytest.approx(by_loops, abs=1e-11)
    assert by_layers < 0.2
    assert number(text, "accuracy by layers:") == number(text, "accuracy by loops:") > 0.95


@pytest.mark.examples
def test_vanishing_gradients(run):
    text = run("10_")
    rows = re.findall(r"^ *(\d+) +(\S+) +(\S+) +#+ +(\S+) +#+$", text, re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(range(10, 0, -1))
    assert all(float(sigmoid) <= float(bound) for _, sigmoid, bound, _ in rows)
    assert float(rows[-1][1]) < 1e-6
    assert float(rows[-1][3]) > 0.1
    _, stuck, guessing = numbers(text, "sigmoid  loss")
    assert stuck == pytest.approx(math.log(2), abs=0.01)
    assert guessing < 0.65
    assert numbers(text, "relu     loss")[-1] > 0.95
    for remedy in ("batch normalisation", "layer normalisation", "skip connections"):
        assert number(text, f"  {remedy}:") < 1e-12
    _, stuck, guessing = numbers(text, "plain    loss")
    assert stuck == pytest.approx(math.log(2), abs=0.01)
    assert guessing < 0.65
    for remedy in ("batch", "layer", "skip"):
        assert numbers(text, f"  {remedy:8} loss")[-1] > 0.9


@pytest.mark.examples
def test_regressions(run):
    text = run("05_")
    assert number(text, "against least squares:") < 1e-9
    assert number(text, "against the loops:") < 1e-12
    assert number(text, "3 of 10 positive: ŷ =") == pytest.approx(0.3, abs=1e-6)
    assert abs(number(text, "b − ln(3/7) =")) < 1e-9
    assert numbers(text, "softmax ")[0] == 9
    assert numbers(text, "softmax ")[-1] > 0.95


@pytest.mark.examples
def test_circles(run):
    text = run("07_")
    rows = {int(hidden): (int(n), float(loss), float(share)) for hidden, n, loss, share in
            re.findall(r"^ *(\d) +(\d+) +([\d.]+) +([\d.]+)$", text, re.MULTILINE)}  # fmt: skip
    assert {hidden: row[0] for hidden, row in rows.items()} == {1: 5, 2: 9, 3: 13, 4: 17, 8: 33}
    assert rows[2][2] < 0.95  # two lines cannot go around
    assert rows[3][2] == rows[4][2] == rows[8][2] == 1
    rates = re.findall(r"^ *([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) +(\d+)$", text, re.MULTILINE)
    assert [float(row[0]) for row in rates] == [0.01, 0.1, 1, 100]
    late = [float(row[3]) for row in rates]
    assert late[0] > late[1] > late[2] < 0.05
    assert late[3] > math.log(2)  # worse than guessing, and it never settles:
    assert int(rates[3][4]) > 100 > int(rates[2][4])


@pytest.mark.examples
def test_remedies(run):
    text = run("11_")
    faults = text.partition("Also looked at")[0]
    assert "Input scale" in faults
    assert "Standardise" in faults
    assert "standardised: no findings" in text
    (training, validation, _), *cured = [
        numbers(text, f"\n{name} ") for name in ("none", "L2", "dropout", "early stopping")
    ]
    assert training < 0.2 < validation
    assert all(row[1] < validation for row in cured)
    unbounded, clipped = [row[-1] for row in (numbers(text, "clip_norm=None"), numbers(text, "clip_norm=0.05"))]
    assert clipped < unbounded
    for name in ("sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "lion", "adam, cosine", "adam, on_plateau"):
        assert number(text, f"  {name} ") < math.log(2)


@pytest.mark.examples
def test_ode(run):
    out = run("ode")
    for ratio in numbers(out, "ratios"):
        assert 12 < ratio < 20  # of the fourth order
    for method in ("RK45", "Radau"):
        assert number(out, f"{method} of SciPy: ") > 0
        assert (
            number(out, f"{method} of SciPy: {number(out, method + ' of SciPy: '):.0f} calls, apart from RK4 by") < 1e-7
        )
    np.testing.assert_allclose(numbers(out, "at rest")[:4], [0, 1, -1, -0.1], atol=0.15)
    assert max(numbers(out, "real parts")[:2]) < 0


@pytest.mark.examples
def test_sampler(run):
    out = run("sampler")
    means = {name: numbers(out, f"{name:10} mean") for name in ("Metropolis", "HMC", "simulator")}
    for name in ("Metropolis", "HMC"):
        np.testing.assert_allclose(means[name], means["simulator"], atol=0.01)
        assert 0.3 < number(out, f"{name:10} accepted") < 1


@pytest.mark.examples
def test_uncertainty(run):
    out = run("uncertainty")
    for name in ("digits", "wine"):
        alone, together = numbers(out, f"{name}: log loss of one")[:2]
        assert together < alone
    assert abs(number(out, "σ ") - 0.1) < 0.02
    for level in (50, 80, 90, 95):
        assert abs(number(out, f"{level} % intervals hold") - level) < 5
    among, gap = numbers(out, "members apart by")
    assert gap > 3 * among
