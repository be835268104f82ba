"""The worker's end: reads jobs as JSON lines, answers each with one JSON line.

Started as `python -m drnn_bench.worker_main NAME` by `workers`, with one thread in its environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import traceback
from collections import deque
from typing import Any

from drnn_bench.allocator import keep_freed_memory
from drnn_bench.errors import JobError, UserError, out_of_memory


def main(name: str) -> None:
    keep_freed_memory()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to the log, not between the answers
    arrived: deque[dict[str, Any]] = deque()
    something = threading.Semaphore(0)

    def listen() -> None:
        for line in sys.stdin:
            arrived.append(json.loads(line))
            something.release()
        os._exit(0)  # the parent is gone

    threading.Thread(target=listen, daemon=True).start()
    _warm_up()
    while True:
        something.acquire()
        job = arrived.popleft()
        try:
            answer = _DO[job["do"]](name, job)
        except (UserError, JobError) as error:
            answer = {"error": str(error), "kind": type(error).__name__}
        except Exception as error:
            traceback.print_exc()
            said = out_of_memory(error)
            if said is None:
                answer = {"error": traceback.format_exc(), "kind": type(error).__name__}
            else:
                answer = {"error": f"{job['do']}: {said}", "kind": "JobError"}
        print(json.dumps(answer), file=answers, flush=True)


def _warm_up() -> None:
    """Imports what every job needs, before the first one asks: the parent has things to do
    meanwhile, and a trial should not begin with it. What fails here fails again in the job."""
    with contextlib.suppress(Exception):
        import drnn_bench.search
        import drnn_bench.throughput
        import drnn_bench.training  # noqa: F401


def _search(name: str, job: dict[str, Any]) -> dict[str, Any]:
    from drnn_bench.database import TrialLock, answering
    from drnn_bench.search import Search
    from drnn_bench.storage import open_storage
    from drnn_bench.studies import StudySpec

    storage = open_storage(job["storage"], create=False)
    specs = [StudySpec(**spec) for spec in job["studies"]]
    for spec in specs:
        spec.check_code()
    with answering(job["storage"]):
        search = Search(
            storage, TrialLock(storage), specs, job["trials"], _prepared(job), job["device"], name
        )
        search.work()
    return {}


def _final(name: str, job: dict[str, Any]) -> dict[str, Any]:
    from drnn_bench import kernels
    from drnn_bench.finals import train_final

    with kernels.shared(job["threads"]):
        return train_final(job, _prepared(job))


def _pace(name: str, job: dict[str, Any]) -> dict[str, Any]:
    from drnn_bench.throughput import pace

    return pace(job, _prepared(job))


def _speed(name: str, job: dict[str, Any]) -> dict[str, Any]:
    from drnn_bench.throughput import measure

    return {"rows": measure(job, _prepared(job).task)}


_DO = {"search": _search, "final": _final, "pace": _pace, "speed": _speed}


def _prepared(job: dict[str, Any]):
    from drnn_bench.tasks.cache import open_prepared

    return open_prepared(job["data"])


if __name__ == "__main__":
    main(sys.argv[1])
