"""What this processor's vector registers hold, and the pieces of LLVM code that reach them.

A *row* is one number for each of COLUMNS sequences, side by side in memory, and the LLVM type
<COLUMNS x float>. LLVM cuts it into the machine's registers: with AVX-512 a row of 64 columns is
four of them, so that every line of a kernel is four instructions that do not wait for one another.
AVX2 has 16 registers of half the size, so a row is 16 columns in two of them. Addresses are
integers, in bytes.
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config
from numba.core import cgutils

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


def pointer(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


def row_at(builder, address, number):
    return pointer(builder, builder.add(address, INT(number * ROW)), VECTOR)


def float_at(builder, address, offset):
    return builder.load(pointer(builder, builder.add(address, INT(offset)), FLOAT), align=4)


def spread(builder, scalar):
    undefined = ir.Constant(VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, scalar, INT(0))
    return builder.shuffle_vector(one, undefined, lanes([0] * COLUMNS))


def lanes(numbers):
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


def fused(builder, a, b, c):
    kind = ir.FunctionType(a.type, (a.type,) * 3)
    name = f"llvm.fma.v{a.type.count}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), (a, b, c))


def halves(builder, vector):
    count = vector.type.count // 2
    undefined = ir.Constant(vector.type, ir.Undefined)
    parts = lanes(range(count)), lanes(range(count, 2 * count))
    return [builder.shuffle_vector(vector, undefined, part) for part in parts]


def as_tuple(context, builder, signature, rows):
    result = context.get_constant_undef(signature.return_type)
    for r, row in enumerate(rows):
        result = builder.insert_value(result, row, r)
    return result
