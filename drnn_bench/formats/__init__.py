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
from drnn_bench.formats.audio import ENDINGS
from drnn_bench.formats.files import hidden, is_folder, listed, some, stray_notes
from drnn_bench.formats.sequences import Sequences

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
    **dict.fromkeys(ENDINGS, "recordings"),
}
# The one option that a reader may take, and for what there is none what to say.
OPTIONS = {"arrays": "target", "tables": "target", "recordings": "rate"}
NO_USE = {
    "target": "target is for arrays and tables; these files say themselves which the labels are",
    "rate": f"rate is for recordings ({', '.join(ENDINGS)})",
}
KNOWN = (
    "csv or parquet, npz or npy, .ts, idx (*-ubyte), or a folder of CLASS/*.wav (flac, ogg, opus, "
    "mp3)"
)


def read(path: Path, target: str | None = None, rate: int | None = None) -> Sequences:
    """The sequences in a file or a folder, and what there is to say of them.

    `target` names the array or column of the labels; recordings are brought to `rate` Hz, else to
    the rate that most of them have. Raises UserError, which names the file, and the row if any.
    """
    path = Path(path)
    if not is_folder(path):
        return _read(_reader(path.name, path), path, [path], target, rate)
    entries, unseen = listed(path), hidden(path)
    if not entries:
        raise UserError(f"{path} is empty{_but_for(unseen)}; expected {KNOWN}")
    if recordings.in_folders(path):
        found = {"recordings": [path]}  # a table beside them is stray: it cannot be meant
    else:
        found = {}
        for entry in entries:
            reader = _reader(entry.name)
            if reader and not isdir(entry):
                found.setdefault(reader, []).append(entry)
    if not found:
        raise UserError(
            f"{path}: nothing in it is understood ({some(entry.name for entry in entries)})"
            f"{_but_for(unseen)}; expected {KNOWN}"
        )
    if len(found) > 1:
        one_each = some(files[0].name for files in found.values())
        raise UserError(f"{path} holds several kinds of data ({one_each}): name one of the files")
    ((reader, files),) = found.items()
    sequences = _read(reader, path, files, target, rate)
    if reader == "recordings":
        return sequences
    strays = {*entries, *unseen}.difference(files)
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


def _but_for(unseen: list[Path]) -> str:
    return f" but for hidden files ({some(path.name for path in unseen)})" if unseen else ""


def _reader(name: str, needed: Path | None = None) -> str | None:
    ends = [end for end in READERS if name.lower().endswith(end)]
    if not ends and needed:
        raise UserError(f"{needed}: not a kind of file that is known; known: {', '.join(READERS)}")
    return READERS[max(ends, key=len)] if ends else None
