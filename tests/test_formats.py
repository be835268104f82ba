"""Files that hold sequences: what each kind reads, and what is said of those that are wrong."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import importlib
import io
import os
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from conftest import refusal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drnn_bench.formats import reading
from drnn_bench.formats.files import named_split
from drnn_bench.formats.options import USES
from drnn_bench.formats.reading import Options, Sequences

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5)).astype(np.float32)
Y = np.array([3, 1, 3, 1, 3, 1])


def read(path: Path, **options) -> Sequences:
    return reading.read(path, Options(**options))


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def npz(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def parquet(path: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def same(found, x, y, split=None) -> None:
    """The sequences are these, [T, C] each, and so are the labels, in type too."""
    assert len(found.x) == len(found.y) == len(found.split) == len(found.where) == len(x)
    for got, wanted in zip(found.x, x, strict=True):
        assert got.dtype.kind in "iuf"  # as the file has them: a task shifts before it casts
        wanted = np.asarray(wanted)
        np.testing.assert_array_equal(got, wanted if wanted.ndim == 2 else wanted[:, None])
    if found.per_step:
        assert [labels.tolist() for labels in found.y] == y
    else:
        assert found.y == y
        assert {type(label) for label in found.y} <= {int, str}
    assert found.split == ([None] * len(x) if split is None else split)


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


# -- arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "target"),
    [
        (("x", "y"), None),
        (("X", "Y"), None),
        (("inputs", "targets"), None),
        (("data", "labels"), None),
        (("signal", "y"), None),  # the one array that fits
        (("x", "who"), "who"),
        (("signal", "who"), "who"),
    ],
)
def test_arrays_by_their_names(tmp_path, names, target):
    other = {"speed": np.arange(6), "more": np.zeros((4, 4))}
    path = npz(tmp_path / "a.npz", **dict(zip(names, (X, Y), strict=True)), **other)
    found = read(path, target=target)
    same(found, X, Y.tolist())
    assert found.notes == (f"{path}: arrays not read: more, speed",)
    assert found.where[5] == f"{path} {names[0]}[5]"


@pytest.mark.parametrize(
    "pattern", ["{role}_{split}", "{split}_{role}", "{role}-{split}", "{split}.{role}"]
)
@pytest.mark.parametrize("validation", ["validation", "val", "valid"])
def test_arrays_that_name_their_split(tmp_path, pattern, validation):
    arrays = {}
    for split, rows in (("train", slice(0, 3)), (validation, slice(3, 4)), ("test", slice(4, 6))):
        arrays[pattern.format(role="x", split=split)] = X[rows]
        arrays[pattern.format(role="y", split=split)] = Y[rows]
    found = read(npz(tmp_path / "a.npz", **arrays))
    same(found, X, Y.tolist(), ["train"] * 3 + ["validation"] + ["test"] * 2)


def test_a_target_with_a_word_for_its_split(tmp_path):
    arrays = {"x_train": X[:4], "who_train": Y[:4], "x_test": X[4:], "who_test": Y[4:]}
    found = read(npz(tmp_path / "a.npz", **arrays, y_train=Y[:4]), target="who")
    same(found, X, Y.tolist(), ["train"] * 4 + ["test"] * 2)


def test_the_order_of_splits_is_no_matter_of_names(tmp_path):
    for split, rows in (("train", slice(0, 4)), ("test", slice(4, 6))):
        npz(tmp_path / f"set_{split}.npz", x=X[rows], y=Y[rows])
    same(read(tmp_path), X, Y.tolist(), ["train"] * 4 + ["test"] * 2)


@pytest.mark.parametrize("named", [".", "x.npy", "y.npy"])
def test_npy_files_beside_one_another(tmp_path, named):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", np.array(["up", "to"] * 3))
    same(read(tmp_path / named), X, ["up", "to"] * 3)


def test_channels_lengths_splits_and_labels_of_each_step(tmp_path):
    x = RNG.normal(size=(3, 4, 2))
    x[0, 3] = np.nan  # after the end
    y = np.array([[0, 1, 1, 9], [2, 2, 0, 0], [1, 9, 9, 9]])
    lengths = np.array([3, 4, 1])
    split = np.array(["train", "dev", "Test"])
    rows = [x[i, :length] for i, length in enumerate(lengths)]
    path = npz(tmp_path / "a.npz", x=x, y=y, lengths=lengths, split=split)
    found = read(path)
    assert found.per_step
    same(found, rows, [[0, 1, 1], [2, 2, 0, 0], [1]], ["train", "validation", "test"])
    found = read(npz(path, x=x, y=y[:, :1], lengths=lengths))  # (N, 1) is a label each
    assert not found.per_step
    same(found, rows, [0, 2, 1])


def test_labels_of_steps_that_may_be_one_hot_are_said(tmp_path):
    x, y = np.ones((3, 3)), np.eye(3)
    assert (
        "if the rows are one-hot labels of sequences"
        in read(npz(tmp_path / "a.npz", x=x, y=y)).notes[0]
    )
    y[0, 1] = 1
    assert not read(npz(tmp_path / "a.npz", x=x, y=y)).notes


def test_channels_that_may_come_first_are_said(tmp_path):
    found = read(npz(tmp_path / "a.npz", x=np.zeros((2, 3, 50)), y=[0, 1]))
    assert "transpose" in found.notes[0]


@pytest.mark.parametrize(
    ("y", "wanted"),
    [
        (np.array([2.0, 1.0, 2.0]), [2, 1, 2]),
        (np.array(["2", "10", "-1"]), [2, 10, -1]),
        (np.array(["2.0", "10.0", "1e1"]), [2, 10, 10]),
        (np.array(["007", "8", "9"]), ["007", "8", "9"]),
        (np.array(["a ", "b", "1"]), ["a", "b", "1"]),
        (np.array([b"a", b"b", b"a"]), ["a", "b", "a"]),
        (np.array([5, 6, 250], dtype=np.uint8), [5, 6, 250]),
        (np.array([True, False, True]), ["True", "False", "True"]),
    ],
)
def test_labels_are_whole_numbers_or_names(tmp_path, y, wanted):
    same(read(npz(tmp_path / "a.npz", x=X[:3], y=y)), X[:3], wanted)


def test_labels_are_of_one_kind_in_all_splits(tmp_path):
    arrays = {"x_train": X[:2], "y_train": np.array([1, 2]), "x_test": X[2:3], "y_test": ["none"]}
    assert read(npz(tmp_path / "a.npz", **arrays)).y == ["1", "2", "none"]


ONES = np.ones((3, 4))
WRONG_ARRAYS = {
    "other N": ({"x": ONES, "y": [0, 1]}, "y: has shape (2,), but", "expected (3,)"),
    "one-hot": ({"x": ONES, "y": np.eye(3)}, "of one-hot labels save y.argmax(-1)"),
    "one-hot steps": ({"x": ONES, "y": np.ones((3, 4, 5))}, "of one-hot labels save y.argmax(-1)"),
    "bool x": ({"x": ONES > 0, "y": [0, 1, 2]}, "x: holds bool", "x.astype('uint8')"),
    "complex x": ({"x": ONES + 1j, "y": [0, 1, 2]}, "x: holds complex128", "[x.real, x.imag]"),
    "times x": ({"x": ONES.astype("M8[s]"), "y": [0, 1, 2]}, "datetime64[s]", "x.astype('int64')"),
    "channels first": ({"x": np.ones((3, 1, 9)), "y": [0, 1, 2]}, "one step", "transpose(0, 2, 1)"),
    "text x": ({"x": ONES.astype(str), "y": [0, 1, 2]}, "x: holds <U"),
    "object x": ({"x": np.array([[1], [1, 2], 3], object), "y": [0, 1, 2]}, " x: ", "pickle",
        "padded with NaN, or with an array `lengths`"),
    "object y": ({"x": ONES, "y": np.array([0, None, 1], object)}, " y: ", "pickle",
        "save labels as words or whole numbers: y.astype(str) or y.astype(int)"),
    "real y": ({"x": ONES, "y": [0.0, 0.25, 1.0]}, "[1]: the label is 0.25; classification"),
    "NaN y": ({"x": ONES, "y": [0.0, 1.0, np.nan]}, "[2]: the label is missing"),
    "empty y": ({"x": ONES, "y": ["a", "", "b"]}, "[1]: the label is missing"),
    "one axis": ({"x": np.ones(3), "y": [0, 1, 2]}, "(3,), expected (N, T)"),
    "four axes": ({"x": np.ones((3, 2, 2, 2)), "y": [0, 1, 2]}, "(3, 2, 2, 2), expected (N, T)"),
    "no steps": ({"x": np.ones((3, 0)), "y": [0, 1, 2]}, "x[0]: has no steps"),
    "no channels": ({"x": np.ones((3, 2, 0)), "y": [0, 1, 2]}, "x[0]: 0 channels"),
    "no rows": ({"x": np.ones((0, 4)), "y": []}, "no sequences"),
    "other channels": (
        {"x_train": ONES, "y_train": [0, 1, 2], "x_test": np.ones((1, 4, 2)), "y_test": [0]},
        "x_test[0]: 2 channels, 1 in",
    ),
    "labels of two kinds": (
        {"x_train": ONES, "y_train": [0, 1, 2], "x_test": ONES, "y_test": ONES.astype(int)},
        "x_test[0] has a label for each step", "x_train[0] one label",
    ),
    "NaN": ({"x": np.where(np.eye(3, 4), 1, np.nan), "y": [0, 1, 2]}, "x[1]: no value at step 1;",
        "values missing: 3, in 2 of 3 sequences", "missing=ffill"),
    "inf": ({"x": [[[1, 2], [3, np.inf]]], "y": [0]}, "x[0]: inf at step 2, channel 2"),
    "too great for float32": ({"x": [[1, -1e39]], "y": [0]}, "x[0]: -1e+39 at step 2"),
    "long lengths": ({"x": ONES, "y": [0, 1, 2], "lengths": [4, 5, 1]}, "lengths[1]: 5", "1 to 4"),
    "zero lengths": ({"x": ONES, "y": [0, 1, 2], "lengths": [4, 4, 0]}, "lengths[2]: 0"),
    "real lengths": ({"x": ONES, "y": [0, 1, 2], "lengths": [4.0, 4, 1]}, "whole numbers"),
    "few lengths": ({"x": ONES, "y": [0, 1, 2], "lengths": [4]}, "lengths: has shape (1,)"),
    "odd split": ({"x": ONES, "y": [0, 1, 2], "split": ["train", "hold", "test"]}, "split[1]",
        "'hold'", "train, validation or test"),
    "no labels": ({"x": ONES, "who": [0, 1, 2]}, "no labels", "target=NAME", "who (3,)"),
    "nothing by name": ({"foo": ONES, "who": [0, 1, 2]}, "expected arrays x and y", "foo (3, 4)"),
    "two inputs": ({"foo": ONES, "bar": ONES, "y": [0, 1, 2]}, "foo, bar", "name them x"),
    "no input": ({"foo": np.ones(3), "y": [0, 1, 2]}, "no array can be", "foo (3,)"),
    "two x": ({"x": ONES, "data": ONES, "y": [0, 1, 2]}, "data could be x"),
    "two y": ({"x": ONES, "label": [1, 2, 3], "y": [0, 1, 2]}, "y could be y", "target=NAME"),
    "splits and none": ({"x": ONES, "y": [0, 1, 2], "x_test": ONES, "y_test": [0, 1, 2]},
        "name their split and some do not"),
    "half a split": ({"x_train": ONES, "y_train": [0, 1, 2], "x_test": ONES}, "no labels for",
        "x_test"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_wrong_arrays_are_one_line(tmp_path, case):
    arrays, *words = WRONG_ARRAYS[case]
    said = refusal(read, npz(tmp_path / "a.npz", **arrays))
    assert str(tmp_path / "a.npz") in said
    for word in words:
        assert word in said


def test_a_target_that_is_not_there(tmp_path):
    path = npz(tmp_path / "a.npz", x=X, speaker=Y)
    assert "did you mean 'speaker'" in refusal(lambda: read(path, target="speakers"))


def test_npz_and_npy_in_one_folder(tmp_path):
    npz(tmp_path / "a.npz", x=X, y=Y)
    np.save(tmp_path / "x.npy", X)
    assert "name one of the files" in refusal(read, tmp_path)


def test_damaged_numpy_files(tmp_path):
    whole = npz(tmp_path / "a.npz", x=X, y=Y).read_bytes()
    at = whole.index(X.tobytes())
    for broken in (whole[:-30], b"PK" + whole[:90], whole[:at] + b"????" + whole[at + 4 :]):
        assert "cannot be read" in refusal(read, written(tmp_path / "a.npz", broken))
    buffer = io.BytesIO()
    np.save(buffer, X)
    np.save(tmp_path / "y.npy", Y)
    for broken in (buffer.getvalue()[:-3], buffer.getvalue()[:20], b"\x93NUMPY\x09\x00", b"no"):
        said = refusal(read, written(tmp_path / "x.npy", broken))
        assert f"{tmp_path / 'x.npy'}: cannot be read" in said
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    assert "pickle" in refusal(read, tmp_path / "x.npy")


# -- tables ------------------------------------------------------------------------------------


WIDE = "a,b,c,label\n1,2,3,up\n4,5,.5,down\n"
WIDE_X = [[1, 2, 3], [4, 5, 0.5]]


@pytest.mark.parametrize(
    "text",
    [
        WIDE,
        WIDE.replace("\n", "\r\n"),
        WIDE.rstrip("\n"),
        "\ufeff" + WIDE,
        WIDE.replace(",", ";"),
        WIDE.replace(",", "\t"),
        WIDE.replace(",", ", "),
        WIDE.replace("label", "Class"),
        "label,a,b,c\nup,1,2,3\ndown,4,5,0.5\n",
        'a,"b",c,y\n1,"2",3,"up"\n4,5,5e-1,down\n',
        "\r\n" + WIDE,
    ],
)
def test_a_row_is_a_sequence(tmp_path, text):
    same(read(written(tmp_path / "a.csv", text)), WIDE_X, ["up", "down"])
    same(read(written(tmp_path / "a.csv.gz", gzip.compress(text.encode()))), WIDE_X, ["up", "down"])


def test_what_is_no_step_is_left_out_and_said(tmp_path):
    text = ",id,file,when,a,b,split,who\n0,7,x.wav,2020-01-01,1,2,train,0\n"
    text += "1,8,y.wav,2020-01-02,3,4,test,1\n"
    path = written(tmp_path / "a.csv", text)
    found = read(path, target="who")
    same(found, [[1, 2], [3, 4]], [0, 1], ["train", "test"])
    assert found.notes == (
        f"{path}: columns not read: (no name) (an index), when (dates), id (it names the rows), "
        f"file (it names the rows)",
    )
    pd.read_csv(path).to_parquet(tmp_path / "a.parquet")
    same(read(tmp_path / "a.parquet", target="who"), [[1, 2], [3, 4]], [0, 1], ["train", "test"])


def test_a_type_is_that_of_a_whole_column(tmp_path):
    """Whole numbers in the first megabytes, and then one that is not."""
    rows = 400_000
    text = "a,b,y\n" + "1,2,0\n" * rows + "1,2.5,1\n"
    found = read(written(tmp_path / "a.csv", text))
    assert len(found.x) == rows + 1
    assert found.x[-1].tolist() == [[1], [2.5]]


def test_tables_of_a_folder_by_their_names(tmp_path):
    header, up, down = WIDE.splitlines(keepends=True)
    written(tmp_path / "train.csv", header + up + down)
    written(tmp_path / "test.csv.gz", gzip.compress((header + up).encode()))
    written(tmp_path / "README", "words")
    written(tmp_path / ".DS_Store", "bytes")
    (tmp_path / "nothing").mkdir()
    found = read(tmp_path)
    same(found, [*WIDE_X, WIDE_X[0]], ["up", "down", "up"], ["train", "train", "test"])
    assert found.notes == (
        "1 stray file skipped: README",
        "1 stray folder skipped: nothing",
        "1 hidden file skipped: .DS_Store",
    )


LONG = """id,t,x,y,label
b,2,1,2,q
a,1,3,4,r
b,1.5,5,6,q
"""


def test_a_row_is_a_step(tmp_path):
    path = written(tmp_path / "a.csv", LONG)
    found = read(path)
    same(found, [[[5, 6], [1, 2]], [[3, 4]]], ["q", "r"])
    assert found.where == [f"{path} id b", f"{path} id a"]
    dates = LONG.replace(",2,1", ",2024-03-01,1").replace(",1,3", ",2024-02-29,3")
    dates = dates.replace("1.5", "2023-12-31").replace("id,t", "Series_ID,timestamp")
    same(read(written(path, dates)), [[[5, 6], [1, 2]], [[3, 4]]], ["q", "r"])
    table = pd.read_csv(io.StringIO(LONG))
    more = table.rename(columns={"id": "series_id", "t": "step"}).assign(id=[0, 1, 2])
    more.insert(0, "timestamp", ["2024-01-01", "2024-01-02", "2024-01-03"])
    more.to_csv(path, index=False)
    found = read(path)
    same(found, [[[5, 6], [1, 2]], [[3, 4]]], ["q", "r"])
    assert found.notes == (
        f"{path}: columns not read: timestamp (step is the time), id (it numbers the rows)",
    )
    table.to_parquet(tmp_path / "a.parquet")
    same(read(tmp_path / "a.parquet"), [[[5, 6], [1, 2]], [[3, 4]]], ["q", "r"])


def test_a_label_that_changes_is_one_a_step_in_all_files(tmp_path):
    written(tmp_path / "train.csv", LONG.replace("6,q", "6,s"))
    written(tmp_path / "test.csv", LONG)
    found = read(tmp_path)
    rows = [[[5, 6], [1, 2]], [[3, 4]]]
    assert found.per_step
    same(found, rows * 2, [["s", "q"], ["r"], ["q", "q"], ["r"]], ["train"] * 2 + ["test"] * 2)
    split = (
        LONG.replace("label", "label,split").replace("q\n", "q,test\n").replace("r\n", "r,train\n")
    )
    same(read(written(tmp_path / "a.csv", split)), rows, ["q", "r"], ["test", "train"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    channels=st.integers(1, 3),
    per_step=st.booleans(),
    data=st.data(),
)
def test_long_tables_come_back_whatever_the_order_of_their_rows(
    tmp_path, lengths, channels, per_step, data
):
    number = st.floats(allow_nan=False, allow_infinity=False, width=32)
    name = st.text("abcxyz \"';,ß", min_size=1, max_size=4).map(lambda s: f"c{s}c")
    x = [
        [data.draw(st.lists(number, min_size=channels, max_size=channels)) for _ in range(length)]
        for length in lengths
    ]
    y = [data.draw(st.lists(name, min_size=n, max_size=n)) for n in lengths]
    if not per_step or all(len(set(labels)) == 1 for labels in y):
        per_step, y = False, [labels[:1] * len(labels) for labels in y]
    names = data.draw(st.lists(name, min_size=len(x), max_size=len(x), unique=True))
    rows = [
        [names[i], step / 4, *series[step], y[i][step]]
        for i, series in enumerate(x)
        for step in range(len(series))
    ]
    rows = data.draw(st.permutations(rows))
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "time", *"uvw"[:channels], "y"], *rows])
    found = read(tmp_path / "a.csv")
    assert found.per_step == per_step
    order = [names.index(name) for name in dict.fromkeys(row[0] for row in rows)]
    same(found, [x[i] for i in order], [y[i] if per_step else y[i][0] for i in order])


def test_columns_of_lists(tmp_path):
    path = tmp_path / "a.parquet"
    same(read(parquet(path, s=[[1, 2, 3], [4]], y=["a", "b"])), [[1, 2, 3], [4]], ["a", "b"])
    pairs = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]]
    found = read(parquet(path, s=pairs, y=["a", "b"], more=[1, 2], time=[0, 0]))
    same(found, pairs, ["a", "b"])
    assert found.notes == (
        f"{path}: columns not read: time (a time of the whole row), more (beside lists)",
    )
    same(read(parquet(path, u=[[1, 3], [5]], v=[[2, 4], [6]], y=[0, 1])), pairs, [0, 1])
    found = read(parquet(path, s=[[1, 2, 3], [4]], y=[["a", "b", "a"], ["b"]]))
    assert found.per_step
    same(found, [[1, 2, 3], [4]], [["a", "b", "a"], ["b"]])
    for kind in (pa.list_(pa.float32(), 2), pa.large_list(pa.int16()), pa.list_(pa.float64())):
        series = pa.array([[1, 2], [3, 4]], kind)
        same(read(parquet(path, s=series, y=[7, 8])), [[1, 2], [3, 4]], [7, 8])
    labels = pa.array(["a", "b", "a"]).dictionary_encode()
    same(
        read(parquet(path, u=[1, 2, 3], v=[4, 5, 6], y=labels)),
        [[1, 4], [2, 5], [3, 6]],
        ["a", "b", "a"],
    )
    chunks = pa.concat_tables(
        [pa.table({"s": [[1, 2]], "y": [0]}), pa.table({"s": [[3]], "y": [1]})]
    )
    pq.write_table(chunks, path, row_group_size=1)
    same(read(path), [[1, 2], [3]], [0, 1])


WRONG_TABLES = {
    "text in a column": ("a,b,y\n1,2,0\n1,two,1\n", "row 2: column 'b' has 'two', no number"),
    "no numbers": ("a,b,y\np,q,0\n", "no numbers beside 'y': a, b"),
    "booleans": ("a,b,y\n1,true,0\n", "row 1: column 'b' has True, a truth value", "ignore=b"),
    "a hole": ("a,b,y\n1,2,0\n,3,0\n", "row 2: no value at step 1"),
    "NaN": ("a,b,y\n1,2,0\nnan,2,0\n", "row 2: no value at step 1"),
    "inf": ("a,b,y\n1,2,0\n3,-inf,0\n", "row 2: -inf at step 2"),
    "beyond float32": ("a,b,y\n1,2,0\n3,1e39,0\n", "row 2: 1e+39 at step 2"),
    "no label": ("a,b,y\n1,2,\n", "row 1: the label is missing"),
    "real labels": ("a,b,y\n1,2,1\n1,2,1.5\n", "row 2: the label is 1.5"),
    "a short row": ("a,b,y\n1,2,0\n1,2\n", "row 2: 2 values, the header names 3"),
    "a long row": ("a,b,y\n1,2,0,1\n", "row 1: 4 values, the header names 3"),
    "no header": ("0,1,2\n3,4,1\n", "the first line must name the columns, it has 0, 1, 2"),
    "only a header": ("a,b,y\n", "has no rows"),
    "only lines": ("\n\n", "the first line must name the columns"),
    "no target": ("a,b,c\n1,2,0\n", "no column of labels", "target=NAME", "a, b, c"),
    "two targets": ("a,label,class\n1,2,0\n", "label, class could all be", "target=NAME"),
    "twice": ("a,a,y\n1,2,0\n", "two columns are called 'a'"),
    "odd split": ("a,split,y\n1,fold1,0\n", "row 1: split 'fold1' is unknown"),
    "time but no id": ("time,a,y\n1,2,0\n", "'time'", "call it id"),
    "a step twice": (LONG.replace("1.5", "2"), "row 3: a second row of id b at t 2"),
    "no time": (LONG.replace("1.5", ""), "row 3: column 't' has no value"),
    "odd time": (LONG.replace("1.5", "soon"), "row 3: column 't' has 'soon'"),
    "a hole in a step": (LONG.replace("5,6", ",6"), "id b: no value at step 1, channel x"),
    "inf in a step": (LONG.replace("5,6", "5,inf"), "id b: inf at step 1, channel y"),
    "no label at a step": (LONG.replace("6,q", "6,"), "row 3: the label is missing"),
    "two splits": (
        "id,t,a,y,split\n7,1,2,0,train\n7,2,3,0,test\n", "row 2: id 7 is in test and in train",
    ),
    "not UTF-8": ("a,b,y\n1,2,é\n".encode("latin1"), "not UTF-8 in line 2", "iconv"),
    "no text": (bytes(range(256)), "not UTF-8"),
    "empty": ("", "the file is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_wrong_tables_are_one_line(tmp_path, case):
    content, *words = WRONG_TABLES[case]
    said = refusal(read, written(tmp_path / "a.csv", content))
    assert str(tmp_path / "a.csv") in said
    for word in words:
        assert word in said


WRONG_PARQUET = {
    "a hole": ({"s": [[1, 2], [3, None]]}, "row 2: no value at step 2"),
    "a hole in a channel": (
        {"s": [[[1, 2]], [[3, 4], [None, 5]]]},
        "row 2: no value at step 2, channel 1",
    ),
    "no list": ({"s": [[1, 2], None]}, "row 2: column 's' has no value"),
    "no steps": ({"s": [[1, 2], []]}, "row 2: has no steps"),
    "no channels": ({"s": [[[]], [[]]]}, "no numbers beside"),
    "NaN": ({"s": [[1.0, 2.0], [np.nan]]}, "row 2: no value at step 1"),
    "channels that differ": ({"s": [[[1, 2]], [[3, 4], [5]]]}, "row 2: 1 channels in 's'"),
    "steps that differ": ({"s": [[1, 2], [3]], "u": [[1, 2], [3, 4]]}, "row 2: lists of 1, 2"),
    "labels of few steps": ({"s": [[1, 2], [3]], "y": [[0, 1], [1, 0]]}, "1 steps but 2 labels"),
    "numbers as text": ({"s": ["1", "2"]}, "column 's' holds numbers as text"),
    "lists of labels": ({"s": [1, 2], "y": [[0], [1]]}, "column 'y' holds list<"),
    "lists of lists of labels": ({"s": [[1], [2]], "y": [[[0]], [[1]]]}, "lists of lists"),
    "records of labels": ({"s": [[1], [2]], "y": [{"a": 0}, {"a": 1}]}, "column 'y' holds struct<"),
    "null": ({"s": pa.nulls(2)}, "row 1: every value is missing"),
    "no columns beside": ({}, "no numbers beside 'y'"),
}


@pytest.mark.parametrize("case", WRONG_PARQUET)
def test_wrong_parquet_is_one_line(tmp_path, case):
    columns, word = WRONG_PARQUET[case]
    said = refusal(read, parquet(tmp_path / "a.parquet", **{"y": [0, 1], **columns}))
    assert word in said
    assert str(tmp_path / "a.parquet") in said


def test_tables_that_are_none_or_do_not_go_together(tmp_path):
    path = parquet(tmp_path / "a.parquet", s=[[1, 2], [3]], y=[0, 1])
    for broken in (path.read_bytes()[:-9], b"PAR1", b"words"):
        said = refusal(read, written(tmp_path / "a.parquet", broken))
        assert f"{path}: no parquet file that can be read" in said
    path.unlink()
    written(tmp_path / "train.csv", "a,b,y\n1,2,0\n")
    written(tmp_path / "test.csv", "b,a,y\n1,2,0\n")
    said = refusal(read, tmp_path)
    assert f"{tmp_path / 'test.csv'}: its columns are not those of {tmp_path / 'train.csv'}" in said
    written(tmp_path / "test.csv.gz", gzip.compress(b"a,b,y\n1,2,0\n"))
    assert "test.csv and test.csv.gz are both test" in refusal(read, tmp_path)
    written(tmp_path / "more.csv", "a,b,y\n1,2,0\n")
    assert "several data sets" in refusal(read, tmp_path)


def test_a_column_that_is_not_there_and_those_that_are(tmp_path):
    path = written(tmp_path / "a.csv", WIDE)
    assert "no column 'kind'; there are: a, b, c, label" in refusal(
        lambda: read(path, target="kind")
    )


@pytest.mark.parametrize(
    ("name", "rest", "split"),
    [
        ("GunPoint_TRAIN.ts", "gunpoint.ts", "train"),
        ("GunPoint_TEST.ts", "gunpoint.ts", "test"),
        ("train-00000-of-00002.parquet", "parquet", "train"),
        ("my_val_set.csv.gz", "my_set.csv", "validation"),
        ("test_train.csv", "test_train.csv", None),
        ("training.csv", "csv", "train"),
        ("trainer.csv", "trainer.csv", None),
        ("y_valid", "y", "validation"),
    ],
)
def test_splits_in_names(name, rest, split):
    assert named_split(name) == (rest, split)


# -- .ts ---------------------------------------------------------------------------------------

TS = """# two channels, unequal lengths
@problemName Small
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength false
@classLabel true up 2.0
@data
1,2,3:.1,.2,3e-1:up
# between

 4 , 5 : 0,1 : 2.0
