"""What an ensemble consists of: its parameters, its members, and what it has learnt itself."""

from typing import Any

import numpy as np

from ..many.ensembles import Ensemble, MLPEnsembleClassifier, MLPEnsembleRegressor
from . import estimators
from .values import Reader, Writer, WrongParameter

CLASSES: dict[str, Any] = {kind.__name__: kind for kind in (MLPEnsembleClassifier, MLPEnsembleRegressor)}
LEARNT = "n_features_in_", "feature_names_in_", "oob_score_", "oob_decision_function_", "oob_prediction_"


def said_of(ensemble: Any, writer: Writer) -> dict[str, Any]:
    """Its parameters, members and attributes, as `writer` says them; see `estimators.said_of`."""
    parameters = ensemble.get_params(deep=False)
    base = parameters.pop("estimator")
    members = vars(ensemble).get("estimators_")
    return {
        "parameters": writer.fields(parameters, "ensemble"),
        "estimator": base and _said_of(base, writer, "estimator."),
        "members": members and [_said_of(member, writer, f"{k}.") for k, member in enumerate(members)],
        "attributes": writer.fields(
            {name: vars(ensemble)[name] for name in LEARNT if name in vars(ensemble)}, "learnt"
        ),
    }


def _said_of(estimator: Any, writer: Writer, place: str) -> dict[str, Any]:
    return {"kind": type(estimator).__name__, **estimators.said_of(estimator, writer, place)}


def ensemble(kind: str, reader: Reader, model: Any, given: dict[str, Any]) -> Any:
    """The ensemble again, with the parameters `given` in the place of those in the file. Raises ValueError for members
    that make none.
    """
    made = CLASSES[kind]
    if set(given) - set(made().get_params(deep=False)):
        raise WrongParameter(f"{kind} has no parameter {', '.join(sorted(set(given) - set(made().get_params())))}")
    base = model["estimator"] and _estimator(model["estimator"], reader)
    found = made(**{"estimator": base, **reader.fields(model["parameters"]), **given})
    if model["members"] is None:
        return found
    members = [_estimator(said, reader) for said in model["members"]]
    _check(made, members)
    found._keep_members(members)
    learnt = {name: value for name, value in reader.fields(model["attributes"]).items() if name in LEARNT}
    for name, value in learnt.items():
        if not (np.issubdtype(type(value), np.number) or isinstance(value, np.ndarray)):
            raise ValueError(f"an attribute {name!r} of {value!r:.99}")
    if learnt.get("n_features_in_") != members[0].n_features_in_:
        raise ValueError(f"members of {members[0].n_features_in_} features in an ensemble of another number")
    vars(found).update(learnt)
    return found


def _estimator(said: dict[str, Any], reader: Reader) -> Any:
    return estimators.estimator(said["kind"], reader, said, {})


def _check(kind: type[Ensemble], members: list[Any]) -> None:
    """That they are fitted, of the ensemble's kind, and alike."""
    if not members or any(type(member) is not kind.member for member in members):
        raise ValueError(f"members that are not of the kind {kind.member.__name__}")
    first = members[0]
    for member in members:
        network, other = vars(member).get("_network_"), vars(first).get("_network_")
        if (
            network is None
            or other is None
            or (network.sizes[0], network.sizes[-1]) != (other.sizes[0], other.sizes[-1])
        ):
            raise ValueError("members that are not fitted to the same columns and outputs")
        if not np.array_equal(getattr(member, "classes_", 0), getattr(first, "classes_", 0)):
            raise ValueError("members of different classes")
