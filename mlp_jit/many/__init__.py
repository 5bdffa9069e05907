"""Many networks at once: each is left as its own fit would leave it, to the last bit."""

from .estimators import fit_all
from .fit import fit_many

__all__ = ["fit_many", "fit_all"]
