"""Tables in csv and parquet files: a row a sequence, a row a step, columns of lists."""

from __future__ import annotations

import csv
import gzip
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.formats.files import named_split
from tests.support.reading import WIDE, WIDE_X, parquet, read, same, written
from tests.support.refused import refusal


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


@settings(max_examples=40)
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
