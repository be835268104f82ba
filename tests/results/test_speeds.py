"""Which speeds a board shows, and their ratio to the LSTM."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.board import renderings
from drnn_bench.results.board_line import as_records
from drnn_bench.results.ranking import rank_rows
from tests.support.markdown import table
from tests.support.searched import (
    GOOD,
    HERE,
    OTHER_MACHINE,
    Row,
    flat,
    line,
    lines,
    on_two_machines,
    searched,
    three,
)


def test_the_speed_ratio_is_to_the_lstm_of_the_same_session():
    rows, _ = three()
    ratios = {x["family"]: x["speed_ratio"] for x in lines(flat(rows))}
    assert ratios == {"dilated_rnn": 0.4, "lstm": 1.0, "dilated_cnn": 2.5}


@pytest.mark.parametrize(
    "lstm",
    [
        pytest.param(lambda: searched("lstm").speed(100.0, session="s2"), id="another session"),
        pytest.param(lambda: searched("lstm", budget=2000).speed(100.0), id="another budget"),
        pytest.param(lambda: searched("lstm").speed(100.0, threads=4), id="more threads"),
        pytest.param(lambda: searched("dilated_cnn", depth=2).speed(100.0), id="no lstm"),
    ],
)
def test_there_is_no_speed_ratio_without_an_lstm_beside(lstm: Callable[[], Row]):
    rnn = searched("dilated_rnn")
    rows = [rnn.study(), *rnn.finals(*GOOD), rnn.speed(40.0), lstm()]
    assert line(rows, "dilated_rnn")["train_per_s"] == 40.0
    assert line(rows, "dilated_rnn")["speed_ratio"] is None


def test_the_latest_speed_of_one_thread_is_shown():
    one = searched()
    rows = [one.study(), *one.finals(*GOOD), one.speed(1.0, session="s1"),
            one.speed(2.0, session="s2"), one.speed(9.0, session="s2", threads=4)]  # fmt: skip
    assert (line(rows)["train_per_s"], line(rows)["infer_per_s"]) == (2.0, 6.0)
    assert line(rows)["threads"] == 1


LATER = ("latency_ms", "stream_us", "peak_memory_mb")


def test_speeds_that_were_measured_before_there_was_more_to_measure_still_make_a_board():
    rows, _ = three()
    new, titles = flat(rows), ["latency ms", "stream µs", "peak MiB"]
    old = [{k: v for k, v in row.items() if not k.startswith(LATER)} for row in new]
    assert set(titles) <= set(table(renderings.to_markdown(rank_rows(new)))[0])
    assert not set(titles) & set(table(renderings.to_markdown(rank_rows(old)))[0])
    found = line(old, "lstm")
    assert found["train_per_s"] == 100.0
    assert [found[key] for key in LATER] == [None] * 3
    mixed = [a if a["family"] == "lstm" else b for a, b in zip(old, new, strict=True)]
    head, _, *body = table(renderings.to_markdown(rank_rows(mixed)))
    shown = {row[1]: row[head.index("peak MiB")] for row in body}
    assert shown == {"lstm": "–", "dilated_cnn": "50.0", "dilated_rnn": "50.0"}


@pytest.mark.parametrize(
    "other", [OTHER_MACHINE, {"device": "cuda"}, {"torch": "9.9.9"}, {"dtype": "float16"}]
)
def test_speeds_of_different_hardware_are_not_shown_together(other):
    rows, _ = three()
    for row in rows[0]:
        if row["role"] == "speed":
            row.update(other)
    found = {x["family"]: x for x in lines(flat(rows))}
    for family, per_s in (("dilated_rnn", 40.0), ("dilated_cnn", 250.0)):
        assert found[family]["train_per_s"] == per_s
    for key in ("train_per_s", "infer_per_s", "speed_ratio", *LATER):
        assert found["lstm"][key] is None


def test_speeds_of_different_hardware_are_not_shown_together_without_finals_either():
    rows, order = three()
    rows = on_two_machines(rows, order[0])
    rows = [r for r in rows if r["role"] != "final" or r["family"] != order[0]]
    shown = [x["family"] for x in lines(rows) if x["train_per_s"] is not None]
    assert sorted(shown) == sorted(order[1:])


ELSEWHERE = {"processor": "Processor B, 2 cores"}


def line_of(rows, study: str):
    return next(x for x in as_records(rank_rows(rows)) if x["study"] == study)


def test_a_busier_machine_replaces_no_speed_and_an_idler_one_does():
    one = searched()
    rows = [one.study(), one.speed(100.0), one.speed(7.0, session="s2", machine="busy")]
    line = line_of(rows, one.spec.digest)
    assert (line["train_per_s"], line["machine"]) == (100.0, "idle")
    line = line_of(rows[:1] + rows[2:] + rows[1:2], one.spec.digest)
    assert (line["train_per_s"], line["machine"]) == (100.0, "idle")
    rows.append(one.speed(120.0, session="s3"))
    assert line_of(rows, one.spec.digest)["train_per_s"] == 120.0


def test_other_hardware_replaces_no_speed_of_a_group():
    one, two = searched("lstm"), searched("rnn")
    rows = [one.study(), two.study(), one.speed(100.0), two.speed(50.0)]
    rows.append(one.speed(400.0, session="s2", **ELSEWHERE))
    line = line_of(rows, one.spec.digest)
    assert (line["train_per_s"], line["left_out"]) == (100.0, [])
    assert line_of(rows, two.spec.digest)["speed_ratio"] == 0.5


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["idle", "busy"]),
            st.sampled_from([{}, ELSEWHERE]),
            st.floats(1, 1e6),
            st.integers(0, 1),
        ),
        max_size=8,
    )
)
def test_what_is_added_never_worsens_a_published_speed(later):
    nets = searched("lstm"), searched("rnn")
    rows = [net.study() for net in nets] + [net.speed(100.0) for net in nets]
    for machine, where, per_s, i in later:
        rows.append(nets[i].speed(per_s, session="s2", machine=machine, **where))
    for net in nets:
        line = line_of(rows, net.spec.digest)
        assert line["machine"] == "idle"
        assert HERE["processor"] in line["hardware"]


# -- rows with a reference, all steps and all cores ------------------------------------------------

REFERENCE = {
    "family": "lstm", "architecture": "depth=1 width=9", "config": {"depth": 1, "width": 9},
    "parameters": 500, "train_per_s": 80.0, "infer_per_s": 90.0,
}  # fmt: skip


def test_the_speed_ratio_is_to_the_reference_of_the_session_where_there_is_one():
    """Also where no LSTM was searched, and where the one that was is another net."""
    rnn, other = searched("dilated_rnn"), searched("lstm", depth=2)
    rows = [rnn.study(), rnn.speed(40.0, reference=REFERENCE)]
    found = line(rows, "dilated_rnn")
    assert found["speed_ratio"] == 0.5
    assert found["speed_reference"] == "lstm depth=1 width=9"
    rows += [other.study(), other.speed(10.0, reference=REFERENCE)]
    assert {x["family"]: x["speed_ratio"] for x in lines(rows)} == {
        "dilated_rnn": 0.5, "lstm": 0.125,
    }  # fmt: skip
    text = renderings.to_markdown(rank_rows(rows))
    assert "Ratios of speed are to lstm depth=1 width=9, which every session measures" in text
    [group] = rank_rows(rows, base="dilated_rnn")
    assert {x.family: x.speed_ratio for x in group.lines} == {"dilated_rnn": 1.0, "lstm": 0.25}
    assert {x.speed_reference for x in group.lines} == {None}


CORES = ("train_cores_per_s", "infer_cores_per_s")
TITLES = {"train seq/s, all steps", "train seq/s, all cores", "infer seq/s, all cores"}


def test_speeds_of_all_steps_and_of_all_cores_stand_beside_those_of_one_thread():
    one = searched("lstm")
    rows = [
        one.study(),
        one.speed(1.0, session="s0", threads=4),
        one.speed(5.0, threads=2),
        one.speed(7.0, threads=4),
        one.speed(2.0, train_all_per_s=1.5),
    ]
    found = line(rows)
    assert (found["train_per_s"], found["threads"], found["train_all_per_s"]) == (2.0, 1, 1.5)
    assert [found[key] for key in CORES] == [7.0, 21.0]  # of this session, with most threads
    assert set(table(renderings.to_markdown(rank_rows(rows)))[0]) >= TITLES
    alone = [rows[0], one.speed(2.0)]
    assert not set(table(renderings.to_markdown(rank_rows(alone)))[0]) & TITLES


def test_a_board_of_protocol_1_stays_as_it_was():
    one = searched("lstm")
    rows = [one.study(), one.speed(7.0, threads=4), one.speed(2.0)]
    found = line([row | {"protocol": 1} for row in rows])
    assert found["train_per_s"] == 2.0
    assert not set(CORES) & found.keys()
