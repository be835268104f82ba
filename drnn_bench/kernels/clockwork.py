"""The modules of a clockwork RNN, which fire at different periods (models/clockwork_rnn.py).

A module never reads a faster one. So the modules run one after another, the slowest first, each as
a plain recurrence over its own firings; the states of the slower modules are further inputs. A
module's history is its state before its first firing, then the state after each firing.

Legend: T steps, B batch, I inputs, H units of a module, F firings of a module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from drnn_bench.cells.cell import Weights
from drnn_bench.cells.rnn import RNN


class Schedule:
    """When modules of these periods fire in `length` steps, the first of which is step `clock`.

    fires: per module, the steps at which it fires, counted from the first step here
    """

    def __init__(self, periods: tuple[int, ...], clock: int, length: int):
        self.periods, self.first = periods, [-clock % period for period in periods]
        self.fires = [
            np.arange(first, max(first, length), period)
            for first, period in zip(self.first, periods, strict=True)
        ]

    def held(self, module: int, steps: np.ndarray) -> np.ndarray:
        """Per step, the row of a module's history that is its state after this step."""
        fired = (steps - self.first[module]) // self.periods[module] + 1
        return np.maximum(fired, 0)

    @property
    def reads(self) -> list[list[np.ndarray]]:
        """Per module and slower module, the rows of the slower one's history that the firings
        read. A firing at step t reads the state after step t-1."""
        modules = range(len(self.periods))
        return [[self.held(j, self.fires[i] - 1) for j in modules[i + 1 :]] for i in modules]


@lru_cache(maxsize=256)
def schedule(periods: tuple[int, ...], clock: int, length: int) -> Schedule:
    return Schedule(periods, clock, length)


def scan(
    run: Callable,
    x_TBI: Tensor,
    weights: Sequence[Weights],
    when: Schedule,
    hidden: Sequence[Tensor],
    last: int,
) -> tuple[Tensor, list[Tensor]]:
    """See `dispatch.clockwork`; `run` is the scan of one layer."""

    def select(h_TBH: Tensor, rows: np.ndarray) -> Tensor:
        return h_TBH.index_select(0, torch.from_numpy(rows).to(h_TBH.device))

    reads: list[list[np.ndarray]] = when.reads
    slower: list[Tensor] = []  # the histories of the modules that have run
    steps = np.arange(len(x_TBI) - last, len(x_TBI))
    for i in reversed(range(len(weights))):
        history = hidden[i].unsqueeze(0)
        if len(when.fires[i]):
            inputs = [select(x_TBI, when.fires[i])]
            inputs += [select(h, rows) for h, rows in zip(slower, reads[i], strict=True)]
            y, _ = run(RNN(), torch.cat(inputs, 2), weights[i], 1, (history,))
            history = torch.cat([history, y])
        slower.insert(0, history)
    out = [select(h, when.held(i, steps)) for i, h in enumerate(slower)]
    return torch.cat(out, 2), [history[-1] for history in slower]
