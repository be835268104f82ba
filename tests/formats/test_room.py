"""What would not fit into memory is refused before it is unpacked, in a line with the limit."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drnn_bench.formats.limits import (
    SMALL,
    check_memory,
    free_memory,
    size_text,
)
from drnn_bench.formats.reading import read
from drnn_bench.tasks.registry import parse_task
from tests.support.memory import limited
from tests.support.refused import refusal

MIB = 2**20
LIMIT = f"{SMALL // MIB:.1f} MiB"


def bomb(path: Path, mebibytes: int = 300) -> Path:
    """gzip of so many MiB of zeros: whole files one after another are one to gzip."""
    path.write_bytes(gzip.compress(b"0" * MIB) * mebibytes)
    return path


def packed(path: Path, **members: bytes) -> Path:
    """An .npz of members that are compressed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    file = io.BytesIO()
    facts = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)
    return file.getvalue()


def stored(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("name", ["d.csv.gz", "train-images-idx3-ubyte.gz"])
def test_a_gzip_bomb(tmp_path, name):
    path = bomb(tmp_path / name)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1" + struct.pack(">I", 0))
    said = refusal(read, path)
    assert f"{path}: unpacks to more than {LIMIT} (100 times its size, or {LIMIT})" in said
    assert "gunzip" in said


def test_a_text_that_is_a_gzip_bomb(tmp_path):
    path = bomb(tmp_path / "book.txt.gz")
    said = refusal(parse_task(f"char_text:path={path}").read, None)
    assert f"unpacks to more than {LIMIT}" in said


def test_what_packs_well_and_is_small_is_read(tmp_path):
    text = "a,b,y\n" + "0,0,1\n0,1,0\n" * 200_000
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert (tmp_path / "d.csv.gz").stat().st_size < len(text) / 200
    assert len(read(tmp_path / "d.csv.gz").x) == 400_000
    np.savez_compressed(tmp_path / "d.npz", x=np.zeros((1000, 5000)), y=np.arange(1000) % 2)
    assert len(read(tmp_path / "d.npz").x) == 1000


def test_an_npz_bomb(tmp_path):
    rows = 300
    path = packed(
        tmp_path / "d.npz",
        x=header((rows, MIB)) + bytes(rows * MIB),
        y=stored(np.arange(rows) % 2),
    )
    assert path.stat().st_size < 2 * MIB
    said = refusal(read, path)
    assert f"{path} x: unpacks to 300.0 MiB, and at most {LIMIT} is unpacked" in said
    assert "np.savez" in said


def test_an_npz_that_does_not_say_how_much_it_unpacks_to(tmp_path):
    """Its directory says as much as its header does, and both say less than there is."""
    y = stored(np.arange(8) % 2)
    x = header((8, 4)) + bytes(MIB)
    path = packed(tmp_path / "d.npz", x=x, y=y)
    raw = path.read_bytes()
    at = raw.index(b"PK\1\2")  # the directory's first entry: x
    size = struct.pack("<I", len(header((8, 4))) + 32)
    crc = struct.pack("<I", zlib.crc32(x[: len(header((8, 4))) + 32]))
    entry = raw[at : at + 16] + crc + raw[at + 20 : at + 24] + size + raw[at + 28 :]
    path.write_bytes(raw[:at] + entry)
    assert {x.size for x in read(path).x} == {4}  # zipfile stops at what the directory says


@pytest.mark.parametrize(
    ("shape", "promise"),
    [((10**15, 8), "7.1 PiB"), ((10**30, 8), "EiB"), ((4, 1000), "3.9 KiB"), ((4, 2), "8 bytes")],
)
@pytest.mark.parametrize("form", ["npy", "npz", "packed"])
def test_a_header_that_promises_what_is_not_there(tmp_path, shape, promise, form):
    x, y = header(shape) + bytes(100), header(shape[:1]) + bytes(4)
    if form == "npy":
        (tmp_path / "x.npy").write_bytes(x)
        (tmp_path / "y.npy").write_bytes(y)
        path = tmp_path / "x.npy"
    else:
        path = packed(tmp_path / "d.npz", x=x, y=y)
    said = refusal(read, path)
    assert "cannot be read (its header promises" in said
    assert promise in said
    assert "the file holds 100 bytes" in said


def test_arrays_that_follow_one_another_in_one_file(tmp_path):
    """numpy reads the first alone and says nothing of the rest."""
    (tmp_path / "x.npy").write_bytes(stored(np.zeros((4, 3))) * 2)
    np.save(tmp_path / "y.npy", np.arange(4))
    assert "its header promises 96 bytes, the file holds 320" in refusal(read, tmp_path)


@pytest.mark.parametrize(
    "sizes", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1,) * 3, (1,) * 70, (2**32 - 1,) * 255]
)
def test_an_absurd_idx_header(tmp_path, sizes):
    path = tmp_path / "train-images-idx3-ubyte"
    head = b"\0\0\x08" + bytes([len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)
    path.write_bytes(head + b"x" * (set(sizes) == {1}))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1" + struct.pack(">I", 0))
    assert "its header promises" in refusal(read, path)


def test_one_long_sequence_among_many_short_ones(tmp_path):
    """Padded to the same length they would take what no machine has."""
    lengths = np.full(20_001, 2)
    lengths[-1] = 10_000_000
    values = pa.array(np.arange(lengths.sum()) % 100, pa.int8())
    ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    y = pa.array(np.arange(len(lengths)) % 2)
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"v": pa.ListArray.from_arrays(ends, values), "y": y}), path)
    said = refusal(parse_task(f"own:path={path}").read, None)
    assert f"{path}: 20,001 sequences of up to 10,000,000 steps: takes 745.1 GiB of memory" in said
    assert "length=N" in said
    assert parse_task(f"own:path={path},length=5").read(None).task.length == 5


