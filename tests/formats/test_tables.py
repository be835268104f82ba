"""Tables: what their columns are taken for, and what is refused rather than guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.errors import UserError
from drnn_bench.formats import reading
from drnn_bench.formats.reading import Options, Sequences
from drnn_bench.formats.tables.roles import IDS, TIMES, canonical
from drnn_bench.formats.tables.steps import layout
from tests.support.memory import limited
from tests.support.refused import refusal

SCRATCH = settings(max_examples=40)


def table(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(path: Path, **options) -> Sequences:
    return reading.read(path, Options(**options))


def refused(folder: Path, text: str | bytes, *words: str, **options) -> None:
    path = table(folder, text)
    said = refusal(lambda: read(path, **options))
    assert str(path) in said
    for word in words:
        assert word in said


def long(header: str = "id,time,v,label", rows: int = 4, ids: int = 3, row=None) -> str:
    """A long table; `row(sequence, step)` gives its cells."""
    row = row or (lambda i, t: (f"r{i}", t, i * 100 + t * t, "ab"[i % 2]))
    cells = [row(i, t) for i in range(ids) for t in range(rows)]
    return "\n".join([header, *(",".join(map(str, line)) for line in cells)]) + "\n"


LONG_X = [[[i * 100 + t * t] for t in range(4)] for i in range(3)]


def is_long(found: Sequences) -> None:
    assert found.form.name == "long"
    assert [x.tolist() for x in found.x] == LONG_X
    assert found.y == ["a", "b", "a"]


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "id_",
    [
        "sample_id", "SampleID", "sampleId", "Sample Id", "SAMPLE-ID", "recording", "trial id",
        "Trial", "subject", "SubjectID", "subject no.", "participant", "patient_id", "series",
        "Sequence ID", "uid", "episode", "session", "run_id", "case id", "File Name",
    ],
)  # fmt: skip
@pytest.mark.parametrize("time", ["time_step", "Time Step"])
def test_an_id_by_its_name_in_any_spelling(tmp_path, id_, time):
    is_long(read(table(tmp_path, long(f"{id_},{time},v,label"))))


@pytest.mark.parametrize(
    "time",
    [
        "timestep", "time_step", "timeStep", "TIME-STEP", "Time Step", "datetime", "Date Time",
        "timestamp", "Timestamp (ms)", "time [s]", "time_ms", "t", "t (s)", "frame", "Frame No",
        "step", "date", "elapsed time", "tick", "cycle",
    ],
)  # fmt: skip
def test_a_time_by_its_name_in_any_spelling(tmp_path, time):
    found = read(table(tmp_path, long(f"id,{time},v,label")))
    is_long(found)
    assert (found.form.id, found.form.time) == ("id", time)
    assert (found.form.first_step, found.form.last_step) == (0, 3)


@given(name=st.sampled_from((*IDS, *TIMES)), data=st.data())
def test_a_name_is_the_same_whatever_its_case_and_separators(name, data):
    separators = data.draw(st.lists(st.sampled_from(["", "_", " ", "-", "."]), min_size=len(name)))
    upper = data.draw(st.lists(st.booleans(), min_size=len(name)))
    letters = [letter.upper() if up else letter for letter, up in zip(name, upper, strict=False)]
    spelled = "".join(a + b for a, b in zip(letters, separators, strict=False))
    assert canonical(spelled) == canonical(f"{spelled} [ms]") == name


def test_options_name_what_names_do_not_tell(tmp_path):
    path = table(tmp_path, long("who,when_ms,v,what"))
    assert "no column of labels" in refusal(read, path)
    assert "'when_ms' counts (0, 1, 2, 3, ...)" not in refusal(read, path)
    is_long(read(path, id="who", time="when_ms", target="what"))
    path = table(
        tmp_path, long("id,time,v,label").replace("\n", ",9,x\n").replace(",9,x", ",n,m", 1)
    )
    is_long(read(path, ignore=("n", "m")))
    is_long(read(table(tmp_path, long("id,time,v,a+b")), target="a+b"))
    path = table(tmp_path, long("id,time,v,label").replace("\n", ",9\n").replace(",9", ",c+d", 1))
    found = read(path, ignore=("c", "d"))  # as `ignore=c+d` is taken apart
    is_long(found)
    assert found.form.ignored == (("c+d", "ignore"),)
    for option in ("id", "time", "group"):
        said = refusal(lambda option=option: read(path, **{option: "gone"}))
        assert f"no column 'gone' ({option}=gone); there are: id, time, v, label" in said
    said = refusal(lambda: read(path, id="id", ignore=("id",)))
    assert "ignore and id both name 'id'" in said


# -- wide tables ---------------------------------------------------------------------------------


@SCRATCH
@given(
    stems=st.lists(
        st.sampled_from(["t", "acc_x_", "acc_y_", "Sensor ", "ch1-"]), min_size=1, unique=True
    ),
    numbers=st.lists(st.integers(0, 200), min_size=2, max_size=12, unique=True),
    data=st.data(),
)
def test_numbered_columns_are_steps_in_the_order_of_their_numbers(tmp_path, stems, numbers, data):
    names = [f"{stem}{number}" for stem in stems for number in numbers]
    shuffled = data.draw(st.permutations(names))
    x = np.random.RandomState(0).randn(3, len(names)).round(3)
    frame = pd.DataFrame(x, columns=names)[shuffled].assign(label=["a", "b", "a"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for path in (tmp_path / "a.csv", tmp_path / "a.parquet"):
        found = read(path)
        firsts = [
            next(s for s in stems if n == f"{s}{n[len(s) :]}" and n[len(s) :].isdigit())
            for n in shuffled
        ]
        order = list(dict.fromkeys(firsts))
        for got, row in zip(found.x, frame.to_dict("records"), strict=True):
            wanted = [[row[f"{stem}{n}"] for stem in order] for n in sorted(numbers)]
            np.testing.assert_array_equal(got, wanted)
        several = [stem.strip("_- ") for stem in order] if len(order) > 1 else []
        assert list(found.form.channel_names) == several
        assert found.form.first_step == f"{order[0]}{min(numbers)}"
        assert found.form.last_step == f"{order[0]}{max(numbers)}"


LAYOUTS = {
    "as in the file": ("b a c", "b a c"),
    "lexical": ("t1 t10 t11 t2", "t1 t2 t10 t11"),
    "reversed": ("x3 x2 x1", "x1 x2 x3"),
    "numbers alone": ("10 9 8 100", "8 9 10 100"),
    "seconds": ("0.5 0.25 1.0", "0.25 0.5 1.0"),
    "a stem and seconds": ("t0.5 t0.25 t1.0 t10.0", "t0.25 t0.5 t1.0 t10.0"),
    "versions": ("s1.1 s1.9 s1.10", "s1.1 s1.9 s1.10"),
    "dates": ("2024-02-01 2023-12-01 2024-01-01", "2023-12-01 2024-01-01 2024-02-01"),
    "quarters stay": ("2024Q1 2023Q1 2023Q2", "2024Q1 2023Q1 2023Q2"),
    "lags": ("t-1 t-2 t+1 t0", "t-2 t-1 t0 t+1"),
    "hyphens": ("t-1 t-10 t-2", "t-1 t-2 t-10"),
    "zeros before": ("s001 s010 s002", "s001 s002 s010"),
    "a unit behind": ("0ms 10ms 100ms 20ms", "0ms 10ms 20ms 100ms"),
    "a unit in brackets": ("t10 [s] t2 [s] t1 [s]", "t1 [s] t2 [s] t10 [s]"),
    "gases": ("co2 no2 pm10", "co2 no2 pm10"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_the_order_of_steps_that_names_tell(case):
    columns, wanted = (words.replace(" [", "\0[").split() for words in LAYOUTS[case])
    columns, wanted = ([name.replace("\0", " ") for name in names] for names in (columns, wanted))
    found = layout(columns)
    assert found.channels == (tuple(wanted),)
    assert found.odd == found.ragged == ()


def test_a_number_before_the_channel(tmp_path):
    found = layout(["t0_x", "t0_y", "t1_x", "t1_y", "t10_x", "t10_y", "t2_x", "t2_y"])
    assert found.names == ("t_x", "t_y")
    assert found.channels[0] == ("t0_x", "t1_x", "t2_x", "t10_x")


NOISE = np.random.RandomState(1).randn(12, 3).round(2).tolist()
WIDE = "t1,t2,t3,label\n" + "".join(
    f"{u},{v},{w},{'ab'[i % 2]}\n" for i, (u, v, w) in enumerate(NOISE)
)


def beside(name: str, values) -> str:
    header, *rows = WIDE.splitlines()
    return "\n".join(
        [f"{name},{header}", *(f"{v},{row}" for v, row in zip(values, rows, strict=True))]
    )


@pytest.mark.parametrize("name", ["index", "row", "fold", "age", "Nr"])
def test_a_column_beside_numbered_ones_is_no_step(tmp_path, name):
    text = beside(name, range(12))
    refused(tmp_path, text, "the steps are t1 to t3", f"ignore={name}", f"group={name}")
    path = table(tmp_path, text)
    found = read(path, ignore=(name,))
    assert {x.shape for x in found.x} == {(3, 1)}
    assert found.form.ignored == ((name, "ignore"),)
    assert f"{path}: columns not read: {name} (ignore)" in found.notes


@pytest.mark.parametrize("name", ["subject", "Patient ID", "recording"])
def test_an_id_that_repeats_is_no_name_of_a_row(tmp_path, name):
    text = beside(name, [i // 4 for i in range(12)])
    refused(tmp_path, text, f"{name!r} repeats (0 is in 4 rows)", f"group={name}", f"ignore={name}")
    path = table(tmp_path, text)
    assert read(path, group=name).group == [str(i // 4) for i in range(12)]
    assert read(path, ignore=(name,)).group is None
    once = read(table(tmp_path, beside(name, [f"s{i}" for i in range(12)])))
    assert once.form.ignored == ((name, "it names the rows"),)


@pytest.mark.parametrize(
    "values",
    [range(12), range(1, 13), [3, 0, 1, 2, 5, 4, 6, 9, 8, 7, 11, 10], [0, 1, 2, 3] * 3,
     [0, 10, 20] * 4, [i // 3 for i in range(12)]],
)  # fmt: skip
def test_whole_numbers_that_follow_one_another_unlike_their_neighbours(tmp_path, values):
    text = beside("n", values).replace("t1,t2,t3", "u,v,w")
    refused(tmp_path, text, "column 'n' counts", "ignore=n", "time=n", "id=n", "group=n")
    assert {len(x) for x in read(table(tmp_path, text), ignore=("n",)).x} == {3}


@pytest.mark.parametrize(
    "values",
    [[0, 1] * 6, [5] * 12, [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8], [0] * 6 + [1] * 6,
     [i * i for i in range(12)], [0.5 * i for i in range(12)], [10 * i for i in range(12)]],
)  # fmt: skip
def test_ordinary_columns_are_steps(tmp_path, values):
    text = beside("n", values).replace("t1,t2,t3", "u,v,w")
    found = read(table(tmp_path, text))
    assert [x[0, 0] for x in found.x] == list(values)
    assert found.form.first_step == "n"


def test_a_table_that_counts_everywhere_is_what_it_is(tmp_path):
    text = "u,v,w,y\n" + "".join(f"{i},{i + 1},{i + 2},{i % 2}\n" for i in range(20))
    assert {len(x) for x in read(table(tmp_path, text)).x} == {3}
    refused(tmp_path, text.replace("u,", "row,"), "'row' numbers rows by its name", "ignore=row")


def test_stems_with_other_steps_are_refused(tmp_path):
    refused(tmp_path, "x1,x2,x3,y1,y2,label\n1,2,3,4,5,a\n", "x, y are channels", "y has other")


def test_words_in_a_numbered_column_are_refused(tmp_path):
    refused(
        tmp_path, "t1,t2,t3,label\n1,2,bad,a\n1,2,bad,b\n", "'t3' is a step by its name", "words"
    )


def test_files_of_one_set_may_order_numbered_columns_differently(tmp_path):
    table(tmp_path, "t1,t2,t10,label\n1,2,3,a\n", "train.csv")
    table(tmp_path, "t1,t10,t2,label\n1,3,2,a\n", "test.csv")
    found = read(tmp_path)
    assert [x[:, 0].tolist() for x in found.x] == [[1, 2, 3], [1, 2, 3]]


def test_rows_that_end_in_empty_cells_are_shorter(tmp_path):
    found = read(table(tmp_path, "t1,t2,t3,t4,label\n1,2,3,4,a\n1,2,,,b\n1,,,,a\n"))
    assert [len(x) for x in found.x] == [4, 2, 1]
    refused(tmp_path, "t1,t2,t3,label\n1,,3,a\n", "row 1: no value at step 2", "missing=ffill")
    found = read(table(tmp_path, "x1,x2,y1,y2,label\n1,2,3,4,a\n1,,3,,b\n"))
    assert [x.shape for x in found.x] == [(2, 2), (1, 2)]
    refused(tmp_path, "x1,x2,y1,y2,label\n1,2,3,,b\n", "row 1: no value at step 2, channel y")


# -- long tables ---------------------------------------------------------------------------------


def both(header: str, row) -> str:
    return long(header, row=row)


def test_a_group_beside_an_id(tmp_path):
    text = both(
        "subject,trial,time,v,label",
        lambda i, t: ("pq"[i > 0], f"r{i}", t, i * 100 + t * t, "ab"[i % 2]),
    )
    refused(
        tmp_path, text, "several of trial have one 'subject'", "group=subject", "ignore=subject"
    )
    found = read(table(tmp_path, text), group="subject")
    is_long(found)
    assert found.group == ["p", "q", "q"]
    is_long(read(table(tmp_path, text), ignore=("subject",)))
    refused(tmp_path, text.replace("q,r2,3", "p,r2,3"), "r2 is in p and in q", group="subject")


def test_an_id_that_is_used_again_for_each_subject(tmp_path):
    text = both(
        "subject,trial,time,v,label",
        lambda i, t: (f"s{i}", 1, t, i * 100 + t * t, "ab"[i % 2]),
    )
    refused(tmp_path, text, "a second row of trial 1 at time 0", "id=subject+trial")
    found = read(table(tmp_path, text), id="subject+trial")
    is_long(found)
    assert found.where[1].endswith("subject+trial s1 1")
    later = both(
        "subject,trial,time,v,label",
        lambda i, t: (f"s{i}", 1, 10 * i + t, i * 100 + t * t, "ab"[i % 2]),
    )
    refused(tmp_path, later, "'subject' changes within trial", "id=trial+subject")


def test_what_numbers_rows_is_no_channel(tmp_path):
    rows = iter(range(100))
    text = both(
        "n,id,time,v,w,label", lambda i, t: (next(rows), f"r{i}", t, i * t, t * t, "ab"[i % 2])
    )
    refused(tmp_path, text, "'n' counts (0, 1, 2, 3, ...), unlike the others", "ignore=n")
    for name in ("index", "fold", "Row No"):
        refused(
            tmp_path, text.replace("n,", f"{name},", 1), f"{name!r} numbers rows", f"ignore={name}"
        )
    ramp = both("id,time,v,label", lambda i, t: (f"r{i}", t, 4 * i + t, "ab"[i % 2]))
    assert len(read(table(tmp_path, ramp)).x) == 3  # it has no neighbours to be unlike


def test_a_counter_that_goes_on_is_a_channel_and_a_number_of_each_sequence_is_none(tmp_path):
    rng = np.random.RandomState(0)
    total = iter(np.cumsum(np.arange(40) % 2))

    def row(i: int, t: int) -> list:
        return [f"r{i}", t, next(total), *rng.randn(2).round(2), "ab"[i % 2]]

    found = read(table(tmp_path, long("id,time,total,v,w,label", ids=10, row=row)))
    assert found.form.channel_names == ("total", "v", "w")

    def numbered(i: int, t: int) -> list:
        return [f"r{i}", t, i // 2, *rng.randn(2).round(2), "ab"[i % 2]]

    text = long("id,time,who,v,w,label", ids=10, row=numbered)
    refused(tmp_path, text, "'who' counts (0, 0, 0, 0, ...)", "ignore=who", "group=who")


def test_wide_rows_may_have_an_id_and_a_time(tmp_path):
    text = "id,date,t1,t2,t10,label\nr1,2024-01-01,1,2,3,a\nr2,2024-01-02,4,5,6,b\n"
    found = read(table(tmp_path, text))
    assert found.form.name == "wide"
    assert [x[:, 0].tolist() for x in found.x] == [[1, 2, 3], [4, 5, 6]]
    assert [name for name, _ in found.form.ignored] == ["id", "date"]


def test_words_for_splits_are_not_left_out(tmp_path):
    text = (
        WIDE.replace("label\n", "label,use\n")
        .replace("a\n", "a,train\n")
        .replace("b\n", "b,test\n")
    )
    refused(tmp_path, text, "column 'use' has words for splits (test, train)", "call it split")
    assert set(read(table(tmp_path, text.replace("use", "subset"))).split) == {"train", "test"}


# -- missing where a name is meant ---------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "nan", "NaN", "null", "N/A", " "])
@pytest.mark.parametrize("column", ["id", "label", "group"])
def test_a_missing_name_is_refused_with_its_row(tmp_path, word, column):
    place = {"id": 0, "label": 3, "group": 4}[column]

    def row(i: int, t: int) -> list:
        cells = [f"r{i}", t, i * t, "ab"[i % 2], f"g{i}"]
        return [word if (i, t, c) == (1, 2, place) else cell for c, cell in enumerate(cells)]

    refused(tmp_path, both("id,time,v,label,g", row), "row 7", "missing", group="g")


def test_na_is_a_class_among_names_and_none_among_numbers(tmp_path):
    assert set(read(table(tmp_path, "u,v,label\n1,2,EU\n3,4,NA\n")).y) == {"EU", "NA"}
    refused(tmp_path, "u,v,label\n1,2,0\n3,4,NA\n", "row 2: the label is missing ('NA')")
    refused(tmp_path, "u,v,label,split\n1,2,0,train\n3,4,1,\n", "row 2: split ''")
    path = tmp_path / "a.parquet"
    for kind in ({"id": ["r", None]}, {"id": [1.0, np.nan]}):
        columns = {"time": [0, 1], "v": [1.0, 2.0], "label": [0, 1]}
        pq.write_table(pa.table(kind | columns), path)
        assert "row 2: column 'id'" in refusal(read, path)


def test_truth_values_are_labels_and_no_channels(tmp_path):
    text = "u,v,label\n1,2,True\n3,4,False\n"
    assert read(table(tmp_path, text)).y == ["True", "False"]
    pq.write_table(
        pa.table({"u": [1, 3], "v": [2, 4], "label": [True, False]}), tmp_path / "b.parquet"
    )
    assert read(tmp_path / "b.parquet").y == ["True", "False"]
    refused(tmp_path, "u,v,label\n1,True,a\n3,False,b\n", "row 1: column 'v' has True", "ignore=v")
    pq.write_table(pa.table({"s": [[True, False]], "label": ["a"]}), tmp_path / "b.parquet")
    assert "'s' holds lists of truth values" in refusal(read, tmp_path / "b.parquet")


# -- numbers that are none -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "cause"),
    [
        ('"1,000"', "a thousands separator"), ('"1,234,567.5"', "a thousands separator"),
        ("1'000", "a thousands separator"), ("1 000", "a thousands separator"),
        ('"0,25"', "a decimal comma"), ("5%", "a unit"), ("12 ms", "a unit"), ("3.5kg", "a unit"),
        ("$5", "a unit"), ("−5", "a minus sign"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_column_that_is_meant_is_never_left_out(tmp_path, cell, cause, everywhere):
    text = f"u,v,label\n{'busy' if not everywhere else cell},2,a\n{cell},4,b\n"
    row = 1 if everywhere else 2
    refused(tmp_path, text, "column 'u' has", "no number", f"row {row}", "ignore=u")
    if everywhere:
        refused(tmp_path, text, f"({cause}")


def test_a_column_of_words_is_left_out_and_said(tmp_path):
    for words in (
        "busy idle",
        "A1 B2",
        "2024-01-01 2024-01-02",
        "10:00 11:00",
        "nan x",
        "inf word",
    ):
        one, other = words.split()
        path = table(tmp_path, f"u,w,v,label\n1,{one},2,a\n3,{other},4,b\n")
        found = read(path)
        assert [x[:, 0].tolist() for x in found.x] == [[1, 2], [3, 4]]
        assert [name for name, _ in found.form.ignored] == ["w"]


# -- the text of a csv ---------------------------------------------------------------------------

TABLE = "t1,t2,t3,label\n1,2,3,a\n4,5,6.5,b\n"


@pytest.mark.parametrize(
    "text",
    [
        "# recorded 2024\n" + TABLE,
        "# a, b\n#\n\n" + TABLE,
        "# " + TABLE,
        "#" + TABLE.replace(",", "\t"),
        "sep=;\n" + TABLE.replace(",", ";"),
        '"sep=;"\r\n' + TABLE.replace(",", ";").replace("\n", "\r\n"),
        "sep=,\n" + TABLE,
        TABLE.replace("\n", "\r"),
        "# one\r" + TABLE.replace("\n", "\r"),
        "\ufeffsep=;\n" + TABLE.replace(",", ";"),
        TABLE.replace(",", "|"),
        TABLE.replace(",", "\t"),
        TABLE.replace("t3", '"t3\n(V)"'),
        TABLE.replace(",label", ",label,").replace("a\n", "a,\n").replace("b\n", "b,\n"),
        TABLE.encode("utf-16"),
        TABLE.replace("\n", " \n"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_the_texts_of_one_table(tmp_path, text, name):
    found = read(table(tmp_path, text, name))
    assert [x[:, 0].tolist() for x in found.x] == [[1, 2, 3], [4, 5, 6.5]]
    assert found.y == ["a", "b"]


def test_a_column_without_a_name_is_not_left_out_unless_it_is_empty(tmp_path):
    refused(tmp_path, "t1,t2,,label\n1,2,3,a\n", "column 3 has no name")
    found = read(table(tmp_path, "t1,t2,,label\n1,2,,a\n"))
    assert found.form.ignored == (("(column 3)", "empty"),)


def test_tables_beyond_the_limits_are_refused_before_they_are_read(tmp_path):
    names = ",".join(f"t{i}" for i in range(60_000))
    refused(tmp_path, f"{names},label\n1\n", "60,001 columns, and at most 50,000", ".npz")


@pytest.mark.parametrize("kind", ["named", "unnamed", "date", "long"])
def test_the_index_of_a_data_frame(tmp_path, kind):
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(rng.randn(6, 3), columns=["t0", "t1", "t2"]).assign(label=list("ababab"))
    if kind == "named":
        frame.index = pd.Index(rng.permutation(600)[:6], name="nummer")
    if kind == "unnamed":
        frame.index = rng.permutation(600)[:6]
    if kind == "date":
        frame.index = pd.date_range("2024-01-01", periods=6, name="when")
    if kind == "long":
        frame = frame.rename(columns={"t0": "u", "t1": "v", "t2": "w"})
        frame.index = pd.MultiIndex.from_product([list("rst"), [0, 1]], names=["id", "time"])
        frame["label"] = list("aabbaa")
    frame.to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    if kind == "long":
        assert [x.shape for x in found.x] == [(2, 3)] * 3
        return
    np.testing.assert_array_equal(np.stack(found.x)[..., 0], frame.iloc[:, :3])
    assert len(found.form.ignored) == 1


def test_y_beside_x_may_be_a_coordinate(tmp_path):
    text = long("id,time,x,y", row=lambda i, t: (f"r{i}", t, i * t, t % 2))
    refused(tmp_path, text, "'y' may be the labels, or a coordinate beside x", "target=y")
    assert read(table(tmp_path, text), target="y").per_step


def test_names_that_no_message_could_show(tmp_path):
    refused(tmp_path, "t1,t\x1b[2J2,label\n1,2,a\n", "a column is called 't\\x1b[2J2'")
    refused(tmp_path, "t1 t2 label\n1 2 a\n", "no comma, semicolon, tab or |")


def test_a_parquet_that_unpacks_to_more_than_memory(tmp_path):
    """Equal numbers take no room in a file: 100 million of them are less than a megabyte."""
    schema = pa.schema({"t1": pa.float64(), "label": pa.float64()})
    same = pa.array(np.ones(5_000_000))
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
        for _ in range(20):
            writer.write_table(pa.table({"t1": same, "label": same}), row_group_size=5_000_000)
    assert (tmp_path / "a.parquet").stat().st_size < 2**20
    done = limited(tmp_path, "ls", "data", "a.parquet")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a.parquet: takes 12.3 GiB of memory, and half of what is free here is" in done.stderr


CELLS = st.sampled_from(
    ["1", "2", "0.5", "a", "b", "", "nan", "NA", '"1,000"', "0,5", "True", "10:05", "2024-01-01",
     "1e400", "-", "?", "\x00", "é", '"', "7 ms", "99999999999999999999", "t0"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["label", "id", "time", "t1", "t2", "t10", "x_1", "y_1", "x", "y", "", "index", "1", "0.5",
     "split", "subject", "#", "date", "Unnamed: 0", "sep=;", '"']
)  # fmt: skip


@settings(SCRATCH, max_examples=300)
@given(
    names=st.lists(NAMES, min_size=1, max_size=6),
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=6), max_size=6),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_whatever_a_table_holds_it_is_read_or_refused_in_one_line(
    tmp_path, names, rows, separator, end
):
    lines = [names, *((row * 6)[: len(names)] for row in rows)]
    path = table(tmp_path, end.join(separator.join(line) for line in lines))
    said = None
    try:
        found = read(path)
    except UserError as error:
        said = str(error)
    if said is not None:
        assert "\n" not in said
        assert str(path) in said
        return
    assert len(found.x) == len(found.y) == len(found.where)
    assert all(np.isfinite(x).all() for x in found.x)
