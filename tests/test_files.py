"""Files: what is loaded is what was saved, bit for bit, and what is no such file is refused with a reason."""

import copy
import dataclasses
import errno
import json
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
from processes import run
from safetensors import safe_open
from scipy import sparse
from tables import LABELS, NUMBERS, SEVERAL, X

from mlp_jit import SGD, Adam, Lion, MLPClassifier, MLPRegressor, NAdam, Network, fit, huber, load, quantile, save
from mlp_jit.files import container
from mlp_jit.schedules import Cosine, OnPlateau

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")
GOLDENS = Path(__file__).parent / "goldens" / "files"

NETWORKS = {
    "plain": lambda: Network([4, 8, 3], output="softmax", random_state=0),
    "no hidden layer": lambda: Network([4, 1], output="sigmoid", random_state=0),
    "normalised": lambda: Network(
        [4, 8, 8, 8, 2], activation=("gelu", "tanh", "selu"), normalization=("batch", None, "layer"), skip=True,
        random_state=0,
    ),
    "quantiles": lambda: Network([4, 8, 2], loss=quantile((0.1, 0.9)), dtype="float64", random_state=0),
    "huber": lambda: Network([4, 8, 1], loss=huber(0.5), random_state=0),
}  # fmt: skip
BASIC = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0, "batch_size": 25}
ADAPTIVE, RNG = {"solver": "sgd", "learning_rate": "adaptive"}, np.random.RandomState(3)
ESTIMATORS = {
    "classes": (MLPClassifier, LABELS, {}),
    "names": (MLPClassifier, np.array(["a", "b", "cc"])[LABELS], {"early_stopping": True}),
    "objects": (MLPClassifier, np.array(["a", "b", "cc"], object)[LABELS], ADAPTIVE),
    "truths": (MLPClassifier, LABELS > 0, {"class_weight": {False: 2.0}}),
    "floats": (MLPClassifier, LABELS + 0.0, {"learning_rate": Cosine(epochs=9), "solver": Lion(weight_decay=0.1)}),
    "several labels": (MLPClassifier, SEVERAL, {"class_weight": [{1: 3.0}, {}], "dropout": 0.2}),
    "sparse labels": (MLPClassifier, sparse.csr_matrix(SEVERAL), {}),
    "numbers": (MLPRegressor, NUMBERS, {"learning_rate": OnPlateau(patience=1), "n_iter_no_change": np.inf}),
    "normalised": (MLPRegressor, NUMBERS, {"normalization": "batch", "early_stopping": True, "random_state": RNG}),
    "lbfgs": (MLPRegressor, NUMBERS, {"solver": "lbfgs", "loss": huber(0.3), "activation": ["tanh"]}),
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.mlp"


def again(model, path, **parameters):
    save(model, path)
    return load(path, **parameters)


# --------------------------------------------------------------------------------------- what was saved


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network(name, path):
    network = NETWORKS[name]()
    y = (
        np.resize(LABELS % network.sizes[-1], len(X))
        if network.output == "softmax"
        else np.ones((len(X), network.sizes[-1]))
    )
    fit(network, X, y, epochs=2, random_state=0)
    found = again(network, path)
    assert repr(found) == repr(network)
    assert found.loss_function == network.loss_function
    np.testing.assert_array_equal(found.params, network.params)
    np.testing.assert_array_equal(found.state, network.state)
    np.testing.assert_array_equal(found.forward(X), network.forward(X))
    for trained in (network, found):
        fit(trained, X, y, epochs=1, random_state=1)
    np.testing.assert_array_equal(found.params, network.params)


@pytest.mark.parametrize("optimizer", [SGD(0.9), Adam(beta_2=0.99, epsilon_hat=True), NAdam()], ids=str)
def test_an_optimizer_goes_on_from_its_moments(optimizer, path):
    network = NETWORKS["plain"]()
    fit(network, X, LABELS, optimizer=optimizer, epochs=2, random_state=0)
    found, twin = again(optimizer, path), network.copy()
    assert (found, found.t) == (optimizer, optimizer.t)
    fit(network, X, LABELS, optimizer=optimizer, epochs=2, random_state=0)
    fit(twin, X, LABELS, optimizer=found, epochs=2, random_state=0)
    np.testing.assert_array_equal(twin.params, network.params)
    np.testing.assert_array_equal(found.moments, optimizer.moments)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator(name, path):
    kind, y, settings = ESTIMATORS[name]
    estimator = kind(**BASIC | settings).fit(X, y)
    found = again(estimator, path)
    ours, theirs = (sorted(vars(e)) for e in (found, estimator))
    assert [n for n in ours if n != "_session"] == [n for n in theirs if n != "_session"]
    asked = found.predict(X), estimator.predict(X)
    if sparse.issparse(asked[0]):
        asked = tuple(part.toarray() for part in asked)
    np.testing.assert_array_equal(*asked)
    assert asked[0].dtype == asked[1].dtype
    assert repr(found.get_params()["solver"]) == repr(estimator.get_params()["solver"])
    if hasattr(estimator, "classes_"):
        assert found.classes_.dtype == estimator.classes_.dtype
        np.testing.assert_array_equal(found.predict_proba(X), estimator.predict_proba(X))
    for trained in (estimator, found):
        trained.set_params(warm_start=True).fit(X, y)
    np.testing.assert_array_equal(found.network_.params, estimator.network_.params)
    assert found.loss_curve_ == estimator.loss_curve_
    if estimator.solver != "lbfgs":
        for trained in (estimator, found):
            trained.set_params(early_stopping=False).partial_fit(X, y)
        np.testing.assert_array_equal(found.network_.params, estimator.network_.params)


def test_an_estimator_that_was_never_fitted(path):
    found = again(MLPClassifier(hidden_layer_sizes=[3, 4], tol=np.float64(0.1)), path)
    assert (found.hidden_layer_sizes, found.tol) == ([3, 4], 0.1)
    assert not hasattr(found, "coefs_")


def test_columns_keep_their_names(path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    estimator = MLPRegressor(**BASIC).fit(frame, NUMBERS)
    found = again(estimator, path)
    np.testing.assert_array_equal(found.predict(frame), estimator.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame.rename(columns={"a": "z"}))


def test_what_a_file_cannot_say_is_named_and_may_be_given_again(path):
    from mlp_jit import Progress

    estimator = MLPRegressor(**BASIC, scoring=max, callbacks=[Progress()])
    with pytest.warns(
        UserWarning, match=r"callbacks\.0: Progress, scoring: builtin_function_or_method; give parameters"
    ):
        save(estimator, path)
    assert (load(path).scoring, load(path).callbacks) == (None, None)
    assert load(path, scoring=max, alpha=3.0).get_params()["scoring"] is max
    assert load(path, alpha=3.0).alpha == 3.0
    with pytest.raises(TypeError, match="MLPRegressor has no parameter beta"):
        load(path, beta=1)
    save(NETWORKS["plain"](), path)
    with pytest.raises(TypeError, match="alpha: expected no parameters for a Network"):
        load(path, alpha=1)


@pytest.mark.parametrize(
    "model", [3, Network, type("Mine", (MLPClassifier,), {})(), [Network([1, 1])]], ids=lambda m: type(m).__name__
)
def test_other_objects_are_refused(model, path):
    with pytest.raises(TypeError, match="model: expected a Network, an estimator, an ensemble or an optimizer"):
        save(model, path)
    assert not path.exists()


def test_what_would_come_back_as_another_is_refused(path):
    mine = dataclasses.replace(huber(0.5), ell=quantile().ell)  # under a name that is taken
    with pytest.raises(TypeError, match="a loss of your own, 'huber'"):
        save(Network([4, 1], loss=mine), path)
    with pytest.raises(TypeError, match="a part of a network, whose output is 'relu'"):
        save(NETWORKS["plain"]().part(1), path)

    class Mine(Cosine):
        pass

    estimator = MLPRegressor(**BASIC, learning_rate=Mine()).fit(X, NUMBERS)
    with pytest.raises(TypeError, match=r"optimizer\.schedule: Mine"):
        save(estimator, path)
    assert not path.exists()


@pytest.mark.parametrize(
    "said",
    [
        {"RandomState": {"key": {"array": "k"}, "place": 10**6, "has_gauss": 0, "gauss": 0.0}},
        {"SGD": {"momentum": 0.0, "nesterov": False, "moments": {"array": "m"}, "settings": {"array": "s"}, "t": 0}},
    ],
)
def test_numbers_that_would_be_read_by_are_refused(said, path):
    arrays = {"k": np.zeros(624, np.uint32), "m": np.zeros((1, 3)), "s": np.zeros(5)}
    container.write(path, {"format": 1, "kind": "SGD", "model": said}, arrays)
    with pytest.raises(ValueError, match=r"a generator at place 1000000|\(5,\) settings"):
        load(path)


def test_another_library_reads_the_same_arrays(path):
    network = NETWORKS["normalised"]()
    save(network, path)
    with safe_open(path, "np") as file:
        assert set(file.keys()) == {"network.params", "network.state"}
        np.testing.assert_array_equal(file.get_tensor("network.params"), network.params)
        np.testing.assert_array_equal(file.get_tensor("network.state"), network.state)
        assert json.loads(file.metadata()["mlp_jit"])["kind"] == "Network"


def test_arrays_of_any_order_and_of_another_machine_make_the_same_file(path):
    W = np.arange(6.0).reshape(2, 3)
    W.flags.writeable = False
    files = []
    for array in (W, np.asfortranarray(W), W.astype(">f8"), W[::1]):
        container.write(path, {"a": 1}, {"W": array, "none": np.zeros((0, 3), "int32")})
        files.append(path.read_bytes())
    assert len(set(files)) == 1
    content, arrays = container.read(path)
    assert content == {"a": 1}
    np.testing.assert_array_equal(arrays["W"], W)
    assert (arrays["none"].shape, arrays["none"].dtype, arrays["W"].dtype) == ((0, 3), np.int32, np.float64)
    assert arrays["W"].flags.writeable


@pytest.mark.parametrize("name", ["network", "classifier", "adam"])
def test_files_of_this_version_load_for_ever(name):
    expected = np.load(GOLDENS / f"{name}.npy")
    found = load(GOLDENS / f"{name}.mlp")
    made = (
        found.moments if name == "adam" else (found if name == "network" else found.network_).forward(X, engine="loops")
    )
    np.testing.assert_allclose(made, expected, rtol=1e-6)


# --------------------------------------------------------------------------------------- how it is written


def test_another_thread_may_train_on_while_it_is_written(path, monkeypatch):
    """What is written is what the digest is of."""
    network = Network([2, 3, 1], random_state=0)
    before, sha256 = network.params.copy(), container.hashlib.sha256

    def trains_on(*given):
        network.params += 1
        return sha256(*given)

    monkeypatch.setattr(container.hashlib, "sha256", trains_on)
    save(network, path)
    monkeypatch.undo()
    np.testing.assert_array_equal(load(path).params, before)


def test_a_long_name(tmp_path):
    path = tmp_path / ("n" * 240)
    save(NETWORKS["plain"](), path)
    assert load(path).sizes == (4, 8, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_no_file_and_stays_one(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="expected a file or nothing there"):
        save(NETWORKS["plain"](), path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    with pytest.raises(ValueError, match="got a device or a pipe"):
        load(path)


def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch):
    save(NETWORKS["plain"](), path)
    before = path.read_bytes()
    for call in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(container.os, call, lambda *given: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
            with pytest.raises(OSError, match="full"):
                save(NETWORKS["huber"](), path)
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]
    with pytest.raises(FileNotFoundError):
        save(NETWORKS["huber"](), path.parent / "nowhere" / "model.mlp")


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of another kind")
def test_permissions_are_those_of_new_files_and_links_are_followed(path, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path.symlink_to(folder / "real.mlp")
    before = os.umask(0o027)
    try:
        save(NETWORKS["plain"](), path)
    finally:
        os.umask(before)
    assert path.is_symlink()
    assert stat.S_IMODE((folder / "real.mlp").stat().st_mode) == 0o640
    assert os.listdir(folder) == ["real.mlp"]


# --------------------------------------------------------------------------------------- what is no such file


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a small file."""
    path = tmp_path_factory.mktemp("whole") / "model.mlp"
    save(Network([2, 2, 1], random_state=0), path)
    return path.read_bytes()


def refused(path, content, words=""):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"model.mlp: expected .*got .*{words}"):
        load(path)


def test_every_damaged_bit_of_the_header_is_noticed(whole, path):
    header = 8 + int.from_bytes(whole[:8], "little")
    for place in range(8 * header):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        refused(path, bytes(damaged))


def test_every_cut_is_noticed(whole, path):
    for length in range(len(whole)):
        refused(path, whole[:length])
    refused(path, whole + b"\0", "another digest")


def test_random_damage_is_noticed(whole, path):
    rng = np.random.default_rng(0)
    for _ in range(500):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 9)):
            damaged[place] = rng.integers(256)
        if bytes(damaged) != whole:
            refused(path, bytes(damaged))


def test_files_of_other_kinds(whole, path, tmp_path):
    refused(path, pickle.dumps(NETWORKS["plain"]()), "a pickle")
    refused(path, b"", "a file of 0 bytes")
    for header in (b"[]", b"{}", b'{"a":NaN'):
        refused(path, len(header).to_bytes(8, "little") + header, "a file of another program")
    with pytest.raises(ValueError, match="expected a file, got a folder"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


def signed(path, entries, data=b""):
    """A file with a right digest, whatever else it says: entries, or the text that comes after the digest."""
    if not isinstance(entries, str):
        text = json.dumps(METADATA | entries, separators=(",", ":")).encode()
    else:
        text = container.BEGINNING + container.NO_DIGEST.encode() + entries.encode()
    whole = len(text).to_bytes(8, "little") + text + data
    digest = container.hashlib.sha256(whole).hexdigest()
    path.write_bytes(whole.replace(container.NO_DIGEST.encode(), digest.encode(), 1))


METADATA = {"__metadata__": {"sha256": container.NO_DIGEST, "mlp_jit": "{}"}}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 4]}}, r"'a' of \[1\] float64 in bytes 0 to 4"),
        ({"a": {"dtype": "F64", "shape": [2**62, 2**62], "data_offsets": [0, 16]}}, "of 16"),
        ({"a": {"dtype": "F64", "shape": [2], "data_offsets": [8, 24]}}, "in bytes 8 to 24 of 16"),
        ({"a": {"dtype": "F64", "shape": [1], "data_offsets": [8, 16]}}, "starts at byte 8 instead of 0"),
        ({"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}, "take 8 bytes of 16"),
        ({n: {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]} for n in "ab"}, "or share them"),
        ({"a": {"dtype": "O", "shape": [2], "data_offsets": [0, 16]}}, "dtype 'O'"),
        ({"a": {"dtype": "F64", "shape": [-2], "data_offsets": [0, 16]}}, r"shape \[-2\]"),
        ({"a": {"dtype": "F64", "shape": [True, 2], "data_offsets": [0, 16]}}, "shape"),
        ({"a": {"dtype": "F64", "shape": [2], "data_offsets": [16, 0]}}, "in bytes 16 to 0"),
        ({"a": {"dtype": "F64", "shape": [2]}}, "describes no array"),
        ({"a": 3}, "describes no array"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(entries, words, path):
    signed(path, entries, b"\0" * 16)
    with pytest.raises(ValueError, match=words):
        load(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"}}', "no description of a model"),
        ('","mlp_jit":"{}"},"a":NaN}', "NaN for a number"),
        ('","mlp_jit":"1e999"}}', "1e999 for a number"),
        ('","mlp_jit":"{}"},"a":1,"a":2}', "something twice"),
        ('","mlp_jit":"{}"},"a":' + "[" * 100_000, "nested too deep"),
        ('","mlp_jit":"{}"},"a":' + "1" * 5000 + "}", "4300 digits"),
        ('","mlp_jit":"{}"},"a":{"dtype":"BOOL","shape":[8],"data_offsets":[0,8]}}', "neither 0 nor 1"),
    ],
)
def test_headers_with_a_right_digest_that_make_no_sense(text, words, path):
    signed(path, text, b"\1\0\1\2\1\0\0\0")
    with pytest.raises(ValueError, match=words):
        load(path)


def test_a_header_that_no_model_needs_is_not_read(path, monkeypatch):
    monkeypatch.setattr(container, "MOST_HEADER", 500)
    with pytest.raises(ValueError, match="expected a description of at most 500 bytes, got"):
        save(NETWORKS["normalised"](), path)
    signed(path, '","mlp_jit":"{}"}}' + " " * 999)
    with pytest.raises(ValueError, match="where 500 are the most"):
        load(path)


def test_a_network_is_loaded_without_scikit_learn(path):
    save(NETWORKS["plain"](), path)
    code = f"import sys, mlp_jit; print(mlp_jit.load({str(path)!r}).sizes, 'sklearn' in sys.modules)"
    assert run(code) == "(4, 8, 3) False\n"


def network_with(**changes):
    content = {
        "sizes": [2, 2], "activation": [], "output": "identity",
        "loss": {"Loss": {"name": "squared_error", "parameter": 0}},
        "normalization": [], "skip": False, "dtype": "float64", "params": {"array": "p"}, "state": {"array": "s"},
    }  # fmt: skip
    return {"format": 1, "kind": "Network", "model": {"Network": content | changes}}


def classifier_with(attributes):
    return {"format": 1, "kind": "MLPClassifier", "model": {"parameters": {}, "attributes": attributes}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (network_with(sizes=[2, 10**12]), r"\(6,\) parameters for the sizes \[2, 1000000000000\]"),
        (network_with(sizes=[2, 2.0]), "sizes"),
        (network_with(dtype="float32"), "params of shape .* and dtype float64"),
        (network_with(output="os.system"), "output: expected one of"),
        (network_with(loss={"Loss": {"name": "exec", "parameter": 0}}), "'exec'"),
        (network_with(more=1), "more"),
        (network_with(params={"array": "q"}), "'q'"),
        (network_with() | {"format": 2}, "format 2, of which this version of mlp_jit knows 1"),
        (network_with() | {"kind": "Adam"}, "a Network that says it is a 'Adam'"),
        (network_with() | {"model": {"eval": "1"}}, "a value of the kind 'eval'"),
        (network_with() | {"model": {"a": 1, "b": 2}}, "a value of no kind"),
        (classifier_with({"n_layers_": 3}), "no network"),
        (classifier_with({"_network_": 1}), "an attribute '_network_' of 1"),
        (classifier_with(None), "an object without fields"),
        ([], "list"),
    ],
)  # fmt: skip
def test_models_that_are_none(content, words, path):
    container.write(path, content, {"p": np.zeros(6), "s": np.zeros(0)})
    with pytest.raises(ValueError, match=words):
        load(path)


CRAFTED = {
    "fewer classes": lambda a: (
        a["classes_"].update(array="two") or a["_labels"]["Labels"]["classes"].update(array="two")
    ),
    "other classes": lambda a: a["classes_"].update(array="others"),
    "a kind of y": lambda a: a["_labels"]["Labels"].update(kind="binary"),
    "more of Labels": lambda a: a["_labels"]["Labels"].update(decode=1),
    "columns": lambda a: a.update(n_features_in_=5),
    "outputs": lambda a: a.update(n_outputs_=2),
    "no time": lambda a: a.pop("t_"),
    "time": lambda a: a.update(t_=-1),
    "a curve": lambda a: a.update(loss_curve_=["x"]),
    "a loss": lambda a: a.update(loss_="x"),
    "a generator": lambda a: a.update(_random_state=3),
    "an optimizer": lambda a: a.update(_optimizer={"Adam": a["_optimizer"]["Descent"]["optimizer"]["Adam"]}),
    "no optimizer in it": lambda a: a["_optimizer"]["Descent"].update(optimizer=1),
    "less of Descent": lambda a: a["_optimizer"]["Descent"].pop("seen"),
    "the best": lambda a: a.update(_best={"tuple": [{"array": "two"}, {"array": "two"}]}),
    "names": lambda a: a.update(feature_names_in_={"texts": {"dtype": "|O", "values": ["a", "b"]}}),
    "no network": lambda a: a.pop("_network_"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_attributes_that_no_estimator_has(name, path):
    """Whoever writes the digest himself gets no model that fails in predict, or reads what is not there."""
    save(MLPClassifier(**BASIC, early_stopping=True).fit(X, LABELS), path)
    content, arrays = container.read(path)
    CRAFTED[name](content["model"]["attributes"])
    container.write(path, content, arrays | {"two": np.arange(2), "others": np.arange(1, 4)})
    with pytest.raises(ValueError, match=r"model\.mlp: expected a model that was saved, got"):
        load(path)


@pytest.mark.parametrize("name", ["predict", "__class__", "a_later_one_"])
def test_other_attributes_are_left_out(name, path):
    container.write(path, classifier_with({name: 1}), {})
    assert name not in vars(load(path))


def test_what_is_new_within_a_version_is_left_out(path):
    container.write(path, network_with() | {"new": 1}, {"p": np.arange(6.0), "s": np.zeros(0), "more": np.ones(1)})
    np.testing.assert_array_equal(load(path).params, np.arange(6.0))


def test_a_copy_of_what_was_loaded_is_another(path):
    found = again(NETWORKS["plain"](), path)
    twin = copy.deepcopy(found)
    twin.params[:] = 0
    assert found.params.any()
