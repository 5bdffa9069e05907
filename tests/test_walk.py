"""walk: the loops engine's source, statement by statement, to the engine's own bits."""

import html
import json
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import mlp_jit
from mlp_jit import Adam, Network, fit
from mlp_jit.study import walk
from mlp_jit.study.page.record import xor_walk

ROOT = Path(mlp_jit.__file__).parents[1]
XOR = [[-1, -1], [-1, 1], [1, -1], [1, 1]], [0, 1, 1, 0]
RNG = np.random.default_rng(0)
X, CLASSES = RNG.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])

NETWORKS = {
    "xor": (Network([2, 2, 1], activation="tanh", output="sigmoid", dtype="float64", random_state=1), *XOR, {}),
    "float32, softmax, l2": (
        Network([3, 4, 3], activation="gelu", output="softmax", random_state=1), X, CLASSES, {"l2": 0.1}
    ),
    "normalised, skips, adam": (
        Network([3, 4, 4, 2], activation="silu", normalization=["batch", "layer"], skip=True, dtype="float64",
                random_state=1),
        X, X[:, :2], {"optimizer": "adam"},
    ),
    "huber, one sample": (Network([3, 2, 1], activation="selu", loss="huber", dtype="float64"), X[:1], [1.5], {}),
}  # fmt: skip


def results(steps, letter):
    """The last result of each place of a letter: (l, n, i, j) → number."""
    return {tuple(step.place[1:]): step.result for step in steps if step.place and step.place.letter == letter}


@pytest.fixture(params=NETWORKS)
def case(request):
    return NETWORKS[request.param]


def test_the_end_is_the_engines_to_the_last_bit(case):
    network, x, y, options = case
    steps = [*walk(network, x, y, learning_rate=0.3, **options)]
    trained = network.copy()
    fit(
        trained, np.asarray(x, network.dtype), y, **{"optimizer": "sgd", **options}, learning_rate=0.3,
        batch_size=len(x), epochs=1, shuffle=False, engine="loops",
    )  # fmt: skip
    for letter, arrays in (("w", trained.weights), ("b", trained.biases), ("γ", trained.gains)):
        updated = results([step for step in steps if step.tag == "E6"], letter)
        assert len(updated) == sum(array.size for array in arrays)
        for (l, _, i, j), value in updated.items():
            assert value == (arrays[l - 1][j] if i is None else arrays[l - 1][i, j])


def test_every_z_a_and_delta_is_the_traces(case):
    network, x, y, options = case
    steps, trace = [*walk(network, x, y, **options)], network.trace(np.asarray(x, network.dtype), y)
    for letter, layers in (("z", trace.z), ("a", trace.a[1:]), ("δ", trace.delta)):
        found = results(steps, letter)
        assert len(found) == sum(layer.size for layer in layers)
        for (l, n, _, j), value in found.items():
            assert value == layers[l - 1][n, j], letter


def test_the_loss_is_added_up_as_compiled_code_does():
    """In float64, though every ℓ is a float32: a literal with a point is one."""
    network, y = NETWORKS["float32, softmax, l2"][0], CLASSES
    *_, last = (step for step in walk(network, X, y) if step.text == "total += weight[n] * ell[n]")
    assert last.result / len(X) == network.gradient(X.astype(np.float32), y, engine="loops")[0]


def test_xor_is_walked_from_the_first_weighted_sum_to_the_last_updated_weight():
    steps = [*xor_walk()]
    assert (steps[0].tag, steps[0].text, steps[0].indices) == ("E1", "z[n, j] = b[j]", {"n": 0, "l": 1, "j": 0})
    assert (steps[-1].tag, steps[-1].text, str(steps[-1].place)) == ("E6", "theta[p] -= eta * g[p]", "b_1 (layer 2)")
    assert {step.tag for step in steps} == {f"E{n}" for n in range(1, 7)}
    (term,) = (step for step in steps if step.tag == "E1" and step.indices == {"n": 1, "l": 1, "i": 0, "j": 1})
    assert term.text == "z[n, j] += W[i, j] * a[n, i]"
    assert [(str(each.place), each.value) for each in term.operands] == [
        ("z_2 (layer 1, sample 2)", -0.2), ("w_12 (layer 1)", -0.4), ("a_1 (layer 0, sample 2)", -1.0)
    ]  # fmt: skip
    assert term.numbers == "(-0.2) += (-0.4) * (-1)"
    assert term.result == -0.2 + -0.4 * -1.0
    (way,) = (step for step in steps if step.indices == {"n": 3, "l": 2, "i": 1, "j": 0} and step.tag == "E3")
    assert way.text == "delta[n, i] += WT[j, i] * delta_out[n, j]"
    assert [str(each.place) for each in way.operands] == [
        "δ_2 (layer 1, sample 4)", "w_21 (layer 2)", "δ_1 (layer 2, sample 4)"
    ]  # fmt: skip


