"""What a row says of the machine that it came from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from drnn_bench.results import schema
from drnn_bench.system import provenance as module
from drnn_bench.system.provenance import cores, provenance
from tests.support.command import ENV

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) : Platinum
stepping\t: 8
flags\t\t: fpu sse4_2 avx2 avx f16c fma avx512f amx_tile movbe

processor\t: 1
model name\t: another
"""
ARM = """processor\t: 0
Features\t: fp asimd sve crc32 asimdhp
CPU implementer\t: 0x41
CPU part\t: 0xd40
CPU variant\t: 0x1
CPU revision\t: 1
"""


@pytest.mark.parametrize(
    ("text", "name", "cpu", "simd"),
    [
        (X86, "Intel(R) Xeon(R) : Platinum", "GenuineIntel 6 143 8",
         "amx_tile avx avx2 avx512f f16c fma"),
        (ARM, platform.processor() or platform.machine(), "0x41 0xd40 0x1 1", "asimd asimdhp sve"),
        (None, platform.processor() or platform.machine(), "", ""),
    ],
)  # fmt: skip
def test_processors_are_told_apart_by_model_and_vector_instructions(
    monkeypatch, text, name, cpu, simd
):
    def read_text(path, **options):
        if text is None:
            raise FileNotFoundError
        return text

    module._cpuinfo.cache_clear()
    monkeypatch.setattr(Path, "read_text", read_text)
    try:
        assert module.processor().rpartition(",")[0] == name
        assert module._instructions() == {"cpu": cpu, "simd": simd}
    finally:
        module._cpuinfo.cache_clear()


def test_a_row_says_what_decides_its_bits_in_few_words():
    facts = provenance("cpu", 1)
    assert facts["numpy"] == np.__version__
    assert {"numba", "torch", "processor", "cpu", "simd", "threads"} <= facts.keys()
    assert len(json.dumps(facts)) < 1000
    known = {key.removesuffix("?"): kind for key, kind in schema.EVERY.items()}
    for key in ("numpy", "numba", "cpu", "simd"):
        assert known[key].fits(facts[key])


CORES = "from drnn_bench.system.provenance import cores; print(cores())"
QUOTA = (
    "mount -t tmpfs tmpfs /sys/fs/cgroup && echo '150000 100000' > /sys/fs/cgroup/cpu.max "
    '&& exec "$@"'
)


def test_the_cores_are_those_that_a_container_may_use():
    """A quota of one processor and a half, as `docker run --cpus 1.5` sets it."""
    box = ("unshare", "-rm", "sh", "-c")
    if subprocess.run([*box, QUOTA, "sh", "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here: no quota can be set up")
    done = subprocess.run(
        [*box, QUOTA, "sh", sys.executable, "-c", CORES], capture_output=True, text=True, env=ENV
    )
    assert int(done.stdout) == min(2, os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_the_cores_are_those_that_taskset_leaves():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cores() <= len(before)


def test_only_what_a_run_computes_with_makes_a_checkout_dirty(tmp_path, monkeypatch):
    """Not a folder of runs, whatever its name, nor the boards that a run writes."""
    for name in ("drnn_bench/system/provenance.py", "search_spaces/lstm.toml", "bench.py",
                 "leaderboards/a.md"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "drnn_bench/system/provenance.py"))
    for name, dirty in (
        ("other-runs/records.jsonl", False),
        ("leaderboards/a.md", False),
        ("drnn_bench/family.py", True),
        ("search_spaces/lstm.toml", True),
        ("bench.py", True),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("2\n")
        commit, found = module._git()
        assert (len(commit or ""), found) == (40, dirty), name
        subprocess.run([*git, "stash", "-qu"], check=True)
