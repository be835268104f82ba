"""Sequences of one group stay in one split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.tasks.own.grouping import held_out
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import SPLITS
from tests.support.refused import refusal


def written(folder: Path, groups, labels, splits=None) -> Path:
    """A wide table; step t1 tells the row."""
    header = "who,t1,t2,label" + (",split" if splits else "")
    rows = [
        f"{g},{row},{row % 7},{y}" for row, (g, y) in enumerate(zip(groups, labels, strict=True))
    ]
    rows = [f"{row},{s}" for row, s in zip(rows, splits, strict=True)] if splits else rows
    (folder / "a.csv").write_text("\n".join([header, *rows]))
    return folder / "a.csv"


def groups_of(path: Path, groups) -> tuple[dict[str, set], tuple]:
    """The groups of each split, and the notes."""
    _, arrays, notes, facts = parse_task("own:path=a.csv,group=who").read(str(path.parent))
    rows = {}
    for split in SPLITS:
        x = arrays[split][0][:, 0].astype(np.float64) * facts["deviation"][0] + facts["mean"][0]
        rows[split] = x.round().astype(int)
    return {split: {groups[row] for row in rows[split]} for split in SPLITS}, notes


@given(
    groups=st.lists(st.integers(0, 9), min_size=1, max_size=60),
    data=st.data(),
    seed=st.integers(0, 5),
)
@settings(max_examples=80)
def test_whole_groups_are_held_out_and_no_class_is_lost(groups, data, seed):
    kinds = np.array(
        data.draw(st.lists(st.integers(0, 3), min_size=len(groups), max_size=len(groups)))
    )
    held = held_out([str(g) for g in groups], kinds, 0.2, np.random.RandomState(seed))
    again = held_out([str(g) for g in groups], kinds, 0.2, np.random.RandomState(seed))
    assert held.tolist() == again.tolist()
    for group in set(groups):
        assert len(set(held[np.array(groups) == group])) == 1
    assert set(kinds[~held]) == set(kinds)
    spared = [  # groups without which every class still has a sequence
        g for g in set(groups) if set(kinds[np.array(groups) != g]) == set(kinds)
    ]
    assert held.any() == bool(spared)


def test_many_groups_leave_a_fifth_of_each_class():
    rng = np.random.RandomState(1)
    groups, kinds = rng.randint(0, 100, 2000), rng.randint(0, 4, 2000)
    held = held_out(groups.astype(str), kinds, 0.2, np.random.RandomState(0))
    shares = np.bincount(kinds[held], minlength=4) / np.bincount(kinds, minlength=4)
    assert np.all(np.abs(shares - 0.2) < 0.04)


def test_a_subject_is_in_one_split(tmp_path):
    groups = [f"s{i // 4}" for i in range(80)]
    path = written(tmp_path, groups, ["ab"[i % 2] for i in range(80)])
    inside, notes = groups_of(path, groups)
    assert sum(map(len, inside.values())) == 20
    assert [len(inside[split]) for split in SPLITS] == pytest.approx([13, 3, 4], abs=1)
    assert "no test split: a fifth of the training sequences, whole groups, seed 0" in notes


def test_splits_of_the_files_that_divide_a_group_are_said(tmp_path):
    groups = [f"s{i // 4}" for i in range(80)]
    splits = ["test" if i % 8 == 7 else "train" for i in range(80)]
    path = written(tmp_path, groups, ["ab"[i % 2] for i in range(80)], splits)
    _, notes = groups_of(path, groups)
    assert (
        "10 of 20 groups are in several splits: s1, s3, s5, s7, s9, s11, ... (10 in all)" in notes
    )


def test_too_few_groups_are_refused(tmp_path):
    path = written(tmp_path, ["s0"] * 20 + ["s1"] * 20, ["a", "b"] * 20)
    said = refusal(parse_task("own:path=a.csv,group=who").read, str(path.parent))
    assert "40 sequences of 2 groups leave none for validation" in said
