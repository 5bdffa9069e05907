"""The displays draw the numbers that the network gives, where they are told to."""

import sys

import numpy as np
import pytest

from mlp_jit import MLPClassifier, MLPRegressor, Network, fit

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from mlp_jit.plots import (  # noqa: E402
    ActivationDisplay,
    DecisionBoundaryDisplay,
    GradientNormsDisplay,
    LossCurveDisplay,
    RepresentationDisplay,
    WeightsDisplay,
)

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 2))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
NAMES = np.array(["no", "yes"])


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def classifier():
    return MLPClassifier(hidden_layer_sizes=(4,), random_state=0, tol=10, n_iter_no_change=3).fit(X, NAMES[y])


def network(sizes=(2, 4, 1), **options):
    return Network(sizes, **{"output": "sigmoid", "dtype": "float64", "random_state": 0} | options)


def drawn(figure):
    """Draw it all, and return whether anything is to be seen."""
    figure.canvas.draw()
    return np.ptp(np.asarray(figure.canvas.buffer_rgba())) > 0


def test_loss_curve():
    net = network()
    history = fit(net, X, y, epochs=7, validation_data=(X, y), random_state=0)
    display = LossCurveDisplay.from_history(history)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), range(1, 8))
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), history.loss)
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), history.validation_loss)
    assert display.ax_.get_xlabel() == "epoch"
    assert display.ax_.get_yscale() == "linear"  # within a decade a logarithmic scale has hardly a tick
    assert LossCurveDisplay(loss=[3.0, 0.2]).plot().ax_.get_yscale() == "log"
    assert LossCurveDisplay(loss=[3.0, 0.0]).plot().ax_.get_yscale() == "linear"
    assert drawn(display.figure_)
    again = LossCurveDisplay.from_history(history, name="again", ax=display.ax_)
    assert again.ax_ is display.ax_
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["training", "validation", "again", "again, validation"]


def test_loss_curve_of_an_estimator(classifier):
    display = LossCurveDisplay.from_estimator(classifier)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), classifier.loss_curve_)


def made(Estimator=MLPClassifier, **options):
    return Estimator(**{"hidden_layer_sizes": (4,), "random_state": 0, "tol": 10, "n_iter_no_change": 3} | options)


def test_loss_curve_of_an_estimator_with_a_validation_set():
    own = made().fit(X, y, X_val=X[:9], y_val=y[:9])
    for estimator in (own, made(MLPRegressor, early_stopping=True, validation_fraction=0.2).fit(X, X[:, 0])):
        display = LossCurveDisplay.from_estimator(estimator, name="it")
        assert len(estimator.validation_loss_curve_) == estimator.n_iter_ > 1
        np.testing.assert_array_equal(display.lines_[0].get_ydata(), estimator.loss_curve_)
        np.testing.assert_array_equal(display.lines_[1].get_ydata(), estimator.validation_loss_curve_)
        assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["it", "it, validation"]


def test_validation_losses_stand_at_their_epochs_after_warm_starts():
    estimator = made(warm_start=True).fit(X, y)
    without = estimator.n_iter_
    estimator.fit(X, y, X_val=X, y_val=y)
    validated = without + estimator.n_iter_
    np.testing.assert_array_equal(np.isnan(estimator.validation_loss_curve_), np.arange(validated) < without)
    estimator.fit(X, y)
    curves = LossCurveDisplay.from_estimator(estimator).lines_
    assert [len(curve.get_xdata()) for curve in curves] == [validated + estimator.n_iter_, validated]
    assert drawn(curves[0].figure)
    estimator.fit(X, y, X_val=X, y_val=y)
    assert len(estimator.validation_loss_curve_) == len(estimator.loss_curve_)


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("settings", [{}, {"max_fun": 12}, {"max_iter": 4}], ids=str)
@pytest.mark.filterwarnings("ignore:lbfgs failed")
def test_loss_curve_of_lbfgs(Estimator, settings):
    pytest.importorskip("scipy")
    estimator = made(Estimator, solver="lbfgs", tol=1e-4, **settings).fit(X, y)
    assert len(estimator.loss_curve_) == estimator.n_iter_ > 2
    assert np.all(np.diff(estimator.loss_curve_) < 0)
    assert estimator.loss_curve_[-1] == pytest.approx(estimator.loss_)
    display = LossCurveDisplay.from_estimator(estimator)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), estimator.loss_curve_)
    assert len(display.lines_) == 1


