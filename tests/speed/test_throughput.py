"""Speed and memory: turns and their statistics, what is run, `bench measure`."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.benchmark import Measurement
from torch.utils.benchmark.utils.common import TaskSpec

from drnn_bench.board import speed_tables
from drnn_bench.board.cells import MISSING
from drnn_bench.cli.measure import measure
from drnn_bench.models.names import FAMILIES
from drnn_bench.results.recipe import Recipe
from drnn_bench.speed import timing
from drnn_bench.speed.compare import FIGURES, parse_candidates
from drnn_bench.speed.memory import peak_memory
from drnn_bench.speed.throughput import MEASURES, side_by_side
from drnn_bench.speed.timing import (
    LEAST,
    PATIENCE,
    REPEATS,
    SECONDS,
    OtherWork,
    in_turns,
    spread,
    timed,
)
from drnn_bench.speed.workload import STREAM_STEPS, Runner, Workload
from drnn_bench.tasks.registry import parse_task
from drnn_bench.training.scoring import inputs
from tests.support.command import checked, in_this_process
from tests.support.refused import refusal
from tests.support.workloads import DIGITS, work

# -- turns ---------------------------------------------------------------------------------------

seconds = st.floats(0.001, 3 * PATIENCE)


@given(st.lists(seconds, min_size=1, max_size=5))
def test_models_take_turns_until_each_has_had_enough(each):
    went = []

    def turn(i: int) -> float:
        went.append(i)
        return each[i]

    taken = in_turns([partial(turn, i) for i in range(len(each))])
    for mine, one in zip(taken, each, strict=True):
        assert mine == [one] * len(mine)
        enough = len(mine) >= LEAST and sum(mine) >= SECONDS
        assert len(mine) == REPEATS or enough or (len(mine) >= 2 and sum(mine) >= PATIENCE)
        before = mine[:-1]  # one fewer had not been enough
        assert len(before) < REPEATS
        assert len(before) < LEAST or sum(before) < SECONDS
        assert len(before) < 2 or sum(before) < PATIENCE
    # Whoever is left takes part once in every round, and nobody comes back.
    rounds = max(map(len, taken))
    for number in range(rounds):
        left = [i for i, mine in enumerate(taken) if len(mine) > number]
        assert sorted(went[: len(left)]) == left
        went = went[len(left) :]
    assert not went


def test_every_round_has_another_order():
    went = []
    in_turns([lambda i=i: went.append(i) or 0.01 for i in range(3)], repeats=60)
    orders = {tuple(went[i : i + 3]) for i in range(0, len(went), 3)}
    assert len(orders) == 6


def test_short_runs_are_timed_in_blocks_after_one_that_is_not():
    counts = [0, 0]

    def run(i: int) -> None:
        counts[i] += 1

    taken = timed([partial(run, 0), partial(run, 1)], "cpu")
    assert [len(mine) for mine in taken] == [REPEATS, REPEATS]
    assert min(counts) > 10 * REPEATS


@given(st.lists(st.floats(1e-6, 100), min_size=2, max_size=30))
def test_the_spread_is_torchs_own(times):
    low, middle, high = spread(times)
    torchs = Measurement(1, times, TaskSpec("run()", ""))
    assert middle == pytest.approx(torchs.median)
    assert high - low == pytest.approx(torchs.iqr, abs=1e-9)
    assert min(times) <= low <= middle <= high <= max(times)


def test_other_work_is_what_other_processes_take():
    """Half a second of another process; more where still others are at work."""
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    began, work = time.perf_counter(), OtherWork()
    subprocess.run([sys.executable, "-c", burn], check=True)
    share, most = work.share(), (time.perf_counter() - began) * (os.cpu_count() or 1)
    assert 0.4 / most < share <= 1


def test_ones_own_work_is_no_other_work(monkeypatch):
    """On a machine where nothing else runs."""
    monkeypatch.setattr(
        timing, "_processor_time", lambda: (time.process_time(), time.perf_counter())
    )
    work = OtherWork()
    while time.process_time() - work._own < 0.1:
        pass
    assert work.share() < 0.01


# -- what is run ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "length", "expected"),  # (scored, last)
    [
        ("pixel_digits", None, (1, 1)),
        ("pixel_digits", 256, (1, 1)),
        ("copy_memory:T=50", None, (10, 10)),
        ("copy_memory:T=50", 8, (8, 8)),
        ("char_text:path=book.txt", 100, (100, None)),
    ],
)
def test_a_workload_scores_the_steps_that_its_task_does(task, length, expected, tmp_path):
    named = parse_task(task)
    if named.name == "char_text":
        (tmp_path / "book.txt").write_text("to be or not to be, that is the question. " * 600)
        named = type(named)(path=str(tmp_path / "book.txt")).read(None).task
    one = work("lstm", task=named, length=length)
    assert (one.scored, one.last) == expected
    assert one.length == (length or named.length)
    runner = Runner(one, "cpu")
    runner.train()
    assert runner.y.shape == (2, one.scored)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", ["pixel_digits", "copy_memory:T=50"])
def test_what_is_timed_is_given_inputs_as_in_training(task, family):
    """Symbols, where the task has them and the net takes them."""
    named = parse_task(task)
    one = work(family, task=named, width=8)
    runner = Runner(Workload.from_json(json.loads(json.dumps(one.to_json()))), "cpu")
    x = np.zeros((2, named.length), np.uint8)
    trained = inputs(named, x, "cpu", runner.model)
    assert (runner.x.dtype, runner.x.shape) == (trained.dtype, trained.shape)
    assert runner.x.max() <= (named.input_size - 1 if trained.dtype == torch.int64 else 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_runs_and_is_the_same_in_another_process(family):
    options = {"tcn": {"dropout": 0.5, "depth": 2}, "clockwork_rnn": {"modules": 2}}
    one = work(family, length=16, width=6, **options.get(family, {}))
    assert Workload.from_json(json.loads(json.dumps(one.to_json()))) == one
    runner = Runner(one, "cpu")
    fresh = [p.clone() for p in runner.model.parameters()]
    for name in (*MEASURES, *MEASURES):
        getattr(runner, name)()
    changed = [not torch.equal(a, b) for a, b in zip(fresh, runner.model.parameters(), strict=True)]
    assert any(changed)
    for rested, first in zip(runner.at_rest.parameters(), fresh, strict=True):
        assert torch.equal(rested, first)
    assert not runner.at_rest.training  # dropout is for training
    assert runner.model.training


def test_a_stream_goes_on_from_step_to_step():
    runner = Runner(work("lstm"), "cpu")
    steps = []
    real = runner.at_rest.stream

    def watched(x_BTI, state):
        steps.append((x_BTI.shape, state is None))
        return real(x_BTI, state)

    runner.at_rest.stream = watched
    runner.stream()
    runner.stream()
    assert len(steps) == 2 * STREAM_STEPS
    assert {shape for shape, _ in steps} == {(1, 1, 1)}
    assert [first for _, first in steps] == [True] + [False] * (len(steps) - 1)


# -- memory --------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_peak_memory_of_a_model_is_its_own_whoever_came_before():
    small = work("lstm", length=16)
    large = work("lstm", length=600, width=64, recipe=Recipe(batch_size=64))
    first, between, last = peak_memory([large, small, large], "cpu")
    states = 64 * 600 * 64 * 4 / 2**20  # MiB of the layer's outputs alone
    assert first > 2 * states
    assert last == pytest.approx(first, rel=0.05)
    assert between < states


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_peak_memory_is_the_same_in_fresh_processes():
    """Also of a net whose pieces once lay in a heap with gaps: 30 to 37 MiB."""
    copying = parse_task("copy_memory:T=100")
    net = work("s4d", task=copying, recipe=Recipe(), width=32)
    one, other = peak_memory([net], "cpu"), peak_memory([net], "cpu")
    assert one == pytest.approx(other, rel=0.1)
    assert 12 < one[0] < 28


# -- side by side --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "counts"), [(None, {1}), (min(2, len(os.sched_getaffinity(0))), None)]
)
def test_a_busy_machine_is_said_and_all_cores_are_timed_only_where_asked(
    monkeypatch, asked, counts
):
    monkeypatch.setattr(OtherWork, "share", lambda self: 0.5)
    monkeypatch.setattr("drnn_bench.speed.throughput.peak_memory", lambda works, device: [None])
    [rows] = side_by_side([[work("dilated_cnn", depth=1, length=8)]], "cpu", threads=asked)
    assert {row["threads"] for row in rows} == (counts or {asked})
    assert {row["machine"] for row in rows} == {"busy"}
    assert torch.get_num_threads() == 1  # as it was


def test_on_all_cores_only_what_is_asked_for_is_timed(monkeypatch):
    monkeypatch.setattr(OtherWork, "share", lambda self: 0.0)
    monkeypatch.setattr("drnn_bench.speed.throughput.cores", lambda: 2)
    monkeypatch.setattr("drnn_bench.speed.throughput.peak_memory", lambda works, device: [None])
    cell = [work("dilated_cnn", depth=1, length=8)]
    [[one], [two]] = side_by_side([cell], "cpu", on_all_cores=MEASURES[:2])
    assert (one["threads"], two["threads"]) == (1, 2)
    assert len(one["repeats"]) == len(MEASURES)
    assert len(two["repeats"]) == 2
    assert {"train_per_s", "infer_per_s"} < two.keys() < one.keys()
    assert {"latency_ms", "stream_us", "train_all_per_s", "infer_all_per_s"} <= one.keys()
    assert not {"latency_ms", "stream_us", "train_all_per_s", "infer_all_per_s"} & two.keys()


# -- bench measure -------------------------------------------------------------------------------

WORDS = ("dilated_cnn:depth=2,width=4", "dilated_cnn:depth=1,width=3")
NAMES = ["dilated_cnn depth=2 width=4", "dilated_cnn depth=1 width=3"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[dict]:
    """What `bench measure` prints as JSON, of a task whose data is nowhere."""
    options = ("--task", "pixel_mnist", "--lengths", "16,8", "--batches", "2", "--threads", "1")
    nowhere = tmp_path_factory.mktemp("nowhere")
    done = in_this_process("measure", *WORDS, *options, "--json", cwd=nowhere)
    return json.loads(checked(done, 0).stdout)


def test_measure_gives_a_row_for_each_length_batch_and_model_in_order(rows):
    assert [row["model"] for row in rows] == NAMES * 2
    assert [row["length"] for row in rows] == [16] * 2 + [8] * 2
    for row in rows:
        assert (row["batch_size"], row["threads"], row["task"]) == (2, 1, "pixel_mnist")
        assert row["machine"] in ("idle", "busy")
        assert len(row["repeats"]) == len(MEASURES)
        assert min(row["repeats"]) >= 2
        assert row["kernels"]
        assert {"processor", "torch", "dtype", "device", "git_commit", "started"} <= row.keys()
        for key in ("train_per_s", "infer_per_s", "latency_ms", "stream_us"):
            assert 0 < row[f"{key}_low"] <= row[key] <= row[f"{key}_high"]


def test_ratios_are_to_the_first_of_the_same_cell(rows):
    for i, row in enumerate(rows):
        first = rows[i - i % 2]
        assert row["base"] == NAMES[0]
        for key in FIGURES:
            if first[key]:
                assert row[f"{key}_ratio"] == row[key] / first[key]
            else:  # memory that is less than can be seen, or no system that tells
                assert row[f"{key}_ratio"] is None


def test_the_tables_show_every_cell_and_how_time_grows(rows):
    text = speed_tables.to_markdown(rows)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len(tables) == 2 * (2 + 2)
    assert tables[0].count("|") == 3 + len(FIGURES)
    assert text.index("### 16 steps, batch 2, 1 thread") < text.index("### 8 steps, batch 2")
    assert f"Ratios to {NAMES[0]}" in text
    assert f"1.00x ({rows[0]['train_per_s']:,.0f})" in tables[2]
    assert "From 8 steps to 16 steps (2 times; batch 2, 1 thread)" in text
    took = [2 / row["train_per_s"] for row in rows]
    assert f": {NAMES[0]} {took[0] / took[2]:.1f} and " in text
    assert "From batch" not in text
    assert f"{NAMES[1]}: base=2 depth=1 kernel=2 width=3." in text

    read = list(csv.DictReader(io.StringIO(speed_tables.to_csv(rows))))
    assert [row["model"] for row in read] == NAMES * 2
    assert json.loads(read[1]["config"]) == rows[1]["config"]

    from rich.console import Console

    told = io.StringIO()
    speed_tables.print_tables(Console(file=told, width=80), rows)
    assert max(map(len, told.getvalue().splitlines())) <= 80
    assert "16 steps, batch 2, 1 thread" in told.getvalue()


def test_a_figure_that_is_not_known_is_shown_as_none(rows):
    bare = [row | {"peak_memory_mb": None, "peak_memory_mb_ratio": None} for row in rows]
    assert MISSING in speed_tables.to_markdown(bare)
    assert all(row["peak_memory_mb"] == "" for row in csv.DictReader(
        io.StringIO(speed_tables.to_csv(bare))))  # fmt: skip


def test_models_are_named_by_family_or_by_what_tells_them_apart():
    def names(*words: str) -> list[str]:
        return [model.name for model in parse_candidates(list(words), DIGITS, 5000, [64])]

    assert names("lstm:depth=2", "dilated_cnn:depth=3") == ["lstm", "dilated_cnn"]
    assert names("lstm", "lstm:depth=2") == ["lstm", "lstm depth=2"]
    assert names("lstm", "lstm", "lstm") == ["lstm", "lstm (2)", "lstm (3)"]
    [one] = parse_candidates(["gru:depth=2,width=4,8"], DIGITS, 5000, [64])
    assert one.architecture.widths == (4, 8)  # a width of one's own, not the budget's


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        (["lsmt"], {}, "unknown family 'lsmt': did you mean 'lstm'"),
        (["lstm:cell=gru"], {}, "lstm has no option 'cell'"),
        (["lstm:depth"], {}, "'depth' should be key=value"),
        (["lstm:depth=two"], {}, "depth=two: should be a whole number"),
        (["lstm:input_size=3"], {}, "input_size is the task's (pixel_digits)"),
        (["lstm"], {"budget": "20"}, "budget 20 is too small for lstm"),
        (["lstm"], {"budget": "many"}, "many"),
        (["lstm"], {"task": "pixel_digit"}, "unknown task 'pixel_digit'"),
        (["lstm"], {"lengths": "256,long"}, "--lengths 256,long: should be whole numbers"),
        (["lstm"], {"lengths": ""}, "--lengths : should be whole numbers above 0"),
        (["lstm"], {"lengths": "256,-1"}, "--lengths 256,-1: should be whole numbers above 0"),
        (["lstm"], {"batches": "0"}, "--batches 0: should be whole numbers above 0"),
        (["lstm"], {"threads": 0}, "--threads must be 1 to"),
        (["lstm"], {"threads": 10_000}, "--threads must be 1 to"),
        (["lstm"], {"device": "tpu"}, "unknown --device 'tpu'"),
        (["dilated_rnn:depth=9"], {"lengths": "1024,256"}, "256, reaches the sequence length 256"),
        (["lstm", "dilated_cnn:depth=9,width=4"], {}, "256, reaches the sequence length 64"),
    ],
)
def test_wrong_input_is_told_in_one_line(words, options, said):
    assert said in refusal(partial(measure, words, **options))


def test_wrong_input_ends_with_exit_code_2(typed):
    assert typed("measure", "lsmt", code=2).stderr.startswith("bench: unknown family 'lsmt'")
    assert "Missing argument" in typed("measure", code=2).stderr
