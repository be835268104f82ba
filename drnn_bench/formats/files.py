"""Folders and files on disk, for every reader: listings, bytes, text, splits by file name."""

from __future__ import annotations

import gzip
import re
import stat
import zlib
from collections.abc import Iterable, Sequence
from os.path import isdir  # False where Path.is_dir raises: no permission
from pathlib import Path

from drnn_bench.errors import UserError
from drnn_bench.formats.limits import check_memory, gunzipped

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "t10k": "test",  # MNIST's word
}
SHARD = re.compile(r"[-_](\d+)-of-\d+")  # train-00000-of-00002.parquet
APPLE_DOUBLE = bytes.fromhex("00051607")  # a ._x file begins so
# What systems leave beside a user's files, by names in lower case that begin with no dot.
SYSTEM_FILES = frozenset(
    (
        "__macosx", "icon\r",
        "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information",
        "@eadir", "#recycle", "lost+found",
    )
)  # fmt: skip


def is_folder(path: Path) -> bool:
    """Whether a path that must exist is a folder."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UserError(f"{path}: cannot be read ({_reason(error)})") from None


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is never data: a Mac's ._x, an editor's .~lock.x#,
    Office's ~$x, .DS_Store, Thumbs.db and so on."""
    return name.startswith((".", "~$")) or name.lower() in SYSTEM_FILES


def listed(folder: Path, named: Path | None = None) -> list[Path]:
    """What lies in a folder, sorted by name, without what is hidden; `named` is what the user named
    in it, which is listed even so."""
    return [path for path in _entries(folder) if path == named or not is_hidden(path.name)]


def hidden(folder: Path) -> list[Path]:
    """What `listed` leaves out."""
    return [path for path in _entries(folder) if is_hidden(path.name)]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({_reason(error)})") from None


def check_file(path: Path) -> None:
    """Raises UserError where a path is no regular file that can be read, or is empty."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path} is no file")  # reading a pipe could wait for ever
        with path.open("rb") as file:
            start = file.read(len(APPLE_DOUBLE))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({_reason(error)})") from None
    if not start:
        raise UserError(f"{path}: the file is empty; fetch it again")
    if start == APPLE_DOUBLE:
        raise UserError(
            f"{path}: holds no data but what a Mac keeps beside a file; name the file itself"
        )


def read_bytes(path: Path) -> bytes:
    """A file's bytes, at least one; a .gz file is unpacked, up to a limit (see `limits`)."""
    check_file(path)
    try:
        check_memory(path.stat().st_size, path, "read a part of it, or use a machine with more")
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = gunzipped(raw, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: not a whole gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({_reason(error)})") from None
    if not raw:
        raise UserError(f"{path}: the file is empty; fetch it again")
    return raw


def read_text(path: Path) -> str:
    """A UTF-8 file, plain or gzipped, without byte-order mark."""
    return decoded(path, read_bytes(path))


def decoded(path: Path, raw: bytes) -> str:
    """The text in a file's bytes."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}: not UTF-8 in line {line}; convert it first "
            f"(iconv -f latin1 -t utf-8, if it is Latin-1)"
        ) from None


def named_split(name: str) -> tuple[str, str | None]:
    """A file name in lower case without the word for its split, .gz and the number of a shard; and
    the split: GunPoint_TRAIN.ts -> ("gunpoint.ts", "train")."""
    words = re.split(r"([_\-. ]+)", SHARD.sub("", name).lower().removesuffix(".gz"))
    splits = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    if len(splits) != 1:
        return "".join(words), None
    rest = "".join(word for word in words if word not in SPLIT_WORDS)
    return re.sub(r"[_\-. ]+(?=[_\-. ])", "", rest).strip("_-. "), splits.pop()


def by_split(place: Path, paths: Sequence[Path]) -> list[tuple[Path, str | None]]:
    """The files of one data set in the order of the splits, each with the split in its name; a
    single file has None. Raises UserError where they are several data sets."""
    if len(paths) == 1:
        return [(paths[0], None)]
    names = {path: named_split(path.name) for path in paths}
    if len({rest for rest, _ in names.values()}) > 1 or None in {s for _, s in names.values()}:
        raise UserError(
            f"{place} holds several data sets ({some(path.name for path in paths)}): name one of "
            f"the files, or name the files of one set by their splits, train{paths[0].suffix} and "
            f"test{paths[0].suffix}"
        )
    seen: dict[tuple, Path] = {}
    for path, (_, split) in names.items():
        shard = SHARD.search(path.name)
        twin = seen.setdefault((split, shard and shard[1]), path)
        if twin is not path:
            raise UserError(f"{place}: {twin.name} and {path.name} are both {split}; remove one")
    splits = dict.fromkeys(SPLIT_WORDS.values())  # in their order
    return [
        (p, split) for split in splits for p, (_, its_split) in names.items() if its_split == split
    ]


def with_partner(place: Path, files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files to read: if the user named the file of one split (NAME_TRAIN.ts), also those beside
    it whose names differ in the split alone. And notes: one where there is no other."""
    rest, split = named_split(place.name)
    if place not in files or not split:
        return list(files), []
    beside = {path: named_split(path.name) for path in listed(place.parent, place)}
    files = [path for path, (name, its_split) in beside.items() if its_split and name == rest]
    if len(files) > 1:
        return files, []
    return files, [f"{place.name} is read alone: its partner of another split is not beside it"]


def stray_notes(strays: Iterable[Path]) -> list[str]:
    """Notes on files and folders that were not read, by kind."""
    kinds: dict[str, list[str]] = {"stray file": [], "stray folder": [], "hidden file": []}
    for path in sorted(strays):
        stray = "stray folder" if isdir(path) else "stray file"
        kinds["hidden file" if is_hidden(path.name) else stray].append(path.name)
    return [
        f"{len(names)} {what}{'s' * (len(names) > 1)} skipped: {some(names)}"
        for what, names in kinds.items()
        if names
    ]


def some(names: Iterable[str], most: int = 6) -> str:
    """Names for a message, at most `most` of them."""
    names = [printable(name) for name in names]
    more = f", ... ({len(names):,} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def printable(name: str) -> str:
    """A name from a file, made safe for a message: printable, at most 80 characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)[:80]


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
