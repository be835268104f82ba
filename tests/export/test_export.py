"""A finalist's weights: kept, exported, and back to the last bit; whatever else is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import re
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from kills import WithoutSpeed

import drnn_bench
from drnn_bench.board.cells import result_text
from drnn_bench.board.reproduce import commands
from drnn_bench.errors import JobError, UserError
from drnn_bench.export.folder import best_final, choose, export_to
from drnn_bench.export.loading import (
    CARD,
    CONFIG,
    WEIGHTS,
)
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.jobs.reporter import Silent
from drnn_bench.models import weights
from drnn_bench.results import records
from drnn_bench.results.ranking import rank_rows, select
from drnn_bench.results.study_lines import finals_of
from drnn_bench.tasks.prepared import all_prepared
from drnn_bench.tasks.registry import parse_task
from drnn_bench.training.scoring import evaluate
from tests.support.finals import runs_with_finals, save_walks
from tests.support.refused import refusal

SEEDS = 3


# -- from a search to a folder -----------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A runs folder with two studies of own sequences and their finals, but not their speed."""
    folder = tmp_path_factory.mktemp("place")
    task = f"own:path={save_walks(folder)}"
    runs_with_finals(folder, task, ("lstm", "s4d"), SEEDS)
    return folder


@pytest.fixture
def runs(place, tmp_path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(place / "runs", tmp_path / "runs"))


def read(runs: Path):
    rows, _ = records.read(runs / "records.jsonl")
    return rows, rank_rows(rows)[0]


def test_every_final_keeps_its_weights(place):
    rows, _ = read(place / "runs")
    finals = [row for row in rows if row["role"] == "final"]
    kept = {path.name: path.read_bytes() for path in (place / "runs" / "weights").iterdir()}
    assert len(finals) == 2 * SEEDS
    assert {weights.file_name(row): row["weights"] for row in finals} == {
        name: hashlib.sha256(data).hexdigest() for name, data in kept.items()
    }
    assert len(set(kept.values())) == len(finals)


def test_a_finalist_is_exported_and_does_again_what_its_record_says(place, typed, tmp_path):
    typed("export", "--rank", "2", "--runs-dir", place / "runs", "--output", "a/net")
    folder = tmp_path / "a" / "net"
    assert {path.name for path in folder.iterdir()} == {WEIGHTS, CONFIG, CARD}
    assert list(folder.parent.iterdir()) == [folder]
    rows, board = read(place / "runs")
    best = max(finals_of(board.lines[1], rows), key=lambda row: row["validation"])
    [[prepared], []] = all_prepared(place / "runs" / "data")
    model, arrays = drnn_bench.load(folder), prepared.arrays()
    for split in ("validation", "test"):
        assert evaluate(model, prepared.task, arrays[split]).accuracy == best[split]

    # What config.json tells is enough to give the net a sequence from outside.
    told = json.loads((folder / CONFIG).read_text())
    facts = told["task"]["facts"]
    assert facts["classes"] == ["down", "up"]
    raw = np.load(place / "walks.npz")["x"]
    entering = ((raw - facts["mean"]) / facts["deviation"]).astype(np.float32)
    seen = np.concatenate([arrays[split][0] for split in ("train", "validation", "test")])
    assert {row.tobytes() for row in entering} == {row.tobytes() for row in seen}

    card = (folder / CARD).read_text()
    assert result_text(board.lines[1]) in card
    assert f"n = {SEEDS}" in card
    assert f"{best['parameters']:,} of at most 300" in card
    assert f"SHA-256 {best['weights']}" in card
    assert "adam, batch 128" in card
    assert commands([board.lines[1]])[0] in card
    assert parse_task("own").licence.capitalize()[:20] in card
    assert str(place) not in card + json.dumps(told)
    assert re.search(r"\b(nan|None)\b", card) is None


