"""The user's own sequences as a task: splits, lengths, scale, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.formats.reading import Options
from drnn_bench.tasks.own.summary import data_summary
from drnn_bench.tasks.prepared import open_prepared, prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import SPLITS, UNSCORED
from tests.support.refused import refusal


def saved(folder: Path, **arrays) -> Path:
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


def read(path: Path, options: str = ""):
    return parse_task(f"own:path={path.name}{options}").read(str(path.parent))


def noise(*shape: int) -> np.ndarray:
    return np.random.RandomState(1).randn(*shape).astype(np.float32)


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=5), split=st.booleans())
@settings(max_examples=25)
def test_missing_splits_are_a_fifth_of_each_class_and_never_take_the_last(
    tmp_path_factory, counts, split
):
    y = np.repeat(np.arange(len(counts)), counts)
    x = np.arange(len(y))[:, None] + np.zeros((1, 3))
    if split:  # test is given, and stays what it is
        x, y = np.vstack([x, x + 1000]), np.tile(y, 2)
        arrays = {"split": np.repeat(["train", "test"], len(y) // 2)}
    else:
        arrays = {}
    path = saved(tmp_path_factory.mktemp("own"), x=x, y=y, **arrays)
    if max(counts) < (2 if split else 3):
        assert "leave none for" in refusal(read, path)
        return
    _, parts, notes, *_ = read(path)
    for kind, count in enumerate(counts):
        of = {s: int((parts[s][1] == kind).sum()) for s in SPLITS}
        test = count if split else min(max(1, round(count / 5)), count - 1)
        left = count if split else count - test
        validation = min(max(1, round(left / 5)), left - 1)
        assert of == {"train": left - validation, "validation": validation, "test": test}
    made = [note for note in notes if note.startswith("no ")]
    assert len(made) == (1 if split else 2)
    assert [note.split()[1] for note in made] == (
        ["validation"] if split else ["test", "validation"]
    )
    together = np.concatenate([parts[s][0][:, 0] for s in SPLITS])
    assert len(set(together.tolist())) == len(x)  # each sequence is in one split
    again = read(path).arrays
    for s in SPLITS:
        np.testing.assert_array_equal(again[s][0], parts[s][0])


def test_channels_are_scaled_by_their_training_steps_alone(tmp_path):
    x = noise(60, 20, 3) * [1, 100, 0] + [5, -50, 0.1]
    split = np.repeat(["train", "validation", "test"], 20)
    x[split == "test"] += 1e4
    _, parts, *_ = read(saved(tmp_path, x=x.astype(np.float32), y=np.arange(60) % 2, split=split))
    train, test = parts["train"][0].astype(np.float64), parts["test"][0]
    assert train.shape == (20, 20, 3)
    np.testing.assert_allclose(train.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(train.std((0, 1)), [1, 1, 0], atol=1e-5)  # the last never changes
    assert test[:, :, 0].min() > 1000


def test_real_sequences_of_unequal_length(ucr_dir):
    path = ucr_dir / "JapaneseVowels_TRAIN.ts"
    task, parts, notes, *_ = read(path)
    assert task.key == "own:data=JapaneseVowels,length=29"
    assert (task.unequal, task.per_step, task.scored) == (True, False, 1)
    assert data_summary(task, parts) == {
        "sequences": 640, "length_min": 7, "length_max": 29, "channels": 12, "classes": 9,
        "splits": {"train": 216, "validation": 54, "test": 370},
    }  # fmt: skip
    assert notes[0].startswith("JapaneseVowels: 640 sequences of 7 to 29 steps, 12 channels, 9 cl")
    x, _, lengths = parts["train"]
    for row, length in zip(x, lengths, strict=True):
        assert row[length - 1].any()
        assert not row[length:].any()
    assert read(ucr_dir / "JapaneseVowels")[0].key == task.key  # as a board calls it
    shorter, parts, *_ = read(path, ",length=10")
    assert shorter.key == "own:data=JapaneseVowels,length=10"
    assert (parts["train"][0].shape[1], parts["train"][2].max()) == (10, 10)


def test_labels_at_every_step(tmp_path):
    lengths = np.array([5, 9, 7] * 10)
    x, y = noise(30, 9, 2), (noise(30, 9) > 0).astype(int)
    task, parts, notes, *_ = read(saved(tmp_path, x=x, y=y, lengths=lengths))
    assert (task.per_step, task.scored, task.output_size) == (True, 9, 2)
    assert "2 classes at every step" in notes[0]
    for inputs, targets, ends in parts.values():
        assert targets.shape == inputs.shape[:2]
        for row, end in zip(targets, ends, strict=True):
            assert (row[:end] != UNSCORED).all()
            assert (row[end:] == UNSCORED).all()
    task, parts, *_ = read(tmp_path / "mine.npz", ",length=4")
    assert (task.unequal, task.scored, len(parts["train"])) == (False, 4, 2)


def test_segments_of_one_recording_stay_in_one_split(tmp_path):
    for number in range(20):
        folder = tmp_path / "voices" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        sound = (np.full(250 + number, number) / 32 + 0.01 * noise(250 + number)) / 2
        soundfile.write(folder / f"{number}.wav", sound, 8000)
    (tmp_path / "voices" / "README").write_text("stray")
    task, parts, notes, *_ = read(tmp_path / "voices", ",length=100")
    assert (task.length, task.channels, task.unequal) == (100, 1, False)
    assert sum(len(x) for x, _ in parts.values()) == 40  # two whole segments of each
    levels = {s: {round(v, 1) for v in x.mean(1).tolist()} for s, (x, _) in parts.items()}
    assert not levels["train"] & levels["test"]
    assert not levels["train"] & levels["validation"]
    assert any("1 stray file skipped: README" in note for note in notes)
    task, parts, notes, *_ = read(tmp_path / "voices", ",length=260")
    assert task.unequal  # those below 260 are whole, and masked
    assert sum(len(x) for x, *_ in parts.values()) == 20
    assert any("length=N cuts" in note for note in read(tmp_path / "voices").notes)


REFUSED = {
    "one class only": ({"y": np.zeros(20, int)}, "", ["one class only (0)", "two"]),
    "a class that train lacks": (
        {"y": np.arange(20) // 10, "split": np.repeat(["train", "test"], 10)},
        "",
        ["test split", "train lacks: 1"],
    ),
    "a class of the validation that train lacks": (
        {"y": np.array([0, 1] * 5 + [2] * 5 + [0] * 5),
             "split": np.repeat(["train", "validation", "test"], [10, 5, 5])},
        "",
        ["validation split", "train lacks: 2"],
    ),
    "too few": ({"x": noise(2, 7), "y": np.arange(2)}, "", ["2 sequences leave none for val"]),
    "one step": ({"x": noise(20, 1)}, "", ["one step", "at least 2"]),
    "length of one": ({}, ",length=1", ["length must be at least 2"]),
    "length no number": ({}, ",length=many", ["length=many is no whole number"]),
    "an option that is none": ({}, ",targets=y", ["no option 'targets'", "target"]),
    "rate of no recording": ({}, ",rate=8000", ["rate is for recordings"]),
    "an array that is not there": ({}, ",target=label", ["label"]),
    "NaN": (
        {"x": np.where(np.arange(140).reshape(20, 7) == 30, np.nan, 1)},
        "",
        ["x[4]: no value at step 3", "missing=ffill"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said_in_one_line(tmp_path, case):
    arrays, options, words = REFUSED[case]
    path = saved(tmp_path, **({"x": noise(20, 7), "y": np.arange(20) % 2} | arrays))
    said = refusal(lambda: read(path, options))
    for word in words:
        assert word in said


def test_without_a_path_it_says_how(typed):
    done = typed("run", "--task", "own", code=2)
    assert "own:path=FILE_OR_FOLDER" in done.stderr
    assert typed("run", "--task", "own:path=nowhere.csv", code=2).stderr == (
        "bench: nowhere.csv does not exist\n"
    )


def test_ls_data_shows_how_it_would_be_understood(typed, tmp_path):
    path = saved(tmp_path, x=noise(30, 7), mark=np.arange(30) % 3)
    shown = typed("ls", "data", path, "target=mark", "length=5").stdout
    assert typed("ls", "data", f"own:path={path},target=mark,length=5").stdout == shown
    assert shown.startswith(
        "mine: 30 sequences of 5 steps, 1 channel, 3 classes (0, 1, 2); 18 train"
    )
    facts = json.loads(typed("ls", "data", path, "target=mark", "--json").stdout)
    assert facts == {
        "sequences": 30, "length_min": 7, "length_max": 7, "channels": 1, "classes": 3,
        "splits": {"train": 18, "validation": 6, "test": 6},
        "form": "arrays", "channel_names": ["1"], "first_step": 1, "last_step": 7,
        "class_counts": {"0": 10, "1": 10, "2": 10}, "ignored_columns": [],
        "constant_channels": [], "duplicates_across_splits": 0,
        "notes": facts["notes"],
    }  # fmt: skip
    assert "name the labels with target=NAME" in typed("ls", "data", path, code=2).stderr


@pytest.mark.slow
def test_a_whole_run_on_real_sequences_of_unequal_length(typed, untimed, ucr_dir, tmp_path):
    task = f"own:path={ucr_dir / 'JapaneseVowels_TRAIN.ts'}"
    words = ("--task", task, "--budget", "3k", "--steps", "60", "--seeds", "2", "--trials", "2")
    done = typed("run", *words, "--family", "gru", "--family", "tcn")
    assert "640 sequences of 7 to 29 steps" in done.stdout
    rows = json.loads(typed("leaderboard", "--format", "json").stdout)
    assert {row["task"] for row in rows} == {"own:data=JapaneseVowels,length=29"}
    assert all(row["test_mean"] > 0.5 for row in rows)  # of nine speakers
    for written in tmp_path.rglob("*.jsonl"):
        assert str(ucr_dir) not in written.read_text()


def test_options_at_their_defaults_leave_the_key_as_it_was():
    assert parse_task("own:path=a.csv").key == "own"
    assert parse_task("own:path=a.csv,missing=refuse").key == "own"
    task = parse_task("own:path=a.csv,id=run,time=at,ignore=b+c,group=who,missing=ffill")
    assert task.key == "own:id=run,time=at,ignore=b+c,group=who,missing=ffill"
    assert task.options == Options(
        id="run", time="at", ignore=("b", "c"), group="who", missing="ffill"
    )
    said = refusal(parse_task, "own:path=a.csv,missing=mean")
    assert "missing must be one of refuse, ffill, zero+mask, got 'mean'" in said


def test_ls_data_shows_how_a_table_is_understood(typed, tmp_path):
    rng = np.random.RandomState(0)
    names = [f"{channel}_{step}" for channel in ("acc_x", "acc_y") for step in (10, 2, 1)]
    lines = [",".join(["age", *names, "what"])]
    for i in range(40):
        values = [f"{v:.2f}" for v in rng.randn(6)]
        lines.append(",".join([str(20 + i % 3), *values, "ab"[i % 2]]))
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(lines))
    words = (path, "target=what", "ignore=age")
    facts = json.loads(typed("ls", "data", *words, "--json").stdout)
    wanted = {
        "form": "wide", "channel_names": ["acc_x", "acc_y"], "first_step": "acc_x_1",
        "last_step": "acc_x_10", "class_counts": {"a": 20, "b": 20}, "ignored_columns": ["age"],
        "channels": 2, "length_min": 3, "length_max": 3,
    }  # fmt: skip
    assert {key: facts[key] for key in wanted} == wanted
    shown = typed("ls", "data", *words).stdout
    assert shown.splitlines() == facts["notes"]
    assert (
        "form wide: steps acc_x_1 to acc_x_10; channels acc_x, acc_y; of each class: a 20, b 20"
        in shown
    )
    assert "columns not read: age (ignore)" in shown
    assert "ignore=age" in typed("ls", "data", path, "target=what", code=2).stderr


def test_a_table_whose_rows_have_an_id_each_says_which(tmp_path):
    rows = [f"r{i},{i},{i * i},{'ab'[i % 2]}" for i in range(20)]
    (tmp_path / "a.csv").write_text("\n".join(["id,time,v,label", *rows]))
    said = refusal(lambda: read(tmp_path / "a.csv"))
    assert "every sequence has one step" in said
    assert "every row has its own id" in said


def test_the_metric_that_ranks_is_an_option(tmp_path):
    path = saved(tmp_path, x=noise(60, 4, 1), y=np.arange(60) % 10 // 9)
    task, *_ = read(path, ",metric=balanced_accuracy")
    assert task.key == "own:metric=balanced_accuracy,data=mine,length=4"
    assert (task.direction, task.margin) == ("max", 0.002)
    prepared = prepare(parse_task(f"own:path={path},metric=balanced_accuracy"), None, tmp_path)
    assert prepared.guessing == 0.5  # where nine in ten are of one class
    assert open_prepared(prepared.folder).task.metric == "balanced_accuracy"
    assert "metric" not in read(path)[0].key


@pytest.mark.parametrize("metric", ["f1", "mase", "", "none"])
def test_a_metric_that_is_none_of_classes_is_refused(metric):
    said = refusal(parse_task, f"own:path=mine.npz,metric={metric}")
    assert "balanced_accuracy" in said or "needs a value" in said
