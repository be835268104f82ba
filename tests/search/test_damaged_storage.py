"""Storages that are damaged, foreign or of another Optuna: one line, and records are shown."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from drnn_bench.cli import app
from drnn_bench.errors import JobError
from drnn_bench.jobs import runs_folder
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.results import records
from drnn_bench.search.storage import open_storage
from drnn_bench.search.study import ask_for, open_study, spec_of, studies_of

FAMILIES = ("dilated_cnn", "lstm")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A runs folder of two searches with a complete trial each, one of which is recorded."""
    from tests.support.searched import searched

    runs = tmp_path_factory.mktemp("made") / "runs"
    plan = make_plan(
        Request(families=FAMILIES, budgets=(1000,), trials=1, steps=100, runs_dir=str(runs))
    )
    storage = open_storage(plan.storage)
    for spec in plan.specs:
        study = open_study(storage, spec, plan.task)
        ask_for(study, 1)
        trial = study.ask()
        net = searched(spec.family)
        told = {"place": 0, "startup": True, "mrl": 3.0, "config": net.best["config"],
                "learning_rate": 0.01, "architecture": "as drawn"}  # fmt: skip
        trial.set_user_attr("draw", told)
        study.tell(trial, 0.5)
    one = searched("rnn", data_hash=plan.prepared.data_hash)
    records.append(runs / "records.jsonl", [one.study(), *one.finals(0.9, 0.91)])
    storage.engine.dispose()
    return runs


@pytest.fixture
def runs(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs"))


def sql(*statements: str):
    def change(path: Path) -> None:
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return change


def foreign(path: Path) -> None:
    path.unlink()
    sql("CREATE TABLE a (b)")(path)


def holes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in range(8192, len(data), 4096):
        data[start : start + 200] = bytes(200)
    path.write_bytes(data)


# What is done to the database -> what is said: of it as a whole, or of each search.
WHOLE = {
    "junk": (lambda path: path.write_bytes(b"junk " * 1000), "file is not a database"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:40_000]), "malformed"),
    "holes": (holes, "malformed"),
    "newer Optuna": (
        sql("UPDATE alembic_version SET version_num = 'v9.0.0.a'"), "Please try updating optuna",
    ),
    "older Optuna": (
        sql("UPDATE alembic_version SET version_num = 'v1.3.0.a'"), "optuna storage upgrade",
    ),
    "a table less": (sql("DROP TABLE study_user_attributes"), "no such table"),
    "an attribute that is no JSON": (
        sql("UPDATE study_user_attributes SET value_json = '{' WHERE key = 'spec'"), "is no JSON",
    ),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "unable to open database file"),
}  # fmt: skip
EACH = {
    "trials without values": (sql("DELETE FROM trial_values"), "trial 0.values is "),
    "trials without attributes": (sql("DELETE FROM trial_user_attributes"), "trial 0.place is "),
    "a config that is none": (
        sql("UPDATE trial_user_attributes SET "
            "value_json = json_set(value_json, '$.config', 7)"),
        "trial 0.config is 7, should be a net's options",
    ),
    "a pruned trial's config that is none": (
        sql("UPDATE trials SET state = 'PRUNED'",
            "UPDATE trial_user_attributes SET "
            "value_json = json_set(value_json, '$.config', 7)"),
        "trial 0.config is 7, should be a net's options",
    ),
    "a description that is none": (
        sql("UPDATE study_user_attributes SET value_json = '[1]' WHERE key = 'spec'"),
        "it is [1], should be an object",
    ),
    "a description of a newer version": (
        sql("UPDATE study_user_attributes SET value_json = "
            "json_set(value_json, '$.metrics', 'f1') WHERE key = 'spec'"),
        "it has metrics, which this version does not know",
    ),
}  # fmt: skip
SILENT = {"empty": lambda path: path.write_bytes(b""), "foreign": foreign}


def answer(capfd, *words: str) -> tuple[int, str, str]:
    before, sys.argv = sys.argv, ["bench", *words]
    try:
        with pytest.raises(SystemExit) as ended:  # anything else fails the test
            app.main()
    finally:
        sys.argv = before
    return ended.value.code or 0, *capfd.readouterr()


def test_an_undamaged_storage_shows_all_three(runs, capfd):
    code, out, err = answer(capfd, "leaderboard", "--format", "csv", "--runs-dir", str(runs))
    assert (code, len(out.splitlines()), err) == (0, 1 + 3, "")
    assert answer(capfd, "status", "--runs-dir", str(runs))[0] == 0


@pytest.mark.parametrize("name", WHOLE)
def test_a_storage_that_cannot_be_read_is_one_line_beside_what_is_recorded(name, runs, capfd):
    act, said = WHOLE[name]
    act(runs / "studies.db")
    code, out, err = answer(capfd, "leaderboard", "--format", "csv", "--runs-dir", str(runs))
    assert (code, len(out.splitlines())) == (0, 1 + 1)
    assert len(err.splitlines()) == 1
    assert err.startswith("bench: ")
    assert said in err
    code, out, err = answer(capfd, "status", "--runs-dir", str(runs))
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert said in err


@pytest.mark.parametrize("name", EACH)
def test_a_search_that_cannot_be_read_is_one_line(name, runs, capfd):
    act, said = EACH[name]
    act(runs / "studies.db")
    code, out, err = answer(capfd, "leaderboard", "--format", "csv", "--runs-dir", str(runs))
    assert (code, len(out.splitlines())) == (0, 1 + 1)
    for command in ("leaderboard", "status"):
        _, _, err = answer(capfd, command, "--runs-dir", str(runs))
        assert [said in line for line in err.splitlines()] == [True] * len(FAMILIES)
    with pytest.raises(JobError, match="cannot be read"):
        studies_of(open_storage(f"sqlite:///{runs / 'studies.db'}", create=False))


def test_one_damaged_search_leaves_the_others_on_view(runs, capfd):
    sql("UPDATE study_user_attributes SET value_json = '[1]' WHERE key = 'spec' AND study_id = 1")(
        runs / "studies.db"
    )
    code, out, err = answer(capfd, "leaderboard", "--format", "csv", "--runs-dir", str(runs))
    assert (code, len(out.splitlines()), len(err.splitlines())) == (0, 1 + 2, 1)
    code, out, err = answer(capfd, "status", "--json", "--runs-dir", str(runs))
    assert (code, out.count('"task"'), len(err.splitlines())) == (0, 1, 1)


@pytest.mark.parametrize("name", SILENT)
def test_a_board_makes_no_tables_in_a_database_that_has_none(name, runs, capfd):
    SILENT[name](runs / "studies.db")
    before = (runs / "studies.db").read_bytes()
    code, out, err = answer(capfd, "leaderboard", "--format", "csv", "--runs-dir", str(runs))
    assert (code, len(out.splitlines()), err) == (0, 1 + 1, "")
    assert (runs / "studies.db").read_bytes() == before


def test_a_locked_database_keeps_a_board_waiting_for_seconds_only(runs):
    holder = sqlite3.connect(runs / "studies.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        began = time.monotonic()
        found, notes = runs_folder.read(runs)
    finally:
        holder.close()
    assert time.monotonic() - began < 150  # of the 300 s that a search waits
    assert len(found) == 3
    assert len(notes) == 1
    assert "database is locked" in notes[0]


def test_what_a_study_searches_is_read_as_it_was_written(made):
    storage = open_storage(f"sqlite:///{made / 'studies.db'}", create=False)
    assert [spec.family for spec, _ in studies_of(storage)] == list(FAMILIES)
    assert all(spec_of(study) == spec for spec, study in studies_of(storage))
