"""Where things lie: the int64 table that describes a network to kernels, and views of the flat vectors it describes.

One table serves every depth, so one compiled signature does. Row l of it is layer l; row 0 is the inputs.
"""

from collections.abc import Sequence

import numpy as np

from .._jit import kernel, owner

# Where W, b and γ start in the parameters and where the layer ends, μ and v in the state. UNITS: those of the layers
# before this one. KIND: of normalisation. SKIPS: whether h_j = a_j + h_i.
N_IN, N_OUT, WEIGHTS, BIASES, GAINS, END, STATE, UNITS, PHI, KIND, SKIPS = range(11)
PLAIN, BATCH, LAYER = range(3)  # kinds of normalisation


def make_table(sizes: tuple[int, ...], codes: Sequence[int], kinds: Sequence[int], skips: Sequence[int]) -> np.ndarray:
    """The table (L + 1, 11) of a network with these sizes, activations, normalisations and skips, each for layers 0..L.

    A vector of parameters holds W, b and, where there is one, γ of layer 1, then those of layer 2, …; the state holds μ
    and v of each batch-normalised layer.
    """
    table = np.zeros((len(sizes), 11), np.int64)
    table[:, N_OUT] = sizes
    table[:, PHI] = codes
    table[:, KIND] = kinds
    table[:, SKIPS] = skips
    table[1:, N_IN] = sizes[:-1]
    table[1:, UNITS] = np.cumsum(sizes[:-1])
    start = state = 0
    for l in range(1, len(sizes)):
        table[l, WEIGHTS] = start
        table[l, BIASES] = start + sizes[l - 1] * sizes[l]
        table[l, GAINS] = table[l, BIASES] + sizes[l]
        table[l, END] = start = table[l, GAINS] + sizes[l] * (kinds[l] != PLAIN)
        table[l, STATE] = state
        state += 2 * sizes[l] * (kinds[l] == BATCH)
    return table


def without_inputs(table: np.ndarray) -> np.ndarray:
    """The table of the same network for scratch without the inputs' numbers, which a sparse X keeps to itself."""
    shorter = table.copy()
    shorter[1:, UNITS] -= table[0, N_OUT]
    shorter[0, N_OUT] = 0
    return shorter


def count_params(table: np.ndarray) -> int:
    """The length of the flat vector that the table describes."""
    return int(table[-1, END])


def penalised(table: np.ndarray) -> np.ndarray:
    """1 for each parameter that L2 pulls at, w, and 0 for b and γ: (n_params,), float64."""
    found = np.zeros(count_params(table))
    for l in range(1, len(table)):
        weights_view(table, found, l)[...] = 1
    return found


def count_state(table: np.ndarray) -> int:
    """The length of the state that the table describes."""
    return int(2 * table[table[:, KIND] == BATCH, N_OUT].sum())


def weights_view(table, params, l):
    """layout: W of layer l, a view (n_in, n_out) of the flat vector."""
    return params[table[l, WEIGHTS] : table[l, BIASES]].reshape((table[l, N_IN], table[l, N_OUT]))


def transposed_view(table, flat, l):
    """layout: room for W of layer l transposed, a view (n_out, n_in) of a vector as long as the parameters."""
    return flat[table[l, WEIGHTS] : table[l, BIASES]].reshape((table[l, N_OUT], table[l, N_IN]))


def biases_view(table, params, l):
    """layout: b of layer l, a view (n_out,) of the flat vector."""
    return params[table[l, BIASES] : table[l, BIASES] + table[l, N_OUT]]


def gains_view(table, params, l):
    """layout: γ of layer l, a view (n_out,) of the flat vector, (0,) where it is not normalised."""
    return params[table[l, GAINS] : table[l, END]]


def running_view(table, state, l):
    """layout: the running μ and v of a batch-normalised layer l, a view (2, n_out) of the state."""
    return state[table[l, STATE] : table[l, STATE] + 2 * table[l, N_OUT]].reshape((2, table[l, N_OUT]))


def layer_view(table, scratch, l, rows):
    """layout: z, a or δ of layer l for `rows` samples, a view (rows, units) of the flat scratch."""
    start = table[l, UNITS] * rows
    return scratch[start : start + table[l, N_OUT] * rows].reshape((rows, table[l, N_OUT]))


weights_of, transposed_of = owner(weights_view), owner(transposed_view)
biases_of, layer_of = owner(biases_view), owner(layer_view)
gains_of, running_of = owner(gains_view), owner(running_view)


@kernel
def gather(source, rows, out):
    """layout: out[n] = source[rows[n]]; source (M, columns), rows (N,) and more, out (N, columns)."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[n, i] = source[rows[n], i]
