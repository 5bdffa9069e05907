"""What scikit-learn's users asked for in vain, with scikit-learn installed and without."""

import copy
import sys
import tracemalloc

import numpy as np
import pytest
from processes import finish, start
from scipy import sparse
from sklearn.utils.class_weight import compute_sample_weight
from tables import LABELS, NUMBERS, SEVERAL, WEIGHT, X, small, target

from mlp_jit import Callback, Lion, Network, fit, huber, quantile
from mlp_jit.activations import HIDDEN
from mlp_jit.estimators import lbfgs
from mlp_jit.optimizers import OPTIMIZERS
from mlp_jit.schedules import SCHEDULES, Cosine, Step

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")


def params(estimator):
    return estimator.network_.params


# --------------------------------------------------------------------------------------- class weights


@pytest.mark.parametrize("labels", [LABELS, LABELS == 1, np.array(["a", "b", "c"])[LABELS]])
def test_class_weights_are_sample_weights(estimators, labels):
    classes = np.unique(labels)
    given = {label: 3.0 for label in classes[1:].tolist()}
    weighted = small(estimators.MLPClassifier, class_weight=given).fit(X, labels, WEIGHT)
    by_hand = small(estimators.MLPClassifier).fit(X, labels, WEIGHT * np.where(labels == classes[0], 1, 3))
    np.testing.assert_array_equal(params(weighted), params(by_hand))
    bit_by_bit = small(estimators.MLPClassifier, class_weight=given)
    bit_by_bit.partial_fit(X, labels, classes=classes)
    by_hand = small(estimators.MLPClassifier)
    by_hand.partial_fit(X, labels, np.where(labels == classes[0], 1.0, 3.0), classes=classes)
    np.testing.assert_array_equal(params(bit_by_bit), params(by_hand))


def test_balanced_classes_weigh_the_same(estimators):
    rare = np.r_[0:20, 20:24, 40:60]
    weighted = small(estimators.MLPClassifier, class_weight="balanced").fit(X[rare], LABELS[rare])
    weight = np.where(LABELS[rare] == 1, 44 / 12, 44 / 60)
    np.testing.assert_allclose(
        params(weighted), params(small(estimators.MLPClassifier).fit(X[rare], LABELS[rare], weight)), rtol=1e-9
    )
    dropped = WEIGHT * (LABELS != 2)  # a class whose samples all weigh nothing
    balanced = small(estimators.MLPClassifier, class_weight="balanced").fit(X, LABELS, dropped)
    sums = np.bincount(LABELS, dropped)
    weight = np.where(LABELS == 2, 0, dropped * sums.sum() / (2 * np.maximum(sums, 1e-9))[LABELS])
    by_hand = small(estimators.MLPClassifier).fit(X, LABELS, weight)
    np.testing.assert_allclose(params(balanced), params(by_hand), rtol=1e-9)


def test_each_of_several_labels_weighs(estimators):
    weighted = small(estimators.MLPClassifier, class_weight=[{1: 3.0}, {0: 0.5, 1: 2.0}]).fit(X, SEVERAL, WEIGHT)
    weight = np.where(SEVERAL[:, 0] == 1, 3, 1) * np.where(SEVERAL[:, 1] == 1, 2, 0.5)
    by_hand = small(estimators.MLPClassifier).fit(X, SEVERAL, WEIGHT * weight)
    np.testing.assert_array_equal(params(weighted), params(by_hand))


def test_several_labels_are_balanced_as_in_forests(estimators):
    weight = compute_sample_weight("balanced", SEVERAL)
    balanced = small(estimators.MLPClassifier, class_weight="balanced").fit(X, SEVERAL)
    by_hand = small(estimators.MLPClassifier).fit(X, SEVERAL, weight)
    np.testing.assert_allclose(params(balanced), params(by_hand), rtol=1e-9)


def test_class_weights_that_are_refused(estimators):
    for class_weight, y, words in (
        ({0: -1}, LABELS, "class_weight: expected a number >= 0 for class 0, got -1"),
        ({0: 2}, SEVERAL, "class_weight: expected a list of 2 dicts, one a label, got {0: 2}"),
        ([{0: 2}], SEVERAL, "class_weight: expected a list of 2 dicts"),
        ([{0: 2}], LABELS, "class_weight: expected a dict {class: weight} or 'balanced'"),
        ("even", LABELS, "The 'class_weight' parameter of MLPClassifier must be"),
    ):
        with pytest.raises(ValueError, match=words):
            small(estimators.MLPClassifier, class_weight=class_weight).fit(X, y)
    with pytest.raises(ValueError, match=r'"balanced" needs all of y'):
        small(estimators.MLPClassifier, class_weight="balanced").partial_fit(X, LABELS, classes=[0, 1, 2])


