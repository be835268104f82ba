"""`bench doctor`: what this machine has."""

from __future__ import annotations

import json

from drnn_bench.cli.options import (
    DataOption,
    JsonOption,
    RunsOption,
    say,
)


def doctor(
    data_dir: DataOption = None, runs_dir: RunsOption = "runs", as_json: JsonOption = False
) -> None:
    """What this machine has: libraries, processor, GPU, room, and which data is found."""
    from drnn_bench.jobs.doctor import examine

    facts = examine(data_dir, runs_dir)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        say(f"{name:<{width}}  {value}")
