"""Ensembles: scikit-learn's conventions, draws, out-of-bag scores, files."""

import pickle

import numpy as np
import pytest
import sklearn
from numba import config
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_wine
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mlp_jit import MLPClassifier, MLPEnsembleClassifier, MLPEnsembleRegressor, MLPRegressor, load, save

pytestmark = [
    pytest.mark.skipif(config.DISABLE_JIT, reason="the lanes engine exists only compiled"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]
X, Y = load_wine(return_X_y=True)
X = StandardScaler().fit_transform(X)
NUMBERS = load_diabetes(return_X_y=True)
NUMBERS = StandardScaler().fit_transform(NUMBERS[0]), NUMBERS[1] / 100
CLASSIFIER = MLPClassifier((6,), max_iter=30, learning_rate_init=0.02)
REGRESSOR = MLPRegressor(hidden_layer_sizes=(6,), max_iter=30)


@pytest.mark.skipif(tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9), reason="as test_scikit_learn")
@parametrize_with_checks([MLPEnsembleClassifier(n_estimators=3), MLPEnsembleRegressor(n_estimators=3)])
def test_checks_of_every_estimator(estimator, check):
    check(estimator)


def test_the_mean_of_members_that_fit_as_alone():
    ensemble = MLPEnsembleClassifier(CLASSIFIER, 5, random_state=0).fit(X, Y)
    seeds = [member.random_state for member in ensemble.estimators_]
    assert len(set(seeds)) == 5
    alone = [clone(CLASSIFIER).set_params(random_state=seed).fit(X, Y) for seed in seeds]
    for member, one in zip(ensemble.estimators_, alone, strict=True):
        assert np.array_equal(member.network_.params, one.network_.params)
    mean = np.mean([one.predict_proba(X) for one in alone], axis=0)
    np.testing.assert_allclose(ensemble.predict_proba(X), mean, rtol=1e-12)
    assert np.array_equal(ensemble.predict(X), ensemble.classes_[mean.argmax(axis=1)])
    np.testing.assert_array_equal(ensemble.predict_log_proba(X), np.log(ensemble.predict_proba(X)))


def test_a_regressor_says_how_far_its_members_are_apart():
    ensemble = MLPEnsembleRegressor(REGRESSOR, 4, random_state=0).fit(*NUMBERS)
    members = np.array([member.predict(NUMBERS[0]) for member in ensemble.estimators_])
    mean, apart = ensemble.predict(NUMBERS[0], return_std=True)
    np.testing.assert_allclose(mean, members.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(apart, members.std(axis=0), rtol=1e-12)
    assert np.array_equal(mean, ensemble.predict(NUMBERS[0]))
    two = MLPEnsembleRegressor(REGRESSOR, 2, random_state=0).fit(NUMBERS[0], np.column_stack([NUMBERS[1]] * 2))
    assert [part.shape for part in two.predict(NUMBERS[0][:7], return_std=True)] == [(7, 2)] * 2


@pytest.mark.parametrize(
    ("settings", "drawn"), [({"bootstrap": True}, 178), ({"max_samples": 0.5}, 89), ({"max_samples": 20}, 20)]
)
def test_draws_and_what_is_left_out_of_the_bag(settings, drawn):
    ensemble = MLPEnsembleClassifier(CLASSIFIER, 30, oob_score=True, random_state=0, **settings)
    counts = [ensemble._draw(len(Y), np.random.RandomState(k)) for k in range(3)]
    assert [count.sum() for count in counts] == [drawn] * 3
    assert (counts[0].max() > 1) == ("bootstrap" in settings)
    ensemble.fit(X, Y)
    right = ensemble.classes_[ensemble.oob_decision_function_.argmax(axis=1)] == Y
    assert ensemble.oob_score_ == right.mean()
    assert 0.8 < ensemble.oob_score_ <= 1
    regressor = MLPEnsembleRegressor(REGRESSOR, 20, oob_score=True, bootstrap=True, random_state=0).fit(*NUMBERS)
    rest = NUMBERS[1] - regressor.oob_prediction_
    assert regressor.oob_score_ == pytest.approx(1 - (rest**2).sum() / ((NUMBERS[1] - NUMBERS[1].mean()) ** 2).sum())


def test_out_of_bag_is_what_other_members_say():
    ensemble = MLPEnsembleClassifier(CLASSIFIER, 6, bootstrap=True, oob_score=True, random_state=3)
    with pytest.warns(UserWarning, match="samples were drawn by all members"):
        ensemble.fit(X, Y)
    seeds = [member.random_state for member in ensemble.estimators_]
    counts = np.array([ensemble._draw(len(Y), np.random.RandomState(seed)) for seed in seeds])
    for n in range(20):
        others = [
            m.predict_proba(X[n : n + 1])[0]
            for m, count in zip(ensemble.estimators_, counts[:, n], strict=True)
            if not count
        ]
        expected = np.mean(others, axis=0) if others else np.full(3, np.nan)
        np.testing.assert_allclose(ensemble.oob_decision_function_[n], expected, rtol=1e-12)


def test_sample_weights_sparse_X_and_several_labels():
    weights = np.where(Y == 0, 0.0, 1.0)
    ensemble = MLPEnsembleClassifier(CLASSIFIER, 3, bootstrap=True, random_state=0).fit(X, Y, weights)
    assert ensemble.predict_proba(X)[:, 0].max() < ensemble.predict_proba(X)[:, 1:].max()
    thin = sparse.csr_array(np.where(np.abs(X) > 1, X, 0))
    dense = MLPEnsembleClassifier(CLASSIFIER, 3, random_state=0).fit(thin.toarray(), Y)
    assert np.array_equal(
        MLPEnsembleClassifier(CLASSIFIER, 3, random_state=0).fit(thin, Y).predict_proba(thin),
        dense.predict_proba(thin.toarray()),
    )
    several = np.column_stack([Y == 0, Y > 0, X[:, 0] > 0]).astype(int)
    labels = MLPEnsembleClassifier(CLASSIFIER, 3, random_state=0).fit(X, several)
    assert labels.predict(X).shape == labels.predict_proba(X).shape == several.shape


def test_same_seed_same_bits_on_any_number_of_threads():
    made = [MLPEnsembleClassifier(CLASSIFIER, 9, bootstrap=True, random_state=1, n_threads=n).fit(X, Y) for n in (1, 2)]
    assert np.array_equal(*[ensemble.predict_proba(X) for ensemble in made])


def test_in_pipelines_and_searches():
    pipeline = make_pipeline(StandardScaler(), MLPEnsembleClassifier(CLASSIFIER, 3, random_state=0))
    search = GridSearchCV(pipeline, {"mlpensembleclassifier__estimator__alpha": [1e-4, 1.0]}, cv=3).fit(X, Y)
    assert 0.8 < search.best_score_ <= 1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"estimator": REGRESSOR}, TypeError, "estimator: expected a MLPClassifier or None"),
        ({"n_estimators": 0}, ValueError, "n_estimators: expected an integer >= 1, got 0"),
        ({"max_samples": 1.5}, ValueError, r"max_samples: expected an integer >= 1 or a share in \(0, 1\], got 1.5"),
        ({"oob_score": True}, ValueError, "oob_score: expected bootstrap=True or max_samples below 1"),
        ({"estimator": MLPClassifier(alpha=-1)}, ValueError, "alpha"),
    ],
)
def test_bad_parameters_are_refused_and_nothing_is_learnt(settings, error, message):
    ensemble = MLPEnsembleClassifier(**settings)
    with pytest.raises(error, match=message):
        ensemble.fit(X, Y)
    assert not any(name.endswith("_") for name in vars(ensemble))