# --------------------------------------------------------------------------------------- validation


def test_a_validation_set_of_ones_own_is_measured(Estimator):
    y = target(Estimator)
    estimator = small(Estimator).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2], sample_weight_val=WEIGHT[1::2])
    np.testing.assert_array_equal(params(estimator), params(small(Estimator).fit(X[::2], y[::2])))
    assert estimator.validation_scores_[-1] == pytest.approx(estimator.score(X[1::2], y[1::2], WEIGHT[1::2]))
    loss = estimator.network_.loss(X[1::2], y[1::2], sample_weight=WEIGHT[1::2])
    assert estimator.validation_loss_curve_[-1] == pytest.approx(loss)
    assert len(estimator.validation_loss_curve_) == 5
    assert estimator.best_validation_score_ == max(estimator.validation_scores_)
    assert estimator.best_loss_ == min(estimator.loss_curve_)


def test_early_stopping_goes_by_a_validation_set_of_ones_own(Estimator):
    y = target(Estimator)
    settings = {"early_stopping": True, "max_iter": 100, "n_iter_no_change": 2, "learning_rate_init": 0.05}
    estimator = small(Estimator, **settings).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert estimator.t_ == 30 * estimator.n_iter_ < 3000
    best = max(estimator.validation_scores_)
    assert estimator.best_validation_score_ == best == pytest.approx(estimator.score(X[1::2], y[1::2]))


def test_early_stopping_may_go_by_the_loss(Estimator):
    y = target(Estimator)
    settings = {"early_stopping": True, "max_iter": 60, "n_iter_no_change": 2, "learning_rate_init": 0.05}
    estimator = small(Estimator, scoring="loss", **settings).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert estimator.validation_scores_ == [-loss for loss in estimator.validation_loss_curve_]
    loss = estimator.network_.loss(X[1::2], y[1::2])
    assert min(estimator.validation_loss_curve_) == pytest.approx(loss)


def test_early_stopping_may_go_by_a_function(Estimator):
    seen = []

    def scorer(estimator, X, y):
        seen.append((X.shape, np.shape(y), estimator.predict(X)))
        return len(seen)

    estimator = small(Estimator, scoring=scorer, early_stopping=True).fit(X, target(Estimator))
    assert estimator.validation_scores_ == [1, 2, 3, 4, 5]
    assert [shapes[:2] for shapes in seen] == [((6, 4), (6,))] * 5
    assert set(map(type, seen[0][2])) == set(map(type, target(Estimator)))


def test_a_validation_set_has_known_classes(estimators):
    with pytest.raises(ValueError, match="`y` has classes not in"):
        small(estimators.MLPClassifier).fit(X, LABELS, X_val=X, y_val=LABELS + 1)


def test_names_of_scores_are_scikit_learns(estimators_alone):
    with pytest.raises(ImportError, match=r"scoring='f1_macro' is scikit-learn's: pip install 'mlp_jit\[sklearn\]'"):
        small(estimators_alone.MLPClassifier, scoring="f1_macro", early_stopping=True).fit(X, LABELS)


# --------------------------------------------------------------------------------------- networks and steps


@pytest.mark.parametrize("activation", ["sigmoid", ("gelu", "logistic"), ["tanh", "selu"]])
def test_each_layer_may_have_its_activation(Estimator, activation):
    estimator = small(Estimator, hidden_layer_sizes=(8, 4), activation=activation).fit(X, target(Estimator))
    names = (activation,) * 2 if isinstance(activation, str) else activation
    assert estimator.network_.activations == tuple("sigmoid" if name == "logistic" else name for name in names)


def test_every_activation_optimizer_and_schedule_has_its_name(Estimator):
    y = target(Estimator)
    for setting, names in (("activation", HIDDEN), ("solver", OPTIMIZERS), ("learning_rate", SCHEDULES)):
        for name in names:
            estimator = small(Estimator, **{setting: name, "max_iter": 1}).fit(X, y)
            assert np.isfinite(estimator.loss_)


