"""`bench ls`: what there is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from drnn_bench.cells.names import CELL
from drnn_bench.cli.options import (
    JsonOption,
    make_console,
    parse_budget,
    say,
    say_error,
)
from drnn_bench.errors import UserError
from drnn_bench.models.names import FAMILY
from drnn_bench.system.escape import rich
from drnn_bench.tasks.names import DEFAULT_TASK, TASK

Row = dict[str, Any]

ls = typer.Typer(
    help="What there is: tasks, families, cells, search spaces, and how your data would be read."
)


@ls.command("tasks")
def ls_tasks(as_json: JsonOption = False) -> None:
    """The tasks, with their default budgets, steps, trials and seeds."""
    from drnn_bench import plugins
    from drnn_bench.tasks.registry import parse_task, task_names

    def row(name: str) -> Row:
        task = parse_task(name)
        learned = any("learned" in field.metadata for field in dataclasses.fields(task))
        return {
            "task": task.key,
            "steps in sequence": _known(lambda: task.length) if learned else task.length,
            "metric": task.metric,
            "budget": task.default_budget,
            "steps": task.default_steps,
            "trials": task.default_trials,
            "seeds": task.default_seeds,
            "what": task.summary,
        }

    def details(row: Row) -> str:
        length = row["steps in sequence"]
        long = (
            "sequences as long as its data's" if length is None else f"{length:,} steps a sequence"
        )
        return (
            f"{long}, ranked by {row['metric']}; default: {row['budget']:,} parameters, {row['trials']} trials of "
            f"{row['steps']:,} training steps, {row['seeds']} seeds"
        )

    _list(task_names(), row, details, plugins.overruled(TASK), as_json)


@ls.command("data")
def ls_data(
    path: Annotated[
        str, typer.Argument(help="A file or folder of sequences, or the whole word of --task.")
    ],
    options: Annotated[
        list[str] | None,
        typer.Argument(
            help="As of --task own: target=COL id=COL time=COL ignore=A+B group=COL length=N rate=HZ missing=ffill metric=rmse horizon=N input=N season=N."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How `--task own` would understand your data."""
    from drnn_bench.tasks.own.summary import data_summary
    from drnn_bench.tasks.registry import make_task, parse_task

    if path.startswith("own:") and not options:
        own = parse_task(path)
    else:
        own = make_task("own", [f"path={path}", *(options or [])])
    task, arrays, notes, facts = own.read(None)
    if as_json:
        print(json.dumps(data_summary(task, arrays, facts) | {"notes": list(notes)}, indent=2))
        return
    for note in notes:
        say(note)


@ls.command("space")
def ls_space(
    family: Annotated[str, typer.Argument(help="A family: see `bench ls families`.")],
    task: Annotated[str, typer.Option(help="A task, with options: copy_memory:T=1000.")] = DEFAULT_TASK,
    budget: Annotated[str | None, typer.Option(help="Parameters: 5000, 5k, 1.2M.")] = None,
    search_space: Annotated[str | None, typer.Option(help="TOML file in place of the family's own.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where the data is, if its sizes are not known without.")] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """How many architectures a search space holds, and which a budget refuses."""
    from drnn_bench.search.feasible import count_feasible, to_record, to_text
    from drnn_bench.search.space_file import default_path, read_space
    from drnn_bench.tasks.registry import sized_task

    space = read_space(search_space or default_path(family))
    if space.family != family:
        raise UserError(
            f"search space {search_space} is of family {space.family!r}, not {family!r}"
        )
    sized = sized_task(task, data_dir)
    parameters = parse_budget(budget) if budget else sized.default_budget
    count = count_feasible(space, sized, parameters)
    if as_json:
        print(json.dumps(to_record(count, family, sized, parameters), indent=2))
        return
    for line in to_text(count, family, sized, parameters).split("\n"):
        say(line)


@ls.command("families")
def ls_families(as_json: JsonOption = False) -> None:
    """The families and what each searches. docs/families has a page for each."""
    from drnn_bench import plugins
    from drnn_bench.models.names import FAMILIES
    from drnn_bench.models.registry import architecture_type, family_names, group_of
    from drnn_bench.search.space_file import default_path, read_space

    def row(name: str) -> Row:
        what = FAMILIES[name][2] if name in FAMILIES else architecture_type(name).summary
        try:
            searched = ", ".join(entry.name for entry in read_space(default_path(name)).entries)
        except UserError as error:
            notes.append(str(error))
            searched = None
        return {"family": name, "group": group_of(name), "searched": searched, "what": what}

    def details(row: Row) -> str:
        return f"{row['group'] or 'no group'}; searches {row['searched'] or 'nothing'}"

    notes = plugins.overruled(FAMILY)
    _list(family_names(), row, details, notes, as_json)


@ls.command("cells")
def ls_cells(as_json: JsonOption = False) -> None:
    """The cells that a dilated RNN may have (`cell=NAME`)."""
    from drnn_bench import plugins
    from drnn_bench.cells.registry import cell_names, find_cell

    def row(name: str) -> Row:
        cell = find_cell(name)
        return {
            "cell": name,
            "gates": cell.gates,
            "states": cell.states,
            "inits": ", ".join(cell.inits),
            "fused": "yes" if cell.fused else "no",
            "what": cell.summary,
        }

    def details(row: Row) -> str:
        kernels = "fused and torch's" if row["fused"] == "yes" else "torch's"
        return (
            f"gates: {row['gates']}, states: {row['states']}; kernels: {kernels}; "
            f"init: {row['inits']}"
        )

    _list(cell_names(), row, details, plugins.overruled(CELL), as_json)


def _list(
    names: list[str],
    row: Callable[[str], Row],
    details: Callable[[Row], str],
    notes: list[str],
    as_json: bool,
) -> None:
    """An entry for each name, then the notes; a plug-in that is broken is one of them."""
    rows = []
    for name in names:
        try:
            rows.append(row(name))
        except UserError as error:
            notes.append(str(error))
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        for entry in rows:
            _print_entry(entry, details(entry))
    for note in notes:
        say_error(note)


def _known(fact: Callable[[], int]) -> int | None:
    """None where only the data tells."""
    try:
        return fact()
    except (UserError, TypeError):  # it reckons with what is None until it is learned
        return None


def _print_entry(row: Row, details: str) -> None:
    """What there is, in bold, what it is, and below it the details."""
    from rich.padding import Padding
    from rich.text import Text

    console, (name, *_), what = make_console(), row.values(), row["what"]
    console.print(Text.assemble(rich(name, "bold"), "  ", rich(what)))
    console.print(Padding(rich(details, "dim"), (0, 0, 0, 4), expand=False))
