"""A user's own φ and ℓ: the built-in numbers where they are the built-in functions, in every engine and wherever a name
goes.
"""

import gc
import pickle
import re
import runpy
import weakref

import numpy as np
import pytest
from numba import njit
from processes import ROOT, run

from mlp_jit import Activation, Loss, MLPClassifier, MLPRegressor, Network, fit, load, save
from mlp_jit.files import container
from mlp_jit.interop import to_onnx
from mlp_jit.nopython import jacobian_row
from mlp_jit.study import check_gradients, diagnose, explain, walk

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 6))
Y = np.c_[X[:, 0] * X[:, 1], X[:, 2]]


def leaky(z):
    return z if z > 0 else type(z)(0.01) * z


def leaky_slope(z, a):
    return type(z)(1) if z > 0 else type(z)(0.01)


def square(a, y):
    return (a - y) * (a - y)


def square_delta(a, y):
    return type(a)(2) * (a - y)


def logit_loss(z, y):
    return max(z, type(z)(0)) + np.log1p(np.exp(-abs(z))) - y * z


def logit_delta(z, y):
    return type(z)(1) / (type(z)(1) + np.exp(-z)) - y


MINE = Activation("mine", leaky, leaky_slope)
SQUARE = Loss("square", square, square_delta, ("identity", "sigmoid", "exp"))
LOGIT = Loss("logit", logit_loss, logit_delta, ("sigmoid",), of_z=True)
PYTHON_ALONE = Activation("python alone", lambda z: float(str(z)), lambda z, a: 1.0)


@pytest.mark.python
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", ["identity", "sigmoid", "exp"])
def test_the_same_numbers_as_the_built_in_pair(engine, output, dtype):
    own, built_in = (
        Network([6, 7, 5, 2], activation=phi, output=output, loss=loss, dtype=dtype, random_state=0)
        for phi, loss in (((MINE, "tanh"), SQUARE), (("leaky_relu", "tanh"), "squared_error"))
    )
    built_in.params[:] = own.params
    y = Y if output == "identity" else (Y > 0).astype(float)
    for network in (own, built_in):
        fit(network, X, y, epochs=1, batch_size=50, random_state=0, engine=engine)
    np.testing.assert_array_equal(own.params, built_in.params)
    np.testing.assert_array_equal(own.forward(X[:3], engine=engine), built_in.forward(X[:3], engine=engine))
    assert own.loss(X, y, engine=engine) == built_in.loss(X, y, engine=engine)


@pytest.mark.python
def test_a_loss_of_z(engine):
    y = (Y > 0).astype(float)
    own, built_in = (Network([6, 4, 2], output="sigmoid", loss=loss, dtype="float64", random_state=0)
                     for loss in (LOGIT, "binary_cross_entropy"))  # fmt: skip
    ours, theirs = (network.gradient(X, y, engine=engine) for network in (own, built_in))
    assert ours[0] == pytest.approx(theirs[0], rel=1e-13)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-10, atol=1e-15)


def test_closures_compiled_functions_and_a_sparse_x(engine):
    def parametric(slope):
        return Activation(
            f"leaky {slope}", lambda z: z if z > 0 else slope * z, njit(lambda z, a: 1.0 if z > 0 else slope)
        )

    network = Network([6, 8, 8, 2], activation=[parametric(0.3), parametric(0.1)], dtype="float64", random_state=0)
    worst = check_gradients(network, X[:5], Y[:5], engine=engine)
    assert worst.ok, worst
    trace = network.trace(X[:5], Y[:5])
    np.testing.assert_array_equal(trace.a[1], np.where(trace.z[0] > 0, trace.z[0], 0.3 * trace.z[0]))
    np.testing.assert_array_equal(trace.a[2], np.where(trace.z[1] > 0, trace.z[1], 0.1 * trace.z[1]))


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_estimators_take_them(solver):
    settings = {"hidden_layer_sizes": (7, 5), "max_iter": 3, "random_state": 0, "solver": solver}
    ours = MLPClassifier(activation=[MINE, "tanh"], **settings).fit(X, Y[:, 0] > 0)
    theirs = MLPClassifier(activation=["leaky_relu", "tanh"], **settings).fit(X, Y[:, 0] > 0)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ours)).predict_proba(X), ours.predict_proba(X))
    regressor = MLPRegressor(activation=MINE, loss=SQUARE, **settings).fit(X, Y)
    assert np.isfinite(regressor.loss_)
    assert "mine" in repr(regressor)


def test_the_study_of_them_names_them():
    network = Network([6, 3, 2], activation=MINE, loss=SQUARE, random_state=0)
    text = str(explain(network, X[:1], Y[:1]))
    assert "mine(z" in text
    assert "square(" in text
    diagnose(network, X, Y)
    assert "mine" in network.summary()
    assert "activation=['mine']" in repr(network)


def test_a_run_is_the_same_in_another_process(tmp_path):
    """No address stands in what a checkpoint says of it."""
    network = Network([6, 3, 2], activation=[MINE], loss=SQUARE, random_state=0)
    fit(network, X, Y, epochs=1, random_state=0, checkpoint=tmp_path / "run.mlp")
    content, _ = container.read(tmp_path / "run.mlp")
    assert " at 0x" not in str(content["run"])
    assert repr(MINE) == "Activation(name='mine')"


def test_a_walk_goes_through_them():
    network = Network([6, 3, 2], activation=MINE, loss=SQUARE, dtype="float64", random_state=0)
    after = network.copy()
    fit(after, X[:1], Y[:1], optimizer="sgd", learning_rate=0.1, epochs=1, shuffle=False, engine="loops")
    updated = {step.result for step in walk(network, X[0], Y[0], learning_rate=0.1) if step.tag == "E6"}
    assert set(after.params.tolist()) <= updated


