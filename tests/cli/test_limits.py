"""What cannot be is refused at once: by bounds, by room on the disk, by memory; in one line."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from optuna.trial import TrialState

from drnn_bench import plugins
from drnn_bench.errors import JobError, out_of_memory
from drnn_bench.jobs.progress import failures, study_progress
from drnn_bench.models.build import describe
from drnn_bench.models.mrl import _over_taps, mean_recurrent_length
from drnn_bench.models.registry import make_architecture
from drnn_bench.report.files import _write
from drnn_bench.search.space_file import make_space
from drnn_bench.search.study import open_study
from drnn_bench.search.trial_facts import TrialFacts
from drnn_bench.system.writable import check_boards, check_room, check_runs
from drnn_bench.tasks.registry import parse_task
from tests.support.command import ENV, ROOT, command
from tests.support.refused import refusal
from tests.support.world import World

SIZES = {"input_size": 1, "output_size": 10}


def quickly(call, *args, **kwargs):
    """Refuses within a second of this process's own time, whatever else the machine does."""
    began = time.process_time()
    said = refusal(lambda: call(*args, **kwargs))
    assert time.process_time() - began < 1
    return said


@pytest.mark.parametrize(
    ("family", "options", "said"),
    [
        ("lstm", {"depth": 1_000_000}, "depth must be at most 256, got 1,000,000"),
        ("dilated_cnn", {"depth": 10**30}, "depth must be at most 256, got about 10^30"),
        ("dilated_rnn", {"depth": 200, "base": 10**6}, "about 10^1194"),
        ("dilated_rnn", {"base": 10**9}, "base must be at most 10,000,000"),
        ("dilated_rnn", {"start": 5_000}, "is above 10,000,000 steps"),
        ("dilated_rnn", {"dilations": (1, 10**7)}, "dilations must be at most 1,000,000"),
        ("tcn", {"kernel": 10**6}, "kernel must be at most 1,000"),
        ("clockwork_rnn", {"modules": 10**6}, "modules must be at most 256"),
        ("clockwork_rnn", {"modules": 200}, "modules"),
        ("skip_rnn", {"skip": 10**9}, "skip must be at most 1,000,000"),
        ("skip_rnn", {"skip": 10**6, "base": 7, "depth": 250}, "about 10^216"),
        ("s4d", {"states": 10**9}, "states must be at most 100,000"),
        ("gru", {"embedding": 10**9}, "embedding must be at most"),
    ],
)
@pytest.mark.parametrize("size", [{"width": 4}, {"budget": 5_000}])
def test_a_net_that_cannot_be_is_refused_with_its_option_and_bound(family, options, said, size):
    assert said in quickly(describe, family, **SIZES, **options, **size)


def test_more_layers_than_parameters_are_refused_before_one_is_built():
    assert "200 layers" in quickly(describe, "lstm", **SIZES, depth=200, budget=100)


def test_a_budget_has_a_bound():
    assert "budget must be at most" in quickly(describe, "lstm", **SIZES, budget=10**15)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"depth": 1_000_000}, "depth must be at most 256"),
        ({"depth": {"low": 1, "high": 1_000_000}}, "depth must be at most 256"),
        ({"depth": [1, 1_000_000]}, "depth must be at most 256"),
        ({"base": 10**9}, "base must be at most"),
        ({"base": {"low": 2, "high": 10**9}}, "base must be at most"),
    ],
)
def test_a_space_with_nets_that_cannot_be_is_refused(space, said):
    table = {"family": "dilated_rnn", "space": {**space, "learning_rate": 0.01}}
    assert said in quickly(make_space, table)


def test_a_base_that_is_too_large_only_beside_the_defaults_is_taken():
    space = {"base": [2, 64], "depth": 2, "learning_rate": 0.01}
    assert make_space({"family": "dilated_cnn", "space": space}).entries


