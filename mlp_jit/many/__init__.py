"""Many networks at once: each is left as its own fit would leave it, to the last bit."""

from typing import TYPE_CHECKING, Any

from .fit import fit_many

if TYPE_CHECKING:
    from .estimators import fit_all

__all__ = ["fit_many", "fit_all"]


def __getattr__(name: str) -> Any:
    """What imports scikit-learn where it is installed, on first use."""
    if name == "fit_all":
        from . import estimators

        return estimators.fit_all
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
