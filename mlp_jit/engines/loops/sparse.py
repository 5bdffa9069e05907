"""E1 and E4 of the first layer where X is sparse: the loops over i go over what is there.

X is CSR: the numbers of its row n are data[p] in the columns indices[p], indptr[n] <= p < indptr[n + 1], each column
once and in rising order. So every sum takes its terms in the order of the dense loops, and leaves out those that are 0,
which changes no bit but for −0 (−0 + 0 is 0).
"""

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from ..._jit import twins
from ...activations import activate

BLOCK = 16  # units j that one thread of E4 owns


class Nonzeros(NamedTuple):
    """The three arrays of a CSR matrix."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


def nonzeros_of(X: Any) -> Nonzeros:
    """Those of SciPy's matrix."""
    return Nonzeros(X.data, X.indices, X.indptr)


@twins
def forward_nonzeros(X, rows, W, b, phi, z, a_out):
    """E1: z_j = b_j + Σ_{i: x_i ≠ 0} w_ij x_i and a_j = φ(z_j), for the sample in row rows[n] of X, every n. A thread
    owns whole rows n of z and a_out.

    W (n_in, n_out), b (n_out,), rows (N,), z and a_out (N, n_out).
    """
    for n in prange(z.shape[0]):
        for j in range(z.shape[1]):
            z[n, j] = b[j]
        for p in range(X.indptr[rows[n]], X.indptr[rows[n] + 1]):
            i = X.indices[p]
            for j in range(z.shape[1]):
                z[n, j] += W[i, j] * X.data[p]
        activate(phi, z, a_out, n)


@twins
def weight_gradient_nonzeros(X, rows, delta, N, gradient):
    """E4: ∂L/∂w_ij += (1/N) Σ_{n: x_ni ≠ 0} x_ni δ_j. A thread owns BLOCK columns j of the gradient (n_in, n_out).

    rows (n,) of X, delta (n, n_out); N is the sum of the batch's sample weights.
    """
    for block in prange((gradient.shape[1] + BLOCK - 1) // BLOCK):
        for n in range(delta.shape[0]):
            for p in range(X.indptr[rows[n]], X.indptr[rows[n] + 1]):
                i, a_i = X.indices[p], X.data[p] / N
                for j in range(block * BLOCK, min((block + 1) * BLOCK, gradient.shape[1])):
                    gradient[i, j] += a_i * delta[n, j]