def test_a_step_stands_in_the_source_and_its_operands_in_it():
    for step in xor_walk():
        line = (ROOT / step.file).read_text(encoding="utf-8").splitlines()[step.line - 1]
        assert line.strip() == step.text
        names = [step.text[each.start : each.stop] for each in step.operands]
        assert all(re.fullmatch(r"\w+(\[[\w, ]+\])?", name) for name in names), names
        assert re.fullmatch(r"\w+(\[[\w, ]+\])? .?= .*", step.text)
        assert re.match(r" .?= ", step.text[step.target[1] :])


def test_a_result_is_what_the_operands_come_to():
    """Whatever the statement, from its text with numbers for names: `-0.2 += -0.4 * -1.0`."""
    checked = 0
    for step in xor_walk():
        if "(" in step.text:
            continue
        numbers, end = "", 0
        for each in step.operands:
            numbers, end = numbers + step.text[end : each.start] + repr(each.value), each.stop
        left, sign, right = re.split(r" (\S?=) ", numbers + step.text[end:])
        assert step.result == (eval(right) if sign == "=" else eval(f"{left} {sign[0]} ({right})")), step
        checked += 1
    assert checked > 100


def test_it_runs_as_far_as_it_is_asked_to():
    network = Network([40, 300, 300, 10], dtype="float64")  # 6 million statements
    first, second = islice(walk(network, np.ones((30, 40)), np.ones((30, 10))), 2)
    assert (first.indices["j"], second.indices["j"]) == (0, 1)


def test_nothing_is_changed_and_every_walk_is_the_same():
    network, adam = Network([2, 2, 1], dtype="float64", random_state=0), Adam()
    before, walked = network.params.copy(), walk(network, *XOR, optimizer=adam)
    assert [step.result for step in walked] == [step.result for step in walked]
    assert np.array_equal(network.params, before)
    assert (adam.t, adam.moments.size) == (0, 0)


def test_an_optimizer_goes_on_from_its_moments():
    network, adam = Network([2, 2, 1], dtype="float64", random_state=0), Adam()
    options = {"learning_rate": 0.3, "batch_size": 4, "epochs": 1, "shuffle": False, "engine": "loops"}
    fit(network, np.array(XOR[0], float), XOR[1], optimizer=adam, **options)
    walked = results(walk(network, *XOR, optimizer=adam, learning_rate=0.3), "b")
    fit(network, np.array(XOR[0], float), XOR[1], optimizer=adam, **options)
    assert walked[2, None, None, 0] == network.biases[1][0]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("net", [1, 2], 1), {}, "network: expected a Network, got 'net'"),
        ((Network([2, 1]), [1, 2, 3], 1), {}, "X"),
        ((Network([2, 1]), [1, 2], 1), {"learning_rate": 0}, "learning_rate"),
        ((Network([2, 1]), [1, 2], 1), {"l2": -1}, "l2"),
        ((Network([2, 1]), [1, 2], 1), {"optimizer": "newton"}, "optimizer"),
    ],
)
def test_bad_input_is_refused(arguments, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        walk(*arguments, **options)


def test_it_prints_statements_with_their_numbers():
    text = str(xor_walk())
    assert text.startswith("A step of training, 2-2-1, 4 samples, statement by statement")
    assert "forward_layer, line" in text
    line = next(line for line in text.splitlines() if "n 1  l 1  i 0  j 1" in line)
    assert " ".join(line.split()) == ("E1 n 1 l 1 i 0 j 1 z[n, j] += W[i, j] * a[n, i] (-0.2) += (-0.4) * (-1) → 0.2")
    assert "iterate over the walk" not in text


def test_a_long_walk_is_printed_in_part():
    text = str(walk(Network([20, 20, 2]), np.ones((3, 20)), np.ones((3, 2))))
    assert len(text.splitlines()) < 500
    assert text.endswith("400 statements are printed; iterate over the walk for all of them.")


def test_in_a_notebook_it_is_a_page_of_its_own_that_asks_for_nothing():
    frame = xor_walk()._repr_html_()
    (page,) = re.findall(r'^<iframe srcdoc="([^"]*)"', frame)
    page = html.unescape(page)
    assert "default-src 'none'" in page
    assert not re.findall(r"<(?:link|img|iframe|script)\b[^>]*\b(?:src|href)=", page)
    record = json.loads(re.search(r'id="record">(.*?)</script>', page)[1])
    assert [step["result"] for step in record["steps"]] == [step.result for step in xor_walk()]


def test_a_wide_network_shows_as_text():
    shown = walk(Network([20, 20, 2]), np.ones((3, 20)), np.ones((3, 2)))._repr_html_()
    assert shown.startswith("<pre>")
    assert "z[n, j] += W[i, j] * a[n, i]" in shown


def test_the_readmes_walk(capsys):
    readme = (ROOT / "docs/guide/study.md").read_text(encoding="utf-8")
    code, shown = re.search(
        r"```python\n(from mlp_jit.study import walk\n.*?)```\n\n```\n(.*?)```", readme, re.S
    ).groups()
    net = Network([3, 2, 1], activation="relu", output="sigmoid", dtype="float64")
    net.weights[0][:], net.biases[0][:] = [[0.5, -0.2], [0.8, 0.6], [-0.3, 0.4]], [0.1, -0.5]
    exec(code, {"net": net, "x": [3, 1, 0.8], "y": 1})
    assert capsys.readouterr().out.startswith(shown)
