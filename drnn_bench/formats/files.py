"""What every reader needs of the disk: listings, bytes, text, and the splits that names tell."""

from __future__ import annotations

import gzip
import re
import stat
import zlib
from collections.abc import Iterable, Sequence
from os.path import isdir  # False where Path.is_dir raises: no permission
from pathlib import Path

from drnn_bench.errors import UserError
from drnn_bench.formats.room import check_room, gunzipped

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


def is_folder(path: Path) -> bool:
    """Whether a path that must exist is a folder."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UserError(f"{path}: cannot be read ({_reason(error)})") from None


def listed(folder: Path) -> list[Path]:
    """What lies in a folder, sorted by name."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({_reason(error)})") from None


def check_file(path: Path) -> None:
    """Refuses what is no file that can be read, or an empty one."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path} is no file")  # reading a pipe could wait for ever
        path.open("rb").close()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({_reason(error)})") from None
    if not status.st_size:
        raise UserError(f"{path}: the file is empty; fetch it again")


def read_bytes(path: Path) -> bytes:
    """A file's bytes, at least one; of a .gz file what it holds, up to a limit (room)."""
    check_file(path)
    try:
        check_room(path.stat().st_size, path, "read a part of it, or use a machine with more")
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
    """A name without the word for its split (and without .gz and the number of a shard), and the
    split: GunPoint_TRAIN.ts -> ("gunpoint.ts", "train")."""
    words = re.split(r"([_\-. ]+)", SHARD.sub("", name).lower().removesuffix(".gz"))
    splits = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    if len(splits) != 1:
        return "".join(words), None
    rest = "".join(word for word in words if word not in SPLIT_WORDS)
    return re.sub(r"[_\-. ]+(?=[_\-. ])", "", rest).strip("_-. "), splits.pop()


def by_split(place: Path, paths: Sequence[Path]) -> list[tuple[Path, str | None]]:
    """The files of one data set, each with the split that its name tells; None for one alone."""
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
    order = list(SPLIT_WORDS)
    return sorted(((p, split) for p, (_, split) in names.items()), key=lambda o: order.index(o[1]))


def stray_notes(strays: Iterable[Path]) -> list[str]:
    """What to say of files and folders that are in the way of nothing and were not read."""
    strays = sorted(strays)
    folders = [path.name for path in strays if isdir(path)]
    files = [path.name for path in strays if not isdir(path)]
    return [
        f"{len(names)} stray {what}{'s' * (len(names) > 1)} skipped: {some(names)}"
        for what, names in (("file", files), ("folder", folders))
        if names
    ]


def some(names: Iterable[str], most: int = 6) -> str:
    """A list for a message, cut where it would be long."""
    names = [printable(name) for name in names]
    more = f", ... ({len(names):,} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def printable(name: str) -> str:
    """A name out of a file, as a line of a message may hold it."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)[:80]


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
