"""The minimal GRU (models/min_gru.py), forward and backward: one layer over one block of sequences.

    z = sigmoid(W_z x + b_z),  n = W_n x + b_n,  h_t = (1 - z) h_{t-s} + z n

The gates do not read the state, so a layer can be a parallel scan, as it is on a GPU
(torch_scan.py). On a CPU such a scan reads and writes all states log2(T) times. Walked in order, a
state is still in the cache when the next step reads it.

Legend: H units, s dilation; addresses are in bytes, and of rows where nothing else is said.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import kernel
from drnn_bench.kernels.layer import gate_gradient, input_gradient, input_sums, input_weights
from drnn_bench.kernels.rates import rate
from drnn_bench.kernels.registers import ROW
from drnn_bench.kernels.vectors import constant, fma, load, store


@kernel
def min_gru_forward(a):
    units, high = a.units, a.units * ROW  # z of all units, then the candidates
    for t in range(a.steps):
        before = a.h + t * a.h_step
        now = before + a.dilation * a.h_step
        saved = a.gates + t * a.gates_step
        sums = input_sums(a, t, 2 * units, saved)
        for at in range(0, high, ROW):
            z, n = rate(load(sums + at)), load(sums + high + at)
            store(saved + at, z)
            store(saved + high + at, n)
            # Not h + z * (n - h): an infinite state would become NaN at the next step.
            store(now + at, fma(z, n, (constant(1.0) - z) * load(before + at)))


@kernel
def min_gru_backward(a):
    units = a.units
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * a.work_step
            saved = a.gates + t * a.gates_step
            h, dh = a.h + t * a.h_step, a.dh + t * a.dh_step
            d_now = dh + a.dilation * a.dh_step
            carried = t >= a.dilation or a.onward
            for u in range(units):
                at = u * ROW
                z, n = load(saved + at), load(saved + units * ROW + at)
                d = load(d_now + at)
                dn = d * z
                # z (n - h) equals h_t - h, but most digits of that difference would cancel.
                gate_gradient(a, work, u, (n - load(h + at)) * dn * (one - z))
                gate_gradient(a, work, units + u, dn)
                if carried:
                    store(dh + at, fma(d, one - z, load(dh + at)))
            input_gradient(a, t, work, 2 * units)
        input_weights(a, 2 * units, low, high - low)
        high = low
