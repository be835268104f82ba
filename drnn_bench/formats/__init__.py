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
from drnn_bench.formats.options import Options, check_options
from drnn_bench.formats.sequences import Sequences, missing_words

__all__ = ["KNOWN", "Options", "Sequences", "read"]

# How a file's name ends -> the reader, a module with read(place, its files there, options) ->
# Sequences, and with OPTIONS, the names of the options that it takes.
READERS = {
    ".npz": "arrays",
    ".npy": "arrays",
    ".csv": "tables",
    ".csv.gz": "tables",
    ".tsv": "tables",
    ".tsv.gz": "tables",
    ".parquet": "tables",
    ".ts": "ts",
    "-ubyte": "idx",
    "-ubyte.gz": "idx",
    ".wav": "recordings",
    ".flac": "recordings",
}
KNOWN = "csv or parquet, npz or npy, .ts, idx (*-ubyte), or CLASS/*.wav or flac in a folder"


def read(path: Path, options: Options = Options()) -> Sequences:  # noqa: B008 (it is frozen)
    """The sequences in a file or a folder, and what there is to say of them.

    Raises UserError, which names the file, and the row if any; also where an option has no use for
    what is read, and where values are missing and `options` do not say what to do with them.
    """
    path = Path(path)
    if not is_folder(path):
        return _read(_reader(path.name, path), path, [path], options)
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
    sequences = _read(reader, path, files, options)
    if reader == "recordings":
        return sequences
    strays = set(entries) - set(files)
    return replace(sequences, notes=(*sequences.notes, *stray_notes(strays)))


def _read(reader: str, place: Path, files: list[Path], options: Options) -> Sequences:
    module = importlib.import_module(f"drnn_bench.formats.{reader}")
    check_options(options, module.OPTIONS, place)
    sequences = module.read(place, files, options)
    if not sequences.x:
        raise UserError(f"{place}: no sequences in it; expected at least one")
    if options.missing == "refuse" and (words := missing_words(sequences)):
        raise UserError(f"{words}; fill them in, or choose missing=ffill or missing=zero+mask")
    return sequences


def _reader(name: str, needed: Path | None = None) -> str | None:
    ends = [end for end in READERS if name.lower().endswith(end)]
    if not ends and needed:
        raise UserError(f"{needed}: not a kind of file that is known; known: {', '.join(READERS)}")
    return READERS[max(ends, key=len)] if ends else None
