"""The forms of the UCR/UEA archive: .ts, .arff, and rows of a label and numbers."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.formats.archive.ucr import has_no_header
from drnn_bench.formats.reading import Options
from drnn_bench.formats.reading import read as read_files
from tests.support.refused import refusal


def read(path: Path, **options):
    return read_files(path, Options(**options))


def written(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def same(found, x, y, split=None) -> None:
    assert [row.tolist() for row in found.x] == [
        [list(step) if isinstance(step, tuple) else [step] for step in row] for row in x
    ]
    assert found.y == y
    assert found.split == (split or [None] * len(x))


# -- .ts ---------------------------------------------------------------------------------------


def ts(classes: str = "up down", *rows: str, **tags: object) -> str:
    rows = rows or ("1,2,3:up", "3,2,1:down")
    lines = [f"@{tag} {str(value).lower()}" for tag, value in tags.items()]
    return "\n".join([*lines, f"@classLabel true {classes}", "@data", *rows])


X = [[1, 2, 3], [3, 2, 1]]


@pytest.mark.parametrize("mark", ["%", "#", " % ", "\t#"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_and_ends_of_lines(tmp_path, mark, end):
    text = f"{mark} a comment: 1,2\n\n{ts()}\n{mark} another\n".replace("\n", end)
    found = read(written(tmp_path / "a.ts", text))
    same(found, X, ["up", "down"])
    assert found.where[0].endswith("row 1 (line 5)")


@pytest.mark.parametrize(
    ("classes", "labels", "wanted", "said"),
    [
        ("up,down", ("up", "down"), ["up", "down"], None),
        ("up, down", ("up", "down"), ["up", "down"], None),
        ("go up, go down", ("go up", "go down"), ["go up", "go down"], None),
        ("a,b c,d", ("a,b", "c,d"), ["a,b", "c,d"], None),
        ("Up Down", ("up", "DOWN"), ["Up", "Down"], "DOWN as Down, up as Up"),
        ("1 2", ("1.0", "2.0"), [1, 2], "1.0 as 1, 2.0 as 2"),
        ("1.0 2.0", ("1", "2"), [1, 2], "1 as 1.0, 2 as 2.0"),
        ("True False", ("true", "false"), ["True", "False"], "false as False"),
        ("true false", ("true", "false"), ["true", "false"], None),
        ("Up up", ("Up", "up"), ["Up", "up"], None),  # two classes
        ("-1 1", ("-1", "1"), [-1, 1], None),
        ("A\tB", ("A", "B"), ["A", "B"], None),
    ],
)
def test_classes_as_headers_and_rows_spell_them(tmp_path, classes, labels, wanted, said):
    rows = [f"{values}:{label}" for values, label in zip(("1,2,3", "3,2,1"), labels, strict=True)]
    found = read(written(tmp_path / "a.ts", ts(classes, *rows)))
    same(found, X, wanted)
    assert [said in note for note in found.notes] == [True] if said else not found.notes


WRONG_TS = {
    "a class with a blank": (ts("go up go down", "1,2:go up"), "'go up' is not in", "by commas"),
    "a label missing": (ts("up down", "1,2:?"), "the label is missing (?)"),
    "of two that look alike": (ts("Up up", "1,2:UP"), "class 'UP' is not in the header"),
    "blanks between values": (ts("up down", "1 2 3:up"), "at step 1; separate values by commas"),
    "decimal commas": (ts("up down", "1,2:1,x:up"), "'x', no number, at step 2"),
    "a comma too much": (ts("up down", "1,2,:up"), "'', no number, at step 3; write ?"),
    "a damaged value": (ts("up down", "1,?518:up"), "'?518', no number, at step 2"),
    "an underscore": (ts("up down", "1,1_000:up"), "'1_000', no number, at step 2"),
    "channels of two rates": (ts("up down", "1,2,3:1,2:up"), "channels of 3, 2 steps"),
    "regression": (ts().replace("@classLabel true up down", "@targetLabel true"), "real-valued"),
    "no labels": (ts().replace("true up down", "false"), "names no classes"),
    "stamps unsaid": (ts("up down", "(0,1),(1,2):up"), "the header has no @timeStamps true"),
}


@pytest.mark.parametrize("case", WRONG_TS)
def test_a_wrong_ts_file_is_one_line(tmp_path, case):
    text, *words = WRONG_TS[case]
    path = written(tmp_path / "a.ts", text)
    said = refusal(read, path)
    assert str(path) in said
    for word in words:
        assert word in said


def test_missing_values_are_handed_on(tmp_path):
    path = written(tmp_path / "a.ts", ts("up down", "1,?,3:up", "3,NaN,1:down", missing=True))
    assert "row 1 (line 4): no value at step 2" in refusal(read, path)
    assert np.isnan(read(path, missing="ffill").x[0]).sum() == 1


STAMPS = {
    "numbers": "(0,1),(2,2),(4,3)",
    "another start": "(10,1),(12,2),(14,3)",
    "rounded": "(0.000,1),(2.033,2),(4.067,3)",
    "dates": "(2024-01-31 10:05:00,1),(2024-01-31 10:05:02,2),(2024-01-31 10:05:04,3)",
    "blanks": "( 0 , 1 ) , (2, 2) ,(4,3)",
    "zones": "(2024-01-31T10:05:00+01:00,1),(2024-01-31T10:05:02+01:00,2),"
    "(2024-01-31T10:05:04+01:00,3)",
}


@pytest.mark.parametrize("case", STAMPS)
def test_time_stamps_that_are_equally_spaced(tmp_path, case):
    row = STAMPS[case]
    text = ts("up down", f"{row}:{row}:up", f"{row}:{row}:down", timeStamps=True)
    found = read(written(tmp_path / "a.ts", text))
    same(found, [[(1, 1), (2, 2), (3, 3)]] * 2, ["up", "down"])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["(0,1),(1,2),(3,3):up"], ["row 1", "not equally spaced"]),
        (["(0,1),(0,2),(0,3):up"], ["not equally spaced"]),
        (["(2,1),(1,2),(0,3):up"], ["not equally spaced"]),
        (["(0,1),(1,2):up", "(0,1),(2,2):down"], ["row 2", "2 apart", "row 1", "bring all"]),
        (["(0,1),(1,2):(5,1),(6,2):up"], ["the times of channel 2 are not those of channel 1"]),
        (["(0,1),(1,2):(0,1):up"], ["channels of 2, 1 steps"]),
        (["(0,1,2),(1,2,3):up"], ["(0,1,2) at step 1, not (time,value)"]),
        (["(soon,1),(late,2):up"], ["the time 'soon' at step 1 is no number and no date"]),
        (["(0,1),(1,x):up"], ["'x', no number, at step 2"]),
        (["0,1,2:up"], ["is no row of (time,value)"]),
        (["(0,1),(1,2:up"], ["is no row of (time,value)"]),
    ],
)
def test_time_stamps_that_say_more_than_an_order_are_refused(tmp_path, rows, words):
    said = refusal(read, written(tmp_path / "a.ts", ts("up down", *rows, timeStamps=True)))
    for word in words:
        assert word in said


def test_missing_values_with_time_stamps(tmp_path):
    text = ts("up down", "(0,1),(1,?),(2,3):up", "(0,3),(1,2),(2,1):down", timeStamps=True)
    found = read(written(tmp_path / "a.ts", text), missing="ffill")
    assert np.isnan(found.x[0]).ravel().tolist() == [False, True, False]


# -- rows without a header ---------------------------------------------------------------------

ROWS = [["1", "0.5", "-1.5", "2e-1"], ["2", "0.25", "1.5", "3"], ["1", "0", "1", "2.5"]]
ROWS_X = [[0.5, -1.5, 0.2], [0.25, 1.5, 3], [0, 1, 2.5]]


def rows_of(separator: str, rows=ROWS) -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("P.tsv", rows_of("\t")),
        ("P.tsv", rows_of("\t").replace("\n", "\r\n")),
        ("P.tsv", "\ufeff" + rows_of("\t")),
        ("P.txt", rows_of("   ")),
        ("P.txt", "".join("  " + line + "\n" for line in rows_of(" ").splitlines())),
        ("P.txt", rows_of("  ").replace("1 ", "1.0000000e+00 ").replace("2 ", "2.0000000e+00 ")),
        ("P.txt", rows_of(",")),
        ("P.csv", rows_of(",")),
        ("P.csv", rows_of(";")),
        ("P.csv", "# recorded in 2024\n\n" + rows_of(", ")),
    ],
)
def test_a_label_and_then_numbers(tmp_path, name, text):
    found = read(written(tmp_path / name, text))
    same(found, ROWS_X, [1, 2, 1])
    assert "no header: the first value of each row is read as its label" in found.notes
    assert found.form.name == "ucr"
    packed = read(written(tmp_path / "packed" / f"{name}.gz", gzip.compress(text.encode())))
    same(packed, ROWS_X, [1, 2, 1])


@pytest.mark.parametrize("ending", ["tsv", "txt", "csv"])
def test_one_of_a_pair_without_headers_finds_the_other(tmp_path, ending):
    separator = {"tsv": "\t", "txt": "  ", "csv": ","}[ending]
    for split in ("TRAIN", "TEST"):
        written(tmp_path / f"P_{split}.{ending}", rows_of(separator))
    written(tmp_path / "README.txt", "What this is: 3 numbers a row.\n")
    written(tmp_path / "P.txt", "The problem P.\n")
    for name in ("P_TRAIN", "P_TEST"):
        found = read(tmp_path / f"{name}.{ending}")
        same(found, ROWS_X * 2, [1, 2, 1] * 2, ["train"] * 3 + ["test"] * 3)
    found = read(tmp_path)
    same(found, ROWS_X * 2, [1, 2, 1] * 2, ["train"] * 3 + ["test"] * 3)
    assert "2 stray files skipped: P.txt, README.txt" in found.notes


@pytest.mark.parametrize("tail", ["NaN\tNaN", "\t", "?\tnan", "NaN\t"])
def test_missing_values_at_the_end_are_the_end(tmp_path, tail):
    text = f"1\t0.5\t1.5\t2.5\n2\t1.5\t{tail}\n1\tNaN\t2.5\t3.5\n"
    path = written(tmp_path / "P.tsv", text)
    assert "row 3 (line 3): no value at step 1" in refusal(read, path)
    found = read(path, missing="ffill")
    assert [len(x) for x in found.x] == [3, 1, 3]
    assert "1 of 3 sequences end in missing values and are cut there" in found.notes


def test_rows_of_other_lengths_are_sequences_of_other_lengths(tmp_path):
    same(read(written(tmp_path / "P.tsv", "1\t.5\t1\n2\t.5\n")), [[0.5, 1], [0.5]], [1, 2])


def test_names_as_labels_stand_at_either_end(tmp_path):
    first = [["up", "3", "1", "2"], ["down", "1", "2", "3"]]
    x = [[3, 1, 2], [1, 2, 3]]
    same(read(written(tmp_path / "a.csv", rows_of(",", first))), x, ["up", "down"])
    last = [[*row[1:], row[0]] for row in first]
    found = read(written(tmp_path / "b.csv", rows_of(",", last)))
    same(found, x, ["up", "down"])
    assert "no header: the last value of each row is read as its label" in found.notes
    quoted = [[f'"{row[0]}"', *row[1:]] for row in first]
    same(read(written(tmp_path / "c.csv", rows_of(",", quoted))), x, ["up", "down"])


def test_where_the_labels_stand_is_asked_where_it_is_not_evident(tmp_path):
    rows = [["0", "3", "1", "1"], ["1", "1", "2", "0"], ["2", "5", "3", "1"]] * 2
    path = written(tmp_path / "a.csv", rows_of(",", rows))
    said = refusal(read, path)
    assert "the first values of the rows (3 different ones) or the last (2)" in said
    assert "target=first or target=last" in said
    assert read(path, target="first").y == [0, 1, 2] * 2
    same(read(path, target="last"), [[0, 3, 1], [1, 1, 2], [2, 5, 3]] * 2, [1, 0, 1] * 2)
    real = written(tmp_path / "b.csv", rows_of(",", [["0.5", "1", "0"], ["0.7", "2", "1"]]))
    assert "target=first or target=last" in refusal(read, real)
    counted = [[str(i), "0.5", f"{i}.5"] for i in range(6)]
    said = refusal(read, written(tmp_path / "c.csv", rows_of(",", counted)))
    assert "the first values of its 6 rows should be labels, but are 6 different ones" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1\t0.5\t2.5\n2\tx\t1.5\n", "'x', no number, at step 1"),
        ("1\t0,5\t0,25\n2\t0,5\t1,5\n", "'0,5', no number, at step 1: it has a decimal comma"),
        ("1\t0.5\t1.5\n\t0.5\t1.5\n", "row 2 (line 2): the label is missing"),
        ("1\t0.5\t1.5\nNaN\t0.5\t1.5\n", "row 2 (line 2): the label is missing"),
        ("0.5\t0.5\t1.5\n1.5\t0.5\t2.5\n", "needs labels"),
        ("1\t0.5\t1.5\n2\tNaN\tNaN\n", "row 2 (line 2): every value is missing"),
    ],
)
def test_wrong_rows_are_one_line(tmp_path, text, words):
    path = written(tmp_path / "P.tsv", text)
    said = refusal(read, path)
    assert str(path) in said
    assert words in said


def test_a_target_by_name_needs_a_header(tmp_path):
    path = written(tmp_path / "P.tsv", rows_of("\t"))
    said = refusal(lambda: read(path, target="label"))
    assert "no column is called 'label'; expected target=first or target=last" in said


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("1,0.5,0.25", True),
        ("1\t0.5\tNaN", True),
        ("up,0.5,0.25,0.75", True),
        ("0.5,0.25,0.75,up", True),
        ("1;0,5;0,25", True),
        ("t0,t1,label", False),
        ("label,0.5,0.25,0.75", False),
        ("class,5,3,4", False),
        (",0,1,2", False),
        ("0,1,2,3", False),  # columns without names, counted
        ("1,2,3,4", False),
        ("label,0,1,2,3", False),
        ("species,400.5,401,401.5,402", False),  # columns called by their frequencies
        ("0.0,0.1,0.2,label", False),
        ("id,up,0.5,0.25", False),
        ("The 3 numbers of 2024", False),
        ("words and words", False),
        ("1", False),
        ("", False),
        ("sep=;", False),
    ],
)
def test_what_has_a_header(tmp_path, line, wanted):
    assert has_no_header(written(tmp_path / "a.csv", line + "\n")) == wanted


def test_a_text_file_of_words_is_no_data(tmp_path):
    said = refusal(read, written(tmp_path / "a.txt", "words\n"))
    assert "a .txt file is read where each of its rows is a label and then numbers" in said
    assert "nothing in it is understood (a.txt)" in refusal(read, tmp_path)


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=50)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["1", "2", "-1"]), st.lists(numbers, min_size=2, max_size=6)),
        min_size=1,
        max_size=8,
    ),
    form=st.sampled_from([("tsv", "\t"), ("csv", ","), ("txt", "  ")]),
)
def test_rows_come_back(tmp_path, rows, form):
    ending, separator = form
    text = rows_of(separator, [[label, *map(repr, values)] for label, values in rows])
    found = read(written(tmp_path / f"a.{ending}", "#\n" + text), target="first")
    same(found, [values for _, values in rows], [int(label) for label, _ in rows])


# -- .arff -------------------------------------------------------------------------------------

ARFF = """% UCR
@relation P

