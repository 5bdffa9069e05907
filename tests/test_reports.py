"""What users of other libraries reported, tried here: answers that would be wrong without a word, refusals, hooks.

The numbers in brackets are scikit-learn's where no other project is named.
"""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlp_jit
from mlp_jit import Callback, EarlyStopping, Network, fit, huber, quantile
from mlp_jit.engines.lanes.session import Session
from mlp_jit.estimators import metrics
from mlp_jit.losses import LOSSES
from mlp_jit.training import epochs

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
NUMBERS = X[:, 0] + X[:, 1] ** 2
THIRDS = np.digitize(X[:, 0], np.quantile(X[:, 0], [1 / 3, 2 / 3]))


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that do not converge
        yield


def target(Estimator, labels=("ham", "spam")):
    return np.array(labels)[THIRDS % len(labels)] if Estimator.__name__ == "MLPClassifier" else NUMBERS


def small(Estimator, **settings):
    return Estimator(**{"hidden_layer_sizes": (8,), "max_iter": 30, "random_state": 0, **settings})


# --------------------------------------------------------------------------------------- classes out of order (4506)

NAMES = [["low", "mid", "high"], ["yes", "no"], [str(k) for k in range(12)], [3, 1, 2], [2.0, 1.0]]


def network_for(names, *, output="softmax"):
    """A network, its X, and the names of the classes that it chooses, in the order of its outputs."""
    outputs = 1 if output == "sigmoid" else len(names)
    network = Network([3, 5, outputs], output=output, dtype="float64", random_state=0)
    network.params += RNG.normal(size=network.n_params)
    y = network.forward(X)
    chosen = (y[:, 0] > 0.5).astype(int) if outputs == 1 else y.argmax(axis=1)
    return network, np.array(names)[chosen]


@pytest.mark.parametrize(
    ("names", "output"),
    [(names, "softmax") for names in NAMES if len(names) > 2] + [(NAMES[1], "sigmoid"), (NAMES[4], "sigmoid")],
)
def test_to_sklearn_predicts_the_classes_by_name(names, output):
    pytest.importorskip("sklearn")
    network, chosen = network_for(names, output=output)
    estimator = network.to_sklearn(names)
    np.testing.assert_array_equal(estimator.predict(X), chosen)
    np.testing.assert_array_equal(estimator.classes_, np.unique(names))
    np.testing.assert_array_equal(estimator.classes_[estimator.predict_proba(X).argmax(axis=1)], chosen)


def test_to_sklearn_makes_one_output_of_two():
    pytest.importorskip("sklearn")
    names = ["yes", "no"]
    network, chosen = network_for(names)
    np.testing.assert_array_equal(network.to_sklearn(names).predict(X), chosen)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("names", NAMES, ids=str)
