"""The entrance: a file or a folder -> its sequences, read by the reader for its kind of file."""

from __future__ import annotations

import importlib
from dataclasses import replace
from os.path import isdir  # False where Path.is_dir raises: no permission
from pathlib import Path

from drnn_bench.errors import UserError
from drnn_bench.formats.archive import ucr
from drnn_bench.formats.files import (
    hidden,
    is_folder,
    listed,
    named_split,
    some,
    stray_notes,
)
from drnn_bench.formats.options import Options, check_options
from drnn_bench.formats.recordings.audio import ENDINGS
from drnn_bench.formats.recordings.reader import in_folders
from drnn_bench.formats.sequences import Sequences, missing_text

# Readers are modules of this room. Each has read(place, files, options) -> Sequences, where `place`
# is what the user named and `files` are the files to read, and OPTIONS, the options that it takes.
ARFF, ARRAYS, IDX = "archive.arff", "arrays.reader", "idx"
RECORDINGS, TABLES, TS, UCR = "recordings.reader", "tables.reader", "archive.ts", "archive.ucr"

READERS = {  # how a file's name ends -> its reader
    ".npz": ARRAYS,
    ".npy": ARRAYS,
    ".csv": TABLES,
    ".csv.gz": TABLES,
    ".tsv": TABLES,
    ".tsv.gz": TABLES,
    ".txt": UCR,
    ".txt.gz": UCR,
    ".parquet": TABLES,
    ".ts": TS,
    ".arff": ARFF,
    "-ubyte": IDX,
    "-ubyte.gz": IDX,
    **dict.fromkeys(ENDINGS, RECORDINGS),
}
ARCHIVE = (TS, ARFF, UCR)  # the UCR archive has a data set in all of these; the first is preferred
KNOWN = (
    "csv, tsv or parquet, npz or npy, .ts, .arff, .txt of label and numbers, idx (*-ubyte), or a "
    "folder of CLASS/*.wav (flac, ogg, opus, mp3)"
)


def read(path: Path, options: Options = Options()) -> Sequences:  # noqa: B008 (it is frozen)
    """The sequences in a file or a folder, with notes on what the user should know of them.

    Raises UserError, which names the file, and the row if any; also where an option does not apply
    to this kind of file, and where values are missing and `options.missing` is `refuse`.
    """
    path = Path(path)
    if not is_folder(path):
        reader = _reader(path)
        if reader is None:
            raise UserError(f"{path}: {_unknown_kind(path)}")
        return _read(reader, path, [path], options)
    entries, unseen = listed(path), hidden(path)
    if not entries:
        raise UserError(f"{path} is empty{_but_for(unseen)}; expected {KNOWN}")
    if in_folders(path):
        return _read(RECORDINGS, path, [path], options)  # any table beside them is a stray file
    files_of: dict[str, list[Path]] = {}  # reader -> files
    for entry in entries:
        if not isdir(entry) and (reader := _reader(entry)):
            files_of.setdefault(reader, []).append(entry)
    files_of = _one_form(files_of)
    if not files_of:
        raise UserError(
            f"{path}: nothing in it is understood ({some(entry.name for entry in entries)})"
            f"{_but_for(unseen)}; expected {KNOWN}"
        )
    if len(files_of) > 1:
        examples = some(files[0].name for files in files_of.values())
        raise UserError(f"{path} holds several kinds of data ({examples}): name one of the files")
    ((reader, files),) = files_of.items()
    sequences = _read(reader, path, files, options)
    strays = {*entries, *unseen}.difference(files)
    return replace(sequences, notes=(*sequences.notes, *stray_notes(strays)))


def _read(reader: str, place: Path, files: list[Path], options: Options) -> Sequences:
    module = importlib.import_module(f"drnn_bench.formats.{reader}")
    check_options(options, module.OPTIONS, place)
    sequences = module.read(place, files, options)
    if not sequences.x:
        raise UserError(f"{place}: no sequences in it; expected at least one")
    if options.missing == "refuse" and (missing := missing_text(sequences)):
        raise UserError(f"{missing}; fill them in, or choose missing=ffill or missing=zero+mask")
    return sequences


def _unknown_kind(path: Path) -> str:
    """What the user reads of a file that has no reader."""
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
    endings = [ending for ending in READERS if path.name.lower().endswith(ending)]
    reader = READERS[max(endings, key=len)] if endings else None
    if reader not in (TABLES, UCR) or ".parquet" in endings:
        return reader
    if ucr.has_no_header(path):
        return UCR
    return TABLES if reader == TABLES else None  # most .txt files are prose


def _one_form(files_of: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Where the files are one data set in several forms of the UCR archive, those of one form;
    otherwise all of them."""
    form = next((form for form in ARCHIVE if form in files_of), None)
    if form is None or not set(files_of) <= set(ARCHIVE):
        return files_of
    names_of = {reader: {_set_name(path) for path in files} for reader, files in files_of.items()}
    (name, *other_names) = names_of[form]
    same_set = not other_names and all(
        other.startswith(name) for names in names_of.values() for other in names
    )
    return {form: files_of[form]} if same_set else files_of


def _set_name(path: Path) -> str:
    return named_split(path.name)[0].partition(".")[0]
