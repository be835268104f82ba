"""Operations on rows (see `registers`) for Numba: loads, stores, sums, products.

Numba's own vectoriser reaches half of this speed at best, and none where it does not know a stride.
There is no fast-math: NaN and infinity follow IEEE 754.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, overload, register_model

from drnn_bench.kernels.registers import (
    ALIGN,
    COLUMNS,
    FLOAT,
    INT,
    LANES,
    REGISTER,
    VECTOR,
    as_tuple,
    float_at,
    fused,
    halves,
    intrinsic,
    pointer,
    row_at,
    spread,
)


class RowType(types.Type):
    def __init__(self):
        super().__init__(name=f"row{COLUMNS}")


row_type = RowType()


@register_model(RowType)
class RowModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, VECTOR)


@intrinsic
def load(typing, address):
    """The row at an address, which is a multiple of 64."""

    def generate(context, builder, signature, args):
        return builder.load(row_at(builder, args[0], 0), align=ALIGN)

    return row_type(types.intp), generate


@intrinsic
def store(typing, address, row):
    def generate(context, builder, signature, args):
        builder.store(args[1], row_at(builder, args[0], 0), align=ALIGN)
        return context.get_dummy_value()

    return types.void(types.intp, row_type), generate


@intrinsic
def load_int(typing, address):
    """The whole number of 64 bits at an address."""

    def generate(context, builder, signature, args):
        return builder.load(pointer(builder, args[0], INT), align=8)

    return types.intp(types.intp), generate


@intrinsic
def constant(typing, value):
    def generate(context, builder, signature, args):
        return spread(builder, builder.fptrunc(args[0], FLOAT))

    return row_type(types.float64), generate


def _binary(emit):
    @intrinsic
    def operation(typing, a, b):
        def generate(context, builder, signature, args):
            return getattr(builder, emit)(*args)

        return row_type(row_type, row_type), generate

    def of_rows(a, b):
        if a is row_type and b is row_type:
            return lambda a, b: operation(a, b)

    return of_rows


for _symbol, _emit in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    overload(getattr(operator, _symbol))(_binary(_emit))


@intrinsic
def fma(typing, a, b, c):
    """a*b + c, rounded once."""

    def generate(context, builder, signature, args):
        return fused(builder, *args)

    return row_type(row_type, row_type, row_type), generate


@intrinsic
def clamp(typing, row, low, high):
    """Each number moved into low .. high. NaN stays NaN, as no comparison with it is true."""

    def generate(context, builder, signature, args):
        row = args[0]
        for order, limit in ((">", args[2]), ("<", args[1])):
            limit = spread(builder, builder.fptrunc(limit, FLOAT))
            row = builder.select(builder.fcmp_ordered(order, row, limit), limit, row)
        return row

    return row_type(row_type, types.float64, types.float64), generate


@intrinsic
def root(typing, row):
    """The square roots."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(VECTOR, (VECTOR,))
        name = f"llvm.sqrt.v{COLUMNS}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

    return row_type(row_type), generate


@intrinsic
def larger(typing, a, b):
    """The larger of each two numbers. Of NaN and a number it is b."""

    def generate(context, builder, signature, args):
        a, b = args
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    return row_type(row_type, row_type), generate


@intrinsic
def where_open(typing, gate, row):
    """The row where a ReLU's output is above zero, or NaN; else zero."""

    def generate(context, builder, signature, args):
        gate, row = args
        nothing = ir.Constant(VECTOR, None)
        return builder.select(builder.fcmp_ordered("<=", gate, nothing), nothing, row)

    return row_type(row_type, row_type), generate


@intrinsic
def two_to(typing, row):
    """2^k of the float k + 1.5 * 2^23, whose last bits are the whole number k, for k from -126 to
    127; k = 128 gives infinity, k = -127 gives zero."""

    def generate(context, builder, signature, args):
        whole = ir.VectorType(ir.IntType(32), COLUMNS)
        k = builder.shl(builder.bitcast(args[0], whole), ir.Constant(whole, [23] * COLUMNS))
        return builder.bitcast(builder.add(k, ir.Constant(whole, [127 << 23] * COLUMNS)), VECTOR)

    return row_type(row_type), generate


@intrinsic
def load_rows(typing, shape, address, step):
    """A tuple of as many rows as `shape` has entries. They lie `step` bytes apart."""

    def generate(context, builder, signature, args):
        _, at, step = args
        places = [builder.add(at, builder.mul(step, INT(r))) for r in range(len(shape))]
        rows = [builder.load(row_at(builder, place, 0), align=ALIGN) for place in places]
        return as_tuple(context, builder, signature, rows)

    return types.UniTuple(row_type, len(shape))(shape, types.intp, types.intp), generate


@intrinsic
def spread_rows(typing, shape, address, step):
    """A tuple of as many rows as `shape` has entries. Row r repeats the float at
    address + r*step."""

    def generate(context, builder, signature, args):
        _, at, step = args
        places = [builder.add(at, builder.mul(step, INT(r))) for r in range(len(shape))]
        rows = [spread(builder, float_at(builder, place, 0)) for place in places]
        return as_tuple(context, builder, signature, rows)

    return types.UniTuple(row_type, len(shape))(shape, types.intp, types.intp), generate


@intrinsic
def store_rows(typing, address, rows):
    def generate(context, builder, signature, args):
        for r in range(len(rows)):
            row = builder.extract_value(args[1], r)
            builder.store(row, row_at(builder, args[0], r), align=ALIGN)
        return context.get_dummy_value()

    return types.void(types.intp, rows), generate


@intrinsic
def add_sum(typing, address, row):
    """Adds all registers of a row to the register at an address."""

    def generate(context, builder, signature, args):
        at, total = pointer(builder, args[0], REGISTER), args[1]
        while total.type.count > LANES:
            total = builder.fadd(*halves(builder, total))
        builder.store(builder.fadd(builder.load(at, align=4 * LANES), total), at, align=4 * LANES)
        return context.get_dummy_value()

    return types.void(types.intp, row_type), generate