def test_copies_and_pickles_go_by_name():
    network = Network([6, 7, 2], activation=MINE, loss=SQUARE, random_state=0)
    for twin in (network.copy(), pickle.loads(pickle.dumps(network))):
        assert twin.activations == (MINE,)
        np.testing.assert_array_equal(twin.forward(X), network.forward(X))
        assert twin.gradient(X, Y)[0] == network.gradient(X, Y)[0]
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(Activation("nameless", lambda z: 2 * z, lambda z, a: 2.0))


def test_a_pickle_in_another_process(tmp_path):
    """Where the code, an address, is another."""
    network = Network([6, 7, 2], activation=MINE, loss=SQUARE, random_state=0)
    (tmp_path / "network").write_bytes(pickle.dumps(network))
    np.save(tmp_path / "X.npy", X)
    code = f"import sys, pickle, numpy as np; sys.path.insert(0, {str(__file__.rpartition('/')[0])!r}); "
    code += f"net = pickle.load(open({str(tmp_path / 'network')!r}, 'rb')); "
    code += f"print(net.forward(np.load({str(tmp_path / 'X.npy')!r})).tobytes().hex())"
    assert run(code).strip() == network.forward(X).tobytes().hex()


def test_they_go_with_the_last_network_that_has_them():
    own = Activation("short", lambda z: 3 * z, lambda z, a: 3.0)
    gone = weakref.ref(own.routines)
    for engine in ("lanes", "loops"):
        Network([6, 2, 2], activation=own).forward(X, engine=engine)
    del own
    gc.collect()
    assert gone() is None


def test_onnx_cannot_say_them():
    pytest.importorskip("onnx")
    with pytest.raises(ValueError, match="got your own 'mine', which ONNX cannot say"):
        to_onnx(Network([6, 2, 2], activation=MINE))


def test_compiled_code_runs_them_and_a_record_holds_them():
    def made():
        thrice = Activation("thrice", lambda z: 3 * z, lambda z, a: 3.0)
        return Network([6, 2, 2], activation=thrice, dtype="float64", random_state=0)

    network = made()
    expected, record, gone = network.forward(X[:1])[0], network.record(), weakref.ref(network.activations[0].routines)
    slopes = network.input_gradient(X[:1])[0]
    del network
    gc.collect()
    out, jacobian = np.empty(2), np.empty((2, 6))
    jacobian_row(record, X[0], out, jacobian)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(jacobian, slopes)
    del record
    gc.collect()
    assert gone() is None


def test_files_name_them_and_take_them_again(tmp_path):
    path, mine = tmp_path / "net.mlp", {"mine": MINE, "square": SQUARE}
    network = Network([6, 7, 2], activation=MINE, loss=SQUARE, random_state=0)
    save(network, path)
    found = load(path, functions=mine)
    assert (found.activations, found.loss_function) == ((MINE,), SQUARE)
    np.testing.assert_array_equal(found.forward(X), network.forward(X))
    for functions in (None, {"mine": MINE}, {"mine": SQUARE, "square": SQUARE}):
        with pytest.raises(TypeError, match=r"functions: expected .* of your own, under the name '(square|mine)'"):
            load(path, functions=functions)
    estimator = MLPRegressor(activation=MINE, loss=SQUARE, solver="lbfgs", max_iter=2, tol=1e9).fit(X, Y)
    save(estimator, path)
    np.testing.assert_array_equal(load(path, functions=mine).predict(X), estimator.predict(X))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Activation("bad", lambda z: z * z, lambda z, a: z), r"the derivative, -6.2\S* at -3.1, got"),
        (lambda: Activation("bad", lambda z: 1 / (z - z), lambda z, a: z), "expected a value at .*ZeroDivisionError"),
        (lambda: Activation("bad", lambda z: float("nan"), lambda z, a: z), "expected a finite value at .*, got nan"),
        (lambda: Activation("bad", lambda z: z, lambda z, a: "x"), "expected a number for the slope at -3.1, got 'x'"),
        (lambda: Activation("bad", 3, leaky_slope), "expected functions"),
        (lambda: Activation("relu", leaky, leaky_slope), "expected a name that is none of"),
        (lambda: Network([1, 2, 1], activation=PYTHON_ALONE), "Numba cannot compile it for float32"),
        (lambda: Network([1, 2, 1], activation=[3]), "activation"),
        (lambda: Loss("bad", square, lambda a, y: a - y, ("identity",)), "'bad' for y = -1.2: expected the derivative"),
        (lambda: Loss("bad", square, square_delta, ("softmax",)), "expected outputs among identity, sigmoid, exp"),
        (lambda: Loss("huber", square, square_delta, ("identity",)), "expected a name that is none of"),
        (lambda: Network([1, 1], output="exp", loss=LOGIT), "expected one of"),
        (lambda: MLPClassifier(activation=3).fit(X, Y[:, 0] > 0), "activation"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()


def test_kinks_are_allowed():
    for at_zero in (0.0, 0.3, 1.0):
        Activation("relu again", lambda z: max(z, 0.0), lambda z, a, s=at_zero: 1.0 if z > 0 else s if z == 0 else 0.0)


def test_the_readme(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/guide/own.md").read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if "Activation(" in block)
    (tmp_path / "readme.py").write_text(block, encoding="utf-8")
    net = runpy.run_path(str(tmp_path / "readme.py"), {"Network": Network})["net"]
    assert check_gradients(net, rng.normal(size=(5, 64)), rng.normal(size=(5, 1))).ok
