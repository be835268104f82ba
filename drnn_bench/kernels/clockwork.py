"""The modules of a clockwork RNN, which fire at different periods (models/clockwork_rnn.py).

Slow never depends on fast. So the modules are run slowest first, each as a plain recurrence over
its own firings, with the states of the slower ones as further inputs: there is no loop over time
but that of each module. A module's history is its state before the first firing, then after each.

Legend: T steps, B batch, I inputs, H units of a module, F firings of a module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


class Schedule:
    """When modules of these periods fire in `length` steps, the first of which is step `clock`."""

    def __init__(self, periods: tuple[int, ...], clock: int, length: int):
        self.periods, self.first = periods, [-clock % period for period in periods]
        self.fires = [
            np.arange(first, max(first, length), period)
            for first, period in zip(self.first, periods, strict=True)
        ]

    def held(self, module: int, steps: np.ndarray) -> np.ndarray:
        """The rows of a module's history that it holds after each of these steps."""
        fired = (steps - self.first[module]) // self.periods[module] + 1
        return np.maximum(fired, 0)

    @property
    def heard(self) -> list[list[np.ndarray]]:
        """Per module, the rows of every slower one's history that its firings read: a firing at
        step t reads what they held after step t-1."""
        modules = range(len(self.periods))
        return [[self.held(j, self.fires[i] - 1) for j in modules[i + 1 :]] for i in modules]


@lru_cache(maxsize=256)
def schedule(periods: tuple[int, ...], clock: int, length: int) -> Schedule:
    return Schedule(periods, clock, length)


def scan(
    run: Callable,
    x_TBI: Tensor,
    weights: Sequence[tuple[Tensor, Tensor, Tensor]],
    when: Schedule,
    hidden: Sequence[Tensor],
    last: int,
) -> tuple[Tensor, list[Tensor]]:
    """See the package's docstring; `run` is the scan of one layer."""
    rows = lambda h, numbers: h.index_select(0, torch.from_numpy(numbers).to(h.device))  # noqa: E731
    heard, slower = when.heard, []
    steps = np.arange(len(x_TBI) - last, len(x_TBI))
    for i in reversed(range(len(weights))):
        history = hidden[i].unsqueeze(0)
        if len(when.fires[i]):
            inputs = [rows(x_TBI, when.fires[i])]
            inputs += [rows(h, read) for h, read in zip(slower, heard[i], strict=True)]
            y, _ = run("rnn", torch.cat(inputs, 2), weights[i], 1, (history,))
            history = torch.cat([history, y])
        slower.insert(0, history)
    out = [rows(h, when.held(i, steps)) for i, h in enumerate(slower)]
    return torch.cat(out, 2), [history[-1] for history in slower]
