"""The estimators beside scikit-learn's: the same numbers, attributes, messages and lines."""

import inspect
import warnings

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn import config_context, neural_network
from sklearn.model_selection import train_test_split
from tables import LABELS, NUMBERS, SEVERAL, WEIGHT, X, target

from mlp_jit import MLPClassifier, MLPRegressor, Network
from mlp_jit.estimators import without_sklearn

if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9):
    pytest.skip("scikit-learn 1.9 is what the estimators are measured by", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")
BOTH = pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
OF_OTHERS = {
    "class_weight", "scoring", "normalization", "skip", "dropout", "clip_norm", "clip_value", "callbacks", "engine",
    "n_threads", "checkpoint",
}  # fmt: skip


def theirs_of(Estimator):
    return getattr(neural_network, Estimator.__name__)


def both(Estimator, *data, method="fit", times=1, **settings):
    """Ours and theirs, fitted."""
    settings = {"hidden_layer_sizes": (7, 5), "batch_size": 25, "max_iter": 6, "random_state": 3, **settings}
    pair = Estimator(**settings), theirs_of(Estimator)(**settings)
    for estimator in pair:
        for _ in range(times):
            getattr(estimator, method)(*data)
    return pair


def assert_alike(ours, theirs, rtol=1e-9):
    """Everything a fit leaves behind."""
    for one, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-9)
    public = {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    assert public <= {name for name in vars(ours) if name.endswith("_")}
    for name in public - {"coefs_", "intercepts_"}:
        one, other = getattr(ours, name), getattr(theirs, name)
        assert type(one) is type(other) or np.isscalar(one), name
        if isinstance(other, str) or other is None:
            assert one == other, name
        else:
            np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-12, err_msg=name)


KINDS = pytest.mark.parametrize(
    ("Estimator", "y", "settings"),
    [
        pytest.param(MLPClassifier, LABELS, {}, id="three classes"),
        pytest.param(MLPClassifier, LABELS == 1, {}, id="two classes"),
        pytest.param(MLPClassifier, np.ones(60, int), {}, id="one class"),
        pytest.param(MLPClassifier, SEVERAL, {}, id="labels"),
        pytest.param(MLPRegressor, NUMBERS, {}, id="one output"),
        pytest.param(MLPRegressor, np.column_stack([NUMBERS, X[:, 0]]), {}, id="two outputs"),
        pytest.param(MLPRegressor, np.round(np.abs(NUMBERS)), {"loss": "poisson"}, id="counts"),
        pytest.param(MLPRegressor, np.abs(X[:, :2]), {"loss": "poisson"}, id="two counts"),
    ],
)
SOLVERS = [
    {},
    {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 0.1, "activation": "tanh"},
    {"solver": "sgd", "activation": "logistic"},
    {"solver": "sgd", "momentum": 0, "activation": "identity"},
    {"solver": "sgd", "nesterovs_momentum": False, "learning_rate": "invscaling", "activation": "tanh"},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1, "activation": "tanh"},
    {"learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1e-2},
    {"batch_size": "auto", "shuffle": False},
]
some_solver = pytest.mark.parametrize("solver", SOLVERS, ids=str)


@KINDS
@some_solver
def test_it_trains_as_scikit_learn_does(Estimator, y, settings, solver):
    assert_alike(*both(Estimator, X, y, **{"alpha": 0.1, **settings, **solver}))


@KINDS
@pytest.mark.parametrize("solver", [{}, {"solver": "sgd"}, {"early_stopping": True}], ids=str)
def test_it_weighs_samples_as_scikit_learn_does(Estimator, y, settings, solver):
    assert_alike(*both(Estimator, X, y, WEIGHT, **{"alpha": 0.1, **settings, **solver}))


@KINDS
def test_it_minimises_by_lbfgs_as_scikit_learn_does(Estimator, y, settings):
    pair = both(Estimator, X, y, WEIGHT, **settings, alpha=0.1, solver="lbfgs", activation="tanh")
    assert_alike(*pair, rtol=1e-6)


def test_lbfgs_descends_what_it_reports():
    """With several outputs scikit-learn's loss is not what its gradient descends, and its line search ends early."""
    y = np.column_stack([NUMBERS, X])
    ours, theirs = (
        0.5 * ((y - estimator.predict(X)) ** 2).mean(axis=0).sum() + sum((W**2).sum() for W in estimator.coefs_) / 120
        for estimator in both(MLPRegressor, X, y, solver="lbfgs", max_iter=300, alpha=1, activation="tanh")
    )
    assert ours < 0.8 * theirs


@KINDS
def test_it_stops_early_where_scikit_learn_does(Estimator, y, settings):
    settings = {"early_stopping": True, "n_iter_no_change": 2, "tol": 1e-2, "validation_fraction": 0.2, **settings}
    ours, theirs = both(Estimator, X, y, max_iter=200, learning_rate_init=0.01, **settings)
    assert 3 < ours.n_iter_ < 200
    assert_alike(ours, theirs)


