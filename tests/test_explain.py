"""explain: the documents' numbers in the documents' form, and nothing printed that the engine did not compute."""

import math
import re
import sys

import numpy as np
import pytest

from mlp_jit import SGD, Adam, Network, fit
from mlp_jit.activations import HIDDEN, OUTPUTS
from mlp_jit.losses import LOSSES
from mlp_jit.study import explain

XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]


def spam():
    net = Network([3, 2, 1], activation="relu", output="sigmoid", dtype="float64")
    net.weights[0][:], net.biases[0][:] = [[0.5, -0.2], [0.8, 0.6], [-0.3, 0.4]], [0.1, -0.5]
    net.weights[1][:], net.biases[1][:] = [[0.7], [1.2]], [-0.3]
    return net


def study_hours():
    net = Network([2, 1], loss="squared_error", dtype="float64")
    net.params[:] = 0
    return net


def lines(text):
    return [line.strip() for line in text.splitlines()]


# ------------------------------------------------------------------------------------ the documents' numbers


def test_spam():
    explanation = explain(spam(), [3, 1, 0.8], 1)
    text = lines(str(explanation))
    assert "E1  z_1 = b_1 + Σ_i w_i1 a_i = 0.1 + 0.5·3 + 0.8·1 − 0.3·0.8 = 2.16" in text
    assert "E1  z_2 = b_2 + Σ_i w_i2 a_i = −0.5 − 0.2·3 + 0.6·1 + 0.4·0.8 = −0.18" in text
    assert "E1  a_2 = relu(z_2) = max(z_2, 0) = max(−0.18, 0) = 0" in text
    assert "E1  z_1 = b_1 + Σ_i w_i1 a_i = −0.3 + 0.7·2.16 + 1.2·0 = 1.212" in text
    assert "E1  a_1 = sigmoid(z_1) = 1/(1 + e^(−z_1)) = 1/(1 + e^(−1.212)) = 0.7707" in text
    assert "E2  δ_1 = ŷ_1 − y_1 = 0.7707 − 1 = −0.2293" in text
    assert "E3  δ_1 = φ'(z_1) Σ_j w_1j δ_j = 1·(0.7·(−0.2293)) = −0.1605" in text
    assert "E4  ∂L/∂w_11 = a_1 δ_1 = 3·(−0.1605) = −0.4816" in text
    assert explanation.trace.a[2][0, 0] == pytest.approx(1 / (1 + math.exp(-1.212)), abs=1e-15)


def test_study_hours():
    text = lines(str(explain(study_hours(), [2, 3], 10, learning_rate=0.01)))
    assert "E2  ℓ = (ŷ_1 − y_1)² = (0 − 10)² = 100" in text
    assert [line for line in text if line.startswith(("E4", "E5"))] == [
        "E4  ∂L/∂w_11 = a_1 δ_1 = 2·(−20) = −40",
        "E4  ∂L/∂w_21 = a_2 δ_1 = 3·(−20) = −60",
        "E5  ∂L/∂b_1 = δ_1 = −20",
    ]
    assert "E6  w_11 ← w_11 − η ∂L/∂w_11 = 0 − 0.01·(−40) = 0.4" in text
    assert "E6  w_21 ← w_21 − η ∂L/∂w_21 = 0 − 0.01·(−60) = 0.6" in text
    assert "E6  b_1 ← b_1 − η ∂L/∂b_1 = 0 − 0.01·(−20) = 0.2" in text
    assert re.search(r"^L +100 +51.84$", "\n".join(text), re.MULTILINE)
    assert re.search(r"^ŷ_1 +0 +2.8$", "\n".join(text), re.MULTILINE)


def test_xor_set_by_hand():
    net = Network([2, 8, 1], activation="relu", dtype="float64")
    net.params[:] = 0
    net.weights[0][:, :2], net.biases[0][1], net.weights[1][:2, 0] = 1, -1, (1, -2)
    text = str(explain(net, *XOR))
    found = re.findall(r"Sample (\d): forward, layer 2.*\n.*= (\S+)\n +E1  a_1 = z_1 = (\d)", text)
    assert found == [("1", "0", "0"), ("2", "1", "1"), ("3", "1", "1"), ("4", "0", "0")]
    assert "z_2 = b_2 + Σ_i w_i2 a_i = −1 + 1·1 + 1·1 = 1" in text
    assert "shown" not in text  # all of it is