def hollow(path: Path, shape: tuple[int, ...]) -> None:
    """An .npy file whose values are holes: as long as its header says, and nothing on the disk."""
    head = header(shape)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + math.prod(shape))


def test_half_of_the_free_memory_is_the_limit_that_is_said():
    free = free_memory()
    check_memory(free // 4, "d.csv", "")
    said = refusal(check_memory, 4 * free, "d.csv", "read a part of it")
    assert said.startswith(
        f"d.csv: takes {size_text(4 * free)} of memory, and half of what is free"
    )
    assert said.endswith("; read a part of it")


def test_a_process_of_little_memory_says_so(tmp_path):
    hollow(tmp_path / "x.npy", (40, 50 * MIB))
    np.save(tmp_path / "y.npy", np.arange(40) % 2)
    done = limited(tmp_path, "ls", "data", "x.npy")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "x.npy: takes 2.0 GiB of memory, and half of what is free here is" in done.stderr


def test_more_sequences_than_memory_has_names_for(tmp_path):
    hollow(tmp_path / "x.npy", (10_000_000, 2))
    hollow(tmp_path / "y.npy", (10_000_000,))
    done = limited(tmp_path, "ls", "data", "x.npy")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "x.npy: 10,000,000 sequences: takes 4.7 GiB of memory" in done.stderr


def test_a_parquet_file_that_says_the_same_again_and_again(tmp_path):
    column = pa.array(np.zeros(2**24, np.int8))
    pq.write_table(pa.table({"a": column, "b": column, "y": column}), tmp_path / "d.parquet")
    assert (tmp_path / "d.parquet").stat().st_size < MIB
    done = limited(tmp_path, "ls", "data", "d.parquet")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "d.parquet: takes 2.3 GiB of memory" in done.stderr


@pytest.mark.parametrize(
    ("size", "words"),
    [(5, "5 bytes"), (1536, "1.5 KiB"), (3 * 2**30, "3.0 GiB"), (2**63, "8.0 EiB")],
)
def test_sizes_as_people_read_them(size, words):
    assert size_text(size) == words
