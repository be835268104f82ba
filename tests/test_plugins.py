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
from conftest import ENV, ROOT, refusal

import drnn_bench
from drnn_bench import plugins
from drnn_bench.models.registry import architecture_type, family_names
from drnn_bench.results import records
from drnn_bench.search.space import default_path, read_space
from drnn_bench.tasks.registry import parse_task, task_names, task_type
from drnn_bench.testing import FamilyContract, TaskContract

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
# "Save it as `tone.py`:", and the block that follows.
FILES = dict(re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]


@pytest.fixture
def page(tmp_path, monkeypatch) -> Path:
    """The page's files in an empty folder; nothing is plugged in before, nor after."""
    monkeypatch.setenv(plugins.VARIABLE, "")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run_tests(folder: Path, *words: str) -> str:
    """What a pytest of its own says of the files in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rf", *words],
        capture_output=True, text=True, cwd=folder,
        env=ENV | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return done.stdout + done.stderr


# -- the page ----------------------------------------------------------------------------------


def test_the_pages_task_and_family_keep_the_contracts(page):
    assert "pytest test_mine.py" in COMMANDS
    checks = {kind: len([c for c in dir(kind) if c.startswith("test_")])
              for kind in (TaskContract, FamilyContract)}  # fmt: skip
    assert min(checks.values()) >= 10
    said = run_tests(page, "test_mine.py")
    assert f"{checks[TaskContract] + 2 * checks[FamilyContract]} passed" in said
    assert re.search(r"failed|skipped|warning|error", said) is None


@pytest.mark.slow
def test_every_command_of_the_page_runs_as_it_stands(page, bench):
    commands = [shlex.split(line)[1:] for line in COMMANDS if line.startswith("bench ")]
    said = {words[-1]: bench(*words).stdout for words in commands}
    assert re.search(r"tone:T=64,noise=0.5 +64 +accuracy +2,000", said["tasks"])
    assert re.search(r"leaky_rnn +depth, slowest, learning_rate", said["families"])
    assert re.search(r"parameters +19\d\d\n", said["2k"])

    rows, _ = records.read(page / "runs" / "records.jsonl")
    finals = {row["family"]: row for row in rows if row["role"] == "final"}
    assert finals.keys() == {"leaky_rnn", "lstm"}
    assert finals["leaky_rnn"]["task"] == "tone:T=40,noise=0.5"
    assert finals["leaky_rnn"]["config"].keys() == {"depth", "slowest", "width"}

    assert re.search(r"leaky_rnn .+ lstm ", said["2"], re.DOTALL)

    # The board needs records, not the files; what is unfinished needs them, and this is said.
    (page / "tone.py").unlink()
    kept = [row for row in rows if row["family"] == "lstm"]
    (page / "runs" / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    done = bench("leaderboard", "--format", "json")
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
    for name in ("tone.py", "leaky_rnn.py", "leaky_rnn.toml"):
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
    assert searched["lstm"] == "depth, learning_rate"  # our own
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
        "from drnn_bench import plugins\n"
        "from drnn_bench.models import registry as models\n"
        "from drnn_bench.tasks import registry as tasks\n"
        "tasks.parse_task('pixel_digits'), models.architecture_type('lstm')\n"
        "print(plugins.entry_points_of.cache_info().misses)\n"
        "tasks.task_names()\n"
        "print(plugins.entry_points_of.cache_info().misses)"
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
    assert re.search(r"leaky_rnn +– +leaky integrators", done.stdout)
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
    assert re.search(r" mine +– +accuracy", bench("--plugin", "mine.py", "ls", "tasks").stdout)
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
    "nothing in it": ("x = 1\n", "no class in it is a task or a family"),
    "only another's": (
        "from drnn_bench.models.plain import LSTM\n", "no class in it is a task or a family",
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
    "a name": (changed("tone.py", 'name = "tone"', 'name = "My tone"'), "name = 'My tone' must"),
    "a fact as option": (
        changed("tone.py", "    version = 1", "    version: int = 1"), "version is no option",
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
    "all": (changed("leaky_rnn.py", '"leaky_rnn"', '"all"'), "family = 'all' must be"),
}  # fmt: skip


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
        ('x = "\0"', "SyntaxError"),
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


# -- a family with complex numbers -----------------------------------------------------------------

# A linear recurrent unit (Orvieto et al. 2023), from what the page says of `linear_scan` alone.
LRU = """
import math
from dataclasses import dataclass
import torch
from torch import nn
from drnn_bench.kernels.linear import linear_scan
from drnn_bench.models.architecture import ParallelScan
from drnn_bench.models.layers import CausalHead, SequenceModel