def test_the_seed_is_chosen_by_validation_and_never_by_test(place):
    rows, board = read(place / "runs")
    kept = place / "runs" / "weights"
    for line, order in itertools.product(board.lines, itertools.permutations(range(SEEDS))):
        finals = [
            row | {"validation": 0.5 + i / 10, "test": 0.9 - i / 10}
            for row, i in zip(finals_of(line, rows), order, strict=True)
        ]
        assert best_final(line, finals, kept)["validation"] == 0.5 + (SEEDS - 1) / 10
        down = best_final(dataclasses.replace(line, direction="min"), finals, kept)
        assert down["validation"] == 0.5


def refused(runs: Path, output: Path, rank: int = 1) -> str:
    """What an export is refused with; checked to have left nothing behind."""
    before = sorted(output.parent.iterdir()) if output.parent.is_dir() else None
    rows, board = read(runs)
    said = refusal(export_to, output, board, rank, rows, runs)
    assert before is None or sorted(output.parent.iterdir()) == before
    return said


def best_of(runs: Path, rank: int = 1):
    rows, board = read(runs)
    line = board.lines[rank - 1]
    return best_final(line, finals_of(line, rows), runs / "weights")


def test_nothing_is_overwritten(runs, tmp_path):
    rows, board = read(runs)
    output = tmp_path / "net"
    output.mkdir()  # an empty one will do
    export_to(output, board, 1, rows, runs)
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
    [bare] = rank_rows(studies)
    assert "no finals yet" in refusal(export_to, tmp_path / "net", bare, 1, studies, runs)
    diverged = [
        r | {"state": "diverged", "test": None} if r["role"] == "final" else r for r in rows
    ]
    [bare] = rank_rows(diverged)
    assert "diverged" in refusal(export_to, tmp_path / "net", bare, 1, diverged, runs)


def test_one_board_is_meant_or_said(place):
    rows, only = read(place / "runs")
    studies = [row for row in rows if row["role"] == "study"]

    def other(**changes):
        return [r | changes | {"study": f"other {r['study']} {changes}"} for r in studies]

    many = studies + other(budget=900) + other(budget=900, steps=99)
    board = rank_rows(many)
    said = refusal(choose, board, many, None)
    for choice in ("--budget 300 --steps 12", "--budget 900 --steps 12", "--budget 900 --steps 99"):
        assert choice in said
    assert choose(board, many, 99).budget == 900
    said = refusal(choose, select(board, budget=900), many, None)
    assert said.endswith("add --steps 12 or --steps 99")
    assert "--steps 7: known: 12, 99" in refusal(choose, board, many, 7)
    # Boards of the same name and other data: the one last run.
    for many in (studies + other(data_hash="f" * 16), other(data_hash="0" * 16) + studies):
        assert choose(rank_rows(many), many, None).first.data_hash == many[-1]["data_hash"]
    assert choose(rank_rows(rows), rows, None) == only


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "'--output'"),
        ("--output net", "nothing has been run"),
        ("--output net --budget x", "5k"),
        ("--output net --rank one", "'--rank'"),
    ],
)
def test_a_users_mistake_is_one_line(words, said, typed):
    done = typed("export", *words.split(), code=2)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert said in done.stderr


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


@pytest.mark.slow
def test_a_run_loses_and_doubles_no_weights(inline, tmp_path):
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

    WithoutSpeed(make_plan(request), Silent()).run()
    first, rows = finals()
    before = files()
    assert len(first) == len(before) == 2
    WithoutSpeed(make_plan(request), Silent()).run()
    assert (finals(), files()) == ((first, rows), before)
    # It was stopped after a final's weights and before its row: trained again, to the same bits.
    kept = [r for r in rows if r.get("seed") != min(first) or r["role"] != "final"]
    (runs / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    WithoutSpeed(make_plan(request), Silent()).run()
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
    assert seeds(task="copy_memory:T=5") == 7
    assert seeds(task="copy_memory:T=5", seeds=2) == 2
    with pytest.raises(UserError, match="--seeds must be at least 1"):
        seeds(seeds=0)
