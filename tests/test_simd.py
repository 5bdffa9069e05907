"""The register tile, and what moves numbers: each in a small kernel against NumPy, sentinels around what is written."""

import itertools
import math
import platform

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest

from mlp_jit import _jit
from mlp_jit.engines.lanes.simd import (
    NEURONS,
    REGISTERS,
    VECTOR_BYTES,
    VECTORS,
    at,
    copy_row,
    lanes,
    lanes_of,
    stretch,
    tile_fma,
    tile_fma_part,
    tile_load,
    tile_rows,
    tile_store,
    tile_store_part,
    tile_zero,
    transpose,
    view,
)

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="intrinsics exist only compiled")
each_dtype = pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")], ids=str)
RNG = np.random.default_rng(0)
ROWS = (1, 2, NEURONS)
SENTINEL = 7.0


def drawn(size, dtype):
    """Small whole numbers, so that every sum and product is exact."""
    return RNG.integers(-9, 10, size).astype(dtype)


def sentinels(size, dtype):
    return np.full(size, SENTINEL, dtype)


# --------------------------------------------------------------------------------------- tiles


@_jit.template
def make_products(M, V, w, p, stride, a, q, count, bias, given, out, place, rows, columns, start):
    """math: Σ over `count` of outer products on a tile of each kind of start; stored whole where columns is 0."""
    if start == 0:
        tile = tile_zero(M, V, out)
    elif start == 1:
        tile = tile_rows(M, V, bias, 1)
    else:
        tile = tile_load(M, V, given, 2, V * lanes(out) + 3, rows, start)
    for k in range(count):
        if columns == 0:
            tile = tile_fma(tile, w, p + k, stride, a, q + k * V * lanes(a))
        else:
            tile = tile_fma_part(tile, w, p + k, stride, a, q + k * V * lanes(a), columns)
    if columns == 0:
        tile_store(tile, out, place, V * lanes(out) + 5)
    else:
        tile_store_part(tile, out, place, V * lanes(out) + 5, rows, columns)


@_jit.kernel
def products(M, V, w, p, stride, a, q, count, bias, given, out, place, rows, columns, start):
    """math: `make_products` for a tile of M rows and V vectors, which have to be literals."""
    if M == 1 and V == 1:
        make_products(1, 1, w, p, stride, a, q, count, bias, given, out, place, rows, columns, start)
    elif M == 1:
        make_products(1, 2, w, p, stride, a, q, count, bias, given, out, place, rows, columns, start)
    elif M == 2 and V == 1:
        make_products(2, 1, w, p, stride, a, q, count, bias, given, out, place, rows, columns, start)
    elif M == 2:
        make_products(2, 2, w, p, stride, a, q, count, bias, given, out, place, rows, columns, start)
    elif V == 1:
        make_products(NEURONS, 1, w, p, stride, a, q, count, bias, given, out, place, rows, columns, start)
    else:
        make_products(NEURONS, 2, w, p, stride, a, q, count, bias, given, out, place, rows, columns, start)


@each_dtype
@pytest.mark.parametrize("V", [1, VECTORS])
@pytest.mark.parametrize("M", ROWS)
def test_a_tile_is_a_sum_of_outer_products(M, V, dtype):
    """From zero, from a bias and from a part of memory that was there; stored whole, and up to every row and column."""
    width, count, place, p, q = V * lanes_of(dtype), 3, 4, 5, 6
    stride, between = count + 2, width + 5
    w, a, bias = drawn(p + M * stride, dtype), drawn(q + count * width, dtype), drawn(1 + M, dtype)
    given = drawn(2 + M * (width + 3), dtype)
    sums = np.array([w[p + m * stride :][:count] for m in range(M)]) @ a[q:].reshape(count, width)
    for columns, start in itertools.product(range(width + 1), (0, 1, 2, width - 1, width)):
        before = np.zeros((M, width), dtype)
        kept = M - (columns % 3 if columns and M > 2 else 0)  # rows
        if start == 1:
            before += bias[1:, None]
        elif start > 1:
            before[:kept, :start] = given[2:].reshape(M, width + 3)[:kept, :start]
        out = sentinels(place + M * between + 9, dtype)
        expected = out.copy()
        rows = expected[place : place + M * between].reshape(M, between)
        rows[:kept, : columns or width] = (before + sums)[:kept, : columns or width]
        products(M, V, w, p, stride, a, q, count, bias, given, out, place, kept, columns, start)
        np.testing.assert_array_equal(out, expected, f"{columns} columns, start {start}")


@_jit.kernel
def one_product(w, a, c, out):
    """math: c + w a, through the places of their first numbers."""
    tile_store(tile_fma(tile_rows(1, 1, at(c, 0), 0), at(w, 0), 0, 1, at(a, 0), 0), at(out, 0), 0, 0)