@pytest.mark.filterwarnings("ignore:lbfgs failed")
def test_lbfgs_begins_a_curve_or_goes_on_with_it():
    pytest.importorskip("scipy")
    estimator = made().fit(X, y, X_val=X, y_val=y)
    known = list(estimator.loss_curve_)
    estimator.set_params(solver="lbfgs", max_iter=5, warm_start=True, tol=1e-4).fit(X, y)
    assert estimator.loss_curve_[: len(known)] == known
    assert len(estimator.loss_curve_) == len(known) + estimator.n_iter_
    assert len(estimator.validation_loss_curve_) == len(known)
    estimator.set_params(warm_start=False).fit(X, y)
    assert len(estimator.loss_curve_) == estimator.n_iter_
    assert estimator.validation_loss_curve_ is None


def test_an_estimator_without_losses():
    given = MLPRegressor.from_weights([[[1.0]], [[2.0]]], [[0.0], [0.0]])
    with pytest.raises(ValueError, match=r"expected one with losses in loss_curve_, got MLPRegressor.*: call its fit"):
        LossCurveDisplay.from_estimator(given)
    neural_network = pytest.importorskip("sklearn.neural_network")
    theirs = made(neural_network.MLPRegressor, solver="lbfgs").fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"scikit-learn's lbfgs keeps none, use solver='adam' or mlp_jit's"):
        LossCurveDisplay.from_estimator(theirs)


def in_a_pipeline(estimator):
    pipeline, preprocessing = (pytest.importorskip(f"sklearn.{name}") for name in ("pipeline", "preprocessing"))
    return pipeline.make_pipeline(preprocessing.StandardScaler(), preprocessing.PolynomialFeatures(2), estimator)


def in_a_search(estimator):
    selection = pytest.importorskip("sklearn.model_selection")
    return selection.GridSearchCV(in_a_pipeline(estimator), {f"{type(estimator).__name__.lower()}__alpha": [1]}, cv=2)


def of_scikit_learn(estimator):
    return getattr(pytest.importorskip("sklearn.neural_network"), type(estimator).__name__)(
        hidden_layer_sizes=(4,), random_state=0, tol=10, n_iter_no_change=3
    )


WRAPS = [
    in_a_pipeline, in_a_search, of_scikit_learn,
    lambda estimator: in_a_pipeline(in_a_search(estimator)),
    lambda estimator: in_a_search(of_scikit_learn(estimator)),
]  # fmt: skip


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("wrap", WRAPS)
def test_estimators_in_estimators(wrap, Estimator):
    targets = NAMES[y] if Estimator is MLPClassifier else X[:, 0]
    estimator = wrap(made(Estimator)).fit(X, targets)
    losses = LossCurveDisplay.from_estimator(estimator).loss
    assert len(losses) > 1
    boundary = DecisionBoundaryDisplay.from_estimator(estimator, X, targets, grid_resolution=9)
    points = np.column_stack([boundary.xx0.ravel(), boundary.xx1.ravel()])
    if Estimator is MLPClassifier:
        expected = estimator.predict_proba(points)[:, 1]
        assert [text.get_text() for text in boundary.ax_.get_legend().get_texts()] == ["no", "yes"]
    else:
        expected = estimator.predict(points)
    np.testing.assert_allclose(boundary.response.ravel(), expected, rtol=1e-9)
    norms = GradientNormsDisplay.from_estimator(estimator, X, targets).norms
    assert norms.shape == (2,)
    representation = RepresentationDisplay.from_estimator(estimator, X, targets)
    outputs = estimator.predict_proba(X)[:, 1] if Estimator is MLPClassifier else estimator.predict(X)
    np.testing.assert_allclose(representation.points[-1].ravel(), outputs, rtol=1e-9)
    assert WeightsDisplay.from_estimator(estimator, layer=2).images.shape == (1, 2, 2)


def test_steps_that_know_columns_by_name():
    pandas, compose = pytest.importorskip("pandas"), pytest.importorskip("sklearn.compose")
    frame = pandas.DataFrame(X, columns=["left", "right"])
    columns = compose.make_column_transformer(("passthrough", ["right"]))
    estimator = pytest.importorskip("sklearn.pipeline").make_pipeline(columns, made()).fit(frame, y)
    response = DecisionBoundaryDisplay.from_estimator(estimator, frame, y, grid_resolution=9).response
    assert np.ptp(response, axis=1).max() == 0 < np.ptp(response, axis=0).min()


