"""Activations, and products of any size made of register tiles: the parts of all cells' kernels.

Rows are those of `registers`. A matrix [rows, columns] of weights is row-major float32, as torch
has it.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import helper, inline
from drnn_bench.kernels.registers import ROW, WIDE
from drnn_bench.kernels.tiles import dot, outer
from drnn_bench.kernels.vectors import (
    clamp,
    constant,
    fma,
    load_rows,
    spread_rows,
    store_rows,
)

# tanh(x) = x P(x^2) / Q(x^2) for |x| < 8.7; beyond, it is 1 in float32. The minimax fit has a
# relative error of 6e-8 (linear programs over Chebyshev points). In float32 it is 2.5e-7, near zero
# too, where formulas with an exponential lose digits.
EDGE = 8.7
P = (0.999999961, 0.129361921, 2.93907411e-3, 9.43635138e-6, -1.32943051e-8, 1.95911721e-11)
Q = (1.0, 0.462694886, 0.0238379178, 2.30643305e-4)
P0, P1, P2, P3, P4, P5 = P
Q0, Q1, Q2, Q3 = Q
# sigmoid(x) = 1/2 + tanh(x/2) / 2, the halves folded in
S0, S1, S2, S3, S4, S5 = (p * 0.25 ** (i + 1) for i, p in enumerate(P))
R0, R1, R2, R3 = (q * 0.25**i for i, q in enumerate(Q))

# The shapes of tiles: 5 rows of a product, 4 or 1 where 5 does not divide; for `outer` as many as
# the registers hold.
FIVE, FOUR, THREE, ONE = (0,) * 5, (0,) * 4, (0,) * 3, (0,)
BIG, LESS = (FIVE, FOUR) if WIDE else ((0,) * 3, (0,) * 2)
SIZE = len(BIG)


@inline
def tanh(x):
    x = clamp(x, -EDGE, EDGE)
    u = x * x
    p = fma(u, constant(P5), constant(P4))
    p = fma(u, p, constant(P3))
    p = fma(u, p, constant(P2))
    p = fma(u, p, constant(P1))
    p = fma(u, p, constant(P0))
    q = fma(u, constant(Q3), constant(Q2))
    q = fma(u, q, constant(Q1))
    q = fma(u, q, constant(Q0))
    return x * p / q


@inline
def sigmoid(x):
    x = clamp(x, -2 * EDGE, 2 * EDGE)
    u = x * x
    p = fma(u, constant(S5), constant(S4))
    p = fma(u, p, constant(S3))
    p = fma(u, p, constant(S2))
    p = fma(u, p, constant(S1))
    p = fma(u, p, constant(S0))
    q = fma(u, constant(R3), constant(R2))
    q = fma(u, q, constant(R1))
    q = fma(u, q, constant(R0))
    return constant(0.5) + x * p / q


@inline
def cut(size, tile):
    """Cuts `size` rows into tiles of `tile` rows, then of `tile` - 1. Returns where the first kind
    ends and where the second ends. Single rows fill the rest, which is empty except for sizes 1,
    2, 3, 6, 7 and 11 where `tile` is 5."""
    less = -size % tile
    if less * (tile - 1) > size:
        return size - size % tile, size - size % tile
    return size - less * (tile - 1), size


@inline
def _affine(shape, out, bias, w, w_step, x, count):
    store_rows(out, dot(spread_rows(shape, bias, 4), w, w_step, 4, x, count))


@helper
def affine(out, bias, w, w_step, rows, x, count):
    """out[i] = bias[i] + sum_k w[i, k] * x[k], for w [rows, count] with w_step bytes from row to
    row."""
    fives, fours = cut(rows, 5)
    for i in range(0, fives, 5):
        _affine(FIVE, out + i * ROW, bias + 4 * i, w + i * w_step, w_step, x, count)
    for i in range(fives, fours, 4):
        _affine(FOUR, out + i * ROW, bias + 4 * i, w + i * w_step, w_step, x, count)
    for i in range(fours, rows):
        _affine(ONE, out + i * ROW, bias + 4 * i, w + i * w_step, w_step, x, count)


@inline
def _forth(shape, out, w, w_step, x, count):
    store_rows(out, dot(load_rows(shape, out, ROW), w, w_step, 4, x, count))


@helper
def forth(out, w, w_step, rows, x, count):
    """out[i] += sum_k w[i, k] * x[k], for w as in `affine`."""
    fives, fours = cut(rows, 5)
    for i in range(0, fives, 5):
        _forth(FIVE, out + i * ROW, w + i * w_step, w_step, x, count)
    for i in range(fives, fours, 4):
        _forth(FOUR, out + i * ROW, w + i * w_step, w_step, x, count)
    for i in range(fours, rows):
        _forth(ONE, out + i * ROW, w + i * w_step, w_step, x, count)


@inline
def _back(shape, out, w, w_step, x, count):
    store_rows(out, dot(load_rows(shape, out, ROW), w, 4, w_step, x, count))


@helper
def back(out, w, w_step, columns, x, count):
    """out[i] += sum_k w[k, i] * x[k], for w [count, columns] with w_step bytes from row to row."""
    fives, fours = cut(columns, 5)
    for i in range(0, fives, 5):
        _back(FIVE, out + i * ROW, w + 4 * i, w_step, x, count)
    for i in range(fives, fours, 4):
        _back(FOUR, out + i * ROW, w + 4 * i, w_step, x, count)
    for i in range(fours, columns):
        _back(ONE, out + i * ROW, w + 4 * i, w_step, x, count)


@helper
def gradient(out, out_step, columns, a, a_step, rows, b, b_step, b_order, steps):
    """out[i, j] += sum over steps and sequences of a_t[i] * b_t[j], for out [rows, columns].

    a_t[i] is the row at a + t*a_step + i*ROW, b_t[j] the one at
    b + order[t]*b_step + j*ROW.
    A panel of b, `SIZE` rows of every step, stays in the first cache while all of a is read.
    """
    bigs, lesses = cut(columns, SIZE)
    for j in range(0, bigs, SIZE):
        at, panel = out + 4 * j, b + j * ROW
        _panel(BIG, at, out_step, a, a_step, rows, panel, b_step, b_order, steps)
    for j in range(bigs, lesses, SIZE - 1):
        at, panel = out + 4 * j, b + j * ROW
        _panel(LESS, at, out_step, a, a_step, rows, panel, b_step, b_order, steps)
    for j in range(lesses, columns):
        at, panel = out + 4 * j, b + j * ROW
        _panel(ONE, at, out_step, a, a_step, rows, panel, b_step, b_order, steps)


@inline
def _panel(shape, out, step, a, a_step, rows, b, b_step, b_order, steps):
    bigs, lesses = cut(rows, SIZE)
    for i in range(0, bigs, SIZE):
        outer((BIG, shape), out + i * step, step, a + i * ROW, a_step, b, b_step, b_order, steps)
    for i in range(bigs, lesses, SIZE - 1):
        outer((LESS, shape), out + i * step, step, a + i * ROW, a_step, b, b_step, b_order, steps)
    for i in range(lesses, rows):
        outer((ONE, shape), out + i * step, step, a + i * ROW, a_step, b, b_step, b_order, steps)