def test_a_fit_is_that_of_the_package(estimators):
    """Every setting reaches its place."""
    regressor = small(
        estimators.MLPRegressor, loss=huber(0.5), activation="gelu", solver=Lion(weight_decay=0.1), alpha=0.3,
        dropout=0.2, learning_rate=Cosine(epochs=5), learning_rate_init=0.01, clip_norm=0.5, clip_value=0.1,
        n_threads=1, engine="loops",
    ).fit(X, NUMBERS, WEIGHT)  # fmt: skip
    rng = np.random.RandomState(0)
    started = small(
        estimators.MLPRegressor, activation="gelu", solver="sgd", learning_rate_init=1e-300, random_state=rng
    )
    network = started.set_params(max_iter=1, shuffle=False).fit(X, NUMBERS).network_
    by_hand = Network([4, 8, 1], activation="gelu", loss=huber(0.5), dtype="float64")
    by_hand.params[:] = network.params
    history = fit(
        by_hand, X, NUMBERS, sample_weight=WEIGHT, optimizer=Lion(weight_decay=0.1), l2=0.3, l2_per_sample=True,
        dropout=0.2, schedule=Cosine(epochs=5), learning_rate=0.01, clip_norm=0.5, clip_value=0.1, batch_size=25,
        epochs=5, random_state=rng, engine="loops",
    )  # fmt: skip
    np.testing.assert_array_equal(params(regressor), by_hand.params)
    assert len(history.loss) == 5


@pytest.mark.parametrize("normalization", ["batch", "layer", ("layer", None), ["batch", "batch"]])
def test_hidden_layers_may_be_normalised_and_skipped(Estimator, normalization):
    y = target(Estimator)
    settings = {"hidden_layer_sizes": (8, 8), "normalization": normalization, "skip": True}
    estimator = small(Estimator, **settings).fit(X, y)
    network = estimator.network_
    names = (normalization,) * 2 if isinstance(normalization, str) else tuple(normalization)
    assert (network.normalizations, network.skips) == (names, True)
    assert all((gain != 1).all() for gain in network.gains if gain.size)
    assert not network.state.size or (network.state[: network.state.size // 2] != 0).any()
    again = copy.deepcopy(estimator)
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))
    np.testing.assert_array_equal(params(again.partial_fit(X, y)), params(estimator.partial_fit(X, y)))
    np.testing.assert_array_equal(again.network_.state, estimator.network_.state)


def test_weights_put_in_leave_what_normalises(Estimator):
    estimator = small(Estimator, normalization="batch").fit(X, target(Estimator))
    before, state = params(estimator).copy(), estimator.network_.state.copy()
    estimator.coefs_ = [W.copy() for W in estimator.coefs_]
    np.testing.assert_array_equal(params(estimator), before)
    np.testing.assert_array_equal(estimator.network_.state, state)


def test_early_stopping_brings_back_the_running_statistics(Estimator):
    y, seen = target(Estimator), []

    class States(Callback):
        def on_epoch(self, training):
            seen.append((training.history.validation_score[-1], training.network.state.copy()))

    estimator = small(Estimator, normalization="batch", early_stopping=True, max_iter=8, callbacks=[States()]).fit(X, y)
    _, state = max(seen, key=lambda pair: pair[0])
    np.testing.assert_array_equal(estimator.network_.state, state)


def test_normalisation_that_is_refused(Estimator):
    y = target(Estimator)
    for settings, words in (
        ({"normalization": "group"}, "The 'normalization' parameter of"),
        ({"normalization": ("batch", "batch")}, "normalization: expected one name or one for each of 1 hidden layers"),
        ({"normalization": "batch", "solver": "lbfgs"}, "normalization: expected no 'batch' with solver='lbfgs'"),
        ({"normalization": "batch", "batch_size": 1}, "batch_size: expected at least 2 with batch normalisation"),
        ({"skip": True}, "skip: expected two hidden layers of one width"),
    ):
        with pytest.raises(ValueError, match=words):
            small(Estimator, **settings).fit(X, y)


