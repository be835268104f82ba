"""What lies beside data and is none: hidden files, on every path; and names that look alike."""

from __future__ import annotations

import gzip
import struct
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from drnn_bench.formats.files import is_hidden, listed
from drnn_bench.formats.reading import read
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.sources import find
from tests.support.refused import refusal

APPLE = bytes.fromhex("00051607000200004d6163204f5320582020202020202020") + bytes(60)
LITTER = {
    "._{}": APPLE,
    ".{}": b"\0\1",
    ".~lock.{}#": b"user,host",
    "~${}": b"\0\1",
    ".DS_Store": b"\0\0\0\1Bud1",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    "desktop.ini": b"[.ShellClassInfo]",
    "__MACOSX/._{}": APPLE,
    "@eaDir/{}": b"SYNO",
}
TS = b"@univariate true\n@classLabel true up down\n@data\n1,2,3:up\n3,2,1:down\n"
CSV = b"t0,t1,label\n1,2,up\n2,1,down\n"


def idx(array: np.ndarray) -> bytes:
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def npy(array: np.ndarray, path: Path) -> bytes:
    np.save(path, array)
    return path.read_bytes()


def a_wav(path: Path) -> bytes:
    soundfile.write(path, 0.3 * np.sin(np.arange(400)), 8000)
    return path.read_bytes()


def littered(folder: Path) -> Path:
    """The folder, with what systems leave beside each of its files."""
    for path in [path for path in sorted(folder.rglob("*")) if path.is_file()]:
        for name, content in LITTER.items():
            other = path.parent / name.format(path.name)
            other.parent.mkdir(exist_ok=True)
            other.write_bytes(content)
    return folder


def data_sets(folder: Path) -> dict[str, tuple[dict[str, bytes], list[str]]]:
    """Kinds of data: the files of one, and the paths in its folder by which it can be named."""
    made = folder / "made"
    x, y = np.arange(12).reshape(4, 3), np.array([0, 1, 0, 1])
    images = np.arange(24).reshape(4, 2, 3)
    sound = a_wav(made.with_suffix(".wav"))
    pair = {"P_TRAIN.ts": TS, "P_TEST.ts": TS}
    arrays = {
        "x.npy": npy(x, made.with_suffix(".npy")),
        "y.npy": npy(y, made.with_suffix(".npy")),
    }
    images_ = {
        f"{split}-{what}": content
        for split in ("train", "t10k")
        for what, content in (
            ("images-idx3-ubyte.gz", gzip.compress(idx(images))),
            ("labels-idx1-ubyte", idx(y)),
        )
    }
    classes = {f"{label}/{i}.wav": sound for label in "ab" for i in range(2)}
    return {
        "ts": (pair, [".", *pair]),
        "csv": ({"train.csv": CSV, "test.csv": CSV}, ["."]),
        "npy": (arrays, [".", *arrays]),
        "idx": (images_, [".", *images_]),
        "recordings": (classes, ["."]),
        "splits": (
            {
                f"{split}/{path}": raw
                for split in ("train", "test")
                for path, raw in classes.items()
            },
            ["."],
        ),
    }


@pytest.mark.parametrize("kind", ["ts", "csv", "npy", "idx", "recordings", "splits"])
def test_hidden_files_change_nothing_whatever_is_named(tmp_path, kind):
    (tmp_path / "data").mkdir()
    files, names = data_sets(tmp_path)[kind]
    for name, content in files.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    wanted = {name: read(tmp_path / "data" / name) for name in names}
    littered(tmp_path / "data")
    for name, before in wanted.items():
        found = read(tmp_path / "data" / name)
        assert (found.where, found.y, found.split) == (before.where, before.y, before.split)
        for x, x_before in zip(found.x, before.x, strict=True):
            np.testing.assert_array_equal(x, x_before)
        assert not any("stray file" in note for note in found.notes)
        said = " ".join(found.notes)
        assert ("hidden files skipped" in said) == (name == ".")


