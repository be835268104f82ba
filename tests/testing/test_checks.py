"""`bench check`: the contracts run without pytest, and say which check fails and why."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from drnn_bench import plugins
from drnn_bench.testing import FamilyContract, TaskContract
from drnn_bench.testing.checks import FAILED, LEFT_OUT, PASSED, check_file, checks_of, run_check
from drnn_bench.testing.tasks import Source
from tests.support.command import ENV, ROOT
from tests.support.page import FILES
from tests.support.refused import refusal

# Runs `bench` in a process that cannot import pytest.
WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = None
from drnn_bench.cli.app import main
main()
"""


LEAKY = {"family": "leaky_rnn", "options": {"width": 5}}


def bench_check(folder, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_PYTEST, "check", *words],
        capture_output=True, text=True, cwd=folder, env=ENV | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_right_task_passes_without_pytest(page):
    done = bench_check(page, "tone.py")
    lines = done.stdout.splitlines()
    count = len(checks_of(TaskContract))
    assert lines[0] == "task tone"
    assert lines[1:-1] == [
        f"  passed    {name.removeprefix('test_').replace('_', ' ')}"
        for name in checks_of(TaskContract)
    ]
    assert lines[-1] == f"{count} passed, 0 failed, 0 left out"
    assert (done.returncode, done.stderr) == (0, "")


def test_what_fails_is_one_line_and_exit_1(page, typed):
    text = (page / "tone.py").read_text()
    (page / "tone.py").write_text(text.replace("RandomState(0)", "RandomState(None)"))
    rows = json.loads(typed("check", "tone.py", "--json", code=1).stdout)
    assert {row["kind"] for row in rows} == {"task"}
    failed = {row["check"]: row["why"] for row in rows if row["result"] == FAILED}
    assert "gives the same data every time" in failed
    assert all(why and "\n" not in why for why in failed.values())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", "no class in it is a task, a family, a metric or a cell"),
        ("def f(:\n", "line 1: SyntaxError"),
        (None, "does not exist"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_line_and_exit_2(
    tmp_path, typed, monkeypatch, text, says
):
    monkeypatch.setenv(plugins.VARIABLE, "")
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    done = typed("check", "mine.py", code=2)
    assert says in done.stderr
    assert (done.stderr.count("\n"), done.stdout) == (1, "")


# What is wrong with the page's family -> what is put in place of what, the check that fails, and
# what it says.
FAULTS = {
    "future": (
        "new_TBH = rate", "x_TBI = x_TBI + x_TBI.roll(-1, 0)\n        new_TBH = rate",
        "an_input_never_changes_an_earlier_output", "inputs from step 1 on change outputs before",
    ),
    "gradient": (
        "(1 - rate)[None", "(1 - rate).detach()[None",
        "the_gradients_are_what_differences_show", "another gradient of layers.0.rate",
    ),
    "widths": (
        "(self.input_size, *self.widths)", "(self.input_size, *[self.width] * self.depth)",
        "layers_may_have_unequal_widths", "says `equal_widths = True`",
    ),
    "parameters": (
        "        nn.init.x", "        self.rate.requires_grad = False\n        nn.init.x",
        "counted_parameters_are_those_of_the_built_model", "parameters, built",
    ),
    "macs": (
        "2 * sum(self.widths)", "3 * sum(self.widths)",
        "the_claimed_macs_are_those_that_torch_computes", "claimed 90, counted 80",
    ),
    "state": (
        "return 4 * sum", "return 8 * sum",
        "the_claimed_state_is_what_a_stream_holds", "claimed 80 bytes, held 40",
    ),
    "raises": (
        "return h_TBH, h_TBH[-1]", "return h_TBH, h_TBH[-1] / None",
        "any_length_and_a_batch_of_one", "TypeError: unsupported operand",
    ),
    "leaves": (
        "return h_TBH, h_TBH[-1]", "raise SystemExit(3)",
        "any_length_and_a_batch_of_one", "SystemExit: 3 (leaky_rnn.py, line ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_family_that_is_wrong_is_named_by_the_check_that_fails(page, fault):
    right, wrong, check, says = FAULTS[fault]
    path = page / "leaky_rnn.py"
    assert right in FILES["leaky_rnn.py"]
    path.write_text(FILES["leaky_rnn.py"].replace(right, wrong))
    plugins.plugin(path)
    result, why = run_check(FamilyContract, f"test_{check}", LEAKY, path)
    assert result == FAILED
    assert says in why
    assert len(why.splitlines()) == 1


def test_what_a_family_does_not_claim_is_left_out(page):
    path = page / "leaky_rnn.py"
    path.write_text(FILES["leaky_rnn.py"].replace("def state_bytes", "def _bytes"))
    plugins.plugin(path)
    check = "test_the_claimed_state_is_what_a_stream_holds"
    why = "the family does not say how many bytes its state has"
    assert run_check(FamilyContract, check, LEAKY, path) == (LEFT_OUT, why)


def test_what_a_file_prints_is_no_check(page, capsys):
    path = page / "tone.py"
    path.write_text(FILES["tone.py"].replace("rng = np", "print('hello')\n        rng = np"))
    plugins.plugin(path)
    given = {"source": Source("tone:T=8")}
    result = run_check(TaskContract, "test_gives_the_same_data_every_time", given, path)
    out, errors = capsys.readouterr()
    assert (result, out) == ((PASSED, ""), "")
    assert f"plug-in {path} prints: hello" in errors


def test_all_that_a_file_defines_is_checked(page):
    (page / "both.py").write_text(FILES["tone.py"] + FILES["leaky_rnn.py"])
    found = [(kind.word, name) for kind, name in plugins.names_in(page / "both.py")]
    assert found == [("task", "tone"), ("family", "leaky_rnn")]
    assert next(check_file(str(page / "both.py"))).name == "tone"
    assert min(map(len, map(checks_of, (TaskContract, FamilyContract)))) > 10


def test_a_name_that_another_file_has_is_refused(page):
    (page / "other.py").write_text(FILES["tone.py"])
    plugins.plugin(page / "other.py")
    assert "task 'tone' is also in" in refusal(check_file, str(page / "tone.py"))
