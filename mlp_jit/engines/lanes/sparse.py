"""E1 and E4 of the first layer where X is sparse (CSR): the loops over i go over what is there.

Here a lane is a unit, as in `few.py`: a sample's z_j take the rows of W that it has numbers for, and a row of ∂L/∂W
takes the δ_j of the samples that have a number for it. For that the numbers of a chunk are sorted by columns, with b as
a last column of ones. The sums take their terms in the order of the tiles, whose multiply-adds they share, and leave
out those that are 0, so the bits are those of a dense X, but for −0 (−0 + 0 is 0).

E6 moves every weight in each step where it would for a dense X, in one pass over θ, g and the moments: to catch up with
it later could save no pass where there is L2, since each step's loss needs Σ w². Where a gradient of 0 changes nothing
(`Optimizer.rests`), the rows that no sample of a batch has a number for are left alone.
"""

from functools import cache
from typing import Annotated, Any

import numpy as np
from numba import from_dtype, types

from ..._jit import Integers, Place, Routine, Size, routine, run, template
from ...optimizers import COEFFICIENTS
from .job import WORD, Job, integers, layer_at, task_at
from .phases import WEIGHT, blocks_of, chunk_of, width_of
from .simd import VECTORS, at, lanes, tile_fma, tile_fma_part, tile_load, tile_store_part, tile_zero

WIDE, NARROW = 8, 4  # vectors of units of a tile


# --------------------------------------------------------------------------------------- E1


@template
def tile_forward(V, W, b, n_out, x, indices, first, last, z, columns):
    """E1: z_j = b_j + Σ_i w_ij x_i for a sample and `columns` units j, at most V · lanes, which it alone writes."""
    z_j = tile_load(1, V, b, 0, 0, 1, columns)  # b_j
    for p in range(first, last):
        z_j = tile_fma_part(z_j, x, p, 0, W, indices[p] * n_out, columns)
    tile_store_part(z_j, z, 0, 0, 1, columns)


@cache
def forward(index: Any) -> Routine:
    """E1 for indices of this dtype."""
    Indices: Any = Annotated[Any, types.CPointer(from_dtype(index))]

    @routine
    def forward_samples(
        x: Place, indices: Indices, indptr: Indices, W: Place, b: Place, n_out: Size, places: Integers, start: Size,
        rows: Size, z: Place,
    ) -> None:  # fmt: skip
        """E1: z_j = b_j + Σ_i w_ij x_i over the x_i that are there, for the samples places[start], …

        W (n_in, n_out), b (n_out,); z (rows, n_out) is written.
        """
        L = lanes(W)
        for n in range(rows):
            first, last = indptr[places[start + n]], indptr[places[start + n] + 1]
            j = 0
            while j < n_out:
                left = n_out - j
                W_j, b_j, z_j = at(W, j), at(b, j), at(z, n * n_out + j)
                if left > NARROW * L:
                    tile_forward(WIDE, W_j, b_j, n_out, x, indices, first, last, z_j, min(left, WIDE * L))
                elif left > L:
                    tile_forward(NARROW, W_j, b_j, n_out, x, indices, first, last, z_j, left)
                else:
                    tile_forward(1, W_j, b_j, n_out, x, indices, first, last, z_j, left)
                j += WIDE * L

    return forward_samples


@routine
def load_nonzeros(job: Job, start: Size, rows: Size, step: Size, desk: Size, h: Size) -> None:
    """E1: the first layer's sums of the samples from `start` on, before `phases.forward_blocks`; weights over N."""
    S, item, layer = job.S, job.item, layer_at(job.layers, 1)
    W, b = job.params + item * layer.weights, job.params + item * layer.biases
    if layer.batch + layer.layer > 0:
        b = job.zero
    for k in range(blocks_of(job, rows)):
        width, d, here = width_of(job, rows - k * S), desk + k, min(rows - k * S, S)
        by_sample, starts = job.delta + item * d * 2 * job.half, job.starts + WORD * d * S
        run(
            job.forward_nonzeros, job.X, job.indices, job.indptr, W, b, layer.n_out, job.places, start + k * S, here,
            by_sample,
        )  # fmt: skip
        z = job.z + item * (d * job.size + layer.first * width)
        run(job.gather_block, by_sample, job.sequence, 0, here, width, layer.n_out, starts, z)
        run(
            job.weigh_block, job.sample_weight, job.order, job.places, start + k * S, here, width, job.N + WORD * step,
            job.ids + WORD * d * S, job.of_samples + item * (d * 4 * S + WEIGHT * width),
        )  # fmt: skip


# --------------------------------------------------------------------------------------- by columns


