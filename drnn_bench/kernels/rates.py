"""Sigmoids and exponentials with a small relative error, for gates that stay near zero.

A unit that remembers a thousand steps has a gate of 1e-3. `products.sigmoid`, whose absolute error
is up to 1e-7, would be wrong in its fourth digit, in the same direction at every step.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import inline
from drnn_bench.kernels.vectors import clamp, constant, fma, two_to

# e^r on |r| <= log(2)/2 as a polynomial of relative error 2e-9; log(2) in two parts, of which the
# first has so few bits that its products with whole numbers are exact; ONES, a float whose last bit
# has the value 1, so that adding it rounds to whole numbers
E0, E1, E2, E3, E4, E5, E6 = (
    *(1.0, 1.00000004, 0.499999921, 0.166664201),
    *(0.0416682262, 8.37482405e-3, 1.38368352e-3),
)
LOG2, LOG2_REST, ONES = 0.693145751953125, 1.42860682e-6, 1.5 * 2.0**23


@inline
def _exponential(x):
    """e^-x in two factors, for x from -89 to 87: beyond -88 the second is infinite."""
    m = fma(x, constant(-1.4426950408889634), constant(ONES))
    k = m - constant(ONES)
    r = fma(k, constant(-LOG2_REST), fma(k, constant(-LOG2), constant(0.0) - x))
    e = fma(r, constant(E6), constant(E5))
    e = fma(r, e, constant(E4))
    e = fma(r, e, constant(E3))
    e = fma(r, e, constant(E2))
    e = fma(r, e, constant(E1))
    e = fma(r, e, constant(E0))
    return e, two_to(m)


@inline
def decay(x):
    """e^-x of x from zero on, with a relative error of 2e-7; beyond 87 it is 1e-38."""
    e, power = _exponential(clamp(x, 0.0, 87.0))
    return e * power


@inline
def rate(x):
    """The sigmoid, with a relative error of 2e-7."""
    e, power = _exponential(clamp(x, -89.0, 87.0))
    return constant(1.0) / fma(e, power, constant(1.0))


@inline
def rates(x):
    """The sigmoids of x and of -x, which add up to 1, both with a relative error of 3e-7. They are
    1e-38 at least."""
    e, power = _exponential(clamp(x, -87.0, 87.0))
    big = e * power
    low = constant(1.0) / (big + constant(1.0))
    return low, big * low