@pytest.mark.parametrize("display", [LossCurveDisplay, WeightsDisplay])
@pytest.mark.parametrize("wrap", [lambda estimator: estimator, *WRAPS])
def test_what_is_not_fitted_says_so(display, wrap):
    with pytest.raises(TypeError, match=r"expected a fitted MLPClassifier(?s:.*): call its fit first"):
        display.from_estimator(wrap(made()))


def test_what_is_no_network_says_so():
    linear_model = pytest.importorskip("sklearn.linear_model")
    for other in (linear_model.LinearRegression(), in_a_pipeline(linear_model.LinearRegression())):
        with pytest.raises(TypeError, match=r"expected a fitted MLPClassifier(?s:.*)or search with one, got "):
            WeightsDisplay.from_estimator(other.fit(X, y))
    estimator = in_a_pipeline(made()).fit(np.column_stack([X, X]), y)
    with pytest.raises(ValueError, match=r"X: expected 2 columns to draw, got shape \(60, 4\)"):
        DecisionBoundaryDisplay.from_estimator(estimator, np.column_stack([X, X]))


def test_a_loss_of_zero_has_no_logarithm():
    assert LossCurveDisplay(loss=[1, 0.5, 0]).plot().ax_.get_yscale() == "linear"


def test_decision_boundary():
    net = network()
    display = DecisionBoundaryDisplay.from_network(net, X, y, grid_resolution=30)
    assert display.response.shape == (30, 30, 1)
    point = display.xx0[3, 7], display.xx1[3, 7]
    assert display.response[3, 7, 0] == pytest.approx(net.forward([point])[0, 0], rel=1e-14)
    assert display.xx0.min() < X[:, 0].min()
    assert display.xx1.max() > X[:, 1].max()
    assert drawn(display.figure_)


@pytest.mark.parametrize(("output", "targets"), [("softmax", y), ("identity", X[:, 0]), ("step", y)])
def test_decision_boundaries_of_other_outputs(output, targets):
    net = network((2, 4, 3 if output == "softmax" else 1), output=output)
    _, ax = plt.subplots()
    display = DecisionBoundaryDisplay.from_network(net, X, targets, grid_resolution=20, ax=ax)
    assert display.ax_ is ax
    assert drawn(display.figure_)


def test_decision_boundary_of_an_estimator_names_its_classes(classifier):
    display = DecisionBoundaryDisplay.from_estimator(classifier, X, NAMES[y], grid_resolution=20)
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["no", "yes"]
    regressor = MLPRegressor(hidden_layer_sizes=(4,), random_state=0, tol=10, n_iter_no_change=3).fit(X, X[:, 0])
    assert drawn(DecisionBoundaryDisplay.from_estimator(regressor, X, X[:, 0], grid_resolution=20).figure_)


def test_activations():
    display = ActivationDisplay.from_names(["sigmoid", "gelu", "softplus", "exp"], reach=3)
    assert display.phi.shape == display.slope.shape == (4, 401)
    np.testing.assert_allclose(display.phi[0], 1 / (1 + np.exp(-display.z)), rtol=1e-12)
    titles = [ax.get_title() for ax in display.axes_]
    assert titles[0] == "sigmoid\n0 to 1, max φ' 0.25"
    assert titles[1] == "gelu\n−0.17 to ∞, max φ' 1.129"
    assert titles[2] == "softplus\n0 to ∞, max φ' 1"
    assert titles[3].startswith("exp\n0 to ∞")
    assert drawn(display.figure_)
    with pytest.raises(ValueError, match="names: expected one of"):
        ActivationDisplay.from_names(["softmax"])


def test_gradient_norms(classifier):
    net = network((2, 8, 8, 1), activation="sigmoid")
    display = GradientNormsDisplay.from_network(net, X, y, name="sigmoid")
    delta = net.trace(X, y).delta
    np.testing.assert_allclose(display.norms, [np.sqrt(np.mean(np.sum(d * d, axis=1))) for d in delta], rtol=1e-12)
    np.testing.assert_array_equal(display.line_.get_ydata(), display.norms)
    other = GradientNormsDisplay.from_estimator(classifier, X, NAMES[y], name="ReLU", ax=display.ax_)
    assert len(display.ax_.get_lines()) == 2
    assert other.line_.get_color() != display.line_.get_color()


