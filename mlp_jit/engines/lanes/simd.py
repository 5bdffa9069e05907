"""The register tile of the lanes engine: a small block of accumulators that stays in vector registers.

A tile has M rows of V vectors of `lanes` numbers. To Numba it is a value whose data model is an LLVM array of
vectors, so a loop that only adds to it keeps it in registers:

- `tile_zero(M, V, out)` starts it from 0; `tile_rows(M, V, b, p)` from b[p + m] in every lane of row m; and
  `tile_load(M, V, x, p, stride, rows, count)` from x[p + m·stride : … + count], 0 in the lanes and rows behind;
- `tile_fma(tile, w, p, stride, a, q)` adds w[p + m·stride] · a[q : q + V·lanes] to row m: the heart of E1, E3 and E4;
- `tile_store(tile, x, p, stride)` writes whole rows, `tile_store_part(tile, x, p, stride, rows, count)` `count`
  lanes of the first `rows`.

`row_sum`, `row_dot` and `row_squares` sum over a row, `transpose` turns a square of numbers in registers, `copy_row`
moves NEURONS of them, and `view` makes an array of a part of a flat one without a reference count. M and V reach
the intrinsics as literals where every function between is compiled into its caller (`_jit.template`).

The vector's width and the tile's shape follow the CPU that Numba compiles for (`NUMBA_CPU_NAME`). Multiply-adds are
`llvm.fmuladd`: one fused instruction where the CPU has it, two where it has not, never a call, and no other freedom to
round: every copy of a function gives the same bits. Intrinsics exist only compiled (not with NUMBA_DISABLE_JIT=1).
"""

from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model

I32, I64 = ir.IntType(32), ir.IntType(64)
PROBE = """
define <16 x float> @probe(<16 x float> %a, <16 x float> %b) {
  %c = fadd <16 x float> %a, %b
  ret <16 x float> %c
}
"""


def _registers() -> tuple[int, int]:
    """(bytes in a vector register, how many there are), read off what LLVM makes of one addition for Numba's target."""
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    assembly = machine.emit_assembly(llvm.parse_assembly(PROBE))
    if "zmm" in assembly:
        return 64, 32
    if "ymm" in assembly:
        return 32, 16
    return 16, 32 if triple.startswith(("aarch64", "arm64")) else 16


VECTOR_BYTES, REGISTERS = _registers()
VECTORS = 2  # vectors in a row of a tile: with NEURONS rows, two loads serve 2·NEURONS multiply-adds
NEURONS = 8 if REGISTERS == 32 else 4  # rows of a tile: it fills half of the registers


def lanes_of(dtype: np.dtype) -> int:
    """How many numbers of this dtype a vector register holds."""
    return VECTOR_BYTES // dtype.itemsize


@intrinsic
def lanes(typingctx, a):
    """How many numbers of the array's dtype a vector register holds, as a constant of the compiled code."""
    count = VECTOR_BYTES // (a.dtype.bitwidth // 8)
    return types.intp(a), lambda context, builder, signature, args: I64(count)


# ------------------------------------------------------------------------------------- the type


class TileType(types.Type):
    """M rows of V vectors. The vector's width is part of the name, so that a cache made for another CPU is not used."""

    def __init__(self, dtype: types.Float, rows: int, vectors: int) -> None:
        self.dtype, self.rows, self.vectors = dtype, rows, vectors
        self.lanes = VECTOR_BYTES // (dtype.bitwidth // 8)
        super().__init__(f"Tile({dtype}, {rows}, {vectors}, {self.lanes})")


@register_model(TileType)
class TileModel(models.PrimitiveModel):
    """An LLVM array of vectors, row after row."""

    def __init__(self, dmm: Any, tile: TileType) -> None:
        super().__init__(dmm, tile, ir.ArrayType(vector_of(tile.dtype), tile.rows * tile.vectors))


