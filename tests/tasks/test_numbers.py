"""Numbers far from zero: what is left of them once they are shifted, scaled and float32."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.formats.reading import read as read_files
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import SPLITS
from tests.support.refused import refusal

N, T = 40, 12
LABELS = np.arange(N) % 2
SIGNAL = 0.2 * np.sin(np.arange(N * T).reshape(N, T) / 3)  # of which 5,600,000 + SIGNAL is a track
WHOLE = np.round(SIGNAL * 1e4).astype(np.int64)  # -2000 to 2000


def read(path: Path, options: str = ""):
    return parse_task(f"own:path={path.name}{options}").read(str(path.parent))


def inputs(path: Path, options: str = "") -> np.ndarray:
    """Those of all sequences, split after split."""
    arrays = read(path, options).arrays
    return np.concatenate([arrays[split][0] for split in SPLITS]).astype(np.float64)


def saved_as(form: str, path: Path, x: np.ndarray) -> Path:
    """Sequences [N, T] in a file of some form."""
    path = path / f"d.{form.split()[-1]}"
    long = pd.DataFrame({
        "id": np.repeat(np.arange(N), T), "time": np.tile(np.arange(T), N), "v": x.reshape(-1),
        "half": np.tile(np.arange(T) / 2, N), "label": np.repeat(LABELS, T),
    })  # fmt: skip
    if form == "npz":
        np.savez(path, x=x, y=LABELS)
    elif form == "wide csv":
        wide = pd.DataFrame(x, columns=[f"t{i}" for i in range(T)])
        wide.assign(label=LABELS).to_csv(path, index=False)
    elif form == "long csv":
        long.drop(columns="half").to_csv(path, index=False)
    elif form == "of two types csv":
        long.to_csv(path, index=False)
    elif form == "lists parquet":
        pd.DataFrame({"v": list(x), "label": LABELS}).to_parquet(path)
    elif form == "two lists parquet":
        halves = [np.arange(T) / 2] * N
        pd.DataFrame({"v": list(x), "half": halves, "label": LABELS}).to_parquet(path)
    elif form == "ts":
        rows = [
            ",".join(map(repr, row)) + f":{y}" for row, y in zip(x.tolist(), LABELS, strict=True)
        ]
        path.write_text("@univariate true\n@classLabel true 0 1\n@data\n" + "\n".join(rows))
    return path


FORMS = ("npz", "wide csv", "long csv", "of two types csv", "lists parquet", "two lists parquet")


@pytest.mark.parametrize("form", [*FORMS, "ts"])
@pytest.mark.parametrize("offset", [5_600_000.0, -1.7e12], ids=["metres", "milliseconds"])
def test_a_great_offset_takes_nothing_from_what_varies(tmp_path, form, offset):
    signal = SIGNAL if abs(offset) < 1e9 else WHOLE.astype(float)
    wanted = inputs(saved_as("npz", tmp_path, signal))
    got = inputs(saved_as(form, tmp_path, signal + offset))
    np.testing.assert_allclose(got if got.ndim == 2 else got[:, :, 0], wanted, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("offset", [1_700_000_000_000_000_000, -(2**63) + 5_000, 2**53])
def test_whole_numbers_beyond_float64_stay_exact(tmp_path, form, offset):
    """Nanoseconds since 1970, of which a few thousand matter."""
    wanted = inputs(saved_as("npz", tmp_path, WHOLE))
    path = saved_as(form, tmp_path, WHOLE + offset)
    got = inputs(path)
    np.testing.assert_allclose(got if got.ndim == 2 else got[:, :, 0], wanted, atol=1e-6)
    facts = read(path).facts
    raw = np.stack([WHOLE + offset, np.tile(np.arange(T), (N, 1))], -1)[..., : len(facts["mean"])]
    entering = (raw - np.array(facts["offset"]) - facts["mean"]) / facts["deviation"]
    np.testing.assert_allclose(np.sort(entering[..., 0], None), np.sort(wanted, None), atol=1e-6)


@pytest.mark.parametrize("form", ["long csv", "lists parquet", "two lists parquet", "long parquet"])
def test_whole_numbers_of_which_some_are_missing_stay_exact(tmp_path, form):
    """pandas and Arrow would make float64 of them, which knows nanoseconds to 256."""
    offset, v = 1_700_000_000_000_000_000, WHOLE.astype(object)
    v[:, 2] = None
    whole = [pd.array(list(row), "Int64") for row in np.where(v == WHOLE, WHOLE + offset, None)]
    long = pd.DataFrame({
        "id": np.repeat(np.arange(N), T), "time": np.tile(np.arange(T), N),
        "v": pd.concat([pd.Series(row) for row in whole], ignore_index=True),
        "label": np.repeat(LABELS, T),
    })  # fmt: skip
    path = tmp_path / f"d.{form.split()[-1]}"
    if form == "long csv":
        long.to_csv(path, index=False)
    elif form == "long parquet":
        long.to_parquet(path)
    else:
        lists = {"v": pa.array([[None if v is pd.NA else int(v) for v in row] for row in whole])}
        if form == "two lists parquet":
            lists["half"] = pa.array([np.arange(T) / 2] * N)
        pq.write_table(pa.table(lists | {"label": LABELS}), path)
    got = inputs(path, ",missing=zero+mask")
    gone = WHOLE.astype(float)
    gone[:, 2] = np.nan
    np.savez(tmp_path / "d.npz", x=gone, y=LABELS)
    wanted = inputs(tmp_path / "d.npz", ",missing=zero+mask")
    np.testing.assert_allclose(got[..., 0], wanted[..., 0], atol=1e-6)
    np.testing.assert_array_equal(got[..., -1], wanted[..., -1])


def test_files_of_one_set_are_shifted_alike(tmp_path):
    for split, start in (("train", 2**60), ("test", 2**60 + 100), ("validation", 2**59)):
        np.savez(tmp_path / f"{split}.npz", x=(WHOLE + start).astype(np.uint64), y=LABELS)
    found = read_files(tmp_path)
    (offset,) = found.offset
    first = {split: found.x[found.split.index(split)][0, 0] for split in SPLITS}
    assert int(first["train"]) + offset == 2**60 + WHOLE[0, 0]
    assert int(first["test"]) + offset == 2**60 + 100 + WHOLE[0, 0]
    assert first["validation"] == 2**59 - offset + WHOLE[0, 0]  # as near as float64 comes


@settings(max_examples=60)
@given(
    values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=8, max_size=8, unique=True),
    shift=st.integers(-(2**63), 2**63 - 1),
)
def test_what_enters_is_the_number_of_deviations_from_the_mean(tmp_path, values, shift):
    """Against arithmetic without rounding, at any place of int64."""
    values = [min(max(v // 2**40 + shift, -(2**63)), 2**63 - 1) for v in values]
    x = np.array(values, np.int64).reshape(4, 2)
    split = ["train", "train", "validation", "test"]
    np.savez(tmp_path / "d.npz", x=x[[0, 1, 0, 1]], y=[0, 1, 0, 1], split=split)
    arrays = read(tmp_path / "d.npz").arrays if len({*values[:4]}) > 1 else None
    if arrays is None:
        return
    mean = Fraction(sum(values[:4]), 4)
    deviation = float(sum((v - mean) ** 2 for v in values[:4]) / 4) ** 0.5
    wanted = [float(v - mean) / deviation for v in values[:4]]
    np.testing.assert_allclose(arrays["train"][0].reshape(-1), wanted, rtol=1e-5, atol=1e-6)


@settings(max_examples=60)
@given(power=st.integers(-1060, 100), offset=st.integers(-(10**6), 10**6))
def test_units_do_not_matter(tmp_path, power, offset):
    signal = WHOLE[:, :3] + float(offset)
    np.savez(tmp_path / "a.npz", x=signal, y=LABELS)
    np.savez(tmp_path / "b.npz", x=np.ldexp(signal, power), y=LABELS)
    lost = 1e-6 if power > -1000 else 0.1  # float64 itself has few digits there
    np.testing.assert_allclose(inputs(tmp_path / "b.npz"), inputs(tmp_path / "a.npz"), atol=lost)


def test_constant_is_one_value_and_is_said(tmp_path):
    x = np.stack([np.full((N, T), 0.1), 1e9 + SIGNAL, SIGNAL, np.full((N, T), 7)], -1)
    np.savez(tmp_path / "d.npz", x=x, y=LABELS)
    _, arrays, notes, facts = read(tmp_path / "d.npz")
    train = arrays["train"][0].astype(np.float64)
    np.testing.assert_allclose(train.std((0, 1)), [0, 1, 1, 0], atol=1e-5)
    assert not train[..., [0, 3]].any()
    assert facts["deviation"][0] == facts["deviation"][3] == 1
    assert facts["constant_channels"] == ["1", "4"]
    assert any("one value" in note and "1, 4" in note for note in notes)


def test_a_channel_that_changes_in_another_split_alone_is_said(tmp_path):
    split = np.array(["train", "train", "validation", "test"] * 10)
    x = np.stack([SIGNAL, np.where(split == "test", 3, 2)[:, None] + 0 * SIGNAL], -1)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(N) // 4 % 2, split=split)
    notes = read(tmp_path / "d.npz").notes
    assert any("2 (but others in validation or test)" in note for note in notes)


def test_data_that_never_changes_is_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.full((N, T), 5.0), y=LABELS)
    said = refusal(read, tmp_path / "d.npz")
    assert "every channel has one value in all of training" in said
    lengths = 2 + LABELS  # how long they are may tell the classes
    np.savez(tmp_path / "d.npz", x=np.full((N, T), 5.0), y=LABELS, lengths=lengths)
    assert read(tmp_path / "d.npz").facts["constant_channels"] == ["1"]


def test_what_float32_cannot_hold_once_it_is_scaled_is_refused(tmp_path):
    x = SIGNAL * 1e-10
    x[5, 3] = 1e35
    split = np.where(np.arange(N) == 5, "test", "train")
    split[:2] = "validation"
    np.savez(tmp_path / "d.npz", x=x, y=LABELS, split=split)
    said = refusal(read, tmp_path / "d.npz")
    assert "x[5]: 1e+35 at step 4" in said


@pytest.mark.parametrize("subtype", ["PCM_32", "DOUBLE"])
def test_recordings_of_more_bits_than_float32_has(tmp_path, subtype):
    """A slow sensor saved as wav: a great offset, and a few units that vary."""
    for number in range(12):
        path = tmp_path / "d" / "ab"[number % 2] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.9 + WHOLE[number] * 2.0**-30, 8000, subtype=subtype)
    x = inputs(tmp_path / "d")
    assert len(np.unique(x)) > 100
    steps = np.diff(np.unique(np.round(x * 1e4)))
    assert steps.max() < 4_000
