"""E1 for few samples: here a lane is a unit, and neither samples nor weights are moved before they are used.

The samples lie row after row, as they came, and W as it is. z_j sums the same products in the same order as on the
tiles whose lanes are samples, and φ is the same, so a row's outputs have the same bits on either path.
"""

import numpy as np

from ..._jit import Place, Size, kernel, routine, run, template
from ..._math import exp, larger
from ...activations import SOFTMAX
from ..layout import PHI, PLAIN
from ..plan import Plan
from . import normal_blocks, routines
from .caches import largest_weights
from .job import FIELDS, LAYER, Job, Record, address_of, job_at, layer_at, layer_records, only_compiled
from .simd import REGISTERS, at, lanes, tile_fma_part, tile_load, tile_store_part
from .subnormals import flush_subnormals, restore

SAMPLES, VECTORS = (4 if REGISTERS == 32 else 2), 4  # of a tile: samples, and vectors of units
VECTOR = 32  # bytes that φ takes at a time
CHUNK = 64  # rows that go through all layers together
MOST_ROWS, MOST_BYTES = 1000, 2**25  # rows, and rows times the largest W's bytes, up to which it outruns the tiles


# --------------------------------------------------------------------------------------- E1


@template
def tile_forward(M, V, W, b, n_in, n_out, a, z, columns):
    """E1: z_j = b_j + Σ_i w_ij a_i for M samples and `columns` units j, at most V · lanes, which it alone writes."""
    z_j = tile_load(M, V, b, 0, 0, M, columns)  # b_j
    for i in range(n_in):
        z_j = tile_fma_part(z_j, a, i, n_in, W, i * n_out, columns)
    tile_store_part(z_j, z, 0, n_out, M, columns)


@routine
def forward_samples(W: Place, b: Place, n_in: Size, n_out: Size, a: Place, z: Place, rows: Size) -> None:
    """E1: z_j = b_j + Σ_i w_ij a_i for each sample. W (n_in, n_out), b (n_out,), a (rows, n_in); z (rows, n_out) is
    written.
    """
    L = lanes(W)
    j = 0
    while j < n_out:
        columns, wide = min(n_out - j, VECTORS * L), n_out - j > L
        W_j, b_j, n = at(W, j), at(b, j), 0
        while n < rows:
            a_n, z_n = at(a, n * n_in), at(z, n * n_out + j)
            if rows - n >= SAMPLES:
                if wide:
                    tile_forward(SAMPLES, VECTORS, W_j, b_j, n_in, n_out, a_n, z_n, columns)
                else:
                    tile_forward(SAMPLES, 1, W_j, b_j, n_in, n_out, a_n, z_n, columns)
                n += SAMPLES
            else:
                if wide:
                    tile_forward(1, VECTORS, W_j, b_j, n_in, n_out, a_n, z_n, columns)
                else:
                    tile_forward(1, 1, W_j, b_j, n_in, n_out, a_n, z_n, columns)
                n += 1
        j += VECTORS * L


# --------------------------------------------------------------------------------------- all layers


@kernel
def layer_few(job, l, h, rows, z, a, scratch):
    """E1: z and a of layer l for the rows of h; E7 where it is normalised, with scratch for `normalize_few`."""
    layer, item = layer_at(job.layers, l), job.item
    normalized = layer.batch + layer.layer > 0
    b = job.zero if normalized else job.params + item * layer.biases
    run(job.forward_layer, job.params + item * layer.weights, b, layer.n_in, layer.n_out, h, z, rows)
    if normalized:
        run(job.normalize_block, job, l, z, scratch, rows)
    if layer.softmax:
        run(layer.activate, z, a, layer.n_out, rows)
    else:
        count = layer.n_out * rows
        if l < job.top:  # into scratch: whole vectors, as a loop's last numbers are the slowest
            count = (count + job.vector - 1) & -job.vector
        run(layer.activate, z, a, count)


@routine
def forward_few(job: Job, X: Size, rows: Size, scratch: Size, out: Size) -> None:
    """E1: all layers, for the rows of X. Scratch is for three times as many numbers as the widest layer has for them,
    and for what `normalize_few` needs.
    """
    room = job.item * rows * job.size
    z, h = scratch, X
    for l in range(1, job.top + 1):
        a = out if l == job.top else scratch + room * (1 + (l & 1))
        layer_few(job, l, h, rows, z, a, scratch + 3 * room)
        layer = layer_at(job.layers, l)
        if layer.skips:
            run(job.add, a, h, a, layer.n_out * rows)
        h = a


