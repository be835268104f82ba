"""Tasks and families of a user's own: the page that tells how, what is refused, and what the
contracts catch."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import drnn_bench
from drnn_bench import plugins
from drnn_bench.models.registry import architecture_type, family_names
from drnn_bench.results import records
from drnn_bench.search.space_file import default_path, read_space
from drnn_bench.tasks.registry import parse_task, task_names, task_type
from tests.support.command import ROOT
from tests.support.page import COMMANDS, FILES
from tests.support.refused import refusal

# -- the page ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_command_of_the_page_runs_as_it_stands(page, typed, untimed, monkeypatch):
    commands = [shlex.split(line)[1:] for line in COMMANDS if line.startswith("bench ")]
    said = {}
    for words in commands:
        monkeypatch.setenv(plugins.VARIABLE, "")  # as in a process of its own
        said[words[-1]] = typed(*words).stdout
    assert re.search(r"\ntone:T=64,noise=0.5  [^:]*\n +64 steps a sequence, ranked", said["tasks"])
    assert re.search(r"leaky_rnn  .*\n +linear; searches depth, slowest", said["families"])
    assert re.search(r"parameters +19\d\d\n", said["2k"])
    assert re.search(r"leaky  .*\n +gates: 1, states: 1; kernels: torch's", said["cells"])
    assert re.search(r"parameters +2,?[89]\d\d\n", said["3k"])

    rows, _ = records.read(page / "leaky_runs" / "records.jsonl")
    assert {tuple(row["plugins"]) for row in rows if row["role"] == "study"} == {("cell leaky",)}

    rows, _ = records.read(page / "runs" / "records.jsonl")
    finals = {row["family"]: row for row in rows if row["role"] == "final"}
    assert finals.keys() == {"leaky_rnn", "lstm"}
    assert finals["leaky_rnn"]["task"] == "tone:T=40,noise=0.5"
    assert finals["leaky_rnn"]["config"].keys() == {"depth", "slowest", "width"}

    assert re.search(r"leaky_rnn .+ lstm ", said["2"], re.DOTALL)
    for name in ("my_net.py", "my_task.py", "tone.py", "leaky_rnn.py"):
        assert re.search(r"\d passed, 0 failed, 0 left out\n$", said[name])

    # The board needs records, not the files; what is unfinished needs them, and this is said.
    (page / "tone.py").unlink()
    kept = [row for row in rows if row["family"] == "lstm"]
    (page / "runs" / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    monkeypatch.setenv(plugins.VARIABLE, "")
    done = typed("leaderboard", "--format", "json")
    assert [line["family"] for line in json.loads(done.stdout)] == ["lstm"]
    assert re.fullmatch(
        r"bench: the unfinished search tone:T=40\S+ is not shown: unknown task 'tone': .*\n",
        done.stderr,
    )


@pytest.fixture
def package(page) -> dict[str, str]:
    """The page's package as it lies where pip puts one; the variables under which it is found."""
    folder = page / "site" / "my_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name in ("tone.py", "leaky_rnn.py", "leaky_rnn.toml", "leaky.py"):
        (page / name).rename(folder / name)
    groups = tomllib.loads(FILES["pyproject.toml"])["project"]["entry-points"]
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    install(page / "site", "my_package", lines)
    return {"PYTHONPATH": str(page / "site")}


def install(site: Path, name: str, lines: list[str]) -> None:
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")


def test_an_installed_package_needs_no_option(package, bench):
    assert bench("ls", "tasks", **package).stdout.count("tone:T=64") == 1
    facts = json.loads(
        bench("describe", "leaky_rnn", "width=3", "--task", "tone", "--json", **package).stdout
    )
    assert facts["mrl_horizon"] == 63


