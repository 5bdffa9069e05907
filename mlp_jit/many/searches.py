"""scikit-learn's searches over parameters, with the networks of all candidates and folds trained together.

Parameters, attributes and results are scikit-learn's: each of these is its class, whose `fit` runs with another
`Parallel`. What that is handed to fit and score it goes through once, training the networks side by side; then
scikit-learn's own function scores estimators that are fitted already. Of a pipeline the steps before the network are
fitted one by one, as ever. What cannot go together (other estimators, metadata for other steps) goes as before.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import numpy as np

try:
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV as TheirGridSearchCV
    from sklearn.model_selection import RandomizedSearchCV as TheirRandomizedSearchCV
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.utils.metaestimators import _safe_split
    from sklearn.utils.parallel import Parallel as TheirParallel
    from sklearn.utils.validation import _check_method_params
except ImportError:
    raise ImportError("searches are scikit-learn's: pip install 'mlp_jit[sklearn]'") from None

from ..estimators import MLPClassifier, MLPRegressor
from ..training.callbacks import open_bar
from .estimators import fit_each

OURS = MLPClassifier, MLPRegressor
BYTES_AT_ONCE = 1 << 28  # of training data that a batch of fits has of its own
Task = tuple[Any, tuple, dict[str, Any]]  # scikit-learn's function, what it takes by place, and by name


class Fitting:
    """A candidate on one fold: its network, and what that is fitted on."""

    def __init__(self, task: Task, split: Callable) -> None:
        _, (self.estimator, X, y), given = task
        self.estimator.set_params(**clone(given["parameters"] or {}, safe=False))
        params = _check_method_params(X, params=given["fit_params"] or {}, indices=given["train"])
        self.X, self.y = split(self.estimator, X, y, given["train"])
        self.network, self.sample_weight = self._network(params)

    def _network(self, params: dict[str, Any]) -> tuple[Any, Any]:
        """The network and its sample weights, once the steps before it are fitted. TypeError where that is not all."""
        estimator = self.estimator
        if type(estimator) in OURS and set(params) <= {"sample_weight"}:
            return estimator, params.get("sample_weight")
        if type(estimator) is not Pipeline or getattr(estimator, "transform_input", None):
            raise TypeError
        name, network = estimator.steps[-1]
        if type(network) not in OURS or not set(params) <= {f"{name}__sample_weight"}:
            raise TypeError
        if len(estimator.steps) > 1:
            before = estimator[:-1]
            self.X = before.fit_transform(self.X, self.y)
            estimator.steps[:-1] = before.steps
        return network, params.get(f"{name}__sample_weight")

    @contextmanager
    def fitted(self, error: Exception | None) -> Iterator[None]:
        """For as long as it is scored, its `fit` does nothing more, or raises what it has raised."""

        def fit(*args: Any, **params: Any) -> Any:
            if error is not None:
                raise error
            return self.estimator

        vars(self.estimator).update(fit=fit, set_params=lambda **params: self.estimator)
        try:
            yield
        finally:
            del self.estimator.fit, self.estimator.set_params


class Parallel(TheirParallel):
    """scikit-learn's, which first trains what can be trained together."""

    def __call__(self, tasks: Iterable[Task]) -> list[Any]:
        tasks = list(tasks)
        results: dict[int, Any] = {}
        others = []
        with Bar(tasks) as bar:
            for batch in _batches(tasks):
                others += self._fit(batch, tasks, results, bar)
        results |= dict(zip(others, super().__call__([tasks[k] for k in others]), strict=True))
        return [results[k] for k in range(len(tasks))]

    def _fit(self, batch: Sequence[int], tasks: list[Task], results: dict[int, Any], bar: "Bar") -> list[int]:
        """Fit and score the tasks of a batch that can go together; returns the others."""
        began, fittings, others, split = time.perf_counter(), {}, [], _split_once()
        for k in batch:
            try:
                fittings[k] = Fitting(tasks[k], split)
            except Exception:  # scikit-learn's own way will raise it, or make of it what it is asked to
                others.append(k)
        columns = zip(*[(one.network, one.X, one.y, one.sample_weight) for one in fittings.values()], strict=True)
        errors = fit_each(*columns) if fittings else []
        seconds = (time.perf_counter() - began) / max(1, len(fittings))
        for (k, fitting), error in zip(fittings.items(), errors, strict=True):
            with fitting.fitted(error):
                (results[k],) = TheirParallel(n_jobs=1)([tasks[k]])
            results[k]["fit_time"] = seconds
            bar.show(tasks[k], results[k])
        return others


def _batches(tasks: Sequence[Task]) -> Iterator[Sequence[int]]:
    """The tasks' numbers, so many at a time that each may have training data of its own."""
    if not tasks:
        return
    _, (_, X, _), _ = tasks[0]
    n_bytes = getattr(X, "nbytes", 8 * np.prod(np.shape(X)))
    at_once = max(16, int(BYTES_AT_ONCE // max(1, n_bytes)))
    for first in range(0, len(tasks), at_once):
        yield range(first, min(first + at_once, len(tasks)))


def _split_once() -> Callable:
    """scikit-learn's `_safe_split`, which takes the rows of a fold once for all candidates."""
    known: dict[int, tuple] = {}

    def split(estimator: Any, X: Any, y: Any, train: Any) -> Any:
        if id(train) not in known:
            known[id(train)] = _safe_split(estimator, X, y, train)
        return known[id(train)]

    return split


class Bar:
    """A progress bar with the best mean test score so far, where `verbose` asks for one and rich can draw it."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        verbose = bool(tasks) and tasks[0][2].get("verbose", 0) > 0
        self.bar = open_bar(sys.stderr, "fits") if verbose else None
        self.count, self.best = len(tasks), -np.inf
        self.scores: dict[int, list[float]] = defaultdict(list)

    def __enter__(self) -> "Bar":
        if self.bar:
            self.task = self.bar.add_task("", total=self.count, figures="")
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()

    def show(self, task: Task, result: dict[str, Any]) -> None:
        """One more is scored."""
        if not self.bar:
            return
        candidate, (_, folds) = task[2]["candidate_progress"][0], task[2]["split_progress"]
        score = result["test_scores"]
        self.scores[candidate].append(next(iter(score.values())) if isinstance(score, dict) else score)
        if len(self.scores[candidate]) == folds:
            self.best = max(self.best, float(np.mean(self.scores[candidate])))
        self.bar.update(self.task, advance=1, figures=f"best score {self.best:.4f}" if self.best > -np.inf else "")


class Together(BaseSearchCV):
    """scikit-learn's search with the other `Parallel`."""

    _theirs = BaseSearchCV.fit.__wrapped__
    fit = _theirs.__globals__["_fit_context"](prefer_skip_nested_validation=False)(
        FunctionType(_theirs.__code__, {**_theirs.__globals__, "Parallel": Parallel}, "fit", _theirs.__defaults__)
    )
    fit.__doc__ = BaseSearchCV.fit.__doc__
    del _theirs


class GridSearchCV(TheirGridSearchCV, Together):
    """`sklearn.model_selection.GridSearchCV`, its networks trained together."""


class RandomizedSearchCV(TheirRandomizedSearchCV, Together):
    """`sklearn.model_selection.RandomizedSearchCV`, its networks trained together."""