@routine
def normalize_few(job: Job, l: Size, z: Size, scratch: Size, rows: Size) -> None:
    """E7: z of each sample, which held s before; by batch with the running statistics."""
    layer, item = layer_at(job.layers, l), job.item
    units, mean = layer.n_out, job.state + item * layer.running
    normal, inv_std = scratch, scratch + item * (units + 1)
    if layer.batch:
        run(job.known_moments, mean, units, inv_std)
    b, gain = job.params + item * layer.biases, job.params + item * layer.gains
    for n in range(rows):
        run(layer.normalize, z + item * n * units, normal, mean, inv_std, gain, b, inv_std + item * units, units, 1)


@routine
def softmax_few(z: Place, a: Place, outputs: Size, rows: Size) -> None:
    """E1: a_k = e^(z_k) / Σ_m e^(z_m) of each sample, as `activations.softmax` has it."""
    for p in range(0, rows * outputs, outputs):
        top, total = z[p], type(z[p])(0)
        for k in range(p + 1, p + outputs):
            top = larger(top, z[k])
        for k in range(p, p + outputs):
            a[k] = exp(z[k] - top)
        for k in range(p, p + outputs):
            total += a[k]
        for k in range(p, p + outputs):
            a[k] /= total


@kernel
def enter_few(record, X, scratch, out):
    """layout: `forward_few` for the job of this record, CHUNK rows at a time."""
    job, mode = job_at(address_of(record), 0), flush_subnormals()
    for n in range(0, X.shape[0], CHUNK):
        x, y = address_of(X) + job.item * n * X.shape[1], address_of(out) + job.item * n * out.shape[1]
        run(job.program, job, x, min(CHUNK, X.shape[0] - n), address_of(scratch), y)
    restore(mode)


# --------------------------------------------------------------------------------------- from Python


def most_rows(plan: Plan) -> int:
    """For how many rows this is the faster way: few for wide layers, whose W each sample reads once more."""
    return min(MOST_ROWS, MOST_BYTES // largest_weights(plan))


def widest(plan: Plan) -> int:
    """The units of the widest layer, in whole vectors."""
    vector = VECTOR // plan.dtype.itemsize
    return -(-max(plan.sizes[1:]) // vector) * vector


class Predictor:
    """A plan's job for `forward_few`: addresses and sizes alone, nothing that depends on the parameters' values."""

    def __init__(self, plan: Plan) -> None:
        only_compiled()
        self.dtype, self.outputs = plan.dtype, plan.sizes[-1]
        self.widest, self.most_rows = widest(plan), most_rows(plan)
        self.job = Record(np.zeros(len(FIELDS), np.int64))
        zero = np.zeros(self.widest, plan.dtype)
        self.job.keep(layers=self._layers(plan), params=plan.params, state=plan.state, zero=zero)
        self.job.set(
            item=plan.dtype.itemsize, vector=VECTOR // plan.dtype.itemsize, top=len(plan.sizes) - 1, size=self.widest,
            program=forward_few.address(),
            forward_layer=forward_samples.address(plan.dtype),
        )  # fmt: skip
        if any(plan.kinds):
            known = normal_blocks.known_moments.address(plan.dtype)
            self.job.set(normalize_block=normalize_few.address(), known_moments=known)
        if plan.skips:
            self.job.set(add=normal_blocks.add.address(plan.dtype))

    @staticmethod
    def _layers(plan: Plan) -> np.ndarray:
        layers = layer_records(plan)
        records = layers.view(LAYER)[:, 0]
        for l, (phi, kind) in enumerate(zip(plan.table[1:, PHI].tolist(), plan.kinds[1:], strict=True), start=1):
            activate = softmax_few if phi == SOFTMAX else routines.activation(phi)
            records["activate"][l] = activate.address(plan.dtype)
            if kind != PLAIN:
                records["normalize"][l] = routines.normalization(kind).address(plan.dtype)
        return layers

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """The outputs (N, outputs) for X (N, inputs)."""
        rows = len(X)
        out = np.empty((rows, self.outputs), self.dtype)
        enter_few(self.job.numbers, X, np.empty((3 * min(rows, CHUNK) + 2) * self.widest + 2, self.dtype), out)
        return out