def test_a_broken_package_is_one_line_and_harms_nothing_else(package, bench, page):
    install(page / "site", "other", [
        "[drnn_bench.models]",
        "broken = my_package.nowhere:Net",
        "wrong = my_package.tone:Tone",
        "misnamed = my_package.leaky_rnn:LeakyRNN",
        "lstm = my_package.leaky_rnn:LeakyRNN",
        "[drnn_bench.tasks]",
        "tone = my_package.tone:Tone",
    ])  # fmt: skip
    says = {
        "broken": "'my_package.nowhere:Net' of package other cannot be imported: "
        "ModuleNotFoundError: No module named 'my_package.nowhere'",
        "wrong": "is no family: no subclass of drnn_bench.models.architecture.Architecture",
        "misnamed": "the class has family = 'leaky_rnn'",
    }
    done = bench("ls", "families", "--json", **package)
    searched = {row["family"]: row["searched"] for row in json.loads(done.stdout)}
    assert searched["leaky_rnn"] == "depth, slowest, learning_rate"
    assert searched["lstm"] == "depth, init, learning_rate"  # our own
    assert done.stderr.count("\n") == 4
    assert "lstm = 'my_package.leaky_rnn:LeakyRNN' of package other is left out" in done.stderr
    for words in says.values():
        assert words in done.stderr
    done = bench("describe", "broken", **package, code=2)
    assert done.stderr.count("\n") == 1
    assert says["broken"] in done.stderr
    # Two packages and a file, one name: none is taken.
    (page / "tone.py").write_text(FILES["tone.py"])
    words = ("--plugin", "tone.py", "describe", "lstm", "width=3", "--task", "tone")
    done = bench(*words, **package, code=2)
    assert "task 'tone' stands for 3: " in done.stderr
    for place in ("package my_package", "package other", f"plug-in {page / 'tone.py'}"):
        assert place in done.stderr


# -- files -------------------------------------------------------------------------------------


def test_a_file_is_taken_from_python_and_read_once(page, monkeypatch):
    monkeypatch.chdir(page)
    for _ in range(2):
        drnn_bench.plugin("tone.py")
        drnn_bench.plugin(page / "leaky_rnn.py")
    assert task_type("tone") is task_type("tone")
    assert task_names()[-1] == "tone"
    assert family_names()[-1] == "leaky_rnn"
    assert default_path("leaky_rnn") == page / "leaky_rnn.toml"
    model = drnn_bench.build("leaky_rnn", input_size=1, output_size=4, budget=2_000, depth=1)
    assert 1_900 <= sum(p.numel() for p in model.parameters()) <= 2_000
    assert "did you mean 'tone'?" in refusal(task_type, "tune")


def test_options_are_read_as_their_types_say(page):
    drnn_bench.plugin(page / "tone.py")
    task = parse_task("tone:noise=1e-1,T=7")
    assert (task.noise, task.T, task.key) == (0.1, 7, "tone:T=7,noise=0.1")
    for text in ("loud", "", "nan", "inf"):
        assert f"noise={text} is no number" in refusal(parse_task, f"tone:noise={text}")