@attribute att0 numeric
@ATTRIBUTE 'att 1' REAL
@attribute target {up, 'go down'}

@data
0.5,1.5,up
% between
1e-1,2,'go down'
"""
RELATIONAL = """@relation P
@attribute channels relational
  @attribute t1 numeric
  @attribute t2 numeric
  @attribute t3 numeric
@end channels
@attribute activity {run,rest}
@data
'1,2,3\\n4,5,6',run
"3,2,1\\n6,5,4",rest
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_arff_file(tmp_path, end):
    path = written(tmp_path / "P.arff", ARFF.replace("\n", end))
    found = read(path)
    same(found, [[0.5, 1.5], [0.1, 2]], ["up", "go down"])
    assert found.where == [f"{path} row 1 (line 9)", f"{path} row 2 (line 11)"]
    assert found.form.name == "arff"


def test_an_arff_file_of_channels(tmp_path):
    found = read(written(tmp_path / "P.arff", RELATIONAL))
    same(found, [[(1, 4), (2, 5), (3, 6)], [(3, 6), (2, 5), (1, 4)]], ["run", "rest"])
    cut = RELATIONAL.replace("3,2,1\\n6,5,4", "3,2,?\\n6,5,?")
    assert [len(x) for x in read(written(tmp_path / "P.arff", cut)).x] == [3, 2]


