"""MLPClassifier and MLPRegressor: what people who know scikit-learn expect of them."""

import inspect
import itertools
import pickle

import numpy as np
import pytest
from processes import run
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlp_jit import MLPClassifier, MLPRegressor
from mlp_jit.engines import lanes, loops

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

IRIS_X, IRIS_Y = load_iris(return_X_y=True)
IRIS_X = StandardScaler().fit_transform(IRIS_X)
DIABETES_X, DIABETES_Y = load_diabetes(return_X_y=True)
DIABETES_Y = (DIABETES_Y - DIABETES_Y.mean()) / DIABETES_Y.std()
BOTH = pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])


def small(Estimator=MLPClassifier, **settings):
    return Estimator(**{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **settings})


# --------------------------------------------------------------------------------------- it learns


def test_digits():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split((X / 16).astype("float32"), y, random_state=0)
    classifier = MLPClassifier(batch_size=50, max_iter=40, random_state=0).fit(X_train, y_train)
    assert classifier.score(X_test, y_test) >= 0.96
    probabilities = classifier.predict_proba(X_test)
    assert probabilities.shape == (450, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), classifier.predict(X_test))


def test_classes_may_be_words():
    names = np.array(["setosa", "versicolor", "virginica"])[IRIS_Y]
    classifier = MLPClassifier((10,), max_iter=100, learning_rate_init=0.02, random_state=0).fit(IRIS_X, names.tolist())
    assert classifier.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert set(classifier.predict(IRIS_X)) <= set(names)
    assert classifier.score(IRIS_X, names) >= 0.95
    numbered = clone(classifier).fit(IRIS_X, IRIS_Y)
    assert numbered.loss_curve_ == classifier.loss_curve_


@pytest.mark.parametrize("classes", [[-1, 1], [False, True], ["no", "yes"], [2.0, 7.0]])
def test_two_classes(classes):
    X, y = IRIS_X[:100], np.array(classes)[IRIS_Y[:100]]
    classifier = MLPClassifier((5,), max_iter=60, learning_rate_init=0.02, random_state=0).fit(X, y)
    assert classifier.score(X, y) == 1
    assert classifier.predict(X).dtype == y.dtype
    probabilities = classifier.predict_proba(X)
    assert probabilities.shape == (100, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(classifier.classes_[probabilities.argmax(axis=1)], y)


def test_one_class_is_predicted_always():
    assert (small().fit(IRIS_X, np.full(150, 7)).predict(IRIS_X) == 7).all()


def test_several_labels_at_once():
    X, y = make_multilabel_classification(n_samples=200, n_classes=4, n_labels=2, random_state=0)
    classifier = MLPClassifier((50,), max_iter=150, learning_rate_init=0.01, random_state=0).fit(X, y)
    predicted, probabilities = classifier.predict(X), classifier.predict_proba(X)
    assert predicted.shape == probabilities.shape == (200, 4)
    np.testing.assert_array_equal(predicted, probabilities >= 0.5)
    assert classifier.score(X, y) == (predicted == y).all(axis=1).mean() >= 0.9


@pytest.mark.parametrize("outputs", [1, 2])
def test_regression(outputs):
    y = DIABETES_Y if outputs == 1 else np.column_stack([DIABETES_Y, -2 * DIABETES_Y])
    regressor = MLPRegressor((10,), max_iter=60, learning_rate_init=0.01, random_state=0).fit(DIABETES_X, y)
    predicted = regressor.predict(DIABETES_X)
    assert predicted.shape == y.shape
    residual, spread = ((y - predicted) ** 2).sum(axis=0), ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    assert regressor.score(DIABETES_X, y) == pytest.approx(np.mean(1 - residual / spread), rel=1e-12)
    assert regressor.score(DIABETES_X, y) > 0.4


@BOTH
def test_a_column_of_y_is_the_same_as_a_flat_one(Estimator):
    flat, column = small(Estimator).fit(IRIS_X, IRIS_Y), small(Estimator).fit(IRIS_X, IRIS_Y[:, None])
    np.testing.assert_array_equal(flat.network_.params, column.network_.params)
    assert flat.score(IRIS_X, IRIS_Y) == flat.score(IRIS_X, IRIS_Y[:, None]) == column.score(IRIS_X, IRIS_Y)


# --------------------------------------------------------------------------------------- it follows scikit-learn

Y = {
    MLPClassifier: {
        "three classes": IRIS_Y,
        "two classes": IRIS_Y == 1,
        "labels": np.column_stack([IRIS_Y < 2, IRIS_Y > 0]).astype(int),
    },
    MLPRegressor: {"one output": IRIS_X[:, 0] * IRIS_Y, "two outputs": IRIS_X[:, :2] * IRIS_Y[:, None]},
}
KINDS = pytest.mark.parametrize(
    ("Estimator", "y"),
    [pytest.param(Estimator, y, id=name) for Estimator, targets in Y.items() for name, y in targets.items()],
)
TINY = 1e-14  # scikit-learn's Adam adds ε to √v instead of √v̂, so ε must not count where all else is compared
SOLVERS = [
    {"solver": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": TINY, "activation": "relu"},
    {"solver": "sgd", "activation": "logistic"},
    {"solver": "sgd", "momentum": 0, "activation": "identity"},
    {"solver": "sgd", "nesterovs_momentum": False, "learning_rate": "invscaling", "activation": "tanh"},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1, "activation": "tanh"},
]


def ours_and_theirs(Estimator, **settings):
    return Estimator(**settings), getattr(neural_network, Estimator.__name__)(**settings)


def assert_same_network(ours, theirs):
    for one, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-10)