def vector_of(dtype: types.Float, count: int | None = None) -> ir.VectorType:
    number = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(number, count or VECTOR_BYTES // (dtype.bitwidth // 8))


def data_of(context, builder, array_type, array):
    """Where the numbers of an array or of an `at` start."""
    if isinstance(array_type, types.CPointer):
        return array
    return context.make_array(array_type)(context, builder, array).data


def _at(builder, data, index, vector):
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def load_at(builder, data, index, vector):
    loaded = builder.load(_at(builder, data, index, vector))
    loaded.align = 4
    return loaded


def fmuladd_of(builder, dtype):
    """LLVM's multiply-add of vectors: three of them to one."""
    vector = vector_of(dtype)
    name = f"llvm.fmuladd.v{vector.count}f{dtype.bitwidth}"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)


def store_at(builder, value, data, index):
    builder.store(value, _at(builder, data, index, value.type)).align = 4


def _splat(builder, scalar, vector):
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, I32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count))


def _mask(builder, vector, count):
    """True in the first `count` lanes."""
    integers = ir.VectorType(I64, vector.count)
    return builder.icmp_signed("<", ir.Constant(integers, list(range(vector.count))), _splat(builder, count, integers))


def _masked(builder, name, result, arguments, vector):
    """Call llvm.masked.load or llvm.masked.store."""
    bits = 32 if isinstance(vector.element, ir.FloatType) else 64
    kind = f"v{vector.count}f{bits}"
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.masked.{name}.{kind}.p0{kind}")
    return builder.call(function, arguments)


def _load_part(builder, data, index, vector, count):
    arguments = [_at(builder, data, index, vector), I32(4), _mask(builder, vector, count), ir.Constant(vector, None)]
    return _masked(builder, "load", vector, arguments, vector)


def _store_part(builder, value, data, index, count):
    vector = value.type
    arguments = [value, _at(builder, data, index, vector), I32(4), _mask(builder, vector, count)]
    _masked(builder, "store", ir.VoidType(), arguments, vector)


# ------------------------------------------------------------------------------------- tiles


