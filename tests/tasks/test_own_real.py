"""Real targets of the user's own sequences: read from files, scaled, scored in their own unit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.tasks.own.summary import data_summary
from drnn_bench.tasks.prepared import open_prepared, prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import SPLITS
from drnn_bench.testing import TaskContract
from drnn_bench.testing.tasks import Source
from drnn_bench.training.scoring import evaluate, targets
from tests.support.refused import refusal

SPLIT = np.repeat(["train", "validation", "test"], [12, 4, 4])
X = np.random.RandomState(1).randn(20, 6).astype(np.float32)


def saved(folder: Path, **arrays) -> Path:
    np.savez(folder / "mine.npz", **{"x": X, "split": SPLIT, **arrays})
    return folder / "mine.npz"


def written(folder: Path, text: str, name: str = "mine.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def read(path: Path, options: str = ",metric=rmse"):
    return parse_task(f"own:path={path.name}{options}").read(str(path.parent))


class TestRealTargets(TaskContract):
    """Two a step, some missing, sequences of different lengths."""

    task = "own:path=mine.npz,metric=mae"

    @pytest.fixture
    def source(self, tmp_path_factory) -> Source:
        folder = tmp_path_factory.getbasetemp() / "real"
        folder.mkdir(exist_ok=True)
        y = np.random.RandomState(2).randn(20, 6, 2) * [1, 50] + [0, 900]
        y[3, 2] = np.nan
        saved(folder, y=y, lengths=np.arange(20) % 3 + 4)
        return Source(self.task, str(folder))


@given(
    shape=st.sampled_from([(20,), (20, 1), (20, 2), (20, 6), (20, 6, 3)]),
    offset=st.floats(-1000, 1000),
    scale=st.floats(0.1, 1e4),
)
@settings(max_examples=20, deadline=None)
def test_targets_are_shifted_and_scaled_by_training_alone(tmp_path_factory, shape, offset, scale):
    y = np.random.RandomState(0).randn(*shape) * scale + offset
    task, arrays, *_ = read(saved(tmp_path_factory.mktemp("real"), y=y))
    count = shape[-1] if shape in [(20, 2), (20, 6, 3)] else 1
    train_MD = y[:12].reshape(-1, count)
    np.testing.assert_allclose(task.target_offset, train_MD.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(task.target_scale, train_MD.std(0), rtol=1e-6)
    assert (task.output_size, task.scored) == (count, 6 if 6 in shape[1:2] else 1)
    for split, rows in zip(SPLITS, [y[:12], y[12:16], y[16:]], strict=True):
        np.testing.assert_allclose(arrays[split][1].ravel(), rows.ravel().astype(np.float32))
    scaled = targets(task, arrays["train"][1], "cpu").double().reshape(-1, count)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(0, correction=0), 1, rtol=1e-3)


class Zero(torch.nn.Module):
    """Answers the mean of training, whatever it is asked."""

    def forward(self, x_BTI, last):
        return torch.zeros(len(x_BTI), last, 1)


def test_scores_are_in_the_targets_own_unit(tmp_path):
    y = 1000 + 50 * np.random.RandomState(0).randn(20)
    task, arrays, *_ = read(saved(tmp_path, y=y), ",metric=rmse")
    scores = evaluate(Zero(), task, arrays["test"])
    errors = [y[:12].mean() - one for one in y[16:]]
    assert scores.value == pytest.approx((sum(e * e for e in errors) / 4) ** 0.5, rel=1e-5)
    assert scores.values["mae"] == pytest.approx(sum(map(abs, errors)) / 4, rel=1e-5)
    # Guessing is the mean of training, on training.
    (metric, *_) = task.metrics
    guessed = metric.guess(arrays["train"][1].reshape(-1, 1, 1).astype(float), task.target_form)
    assert guessed == pytest.approx(y[:12].std(), rel=1e-5)


def table(targets: list[str], head: str = "t0,t1,t2,y") -> str:
    rows = [f"{i % 5},{(i * 7) % 3},{i % 4},{target}" for i, target in enumerate(targets)]
    return "\n".join([head, *rows]) + "\n"


def test_a_wide_table_with_two_targets(tmp_path):
    rows = [f"{i / 4},{10 * i + 0.5}" for i in range(30)]
    path = written(tmp_path, table(rows, "t0,t1,t2,speed,load"))
    task, arrays, notes, facts = read(path, ",target=speed+load,metric=mae")
    assert (task.loss_function, task.metric, task.other_metrics) == ("mae", "mae", ("rmse",))
    assert task.key == "own:metric=mae,data=mine,target=speed+load,length=3"
    assert facts["targets"] == ["speed", "load"]
    assert arrays["train"][1].shape[1:] == (1, 2)
    together = np.concatenate([arrays[split][1][:, 0] for split in SPLITS])
    assert sorted(map(tuple, together.tolist())) == [(i / 4, 10 * i + 0.5) for i in range(30)]
    assert "2 targets (in training speed from" in notes[0]
    summary = data_summary(task, arrays, facts)
    assert (summary["classes"], summary["class_counts"]) == (None, None)
    assert json.loads(json.dumps(summary)) == summary


def test_a_long_table_has_a_target_a_step_and_steps_without_one_are_not_scored(tmp_path):
    rows = [f"{i},{t},{(3 * i + t) % 7},{'' if t == 1 else i + t / 8}"
            for i in range(12) for t in range(4)]  # fmt: skip
    path = written(tmp_path, "\n".join(["id,time,a,y", *rows]) + "\n")
    task, arrays, notes, _ = read(path, ",target=y,metric=r2")
    assert task.per_step
    for split in SPLITS:
        y_NT = arrays[split][1][:, :, 0]
        assert np.isnan(y_NT[:, 1]).all()
        np.testing.assert_allclose(y_NT[:, 2:] - y_NT[:, :1], [[2 / 8, 3 / 8]] * len(y_NT))
    assert any("12 of 48 targets of steps are missing: not scored" in note for note in notes)


def test_a_ts_file_of_real_targets(tmp_path):
    head = "@problemName a\n@univariate true\n@equalLength true\n@targetLabel true\n@data\n"
    rows = "".join(f"{i % 5},{i % 3},{i % 7}:{i / 2}\n" for i in range(20))
    path = written(tmp_path, head + rows, "mine.ts")
    assert "metric=rmse" in refusal(read, path, "")
    _, arrays, *_ = read(path)
    together = np.concatenate([arrays[split][1].ravel() for split in SPLITS])
    assert sorted(together.tolist()) == [i / 2 for i in range(20)]


def test_a_task_of_several_targets_is_the_same_from_disk(tmp_path):
    y = np.random.RandomState(0).randn(20, 2)
    path = saved(tmp_path, y=y)
    prepared = prepare(parse_task(f"own:path={path},metric=rmse"), None, tmp_path / "data")
    again = open_prepared(prepared.folder).task
    assert again.saved == prepared.task.saved
    assert len(again.target_scale) == 2
    assert prepared.facts["target_scale"] == list(prepared.task.target_scale)


REFUSED = {
    "fractions as classes": (table(["1", "2", "0.5"] * 9), "", "predict real numbers write metric"),
    "no number": (table(["1", "cat", "0.5"] * 9), ",metric=rmse", "'cat'"),
    "a missing one": (table(["1", "", "0.5"] * 9), ",metric=rmse", "the target is missing"),
    "one value": (table(["2.5"] * 27), ",metric=mse", "nothing can be learned"),
    "beyond float32": (table(["1e39", "1", "2"] * 9), ",metric=mse", "up to 3.4e+38"),
    "too fine for float32": (
        table([f"{10**9 + i}" for i in range(27)]), ",metric=mse", "subtract 10000000",
    ),
    "no such column": (table(["1"] * 9), ",target=y+z,metric=mse", "no column 'z'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(tmp_path, case):
    text, options, words = REFUSED[case]
    path = written(tmp_path, text)
    assert words in refusal(read, path, options)


def test_recordings_have_classes_only(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.wav").write_bytes(b"RIFF")
    task = parse_task(f"own:path={tmp_path},metric=rmse")
    assert "are for arrays, tables" in refusal(task.read, None)
