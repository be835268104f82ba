"""Products in register tiles, and tables: the operations that hold several rows at once.

The product of a matrix with rows, out[r] = sum_k w[r, k] * in[k], is bound by loads unless every
load serves several multiply-adds. `dot` keeps R rows of sums in registers: each k costs four loads
of in[k] and R broadcasts, for 4*R multiply-adds. With R = 5 the 32 registers hold 20 sums, 4 inputs
and a broadcast, and 9 loads serve 20 multiply-adds; the processor starts two of each at a time.
With more rows the registers do not suffice; with fewer the loads take longer than the
multiply-adds.

`outer` is the other product, the sum over time and columns of a[i] * b[j]: a weight's gradient.
There the 5 x 5 sums are the tile: 10 loads serve 25 multiply-adds. With AVX2's 16 registers the
same code has tiles of 5*2 + 2 + 1 registers and of 3 x 3.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils

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
    intrinsic,
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
    """The gradient of `look_up`: adds column j of the tile to the entry of symbol[j]."""

    def generate(context, builder, signature, args):
        rows, table, table_step, symbols = args
        tile = []
        for i in range(LANES):
            at = builder.add(rows, INT(i * ROW))
            tile.append(builder.load(pointer(builder, at, REGISTER), align=4 * LANES))
        columns = _transposed(builder, tile)
        for at, column in zip(_entries(builder, table, table_step, symbols), columns, strict=True):
            # One after the other, because the same symbol may come twice.
            builder.store(builder.fadd(builder.load(at, align=4), column), at, align=4)
        return context.get_dummy_value()

    return types.void(*(types.intp,) * 4), generate


def _entries(builder, table, table_step, symbols):
    """Pointers to the table's entries of LANES symbols."""
    for j in range(LANES):
        at = pointer(builder, builder.add(symbols, INT(8 * j)), INT)
        offset = builder.mul(builder.load(at, align=8), table_step)
        yield pointer(builder, builder.add(table, offset), REGISTER)


def _transposed(builder, registers):
    """The transpose of LANES registers, by perfect shuffles: each round interleaves the lanes of
    the first half of the registers with those of the second half. log2(LANES) rounds transpose."""
    half = LANES // 2
    low = lanes([i // 2 + i % 2 * LANES for i in range(LANES)])
    high = lanes([half + i // 2 + i % 2 * LANES for i in range(LANES)])
    for _ in range(LANES.bit_length() - 1):
        pairs = list(zip(registers[:half], registers[half:], strict=True))
        registers = [builder.shuffle_vector(a, b, part) for a, b in pairs for part in (low, high)]
    return registers


def _totals(builder, registers):
    """One register whose lane i is the sum of all lanes of register i, for up to LANES registers.

    Each round adds the even lanes of a pair of registers to the odd lanes of the same pair. That
    halves the number of registers, and the number of lanes that hold parts of one sum.
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
