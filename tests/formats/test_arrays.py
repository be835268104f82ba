"""Arrays in .npy and .npz files: what they are taken for, and what is said of wrong ones."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tests.support.reading import RNG, X, Y, npz, read, same, written
from tests.support.refused import refusal


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