@cache
def columns(index: Any) -> Routine:
    """Sorting by columns for indices of this dtype."""
    Indices: Any = Annotated[Any, types.CPointer(from_dtype(index))]

    @routine
    def sort_samples(
        x: Place, indices: Indices, indptr: Indices, places: Integers, start: Size, rows: Size, n_in: Size,
        count: Integers, first: Integers, touched: Integers, sample: Integers, value: Place,
    ) -> None:  # fmt: skip
        """layout: the numbers of the samples places[start], … column by column, each column in the order of samples.

        Those of column i are the count[i] from first[i] on: value[q] of the sample[q]-th. `touched` names the columns
        that have any: how many, then which; from the last call, too, whose counts are set back. b is column n_in.
        """
        for k in range(1, touched[0] + 1):
            count[touched[k]] = 0
        touched[0], touched[1], count[n_in] = 1, n_in, rows
        for n in range(start, start + rows):
            for p in range(indptr[places[n]], indptr[places[n] + 1]):
                i = indices[p]
                if count[i] == 0:
                    touched[0] += 1
                    touched[touched[0]] = i
                count[i] += 1
        q = 0
        for k in range(1, touched[0] + 1):
            i = touched[k]
            first[i] = q
            q += count[i]
            count[i] = 0
        for n in range(rows):
            place = places[start + n]
            for p in range(indptr[place], indptr[place + 1]):
                i = indices[p]
                q = first[i] + count[i]
                sample[q], value[q] = n, x[p]
                count[i] += 1
            q = first[n_in] + n
            sample[q], value[q] = n, 1
        count[n_in] = rows

    return sort_samples


@routine
def sort_chunk(job: Job, step: Size, chunk: Size) -> None:
    """layout: what the weights phase reads of a chunk of samples, sorted by columns."""
    start, rows = chunk_of(job, step, chunk)
    run(
        job.sort_samples, job.X, job.indices, job.indptr, job.places, start, rows, layer_at(job.layers, 1).n_in,
        job.count, job.begin, job.touched, job.sample, job.value,
    )  # fmt: skip


# --------------------------------------------------------------------------------------- E4


@template
def tile_gradient(V, x, sample, first, last, delta, g, columns, adds):
    """E4: Σ_n x_n δ_nj over the numbers of a column for at most V · lanes units j, added to g where `adds`; it alone
    writes g.
    """
    if adds:
        total = tile_load(1, V, g, 0, 0, 1, columns)
    else:
        total = tile_zero(1, V, g)
    for p in range(first, last):
        total = tile_fma(total, x, p, 0, delta, sample[p] * V * lanes(g))
    tile_store_part(total, g, 0, 0, 1, columns)


@routine
def nonzero_gradient(
    i_0: Size, i_1: Size, count: Integers, begin: Integers, sample: Integers, x: Place, delta: Place, capacity: Size,
    g: Place, n_out: Size, adds: Size,
) -> None:  # fmt: skip
    """E4: Σ_n x_n δ_nj over the samples that have a number in column i, for i_0 <= i < i_1 and all j; b's is E5.

    Places: δ's panels for `capacity` samples (with the 1/N of the mean in them), and g (i_1 − i_0, n_out), which is
    written. The numbers are sorted by columns, see `sort_samples`.
    """
    V = VECTORS * lanes(x)
    for i in range(i_0, i_1):
        g_i, first, last = at(g, (i - i_0) * n_out), begin[i], begin[i] + count[i]
        if count[i] > 0:
            for j in range(0, n_out, V):
                wanted, delta_j, g_j = min(n_out - j, V), at(delta, j * capacity), at(g_i, j)
                if wanted > lanes(x):
                    tile_gradient(2, x, sample, first, last, delta_j, g_j, wanted, adds)
                else:
                    tile_gradient(1, x, sample, first, last, delta_j, g_j, wanted, adds)
        elif adds == 0:
            for j in range(n_out):
                g_i[j] = 0


@routine
def rows_gradient(job: Job, i_0: Size, i_1: Size, g: Size, adds: Size) -> None:
    """E4: `nonzero_gradient` of some rows of the first layer's W, into g."""
    layer = layer_at(job.layers, 1)
    run(
        job.nonzero_gradient, i_0, i_1, job.count, job.begin, job.sample, job.value,
        job.panels + job.item * layer.delta, job.capacity, g, layer.n_out, adds,
    )  # fmt: skip


@routine
def step_touched(job: Job, step: Size, task: Size, theta: Size, g: Size) -> None:
    """E6: E4 to E6 of those of a task's rows of the first layer's W that some sample of the batch has a number for."""
    item, mine, layer, count = job.item, task_at(job.tasks, task), layer_at(job.layers, 1), integers(job.count)
    c = job.c + item * step * COEFFICIENTS
    for i in range(mine.first, mine.last):
        if count[i] > 0:
            p = item * (i - mine.first) * layer.n_out
            q = item * (layer.weights + i * layer.n_out)
            run(job.rows_gradient, job, i, i + 1, g, 0)
            if job.clips:
                run(job.clip, g, layer.n_out, job.clip_value)
            run(job.optimizer_step, theta + p, g, job.m + q, job.v + q, c, layer.n_out)


# --------------------------------------------------------------------------------------- as Python fills it in


def most_numbers(indptr: np.ndarray, rows: int) -> int:
    """How many numbers so many rows of a CSR matrix have at most."""
    lengths = np.diff(indptr)
    if rows >= lengths.size:
        return int(indptr[-1])
    return int(np.partition(lengths, lengths.size - rows)[-rows:].sum(dtype=np.int64))
