"""ONNX: onnxruntime answers as we do, what others' exporters write is read, what is no network is refused by name."""

import contextlib
import itertools
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import skl2onnx
from foreign import FOLDER, exported, of_torch
from foreign import X as FOREIGN_X
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import LABELS, NUMBERS, SEVERAL, X

from mlp_jit import MLPClassifier, MLPRegressor, Network, quantile
from mlp_jit.activations import HIDDEN, OUTPUTS
from mlp_jit.interop import from_onnx, register_skl2onnx, to_onnx

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
DTYPES = ("float32", "float64")
OPENED = []  # the names of all files that Python opens
sys.addaudithook(lambda event, details: OPENED.append(details[0]) if event == "open" else None)
CLOSE = {"float32": 1e-5, "float64": 1e-12}
KINDS = (None, "batch", "layer")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def by_runtime(model, X):
    """What onnxruntime answers for X."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})


def assert_equal(actual, expected, dtype, message=""):
    assert actual.dtype == expected.dtype == dtype
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype], err_msg=str(message))


def shaken(network, seed=0):
    """The network with every parameter and running statistic its own."""
    rng = np.random.default_rng(seed)
    network.params += rng.normal(0, 0.2, network.n_params).astype(network.dtype)
    network.state[...] = abs(network.state + rng.normal(0, 0.3, network.state.size))
    return network


# --------------------------------------------------------------------------------------- out, and in again


@pytest.mark.parametrize("phi", HIDDEN)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_network_answers_alike_in_onnxruntime_and_comes_back(phi, dtype, path):
    """Each φ with each output and normalisation, in both dtypes; the depth goes round."""
    rows = np.random.default_rng(1).normal(size=(9, 5)).astype(dtype) * 2
    for case, (output, kind) in enumerate(itertools.product(OUTPUTS, KINDS)):
        depth = case % 5
        options = {"normalization": kind, "skip": depth >= 2 and case % 2 == 0}
        network = shaken(Network([5, *[4] * depth, 3], activation=phi, output=output, dtype=dtype, **options), case)
        proto = to_onnx(network, path)
        assert [entry.version for entry in proto.opset_import] == [13]
        assert_equal(by_runtime(proto, rows)[0], network.forward(rows), dtype, network)
        found = from_onnx(path)
        assert repr(found) == repr(network)
        np.testing.assert_array_equal(found.params, network.params)
        np.testing.assert_array_equal(found.state, network.state)


def test_a_graph_can_be_read_by_a_person(path):
    network = Network([5, 4, 4, 4, 3], normalization=(None, "batch", "layer"), skip=True, output="softmax")
    proto = to_onnx(network, path)
    names = [tensor.name for tensor in proto.graph.initializer if tensor.name[0].isalpha()]
    assert " ".join(names) == "W1 b1 W2 b2 gain2 mean2 variance2 W3 b3 gain3 axes W4 b4"
    assert proto.producer_name == "mlp_jit"
    (given,), (output,) = proto.graph.input, proto.graph.output
    assert (given.name, output.name) == ("X", "output")
    for value, width in ((given, 5), (output, 3)):
        rows, columns = value.type.tensor_type.shape.dim
        assert (rows.dim_param, columns.dim_value) == ("n", width)
    assert {value.name for value in proto.graph.value_info} >= {"gemm", "relu", "batchnormalization"}
    assert onnx.load(path) == proto


def test_thirteen_is_the_smallest_opset():
    """One earlier, Softmax was another function and Squeeze and ReduceSum took no axes."""
    newest = {
        node.op_type: node for node in to_onnx(Network([2, 3, 2], normalization="layer", output="softmax")).graph.node
    }
    since = {name: onnx.defs.get_schema(name, 13).since_version for name in newest}
    assert since["Softmax"] == since["ReduceSum"] == 13
    for phi, dtype in itertools.product(HIDDEN, DTYPES):
        for node in to_onnx(Network([2, 3, 2], activation=phi, dtype=dtype)).graph.node:
            assert onnx.defs.get_schema(node.op_type, 13).since_version <= 13


def test_far_from_zero(path):
    """Where formulas saturate or overflow on their way."""
    z = np.concatenate([np.linspace(-40, 40, 801), [-1e4, -800, 800, 1e4]])[:, None]
    for phi, dtype in itertools.product(HIDDEN, DTYPES):
        network = Network([1, 1, 1], activation=phi, initializer=lambda rng, i, j: np.ones((i, j)), dtype=dtype)
        rows = z.astype(dtype)
        assert_equal(by_runtime(to_onnx(network), rows)[0], network.forward(rows), dtype, phi)


CLASSES = {
    "integers": LABELS * 2 - 1,
    "bytes": (LABELS + 250).astype(np.uint8),
    "texts": np.array(["nein", "ja", "ja, ž"])[LABELS],
    "objects": np.array(["b", "a", "c"], object)[LABELS],
    "truths": LABELS > 0,
    "floats": LABELS + 1.0,
    "two": np.array(["no", "yes"])[LABELS // 2],
    "one": np.full(60, 7),
    "several": SEVERAL,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CLASSES)
def test_a_classifier(name, dtype, path):
    rows = X.astype(dtype)
    classifier = MLPClassifier((6, 6), "gelu", max_iter=3, random_state=0, skip=True).fit(rows, CLASSES[name])
    proto = to_onnx(classifier, path)
    label, probabilities = by_runtime(proto, rows)
    expected = classifier.predict(rows)
    assert [output.name for output in proto.graph.output] == ["label", "probabilities"]
    assert label.dtype == {"U": object, "O": object, "i": np.int64, "u": np.int64}.get(
        expected.dtype.kind, expected.dtype
    )
    np.testing.assert_array_equal(label, expected)
    assert_equal(probabilities, classifier.predict_proba(rows), dtype)
    assert repr(from_onnx(path)) == repr(classifier.network_)


def test_classes_of_halves():
    classifier = MLPClassifier.from_weights([np.eye(2)], [np.zeros(2)], classes=[2.5, 0.5])
    label, _ = by_runtime(to_onnx(classifier), np.array([[3.0, 0], [0, 3]]))
    np.testing.assert_array_equal(label, [2.5, 0.5])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_regressor(dtype, path):
    rows = X.astype(dtype)
    for settings_, y in (({}, NUMBERS), ({"loss": "poisson"}, SEVERAL), ({"loss": quantile((0.1, 0.9))}, NUMBERS)):
        regressor = MLPRegressor(
            hidden_layer_sizes=(6,), activation="tanh", max_iter=3, random_state=0, normalization="batch", **settings_
        )
        regressor.fit(rows, y.astype(dtype))
        proto = to_onnx(regressor, path)
        assert [output.name for output in proto.graph.output] == ["prediction"]
        assert_equal(by_runtime(proto, rows)[0], regressor.predict(rows).reshape(60, -1), dtype)
        np.testing.assert_array_equal(from_onnx(path).params, regressor.network_.params)


def test_what_cannot_be_written(monkeypatch):
    for model in (7, TheirClassifier(), Network):
        with pytest.raises(TypeError, match="expected a Network, an MLPClassifier or an MLPRegressor"):
            to_onnx(model)
    with pytest.raises(ValueError, match="whose fit was never called"):
        to_onnx(MLPRegressor())
    classifier = MLPClassifier.from_weights([np.eye(2)], [np.zeros(2)], classes=np.array([1, 2**63], np.uint64))
    with pytest.raises(ValueError, match="integers that int64 can hold, got 9223372036854775808"):
        to_onnx(classifier)
    monkeypatch.setattr("mlp_jit.interop.onnx.export.LARGEST", 47)
    with pytest.raises(ValueError, match="less than 2 GiB of parameters, which an ONNX file can hold, got 48 bytes"):
        to_onnx(Network([3, 3]))
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: to_onnx(Network([1, 1])), lambda: from_onnx("x"), register_skl2onnx):
        with pytest.raises(ImportError, match=r"pip install 'mlp_jit\[onnx\]'"):
            call()


def test_the_readme(tmp_path, monkeypatch):
    """Its lines run and say the truth."""
    text = Path(__file__).parents[1].joinpath("docs/guide/deployment.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "from_onnx" in block)
    monkeypatch.chdir(tmp_path)
    names = {"clf": MLPClassifier((6,), max_iter=3, random_state=0).fit(X, LABELS), "X_new": X[:5]}
    exec(code, names)
    _, probabilities = by_runtime(onnx.load("digits.onnx"), X[:5])
    assert_equal(probabilities, names["net"].forward(X[:5]), "float64")


# --------------------------------------------------------------------------------------- what others write


GOLDENS = sorted(path.stem for path in FOLDER.glob("*.onnx"))


@pytest.mark.parametrize("name", GOLDENS)
def test_goldens_of_pytorch_and_keras(name):
    network = from_onnx(FOLDER / f"{name}.onnx")
    expected = np.array(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")), network.dtype)
    # ε is float32 in a graph: PyTorch in float64 has another.
    np.testing.assert_allclose(
        network.forward(FOREIGN_X), expected, rtol=1e-5, atol=1e-6 if "double" not in name else 1e-11
    )
    if name != "keras_activations":  # whose Erfc only tf2onnx knows
        proto = onnx.load(FOLDER / f"{name}.onnx")
        sizes = [axis.dim_value for axis in proto.graph.input[0].type.tensor_type.shape.dim][1:]
        rows = FOREIGN_X.astype(network.dtype)
        assert_equal(network.forward(rows), by_runtime(proto, rows.reshape(-1, *sizes))[0], network.dtype.name)


def test_there_are_goldens_of_each_exporter():
    counts = {
        exporter: sum(name.startswith(exporter) for name in GOLDENS)
        for exporter in ("keras", "torch_export", "torch_trace")
    }
    assert counts == {"keras": 3, "torch_export": 5, "torch_trace": 5}


def test_pytorch_as_it_is_installed(path):
    torch = pytest.importorskip("torch")
    for network in of_torch(torch).values():
        graph, answers = exported(torch, network, dynamo=False)
        path.write_bytes(graph)
        np.testing.assert_allclose(from_onnx(path).forward(FOREIGN_X), answers, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scikit_learns_own_by_skl2onnx(dtype, path):
    rows, multi = X.astype(dtype), np.column_stack([SEVERAL, LABELS == 1])
    settings_ = {"hidden_layer_sizes": (6, 5), "max_iter": 3, "random_state": 0}
    models = [
        TheirClassifier(**settings_).fit(rows, LABELS),
        TheirClassifier(**settings_, activation="logistic").fit(rows, CLASSES["two"]),
        TheirClassifier(**settings_, activation="tanh").fit(rows, multi),
        TheirRegressor(**settings_, activation="identity").fit(rows, NUMBERS),
        make_pipeline(StandardScaler(), TheirRegressor(**settings_)).fit(rows, NUMBERS),
    ]
    for model in models:
        for options in ({}, {"zipmap": False}) if isinstance(model, TheirClassifier) else ({},):
            path.write_bytes(skl2onnx.to_onnx(model, rows[:1], options={id(model): options}).SerializeToString())
            network = from_onnx(path)
            expected = model.predict_proba(rows) if isinstance(model, TheirClassifier) else model.predict(rows)
            expected = expected[:, 1:] if network.output == "sigmoid" and expected.shape[1] == 2 else expected
            assert network.dtype == dtype
            assert_equal(network.forward(rows), expected.reshape(60, -1).astype(dtype), dtype, model)


# --------------------------------------------------------------------------------------- ours by skl2onnx


@pytest.mark.parametrize(("dtype", "tensor"), [("float32", FloatTensorType), ("float64", DoubleTensorType)])
def test_pipelines_of_ours_by_skl2onnx(dtype, tensor, path):
    register_skl2onnx()
    register_skl2onnx()
    rows, start = X.astype(dtype), [("X", tensor([None, 4]))]
    settings_ = {
        "max_iter": 3,
        "random_state": 0,
        "normalization": ("batch", "layer"),
        "activation": "gelu",
        "skip": True,
    }
    for name, target in zip(("integers", "two", "truths", "floats", "several"), (13, 17, 18, 21, None), strict=True):
        pipeline = make_pipeline(StandardScaler(), MLPClassifier((6, 6), **settings_)).fit(X, CLASSES[name])
        proto = skl2onnx.convert_sklearn(pipeline, "p", start, target_opset=target, options={"zipmap": False})
        onnx.checker.check_model(proto, full_check=True)
        label, probabilities = by_runtime(proto, rows)
        np.testing.assert_array_equal(label, pipeline.predict(X))
        assert_equal(probabilities, pipeline.predict_proba(X).astype(dtype), dtype, name)
        path.write_bytes(proto.SerializeToString())
        found = from_onnx(path).forward(rows)
        np.testing.assert_allclose(found[:, -1], probabilities[:, -1], rtol=1e-5, atol=1e-6)
    for y in (NUMBERS, SEVERAL * 1.0):
        pipeline = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(6, 6), **settings_)).fit(X, y)
        proto = skl2onnx.convert_sklearn(pipeline, "p", start)
        assert_equal(by_runtime(proto, rows)[0], pipeline.predict(X).reshape(60, -1).astype(dtype), dtype)


def test_skl2onnx_with_dicts_and_with_refusals():
    register_skl2onnx()
    classifier = MLPClassifier((4,), max_iter=3, random_state=0).fit(X, CLASSES["texts"])
    rows = X.astype(np.float32)
    _, dicts = by_runtime(skl2onnx.to_onnx(classifier, rows[:1]), rows)
    assert list(dicts[0]) == classifier.classes_.tolist()
    np.testing.assert_allclose([list(row.values()) for row in dicts], classifier.predict_proba(X), rtol=1e-5)
    with pytest.raises(ValueError, match="target_opset: expected 13 or later, got 12"):
        skl2onnx.to_onnx(classifier, rows[:1], target_opset=12)
    halves = MLPClassifier.from_weights([np.eye(2)], [np.zeros(2)], classes=[2.5, 0.5])
    with pytest.raises(ValueError, match="whole numbers or texts"):
        skl2onnx.to_onnx(halves, rows[:1, :2], options={"zipmap": False})


# --------------------------------------------------------------------------------------- graphs by hand


def a_graph(text, *, inputs=None, opset=20, **arrays):
    """A graph from x (n, 3) to y of nodes written as `z = Gemm x W b; y = Elu z alpha=0.5`; - is left out."""
    nodes = []
    for statement in text.split("; "):
        output, operator, *rest = statement.replace(" = ", " ", 1).split()
        names = ["" if part == "-" else part for part in rest if "=" not in part]
        attributes = {
            name: json.loads(value) for name, _, value in (part.partition("=") for part in rest if "=" in part)
        }
        nodes.append(helper.make_node(operator, names, [output], name=f"the_{output}", **attributes))
    used = {name for made in nodes for name in made.input}
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items() if name in used]
    inputs = inputs or [of_floats("x", 3)]
    outputs = [of_floats("y", None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def of_floats(name, *sizes):
    """An input of floats (n, sizes)."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *sizes])


