"""States of diagonal linear recurrences, complex numbers, as the kernels of S4D and LRU walk them.

A complex number is a row of real parts and then one of imaginary parts. A state stays in registers
while it walks through a chunk of steps, whose inputs and outputs stay in the first cache: what
torch does with products of matrices, or in log2(T) rounds, passes over memory several times.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import inline
from drnn_bench.kernels.products import ONE
from drnn_bench.kernels.registers import LANES, ROW
from drnn_bench.kernels.vectors import add_sum, constant, fma, load, spread_rows, store

CHUNK = 16  # steps
PAIR = 2 * ROW
SUMS = 4 * LANES  # bytes of a register


@inline
def number(at):
    """A row of the float at an address."""
    return spread_rows(ONE, at, 4)[0]


@inline
def advanced(re, im, a_re, a_im, to_re):
    """a * state + to_re, a real number."""
    return fma(a_re, re, fma(constant(0.0) - a_im, im, to_re)), fma(a_re, im, a_im * re)


@inline
def by_factor(by_re, by_im, re, im, was):
    """Adds to the gradient of a what one step gives: the gradient of the states after it, times
    conj(the states before it), which lie at `was`."""
    was_re, was_im = load(was), load(was + ROW)
    by_re = fma(re, was_re, fma(im, was_im, by_re))
    return by_re, fma(im, was_re, fma(constant(0.0) - re, was_im, by_im))


@inline
def retreated(re, im, a_re, a_im):
    """The gradient of the states before a step from that of those after it: times conj(a)."""
    return fma(a_re, re, a_im * im), fma(a_re, im, (constant(0.0) - a_im) * re)


@inline
def add_pair(sums, n, re, im):
    """Adds to the sums of the n-th complex number: a register for each of its parts."""
    add_sum(sums + 2 * n * SUMS, re)
    add_sum(sums + (2 * n + 1) * SUMS, im)


@inline
def keep(state, re, im):
    store(state, re)
    store(state + ROW, im)


@inline
def copy_rows(to, rows, size):
    for at in range(0, size, ROW):
        store(to + at, load(rows + at))


@inline
def fill_ones(gelus, step):
    """A row of ones after each `step` bytes of a chunk's rows: the bias is a column of weights."""
    for at in range(step, CHUNK * (step + ROW), step + ROW):
        store(gelus + at, constant(1.0))