def test_one_of_a_pair_of_arff_files_finds_the_other(tmp_path):
    for split in ("TRAIN", "TEST"):
        written(tmp_path / f"P_{split}.arff", ARFF)
    found = read(tmp_path / "P_TEST.arff")
    same(found, [[0.5, 1.5], [0.1, 2]] * 2, ["up", "go down"] * 2, ["train"] * 2 + ["test"] * 2)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.5,1.5,up", "0.5,up", "2 values, the header names 3 attributes"),
        ("0.5,1.5,up", "0.5,1.5,2.5,up", "4 values, the header names 3"),
        ("0.5,1.5,up", "0.5,1.5,Up", "class 'Up' is not in the header"),
        ("0.5,1.5,up", "0.5,1.5,?", "the label is missing"),
        ("0.5,1.5,up", "0.5,x,up", "'x', no number, at step 2"),
        ("0.5,1.5,up", "?,1.5,up", "no value at step 1"),
        ("0.5,1.5,up", "{0 0.5,2 up}", "is sparse"),
        ("REAL", "date", "attribute att 1 is date"),
        ("REAL", "string", "att 1 is string"),
        ("REAL", "{a,b}", "no attribute is evidently"),
        ("{up, 'go down'}", "real", "'up'"),
        ("@data", "", "0.5,1.5,up' before @data"),
        ("@relation P", "<html>", "is this an .arff file?"),
    ],
)
def test_wrong_arff_is_one_line(tmp_path, old, new, words):
    assert old in ARFF
    text = ARFF.replace(old, new, 1)
    if new == "{a,b}":
        text = text.replace("target {", "what {")
    path = written(tmp_path / "P.arff", text)
    said = refusal(read, path)
    assert str(path) in said
    assert words in said