@BOTH
def test_it_stops_where_scikit_learn_does(Estimator):
    ours, theirs = both(Estimator, X, target(Estimator), max_iter=300, tol=1e-2, learning_rate_init=0.01)
    assert 3 < ours.n_iter_ < 300
    assert_alike(ours, theirs, rtol=1e-6)
    assert ours._no_improvement_count == theirs._no_improvement_count == 11


@KINDS
@pytest.mark.parametrize("solver", [{}, {"solver": "sgd", "learning_rate": "invscaling"}], ids=str)
@pytest.mark.parametrize("way", ["warm start", "partial fit"])
def test_it_goes_on_as_scikit_learn_does(Estimator, y, settings, solver, way):
    if way == "warm start":
        ours, theirs = both(Estimator, X, y, **settings, **solver, warm_start=True, times=3)
    else:
        classes = [] if Estimator is MLPRegressor else [None, np.arange(2) if y.ndim == 2 else np.unique(y)]
        ours, theirs = both(Estimator, X, y, *classes, **settings, **solver, method="partial_fit", times=3)
    assert_alike(ours, theirs)
    assert theirs.solver != "sgd" or ours._optimizer.learning_rate == theirs._optimizer.learning_rate


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_predicts_as_scikit_learn_does(Estimator, dtype):
    ours, theirs = both(Estimator, X.astype(dtype), target(Estimator))
    tolerance = {"rtol": 1e-3 if dtype == "float32" else 1e-7, "atol": 1e-6}
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(theirs, method):
            one, other = getattr(ours, method)(X.astype(dtype)), getattr(theirs, method)(X.astype(dtype))
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            np.testing.assert_allclose(one, other, **tolerance)
    np.testing.assert_allclose(
        ours.score(X, target(Estimator), WEIGHT), theirs.score(X, target(Estimator), WEIGHT), **tolerance
    )


def test_sparse_labels_come_back_sparse():
    ours, theirs = both(MLPClassifier, X, sparse.csr_matrix(SEVERAL))
    assert_alike(ours, theirs)
    predicted = ours.predict(X)
    assert type(predicted) is type(theirs.predict(X))
    assert (predicted != theirs.predict(X)).nnz == 0


# --------------------------------------------------------------------------------------- its face


@BOTH
def test_parameters_come_in_the_same_order_with_the_same_defaults(Estimator):
    ours, theirs = (
        list(inspect.signature(estimator).parameters.values()) for estimator in (Estimator, theirs_of(Estimator))
    )
    assert [(p.name, p.kind, p.default) for p in ours[: len(theirs)]] == [(p.name, p.kind, p.default) for p in theirs]
    others = {p.name for p in ours[len(theirs) :]}
    assert others == OF_OTHERS - ({"class_weight"} if Estimator is MLPRegressor else set())
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :])


@BOTH
def test_methods_take_the_same_arguments(Estimator):
    for name, theirs in inspect.getmembers(theirs_of(Estimator), inspect.isfunction):
        if not name.startswith(("_", "set_")):
            expected = list(inspect.signature(theirs).parameters)
            assert list(inspect.signature(getattr(Estimator, name)).parameters)[: len(expected)] == expected, name


@BOTH
def test_tags_and_routing_are_scikit_learns(Estimator):
    ours, theirs = Estimator(), theirs_of(Estimator)()
    assert ours.__sklearn_tags__() == theirs.__sklearn_tags__()
    for method in ("fit", "partial_fit", "score"):
        requests = getattr(ours.get_metadata_routing(), method).requests
        assert set(getattr(theirs.get_metadata_routing(), method).requests) <= set(requests)
    with config_context(enable_metadata_routing=True):
        routed = ours.set_fit_request(sample_weight=True, X_val=True)
    assert routed.get_metadata_routing().fit.requests["sample_weight"] is True


@BOTH
def test_it_looks_as_scikit_learns_do(Estimator):
    assert repr(Estimator(alpha=1)) == repr(theirs_of(Estimator)(alpha=1)) == f"{Estimator.__name__}(alpha=1)"
    assert Estimator.__name__ in Estimator(alpha=1)._repr_html_()


BAD = {
    "hidden_layer_sizes": [0, -1, (3, 0), None],
    "alpha": [-1, "1", np.nan],
    "batch_size": [0, "all"],
    "learning_rate_init": [0, None],
    "power_t": [-1],
    "max_iter": [0, 2.5],
    "shuffle": ["no", 1],
    "random_state": ["seed", -1, 2**32],
    "tol": [-1],
    "verbose": [-1],
    "warm_start": [1],
    "momentum": [1.5],
    "nesterovs_momentum": [2],
    "early_stopping": ["yes"],
    "validation_fraction": [1, -0.1],
    "beta_1": [1],
    "beta_2": [-0.1],
    "epsilon": [0],
    "n_iter_no_change": [0, 1.5],
    "max_fun": [0],
}


