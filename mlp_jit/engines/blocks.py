"""E1 to E3, and E7 to E10, for a group of blocks: what a task of the lanes engine's samples phase does.

A group's blocks go through a layer together, so that weights too many for the cache are fetched once for all. `norm` is
None for a network without normalisation and skips: nothing of that is compiled then.
"""

import numpy as np

from .._jit import call_entry, kernel, template
from ..activations import SOFTMAX
from ..dropout import drop, dropout_key
from .entries import ACTIVATION, SLOPE
from .layout import BATCH, BIASES, GAINS, KIND, N_IN, N_OUT, PHI, PLAIN, SKIPS, UNITS, WEIGHTS
from .normal_blocks import add, block_moments, block_products, move
from .panels import BACKWARD, DELTA, FORWARD, first_row, gather_block, panel_block, width_of
from .simd import VECTORS, at, lanes, view
from .tiles import forward_layer, hidden_delta
from .workspace import ELL, TOP, TOTAL, WEIGHT, desk_of

NORMALIZE, NORMALIZE_DELTA = range(2)  # columns of norm.entries


@template
def load_blocks(model, data, N, start, group, work):
    """layout: the samples from `start` on: inputs as layer 0 of h, rows of the data set, weights over N (idle lanes:
    0).
    """
    order, places, sample_weight = data.order, data.places, data.sample_weight
    S = VECTORS * lanes(group.h)
    for k in range((group.rows + S - 1) // S):
        desk, n_0, here = desk_of(work, group.desk + k), start + k * S, min(group.rows - k * S, S)
        width, ids, samples = width_of(here, group.h), desk.ids, desk.samples
        h = at(group.h, k * work.size)
        gather_block(data.X, places, n_0, here, width, model.table[0, N_OUT], desk.starts, h)
        for s in range(width):
            n = n_0 + min(s, here - 1)
            ids[s] = order[n]
            samples[WEIGHT * width + s] = sample_weight[places[n]] / N if s < here else 0


# Kernels and not templates: what a caller cuts off does not even have to be read.


@kernel
def normalize_block(model, norm, l, rows, work, d, block, goes_on):
    """E7: where it goes on, s_j of one block of layer l becomes z_j; else its moments are taken. Nothing without E7."""
    table, desk = model.table, desk_of(work, d)
    width, unit, n_out = width_of(rows, desk.z), table[l, UNITS], table[l, N_OUT]
    p, U, S = first_row(table, l) * width, norm.mean.size, VECTORS * lanes(desk.z)
    z, normal = at(desk.z, p), at(norm.normal, d * work.size + p)
    if not goes_on:
        mean, squares = at(norm.moments, 2 * block * U + unit), at(norm.moments, (2 * block + 1) * U + unit)
        block_moments(z, normal, n_out, width, min(rows, S), mean, squares)
    elif table[l, KIND] != PLAIN:
        b, gain, top = at(model.params, table[l, BIASES]), at(model.params, table[l, GAINS]), desk.samples
        mean, inv_std = at(norm.mean, unit), at(norm.inv_std, unit)
        call_entry(norm.entries[l, NORMALIZE], (z, normal, mean, inv_std, gain, b, at(top, TOP * width), n_out, width))


@kernel
def hand_on(table, l, moves, a, h, h_in, count):
    """E10: h_j = a_j + h_i where layer l is skipped; before it h_j = a_j where that `moves`. Places."""
    if moves:
        move(a, h, count)
    if table[l, SKIPS]:
        add(h, h_in, h, count)


@kernel
def hand_back(table, norm, l, delta, p, count):
    """E10: ∂ℓ/∂h_j added to ∂ℓ/∂h_i where layer l is skipped, and kept where the one before it is. delta is a place."""
    delta_h = at(norm.delta_h, p)
    if table[l, SKIPS]:
        add(delta, delta_h, delta, count)
    if table[l - 1, SKIPS]:
        move(delta, delta_h, count)


@kernel
def sum_products(model, norm, l, rows, work, d, delta_j, block):
    """E9: the sums of one block of a normalised layer."""
    table, desk = model.table, desk_of(work, d)
    width = width_of(rows, desk.z)
    normal, delta = at(norm.normal, d * work.size + first_row(table, l) * width), at(desk.delta, delta_j)
    first, U, S = table[l, UNITS], norm.mean.size, VECTORS * lanes(desk.z)
    total, total_normal = at(norm.sums, 2 * block * U + first), at(norm.sums, (2 * block + 1) * U + first)
    block_products(delta, normal, table[l, N_OUT], width, min(rows, S), total, total_normal)


@kernel
def normalized_delta(model, norm, l, rows, work, d, delta_j, block):
    """E8: δ of one block of a normalised layer becomes ∂ℓ/∂s. By batch, its sums are known already."""
    table, desk = model.table, desk_of(work, d)
    width, unit = width_of(rows, desk.z), table[l, UNITS]
    if table[l, KIND] != BATCH:
        sum_products(model, norm, l, rows, work, d, delta_j, block)
    normal, delta = at(norm.normal, d * work.size + first_row(table, l) * width), at(desk.delta, delta_j)
    product, product_normal, inv_std = at(norm.product, unit), at(norm.product_normal, unit), at(norm.inv_std, unit)
    gain, top, total = at(model.params, table[l, GAINS]), at(desk.samples, TOP * width), at(desk.samples, TOTAL * width)
    call_entry(
        norm.entries[l, NORMALIZE_DELTA],
        (delta, normal, product, product_normal, inv_std, gain, top, total, table[l, N_OUT], width),
    )


@template
def forward_blocks(model, norm, dropout, apart, seed, t, group, work, first, last, ends):
    """E1: the layers from `first` on, whose s_j are there already, to `last`, of which only s_j where it not `ends`.

    The inputs are layer 0 of h, which is a where it is not `apart`. Owns a, h, the desks, and the group's blocks of
    norm.moments.
    """
    table, plan, params, packed, entries = model.table, model.plan, model.params, model.packed, model.phi
    rows, d, a, h = group.rows, group.desk, group.a, group.h
    S, size = VECTORS * lanes(h), work.size
    blocks = (rows + S - 1) // S
    zs = at(work.z, d * size)
    for l in range(max(1, first), last + 1):
        n_in, n_out = table[l, N_IN], table[l, N_OUT]
        below, here = first_row(table, l - 1), first_row(table, l)
        if norm is None or l > first:
            for k in range(blocks):
                width = width_of(rows - k * S, h)
                for s in range(width):
                    h[k * size + (below + n_in) * width + s] = 1
            W, b, b_step = at(params, table[l, WEIGHTS]), at(params, table[l, BIASES]), np.int64(1)
            if norm is not None and table[l, KIND] != PLAIN:
                b, b_step = at(model.zero, 0), np.int64(0)
            panels = at(packed, plan[l, FORWARD])
            forward_layer(W, b, b_step, panels, n_in, n_out, at(h, 0), below, zs, here, size, rows)
        for k in range(blocks):
            width, desk = width_of(rows - k * S, h), desk_of(work, d + k)
            p = k * size + here * width
            z, samples = at(zs, p), desk.samples
            top, total = at(samples, TOP * width), at(samples, TOTAL * width)
            if norm is not None:
                normalize_block(model, norm, l, rows - k * S, work, d + k, group.block + k, ends or l < last)
                if l == last and not ends:
                    continue
            if table[l, PHI] == SOFTMAX:
                call_entry(entries[l, ACTIVATION], (z, at(a, p), top, total, n_out, width))
            else:
                call_entry(entries[l, ACTIVATION], (z, at(a, p), n_out * width))
            drops = apart and (dropout[l] > 0 or (norm is None and l < last))  # where p is 0, too: the next one reads h
            if drops:
                key = dropout_key(seed, t, l)
                drop(dropout[l], key, desk.ids, view(a, p, n_out, width), view(h, p, n_out, width))
            if norm is not None:
                hand_on(
                    table, l, apart and not drops, at(a, p), at(h, p), at(h, k * size + below * width), n_out * width
                )


@template
def loss_blocks(model, data, start, group, work, step, block):
    """E2: δ_k = ∂ℓ/∂z_k times weight of the samples from `start` on, and Σ_n weight_n ℓ_n of each block.

    Owns the desks, and the step's block_loss from `block` on.
    """
    table, S = model.table, VECTORS * lanes(group.a)
    last = table.shape[0] - 1
    n_out = table[last, N_OUT]
    for k in range((group.rows + S - 1) // S):
        desk, n, rows = desk_of(work, group.desk + k), start + k * S, min(group.rows - k * S, S)
        width, samples = width_of(rows, group.a), desk.samples
        here = first_row(table, last) * width
        gather_block(data.y, data.places, n, rows, width, n_out, desk.starts, at(desk.target, 0))
        weight, top, total, ell = (
            at(samples, WEIGHT * width), at(samples, TOP * width), at(samples, TOTAL * width), at(samples, ELL * width)
        )  # fmt: skip
        z, a, y, delta = at(desk.z, here), at(group.a, k * work.size + here), at(desk.target, 0), at(desk.delta, 0)
        call_entry(model.loss, (at(model.parameters, 0), z, a, y, weight, top, total, delta, ell, n_out, width))
        L = 0.0
        for s in range(rows):
            L += samples[WEIGHT * width + s] * samples[ELL * width + s]
        work.block_loss[step, block + k] = L


@template
def backward_blocks(model, norm, dropout, seed, t, group, work, first, last):
    """E3: the layers from `first` down to the one after `last`, each ∂ℓ/∂s into its panels. That leaves δ of layer
    `last`.

    Owns the desks, whose delta has two halves in turn, and the group's part of the panels and of norm.sums.
    """
    table, plan, packed, entries = model.table, model.plan, model.packed, model.phi
    rows, d, a, block = group.rows, group.desk, group.a, group.block
    S, half = VECTORS * lanes(a), work.half
    blocks = (rows + S - 1) // S
    deltas = at(work.delta, d * 2 * half)
    for l in range(first, last, -1):
        n_in, n_out = table[l, N_IN], table[l, N_OUT]
        delta_j = (table.shape[0] - 1 - l) % 2 * half
        delta_i = half - delta_j
        if norm is not None and table[l, KIND] != PLAIN:
            for k in range(blocks):
                normalized_delta(model, norm, l, rows - k * S, work, d + k, delta_j, block + k)
        if l > 1:
            panels = at(packed, plan[l, BACKWARD])
            hidden_delta(panels, n_in, n_out, at(deltas, delta_j), at(deltas, delta_i), 2 * half, rows)
        for k in range(blocks):
            width, desk = width_of(rows - k * S, a), desk_of(work, d + k)
            n = group.first + k * S
            panel_block(desk.delta, delta_j, n_out, width, desk.starts, work.panels, plan[l, DELTA], work.capacity, n)
            if l > 1:
                here, delta = first_row(table, l - 1) * width, at(desk.delta, delta_i)
                z, a_i = at(desk.z, here), at(a, k * work.size + here)
                if norm is not None:
                    hand_back(table, norm, l, delta, (d + k) * half, n_in * width)
                call_entry(entries[l - 1, SLOPE], (z, a_i, delta, n_in * width))
                if dropout[l - 1] > 0:
                    delta_l = view(desk.delta, delta_i, n_in, width)
                    drop(dropout[l - 1], dropout_key(seed, t, l - 1), desk.ids, delta_l, delta_l)
    if norm is not None and last > 0:
        delta_j = (table.shape[0] - 1 - last) % 2 * half
        for k in range(blocks):
            sum_products(model, norm, last, rows - k * S, work, d + k, delta_j, block + k)
