"""`bench replay`: real finals trained again, rows that cannot be, and an interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from kills import WithoutSpeed

import drnn_bench
from drnn_bench import plugins
from drnn_bench.errors import UserError
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.jobs.replay import find_final
from drnn_bench.jobs.reporter import Silent
from drnn_bench.results import records
from tests.support.inline import without_processes
from tests.support.page import FILES
from tests.support.runs import rows, wait_for
from tests.support.searched import searched


def trained(folder: Path, **changes) -> None:
    """Leaves a runs folder of finals."""
    asked = {"families": ("dilated_cnn",), "budgets": (500,), "steps": 8, "trials": 1, "seeds": 2}
    asked |= {"workers": 1, "device": "cpu", "runs_dir": str(folder / "runs")} | changes
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch)
        WithoutSpeed(make_plan(Request(**asked)), Silent()).run()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    trained(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    shutil.copytree(made / "runs", tmp_path / "runs")
    return tmp_path


def rewrite(folder: Path, **changes) -> None:
    """Changes every row of a runs folder."""
    path = folder / "runs" / "records.jsonl"
    edited = [x | changes for x in rows(folder)]
    path.write_text("".join(json.dumps(row) + "\n" for row in edited))


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_machine_gives_the_same_bits_and_nothing_is_written(folder, typed):
    before = files(folder)
    for final in rows(folder, "final"):
        out = typed("replay", final["id"][:8]).stdout
        assert f"replaying {final['id']}: dilated_cnn" in out
        assert "Compared bit for bit: " in out
        assert f"It came out the same: test accuracy {final['test']:.6g}" in out
    assert files(folder) == before


def test_a_final_that_says_something_else_is_not_the_same(folder, typed):
    rewrite(folder, weights="0" * 64, test=0.99)
    final = rows(folder, "final")[0]["id"]
    done = typed("replay", final, code=1)
    assert "weights 000000000000 then, " in done.stdout
    assert "test 0.99 then, " in done.stdout
    assert "did not come out the same" in done.stdout
    assert done.stderr == ""
    done = typed("replay", final, "--json", code=1)
    told = json.loads(done.stdout)
    assert told["same"] is False
    assert told["by"] == ("interval" if told["differences"] else "bits")  # uncommitted changes
    assert told["unequal"] == ["weights", "test"]
    assert (told["recorded"]["test"], told["replayed"]["state"]) == (0.99, "complete")
    assert f"bench: replaying {final}" in done.stderr


def test_from_python_on_another_machine_the_seeds_decide(folder, monkeypatch):
    monkeypatch.chdir(folder)
    rewrite(folder, weights="0" * 64, simd="none of these", processor="Another, 4 cores")
    final = rows(folder, "final")[1]
    outcome = drnn_bench.replay(final["id"])
    assert (outcome.same, outcome.by) == (True, "interval")
    assert outcome.replayed["test"] == final["test"]
    assert any(line.startswith("processor: Another then, ") for line in outcome.differences)
    assert outcome.interval[0] <= final["test"] <= outcome.interval[1]
    low, high = outcome.interval
    assert (low + high) / 2 == pytest.approx(sum(x["test"] for x in rows(folder, "final")) / 2)


def test_a_published_final_is_found_and_its_data_read_again(folder, typed):
    shutil.move(folder / "runs" / "records.jsonl", folder / "published.jsonl")
    shutil.rmtree(folder / "runs")
    (folder / "leaderboards" / "records").mkdir(parents=True)
    shutil.move(
        folder / "published.jsonl", folder / "leaderboards" / "records" / "pixel_digits.jsonl"
    )
    found, _ = records.read_folder(folder / "leaderboards")
    final = next(row for row in found if row["role"] == "final")
    out = typed("replay", final["id"]).stdout
    assert "reading pixel_digits" in out
    assert "It came out the same" in out
    assert not (folder / "runs").exists()


class TestRefused:
    """What cannot be replayed is one line and exit 2."""

    def refused(self, typed, *words: str) -> str:
        done = typed("replay", *words, code=2)
        [line] = done.stderr.splitlines()
        return line

    def test_a_row_that_is_no_final_names_those_of_its_study(self, folder, typed):
        [study], finals = rows(folder, "study"), [row["id"] for row in rows(folder, "final")]
        line = self.refused(typed, study["id"])
        assert "is that of a study, not of a final" in line
        assert all(final in line for final in finals)

    def test_an_id_that_is_none_or_several(self, folder, typed):
        finals = [row["id"] for row in rows(folder, "final")]
        wrong = "z" + finals[0][1:]
        assert f"did you mean {finals[0]!r}?" in self.refused(typed, wrong)
        path = folder / "runs" / "records.jsonl"
        text = path.read_text()
        for number, final in enumerate(finals):
            text = text.replace(final, f"same{number}")
        path.write_text(text)
        assert "'same' begins the ids of same0, same1" in self.refused(typed, "same")

    def test_nothing_there(self, tmp_path, typed):
        assert "there is no final in none" in self.refused(typed, "a", "--runs-dir", "none")

    def test_other_data(self, folder, typed):
        rewrite(folder, data_hash="0" * 16)
        line = self.refused(typed, rows(folder, "final")[0]["id"])
        assert "is not that of the final: pixel_digits of version 1 with the hash " in line
        assert line.endswith(
            "the row has pixel_digits of version 1 with 0000000000000000; --data-dir or --task say "
            "where it is"
        )

    def test_a_config_that_is_none(self, folder, typed):
        rewrite(folder, config={"width": 4, "deep": 2})
        assert "has no option 'deep'" in self.refused(typed, rows(folder, "final")[0]["id"])

    def test_a_final_that_failed(self):
        final = searched().final(0, None) | {"state": "failed", "reason": "LookupError: no"}
        others = searched().finals(0.9)
        with pytest.raises(UserError, match=r"failed \(LookupError: no\): there is nothing"):
            find_final(final["id"], [final, *others], Path("runs"))


def test_data_whose_path_no_record_has_is_named_again(tmp_path, typed):
    book = tmp_path / "book.txt"
    book.write_text("the quick brown fox jumps over the lazy dog. " * 500)
    task = f"char_text:path={book},length=20"
    trained(tmp_path, task=task, seeds=1, families=("dilated_cnn",))
    [final] = rows(tmp_path, "final")
    assert "It came out the same" in typed("replay", final["id"]).stdout  # the copy in the folder
    shutil.rmtree(tmp_path / "runs" / "data")
    [line] = typed("replay", final["id"], code=2).stderr.splitlines()
    assert "is not in runs/data and cannot be read: " in line
    assert line.endswith("(where a path was given, give it again: --task char_text:path=...)")
    assert "It came out the same" in typed("replay", final["id"], "--task", task).stdout
    book.write_text(book.read_text().replace("fox", "cat"))
    assert "is not that of the final" in typed(
        "replay", final["id"], "--task", task, code=2
    ).stderr  # fmt: skip


def test_the_code_of_a_plug_in_is_checked_before_anything_is_trained(page, typed, monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, str(page / "leaky_rnn.py"))
    trained(page, families=("leaky_rnn",), seeds=1)
    [final] = rows(page, "final")
    assert "It came out the same" in typed("replay", final["id"], cwd=page).stdout
    other = page / "other"
    other.mkdir()
    for name in ("leaky_rnn.py", "leaky_rnn.toml"):
        (other / name).write_text(FILES[name].replace("slowest: int = 100", "slowest: int = 101"))
    monkeypatch.setenv(plugins.VARIABLE, str(other / "leaky_rnn.py"))
    line = typed("replay", final["id"], cwd=page, code=2).stderr
    assert "the code of plug-in leaky_rnn.py was " in line
    assert "name the file: bench --plugin leaky_rnn.py" in line
    assert len(line.splitlines()) == 1


@pytest.mark.slow
def test_ctrl_c_ends_it(folder, start):
    rewrite(folder, steps=100_000)
    before = files(folder)
    running = start(folder, "replay", rows(folder, "final")[0]["id"])
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    trainer = wait_for(lambda: children.read_text().split(), running)[-1]
    os.kill(running.pid, signal.SIGINT)
    _, errors = running.communicate()
    assert running.returncode == 130
    assert errors == "bench: stopped: nothing was written; the same command begins again\n"
    assert files(folder) == before
    wait_for(lambda: not Path(f"/proc/{trainer}").exists())