@pytest.mark.parametrize(
    "spec",
    [
        "copy_memory:T=1000000000",
        "pixel_mnist_noisy:T=99999999999",
        f"own:path=x,length={'9' * 30}",
        "own:path=x,rate=9999999999",
        "char_text:path=x,length=9999999",
    ],
)
def test_a_sequence_of_a_task_has_a_longest_length(spec):
    assert "must be at most 1,000,000" in quickly(parse_task, spec)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run --trials 1000000000000", "--trials must be at most 1,000,000"),
        ("run --steps 10000000000", "--steps must be at most"),
        ("run --seeds 1000000", "--seeds must be at most 1,000"),
        ("run --workers 1000000", "--workers must be at most 1,024"),
        ("run --budget 99999999999", "budget must be at most"),
        ("run --data-dir nowhere", "nowhere does not exist"),
        ("ls space lstm --data-dir nowhere", "nowhere does not exist"),
        ("ls space lstm --search-space /dev/zero", "is larger than any"),
        ("run --task char_text:path=/dev/zero", "is no file"),
        ("run --runs-dir=", "is an empty value"),
        ("measure lstm --lengths 1000000000", "at most 1,000,000"),
        ("measure lstm --batches 1,1000000000", "at most 1,000,000"),
    ],
)
def test_a_command_with_a_number_that_cannot_be_is_one_line(words, said, tmp_path, typed):
    done = typed(*words.split(), code=2)
    progress = done.stdout.removeprefix("loading\n")
    assert progress.removeprefix(f"reading {words.split()[-1]}\n") == ""
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("output", [".", "..", "/"])
def test_a_folder_is_no_page(output):
    assert "is a folder" in refusal(_write, Path(output), b"")


def test_an_empty_word_is_no_value(typed):
    assert "'' is an empty value" in typed("report", "--output", "", code=2).stderr


@pytest.mark.parametrize("step", [1, 2, 7])
@pytest.mark.parametrize("taps", [1, 2, 3, 8, 100])
def test_many_taps_at_once_are_what_one_after_the_other_gives(step, taps):
    values = np.random.RandomState(step * taps).rand(50)
    expected = [min(values[n - step * j] for j in range(taps) if step * j <= n) for n in range(50)]
    assert _over_taps(np.minimum, values, step, taps).tolist() == expected


def test_a_wide_fusion_layer_is_described_at_once():
    net = make_architecture("dilated_rnn", **SIZES, width=1, start=19, depth=1, fusion=True)
    began = time.process_time()
    mean_recurrent_length(net)
    assert time.process_time() - began < 2


# -- room and permission, found with the plan ------------------------------------------------------


@pytest.mark.parametrize(
    ("blocked", "kind"),
    [("runs", "file"), ("runs/weights", "file"), ("runs/data", "file"),
     ("runs/records.jsonl", "folder"), ("runs/studies.db", "folder"),
     ("runs/trainers.log", "folder"), ("leaderboards", "file"), ("leaderboards/records", "file"),
     ("leaderboards/pixel_digits.md", "folder"), ("leaderboards/pixel_digits.csv", "folder"),
     ("leaderboards/records/pixel_digits.jsonl", "folder")],
)  # fmt: skip
def test_what_cannot_be_written_is_said_with_the_plan(blocked, kind, tmp_path, typed):
    path = tmp_path / blocked
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if kind == "folder" else path.touch()
    done = typed("run", "--dry-run", "--family", "lstm", code=2)
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr
    assert blocked in done.stderr


def test_the_boards_folder_is_not_made_by_asking(tmp_path):
    check_boards("pixel_digits", tmp_path / "leaderboards")
    assert not any(tmp_path.iterdir())


def test_a_name_that_no_folder_can_have_is_one_line(tmp_path):
    assert "File name too long" in refusal(check_runs, tmp_path / ("x" * 300))


def test_a_read_only_folder_is_said_to_a_user_who_is_not_root(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o555)
    tmp_path.chmod(0o755)
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path; from drnn_bench.system.writable import check_runs\n"
        "os.getuid() or os.setuid(65534); check_runs(Path('runs'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True,
                          stderr=subprocess.PIPE)  # fmt: skip
    assert "runs folder runs cannot be written (Permission denied)" in done.stderr


def test_a_disk_without_room_for_the_weights_is_said(tmp_path):
    check_room(tmp_path, 0)
    with pytest.raises(JobError, match="MB are free") as refused:
        check_room(tmp_path, 10**18)
    assert len(str(refused.value).splitlines()) == 1


