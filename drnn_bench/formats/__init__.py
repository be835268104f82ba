"""Files that hold sequences, whatever they are -> sequences with their labels.

A reader is one file here and one line in a table below. It knows nothing of tasks or models.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from os.path import isdir  # False where Path.is_dir raises: no permission
from pathlib import Path

from drnn_bench.errors import UserError
from drnn_bench.formats import recordings, ucr
from drnn_bench.formats.audio import ENDINGS
from drnn_bench.formats.files import (
    hidden,
    is_folder,
    listed,
    named_split,
    some,
    stray_notes,
)
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
    ".txt": "ucr",
    ".txt.gz": "ucr",
    ".parquet": "tables",
    ".ts": "ts",
    ".arff": "arff",
    "-ubyte": "idx",
    "-ubyte.gz": "idx",
    **dict.fromkeys(ENDINGS, "recordings"),
}
# The forms in which the UCR archive has the same data, the surest first.
ARCHIVE = ("ts", "arff", "ucr")
KNOWN = (
    "csv, tsv or parquet, npz or npy, .ts, .arff, .txt of label and numbers, idx (*-ubyte), or a "
    "folder of CLASS/*.wav (flac, ogg, opus, mp3)"
)


def read(path: Path, options: Options = Options()) -> Sequences:  # noqa: B008 (it is frozen)
    """The sequences in a file or a folder, and what there is to say of them.

    Raises UserError, which names the file, and the row if any; also where an option has no use for
    what is read, and where values are missing and `options` do not say what to do with them.
    """
    path = Path(path)
    if not is_folder(path):
        reader = _reader(path)
        if reader is None:
            raise UserError(f"{path}: {_what_is_known(path)}")
        return _read(reader, path, [path], options)
    entries, unseen = listed(path), hidden(path)
    if not entries:
        raise UserError(f"{path} is empty{_but_for(unseen)}; expected {KNOWN}")
    if recordings.in_folders(path):
        found = {"recordings": [path]}  # a table beside them is stray: it cannot be meant
    else:
        found = {}
        for entry in entries:
            if not isdir(entry) and (reader := _reader(entry)):
                found.setdefault(reader, []).append(entry)
        found = _of_one_set(found)
    if not found:
        raise UserError(
            f"{path}: nothing in it is understood ({some(entry.name for entry in entries)})"
            f"{_but_for(unseen)}; expected {KNOWN}"
        )
    if len(found) > 1:
        one_each = some(files[0].name for files in found.values())
        raise UserError(f"{path} holds several kinds of data ({one_each}): name one of the files")
    ((reader, files),) = found.items()
    sequences = _read(reader, path, files, options)
    if reader == "recordings":
        return sequences
    strays = {*entries, *unseen}.difference(files)
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


def _what_is_known(path: Path) -> str:
    if path.name.lower().endswith((".txt", ".txt.gz")):
        return (
            "a .txt file is read where each of its rows is a label and then numbers, without a "
            "header; save a table with a header as .csv"
        )
    return f"not a kind of file that is known; known: {', '.join(READERS)}"


def _but_for(unseen: list[Path]) -> str:
    return f" but for hidden files ({some(path.name for path in unseen)})" if unseen else ""


def _reader(path: Path) -> str | None:
    """The reader of a file, by its name; of a text file also by whether it has a header."""
    ends = [end for end in READERS if path.name.lower().endswith(end)]
    reader = READERS[max(ends, key=len)] if ends else None
    if reader not in ("tables", "ucr") or ".parquet" in ends:
        return reader
    if ucr.has_no_header(path):
        return "ucr"
    return "tables" if reader == "tables" else None  # .txt is mostly prose


def _of_one_set(found: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Of a data set that lies in a folder in several forms of the UCR archive, one form."""
    form = next((form for form in ARCHIVE if form in found), None)
    if form is None or not set(found) <= set(ARCHIVE):
        return found
    names = {reader: {_set_name(path) for path in files} for reader, files in found.items()}
    (name, *others) = names[form]
    alike = not others and all(other.startswith(name) for one in names.values() for other in one)
    return {form: found[form]} if alike else found


def _set_name(path: Path) -> str:
    return named_split(path.name)[0].partition(".")[0]