@each_dtype
def test_a_tile_takes_places_for_arrays(dtype):
    L = lanes_of(dtype)
    w, a, c, out = drawn(3, dtype), drawn(3 + L, dtype), drawn(3, dtype), sentinels(6 + L, dtype)
    one_product(w[1:], a[3:], c[2:], out[5:])
    np.testing.assert_array_equal(out[5 : 5 + L], c[2] + w[1] * a[3 : 3 + L])
    assert (out[:5] == SENTINEL).all()
    assert (out[5 + L :] == SENTINEL).all()


@each_dtype
@pytest.mark.skipif(
    not llvm.get_host_cpu_features().get("fma") and platform.machine() not in ("aarch64", "arm64"),
    reason="this CPU has no fused multiply-add",
)
def test_multiply_adds_are_fused(dtype):
    """(1 + ε)(1 − ε) − 1 is −ε² exactly, and 0 where the product is rounded first."""
    eps, out = np.finfo(dtype).eps, np.zeros(lanes_of(dtype), dtype)
    one_product(np.array([1 + eps], dtype), np.full(out.size, 1 - eps, dtype), np.array([-1], dtype), out)
    np.testing.assert_array_equal(out, -(eps**2))


# --------------------------------------------------------------------------------------- moving numbers


@_jit.kernel
def turned(source, rows, r, q, columns, out, p, stride, jump):
    """layout: calls `transpose`."""
    transpose(source, rows, r, q, columns, out, p, stride, jump)


@_jit.kernel
def turned_together(source, rows, r, q, columns, out, p, stride):
    """layout: calls `transpose` with a literal 0."""
    transpose(source, rows, r, q, columns, out, p, stride, 0)


@each_dtype
@pytest.mark.parametrize("further", [0, 3])
def test_transpose(further, dtype):
    """Any number of columns, up to a square's and beyond; its pieces of NEURONS rows one after the other, or apart."""
    L, r, q, p = lanes_of(dtype), 2, 3, 4
    piece = min(L, NEURONS)
    width = q + L + 2
    source = drawn((r + L) * width, dtype)
    rows = RNG.permutation(r + L) * width
    jump = NEURONS + further
    stride = L // piece * jump + 1
    square = np.array([source[rows[r + s] + q :][:L] for s in range(L)])
    for columns in range(-1, L + 3):
        out = sentinels(p + L * stride + 9, dtype)
        expected = out.copy()
        for c, s in itertools.product(range(min(max(columns, 0), L)), range(L)):
            expected[p + c * stride + s // piece * jump + s % piece] = square[s, c]
        turned(source, rows, r, q, columns, out, p, stride, jump)
        np.testing.assert_array_equal(out, expected, f"{columns} columns")
        if further == 0:
            out[:] = SENTINEL
            turned_together(source, rows, r, q, columns, out, p, stride)
            np.testing.assert_array_equal(out, expected, f"{columns} columns")


@_jit.kernel
def moved(source, q, out, p):
    """layout: calls `copy_row`."""
    copy_row(source, q, out, p)


@each_dtype
def test_copy_row(dtype):
    source, out = drawn(NEURONS + 9, dtype), sentinels(NEURONS + 9, dtype)
    expected = out.copy()
    expected[5 : 5 + NEURONS] = source[3 : 3 + NEURONS]
    moved(source, 3, out, 5)
    np.testing.assert_array_equal(out, expected)


@_jit.kernel
def doubled(flat, p, rows, columns):
    """layout: 2 x + the index of the column, once through a view and once through a stretch."""
    matrix = view(flat, p, rows, columns)
    for m in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            matrix[m, j] = 2 * matrix[m, j] + j
    part = stretch(flat, p, rows * columns)
    total = 0.0
    for k in range(part.size):
        total += part[k]
    return total, matrix.T[columns - 1, rows - 1], part[part.size - 1]


@each_dtype
def test_view_and_stretch(dtype):
    for rows, columns in ((1, 1), (1, 5), (4, 1), (3, 5)):
        flat = drawn(40, dtype)
        expected = flat.copy()
        inside = expected[7 : 7 + rows * columns].reshape(rows, columns)
        inside[...] = 2 * inside + np.arange(columns)
        total, corner, last = doubled(flat, 7, rows, columns)
        np.testing.assert_array_equal(flat, expected)
        assert (total, corner, last) == (inside.sum(), inside[-1, -1], inside[-1, -1])


@_jit.kernel
def count_lanes(a):
    """math: calls `lanes`."""
    return lanes(a)


@each_dtype
def test_lanes_fill_a_register(dtype):
    assert count_lanes(np.zeros(1, dtype)) == lanes_of(dtype) == VECTOR_BYTES // dtype.itemsize
    assert math.log2(lanes_of(dtype)).is_integer()
    assert VECTORS * NEURONS == REGISTERS // 2