# ------------------------------------------------------------------------------------ the engine's numbers


@pytest.mark.parametrize("optimizer", ["sgd", "adam", SGD(momentum=0.9)])
def test_the_numbers_are_the_loops_engines(optimizer):
    X, y = np.random.default_rng(0).normal(size=(5, 3)), [0, 1, 1, 0, 2]
    net = Network([3, 4, 3], activation="gelu", output="softmax", dtype="float64", random_state=0)
    before = net.params.copy()
    explanation = explain(net, X, y, optimizer=optimizer, learning_rate=0.3)
    np.testing.assert_array_equal(net.params, before)
    trace = net.trace(X, y)
    for mine, its in ((explanation.trace.z, trace.z), (explanation.trace.delta, trace.delta)):
        for a, b in zip(mine, its, strict=True):
            np.testing.assert_array_equal(a, b)
    for n in range(5):
        assert explanation.ell[n] == net.loss(X[n : n + 1], y[n : n + 1], engine="loops")
    fit(net, X, y, optimizer=optimizer, learning_rate=0.3, epochs=1, shuffle=False, engine="loops")
    np.testing.assert_array_equal(explanation.after.params, net.params)


def test_an_optimizer_goes_on_from_its_moments_and_keeps_them():
    net, adam = study_hours(), Adam()
    fit(net, [[2, 3]], [10], optimizer=adam, epochs=3, engine="loops")
    moments, t = adam.moments.copy(), adam.t
    explanation = explain(net, [2, 3], 10, optimizer=adam, learning_rate=0.5)
    assert adam.t == t
    np.testing.assert_array_equal(adam.moments, moments)
    fit(net, [[2, 3]], [10], optimizer=adam, learning_rate=0.5, epochs=1, engine="loops")
    np.testing.assert_array_equal(explanation.after.params, net.params)
    assert "Update by Adam, η = 0.5, layer 1" in str(explanation)


FUNCTIONS = {
    "σ": lambda z: 1 / (1 + math.exp(-z)),
    "Φ": lambda z: (1 + math.erf(z / math.sqrt(2))) / 2,
    "N": lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    "sign": lambda r: (r > 0) - (r < 0),
    "huber": lambda r: r * r / 2 if abs(r) <= 1 else abs(r) - 0.5,
    "quantile": lambda r: 0.5 * abs(r),
    "exp": math.exp,
    "tanh": math.tanh,
    "ln": math.log,
    "sqrt": math.sqrt,
    "abs": abs,
    "max": max,
    "min": min,
}


def worth(numbers):
    """What the numbers of an equation come to."""
    for old, new in (
        ("−", "-"),
        ("·", "*"),
        ("²", "**2"),
        ("≥", ">="),
        ("≤", "<="),
        ("√", "sqrt"),
        ("e^", "exp"),
        ("[", "("),
        ("]", ")"),
    ):
        numbers = numbers.replace(old, new)
    return eval(re.sub(r"\|([^|]*)\|", r"abs(\1)", numbers), {"__builtins__": {}}, FUNCTIONS)


def assert_adds_up(text):
    """Every line's numbers come to its value."""
    checked = 0
    for line in text.splitlines():
        if re.match(r" +E\d", line):
            *_, numbers, value = re.split(r" [=←] ", line)
            if not re.search(r"[a-zŷδφ]_", numbers):  # letters only, where numbers and value are the same
                assert worth(numbers) == pytest.approx(worth(value), rel=5e-3, abs=5e-3), line
                checked += 1
    assert checked >= 20


@pytest.mark.parametrize("activation", HIDDEN)
def test_what_is_printed_adds_up_for_each_activation(activation):
    net = Network([2, 3, 2, 1], activation=activation, output="identity", dtype="float64", random_state=3)
    net.params += np.random.default_rng(1).normal(0, 0.7, net.n_params)
    assert_adds_up(str(explain(net, [0.7, -1.3], 0.4)))


