"""The estimators in the hands of scikit-learn's tools, and of pandas."""

import pickle
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingRegressor, StackingClassifier, VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import LABELS, SEVERAL, WEIGHT, X, small, target

from mlp_jit import Callback, MLPClassifier, MLPRegressor, huber
from mlp_jit.schedules import Cosine

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
BOTH = pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
NAMED = pd.DataFrame(X, columns=list("abcd"))


@BOTH
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_search_on_two_workers_finds_what_one_finds(Estimator, backend):
    pipeline = make_pipeline(StandardScaler(), small(Estimator, n_threads=1))
    name = Estimator.__name__.lower()
    grid = {f"{name}__alpha": [0, 0.1], f"{name}__hidden_layer_sizes": [(4,), (3, 3)]}
    alone = GridSearchCV(pipeline, grid, cv=2).fit(X, target(Estimator))
    with joblib.parallel_config(backend, n_jobs=2):
        together = GridSearchCV(pipeline, grid, cv=2).fit(X, target(Estimator))
    np.testing.assert_array_equal(together.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert together.best_params_ == alone.best_params_


@BOTH
def test_cross_validation_and_learning_curves(Estimator):
    y = target(Estimator)
    scores = cross_val_score(small(Estimator), X, y, cv=3, params={"sample_weight": WEIGHT})
    assert np.isfinite(scores).all()
    assert cross_val_predict(small(Estimator), X, y, cv=3).shape == (60,)
    settings = {"train_sizes": [0.7, 1.0], "cv": 2, "shuffle": True, "random_state": 0}
    sizes, on_train, on_test = learning_curve(
        small(Estimator, batch_size=5), X, y, exploit_incremental_learning=True, **settings
    )
    assert on_train.shape == on_test.shape == (2, 2)
    assert sizes.tolist() == [21, 30]


@BOTH
def test_permutation_importance(Estimator):
    settings = {"max_iter": 100, "learning_rate_init": 0.02}
    estimator = small(Estimator, **settings).fit(NAMED, target(Estimator))
    found = permutation_importance(estimator, NAMED, target(Estimator), n_repeats=3, random_state=0)
    assert found.importances_mean.argmin() in (2, 3)


def test_ensembles():
    one, other = small(MLPClassifier), LogisticRegression()
    voting = VotingClassifier([("mlp", one), ("line", other)], voting="soft").fit(X, LABELS, sample_weight=WEIGHT)
    assert voting.score(X, LABELS) > 0.5
    assert StackingClassifier([("mlp", one)], other, cv=2).fit(X, LABELS).predict_proba(X).shape == (60, 3)
    assert BaggingRegressor(small(MLPRegressor), 2, random_state=0).fit(X, LABELS).predict(X).shape == (60,)


@pytest.mark.parametrize("y", [LABELS, LABELS == 1])
def test_calibration(y):
    settings = {"max_iter": 60, "learning_rate_init": 0.02}
    calibrated = CalibratedClassifierCV(small(MLPClassifier, **settings), cv=2).fit(X, y)
    assert calibrated.score(X, y) > 0.8


@BOTH
def test_clones_take_every_parameter(Estimator):
    settings = {
        "callbacks": [Callback()],
        "learning_rate": Cosine(epochs=5),
        "activation": ("relu",),
        "dropout": (0.1,),
    }
    if Estimator is MLPRegressor:
        settings["loss"] = huber(2)
    estimator = small(Estimator, **settings).fit(X, target(Estimator))
    copy = clone(estimator)
    assert repr(copy.get_params()["learning_rate"]) == repr(Cosine(epochs=5))
    assert not hasattr(copy, "coefs_")
    np.testing.assert_array_equal(copy.fit(X, target(Estimator)).coefs_[0], estimator.coefs_[0])


@BOTH
@pytest.mark.parametrize("mapped", [None, "r"])
def test_what_joblib_wrote_predicts_and_trains_on(Estimator, mapped, tmp_path):
    estimator = small(Estimator).fit(X, target(Estimator))
    joblib.dump(estimator, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode=mapped)
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    loaded.partial_fit(X, target(Estimator))
    estimator.partial_fit(X, target(Estimator))
    np.testing.assert_array_equal(loaded.coefs_[0], estimator.coefs_[0])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loaded)).coefs_[1], loaded.coefs_[1])


@BOTH
def test_a_frame_is_known_by_its_columns(Estimator):
    estimator = small(Estimator, early_stopping=True).fit(NAMED, pd.Series(target(Estimator)))
    assert estimator.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(
        estimator.predict(NAMED), small(Estimator, early_stopping=True).fit(X, target(Estimator)).predict(X)
    )
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.predict(NAMED[["b", "a", "c", "d"]])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        estimator.predict(X)


def test_labels_in_a_frame_of_strings():
    names = pd.Series(np.array(["a", "b", "c"])[LABELS], dtype="category")
    assert set(small(MLPClassifier).fit(NAMED, names).predict(NAMED)) <= set("abc")
    frame = pd.DataFrame(SEVERAL, columns=["one", "two"])
    assert small(MLPClassifier).fit(NAMED, frame).predict(NAMED).shape == (60, 2)


@BOTH
def test_a_scorer_of_scikit_learns_judges_the_validation_set(Estimator):
    name = "neg_log_loss" if Estimator is MLPClassifier else "neg_mean_absolute_error"
    estimator = small(Estimator, scoring=name, early_stopping=True, validation_fraction=0.5).fit(
        NAMED, target(Estimator)
    )
    assert all(score < 0 for score in estimator.validation_scores_)
    assert estimator.feature_names_in_.tolist() == list("abcd")


@BOTH
def test_a_pipeline_scales_the_validation_set_too(Estimator):
    y = target(Estimator)
    with config_context(enable_metadata_routing=True):
        estimator = small(Estimator).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), estimator, transform_input=["X_val"])
        pipeline.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
        score = pipeline.score(X[1::2], y[1::2])
    assert pipeline[-1].validation_scores_[-1] == pytest.approx(score)


def test_many_threads_predict_at_once():
    classifier = small(MLPClassifier, hidden_layer_sizes=(64, 64)).fit(X, LABELS)
    expected, wrong = classifier.predict_proba(X), []

    def predict():
        wrong.extend(1 for _ in range(50) if (classifier.predict_proba(X) != expected).any())

    threads = [threading.Thread(target=predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_polars_frames():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(X, schema=list("abcd"))
    assert small(MLPClassifier).fit(frame, LABELS).feature_names_in_.tolist() == list("abcd")