@KINDS
@pytest.mark.parametrize("settings", SOLVERS, ids=lambda settings: f"{settings['activation']} {settings['solver']}")
def test_it_trains_as_scikit_learn_does(Estimator, y, settings):
    ours, theirs = ours_and_theirs(
        Estimator, hidden_layer_sizes=(7, 5), alpha=0.1, batch_size=40, max_iter=10, random_state=3, **settings
    )
    ours.fit(IRIS_X, y)
    theirs.fit(IRIS_X, y)
    assert_same_network(ours, theirs)
    names = ["n_iter_", "n_layers_", "n_outputs_", "n_features_in_"]
    if Estimator is MLPClassifier or y.ndim == 1:  # it reports the mean over outputs, but trains on the sum as we do
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
        names += ["loss_", "best_loss_"]
    for name in names:
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-9)
    np.testing.assert_allclose(ours.predict(IRIS_X), theirs.predict(IRIS_X), rtol=1e-7)
    weight = np.arange(150) % 4
    assert ours.score(IRIS_X, y, weight) == pytest.approx(theirs.score(IRIS_X, y, weight), rel=1e-9)


@BOTH
def test_with_the_default_settings_the_loss_is_that_of_scikit_learn(Estimator):
    ours, theirs = ours_and_theirs(Estimator, max_iter=10, random_state=0)
    ours.fit(IRIS_X, IRIS_Y)
    theirs.fit(IRIS_X, IRIS_Y)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-5)  # ε tells


@KINDS
def test_it_weighs_samples_as_scikit_learn_does(Estimator, y):
    """All but the loss curve, where scikit-learn takes the mean over batches by their rows instead of their weights."""
    settings = {"hidden_layer_sizes": (7, 5), "batch_size": 40, "max_iter": 5, "random_state": 3, "epsilon": TINY}
    ours, theirs = ours_and_theirs(Estimator, **settings)
    weight = np.random.default_rng(0).uniform(0, 2, 150)
    if "sample_weight" not in inspect.signature(theirs.fit).parameters:
        pytest.skip("scikit-learn before 1.7")
    ours.fit(IRIS_X, y, weight)
    theirs.fit(IRIS_X, y, weight)
    assert_same_network(ours, theirs)


@BOTH
def test_it_stops_when_scikit_learn_does(Estimator):
    ours, theirs = ours_and_theirs(Estimator, tol=1e-2, n_iter_no_change=3, learning_rate_init=0.01, random_state=0)
    assert 3 < ours.fit(IRIS_X, IRIS_Y).n_iter_ == theirs.fit(IRIS_X, IRIS_Y).n_iter_ < 200


@BOTH
def test_parameters_and_defaults_are_those_of_scikit_learn(Estimator):
    theirs = getattr(neural_network, Estimator.__name__)().get_params()
    ours = Estimator().get_params()
    assert {name: ours[name] for name in ours if name in theirs} == {
        name: theirs[name] for name in theirs if name in ours
    }
    assert set(ours) - set(theirs) == {"engine", "n_threads"}


# --------------------------------------------------------------------------------------- early stopping


@BOTH
def test_early_stopping_keeps_the_best_score(Estimator):
    estimator = small(Estimator, early_stopping=True, max_iter=300, n_iter_no_change=4, learning_rate_init=0.02)
    estimator.fit(IRIS_X, IRIS_Y)
    scores = estimator.validation_scores_
    assert len(scores) == len(estimator.loss_curve_) == estimator.n_iter_ < 300
    assert estimator.best_validation_score_ == max(scores)