@intrinsic(prefer_literal=True)
def tile_zero(typingctx, M, V, like):
    """A tile of zeros with the dtype of the array `like`."""
    tile = TileType(like.dtype, M.literal_value, V.literal_value)

    def codegen(context, builder, signature, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(M, V, like), codegen


@intrinsic(prefer_literal=True)
def tile_rows(typingctx, M, V, b, p):
    """The tile whose row m is b[p + m] in every lane."""
    tile = TileType(b.dtype, M.literal_value, V.literal_value)

    def codegen(context, builder, signature, args):
        data = data_of(context, builder, signature.args[2], args[2])
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for m in range(tile.rows):
            number = builder.load(builder.gep(data, [builder.add(args[3], I64(m))]))
            row = _splat(builder, number, vector_of(tile.dtype))
            for v in range(tile.vectors):
                value = builder.insert_value(value, row, m * tile.vectors + v)
        return value

    return tile(M, V, b, types.intp), codegen


def _places(builder, tile, p, stride, rows=None, count=None):
    """(number in the tile, index of its first lane, lanes that count) for each vector."""
    for m in range(tile.rows):
        row = builder.add(p, builder.mul(stride, I64(m)))
        here = None if rows is None else builder.select(builder.icmp_signed("<", I64(m), rows), count, I64(0))
        for v in range(tile.vectors):
            left = None if here is None else builder.sub(here, I64(v * tile.lanes))
            yield m * tile.vectors + v, builder.add(row, I64(v * tile.lanes)), left


@intrinsic(prefer_literal=True)
def tile_load(typingctx, M, V, x, p, stride, rows, count):
    """The tile whose row m is x[p + m·stride : … + count], with 0 in the lanes behind, and in the rows after `rows`."""
    tile = TileType(x.dtype, M.literal_value, V.literal_value)

    def codegen(context, builder, signature, args):
        data = data_of(context, builder, signature.args[2], args[2])
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for k, index, left in _places(builder, tile, *args[3:]):
            value = builder.insert_value(value, _load_part(builder, data, index, vector_of(tile.dtype), left), k)
        return value

    return tile(M, V, x, types.intp, types.intp, types.intp, types.intp), codegen


def _multiply_add(tile, w, a, *count):
    """The signature and the code of `tile_fma` and, with a type for `count`, of `tile_fma_part`."""

    def codegen(context, builder, signature, args):
        value, w, p, stride, a, q, *count = args
        w_data, a_data = (
            data_of(context, builder, signature.args[1], w),
            data_of(context, builder, signature.args[4], a),
        )
        vector = vector_of(tile.dtype)
        fmuladd = fmuladd_of(builder, tile.dtype)
        lanes = []
        for v in range(tile.vectors):
            first = I64(v * tile.lanes)
            place = builder.add(q, first)
            if count:
                lanes.append(_load_part(builder, a_data, place, vector, builder.sub(count[0], first)))
            else:
                lanes.append(load_at(builder, a_data, place, vector))
        for m in range(tile.rows):
            number = builder.load(builder.gep(w_data, [builder.add(p, builder.mul(stride, I64(m)))]))
            factor = _splat(builder, number, vector)
            for v in range(tile.vectors):
                k = m * tile.vectors + v
                total = builder.call(fmuladd, [factor, lanes[v], builder.extract_value(value, k)])
                value = builder.insert_value(value, total, k)
        return value

    return tile(tile, w, types.intp, types.intp, a, types.intp, *count), codegen


@intrinsic
def tile_fma(typingctx, tile, w, p, stride, a, q):
    """tile[m, :] + w[p + m·stride] · a[q : q + V·lanes] for every row m."""
    return _multiply_add(tile, w, a)


@intrinsic
def tile_fma_part(typingctx, tile, w, p, stride, a, q, count):
    """tile[m, :] + w[p + m·stride] · a[q : q + count] for every row m, and 0 for a in the lanes behind."""
    return _multiply_add(tile, w, a, types.intp)


@intrinsic
def tile_store(typingctx, tile, x, p, stride):
    """x[p + m·stride : … + V·lanes] = tile[m, :] for every row m."""

    def codegen(context, builder, signature, args):
        data = data_of(context, builder, signature.args[1], args[1])
        for k, index, _ in _places(builder, tile, *args[2:]):
            store_at(builder, builder.extract_value(args[0], k), data, index)
        return context.get_dummy_value()

    return types.void(tile, x, types.intp, types.intp), codegen


@intrinsic
def tile_store_part(typingctx, tile, x, p, stride, rows, count):
    """x[p + m·stride : … + count] = the first `count` lanes of tile[m, :], for the first `rows` rows m."""

    def codegen(context, builder, signature, args):
        data = data_of(context, builder, signature.args[1], args[1])
        for k, index, left in _places(builder, tile, *args[2:]):
            _store_part(builder, builder.extract_value(args[0], k), data, index, left)
        return context.get_dummy_value()

    return types.void(tile, x, types.intp, types.intp, types.intp, types.intp), codegen


# ------------------------------------------------------------------------------------- sums of a row


def _row(builder, array_type, data, p, count):
    """x[p : p + count] in VECTORS vectors, with 0 in the lanes behind."""
    vector = vector_of(array_type.dtype)
    for v in range(VECTORS):
        first = I64(v * vector.count)
        yield _load_part(builder, data, builder.add(p, first), vector, builder.sub(count, first))


def _lanes_sum(builder, parts):
    """The sum over all lanes of some vectors, in halves: lane s with lane s + n/2, and so on."""
    total = next(parts)
    for part in parts:
        total = builder.fadd(total, part)
    n = total.type.count
    while n > 1:
        n //= 2
        low, high = (ir.Constant(ir.VectorType(I32, n), list(range(first, first + n))) for first in (0, n))
        undefined = ir.Constant(total.type, ir.Undefined)
        total = builder.fadd(
            builder.shuffle_vector(total, undefined, low), builder.shuffle_vector(total, undefined, high)
        )
    return builder.extract_element(total, I32(0))


@intrinsic
def row_sum(typingctx, x, p, count):
    """Σ_s x[p + s] over s < count, at most VECTORS · lanes numbers."""

    def codegen(context, builder, signature, args):
        data = data_of(context, builder, signature.args[0], args[0])
        return _lanes_sum(builder, _row(builder, x, data, *args[1:]))

    return x.dtype(x, types.intp, types.intp), codegen


@intrinsic
def row_dot(typingctx, x, p, y, q, count):
    """Σ_s x[p + s] · y[q + s] over s < count, at most VECTORS · lanes numbers."""

    def codegen(context, builder, signature, args):
        x_data, y_data = (data_of(context, builder, signature.args[k], args[k]) for k in (0, 2))
        _, p, _, q, count = args
        pairs = zip(_row(builder, x, x_data, p, count), _row(builder, y, y_data, q, count), strict=True)
        return _lanes_sum(builder, (builder.fmul(one, other) for one, other in pairs))

    return x.dtype(x, types.intp, y, types.intp, types.intp), codegen


@intrinsic
def row_squares(typingctx, x, p, count):
    """Σ_s x[p + s]² over s < count, at most VECTORS · lanes numbers, in float64."""

    def codegen(context, builder, signature, args):
        row = _row(builder, x, data_of(context, builder, signature.args[0], args[0]), *args[1:])
        if x.dtype == types.float32:
            row = (builder.fpext(part, ir.VectorType(ir.DoubleType(), part.type.count)) for part in row)
        return _lanes_sum(builder, (builder.fmul(part, part) for part in row))

    return types.float64(x, types.intp, types.intp), codegen


# ------------------------------------------------------------------------------------- sums of as many rows as lanes


@intrinsic
def square_zero(typingctx, like):
    """A tile of zeros with as many rows as a vector has lanes: room for a sum in each lane of each row."""
    tile = TileType(like.dtype, VECTOR_BYTES // (like.dtype.bitwidth // 8), 1)

    def codegen(context, builder, signature, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(like), codegen


@intrinsic
def square_fma(typingctx, tile, w, p, stride, rows, x, q, count):
    """tile[m, s] + w[p + m·stride + s] · x[q + s] over s < count, at most `lanes`. Row `rows` − 1 of w also serves the
    rows behind.
    """

    def codegen(context, builder, signature, args):
        value, w_data, p, stride, rows, x_data, q, count = args
        vector = vector_of(tile.dtype)
        fmuladd = fmuladd_of(builder, tile.dtype)
        factor, last = _load_part(builder, x_data, q, vector, count), builder.sub(rows, I64(1))
        for m in range(tile.rows):
            here = builder.select(builder.icmp_signed("<", I64(m), last), I64(m), last)
            row = _load_part(builder, w_data, builder.add(p, builder.mul(stride, here)), vector, count)
            total = builder.call(fmuladd, [row, factor, builder.extract_value(value, m)])
            value = builder.insert_value(value, total, m)
        return value

    index, place = types.intp, types.CPointer(tile.dtype)
    return tile(tile, place, index, index, index, place, index, index), codegen


@intrinsic
def square_sums(typingctx, tile, x, p, count):
    """x[p + m] = Σ_s tile[m, s] for the first `count` rows m: squares of half the size are added, and again."""

    def codegen(context, builder, signature, args):
        value, data, p, count = args
        parts, n = [builder.extract_value(value, m) for m in range(tile.rows)], tile.rows
        half = n // 2
        while half:  # lane s of a part then belongs to row s & half of the pair, and of what was paired before
            low = ir.Constant(ir.VectorType(I32, n), [s if s & half == 0 else n + s - half for s in range(n)])
            high = ir.Constant(ir.VectorType(I32, n), [s + half if s & half == 0 else n + s for s in range(n)])
            pairs = zip(parts[:half], parts[half:], strict=True)
            parts = [builder.fadd(*(builder.shuffle_vector(a, b, k) for k in (low, high))) for a, b in pairs]
            half //= 2
        _store_part(builder, parts[0], data, p, count)
        return context.get_dummy_value()

    return types.void(tile, types.CPointer(tile.dtype), types.intp, types.intp), codegen


# ------------------------------------------------------------------------------------- moving numbers


@intrinsic(prefer_literal=True)
def transpose(typingctx, source, rows, r, q, columns, out, p, stride, jump):
    """A square, turned: source[rows[r + s] + q + c] to out[p + c·stride + s], for `lanes` rows s and `columns`
    columns c.

    `columns` may exceed the square's. Every NEURONS rows s (where the square has more) go `jump` apart instead of
    NEURONS, which is how the panels of E3 lie; a literal 0 keeps them together.
    """
    together = isinstance(jump, types.IntegerLiteral)

    def codegen(context, builder, signature, args):
        source_data, row_data, out_data = (data_of(context, builder, signature.args[k], args[k]) for k in (0, 1, 5))
        _, _, r, q, columns, _, p, stride, jump = args
        vector = vector_of(source.dtype)
        n = vector.count
        v = []
        for s in range(n):
            row = builder.load(builder.gep(row_data, [builder.add(r, I64(s))]))
            v.append(_load_part(builder, source_data, builder.add(row, q), vector, columns))
        half = n // 2
        while half:  # swap the off-diagonal blocks of ever smaller squares
            low = ir.Constant(ir.VectorType(I32, n), [c if c & half == 0 else n + c - half for c in range(n)])
            high = ir.Constant(ir.VectorType(I32, n), [c + half if c & half == 0 else n + c for c in range(n)])
            for s in range(n):
                if s & half == 0:
                    x, y = v[s], v[s + half]
                    v[s], v[s + half] = builder.shuffle_vector(x, y, low), builder.shuffle_vector(x, y, high)
            half //= 2
        piece = n if together else min(n, NEURONS)
        for c in range(n):
            with builder.if_then(builder.icmp_signed("<", I64(c), columns), likely=True):
                for s in range(0, n, piece):
                    order = ir.Constant(ir.VectorType(I32, piece), list(range(s, s + piece)))
                    part = builder.shuffle_vector(v[c], ir.Constant(vector, ir.Undefined), order)
                    place = builder.add(p, builder.mul(I64(c), stride))
                    if s:
                        place = builder.add(place, builder.mul(I64(s // piece), jump))
                    store_at(builder, part, out_data, place)
        return context.get_dummy_value()

    index = types.intp
    jump = jump if together else index
    return types.void(source, rows, index, index, index, out, index, index, jump), codegen


@intrinsic
def at(typingctx, flat, p):
    """The place of flat[p], which tiles take for an array: chosen among arrays at no cost, as it counts no
    references.
    """

    def codegen(context, builder, signature, args):
        return builder.gep(data_of(context, builder, signature.args[0], args[0]), [args[1]])

    return types.CPointer(flat.dtype)(flat, types.intp), codegen


@intrinsic
def is_place(typingctx, place):
    """Whether a place is not that of address 0."""

    def codegen(context, builder, signature, args):
        return builder.icmp_unsigned("!=", builder.ptrtoint(args[0], I64), I64(0))

    return types.boolean(place), codegen


@intrinsic
def copy_row(typingctx, source, q, out, p):
    """out[p : p + NEURONS] = source[q : q + NEURONS]."""

    def codegen(context, builder, signature, args):
        source_data, out_data = (data_of(context, builder, signature.args[k], args[k]) for k in (0, 2))
        row = load_at(builder, source_data, args[1], vector_of(source.dtype, NEURONS))
        store_at(builder, row, out_data, args[3])
        return context.get_dummy_value()

    return types.void(source, types.intp, out, types.intp), codegen


@intrinsic
def view(typingctx, flat, p, rows, columns):
    """flat[p : p + rows·columns] as a (rows, columns) array. It owns nothing: `flat` must outlive it."""
    matrix = types.Array(flat.dtype, 2, "C", readonly=not getattr(flat, "mutable", True))

    def codegen(context, builder, signature, args):
        return _borrowed(context, builder, matrix, signature.args[0], args, [args[2], args[3]])

    return matrix(flat, types.intp, types.intp, types.intp), codegen


@intrinsic
def stretch(typingctx, flat, p, count):
    """flat[p : p + count]. It owns nothing: `flat` must outlive it."""
    part = types.Array(flat.dtype, 1, "C", readonly=not getattr(flat, "mutable", True))

    def codegen(context, builder, signature, args):
        return _borrowed(context, builder, part, signature.args[0], args, [args[2]])

    return part(flat, types.intp, types.intp), codegen


def _borrowed(context, builder, array_type, flat_type, args, shape):
    """An array of this type and shape at flat[p], without an owner."""
    data = builder.gep(data_of(context, builder, flat_type, args[0]), [args[1]])
    size = I64(array_type.dtype.bitwidth // 8)
    strides = [size] if len(shape) == 1 else [builder.mul(shape[1], size), size]
    array = context.make_array(array_type)(context, builder)
    context.populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return array._getvalue()
