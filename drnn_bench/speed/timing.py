"""Timing of models in turns, and how busy the machine was with other work meanwhile.

The models take turns, so that whatever slows the machine slows them all. `torch.utils.benchmark`
cannot do that: its `Timer` runs one statement to its end. The rest of what it does is done here
too: a set number of threads, waiting for the GPU (by its events), short runs in blocks, medians
with quartiles (compared with its `Measurement` in the tests).

In turns, a model begins with the caches as the model before it left them. An LSTM's training step
of 0.8 ms took 0.9 or 1.5 ms, depending on which model ran before. So a short run is repeated in a
block that is long enough, after one run that is not timed, and every round has another order."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import quantiles

Run = Callable[[], object]
Turn = Callable[[], float]  # runs something -> seconds

# A run is finished after REPEATS repeats, or after SECONDS seconds and LEAST repeats.
REPEATS, SECONDS, LEAST = 15, 2.0, 5
PATIENCE = 20.0  # seconds after which two repeats are enough
WARM_UP = {"repeats": 3, "seconds": 0.1, "least": 1}
BLOCK = 0.005  # seconds, the shortest turn
BUSY = 0.15  # the machine counts as busy where others take more of its processor time
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds, in which the system counts


def timed(runs: list[Run], device: str) -> list[list[float]]:
    """Seconds of each run on a device, a list for each, in turns after a warm-up in turns."""
    clock = _gpu_clock if device.startswith("cuda") else _cpu_clock
    warm = in_turns([partial(clock, run) for run in runs], **WARM_UP)
    blocks = [math.ceil(BLOCK / min(seconds)) for seconds in warm]
    turns = [partial(_block, run, clock, many) for run, many in zip(runs, blocks, strict=True)]
    return in_turns(turns)


def in_turns(
    turns: list[Turn], *, repeats: int = REPEATS, seconds: float = SECONDS, least: int = LEAST
) -> list[list[float]]:
    """The seconds of each turn, a list for each, in rounds of which each has another order. A turn
    is left out of further rounds once it has `repeats` times, or `least` times that add up to
    `seconds`."""
    times: list[list[float]] = [[] for _ in turns]
    order = random.Random(0)

    def done(own: list[float]) -> bool:
        enough = len(own) >= least and sum(own) >= seconds
        # PATIENCE ends runs on all cores of a machine whose cores are busy.
        return len(own) >= repeats or enough or (len(own) >= 2 and sum(own) >= PATIENCE)

    while unfinished := [i for i, own in enumerate(times) if not done(own)]:
        for i in order.sample(unfinished, len(unfinished)):
            times[i].append(turns[i]())
    return times


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
    """Seconds between two events of the GPU, so that only the work between them counts."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000  # from milliseconds


def spread(seconds: list[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile."""
    low, middle, high = quantiles(seconds, n=4, method="inclusive")
    return low, middle, high


class OtherWork:
    """What other processes take of this machine's processor time, from now on."""

    def __init__(self) -> None:
        self._busy, self._all, self._own = *_processor_time(), time.process_time()

    def share(self) -> float:
        """0 where the system does not say."""
        busy, whole = _processor_time()
        others = (busy - self._busy) - (time.process_time() - self._own)
        return max(0.0, others) / max(TICK, whole - self._all)


def _processor_time() -> tuple[float, float]:
    """Seconds in which this machine's cores were at work, and those with idle ones."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return 0.0, 0.0
    ticks = [int(field) for field in fields]
    return TICK * (sum(ticks) - ticks[3] - ticks[4]), TICK * sum(ticks)
