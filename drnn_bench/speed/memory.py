"""How much memory training a model takes, at its peak.

On a CPU: by how much the resident memory of a fresh process grows. Each model has a process of its
own, forked from one that has loaded the libraries and kernels and has trained nothing: in a shared
process a model would use again what the model before it freed, and seem to need nothing. What is
freed goes back to the system at once, so that no gaps in the heap count (system/allocator.py). This
counts all that the model takes from the machine, also the libraries' scratch space, which torch's
count of its tensors leaves out (a third of S4D's), but not pages that are never touched. The figure
is the median of TIMES processes, as the system counts pages to some tenths of a MiB only. On a GPU:
the count of torch's allocator, which serves all of it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from drnn_bench.speed.workload import Runner, Workload
from drnn_bench.system.allocator import return_freed_memory
from drnn_bench.system.collector import collect_rarely
from drnn_bench.system.environment import one_thread

TIMES = 3  # processes a model
FEW = 80  # steps, from which on more steps run on no other kernels
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(works: list[Workload], device: str) -> list[float | None]:
    """Per model, the peak in MiB of building and training it, above the memory before that; None
    where there was not enough memory, or the system has no /proc."""
    if device.startswith("cuda"):
        return [_on_gpu(work, device) for work in works]
    if not STATUS.exists():
        return [None] * len(works)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "drnn_bench.speed.memory"],
        input=json.dumps([work.to_json() for work in works]),
        capture_output=True,
        text=True,
        env=one_thread(),
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    count = TIMES * len(works)
    peaks = [json.loads(line) for line in done.stdout.splitlines()[-count:]]
    return [_median(peaks[i : i + TIMES]) for i in range(0, count, TIMES)]


def _median(peaks: list[float | None]) -> float | None:
    known = [peak for peak in peaks if peak is not None]
    return statistics.median(known) if len(known) == len(peaks) else None


def _on_gpu(work: Workload, device: str) -> float:
    import torch

    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    _train_twice(work, device)
    return round((torch.cuda.max_memory_allocated(device) - before) / 2**20, 1)


def main() -> None:
    """Reads workloads as JSON, prints TIMES lines for each: its MiB, or null."""
    collect_rarely()
    for values in json.load(sys.stdin):
        work = Workload.from_json(values)
        # Only forward: a process that has gone backward cannot be forked to do so. Where there is
        # not enough memory, a child says it.
        with suppress(RuntimeError, MemoryError):
            Runner(_short(work), "cpu").infer()
        return_freed_memory()
        for _ in range(TIMES):
            _measure_apart(work)


def _measure_apart(work: Workload) -> None:
    """Prints what a process of its own measures."""
    child = os.fork()
    if child == 0:
        try:
            print(json.dumps(_growth(work)), flush=True)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code > 0:
        sys.exit(code)
    if code < 0:  # killed, for lack of memory
        print("null", flush=True)


def _growth(work: Workload) -> float | None:
    # A short run first: the code and the thread pools that it loads do not count.
    _train_twice(_short(work), "cpu")
    return_freed_memory()
    with suppress(OSError):
        CLEAR.write_text("5")  # sets the peak to the present size
    before = _mebibytes("VmRSS")
    _train_twice(work, "cpu")
    peak = _mebibytes("VmHWM")
    return None if before is None or peak is None else round(max(0.0, peak - before), 1)


def _short(work: Workload) -> Workload:
    few = min(work.length, FEW)
    last = None if work.last is None else min(work.last, few)
    return replace(work, length=few, scored=min(work.scored, few), last=last)


def _train_twice(work: Workload, device: str) -> None:
    """Two steps: during the second, the optimiser's state and the gradients exist already."""
    runner = Runner(work, device)
    runner.train()
    runner.train()


def _mebibytes(field: str) -> float | None:
    for line in STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return None


if __name__ == "__main__":
    main()