def test_labels_of_arff_beyond_ascii_and_by_name(tmp_path):
    text = ARFF.replace("up", "café").replace("target", "drink")
    assert read(written(tmp_path / "P.arff", text)).y == ["café", "go down"]
    first = "@relation P\n@attribute a {x,y}\n@attribute b {1,2}\n@attribute c real\n@data\nx,1,2\n"
    path = written(tmp_path / "Q.arff", first)
    assert "name them with target=NAME; there are: a, b, c" in refusal(read, path)
    assert "b is nominal" in refusal(lambda: read(path, target="a"))


def test_channels_of_wrong_lengths_in_arff(tmp_path):
    path = written(tmp_path / "P.arff", RELATIONAL.replace("4,5,6", "4,5"))
    assert "channel 2 has 2 steps, the header names 3" in refusal(read, path)


@settings(max_examples=40)
@given(
    rows=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=5),
    labels=st.lists(st.sampled_from(["a", "b c", "d'e"]), min_size=5, max_size=5),
)
def test_arff_is_what_scipy_reads(tmp_path, rows, labels):
    from scipy.io import arff

    header = "@relation r\n" + "".join(f"@attribute a{i} real\n" for i in range(3))
    quoted = {label: f'"{label}"' for label in ("a", "b c", "d'e")}
    header += f"@attribute class {{{','.join(quoted.values())}}}\n@data\n"
    text = header + "".join(
        ",".join([*map(repr, values), quoted[label]]) + "\n"
        for values, label in zip(rows, labels, strict=False)
    )
    found = read(written(tmp_path / "a.arff", text))
    wanted, _ = arff.loadarff(io.StringIO(text))
    assert [x.ravel().tolist() for x in found.x] == [list(row)[:3] for row in wanted.tolist()]
    assert found.y == [row["class"].decode() for row in wanted]


