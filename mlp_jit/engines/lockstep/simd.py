"""What the lanes engine's tile does here besides, where each lane is a network and every number is a vector of them:

- `tile_spread(M, V, b, p)` starts it from b[p + m·lanes : … + lanes], in each of the V vectors of row m;
- `tile_fma_lanes(tile, w, p, stride, a, q, step)` adds to vector v of row m the products, lane by lane, of
  w[p + m·stride : … + lanes] and a[q + v·step : … + lanes].
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..lanes.simd import I64, TileType, data_of, fmuladd_of, load_at, vector_of


@intrinsic(prefer_literal=True)
def tile_spread(typingctx, M, V, b, p):
    """The tile whose row m is b[p + m·lanes : … + lanes], in each of its vectors."""
    tile = TileType(b.dtype, M.literal_value, V.literal_value)

    def codegen(context, builder, signature, args):
        data = data_of(context, builder, signature.args[2], args[2])
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for m in range(tile.rows):
            row = load_at(builder, data, builder.add(args[3], I64(m * tile.lanes)), vector_of(tile.dtype))
            for v in range(tile.vectors):
                value = builder.insert_value(value, row, m * tile.vectors + v)
        return value

    return tile(M, V, b, types.intp), codegen


@intrinsic
def tile_fma_lanes(typingctx, tile, w, p, stride, a, q, step):
    """tile[m, v] + w[p + m·stride : … + lanes] · a[q + v·step : … + lanes], lane by lane, for every m and v."""

    def codegen(context, builder, signature, args):
        value, w, p, stride, a, q, step = args
        w_data, a_data = (
            data_of(context, builder, signature.args[1], w),
            data_of(context, builder, signature.args[4], a),
        )
        vector = vector_of(tile.dtype)
        fmuladd = fmuladd_of(builder, tile.dtype)
        columns = [
            load_at(builder, a_data, builder.add(q, builder.mul(step, I64(v))), vector) for v in range(tile.vectors)
        ]
        for m in range(tile.rows):
            row = load_at(builder, w_data, builder.add(p, builder.mul(stride, I64(m))), vector)
            for v in range(tile.vectors):
                k = m * tile.vectors + v
                total = builder.call(fmuladd, [row, columns[v], builder.extract_value(value, k)])
                value = builder.insert_value(value, total, k)
        return value

    return tile(tile, w, types.intp, types.intp, a, types.intp, types.intp), codegen
