"""Rows of columns in vector registers, for Numba: the operations that the fused scan is made of.

A *row* is one number for each of COLUMNS sequences, side by side in memory, and the LLVM type
<COLUMNS x float>. LLVM cuts it into the machine's registers: with AVX-512 a row of 64 columns is
four of them, so that every line of a kernel is four instructions that do not wait for one another.
Numba's own vectoriser reaches half of this at best, and breaks at the first stride it cannot see.

The register tile. A product of a matrix with rows, out[r] = sum_k w[r, k] * in[k], is bound by
loads unless each one loaded serves several multiply-adds. `dot` keeps R rows of sums in registers:
each k costs four loads of in[k] and R broadcasts, and buys 4*R multiply-adds. With R = 5 that is
20 sums, 4 inputs and a broadcast of the 32 registers: 9 loads for 20 multiply-adds, where the
machine can do two of each at a time. More rows would spill, fewer would wait for loads.

`outer` is the other product, sum over time and columns of a[i] * b[j]: the gradient of a weight.
There the 5 x 5 sums themselves are the tile: 10 loads for 25 multiply-adds.

AVX2 has 16 registers of half the size, so a row is 16 columns in two of them (5*2 + 2 + 1), and
the tile of `outer` is 3 x 3; it is the same code. Addresses are integers, in bytes. Nothing here
is fast-math: NaN and infinity go where IEEE sends them.
"""

from __future__ import annotations

import operator

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

# What Numba compiles for: this processor, or what NUMBA_CPU_FEATURES says.
FEATURES = config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()
WIDE = "+avx512f" in FEATURES
SUPPORTED = WIDE or ("+avx2" in FEATURES and "+fma" in FEATURES)
COLUMNS = 64 if WIDE else 16
LANES = 16 if WIDE else 8  # floats in one register
ROW = 4 * COLUMNS  # bytes
ALIGN = 64  # of every row

FLOAT, INT = ir.FloatType(), ir.IntType(64)
REGISTER, VECTOR = ir.VectorType(FLOAT, LANES), ir.VectorType(FLOAT, COLUMNS)


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
        return builder.load(_row_at(builder, args[0], 0), align=ALIGN)

    return row_type(types.intp), generate


@intrinsic
def store(typing, address, row):
    def generate(context, builder, signature, args):
        builder.store(args[1], _row_at(builder, args[0], 0), align=ALIGN)
        return context.get_dummy_value()

    return types.void(types.intp, row_type), generate


@intrinsic
def load_int(typing, address):
    """The whole number of 64 bits at an address."""

    def generate(context, builder, signature, args):
        return builder.load(_pointer(builder, args[0], INT), align=8)

    return types.intp(types.intp), generate


@intrinsic
def constant(typing, value):
    def generate(context, builder, signature, args):
        return _spread(builder, builder.fptrunc(args[0], FLOAT))

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
        return _fma(builder, *args)

    return row_type(row_type, row_type, row_type), generate


@intrinsic
def clamp(typing, row, low, high):
    """Within low .. high; NaN stays NaN, as no comparison with it is true."""

    def generate(context, builder, signature, args):
        row = args[0]
        for order, limit in ((">", args[2]), ("<", args[1])):
            limit = _spread(builder, builder.fptrunc(limit, FLOAT))
            row = builder.select(builder.fcmp_ordered(order, row, limit), limit, row)
        return row

    return row_type(row_type, types.float64, types.float64), generate


@intrinsic
def two_to(typing, row):
    """2^k of a sum k + 1.5 * 2^23, whose last bits are the whole number k: -126 <= k <= 128, the
    last of which gives infinity, and -127 gives zero."""

    def generate(context, builder, signature, args):
        whole = ir.VectorType(ir.IntType(32), COLUMNS)
        k = builder.shl(builder.bitcast(args[0], whole), ir.Constant(whole, [23] * COLUMNS))
        return builder.bitcast(builder.add(k, ir.Constant(whole, [127 << 23] * COLUMNS)), VECTOR)

    return row_type(row_type), generate


@intrinsic
def load_rows(typing, shape, address, step):
    """As many rows as `shape` has entries, one every `step` bytes, as a tuple."""

    def generate(context, builder, signature, args):
        _, at, step = args
        places = [builder.add(at, builder.mul(step, INT(r))) for r in range(len(shape))]
        rows = [builder.load(_row_at(builder, place, 0), align=ALIGN) for place in places]
        return _tuple(context, builder, signature, rows)

    return types.UniTuple(row_type, len(shape))(shape, types.intp, types.intp), generate