def test_schedules_of_ours_go_with_every_optimizer_and_on_from_fit_to_fit(Estimator):
    y = target(Estimator)
    rates = []

    class Rates(Callback):
        def on_epoch(self, training):
            rates.append(training.history.learning_rate[-1])

    estimator = small(Estimator, learning_rate=Step(every=2, gamma=0.5), learning_rate_init=0.08, callbacks=[Rates()])
    estimator.fit(X, y)
    assert rates == [0.08, 0.08, 0.04, 0.04, 0.02]
    estimator.partial_fit(X, y)
    assert rates[5] == 0.02
    estimator.fit(X, y)
    assert rates[6] == 0.08


def test_an_optimizer_given_as_an_object_stays_as_it_was(Estimator):
    solver = Lion()
    one = small(Estimator, solver=solver).fit(X, target(Estimator))
    assert (solver.t, solver.moments.size) == (0, 0)
    np.testing.assert_array_equal(params(one), params(one.fit(X, target(Estimator))))


@pytest.mark.parametrize("setting", [{"dropout": 0.5}, {"dropout": (0.5,)}, {"clip_norm": 1e-3}, {"clip_value": 1e-4}])
def test_lbfgs_takes_no_steps_to_drop_units_or_clip_from(Estimator, setting):
    y = target(Estimator)
    changed = small(Estimator, **setting).fit(X, y)
    assert (params(changed) != params(small(Estimator).fit(X, y))).any()
    with pytest.raises(ValueError, match=f"{next(iter(setting))}: expected a stochastic solver"):
        small(Estimator, solver="lbfgs", **setting).fit(X, y)
    with pytest.raises(ValueError, match="X_val: expected a stochastic solver"):
        small(Estimator, solver="lbfgs").fit(X, y, X_val=X, y_val=y)


def test_l2_of_lbfgs_pulls_at_no_gain(estimators):
    """Its gradient is that of its loss, γ included."""
    settings = {"alpha": 5.0, "normalization": "layer", "activation": "tanh"}
    estimator = small(estimators.MLPRegressor, **settings).fit(X, NUMBERS)
    objective = lbfgs.Objective(estimator, estimator.network_, X, NUMBERS, None)
    theta = np.random.default_rng(0).normal(size=estimator.network_.n_params)
    _, gradient = objective(theta)
    differences = [(objective(theta + h)[0] - objective(theta - h)[0]) / 2e-5 for h in 1e-5 * np.eye(theta.size)]
    np.testing.assert_allclose(gradient, differences, atol=1e-7)


def test_threads_change_no_bit(Estimator):
    settings = {"hidden_layer_sizes": (300, 300), "max_iter": 2, "batch_size": 60}
    one, two = (small(Estimator, **settings, n_threads=n).fit(X, target(Estimator)) for n in (1, 2))
    np.testing.assert_array_equal(params(one), params(two))


@pytest.mark.parametrize("loss", ["absolute_error", "huber", huber(0.1), "quantile", quantile(0.9)])
def test_losses_of_a_regressor(estimators, loss):
    settings = {"max_iter": 200, "learning_rate_init": 0.02, "random_state": 0}
    regressor = small(estimators.MLPRegressor, loss=loss, **settings).fit(X, NUMBERS)
    squared = small(estimators.MLPRegressor, **settings).fit(X, NUMBERS)
    mine = regressor.network_
    theirs = mine.copy()
    theirs.params[:] = squared.network_.params
    assert mine.loss(X, NUMBERS) < theirs.loss(X, NUMBERS) + 0.05
    assert regressor.score(X, NUMBERS) > (0.3 if loss == quantile(0.9) else 0.8)


def test_several_quantiles_at_once(estimators):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 1))
    y = x[:, 0] + rng.normal(size=400) * (1 + x[:, 0])
    regressor = small(
        estimators.MLPRegressor,
        loss=quantile((0.1, 0.5, 0.9)),
        max_iter=60,
        learning_rate_init=0.02,
        early_stopping=True,
    ).fit(x, y)
    predicted = regressor.predict(x)
    assert predicted.shape == (400, 3)
    np.testing.assert_allclose((y[:, None] < predicted).mean(axis=0), (0.1, 0.5, 0.9), atol=0.08)
    assert 0 < regressor.score(x, y) <= 1
    assert regressor.best_validation_score_ == max(regressor.validation_scores_)
    residual = y[:, None] - np.quantile(y, (0.1, 0.5, 0.9), method="inverted_cdf")
    of_constant = np.maximum(np.array((0.1, 0.5, 0.9)) * residual, np.array((-0.9, -0.5, -0.1)) * residual).mean(axis=0)
    residual = y[:, None] - predicted
    of_network = np.maximum(np.array((0.1, 0.5, 0.9)) * residual, np.array((-0.9, -0.5, -0.1)) * residual).mean(axis=0)
    assert regressor.score(x, y) == pytest.approx(np.mean(1 - of_network / of_constant))


