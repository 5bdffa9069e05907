"""`save` and `load`: what a model consists of, and the model again."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ..activations import Activation
from ..losses import Loss
from ..network import Network
from ..optimizers import OPTIMIZERS, Optimizer
from . import container
from .values import Reader, Writer, WrongParameter

if TYPE_CHECKING:
    from ..estimators import MLPClassifier, MLPRegressor
    from ..many.ensembles import MLPEnsembleClassifier, MLPEnsembleRegressor

    Model: TypeAlias = Network | MLPClassifier | MLPRegressor | MLPEnsembleClassifier | MLPEnsembleRegressor | Optimizer

FORMAT = 1  # what a newer number means is not known; what is new within one may be left out
PLAIN: dict[str, type] = {"Network": Network, **{kind.__name__: kind for kind in OPTIMIZERS.values()}}
ESTIMATORS = "MLPClassifier", "MLPRegressor"
ENSEMBLES = "MLPEnsembleClassifier", "MLPEnsembleRegressor"


def save(model: "Model", path: str | os.PathLike) -> None:
    """Write a model into one file, in the safetensors layout, whole or not at all.

    A Network is kept with its parameters and running statistics, an estimator with its parameters and all that it has
    learnt, an ensemble with all its members, an optimizer with its moments: what `load` returns predicts the same bits,
    and a `partial_fit`, a warm start or a `fit` with that optimizer goes on to the same bits.

    Activations and losses of your own go by their names, and `load` is given them again. Raises TypeError for other
    objects, subclasses among them, and for an estimator that has learnt with a schedule of your own, without which it
    would not go on alike; and OSError where the file cannot be
    written; what was there before is there still. Warns UserWarning that names what a file cannot say: callbacks,
    functions of your own.
    """
    kind, writer = type(model).__name__, Writer()
    if type(model) is PLAIN.get(kind):
        content: Any = writer.say(model, kind.lower())
    elif kind in ESTIMATORS and type(model) is _of_estimators().CLASSES[kind]:
        writer = Writer(_of_estimators().PARTS)
        content = _of_estimators().said_of(model, writer)
    elif kind in ENSEMBLES and type(model) is _of_ensembles().CLASSES[kind]:
        writer = Writer(_of_estimators().PARTS)
        content = _of_ensembles().said_of(model, writer)
    else:
        raise TypeError(f"model: expected a Network, an estimator, an ensemble or an optimizer, got {model!r}")
    container.write(path, {"format": FORMAT, "kind": kind, "model": content}, writer.arrays)


def load(
    path: str | os.PathLike, *, functions: Mapping[str, Activation | Loss] | None = None, **parameters: Any
) -> Any:
    """The model that `save` has written. `parameters` of an estimator take the place of those in the file, and of those
    that a file cannot say, which else are the constructor's defaults. `functions` are the activations and losses of
    your own that the file names, by these names.

    Nothing in the file is executed or imported. Raises ValueError that says what is wrong with it: cut, altered, of
    another program, of a newer version; TypeError for parameters that the model does not have, and for
    functions that are missing; OSError where there is
    no file.
    """
    content, arrays = container.read(path)
    try:
        version, kind, model = content["format"], content["kind"], content["model"]
        if version != FORMAT:
            raise ValueError(f"format {version!r}, of which this version of mlp_jit knows {FORMAT}")
        if kind in ESTIMATORS:
            estimators = _of_estimators()
            return estimators.estimator(kind, Reader(arrays, estimators.PARTS, functions), model, parameters)
        if kind in ENSEMBLES:
            reader = Reader(arrays, _of_estimators().PARTS, functions)
            return _of_ensembles().ensemble(kind, reader, model, parameters)
        made = Reader(arrays, functions=functions).hear(model)
        if type(made) is not PLAIN.get(kind):
            raise ValueError(f"a {type(made).__name__} that says it is a {kind!r}")
    except WrongParameter:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path}: expected a model that was saved, got {error or type(error).__name__}") from None
    if parameters:
        raise TypeError(f"{', '.join(parameters)}: expected no parameters for a {kind}")
    return made


def _of_estimators() -> Any:
    """Imported when an estimator is there: it imports scikit-learn, where that is installed."""
    from . import estimators

    return estimators


def _of_ensembles() -> Any:
    """Likewise."""
    from . import ensembles

    return ensembles
