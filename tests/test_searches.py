"""Searches over parameters: scikit-learn's results, whatever goes together."""

import io
import warnings

import numpy as np
import pytest
from numba import config
from sklearn import model_selection
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from mlp_jit import MLPClassifier, MLPRegressor
from mlp_jit.many import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    searches,
    together,
)

pytestmark = [
    pytest.mark.skipif(config.DISABLE_JIT, reason="the lanes engine exists only compiled"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
X, Y = load_iris(return_X_y=True)
WEIGHTS = np.random.default_rng(0).integers(0, 3, len(Y)) + 0.5
GRID = {"alpha": [1e-4, 1.0], "learning_rate_init": [1e-2, 3e-2], "hidden_layer_sizes": [(4,), (5, 3)]}
NETWORK = MLPClassifier(max_iter=8, random_state=0)


def results(search):
    """All but times."""
    return {name: repr(value) for name, value in search.cv_results_.items() if "time" not in name}


def assert_as_theirs(ours, theirs, x=X, y=Y, **params):
    ours.fit(x, y, **params)
    theirs.fit(x, y, **params)
    assert results(ours) == results(theirs)
    for name in ("best_params_", "best_score_", "best_index_", "n_splits_", "multimetric_"):
        assert repr(vars(ours).get(name)) == repr(vars(theirs).get(name))
    if "best_estimator_" in vars(theirs):
        assert np.array_equal(ours.predict(x), theirs.predict(x))
        assert vars(ours.best_estimator_).keys() == vars(theirs.best_estimator_).keys()


@pytest.fixture
def side_by_side(monkeypatch):
    """How many fits went together, call by call."""
    calls, train = [], searches.fit_each
    monkeypatch.setattr(
        searches, "fit_each", lambda networks, *data: calls.append(len(networks)) or train(networks, *data)
    )
    return calls


@pytest.mark.parametrize("scoring", [None, ["accuracy", "neg_log_loss"]])
def test_a_grid(scoring, side_by_side):
    settings = {"cv": 3, "return_train_score": True, "scoring": scoring, "refit": "accuracy" if scoring else True}
    assert_as_theirs(GridSearchCV(NETWORK, GRID, **settings), model_selection.GridSearchCV(NETWORK, GRID, **settings))
    assert side_by_side == [24]


def test_sample_weights_and_groups(side_by_side):
    settings = {"cv": model_selection.GroupKFold(3)}
    both = [kind(NETWORK, GRID, **settings) for kind in (GridSearchCV, model_selection.GridSearchCV)]
    assert_as_theirs(*both, sample_weight=WEIGHTS, groups=np.arange(len(Y)) % 7)
    assert side_by_side == [24]


def test_random_candidates_for_a_regressor(side_by_side):
    settings = {"n_iter": 5, "random_state": 0, "cv": 3}
    kinds = RandomizedSearchCV, model_selection.RandomizedSearchCV
    both = [
        kind(
            MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0),
            {"alpha": np.logspace(-5, 1, 40)},
            **settings,
        )
        for kind in kinds
    ]
    assert_as_theirs(*both, y=X[:, 0])
    assert side_by_side == [15]


@pytest.mark.parametrize("memory", [False, True])
def test_a_pipeline(memory, side_by_side, tmp_path):
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("pca", PCA()), ("mlp", NETWORK)], memory=str(tmp_path) if memory else None
    )
    grid = {"mlp__alpha": [1e-4, 1.0], "pca__n_components": [2, 3], "scale": [StandardScaler(), "passthrough"]}
    both = [kind(pipeline, grid, cv=3) for kind in (GridSearchCV, model_selection.GridSearchCV)]
    assert_as_theirs(*both, mlp__sample_weight=WEIGHTS)
    assert side_by_side == [24]


def test_what_cannot_go_together_goes_as_before(side_by_side):
    """Another estimator, some candidates of it, and weights for a step before the network."""
    both = [kind(LogisticRegression(), {"C": [0.1, 1]}, cv=3) for kind in (GridSearchCV, model_selection.GridSearchCV)]
    assert_as_theirs(*both)
    pipeline = make_pipeline(StandardScaler(), NETWORK)
    both = [kind(pipeline, {"mlpclassifier": [NETWORK, LogisticRegression()]}, cv=3, n_jobs=2)
            for kind in (GridSearchCV, model_selection.GridSearchCV)]  # fmt: skip
    assert_as_theirs(*both)
    assert side_by_side == [3]
    assert_as_theirs(*map(clone, both), standardscaler__sample_weight=WEIGHTS)
    assert side_by_side == [3]


@pytest.mark.parametrize("score", [0.0, "raise"])
def test_a_candidate_that_fails(score):
    """By its parameters, or as its weights diverge."""
    for grid in ({"alpha": [1e-4, -1.0]}, {"learning_rate_init": [1e-2, 1e300]}):
        both = [kind(NETWORK, grid, cv=3, error_score=score) for kind in (GridSearchCV, model_selection.GridSearchCV)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if score == "raise":
                with pytest.raises(ValueError) as theirs:  # noqa: PT011
                    both[1].fit(X, Y)
                with pytest.raises(type(theirs.value), match=str(theirs.value)[:40].replace("(", r"\(")):
                    both[0].fit(X, Y)
            else:
                assert_as_theirs(*both)


def test_halving():
    settings = {"cv": 3, "random_state": 0, "min_resources": 30}
    both = (
        HalvingGridSearchCV(NETWORK, GRID, **settings),
        model_selection.HalvingGridSearchCV(NETWORK, GRID, **settings),
    )
    assert_as_theirs(*both)
    both = [kind(NETWORK, GRID, **settings) for kind in (HalvingRandomSearchCV, model_selection.HalvingRandomSearchCV)]
    assert_as_theirs(*both)


def test_few_at_a_time_where_data_are_large(side_by_side, monkeypatch):
    monkeypatch.setattr(searches, "BYTES_AT_ONCE", 17 * X.nbytes)
    assert_as_theirs(GridSearchCV(NETWORK, GRID, cv=3), model_selection.GridSearchCV(NETWORK, GRID, cv=3))
    assert side_by_side == [17, 7]


def test_the_bar_says_the_best_score(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    monkeypatch.setattr(searches.sys, "stderr", out)
    monkeypatch.setattr(together, "PATIENCE", 1e9)
    search = GridSearchCV(NETWORK, {"alpha": [1e-4, 1.0]}, cv=3, verbose=1).fit(X, Y)
    assert f"best score {search.best_score_:.4f}" in out.getvalue()
