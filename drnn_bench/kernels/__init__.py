"""Recurrent layers, convolutions and diagonal recurrences over a whole sequence, on the fastest
kernel that fits.

`dispatch`, `convolution` and `diagonal` have the functions to call, and say what they compute. May
import errors, system and cells.
"""

from drnn_bench.cells.cell import State, Weights
from drnn_bench.kernels.checks import check_symbols
from drnn_bench.kernels.convolution import (
    causal_conv,
    conv_at,
    in_blocks,
    out_of_blocks,
    pointwise,
)
from drnn_bench.kernels.depthwise import depthwise_conv
from drnn_bench.kernels.diagonal import lru_layer, s4d_layer
from drnn_bench.kernels.dispatch import clockwork, one_hot, scan, stack, step, to_compile
from drnn_bench.kernels.gated import gated_attention
from drnn_bench.kernels.observed import observed, size, symbolic
from drnn_bench.kernels.settings import (
    CONVOLUTION,
    DIAGONAL,
    GATED,
    NAMES,
    SELECTIVE,
    forced,
    shared,
    threads,
    used,
)
from drnn_bench.kernels.taps import Taps, at_steps, steps_read
from drnn_bench.kernels.walk import over_steps

__all__ = [
    "CONVOLUTION",
    "DIAGONAL",
    "GATED",
    "NAMES",
    "SELECTIVE",
    "State",
    "Taps",
    "Weights",
    "at_steps",
    "causal_conv",
    "check_symbols",
    "clockwork",
    "conv_at",
    "depthwise_conv",
    "forced",
    "gated_attention",
    "in_blocks",
    "lru_layer",
    "observed",
    "one_hot",
    "out_of_blocks",
    "over_steps",
    "pointwise",
    "s4d_layer",
    "scan",
    "shared",
    "size",
    "stack",
    "step",
    "steps_read",
    "symbolic",
    "threads",
    "to_compile",
    "used",
]