@pytest.mark.parametrize(
    ("loss", "output"), [(loss.name, output) for loss in LOSSES.values() for output in loss.outputs]
)
def test_what_is_printed_adds_up_for_each_loss(loss, output):
    net = Network([2, 2, 2], activation="tanh", output=output, loss=loss, dtype="float64", random_state=3)
    net.params += np.random.default_rng(1).normal(0, 0.5, net.n_params)
    assert_adds_up(str(explain(net, [[0.7, -1.3], [0.2, 0.4], [-1, 0.6]], [[0, 1], [1, 0], [0, 1]])))


def deep(normalization, **options):
    """2-3-3-3-1 with skips, a batch of four, and its explanation."""
    net = Network([2, 3, 3, 3, 1], activation="tanh", output="sigmoid", normalization=normalization, skip=True,
                  dtype="float64", random_state=0)  # fmt: skip
    net.params += np.random.default_rng(1).normal(0, 0.3, net.n_params)
    X, y = [[0.7, -1.3], [0.2, 0.4], [-1, 0.6], [1.5, 0.9]], [0, 1, 1, 0]
    return net, X, y, explain(net, X, y, **options)


@pytest.mark.parametrize("normalization", ["batch", "layer", ["layer", None, "batch"]])
def test_normalised_and_skipped_layers_add_up(normalization):
    explanation = deep(normalization, l2=0.1, optimizer="adam")[-1]
    text = str(explanation)
    assert_adds_up(text)
    found = {tag for tag in re.findall(r"^ +(E\d+) ", text, re.MULTILINE)}
    assert found == {f"E{number}" for number in range(1, 11)}
    for layer in (1, 2, 3):
        assert_adds_up(str(explanation.unit(layer, 2, 3)) + "\n" + text)


def test_the_equations_of_a_batch_normalised_layer():
    net, X, y, explanation = deep("batch")
    trace, text = net.trace(X, y), lines(str(explanation))
    s = trace.s[0][:, 1]
    assert "Batch normalisation: ⟨·⟩ is the mean over the 4 samples of the batch." in text
    assert any(line.startswith("E7  s_2 = Σ_i w_i2 a_i = ") for line in text)
    assert any(line.startswith("E7  μ_2 = ⟨s_2⟩ = 1/4·(") and line.endswith(shown(s.mean())) for line in text)
    assert any(line.startswith("E7  v_2 = ⟨(s_2 − μ_2)²⟩ = ") and line.endswith(shown(s.var())) for line in text)
    assert f"E7  r_2 = 1/√(v_2 + ε) = 1/√({s.var():.4g} + 1e-05) = {(s.var() + 1e-5) ** -0.5:.4g}" in text
    for letters, value in (
        ("ŝ_2 = r_2·(s_2 − μ_2)", trace.normal[0][0, 1]),
        ("z_2 = b_2 + γ_2 ŝ_2", trace.z[0][0, 1]),
    ):
        assert any(line.startswith(f"E7  {letters} = ") and line.endswith(shown(value)) for line in text)
    value = trace.delta_s[0][0, 1]
    assert any(
        line.startswith("E8  ∂ℓ/∂s_2 = r_2·(e_2 − ⟨e_2⟩ − ŝ_2 ⟨e_2 ŝ_2⟩) = ") and line.endswith(shown(value))
        for line in text
    )
    value = trace.gain_gradients[0][1]
    assert any(line.startswith("E9  ∂L/∂γ_2 = 1/N Σ_n ŝ_2 δ_2 = ") and line.endswith(shown(value)) for line in text)
    assert any(line.startswith("E6  γ_2 ← γ_2 − η ∂L/∂γ_2 = ") for line in text)


def test_the_equations_of_a_layer_normalised_layer():
    net, X, y, explanation = deep("layer")
    trace, unit = net.trace(X, y), lines(str(explanation.unit(2, 3, 4)))
    s = trace.s[1][3]
    assert "Layer normalisation: ⟨·⟩ is the mean over the 3 units of the layer." in unit
    assert any(line.startswith("E7  μ = ⟨s⟩ = 1/3·(") and line.endswith(shown(s.mean())) for line in unit)
    assert any(line.startswith("E7  ŝ_3 = r·(s_3 − μ) = ") for line in unit)
    start = "E8  ∂ℓ/∂s_3 = r·(e_3 − ⟨e⟩ − ŝ_3 ⟨e ŝ⟩) = "
    assert any(line.startswith(start) and line.endswith(shown(trace.delta_s[1][3, 2])) for line in unit)