@intrinsic
def zero_rows(typing, shape):
    def generate(context, builder, signature, args):
        rows = [ir.Constant(VECTOR, None)] * len(shape)
        return _tuple(context, builder, signature, rows)

    return types.UniTuple(row_type, len(shape))(shape), generate


@intrinsic
def spread_rows(typing, shape, address, step):
    """The same of floats, each spread over a row."""

    def generate(context, builder, signature, args):
        _, at, step = args
        places = [builder.add(at, builder.mul(step, INT(r))) for r in range(len(shape))]
        rows = [_spread(builder, _float_at(builder, place, 0)) for place in places]
        return _tuple(context, builder, signature, rows)

    return types.UniTuple(row_type, len(shape))(shape, types.intp, types.intp), generate


@intrinsic
def store_rows(typing, address, rows):
    def generate(context, builder, signature, args):
        for r in range(len(rows)):
            row = builder.extract_value(args[1], r)
            builder.store(row, _row_at(builder, args[0], r), align=ALIGN)
        return context.get_dummy_value()

    return types.void(types.intp, rows), generate


@intrinsic
def add_sum(typing, address, row):
    """Adds the registers that a row is made of to the one at an address."""

    def generate(context, builder, signature, args):
        at, total = _pointer(builder, args[0], REGISTER), args[1]
        while total.type.count > LANES:
            total = builder.fadd(*_halves(builder, total))
        builder.store(builder.fadd(builder.load(at, align=4 * LANES), total), at, align=4 * LANES)
        return context.get_dummy_value()

    return types.void(types.intp, row_type), generate


@intrinsic
def dot(typing, sums, w, row_step, step, x, count):
    """sums[r] + sum_k w[r, k] * x[k], for a tuple of any number R of rows: the register tile.

    w[r, k] is the float at w + r*row_step + k*step, x[k] the row at x + k*ROW, k < count.
    """

    def generate(context, builder, signature, args):
        sums, w, row_step, step, x, count = args
        cells, weights = [], []
        for r in range(len(signature.return_type)):
            cells.append(cgutils.alloca_once_value(builder, builder.extract_value(sums, r)))
            weights.append(builder.add(w, builder.mul(row_step, INT(r))))
        with cgutils.for_range(builder, count) as loop:
            at = builder.add(x, builder.mul(loop.index, INT(ROW)))
            row = builder.load(_row_at(builder, at, 0), align=ALIGN)
            offset = builder.mul(loop.index, step)
            for cell, weight in zip(cells, weights, strict=True):
                scalar = _spread(builder, _float_at(builder, builder.add(weight, offset), 0))
                builder.store(_fma(builder, scalar, row, builder.load(cell)), cell)
        return _tuple(context, builder, signature, [builder.load(cell) for cell in cells])

    return sums(sums, *(types.intp,) * 5), generate


