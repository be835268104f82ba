"""A finalist as a folder to be used: weights, `config.json`, a model card. `loading` reads it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnn_bench.board.reproduce import commands
from drnn_bench.errors import UserError
from drnn_bench.export.described import described, told
from drnn_bench.export.loading import (
    CARD,
    CONFIG,
    FORMAT,
    WEIGHTS,
    digest,
    load,
    task_digest,
)
from drnn_bench.export.model_card import model_card
from drnn_bench.models import weights
from drnn_bench.models.registry import architecture_type, restore_architecture
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.results.study_lines import finals_of
from drnn_bench.search.plugin_code import named, needed
from drnn_bench.system.escape import shell
from drnn_bench.tasks.prepared import Prepared, all_prepared
from drnn_bench.tasks.registry import task_type

if TYPE_CHECKING:
    from drnn_bench.export.onnx.check import Checked

Row = dict[str, Any]
CHOICE = ("task", "budget", "steps")  # options that tell boards apart


def choose(groups: Sequence[BoardGroup], rows: list[Row], steps: int | None) -> BoardGroup:
    """The one group that is meant. Raises UserError where it could be several.

    Groups that only another version of the task or other data sets apart: the one last run.
    """
    matching = list(groups)
    if steps is not None:
        known = sorted({group.steps for group in groups})
        matching = [group for group in groups if group.steps == steps]
        if not matching:
            raise UserError(f"no results for --steps {steps}: known: {', '.join(map(str, known))}")
    keys = list(dict.fromkeys((group.task, group.budget, group.steps) for group in matching))
    if len(keys) > 1:
        differ = [i for i in range(len(CHOICE)) if len({key[i] for key in keys}) > 1]
        choices = [shell(*(w for i in differ for w in (f"--{CHOICE[i]}", key[i]))) for key in keys]
        raise UserError(f"{len(keys)} boards match, add {' or '.join(choices)}")
    place = {row["study"]: i for i, row in enumerate(rows)}  # of a study's last row
    return max(matching, key=lambda group: max(place[line.study] for line in group.lines))


@dataclass(frozen=True)
class Exported:
    """The final's row, and how near its ONNX files are to it, where there are any."""

    final: Row
    checked: Checked | None


def export_to(
    output: Path,
    group: BoardGroup,
    rank: int,
    rows: list[Row],
    runs_dir: Path,
    onnx: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Writes the finalist of a board's row, whole or not at all; `onnx`: as ONNX files too. `say`
    is told what takes long.

    Nothing is overwritten: raises UserError where `output` is there and not empty, or where its
    ONNX files would not answer as the net does.
    """
    if onnx:
        from drnn_bench.export.onnx.convert import check_packages

        check_packages()
    if not 1 <= rank <= len(group.lines):
        raise UserError(f"--rank {rank}: the board has the rows 1 to {len(group.lines)}")
    line = group.lines[rank - 1]
    _check_free(output)
    _check_here(line)
    weights_dir = runs_dir / weights.FOLDER
    final = best_final(line, finals_of(line, rows), weights_dir)
    prepared = _prepared(line, runs_dir)
    data = weights.read(weights_dir / weights.file_name(final), final["weights"])
    config = describe(final, prepared)
    texts = {
        CONFIG: json.dumps(config, indent=2, ensure_ascii=False) + "\n",
        CARD: model_card(group, line, final, prepared, onnx),
    }
    partial, checked = None, None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=output.parent, prefix=".partial-"))
        (partial / WEIGHTS).write_bytes(data)
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        with warnings.catch_warnings():  # `load` warns of changed code; the model card says it
            warnings.simplefilter("ignore", UserWarning)
            net = load(partial)  # what cannot be used is never written
        if onnx:
            from drnn_bench.export.onnx.write import onnx_files

            say("writing the ONNX files and comparing them with torch over the test set")
            files, checked = onnx_files(net, described(config, CONFIG), prepared)
            for name, file in files.items():
                (partial / name).write_bytes(file)
        partial.chmod(0o755)
        os.replace(partial, output)
    except OSError as error:
        raise UserError(f"output {output}: cannot be written ({error.strerror})") from None
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    return Exported(final, checked)


def _check_here(line: BoardLine) -> None:
    """Raises UserError naming the plug-in that a line's task or family needs and that is absent."""
    for kind, name, find in (
        ("task", line.task, task_type),
        ("family", line.family, architecture_type),
    ):
        try:
            find(name.partition(":")[0])
        except UserError:
            code = line.code.get(kind)
            if code is None:
                raise
            raise UserError(
                f"{kind} {name} is that of the {named(code)}, which is not here: {needed(code)}"
            ) from None


def _check_free(output: Path) -> None:
    try:
        free = not os.path.lexists(output) or (not output.is_symlink() and not os.listdir(output))
    except OSError:  # a file
        free = False
    if not free:
        raise UserError(f"output {output}: is there already, and not empty; name a new folder")


def best_final(line: BoardLine, finals: list[Row], weights_dir: Path) -> Row:
    """The seed that is best by validation, never by test."""
    if not finals:
        why = "all its finals diverged" if line.diverged_finals else "it has no finals yet"
        raise UserError(f"{line.family} cannot be exported: {why}")
    sign = -1 if line.direction == "max" else 1
    best = min(finals, key=lambda row: (sign * row["validation"], row["seed"]))
    if "weights" not in best or not (weights_dir / weights.file_name(best)).is_file():
        why = "are not in" if "weights" in best else "were not kept then; they would be in"
        raise UserError(
            f"{line.family}: seed {best['seed']} is the best by validation, but its weights "
            f"{why} {weights_dir}; train again in another --runs-dir: {commands([line])[0]}"
        )
    return best


def describe(final: Row, prepared: Prepared) -> Row:
    """config.json: what `load` needs, then what a user needs to give the net what it was trained
    on."""
    task = prepared.task
    config = restore_architecture(task, final["family"], final["config"])
    net = {
        "format": FORMAT,
        "family": final["family"],
        "input_size": config.input_size,
        "output_size": config.output_size,
        "config": final["config"],
        "weights": final["weights"],
        **({"plugins": final["plugins"]} if "plugins" in final else {}),
    }
    known = {
        "version": final["task_version"],
        "data_hash": final["data_hash"],
        **told(task, prepared.facts),
    }
    return net | {
        "digest": digest(net),
        "task_digest": task_digest(known),
        "parameters": final["parameters"],
        "task": known,
    }


def _prepared(line: BoardLine, runs_dir: Path) -> Prepared:
    """The task with the facts of its data."""
    task_type(line.task.partition(":")[0])  # a plug-in that is missing is said
    tasks, damaged = all_prepared(runs_dir / "data")
    known = [p for p in tasks if (p.task.key, p.data_hash) == (line.task, line.data_hash)]
    if not known:
        raise UserError(
            f"the data of {line.task} is no longer in {runs_dir / 'data'}: "
            "the same `bench run` prepares it again"
            + (f" ({'; '.join(damaged)})" if damaged else "")
        )
    return max(known, key=lambda prepared: len(prepared.facts))  # older versions noted fewer facts
