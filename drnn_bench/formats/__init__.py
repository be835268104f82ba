"""Files that hold sequences, whatever they are -> sequences with their labels.

A reader is one file here and one line in a table below. It knows nothing of tasks or models.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from os.path import isdir  # False where Path.is_dir raises: no permission
from pathlib import Path

from drnn_bench.errors import UserError
from drnn_bench.formats import recordings
from drnn_bench.formats.files import is_folder, listed, some, stray_notes
from drnn_bench.formats.sequences import Sequences, missing_words

__all__ = ["KNOWN", "Sequences", "read"]

# How a file's name ends -> the reader: read(place, its files there, one option) -> Sequences.
READERS = {
    ".npz": "arrays",
    ".npy": "arrays",
    ".csv": "tables",
    ".csv.gz": "tables",
    ".parquet": "tables",
    ".ts": "ts",
    "-ubyte": "idx",
    "-ubyte.gz": "idx",
    ".wav": "recordings",
    ".flac": "recordings",
}
# The one option that a reader may take, and for what there is none what to say.
OPTIONS = {"arrays": "target", "tables": "target", "recordings": "rate"}
NO_USE = {
    "target": "target is for arrays and tables; these files say themselves which the labels are",
    "rate": "rate is for recordings (wav, flac)",
}
KNOWN = "csv or parquet, npz or npy, .ts, idx (*-ubyte), or CLASS/*.wav or flac in a folder"


def read(
    path: Path, target: str | None = None, rate: int | None = None, missing: str = "refuse"
) -> Sequences:
    """The sequences in a file or a folder, and what there is to say of them.

    `target` names the array or column of the labels; recordings are brought to `rate` Hz, else to
    the rate that most of them have. With `missing="refuse"` every value must be there.
    Raises UserError, which names the file, and the row if any.
    """
    found = _read_any(path, target, rate)
    if missing == "refuse" and (words := missing_words(found)):
        raise UserError(f"{words}; fill them in, or choose missing=ffill or missing=zero+mask")
    return found


def _read_any(path: Path, target: str | None, rate: int | None) -> Sequences:
    path = Path(path)
    if not is_folder(path):
        return _read(_reader(path.name, path), path, [path], target, rate)
    entries = listed(path)
    if not entries:
        raise UserError(f"{path} is empty; expected {KNOWN}")
    if recordings.in_folders(path):
        found = {"recordings": [path]}  # a table beside them is stray: it cannot be meant
    else:
        found = {}
        for entry in entries:
            reader = None if entry.name.startswith(".") else _reader(entry.name)
            if reader and not isdir(entry):
                found.setdefault(reader, []).append(entry)
    if not found:
        raise UserError(
            f"{path}: nothing in it is understood ({some(entry.name for entry in entries)}); "
            f"expected {KNOWN}"
        )
    if len(found) > 1:
        one_each = some(files[0].name for files in found.values())
        raise UserError(f"{path} holds several kinds of data ({one_each}): name one of the files")
    ((reader, files),) = found.items()
    sequences = _read(reader, path, files, target, rate)
    if reader == "recordings":
        return sequences
    strays = set(entries) - set(files)
    return replace(sequences, notes=(*sequences.notes, *stray_notes(strays)))


def _read(reader, place, files, target, rate) -> Sequences:
    options = {"target": target, "rate": rate}
    for name, value in options.items():
        if value is not None and OPTIONS.get(reader) != name:
            raise UserError(f"{place}: {NO_USE[name]}; leave out {name}={value}")
    module = importlib.import_module(f"drnn_bench.formats.{reader}")
    takes = {OPTIONS[reader]: options[OPTIONS[reader]]} if reader in OPTIONS else {}
    sequences = module.read(place, files, **takes)
    if not sequences.x:
        raise UserError(f"{place}: no sequences in it; expected at least one")
    return sequences


def _reader(name: str, needed: Path | None = None) -> str | None:
    ends = [end for end in READERS if name.lower().endswith(end)]
    if not ends and needed:
        raise UserError(f"{needed}: not a kind of file that is known; known: {', '.join(READERS)}")
    return READERS[max(ends, key=len)] if ends else None
