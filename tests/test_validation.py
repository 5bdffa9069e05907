"""What users hand over: refused with a reason, or converted where a person would expect it, and never changed."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mlp_jit import SGD, Adam, Callback, EarlyStopping, Network, fit, huber, quantile
from mlp_jit.schedules import Cosine, Exponential, InverseScaling, OnPlateau, Step

X = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]], float)
LABELS = np.array([0, 1, 1, 0, 1, 0])
WEIGHTS = np.array([1, 2, 0, 1, 2, 1])
NAN, INF, TINY = np.nan, np.inf, 1e-60


def network(**settings) -> Network:
    return Network([3, 4, 2], **{"output": "softmax", "random_state": 0, **settings})


def spoilt(array, value, dtype=float):
    """A copy of `array` with `value` as its last entry."""
    array = np.array(array, dtype)
    array[(-1,) * array.ndim] = value
    return array


def assert_explains(caught, argument: str, came: str) -> None:
    """The message starts with the argument, says what was expected, and what came."""
    message = str(caught.value)
    assert re.match(rf"{re.escape(argument)}(:| ).*\bexpected .*\bgot .*{came}", message, re.DOTALL), message


# --------------------------------------------------------------------------------------- Network(...)

BAD_NETWORKS = [
    ("sizes", 3, TypeError, "3"),
    ("sizes", [3], ValueError, r"\[3\]"),
    ("sizes", [], ValueError, r"\[\]"),
    ("sizes[1]", [3, 0, 1], ValueError, "0"),
    ("sizes[0]", [-3, 1], ValueError, "-3"),
    ("sizes[1]", [3, 2.5, 1], TypeError, "2.5"),
    ("sizes[1]", [3, True], TypeError, "True"),
    ("sizes[0]", "32", TypeError, "'3'"),
    ("sizes", [2**40, 2**40, 1], ValueError, str(2**40)),
    ("sizes", [2**32, 2**32], ValueError, str(2**32)),
    ("activation", "rellu", ValueError, "'rellu'"),
    ("activation", "softmax", ValueError, "'softmax'"),
    ("activation", ["relu", "tanh"], ValueError, "2"),
    ("activation", ["rellu"], ValueError, "'rellu'"),
    ("activation", None, TypeError, "None"),
    ("activation", 3, TypeError, "3"),
    ("output", "relu", ValueError, "'relu'"),
    ("output", None, ValueError, "None"),
    ("loss", "mse", ValueError, "'mse'"),
    ("loss", "squared_error", ValueError, "'squared_error'"),  # not with softmax
    ("loss", huber(), ValueError, "'huber'"),
    ("loss", 3, ValueError, "3"),
    ("initializer", "xavier", ValueError, "'xavier'"),
    ("initializer", lambda rng, n_in, n_out: np.zeros((n_out, n_in)), ValueError, r"\(4, 3\)"),
    ("initializer", lambda rng, n_in, n_out: np.zeros(n_out), ValueError, r"\(4,\)"),
    ("dtype", "float16", ValueError, "'float16'"),
    ("dtype", int, ValueError, "int"),
    ("dtype", "real", ValueError, "'real'"),
    ("random_state", "seed", TypeError, "'seed'"),
    ("random_state", -1, ValueError, "-1"),
    ("random_state", 0.5, TypeError, "0.5"),
]


@pytest.mark.parametrize(("argument", "value", "error", "came"), BAD_NETWORKS)
def test_a_network_that_cannot_be(argument, value, error, came):
    name = argument.partition("[")[0]
    with pytest.raises(error) as caught:
        Network(**{"sizes": [3, 4, 2], "output": "softmax", name: value})
    assert_explains(caught, argument, came)


@pytest.mark.parametrize(
    ("setting", "came", "make"),
    [
        ("quantile", "3", lambda: Network([3, 2], loss=quantile((0.1, 0.5, 0.9)))),
        ("quantile", "1", lambda: quantile(1)),
        ("huber", "0", lambda: huber(0)),
        ("huber", "nan", lambda: huber(NAN)),
        ("momentum", "1.1", lambda: SGD(momentum=1.1)),
        ("beta_1", "-0.1", lambda: Adam(beta_1=-0.1)),
        ("epsilon", "nan", lambda: Adam(epsilon=NAN)),
        ("power", "-1", lambda: InverseScaling(power=-1)),
        ("gamma", "0", lambda: Exponential(gamma=0)),
        ("every", "inf", lambda: Step(every=INF)),
        ("warmup", "5", lambda: Cosine(epochs=5, warmup=5)),
        ("factor", "1", lambda: OnPlateau(factor=1)),
        ("patience", "0", lambda: EarlyStopping(patience=0)),
        ("tol", "nan", lambda: EarlyStopping(tol=NAN)),
    ],
)
def test_settings_that_make_no_sense(setting, came, make):
    with pytest.raises(ValueError, match=f"{setting}.*got .*{came}") as caught:
        make()
    assert "expected" in str(caught.value)


# --------------------------------------------------------------------------------------- data

BAD_X = [
    (X[0], ValueError, r"\(3,\).*reshape"),
    (1.0, ValueError, r"\(\)"),
    (X[None], ValueError, r"\(1, 6, 3\)"),
    (X[:, :2], ValueError, r"\(6, 2\)"),
    (X.T, ValueError, r"\(3, 6\)"),
    ([[1, 2, 3], [4, 5]], ValueError, "differ in length"),
    (X.astype(complex), TypeError, "complex128"),
    (X.astype(str), TypeError, "<U"),
    ([["a", "b", "c"]], TypeError, "<U1"),
    (X.astype("datetime64[s]"), TypeError, "datetime64"),
    (np.array([[1, 2, "x"]], object), TypeError, "object"),
    (np.array([[1, 2, 3j]], object), TypeError, "object"),
    (pd.DataFrame({"a": [1.0], "b": [2], "c": ["x"]}), TypeError, "object"),
    (None, ValueError, r"\(\)"),
    ({"a": 1}, TypeError, "object"),
]
BAD_NUMBERS = [
    (X[:0], ValueError, "0"),
    (spoilt(X, NAN), ValueError, "NaN"),
    (spoilt(X, -INF), ValueError, "infinity"),
    (spoilt(X, INF, np.float16), ValueError, "infinity"),
    (spoilt(X, None, object), ValueError, "NaN"),
    (spoilt(X, 1e39), ValueError, r"3\.4e\+38"),  # a float64 that float32 cannot hold
    (spoilt(X, -1e300), ValueError, r"3\.4e\+38"),
    (spoilt(X, 10**400, object), ValueError, ""),
]
BAD_LABELS = [
    (LABELS[:5], ValueError, "5"),
    (LABELS[:0], ValueError, "0"),
    (spoilt(LABELS, 2), ValueError, "2"),
    (spoilt(LABELS, -1, int), ValueError, "-1"),
    (spoilt(LABELS, 0.5), ValueError, "other numbers"),
    (spoilt(LABELS, 1e30), ValueError, ""),
    (spoilt(LABELS, NAN), ValueError, "NaN"),
    (LABELS.astype(str), TypeError, "<U"),
    (["no", "yes"] * 3, TypeError, "<U3"),
    (np.eye(3)[LABELS], ValueError, r"\(6, 3\)"),
    (np.eye(2)[LABELS] * 2, ValueError, "2"),
    (np.eye(2)[LABELS] / 2, ValueError, "others"),
    (np.eye(2)[LABELS] - [1, 0], ValueError, "-1"),
    (spoilt(np.eye(2)[LABELS], INF), ValueError, "infinity"),
    (np.eye(2)[LABELS][:5], ValueError, r"\(5, 2\)"),
    (None, ValueError, r"\(\)"),
]
BAD_WEIGHTS = [
    (WEIGHTS[:5], ValueError, r"\(5,\)"),
    (WEIGHTS[:, None], ValueError, r"\(6, 1\)"),
    (2.0, ValueError, r"\(\)"),
    (spoilt(WEIGHTS, -1), ValueError, "-1"),
    (spoilt(WEIGHTS, NAN), ValueError, "NaN"),
    (spoilt(WEIGHTS, INF), ValueError, "infinity"),
    (spoilt(WEIGHTS, 1e39), ValueError, r"3\.4e\+38"),
    (np.zeros(6), ValueError, "0"),
    (np.zeros(6, bool), ValueError, ""),
    (np.full(6, TINY), ValueError, "1e-60"),  # zero in float32
    (WEIGHTS.astype(str), TypeError, "<U"),
    ("balanced", TypeError, "<U8"),
]
BAD_DATA = [
    *[("X", *case) for case in BAD_X + BAD_NUMBERS],
    *[("y", *case) for case in BAD_LABELS],
    *[("sample_weight", *case) for case in BAD_WEIGHTS],
]
CALLS = {
    "fit": lambda net, X, y, sample_weight: fit(net, X, y, sample_weight=sample_weight, epochs=1),
    "loss": lambda net, X, y, sample_weight: net.loss(X, y, sample_weight=sample_weight),
    "gradient": lambda net, X, y, sample_weight: net.gradient(X, y, sample_weight=sample_weight),
    "trace": lambda net, X, y, sample_weight: net.trace(X, y, sample_weight=sample_weight),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("argument", "value", "error", "came"), BAD_DATA)
def test_data_that_cannot_be_used(call, argument, value, error, came):
    net = network()
    before = net.params.tobytes()
    with pytest.raises(error) as caught:
        CALLS[call](net, **{"X": X, "y": LABELS, "sample_weight": WEIGHTS, argument: value})
    assert_explains(caught, argument, came)
    assert net.params.tobytes() == before


@pytest.mark.parametrize(("value", "error", "came"), BAD_X)
def test_an_X_that_forward_refuses(value, error, came):
    with pytest.raises(error) as caught:
        network().forward(value)
    assert_explains(caught, "X", came)


@pytest.mark.parametrize(
    ("value", "came"),
    [
        (sparse.csr_matrix(X[:, :2]), r"\(6, 2\)"),
        (sparse.csr_matrix(spoilt(X, NAN)), "NaN"),
        (sparse.csc_array(spoilt(X, 1e39)), r"3\.4e\+38"),
        (sparse.coo_array(X[0]), r"\(3,\)"),
    ],
)
def test_a_sparse_X_that_cannot_be_used(value, came):
    for call in (lambda net: fit(net, value, LABELS), lambda net: net.forward(value)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            call(network())
        assert_explains(caught, "X", came)


@pytest.mark.parametrize(
    ("output", "y", "words"),
    [
        ("identity", X, r"shape \(6, 1\) or \(6,\), got \(6, 3\)"),
        ("identity", LABELS[None], r"shape \(6, 1\) or \(6,\), got \(1, 6\)"),
        ("identity", spoilt(LABELS, NAN), "finite numbers, got NaN"),
        ("sigmoid", spoilt(LABELS, 2), r"from 0 to 1 for output 'sigmoid', got 0 to 2"),
        ("sigmoid", spoilt(LABELS, -1), r"from 0 to 1 for output 'sigmoid', got -1 to 1"),
        ("exp", spoilt(LABELS, -1), r">= 0 for output 'exp', got -1"),
        ("step", spoilt(LABELS, 0.5), "0 or 1 for output 'step', got"),
    ],
)
def test_targets_that_an_output_refuses(output, y, words):
    with pytest.raises(ValueError, match=f"y: expected .*{words}"):
        fit(Network([3, 1], output=output), X, y)


def test_one_row_of_targets_is_not_broadcast():
    with pytest.raises(ValueError, match=r"y: expected shape \(6, 2\), got \(1, 2\)"):
        fit(Network([3, 2]), X, X[:1, :2])


# --------------------------------------------------------------------------------------- fit(...)

BAD_FITS = [
    ("network", "net", TypeError, "'net'"),
    ("optimizer", "sgdd", ValueError, "'sgdd'"),
    ("optimizer", SGD, ValueError, "SGD"),  # the class, not an object of it
    ("optimizer", None, ValueError, "None"),
    ("schedule", "linear", ValueError, "'linear'"),
    ("schedule", 0.1, ValueError, "0.1"),
    ("engine", "torch", ValueError, "'torch'"),
    ("engine", None, ValueError, "None"),
    ("learning_rate", 0, ValueError, "0"),
    ("learning_rate", -0.1, ValueError, "-0.1"),
    ("learning_rate", NAN, ValueError, "nan"),
    ("learning_rate", INF, ValueError, "inf"),
    ("learning_rate", "0.1", TypeError, "'0.1'"),
    ("learning_rate", None, TypeError, "None"),
    ("batch_size", 0, ValueError, "0"),
    ("batch_size", -5, ValueError, "-5"),
    ("batch_size", 2.0, TypeError, "2.0"),
    ("batch_size", "auto", TypeError, "'auto'"),
    ("batch_size", True, TypeError, "True"),
    ("batch_size", None, TypeError, "None"),
    ("epochs", -1, ValueError, "-1"),
    ("epochs", 1.5, TypeError, "1.5"),
    ("epochs", None, TypeError, "None"),
    ("l2", -0.1, ValueError, "-0.1"),
    ("l2", NAN, ValueError, "nan"),
    ("l2", "0", TypeError, "'0'"),
    ("dropout", 1, ValueError, "1"),
    ("dropout", -0.1, ValueError, "-0.1"),
    ("dropout", [0.1, 0.2], ValueError, "2"),
    ("dropout", [NAN], ValueError, "nan"),
    ("dropout", "half", (TypeError, ValueError), ""),
    ("dropout", None, TypeError, "None"),
    ("clip_norm", 0, ValueError, "0"),
    ("clip_norm", -1, ValueError, "-1"),
    ("clip_value", 0, ValueError, "0"),
    ("clip_value", NAN, ValueError, "nan"),
    ("clip_value", "1", TypeError, "'1'"),
    ("early_stopping", 0, ValueError, "0"),
    ("early_stopping", True, TypeError, "True"),
    ("early_stopping", 2.5, TypeError, "2.5"),
    ("n_threads", 0, ValueError, "0"),
    ("n_threads", -1, ValueError, "-1"),
    ("n_threads", 1.5, TypeError, "1.5"),
    ("callbacks", [print], TypeError, "print"),
    ("callbacks", Callback(), TypeError, "Callback"),  # not in a list
    ("random_state", "seed", TypeError, "'seed'"),
    ("random_state", -1, ValueError, "-1"),
    ("validation_data", X, TypeError, "ndarray"),
    ("validation_data", (X,), TypeError, "tuple"),
    ("validation_data", (X, LABELS, WEIGHTS, 1), TypeError, "tuple"),
    ("validation_data: X", (X[:, :2], LABELS), ValueError, r"\(6, 2\)"),
    ("validation_data: X", (spoilt(X, NAN), LABELS), ValueError, "NaN"),
    ("validation_data: y", (X, LABELS[:5]), ValueError, "5"),
    ("validation_data: sample_weight", (X, LABELS, np.zeros(6)), ValueError, "0"),
]


@pytest.mark.parametrize(("argument", "value", "error", "came"), BAD_FITS)
def test_settings_that_fit_refuses(argument, value, error, came):
    net = network()
    before = net.params.tobytes()
    with pytest.raises(error) as caught:
        fit(**{"network": net, "X": X, "y": LABELS, argument.partition(":")[0]: value})
    assert_explains(caught, argument, came)
    assert net.params.tobytes() == before


@pytest.mark.parametrize(
    ("argument", "value", "error", "came"),
    [
        ("engine", "torch", ValueError, "'torch'"),
        ("n_threads", 0, ValueError, "0"),
        ("l2", -1, ValueError, "-1"),
    ],
)
def test_settings_that_gradient_refuses(argument, value, error, came):
    with pytest.raises(error) as caught:
        network().gradient(X, LABELS, **{argument: value})
    assert_explains(caught, argument, came)


# --------------------------------------------------------------------------------------- what is accepted


def memory_map(dtype):
    def on_disk(array, path):
        mapped = np.memmap(path / "array", dtype, "w+", shape=array.shape)
        mapped[:] = array
        return mapped

    return on_disk


def read_only(array, _):
    array = array.astype("float32")
    array.flags.writeable = False
    return array


FORMS = {
    "float32": lambda array, _: array.astype("float32"),
    "float64": lambda array, _: array.astype("float64"),
    "float16": lambda array, _: array.astype("float16"),
    "long double": lambda array, _: array.astype("longdouble"),
    "big-endian float32": lambda array, _: array.astype(">f4"),
    "big-endian float64": lambda array, _: array.astype(">f8"),
    "int64": lambda array, _: array.astype("int64"),
    "uint8": lambda array, _: array.astype("uint8"),
    "bool": lambda array, _: array.astype(bool),
    "list": lambda array, _: array.tolist(),
    "tuple of arrays": lambda array, _: tuple(array),
    "object": lambda array, _: array.astype(object),
    "Fortran order": lambda array, _: np.asfortranarray(array, "float32"),
    "every other": lambda array, _: np.repeat(array, 2, axis=-1).astype("float32")[..., ::2],
    "backwards": lambda array, _: array[::-1].astype("float32")[::-1],
    "read-only": read_only,
    "pandas": lambda array, _: (pd.DataFrame if array.ndim == 2 else pd.Series)(array),
    "pandas, its own integers": lambda array, _: (pd.DataFrame if array.ndim == 2 else pd.Series)(array, dtype="Int64"),
    "float32 memory map": memory_map("float32"),
    "float64 memory map": memory_map("float64"),
}
SMALL = {"X": X, "y": LABELS, "one-hot y": np.eye(2)[LABELS], "sample_weight": np.array([1, 0, 1, 1, 1, 0])}


def content(value):
    array = np.asarray(value)
    data = array.tolist() if array.dtype == object else array.tobytes()
    return data, array.dtype, array.strides, array.flags.writeable, type(value)


def results(net, X, y, sample_weight, engine):
    history = fit(
        net, X, y, sample_weight=sample_weight, epochs=2, batch_size=4, engine=engine, random_state=0,
        validation_data=(X, y, sample_weight),
    )  # fmt: skip
    settings = {"sample_weight": sample_weight, "engine": engine}
    loss, gradient = net.gradient(X, y, **settings)
    return history, loss, gradient.tolist(), net.loss(X, y, **settings), net.forward(X, engine=engine).tolist()


@pytest.mark.parametrize("argument", SMALL)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_results_and_is_left_as_it_was(form, argument, engine, tmp_path):
    name = argument.removeprefix("one-hot ")
    plain = {"X": X, "y": SMALL["one-hot y"], "sample_weight": SMALL["sample_weight"], name: SMALL[argument]}
    value = FORMS[form](SMALL[argument], tmp_path)
    before = content(value)
    actual, expected = (results(network(), engine=engine, **{**plain, name: given}) for given in (value, plain[name]))
    assert content(value) == before
    assert actual == expected


def test_labels_and_one_hot_rows_are_the_same():
    column = LABELS[:, None]
    losses = [network().loss(X, y) for y in (LABELS, column, LABELS.astype(float), np.eye(2)[LABELS])]
    assert len(set(losses)) == 1


def test_y_of_one_output_may_be_flat():
    net = Network([3, 1], random_state=0)
    assert net.loss(X, LABELS) == net.loss(X, LABELS[:, None])


def test_float64_takes_what_float32_cannot_hold():
    net = network(dtype="float64")
    large = spoilt(X, 1e39)
    checked, *_ = net.check(large, LABELS)
    np.testing.assert_array_equal(checked, large)


def test_what_is_checked_cannot_be_written_and_is_a_view_where_possible():
    given = X.astype("float32")
    checked, *_ = network().check(given, LABELS)
    assert not checked.flags.writeable
    assert given.flags.writeable
    assert np.shares_memory(checked, given)
