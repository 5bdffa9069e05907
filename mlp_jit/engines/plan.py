"""The plan of a network: all that engines know of it."""

from typing import Any

import numpy as np

from ..activations import Activation
from ..losses import Loss
from ..validation import plain
from . import layout
from .layout import KIND, SKIPS

MADE_AGAIN = ("weights", "biases", "gains", "predictor")


class Plan:
    """Sizes, activations, the loss, and one flat parameter vector with views into it. `Network` is one.

    Attributes
    ----------
    sizes : tuple of int
        Units of layers 0..L.
    activations, normalizations : tuple
        Names for the hidden layers; a φ may be a user's own, a normalisation None.
    output : str
        φ of the output layer.
    loss_function : Loss
    loss_parameters : ndarray (n_outputs,)
    dtype : numpy.dtype
    table : ndarray of int64 (L + 1, 11)
        What kernels read, see `layout`; row l is layer l.
    params, state : ndarray
        θ, and the running statistics of batch normalisation.
    weights, biases, gains : tuple of ndarray
        Views of `params`, of layer l at place l − 1.
    kinds : tuple of int
        The normalisation of layers 0..L, by code.
    skips, extended : bool
        Whether it has skip connections; whether it has any of E7 to E10.
    """

    sizes: tuple[int, ...]
    activations: tuple[str | Activation, ...]
    normalizations: tuple[str | None, ...]
    output: str
    loss_function: Loss
    loss_parameters: np.ndarray
    dtype: np.dtype
    table: np.ndarray
    state: np.ndarray
    predictor: Any  # the lanes engine's for few rows, made when it is first asked for

    def use(self, params: np.ndarray) -> None:
        """Make `params` (P,) the parameters, and the views theirs."""
        self.params, self.predictor = params, None
        layers = range(1, len(self.sizes))
        self.weights = tuple(layout.weights_view(self.table, params, l) for l in layers)
        self.biases = tuple(layout.biases_view(self.table, params, l) for l in layers)
        self.gains = tuple(layout.gains_view(self.table, params, l) for l in layers)
        self.kinds = tuple(self.table[:, KIND].tolist())
        self.skips = bool(self.table[:, SKIPS].any())
        self.extended = self.skips or any(self.kinds)  # no property: each call asks

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the views, which are made again: pickled, they would come back as copies."""
        return {key: value for key, value in self.__dict__.items() if key not in MADE_AGAIN}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in ("params", "state", "table", "loss_parameters"):
            setattr(self, name, plain(getattr(self, name)))
        self.use(self.params)
