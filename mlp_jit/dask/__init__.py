"""Data on many machines: Dask arrays and data frames, trained on where their rows lie.

- `fit(network, X, y)` trains a Network; `predict(network, X)` gives its outputs as a Dask array.
- `MLPClassifier` and `MLPRegressor` are estimators for Dask's collections, whose result is one of `mlp_jit`'s own.

Rows never move. A round hands the parameters to all partitions and brings back sums, which are added up in a fixed
tree over the partitions: so the result has the same bits for any number of workers, whichever of them died meanwhile. A
lost task is simply run again, and workers may come and go. What travels is arrays and settings, no objects.
"""

try:
    import dask.array  # noqa: F401
    import distributed  # noqa: F401
except ImportError:
    raise ImportError("this needs Dask: pip install 'mlp_jit[dask]'") from None

from .estimators import MLPClassifier, MLPRegressor
from .fit import fit, predict

__all__ = ["fit", "predict", "MLPClassifier", "MLPRegressor"]
