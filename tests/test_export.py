"""A finalist's weights: kept, exported, and back to the last bit; whatever else is refused."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import os
import pickle
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from test_models import NETS
from world import World

import drnn_bench
from drnn_bench import plugins
from drnn_bench.board import columns
from drnn_bench.board.reproduce import commands
from drnn_bench.cli import app
from drnn_bench.errors import JobError, UserError
from drnn_bench.execution.carry import finish
from drnn_bench.export.folder import best_final, choose, export_to
from drnn_bench.export.loading import (
    CARD,
    CONFIG,
    WEIGHTS,
    load,
)
from drnn_bench.jobs.finals import FinalJob, final_seed, keep_final
from drnn_bench.jobs.job import Run
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.jobs.reporter import Silent
from drnn_bench.models import weights
from drnn_bench.results import records
from drnn_bench.results.ranking import build, finals_of, select
from drnn_bench.search.study import open_study
from drnn_bench.search.summary import study_row, summarise
from drnn_bench.tasks.prepared import all_prepared
from drnn_bench.tasks.registry import parse_task
from drnn_bench.testing.nets import (
    INPUTS,
    OUTPUTS,
    architecture_of,
    make,
)
from drnn_bench.training.scoring import evaluate

SEEDS = 3


# -- a folder of a net, without a search -------------------------------------------------------


def trained(family, options):
    """A net whose every number is one that no initialisation gives."""
    model = make(family, options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def write(folder: Path, family: str, options: dict, model) -> Path:
    folder.mkdir()
    config = architecture_of(family, options)
    told = {"format": 1, "family": family, "config": config.config, "input_size": INPUTS,
            "output_size": OUTPUTS, "weights": weights.save(model, folder / WEIGHTS)}  # fmt: skip
    (folder / CONFIG).write_text(json.dumps(told))
    return folder


def outputs(model) -> str:
    """All bits of what a net gives, at once and in chunks."""
    x = torch.randn(2, 40, INPUTS, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        state, parts = None, []
        for chunk in x.split((1, 30, 9), dim=1):
            y, state = model.stream(chunk, state)
            parts.append(y)
        bits = b"".join(y.contiguous().numpy().tobytes() for y in (model(x), *parts))
    return hashlib.sha256(bits).hexdigest()


FRESH = f"""
import hashlib, sys, torch, drnn_bench
INPUTS = {INPUTS}
{inspect.getsource(outputs)}
torch.set_num_threads(1)
torch.manual_seed(5)
before = torch.random.get_rng_state()
for folder in sys.argv[1:]:
    model = drnn_bench.load(folder)
    assert not model.training
    print(outputs(model))