@dataclass(frozen=True, kw_only=True)
class LRU(ParallelScan):
    conjugates: bool = True
    family = "lru"
    summary = "linear recurrent units with complex states"

    def network(self):
        sizes = (self.input_size, *self.widths)
        scan = linear_scan if self.conjugates else Unconjugated.apply
        layers = [Layer(sizes[i], sizes[i + 1], scan) for i in range(self.depth)]
        return SequenceModel(layers, CausalHead(sizes[-1], self.output_size))

class Layer(nn.Module):
    dilation = 1

    def __init__(self, inputs, width, scan):
        super().__init__()
        self.scan = scan
        self.log_rate = nn.Parameter(torch.linspace(-4, -1, width))
        self.angle = nn.Parameter(torch.linspace(0, math.pi / 2, width))
        self.into = nn.Parameter(torch.randn(width, inputs, dtype=torch.complex64) / inputs)
        self.out = nn.Parameter(torch.randn(width, width, dtype=torch.complex64) / width)

    def forward(self, x, chains):
        return self.stream(x, None)[0]

    def stream(self, x, state):
        turn = torch.polar(torch.exp(-torch.exp(self.log_rate)), self.angle)
        new = x.to(self.into.dtype) @ self.into.T
        state = torch.zeros_like(new[0]) if state is None else state
        h = self.scan(turn.expand_as(new), new, state)
        return torch.tanh((h @ self.out.T).real), h[-1]

class Unconjugated(torch.autograd.Function):
    @staticmethod
    def forward(a, b, h0):
        with torch.no_grad():
            return linear_scan(a, b, h0)

    @staticmethod
    def setup_context(ctx, given, h):
        ctx.save_for_backward(given[0], h, given[2])

    @staticmethod
    def backward(ctx, grad):
        a, h, h0 = ctx.saved_tensors
        ahead = torch.cat([a[1:], torch.zeros_like(a[:1])])
        dh = linear_scan(ahead.flip(0), grad.flip(0)).flip(0)
        return dh * torch.cat([h0.unsqueeze(0), h[:-1]]), dh, dh[0] * a[0]
"""

TESTS_OF_LRU = """
import drnn_bench
from drnn_bench.testing import FamilyContract
drnn_bench.plugin("lru.py")

class TestRight(FamilyContract):
    family, options = "lru", {"depth": 2, "width": 5}

class TestWrong(FamilyContract):
    family, options = "lru", {"depth": 2, "width": 5, "conjugates": False}
"""


def test_a_family_of_complex_numbers_keeps_the_contract_and_wrong_gradients_do_not(tmp_path):
    (tmp_path / "lru.py").write_text(LRU)
    (tmp_path / "lru.toml").write_text('family = "lru"\n[space]\nlearning_rate = 0.01\n')
    (tmp_path / "test_lru.py").write_text(TESTS_OF_LRU)
    said = run_tests(tmp_path, "--tb=short")
    failed = re.findall(r"FAILED test_lru.py::Test(\w+)::test_(\w+)", said)
    assert failed == [("Wrong", "the_gradients_are_what_differences_show")], said


# -- what the contracts catch ------------------------------------------------------------------

FAULTY_FAMILY = """
from dataclasses import dataclass, replace
import numpy, torch
from torch import nn
from drnn_bench.models.architecture import Paths, Stepwise
from drnn_bench.models.layers import CausalHead, RecurrentLayer
from drnn_bench.models.streaming import Ring, single_step

