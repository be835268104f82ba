"""The model card of an exported net: what it is, how good, how it came about, what it is not."""

from __future__ import annotations

import textwrap
from typing import Any

from drnn_bench.board.cells import metric_text, number_text, rank_text, result_text
from drnn_bench.board.reproduce import again
from drnn_bench.export.described import of_task
from drnn_bench.export.usage import usage
from drnn_bench.models.cost import cost
from drnn_bench.models.registry import restore_architecture
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.plugin_code import changes, named, needed
from drnn_bench.system.escape import markdown
from drnn_bench.tasks.prepared import Prepared
from drnn_bench.tasks.task import Task

Row = dict[str, Any]


def model_card(
    group: BoardGroup, line: BoardLine, final: Row, prepared: Prepared, onnx: bool = False
) -> str:
    """Markdown. `group` is the board, `line` the finalist's, `final` the row of the seed taken;
    `onnx` says whether the ONNX files lie beside it."""
    task = prepared.task
    parts = [
        markdown(f"# {final['family']} on {final['task']}"),
        markdown(f"{task.summary[0].upper()}{task.summary[1:]}. {final['architecture']}."),
        _table(_figures(group, line, final) | _costs(task, final)),
        "## Use",
        usage(of_task(task, prepared.facts), prepared, final, onnx),
        "## How it was trained",
        markdown(_training(line, final)),
        textwrap.indent(again([line]), "    "),
        "## Limits",
        "\n".join(f"- {markdown(limit)}" for limit in _limits(line, final, task.length)),
        "## Provenance",
        _table(_provenance(final)),
        "## Licence of the data",
        markdown(f"{task.licence[0].upper()}{task.licence[1:]}."),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(group: BoardGroup, line: BoardLine, final: Row) -> dict[str, str]:
    facts, n = line.shown_as, line.n
    better = "higher" if line.direction == "max" else "lower"
    interval = "half of the 95 % Student t interval, " if n > 1 else ""
    figures = {
        "metric": f"{facts.unit}, {better} is better",
        "test, mean over seeds": f"{result_text(line)} ({interval}n = {n})",
        "test, these weights": metric_text(facts, final["test"]),
        "validation, these weights": f"{metric_text(facts, final['validation'])}, best of {n}",
    }
    if final.get("guessing") is not None:
        digits = ".5g" if facts.decimals is None else ".4f"
        figures["guessing"] = f"{final['guessing']:{digits}}"
    figures |= {f"test {name}, these weights": f"{value:.5g}"
                for name, value in final.get("metrics", {}).items()}  # fmt: skip
    return figures | {
        "rank": f"{rank_text(line)} of {sum(x.n > 0 for x in group.lines)}, ties share ranks",
        "parameters": f"{final['parameters']:,} of at most {final['budget']:,}",
    }


def _costs(task: Task, final: Row) -> dict[str, str]:
    """What it costs where it runs (models/cost.py)."""
    costs = cost(restore_architecture(task, final["family"], final["config"]), task.length)
    words = {
        "macs_per_step": ("multiply-accumulates a step", ""),
        "state_bytes": ("state of a stream", " bytes a sequence, in float32"),
        "weight_bytes": ("weights", " bytes"),
    }
    return {
        label: f"{number_text(costs[name])}{unit}"
        for name, (label, unit) in words.items()
        if costs[name] is not None
    }


def _training(line: BoardLine, final: Row) -> str:
    trials = line.trials
    return (
        f"{final['steps']:,} steps of {Recipe.from_json(final['recipe']).words}; learning rate "
        f"{final['learning_rate']:.3g}, seed {final['seed']}, {final['train_seconds']:,.1f} s. "
        f"These are the weights of step {final['best_step']:,}, the best by validation. "
        "Architecture and learning rate were found on training and validation data alone, by a "
        f"search of {trials['complete']} complete and {trials['pruned']} pruned trials (sampler "
        f"{line.sampler}, pruner {line.pruner}, seed {line.search_seed}):"
    )


def _limits(line: BoardLine, final: Row, length: int) -> list[str]:
    limits = [
        "The figures are of the task's own test split; they say nothing of other data.",
        "Step and seed were chosen by validation, which is therefore too good; the test mean over "
        "seeds is what to expect of training again.",
        "Conditional on one search per family: another search may find another net.",
        f"It takes sequences of any length, and was trained and tested on up to {length:,} steps.",
    ]
    if line.n == 1:
        limits.append("One seed only, so there is no interval.")
    if line.diverged_finals:
        limits.append(f"{line.diverged_finals} other seeds diverged and are not in the mean.")
    if line.on_edge:
        limits.append(f"Best on the edge of what was searched: {', '.join(line.on_edge)}.")
    for word in changes(final.get("plugins", {}), final["task"], final["family"]):
        limits.append(f"{word[0].upper()}{word[1:]} when it was exported.")
    if final["git_dirty"]:
        limits.append("The code was not as committed when it was trained.")
    return limits


def _provenance(final: Row) -> dict[str, str]:
    return {
        "drnn_bench": f"{final['harness_version']}, commit {final['git_commit'] or 'unknown'}",
        "torch, Python": f"{final['torch']}, {final['python']}",
        "hardware": f"{final['processor']}, {final['device']}, {final['dtype']}, "
        f"{final['threads']} thread",
        "trained": final["started"],
        "task": f"{final['task']}, version {final['task_version']}, data {final['data_hash']}",
        "study, record": f"{final['study']}, {final['id']}",
        "weights": f"SHA-256 {final['weights']}",
        **{
            f"code of the {kind}": f"{named(code)}, SHA-256 {code['sha256']}; {needed(code)}"
            for kind, code in final.get("plugins", {}).items()
        },
    }


def _table(rows: dict[str, str]) -> str:
    cells = [f"| {key} | {markdown(value)} |" for key, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *cells])