def test_what_comes_with_drnn_bench_is_found_without_looking_at_packages():
    code = (
        "from drnn_bench.plugins.entry_points import entry_points_of\n"
        "from drnn_bench.models import registry as models\n"
        "from drnn_bench.tasks import registry as tasks\n"
        "tasks.parse_task('pixel_digits'), models.architecture_type('lstm')\n"
        "print(entry_points_of.cache_info().misses)\n"
        "tasks.task_names()\n"
        "print(entry_points_of.cache_info().misses)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["0", "1"], done.stderr


def test_a_family_without_a_search_space_is_told_where_to_put_one(page, bench):
    (page / "leaky_rnn.toml").rename(page / "mine.toml")
    drnn_bench.plugin(page / "leaky_rnn.py")
    told = (
        "family leaky_rnn has no search space: put leaky_rnn.toml beside "
        f"{page / 'leaky_rnn.py'}, or give --search-space"
    )
    assert refusal(default_path, "leaky_rnn") == told
    assert read_space(page / "mine.toml").family == "leaky_rnn"
    done = bench("--plugin", "leaky_rnn.py", "ls", "families")
    assert re.search(r"leaky_rnn  leaky integrators.*\n +linear; searches nothing", done.stdout)
    assert done.stderr == f"bench: {told}\n"


LEARNED = """
import dataclasses
import numpy as np
from drnn_bench.errors import UserError
from drnn_bench.tasks.task import Reading, Task

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Task):
    seconds: int | None = dataclasses.field(default=None, metadata={"learned": True})
    name = "mine"
    version = 1
    summary = "as long as its data"
    metric = "accuracy"
    scored = input_size = 1
    output_size = 2
    default_budget = default_steps = default_trials = 1000
    length = property(lambda self: self.seconds * 8)

    def read(self, data_dir):
        x, y = np.zeros((2, 16), np.uint8), np.array([0, 1])
        arrays = dict.fromkeys(("train", "validation", "test"), (x, y))
        return Reading(dataclasses.replace(self, seconds=2), arrays)
"""


def test_a_task_whose_size_only_its_data_tells_is_listed(tmp_path, bench):
    (tmp_path / "mine.py").write_text(LEARNED)
    rows = json.loads(bench("--plugin", "mine.py", "ls", "tasks", "--json").stdout)
    assert (rows[-1]["task"], rows[-1]["steps in sequence"]) == ("mine", None)
    listed = bench("--plugin", "mine.py", "ls", "tasks").stdout
    assert re.search(r"\nmine  .*\n +sequences as long as its data's, ranked by accuracy", listed)
    described = bench("--plugin", "mine.py", "describe", "lstm", "width=2", "--task", "mine")
    assert re.search(r"mrl_horizon +15\n", described.stdout)


def changed(name: str, old: str, new: str) -> str:
    assert old in FILES[name]
    return FILES[name].replace(old, new)


# What is wrong with a file -> (its text, what is said).
WRONG = {
    "syntax": ("import os\n\ndef f(:\n", ", line 3: SyntaxError: invalid syntax"),
    "raises": ("x = 1\nx / 0\n", ", line 2: ZeroDivisionError: division by zero"),
    "raises deeper": (
        "import json\n\ndef f():\n    json.loads('')\n\nf()\n",
        ", line 4: JSONDecodeError: Expecting value",
    ),
    "lines in what it raises": ("raise ValueError('one\\ntwo')\n", "line 1: ValueError: one two"),
    "leaves": ("import sys\nsys.exit(3)\n", ", line 2: SystemExit: 3"),
    "nothing in it": ("x = 1\n", "no class in it is a task, a family, a metric or a cell"),
    "only another's": (
        "from drnn_bench.models.plain import LSTM\n",
        "no class in it is a task, a family, a metric or a cell",
    ),
    "no name": (changed("tone.py", '    name = "tone"\n', ""), 'class Tone lacks name = "..."'),
    "facts": (
        changed("tone.py", "    scored = 1\n    input_size = 1\n", ""),
        "class Tone lacks scored, input_size",
    ),
    "no data": (changed("tone.py", "def load", "def lead"), "class Tone lacks load or read"),
    "no length": (changed("tone.py", "def length", "def size"), "class Tone lacks length"),
    "no decorator": (
        changed("tone.py", "@dataclass(frozen=True, kw_only=True)", ""),
        "class Tone lacks the line @dataclass(frozen=True, kw_only=True)",
    ),
    "thawed": (
        changed("tone.py", "frozen=True, ", ""),
        "TypeError: cannot inherit non-frozen dataclass from a frozen one",
    ),
    "a metric": (changed("tone.py", '"accuracy"', '"f1"'), "metric 'f1' is none of accuracy, "),
    "a target": (
        changed("tone.py", "    scored = 1\n", "    scored = 1\n    target_value = '95 %'\n"),
        "target_value must be a value of the metric or None, got '95 %'",
    ),
    "a name": (changed("tone.py", 'name = "tone"', 'name = "My tone"'), "name = 'My tone' must"),
    "a fact as option": (
        changed("tone.py", "    version = 1", "    version: int = 1"), "version is no option",
    ),
    "a misspelt fact": (
        changed("tone.py", "    metric =", "    solved_att = 0.9\n    metric ="),
        "class Tone: solved_att is unknown; did you mean solved_at?",
    ),
    "no default": (changed("tone.py", "T: int = 64", "T: int"), "option T needs a default"),
    "ours": (
        changed("tone.py", 'name = "tone"', 'name = "pixel_digits"'),
        "'pixel_digits' is a task of drnn_bench's own; take another name",
    ),
    "twice": (
        FILES["tone.py"] + "\n@dataclass(frozen=True, kw_only=True)\n"
        "class Again(Tone):\n    name = 'tone'\n",
        "task 'tone' is also in",
    ),
    "edges": (
        changed("leaky_rnn.py", "def paths", "def _paths").replace("depth: int = 2", "layers = 2"),
        "class LeakyRNN lacks paths",
    ),
    "depth": (
        changed("leaky_rnn.py", "    depth: int = 2\n", ""), "class LeakyRNN lacks depth or layers",
    ),
    "summary": (
        changed("leaky_rnn.py", "    summary = ", "    # "), "class LeakyRNN lacks summary",
    ),
    "our family": (changed("leaky_rnn.py", '"leaky_rnn"', '"lstm"'), "'lstm' is a family of"),
    "all": (changed("leaky_rnn.py", '"leaky_rnn"', '"all"'), "family = 'all' must be none of"),
    "a group": (changed("leaky_rnn.py", '"leaky_rnn"', '"linear"'), "family = 'linear' must be"),
    "no group": (
        changed("leaky_rnn.py", '"linear"', '"liner"'),
        "unknown family_group 'liner': did you mean 'linear'?",
    ),
}  # fmt: skip


def test_an_option_may_be_called_nearly_as_a_fact(page):
    path = page / "tone.py"
    option = "    T: int = 64\n    target_values: int = 3"
    path.write_text(path.read_text().replace("    T: int = 64", option))
    drnn_bench.plugin(path)
    assert parse_task("tone:target_values=5").target_values == 5


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_is_wrong_is_refused_in_one_line_that_names_it(tmp_path, monkeypatch, case):
    text, says = WRONG[case]
    path = tmp_path / "mine.py"
    path.write_text(text)
    monkeypatch.setenv(plugins.VARIABLE, str(path))
    # Whatever is asked for, that the file is no good is said: a name in it may be what was meant.
    for said in (refusal(task_type, "pixel_digits"), refusal(architecture_type, "lstm")):
        assert says in said
        assert said.startswith(f"plug-in {path}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise KeyboardInterrupt", "line 1: KeyboardInterrupt"),
        ("raise SystemExit(3)", "line 1: SystemExit: 3"),
        ("raise GeneratorExit", "line 1: GeneratorExit"),
        ("import sys; sys.exit()", "line 1: SystemExit"),
        ("def f(): f()\nf()", "RecursionError"),
        ("def f(:", "line 1: SyntaxError"),
        ('x = "\0"', "cannot contain null bytes"),  # a ValueError before Python 3.11.4
        ("class Odd(BaseException): pass\nraise Odd('a\\nb')", "line 2: Odd: a b"),
        ("class Odd(Exception):\n def __str__(self): 1 / 0\nraise Odd", "line 3: Odd"),
        ("import sys; sys.stderr = None; sys.modules.pop(__name__)", "no class in it"),
    ],
)
def test_a_file_that_would_end_the_process_is_one_line(text, says, tmp_path, bench):
    (tmp_path / "odd.py").write_text(text)
    done = bench("--plugin", "odd.py", "ls", "families", "--json", code=2)
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert f"plug-in {tmp_path / 'odd.py'}" in done.stderr
    assert done.stdout == ""