def test_the_validation_score_is_that_of_score(monkeypatch):
    """On labels of which each row happens to have just one, too."""
    y = np.eye(3, dtype=int)[IRIS_Y]
    held_out, split = [], MLPClassifier._split

    def spy(self, *arguments):
        held_out.append(split(self, *arguments)[-1])
        return (*split(self, *arguments)[:-1], held_out[-1])

    monkeypatch.setattr(MLPClassifier, "_split", spy)
    classifier = small(early_stopping=True, max_iter=1).fit(IRIS_X, y)
    assert classifier.validation_scores_ == [pytest.approx(classifier.score(*held_out[0]))]


# --------------------------------------------------------------------------------------- as an estimator


@BOTH
def test_random_state_makes_it_reproducible(Estimator):
    def run_of(random_state):
        return small(Estimator, early_stopping=True, random_state=random_state).fit(IRIS_X, IRIS_Y).loss_curve_

    assert run_of(1) == run_of(1) == run_of(np.random.RandomState(1)) != run_of(2)


@BOTH
@pytest.mark.parametrize(("given", "kept"), [("float32", "float32"), ("float64", "float64"), ("int64", "float64")])
def test_dtype_follows_X(Estimator, given, kept):
    estimator = small(Estimator).fit(IRIS_X.astype(given), IRIS_Y)
    results = [estimator.coefs_[0], estimator.intercepts_[0]]
    results.append(estimator.predict(IRIS_X) if Estimator is MLPRegressor else estimator.predict_proba(IRIS_X))
    assert {array.dtype for array in results} == {np.dtype(kept)}


@BOTH
def test_clone_set_params_and_pickle(Estimator):
    estimator = small(Estimator, alpha=0.5).set_params(max_iter=3)
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert (copy.alpha, copy.max_iter) == (0.5, 3)
    copy.fit(IRIS_X, IRIS_Y)
    assert not hasattr(estimator, "network_")
    loaded = pickle.loads(pickle.dumps(copy))
    np.testing.assert_array_equal(loaded.predict(IRIS_X), copy.predict(IRIS_X))
    with pytest.raises(ValueError, match="learning_speed"):
        estimator.set_params(learning_speed=1)


@pytest.mark.parametrize("copied", [False, True])
def test_coefs_are_the_weights_that_predict(copied):
    regressor = small(MLPRegressor).fit(IRIS_X, IRIS_Y)
    if copied:
        regressor = pickle.loads(pickle.dumps(regressor))
    for array in regressor.coefs_ + regressor.intercepts_:
        array[:] = 0
    regressor.intercepts_[-1][:] = 5
    assert (regressor.predict(IRIS_X) == 5).all()


