"""The study page without a browser: what it records, and how the one file is made."""

import base64
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import finish, start

from mlp_jit import Network, fit
from mlp_jit.activations import HIDDEN
from mlp_jit.study.page import build, notebook
from mlp_jit.study.page.data import DATASETS, dataset
from mlp_jit.study.page.record import RANGES, RUNS, Setting
from mlp_jit.study.page.record import record as record_all

FOLDER = Path(build.__file__).parent


@pytest.fixture(scope="module")
def record():
    return record_all()


def array(text):
    return np.frombuffer(base64.b64decode(text))


def recorded(record, title):
    (run,) = (run for run in record["runs"] if run["title"] == title)
    return run, array(run["params"]).reshape(run["epochs"] + 1, -1), array(run["losses"])


def right(setting, params):
    """The fraction of samples on the right side."""
    X, y = dataset(setting.dataset)
    network = setting.network()
    network.params[:] = params
    return np.mean((network.forward(X)[:, 0] >= 0.5) == y)


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_the_same_each_time_has_both_classes_and_can_be_read(name):
    X, y = dataset(name)
    again, _ = dataset(name)
    assert X.shape == (200, 2)
    assert np.array_equal(X, again)
    assert np.array_equal(X, X.round(2))
    assert 0.3 < np.mean(y) < 0.7
    assert set(y) == {0, 1}


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="xor"):
        dataset("swiss roll")


def test_the_record_is_json_without_gaps(record):
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.mark.parametrize("number", range(len(RUNS)), ids=[run[0] for run in RUNS])
def test_a_recorded_run_is_what_its_setting_gives(record, number):
    title, _, setting, epochs = RUNS[number]
    _, params, losses = recorded(record, title)
    assert len(losses) == epochs + 1
    X, y = dataset(setting.dataset)
    network = setting.network()
    assert np.array_equal(network.params, params[0])
    fit(
        network, X, y, optimizer="sgd", learning_rate=setting.learning_rate, batch_size=setting.batch_size,
        l2=setting.l2, epochs=3, engine="vectorized", random_state=setting.seed,
    )  # fmt: skip
    np.testing.assert_allclose(network.params, params[3], rtol=1e-9, atol=1e-9)
    assert network.gradient(X, y, l2=setting.l2, engine="vectorized")[0] == pytest.approx(losses[3], rel=1e-9)


def test_the_recorded_runs_come_to_what_is_said_of_them(record):
    last = {title: right(setting, recorded(record, title)[1][-1]) for title, _, setting, _ in RUNS}
    for title in ("XOR, four units", "Circles, four units", "Spirals, two layers"):
        assert last[title] == 1
    assert last["Circles, two units"] < 0.9
    assert min(last["Moons, batches of 16"], last["Quadrants, two layers"]) > 0.9


@pytest.mark.parametrize("seed", range(10))
def test_two_units_fail_on_the_circles_from_every_seed(seed):
    setting = replace(RUNS[1][2], seed=seed)
    X, y = dataset(setting.dataset)
    network = setting.network()
    fit(network, X, y, optimizer="sgd", learning_rate=0.3, batch_size=200, epochs=2000, random_state=seed)
    assert right(setting, network.params) < 0.9


def test_a_rate_of_100_thrashes(record):
    losses = recorded(record, "η = 100")[2]
    assert np.mean(np.diff(losses) > 0) > 0.4  # up as often as down
    assert losses[1:].min() > losses[0]  # never again as low as at the start


def test_the_gallery_has_every_activation_from_the_engine(record):
    assert [activation["name"] for activation in record["activations"]] == list(HIDDEN)
    z = np.linspace(-6, 6, 241)
    for activation in record["activations"]:
        assert activation["limit"] == 6
        network = Network([1, 1, 1], activation=activation["name"], dtype="float64")
        network.params[:] = 1, 0, 1, 0
        np.testing.assert_allclose(activation["phi"], network.forward(z[:, None])[:, 0], rtol=1e-12, atol=1e-12)
        assert activation["formulas"][0].startswith("φ(z) = ")
        assert activation["formulas"][1].startswith("φ'(z) = ")


def test_the_steepest_slopes(record):
    steepest = {activation["name"]: activation["steepest"] for activation in record["activations"]}
    expected = {"sigmoid": 0.25, "tanh": 1, "relu": 1, "gelu": 1.12890, "silu": 1.09984, "softplus": 1, "step": 0,
                "identity": 1, "leaky_relu": 1, "elu": 1, "selu": 1.0507009873554805 * 1.6732632423543772,
                "hard_sigmoid": 1 / 6, "hard_tanh": 1}  # fmt: skip
    for name, slope in expected.items():
        assert steepest[name] == pytest.approx(slope, abs=1e-5), name
    assert 1.498 < steepest["hard_silu"] <= 1.5  # 1.5 is the limit at z = 3, where the slope jumps to 1