assert torch.equal(torch.random.get_rng_state(), before), "the caller's draws have changed"
"""

ROTOR = '''
"""A family of complex parameters: h_t = sum over n of Re(c_n a_n^k x_{t-k}), k = 0..3."""
from dataclasses import dataclass
import torch
from torch import nn
from torch.nn import functional as F
from drnn_bench.models.architecture import Stepwise
from drnn_bench.models.layers import CausalHead, SequenceModel

@dataclass(frozen=True, kw_only=True)
class Rotor(Stepwise):
    family = "rotor"
    summary = "complex"

    def network(self):
        sizes = (self.input_size, *self.widths)
        layers = [Layer(sizes[i], sizes[i + 1]) for i in range(self.depth)]
        return SequenceModel(layers, CausalHead(sizes[-1], self.output_size))

class Layer(nn.Module):
    dilation = 1

    def __init__(self, inputs, width):
        super().__init__()
        self.c = nn.Parameter(torch.randn(width, inputs, dtype=torch.complex64))
        self.again = self.c  # one tensor under two names
        self.register_buffer("turn", torch.tensor([1j]))
        self.register_buffer("scale", torch.tensor(0.5), persistent=False)

    def forward(self, x_TBI, chains):
        return self.stream(x_TBI, None)[0]

    def stream(self, x_TBI, state):
        return self.scale * F.linear(x_TBI * self.turn, self.c).real, torch.zeros(1)
'''


def test_every_family_is_back_to_the_last_bit_in_a_fresh_process(tmp_path, monkeypatch):
    (tmp_path / "rotor.py").write_text(ROTOR)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path / "rotor.py"))
    nets = [(family, options) for family, many in NETS.items() for options in many]
    nets += [("rotor", {"depth": 2, "width": 3}), ("s4d", {"width": 4, "embedding": 2})]
    models = [trained(*net) for net in nets]
    folders = [write(tmp_path / f"{i}", *nets[i], model) for i, model in enumerate(models)]
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *map(str, folders)],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.split() == [outputs(model) for model in models], done.stderr
    assert {p.dtype for p in models[-2].parameters()} == {torch.float32, torch.complex64}
    assert len(set(done.stdout.split())) == len(nets)


def test_a_loaded_net_can_be_trained_on(tmp_path):
    model = load(write(tmp_path / "net", "s4d", {"width": 4}, trained("s4d", {"width": 4})))
    model(torch.randn(2, 9, INPUTS)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


# -- what is damaged or hostile ----------------------------------------------------------------

NET = ("dilated_rnn", {"cell": "lstm", "depth": 2, "start": 1, "fusion": True, "width": (3, 4)})


@pytest.fixture
def net(tmp_path) -> Path:
    return write(tmp_path / "net", *NET, trained(*NET))


def change(folder: Path, **changes) -> None:
    """Of config.json; options of the net as `option_...`."""
    told = json.loads((folder / CONFIG).read_text())
    for key, value in changes.items():
        if key.startswith("option_"):
            told["config"][key.removeprefix("option_")] = value
        else:
            told[key] = value
    (folder / CONFIG).write_text(json.dumps(told))


def retensor(folder: Path, edit) -> None:
    """Other tensors, with the sum that belongs to them: as a hostile hand would."""
    tensors = load_file(folder / WEIGHTS)
    save_file(edit(tensors), folder / WEIGHTS)
    change(folder, weights=hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest())


def cut(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1])


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("pickled"),)


def unlinked(folder: Path, name: str) -> None:
    (folder / name).unlink()


HEAD = "head.weight"
HOSTILE = {  # what is done to the folder -> what is said
    "cut": (cut, "not a whole safetensors file"),
    "empty": (lambda f: (f / WEIGHTS).write_bytes(b""), "not a whole safetensors file"),
    "pickle": (lambda f: (f / WEIGHTS).write_bytes(pickle.dumps(Evil())), "not a whole"),
    "long header": (lambda f: (f / WEIGHTS).write_bytes(b"\xff" * 7 + b"\x7f{}"), "not a whole"),
    "no weights": (lambda f: unlinked(f, WEIGHTS), "no such file"),
    "folder": (lambda f: (unlinked(f, WEIGHTS), (f / WEIGHTS).mkdir()), "no such file"),
    "shape": (lambda f: retensor(f, lambda t: {**t, HEAD: t[HEAD][:, :3].clone()}),
              "head.weight has shape (2, 3, 4), the net's is (2, 4, 4)"),
    "missing": (lambda f: retensor(f, lambda t: {n: t[n] for n in t if n != HEAD}),
                "lacks head.weight"),
    "extra": (lambda f: retensor(f, lambda t: {**t, "more": t[HEAD] + 1}),
              "has more than the net: more"),
    "kind": (lambda f: retensor(f, lambda t: {**t, HEAD: t[HEAD].double()}), "torch.float64"),
    "other weights": (lambda f: change(f, weights="0" * 64), "damaged"),
    "no config": (lambda f: unlinked(f, CONFIG), "no such file"),
    "no JSON": (lambda f: (f / CONFIG).write_text("{"), "no whole JSON"),
    "deep": (lambda f: (f / CONFIG).write_text("[" * 100_000), "no whole JSON"),
    "bytes": (lambda f: (f / CONFIG).write_bytes(b"\xff\xfe\x00"), "no whole JSON"),
    "digits": (lambda f: (f / CONFIG).write_text("9" * 10_000), "no whole JSON"),
    "a list": (lambda f: (f / CONFIG).write_text("[]"), "not an object"),
    "much": (lambda f: (f / CONFIG).write_bytes(b" " * 10_000_001), "larger than any"),
    "format": (lambda f: change(f, format=2), "format 2"),
    "family": (lambda f: change(f, family="lstn"), "did you mean 'lstm'"),
    "path": (lambda f: change(f, family="../../evil"), "unknown family"),
    "module": (lambda f: change(f, family="os.system"), "unknown family"),
    "no family": (lambda f: change(f, family=["lstm"]), "'family' is missing or is no string"),
    "size": (lambda f: change(f, input_size=True), "'input_size' is missing or is no whole"),
    "billion": (lambda f: change(f, option_width=10**9), "width must be at most 10,000,000"),
    "millions": (lambda f: change(f, option_width=10**7), "has shape"),
    "beyond 64 bits": (lambda f: change(f, option_width=10**7, option_start=40), "above 10,000"),
    "depth": (lambda f: change(f, option_depth=10**7), "depth is beyond the 8 tensors"),
    "exponent": (lambda f: change(f, option_start=10**7, option_base=10**7), "start is beyond"),
    "widths": (lambda f: change(f, option_width=[1] * 10**6), "width is beyond the 8 tensors"),
    "words": (lambda f: change(f, option_width="x" * 9), "width must be a whole number"),
    "nothing": (lambda f: change(f, option_dilations=7), "not how a dilated_rnn is described"),
    "object": (lambda f: change(f, option_cell={"lstm": 1}), "unknown cell"),
    "twice": (lambda f: change(f, option_input_size=3), "not how a dilated_rnn is described"),
    "option": (lambda f: change(f, option_eval="x"), "no option 'eval'"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_damaged_or_hostile_folder_is_refused(what, net, monkeypatch):
    monkeypatch.chdir(net.parent)
    spoil, words = HOSTILE[what]
    spoil(net)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert words in refusal(load, net)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 100_000  # KiB
    assert not Path("pickled").exists()


def test_where_there_is_no_folder():
    assert "`bench export` makes" in refusal(load, Path("nowhere"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_byte_can_change_unseen(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "flipped"
    if not folder.exists():
        write(folder, *NET, trained(*NET))
        shutil.copy(folder / WEIGHTS, folder / "whole")
    whole = (folder / "whole").read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    spoilt = bytearray(whole)
    spoilt[place] ^= flip
    (folder / WEIGHTS).write_bytes(spoilt)
    refusal(load, folder)


# -- from a search to a folder -----------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A runs folder with two studies of own sequences and their finals, but not their speed."""
    folder = tmp_path_factory.mktemp("place")
    rng = np.random.RandomState(0)
    y = np.array(["down", "up"])[rng.randint(0, 2, 120)]
    slope = np.where(y == "up", 1, -1)[:, None, None] * np.linspace(0, 3, 12)[:, None]
    x = 5 + [2, 30] * (slope + rng.randn(120, 12, 2))
    np.savez(folder / "walks.npz", x=x, y=y)
    world = World(folder, task=f"own:path={folder / 'walks.npz'}", families=("lstm", "s4d"),
                  budgets=(300,), trials=1, steps=12)  # fmt: skip
    world.search()
    plan, rows = world.plan, []
    for spec in plan.specs:
        study = open_study(world.storage, spec, plan.task)
        summary = summarise(study, spec, plan.task.direction) | {"importance": None}
        rows.append(study_row(spec, plan.task, summary, "cpu") | {"started": records.now()})
        for number in range(SEEDS):
            seed = final_seed(spec, number)
            job = FinalJob(spec=spec, best=summary["best"], seed=seed, device="cpu")
            keep_final(finish(job, plan.prepared), folder / "runs", rows.append)
    records.append(folder / "runs" / "records.jsonl", rows)
    return folder


