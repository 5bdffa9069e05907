"""Where things lie: the int64 table that describes a network to kernels, and views of the flat vectors it describes.

One table serves every depth, so one compiled signature does. Row l of it is layer l; row 0 is the inputs.
"""

import numpy as np

from .._jit import kernel

N_IN, N_OUT, WEIGHTS, BIASES, UNITS, PHI = range(6)  # UNITS: the units of the layers before this one


def make_table(sizes: tuple[int, ...], codes: list[int]) -> np.ndarray:
    """The table (L + 1, 6) of a network with these sizes and activation codes, one each for layers 0..L."""
    table = np.zeros((len(sizes), 6), np.int64)
    table[:, N_OUT] = sizes
    table[:, PHI] = codes
    table[1:, N_IN] = sizes[:-1]
    table[1:, UNITS] = np.cumsum(sizes[:-1])
    start = 0
    for l in range(1, len(sizes)):
        table[l, WEIGHTS] = start
        table[l, BIASES] = start + sizes[l - 1] * sizes[l]
        start = table[l, BIASES] + sizes[l]
    return table


def count_params(table: np.ndarray) -> int:
    """The length of the flat vector that the table describes."""
    return int(table[-1, BIASES] + table[-1, N_OUT])


def weights_view(table, params, l):
    """layout: W of layer l, a view (n_in, n_out) of the flat vector."""
    return params[table[l, WEIGHTS] : table[l, BIASES]].reshape((table[l, N_IN], table[l, N_OUT]))


def transposed_view(table, flat, l):
    """layout: room for W of layer l transposed, a view (n_out, n_in) of a vector as long as the parameters."""
    return flat[table[l, WEIGHTS] : table[l, BIASES]].reshape((table[l, N_OUT], table[l, N_IN]))


def biases_view(table, params, l):
    """layout: b of layer l, a view (n_out,) of the flat vector."""
    return params[table[l, BIASES] : table[l, BIASES] + table[l, N_OUT]]


def layer_view(table, scratch, l, rows):
    """layout: z, a or δ of layer l for `rows` samples, a view (rows, units) of the flat scratch."""
    start = table[l, UNITS] * rows
    return scratch[start : start + table[l, N_OUT] * rows].reshape((rows, table[l, N_OUT]))


weights_of, transposed_of = kernel(weights_view), kernel(transposed_view)
biases_of, layer_of = kernel(biases_view), kernel(layer_view)


@kernel
def gather(source, rows, out):
    """layout: out[n] = source[rows[n]]; source (M, columns), rows (N,) and more, out (N, columns)."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[n, i] = source[rows[n], i]
