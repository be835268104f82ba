"""What config.json says of a net's inputs and answers, checked: the file may come from anybody.

Legend: C channels of raw numbers, I inputs of the net, O outputs, D targets a step, Q quantiles.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.metrics.forms import FORM_OF_LOSS, TargetForm
from drnn_bench.tasks.own.scaling import MASKS, Scaling
from drnn_bench.tasks.task import Task

Row = Mapping[str, Any]
FILLS = ("refuse", "ffill", MASKS)  # what is done with missing values


@dataclass(frozen=True, eq=False)
class Inputs:
    """How raw inputs become those of the net.

    size        I of the net
    symbols     inputs are symbols, whole numbers from 0 to size - 1
    alphabet    the characters that the symbols stand for; None in it: any other
    scaling     of numbers that were scaled by their training split (tasks/own/scaling.py)
    offset      of each channel the whole number that is subtracted from whole numbers first
    scale       numbers are multiplied by it
    divided_by  and divided by it
    """

    size: int
    symbols: bool
    alphabet: tuple[str | None, ...] | None
    scaling: Scaling | None
    offset: tuple[int, ...]
    scale: float
    divided_by: float

    @property
    def channels(self) -> int:
        """C of raw numbers."""
        return len(self.scaling.mean) if self.scaling else self.size

    @property
    def raw(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """The raw inputs of an ONNX file by their names: their type, and which channels they are.

        symbols  int64 [B, T]; no channels
        x        float32 [B, T, C] of tasks that scale all numbers alike; float64 of channels that
                 were scaled by their training split
        whole    int64 [B, T, K], the channels that are whole numbers beyond 32 bits, which float64
                 would round; x then has the others. The least int64 stands for a missing one.
        """
        if self.symbols:
            return {"symbols": ("int64", ())}
        if self.scaling is None:
            return {"x": ("float32", tuple(range(self.size)))}
        whole = tuple(c for c, offset in enumerate(self.offset) if offset)
        real = tuple(c for c, offset in enumerate(self.offset) if not offset)
        parts = {"x": ("float64", real), "whole": ("int64", whole)}
        return {name: part for name, part in parts.items() if part[1]}


@dataclass(frozen=True)
class Answers:
    """What the net's outputs mean.

    form    classes, binary, real or quantiles (metrics/forms.py)
    names   of the classes, in the order of the outputs: strings, or whatever the task's labels were
    offset, scale  real targets [D] in their own unit are output * scale + offset
    steps   how many of the last steps have an answer; None: every step
    """

    form: TargetForm
    names: tuple[Any, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    steps: int | None


# form -> the names of an ONNX file's outputs
OUTPUTS = {
    "classes": ("logits", "probabilities"),
    "binary": ("logits", "probabilities"),
    "real": ("values",),
    "quantiles": ("quantiles",),
}


@dataclass(frozen=True, eq=False)
class Described:
    task: str
    inputs: Inputs
    answers: Answers


def told(task: Task, facts: Row) -> dict[str, Any]:
    """What config.json says of a task, as JSON values."""
    form = task.target_form
    meaning: dict[str, Any] = {}
    if form.kind != "classes":
        meaning["loss_function"] = task.loss_function
    if form.kind in ("real", "quantiles"):
        meaning |= {"target_offset": task.target_offset, "target_scale": task.target_scale}
    if form.quantiles:
        meaning["quantiles"] = form.quantiles
    known = {
        "name": task.key,
        "metric": task.metric,
        "length": task.length,
        "scored": task.scored,
        "stream": task.stream,
        "one_hot": task.one_hot,
        "scale": task.scale,
        **meaning,
        "facts": dict(facts),
    }
    return json.loads(json.dumps(known))


def of_task(task: Task, facts: Row) -> Described:
    """The same as `described` gives of an export's config.json."""
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    return described({**sizes, "task": told(task, facts)}, f"task {task.key}")


def described(config: Row, where: str) -> Described:
    """From a whole config.json. Raises UserError, one line that begins with `where`, if it does not
    say what inputs and answers are, or says it in a way that does not fit the net."""
    task = config.get("task")
    if not isinstance(task, dict):
        raise UserError(
            f"{where}: does not say what the inputs are ('task' is missing); give the net itself "
            "tensors: model(x_BTI)"
        )
    facts = task.get("facts", {})
    _check(isinstance(facts, dict), where, "'facts'", "an object")
    return Described(
        task=str(task.get("name", "")),
        inputs=_inputs(task, facts, config["input_size"], where),
        answers=_answers(task, facts, config["output_size"], where),
    )


