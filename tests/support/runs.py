"""Real `bench run` processes in a folder, and what they have left there."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import optuna
from kills import studies

from drnn_bench.results import records
from drnn_bench.search.database import sqlite_url
from drnn_bench.search.trial_facts import TrialCounts, count_trials

SMALL = ("run", "--steps", "20", "--trials", "3", "--seeds", "2", "--workers", "2",
         "--family", "lstm", "--family", "dilated_cnn")  # fmt: skip


def counts(folder: Path) -> dict[str, TrialCounts]:
    """By study, in this folder's runs folder."""
    return {
        name: count_trials(trials) for name, trials in studies(sqlite_url(folder / "runs")).items()
    }


def total(folder: Path, what: str) -> int:
    return sum(getattr(count, what) for count in counts(folder).values())


def in_training(folder: Path) -> list[optuna.trial.FrozenTrial]:
    found = studies(sqlite_url(folder / "runs")).values()
    return [t for trials in found for t in trials
            if t.state.name == "RUNNING" and "draw" in t.user_attrs]  # fmt: skip


def rows(folder: Path, role: str | None = None) -> list[dict]:
    found, notes = records.read(folder / "runs" / "records.jsonl")
    assert not notes
    return [row for row in found if role in (None, row["role"])]


def wait_for(condition, running: subprocess.Popen | None = None, seconds: float = 300):
    """Waits until the condition is true, and returns its value. The limit ends a hang only: a
    machine may be busy. `running` must not end meanwhile."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert running is None or running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    return value
