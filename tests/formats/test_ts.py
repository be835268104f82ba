"""The .ts files of the UEA archive."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.reading import TS, TS_X, read, same, written
from tests.support.refused import refusal


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


@settings(max_examples=60)
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
