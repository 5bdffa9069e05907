"""Many networks at once: each is left as its own fit would leave it, to the last bit."""

from .estimators import fit_all

__all__ = ["fit_all"]
