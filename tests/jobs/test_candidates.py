"""The best of a search are trained again before one of them becomes the finalist."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from kills import WithoutSpeed

from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.jobs.reporter import Silent
from drnn_bench.results import records
from drnn_bench.results.ranking import rank_rows
from drnn_bench.search.candidates import SEEDS, candidate_seed
from tests.support.inline import without_processes


class Told(Silent):
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def run(folder, trials=8, kind=WithoutSpeed):
    request = Request(runs_dir=str(folder), device="cpu", workers=1, families=("rnn",),
                      trials=trials, steps=8, seeds=1, pruner="none")  # fmt: skip
    plan, told = make_plan(request), Told()
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch)
        kind(plan, told).run()
    rows, notes = records.read(folder / "records.jsonl")
    assert not notes
    return plan, rows, told.lines


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drnn_bench.jobs.after_search.SAY", -1.0)  # it says so at each look
        return folder, *run(folder)


def of_role(rows, role):
    return [row for row in rows if row["role"] == role]


def test_two_candidates_are_trained_on_the_same_three_seeds(searched):
    _, plan, rows, lines = searched
    candidates = of_role(rows, "candidate")
    seeds = {candidate_seed(plan.specs[0], i) for i in range(SEEDS)}
    nets = Counter(str((row["config"], row["learning_rate"])) for row in candidates)
    assert sorted(nets.values()) == [SEEDS, SEEDS]
    assert {row["seed"] for row in candidates} == seeds
    assert sum(line.startswith(f"candidates: {2 * SEEDS} trainings") for line in lines) == 1


def test_the_finalist_is_the_one_of_the_best_mean(searched):
    _, _, rows, _ = searched
    (study,), finals = of_role(rows, "study"), of_role(rows, "final")
    means = {}
    for candidate in study["candidates"]:
        again = [row["validation"] for row in of_role(rows, "candidate")
                 if row["learning_rate"] == candidate["learning_rate"]
                 and row["config"] == candidate["config"]]  # fmt: skip
        assert candidate["again"] == again
        means[candidate["learning_rate"]] = sum(again) / SEEDS
    chosen = max(means, key=means.get)
    assert study["best"]["learning_rate"] == study["learning_rate"] == chosen
    assert [row["learning_rate"] for row in finals] == [chosen]


def test_candidates_are_compute_and_no_trials(searched):
    _, _, rows, _ = searched
    (study,) = of_role(rows, "study")
    seconds = sum(row["train_seconds"] for row in of_role(rows, "candidate"))
    assert study["trials"]["complete"] == 8
    assert study["candidate_seconds"] == pytest.approx(seconds, abs=0.1)
    (group,) = rank_rows(rows)
    assert group.first.search_seconds == study["search_seconds"] + study["candidate_seconds"]


def test_a_second_run_trains_nothing_again(searched):
    folder, _, rows, _ = searched
    before = len(rows)
    assert len(run(folder)[1]) == before


def test_what_is_lost_of_the_candidates_is_trained_again(searched, tmp_path):
    """A run that was killed among its candidates continues with those that are owed."""
    folder, _, rows, _ = searched
    records_path = folder / "records.jsonl"
    kept, text = [], records_path.read_text()
    for line in text.splitlines():
        if '"role": "candidate"' not in line or len(kept) < 4:
            kept.append(line)
        if len(kept) == 4:
            break
    assert all('"role": "candidate"' in line for line in kept)
    try:
        records_path.write_text("\n".join(kept) + "\n")
        again = run(folder)[1]
    finally:
        records_path.write_text(text)
    assert len(of_role(again, "candidate")) == 2 * SEEDS

    def values(all_rows, role):
        found = of_role(all_rows, role)
        return {(str(r["config"]), r["seed"]): r["validation"] for r in found}

    assert values(again, "candidate") == values(rows, "candidate")
    assert values(again, "final") == values(rows, "final")


def test_a_small_search_has_no_candidates(tmp_path):
    _, rows, lines = run(tmp_path / "runs", trials=7)
    assert not of_role(rows, "candidate")
    assert of_role(rows, "study")[0]["candidates"] == []
    assert not any(line.startswith("candidates") for line in lines)


def test_how_many_are_done_is_said_while_they_are_trained(searched):
    *_, lines = searched
    said = [line for line in lines if " trained in " in line]
    assert any(re.fullmatch(r"candidates: \d of 6 trained in .+", line) for line in said)
    assert any(re.fullmatch(r"finals: \d of 1 trained in .+", line) for line in said)
