"""What each constructor parameter may be, checked when `fit` starts; messages are scikit-learn's."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..activations import HIDDEN, Activation
from ..engines import ENGINES
from ..losses import Loss
from ..network import NORMALIZATIONS
from ..optimizers import OPTIMIZERS, Optimizer
from ..schedules import SCHEDULES, Schedule
from ..training import Callback, Checkpoint

ACTIVATIONS = {**{name: name for name in HIDDEN}, "logistic": "sigmoid"}  # scikit-learn's names and ours: ours


class InvalidParameterError(ValueError, TypeError):
    """A parameter that makes no sense."""


@dataclass(frozen=True)
class Rule:
    """What a parameter may be, in words and as a test."""

    text: str
    allows: Callable[[Any], bool]


def integer(minimum: int) -> Rule:
    return Rule(f"an int in the range [{minimum}, inf)", lambda x: isinstance(x, Integral) and int(x) >= minimum)


def real(low: float, high: float = np.inf, brackets: str = "[)") -> Rule:
    """A number between two bounds, each included where its bracket is square."""

    def allows(x: Any) -> bool:
        if not isinstance(x, Real):
            return False
        x = float(x)
        return (x > low or (x == low and brackets[0] == "[")) and (x < high or (x == high and brackets[1] == "]"))

    return Rule(f"a float in the range {brackets[0]}{float(low)}, {float(high)}{brackets[1]}", allows)


def among(*names: str) -> Rule:
    listed = ", ".join(repr(name) for name in sorted(names))
    return Rule(f"a str among {{{listed}}}", lambda x: isinstance(x, str) and x in names)


def instance(kind: type | tuple[type, ...], text: str) -> Rule:
    return Rule(text, lambda x: isinstance(x, kind))


def _is_array_like(x: Any) -> bool:
    return not isinstance(x, str | bytes | dict) and (hasattr(x, "__len__") or np.ndim(x) > 0)


NONE = Rule("None", lambda x: x is None)
ARRAY = Rule("an array-like", _is_array_like)
BOOLEAN = Rule("an instance of 'bool' or an instance of 'numpy.bool'", lambda x: isinstance(x, bool | np.bool_))
VERBOSE = Rule(f"{integer(0).text}, {BOOLEAN.text}", lambda x: BOOLEAN.allows(x) or integer(0).allows(x))
OWN = instance(Activation, "an instance of 'mlp_jit.Activation'")
NAMES = Rule(
    "a sequence of such names", lambda x: _is_array_like(x) and all(OWN.allows(phi) or phi in ACTIVATIONS for phi in x)
)
SEED = Rule("an int in the range [0, 4294967295]", lambda x: isinstance(x, Integral) and 0 <= int(x) < 2**32)
RANDOM_STATE = instance(np.random.RandomState, "an instance of 'numpy.random.mtrand.RandomState'")
CALLBACKS = Rule(
    "a list of 'mlp_jit.Callback'", lambda x: isinstance(x, list | tuple) and all(isinstance(c, Callback) for c in x)
)
KINDS = Rule(
    "a sequence of such names or None", lambda x: _is_array_like(x) and all(k is None or k in NORMALIZATIONS for k in x)
)
DICTS = Rule("a list of 'dict'", lambda x: isinstance(x, list | tuple) and all(isinstance(w, dict) for w in x))
PATH = instance((str, os.PathLike), "an instance of 'str' or 'os.PathLike'")
INFINITY = Rule("a float among {inf}", lambda x: isinstance(x, Real) and x == np.inf)

APART = ("n_threads", "verbose", "callbacks", "checkpoint")  # what a fit learns does not depend on these

REGRESSION_LOSSES = {
    "squared_error": "half_squared_error",  # what scikit-learn means by it
    "poisson": "poisson",
    "absolute_error": "absolute_error",
    "huber": "huber",
    "quantile": "quantile",
}

RULES: dict[str, list[Rule]] = {
    "loss": [among(*REGRESSION_LOSSES), instance(Loss, "an instance of 'mlp_jit.losses.Loss'")],
    "hidden_layer_sizes": [ARRAY, integer(1)],
    "activation": [among(*ACTIVATIONS), OWN, NAMES],
    "solver": [among(*OPTIMIZERS, "lbfgs"), instance(Optimizer, "an instance of 'mlp_jit.optimizers.Optimizer'")],
    "alpha": [real(0)],
    "batch_size": [among("auto"), integer(1)],
    "learning_rate": [
        among(*SCHEDULES, "invscaling", "adaptive"),
        instance(Schedule, "an instance of 'mlp_jit.schedules.Schedule'"),
    ],
    "learning_rate_init": [real(0, brackets="()")],
    "power_t": [real(0)],
    "max_iter": [integer(1)],
    "shuffle": [BOOLEAN],
    "random_state": [SEED, RANDOM_STATE, NONE],
    "tol": [real(0)],
    "verbose": [VERBOSE],
    "warm_start": [BOOLEAN],
    "momentum": [real(0, 1, "[]")],
    "nesterovs_momentum": [BOOLEAN],
    "early_stopping": [BOOLEAN],
    "validation_fraction": [real(0, 1)],
    "beta_1": [real(0, 1)],
    "beta_2": [real(0, 1)],
    "epsilon": [real(0, brackets="()")],
    "n_iter_no_change": [integer(1), INFINITY],
    "max_fun": [integer(1)],
    "class_weight": [instance(dict, "an instance of 'dict'"), DICTS, among("balanced"), NONE],
    "scoring": [instance(str, "an instance of 'str'"), Rule("a callable", callable), NONE],
    "normalization": [among(*NORMALIZATIONS), KINDS, NONE],
    "skip": [BOOLEAN],
    "dropout": [real(0, 1), ARRAY],
    "clip_norm": [real(0, brackets="()"), NONE],
    "clip_value": [real(0, brackets="()"), NONE],
    "callbacks": [CALLBACKS, NONE],
    "engine": [among(*ENGINES)],
    "n_threads": [integer(1), NONE],
    "checkpoint": [PATH, instance(Checkpoint, "an instance of 'mlp_jit.Checkpoint'"), NONE],
}


def check(estimator: Any) -> None:
    """InvalidParameterError, which is a ValueError and a TypeError, for the first parameter that makes no sense."""
    given = vars(estimator)
    for name, rules in RULES.items():
        if name in given and not any(rule.allows(given[name]) for rule in rules):
            *others, last = [rule.text for rule in rules]
            expected = f"{', '.join(others)} or {last}" if others else last
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {expected}. Got {given[name]!r} instead."
            )
    for size in np.atleast_1d(np.asarray(estimator.hidden_layer_sizes, dtype=object)).tolist():
        if not isinstance(size, Integral):
            raise InvalidParameterError(f"hidden_layer_sizes must be integers, got {estimator.hidden_layer_sizes!r}")
        if size <= 0:
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden_sizes(estimator)}.")


def hidden_sizes(estimator: Any) -> list[int]:
    """The units of each hidden layer."""
    return np.atleast_1d(np.asarray(estimator.hidden_layer_sizes, dtype=object)).tolist()