def read(model, path):
    path.write_bytes(model.SerializeToString())
    return from_onnx(path)


rng = np.random.default_rng(3)
W, V, b = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (4, 4), (4,)))
ROWS = rng.normal(size=(7, 3)).astype(np.float32)
ARRAYS = {
    "W": W, "V": V, "b": b, "U": W.T.copy(), "mean": W[:, 0], "scale": abs(W[:, 1]) + 1, "g": abs(b) + 0.5, "v": b**2,
    "zero": np.float32(0), "six": np.float32(6), "slope": np.float32([0.01]), "half": np.float16(W),
    "yes": np.array(True), "shape": np.array([-1, 3]), "two": np.array([-1, 2]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "activations", "normalizations"),
    [
        ("y = Gemm x U alpha=0.5 beta=2.0 transB=1", (), ()),
        ("T = Transpose U; y = Gemm x T b", (), ()),
        ("s = MatMul x W; z = Add b s; y = Tanh z", ("tanh",), (None,)),
        ("z = Gemm x W b; a = Relu z; y = Softmax a axis=1", ("relu",), (None,)),
        ("c = Sub x mean; d = Div c scale; y = Gemm d W b", (), ()),
        ("z = Gemm x W b; a = Relu z; c = BatchNormalization a g b g v; y = Gemm c V b", ("relu",), (None,)),
        ("z = Gemm x W b; y = BatchNormalization z g b g v", (), ()),
        (
            "z = Gemm x W b; c = BatchNormalization z g b g v epsilon=1e-6; a = Selu c; y = Gemm a V b",
            ("selu",),
            ("batch",),
        ),
        (
            "z = Gemm x W b; c = LayerNormalization z g b epsilon=0.1; y = Gemm c V b",
            ("identity", "identity"),
            (None, "layer"),
        ),
        ("s = MatMul x W; y = LayerNormalization s g", ("identity",), ("layer",)),
        ("c = LayerNormalization x scale; y = Gemm c W b", ("identity",), ("layer",)),
        (
            "z = Gemm x W b; a = HardSwish z; s = Gemm a V b; c = Tanh s; h = Add c a; y = MatMul h V",
            ("hard_silu", "tanh"),
            (None, None),
        ),
        ("z = Gemm x W b; m = Neg z; a = Clip m - zero; c = Neg a; y = MatMul c V", ("relu",), (None,)),
        ("z = Gemm x W b; a = Clip z zero; s = Gemm a V b; y = Exp s", ("relu",), (None,)),
        ("z = Gemm x W b; m = Greater z zero; a = Where m z zero; y = MatMul a V", ("relu",), (None,)),
        ("z = Gemm x W b; m = GreaterOrEqual z zero; a = Cast m to=1; y = MatMul a V", ("step",), (None,)),
        ("z = Gemm x W b; a = Swish z alpha=1.0; y = MatMul a V", ("silu",), (None,)),
        ("z = Gemm x W b; a = PRelu z slope; y = MatMul a V", ("leaky_relu",), (None,)),
    ],
)
def test_graphs_that_are_networks(text, activations, normalizations, path):
    model = a_graph(text, **ARRAYS)
    network = read(model, path)
    assert (network.activations, network.normalizations) == (activations, normalizations)
    if "Swish z alpha" not in text:  # which came with opset 24
        assert_equal(network.forward(ROWS), by_runtime(model, ROWS)[0], "float32")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y = Conv x W", r"Conv at node 0 \(the_y\): an operator that is not read"),
        ("z = Gemm x W b; y = Mish z", r"Mish at node 1 \(the_y\): an operator that is not read"),
        ("z = Gemm x W b; y = LogSoftmax z", "LogSoftmax at node 1"),
        ('z = Gemm x W b; y = FusedThing z domain="com.example"', r"com\.example\.FusedThing at node 1"),
        ('z = Gemm x W b; y = Gelu z approximate="tanh"', "Gelu at node 1 .* got another function"),
        ("z = Gemm x W b; y = Elu z alpha=0.5", "Elu at node 1 .* got another function"),
        ("z = Gemm x W b; y = LeakyRelu z alpha=0.2", "LeakyRelu at node 1 .* got another function"),
        ("z = Gemm x W b; y = Clip z zero six", "Clip at node 1 .* got another function"),
        ("z = Gemm x W b; y = PRelu z b", "PRelu at node 1 .* got another function"),
        ("z = Gemm x W b; a = Abs z; m = Exp a; y = Mul m z", "Mul at node 3 .* of Abs at node 1 .*, Exp at node 2"),
        ("z = Gemm x W b; m = ReduceMean z two; y = Sub z m", "ReduceMean at node 1 .* expected it along axis 1"),
        ("z = Gemm x W b; y = Softmax z axis=0", "Softmax at node 1 .* expected axis 1 or -1, got 0"),
        ("z = Gemm x W b; a = Softmax z; y = MatMul a V", "Softmax at node 1 .* expected at the output alone"),
        ("z = Gemm x W b; a = Exp z; y = MatMul a V", "Exp at node 1 .* expected at the output alone"),
        ("y = Gemm x W b transA=1", "Gemm at node 0 .* expected transA = 0"),
        ('y = Gemm x W b alpha="a"', "Gemm at node 0 .* expected alpha to be a float, got 'a'"),
        ("y = MatMul W x", "MatMul at node 0 .* expected constant weights"),
        ("y = MatMul x V", r"MatMul at node 0 .* expected weights for 3 numbers, got \[4, 4\]"),
        ("y = MatMul x b", r"MatMul at node 0 .* expected weights \(n_in, n_out\), got an array \[4\]"),
        ("y = MatMul x half", "MatMul at node 0 .*'half': expected numbers of .*, got FLOAT16"),
        ("y = Gemm x W scale", r"Gemm at node 0 .* one for each of 4 units, got an array \[3\]"),
        ("z = Gemm x W b; y = Add z scale", r"Add at node 1 .* one for each of 4 units, got an array \[3\]"),
        ("z = Gemm x W b; y = Mul z V", r"Mul at node 1 .* one for each of 4 units, got an array \[4, 4\]"),
        ("z = Gemm x W b; y = Cast z to=10", "Cast at node 1 .* a cast to FLOAT or DOUBLE, got FLOAT16"),
        ("z = Gemm x W b; y = Dropout z zero yes", "Dropout at node 1 .* a graph that still trains"),
        ("z = Gemm x W b; y = BatchNormalization z b b b b training_mode=1", "BatchNormalization at node 1 .* trains"),
        ("z = Gemm x W b; y = BatchNormalization z b b b b", "BatchNormalization at node 1 .* variances above -1e-05"),
        ("z = Gemm x W b; a = Relu z; c = Gemm x W b; y = Add a c", "Add at node 3 .* got a residual of another one"),
        ("z = Gemm x W b; s = MatMul z V; h = Add s z; y = Add h z", "Add at node 3 .* got a residual of another one"),
        ("z = Gemm x W b; y = Add x z", "Add at node 1 .* as many numbers from both, got 3 and 4"),
        ("z = Gemm x W b; s = MatMul z V; y = Mul s z", "Mul at node 2 .* or a residual Add of two"),
        ("z = Gemm x W b; y = Reshape z shape", r"Reshape at node 1 .* shape \(n, 4\), got \[-1, 3\]"),
        ("z = Gemm x W b; y = Concat z z axis=1", "Concat at node 1 .* the probabilities of two classes"),
        ("y = Relu x", "no Gemm and no MatMul"),
        ("z = Gemm x W b; y = Add z b b", "Add at node 1 .* another number of inputs, got"),
        ("z = Gemm x W b; y = Relu z b", "Relu at node 1 .* another number of inputs, got"),
        ("y = Gemm x W b b", "Gemm at node 0 .* another number of inputs, got"),
        ("z = Gemm x W b; y = Add z -", "Add at node 1 .* expected all its inputs, got"),
        ("T = Softmax U; y = Gemm x T b", "Softmax at node 0 .* got constants for its inputs"),
        ("z = Gemm x W b; y = Flatten z axis=0", "Flatten at node 1 .* expected axis 1, got 0"),
        (
            "z = Gemm x W b; a = Relu z; s = MatMul a V; c = Relu s; h = Add c a; t = MatMul h V; d = Relu t; "
            "y = MatMul d V",
            "expected residual Adds around all hidden layers",
        ),
    ],
)
def test_other_graphs_are_refused_by_the_name_and_place_of_an_operator(text, message, path):
    with pytest.raises(ValueError, match=message):
        read(a_graph(text, **ARRAYS), path)


