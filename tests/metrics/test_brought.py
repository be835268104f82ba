"""A metric and a task that are trained and ranked by a plug-in file, and their board without it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from drnn_bench import plugins
from drnn_bench.board import renderings
from drnn_bench.errors import UserError
from drnn_bench.metrics.registry import metric_names, metric_type
from drnn_bench.models.build import configure
from drnn_bench.results.ranking import rank_rows
from drnn_bench.results.schema import fault
from drnn_bench.search import plugin_code
from drnn_bench.search.summary import describe_run
from drnn_bench.tasks.registry import parse_task
from drnn_bench.testing import MetricContract
from drnn_bench.training.scoring import evaluate
from tests.support.searched import Known, searched

MINE = '''
from dataclasses import dataclass

import numpy as np

from drnn_bench.metrics.constant import answers_real
from drnn_bench.metrics.metric import MeanMetric
from drnn_bench.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Misses(MeanMetric):
    """The share of answers that are more than 1 off."""

    name = "misses"
    unit = "misses %"
    direction = "min"
    takes = ("real",)
    bounds = (0.0, 1.0)
    scale = 100.0
    margin = 0.01
    decimals = 2

    def statistics(self, p):
        return np.stack([(np.abs(p.errors_NSD) > 1).sum((1, 2)), p.counts_N], axis=1)

    def guess(self, y, form):
        def middle(y_M):
            near = [(np.abs(y_M - a) > 1).mean() for a in y_M]
            return np.array([y_M[int(np.argmin(near))]])

        return self.value(self.statistics(answers_real(y, form, middle)))


@dataclass(frozen=True, kw_only=True)
class Noise(Task):
    name = "noise"
    version = 1
    summary = "the last step again"
    loss_function = "mae"
    metric = "misses"
    other_metrics = ("mae", "r2")
    length = 4
    scored = 1
    input_size = 1
    output_size = 1
    default_budget = 100
    default_steps = 10
    default_trials = 1

    def load(self, data_dir):
        x = np.random.default_rng(0).normal(0, 2, (30, 4)).astype(np.float32)
        return dict.fromkeys(("train", "validation", "test"), (x, x[:, -1]))
'''


@pytest.fixture
def brought(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    monkeypatch.setenv(plugins.VARIABLE, str(path))


@pytest.mark.usefixtures("brought")
class TestMisses(MetricContract):
    metric = "misses"

    def constants(self, y, form):
        return [np.array(pair) for pair in _pairs(y.reshape(-1, form.targets))]


def _pairs(y_MD):
    """For each target the value that has most others within 1."""
    best = []
    for y_M in (y_M[~np.isnan(y_M)] for y_M in y_MD.T):
        best.append(min(y_M, key=lambda a: (np.abs(y_M - a) > 1).sum()))
    return [best]


@pytest.mark.usefixtures("brought")
def test_a_task_is_scored_by_the_metric_of_its_file():
    task = parse_task("noise")
    assert "misses" in metric_names()
    assert (task.direction, task.margin) == ("min", 0.01)
    model = configure("rnn", input_size=1, output_size=1, width=3, depth=1).build()
    x, y = task.load(None)["test"]
    scores = evaluate(model, task, (x, y))
    answers = model(_tensor(x), last=1).detach().numpy()[:, 0, 0]
    assert scores.value == (np.abs(answers - y) > 1).mean()
    assert set(scores.values) == {"misses", "mae", "r2"}


def _tensor(x):
    import torch

    return torch.from_numpy(x).unsqueeze(2)


@pytest.mark.usefixtures("brought")
def test_a_row_says_what_must_be_known_of_the_metric():
    digits = searched()
    run = describe_run(digits.spec, Known(parse_task("noise")), digits.best)
    assert run["metric_facts"] == metric_type("misses").facts().as_json
    built_in = describe_run(digits.spec, Known(parse_task("adding:T=4")), digits.best)
    assert "metric_facts" not in built_in


def rows_of_a_foreign_metric():
    """What a runs folder has whose plug-in is not here."""
    facts = {"unit": "misses %", "direction": "min", "scale": 100.0, "margin": 0.01, "best": 0.0,
             "decimals": 2}  # fmt: skip
    changes = {"metric": "misses", "direction": "min", "metric_facts": facts, "guessing": 0.75}
    rows = []
    for family, tests in (("lstm", (0.25, 0.26)), ("gru", (0.5, 0.52))):
        one = searched(family)
        finals = [row | {"metrics": {"mae": test / 2}} for test, row in
                  zip(tests, one.finals(*tests), strict=True)]  # fmt: skip
        rows += [row | changes for row in (one.study(), *finals)]
        for row in finals:
            row.pop("test_accuracy", None)
    return json.loads(json.dumps(rows))


def test_a_board_needs_no_plug_in():
    rows = rows_of_a_foreign_metric()
    assert [fault(row) for row in rows] == [None] * len(rows)
    [group] = rank_rows(rows)
    assert [line.family for line in group.lines] == ["lstm", "gru"]
    assert group.lines[0].metrics == {"mae": pytest.approx(0.1275)}
    text = renderings.to_markdown([group])
    assert "test misses % ↓" in text
    assert "25.50" in text
    assert "75.00" in text


def test_damaged_facts_of_a_metric_are_a_fault():
    row = rows_of_a_foreign_metric()[0]
    row["metric_facts"] |= {"scale": "a lot"}
    assert "metric_facts" in fault(row)


WRONG = {
    "unknown": ("misses", "missed", "metric 'missed' is none of mse, rmse, mae, r2, mase"),
    "of another form": ('"misses"', '"accuracy"', "gives real; it goes with mse"),
    "of another loss": ('"mae"\n', '"cross_entropy"\n', "gives classes; it goes with accuracy"),
    "no loss": ('"mae"\n', '"huber"\n', "loss_function 'huber' is none of cross_entropy, bce"),
    "twice": ('"r2"', '"misses"', "stands there twice"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_metric_that_does_not_fit_is_refused_in_one_line(case, tmp_path, monkeypatch):
    old, new, words = WRONG[case]
    before, after = MINE.split("class Noise")
    path = tmp_path / "wrong.py"
    path.write_text(f"{before}class Noise{after.replace(old, new, 1)}")
    monkeypatch.setenv(plugins.VARIABLE, str(path))
    with pytest.raises(UserError) as said:
        parse_task("noise")
    assert words in str(said.value)
    assert "\n" not in str(said.value)


@pytest.mark.usefixtures("brought")
def test_the_code_of_a_metric_is_part_of_what_a_search_is():
    known = plugin_code.codes("noise", "lstm")
    assert known.keys() == {"task", "metric"}
    assert plugin_code.changes(known, "noise", "lstm") == []
    other = {"metric": known["metric"] | {"sha256": "0" * 16}}
    [line] = plugin_code.changes(other, "noise", "lstm")
    assert line.startswith("metric misses: the code of plug-in mine.py was 0000")
    assert plugin_code.codes("adding:T=4", "lstm") == {}
