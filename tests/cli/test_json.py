"""Every command that prints data prints it as JSON on request, and then nothing else.

Those that take long are typed so where they are tested: `measure`, `replay`, `run`, `status`.
"""

from __future__ import annotations

import json

import pytest
import typer.main

from drnn_bench.cli.app import app

# They write files and name them.
WRITERS = {"report", "export", "new"}


def commands(group, *words: str):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *words, name)
        else:
            yield " ".join((*words, name)), command


def test_every_command_that_prints_data_has_json():
    found = dict(commands(typer.main.get_command(app)))
    assert {"run", "ls cells", "doctor"} <= found.keys()
    without = {
        name
        for name, command in found.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == WRITERS


@pytest.mark.parametrize(
    "words",
    ["ls tasks", "ls families", "ls cells", "ls space lstm", "doctor",
     "describe lstm width=3 --task pixel_digits"],
)  # fmt: skip
def test_what_is_printed_then_is_json_alone(typed, words):
    data = json.loads(typed(*words.split(), "--json").stdout)
    assert data


def test_a_plan_is_no_data(typed):
    done = typed("run", "--dry-run", "--json", code=2)
    assert done.stderr == "bench: --dry-run shows a plan, which is no data: leave out --json\n"
