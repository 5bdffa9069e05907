"""Successive halving, which scikit-learn calls experimental, its networks trained together round by round."""

from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV as TheirHalvingGridSearchCV
from sklearn.model_selection import HalvingRandomSearchCV as TheirHalvingRandomSearchCV

from .searches import Together


class HalvingGridSearchCV(TheirHalvingGridSearchCV, Together):
    """`sklearn.model_selection.HalvingGridSearchCV`, its networks trained together."""


class HalvingRandomSearchCV(TheirHalvingRandomSearchCV, Together):
    """`sklearn.model_selection.HalvingRandomSearchCV`, its networks trained together."""