@intrinsic
def outer(typing, shape, out, out_step, a, a_step, b, b_step, b_order, steps):
    """out[i, j] += sum over steps t and columns of a_t[i] * b_t[j], for a tile of R x C weights.

    `shape` is a pair of tuples, of lengths R and C. out[i, j] is the float at
    out + i*out_step + 4*j; a_t[i] the row at a + t*a_step + i*ROW; b_t[j] the row at
    b + order[t]*b_step + j*ROW, `b_order` being the address of whole numbers of 64 bits.
    """
    rows, columns = len(shape[0]), len(shape[1])

    def generate(context, builder, signature, args):
        _, out, out_step, a, a_step, b, b_step, b_order, steps = args
        nothing = ir.Constant(REGISTER, None)
        cells = [
            [cgutils.alloca_once_value(builder, nothing) for _ in range(columns)]
            for _ in range(rows)
        ]

        def register(base, row, piece):
            at = builder.add(base, INT(row * ROW + piece * LANES * 4))
            return builder.load(_pointer(builder, at, REGISTER), align=4 * LANES)

        with cgutils.for_range(builder, steps) as loop:
            a_t = builder.add(a, builder.mul(loop.index, a_step))
            t = builder.add(b_order, builder.mul(loop.index, INT(8)))
            t = builder.load(_pointer(builder, t, INT), align=8)
            b_t = builder.add(b, builder.mul(t, b_step))
            for piece in range(COLUMNS // LANES):
                left = [register(a_t, i, piece) for i in range(rows)]
                for j in range(columns):
                    right = register(b_t, j, piece)
                    for i in range(rows):
                        cell = cells[i][j]
                        builder.store(_fma(builder, left[i], right, builder.load(cell)), cell)
        sums = [builder.load(cell) for row in cells for cell in row]
        sums = [_totals(builder, sums[i : i + LANES]) for i in range(0, len(sums), LANES)]
        several = ir.VectorType(FLOAT, columns)
        for i in range(rows):
            at = builder.add(out, builder.mul(out_step, INT(i)))
            at = _pointer(builder, at, several)
            places = _lanes(range(i * columns, (i + 1) * columns))
            row = builder.shuffle_vector(sums[0], sums[-1], places)
            builder.store(builder.fadd(builder.load(at, align=4), row), at, align=4)
        return context.get_dummy_value()

    return types.void(shape, *(types.intp,) * 8), generate


@intrinsic
def look_up(typing, rows, table, table_step, symbols):
    """A tile of LANES rows by LANES columns: column j becomes the LANES floats at
    table + symbol[j]*table_step."""

    def generate(context, builder, signature, args):
        rows, table, table_step, symbols = args
        entries = [
            builder.load(at, align=4) for at in _entries(builder, table, table_step, symbols)
        ]
        for i, row in enumerate(_transposed(builder, entries)):
            at = builder.add(rows, INT(i * ROW))
            builder.store(row, _pointer(builder, at, REGISTER), align=4 * LANES)
        return context.get_dummy_value()

    return types.void(*(types.intp,) * 4), generate


@intrinsic
def add_up(typing, rows, table, table_step, symbols):
    """The way back: adds column j of the tile to the entry of symbol[j]."""

    def generate(context, builder, signature, args):
        rows, table, table_step, symbols = args
        tile = []
        for i in range(LANES):
            at = builder.add(rows, INT(i * ROW))
            tile.append(builder.load(_pointer(builder, at, REGISTER), align=4 * LANES))
        columns = _transposed(builder, tile)
        for at, column in zip(_entries(builder, table, table_step, symbols), columns, strict=True):
            # one after the other: the same symbol may come twice
            builder.store(builder.fadd(builder.load(at, align=4), column), at, align=4)
        return context.get_dummy_value()

    return types.void(*(types.intp,) * 4), generate


def _entries(builder, table, table_step, symbols):
    """Where the table's entries of LANES symbols begin."""
    for j in range(LANES):
        at = _pointer(builder, builder.add(symbols, INT(8 * j)), INT)
        offset = builder.mul(builder.load(at, align=8), table_step)
        yield _pointer(builder, builder.add(table, offset), REGISTER)


def _transposed(builder, registers):
    """LANES registers as the columns of what they were the rows of: the first half is dealt into
    the second like a pack of cards, until every card is back but on its side."""
    half = LANES // 2
    low = _lanes([i // 2 + i % 2 * LANES for i in range(LANES)])
    high = _lanes([half + i // 2 + i % 2 * LANES for i in range(LANES)])
    for _ in range(LANES.bit_length() - 1):
        pairs = list(zip(registers[:half], registers[half:], strict=True))
        registers = [builder.shuffle_vector(a, b, part) for a, b in pairs for part in (low, high)]
    return registers


def _pointer(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


def _row_at(builder, address, number):
    return _pointer(builder, builder.add(address, INT(number * ROW)), VECTOR)


def _float_at(builder, address, offset):
    return builder.load(_pointer(builder, builder.add(address, INT(offset)), FLOAT), align=4)


def _spread(builder, scalar):
    undefined = ir.Constant(VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, scalar, INT(0))
    return builder.shuffle_vector(one, undefined, _lanes([0] * COLUMNS))


def _lanes(numbers):
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


def _fma(builder, a, b, c):
    kind = ir.FunctionType(a.type, (a.type,) * 3)
    name = f"llvm.fma.v{a.type.count}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), (a, b, c))


def _halves(builder, vector):
    lanes = vector.type.count // 2
    undefined = ir.Constant(vector.type, ir.Undefined)
    parts = _lanes(range(lanes)), _lanes(range(lanes, 2 * lanes))
    return [builder.shuffle_vector(vector, undefined, part) for part in parts]


def _totals(builder, registers):
    """One register whose lane i is the sum of all lanes of register i, for up to LANES of them.

    Of two registers, the even lanes of both and the odd lanes of both are added to one. Each
    round so halves the number of registers, and of lanes that belong to each.
    """
    registers = registers + registers[:1] * (LANES - len(registers))
    even, odd = _lanes(range(0, 2 * LANES, 2)), _lanes(range(1, 2 * LANES, 2))
    while len(registers) > 1:
        pairs = zip(registers[::2], registers[1::2], strict=True)
        registers = [
            builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
            for a, b in pairs
        ]
    return registers[0]


def _tuple(context, builder, signature, rows):
    result = context.get_constant_undef(signature.return_type)
    for r, row in enumerate(rows):
        result = builder.insert_value(result, row, r)
    return result