"""
TS_X = [[[1, 0.1], [2, 0.2], [3, 0.3]], [[4, 0], [5, 1]]]


@pytest.mark.parametrize("form", [str, str.lower, lambda s: s.replace("\n", "\r\n")])
def test_a_ts_file(tmp_path, form):
    path = written(tmp_path / "Small.ts", form(TS))
    found = read(path)
    same(found, TS_X, ["up", "2.0"])
    assert found.where == [f"{path} row 1 (line 10)", f"{path} row 2 (line 13)"]
    same(read(tmp_path), TS_X, ["up", "2.0"])


def test_one_of_a_pair_finds_the_other(tmp_path):
    train = written(tmp_path / "Small_TRAIN.ts", TS)
    alone = read(train)
    same(alone, TS_X, ["up", "2.0"])
    assert "alone" in alone.notes[0]
    test = written(tmp_path / "Small_TEST.ts", TS)
    written(tmp_path / "Large_TRAIN.ts", TS)
    for path in (train, test):
        found = read(path)
        same(found, TS_X * 2, ["up", "2.0"] * 2, ["train"] * 2 + ["test"] * 2)
        assert not found.notes
    (tmp_path / "Large_TRAIN.ts").unlink()
    same(read(tmp_path), TS_X * 2, ["up", "2.0"] * 2, ["train"] * 2 + ["test"] * 2)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    channels=st.integers(1, 4),
    labels=st.lists(st.text("abcXYZ019.-_", min_size=1, max_size=5), min_size=1, max_size=3),
    data=st.data(),
)
def test_ts_files_come_back(tmp_path, shapes, channels, labels, data):
    number = st.floats(allow_nan=False, allow_infinity=False, width=32)
    x = [
        [data.draw(st.lists(number, min_size=channels, max_size=channels)) for _ in range(length)]
        for length in shapes
    ]
    classes = [f"c{label}" for label in labels]
    y = [data.draw(st.sampled_from(classes)) for _ in x]
    equal = len(set(shapes)) == 1
    header = [
        "@problemName any", "@timeStamps false", f"@univariate {str(channels == 1).lower()}",
        f"@dimensions {channels}", f"@equalLength {str(equal).lower()}",
        *([f"@seriesLength {shapes[0]}"] if equal else []),
        f"@classLabel true {' '.join(classes)}", "@data",
    ]  # fmt: skip
    rows = [
        ":".join([*(",".join(map(repr, column)) for column in zip(*series, strict=True)), label])
        for series, label in zip(x, y, strict=True)
    ]
    same(read(written(tmp_path / "a.ts", "\n".join(header + rows))), x, y)


WRONG_TS = {
    "a value missing": ("4 , 5", "4,?", "row 2 (line 13)", "no value at step 2, channel 1"),
    "a value that is none": ("4 , 5", "4,", "row 2", "'', no number, at step 2"),
    "text": ("4 , 5", "4,five", "row 2", "'five', no number, at step 2"),
    "NaN": ("4 , 5", "4,NaN", "row 2", "no value at step 2, channel 1"),
    "inf": ("4 , 5", "4,1e39", "row 2", "1e+39 at step 2, channel 1"),
    "a class of its own": (": 2.0", ": down", "row 2", "class 'down'", "up, 2.0"),
    "no label": (" : 2.0", "", "row 2", "class '0,1'"),
    "no channel": ("4 , 5 : 0,1 : 2.0", "up", "row 2", "expected channels"),
    "no steps": ("4 , 5 : 0,1", ":", "row 2", "has no steps"),
    "channels of two lengths": ("4 , 5", "4", "row 2", "channels of 1, 2 steps"),
    "fewer channels": ("4 , 5 :", "", "row 2", "1 channels, the header promises 2"),
    "fewer than the first": ("@dimensions 2\n", "", None),
    "other dimensions": ("@dimensions 2", "@dimensions 3", "row 1", "header promises 3"),
    "odd dimensions": ("@dimensions 2", "@dimensions two", "@dimensions two: expected a whole"),
    "dimension": ("@dimensions 2", "@dimension 3", "row 1", "header promises 3"),
    "univariate": ("@univariate false", "@univariate true", "@univariate true, but @dimensions 2"),
    "univariate rows": (
        "@univariate false\n@dimensions 2", "@univariate true", "row 1", "header promises 1",
    ),
    "equal": ("@equalLength false", "@equalLength true", "row 2", "@equalLength true"),
    "length": (
        "@equalLength false", "@equalLength true\n@seriesLength 4", "row 1", "@seriesLength 4",
    ),
    "a length alone": ("@equalLength false", "@seriesLength 3", "row 2", "@seriesLength 3"),
    "odd flag": ("@equalLength false", "@equalLength maybe", "@equallength maybe: expected true"),
    "time stamps": ("@timeStamps false", "@timeStamps true", "is no row of (time,value)"),
    "regression": ("@classLabel true up 2.0", "@targetLabel true", "real-valued targets"),
    "no classes": ("@classLabel true up 2.0", "@classLabel false", "names no classes"),
    "no class label": ("@classLabel true up 2.0", "", "names no classes"),
    "classes without names": ("@classLabel true up 2.0", "@classLabel true", "names no classes"),
    "data too soon": ("@problemName Small", "1,2:3,4:up", "line 2: a row of data before @data"),
    "no data": ("@data", "", "line 10: a row of data before @data"),
    "a bare @": ("@problemName Small", "@", None),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_TS)
def test_a_ts_file_that_disagrees_with_itself_is_one_line(tmp_path, case):
    old, new, *words = WRONG_TS[case]
    assert old in TS
    path = written(tmp_path / "a.ts", TS.replace(old, new, 1))
    if words == [None]:  # nothing wrong with it
        return same(read(path), TS_X, ["up", "2.0"])
    said = refusal(read, path)
    assert str(path) in said
    for word in words:
        assert word in said


def test_ts_files_that_are_none(tmp_path):
    header = TS[: TS.index("@data")]
    assert "no @data" in refusal(read, written(tmp_path / "a.ts", header))
    assert "no sequences" in refusal(read, written(tmp_path / "a.ts", header + "@data\n"))
    assert "the file is empty" in refusal(read, written(tmp_path / "a.ts", ""))
    said = refusal(read, written(tmp_path / "a.ts", TS.replace("up", "ü").encode("latin1")))
    assert "not UTF-8 in line 8" in said


# -- idx ---------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


IMAGES = RNG.integers(0, 256, (6, 2, 3))


def idx_pairs(folder: Path, **rows: slice) -> Path:
    for split, chosen in rows.items():
        written(folder / f"{split}-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES[chosen])))
        written(folder / f"{split}-labels-idx1-ubyte", idx(Y[chosen]))
    return folder


@pytest.mark.parametrize("test", ["t10k", "test"])
def test_idx_pairs(tmp_path, test):
    idx_pairs(tmp_path, train=slice(0, 4), **{test: slice(4, 6)})
    written(tmp_path / "other-train-images-idx3-ubyte", b"")
    flat = IMAGES.reshape(6, 6)
    for name in (f"{test}-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"):
        same(read(tmp_path / name), flat, Y.tolist(), ["train"] * 4 + ["test"] * 2)
    (tmp_path / "other-train-images-idx3-ubyte").unlink()
    same(read(tmp_path), flat, Y.tolist(), ["train"] * 4 + ["test"] * 2)


def test_wrong_idx_pairs_are_one_line(tmp_path):
    idx_pairs(tmp_path, train=slice(0, 6))
    images, labels = tmp_path / "train-images-idx3-ubyte.gz", tmp_path / "train-labels-idx1-ubyte"
    written(labels, idx(Y[:5]))
    assert f"{labels}: 6 images but 5 labels (see {images})" in refusal(read, tmp_path)
    written(labels, idx(Y)[1:])
    assert f"{labels}: not an idx file" in refusal(read, tmp_path)
    written(labels, idx(Y))
    written(images, gzip.compress(idx(IMAGES))[:-5])
    assert f"{images}: not a whole gzip file" in refusal(read, tmp_path)
    written(images, gzip.compress(idx(IMAGES.reshape(6, 6))))
    assert f"{images}: the images have shape (6, 6)" in refusal(read, tmp_path)
    written(images, b"")
    assert f"{images}: the file is empty" in refusal(read, tmp_path)
    images.unlink()
    assert f"{labels}: no partner beside it" in refusal(read, labels)
    labels.rename(tmp_path / "labels-ubyte")
    assert "not named as idx files are" in refusal(read, tmp_path)


# -- recordings --------------------------------------------------------------------------------


def recording(path: Path, rate: int = 8000, channels: int = 1, seconds: float = 0.05) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = 0.3 * np.sin(np.arange(int(rate * seconds)) * 2000 / rate)
    soundfile.write(path, np.stack([sound] * channels, axis=1), rate, subtype="PCM_16")
    return path


def test_a_folder_of_recordings_for_each_class(tmp_path):
    paths = [
        recording(tmp_path / "cat" / "1.wav"),
        recording(tmp_path / "cat" / "2.WAV", channels=2),
        recording(tmp_path / "dog" / "1.flac", rate=16_000),
        recording(tmp_path / "dog" / "2.wav", rate=4_000),
    ]
    written(tmp_path / "cat" / ".DS_Store", "x")
    written(tmp_path / "cat" / "._1.wav", "x")
    written(tmp_path / "labels.csv", "file,label\n")
    (tmp_path / "none").mkdir()
    found = read(tmp_path)
    assert found.recordings
    assert found.y == ["cat", "cat", "dog", "dog"]
    assert found.where == [str(path) for path in paths]
    assert found.split == [None] * 4
    assert found.notes == (
        "4 recordings at 8000 Hz",
        "2 of 4 recordings resampled from 4000 and 16000 to 8000 Hz",
        "1 of 4 recordings mixed down to mono",
        "1 stray file skipped: labels.csv",
        "1 stray folder skipped: none",
        "2 hidden files skipped: .DS_Store, ._1.wav",
    )
    assert [x.shape for x in found.x] == [(400, 1)] * 4
    np.testing.assert_array_equal(found.x[0], found.x[1])
    for x in found.x[2:]:
        np.testing.assert_allclose(x[50:-50], found.x[0][50:-50], atol=0.02)
    at_4 = read(tmp_path, rate=4000)
    assert {len(x) for x in at_4.x} == {200}
    assert "3 of 4 recordings resampled from 8000 and 16000 to 4000 Hz" in at_4.notes


def test_recordings_in_splits(tmp_path):
    for split in ("train", "val", "test"):
        for label in ("cat", "dog"):
            recording(tmp_path / split / label / "1.wav")
    found = read(tmp_path)
    assert Counter(zip(found.split, found.y, strict=True)) == dict.fromkeys(
        [(s, y) for s in ("train", "validation", "test") for y in ("cat", "dog")], 1
    )
    recording(tmp_path / "bird" / "1.wav")
    assert "has splits and beside them recordings in bird" in refusal(read, tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    recording(tmp_path / "train" / "1.wav")
    recording(tmp_path / "plane" / "1.wav")
    found = read(tmp_path)
    assert (found.y, found.split) == (["plane", "train"], [None, None])


def test_wrong_recordings_are_one_line(tmp_path):
    for i in range(3):
        recording(tmp_path / "cat" / f"{i}.wav")
    bad = tmp_path / "cat" / "1.wav"
    for content in (b"", b"RIFF", b"words and words", bad.read_bytes()[:44]):
        assert str(bad) in refusal(read, written(bad, content).parent.parent)
    bad.unlink()
    bad.symlink_to(tmp_path / "gone.wav")
    assert str(bad) in refusal(read, tmp_path)
    said = refusal(read, tmp_path / "cat")
    assert str(tmp_path / "cat") in said
    assert "FOLDER/CLASS/*.wav" in said
    assert "FOLDER/CLASS/*.wav" in refusal(read, tmp_path / "cat" / "0.wav")
    for rate in (0, -1, 10**6):
        assert "rate must be 1 to 192000" in refusal(lambda rate=rate: read(tmp_path, rate=rate))


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
