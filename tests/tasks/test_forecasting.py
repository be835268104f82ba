"""Forecasts of the user's own series: windows and splits by a plain loop, naive forecasts, and what
is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.tasks.own import forecasting
from drnn_bench.tasks.prepared import open_prepared, prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import SPLITS
from drnn_bench.testing import TaskContract
from drnn_bench.testing.tasks import Source
from tests.support.refused import refusal


def written(folder: Path, columns: dict[str, list]) -> Path:
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    (folder / "mine.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    return folder / "mine.csv"


def read(path: Path, options: str):
    return parse_task(f"own:path={path.name},{options}").read(str(path.parent))


def noise(count: int, seed: int = 0) -> list[float]:
    return (100 + np.random.RandomState(seed).randn(count).cumsum()).round(3).tolist()


class TestForecast(TaskContract):
    task = "own:path=mine.csv,target=y,horizon=3,season=4"

    @pytest.fixture
    def source(self, tmp_path_factory) -> Source:
        folder = tmp_path_factory.getbasetemp() / "forecast"
        folder.mkdir(exist_ok=True)
        written(folder, {"y": noise(120), "wind": noise(120, 1)})
        return Source(self.task, str(folder))


@given(
    lengths=st.lists(st.integers(60, 90), min_size=1, max_size=3),
    horizon=st.integers(1, 9),
    seen=st.integers(2, 12),
)
@settings(max_examples=15, deadline=None)
def test_windows_and_splits_are_those_of_a_plain_loop(tmp_path_factory, lengths, horizon, seen):
    series = [noise(length, seed) for seed, length in enumerate(lengths)]
    columns = {
        "id": [i for i, y in enumerate(series) for _ in y],
        "time": [t for y in series for t in range(len(y))],
        "y": [value for y in series for value in y],
    }
    path = written(tmp_path_factory.mktemp("own"), columns)
    task, arrays, *_ = read(path, f"target=y,horizon={horizon},input={seen}")

    train = [value for y in series for value in y[: int(len(y) * 0.64)]]
    mean = sum(train) / len(train)
    deviation = (sum((value - mean) ** 2 for value in train) / len(train)) ** 0.5
    assert task.target_offset == pytest.approx((mean,))
    assert task.target_scale == pytest.approx((deviation,))

    for split, low, high in zip(SPLITS, (0, 0.64, 0.8), (0.64, 0.8, 1), strict=True):
        x, targets = [], []
        for y in series:
            begin, end = int(len(y) * low), int(len(y) * high)
            for first in range(len(y)):
                target = range(first + seen, first + seen + horizon)
                if begin <= target[0] and target[-1] < end:  # the targets are in this split
                    x.append([(value - mean) / deviation for value in y[first : first + seen]])
                    targets.append([[y[t] for t in target]])
        np.testing.assert_allclose(arrays[split][0], x, atol=1e-4)
        np.testing.assert_allclose(arrays[split][1], targets, rtol=1e-6)


@pytest.mark.parametrize("season", [None, 5])
def test_naive_forecasts_are_those_of_a_plain_loop(tmp_path, season):
    y = [10 * (t % 5) + value for t, value in enumerate(noise(100))]
    options = "target=y,horizon=7,input=6" + (f",season={season}" if season else "")
    task, _, notes, _ = read(written(tmp_path, {"y": y}), options)
    errors = []
    for last in range(5, 64 - 7):
        for ahead in range(1, 8):
            before = last
            if season:
                before = last + ahead
                while before > last:
                    before -= season
            errors.append((ahead, y[last + ahead] - y[before]))
    assert task.naive_error == pytest.approx(np.mean([abs(e) for _, e in errors]))
    roots = [np.mean([e * e for a, e in errors if a == ahead]) ** 0.5 for ahead in range(1, 8)]
    assert task.naive_value == pytest.approx(np.mean(roots))
    assert ("seasonal" in notes[1]) == bool(season)
    assert task.other_metrics == ("mae", "mase")


def test_guessing_is_the_better_of_naive_and_constant(tmp_path):
    trend = [float(t) for t in range(100)]  # persistence is far better than the mean
    path = written(tmp_path, {"y": trend})
    task = parse_task(f"own:path={path},target=y,horizon=2,input=4,metric=mae")
    prepared = prepare(task, None, tmp_path / "data")
    assert prepared.guessing == pytest.approx(1.5)
    assert open_prepared(prepared.folder).task.naive_error == pytest.approx(1.5)
    level = [float((-1) ** t) for t in range(100)]  # and here the other way round
    task, *_ = read(written(tmp_path, {"y": level}), "target=y,horizon=1,metric=mae")
    assert task.naive_error == 2
    prepared = prepare(parse_task(f"own:path={path},target=y,horizon=1,metric=mae"), None, tmp_path)
    assert prepared.guessing == 1


def test_rows_are_put_in_the_order_of_time(tmp_path):
    y, order = noise(100), np.random.RandomState(1).permutation(100)
    straight = read(written(tmp_path, {"y": y}), "target=y,horizon=2").arrays
    columns = {"time": order.tolist(), "y": [y[t] for t in order]}
    mixed = read(written(tmp_path, columns), "target=y,horizon=2").arrays
    for split in SPLITS:
        for one, other in zip(straight[split], mixed[split], strict=True):
            np.testing.assert_array_equal(one, other)


def test_many_windows_are_thinned_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(forecasting, "MOST", {"train": 20, "validation": 2000, "test": 5})
    _, arrays, *_ = read(
        written(tmp_path, {"y": [t**1.5 for t in range(200)]}), "target=y,horizon=1"
    )
    assert {split: len(x) for split, (x, _) in arrays.items()} == {
        "train": 19, "validation": 32, "test": 5,  # every sixth, every one, every eighth
    }  # fmt: skip


def test_a_missing_target_is_not_scored_and_a_missing_input_repeats(tmp_path):
    y = noise(100)
    with_gap = [*y[:90], "", *y[91:]]
    path = written(tmp_path, {"y": with_gap, "wind": noise(100, 1)})
    assert "row 91" in refusal(read, path, "target=y,horizon=2")
    _, arrays, *_ = read(path, "target=y,horizon=2,missing=ffill")
    assert np.isnan(arrays["test"][1]).sum() == 2  # of the windows that end one and two before
    assert np.isfinite(arrays["test"][0]).all()


def test_the_key_of_a_forecast_is_read_back(tmp_path):
    path = written(tmp_path, {"y": noise(100)})
    task, *_ = read(path, "target=y,horizon=2,input=9")
    assert task.key == "own:metric=rmse,data=mine,target=y,length=9,horizon=2"
    again, *_ = read(path, task.key.partition(":")[2].replace("data=mine,", ""))
    assert again.saved == task.saved


LONG = {"y": noise(100), "wind": noise(100, 1)}
REFUSED = {
    "a horizon too long": (LONG, "target=y,horizon=30,input=4", "16 for validation, too few"),
    "a series too short": ({"y": noise(12)}, "target=y,horizon=1", "12 steps leave 7 for train"),
    "no such column": (LONG, "target=z,horizon=2", "no column 'z'"),
    "a word among numbers": (
        {"y": [*noise(99), "many"]}, "target=y,horizon=2", "row 100: column 'y' has 'many'",
    ),
    "two targets": (LONG, "target=y+wind,horizon=2", "forecasts one column"),
    "one value": ({"y": [3.5] * 100}, "target=y,horizon=2", "nothing can be learned"),
    "one time twice": (
        {"time": [*range(99), 4], "y": noise(100)}, "target=y,horizon=2", "id=NAME",
    ),
    "a column of splits": (
        {"split": ["train"] * 100, **LONG}, "target=y,horizon=2", "ignore=split",
    ),
    "classes": (LONG, "target=y,horizon=2,metric=macro_f1", "horizon=N forecasts numbers"),
    "an input alone": (LONG, "target=y,input=2", "need horizon=N"),
    "no step ahead": (LONG, "target=y,horizon=0", "horizon must be at least 1"),
    "a season beyond the input": (LONG, "target=y,horizon=2,input=3,season=7", "season=7"),
    "two inputs": (LONG, "target=y,horizon=2,input=3,length=4", "one thing"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(tmp_path, case):
    columns, options, words = REFUSED[case]
    assert words in refusal(read, written(tmp_path, columns), options)
