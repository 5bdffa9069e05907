"""Values as JSON and arrays, and back.

JSON says None, booleans, integers, finite floats, texts and lists by itself. What else there is stands in an object
with one key, its kind: {"tuple": […]}, {"dict": [[key, value], …]}, {"float": "inf"}, {"array": name}, {"texts": …},
objects of this package by their class: {"Adam": {…}}, and a user's own φ or ℓ by its name: {"own": name}. Any other
kind is refused: nothing is imported or called by a name from a file.
"""

import dataclasses
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .. import validation
from ..activations import OUTPUTS, Activation
from ..losses import LOSSES, Loss, built_in
from ..network import Network
from ..optimizers import OPTIMIZERS, SETTINGS, Optimizer
from ..schedules import SCHEDULES
from .container import can_hold


class NotSaid(TypeError):
    """What a file cannot say."""


class WrongParameter(TypeError):
    """One that a constructor does not know."""


class Kind(NamedTuple):
    """A class: what of an object is kept, by name, and the object that this makes again."""

    of: type
    fields: Callable[[Any], dict[str, Any]]
    again: Callable[[dict[str, Any]], Any]


def fields_of(value: Any) -> dict[str, Any]:
    """The attributes of a dataclass's object, or of a plain one."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return dict(vars(value))


def object_of(kind: type) -> Callable[[dict[str, Any]], Any]:
    """Makes an object of such attributes: a dataclass by its constructor, which looks at them."""

    def again(fields: dict[str, Any]) -> Any:
        if not dataclasses.is_dataclass(kind):
            made: Any = object.__new__(kind)
        else:
            made = kind(**{f.name: fields[f.name] for f in dataclasses.fields(kind) if f.init})
            known = {f.name for f in dataclasses.fields(kind) if not f.init}
            fields = {name: value for name, value in fields.items() if name in known}
        vars(made).update(fields)
        if isinstance(made, Optimizer) and (made.settings.shape, made.moments.ndim) != ((SETTINGS,), 2):
            raise ValueError(f"{made.settings.shape} settings and {made.moments.shape} moments of {made!r}")
        return made

    return again


def _of_loss(loss: Loss) -> dict[str, Any]:
    fields = {"name": loss.name, "parameter": loss.parameter}
    known = LOSSES.get(loss.name)
    if known is None or known.ell is not loss.ell or known.delta is not loss.delta:
        raise NotSaid(f"a loss of your own, {loss.name!r}")
    return fields


def _loss(fields: dict[str, Any]) -> Loss:
    return built_in(fields["name"], fields["parameter"])


def _of_network(network: Network) -> dict[str, Any]:
    if network.output not in OUTPUTS:
        raise NotSaid(f"a part of a network, whose output is {network.output!r}")
    return {
        "sizes": list(network.sizes), "activation": list(network.activations), "output": network.output,
        "loss": network.loss_function, "normalization": list(network.normalizations), "skip": network.skips,
        "dtype": network.dtype.name, "params": network.params, "state": network.state,
    }  # fmt: skip


def _network(fields: dict[str, Any]) -> Network:
    """Its arrays come first: no room is made for sizes that they do not fill."""
    arrays = {name: fields.pop(name) for name in ("params", "state")}
    sizes = validation.sizes(fields.pop("sizes"))
    kinds = fields["normalization"]
    count = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes)) + sum(
        n for n, kind in zip(sizes[1:], kinds, strict=False) if kind
    )
    if arrays["params"].shape != (count,):
        raise ValueError(f"{arrays['params'].shape} parameters for the sizes {list(sizes)}, which take {count}")
    network = Network(sizes, initializer=_zeros, **fields)
    for name, array in arrays.items():
        own = getattr(network, name)
        if array.shape != own.shape or array.dtype != own.dtype:
            raise ValueError(f"{name} of shape {array.shape} and dtype {array.dtype} for {network!r}")
        own[...] = array
    return network


def _zeros(rng: Any, n_in: int, n_out: int) -> np.ndarray:
    return np.zeros((n_in, n_out))


def _random_state(fields: dict[str, Any]) -> np.random.RandomState:
    key, place = fields["key"], fields["place"]
    if key.shape != (624,) or key.dtype != np.uint32 or not 0 <= place <= 624:  # NumPy would read by it unchecked
        raise ValueError(f"a generator at place {place} of a key {key.shape} {key.dtype}")
    rng = np.random.RandomState(0)
    rng.set_state(("MT19937", *(fields[name] for name in ("key", "place", "has_gauss", "gauss"))))
    return rng


def _of_random_state(rng: np.random.RandomState) -> dict[str, Any]:
    _, *values = rng.get_state(legacy=True)
    return dict(zip(("key", "place", "has_gauss", "gauss"), values, strict=True))


KINDS = {
    **{kind.__name__: Kind(kind, fields_of, object_of(kind)) for kind in (*OPTIMIZERS.values(), *SCHEDULES.values())},
    "Network": Kind(Network, _of_network, _network),
    "Loss": Kind(Loss, _of_loss, _loss),
    "RandomState": Kind(np.random.RandomState, _of_random_state, _random_state),
}


class Writer:
    """Says values, and gathers the arrays among them, each under the name of its place."""

    def __init__(self, kinds: dict[str, Kind] = KINDS) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.by_type = {kind.of: (name, kind) for name, kind in kinds.items()}

    def say(self, value: Any, place: str) -> Any:
        """`value` as JSON can say it. Raises NotSaid, which names the place."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return float(value) if np.isfinite(value) else {"float": str(float(value))}
        if type(value) is list:
            return self._each(value, place)
        if type(value) is tuple:
            return {"tuple": self._each(value, place)}
        if type(value) is dict:
            names = value if all(isinstance(key, str) for key in value) else range(len(value))
            pairs = zip(value.items(), names, strict=True)
            return {"dict": [[self.say(key, place), self.say(one, f"{place}.{name}")] for (key, one), name in pairs]}
        if isinstance(value, np.ndarray):
            return self._array(value, place)
        if isinstance(value, Activation | Loss) and value.is_own:
            return {"own": value.name}
        if type(value) in self.by_type:
            name, kind = self.by_type[type(value)]
            return {name: self.fields(kind.fields(value), place)}
        raise NotSaid(f"{place}: {type(value).__name__}")

    def fields(self, values: dict[str, Any], place: str) -> dict[str, Any]:
        """Values by name."""
        return {name: self.say(value, f"{place}.{name}") for name, value in values.items()}

    def _each(self, values: Any, place: str) -> list:
        return [self.say(value, f"{place}.{k}") for k, value in enumerate(values)]

    def _array(self, array: np.ndarray, place: str) -> Any:
        if can_hold(array):
            while place in self.arrays:
                place += "'"
            self.arrays[place] = array
            return {"array": place}
        if array.dtype.kind in "UO":  # classes and names of columns
            return {"texts": {"dtype": array.dtype.str, "values": self.say(array.tolist(), place)}}
        raise NotSaid(f"{place}: an array of {array.dtype}")


