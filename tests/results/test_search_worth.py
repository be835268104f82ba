"""What a search is worth: every draw enumerated, every place walked, and what has a twin."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.board import renderings
from drnn_bench.report.search_charts import against_random
from drnn_bench.report.sections import make_sections
from drnn_bench.results.ranking import rank_rows
from drnn_bench.results.search_worth import expected_best, trials_of, worth
from tests.support.markdown import table
from tests.support.searched import GOOD, POOR, Row, Searched, at_random, line, searched

values = st.lists(st.floats(-1, 1), min_size=1, max_size=4)


@given(values, st.data(), st.sampled_from(["max", "min"]))
def test_the_expected_best_is_the_mean_over_every_way_to_draw(drawn, data, direction):
    k = data.draw(st.integers(1, len(drawn)))
    best = max if direction == "max" else min
    bests = [best(draw) for draw in itertools.combinations(drawn, k)]
    found = expected_best(drawn, k, direction)
    assert found.mean == pytest.approx(statistics.mean(bests), abs=1e-12)
    assert found.deviation == pytest.approx(statistics.pstdev(bests), abs=1e-7)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.data())
def test_more_draws_expect_no_worse_a_best(drawn, data):
    k = data.draw(st.integers(1, len(drawn) - 1))
    assert expected_best(drawn, k + 1, "max").mean >= expected_best(drawn, k, "max").mean - 1e-12
    assert expected_best(drawn, k + 1, "min").mean <= expected_best(drawn, k, "min").mean + 1e-12


@given(values)
def test_all_draws_have_the_best_of_all(drawn):
    found = expected_best(drawn, len(drawn), "max")
    assert found.mean == pytest.approx(max(drawn))
    assert found.deviation == pytest.approx(0, abs=1e-7)


# -- of rows -----------------------------------------------------------------------------------


def study(one: Searched, *found: float | None, seconds: float | None = 2.0, **more: Any) -> Row:
    """A search whose trials came to this, place by place; None: pruned."""
    history = [
        {"index": i, "state": "complete", "value": value, "seconds": seconds, "hours": 0.1}
        for i, value in enumerate(found)
    ]
    return one.study(history=history[::-1], **more)  # they end in another order


def test_the_running_best_goes_by_places_and_a_pruned_trial_adds_nothing():
    trials = trials_of(study(searched(), None, 0.3, 0.2, None, 0.5))
    assert trials.running_best == [None, 0.3, 0.3, 0.3, 0.5]
    assert trials.counted == [0.2, 0.3, 0.2, 0.2, 0.5]
    losses = trials_of({**study(searched(), 0.3, None, 0.2), "direction": "min"})
    assert losses.running_best == [0.3, 0.3, 0.2]
    assert losses.counted == [0.3, 0.3, 0.2]
    assert trials_of(study(searched(), None, None)).counted == []


def test_the_gain_is_over_as_many_draws_and_over_as_many_seconds():
    tpe = searched()
    rows = [
        study(tpe, 0.5, 0.9, 0.7, seconds=4.0), *tpe.finals(*GOOD),
        study(at_random(tpe), 0.4, 0.8, None, 0.6, seconds=2.0), *at_random(tpe).finals(*POOR),
    ]  # fmt: skip
    [found, random_] = [x for g in rank_rows(rows) for x in sorted(g.lines, key=lambda x: x.sampler,
                                                                   reverse=True)]  # fmt: skip
    draws = (0.4, 0.8, 0.4, 0.6)  # the pruned one is no better than the worst

    def chance(k: int) -> float:
        return statistics.mean(max(draw) for draw in itertools.combinations(draws, k))

    assert found.random_trials == 3
    assert found.gain_over_random == pytest.approx(0.9 - chance(3))
    # Both had 8 seconds: two trials of the search, four draws.
    assert found.random_seconds == pytest.approx(8.0)
    assert found.gain_at_seconds == pytest.approx(0.9 - chance(4))
    assert (random_.gain_over_random, random_.random_trials, found.gain) == (None, None, None)
    text = renderings.to_markdown(rank_rows(rows))
    head = table(text)[0]
    assert {"over random search", "at equal seconds"} <= set(head)
    assert "gain" not in head
    assert "Compared at: lstm 3 trials and 8 s." in text


def test_searches_that_differ_in_the_seed_alone_are_averaged_and_their_twins_pooled():
    one, other = searched(), searched(seed=1)
    rows = [study(one, 0.5, 0.7), study(other, 0.6, 0.5, 0.9), study(at_random(one), 0.1),
            study(at_random(one, seed=1), 0.2, 0.3)]  # fmt: skip
    found = worth(rows[0], rows)
    assert found is not None
    assert (found.trials, sorted(found.draws)) == (2, [0.1, 0.2, 0.3])
    assert [found.found(k) for k in (1, 2)] == pytest.approx([0.55, 0.65])
    assert worth(rows[1], rows) == dataclasses.replace(found, searches=found.searches)


def test_without_seconds_there_is_no_comparison_by_seconds():
    tpe = searched()
    rows = [study(tpe, 0.5, 0.9, seconds=None), study(at_random(tpe), 0.4, 0.8)]
    found = worth(rows[0], rows)
    assert found is not None
    assert found.gain is not None
    assert (found.seconds, found.gain_at_seconds) == (None, None)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(study(at_random(searched("gru")), 0.5), id="another family"),
        pytest.param(study(at_random(searched(budget=2000)), 0.5), id="another budget"),
        pytest.param(study(at_random(searched(steps=200)), 0.5), id="other steps"),
        pytest.param(study(at_random(searched()), 0.5, space={}), id="another space"),
        pytest.param(study(at_random(searched()), 0.5, warm=1), id="a warm start"),
        pytest.param(study(at_random(searched()), None), id="no complete trial"),
        pytest.param(study(searched(seed=1), 0.5), id="another seed"),
        pytest.param(
            study(at_random(searched()), 0.5, plugins={"task": {"file": "x", "sha256": "0" * 64}}),
            id="other code",
        ),
    ],
)
def test_a_search_of_other_conditions_is_no_twin(other):
    one = study(searched(), 0.6)
    assert worth(one, [one, other]) is None
    assert "over random search" not in renderings.to_markdown(rank_rows([one, other]))


def test_the_report_draws_the_search_beside_its_random_draws():
    tpe = searched()
    rows = [study(tpe, None, 0.9, 0.7), study(at_random(tpe), 0.4, 0.8, 0.6)]
    sections = make_sections(rank_rows(rows), rows)
    [chart] = against_random(sections[0].boards[0].group)
    search, chance, band = chart.series
    assert [(p.x, p.y) for p in search.points] == [(2, 90.0), (3, 90.0)]
    assert [p.y for p in chance.points] == [
        pytest.approx(100 * expected_best((0.4, 0.8, 0.6), k, "max").mean) for k in (1, 2, 3)
    ]
    assert len(band.points) == 6
    assert chart.rows[0][1:4] == ("1", "–", "60.0")
    alone = rows[:1]
    assert against_random(make_sections(rank_rows(alone), alone)[0].boards[0].group) == []


def test_under_protocol_1_the_gains_are_what_they_were():
    tpe = searched()
    other = at_random(tpe)
    rows = [tpe.study(), *tpe.finals(0.9, 0.9), other.study(), *other.finals(0.7, 0.8)]
    old = [row | {"protocol": 1} for row in rows]
    found = {x.sampler: x for group in rank_rows(old) for x in group.lines}
    assert found["tpe"].gain_over_random == pytest.approx(0.15)
    assert found["tpe"].gain == pytest.approx(0.9 - 0.4)
    assert line(old[:3])["gain"] == pytest.approx(0.5)
