"""The recurrence of gated linear attention (Yang et al. 2023, arXiv 2312.06635), of every head

    S_t = diag(a_t) S_(t-1) + k_t v_t',   o_t = S_t' q_t

with S a matrix of d times e numbers, on the fused kernel or as products of matrices
(`gated_plain`).

Legend: T steps, L of them answered, the last ones, B batch, h heads, d numbers of a key, e of a
value.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from drnn_bench.kernels.dispatch import SHORT, allows_fused
from drnn_bench.kernels.gated_plain import plain
from drnn_bench.kernels.settings import GATED, note_use, wanted

SHARE = 0.25  # of the columns of all blocks, which hold sequences: with fewer torch is faster


def gated_attention(
    q_LBhd: Tensor, k_TBhd: Tensor, v_TBhe: Tensor, log_a_TBhd: Tensor, first_Bhde: Tensor
) -> tuple[Tensor, Tensor]:
    """o [L, B, h, e], and the states after the last step [B, h, d, e].

    log_a:  logarithms of the gates
    first:  the states before the first step
    Gradients can be differentiated again.
    """
    given = (q_LBhd, k_TBhd, v_TBhe, log_a_TBhd, first_Bhde)
    if not _fused(given):
        return plain(*given)
    from drnn_bench.kernels.fused import ready
    from drnn_bench.kernels.fused_gated import FusedGated

    ready("layout")
    ready(GATED)
    note_use("fused")
    return FusedGated.apply(*given)


def _fused(given: Sequence[Tensor]) -> bool:
    """Whether the fused kernel runs, which computes blocks of sequences."""
    if not all(tensor.numel() for tensor in given) or not allows_fused(given):
        return False
    from drnn_bench.kernels.registers import COLUMNS

    steps, batch, *_ = given[1].shape
    filled = batch / (-(-batch // COLUMNS) * COLUMNS)
    return wanted() == "fused" or (filled >= SHARE and steps >= SHORT)
