"""Data on many machines: the same bits for any number of workers, whichever died."""

import os
import warnings

import numpy as np
import pytest
from numba import config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from mlp_jit import Activation, MLPClassifier, Network, fit

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
import dask.array as da  # noqa: E402

from mlp_jit import dask as on_dask  # noqa: E402
from mlp_jit.dask import tasks  # noqa: E402
from mlp_jit.dask.partitions import Partitions, split  # noqa: E402

pytestmark = [
    pytest.mark.skipif(config.DISABLE_JIT, reason="the lanes engine exists only compiled"),
    pytest.mark.filterwarnings("ignore"),  # of Dask: ports in use, unmanaged memory, loops that end
]
X, Y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)
ROWS = 250  # of a partition


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process with a nanny."""
    with (
        dask.config.set({"distributed.worker.daemon": False, "distributed.admin.tick.limit": "1h"}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client:
        yield client


def collections(x=X, y=Y, rows=ROWS):
    return da.from_array(x, chunks=(rows, -1)), da.from_array(y, chunks=rows)


def network(**options):
    return Network([64, 16, 10], output="softmax", **{"dtype": "float64", "random_state": 0} | options)


def trained(client, x=None, y=None, **settings):
    net = network()
    history = on_dask.fit(net, *(collections() if x is None else (x, y)), client=client, **{"epochs": 4} | settings)
    return net.params.tobytes(), history.loss


STRATEGIES = pytest.mark.parametrize(
    "settings",
    [{"strategy": "average", "dropout": 0.1, "l2": 1e-4}, {"strategy": "gradient", "optimizer": "lbfgs"},
     {"strategy": "gradient", "learning_rate": 0.05}],
    ids=["average", "lbfgs", "gradient"],
)  # fmt: skip


@STRATEGIES
def test_the_same_bits_for_any_number_of_workers_and_where_one_dies(settings, cluster, client):
    settings = settings | {"epochs": 6}
    whole = trained(client, **settings)
    assert whole[1][-1] < whole[1][0]
    cluster.scale(1)
    client.wait_for_workers(1)
    assert trained(client, **settings) == whole
    cluster.scale(3)
    client.wait_for_workers(3)
    assert trained(client, **settings) == whole
    rounds, sums = [], Partitions.sums

    def kill_one(self, *arguments, **given):
        rounds.append(1)
        if len(rounds) == 3:
            cluster.workers[min(cluster.workers)].process.process.kill()  # the nanny starts another one
        return sums(self, *arguments, **given)

    Partitions.sums = kill_one
    try:
        assert trained(client, **settings) == whole
    finally:
        Partitions.sums = sums
    assert len(rounds) >= 6
    cluster.scale(2)


@STRATEGIES
def test_a_run_that_was_cut_goes_on_from_its_checkpoint(settings, client, tmp_path, monkeypatch):
    whole = trained(client, **settings)
    path, sums, rounds = tmp_path / "run.mlp", Partitions.sums, []

    def cut(self, *arguments, **given):
        rounds.append(1)
        if len(rounds) == 3:
            raise RuntimeError("cut")
        return sums(self, *arguments, **given)

    monkeypatch.setattr(Partitions, "sums", cut)
    from mlp_jit import Checkpoint

    with pytest.raises(RuntimeError, match="cut"):
        trained(client, checkpoint=Checkpoint(path, every=0), **settings)
    assert trained(client, checkpoint=Checkpoint(path, every=0), **settings) == whole
    count = len(rounds)
    assert trained(client, checkpoint=path, **settings) == whole  # nothing is left to do
    assert len(rounds) == count
    with pytest.raises(ValueError, match="expected a checkpoint of this run"):
        trained(client, checkpoint=path, **settings | {"epochs": 5})


def test_the_gradient_is_that_of_one_machine(client):
    spread = Partitions(client, net := network(), split(*collections(), None))
    found = spread.sums(tasks.gradient, net.params)
    L, g = net.gradient(X, Y)
    assert len(Y) == found.N
    np.testing.assert_allclose(found.loss / found.N, L, rtol=1e-12)
    np.testing.assert_allclose(found.array / found.N, g, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("strategy", ["average", "gradient"])
def test_it_learns_as_well_as_on_one_machine(strategy, client):
    alone, spread = network(random_state=1), network(random_state=1)
    fit(alone, X, Y, epochs=40, batch_size=50, random_state=0)
    optimizer = "lbfgs" if strategy == "gradient" else "adam"
    settings = {"optimizer": optimizer, "epochs": 80, "batch_size": 50, "learning_rate": 2e-3}
    on_dask.fit(spread, *collections(rows=900), strategy=strategy, client=client, **settings)
    right = [np.mean(net.forward(X).argmax(axis=1) == Y) for net in (alone, spread)]
    assert right[1] > right[0] - 0.005
    np.testing.assert_array_equal(on_dask.predict(spread, collections()[0]).compute(), spread.forward(X))


def test_weights_and_partitions_without_rows(client):
    weights = np.arange(len(Y)) % 3 / 2
    x, y = collections()
    empty = (
        da.concatenate([x[:0], x]),
        da.concatenate([y[:0], y]),
        da.concatenate([da.zeros(0), da.from_array(weights, chunks=ROWS)]),
    )
    both = []
    for parts in ((x, y, da.from_array(weights, chunks=ROWS)), empty):
        net = network()
        on_dask.fit(
            net, *parts[:2], sample_weight=parts[2], strategy="gradient", learning_rate=0.01, epochs=2, client=client
        )
        both.append(net.params)
    np.testing.assert_allclose(*both, rtol=1e-10)


def test_unknown_chunk_sizes(client):
    x, y = collections()
    kept = Y >= 0
    unknown = x[da.from_array(kept, chunks=ROWS)], y[da.from_array(kept, chunks=ROWS)]
    assert np.isnan(unknown[0].shape[0])
    assert trained(client, *unknown) == trained(client)


# --------------------------------------------------------------------------------------- what is refused


def bad_numbers():
    x = X.copy()
    x[ROWS * 2 + 3, 5] = np.nan
    return collections(x)


def other_cuts():
    return collections()[0], da.from_array(Y, chunks=((249, *[250] * 6, 48),))


@pytest.mark.parametrize(
    ("parts", "settings", "error", "message"),
    [
        (bad_numbers, {}, ValueError, "partition 2: X: expected finite numbers"),
        (
            lambda: (collections()[0], collections(rows=300)[1]),
            {},
            ValueError,
            "y: expected 8 partitions, as many as X",
        ),
        (other_cuts, {}, ValueError, "partition 0: y: expected 250 rows, one for each row of X, got 249"),
        (lambda: collections(y=Y + 5), {}, ValueError, "partition 0: y: expected labels"),
        (lambda: (X, Y), {}, TypeError, "X: expected a Dask array or data frame, got ndarray"),
        (lambda: [part[:0] for part in collections()], {}, ValueError, "X: expected rows that weigh something, got 0"),
        (collections, {"strategy": "mean"}, ValueError, "strategy: expected one of average, gradient"),
        (collections, {"optimizer": "lbfgs"}, ValueError, "optimizer: expected one that takes steps"),
        (collections, {"optimizer": "nadam"}, ValueError, "optimizer: expected one whose state can be averaged"),
        (collections, {"strategy": "gradient", "dropout": 0.1}, ValueError, "dropout: expected strategy='average'"),
        (collections, {"epochs": -1}, ValueError, "epochs: expected an integer >= 0"),
    ],
)
def test_bad_input_is_refused_and_nothing_changes(parts, settings, error, message, client):
    net = network()
    before = net.params.copy()
    with pytest.raises(error, match=message):
        on_dask.fit(net, *parts(), client=client, **settings)
    assert np.array_equal(net.params, before)


def test_what_cannot_travel(client):
    own = Activation("twice", lambda z: 2 * z, lambda z, a: 2.0)
    for options in ({"activation": own}, {"normalization": "batch"}):
        with pytest.raises(ValueError, match="network: expected"):
            on_dask.fit(network(**options), *collections(), client=client)


def test_another_version_is_refused_by_name():
    spec = tasks.Spec.of(network())._replace(version="0.0.7")
    with pytest.raises(RuntimeError, match=r"a worker has mlp_jit .*, the client 0\.0\.7: expected the same"):
        tasks.prepare(0, X, Y, None, spec, None)


def test_columns_that_are_no_numbers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": [1.0, 2.0], "colour": pandas.Categorical(["red", "blue"])})
    spec = tasks.Spec.of(Network([2, 1]))
    with pytest.raises(TypeError, match="partition 3: X: expected columns of numbers, got 'colour' of dtype category"):
        tasks.prepare(3, frame, np.zeros(2), None, spec, None)


# --------------------------------------------------------------------------------------- estimators


def test_estimators(client):
    names = np.array([f"class {k}" for k in range(10)])
    settings = {"batch_size": 50, "learning_rate_init": 0.01, "client": client}
    classifier = on_dask.MLPClassifier((16,), max_iter=40, **settings).fit(*collections(y=names[Y]))
    x = collections()[0]
    assert np.mean(classifier.predict(x).compute() == names[Y]) > 0.97
    assert np.array_equal(classifier.predict(X), classifier.predict(x).compute())
    np.testing.assert_array_equal(classifier.predict_proba(x).compute(), classifier.predict_proba(X))
    assert type(classifier.estimator_) is MLPClassifier
    assert np.array_equal(classifier.estimator_.predict(X.astype("f4")), classifier.predict(X.astype("f4")))
    two = on_dask.MLPClassifier((8,), max_iter=30, **settings).fit(*collections(y=Y > 4))
    assert two.predict_proba(X).shape == (len(Y), 2)
    assert np.mean(two.predict(x).compute() == (Y > 4)) > 0.95
    regressor = on_dask.MLPRegressor((8,), solver="lbfgs", strategy="gradient", max_iter=30, client=client)
    regressor.fit(*collections(y=X[:, 20] + X[:, 30]))
    assert np.corrcoef(regressor.predict(x).compute(), X[:, 20] + X[:, 30])[0, 1] > 0.95
    with pytest.raises(ValueError, match="y: expected two classes or more"):
        on_dask.MLPClassifier(client=client).fit(*collections(y=Y * 0))


def test_searches_by_joblib_and_dask(client):
    """scikit-learn's own search over our estimators, its fits on the workers."""
    import joblib

    search = GridSearchCV(MLPClassifier((8,), max_iter=5, random_state=0), {"alpha": [1e-4, 1.0]}, cv=2)
    alone = search.fit(X, Y).cv_results_["mean_test_score"]
    with joblib.parallel_config("dask"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(search.set_params(n_jobs=2).fit(X, Y).cv_results_["mean_test_score"], alone)


def test_without_a_client():
    if os.environ.get("DASK_SCHEDULER_ADDRESS"):
        pytest.skip("there is one")
    with pytest.raises(ValueError, match=r"client: expected a distributed\.Client"):
        on_dask.fit(network(), *collections())