# --------------------------------------------------------------------------------------- hostile files


def test_cycles_and_names_that_are_nowhere(path):
    cycle = a_graph("a = Add x c; c = Relu a; y = MatMul c W", W=W)
    with pytest.raises(ValueError, match=r"Add at node 0 .*'c', which is an output of a later node"):
        read(cycle, path)
    with pytest.raises(ValueError, match="0 inputs instead of one"):
        read(a_graph("y = Relu y"), path)
    with pytest.raises(ValueError, match=r"Gemm at node 0 .*'b', which is nowhere in the graph"):
        read(a_graph("z = Gemm x W b; y = Relu z", W=W), path)
    with pytest.raises(ValueError, match=r"Relu at node 1 .*expected a new name, got 'z' once more"):
        read(a_graph("z = Gemm x W b; z = Relu z; y = Relu z", W=W, b=b), path)
    with pytest.raises(ValueError, match="2 inputs instead of one"):
        read(a_graph("y = Add x x2", inputs=[of_floats("x", 3), of_floats("x2", 3)]), path)


@pytest.mark.parametrize("location", ["numbers", "../numbers", "/etc/hostname", "{folder}/numbers"])
@pytest.mark.parametrize("marked", [True, False])
def test_numbers_in_another_file_are_never_looked_for(location, marked, path):
    """Neither outside of the folder nor inside."""
    (path.parent / "numbers").write_bytes(W.tobytes())
    model = a_graph("y = MatMul x W", W=W)
    (tensor,) = model.graph.initializer
    onnx.external_data_helper.set_external_data(tensor, location.format(folder=path.parent), 0, W.nbytes)
    if marked:
        tensor.ClearField("raw_data")
    else:
        tensor.data_location = TensorProto.DEFAULT
    path.write_bytes(model.SerializeToString())
    OPENED.clear()
    with pytest.raises(
        ValueError, match=r"MatMul at node 0 .*'W': expected its numbers in this file, .* external_data"
    ):
        from_onnx(path)
    assert [str(name) for name in OPENED] == [str(path)]