@pytest.fixture
def runs(place, tmp_path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(place / "runs", tmp_path / "runs"))


def read(runs: Path):
    rows, _ = records.read(runs / "records.jsonl")
    return rows, columns.groups(build(rows))[0]


def test_every_final_keeps_its_weights(place):
    rows, _ = read(place / "runs")
    finals = [row for row in rows if row["role"] == "final"]
    kept = {path.name: path.read_bytes() for path in (place / "runs" / "weights").iterdir()}
    assert len(finals) == 2 * SEEDS
    assert {weights.file_name(row): row["weights"] for row in finals} == {
        name: hashlib.sha256(data).hexdigest() for name, data in kept.items()
    }
    assert len(set(kept.values())) == len(finals)


def test_a_finalist_is_exported_and_does_again_what_its_record_says(place, bench, tmp_path):
    bench("export", "--rank", "2", "--runs-dir", place / "runs", "--output", "a/net")
    folder = tmp_path / "a" / "net"
    assert {path.name for path in folder.iterdir()} == {WEIGHTS, CONFIG, CARD}
    assert list(folder.parent.iterdir()) == [folder]
    rows, lines = read(place / "runs")
    best = max(finals_of(lines[1], rows), key=lambda row: row["validation"])
    [[prepared], []] = all_prepared(place / "runs" / "data")
    model, arrays = drnn_bench.load(folder), prepared.arrays()
    for split in ("validation", "test"):
        assert evaluate(model, prepared.task, arrays[split])["accuracy"] == best[split]

    # What config.json tells is enough to give the net a sequence from outside.
    told = json.loads((folder / CONFIG).read_text())
    facts = told["task"]["facts"]
    assert facts["classes"] == ["down", "up"]
    raw = np.load(place / "walks.npz")["x"]
    entering = ((raw - facts["mean"]) / facts["deviation"]).astype(np.float32)
    seen = np.concatenate([arrays[split][0] for split in ("train", "validation", "test")])
    assert {row.tobytes() for row in entering} == {row.tobytes() for row in seen}

    card = (folder / CARD).read_text()
    assert columns.shown_interval(lines[1]) in card
    assert f"n = {SEEDS}" in card
    assert f"{best['parameters']:,} of at most 300" in card
    assert f"SHA-256 {best['weights']}" in card
    assert "adam, batch 128" in card
    assert commands([lines[1]])[0] in card
    assert parse_task("own").licence.capitalize()[:20] in card
    assert str(place) not in card + json.dumps(told)
    assert re.search(r"\b(nan|None)\b", card) is None


