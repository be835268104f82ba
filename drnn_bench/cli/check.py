"""`bench check`: whether a file of the user's keeps the contracts."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from drnn_bench.cli.options import JsonOption, say


def check(
    file: Annotated[str, typer.Argument(help="A Python file of yours.")],
    data_dir: Annotated[str | None, typer.Option(help="Where the data of its tasks is.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Whether the tasks, families, metrics and cells of a file do what they must: one line a check.
    Exit code 1 where a check fails."""
    from drnn_bench.tasks.registry import check_data_dir
    from drnn_bench.testing.checks import FAILED, LEFT_OUT, PASSED, check_file

    check_data_dir(data_dir)
    done, said = [], set()
    for one in check_file(file, data_dir):
        if not as_json:
            if not done or (done[-1].kind, done[-1].name) != (one.kind, one.name):
                say(f"{one.kind} {one.name}")
            again = one.result == FAILED and (one.name, one.why) in said  # one cause may fail many
            why = "as above" if again else one.why
            said.add((one.name, one.why))
            say(f"  {one.result:<8}  {one.check}" + (f": {why}" if why else ""))
        done.append(one)
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in done], indent=2))
    else:
        counts = {result: sum(one.result == result for one in done)
                  for result in (PASSED, FAILED, LEFT_OUT)}  # fmt: skip
        say(", ".join(f"{count} {result}" for result, count in counts.items()))
    if any(one.result == FAILED for one in done):
        raise typer.Exit(1)
