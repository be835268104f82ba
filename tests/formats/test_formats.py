"""Files that hold sequences: what each kind reads, and what is said of those that are wrong."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections import Counter

import numpy as np
import pytest

from drnn_bench.formats import reading
from drnn_bench.formats.options import USES
from drnn_bench.formats.reading import Options
from tests.support.reading import TS, WIDE, X, Y, npz, read, written
from tests.support.refused import refusal

# -- real data ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "train", "test", "channels", "lengths", "classes"),
    [
        ("JapaneseVowels", 270, 370, 12, (7, 29), 9),
        ("ACSF1", 100, 100, 1, (1460, 1460), 10),
        ("OSULeaf", 200, 242, 1, (427, 427), 6),
        ("GunPoint", 50, 150, 1, (150, 150), 2),
        ("BasicMotions", 40, 40, 6, (100, 100), 4),
        ("ItalyPowerDemand", 67, 1029, 1, (24, 24), 2),
    ],
)
def test_the_sets_of_the_ucr_archive(ucr_dir, name, train, test, channels, lengths, classes):
    found = read(ucr_dir / f"{name}_TEST.ts")
    assert Counter(found.split) == {"train": train, "test": test}
    assert {x.shape[1] for x in found.x} == {channels}
    assert (min(map(len, found.x)), max(map(len, found.x))) == lengths
    assert len(set(found.y)) == classes
    assert not found.notes
    again = read(ucr_dir / f"{name}_TRAIN.ts")
    assert (again.y, again.where) == (found.y, found.where)


def test_a_folder_of_several_data_sets_asks_for_one(ucr_dir):
    said = refusal(read, ucr_dir)
    assert "ACSF1_TEST.ts" in said
    assert "several data sets" in said


def test_japanese_vowels_as_the_file_has_them(ucr_dir):
    found = read(ucr_dir / "JapaneseVowels_TRAIN.ts")
    lines = (ucr_dir / "JapaneseVowels_TRAIN.ts").read_text().splitlines()
    *channels, label = lines[-1].split(":")
    assert found.y[269] == int(label)
    wanted = np.array([channel.split(",") for channel in channels], dtype=np.float64).T
    np.testing.assert_array_equal(found.x[269], wanted)
    assert found.where[269].endswith(f"JapaneseVowels_TRAIN.ts row 270 (line {len(lines)})")


def test_mnist_is_one_array_and_not_60000(mnist_dir):
    found = read(mnist_dir / "t10k-images-idx3-ubyte.gz")
    assert Counter(found.split) == {"train": 60_000, "test": 10_000}
    assert found.x[0].shape == (784, 1)
    assert found.x[0].base is found.x[59_999].base
    assert sorted(set(found.y)) == list(range(10))
    assert found.y[:4] == [5, 0, 4, 1]


def test_spoken_commands_by_the_array_that_is_asked_for(commands_dir):
    with np.load(commands_dir / "asc_8k_rounds01-03.npz") as stored:
        audio, speaker = stored["audio"], stored["speaker"]
    found = read(commands_dir, target="speaker")
    assert found.y == speaker.tolist()
    assert len(found.x) == 3600
    np.testing.assert_array_equal(found.x[-1][:, 0], audio[-1])
    assert any("keyword_name" in note for note in found.notes)
    assert len(set(read(commands_dir / "asc_8k_rounds01-03.npz", target="keyword").y)) == 40
    assert "target=NAME" in refusal(read, commands_dir)


def test_recordings_of_spoken_commands(commands_dir):
    found = read(commands_dir / "original_16k")
    assert found.recordings
    assert Counter(found.y) == dict.fromkeys(("zero", "one", "two", "three", "four"), 30)
    assert found.notes == ("150 recordings at 16000 Hz",)
    slower = read(commands_dir / "original_16k", rate=4000)
    assert "150 of 150 recordings resampled from 16000 to 4000 Hz" in slower.notes
    assert {len(x) for x in slower.x} == {len(x) // 4 for x in found.x}


# -- paths -------------------------------------------------------------------------------------


def test_paths_that_lead_nowhere(tmp_path):
    assert f"{tmp_path / 'gone'} does not exist" in refusal(read, tmp_path / "gone")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    assert "symbolic links" in refusal(read, tmp_path / "loop.csv")
    assert "loop.csv" in refusal(read, tmp_path)
    (tmp_path / "loop.csv").unlink()
    (tmp_path / "up").symlink_to(tmp_path)  # a loop of folders
    assert "nothing in it is understood (up)" in refusal(read, tmp_path)
    written(tmp_path / "a.csv", WIDE)
    assert read(tmp_path).notes == ("1 stray folder skipped: up",)
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is no file" in refusal(read, tmp_path / "pipe.csv")


def test_folders_in_which_nothing_is(tmp_path):
    assert f"{tmp_path} is empty; expected csv" in refusal(read, tmp_path)
    written(tmp_path / "README", "words")
    written(tmp_path / ".hidden.csv", WIDE)
    said = refusal(read, tmp_path)
    assert "nothing in it is understood (README) but for hidden files (.hidden.csv);" in said
    written(tmp_path / "a.csv", WIDE)
    written(tmp_path / "a.ts", TS)
    assert "several kinds of data (a.csv, a.ts): name one" in refusal(read, tmp_path)


def test_a_file_of_another_kind(tmp_path):
    said = refusal(read, written(tmp_path / "a.mat", "x"))
    assert f"{tmp_path / 'a.mat'}: not a kind of file that is known" in said
    assert ".parquet" in said


def test_options_where_they_have_no_use(tmp_path):
    path = written(tmp_path / "a.ts", TS)
    assert "leave out target=y" in refusal(lambda: read(path, target="y"))
    assert "leave out rate=8000" in refusal(lambda: read(path, rate=8000))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path):
    path = written(tmp_path / "in" / "a.csv", WIDE)
    for closed, asked in ((path, path), (path.parent, path), (path.parent, path.parent)):
        closed.chmod(0)
        said = refusal(read, asked)
        closed.chmod(0o700)
        assert "Permission denied" in said


def test_every_reader_says_which_options_it_takes():
    names = {field.name for field in dataclasses.fields(Options)}
    assert set(USES) == names
    for reader in set(reading.READERS.values()):
        takes = importlib.import_module(f"drnn_bench.formats.{reader}").OPTIONS
        assert set(takes) <= names


@pytest.mark.parametrize(
    ("option", "value", "written_so"),
    [("id", "a", "a"), ("time", "a", "a"), ("group", "a", "a"), ("ignore", ("a", "b"), "a+b")],
)
def test_the_options_of_tables_have_no_use_elsewhere(tmp_path, option, value, written_so):
    path = npz(tmp_path / "a.npz", x=X, y=Y)
    said = refusal(lambda: read(path, **{option: value}))
    wanted = f"{option} is for tables (csv, tsv, parquet); leave out {option}={written_so}"
    assert said.endswith(wanted)