@pytest.mark.parametrize(
    ("dims", "held"), [([3, 5], "12"), ([2**40, 2**40], "12"), ([-3, -4], "12"), ([3, 4, 0], "12"), ([3, 2**62], "12")]
)
def test_shapes_that_the_numbers_do_not_fill(dims, held, path):
    model = a_graph("y = MatMul x W", W=W)
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    with pytest.raises(ValueError, match=rf"'W': expected as many numbers as its shape \[.*\] has, got {held}"):
        read(model, path)


def test_nothing_grows_beyond_the_file(path):
    wide = np.ones((1, 20000), np.float32)
    grown = a_graph("W = Mul wide high; y = MatMul x W", wide=wide, high=wide.T.copy())
    with pytest.raises(ValueError, match=r"Mul at node 0 .* expected a constant no larger than what it is made of"):
        read(grown, path)
    square = a_graph("s = MatMul x wide; y = Tanh s", inputs=[of_floats("x", 1)], wide=wide)
    with pytest.raises(ValueError, match=r"Tanh at node 1 .* expected at most 8192 units .* got 20000"):
        read(square, path)
    giant = [of_floats("x", 2**40, 2**40)]
    with pytest.raises(ValueError, match=r"expected weights for 1208925819614629174706176 numbers"):
        read(a_graph("f = Flatten x; y = MatMul f W", inputs=giant, W=W), path)
    for operator in ("ConstantOfShape", "Expand", "Tile", "Range"):
        with pytest.raises(ValueError, match=f"{operator} at node 0"):
            read(a_graph(f"W = {operator} size; y = MatMul x W", size=np.array([2**40, 2**40])), path)
    long = "; ".join(["a0 = Abs x", *(f"a{n + 1} = Abs a{n}" for n in range(5000))])
    with pytest.raises(ValueError, match="expected at most 200 operators between two layers"):
        read(a_graph(f"{long}; y = MatMul a5000 W", W=W), path)


def test_files_of_other_kinds(path, tmp_path):
    for content in (b"", b"\x80\x04K\x01.", b"PK\x03\x04" * 9, b"{}", bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"expected an ONNX file of a network, got a file"):
            from_onnx(path)
    with pytest.raises(ValueError, match="got a folder"):
        from_onnx(tmp_path)
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "nowhere")


@settings(max_examples=150)
@given(
    st.sampled_from(GOLDENS), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)
)
def test_whatever_the_bytes_are_it_is_a_network_or_a_value_error(tmp_path_factory, name, changes):
    content = bytearray((FOLDER / f"{name}.onnx").read_bytes())
    for where, byte in changes:
        content[int(where * len(content))] = byte
    path = tmp_path_factory.mktemp("bytes") / "model.onnx"
    path.write_bytes(content)
    made = None
    with np.errstate(all="ignore"), contextlib.suppress(ValueError):
        made = from_onnx(path)
    assert made is None or isinstance(made, Network)
    shutil.rmtree(path.parent)
