"""What an estimator's attributes may be, as a file says them: none of another type, none that does not fit the network.

A digest tells damage from what was written; it does not tell who wrote. What passes here neither fails in `predict` nor
lets a kernel read beyond an array.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..estimators.labels import Labels
from ..estimators.stochastic import Descent
from ..network import Network
from ..optimizers import Optimizer
from ..schedules import Schedule

Test = Callable[[Any], bool]
KINDS = ("binary", "multiclass", "multilabel-indicator")  # of y, as scikit-learn names them


def _is(*kinds: type) -> Test:
    return lambda value: type(value) in kinds


def _or_none(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


_number = _is(int, float)


def _curve(value: Any) -> bool:
    return isinstance(value, list) and all(map(_number, value))


def _classes(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "biufUO"


def _weights(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, np.ndarray) and part.dtype.kind == "f" for part in value)


def _labels(value: Any) -> bool:
    return (
        isinstance(value, Labels)
        and set(vars(value)) == {"kind", "is_sparse", "classes"}
        and value.kind in KINDS
        and type(value.is_sparse) is bool
        and _classes(value.classes)
    )


def _descent(value: Any) -> bool:
    tests = {
        "optimizer": lambda part: isinstance(part, Optimizer),
        "schedule": lambda part: isinstance(part, Schedule),
        "learning_rate_init": _number, "learning_rate": _number, "power_t": _number, "seen": _number,
        "rule": _or_none(_is(str)),
        "epochs": _count,
    }  # fmt: skip
    return (
        isinstance(value, Descent)
        and set(vars(value)) == set(tests)
        and all(test(vars(value)[name]) for name, test in tests.items())
    )


TESTS: dict[str, Test] = {
    "_network_": _is(Network),
    "_labels": _labels,
    "_optimizer": _descent,
    "_random_state": _is(np.random.RandomState),
    "_of_classes": _or_none(_weights),
    "_best": _or_none(lambda value: type(value) is tuple and len(value) == 2),
    "_repeats": _is(bool),
    "_no_improvement_count": _count,
    "classes_": _classes,
    "feature_names_in_": lambda value: _classes(value) and all(isinstance(name, str) for name in value.tolist()),
    "n_features_in_": _count, "n_outputs_": _count, "n_layers_": _count, "n_iter_": _count, "t_": _count,
    "out_activation_": _is(str),
    "loss_": _number, "best_loss_": _or_none(_number), "best_validation_score_": _or_none(_number),
    "loss_curve_": _curve,
    "validation_scores_": _or_none(_curve), "validation_loss_curve_": _or_none(_curve),
}  # fmt: skip


def check(attributes: dict[str, Any]) -> dict[str, Any]:
    """Those of these attributes that an estimator has: others are a later version's. Raises ValueError for one that is
    not as it should be.
    """
    attributes = {name: value for name, value in attributes.items() if name in TESTS}
    for name, value in attributes.items():
        if not TESTS[name](value):
            raise ValueError(f"an attribute {name!r} of {value!r:.99}")
    network = attributes.get("_network_")
    if network is not None:
        _check_fit(network, attributes)
    elif "_optimizer" in attributes or "n_layers_" in attributes:
        raise ValueError("attributes of a network, but no network")
    return attributes


def _check_fit(network: Network, attributes: dict[str, Any]) -> None:
    """That they are of this network."""
    n_in, *_, n_out = network.sizes
    present: dict[str, Any] = {
        "n_features_in_": n_in, "n_outputs_": n_out, "n_layers_": len(network.sizes),
        "out_activation_": "logistic" if network.output == "sigmoid" else network.output,
    }  # fmt: skip
    for name, value in present.items():
        if attributes.get(name) != value:
            raise ValueError(f"an attribute {name!r} of {attributes.get(name)!r} with {network!r}")
    if not {"n_iter_", "t_"} <= set(attributes):
        raise ValueError("a network that was trained for no known time")
    names = attributes.get("feature_names_in_")
    if names is not None and len(names) != n_in:
        raise ValueError(f"{len(names)} names of {n_in} columns")
    labels = attributes.get("_labels")
    if labels is not None:
        outputs = len(labels.classes) if labels.kind != "binary" else 1
        same = np.array_equal(labels.classes, attributes.get("classes_", ()))
        few = labels.kind == "binary" and not 1 <= len(labels.classes) <= 2
        if outputs != n_out or few or not same or labels.output != network.output:
            raise ValueError(f"classes {labels.classes!r:.99} of {labels.kind} with {network!r}")
    best = attributes.get("_best")
    for kept, own in zip(best or (), (network.params, network.state), strict=False):
        if not isinstance(kept, np.ndarray) or (kept.shape, kept.dtype) != (own.shape, own.dtype):
            raise ValueError(f"best parameters that do not fit {network!r}")
