"""What this processor's vector registers hold, and the pieces of LLVM code that reach them.

A *row* is one number for each of COLUMNS sequences, side by side in memory, and the LLVM type
<COLUMNS x float>. LLVM cuts it into the machine's registers: with AVX-512 a row of 64 columns is
four of them, so that every line of a kernel is four instructions that do not wait for one another.
AVX2 has 16 registers of half the size, so a row is 16 columns in two of them. Addresses are
integers, in bytes.

What emits LLVM code here takes a builder (`llvmlite.ir.IRBuilder`) and LLVM values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba.extending
from llvmlite import ir
from numba.core import cgutils
from numba.core import config as numba_config

config: Any = numba_config  # Numba sets its names when it is imported

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


def intrinsic(function: Callable) -> Callable:
    """Numba's `intrinsic`: calls in a kernel leave out the first parameter, the typing context."""
    return numba.extending.intrinsic(function)


def pointer(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


def row_at(builder, address, number):
    """A pointer to a row, `number` rows behind the address."""
    return pointer(builder, builder.add(address, INT(number * ROW)), VECTOR)


def float_at(builder, address, offset):
    """The float `offset` bytes behind the address."""
    return builder.load(pointer(builder, builder.add(address, INT(offset)), FLOAT), align=4)


def spread(builder, scalar):
    """A row of one number."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, scalar, INT(0))
    return builder.shuffle_vector(one, undefined, lanes([0] * COLUMNS))


def lanes(numbers):
    """The mask of a shuffle: which lanes are taken."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


def fused(builder, a, b, c):
    """a*b + c of vectors, rounded once."""
    kind = ir.FunctionType(a.type, (a.type,) * 3)
    name = f"llvm.fma.v{a.type.count}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), (a, b, c))


def halves(builder, vector):
    """The first and the second half of a vector's lanes."""
    count = vector.type.count // 2
    undefined = ir.Constant(vector.type, ir.Undefined)
    parts = lanes(range(count)), lanes(range(count, 2 * count))
    return [builder.shuffle_vector(vector, undefined, part) for part in parts]


def as_tuple(context, builder, signature, rows):
    """LLVM values as a tuple of Numba's."""
    result = context.get_constant_undef(signature.return_type)
    for r, row in enumerate(rows):
        result = builder.insert_value(result, row, r)
    return result
