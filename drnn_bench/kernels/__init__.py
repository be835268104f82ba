"""The layer scan: one recurrent layer over a whole sequence, with any dilation.

    y, state = scan(cell, x_TBI, weights, dilation, state)

computes c_t = f(x_t, c_{t-s}) for s = dilation (Chang et al. 2017, eq. 1).

Legend: T steps, B batch, I inputs, H units, G gates (rnn 1, gru 3, lstm 4), s dilation.
weights = (w_ih [G*H, I], w_hh [G*H, H], bias [G*H]): one bias per gate.
state   = a tuple of [s, B, H] tensors, one per state variable of the cell, oldest step first:
          entry j is the state that step j of this call continues. None means zeros.
"""

from drnn_bench.kernels.stock import STATES, gates, scan

__all__ = ["STATES", "gates", "scan"]
