"""Times written as text: read in their order, or refused because they can be read in two ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.formats import reading
from drnn_bench.formats.tables.times import in_order
from tests.support.refused import refusal

FORMS = [
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S",
    "%Y-%m-%d %I:%M:%S %p", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S%p",
]  # fmt: skip


def order(texts: list[str]) -> list[int]:
    return np.argsort(in_order(texts, lambda row: f"row {row + 1}", "t"), kind="stable").tolist()


def refused(*texts: str) -> str:
    return refusal(in_order, texts, lambda row: f"row {row + 1}", "t")


@given(
    moments=st.lists(
        st.datetimes(datetime(1980, 1, 1), datetime(2080, 1, 1)),
        min_size=1,
        max_size=9,
        unique=True,
    ),
    form=st.sampled_from(FORMS),
)
def test_dates_in_the_order_in_which_they_were(moments, form):
    moments = [moment.replace(microsecond=0) for moment in moments]
    first = datetime(1979, 12, 31)  # tells days from months
    texts = [moment.strftime(form) for moment in [first, *moments]]
    assert order(texts) == np.argsort([first, *moments], kind="stable").tolist()


@given(
    seconds=st.lists(st.integers(0, 200_000), min_size=1, max_size=9),
    offsets=st.lists(st.integers(-48, 56), min_size=9, max_size=9),
)
def test_offsets_count(seconds, offsets):
    start = datetime(2024, 3, 1, tzinfo=UTC)
    texts = [
        (start + timedelta(seconds=s)).astimezone(timezone(timedelta(minutes=15 * o))).isoformat()
        for s, o in zip(seconds, offsets, strict=False)
    ]
    assert order(texts) == np.argsort(seconds, kind="stable").tolist()


@pytest.mark.parametrize(
    "texts",
    [
        "9:05:00 10:05:00 100:00:00", "7:05 8:30 59:59 61:00", "t0 t1 t2 t10", "0.5 1 1e1",
        "9:00AM 11:59AM 12:00PM 1:00PM", "12:30AM 1:00AM", "1:00:00.5 1:00:00.75 1:00:01",
        "2024-01-01 2024-02-01", "31.12.2023 01.01.2024", "28/02/2023 01/03/2023",
    ],
)  # fmt: skip
def test_times_that_follow_one_another(texts):
    texts = texts.split()
    assert order(texts) == list(range(len(texts)))
    assert order(texts[::-1]) == list(range(len(texts)))[::-1]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ("01/02/2024 03/04/2024", ["row 1", "whether the day or the month is first"]),
        ("13/02/2024 03/14/2024", ["the day first (13/02/2024)", "the month (03/14/2024)"]),
        ("28/02/2023 29/02/2023", ["row 2", "'29/02/2023'", "no such time"]),
        ("10:05:00 10:61:00", ["row 2", "no such time"]),
        ("13:00PM 1:00PM", ["row 1", "no such time"]),
        ("10:05:00 10:06", ["row 2", "'10:06' without seconds", "row 1 has '10:05:00'"]),
        ("2024-01-01T00:00:00 2024-01-01T00:00:01Z", ["row 1", "without a zone", "row 2"]),
        ("2024-01-01T00:00:00 10:00:00", ["row 2", "without a date"]),
        ("1:00PM 2:00", ["row 2", "without AM or PM"]),
        ("01/02/24 03/14/24", ["row 1", "four digits"]),
        ("soon later", ["row 1", "'soon', no time", "2024-03-01T10:05:00"]),
        ("1 2 soon", ["row 3", "'soon'"]),
        ("t0 s1", ["row 1", "'t0'"]),
    ],
)
def test_times_that_can_be_read_in_two_ways_or_none(texts, words):
    said = refused(*texts.split())
    for word in words:
        assert word in said


def table(folder, times, header="id,time,v,label"):
    rows = [f"r{i},{t},{k},{'ab'[i]}" for i in range(2) for k, t in enumerate(times)]
    (folder / "a.csv").write_text("\n".join([header, *rows]))
    return folder / "a.csv"


@pytest.mark.parametrize("times", ["9:59:00 10:00:00", "08:00:00 10:00:00", "23:00:00 23:59:59"])
def test_a_clock_in_a_table(tmp_path, times):
    found = reading.read(table(tmp_path, times.split()))
    assert [x[:, 0].tolist() for x in found.x] == [[0, 1], [0, 1]]
    assert (found.form.first_step, found.form.last_step) == tuple(times.split())


@pytest.mark.parametrize("times", ["23:59:58 23:59:59 0:00:00 0:00:01", "9:00:00 23:00:00 1:00:00"])
def test_a_clock_that_passes_midnight_is_refused(tmp_path, times):
    said = refusal(reading.read, table(tmp_path, times.split()))
    assert "past midnight" in said
    assert "write the dates too" in said


def test_a_date_and_a_clock_in_two_columns_are_refused(tmp_path):
    path = table(tmp_path, ["2024-01-01,10:00:00", "2024-01-02,09:00:00"], "id,date,time,v,label")
    assert "columns 'date' and 'time' say together when" in refusal(reading.read, path)
    path = table(tmp_path, ["2024-01-01,10:00:00", "2024-01-01,09:00:00"], "id,date,time,v,label")
    found = reading.read(path)
    assert [x[:, 0].tolist() for x in found.x] == [[1, 0], [1, 0]]
