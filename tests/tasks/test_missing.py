"""Missing values, steps that are not scored, and what somebody who uses a trained net must know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.export.described import of_task
from drnn_bench.export.raw import entering, last_values
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import SPLITS, UNSCORED
from tests.support.refused import refusal

N, T, C = 30, 9, 3
LABELS = np.arange(N) % 2
SPLIT = np.array((["train"] * 3 + ["validation", "test"]) * 6)
X = 100 + 5 * np.random.RandomState(0).randn(N, T, C)


def saved(folder: Path, x: np.ndarray, y: np.ndarray = LABELS, **more) -> Path:
    np.savez(folder / "d.npz", x=x, y=y, split=SPLIT, **more)
    return folder / "d.npz"


def read(path: Path, options: str = ""):
    return parse_task(f"own:path={path.name}{options}").read(str(path.parent))


def holed(*places: tuple) -> np.ndarray:
    x = X.copy()
    for place in places:
        x[place] = np.nan
    return x


HOLES = holed((0, 0, 1), (0, slice(3, 5), 1), (3, 4), (4, slice(2), 2))  # train, validation, test


def test_missing_values_are_refused_with_how_many_and_where(tmp_path):
    said = refusal(read, saved(tmp_path, HOLES))
    assert "d.npz x[0]: no value at step 1, channel 2; values missing: 8, in 3 of 30 seq" in said
    assert "missing=ffill or missing=zero+mask" in said


def by_hand(x: np.ndarray, fill: bool) -> np.ndarray:
    """The inputs of a series [T, C], value after value."""
    train = HOLES[SPLIT == "train"].reshape(-1, C)
    mean, deviation = np.nanmean(train, 0), np.nanstd(train, 0)
    out = np.zeros((T, C))
    for channel in range(C):
        last = mean[channel]
        for step in range(T):
            value = x[step, channel]
            last = value if not np.isnan(value) else last if fill else mean[channel]
            out[step, channel] = (last - mean[channel]) / deviation[channel]
    return out


@pytest.mark.parametrize(("option", "fill"), [("ffill", True), ("zero+mask", False)])
def test_missing_values_are_filled_as_is_asked(tmp_path, option, fill):
    task, arrays, notes, facts = read(saved(tmp_path, HOLES), f",missing={option}")
    assert task.key == f"own:data=d,length={T},missing={option}"
    for split in SPLITS:
        wanted = np.stack([by_hand(x, fill) for x in HOLES[split == SPLIT]])
        np.testing.assert_allclose(arrays[split][0][..., :C], wanted, atol=1e-5)
    assert any("values missing: 8, in 3 of 30 sequences" in note for note in notes)
    assert facts["missing"] == option


def test_a_channel_that_misses_values_in_any_split_has_a_mask(tmp_path):
    x = holed((0, 0, 1), (4, slice(2), 2))  # channel 2 in train, channel 3 in test alone
    task, arrays, notes, facts = read(saved(tmp_path, x), ",missing=zero+mask")
    assert task.input_size == C + 2
    assert facts["masked"] == [False, True, True]
    for split in SPLITS:
        masks = np.isnan(x[split == SPLIT])[..., 1:]
        np.testing.assert_array_equal(arrays[split][0][..., C:], masks)
    assert any("2 mask channels" in note for note in notes)
    task, *_, facts = read(saved(tmp_path, X), ",missing=zero+mask")  # nothing is missing
    assert task.input_size == C
    assert "masked" not in facts


def test_a_channel_without_a_value_in_training_is_refused(tmp_path):
    x = X.copy()
    x[SPLIT == "train", :, 2] = np.nan
    said = refusal(read, saved(tmp_path, x), ",missing=ffill")
    assert "channel 3 has no value in any training sequence" in said


RAW = {
    "plain": (X, ""),
    "a coordinate": (X * 1e-3 + 5_600_000, ""),
    "nanoseconds": ((X * 10).astype(np.int64) + 1_700_000_000_000_000_000, ""),
    "repeated": (HOLES, ",missing=ffill"),
    "masked": (HOLES, ",missing=zero+mask"),
    "masked for nothing": (X, ",missing=zero+mask"),
}


@pytest.mark.parametrize("case", RAW)
def test_an_exported_net_makes_inputs_of_raw_numbers_as_the_task_did(tmp_path, case):
    """To the last bit: what enters a net is what it was tested on."""
    raw, options = RAW[case]
    task, arrays, _, facts = read(saved(tmp_path, raw), options)
    inputs = of_task(task, facts).inputs
    x = raw[SPLIT == "test"]
    np.testing.assert_array_equal(entering(inputs, x).numpy(), arrays["test"][0])
    # Step by step, what is missing repeats what the steps before had.
    before, steps = None, []
    for step in range(T):
        steps.append(entering(inputs, x[:, step : step + 1], before).numpy())
        before = last_values(inputs, x[:, step : step + 1], before)
    np.testing.assert_array_equal(np.concatenate(steps, 1), arrays["test"][0])


# -- lengths ---------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(lengths=st.lists(st.integers(2, T), min_size=N, max_size=N), per_step=st.booleans())
def test_nan_to_the_end_is_the_same_as_lengths(tmp_path, lengths, per_step):
    """The law of padding: a tail of NaN in all channels says what an array of lengths says."""
    x = X.copy()
    y = np.arange(N * T).reshape(N, T) % 3 if per_step else LABELS
    for row, length in zip(x, lengths, strict=True):
        row[length:] = np.nan
    tails = read(saved(tmp_path, x, y))
    lengths = read(saved(tmp_path, x, y, lengths=np.array(lengths)))
    assert tails.task == lengths.task
    for split in SPLITS:
        for one, other in zip(tails.arrays[split], lengths.arrays[split], strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_tail_of_nan_is_said_and_a_hole_before_it_is_missing(tmp_path):
    x = holed((0, slice(5, None)), (1, slice(6, None)))
    notes = read(saved(tmp_path, x)).notes
    assert "2 of 30 sequences end in missing values and are cut there" in notes
    x[0, 2, 0] = np.nan
    x[1, 6, 1] = 7  # one channel goes on
    said = refusal(read, saved(tmp_path, x))
    assert "x[0]: no value at step 3, channel 1; values missing: 3, in 2 of 30" in said
    x[2] = np.nan
    assert "x[2]: every value is missing" in refusal(read, saved(tmp_path, x))
    # Where lengths are given, NaN before the end is missing.
    said = refusal(read, saved(tmp_path, holed((0, 8)), lengths=np.full(N, T)))
    assert "x[0]: no value at step 9" in said


# -- labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [int, float, str, "words"])
def test_minus_100_at_a_step_is_not_scored(tmp_path, kind):
    y = np.arange(N * T).reshape(N, T) % 2
    y[:, 6:] = UNSCORED
    y[3, 1] = UNSCORED
    words = np.array(["down", "up"])[y % 2]
    stored = np.where(y == UNSCORED, "-100", words) if kind == "words" else y.astype(kind)
    task, arrays, notes, facts = read(saved(tmp_path, X, stored))
    assert task.output_size == 2
    for split in SPLITS:
        np.testing.assert_array_equal(arrays[split][1], y[split == SPLIT])
    assert f"{3 * N + 1} of {N * T} steps are -100: not scored" in notes
    assert sum(facts["class_counts"].values()) == N * 6 - 1
    assert prepare(parse_task("own:path=d.npz"), str(tmp_path), tmp_path / "data").task == task


def test_minus_100_in_a_table(tmp_path):
    """Only the last step of each sequence is scored, or all of them."""
    rows = [f"{i},{t},{i * t},{i % 2 if t == 3 else -100}" for i in range(N) for t in range(4)]
    (tmp_path / "d.csv").write_text("\n".join(["id,time,v,label", *rows]))
    task, arrays, *_ = read(tmp_path / "d.csv")
    assert (task.per_step, task.output_size) == (True, 2)
    assert (arrays["train"][1][:, :3] == UNSCORED).all()
    assert (arrays["train"][1][:, 3] != UNSCORED).all()


def test_minus_100_where_it_says_nothing(tmp_path):
    said = refusal(read, saved(tmp_path, X, np.where(np.arange(N) == 4, -100, LABELS)))
    assert "x[4]: the label is -100" in said
    y = np.arange(N * T).reshape(N, T) % 2
    y[7] = UNSCORED
    assert "x[7]: no step has a label" in refusal(read, saved(tmp_path, X, y))


def test_a_class_that_a_length_removes_is_an_error(tmp_path):
    y = np.arange(N * T).reshape(N, T) % 2
    y[:, 7] = 2
    assert read(saved(tmp_path, X, y)).task.output_size == 3
    said = refusal(read, saved(tmp_path, X, y), ",length=5")
    assert "length=5 leaves nothing of 2, 1 of 3 classes" in said


def test_real_targets_are_refused_with_what_is_supported(tmp_path):
    for y in (np.linspace(0, 1, N), np.random.RandomState(0).rand(N, T)):
        said = refusal(read, saved(tmp_path, X, y))
        assert "the label is 0" in said
        assert "needs labels, whole numbers or names, of each sequence or of each step" in said
        assert "to predict real numbers write metric=rmse" in said


# -- leaks -----------------------------------------------------------------------------------------


def test_sequences_that_stand_in_two_splits_are_counted_and_said(tmp_path):
    assert read(saved(tmp_path, X)).facts["duplicates_across_splits"] == 0
    x = X.copy()
    x[3], x[4], x[9] = x[0], x[0], x[1]  # validation, test, test
    x[2] = x[1]  # within a split it is no leak
    _, _, notes, facts = read(saved(tmp_path, x))
    assert facts["duplicates_across_splits"] == 3
    assert any(note.startswith("3 sequences of validation or test are the same") for note in notes)


def test_one_that_is_the_beginning_of_another_is_another(tmp_path):
    x = X.copy()
    x[4] = x[0]
    x[4, 5:] = np.nan
    assert read(saved(tmp_path, x)).facts["duplicates_across_splits"] == 0


def test_classes_are_counted(tmp_path):
    facts = read(saved(tmp_path, X, np.array(["a", "b", "b"] * 10))).facts
    assert facts["class_counts"] == {"a": 10, "b": 20}
    notes = read(saved(tmp_path, X, np.where(SPLIT == "train", np.arange(N), 0))).notes
    assert any("18 classes among 30 sequences" in note for note in notes)