@BOTH
def test_it_works_in_a_pipeline_and_a_search(Estimator):
    pipeline = make_pipeline(StandardScaler(), small(Estimator))
    search = GridSearchCV(pipeline, {f"{Estimator.__name__.lower()}__alpha": [0, 1]})
    search.fit(IRIS_X, IRIS_Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(cross_val_score(small(Estimator), IRIS_X, IRIS_Y)) == 5


@BOTH
def test_its_engine_does_all_the_work(Estimator, monkeypatch):
    for other, function in itertools.product((lanes, loops), ("forward", "evaluate", "train_epoch")):
        monkeypatch.setattr(other, function, None)
    estimator = small(Estimator, engine="vectorized", early_stopping=True)
    estimator.fit(IRIS_X, IRIS_Y).predict(IRIS_X)


def test_sample_weight_of_zero_takes_a_row_out():
    weight = (IRIS_Y < 2).astype(float)
    settings = {"batch_size": 150, "shuffle": False, "alpha": 0}
    weighted = small(MLPRegressor, **settings).fit(IRIS_X, IRIS_Y, weight)
    removed = small(MLPRegressor, **settings).fit(IRIS_X[IRIS_Y < 2], IRIS_Y[IRIS_Y < 2])
    np.testing.assert_allclose(weighted.loss_curve_, removed.loss_curve_, rtol=1e-10)


def test_verbose_shows_progress(capsys):
    small(verbose=True).fit(IRIS_X, IRIS_Y)
    assert "epoch 5/5  loss " in capsys.readouterr().err


# --------------------------------------------------------------------------------------- what it refuses


@BOTH
def test_predicting_before_fit(Estimator):
    with pytest.raises(NotFittedError, match=f"This {Estimator.__name__} instance is not fitted yet"):
        Estimator().predict(IRIS_X)


@pytest.mark.filterwarnings("default:Stochastic Optimizer")
@BOTH
def test_too_few_epochs_warn(Estimator):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        small(Estimator, max_iter=2).fit(IRIS_X, IRIS_Y)


NAN = np.nan
BAD_PARAMETERS = [
    ("hidden_layer_sizes", (0,)),
    ("hidden_layer_sizes", (5.5,)),
    ("activation", "rellu"),
    ("activation", ["relu", "tanh"]),
    ("solver", "lbfgsb"),
    ("alpha", -1),
    ("alpha", NAN),
    ("batch_size", 0),
    ("batch_size", "all"),
    ("learning_rate", "cosine"),
    ("learning_rate_init", 0),
    ("learning_rate_init", -0.1),
    ("power_t", -1),
    ("max_iter", -1),
    ("max_iter", 2.5),
    ("random_state", "seed"),
    ("tol", -1),
    ("tol", NAN),
    ("momentum", 1.5),
    ("validation_fraction", 0),
    ("validation_fraction", 1),
    ("beta_1", 1),
    ("beta_2", -0.1),
    ("epsilon", -1),
    ("n_iter_no_change", 0),
    ("n_iter_no_change", 1.5),
    ("engine", "torch"),
    ("n_threads", 0),
]
GIVEN_TO = {"power_t": {"solver": "sgd", "learning_rate": "invscaling"}, "momentum": {"solver": "sgd"},
            "validation_fraction": {"early_stopping": True}}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
def test_a_bad_parameter_is_named(name, value):
    with pytest.raises((ValueError, TypeError), match=rf"\b{name}\b"):
        small(**GIVEN_TO.get(name, {}), **{name: value}).fit(IRIS_X, IRIS_Y)


@BOTH
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"X": IRIS_X[0]}, "X: expected"),
        ({"X": IRIS_X[:0], "y": IRIS_Y[:0]}, "X: expected at least 1 row"),
        ({"X": np.where(IRIS_X > 2, NAN, IRIS_X)}, "X: expected finite numbers, got NaN"),
        ({"X": IRIS_X.astype(str)}, "X: expected real numbers"),
        ({"y": IRIS_Y[:-1]}, "y: expected 150 "),
        ({"y": np.where(IRIS_Y == 2, NAN, IRIS_Y)}, "y: expected .*got NaN"),
        ({"y": IRIS_Y[:, None, None]}, r"y: expected .*\(150, 1, 1\)"),
        ({"y": 1}, r"y: expected .*\(\)"),
        ({"sample_weight": -np.ones(150)}, "sample_weight: expected"),
        ({"sample_weight": np.ones(149)}, "sample_weight: expected"),
    ],
)
def test_data_that_fit_refuses(Estimator, changed, words):
    with pytest.raises((ValueError, TypeError), match=words):
        small(Estimator).fit(**{"X": IRIS_X, "y": IRIS_Y, **changed})


@BOTH
@pytest.mark.parametrize("X", [IRIS_X[:, :2], IRIS_X[0], np.full((1, 4), NAN), [["a"] * 4]])
def test_data_that_predict_refuses(Estimator, X):
    with pytest.raises((ValueError, TypeError), match="X: expected"):
        small(Estimator).fit(IRIS_X, IRIS_Y).predict(X)


def test_a_label_matrix_holds_zeros_and_ones():
    with pytest.raises(ValueError, match=r"y: expected 0 and 1 .*got"):
        small().fit(IRIS_X, np.eye(3)[IRIS_Y] * 2)


# --------------------------------------------------------------------------------------- without scikit-learn

WITHOUT = """
import sys, warnings
sys.modules["sklearn"] = None
import numpy as np, pickle
from mlp_jit import MLPClassifier, MLPRegressor

X = np.random.default_rng(0).normal(size=(60, 2))
for Estimator, y in ((MLPClassifier, np.where(X[:, 0] > 0, "right", "left")), (MLPRegressor, X[:, 0] - X[:, 1])):
    estimator = Estimator((5,), "tanh", max_iter=3).set_params(max_iter=200, random_state=0, learning_rate_init=0.05)
    assert estimator.get_params()["max_iter"] == 200
    try:
        estimator.predict(X)
    except ValueError as error:
        print(type(error).__name__, "not fitted yet" in str(error))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    assert estimator.score(X, y) > 0.8, estimator.score(X, y)
    assert (pickle.loads(pickle.dumps(estimator)).predict(X) == estimator.predict(X)).all()
    try:
        estimator.set_params(speed=1)
    except ValueError as error:
        print("speed" in str(error))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.set_params(max_iter=1).fit(X, y)
    print(caught[-1].category.__name__)
"""


def test_it_works_without_scikit_learn():
    assert run(WITHOUT).split() == ["NotFittedError", "True", "True", "ConvergenceWarning"] * 2
