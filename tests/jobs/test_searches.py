"""`--searches N`: independent searches of every family."""

from __future__ import annotations

import pytest

from drnn_bench.errors import UserError
from drnn_bench.jobs.job import Run
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.jobs.reporter import Silent
from drnn_bench.results import records
from drnn_bench.results.ranking import rank_rows


def request(folder, **more):
    return Request(runs_dir=str(folder), device="cpu", workers=1, families=("dilated_cnn",),
                   budgets=(400,), trials=1, steps=4, seeds=2, **more)  # fmt: skip


def test_each_search_is_a_study_of_its_own_seed(tmp_path):
    specs = make_plan(request(tmp_path, searches=3, seed=5)).specs
    assert [spec.seed for spec in specs] == [5, 6, 7]
    assert len({spec.digest for spec in specs}) == 3
    (alone,) = make_plan(request(tmp_path, seed=6)).specs
    assert alone == specs[1]


@pytest.mark.parametrize("searches", [0, 101])
def test_how_many_searches_there_may_be(tmp_path, searches):
    with pytest.raises(UserError, match="--searches must be at"):
        make_plan(request(tmp_path, searches=searches))


def test_searches_are_added_to_and_end_on_one_line(inline, tmp_path):
    Run(make_plan(request(tmp_path)), Silent()).run()
    Run(make_plan(request(tmp_path, searches=2)), Silent()).run()
    rows, notes = records.read(tmp_path / "records.jsonl")
    assert not notes
    assert sorted(row["role"] for row in rows if row["role"] != "speed") == (
        ["final"] * 4 + ["study"] * 2
    )
    (group,) = rank_rows(rows)
    (line,) = group.lines
    assert (line.search_seeds, line.n) == ([0, 1], 4)
    assert line.train_per_s is not None  # the finalist that is shown was measured
    assert len({row["seed"] for row in rows if row["role"] == "final"}) == 4