# --------------------------------------------------------------------------------------- looking inside


def test_the_decision_function_is_z(estimators):
    for y, output in ((LABELS, "softmax"), (LABELS == 1, "sigmoid"), (SEVERAL, "sigmoid")):
        classifier = small(estimators.MLPClassifier).fit(X, y)
        z = classifier.decision_function(X)
        expected = classifier.predict_proba(X)
        if z.ndim == 1:
            np.testing.assert_allclose(1 / (1 + np.exp(-z)), expected[:, 1], rtol=1e-12)
        elif output == "softmax":
            shares = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
            np.testing.assert_allclose(shares, expected, rtol=1e-12)
        else:
            np.testing.assert_allclose(1 / (1 + np.exp(-z)), expected, rtol=1e-12)


@pytest.mark.parametrize("engine", ["lanes", "loops", "vectorized"])
def test_hidden_activations(Estimator, engine):
    estimator = small(Estimator, hidden_layer_sizes=(8, 3), activation=("relu", "softplus"), engine=engine)
    estimator.fit(X, target(Estimator))
    a_1 = np.maximum(X @ estimator.coefs_[0] + estimator.intercepts_[0], 0)
    a_2 = np.log1p(np.exp(a_1 @ estimator.coefs_[1] + estimator.intercepts_[1]))
    for layer, expected in ((1, a_1), (-2, a_1), (2, a_2), (-1, a_2)):
        np.testing.assert_allclose(estimator.hidden_activations(X, layer), expected, rtol=1e-9, atol=1e-12)
    for layer in (0, 3, -3):
        with pytest.raises(ValueError, match="layer: expected one of 2 hidden layers"):
            estimator.hidden_activations(X, layer)


@pytest.mark.parametrize("y", [LABELS, LABELS == 1, SEVERAL])
def test_a_classifier_from_weights(estimators, y):
    fitted = small(estimators.MLPClassifier, activation="tanh").fit(X, y)
    copied = estimators.MLPClassifier.from_weights(
        fitted.coefs_,
        fitted.intercepts_,
        classes=fitted.classes_,
        multilabel=y.ndim == 2,
        activation="tanh",
        max_iter=3,
    )
    np.testing.assert_array_equal(copied.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(copied.predict(X), fitted.predict(X))
    assert copied.hidden_layer_sizes == (8,)
    before = params(fitted).copy()
    copied.partial_fit(X, y)
    assert copied.t_ == 60
    np.testing.assert_array_equal(params(fitted), before)


def test_a_regressor_from_weights(estimators):
    W, b = [[[1.0], [2.0]]], [[3.0]]
    regressor = estimators.MLPRegressor.from_weights(W, b, warm_start=True, solver="sgd")
    np.testing.assert_array_equal(regressor.predict([[1, 1], [0, 2]]), [6, 7])
    assert regressor.fit([[1, 1], [0, 2]] * 5, [6, 7] * 5).loss_curve_[0] == pytest.approx(1e-4 * 5 / 2 / 10)
    for coefs, intercepts in (([[1.0]], [[1.0]]), (W, []), (W, [[1.0, 2.0]]), (W * 2, b * 2), ([], [])):
        with pytest.raises(ValueError, match="coefs and intercepts: expected"):
            estimators.MLPRegressor.from_weights(coefs, intercepts)


def test_classes_that_do_not_fit_the_weights(estimators):
    with pytest.raises(ValueError, match="classes: expected 2 distinct labels for 1 outputs, got 3"):
        estimators.MLPClassifier.from_weights([[[1.0]]], [[1.0]], classes=["a", "b", "c"])


# --------------------------------------------------------------------------------------- sparse X


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array])
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_a_sparse_X_is_as_good_as_a_dense_one(Estimator, dtype, form, settings):
    thin, y = np.where(np.abs(X) > 0.7, X, 0).astype(dtype), target(Estimator)
    dense = small(Estimator, **settings).fit(thin, y, WEIGHT)
    estimator = small(Estimator, **settings).fit(form(thin), y, WEIGHT)
    np.testing.assert_array_equal(params(estimator), params(dense))
    assert params(estimator).dtype == dtype
    np.testing.assert_array_equal(estimator.predict(form(thin)), dense.predict(thin))
    assert estimator.score(form(thin), y) == dense.score(thin, y)
    for method in ("predict_proba", "decision_function", "hidden_activations"):
        if hasattr(dense, method):
            np.testing.assert_array_equal(getattr(estimator, method)(form(thin)), getattr(dense, method)(thin))
    if not settings:
        np.testing.assert_array_equal(params(estimator.partial_fit(form(thin), y)), params(dense.partial_fit(thin, y)))
        measured = small(Estimator).fit(form(thin), y, X_val=form(thin), y_val=y)
        assert measured.validation_scores_[-1] == pytest.approx(measured.score(thin, y))


