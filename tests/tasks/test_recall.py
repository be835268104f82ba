"""Selective copying and associative recall: every answer again, by plain loops over the inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from drnn_bench.tasks.prepared import InMemory
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import SPLITS, UNSCORED
from drnn_bench.testing.tasks import Source
from tests.support.refused import refusal

COPY = Source("selective_copy:T=20,tokens=5,vocabulary=9")
MQAR = Source("mqar:pairs=3,vocabulary=24,T=24")
TASKS = {"selective_copy": COPY, "mqar": MQAR}


@pytest.mark.parametrize("name", TASKS)
def test_no_sequence_is_drawn_twice(name):
    arrays = TASKS[name].load()
    assert [len(arrays[split][0]) for split in SPLITS] == [20_000, 1_000, 2_000]
    assert len({row.tobytes() for x, _ in arrays.values() for row in x}) == 23_000


def test_sequences_are_drawn_until_enough_differ():
    """Of 23,000 draws from these 1,184,832 pairs of pairs some come twice."""
    x = [
        row.tobytes()
        for x, _ in Source("mqar:pairs=2,vocabulary=80,T=8").load().values()
        for row in x
    ]
    assert len(set(x)) == len(x) == 23_000


# -- selective copying -------------------------------------------------------------------------


def test_the_answers_are_the_content_in_its_order():
    for x, y in COPY.load().values():
        for sequence, answers in zip(x[:500].tolist(), y[:500].tolist(), strict=True):
            assert [symbol for symbol in sequence[:20] if symbol < 7] == answers
            assert sequence[:20].count(7) == 15  # noise
            assert sequence[20:] == [8] * 5  # markers


def test_content_and_its_places_are_drawn_alike():
    x, y = COPY.load()["train"]
    for counts, share in (
        (np.bincount(y.ravel(), minlength=7), 1 / 7),
        ((x[:, :20] < 7).sum(0), 1 / 20),
    ):
        # Five standard deviations of a binomial are never left by chance.
        assert np.abs(counts - y.size * share).max() < 5 * math.sqrt(y.size * share)


def test_the_spans_of_selective_copying_are_those_that_occur():
    spans = set()
    for x, _ in COPY.load().values():
        for sequence in x.tolist():
            places = [t for t in range(20) if sequence[t] < 7]
            spans |= {20 + k - place for k, place in enumerate(places)}
    assert (min(spans), max(spans)) == COPY.task.needed_spans


def test_the_papers_selective_copying_can_be_had():
    task = parse_task("selective_copy:T=4096,tokens=16")
    assert (task.length, task.input_size, task.output_size) == (4112, 16, 14)


# -- associative recall ------------------------------------------------------------------------


def test_every_query_asks_for_the_value_of_its_key():
    for x, y in MQAR.load().values():
        for sequence, answers in zip(x[:500].tolist(), y[:500].tolist(), strict=True):
            values = dict(zip(sequence[0:6:2], sequence[1:6:2], strict=True))
            assert len(values) == len(set(values.values())) == 3
            assert set(values) <= set(range(1, 12))
            assert set(values.values()) <= set(range(12, 24))
            asked = []
            for t in range(6, 24):
                if sequence[t] == 0:
                    assert answers[t - 6] == UNSCORED
                else:
                    assert t % 2 == 0
                    asked.append(sequence[t])
                    assert answers[t - 6] == values[sequence[t]] - 12
            assert sorted(asked) == sorted(values)


def test_distances_follow_the_power_law_pair_after_pair():
    """The shares of the distances of the first two pairs, as successive draws have them."""
    x, _ = MQAR.load()["train"]
    weights = [(g + 1) ** (0.01 - 1) for g in range(9)]
    first = [w / sum(weights) for w in weights]
    second = [
        sum(first[i] * weights[g] / (sum(weights) - weights[i]) for i in range(9) if i != g)
        for g in range(9)
    ]
    for pair, expected in enumerate((first, second)):
        counts = [0] * 9
        for sequence in x.tolist():
            counts[(sequence.index(sequence[2 * pair], 6) - 6) // 2] += 1
        for count, share in zip(counts, expected, strict=True):
            assert abs(count - len(x) * share) < 5 * math.sqrt(len(x) * share)


def test_keys_and_values_are_drawn_alike():
    x, y = MQAR.load()["train"]
    keys, values = np.bincount(x[:, 0:6:2].ravel())[1:], np.bincount(y[y != UNSCORED])
    assert (len(keys), len(values)) == (11, 12)
    for counts in (keys, values):
        mean = 60_000 / len(counts)
        assert np.abs(counts - mean).max() < 5 * math.sqrt(mean)


def test_the_spans_of_associative_recall_are_those_that_occur():
    spans = set()
    for sequence in MQAR.load()["train"][0].tolist():
        spans |= {sequence.index(sequence[2 * i], 6) - (2 * i + 1) for i in range(3)}
    assert (min(spans), max(spans)) == MQAR.task.needed_spans


# -- guessing and options ----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "best"), [("selective_copy", 1 / 7), ("mqar", 1 / 12)])
def test_guessing_is_one_class_for_all(name, best):
    source = TASKS[name]
    assert InMemory(source.task, "", source.load()).guessing == pytest.approx(best, rel=0.05)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("selective_copy:T=0", "T must be at least 1, got 0"),
        ("selective_copy:T=7", "tokens must be at most T=7, got 8"),
        ("selective_copy:tokens=0", "tokens must be at least 1"),
        ("selective_copy:vocabulary=2", "vocabulary must be at least 3"),
        ("selective_copy:vocabulary=257", "vocabulary must be at most 256"),
        ("selective_copy:T=3,tokens=2", "only 588 different sequences"),
        ("mqar:pairs=0", "pairs must be at least 1"),
        ("mqar:pairs=32", "pairs must be at most 31"),
        ("mqar:T=14", "T must be at least 16"),
        ("mqar:T=63", "T must be even, got 63"),
        ("mqar:vocabulary=63", "vocabulary must be even, got 63"),
        ("mqar:vocabulary=258", "vocabulary must be at most 256"),
        ("mqar:pairs=1", "only 992 different sequences"),
    ],
)
def test_options_out_of_range_are_refused_in_one_line(spec, says):
    assert says in refusal(parse_task, spec)
