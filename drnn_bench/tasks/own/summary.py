"""A summary of the user's data, shown before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from drnn_bench.formats.files import some
from drnn_bench.formats.reading import Sequences
from drnn_bench.tasks.task import SPLITS, Arrays, Task

SHOWN = (
    *("form", "channel_names", "first_step", "last_step", "class_counts", "ignored_columns"),
    *("constant_channels", "duplicates_across_splits"),
)


def data_summary(
    task: Task, arrays: Arrays, facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The summary of a task's data as JSON values; `facts` are those of the reading."""
    parts = [arrays[split] for split in SPLITS]
    lengths = np.concatenate([(*rest, np.full(len(x), x.shape[1]))[0] for x, _, *rest in parts])
    return {
        "sequences": len(lengths),
        "length_min": int(lengths.min()),
        "length_max": int(lengths.max()),
        "channels": task.input_size,
        "classes": task.output_size if task.target_form.kind == "classes" else None,
        "splits": {split: len(arrays[split][0]) for split in SPLITS},
        **({} if facts is None else {key: facts.get(key) for key in SHOWN}),
    }


def form_facts(sequences: Sequences, longest: int) -> dict[str, Any]:
    """How the files were data_summary, as JSON values. Steps and channels without a name are
    counted from 1."""
    form = sequences.form
    named = form.first_step is not None
    return {
        "form": form.name,
        "channel_names": [form.channel(c) for c in range(sequences.x[0].shape[1])],
        "first_step": form.first_step if named else 1,
        "last_step": form.last_step if named else longest,
        "ignored_columns": [name for name, _ in form.ignored],
    }


def form_in_words(sequences: Sequences, facts: Mapping[str, Any]) -> str:
    """The same for people, with the number of sequences (or steps) of each class."""
    form = sequences.form
    by = f" by {form.id} and {form.time}" if form.id else ""
    channels = f"channels {some(form.channel_names, 12)}; " if form.channel_names else ""
    start = f"form {form.name}{by}: steps {facts['first_step']} to {facts['last_step']}; {channels}"
    if sequences.real:
        return start.strip("; ")
    counts = [f"{name} {count:,}" for name, count in facts["class_counts"].items()]
    return f"{start}of each class: {some(counts, 12)}"


def classes_in_words(names: list, often: str) -> str:
    """`often` is empty, or says that every step has one."""
    shown = ", ".join(map(str, names[:12])) + (", ..." if len(names) > 12 else "")
    return f"{len(names)} classes{often} ({shown})"


def summary_in_words(name: str, facts: dict, targets: str, what: str = "sequences") -> str:
    """`targets` says what is to be told of each sequence or step."""
    low, high = facts["length_min"], facts["length_max"]
    splits = ", ".join(f"{count:,} {split}" for split, count in facts["splits"].items())
    return (
        f"{name}: {facts['sequences']:,} {what} of {low if low == high else f'{low} to {high}'} "
        f"steps, {facts['channels']} channel{'s' if facts['channels'] > 1 else ''}, "
        f"{targets}; {splits}"
    )