class Reader:
    """Makes values again of what `Writer` has said. Raises ValueError for what it would not say."""

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        kinds: dict[str, Kind] = KINDS,
        functions: Mapping[str, Activation | Loss] | None = None,
    ) -> None:
        self.arrays, self.kinds, self.functions = arrays, kinds, functions or {}

    def hear(self, said: Any) -> Any:
        """The value."""
        if said is None or isinstance(said, bool | int | float | str):
            return said
        if isinstance(said, list):
            return [self.hear(value) for value in said]
        if not isinstance(said, dict) or len(said) != 1:
            raise ValueError(f"a value of no kind, with the keys {list(said)[:5]}")
        ((kind, content),) = said.items()
        if kind in self.kinds:
            return self.kinds[kind].again(self.fields(content))
        if kind == "tuple":
            return tuple(self.hear(content))
        if kind == "dict":
            return dict(self.hear(content))
        if kind == "float":
            return float({"inf": "inf", "-inf": "-inf", "nan": "nan"}[content])
        if kind == "array":
            return self.arrays[content]
        if kind == "texts":
            return self._texts(**content)
        if kind == "own":
            return self._own(content)
        raise ValueError(f"a value of the kind {kind!r}")

    def fields(self, said: Any) -> dict[str, Any]:
        """Values by name."""
        if not isinstance(said, dict):
            raise ValueError("an object without fields")
        return {name: self.hear(value) for name, value in said.items()}

    def _own(self, name: Any) -> Activation | Loss:
        found = self.functions.get(name)
        if not isinstance(found, Activation | Loss) or not found.is_own or found.name != name:
            raise WrongParameter(f"functions: expected an Activation or a Loss of your own, under the name {name!r}")
        return found

    def _texts(self, dtype: str, values: Any) -> np.ndarray:
        if dtype == "|O":
            array = np.empty(len(values), object)
            array[:] = self.hear(values)
            return array
        array = np.array(self.hear(values))
        if array.dtype.kind != "U":
            raise ValueError("texts that are none")
        return array