def test_the_seed_is_chosen_by_validation_and_never_by_test(place):
    rows, lines = read(place / "runs")
    kept = place / "runs" / "weights"
    for line, order in itertools.product(lines, itertools.permutations(range(SEEDS))):
        finals = [
            row | {"validation": 0.5 + i / 10, "test": 0.9 - i / 10}
            for row, i in zip(finals_of(line, rows), order, strict=True)
        ]
        assert best_final(line, finals, kept)["validation"] == 0.5 + (SEEDS - 1) / 10
        down = best_final(line | {"direction": "min"}, finals, kept)
        assert down["validation"] == 0.5


def refused(runs: Path, output: Path, rank: int = 1) -> str:
    """What an export is refused with; checked to have left nothing behind."""
    before = sorted(output.parent.iterdir()) if output.parent.is_dir() else None
    rows, lines = read(runs)
    said = refusal(export_to, output, lines, rank, rows, runs)
    assert before is None or sorted(output.parent.iterdir()) == before
    return said


def best_of(runs: Path, rank: int = 1):
    rows, lines = read(runs)
    return best_final(lines[rank - 1], finals_of(lines[rank - 1], rows), runs / "weights")


def test_nothing_is_overwritten(runs, tmp_path):
    rows, lines = read(runs)
    output = tmp_path / "net"
    output.mkdir()  # an empty one will do
    export_to(output, lines, 1, rows, runs)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    assert "not empty" in refused(runs, output)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    (tmp_path / "file").write_text("mine")
    assert "there already" in refused(runs, tmp_path / "file")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert "there already" in refused(runs, tmp_path / "link")
    assert "cannot be written" in refused(runs, tmp_path / "file" / "below")


@pytest.mark.parametrize("rank", [0, 3, -1])
def test_a_row_that_the_board_has_not(runs, tmp_path, rank):
    assert f"--rank {rank}: the board has the rows 1 to 2" in refused(runs, tmp_path / "net", rank)


def test_weights_that_are_not_there_are_said_with_the_way_to_have_them(runs, tmp_path):
    best = best_of(runs)
    path = runs / "weights" / weights.file_name(best)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "damaged" in refused(runs, tmp_path / "net")
    path.unlink()
    said = refused(runs, tmp_path / "net")
    assert f"seed {best['seed']} is the best by validation, but its weights are not in" in said
    assert "train again in another --runs-dir: bench run --task own" in said
    # Rows from before there were weights.
    path = runs / "records.jsonl"
    old = [json.loads(line) for line in path.read_text().splitlines()]
    old = [{k: v for k, v in row.items() if k != "weights"} for row in old]
    path.write_text("".join(json.dumps(row) + "\n" for row in old))
    assert "were not kept then" in refused(runs, tmp_path / "net")


def test_a_search_without_finals_and_data_that_is_gone(runs, tmp_path):
    rows, _ = read(runs)
    shutil.rmtree(runs / "data")
    assert "the same `bench run` prepares it again" in refused(runs, tmp_path / "net")
    studies = [row for row in rows if row["role"] == "study"]
    bare = columns.groups(build(studies))[0]
    assert "no finals yet" in refusal(export_to, tmp_path / "net", bare, 1, studies, runs)
    diverged = [
        r | {"state": "diverged", "test": None} if r["role"] == "final" else r for r in rows
    ]
    bare = columns.groups(build(diverged))[0]
    assert "diverged" in refusal(export_to, tmp_path / "net", bare, 1, diverged, runs)


