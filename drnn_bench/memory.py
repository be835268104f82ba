"""How much memory training a model takes, at its peak.

On a CPU: by how much the resident memory of a fresh process grows. What one process has freed, the
next model in it would use again and seem to need nothing; so each model has a process of its own,
forked from one that has imported torch and done nothing else (`forkserver`). Counted so is what
the model takes from the machine: libraries' scratch space and the allocator's waste as well, which
torch's own count of its tensors leaves out (of S4D's, a third), but not pages asked for and never
touched. To about one MiB. On a GPU: torch's allocator, which everything goes through.
"""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from drnn_bench.workload import Runner, Workload

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(works: list[Workload], device: str) -> list[float | None]:
    """MiB that making each model and training it takes at most, over what was there before it;
    None where the system does not tell (it does on Linux)."""
    return [(_on_gpu if device.startswith("cuda") else _apart)(work, device) for work in works]


def _on_gpu(work: Workload, device: str) -> float:
    import torch

    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    _train_twice(work, device)
    return round((torch.cuda.max_memory_allocated(device) - before) / 2**20, 1)


def _apart(work: Workload, device: str) -> float | None:
    if not STATUS.exists():
        return None
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["drnn_bench.memory"])  # torch with it, once for all models
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(theirs, work.told), daemon=True)
    child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:  # killed: there was not enough
        return None
    finally:
        child.join()


def _in_child(answer: Connection, told: dict[str, Any]) -> None:
    import torch

    torch.set_num_threads(1)
    work = Workload.from_told(told)
    # What every first step brings with it (code, thread pools) is no model's.
    few = min(work.length, 8)
    _train_twice(replace(work, length=few, scored=min(work.scored, few)), "cpu")
    with suppress(OSError):
        CLEAR.write_text("5")  # the peak so far is forgotten
    before = _mebibytes("VmRSS")
    _train_twice(work, "cpu")
    peak = _mebibytes("VmHWM")
    answer.send(None if before is None or peak is None else round(max(0.0, peak - before), 1))


def _train_twice(work: Workload, device: str) -> None:
    """The second step finds the optimiser's state and the gradients of the first."""
    runner = Runner(work, device)
    runner.train()
    runner.train()


def _mebibytes(field: str) -> float | None:
    for line in STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return None
