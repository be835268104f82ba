"""Independent searches of a family stand on one line."""

from __future__ import annotations

import copy
import statistics
from typing import Any

import numpy as np
import pytest

from drnn_bench.board.caption import caption
from drnn_bench.board.cells import searches_text
from drnn_bench.board.reproduce import commands
from drnn_bench.results.outcomes import pack
from drnn_bench.results.ranking import rank_rows
from drnn_bench.results.searches import ENOUGH
from drnn_bench.results.significance import t_interval
from tests.support.rows import real_rows

Row = dict[str, Any]
EXAMPLES = 360


def rows_of(family: str, seed: int, tests: list[float], **spec: Any) -> list[Row]:
    """A search and its finals."""
    study, final = (copy.deepcopy(real_rows()[role]) for role in ("study", "final"))
    digest = f"{family}-{seed}" + "".join(str(v) for v in spec.values())
    for row in (study, final):
        row |= {"family": family, "study": digest, "search_seed": seed} | spec
    study["spec"] |= {"family": family, "seed": seed} | spec
    study["id"] = digest
    study["trials"] = study["trials"] | {"complete": 6, "pruned": 4}
    rows = [study]
    for number, test in enumerate(tests):
        correct_N = np.arange(EXAMPLES) < round(test * EXAMPLES)
        rows.append(final | {"id": f"{digest}-{number}", "seed": number, "test": test,
                             "validation": test, "outcomes": pack(correct_N)})  # fmt: skip
    return rows


def board(*searches: list[Row]):
    (group,) = rank_rows([row for rows in searches for row in rows])
    return group


def test_searches_that_differ_in_their_seed_are_one_line():
    group = board(rows_of("lstm", 0, [0.5, 0.6]), rows_of("lstm", 1, [0.7, 0.8]))
    (line,) = group.lines
    assert line.tests == [0.5, 0.6, 0.7, 0.8]
    assert line.test_mean == pytest.approx(0.65)
    assert line.search_means == pytest.approx([0.55, 0.75])
    assert (line.searches, line.done, line.trials["complete"]) == (2, 10, 12)
    assert searches_text(line) == "2 (55.0 to 75.0)"


def test_the_net_is_that_of_the_search_best_by_validation():
    low, high = rows_of("lstm", 0, [0.9, 0.9]), rows_of("lstm", 1, [0.5, 0.5])
    for row in high[1:]:
        row["validation"] = 0.95  # its test is worse, and does not count
    (line,) = board(low, high).lines
    assert line.study == high[0]["study"]


@pytest.mark.parametrize("different", [{"sampler": "random"}, {"pruner": "none"}])
def test_other_searches_keep_lines_of_their_own(different):
    group = board(rows_of("lstm", 0, [0.5]), rows_of("lstm", 1, [0.6], **different))
    assert len(group.lines) == 2
    assert all(line.search_seeds == [] for line in group.lines)


def test_before_protocol_2_every_search_stands_on_its_own():
    rows = [rows_of("lstm", seed, [0.5, 0.6]) for seed in (0, 1)]
    for row in (row for search in rows for row in search):
        row["protocol"] = 1
    assert len(board(*rows).lines) == 2


def test_from_five_searches_the_interval_rests_on_their_means():
    tests = [[0.5 + 0.05 * seed, 0.52 + 0.05 * seed] for seed in range(ENOUGH)]
    (line,) = board(*(rows_of("lstm", seed, x) for seed, x in enumerate(tests))).lines
    assert (line.test_low, line.test_high) == t_interval([statistics.fmean(x) for x in tests])
    assert line.n == 2 * ENOUGH


def test_few_searches_that_agree_are_as_good_as_their_finals():
    tests = [[0.5, 0.6, 0.7], [0.52, 0.6, 0.68]]
    (line,) = board(*(rows_of("lstm", seed, x) for seed, x in enumerate(tests))).lines
    assert (line.test_low, line.test_high) == t_interval([*tests[0], *tests[1]])


@pytest.mark.parametrize("searches", [2, 3, ENOUGH])
def test_finals_of_searches_that_disagree_are_no_evidence_of_their_own(searches):
    """Finals of a search agree, searches do not: pooled, so many finals look like evidence."""

    def family(name, center):
        means = np.linspace(center - 0.1, center + 0.1, searches)
        return [rows_of(name, seed, [m] * 7) for seed, m in enumerate(means)]

    group = board(*family("lstm", 0.65), *family("gru", 0.55))
    line = group.lines[0]
    assert (line.test_low, line.test_high) == t_interval(line.search_means)
    assert line.rank_high == 2


def test_a_final_that_failed_in_one_search_leaves_the_family_without_a_rank():
    whole, broken = rows_of("lstm", 0, [0.5, 0.6]), rows_of("lstm", 1, [0.7, 0.8])
    lacking = ("validation", "test", "test_accuracy", "outcomes", "weights", "curve")
    failed = {key: value for key, value in broken[2].items() if key not in lacking}
    failed |= {"state": "failed", "reason": "ValueError: no"}
    group = board(whole, [*broken[:2], failed], rows_of("gru", 0, [0.3, 0.4]))
    line = next(line for line in group.lines if line.family == "lstm")
    assert (line.n, line.test_mean, line.rank_low, line.searches) == (0, None, None, 2)
    assert line.failed_finals == 1
    assert any("the final of seed 1 failed: ValueError: no" in what for what in line.left_out)
    assert group.lines[0].family == "gru"
    assert group.lines[0].rank_low == 1


def test_the_caption_says_what_the_ranks_rest_on():
    few = board(*(rows_of("lstm", seed, [0.5, 0.6]) for seed in range(2)))
    assert "searched 2 times" in caption(few)
    assert "rest on all finals, or on the means" in caption(few)
    many = board(*(rows_of("lstm", seed, [0.5, 0.6]) for seed in range(ENOUGH)))
    assert "rest on the means of the searches" in caption(many)
    assert "one search per family" in caption(board(rows_of("lstm", 0, [0.5, 0.6])))


@pytest.mark.parametrize(
    ("seeds", "ends"),
    [([0, 1, 2], ["--searches 3 --seed 0"]), ([4], ["--seed 4"]),
     ([0, 1, 5], ["--searches 2 --seed 0", "--seed 5"])],
)  # fmt: skip
def test_the_commands_make_every_search_again(seeds, ends):
    found = commands(board(*(rows_of("lstm", seed, [0.5]) for seed in seeds)).lines)
    assert len(found) == len(ends)
    for command, end in zip(found, ends, strict=True):
        assert command.endswith(end)