def _inputs(task: Row, facts: Row, size: int, where: str) -> Inputs:
    scale, divided_by = task.get("scale", 1.0), facts.get("divided_by", 1.0)
    for label, number in (("'scale'", scale), ("'divided_by'", divided_by)):
        _check(_finite(number) and number != 0, where, label, "a number, not zero")
    symbols = task.get("one_hot", False)
    _check(isinstance(symbols, bool), where, "'one_hot'", "true or false")
    alphabet = facts.get("alphabet")
    if alphabet is not None:
        fits = _list(alphabet, size) and all(c is None or isinstance(c, str) for c in alphabet)
        _check(fits, where, "'alphabet'", f"a list of {size} characters")
    scaling, offset = _scaling(facts, size, where)
    letters = None if alphabet is None else tuple(alphabet)
    return Inputs(size, symbols, letters, scaling, offset, scale, divided_by)


def _scaling(facts: Row, size: int, where: str) -> tuple[Scaling | None, tuple[int, ...]]:
    if "mean" not in facts:
        return None, ()
    mean, deviation = facts["mean"], facts.get("deviation")
    _check(_list(mean) and all(map(_finite, mean)), where, "'mean'", "a list of numbers")
    fits = _list(deviation, len(mean)) and all(_finite(d) and d > 0 for d in deviation)
    _check(fits, where, "'deviation'", f"a list of {len(mean)} numbers above 0")
    offset = facts.get("offset", [0] * len(mean))
    fits = _list(offset, len(mean)) and all(
        type(n) is int and -(2**63) <= n < 2**63 for n in offset
    )
    _check(fits, where, "'offset'", f"a list of {len(mean)} whole numbers of 64 bits")
    missing = facts.get("missing", "refuse")
    _check(missing in FILLS, where, "'missing'", f"one of {', '.join(FILLS)}")
    masked = facts.get("masked", [False] * len(mean))
    fits = _list(masked, len(mean)) and all(isinstance(flag, bool) for flag in masked)
    _check(fits, where, "'masked'", f"a list of {len(mean)} times true or false")
    places = tuple(i for i, flag in enumerate(masked) if flag)
    fits = len(mean) + len(places) == size
    _check(fits, where, "'mean'", f"as long as the net's {size} inputs less the masked channels")
    return Scaling(np.array(mean, float), np.array(deviation, float), (), places, missing), (
        tuple(offset)
    )


def _answers(task: Row, facts: Row, outputs: int, where: str) -> Answers:
    loss = task.get("loss_function", "cross_entropy")
    known = isinstance(loss, str) and loss in FORM_OF_LOSS
    _check(known, where, "'loss_function'", f"one of {', '.join(FORM_OF_LOSS)}")
    kind = FORM_OF_LOSS[loss]
    levels = task.get("quantiles", []) if kind == "quantiles" else []
    fits = kind != "quantiles" or (_list(levels) and all(map(_finite, levels)))
    fits = fits and (not levels or outputs % len(levels) == 0)
    _check(fits, where, "'quantiles'", f"levels, so many that they divide the {outputs} outputs")
    form = TargetForm(kind, outputs, tuple(levels))
    offset, scale = (
        _of_targets(task.get(f"target_{word}", default), form.targets, f"'target_{word}'", where)
        for word, default in (("offset", 0.0), ("scale", 1.0))
    )
    names = facts.get("classes") or facts.get("alphabet") if kind == "classes" else None
    if not (_list(names) and len(names or ()) == outputs):  # as of pixels: the classes are numbers
        names = list(range(outputs))
    scored, length = task.get("scored"), task.get("length")
    whole = scored is None or (type(scored) is int and scored >= 1)
    _check(whole, where, "'scored'", "a whole number from 1 up, or null")
    every = scored is None or task.get("stream") is True or (scored == length and scored > 1)
    return Answers(form, tuple(names), offset, scale, None if every else scored)


def _of_targets(given: Any, targets: int, label: str, where: str) -> tuple[float, ...]:
    """A number for all targets, or one for each."""
    numbers = given if isinstance(given, list) else [given]
    fits = all(map(_finite, numbers)) and len(numbers) in (1, targets)
    _check(fits, where, label, f"a number, or {targets}")
    return tuple(float(n) for n in (numbers * targets if len(numbers) == 1 else numbers))


def _list(value: Any, length: int | None = None) -> TypeGuard[list]:
    return isinstance(value, list) and len(value) > 0 and length in (None, len(value))


def _finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _check(fits: bool, where: str, label: str, wanted: str) -> None:
    if not fits:
        raise UserError(f"{where}: {label} should be {wanted}")