def carried(layer, x, ring):
    ring = ring or layer.empty(x)
    if single_step(x):
        return layer.step(x, ring), ring
    y, state = layer.scan(x, state=ring.ordered())
    return y, Ring(state)

@dataclass(frozen=True, kw_only=True)
class Faulty(Stepwise):
    fault: str = "none"
    family = "faulty"
    summary = "one recurrent layer with a fault"

    @property
    def paths(self):
        claims = {"far": Paths(1, (), ((0, 1),)), "gaps": Paths(1, (2,))}
        return claims.get(self.fault, Paths(1, (1,)))

    def sequential_steps(self, length):
        if self.fault == "rounds":
            return max(1, (length - 1).bit_length())
        return -length if self.fault == "steps" else length

    def build(self):
        return self.network() if self.fault == "unchecked" else super().build()

    def network(self):
        return Net(self.fault, self.input_size, self.widths[0], self.output_size)

class Box:
    def __init__(self, state):
        self.state = state

class Net(nn.Module):
    def __init__(self, fault, inputs, width, outputs):
        super().__init__()
        self.fault = fault
        width = 5 if fault == "width" else width
        self.layer, self.head = RecurrentLayer("rnn", inputs, width), CausalHead(width, outputs)
        if fault == "kept":
            self.shift = torch.randn(outputs)
        if fault == "pickle":
            self.name = lambda: "net"
        if fault == "unused":
            self.extra = nn.Parameter(torch.zeros(width))
        if fault == "seed":
            nn.init.constant_(self.layer.bias, numpy.random.default_rng().random())

    def forward(self, x, last=None):
        if self.fault == "ahead":
            x = x + x.roll(-1, 1)
        if self.fault == "batch":
            x = x - x.mean(0)
        y = self.stream(x)[0]
        last = min(last or y.shape[1], y.shape[1])
        return y[:, :last] if self.fault == "last" else y[:, -last:]

    def stream(self, x, state=None):
        if self.fault == "box" and state is not None:
            state = state.state
        state = None if self.fault == "forgets" else state
        h, ring = carried(self.layer, x.transpose(0, 1), state)
        if self.fault == "infinite":
            h = h + (h - h.detach()) / (h - h)
        if self.fault == "gradients" and h.requires_grad:
            h.register_hook(lambda grad: 1.01 * grad)
        if self.fault == "digits" and h.dtype == torch.float32:
            h = h.bfloat16().float()
        if self.fault == "copies":
            ring = ring.clone()
        y = self.head(h, len(h)).transpose(0, 1)
        if self.fault == "kept":
            y = y + self.shift
        return y, Box(ring) if self.fault == "box" else ring
"""

FAULTY_TASK = """
from dataclasses import dataclass
import numpy as np
from drnn_bench.tasks.task import Task

@dataclass(frozen=True, kw_only=True)
class Faulty(Task):
    fault: str = "none"
    name = "faulty"
    summary = "ones and zeros with a fault"
    metric = "accuracy"
    scored = 2
    one_hot = True
    input_size = output_size = 2
    length = 8
    default_budget = default_steps = default_trials = 1000
    version = property(lambda self: 0 if self.fault == "version" else 1)

    @property
    def saved(self):
        return {"fault": self.fault} | ({"at": "/home/me"} if self.fault == "path" else {})

    def load(self, data_dir):
        rng = np.random.default_rng(None if self.fault == "random" else 0)
        arrays = {}
        for split, size in (("train", 50), ("validation", 20), ("test", 20)):
            x = rng.integers(0, 2, (size, 7 if self.fault == "short" else 8)).astype(np.uint8)
            y = x[:, :2].astype(np.int64)
            if self.fault == "lengths":
                arrays[split] = (x, y, np.full(size, 9))
                continue
            if self.fault == "range":
                y[0] = 2
            if self.fault == "one class":
                y[:] = 0
            if self.fault == "one symbol":
                x[:] = 0
            if self.fault == "scored":
                y = y[:, :1]
            if self.fault == "count":
                y = y[1:]
            if self.fault == "dtype":
                x = x.astype(np.float64)
            arrays[split] = x, y
        if self.fault == "missing":
            del arrays["test"]
        return arrays
