"""Many networks at once: each is left as its own fit would leave it, to the last bit."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .fit import fit_many

if TYPE_CHECKING:
    from .ensembles import MLPEnsembleClassifier, MLPEnsembleRegressor
    from .estimators import fit_all
    from .halving import HalvingGridSearchCV, HalvingRandomSearchCV
    from .searches import GridSearchCV, RandomizedSearchCV

HOMES = {
    "fit_all": "estimators", "GridSearchCV": "searches", "RandomizedSearchCV": "searches",
    "HalvingGridSearchCV": "halving", "HalvingRandomSearchCV": "halving",
    "MLPEnsembleClassifier": "ensembles", "MLPEnsembleRegressor": "ensembles",
}  # fmt: skip
__all__ = [
    "fit_many", "MLPEnsembleClassifier", "MLPEnsembleRegressor", "fit_all", "GridSearchCV", "RandomizedSearchCV",
    "HalvingGridSearchCV", "HalvingRandomSearchCV",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """What imports scikit-learn, on first use."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{HOMES[name]}", __name__), name)