def test_the_equations_of_a_skip():
    net, X, y, explanation = deep(None)
    trace, text = net.trace(X, y), str(explanation)
    a, h = trace.a, trace.h
    for l, before in ((2, "a¹_2"), (3, "h²_2")):
        start = f"E10 h{'⁰¹²³'[l]}_2 = a{'⁰¹²³'[l]}_2 + {before} = {shown(a[l][0, 1])} "
        line = next(line for line in lines(text) if line.startswith(start))
        assert line.endswith(f" = {shown(h[l][0, 1])}")
        assert shown(abs(h[l - 1][0, 1])) in line
    assert "E1  z_2 = b_2 + Σ_i w_i2 h_i = " in text  # of layer 3
    assert "E4  ∂L/∂w_12 = 1/N Σ_n h_1 δ_2 = " in text
    assert "E10 ∂ℓ/∂h³_2 = Σ_j w_2j δ_j = " in text
    assert "E10 ∂ℓ/∂h²_2 = ∂ℓ/∂h³_2 + Σ_j w_2j δ_j = " in text
    assert f"E3  δ_2 = φ'(z_2) ∂ℓ/∂h²_2 = {shown(1 - a[2][0, 1] ** 2)}·" in text


def shown(value):
    return f"{value:.4g}".replace("-", "−")


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_the_losses_and_the_step_are_those_of_training(normalization):
    net, X, y, explanation = deep(normalization, l2=0.1, learning_rate=0.5)
    loss, gradient = net.gradient(X, y, l2=0.1, engine="loops")
    assert explanation.trace.loss == loss
    penalty = 0.1 / 2 * sum(np.sum(W * W) for W in net.weights)
    assert explanation.ell.mean() + penalty == pytest.approx(loss, rel=1e-12)
    parts = zip(
        explanation.trace.weight_gradients, explanation.trace.bias_gradients, explanation.trace.gain_gradients,
        strict=True,
    )  # fmt: skip
    flat = [part.ravel() for layer in parts for part in layer if part is not None]
    np.testing.assert_array_equal(np.concatenate(flat), gradient)
    fit(net, X, y, optimizer="sgd", learning_rate=0.5, l2=0.1, epochs=1, shuffle=False, engine="loops")
    np.testing.assert_array_equal(explanation.after.params, net.params)


def test_of_a_sample_alone_batch_normalisation_leaves_nothing():
    net, *_ = deep("batch")
    explanation = explain(net, [0.7, -1.3], 1)
    assert not explanation.trace.normal[0].any()
    assert "E7  ŝ_1 = r_1·(s_1 − μ_1) = " in str(explanation)
    assert "the mean over the one sample of the batch" in str(explanation)


def test_weights_of_samples():
    X, y, weight = [[0.7, -1.3], [0.2, 0.4], [-1, 0.6]], [0.5, -1, 2], [1, 2, 0.5]
    net = Network([2, 3, 1], activation="tanh", normalization="layer", dtype="float64", random_state=0)
    explanation = explain(net, X, y, sample_weight=weight, learning_rate=0.1)
    loss, gradient = net.gradient(X, y, sample_weight=weight, engine="loops")
    assert np.average(explanation.ell, weights=weight) == pytest.approx(loss, rel=1e-12)
    assert explanation.trace.loss == loss
    assert_adds_up(str(explanation))
    assert "E5  ∂L/∂b_1 = 1/N Σ_n weight_n δ_1 = 1/3.5·(1·" in str(explanation)
    np.testing.assert_array_equal(explanation.trace.bias_gradients[-1], gradient[-1:])
    batch = Network([2, 3, 1], normalization="batch", random_state=0)
    with pytest.raises(ValueError, match="sample_weight: expected none with batch normalisation"):
        explain(batch, X, y, sample_weight=weight)


def test_every_activation_and_loss_has_its_formula():
    from mlp_jit.study import formulas

    pairs = {name for name, pair in (HIDDEN | OUTPUTS).items() if pair.phi}
    assert set(formulas.PHI) == set(formulas.SLOPE) == pairs
    assert set(formulas.ELL) == set(formulas.DELTA) == set(LOSSES)


