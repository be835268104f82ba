"""A graph as the bytes of an ONNX file: torch's exporter, and what is put right after it."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from drnn_bench.errors import UserError, one_line
from drnn_bench.export.onnx.graphs import NEXT, Model, Step
from drnn_bench.kernels import onnx_layers

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
LOGGERS = ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript", "onnx_ir")


def check_packages() -> None:
    """Raises UserError naming the extra where a package is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--format onnx needs {', '.join(missing)}, not installed here: "
            "pip install 'drnn-bench[onnx]'"
        )


def converted(graph: Model | Step, told: Mapping[str, str]) -> bytes:
    """An ONNX file of standard operators alone, whose metadata is `told`. Raises UserError, one
    line, where torch cannot trace the graph for any length or ONNX lacks what it computes."""
    states = graph.states if isinstance(graph, Step) else ()
    try:
        with _quietly(), torch.no_grad(), onnx_layers.emitted():
            program = torch.onnx.export(
                graph.eval(),
                graph.example(),
                input_names=[*graph.inputs, *states],
                output_names=[*graph.outputs, *(NEXT + name for name in states)],
                dynamic_shapes=graph.dynamic(),
                opset_version=onnx_layers.OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # torch's exporter raises errors of many kinds
        raise UserError(_why(error)) from error
    return _finished(program.model_proto, graph.axes(), told)  # pyright: ignore[reportOptionalMemberAccess]


def _why(error: BaseException) -> str:
    """The first error of a chain: torch's exporter wraps what stopped it in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(str(error).split("\n\n")[0])[:200] or type(error).__name__


def _finished(proto: Any, axes: Mapping[str, Mapping[int, str]], told: Mapping[str, str]) -> bytes:
    """Our own operations in ONNX's, the axes by their names, and nothing of this machine: torch
    notes the lines of the code that every operation came from."""
    import onnx
    from onnx import inliner, parser

    ours = {node.op_type for node in proto.graph.node if node.domain == onnx_layers.DOMAIN}
    for name in sorted(ours):
        proto.functions.append(parser.parse_function(onnx_layers.function(name)))
    if ours:
        proto = inliner.inline_local_functions(proto)
    standard = [entry for entry in proto.opset_import if entry.domain == ""]
    del proto.opset_import[:], proto.functions[:], proto.metadata_props[:]
    proto.opset_import.extend(standard)
    _strip(proto.graph)
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if axis in axes[value.name]:
                dim.dim_param = axes[value.name][axis]
    proto.producer_name, proto.producer_version, proto.doc_string = "drnn_bench", "", ""
    onnx.helper.set_model_props(proto, dict(told))
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def _strip(graph: Any) -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _strip(attribute.g)
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the notes of torch's exporter, which mean nothing to whoever exports a net."""
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
