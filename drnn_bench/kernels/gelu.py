"""gelu(x) = x Phi(x) and its slope Phi(x) + x phi(x), for Phi the normal distribution and phi its
density.

Both take one exponential: Phi(-|x|) is phi(x) times a polynomial of 1 / (1 + p |x|) (Abramowitz and
Stegun 1964, formula 26.2.17; its error is below 7.5e-8).
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import inline
from drnn_bench.kernels.rates import decay
from drnn_bench.kernels.vectors import clamp, constant, fma, larger, where_open

SCALE = 0.2316419  # p
B1, B2, B3, B4, B5 = 0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429
ROOT = 0.3989422804014327  # 1 / sqrt(2 pi)


@inline
def gelu_and_slope(x):
    density = constant(ROOT) * decay(x * x * constant(0.5))
    size = larger(constant(0.0) - x, x)
    t = constant(1.0) / fma(size, constant(SCALE), constant(1.0))
    tail = fma(t, constant(B5), constant(B4))
    tail = fma(t, tail, constant(B3))
    tail = fma(t, tail, constant(B2))
    tail = fma(t, tail, constant(B1))
    tail = tail * t * density
    share = tail + where_open(x, constant(1.0) - tail - tail)
    # Beyond 13 the density is not zero here, but 1e-38.
    return x * share, fma(clamp(x, -13.0, 13.0), density, share)