@pytest.mark.parametrize("settings", [{"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_a_sparse_X_is_never_dense_as_a_whole(Estimator, settings):
    wide = sparse.random(3000, 5000, density=1e-4, random_state=0, format="csr")
    y = np.arange(3000) % 2
    estimator = small(Estimator, hidden_layer_sizes=(2,), max_iter=1, batch_size=100, **settings)
    estimator.fit(wide[:200], y[:200])  # so that compiling does not count
    tracemalloc.start()
    try:
        estimator.fit(wide, y)
        estimator.score(wide, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < wide.shape[0] * wide.shape[1] * 8 / 3


# --------------------------------------------------------------------------------------- what it tells


def test_callbacks_see_the_fit(Estimator):
    seen = []

    class See(Callback):
        def on_start(self, training):
            seen.append(("start", training.epochs))

        def on_epoch(self, training):
            seen.append(training.history.loss[-1])
            if len(training.history.loss) == 3:
                training.stop("enough")

        def on_end(self, training):
            seen.append("end")

    for solver in ("adam", "lbfgs"):
        seen.clear()
        estimator = small(Estimator, callbacks=[See()], solver=solver, max_iter=50).fit(X, target(Estimator))
        assert seen[0] == ("start", 50)
        assert seen[-1] == "end"
        assert len(seen) == 5
        assert estimator.n_iter_ == 3
        assert seen[3] == pytest.approx(estimator.loss_)


class Terminal:
    """Standard output, saying that it is one."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def isatty(self):
        return True

    def flush(self):
        pass


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_terminal_gets_a_bar_and_a_log_lines(Estimator, solver, monkeypatch, capsys):
    estimator = small(Estimator, verbose=True, solver=solver, early_stopping=solver == "adam")
    estimator.fit(X, target(Estimator))
    lines = capsys.readouterr().out
    assert lines.count("Iteration") == 5
    assert ("Validation score: " in lines) == (solver == "adam")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    estimator.fit(X, target(Estimator))
    assert "5/5" in terminal.text
    assert "━" in terminal.text
    assert "Iteration" not in terminal.text
    monkeypatch.setitem(sys.modules, "rich.console", None)  # not installed
    estimator.fit(X, target(Estimator))
    assert "Iteration 5, loss = " in terminal.text


CTRL_C = """
import numpy as np, warnings
from mlp_jit import Callback, MLPRegressor

class Say(Callback):
    def on_epoch(self, training):
        if len(training.history.loss) == 2:
            print("training", flush=True)

X = np.random.default_rng(0).normal(size=(300, 3))
settings = {"max_iter": 10**9, "max_fun": 10**9, "tol": 0, "n_iter_no_change": np.inf}
regressor = MLPRegressor(solver=SOLVER, callbacks=[Say()], **settings)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    regressor.fit(X, np.sin(5 * X[:, 0]) + X[:, 1])
assert [str(w.message)[:29] for w in caught] == ["Training interrupted by user."], [str(w.message) for w in caught]
assert regressor.n_iter_ >= 2 and np.isfinite(regressor.predict(X)).all()
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process alone")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_ctrl_c_leaves_a_usable_model(solver):
    import signal

    process = start("-c", CTRL_C.replace("SOLVER", repr(solver)))
    assert process.stdout.readline() == "training\n" or finish(process)
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == "done\n"


def test_lbfgs_is_scipys(Estimator, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match=r"solver='lbfgs' is SciPy's: pip install 'mlp_jit\[lbfgs\]'"):
        small(Estimator, solver="lbfgs").fit(X.tolist(), target(Estimator))
