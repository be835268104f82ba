"""A final that fails by its code: tried again, its family without a rank, all else done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drnn_bench import plugins
from drnn_bench.jobs import after_search
from drnn_bench.jobs.api import run
from drnn_bench.search.study import seed_for
from tests.support.page import FILES
from tests.support.runs import rows

SEED = seed_for(0, "final", 1)  # of the second final
BROKEN = f"""
    def network(self):
        from pathlib import Path

        if torch.initial_seed() == {SEED} and Path("broken").exists():
            with Path("tries").open("a") as file:
                file.write("tried\\n")
            raise LookupError("no kernel for this seed")
"""
SMALL = ("run", "--family", "leaky_rnn", "--family", "dilated_cnn", "--steps", "8", "--trials", "1",
         "--seeds", "2", "--workers", "2", "--budget", "500")  # fmt: skip


@pytest.fixture
def breakable(tmp_path, monkeypatch) -> Path:
    """A folder with a family whose second final fails while the file `broken` is there."""
    text = FILES["leaky_rnn.py"].replace("\n    def network(self):\n", BROKEN)
    assert text != FILES["leaky_rnn.py"]
    (tmp_path / "leaky_rnn.py").write_text(text)
    (tmp_path / "leaky_rnn.toml").write_text(FILES["leaky_rnn.toml"])
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path / "leaky_rnn.py"))
    return tmp_path


@pytest.mark.slow
def test_the_others_are_ranked_and_the_next_run_tries_it_again(breakable, typed, monkeypatch):
    (breakable / "broken").touch()
    done = typed(*SMALL, code=1)
    reason = "LookupError: no kernel for this seed"
    assert done.stderr.startswith(f"bench: 1 final failed: leaky_rnn at 500, seed {SEED} ({reason}")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.count(f"a job failed ({reason}); it runs again") == 2
    assert (breakable / "tries").read_text().count("tried") == 3
    assert reason in (breakable / "runs" / "trainers.log").read_text()

    board = {x["family"]: x for x in json.loads(typed("leaderboard", "--format", "json").stdout)}
    assert (board["dilated_cnn"]["rank_low"], board["dilated_cnn"]["n"]) == (1, 2)
    assert board["dilated_cnn"]["train_per_s"] > 0
    assert (board["leaky_rnn"]["rank_low"], board["leaky_rnn"]["n"]) == (None, 0)
    markdown = typed("leaderboard", "--format", "markdown").stdout
    assert f"no rank: the final of seed {SEED} failed: {reason}" in markdown.replace("\\", "")
    states = [row["state"] for row in rows(breakable, "final")]
    assert sorted(states) == ["complete", "complete", "complete", "failed"]

    (breakable / "broken").unlink()
    monkeypatch.setattr(after_search, "speeds_owed", lambda *of: [])  # one session is enough
    typed(*SMALL)
    board = {x["family"]: x for x in json.loads(typed("leaderboard", "--format", "json").stdout)}
    assert [board[family]["n"] for family in ("dilated_cnn", "leaky_rnn")] == [2, 2]
    assert board["leaky_rnn"]["rank_low"] is not None
    assert board["leaky_rnn"]["left_out"] == []
    assert len(rows(breakable, "final")) == 5
    typed("leaderboard", "--check")
    assert "Plan" not in typed(*SMALL).stdout


@pytest.mark.slow
def test_from_python_it_raises_when_all_else_is_done(breakable, untimed, monkeypatch):
    monkeypatch.chdir(breakable)
    Path("broken").touch()
    with pytest.raises(RuntimeError, match=r"1 final failed: leaky_rnn .*the same command tries"):
        run(families=["leaky_rnn"], budgets=[500], steps=8, trials=1, seeds=2, workers=1)
    assert [row["state"] for row in rows(breakable, "final")] == ["complete", "failed"]
    assert Path("leaderboards/pixel_digits.md").exists()
