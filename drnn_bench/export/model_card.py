"""The model card of an exported net: what it is, how good, how it came about, what it is not."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from drnn_bench.board.cells import metric_text, rank_text, result_text
from drnn_bench.board.reproduce import again
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.plugin_code import changes, named, needed
from drnn_bench.system.escape import markdown
from drnn_bench.tasks.prepared import Prepared
from drnn_bench.tasks.task import Task

Row = dict[str, Any]


def model_card(group: BoardGroup, line: BoardLine, final: Row, prepared: Prepared) -> str:
    """Markdown. `group` is the board, `line` the finalist's, `final` the row of the seed taken."""
    task = prepared.task
    parts = [
        markdown(f"# {final['family']} on {final['task']}"),
        markdown(f"{task.summary[0].upper()}{task.summary[1:]}. {final['architecture']}."),
        _table(_figures(group, line, final)),
        "## Use",
        _use(prepared, final),
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


def _use(prepared: Prepared, final: Row) -> str:
    task, facts = prepared.task, prepared.facts
    sizes = f"(batch, steps, {task.input_size}) -> (batch, steps, {task.output_size})"
    code = final.get("plugins", {}).get("family", {})
    first = f"drnn_bench.plugin({code['file']!r})  # has the family\n" if "file" in code else ""
    paragraphs = [
        f"```python\nimport drnn_bench\n\n{first}"
        'model = drnn_bench.load("this folder")\n'
        f"{_ANSWERS[task.target_form.kind]}_BTO = model(x_BTI)  # float32 {sizes}\n```\n",
        *_outputs(task),
    ]
    if "mean" in facts:
        paragraphs.append(_scaling(facts))
    if task.one_hot:
        paragraphs.append("Inputs are one-hot: the i-th symbol is 1 in component i.")
    elif task.scale != 1:
        paragraphs.append(
            f"The task's whole numbers are multiplied by {task.scale:g} before they enter."
        )
    paragraphs += [words for key, words in _FACTS.items() if key in facts]
    if task.stream:
        paragraphs.append("Every step is scored, along one stream: `model.stream(x_BTI, state)`.")
    elif task.scored == 1:
        paragraphs.append("The answer stands at the last step: `model(x_BTI, last=1)`.")
    else:
        paragraphs.append(f"The last {task.scored:,} steps are scored.")
    return "\n".join(paragraphs)


_ANSWERS = {
    "classes": "logits", "binary": "logits", "real": "outputs", "quantiles": "outputs",
}  # fmt: skip


def _outputs(task: Task) -> list[str]:
    """How outputs become answers, where they are not logits of classes."""
    form = task.target_form
    if form.kind == "classes":
        return []
    if form.kind == "binary":
        return ["The probability of yes is `torch.sigmoid(logits_BTO)`, one for each question."]
    code = "answers = outputs_BTO.detach().double()\n"
    shape = "(batch, steps, targets)"
    if form.kind == "quantiles":
        code += f"answers = answers.unflatten(-1, ({form.targets}, {len(form.quantiles)}))\n"
        shape = f"(batch, steps, targets, levels {', '.join(map(str, form.quantiles))})"
    scale, offset = (
        np.broadcast_to(fact, form.targets).tolist()
        for fact in (task.target_scale, task.target_offset)
    )
    last = ".unsqueeze(-1)" if form.kind == "quantiles" else ""
    if (scale, offset) != ([1.0] * form.targets, [0.0] * form.targets):
        tensors = f"torch.tensor({scale}), torch.tensor({offset})"
        code = f"import torch\n\n{code}scale, offset = {tensors}\n"
        code += f"answers = answers * scale{last} + offset{last}\n"
    return [f"Answers in the targets' own unit, {shape}:\n\n```python\n{code}```\n"]


_FACTS = {  # what tasks learn of their data -> how it is used
    "alphabet": "`alphabet` in `config.json` has the symbols in order; null is any other.",
    "classes": "`classes` in `config.json` names the outputs in order.",
    "divided_by": "The waveform, from -1 to 1, enters divided by `divided_by` in `config.json`.",
    "order": "Step t is pixel number `order[t]` of an image, row by row (`config.json`).",
}


def _scaling(facts: Mapping[str, Any]) -> str:
    """How raw numbers become inputs: what tasks/own/scaling.py did."""
    subtract = "x = x - np.array(facts['offset'])  # whole numbers (int64) from whole numbers\n"
    masks = "x = np.concatenate([x, missing[..., facts['masked']]], -1)\n"
    filled = "missing = np.isnan(x)\nx = np.where(missing, 0, x)  # after scaling\n"
    return (
        "Raw numbers x, an array (batch, steps, channels), become x_BTI as follows. float32 comes "
        "last: before its mean is subtracted, a coordinate or a time has more digits than it holds."
        "\n\n"
        "```python\nimport json\nimport numpy as np\nimport torch\n\n"
        "facts = json.load(open('this folder/config.json'))['task']['facts']\n"
        + (subtract if "offset" in facts else "")
        + "x = (x - np.array(facts['mean'])) / np.array(facts['deviation'])  # float64\n"
        + (filled if "missing" in facts else "")
        + (masks if "masked" in facts else "")
        + "x_BTI = torch.from_numpy(x.astype(np.float32))\n```\n"
        + (_REPEATED if facts.get("missing") == "ffill" else "")
        + (_MASKED if "masked" in facts else "")
    )


_REPEATED = (
    "\nBefore that, a missing value (NaN) repeats the last one before it in its channel, from "
    "chunk to chunk of a stream too; where there is none it stays NaN.\n"
)
_MASKED = (
    "\nThe inputs after the channels are 1 where one of the `masked` channels misses a value "
    "(NaN), else 0.\n"
)


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
