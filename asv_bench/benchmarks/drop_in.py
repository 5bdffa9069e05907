"""What people do with scikit-learn's MLP, by ours and by theirs: fifty workloads, each a ratio of times.

Data are drawn, or scikit-learn's own; both get the same, and the same random_state. Fits have few epochs and cannot
stop early, so that both do the same work.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from .common import median_ratio, turn

THREADS = [1, 2]
TURN = 0.02  # seconds
SECONDS = 1.0
SOLVERS = ("adam", "sgd", "lbfgs")

Estimators = dict[str, Callable]  # "classifier" and "regressor"
Call = Callable[[], object]


# --------------------------------------------------------------------------------------- data


def drawn(rows: int, columns: int, classes: int = 3, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    """Classes that a line tells apart, more or less."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, columns)).astype(dtype)
    z = X @ rng.normal(size=(columns, classes)) + rng.normal(size=(rows, classes))
    y = z.argmax(axis=1)
    y[:classes] = np.arange(classes)  # each of them is there
    return X, y


def labels(rows: int, columns: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    X, _ = drawn(rows, columns)
    return X, (X @ np.random.default_rng(1).normal(size=(columns, count)) > 0).astype(int)


def numbers(rows: int, columns: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    X, _ = drawn(rows, columns)
    y = np.tanh(X @ np.random.default_rng(1).normal(size=(columns, outputs)))
    return X, y.ravel() if outputs == 1 else y


def words(rows: int, columns: int, a_row: int) -> tuple[Any, np.ndarray]:
    """A sparse X with so many numbers in each row."""
    from scipy import sparse

    rng = np.random.default_rng(0)
    places = rng.integers(0, columns, (rows, a_row)).ravel(), np.arange(0, rows * a_row + 1, a_row)
    X = sparse.csr_matrix((rng.random(rows * a_row), *places), shape=(rows, columns))
    X.sum_duplicates()
    return X, rng.integers(0, 4, rows)


def known(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A data set of scikit-learn's, standardised."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return StandardScaler().fit_transform(X), y


# --------------------------------------------------------------------------------------- what is done with them


def fits(estimators: Estimators, data: Callable, kind: str = "classifier", epochs: int = 5, **settings: Any) -> Call:
    X, y = data()
    endless = {"tol": 0, "n_iter_no_change": 10**9} if settings.get("solver") != "lbfgs" else {}
    model = estimators[kind](max_iter=epochs, **endless, **settings)
    return lambda: model.fit(X, y)


def weighs(estimators: Estimators, data: Callable, **settings: Any) -> Call:
    X, y = data()
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    model = estimators["classifier"](max_iter=5, tol=0, **settings)
    return lambda: model.fit(X, y, sample_weight=weight)


def goes_on(estimators: Estimators, data: Callable, fits: int = 5, **settings: Any) -> Call:
    """Warm starts."""
    X, y = data()

    def call() -> None:
        model = estimators["classifier"](max_iter=2, warm_start=True, **settings)
        for _ in range(fits):
            model.fit(X, y)

    return call


def takes_slices(estimators: Estimators, data: Callable, rows: int, kind: str = "classifier") -> Call:
    X, y = data()
    settings = {"classes": np.unique(y)} if kind == "classifier" else {}

    def call() -> None:
        model = estimators[kind]()
        for start in range(0, len(y), rows):
            model.partial_fit(X[start : start + rows], y[start : start + rows], **settings)

    return call


def answers(
    estimators: Estimators,
    data: Callable,
    method: str,
    kind: str = "classifier",
    rows: int | None = None,
    **settings: Any,
) -> Call:
    """A method of a fitted model, for the first rows."""
    X, y = data()
    model = estimators[kind](max_iter=1, **settings).fit(X[:2000], y[:2000])
    asked = X if rows is None else X[np.resize(np.arange(X.shape[0]), rows)]
    if method == "score":
        return lambda: model.score(asked, y)
    return lambda: getattr(model, method)(asked)


def searches(estimators: Estimators, data: Callable) -> Call:
    from sklearn.model_selection import GridSearchCV

    X, y = data()
    grid = {"hidden_layer_sizes": [(10,), (50,)], "alpha": [1e-4, 1e-2]}
    search = GridSearchCV(estimators["classifier"](max_iter=5), grid, cv=3)
    return lambda: search.fit(X, y)


def bags(estimators: Estimators, data: Callable) -> Call:
    from sklearn.ensemble import BaggingClassifier

    X, y = data()
    bag = BaggingClassifier(estimators["classifier"](max_iter=5), n_estimators=5, random_state=0)
    return lambda: bag.fit(X, y)


def crosses(estimators: Estimators, data: Callable) -> Call:
    from sklearn.model_selection import cross_val_score

    X, y = data()
    model = estimators["classifier"](max_iter=5)
    return lambda: cross_val_score(model, X, y, cv=5)


def calibrates(estimators: Estimators, data: Callable) -> Call:
    from sklearn.calibration import CalibratedClassifierCV

    X, y = data()
    calibrated = CalibratedClassifierCV(estimators["classifier"](max_iter=5), cv=3)
    return lambda: calibrated.fit(X, y)


def pipes(estimators: Estimators, data: Callable) -> Call:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = data()
    pipeline = make_pipeline(StandardScaler(), estimators["classifier"](max_iter=5))
    return lambda: pipeline.fit(X, y).predict(X)


iris, digits, diabetes = partial(known, "iris"), partial(known, "digits"), partial(known, "diabetes")
middling, long, wide = partial(drawn, 1000, 20), partial(drawn, 20_000, 20), partial(drawn, 500, 5000)
text, vocabulary = partial(words, 4000, 5000, 60), partial(words, 4000, 50_000, 60)
WORKLOADS: dict[str, Callable[[Estimators], Call]] = {
    **{f"fit iris, {solver}": partial(fits, data=iris, solver=solver, epochs=50) for solver in SOLVERS},
    **{f"fit digits, {solver}": partial(fits, data=digits, solver=solver) for solver in SOLVERS},
    **{f"fit digits, {phi}": partial(fits, data=digits, activation=phi) for phi in ("identity", "logistic", "tanh")},
    "fit 1000 rows": partial(fits, data=middling),
    "fit 20,000 rows": partial(fits, data=long),
    "fit 20,000 rows, float32": partial(fits, data=partial(drawn, 20_000, 20, dtype="float32")),
    **{f"fit 1000 rows, batches of {n}": partial(fits, data=middling, batch_size=n) for n in (1, 8, 32, 1000)},
    "fit without a hidden layer": partial(fits, data=middling, hidden_layer_sizes=()),
    "fit 10 hidden units": partial(fits, data=middling, hidden_layer_sizes=(10,)),
    "fit two layers of 100": partial(fits, data=digits, hidden_layer_sizes=(100, 100)),
    "fit layers of 256, 128, 64": partial(fits, data=digits, hidden_layer_sizes=(256, 128, 64)),
    **{f"fit {n} classes": partial(fits, data=partial(drawn, 5000, 20, n)) for n in (2, 10, 100, 1000)},
    "fit 20 labels": partial(fits, data=partial(labels, 2000, 20, 20)),
    "fit 5000 columns": partial(fits, data=wide),
    "fit sparse, 5000 columns": partial(fits, data=text, epochs=2),
    "fit sparse, 50,000 columns": partial(fits, data=vocabulary, epochs=1),
    "fit sparse, 5000 columns, plain sgd": partial(fits, data=text, epochs=2, solver="sgd", momentum=0, alpha=0),
    **{
        f"fit diabetes, {solver}": partial(fits, data=diabetes, kind="regressor", solver=solver)
        for solver in ("adam", "lbfgs")
    },
    "fit 10 outputs": partial(fits, data=partial(numbers, 2000, 20, 10), kind="regressor"),
    "early stopping": partial(fits, data=digits, early_stopping=True),
    "adaptive rate": partial(fits, data=middling, solver="sgd", learning_rate="adaptive"),
    "without momentum, no shuffle": partial(fits, data=middling, solver="sgd", momentum=0, shuffle=False),
    "sample weights": partial(weighs, data=digits),
    "warm starts": partial(goes_on, data=middling),
    "partial_fit, slices of 20": partial(takes_slices, data=middling, rows=20),
    "partial_fit, slices of 1000": partial(takes_slices, data=long, rows=1000),
    "partial_fit, a regressor": partial(takes_slices, data=partial(numbers, 1000, 20, 1), rows=50, kind="regressor"),
    **{
        f"predict {n} rows": partial(answers, data=middling, method="predict", rows=n)
        for n in (1, 10, 100, 1000, 100_000)
    },
    **{f"probabilities of {n} rows": partial(answers, data=digits, method="predict_proba", rows=n) for n in (1, 1000)},
    "predict numbers of 1000 rows": partial(
        answers, data=partial(numbers, 1000, 20, 1), method="predict", kind="regressor"
    ),
    "predict 20 labels": partial(answers, data=partial(labels, 2000, 20, 20), method="predict"),
    "predict sparse, 5000 columns": partial(answers, data=text, method="predict"),
    "predict sparse, 50,000 columns": partial(answers, data=vocabulary, method="predict"),
    "score": partial(answers, data=digits, method="score"),
    "grid search": partial(searches, data=iris),
    "bagging": partial(bags, data=digits),
    "cross-validation": partial(crosses, data=iris),
    "calibration": partial(calibrates, data=digits),
    "a pipeline": partial(pipes, data=digits),
}


def sides(workload: str, n_threads: int) -> tuple[Call, Call]:
    """Ours and scikit-learn's, warm. NotImplementedError where one is missing."""
    try:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        import mlp_jit
    except ImportError as error:
        raise NotImplementedError(str(error)) from None
    if n_threads > numba.config.NUMBA_NUM_THREADS:
        raise NotImplementedError(f"Numba has no {n_threads} threads here")
    ours = {"classifier": mlp_jit.MLPClassifier, "regressor": mlp_jit.MLPRegressor}
    ours = {kind: partial(model, random_state=0, n_threads=n_threads) for kind, model in ours.items()}
    theirs = {
        "classifier": partial(MLPClassifier, random_state=0),
        "regressor": partial(MLPRegressor, random_state=0),
    }
    calls = WORKLOADS[workload](ours), WORKLOADS[workload](theirs)
    for call in calls:
        call()
    return calls


class DropIn:
    """A workload's time by ours over that by scikit-learn's, with the same number of threads."""

    param_names = ("workload", "threads")
    params = (list(WORKLOADS), THREADS)
    unit = "ours/theirs"
    version = "1"

    def setup(self, workload: str, n_threads: int) -> None:
        import warnings

        warnings.simplefilter("ignore")
        self.limits = threadpool_limits(n_threads)
        self.ours, self.theirs = sides(workload, n_threads)

    def teardown(self, workload: str, n_threads: int) -> None:
        self.limits.restore_original_limits()

    def track_ratio(self, workload: str, n_threads: int) -> float:
        return median_ratio(lambda: turn(self.ours, TURN), lambda: turn(self.theirs, TURN), SECONDS)
