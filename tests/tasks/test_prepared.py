"""Prepared data: a copy that is not as it was written is made again, or refused in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from drnn_bench.errors import JobError, UserError
from drnn_bench.execution.carry import finish
from drnn_bench.jobs.finals import FinalJob, keep_final
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.tasks.prepared import all_prepared, open_prepared, prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import data_hash
from drnn_bench.tasks.verification import MANIFEST
from tests.support.command import ENV
from tests.support.searched import searched

TASK = "copy_memory:T=20"  # generated at once, without unequal lengths


@pytest.fixture
def prepared(tmp_path):
    return prepare(parse_task(TASK), None, tmp_path / "data")


def keeping_time(path: Path, data: bytes) -> None:
    """Writes a file and gives it the time that it had."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def zeros(path: Path) -> None:
    array = np.load(path)
    np.save(path, np.zeros_like(array))


def zeros_at_the_same_time(path: Path) -> None:
    data = path.read_bytes()
    keeping_time(path, data[:128] + bytes(len(data) - 128))


def one_byte_between_the_blocks(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 + 100] ^= 1
    keeping_time(path, bytes(data))


DAMAGE = {
    "set to zeros": ("test_y.npy", zeros),
    "set to zeros, at the same time": ("test_y.npy", zeros_at_the_same_time),
    "cut": ("train_x.npy", lambda path: path.write_bytes(path.read_bytes()[:1000])),
    "emptied": ("train_x.npy", lambda path: path.write_bytes(b"")),
    "missing": ("validation_y.npy", Path.unlink),
    "not an array": ("test_x.npy", lambda path: path.write_text("hello")),
    "another split's": (
        "test_y.npy",
        lambda path: shutil.copy(path.parent / "validation_y.npy", path),
    ),
    "an array more": ("test_lengths.npy", lambda path: np.save(path, np.ones(3, np.int64))),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_copy_is_refused_by_a_worker_and_written_again_by_a_run(prepared, damage):
    name, act = DAMAGE[damage]
    act(Path(prepared.folder) / name)
    with pytest.raises(JobError, match=rf"is damaged: {name} (was|is) \w+") as refused:
        open_prepared(prepared.folder)
    assert "\n" not in str(refused.value)
    with pytest.raises(JobError, match="is damaged"):
        prepared.verified()
    again = prepare(parse_task(TASK), None, Path(prepared.folder).parent)
    assert again == prepared
    assert len(again.notes) == 1
    assert name in again.notes[0]
    assert data_hash(open_prepared(prepared.folder).verified()) == prepared.data_hash
    assert not (Path(prepared.folder) / "test_lengths.npy").exists()
    assert prepare(parse_task(TASK), None, Path(prepared.folder).parent).notes == ()


def test_what_the_quick_check_cannot_see_the_full_one_does(prepared):
    path = Path(prepared.folder) / "train_x.npy"
    assert path.stat().st_size > 32 * 4096
    prepared.verified()  # this process has hashed it, and notices that it has to again
    one_byte_between_the_blocks(path)
    assert open_prepared(prepared.folder) == prepared
    with pytest.raises(JobError, match=r"its arrays have the hash \w+, not"):
        prepared.verified()
    [note] = prepare(parse_task(TASK), None, path.parent.parent).notes
    assert "was written again" in note
    assert data_hash(prepared.verified()) == prepared.data_hash


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"name": "copy_memory"}'])
def test_a_damaged_description_is_one_line_and_is_written_again(prepared, damage):
    path = Path(prepared.folder) / "task.json"
    whole = path.read_bytes()
    path.write_bytes(damage)
    with pytest.raises(JobError, match=r"task\.json: damaged") as refused:
        open_prepared(prepared.folder)
    assert all_prepared(path.parent.parent) == ([], [str(refused.value)])
    [note] = prepare(parse_task(TASK), None, path.parent.parent).notes
    assert "task.json was changed" in note
    assert path.read_bytes() == whole
    assert open_prepared(prepared.folder) == prepared


def test_a_folder_of_before_there_were_manifests_works_and_gets_one(prepared):
    manifest = Path(prepared.folder) / MANIFEST
    manifest.unlink()
    assert open_prepared(prepared.folder) == prepared
    assert manifest.is_file()
    manifest.unlink()
    zeros(Path(prepared.folder) / "test_y.npy")
    with pytest.raises(JobError, match="its arrays have the hash"):
        open_prepared(prepared.folder)


@pytest.mark.parametrize("damage", [b"", b"3", b'{"files": 7}', b"[" * 100_000, b"\xff"])
def test_a_damaged_manifest_is_made_anew(prepared, damage):
    manifest = Path(prepared.folder) / MANIFEST
    whole = json.loads(manifest.read_bytes())
    manifest.write_bytes(damage)
    assert open_prepared(prepared.folder) == prepared
    assert json.loads(manifest.read_bytes()) == whole


