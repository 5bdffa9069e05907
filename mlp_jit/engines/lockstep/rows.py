"""A register in the place of a number: what a textbook kernel takes here for an array holds a number of each lane.

`rows(place, size)` is such an array. Its p-th element is a whole vector register, one number a lane, and so is what
+, −, ·, /, √ and sign make of two of them. A kernel written for one network, such as those of E6, then runs for as many
networks as there are lanes, each by its own numbers; where it branches, all lanes have to agree.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, overload_attribute, register_model, type_callable

from ..lanes.simd import I64, TileType, load_at, store_at, vector_of


class RowsType(types.Type):
    """`size` vectors of numbers of one dtype, one after the other."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.row = TileType(dtype, 1, 1)
        super().__init__(f"Rows({dtype}, {self.row.lanes})")


@register_model(RowsType)
class RowsModel(models.StructModel):
    """Where they start, and how many they are."""

    def __init__(self, dmm: Any, rows: RowsType) -> None:
        super().__init__(dmm, rows, [("data", types.CPointer(rows.dtype)), ("size", types.intp)])


@intrinsic
def rows(typingctx, place, size):
    """The array of `size` vectors from this place on."""
    kind = RowsType(place.dtype)

    def codegen(context, builder, signature, args):
        made = cgutils.create_struct_proxy(kind)(context, builder)
        made.data, made.size = args
        return made._getvalue()

    return kind(place, types.intp), codegen


@intrinsic
def _size(typingctx, array):
    def codegen(context, builder, signature, args):
        return cgutils.create_struct_proxy(array)(context, builder, args[0]).size

    return types.intp(array), codegen


@overload_attribute(RowsType, "size")
def _size_of(array):
    return lambda array: _size(array)


# --------------------------------------------------------------------------------------- elements


def _place(context, builder, kind, array, p):
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return data, builder.mul(p, I64(kind.row.lanes))


@type_callable(operator.getitem)
def _type_getitem(context):
    def typer(array, p):
        if isinstance(array, RowsType) and isinstance(p, types.Integer):
            return array.row

    return typer


@type_callable(operator.setitem)
def _type_setitem(context):
    def typer(array, p, value):
        if isinstance(array, RowsType) and isinstance(p, types.Integer):
            return types.void

    return typer


@lower_builtin(operator.getitem, RowsType, types.Integer)
def _getitem(context, builder, signature, args):
    kind = signature.args[0]
    data, p = _place(context, builder, kind, *args)
    value = load_at(builder, data, p, vector_of(kind.dtype))
    return builder.insert_value(ir.Constant(context.get_value_type(kind.row), ir.Undefined), value, 0)


@lower_builtin(operator.setitem, RowsType, types.Integer, TileType)
def _setitem(context, builder, signature, args):
    kind = signature.args[0]
    data, p = _place(context, builder, kind, *args[:2])
    store_at(builder, builder.extract_value(args[2], 0), data, p)
    return context.get_dummy_value()


# --------------------------------------------------------------------------------------- arithmetic


def _lanewise(function, instruction, n):
    """Let `function` of one or two registers be this instruction, lane by lane."""

    @type_callable(function)
    def type_of(context):
        def of_one(x):
            return x if isinstance(x, TileType) else None

        def of_two(x, y):
            return x if isinstance(x, TileType) and x == y else None

        return of_one if n == 1 else of_two

    @lower_builtin(function, *[TileType] * n)
    def write(context, builder, signature, args):
        value = instruction(builder, *(builder.extract_value(x, 0) for x in args))
        return builder.insert_value(ir.Constant(args[0].type, ir.Undefined), value, 0)


def _square_root(builder, x):
    number = "f32" if isinstance(x.type.element, ir.FloatType) else "f64"
    kind = ir.FunctionType(x.type, [x.type])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{x.type.count}{number}"), [x])


def _sign(builder, x):
    zero, one, minus = (ir.Constant(x.type, [number] * x.type.count) for number in (0.0, 1.0, -1.0))
    below = builder.select(builder.fcmp_ordered("<", x, zero), minus, builder.fadd(x, zero))  # NaN stays, −0 is 0
    return builder.select(builder.fcmp_ordered(">", x, zero), one, below)


for _function, _instruction in {
    operator.add: ir.IRBuilder.fadd, operator.iadd: ir.IRBuilder.fadd,
    operator.sub: ir.IRBuilder.fsub, operator.isub: ir.IRBuilder.fsub,
    operator.mul: ir.IRBuilder.fmul, operator.truediv: ir.IRBuilder.fdiv,
}.items():  # fmt: skip
    _lanewise(_function, _instruction, 2)
_lanewise(np.sqrt, _square_root, 1)
_lanewise(np.sign, _sign, 1)


def _of_first(function, relation):
    """Let a comparison of a register with a whole number be that of its first lane."""

    @type_callable(function)
    def type_of(context):
        def typer(x, y):
            if isinstance(x, TileType) and isinstance(y, types.Integer):
                return types.boolean

        return typer

    @lower_builtin(function, TileType, types.Integer)
    def write(context, builder, signature, args):
        first = builder.extract_element(builder.extract_value(args[0], 0), ir.Constant(ir.IntType(32), 0))
        return builder.fcmp_ordered(relation, first, builder.sitofp(args[1], first.type))


_of_first(operator.eq, "==")
_of_first(operator.gt, ">")
