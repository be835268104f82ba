"""The contract of tasks: what every task's data and facts are."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from drnn_bench.tasks.checks import check_arrays
from drnn_bench.tasks.prepared import open_prepared, prepare
from drnn_bench.tasks.registry import parse_task, task_names
from drnn_bench.tasks.task import (
    SPLITS,
    UNSCORED,
    Arrays,
    Reading,
    Task,
    data_hash,
)
from drnn_bench.testing.stand_ins import fixture
from drnn_bench.training.scoring import inputs, targets


@dataclass(frozen=True)
class Source:
    """A task and where its data is. It is read once, and its arrays are never written to."""

    spec: str
    folder: str | None = None

    @property
    def task(self) -> Task:
        """The task, with the facts that come from its data."""
        return _read(self).task

    def load(self) -> Arrays:
        return _read(self).arrays

    @property
    def hash(self) -> str:
        return _hash(self)


@cache
def _read(source: Source) -> Reading:
    return parse_task(source.spec).read(source.folder)


@cache
def _hash(source: Source) -> str:
    return data_hash(source.load())


class TaskContract:
    """Inherit from it and set `task`; pytest runs the checks.

    task:      as `--task` takes it, with options: "my_task:T=100"
    data_dir:  as `--data-dir` takes it
    """

    task: ClassVar[str]
    data_dir: ClassVar[str | None] = None

    @fixture("source")
    def source(self) -> Source:
        return Source(self.task, self.data_dir and str(self.data_dir))

    def test_says_what_it_is(self, source):
        task = source.task
        assert task.name in task_names()
        assert task.version >= 1
        assert len(task.summary.splitlines()) == 1
        assert task.direction == task.metrics[0].direction
        assert all(task.target_form.kind in metric.takes for metric in task.metrics)
        defaults = (task.default_budget, task.default_steps)
        assert min(*defaults, task.default_trials, task.default_seeds) >= 1

    def test_is_read_back_from_its_key(self, source):
        assert source.task.key.partition(":")[0] == source.task.name
        if source.task == parse_task(source.spec):  # nothing was learned from the data
            assert parse_task(source.task.key) == source.task

    def test_says_how_its_data_is_licensed_in_one_line(self, source):
        assert len(source.task.licence.splitlines()) == 1

    def test_names_no_path_of_the_users(self, source):
        for text in (source.task.key, str(source.task.saved)):
            assert "/" not in text
            assert source.folder is None or source.folder not in text

    def test_passes_the_check_that_is_made_before_a_run(self, source):
        check_arrays(source.task, source.load())

    def test_has_three_splits_that_are_not_empty(self, source):
        arrays = source.load()
        assert set(arrays) == set(SPLITS)
        for parts in arrays.values():
            assert {len(part) for part in parts} == {len(parts[0])}
            assert len(parts[0]) > 0

    def test_has_inputs_as_long_and_as_wide_as_it_says(self, source):
        task = source.task
        for x, _, *lengths in source.load().values():
            assert x.dtype in (np.uint8, np.float32)
            if task.stream:
                assert x.ndim == 1
                x = x[: 3 * task.length].reshape(3, task.length)
            assert x.shape[1] == task.length
            x_BTI = inputs(task, x[:3], "cpu")
            assert x_BTI.shape == (len(x[:3]), task.length, task.input_size)
            assert x_BTI.dtype == torch.float32
            assert x_BTI.isfinite().all()
            if task.one_hot:
                assert (x_BTI.sum(2) == 1).all()
                assert task.stream or x.max() < task.input_size
            for length_N in lengths:  # where sequences have unequal lengths
                assert length_N.dtype == np.int64
                assert 1 <= length_N.min() <= length_N.max() <= task.length

    def test_has_an_input_for_each_symbol(self, source):
        task = source.task
        if task.one_hot and not task.stream:  # a text may lack the symbol `unknown`
            assert max(x.max() for x, *_ in source.load().values()) == task.input_size - 1

    def test_has_targets_for_the_scored_steps_and_in_range(self, source):
        task = source.task
        for x, y, *_ in source.load().values():
            if task.target_form.kind == "classes":
                assert y.dtype.kind in "biu"  # real numbers would be rounded
                scored = y[y != UNSCORED]
                assert scored.min() >= 0
                assert scored.max() < task.output_size
            if (
                task.stream and task.metric == "bits_per_character"
            ):  # each target is the next symbol
                np.testing.assert_array_equal(x[1:], y[:-1])
            if not task.stream:
                shape = targets(task, y[:3], "cpu").shape
                wide = () if task.target_form.kind == "classes" else (task.target_form.targets,)
                assert shape == (len(y[:3]), task.scored, *wide)
        if task.stream:
            assert task.scored is None
        else:
            assert task.length >= task.scored >= 1

    def test_has_a_target_for_each_class(self, source):
        if source.task.target_form.kind != "classes":
            return
        classes = [y[y != UNSCORED] for _, y, *_ in source.load().values()]
        assert min(y.min() for y in classes) == 0
        assert max(y.max() for y in classes) == source.task.output_size - 1

    def test_gives_the_same_data_every_time(self, source):
        again = data_hash(parse_task(source.spec).read(source.folder).arrays)
        assert again == source.hash, "`load` gave other arrays the second time"

    def test_has_another_hash_where_one_byte_differs(self, source):
        arrays = dict(source.load())
        for part in range(len(arrays["validation"])):
            changed = list(arrays["validation"])
            changed[part] = changed[part].copy()
            changed[part].reshape(-1).view(np.uint8)[-1] ^= 1
            assert data_hash(arrays | {"validation": tuple(changed)}) != source.hash

    def test_is_the_same_when_mapped_from_disk_and_written_once(self, source):
        task = parse_task(source.spec)
        with tempfile.TemporaryDirectory() as folder:
            prepared = prepare(task, source.folder, Path(folder))
            assert prepared.task == source.task
            assert prepared.data_hash == source.hash
            assert open_prepared(prepared.folder).facts == prepared.facts  # JSON values
            assert Path(prepared.folder).parent == Path(folder)
            again = open_prepared(prepared.folder)
            assert (again.task.key, again.data_hash) == (source.task.key, source.hash)
            assert again.task.output_size == source.task.output_size
            mapped = prepared.arrays()
            for split, parts in source.load().items():
                for array, other in zip(parts, mapped[split], strict=True):
                    assert isinstance(other, np.memmap)
                    assert other.dtype == array.dtype
                    np.testing.assert_array_equal(other, array)
            before = _state(Path(folder))
            assert prepare(task, source.folder, Path(folder)) == prepared
            assert _state(Path(folder)) == before


def _state(folder: Path) -> list[tuple[str, int, int]]:
    paths = [folder, *sorted(folder.rglob("*"))]
    return [(str(p), p.stat().st_ino, p.stat().st_mtime_ns) for p in paths]