def test_a_folder_that_takes_no_manifest_is_checked_all_the_same(prepared):
    manifest = Path(prepared.folder) / MANIFEST
    manifest.unlink()
    manifest.mkdir()  # stands for a folder that cannot be written: root writes to any
    assert open_prepared(prepared.folder) == prepared
    zeros(Path(prepared.folder) / "test_y.npy")
    with pytest.raises(JobError, match="is damaged"):
        open_prepared(prepared.folder)


def test_a_copy_of_the_folder_is_good(prepared, tmp_path):
    folder = tmp_path / "elsewhere" / Path(prepared.folder).name
    shutil.copytree(prepared.folder, folder, copy_function=shutil.copyfile)  # with new times
    assert open_prepared(folder).data_hash == prepared.data_hash


def test_many_that_repair_at_once_end_with_one_whole_copy(prepared):
    zeros(Path(prepared.folder) / "test_y.npy")
    (Path(prepared.folder) / "train_x.npy").unlink()
    task, cache, results = parse_task(TASK), Path(prepared.folder).parent, []
    crowd = [
        threading.Thread(target=lambda: results.append(prepare(task, None, cache)))
        for _ in range(5)
    ]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert results == [prepared] * 5
    assert [path.name for path in cache.iterdir()] == [Path(prepared.folder).name]
    assert data_hash(open_prepared(prepared.folder).verified()) == prepared.data_hash


# A limit on a file's size stands for a full disk or a folder that cannot be written.
REPAIR = """
import resource, sys
from pathlib import Path
from drnn_bench.errors import JobError
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.prepared import prepare
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    prepare(parse_task(sys.argv[1]), None, Path(sys.argv[2]))
except JobError as error:
    print(error)
"""


def test_a_damaged_copy_that_cannot_be_written_again_is_one_line(prepared):
    (Path(prepared.folder) / "test_y.npy").unlink()
    cache = str(Path(prepared.folder).parent)
    done = subprocess.run(
        [sys.executable, "-c", REPAIR, TASK, cache], capture_output=True, text=True, env=ENV
    )
    assert done.stdout.startswith(f"{cache}: the data cannot be written there")
    assert "is damaged: test_y.npy is missing" in done.stdout
    assert done.stdout.count("\n") == 1, done.stderr
    assert os.listdir(cache) == [Path(prepared.folder).name]


def test_a_task_that_has_other_options_today_is_one_line(prepared):
    folder = Path(prepared.folder)
    saved = json.loads((folder / "task.json").read_text())
    told = prepare(parse_task(TASK), None, folder.parent).task
    assert saved["fields"] == told.saved
    # As an earlier version of the task would have written it.
    text = json.dumps(saved | {"fields": {"before": 1}}).encode()
    other = folder.with_name(f"copy_memory-{sha256(text).hexdigest()[:12]}")
    shutil.copytree(folder, other)
    (other / "task.json").write_bytes(text)
    with pytest.raises(UserError, match="written by another version of task copy_memory"):
        open_prepared(other)
    assert [p.folder for p in all_prepared(folder.parent)[0]] == [str(folder)]


# -- finals ------------------------------------------------------------------------------------


def final(prepared, weights: Path, searched_on: str | None = None) -> dict:
    data_hash = searched_on or prepared.data_hash
    one = searched("dilated_cnn", task=TASK, data_hash=data_hash, depth=2, steps=4)
    job, rows = FinalJob(spec=one.spec, best=one.best, seed=7, device="cpu"), []
    keep_final(finish(job, prepared), weights, rows.append)
    return rows[0]


def test_a_final_reads_no_data_that_was_changed(prepared, tmp_path):
    assert final(prepared, tmp_path / "weights")["state"] == "complete"
    zeros(Path(prepared.folder) / "test_y.npy")
    with pytest.raises(JobError, match=r"is damaged: its arrays have the hash"):
        final(prepared, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_final_whose_data_is_changed_while_it_trains_is_refused(prepared, tmp_path):
    path, calls = Path(prepared.folder) / "test_y.npy", []

    def change(module, inputs):
        if not calls:
            np.load(path, mmap_mode="r+")[:] = 0
        calls.append(module)

    hook = torch.nn.modules.module.register_module_forward_pre_hook(change)
    try:
        with pytest.raises(JobError, match="is damaged"):
            final(prepared, tmp_path / "none")
    finally:
        hook.remove()
    assert calls
    assert not (tmp_path / "none").exists()


def test_a_final_takes_no_data_but_that_of_its_search(prepared, tmp_path):
    other = replace(prepared, data_hash="0" * 16)
    with pytest.raises(JobError, match="the search's had"):
        final(other, tmp_path, searched_on=prepared.data_hash)


def test_a_run_says_that_it_prepared_its_data_again(tmp_path):
    request = Request(task=TASK, families=("dilated_cnn",), runs_dir=str(tmp_path))
    first = make_plan(request)
    assert first.prepared.notes == ()
    zeros(Path(first.prepared.folder) / "test_y.npy")
    second = make_plan(request)
    assert second.specs == first.specs
    [note] = second.prepared.notes
    assert "test_y.npy was changed" in note