# -- one set in several forms, and another reader ----------------------------------------------


def forms(folder: Path) -> Path:
    """A data set as the archive's zip has it."""
    for split in ("TRAIN", "TEST"):
        written(folder / f"P_{split}.ts", ts("1 2", "1,2,4:1", "3,2,1:2"))
        header = "".join(f"@attribute a{i} numeric\n" for i in range(3))
        text = f"@relation P\n{header}@attribute target {{1,2}}\n@data\n1,2,4,1\n3,2,1,2\n"
        written(folder / f"P_{split}.arff", text)
        written(folder / f"P_{split}.txt", "1  1.0  2.0  4.0\n2  3.0  2.0  1.0\n")
    written(folder / "P.txt", "A problem of 2 classes.\n")
    return folder


def test_of_several_forms_of_one_set_one_is_read_and_said(tmp_path):
    forms(tmp_path)
    x, y = [[1, 2, 4], [3, 2, 1]] * 2, [1, 2] * 2
    split = ["train"] * 2 + ["test"] * 2
    for name in ("P_TRAIN.ts", "P_TEST.arff"):
        same(read(tmp_path / name), x, y, split)
    same(read(tmp_path / "P_TRAIN.txt", target="first"), x, y, split)
    found = read(tmp_path)
    assert found.form.name == "ts"
    same(found, x, y, split)
    assert any(note.startswith("5 stray files skipped: P.txt, P_TEST.arff") for note in found.notes)
    written(tmp_path / "Q_TRAIN.arff", "")
    assert "holds several kinds of data" in refusal(read, tmp_path)


