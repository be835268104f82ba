"""Recurrent layers over a whole sequence, with any dilation, on the fastest kernel that fits.

`dispatch` has the functions to call and says what they compute. May import errors and system.
"""

from drnn_bench.kernels.checks import check_symbols
from drnn_bench.kernels.dispatch import clockwork, one_hot, scan, stack, step, to_compile
from drnn_bench.kernels.observed import observed
from drnn_bench.kernels.settings import NAMES, forced, shared, threads, used
from drnn_bench.kernels.torch_scan import STATES, State, Weights, gates

__all__ = [
    "NAMES",
    "STATES",
    "State",
    "Weights",
    "check_symbols",
    "clockwork",
    "forced",
    "gates",
    "observed",
    "one_hot",
    "scan",
    "shared",
    "stack",
    "step",
    "threads",
    "to_compile",
    "used",
]
