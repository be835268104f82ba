"""Products in register tiles, and tables: the operations that hold several rows at once.

A product of a matrix with rows, out[r] = sum_k w[r, k] * in[k], is bound by loads unless each one
loaded serves several multiply-adds. `dot` keeps R rows of sums in registers: each k costs four
loads of in[k] and R broadcasts, and buys 4*R multiply-adds. With R = 5 that is 20 sums, 4 inputs
and a broadcast of the 32 registers: 9 loads for 20 multiply-adds, where the machine can do two of
each at a time. More rows would spill, fewer would wait for loads.

`outer` is the other product, sum over time and columns of a[i] * b[j]: the gradient of a weight.
There the 5 x 5 sums themselves are the tile: 10 loads for 25 multiply-adds. With AVX2's 16
registers the tiles are 5*2 + 2 + 1 and 3 x 3; it is the same code.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from drnn_bench.kernels.registers import (
    ALIGN,
    COLUMNS,
    FLOAT,
    INT,
    LANES,
    REGISTER,
    ROW,
    as_tuple,
    float_at,
    fused,
    lanes,
    pointer,
    row_at,
    spread,
)


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
            row = builder.load(row_at(builder, at, 0), align=ALIGN)
            offset = builder.mul(loop.index, step)
            for cell, weight in zip(cells, weights, strict=True):
                scalar = spread(builder, float_at(builder, builder.add(weight, offset), 0))
                builder.store(fused(builder, scalar, row, builder.load(cell)), cell)
        return as_tuple(context, builder, signature, [builder.load(cell) for cell in cells])

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
            return builder.load(pointer(builder, at, REGISTER), align=4 * LANES)

        with cgutils.for_range(builder, steps) as loop:
            a_t = builder.add(a, builder.mul(loop.index, a_step))
            t = builder.add(b_order, builder.mul(loop.index, INT(8)))
            t = builder.load(pointer(builder, t, INT), align=8)
            b_t = builder.add(b, builder.mul(t, b_step))
            for piece in range(COLUMNS // LANES):
                left = [register(a_t, i, piece) for i in range(rows)]
                for j in range(columns):
                    right = register(b_t, j, piece)
                    for i in range(rows):
                        cell = cells[i][j]
                        builder.store(fused(builder, left[i], right, builder.load(cell)), cell)
        sums = [builder.load(cell) for row in cells for cell in row]
        sums = [_totals(builder, sums[i : i + LANES]) for i in range(0, len(sums), LANES)]
        several = ir.VectorType(FLOAT, columns)
        for i in range(rows):
            at = builder.add(out, builder.mul(out_step, INT(i)))
            at = pointer(builder, at, several)
            places = lanes(range(i * columns, (i + 1) * columns))
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
            builder.store(row, pointer(builder, at, REGISTER), align=4 * LANES)
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
            tile.append(builder.load(pointer(builder, at, REGISTER), align=4 * LANES))
        columns = _transposed(builder, tile)
        for at, column in zip(_entries(builder, table, table_step, symbols), columns, strict=True):
            # one after the other: the same symbol may come twice
            builder.store(builder.fadd(builder.load(at, align=4), column), at, align=4)
        return context.get_dummy_value()

    return types.void(*(types.intp,) * 4), generate


def _entries(builder, table, table_step, symbols):
    """Where the table's entries of LANES symbols begin."""
    for j in range(LANES):
        at = pointer(builder, builder.add(symbols, INT(8 * j)), INT)
        offset = builder.mul(builder.load(at, align=8), table_step)
        yield pointer(builder, builder.add(table, offset), REGISTER)


def _transposed(builder, registers):
    """LANES registers as the columns of what they were the rows of: the first half is dealt into
    the second like a pack of cards, until every card is back but on its side."""
    half = LANES // 2
    low = lanes([i // 2 + i % 2 * LANES for i in range(LANES)])
    high = lanes([half + i // 2 + i % 2 * LANES for i in range(LANES)])
    for _ in range(LANES.bit_length() - 1):
        pairs = list(zip(registers[:half], registers[half:], strict=True))
        registers = [builder.shuffle_vector(a, b, part) for a, b in pairs for part in (low, high)]
    return registers


def _totals(builder, registers):
    """One register whose lane i is the sum of all lanes of register i, for up to LANES of them.

    Of two registers, the even lanes of both and the odd lanes of both are added to one. Each
    round so halves the number of registers, and of lanes that belong to each.
    """
    registers = registers + registers[:1] * (LANES - len(registers))
    even, odd = lanes(range(0, 2 * LANES, 2)), lanes(range(1, 2 * LANES, 2))
    while len(registers) > 1:
        pairs = zip(registers[::2], registers[1::2], strict=True)
        registers = [
            builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
            for a, b in pairs
        ]
    return registers[0]
