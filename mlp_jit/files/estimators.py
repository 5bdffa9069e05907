"""What an estimator consists of: its parameters, as far as they can be said, and what it has learnt."""

import warnings
from typing import Any

from ..estimators import MLPClassifier, MLPRegressor
from ..estimators.labels import Labels
from ..estimators.stochastic import Descent
from . import attributes
from .values import KINDS, Kind, NotSaid, Reader, Writer, WrongParameter, fields_of, object_of

CLASSES: dict[str, Any] = {kind.__name__: kind for kind in (MLPClassifier, MLPRegressor)}
PARTS = KINDS | {kind.__name__: Kind(kind, fields_of, object_of(kind)) for kind in (Labels, Descent)}
VERSION = "_sklearn_version"  # what scikit-learn writes among the attributes for its own pickles


def said_of(estimator: Any, writer: Writer, place: str = "") -> dict[str, Any]:
    """Its parameters and attributes, as `writer` says them, with `place` before the names of arrays. Raises NotSaid for
    one of the attributes, and warns UserWarning of parameters that a file cannot say.
    """
    parameters, left_out = estimator.get_params(deep=False), []
    learnt = {
        name: value for name, value in estimator.__getstate__().items() if name not in parameters and name != VERSION
    }
    said = {}
    for name, value in parameters.items():
        try:
            said[name] = writer.say(value, f"{place}{name}")
        except NotSaid as error:
            left_out.append(str(error))
    content = {
        "parameters": said,
        "attributes": {name: writer.say(value, place + name.strip("_")) for name, value in learnt.items()},
    }
    if left_out:
        warnings.warn(
            f"left out of the file, which cannot say them: {', '.join(left_out)}; give parameters to `load`",
            UserWarning,
            stacklevel=4,
        )
    return content


def estimator(kind: str, reader: Reader, model: Any, given: dict[str, Any]) -> Any:
    """The estimator again, with the parameters `given` in the place of those in the file."""
    made = CLASSES[kind]
    known = made().get_params(deep=False)
    if set(given) - set(known):
        raise WrongParameter(f"{kind} has no parameter {', '.join(sorted(set(given) - set(known)))}")
    said = {name: value for name, value in reader.fields(model["parameters"]).items() if name in known}
    found = made(**{**said, **given})
    found.__setstate__(attributes.check(reader.fields(model["attributes"])))
    return found