def test_ctrl_c_while_a_file_is_read_is_no_fault_of_the_file(tmp_path, bench):
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    )
    done = bench("--plugin", "slow.py", "ls", "families", code=130)
    assert done.stderr == "bench: stopped\n"


def test_what_a_file_prints_is_not_in_the_midst_of_json(page, bench):
    path = page / "tone.py"
    path.write_text(f"print('hello\\x1b[31m')\n{path.read_text()}")
    done = bench("--plugin", path, "ls", "tasks", "--json", cwd=page)
    assert "tone" in [row["task"].partition(":")[0] for row in json.loads(done.stdout)]
    assert done.stderr == f"plug-in {path} prints: hello\\x1b[31m\n"


def test_a_folder_is_no_file(tmp_path):
    assert "is no file" in refusal(drnn_bench.plugin, tmp_path)


def test_a_name_in_two_files_is_refused(page, monkeypatch):
    (page / "other.py").write_text(FILES["tone.py"])
    drnn_bench.plugin(page / "tone.py")
    drnn_bench.plugin(page / "other.py")
    said = refusal(task_type, "tone")
    assert f"plug-in {page / 'other.py'}: task 'tone' is also in {page / 'tone.py'}" == said


def test_a_base_class_of_ones_own_is_no_task(page):
    path = page / "tone.py"
    path.write_text(changed("tone.py", "class Tone(Task)", "class _Tone(Task)") + (
        "\n\n@dataclass(frozen=True, kw_only=True)\nclass High(_Tone):\n    name = 'high'\n"
    ))  # fmt: skip
    drnn_bench.plugin(path)
    assert task_names()[-1] == "high"
    assert "unknown task 'tone'" in refusal(task_type, "tone")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("gone.py", None, "gone.py does not exist"),
        ("broken.py", "def f(:\n", "broken.py, line 1: SyntaxError"),
        ("mine.txt", "x = 1\n", "mine.txt is no Python file"),
    ],
)
def test_a_bad_file_is_one_line_and_exit_2(tmp_path, bench, name, text, says):
    if text is not None:
        (tmp_path / name).write_text(text)
    done = bench("--plugin", name, "ls", "tasks", code=2)
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert done.stdout == ""


def test_a_file_that_has_gone_since_is_one_line(page):
    drnn_bench.plugin(page / "tone.py")
    (page / "tone.py").unlink()
    assert refusal(task_type, "tone") == f"plug-in {page / 'tone.py'} does not exist"