# -- memory ----------------------------------------------------------------------------------------


def raised(call) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is
        call()
    return caught.value


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: torch.empty(10**15), "not enough memory: 3.55 PiB wanted"),
        (lambda: np.ones(10**15), "not enough memory: 7.11 PiB wanted"),
        (
            lambda: torch.empty((2**40, 2**40)),
            "not enough memory: more than any machine has wanted",
        ),
    ],
)
def test_what_libraries_say_of_memory_is_one_line_with_the_size(error, said):
    assert out_of_memory(raised(error)) == said


def test_other_errors_are_no_lack_of_memory():
    assert out_of_memory(ValueError("cannot allocate a rank to 12 rows")) is None
    assert out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert out_of_memory(MemoryError()) == "not enough memory"
    gpu = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has")
    assert out_of_memory(gpu) == "not enough memory: 20.00 GiB wanted"


LIMITED = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
import torch, optuna, pandas, numba, scipy.stats  # what a command needs anyway
import drnn_bench.jobs.job, drnn_bench.speed.throughput
from drnn_bench import plugins
from drnn_bench.cli import app
size = int(open("/proc/self/statm").read().split()[0]) * 4096 + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (size, size))
del sys.argv[1]
app.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_data_that_does_not_fit_is_one_line_and_exit_1(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "300", "run", "--task", "copy_memory:T=900000",
         "--dry-run"],
        cwd=tmp_path, env=ENV, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert "not enough memory: 16.8 GiB wanted" in done.stderr


SPACE = 'family = "lstm"\n[space]\nlearning_rate = 0.01\n[recipe]\nbatch_size = 1000000\n'


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_training_step_that_does_not_fit_is_one_line_with_the_plan(tmp_path):
    """Workers inherit the limit: a batch of a million sequences of 64 steps and 1,000 units."""
    (tmp_path / "wide.toml").write_text(SPACE)
    limit = 6 * 2**30
    done = subprocess.run(
        command("run", "--search-space", "wide.toml", "--budget", "1M", "--workers", "1"),
        cwd=tmp_path, env=ENV, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert "lstm at 1,000,000 parameters, a training step of batch 1000000" in done.stderr
    assert "GiB wanted" in done.stderr


GREEDY = """
from dataclasses import dataclass
import torch
from drnn_bench.models.architecture import Stepwise
from drnn_bench.models.layers import recurrent_stack

@dataclass(frozen=True, kw_only=True)
class Greedy(Stepwise):
    family = "greedy"
    summary = "two layers ask for more than there is"

    def network(self):
        if self.depth == 2 and torch.get_default_device().type != "meta":
            torch.empty(10**15)
        sizes = self.input_size, self.widths, (1,) * self.depth, self.output_size
        return recurrent_stack("rnn", *sizes, 1, "orthogonal")
"""


def test_a_trial_that_does_not_fit_fails_with_the_size_and_the_search_goes_on(
    tmp_path, monkeypatch
):
    (tmp_path / "greedy.py").write_text(GREEDY)
    (tmp_path / "greedy.toml").write_text(
        'family = "greedy"\n[space]\ndepth = [1, 2]\nlearning_rate = 0.01\n'
    )
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path / "greedy.py"))
    world = World(tmp_path, families=("greedy",), sampler="random", pruner="none")
    world.search()
    [spec] = world.plan.specs
    study = open_study(world.storage, spec, world.plan.task)
    found = study_progress(spec, study, 3)
    assert found.counts.done == 3
    assert found.counts.failed > 0
    wanted = "not enough memory: 3.55 PiB wanted"
    failed = [t for t in world.trials() if t.state == TrialState.FAIL]
    assert {TrialFacts.of(t).reason for t in failed} == {wanted}
    assert failures([found]) == [f"greedy at {spec.budget:,}: {found.counts.failed} failed, "
                                 f"the last: {wanted}"]  # fmt: skip


def test_a_user_error_of_a_file_nobody_expected_is_one_line(typed):
    done = typed("ls", "data", "x" * 5000, code=2)
    assert done.stderr.count("\n") == 1
    assert "File name too long" in done.stderr