def test_from_weights_has_its_classes_sorted(estimators, names, output):
    if output == "sigmoid" and len(names) > 2:
        pytest.skip("one output tells two classes apart")
    network, chosen = network_for(names, output=output)
    before = [array.copy() for array in (*network.weights, *network.biases)]
    estimator = estimators.MLPClassifier.from_weights(
        network.weights, network.biases, classes=names, warm_start=True, max_iter=2
    )
    np.testing.assert_array_equal(estimator.predict(X), chosen)
    np.testing.assert_array_equal(estimator.classes_, np.unique(names))
    np.testing.assert_array_equal(estimator.classes_[estimator.predict_proba(X).argmax(axis=1)], chosen)
    y = np.concatenate([chosen[: -len(names)], names])  # all classes
    estimator.partial_fit(X, y).fit(X, y)
    for array, old in zip((*network.weights, *network.biases), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("classes", [["a", "a", "b"], [["a"], ["b"], ["c"]], ["a", "b"]])
def test_classes_that_are_none_are_refused(estimators, classes):
    network, _ = network_for(list("abc"))
    with pytest.raises(ValueError, match=r"classes: expected 3 (distinct )?labels"):
        estimators.MLPClassifier.from_weights(network.weights, network.biases, classes=classes)
    with pytest.raises(ValueError, match=r"classes: expected 3 (distinct )?labels"):
        network.to_sklearn(classes)


# --------------------------------------------------------------------------------------- what stopping goes by (24411)


def outliers(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (1500, 2))
    clean = X[:, 0] + X[:, 1] ** 2
    y = clean + 0.1 * rng.normal(size=1500)
    y[rng.uniform(size=1500) < 0.02] += 100
    return X, clean, y


@pytest.mark.parametrize("loss", ["huber", "absolute_error"])
def test_outliers_do_not_stop_a_robust_fit(estimators, loss):
    rows, clean, y = outliers()
    stopped = estimators.MLPRegressor(loss, (30,), early_stopping=True, random_state=0).fit(rows, y)
    assert np.abs(stopped.predict(rows) - clean).mean() < 0.3  # 0.7 by R²


def test_a_quantile_is_covered_where_the_fit_stops_early(estimators):
    rng = np.random.default_rng(0)
    rows = rng.uniform(-2, 2, (1500, 2))
    y = rows[:, 0] + (0.3 + np.abs(rows[:, 1])) * rng.normal(size=1500)
    regressor = estimators.MLPRegressor(quantile(0.9), (30,), early_stopping=True, random_state=0).fit(rows, y)
    assert 0.85 < (y <= regressor.predict(rows)).mean() < 0.95  # 0.6 by R²


D2_LOSSES = [LOSSES["absolute_error"], huber(0.7), quantile(0.2)]


@given(st.sampled_from(D2_LOSSES), st.integers(0, 1000), st.booleans())
def test_d2_is_zero_for_the_best_constant_and_one_for_the_truth(loss, seed, weighted):
    rng = np.random.default_rng(seed)
    y, weight = rng.normal(size=(31, 1)).round(1), rng.uniform(0.1, 2, 31) if weighted else None
    assert metrics.d2(y, y, loss, weight) == 1
    constants = np.unique(np.concatenate([y, y - 0.7, y + 0.7, np.linspace(-3, 3, 201)[:, None]]))
    scores = [metrics.d2(np.full_like(y, constant), y, loss, weight) for constant in constants]
    assert max(scores) <= 1e-12  # none is better than the best
    assert max(scores) > -1e-3


def test_d2_of_quantiles_is_scikit_learns():
    score = pytest.importorskip("sklearn.metrics").d2_pinball_score
    y, outputs, weight = RNG.normal(size=(50, 1)), RNG.normal(size=(50, 1)), RNG.uniform(1, 2, 50)
    expected = score(y, outputs, sample_weight=weight, alpha=0.3)
    assert metrics.d2(outputs, y, quantile(0.3), weight) == pytest.approx(
        expected, abs=0.01
    )  # its quantile interpolates


def test_score_is_what_stopping_went_by(estimators):
    regressor = estimators.MLPRegressor("absolute_error", (8,), max_iter=20, early_stopping=True, random_state=0)
    regressor.fit(X, NUMBERS, X_val=X, y_val=NUMBERS)
    assert regressor.score(X, NUMBERS) == pytest.approx(regressor.best_validation_score_, rel=1e-6)
    constant = np.median(NUMBERS)
    error, best = np.abs(regressor.predict(X) - NUMBERS).mean(), np.abs(constant - NUMBERS).mean()
    assert regressor.score(X, NUMBERS) == pytest.approx(1 - error / best, rel=1e-6)


# --------------------------------------------------------------------------------------- columns by name

FRAME = pd.DataFrame(X, columns=["a", "b", "c"])


def test_columns_in_another_order_are_refused(Estimator):
    estimator = small(Estimator).fit(FRAME, target(Estimator))
    np.testing.assert_array_equal(estimator.feature_names_in_, ["a", "b", "c"])
    with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
        estimator.predict(FRAME[["c", "a", "b"]])
    with pytest.raises(
        ValueError, match="unseen at fit time:\n- d\nFeature names seen at fit time, yet now missing:\n- c"
    ):
        estimator.predict(FRAME.rename(columns={"c": "d"}))
    with pytest.raises(ValueError, match="should match"):
        estimator.score(FRAME[["c", "a", "b"]], target(Estimator))


def test_names_on_one_side_only_are_warned_of(Estimator):
    named, nameless = small(Estimator).fit(FRAME, target(Estimator)), small(Estimator).fit(X, target(Estimator))
    with pytest.warns(
        UserWarning, match="X does not have valid feature names, but MLP.* was fitted with feature names"
    ):
        named.predict(X)
    with pytest.warns(UserWarning, match="X has feature names, but MLP.* was fitted without feature names"):
        nameless.predict(FRAME)
    with pytest.raises(TypeError, match="Feature names are only supported if all input features have string names"):
        small(Estimator).fit(FRAME.rename(columns={"c": 3}), target(Estimator))
    assert not hasattr(named.fit(X, target(Estimator)), "feature_names_in_")


def test_the_number_of_columns_is_checked_alike(Estimator):
    estimator = small(Estimator).fit(X, target(Estimator))
    with pytest.raises(ValueError, match=r"X has 2 features, but MLP.* is expecting 3 features as input"):
        estimator.predict(X[:, :2])


# --------------------------------------------------------------------------------------- a refused call


def as_it_was(estimator, call, error):
    """The call is refused, and every attribute is what it was."""
    before = numbers_of(vars(estimator))
    with pytest.raises(error):
        call(estimator)
    assert numbers_of(vars(estimator)) == before


def numbers_of(value):
    """All that a value holds, as what can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: numbers_of(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [numbers_of(part) for part in value]
    if isinstance(value, np.random.RandomState):
        return numbers_of(value.get_state())
    ours = type(value).__module__.startswith("mlp_jit")
    return (type(value), numbers_of(vars(value))) if ours else value


WRONG_WEIGHT, NAN = np.ones(5), np.where(np.arange(120) == 3, np.nan, 1.0)
REFUSED = {
    "weights of another length": (lambda e, y: e.fit(X, y, WRONG_WEIGHT), ValueError),
    "negative weights": (lambda e, y: e.fit(X, y, -np.ones(120)), ValueError),
    "NaN in X": (lambda e, y: e.fit(X * NAN[:, None], y), ValueError),
    "y too short": (lambda e, y: e.fit(X, y[:7]), ValueError),
    "a parameter": (lambda e, y: e.set_params(alpha=-1).fit(X, y), ValueError),
    "X_val without y_val": (lambda e, y: e.fit(X, y, X_val=X), ValueError),
    "NaN in X_val": (lambda e, y: e.fit(X, y, X_val=X * NAN[:, None], y_val=y), ValueError),
    "too few to validate": (
        lambda e, y: e.set_params(early_stopping=True, validation_fraction=0.001).fit(X, y),
        ValueError,
    ),
    "dropout with lbfgs": (lambda e, y: e.set_params(solver="lbfgs", dropout=0.5).fit(X, y), ValueError),
    "a scorer that there is not": (
        lambda e, y: e.set_params(scoring="no such").fit(X, y, X_val=X, y_val=y),
        (ValueError, ImportError),
    ),
    "partial_fit that would stop": (lambda e, y: e.set_params(early_stopping=True).partial_fit(X, y), ValueError),
    "partial_fit on NaN": (lambda e, y: e.partial_fit(X * NAN[:, None], y), ValueError),
    "partial_fit, weights": (lambda e, y: e.partial_fit(X, y, WRONG_WEIGHT), ValueError),
    "a warm fit, weights": (lambda e, y: e.set_params(warm_start=True).fit(X, y, WRONG_WEIGHT), ValueError),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_a_refused_call_leaves_the_estimator_as_it_was(Estimator, refused):
    call, error = REFUSED[refused]
    y = target(Estimator)
    estimator = small(Estimator).fit(X, y)
    predicted = estimator.predict(X)
    with pytest.raises(error):
        call(estimator, target(Estimator, ("cat", "dog")) if "partial" not in refused and "warm" not in refused else y)
    np.testing.assert_array_equal(estimator.predict(X), predicted)
    as_it_was(estimator, lambda e: call(e, y), error)  # with the parameters that are refused set already
    unfitted = small(Estimator)
    with pytest.raises((error, AttributeError) if isinstance(error, type) else (*error, AttributeError)):
        call(unfitted, y)
    assert not {name for name in vars(unfitted) if name.endswith("_") or name.startswith("_")}


@pytest.mark.parametrize("weight", [{"ham": -1}, {"ham": np.nan}, {"ham": None}, {"ham": 0, "spam": 0}])
def test_impossible_class_weights_are_named_and_leave_it_as_it_was(estimators, weight):
    y = target(estimators.MLPClassifier)
    estimator = small(estimators.MLPClassifier).fit(X, y).set_params(class_weight=weight)
    with pytest.raises(ValueError, match="class_weight: expected"):
        estimator.fit(X, y)
    as_it_was(estimator, lambda e: e.fit(X, y), ValueError)


# --------------------------------------------------------------------------------------- class weights (22413)


def test_a_fold_may_lack_a_weighted_class(estimators):
    y = target(estimators.MLPClassifier)
    weighted = small(estimators.MLPClassifier, class_weight={"spam": 2, "rare": 50}).fit(X, y)
    same = small(estimators.MLPClassifier, class_weight={"spam": 2}).fit(X, y)
    np.testing.assert_array_equal(weighted.network_.params, same.network_.params)


@pytest.mark.parametrize("class_weight", ["balanced", {"spam": 9.0}])
def test_class_weights_count_in_every_validation_set_alike(estimators, class_weight):
    """The score of X_val is that of rows weighed as they are in training."""
    y = target(estimators.MLPClassifier)
    estimator = small(estimators.MLPClassifier, max_iter=3, class_weight=class_weight)
    estimator.fit(X, y, X_val=X, y_val=y)
    counts = dict(zip(*np.unique(y, return_counts=True), strict=True))
    weights = {"ham": 1, "spam": 9} if class_weight != "balanced" else {name: 1 / n for name, n in counts.items()}
    expected = estimator.score(X, y, sample_weight=[weights[name] for name in y])
    assert estimator.validation_scores_[-1] == pytest.approx(expected, rel=1e-6)


# --------------------------------------------------------------------------------------- subclasses


class Tuned(mlp_jit.MLPRegressor):
    """With a parameter of its own, and initial weights of its own."""

    def __init__(self, gain=1.0, max_iter=5, random_state=0):
        super().__init__(max_iter=max_iter, random_state=random_state)
        self.gain = gain

    def _init_coef(self, fan_in, fan_out, dtype):
        W, b = super()._init_coef(fan_in, fan_out, dtype)
        return self.gain * W, b


def test_a_subclass_has_parameters_of_its_own():
    model_selection, base = (pytest.importorskip(f"sklearn.{name}") for name in ("model_selection", "base"))
    fitted = Tuned(gain=2.0).fit(X, NUMBERS)
    assert fitted.get_params() == {"gain": 2.0, "max_iter": 5, "random_state": 0}
    assert base.clone(fitted).gain == 2.0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
    search = model_selection.GridSearchCV(Tuned(), {"gain": [0.0, 1.0]}, cv=2).fit(X, NUMBERS)
    assert len(search.cv_results_["params"]) == 2


def test_a_subclass_has_parameters_of_its_own_without_scikit_learn(estimators_alone):
    class Own(estimators_alone.MLPRegressor):
        def __init__(self, gain=1.0, max_iter=5):
            super().__init__(max_iter=max_iter)
            self.gain = gain

    assert Own(gain=2.0).fit(X, NUMBERS).get_params() == {"gain": 2.0, "max_iter": 5}


def test_a_subclass_may_set_the_initial_weights():
    """scikit-learn's private hook, which people override."""
    first = [Tuned(gain=gain, max_iter=1).fit(X, NUMBERS).coefs_[0] for gain in (1.0, 0.0)]
    assert np.abs(first[1]).max() < 0.02 < np.abs(first[0]).max()  # one epoch from zero, and from Glorot's


# --------------------------------------------------------------------------------------- on_end (Keras 17238)


class AtTheEnd(Callback):
    def on_end(self, training):
        self.params, self.losses = training.network.params.copy(), list(training.history.validation_loss)


@pytest.mark.parametrize("end", ["by itself", "Ctrl-C", "an error"])
def test_on_end_sees_the_best_parameters(end):
    class Raises(Callback):
        def on_epoch(self, training):
            if len(training.history.loss) == 4 and end != "by itself":
                raise KeyboardInterrupt if end == "Ctrl-C" else ZeroDivisionError

    network, saves = Network([3, 4, 1], random_state=0, dtype="float64"), AtTheEnd()
    settings = {"learning_rate": 2.0, "epochs": 12, "early_stopping": EarlyStopping(5), "callbacks": [saves, Raises()]}
    try:
        fit(network, X, NUMBERS, validation_data=(X, NUMBERS), random_state=0, **settings)
    except ZeroDivisionError:
        assert end == "an error"
    np.testing.assert_array_equal(saves.params, network.params)
    assert network.loss(X, NUMBERS) == pytest.approx(min(saves.losses), rel=1e-9)
    assert saves.losses[-1] > min(saves.losses)


def test_on_end_sees_an_estimators_best_parameters(Estimator):
    saves = AtTheEnd()
    estimator = small(Estimator, early_stopping=True, learning_rate_init=0.3, callbacks=[saves])
    estimator.fit(X, target(Estimator))
    np.testing.assert_array_equal(saves.params, estimator.network_.params)
    np.testing.assert_array_equal(saves.params, estimator._best[0])


# --------------------------------------------------------------------------------------- schedules by name


def rates_of(Estimator, **settings):
    rates = []

    class Rates(Callback):
        def on_epoch(self, training):
            rates.append(training.history.learning_rate[-1])

    small(Estimator, callbacks=[Rates()], **settings).fit(X, target(Estimator))
    return rates


def test_the_cosine_by_name_falls_over_all_epochs(Estimator):
    rates = rates_of(Estimator, learning_rate="cosine", max_iter=20, tol=0, n_iter_no_change=100)
    assert len(rates) == 20
    assert rates[-1] < 0.01 * rates[0]


def test_on_plateau_by_name_gives_each_rate_its_time(Estimator):
    """Nothing is learnt at such a rate: it falls every few epochs, and the fit goes on with each."""
    rates = rates_of(Estimator, learning_rate="on_plateau", learning_rate_init=1e-4, tol=10.0, max_iter=100)
    _, epochs = np.unique(rates, return_counts=True)
    assert len(epochs) >= 3
    assert epochs[1:-1].min() >= 4


# --------------------------------------------------------------------------------------- uneven weights


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_uneven_weights_take_no_more_calls(estimators, monkeypatch, loss):
    """The figure that scikit-learn reports is made of what each batch came to, whole epochs being one call."""
    monkeypatch.setattr(epochs, "SECONDS_PER_CALL", 1e9)
    steps, train = [], Session.train
    monkeypatch.setattr(Session, "train", lambda *arguments: (steps.append(len(arguments[3])), train(*arguments))[1])
    regressor = estimators.MLPRegressor(loss, (8,), batch_size=10, max_iter=3, random_state=0)
    regressor.fit(X, np.abs(NUMBERS), RNG.uniform(0.1, 3, 120))
    assert steps == [12, 24]  # the first call is timed
