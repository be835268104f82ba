"""What numpy saved: the arrays of an .npz archive, or of the .npy files of a folder.

Shape and type are read first; values, when they are asked for and where memory has room for them.
Nothing pickled is read.
"""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import check_file, listed, printable
from drnn_bench.formats.limits import check_memory, check_unpacked, size_text


@dataclass(frozen=True)
class _Stored:
    """How many bytes an .npy file has: in its header, in all, and in all as it is compressed."""

    header: int
    size: int
    packed: int


@dataclass(frozen=True)
class StoredArray:
    """An array in a file; its values are read when they are asked for."""

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype
    stored: _Stored
    open: Callable[[], IO[bytes]]

    def check(self, instead_of_objects: str) -> None:
        """Refuses objects, values that are not there, and what memory has no room for."""
        if self.dtype.hasobject:
            raise UserError(
                f"{self.where}: holds Python objects, which need pickle and are not read; "
                f"{instead_of_objects}"
            )
        size = math.prod(self.shape) * self.dtype.itemsize
        header, whole, packed = self.stored.header, self.stored.size, self.stored.packed
        if header + size != whole:
            raise UserError(
                f"{self.where}: cannot be read (its header promises {size_text(size)}, the file "
                f"holds {size_text(max(0, whole - header))}); save it again with numpy"
            )
        if packed < whole:
            check_unpacked(size, packed, self.where, "save it with np.savez, which does not pack")
        else:
            check_memory(size, self.where, "save a part of it, or a smaller type")

    def read(self, instead_of_objects: str) -> np.ndarray:
        """The values, after that check."""
        self.check(instead_of_objects)
        with _naming_errors(self.where), self.open() as file:
            return np.lib.format.read_array(file, allow_pickle=False)


def npz_arrays(path: Path) -> dict[str, StoredArray]:
    check_file(path)
    with _naming_errors(path), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]

    def opener(name: str) -> Callable[[], IO[bytes]]:
        return lambda: zipfile.ZipFile(path).open(name)

    return {
        member.filename[:-4]: _array(
            f"{path} {printable(member.filename[:-4])}",
            opener(member.filename),
            member.file_size,
            member.compress_size,
        )
        for member in members
    }


def npy_arrays(folder: Path, named: Path) -> dict[str, StoredArray]:
    paths = [path for path in listed(folder, named) if path.suffix.lower() == ".npy"]
    for path in paths:
        check_file(path)
    sizes = [path.stat().st_size for path in paths]
    return {
        path.stem: _array(str(path), partial(path.open, "rb"), size, size)
        for path, size in zip(paths, sizes, strict=True)
    }


def _array(where: str, opened: Callable[[], IO[bytes]], size: int, packed: int) -> StoredArray:
    """The array without its values: shape and type stand at the beginning of an .npy file."""
    with _naming_errors(where), opened() as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:  # 2.0; a later version differs from it only in the encoding of field names
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        return StoredArray(where, shape, dtype, _Stored(file.tell(), size, packed), opened)


@contextmanager
def _naming_errors(what: object) -> Iterator[None]:
    """Errors of zipfile and numpy on a damaged file become one line that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a file of Python 2 is slow to open
            yield
    except (
        EOFError, OSError, RuntimeError, ValueError, tokenize.TokenError,
        zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        if isinstance(error, UserError):
            raise
        why = str(error).partition("\n")[0][:200] or type(error).__name__
        raise UserError(f"{what}: cannot be read ({why}); save it again with numpy") from None
