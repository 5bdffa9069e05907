"""`save` and `load`: what a model consists of, and the model again."""

import os
import warnings
from typing import Any

from ..estimators import MLPClassifier, MLPRegressor
from ..estimators.labels import Labels
from ..estimators.stochastic import Descent
from ..network import Network
from ..optimizers import OPTIMIZERS, Optimizer
from . import container
from .values import KINDS, Kind, NotSaid, Reader, Writer, fields_of, object_of

FORMAT = 1  # what a newer number means is not known; what is new within one may be left out
ESTIMATORS: dict[str, Any] = {kind.__name__: kind for kind in (MLPClassifier, MLPRegressor)}
PLAIN: dict[str, type] = {"Network": Network, **{kind.__name__: kind for kind in OPTIMIZERS.values()}}
OF_ESTIMATORS = {kind.__name__: Kind(kind, fields_of, object_of(kind)) for kind in (Labels, Descent)}
VERSION = "_sklearn_version"  # what scikit-learn writes among the attributes for its own pickles


def save(model: Network | MLPClassifier | MLPRegressor | Optimizer, path: str | os.PathLike) -> None:
    """Write a model into one file, in the safetensors layout, whole or not at all.

    A Network is kept with its parameters and running statistics, an estimator with its parameters and all that it has
    learnt, an optimizer with its moments: what `load` returns predicts the same bits, and a `partial_fit`, a warm start
    or a `fit` with that optimizer goes on to the same bits.

    Raises TypeError for other objects, subclasses among them, and for a network or an estimator that has learnt with a
    loss or a schedule of your own, without which it would not go on alike; and OSError where the file cannot be
    written; what was there before is there still. Warns UserWarning that names what a file cannot say: callbacks,
    functions of your own.
    """
    kind, writer = type(model).__name__, Writer(KINDS | OF_ESTIMATORS)
    if type(model) is PLAIN.get(kind):
        content: Any = writer.say(model, kind.lower())
    elif type(model) is ESTIMATORS.get(kind):
        content = _said_of(model, writer)
    else:
        raise TypeError(f"model: expected a Network, an MLPClassifier, an MLPRegressor or an optimizer, got {model!r}")
    container.write(path, {"format": FORMAT, "kind": kind, "model": content}, writer.arrays)


def _said_of(estimator: Any, writer: Writer) -> dict[str, Any]:
    """An estimator's parameters, as far as they can be said, and its attributes. Raises NotSaid for one of these."""
    parameters, left_out = estimator.get_params(deep=False), []
    attributes = {
        name: value for name, value in estimator.__getstate__().items() if name not in parameters and name != VERSION
    }
    said = {}
    for name, value in parameters.items():
        try:
            said[name] = writer.say(value, name)
        except NotSaid as error:
            left_out.append(str(error))
    content = {
        "parameters": said,
        "attributes": {name: writer.say(value, name.strip("_")) for name, value in attributes.items()},
    }
    if left_out:
        warnings.warn(
            f"left out of the file, which cannot say them: {', '.join(left_out)}; give parameters to `load`",
            UserWarning,
            stacklevel=3,
        )
    return content


def load(path: str | os.PathLike, **parameters: Any) -> Any:
    """The model that `save` has written. `parameters` of an estimator take the place of those in the file, and of those
    that a file cannot say, which else are the constructor's defaults.

    Nothing in the file is executed or imported. Raises ValueError that says what is wrong with it: cut, altered, of
    another program, of a newer version; TypeError for parameters that the model does not have; OSError where there is
    no file.
    """
    content, arrays = container.read(path)
    try:
        version, kind, model = content["format"], content["kind"], content["model"]
        if version != FORMAT:
            raise ValueError(f"format {version!r}, of which this version of mlp_jit knows {FORMAT}")
        reader = Reader(arrays, KINDS | OF_ESTIMATORS)
        if kind in ESTIMATORS:
            return _estimator(ESTIMATORS[kind], reader, model, parameters)
        made = reader.hear(model)
        if type(made) is not PLAIN.get(kind):
            raise ValueError(f"a {type(made).__name__} that says it is a {kind!r}")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        if isinstance(error, _WrongParameter):
            raise TypeError(str(error)) from None
        raise ValueError(f"{path}: expected a model that was saved, got {error or type(error).__name__}") from None
    if parameters:
        raise TypeError(f"{', '.join(parameters)}: expected no parameters for a {kind}")
    return made


class _WrongParameter(TypeError):
    """One that the constructor does not know."""


def _estimator(kind: type, reader: Reader, model: Any, given: dict[str, Any]) -> Any:
    known = kind().get_params(deep=False)
    if set(given) - set(known):
        raise _WrongParameter(f"{kind.__name__} has no parameter {', '.join(sorted(set(given) - set(known)))}")
    said = {name: value for name, value in reader.fields(model["parameters"]).items() if name in known}
    made = kind(**{**said, **given})
    attributes = reader.fields(model["attributes"])
    for name in attributes:
        if not name.isidentifier() or hasattr(kind, name) or name in known:
            raise ValueError(f"an attribute {name!r}")
    if not isinstance(attributes.get("_network_", Network([1, 1])), Network):
        raise ValueError("a network that is none")
    made.__setstate__(attributes)
    return made