def test_representations(classifier):
    net = network((2, 3, 2, 1))
    display = RepresentationDisplay.from_network(net, X, y)
    trace = net.trace(X, y)
    assert [points.shape[1] for points in display.points] == [2, 2, 2, 1]
    np.testing.assert_array_equal(display.points[0], X)
    np.testing.assert_array_equal(display.points[2], trace.a[2])
    distances = [np.linalg.norm(a - a.mean(axis=0)) for a in (trace.a[1], display.points[1])]
    assert distances[1] <= distances[0]  # a projection of the three units
    assert [ax.get_title() for ax in display.axes_] == ["inputs", "after layer 1", "after layer 2", "outputs"]
    assert drawn(display.figure_)
    _, ax = plt.subplots()
    assert RepresentationDisplay.from_estimator(classifier, X, NAMES[y], ax=ax).figure_ is ax.figure


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_normalised_and_skipped_layers(normalization):
    net = network((2, 4, 4, 4, 1), activation="tanh", normalization=normalization, skip=True)
    trace = net.trace(X, y)
    display = RepresentationDisplay.from_network(net, X, y)
    spread = [np.linalg.norm(points - points.mean(axis=0)) for points in display.points]
    for l in (2, 3):  # two components of four units hold most of h, not of a
        h = trace.h[l] - trace.h[l].mean(axis=0)
        assert np.linalg.norm(h, 2) <= spread[l] <= np.linalg.norm(h) * (1 + 1e-12)
        np.testing.assert_allclose(np.abs(display.points[l][:, 0]), np.abs(h @ np.linalg.svd(h)[2][0]), atol=1e-9)
    np.testing.assert_array_equal(display.points[4], trace.a[4])
    narrow = network((2, 2, 2, 1), normalization=normalization, skip=True)
    display = RepresentationDisplay.from_network(narrow, X, y)
    np.testing.assert_array_equal(display.points[2], narrow.trace(X, y).h[2])
    assert [ax.get_xlabel() for ax in display.axes_] == ["$x_1$", "$a_1$", "$h_1$", "$a_1$"]
    for made in (
        display,
        GradientNormsDisplay.from_network(net, X, y),
        DecisionBoundaryDisplay.from_network(net, X, y, grid_resolution=20),
        WeightsDisplay.from_network(net, layer=2),
    ):
        assert drawn(made.figure_)


def test_weights(classifier):
    net = network((12, 5, 1))
    display = WeightsDisplay.from_network(net, shape=(3, 4), units=4)
    assert display.images.shape == (4, 3, 4)
    np.testing.assert_array_equal(display.images[2].ravel(), net.weights[0][:, 2])
    assert drawn(display.figure_)
    assert WeightsDisplay.from_estimator(classifier, layer=2).images.shape == (1, 2, 2)
    with pytest.raises(ValueError, match="shape: expected height · width = 12"):
        WeightsDisplay.from_network(net, shape=(3, 3))
    with pytest.raises(ValueError, match="layer: expected at most 2"):
        WeightsDisplay.from_network(net, layer=3)


def test_an_array_of_axes():
    _, axes = plt.subplots(2, 2)
    display = RepresentationDisplay.from_network(network((2, 3, 1)), X, y, ax=axes)
    assert list(display.axes_) == list(axes.ravel()[:3])
    with pytest.raises(ValueError, match="expected one axes or 3"):
        RepresentationDisplay.from_network(network((2, 3, 1)), X, y, ax=axes[0])


def test_bad_input(classifier):
    with pytest.raises(TypeError, match="expected a fitted MLPClassifier"):
        LossCurveDisplay.from_estimator(MLPClassifier())
    with pytest.raises(ValueError, match="expected 2 inputs"):
        DecisionBoundaryDisplay.from_network(network((3, 1)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="y: expected the classes"):
        DecisionBoundaryDisplay.from_estimator(classifier, X, np.full(60, "perhaps"))


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'mlp_jit\[plot\]'"):
        LossCurveDisplay(loss=[1, 0.5]).plot()