def test_hidden_files_in_a_folder_of_speakers(tmp_path):
    recordings = tmp_path / "fsdd" / "recordings"
    recordings.mkdir(parents=True)
    for speaker in ("ann", "bob", "cat", "dan", "eve", "fay"):
        for index in (0, 5, 10):
            a_wav(recordings / f"0_{speaker}_{index}.wav")
    task = parse_task("speaker_fsdd")
    before = task.recordings(str(tmp_path / "fsdd"))
    assert task.recordings(str(littered(tmp_path / "fsdd"))) == before

    folder = tmp_path / "vctk" / "wav48"
    for speaker in ("p1", "p2"):
        (folder / speaker).mkdir(parents=True)
        for text in range(3):
            a_wav(folder / speaker / f"{speaker}_00{text}.wav")
    (folder / ".p3").mkdir()
    task = parse_task("speaker_vctk:speakers=2")
    before = task.recordings(str(tmp_path / "vctk"))
    assert task.recordings(str(littered(tmp_path / "vctk"))) == before


def test_a_data_set_named_as_a_board_has_it_is_no_hidden_file(tmp_path):
    (tmp_path / "P_TRAIN.ts").write_bytes(TS)
    (tmp_path / ".P.csv").write_bytes(CSV)
    (tmp_path / "._P_TRAIN.ts").write_bytes(APPLE)
    assert find(tmp_path / "P") == tmp_path / "P_TRAIN.ts"
    assert find(tmp_path / ".P") == tmp_path / ".P"


def test_a_hidden_file_is_read_where_it_is_named_itself(tmp_path):
    (tmp_path / ".P_TRAIN.ts").write_bytes(TS)
    (tmp_path / ".P_TEST.ts").write_bytes(TS)
    found = read(tmp_path / ".P_TRAIN.ts")
    assert len(found.x) == 2
    assert found.split == [None, None]
    assert "read alone" in found.notes[0]
    (tmp_path / ".a.csv").write_bytes(CSV)
    assert read(tmp_path / ".a.csv").y == ["up", "down"]
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.csv").write_bytes(CSV)
    assert read(tmp_path / ".git").y == ["up", "down"]
    np.save(tmp_path / ".x.npy", np.zeros((2, 3)))
    assert ".x (2, 3)" in refusal(read, tmp_path / ".x.npy")


@pytest.mark.parametrize("name", ["._x.npy", "._P_TRAIN.ts", "._a.csv", "._a.npz", "._a.parquet"])
def test_what_a_mac_keeps_beside_a_file_is_called_that(tmp_path, name):
    (tmp_path / name).write_bytes(APPLE)
    said = refusal(read, tmp_path / name)
    assert f"{tmp_path / name}: holds no data but what a Mac keeps beside a file" in said


def test_folders_of_nothing_but_hidden_files(tmp_path):
    littered_ = tmp_path / "__MACOSX"
    littered_.mkdir()
    (littered_ / "._x.npy").write_bytes(APPLE)
    assert f"{tmp_path} is empty but for hidden files (__MACOSX)" in refusal(read, tmp_path)
    assert "is empty but for hidden files (._x.npy)" in refusal(read, littered_)


@pytest.mark.parametrize("name", ["a.csv", "_a.csv", "a.ds_store.csv", "thumbs.db.csv", "macosx"])
def test_what_is_not_hidden(tmp_path, name):
    assert not is_hidden(name)
    (tmp_path / name).touch()
    assert [path.name for path in listed(tmp_path)] == [name]


# -- names that look alike ---------------------------------------------------------------------

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def test_labels_of_folders_tables_and_ts_files_are_compared_in_one_form_of_unicode(tmp_path):
    assert NFC != NFD
    for split, name in (("train", NFC), ("test", NFD)):
        for label in (name, "tea"):
            (tmp_path / "sounds" / split / label).mkdir(parents=True)
            a_wav(tmp_path / "sounds" / split / label / "1.wav")
    assert set(read(tmp_path / "sounds").y) == {NFC, "tea"}

    (tmp_path / "tables").mkdir()
    for split, name in (("train", NFC), ("test", NFD)):
        text = f"t0,t1,label\n1,2,{name}\n2,1,tea\n"
        (tmp_path / "tables" / f"{split}.csv").write_text(text, encoding="utf-8")
    assert read(tmp_path / "tables").y == [NFC, "tea", NFC, "tea"]

    ts = tmp_path / "a.ts"
    ts.write_text(f"@classLabel true {NFC} tea\n@data\n1,2:{NFD}\n2,1:tea\n", encoding="utf-8")
    assert read(ts).y == [NFC, "tea"]

    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.array([NFC, NFD, "tea"]))
    assert read(tmp_path / "a.npz").y == [NFC, NFC, "tea"]
