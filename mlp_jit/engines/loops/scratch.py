"""The scratch of the loops engine: room for all layers' numbers for the samples of a chunk."""

from typing import NamedTuple

import numpy as np

from ..._jit import owner
from ..layout import N_OUT, UNITS

WEIGHT, ELL, TOP, TOTAL = range(4)  # one number a sample: its weight, ℓ, max z and Σ e^(z − max z) of the outputs


class Scratch(NamedTuple):
    """Flat arrays with one number a unit, the inputs included, for each sample; the five from s on only where
    the network has E7 to E10.

    `h` is what the next layer reads in the place of a after dropout or a skip, and the inputs.
    """

    z: np.ndarray
    a: np.ndarray
    h: np.ndarray
    delta: np.ndarray
    s: np.ndarray
    normal: np.ndarray
    delta_s: np.ndarray
    delta_h: np.ndarray
    of_layers: np.ndarray  # (L + 1, 5, samples or units): the moments and products of E7 and E8
    zero: np.ndarray  # (units,): b of s
    target: np.ndarray  # (samples, outputs)
    samples: np.ndarray  # (4, samples)
    transposed: np.ndarray  # (P,)


@owner
def new_scratch(table, params, state, rows, apart, trains):
    """layout: scratch for chunks of so many samples, with an h beside a where that is `apart`.

    `state` is None for a network without E7 to E10.
    """
    last, number = table.shape[0] - 1, params.dtype
    units, outputs = table[last, UNITS] + table[last, N_OUT], table[last, N_OUT]
    a, widest = np.empty(rows * units, number), 0
    if state is not None:
        for l in range(1, last + 1):  # the last one, too, of a part of a network
            widest = max(widest, table[l, N_OUT])
    extra = rows * units if widest > 0 else 0
    return Scratch(
        np.empty(rows * units, number),
        a,
        np.empty(rows * units, number) if apart else a,
        np.empty(rows * (units if trains else outputs), number),
        np.empty(extra, number),
        np.empty(extra, number),
        np.empty(extra if trains else 0, number),
        np.empty(extra if trains else 0, number),
        np.empty((last + 1, 5, max(rows, widest) if widest > 0 else 0), number),
        np.zeros(widest, number),
        np.empty((rows, outputs), number),
        np.empty((4, rows), number),
        np.empty(params.size if trains else 0, number),
    )