def agrees(found, x, y) -> None:
    """What we read is what aeon does: its sequences are [C, T], its labels text in lower case."""
    assert len(found.x) == len(x)
    for ours, theirs in zip(found.x, x, strict=True):
        np.testing.assert_array_equal(ours.T, theirs)
    assert [str(label).lower() for label in found.y] == [
        str(label).lower().removesuffix(".0") for label in y
    ]


@pytest.mark.parametrize(
    "name",
    ["JapaneseVowels", "ACSF1", "OSULeaf", "GunPoint", "BasicMotions", "ItalyPowerDemand"],
)
def test_the_archive_as_aeon_reads_it(ucr_dir, name):
    aeon = pytest.importorskip("aeon.datasets", reason="aeon, another reader, is not installed")
    found = read(ucr_dir / f"{name}_TRAIN.ts")
    x, y = [], []
    for split in ("TRAIN", "TEST"):
        part_x, part_y = aeon.load_from_ts_file(str(ucr_dir / f"{name}_{split}.ts"))
        x, y = [*x, *part_x], [*y, *part_y]
    agrees(found, x, y)


def test_other_forms_as_aeon_reads_them(tmp_path):
    aeon = pytest.importorskip("aeon.datasets", reason="aeon, another reader, is not installed")
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(6, 2, 5)), [1, 2] * 3
    rows = [[",".join(map(repr, channel.tolist())) for channel in series] for series in values]
    attributes = "".join(f"@attribute t{i} numeric\n" for i in range(5))
    alone = f"@relation P\n{attributes}@attribute target {{1,2}}\n@data\n" + "".join(
        f"{row[0]},{label}\n" for row, label in zip(rows, labels, strict=True)
    )
    both = (
        f"@relation P\n@attribute rel relational\n{attributes}@end rel\n"
        f"@attribute target {{1,2}}\n@data\n"
    ) + "".join(f"'{row[0]}\\n{row[1]}',{label}\n" for row, label in zip(rows, labels, strict=True))
    tsv = "".join(
        f"{label}\t{row[0].replace(',', chr(9))}\n" for row, label in zip(rows, labels, strict=True)
    )
    for name, text in (("alone.arff", alone), ("both.arff", both)):
        path = written(tmp_path / name, text)
        agrees(read(path), *aeon.load_from_arff_file(str(path)))
    path = written(tmp_path / "P.tsv", tsv)
    agrees(read(path), *aeon.load_from_tsv_file(str(path)))
    # Of time stamps aeon reads such values alone as have a point, and leaves out their signs.
    stamps = ts(
        "a b", "(0,1.5),(1,2.5):(0,3.0),(1,4.0):a", "(0,5.0),(1,6.0):(0,7.5),(1,8.5):b",
        problemName="P", timeStamps=True, univariate=False,
    )  # fmt: skip
    path = written(tmp_path / "P.ts", stamps)
    agrees(read(path), *aeon.load_from_ts_file(str(path)))
