"""∂ŷ_k/∂x_i: E3 from one output at a time back to the inputs, which are layer 0."""

import numpy as np

from ..._jit import kernel, rare_twins, twins
from ...activations import EXP, SOFTMAX, scale_by_slope
from ..layout import BATCH, KIND, PHI, PLAIN, gains_of, gather, layer_of, transposed_of, weights_of
from .equations import transpose
from .normalization import PRODUCT, PRODUCT_NORMAL, find_products, sum_delta
from .passes import delta_before, forward_pass
from .scratch import new_scratch


@kernel
def delta_of_output(phi, k, z, a, delta):
    """E2: δ_m = ∂ŷ_k/∂z_m for every sample n; all (N, outputs). One thread writes delta."""
    for n in range(z.shape[0]):
        for m in range(z.shape[1]):
            delta[n, m] = 1 if m == k else 0
        if phi == SOFTMAX:
            for m in range(z.shape[1]):
                delta[n, m] = a[n, k] * (delta[n, m] - a[n, m])
        elif phi == EXP:
            delta[n, k] = a[n, k]
        else:
            scale_by_slope(phi, z, a, delta, n)


@rare_twins
def known_delta(net, l, work, rows):
    """E8: ∂ŷ/∂s of one layer, into delta_s; by batch the running μ and v depend on no sample."""
    kind, gain, of_layer = net.table[l, KIND], gains_of(net.table, net.params, l), work.of_layers[l]
    delta, normal = layer_of(net.table, work.delta, l, rows), layer_of(net.table, work.normal, l, rows)
    if kind == BATCH:
        of_layer[PRODUCT, :] = 0
        of_layer[PRODUCT_NORMAL, :] = 0
    else:
        find_products(kind, gain, delta, normal, of_layer)
    sum_delta(kind, delta, normal, gain, of_layer, layer_of(net.table, work.delta_s, l, rows))


@twins
def input_delta(net, state, k, work, rows):
    """E3: ∂ŷ_k/∂x_i of every sample, as δ of layer 0."""
    table, last = net.table, net.table.shape[0] - 1
    z_k, a_k = layer_of(table, work.z, last, rows), layer_of(table, work.a, last, rows)
    delta_of_output(table[last, PHI], k, z_k, a_k, layer_of(table, work.delta, last, rows))
    for l in range(last, 0, -1):
        delta_j = layer_of(table, work.delta, l, rows)
        if state is not None and table[l, KIND] != PLAIN:
            known_delta(net, l, work, rows)
            delta_j = layer_of(table, work.delta_s, l, rows)
        delta_before(table, state, l, delta_j, work, rows)


@twins
def jacobian_rows(net, state, X, rules, chunk, first, out):
    """E3: ∂ŷ_k/∂x_i for every row of X and k = first, first + 1, …, written to out (N, outputs, inputs)."""
    table = net.table
    work, order = new_scratch(table, net.params, state, chunk, state is not None, True), np.arange(out.shape[0])
    for l in range(1, table.shape[0]):
        transpose(weights_of(table, net.params, l), transposed_of(table, work.transposed, l))
    for start in range(0, out.shape[0], chunk):
        rows = min(chunk, out.shape[0] - start)
        here = order[start : start + rows]
        gather(X, here, layer_of(table, work.h, 0, rows))
        forward_pass(net, state, None, here, False, rules, 0, here, work, rows)
        for k in range(out.shape[1]):
            input_delta(net, state, first + k, work, rows)
            delta = layer_of(table, work.delta, 0, rows)
            for n in range(rows):
                for i in range(delta.shape[1]):
                    out[start + n, k, i] = delta[n, i]