"""

# What is wrong -> the checks that must fail, among others perhaps.
CAUGHT = {
    "family": {
        "none": set(),
        "ahead": {"an_input_never_changes_an_earlier_output"},
        "batch": {"a_sequence_never_changes_the_others_of_its_batch"},
        "last": {"the_last_outputs_alone_are_the_same_with_the_same_gradients"},
        "forgets": {"chunks_of_any_size_give_what_one_pass_gives"},
        "box": {"a_state_is_carried_on_without_its_gradients"},
        "copies": {"a_single_step_turns_its_memory_in_place"},
        "unused": {"a_finite_gradient_reaches_every_parameter"},
        "infinite": {"a_finite_gradient_reaches_every_parameter"},
        "width": {"a_budget_finds_a_width_that_meets_it"},
        "seed": {"the_same_seed_gives_the_same_weights"},
        "steps": {"its_facts_are_numbers"},
        "rounds": {"the_claimed_sequential_steps_grow_as_the_work_that_torch_does"},
        "unchecked": {"wrong_inputs_are_refused_in_one_line"},
        "gradients": {"the_gradients_are_what_differences_show"},
        "digits": {"single_precision_is_near_double"},
        "kept": {"copies_and_what_is_kept_answer_the_same"},
        "pickle": {"copies_and_what_is_kept_answer_the_same"},
        "far": {
            "the_claimed_reach_is_what_gradients_see",
            "the_claimed_paths_are_those_that_gradients_take",
        },
        "gaps": {"the_claimed_paths_are_those_that_gradients_take"},
    },
    "task": {
        "none": set(),
        "version": {"says_what_it_is"},
        "path": {"names_no_path_of_the_users"},
        "random": {"gives_the_same_data_every_time"},
        "short": {"has_inputs_as_long_and_as_wide_as_it_says"},
        "dtype": {"has_inputs_as_long_and_as_wide_as_it_says"},
        "lengths": {"has_inputs_as_long_and_as_wide_as_it_says"},
        "range": {"has_targets_for_the_scored_steps_and_in_range"},
        "scored": {"has_targets_for_the_scored_steps_and_in_range"},
        "one class": {"has_a_target_for_each_class"},
        "one symbol": {"has_an_input_for_each_symbol"},
        "count": {"has_three_splits_that_are_not_empty"},
        "missing": {"has_three_splits_that_are_not_empty"},
    },
}

TESTS = """
import drnn_bench
from drnn_bench.testing import FamilyContract, TaskContract
drnn_bench.plugin("family.py")
drnn_bench.plugin("task.py")
for i, fault in enumerate({families}):
    globals()[f"TestFamily{{i}}"] = type(f"TestFamily{{i}}", (FamilyContract,), dict(
        family="faulty", options=dict(depth=1, width=5, fault=fault)))
for i, fault in enumerate({tasks}):
    globals()[f"TestTask{{i}}"] = type(f"TestTask{{i}}", (TaskContract,), dict(
        task=f"faulty:fault={{fault}}"))
"""


def test_the_contracts_catch_what_is_wrong(tmp_path):
    (tmp_path / "family.py").write_text(FAULTY_FAMILY)
    (tmp_path / "faulty.toml").write_text('family = "faulty"\n[space]\nlearning_rate = 0.01\n')
    (tmp_path / "task.py").write_text(FAULTY_TASK)
    lists = {"families": [*CAUGHT["family"]], "tasks": [*CAUGHT["task"]]}
    (tmp_path / "test_faulty.py").write_text(TESTS.format(**lists))
    said = run_tests(tmp_path, "--tb=no")
    failed = re.findall(r"FAILED test_faulty.py::Test(Family|Task)(\d+)::test_(\w+)", said)
    for kind, faults in CAUGHT.items():
        for i, (fault, checks) in enumerate(faults.items()):
            fell = {name for of, at, name in failed if (of.lower(), int(at)) == (kind, i)}
            assert checks <= fell, (kind, fault)
            assert checks or not fell, (kind, fell)
    assert "ERROR" not in said