# --------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_one_file_holds_it(kind, tmp_path):
    if kind == "classifier":
        ensemble = MLPEnsembleClassifier(CLASSIFIER, 9, bootstrap=True, max_samples=0.3, oob_score=True, random_state=0)
        data = X, np.array(["a", "b", "c"])[Y]
    else:
        ensemble = MLPEnsembleRegressor(REGRESSOR, 9, max_samples=0.3, oob_score=True, random_state=0)
        data = NUMBERS
    ensemble.fit(*data)
    save(ensemble, tmp_path / "ensemble.mlp")
    for again in (load(tmp_path / "ensemble.mlp"), pickle.loads(pickle.dumps(ensemble))):
        assert repr(again) == repr(ensemble)
        assert vars(again).keys() == vars(ensemble).keys()
        assert np.array_equal(again.predict(data[0]), ensemble.predict(data[0]))
        assert again.oob_score_ == ensemble.oob_score_
        assert again.score(*data) == ensemble.score(*data)
    assert load(tmp_path / "ensemble.mlp", n_estimators=7).fit(*data).n_estimators == 7
    with pytest.raises(TypeError, match="has no parameter depth"):
        load(tmp_path / "ensemble.mlp", depth=3)
    assert [path.name for path in tmp_path.iterdir()] == ["ensemble.mlp"]


def test_one_that_is_not_fitted(tmp_path):
    save(MLPEnsembleClassifier(CLASSIFIER, 4), tmp_path / "ensemble.mlp")
    again = load(tmp_path / "ensemble.mlp")
    assert repr(again) == repr(MLPEnsembleClassifier(CLASSIFIER, 4))
    assert "estimators_" not in vars(again)


def test_members_that_make_no_ensemble_are_refused(tmp_path, monkeypatch):
    """With a right digest: a file that somebody made so."""
    ensemble = MLPEnsembleClassifier(CLASSIFIER, 2, random_state=0).fit(X, Y)
    good = list(ensemble.estimators_)
    other = clone(CLASSIFIER).fit(X[:, :3], Y)
    few = clone(CLASSIFIER).fit(X, Y > 0)
    for members in (
        [],
        [good[0], other],
        [good[0], few],
        [clone(CLASSIFIER)],
        [other],
        [clone(REGRESSOR).fit(*NUMBERS)],
    ):
        ensemble.estimators_ = members
        save(ensemble, tmp_path / "bad.mlp")
        if not members:
            continue
        with pytest.raises(ValueError, match=r"bad.mlp: expected a model that was saved, got"):
            load(tmp_path / "bad.mlp")


def test_it_beats_its_members():
    """On samples that it has not seen."""
    train, test, y, y_test = train_test_split(X, Y, test_size=0.5, random_state=0)
    ensemble = MLPEnsembleClassifier(MLPClassifier((20,), max_iter=100), 10, random_state=0).fit(train, y)

    def log_loss(model):
        return -np.log(model.predict_proba(test)[np.arange(len(test)), y_test]).mean()

    assert log_loss(ensemble) < np.mean([log_loss(member) for member in ensemble.estimators_])