# ------------------------------------------------------------------------------------ large networks, bad input


def test_a_large_network_is_shown_in_part_and_says_so():
    net = Network([64, 100, 10], output="softmax", random_state=0)
    X = np.random.default_rng(0).normal(size=(6, 64))
    explanation = explain(net, X, range(6))
    text = str(explanation)
    assert len(text.splitlines()) < 500
    assert "6 samples, 4 of 6 shown" in text
    assert "64 → 100 units, 8 of 100 shown" in text
    assert "Gradient, layer 1, 24 of 6,500 shown" in text
    unit = str(explanation.unit(1, 77, 6))
    assert unit.startswith("Layer 1, unit 77, sample 6")
    assert f"= {explanation.trace.z[0][5, 76]:.4g}".replace("-", "−") in unit
    assert "w_64,77" not in unit
    assert "w_i,77" in unit


def test_bad_input():
    net = study_hours()
    with pytest.raises(TypeError, match="network: expected a Network"):
        explain("net", [2, 3], 10)
    with pytest.raises(ValueError, match=r"expected shape \(n_samples, 2\)"):
        explain(net, [2, 3, 4], 10)
    with pytest.raises(ValueError, match="learning_rate"):
        explain(net, [2, 3], 10, learning_rate=0)
    with pytest.raises(ValueError, match="optimizer: expected one of sgd"):
        explain(net, [2, 3], 10, optimizer="newton")
    with pytest.raises(ValueError, match="expected a layer up to 1"):
        explain(net, [2, 3], 10).unit(2, 1)


# ------------------------------------------------------------------------------------ the other forms


def test_html():
    assert "1/√(v<sub>2</sub> + ε)" in deep("batch")[3]._repr_html_()
    html = explain(spam(), [3, 1, 0.8], 1)._repr_html_()
    assert "b<sub>1</sub> + Σ<sub>i</sub> w<sub>i1</sub> a<sub>i</sub>" in html
    assert "[−0.18 &gt; 0]" in html
    tags = re.findall(r"<(/?)(\w+)", html)
    assert sum(1 if not slash else -1 for slash, _ in tags) == 0
    assert not re.search(r"[_^]\{|\\", html)


def test_latex():
    explanation = explain(Network([2, 2, 2], activation="leaky_relu", output="softmax", random_state=0), [1, 2], 1)
    assert_latex(explanation, r"z_{1} = b_{1} + \sum_{i} w_{i1} a_{i} =")
    assert_latex(deep("batch")[3], r"r_{2} = 1/\sqrt{v_{2} + \varepsilon} =")


def assert_latex(explanation, line):
    latex = explanation.to_latex()
    assert line in latex
    assert latex.count("{") == latex.count("}")
    assert explanation._repr_latex_() == f"$$\n{latex}\n$$"
    converter = pytest.importorskip("latex2mathml.converter")
    for line in latex.splitlines()[1:-1]:
        assert converter.convert(line.strip("&\\ ")).startswith("<math")


def test_powers_of_ten():
    from mlp_jit.study.document import math_to_html, math_to_latex, math_to_text

    assert math_to_text(r"-1.2e-05 \cdot x_{1}^{2}") == "−1.2e-05·x_1²"
    assert math_to_html(r"-1.2e-05 \cdot x_{1}") == "−1.2·10<sup>−5</sup>·x<sub>1</sub>"
    assert math_to_latex("1.2e-05 + 3e+10") == r"1.2 \cdot 10^{-5} + 3 \cdot 10^{10}"


def test_show(capsys, monkeypatch):
    explanation = explain(study_hours(), [2, 3], 10)
    pytest.importorskip("rich")
    explanation.show()
    assert capsys.readouterr().out.rstrip() == str(explanation).rstrip()
    monkeypatch.setenv("FORCE_COLOR", "1")
    explanation.show()
    coloured = capsys.readouterr().out
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured).rstrip() == str(explanation).rstrip()
    monkeypatch.setitem(sys.modules, "rich.console", None)  # not installed
    explanation.show()
    assert capsys.readouterr().out == f"{explanation}\n"
