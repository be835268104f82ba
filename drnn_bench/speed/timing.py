"""Timing things in turns, and telling whether the machine was quiet meanwhile.

The models take turns, so that whatever slows the machine slows them all. That is why the loop is
our own: `torch.utils.benchmark.Timer` runs one statement to its end. What it has beyond
`time.perf_counter` is done here too: a set number of threads, a wait for the GPU (by its own
events), short runs in blocks, and medians with quartiles (held against its `Measurement` in the
tests).

Turns have a cost: a model finds the caches as the one before it left them. An LSTM's training step
of 0.8 ms took 0.9 or 1.5 ms, by who went before. So a short run is repeated until its block is
long enough, after one that is not timed, and every round has another order.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import quantiles

Run = Callable[[], object]
Turn = Callable[[], float]  # runs something -> seconds

REPEATS, SECONDS, LEAST = 30, 3.0, 5  # of each: whichever comes first, at least
PATIENCE = 20.0  # seconds after which fewer repeats must do
WARM_UP = {"repeats": 3, "seconds": 0.1, "least": 1}
BLOCK = 0.005  # seconds that a turn lasts at least
IDLE = 0.85  # the machine counts as idle where at least this share of its processor time is


def timed(runs: list[Run], device: str) -> list[list[float]]:
    """Seconds of each run on a device, in turns, after a warm-up in turns."""
    clock = _gpu_clock if device.startswith("cuda") else _cpu_clock
    warm = in_turns([partial(clock, run) for run in runs], **WARM_UP)
    blocks = [math.ceil(BLOCK / min(seconds)) for seconds in warm]
    turns = [partial(_block, run, clock, many) for run, many in zip(runs, blocks, strict=True)]
    return in_turns(turns)


def in_turns(
    turns: list[Turn], *, repeats: int = REPEATS, seconds: float = SECONDS, least: int = LEAST
) -> list[list[float]]:
    """What each turn gave, round by round, each round in another order. One that has its repeats,
    or its seconds and the least number of repeats, sits out the rounds that are left."""
    taken: list[list[float]] = [[] for _ in turns]
    order = random.Random(0)

    def done(mine: list[float]) -> bool:
        enough = len(mine) >= least and sum(mine) >= seconds
        # All cores, on a machine that has none to spare.
        return len(mine) >= repeats or enough or (len(mine) >= 2 and sum(mine) >= PATIENCE)

    while left := [i for i, mine in enumerate(taken) if not done(mine)]:
        for i in order.sample(left, len(left)):
            taken[i].append(turns[i]())
    return taken


def _block(run: Run, clock: Callable[[Run], float], many: int) -> float:
    """Seconds of one run, from a block of them."""

    def block() -> None:
        for _ in range(many):
            run()

    if many > 1:
        run()
    return clock(block) / many


def _cpu_clock(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _gpu_clock(run: Run) -> float:
    """From the GPU's own events, so that only the work between them counts."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000  # it tells milliseconds


def spread(seconds: list[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile."""
    low, middle, high = quantiles(seconds, n=4, method="inclusive")
    return low, middle, high


def idle_share(seconds: float = 1.0) -> float:
    """The share of this machine's processor time that is idle; 1 where that cannot be read."""

    def read() -> tuple[int, int]:
        fields = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return fields[3] + fields[4], sum(fields[:8])

    try:
        idle, total = read()
        time.sleep(seconds)
        idle_after, total_after = read()
    except OSError:
        return 1.0
    return (idle_after - idle) / max(1, total_after - total)
