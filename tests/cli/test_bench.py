"""The harness as its users meet it: real commands, processes, data and interruptions."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import torch

from tests.support.command import ENV, ROOT
from tests.support.runs import SMALL, counts, rows, total, wait_for


@pytest.mark.slow
def test_from_nothing_to_a_board_and_again(bench, typed, untimed, tmp_path):
    out = bench(*SMALL, "--budget", "2k").stdout
    assert "6 trials and 4 finals on 2 trainers" in out
    assert_ends_with_the_answer(out)
    assert "6 trials and 4 finals" in typed(*SMALL, "--budget", "5k").stdout
    assert {c.done for c in counts(tmp_path).values()} == {3}
    assert len(rows(tmp_path, "final")) == 8
    assert len(rows(tmp_path, "study")) == 4
    for row in rows(tmp_path, "final"):
        assert 0.05 < row["test"] < 1
        assert row["parameters"] <= row["budget"]
    speeds = rows(tmp_path, "speed")  # of the first budget
    # With all cores only where nobody else is on them.
    assert {1} <= {s["threads"] for s in speeds} <= {1, len(os.sched_getaffinity(0))}
    assert len({s["session"] for s in speeds}) == 1
    assert all(s["latency_ms"] > 0 and s["stream_us"] > 0 for s in speeds)
    assert all(s["peak_memory_mb"] > 0 for s in speeds) or sys.platform != "linux"

    board = json.loads(typed("leaderboard", "--format", "json").stdout)
    assert [line["n"] for line in board] == [2] * 4
    assert {line["family"] for line in board} == {"lstm", "dilated_cnn"}
    timed = [line for line in board if line["budget"] == 2_000]
    assert [line["speed_reference"][:12] for line in timed] == ["lstm depth=1"] * 2
    assert all(line["speed_ratio"] > 0 for line in timed)
    assert board[0]["trials"]["complete"] + board[0]["trials"]["pruned"] == 3

    # A second time it does nothing but show the board.
    before = (tmp_path / "runs" / "records.jsonl").read_bytes()
    again = typed(*SMALL, "--workers", "1", "--budget", "2k", "--budget", "5k", "--json")
    assert "Plan" not in again.stderr
    assert json.loads(again.stdout) == board  # and nothing else
    assert "loading\n" in again.stderr
    assert "Written to leaderboards/pixel_digits.md" in again.stderr
    assert (tmp_path / "runs" / "records.jsonl").read_bytes() == before

    # More trials go on from where it stands; another number of steps is another study.
    more = ("run", "--family", "lstm", "--seeds", "1", "--budget", "2k", "--workers", "1")
    assert "1 of 4" in typed(*more, "--steps", "20", "--trials", "4").stdout
    typed(*more, "--steps", "10", "--trials", "1")
    assert sorted(c.done for c in counts(tmp_path).values()) == [1, 3, 3, 3, 4]
    markdown = typed("leaderboard", "--format", "markdown").stdout
    assert markdown.count("### pixel_digits") == 3
    assert "bench run --task pixel_digits" in markdown
    assert len(typed("leaderboard", "--format", "csv").stdout.splitlines()) == 1 + 5
    compared = typed("compare", "--format", "markdown").stdout
    assert re.search(r"\| family +\| 2,000 +\| 5,000 +\|", compared)
    assert json.loads(typed("compare", "--format", "json").stdout)[0]["task"] == "pixel_digits"
    alone = typed("leaderboard", "--family", "lstm", "--budget", "5k").stdout
    assert len(re.findall(r"(?m)^ +\S+ +lstm ", alone)) == 1
    assert "Written to report.html" in typed("report").stdout
    assert "Best so far against seconds" in (tmp_path / "report.html").read_text()

    # A search database that cannot be read takes nothing from what is recorded.
    database = tmp_path / "runs" / "studies.db"
    whole = database.read_bytes()
    database.write_bytes(b"no database" * 1000)
    spoilt = typed("leaderboard", "--format", "markdown")
    assert "does not answer" in spoilt.stderr
    assert spoilt.stdout == markdown
    database.write_bytes(whole)

    # What is published is what its records give, until somebody edits it.
    typed("leaderboard", "--check")
    path = tmp_path / "leaderboards" / "pixel_digits.md"
    path.write_text(path.read_text().replace("lstm", "LSTM!"))
    assert "pixel_digits.md: differs" in typed("leaderboard", "--check", code=1).stderr
    typed("leaderboard", "--task", "pixel_mnist", code=2)
    typed("leaderboard", "--sort", "colour", code=2)
    typed("leaderboard", "--output", "/nowhere/board.md", code=2)


def assert_ends_with_the_answer(out: str) -> None:
    """The table, below it what to take, what to type next, and where it is published."""
    table, verdict, written = (
        out.rindex(words) for words in ("2 fresh seeds", "\nTake ", "\nWritten to leaderboards/")
    )
    assert table < verdict < written
    assert out[written:].count("\n") == 2
    next_words = out[verdict:written].partition("\nNext:\n")[2]
    assert re.findall(r"(?m)^  bench (\w+) --task pixel_digits", next_words)[-1] == "report"


@pytest.mark.slow
def test_ctrl_c_loses_nothing_and_the_same_command_goes_on(start, typed, untimed, tmp_path):
    words = (*SMALL, "--trials", "7", "--steps", "60", "--seeds", "1")  # many are left
    running = start(tmp_path, *words)
    wait_for(lambda: sum(c.done for c in counts(tmp_path).values()) >= 2)
    wait_for(lambda: sum(c.running for c in counts(tmp_path).values()) >= 1)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate()
    assert running.returncode == 130
    assert errors == (
        "bench: stopped: what is finished is saved in runs; the same command continues\n"
    )
    after = counts(tmp_path)
    assert all(c.running == 0 for c in after.values())
    assert 2 <= sum(c.done for c in after.values()) < 14
    finished = sum(c.done for c in after.values())
    out = typed(*words).stdout
    assert f"{14 - finished} trials and" in out
    assert {c.done for c in counts(tmp_path).values()} == {7}
    assert {c.failed for c in counts(tmp_path).values()} == {0}  # interrupted is not failed
    assert len(rows(tmp_path, "final")) == 2


@pytest.mark.slow
def test_a_second_run_on_the_same_folder_is_refused(start, typed, tmp_path):
    words = (*SMALL, "--trials", "100", "--steps", "200", "--workers", "1")
    running = start(tmp_path, *words)
    wait_for(lambda: total(tmp_path, "running"), running)
    refused = typed(*SMALL, code=2)
    assert "another `bench run` is at work" in refused.stderr
    assert "Plan" in typed(*words, "--dry-run").stdout  # to look is no work
    assert running.poll() is None


@pytest.mark.slow
def test_real_mnist_from_the_four_files(typed, untimed, tmp_path, mnist_dir):
    typed(
        "run", "--task", "pixel_mnist_permuted", "--data-dir", mnist_dir, "--steps", "3",
        "--trials", "1", "--seeds", "1", "--budget", "7.3k", "--workers", "1",
        "--search-space", ROOT / "search_spaces" / "paper" / "dilated_rnn_9x20.toml",
    )  # fmt: skip
    (final,) = rows(tmp_path, "final")
    assert final["parameters"] == 7_210
    assert final["recipe"]["optimizer"] == "rmsprop"
    assert final["test_size"] == 10_000
    assert str(mnist_dir) not in (tmp_path / "runs" / "records.jsonl").read_text()


@pytest.mark.slow
def test_copy_memory_ranks_by_nats(typed, untimed, tmp_path):
    typed(
        "run", "--task", "copy_memory:T=20", "--steps", "4", "--trials", "1", "--seeds", "1",
        "--family", "dilated_rnn", "--family", "lstm", "--budget", "2k", "--workers", "1",
    )  # fmt: skip
    board = json.loads(typed("leaderboard", "--format", "json").stdout)
    assert [line["direction"] for line in board] == ["min", "min"]
    assert board[0]["test_mean"] <= board[1]["test_mean"]
    assert all(1 < line["test_mean"] < 3 for line in board)
    assert (tmp_path / "leaderboards" / "copy_memory-T=20.csv").exists()
    assert "nats ↓" in typed("leaderboard").stdout


def test_the_plan_says_what_and_how_long_and_a_dry_run_stops_there(typed, tmp_path):
    words = ("run", "--task", "copy_memory:T=30", "--trials", "100", "--warm-start", "2")
    out = typed(*words, "--workers", "1", "--dry-run").stdout
    assert "400 trials and 28 finals" in out
    assert re.search(r"feasible *\n", out)
    assert re.search(r"lstm .* 8 of 8 *\n", out)
    assert "Warm start: the first 2 trials" in out
    assert re.search(r"about [\d.]+ (min|h|s)\.", out)
    assert not (tmp_path / "leaderboards").exists()
    assert not (tmp_path / "runs" / "studies.db").exists()  # nothing was begun


def test_describe_answers_without_training(typed):
    words = ("describe", "dilated_rnn", "cell=gru", "base=2", "depth=9", "start=0",
             "--task", "pixel_mnist", "--budget", "21500")  # fmt: skip
    facts = json.loads(typed(*words, "--json").stdout)
    assert facts["parameters"] == 21_210
    assert facts["width"] == 20
    assert facts["dilations"] == [2**i for i in range(9)]
    assert facts["mrl_period"] == pytest.approx(13.00390625)
    assert facts["mrl_horizon"] == 783
    assert facts["reach"] is None
    assert facts["recurrent_edges_per_node"] == 1
    assert facts["sequential_steps"] == sum(-(-784 // 2**i) for i in range(9))
    units, gates = 20, 3  # from the equations of nine layers and a head of ten classes
    assert facts["macs_per_step"] == gates * units * (1 + 8 * units + 9 * units) + 10 * units
    assert facts["state_bytes"] == 4 * units * (2**9 - 1)
    assert facts["weight_bytes"] == 4 * 21_210
    assert "21210" in typed(*words).stdout
    listed = typed("describe", "dilated_rnn", "dilations=4,8,16,32", "width=20,30,40,50",
                   "--task", "pixel_mnist", "--json").stdout  # fmt: skip
    assert json.loads(listed)["dilations"] == [4, 8, 16, 32]
    assert json.loads(listed)["config"]["width"] == [20, 30, 40, 50]
    lost = typed("describe", "dilated_rnn", "start=1", "width=4", "input_size=1", "output_size=2",
                 "--json").stdout  # fmt: skip
    assert json.loads(lost)["mrl"] == "inf"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run --task pixel_digit", "did you mean 'pixel_digits'"),
        ("run --task pixel_digits:size=3", "no option 'size'"),
        ("run --task copy_memory:T=0", "T must be at least 1"),
        ("run --family lstmm", "did you mean 'lstm'"),
        ("run --budget 5", "the smallest budget that works here is about"),
        ("run --budget five", "5000, 5k or 1.2M"),
        ("run --trials 0", "--trials must be at least 1"),
        ("run --steps -3", "--steps must be at least 1"),
        ("run --workers 0", "--workers must be at least 1"),
        ("run --sampler best", "known: tpe, random, qmc"),
        ("run --device tpu", "auto, cpu or cuda"),
        ("run --task pixel_mnist --data-dir nowhere", "nowhere does not exist"),
        ("run --task pixel_mnist --data-dir .", "train-images-idx3-ubyte"),
        ("run --task pixel_mnist", "--data-dir"),
        ("run --search-space nowhere.toml", "nowhere.toml does not exist"),
        ("run --storage nonsense", "no URL"),
        ("run --storage sqlite:///no/such/folder/s.db", "No such file"),
        ("run --runs-dir /proc/runs", "cannot be written"),
        ("run --colour red", "--colour"),
        ("leaderboard", "nothing has been run yet"),
        ("compare", "nothing has been run yet"),
        ("leaderboard --check", "nothing to check"),
        ("describe dilated_rnn cel=gru", "did you mean 'cell'"),
        ("describe dilated_rnn depth=0 width=3 --task pixel_mnist", "depth must be"),
        ("describe dilated_rnn depth=x width=3 --task pixel_mnist", "a whole number"),
        ("describe lstm width=3", "--task"),
        ("run --plugin mine.py", "--plugin stands before the command: bench --plugin FILE run"),
        ("describe lstm --task pixel_mnist", "width or budget"),
        ("nothing", "No such command"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2(words, said, tmp_path, typed):
    done = typed(*words.split(), code=2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert re.fullmatch(r"(loading\n)?(reading \S+\n)?", done.stdout)
    assert not (tmp_path / "leaderboards").exists()


def test_a_mistake_ends_a_real_process_the_same_way(bench):
    done = bench("run", "--task", "pixel_digit", code=2)
    assert "did you mean 'pixel_digits'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == "loading\n"


def test_a_database_that_does_not_answer_is_one_line_and_exit_1(typed):
    pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    done = typed("run", "--storage", "postgresql://u:secret@127.0.0.1:1/x", code=1)
    assert done.stderr.count("\n") == 1
    assert "does not answer" in done.stderr
    assert "secret" not in done.stderr


def test_help_is_light():
    code = (
        "import sys, drnn_bench, drnn_bench.cli\n"
        "heavy = {'torch', 'optuna', 'pandas', 'datasets', 'numpy', 'rich.table'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert out.stdout.strip() == "[]", out.stderr


def test_ls_lists_everything(bench):
    from drnn_bench.models.names import FAMILIES, GROUPS
    from drnn_bench.tasks.names import TASKS

    rows = json.loads(bench("ls", "families", "--json").stdout)
    assert [row["family"] for row in rows] == [*FAMILIES]
    assert all(row["family"] in GROUPS[row["group"]] for row in rows)
    assert len(json.loads(bench("ls", "tasks", "--json").stdout)) == len(TASKS)
    assert "pixel_digits" in bench("ls", "tasks").stdout


def test_a_read_only_reader_of_our_output_ends_quietly(tmp_path):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} {ROOT}/bench.py ls tasks | head -1"],
        capture_output=True, text=True, cwd=tmp_path, env=ENV,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_doctor_says_what_the_machine_has(typed, mnist_dir):
    facts = json.loads(typed("doctor", "--json", "--data-dir", mnist_dir).stdout)
    assert torch.__version__.startswith(facts["torch"])  # a build for CUDA names it after a +
    assert facts["data pixel_mnist"] == f"found in {mnist_dir}"
    assert "lacks ptb.train.txt" in facts["data char_ptb"]
    assert facts["data own"] == "yours: --task own:path=..."
    assert "needs --data-dir" in typed("doctor").stdout


def test_a_run_says_that_it_loads_before_it_loads_anything_large():
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['optuna'] = None\n"  # importing one of them fails
        "from drnn_bench.cli.app import main\n"
        "sys.argv = ['bench', 'run']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "loading\n"
    assert "ModuleNotFoundError" in done.stderr
