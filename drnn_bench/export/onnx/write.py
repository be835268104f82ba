"""A net's two ONNX files, checked before anybody uses them."""

from __future__ import annotations

import json
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.export.described import Described
from drnn_bench.export.onnx.check import Checked, Runtime, check
from drnn_bench.export.onnx.convert import converted
from drnn_bench.export.onnx.graphs import Model, Step, Walked
from drnn_bench.models.inputs import Net
from drnn_bench.models.plain_step import PlainStep
from drnn_bench.tasks.prepared import Prepared

MODEL, STEP = "model.onnx", "step.onnx"


def onnx_files(net: Net, said: Described, prepared: Prepared) -> tuple[dict[str, bytes], Checked]:
    """The files by their names, and how near they are to the net over the test set.

    Raises UserError where the net cannot be exported to ONNX, or where the files would not answer
    as it does.
    """
    runtime, files = exported(net, said)
    return files, check(net, prepared, runtime)


def exported(net: Net, said: Described) -> tuple[Runtime, dict[str, bytes]]:
    """The files, not yet checked, in onnxruntime and by their names."""
    family = net.built_from_.family
    try:
        step = Step(said, net, PlainStep(net))
        told = metadata(said, family, step)
        files = {STEP: converted(step, told), MODEL: _model(net, said, told, step.step)}
    except UserError as error:
        raise UserError(f"{family} cannot be exported to ONNX: {error}") from None
    return Runtime(said, files, step.first), files


def _model(net: Net, said: Described, told: dict[str, str], step: PlainStep) -> bytes:
    """Of the net itself; of its steps one after another where it cannot be traced for any length,
    as a plug-in's net with a loop over the steps."""
    try:
        return converted(Model(said, net, net), told)
    except UserError:
        return converted(Model(said, net, Walked(step)), told)


def metadata(said: Described, family: str, step: Step) -> dict[str, str]:
    """What a user of the files must know, as `metadata_props`: JSON, but for plain words."""
    form, steps = said.answers.form, said.answers.steps
    facts: dict[str, Any] = {
        "inputs": {name: _WORDS[name] for name in step.inputs},
        "answers": form.kind,
        "answered_steps": "every" if steps is None else f"the last {steps}",
        "state": step.state_facts(),
    }
    if form.kind == "classes":
        facts["classes"] = list(said.answers.names)
    if form.kind == "quantiles":
        facts["levels"] = list(form.quantiles)
    if said.inputs.alphabet:
        facts["alphabet"] = list(said.inputs.alphabet)
    if "whole" in step.inputs:
        facts["whole_channels"] = list(said.inputs.raw["whole"][1])
    told = {"family": family, "task": said.task}
    return told | {
        name: fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
        for name, fact in facts.items()
    }


_WORDS = {
    "symbols": "symbols, whole numbers from 0",
    "x": "numbers as the task's user has them, not scaled; a missing one is NaN",
    "whole": "the channels `whole_channels`, exact; a missing one is the least int64",
}