@BOTH
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_parameter_gets_scikit_learns_message(Estimator, name, value):
    messages = []
    for estimator in (Estimator(**{name: value}), theirs_of(Estimator)(**{name: value})):
        with pytest.raises(ValueError, match=name) as caught:
            estimator.fit(X, target(Estimator))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def messages_of(estimator, y, **settings):
    """The warnings of a fit, and the error that ended it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.set_params(random_state=0, **settings).fit(X, y)
        except ValueError as error:
            return [str(error)]
    return [(warning.category, str(warning.message)) for warning in caught]


@BOTH
@pytest.mark.parametrize(
    "settings",
    [
        {"max_iter": 2},
        {"max_iter": 2, "batch_size": 100},
        {"max_iter": 3, "solver": "lbfgs"},
        {"max_fun": 3, "solver": "lbfgs"},
        {"early_stopping": True, "validation_fraction": 0.001},
        {"early_stopping": True, "validation_fraction": 0.0},
    ],
    ids=str,
)
def test_warnings_and_errors_are_scikit_learns(Estimator, settings):
    y = target(Estimator)
    assert messages_of(Estimator(), y, **settings) == messages_of(theirs_of(Estimator)(), y, **settings) != []


@pytest.mark.parametrize(
    "y", [NUMBERS, np.column_stack([LABELS, LABELS]), np.arange(60) == 0, LABELS[:, None], LABELS[1:]]
)
def test_a_y_that_needs_a_word_gets_scikit_learns(y):
    settings = {"early_stopping": True, "max_iter": 1}
    said = messages_of(MLPClassifier(), y, **settings)
    assert said == messages_of(neural_network.MLPClassifier(), y, **settings) != []


@BOTH
@pytest.mark.parametrize(
    "settings",
    [
        {"max_iter": 4},
        {"early_stopping": True, "tol": 10, "n_iter_no_change": 1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10, "n_iter_no_change": 2, "learning_rate_init": 1e-5},
        {"tol": 10, "n_iter_no_change": 2},
    ],
    ids=str,
)
def test_a_log_gets_scikit_learns_lines(Estimator, settings, capsys):
    lines = []
    for estimator in (Estimator, theirs_of(Estimator)):
        estimator(verbose=True, random_state=0, **settings).fit(X, target(Estimator))
        lines.append(capsys.readouterr().out.splitlines())
    assert lines[0] == lines[1]
    assert "Iteration 3, loss = " in "".join(lines[0])


# --------------------------------------------------------------------------------------- stand-ins and conversions


@pytest.mark.parametrize("size", [0.1, 0.33, 0.5])
@pytest.mark.parametrize("share", [0.1, 0.35, 0.5])
def test_the_stand_in_splits_as_scikit_learn_does(size, share):
    for seed in range(20):
        y = np.random.default_rng(seed).uniform(size=(41, 1)) < share
        y[:2], y[2:4] = False, True
        for stratify in (None, y):
            one, other = (
                split(np.arange(41), test_size=size, random_state=np.random.RandomState(seed), stratify=stratify)
                for split in (without_sklearn.train_test_split, train_test_split)
            )
            for mine, theirs in zip(one, other, strict=True):
                np.testing.assert_array_equal(mine, theirs)


@KINDS
def test_networks_come_from_scikit_learn_and_go_back(Estimator, y, settings):
    theirs = theirs_of(Estimator)(hidden_layer_sizes=(4, 3), activation="logistic", max_iter=3, **settings).fit(X, y)
    network = Network.from_sklearn(theirs)
    back = network.to_sklearn(theirs.classes_ if Estimator is MLPClassifier and len(theirs.classes_) > 1 else None)
    outputs = theirs.predict_proba(X) if Estimator is MLPClassifier else theirs.predict(X)
    np.testing.assert_allclose(network.forward(X)[:, -1], outputs.reshape(60, -1)[:, -1], rtol=1e-9)
    if y.ndim == 2 or len(np.unique(y)) > 1:
        np.testing.assert_array_equal(back.predict(X), theirs.predict(X))
    ours = Estimator(max_iter=1, **settings).fit(X, y)
    assert Network.from_sklearn(ours).to_sklearn().n_layers_ == 3


def test_what_cannot_be_converted():
    with pytest.raises(TypeError, match="expected a fitted MLPClassifier"):
        Network.from_sklearn(neural_network.MLPClassifier())
    with pytest.raises(ValueError, match="expected one of identity, sigmoid, tanh, relu in all hidden layers"):
        Network([2, 3, 1], activation="gelu").to_sklearn()
    with pytest.raises(ValueError, match="classes: expected 3 distinct labels for 3 outputs, got 2"):
        Network([2, 3], output="softmax").to_sklearn(["a", "b"])
