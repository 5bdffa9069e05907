"""All layers in turn, forward and back, for the samples of a chunk. E3 sees the weights from before the update.

`state` is None for a network without E7 to E10, and `sparse` for a dense X: nothing of that is compiled then, and so
they are arguments of their own. Where X is sparse, `places` are the samples' rows in it.
"""

from ..._jit import owner, rare_twins, twins
from ...activations import IDENTITY, SOFTMAX, softmax
from ...dropout import dropout_key
from ..layout import KIND, N_OUT, PHI, PLAIN, SKIPS, biases_of, gains_of, layer_of, transposed_of, weights_of
from .equations import (
    bias_gradient,
    drop_layer,
    forward_layer,
    hidden_delta,
    output_deltas,
    skip,
    slope_delta,
    weight_gradient,
)
from .normalization import find_moments, find_products, gain_gradient, normalize, sum_delta
from .scratch import TOP, TOTAL
from .sparse import forward_nonzeros, weight_gradient_nonzeros


@owner
def inputs_of(table, dropout, work, l, rows):
    """layout: what layer l + 1 reads."""
    apart = l == 0 or dropout[l] > 0 or table[l, SKIPS] > 0
    return layer_of(table, work.h if apart else work.a, l, rows)


@twins
def sums_of_layer(sparse, places, l, W, b, phi, inputs, z, a):
    """E1: z and a of layer l."""
    if sparse is not None and l == 1:
        forward_nonzeros(sparse, places, W, b, phi, z, a)
    else:
        forward_layer(W, b, phi, inputs, z, a)


@rare_twins
def normalized_layer(net, state, sparse, places, trains, l, inputs, work, rows):
    """E7: s, z and a of one layer, with the statistics of the batch where it `trains`, else the running ones."""
    table, params = net.table, net.params
    s, normal, of_layer = layer_of(table, work.s, l, rows), layer_of(table, work.normal, l, rows), work.of_layers[l]
    z, a = layer_of(table, work.z, l, rows), layer_of(table, work.a, l, rows)
    zero = work.zero[: table[l, N_OUT]]
    sums_of_layer(sparse, places, l, weights_of(table, params, l), zero, IDENTITY, inputs, s, z)
    find_moments(table, state, trains, l, s, of_layer)
    gain, b = gains_of(table, params, l), biases_of(table, params, l)
    normalize(table[l, KIND], s, of_layer, gain, b, table[l, PHI], normal, z, a)


@rare_twins
def normalized_delta(net, l, N, work, gradient, rows):
    """E8: ∂ℓ/∂s of one layer, into delta_s, and E9."""
    table, params = net.table, net.params
    kind, gain, of_layer = table[l, KIND], gains_of(table, params, l), work.of_layers[l]
    delta, normal = layer_of(table, work.delta, l, rows), layer_of(table, work.normal, l, rows)
    gain_gradient(normal, delta, N, gains_of(table, gradient, l))
    find_products(kind, gain, delta, normal, of_layer)
    sum_delta(kind, delta, normal, gain, of_layer, layer_of(table, work.delta_s, l, rows))


@rare_twins
def skipped_layer(a, h_in, h):
    """E10: `skip`."""
    skip(a, h_in, h)


@rare_twins
def skipped_delta(table, l, WT, z_i, a_i, delta_j, delta_i, work, rows):
    """E10: E3 for layer l − 1 where δ also comes by a skip, or has to go on by one."""
    delta_h = layer_of(table, work.delta_h, l - 1, rows)
    hidden_delta(WT, IDENTITY, z_i, a_i, delta_j, delta_h)
    if table[l, SKIPS]:
        skip(delta_h, layer_of(table, work.delta_h, l, rows), delta_h)
    slope_delta(table[l - 1, PHI], z_i, a_i, delta_h, delta_i)


@twins
def forward_pass(net, state, sparse, places, trains, rules, t, ids, work, rows):
    """E1: every layer in turn, for the `rows` samples whose inputs are layer 0 of h, or in `sparse`."""
    table, params, dropout = net.table, net.params, rules.dropout
    for l in range(1, table.shape[0]):
        phi, inputs = table[l, PHI], inputs_of(table, dropout, work, l - 1, rows)
        z, a, h = layer_of(table, work.z, l, rows), layer_of(table, work.a, l, rows), layer_of(table, work.h, l, rows)
        if state is not None and table[l, KIND] != PLAIN:
            normalized_layer(net, state, sparse, places, trains, l, inputs, work, rows)
        else:
            W, b = weights_of(table, params, l), biases_of(table, params, l)
            sums_of_layer(sparse, places, l, W, b, phi, inputs, z, a)
        if phi == SOFTMAX:
            softmax(z.T, a.T, work.samples[TOP, :rows], work.samples[TOTAL, :rows])
        if dropout[l] > 0:
            drop_layer(dropout[l], dropout_key(rules.seed, t, l), ids, a, h)
        if state is not None and table[l, SKIPS]:
            skipped_layer(h if dropout[l] > 0 else a, inputs, h)


@twins
def delta_before(table, state, l, delta_j, work, rows):
    """E3: δ of layer l − 1, from ∂ℓ/∂s of layer l."""
    i, WT = l - 1, transposed_of(table, work.transposed, l)
    z_i, a_i = layer_of(table, work.z, i, rows), layer_of(table, work.a, i, rows)
    delta_i = layer_of(table, work.delta, i, rows)
    if state is not None and (table[l, SKIPS] or table[i, SKIPS]):
        skipped_delta(table, l, WT, z_i, a_i, delta_j, delta_i, work, rows)
    else:
        hidden_delta(WT, table[i, PHI], z_i, a_i, delta_j, delta_i)


@twins
def backward_pass(net, state, sparse, places, rules, t, ids, work, N, gradient, rows):
    """E2: the output's δ, then E3 to E5 and E8 to E10 from the last layer to the first; returns Σ_n weight_n ℓ_n."""
    table, dropout, last = net.table, rules.dropout, net.table.shape[0] - 1
    z, a, delta = work.z, work.a, work.delta
    z_k, a_k = layer_of(table, z, last, rows), layer_of(table, a, last, rows)
    delta_k = layer_of(table, delta, last, rows)
    y, samples = work.target[:rows], work.samples[:, :rows]
    total = output_deltas(net.loss, table[last, PHI], net.parameters, z_k, a_k, y, samples, delta_k)
    for l in range(last, 0, -1):
        delta_j = layer_of(table, delta, l, rows)
        bias_gradient(delta_j, N, biases_of(table, gradient, l))
        if state is not None and table[l, KIND] != PLAIN:
            normalized_delta(net, l, N, work, gradient, rows)
            delta_j = layer_of(table, work.delta_s, l, rows)
        gradient_l = weights_of(table, gradient, l)
        if sparse is not None and l == 1:
            weight_gradient_nonzeros(sparse, places, delta_j, N, gradient_l)
        else:
            weight_gradient(inputs_of(table, dropout, work, l - 1, rows), delta_j, N, gradient_l)
        if l > 1:
            i, delta_i = l - 1, layer_of(table, delta, l - 1, rows)
            delta_before(table, state, l, delta_j, work, rows)
            if dropout[i] > 0:
                drop_layer(dropout[i], dropout_key(rules.seed, t, i), ids, delta_i, delta_i)
    return total