def test_one_board_is_meant_or_said(place):
    rows, lines = read(place / "runs")
    studies = [row for row in rows if row["role"] == "study"]

    def other(**changes):
        return [r | changes | {"study": f"other {r['study']} {changes}"} for r in studies]

    many = studies + other(budget=900) + other(budget=900, steps=99)
    board = build(many)
    said = refusal(choose, board, many, None)
    for choice in ("--budget 300 --steps 12", "--budget 900 --steps 12", "--budget 900 --steps 99"):
        assert choice in said
    assert choose(board, many, 99)[0]["budget"] == 900
    said = refusal(choose, select(board, budget=900), many, None)
    assert said.endswith("add --steps 12 or --steps 99")
    assert "--steps 7: known: 12, 99" in refusal(choose, board, many, 7)
    # Boards of the same name and other data: the one last run.
    for many in (studies + other(data_hash="f" * 16), other(data_hash="0" * 16) + studies):
        assert choose(build(many), many, None)[0]["data_hash"] == many[-1]["data_hash"]
    assert choose(build(rows), rows, None) == lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "'--output'"),
        ("--output net", "nothing has been run"),
        ("--output net --budget x", "5k"),
        ("--output net --rank one", "'--rank'"),
    ],
)
def test_a_users_mistake_is_one_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", "export", *words.split()])
    with pytest.raises(SystemExit) as ended:
        app.main()
    done = capsys.readouterr()
    assert (ended.value.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


# -- weights on disk ---------------------------------------------------------------------------


def test_a_full_disk_is_one_line_and_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "weights" / "a.safetensors"
    weights.save(torch.nn.Linear(2, 2), path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))  # stands for a full disk
        with pytest.raises(JobError, match=r"written there \(File too large\).*continues$"):
            weights.save(torch.nn.Linear(50, 50), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(JobError, match="cannot be written there"):
        weights.save(torch.nn.Linear(2, 2), path / "b")  # a file is in the way


class Unhurried(Run):
    """Without the speed, which takes longest and is no matter here."""

    def _speed_models(self, rows):
        return ()


@pytest.mark.slow
def test_a_run_loses_and_doubles_no_weights(tmp_path):
    runs = tmp_path / "runs"
    request = Request(runs_dir=str(runs), device="cpu", families=("dilated_cnn",), budgets=(400,),
                      steps=4, trials=1, seeds=2, workers=1)  # fmt: skip

    def finals():
        rows, notes = records.read(runs / "records.jsonl")
        assert not notes
        return {r["seed"]: r["weights"] for r in rows if r["role"] == "final"}, rows

    def files():
        paths = (runs / "weights").iterdir()
        return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}

    Unhurried(make_plan(request), Silent()).run()
    first, rows = finals()
    before = files()
    assert len(first) == len(before) == 2
    Unhurried(make_plan(request), Silent()).run()
    assert (finals(), files()) == ((first, rows), before)
    # It was stopped after a final's weights and before its row: trained again, to the same bits.
    kept = [r for r in rows if r.get("seed") != min(first) or r["role"] != "final"]
    (runs / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    Unhurried(make_plan(request), Silent()).run()
    assert finals()[0] == first
    assert {n: data for n, (_, data) in files().items()} == {
        n: data for n, (_, data) in before.items()
    }


# -- what a task tells of itself ---------------------------------------------------------------


def test_an_alphabet_gives_the_text_back(tmp_path):
    text = "what is  written\nhere, naïvely; " * 1000
    (tmp_path / "book.txt").write_text(text + "ß", encoding="utf-8")
    reading = parse_task("char_text:path=book.txt").read(str(tmp_path))
    alphabet = reading.facts["alphabet"]
    assert alphabet[-1] is None  # the last letter, which training has not seen
    assert len(alphabet) == reading.task.input_size
    said = "".join(alphabet[i] for i in reading.arrays["train"][0])
    assert text.startswith(said)
    assert len(said) == len(text + "ß") * 90 // 100 - 1


def test_the_default_number_of_seeds_is_the_tasks(tmp_path):
    def seeds(**request):
        return make_plan(Request(runs_dir=str(tmp_path), families=("lstm",), **request)).seeds

    assert seeds() == 3
    assert seeds(task="copy_memory:T=5") == 5
    assert seeds(task="copy_memory:T=5", seeds=2) == 2
    with pytest.raises(UserError, match="--seeds must be at least 1"):
        seeds(seeds=0)
