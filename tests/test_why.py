"""Explanation.why: each link of the chain rule adds up, and the end is the engine's ∂L/∂w."""

import re

import numpy as np
import pytest
from test_explain import worth

from mlp_jit import Network
from mlp_jit.losses import LOSSES
from mlp_jit.study import explain

X, ONE_HOT = [[0.7, -1.3, 0.2], [0.2, 0.4, -1], [-1, 0.6, 0.5]], [[0, 1], [1, 0], [0, 1]]


def explanation(output="sigmoid", loss=None, **options):
    net = Network([3, 2, 3, 2], activation="tanh", output=output, loss=loss, dtype="float64", random_state=3, **options)
    net.params += np.random.default_rng(1).normal(0, 0.5, net.n_params)
    return explain(net, X, ONE_HOT, l2=0.1)


def values(text, name):
    """The number at the end of each line for a name."""
    found = re.findall(rf"^ +E\d  {re.escape(name)} = (?:.* )?(−?\d[\d.e+-]*)$", text, re.MULTILINE)
    return [float(number.replace("−", "-")) for number in found]


def assert_adds_up(text):
    """Every line's numbers come to its value."""
    checked = 0
    for line in text.splitlines():
        parts = re.split(r" = (?![^\[]*\])", line)
        if re.match(r" +E\d", line) and len(parts) > 2 and not re.search(r"[a-zŷŝδφμ⟨Σ][_⟩⁰¹²³ ]|/M", parts[-2]):
            assert worth(parts[-2].replace("⁻", "-")) == pytest.approx(worth(parts[-1]), rel=5e-3, abs=5e-3), line
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize(
    ("loss", "output"), [(loss.name, output) for loss in LOSSES.values() for output in loss.outputs]
)
def test_every_link_adds_up_for_each_loss_and_the_end_is_the_engines(loss, output):
    step = explanation(output, loss)
    for l, i, j, n in ((1, 3, 2, 1), (2, 1, 3, 2), (3, 2, 2, 3)):
        text = str(step.why(l, i, j, n))
        assert_adds_up(text)
        assert values(text, f"∂L/∂w_{i}{j}")[-1] == pytest.approx(
            step.trace.weight_gradients[l - 1][i - 1, j - 1], rel=1e-3
        )
        error = step.trace.delta[l - 1][n - 1, j - 1]
        raised = "⁰¹²³"[l]
        found = [*values(text, f"δ{raised}_{j}"), *values(text, f"δ_{j}" if l == 3 else "no such line")]
        assert found[-1] == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_the_derivation_of_normalisation_adds_up_to_what_the_engine_computed(kind):
    step = explanation(normalization=kind)
    text = str(step.why(2, 1, 3, 2))
    assert_adds_up(text)
    found = values(text, "∂ℓ/∂s²_3")
    assert found == pytest.approx([step.trace.delta_s[1][1, 2]] * 2, rel=1e-3)  # by the sum of the ways, and by E8


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_the_ways_through_every_normalised_sum_are_its_derivatives(kind):
    """∂ŝ_m/∂s_n as printed, beside a difference."""
    step = explanation(normalization=kind)
    s = step.trace.s[0][:, 1] if kind == "batch" else step.trace.s[0][1]

    def normalized(s):
        return (s - s.mean()) / np.sqrt(s.var() + 1e-5)

    moved = s.copy()
    moved[1] += 1e-6  # sample 2, or unit 2
    slopes = (normalized(moved) - normalized(s)) / 1e-6
    text = str(step.why(1, 1, 2, 2))
    for m, slope in enumerate(slopes, start=1):
        assert values(text, f"∂ŝ_{m}/∂s_2")[0] == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_softmax_with_cross_entropy_is_derived():
    step = explanation("softmax")
    text = str(step.why(3, 1, 1, 2))
    a = step.trace.a[-1][1]
    assert values(text, "∂ŷ_1/∂z³_1") == pytest.approx([a[0] * (1 - a[0])], rel=1e-3)
    assert values(text, "∂ŷ_2/∂z³_1") == pytest.approx([-a[0] * a[1]], rel=1e-3)
    assert "δ³_1 = Σ_k (− y_k / ŷ_k)·∂ŷ_k/∂z³_1 = ŷ_1 Σ_k y_k − y_1" in text


def test_it_is_a_part_of_explain_where_it_is_asked_for():
    net = Network([2, 2, 1], dtype="float64", random_state=0)
    title = "Why: from L back to w_11 of layer 1, by the chain rule, sample 1"
    assert title in str(explain(net, [1, 2], 1, why=True))
    assert title not in str(explain(net, [1, 2], 1))
    asked = explain(net, [1, 2], 1, why=True)
    assert "∂z<sup>1</sup><sub>1</sub>" in asked._repr_html_()
    assert r"\partial \ell/\partial w^{1}_{11}" in asked.to_latex()


def test_what_is_not_there_is_refused():
    net = Network([2, 2, 1], dtype="float64")
    with pytest.raises(ValueError, match="layer 1, input 3, unit 1, sample 1"):
        explain(net, [1, 2], 1).why(1, 3)
    with pytest.raises(ValueError, match="layer"):
        explain(net, [1, 2], 1).why(0)
    skipping = Network([2, 2, 2, 1], skip=True, dtype="float64")
    with pytest.raises(ValueError, match="without skip connections"):
        explain(skipping, [1, 2], 1, why=True)
    with pytest.raises(ValueError, match="without skip connections"):
        explain(skipping, [1, 2], 1).why()
