"""MLPClassifier and MLPRegressor by themselves: what they learn, keep and refuse, with scikit-learn and without."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from processes import run
from tables import LABELS, NUMBERS, SEVERAL, WEIGHT, X, small, target

from mlp_jit import Callback
from mlp_jit.engines import ENGINES

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
LEARNS = {"hidden_layer_sizes": (20,), "max_iter": 150, "learning_rate_init": 0.02, "batch_size": 30}

# --------------------------------------------------------------------------------------- it learns


@pytest.mark.parametrize("names", [[3, 5, 8], ["setosa", "versicolor", "virginica"], [-1.0, 0.0, 1.0]])
def test_classes_may_be_anything(estimators, names):
    y = np.array(names)[LABELS]
    classifier = small(estimators.MLPClassifier, **LEARNS).fit(X, y.tolist())
    assert classifier.classes_.tolist() == names
    assert classifier.score(X, y) >= 0.95
    probabilities = classifier.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(classifier.classes_[probabilities.argmax(axis=1)], classifier.predict(X))
    np.testing.assert_array_equal(np.exp(classifier.predict_log_proba(X)), np.exp(np.log(probabilities)))


@pytest.mark.parametrize("classes", [[-1, 1], [False, True], ["no", "yes"], [2.0, 7.0]])
def test_two_classes(estimators, classes):
    y = np.array(classes)[(LABELS == 1).astype(int)]
    classifier = small(estimators.MLPClassifier, **LEARNS).fit(X, y)
    assert classifier.score(X, y) >= 0.95
    assert classifier.predict(X).dtype == y.dtype
    assert classifier.predict_proba(X).shape == (60, 2)
    assert classifier.out_activation_ == "logistic"
    np.testing.assert_array_equal(
        classifier.classes_[classifier.predict_proba(X).argmax(axis=1)], classifier.predict(X)
    )


def test_one_class_is_predicted_always(estimators):
    classifier = small(estimators.MLPClassifier).fit(X, np.full(60, 7))
    assert (classifier.predict(X) == 7).all()


def test_several_labels_at_once(estimators):
    classifier = small(estimators.MLPClassifier, **LEARNS).fit(X, SEVERAL)
    predicted, probabilities = classifier.predict(X), classifier.predict_proba(X)
    np.testing.assert_array_equal(predicted, probabilities > 0.5)
    assert classifier.score(X, SEVERAL) == (predicted == SEVERAL).all(axis=1).mean() >= 0.9


@pytest.mark.parametrize("outputs", [1, 2])
def test_regression(estimators, outputs):
    y = NUMBERS if outputs == 1 else np.column_stack([NUMBERS, -2 * NUMBERS])
    regressor = small(estimators.MLPRegressor, **LEARNS).fit(X, y)
    predicted = regressor.predict(X)
    assert predicted.shape == y.shape
    residual, spread = ((y - predicted) ** 2).sum(axis=0), ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    assert regressor.score(X, y) == pytest.approx(np.mean(1 - residual / spread), rel=1e-12)
    assert regressor.score(X, y) > 0.8


@pytest.mark.parametrize("solver", ["sgd", "lbfgs", "rmsprop", "lion"])
def test_other_solvers(Estimator, solver):
    y = target(Estimator)
    worse = small(Estimator, max_iter=1, random_state=1).fit(X, y).score(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of L-BFGS's iterations
        estimator = small(Estimator, **{**LEARNS, "max_iter": 40}, solver=solver, early_stopping=True).fit(X, y)
    assert estimator.score(X, y) > max(0.7, worse)


def test_no_hidden_layer(Estimator):
    estimator = small(Estimator, hidden_layer_sizes=()).fit(X, target(Estimator))
    assert estimator.n_layers_ == 2
    assert estimator.coefs_[0].shape == (4, estimator.n_outputs_)


def test_random_state_makes_it_reproducible(Estimator):
    def losses(random_state):
        estimator = small(Estimator, early_stopping=True, dropout=0.1, random_state=random_state)
        return estimator.fit(X, target(Estimator)).loss_curve_

    assert losses(1) == losses(1) == losses(np.random.RandomState(1)) != losses(2)


@pytest.mark.parametrize(("given", "kept"), [("float32", "float32"), ("float64", "float64"), ("int64", "float64")])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:lbfgs failed")
def test_dtype_follows_X(Estimator, given, kept, solver):
    data = (X * 3).astype(given)
    estimator = small(Estimator, solver=solver).fit(data, target(Estimator))
    outputs = estimator.predict_proba(data) if hasattr(estimator, "predict_proba") else estimator.predict(data)
    assert {array.dtype for array in (*estimator.coefs_, *estimator.intercepts_, outputs)} == {np.dtype(kept)}


def test_weight_zero_takes_a_row_out(Estimator):
    y, kept = target(Estimator), np.arange(60) % 3 > 0
    settings = {"batch_size": 60, "shuffle": False}
    weighted = small(Estimator, **settings).fit(X, y, kept.astype(float))
    removed = small(Estimator, **{**settings, "batch_size": 40}).fit(X[kept], y[kept])
    np.testing.assert_allclose(weighted.loss_curve_, removed.loss_curve_, rtol=1e-10)


def test_a_column_of_y_is_the_same_as_a_flat_one(Estimator):
    y = target(Estimator)
    flat = small(Estimator).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's DataConversionWarning
        column = small(Estimator).fit(X, y[:, None])
    np.testing.assert_array_equal(flat.network_.params, column.network_.params)


@pytest.mark.parametrize("keep", [list, np.asfortranarray, lambda array: array.astype(">f8"), lambda array: array[::1]])
def test_forms_of_X(Estimator, keep):
    expected = small(Estimator).fit(X, target(Estimator)).predict(X)
    given = keep(X) if keep is not list else X.tolist()
    np.testing.assert_array_equal(small(Estimator).fit(given, target(Estimator)).predict(given), expected)


def test_its_engine_does_all_the_work(Estimator, monkeypatch):
    for other in ("lanes", "loops"):
        monkeypatch.setitem(ENGINES, other, None)
    estimator = small(Estimator, engine="vectorized", early_stopping=True).fit(X, target(Estimator))
    estimator.predict(X)
    estimator.hidden_activations(X)
    if hasattr(estimator, "decision_function"):
        estimator.decision_function(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.set_params(solver="lbfgs").fit(X, target(Estimator))


# --------------------------------------------------------------------------------------- as an object


def test_parameters_can_be_set_and_shown(Estimator):
    estimator = Estimator(alpha=0.5)
    assert estimator.set_params(max_iter=3) is estimator
    assert estimator.get_params()["max_iter"] == 3
    assert repr(estimator) == f"{Estimator.__name__}(alpha=0.5, max_iter=3)"
    with pytest.raises(ValueError, match="Invalid parameter 'learning_speed'"):
        estimator.set_params(learning_speed=1)


@pytest.mark.parametrize("twin_of", [copy.copy, copy.deepcopy, lambda fitted: pickle.loads(pickle.dumps(fitted))])
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_coefs_are_the_weights_that_predict(name, twin_of):
    import mlp_jit

    Estimator = getattr(mlp_jit, name)
    estimator = small(Estimator).fit(X, target(Estimator))
    twin = twin_of(estimator)
    np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
    for array in twin.coefs_ + twin.intercepts_:
        array[:] = 0
    assert not twin.network_.params.any()
    assert len(set(twin.predict(X))) == 1


def test_other_arrays_may_take_the_place_of_coefs(Estimator):
    estimator = small(Estimator).fit(X, target(Estimator))
    other = small(Estimator, random_state=1).fit(X, target(Estimator))
    estimator.coefs_[0] = other.coefs_[0].copy()
    estimator.coefs_[1], estimator.intercepts_ = other.coefs_[1].tolist(), [b.copy() for b in other.intercepts_]
    np.testing.assert_array_equal(estimator.predict(X), other.predict(X))
    assert estimator.coefs_[0] is estimator.network_.weights[0]


def test_partial_fit_is_an_epoch(Estimator):
    y = target(Estimator)
    whole = small(Estimator, shuffle=False, solver="sgd").fit(X, y)
    parts = small(Estimator, shuffle=False, solver="sgd")
    with pytest.raises(AttributeError, match="no attribute 'coefs_'"):
        parts.network_  # noqa: B018
    for _ in range(5):
        parts.partial_fit(X, y, **({"classes": [0, 1, 2]} if Estimator.__name__ == "MLPClassifier" else {}))
    np.testing.assert_allclose(parts.network_.params, whole.network_.params, rtol=1e-12)
    assert (parts.n_iter_, parts.t_, len(parts.loss_curve_)) == (1, 300, 5)
    assert not hasattr(small(Estimator, solver="lbfgs"), "partial_fit")


def test_a_warm_start_goes_on(Estimator):
    y = target(Estimator)
    estimator = small(Estimator, warm_start=True, shuffle=False, solver="sgd", momentum=0).fit(X, y)
    whole = small(Estimator, shuffle=False, solver="sgd", momentum=0, max_iter=10).fit(X, y)
    np.testing.assert_allclose(estimator.fit(X, y).network_.params, whole.network_.params, rtol=1e-12)
    assert (estimator.n_iter_, len(estimator.loss_curve_)) == (5, 10)


def test_a_warm_start_takes_what_was_set_since(Estimator):
    y = target(Estimator)
    estimator = small(Estimator, warm_start=True).fit(X, y)
    estimator.set_params(activation="tanh", early_stopping=True, solver="rmsprop").fit(X, y)
    assert estimator.network_.activations == ("tanh",)
    assert len(estimator.validation_scores_) == 5
    assert estimator.set_params(early_stopping=False).fit(X, y).best_loss_ == min(estimator.loss_curve_[-5:])


# --------------------------------------------------------------------------------------- stopping


def test_early_stopping_keeps_the_best_weights(Estimator):
    kept = []

    class Keep(Callback):
        def on_epoch(self, training):
            kept.append(training.network.params.copy())

    settings = {"early_stopping": True, "max_iter": 100, "n_iter_no_change": 3, "learning_rate_init": 0.05}
    estimator = small(Estimator, **settings, callbacks=[Keep()]).fit(X, target(Estimator))
    scores = estimator.validation_scores_
    assert len(scores) == len(estimator.loss_curve_) == len(estimator.validation_loss_curve_) == estimator.n_iter_ < 100
    assert estimator.best_validation_score_ == max(scores)
    np.testing.assert_array_equal(estimator.network_.params, kept[np.argmax(scores)])


def test_a_diverging_fit_says_so(Estimator):
    estimator = small(Estimator, solver="sgd", learning_rate_init=1e12, max_iter=50, activation="identity")
    y = target(Estimator) * 1e12
    with (
        pytest.raises(ValueError, match="Solver produced non-finite parameter weights"),
        pytest.warns(RuntimeWarning, match="fit stopped"),
    ):
        estimator.fit(X * 1e200, y)


def test_a_diverging_fit_with_early_stopping_keeps_the_best(estimators):
    regressor = small(
        estimators.MLPRegressor, solver="sgd", learning_rate_init=5, max_iter=200, activation="identity",
        early_stopping=True,
    )  # fmt: skip
    with pytest.warns(RuntimeWarning, match="fit stopped"):
        regressor.fit(X, NUMBERS)
    assert np.isnan(regressor.validation_scores_[-1])
    assert isinstance(regressor.validation_scores_[-1], float)
    assert np.isfinite(regressor.predict(X)).all()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupt_leaves_a_usable_model(Estimator, solver, early_stopping):
    class Interrupt(Callback):
        def on_epoch(self, training):
            if len(training.history.loss) == 3:
                raise KeyboardInterrupt

    estimator = small(Estimator, max_iter=50, solver=solver, callbacks=[Interrupt()], early_stopping=early_stopping)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\..*after 3 epochs"):
        estimator.fit(X, target(Estimator))
    assert estimator.n_iter_ == 3
    assert np.isfinite(estimator.loss_)
    assert np.isfinite(estimator.score(X, target(Estimator)))


@pytest.mark.filterwarnings("default:Stochastic Optimizer", "default:lbfgs failed")
def test_too_few_iterations_warn(Estimator):
    with pytest.warns(UserWarning, match=r"Stochastic Optimizer: Maximum iterations \(2\) reached") as caught:
        small(Estimator, max_iter=2).fit(X, target(Estimator))
    assert {warning.category.__name__ for warning in caught} == {"ConvergenceWarning"}
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(UserWarning, match=r"lbfgs failed to converge after 2 iteration\(s\) \(status=1\)") as caught:
        small(Estimator, max_iter=2, solver="lbfgs").fit(X, target(Estimator))
    assert {warning.category.__name__ for warning in caught} == {"ConvergenceWarning"}


# --------------------------------------------------------------------------------------- what it refuses


def test_predicting_before_fit(Estimator):
    for method in ("predict", "predict_proba", "decision_function", "hidden_activations"):
        if hasattr(Estimator, method):
            with pytest.raises(ValueError, match=f"This {Estimator.__name__} instance is not fitted yet") as caught:
                getattr(Estimator(), method)(X)
            assert isinstance(caught.value, AttributeError)


NAN = np.nan
BAD_PARAMETERS = [
    ("hidden_layer_sizes", (0,)),
    ("hidden_layer_sizes", (5.5,)),
    ("hidden_layer_sizes", "8"),
    ("activation", "rellu"),
    ("activation", ["relu", "tanh"]),
    ("activation", ["rellu"]),
    ("solver", "lbfgsb"),
    ("solver", None),
    ("alpha", -1),
    ("alpha", NAN),
    ("alpha", np.inf),
    ("batch_size", 0),
    ("batch_size", "all"),
    ("learning_rate", "fast"),
    ("learning_rate_init", 0),
    ("power_t", -1),
    ("max_iter", 2.5),
    ("shuffle", "no"),
    ("random_state", "seed"),
    ("tol", NAN),
    ("verbose", -1),
    ("warm_start", None),
    ("momentum", 1.5),
    ("nesterovs_momentum", 3),
    ("early_stopping", "yes"),
    ("validation_fraction", 1),
    ("beta_1", 1),
    ("beta_2", -0.1),
    ("epsilon", 0),
    ("n_iter_no_change", 0),
    ("n_iter_no_change", 1.5),
    ("max_fun", 0),
    ("scoring", 1),
    ("dropout", 1),
    ("dropout", (0.1, 0.1)),
    ("clip_norm", 0),
    ("clip_value", -1),
    ("callbacks", 1),
    ("callbacks", [1]),
    ("engine", "torch"),
    ("n_threads", 0),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
def test_a_bad_parameter_is_named(Estimator, name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        small(Estimator, **{name: value}).fit(X, target(Estimator))


BAD_DATA = [
    ({"X": X[0]}, "1D|shape"),
    ({"X": X[:0], "y": LABELS[:0]}, "minimum of 1|at least 1 row"),
    ({"X": np.where(X > 2, NAN, X)}, "NaN"),
    ({"X": np.full((60, 4), "a")}, "could not convert|real numbers"),
    ({"y": LABELS[:-1]}, "inconsistent|expected 60 rows"),
    ({"y": np.where(LABELS == 2, NAN, LABELS)}, "NaN"),
    ({"y": LABELS[:, None, None]}, "dim|shape|3"),
    ({"sample_weight": -np.ones(60)}, "[Nn]egative|>= 0"),
    ({"sample_weight": np.zeros(60)}, "zero"),
    ({"sample_weight": np.ones(59)}, "sample_weight"),
    ({"X_val": X}, "X_val and y_val: expected both or neither"),
    ({"X_val": X[:, :2], "y_val": LABELS}, "2 features|shape"),
]


@pytest.mark.parametrize(("changed", "words"), BAD_DATA)
def test_data_that_fit_refuses(Estimator, changed, words):
    with pytest.raises((ValueError, TypeError), match=words):
        small(Estimator).fit(**{"X": X, "y": LABELS, **changed})


@pytest.mark.parametrize("given", [X[:, :2], X[0], np.full((1, 4), NAN), [["a"] * 4], X[:0]])
def test_data_that_predict_refuses(Estimator, given):
    estimator = small(Estimator).fit(X, target(Estimator))
    with pytest.raises((ValueError, TypeError)):
        estimator.predict(given)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (NUMBERS, "Unknown label type: "),
        (np.column_stack([LABELS, LABELS]), "Multioutput target data is not supported with label binarization"),
    ],
)
def test_y_that_holds_no_classes(estimators, y, words):
    with pytest.raises(ValueError, match=words):
        small(estimators.MLPClassifier).fit(X, y)


def test_classes_must_be_those_of_before(estimators):
    classifier = small(estimators.MLPClassifier, solver="sgd")
    with pytest.raises(ValueError, match=r"classes must be passed on the first call to partial_fit\."):
        classifier.partial_fit(X, LABELS)
    classifier.partial_fit(X, LABELS, classes=[0, 1, 2])
    with pytest.raises(
        ValueError, match=r"`classes=\[1, 2\]` is not the same as on last call to partial_fit, was: array"
    ):
        classifier.partial_fit(X, LABELS, classes=[1, 2])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self\.classes_`\. `self\.classes_` has \[0 1 2\]\."):
        classifier.partial_fit(X, LABELS + 1)
    with pytest.raises(
        ValueError, match="warm_start can only be used where `y` has the same classes as in the previous"
    ):
        small(estimators.MLPClassifier, warm_start=True).fit(X, LABELS).fit(X, LABELS + 1)


@pytest.mark.parametrize("changed", [{"validation_fraction": 0.0}, {"validation_fraction": 0.01}])
def test_a_validation_set_that_is_too_small(Estimator, changed):
    with pytest.raises(ValueError, match=r"test_size|The validation set is too small\."):
        small(Estimator, early_stopping=True, **changed).fit(X, target(Estimator))


def test_what_partial_fit_refuses(Estimator):
    estimator = small(Estimator, early_stopping=True).fit(X, target(Estimator))
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        estimator.partial_fit(X, target(Estimator))


# --------------------------------------------------------------------------------------- without scikit-learn


def test_both_train_to_the_same_bits(estimators_alone):
    import mlp_jit

    for name in ("MLPClassifier", "MLPRegressor"):
        for settings in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                one, other = (
                    small(getattr(module, name), **settings).fit(X, (LABELS == 1).astype(int), WEIGHT)
                    for module in (mlp_jit, estimators_alone)
                )
            np.testing.assert_array_equal(one.network_.params, other.network_.params)
    assert estimators_alone.MLPClassifier.__mro__[1].__module__ == "mlp_jit.estimators.without_sklearn"


WITHOUT = """
import sys
sys.modules["sklearn"] = None
import numpy as np, pickle
from mlp_jit import MLPRegressor

X = np.arange(12.0).reshape(6, 2)
regressor = MLPRegressor("huber", (3,), max_iter=1).fit(X, X[:, 0])
assert (pickle.loads(pickle.dumps(regressor)).predict(X) == regressor.predict(X)).all()
print("done")
"""


def test_it_pickles_without_scikit_learn():
    assert run(WITHOUT, PYTHONWARNINGS="ignore") == "done\n"


IMPORT = """
import sys, mlp_jit
print("sklearn" in sys.modules, end=" ")
mlp_jit.MLPClassifier
print("sklearn" in sys.modules)
"""


def test_importing_the_package_does_not_import_scikit_learn():
    assert run(IMPORT).split() == ["False", "True"]
