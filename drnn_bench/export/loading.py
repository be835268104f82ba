"""An exported net, back from its folder: `config.json` and `model.safetensors`.

The folder may come from anybody. Whatever is damaged or does not fit is refused in one line, before
memory of the net's size is allocated. No code from the folder is run.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnn_bench.errors import UserError, one_line
from drnn_bench.export.predicting import LoadedNet
from drnn_bench.models import weights
from drnn_bench.models.inputs import with_methods
from drnn_bench.models.registry import architecture_type, make_architecture
from drnn_bench.results import values
from drnn_bench.results.codec import from_json
from drnn_bench.search.plugin_code import changes, named, needed

if TYPE_CHECKING:
    from drnn_bench.models.architecture import Architecture

FORMAT = 1  # of config.json
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"  # what an export holds
LARGEST_CONFIG = 10_000_000  # bytes

# What load reads of config.json, beside `plugins` and `digest`; the rest is for people.
KEYS = {
    "format": int, "family": str, "input_size": int, "output_size": int, "config": dict,
    "weights": str,
}  # fmt: skip

# Options that count the parts of a net (each part has a tensor or more), or are exponents. A value
# above the number of tensors and above MANY is refused: describing such a net would not end.
COUNTS, MANY = ("depth", "modules", "start"), 64


def load(folder: str | Path) -> LoadedNet:
    """The net that `bench export` wrote into a folder, in evaluation mode on the CPU.

        >>> model = drnn_bench.load("net")
        >>> model(torch.zeros(1, 64, 1), last=1).shape
        torch.Size([1, 1, 10])

    `model(x_BTI)` takes (batch, steps, input_size) float32 and gives logits (batch, steps,
    output_size), the same to the last bit as when it was exported. What the inputs must be is in
    the folder's README.md. `model.predict(x)` takes raw numbers or text as the user has them and
    gives answers, `model.stream_predict(x, state)` does so step by step (export/predicting.py). A
    family of your own must be there first (`drnn_bench.plugin`).
    Raises ValueError where the folder is none, or its files are damaged, changed or do not fit.
    """
    folder = Path(folder)
    path = folder / WEIGHTS
    described = _read(folder / CONFIG)
    tensors = weights.shapes(path)
    net = weights.load(_config(described, len(tensors), folder / CONFIG), path)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != described["weights"]:
            raise UserError(f"{path}: damaged, or not the weights that {CONFIG} describes")
    model = with_methods(net, LoadedNet)
    model.config_, model.where_ = described, str(folder / CONFIG)
    return model


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; `bench export` makes such a folder")
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise UserError(f"{path}: larger than any description of a net")
        described = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UserError:
        raise
    except (ValueError, RecursionError):  # UnicodeDecodeError is one
        raise UserError(f"{path}: no whole JSON") from None
    if not isinstance(described, dict):
        raise UserError(f"{path}: not an object")
    for key, kind in KEYS.items():
        if type(described.get(key)) is not kind:  # a bool is no size
            raise UserError(f"{path}: {key!r} is missing or is no {_WORDS[kind]}")
    if not values.CODES.fits(described.get("plugins", {})):
        raise UserError(f"{path}: 'plugins' should be {values.CODES.words}")
    if described["format"] != FORMAT:
        raise UserError(f"{path}: format {described['format']}, this drnn_bench reads {FORMAT}")
    _check_digest(described, path)
    return described


def _check_digest(described: dict[str, Any], path: Path) -> None:
    """Raises UserError where the net or its task is another than was exported. Exports of earlier
    versions lack `task_digest`, those of drnn_bench 0.1.0 both."""
    try:
        expected = {
            "digest": digest(described),
            "task_digest": task_digest(described.get("task", {})),
        }
    except RecursionError:
        raise UserError(f"{path}: 'config', 'plugins' or 'task' is nested too deeply") from None
    for key, words in (("digest", "net"), ("task_digest", "task")):
        if key in described and described[key] != expected[key]:
            raise UserError(
                f"{path}: changed since it was exported (its digest is of another {words}); "
                "export it again"
            )


def digest(described: dict[str, Any]) -> str:
    """SHA-256, in hexadecimal, of what defines the net: what `load` reads of config.json.

    Without it a changed base or start would go unnoticed where every tensor keeps its shape.
    """
    net = {key: described.get(key) for key in (*KEYS, "plugins")}
    return hashlib.sha256(json.dumps(net, sort_keys=True).encode()).hexdigest()


def task_digest(told: dict[str, Any]) -> str:
    """SHA-256, in hexadecimal, of what `predict` reads of config.json: 'task'."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _config(described: dict[str, Any], tensors: int, path: Path) -> Architecture:
    options = from_json(described["config"])
    for name, value in options.items():
        counts = isinstance(value, int) and name in COUNTS
        parts = len(value) if isinstance(value, tuple) else value if counts else 0
        if parts > max(tensors, MANY):
            raise UserError(f"{path}: {name} is beyond the {tensors} tensors of {WEIGHTS}")
    family = described["family"]
    brought = described.get("plugins", {}).get("family")
    try:
        architecture_type(family)
    except UserError:
        if brought is None:
            raise
        raise UserError(
            f"{path}: family {family!r} is that of the {named(brought)}, which is not here: "
            f"{needed(brought)}"
        ) from None
    for line in changes({"family": brought}, "", family) if brought else ():
        warnings.warn(f"{path}: {line}; the net may compute something else", stacklevel=4)
    try:
        sizes = {"input_size": described["input_size"], "output_size": described["output_size"]}
        return make_architecture(family, **sizes, **options)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # an option of another kind than its name says
        raise UserError(f"{path}: not how a {family} is described ({one_line(error)})") from None


_WORDS = {int: "whole number", str: "string", dict: "object"}