@pytest.mark.parametrize("name", RANGES)
def test_a_range_is_what_phi_takes(name):
    z = np.concatenate([np.linspace(-50, 50, 20001), [-1e6, 1e6]])
    values = np.array([HIDDEN[name].phi(z_j) for z_j in z])
    low, high = (number.strip(" []{}()") for number in RANGES[name].replace("−", "-").split(","))
    for bound, found in ((low, values.min()), (high, values.max())):
        if bound.endswith("∞"):
            assert abs(found) >= 1e4, name
        else:
            assert float(bound) == pytest.approx(found, abs=6e-4), name


def test_the_gradient_vanishes_through_sigmoids_and_not_through_relus(record):
    measured = record["vanishing"]["default"]
    assert 1e-7 < measured["sigmoid"][9][0] < 1e-5  # ten layers: about a millionth
    assert measured["relu"][9][0] > 0.1
    for parts in measured.values():
        assert [len(depth) for depth in parts] == list(range(1, 21))
    orthogonal = record["vanishing"]["orthogonal"]["sigmoid"]
    for depth, parts in enumerate(orthogonal, start=1):  # the sums keep the length of δ: what is left is φ' ≤ 1/4
        assert all(part <= 0.25 ** (depth - l) * 1.001 for l, part in enumerate(parts))


def test_the_vanishing_gradient_is_the_trace(record):
    X, y = dataset("quadrants")
    network = Network([2, *[16] * 5, 1], activation="tanh", output="sigmoid", dtype="float64", random_state=0)
    lengths = [np.linalg.norm(delta) for delta in network.trace(X, y).delta]
    np.testing.assert_allclose(
        record["vanishing"]["default"]["tanh"][4], np.array(lengths[:-1]) / lengths[-1], rtol=1e-3
    )


def test_the_page_is_one_small_file_that_asks_for_nothing(record):
    text = build.page(record)
    assert len(text.encode()) < 3_000_000
    assert "default-src 'none'" in text
    addresses = set(re.findall(r"\b(?:https?|wss?):[^\s\"'<>]*|\burl\([^)]*\)", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nothing opens
    assert not re.findall(r"<(?:link|img|iframe|script)\b[^>]*\b(?:src|href)=", text)
    assert "<!--" not in text.replace("<!DOCTYPE", "")


def test_an_end_tag_in_the_record_is_refused(record):
    with pytest.raises(ValueError, match="RECORD"):
        build.page({**record, "versions": "</script>"})


def test_every_javascript_file_is_a_module_of_the_page():
    assert {path.stem for path in FOLDER.glob("*.js")} == set(build.MODULES)
    for position, name in enumerate(build.MODULES):
        needed = re.findall(r'^import \{[^}]*\} from "\./(\w+)\.js";$', build.source(f"{name}.js"), re.MULTILINE)
        assert set(needed) <= set(build.MODULES[:position]), name
    assert "\nimport " not in build.script()
    assert build.script().count("\nexport ") == 1


@pytest.mark.parametrize(
    "name", ["page.css", "walk.css", "page.html", "alone.html", *(f"{name}.js" for name in build.MODULES)]
)
def test_a_file_of_the_page_can_be_read_in_one_sitting(name):
    text = build.source(name)
    assert len(text.encode()) < 24_000
    assert max(map(len, text.splitlines())) <= 120


def test_the_port_cites_each_equation():
    assert re.findall(r"^// (E[1-6]): ", build.source("loops.js"), re.MULTILINE)[:6] == [f"E{n}" for n in range(1, 7)]


def test_the_style_touches_nothing_else_in_a_notebook():
    rules = re.sub(r"/\*.*?\*/|@media[^{]*", "", build.style(), flags=re.DOTALL)
    for selectors in re.findall(r"([^{}]+)\{", rules):
        for selector in selectors.split(","):
            assert not selector.strip() or re.search(r"\.mlp-(study|page)\b", selector), selector


def test_the_command_writes_the_page(tmp_path):
    out, _ = finish(start("-m", "mlp_jit", "study", "--out", str(tmp_path / "page.html")), timeout=200)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.search(r"page\.html: \d\.\d\d MB", out)
    assert text.startswith("<!DOCTYPE html>")
    assert text.rstrip().endswith("</html>")


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    process = start("-m", "mlp_jit", "study", "--out", str(tmp_path / "no" / "page.html"))
    out, err = process.communicate(timeout=200)
    assert process.returncode == 2
    assert "error: --out: " in err
    assert "Traceback" not in err
    assert out == ""


def test_without_anywidget_the_widget_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'mlp_jit[notebook]'")):
        notebook.widget()


def test_a_setting_is_a_network():
    network = Setting("moons", 3, 5, "gelu", 0.1, 16).network()
    assert network.sizes == (2, 5, 5, 5, 1)
    assert network.activations == ("gelu",) * 3
    assert network.dtype == np.float64
