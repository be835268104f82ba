"""Options of a run in a file, and what the help of each command says."""

from __future__ import annotations

import shlex
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.cli import app as app_module
from drnn_bench.cli.config import save_config
from drnn_bench.cli.examples import EXAMPLES
from drnn_bench.errors import UserError

SMALL = 'family = ["lstm"]\ntrials = 3\nsteps = 40\nbudget = "2k"\nseeds = 1\n'


def test_a_file_says_what_would_be_typed_and_what_is_typed_counts_before_it(typed, tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    words = ("run", "--dry-run", "--workers", "1", "--config", "small.toml")
    assert "3 trials and 1 finals" in typed(*words).stdout
    assert "5 trials and 1 finals" in typed(*words, "--trials", "5").stdout


def test_what_was_given_is_saved_and_read_again(typed, tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    words = ("run", "--dry-run", "--workers", "1", "--config", "small.toml", "--trials", "4")
    first = typed(*words, "--save-config", "mine.toml").stdout
    saved = tomllib.loads((tmp_path / "mine.toml").read_text())
    assert saved == {
        "family": ["lstm"], "trials": 4, "steps": 40, "budget": ["2k"], "seeds": 1, "workers": 1,
    }  # fmt: skip
    again = typed("run", "--dry-run", "--config", "mine.toml").stdout
    assert "4 trials and 1 finals" in first
    assert "4 trials and 1 finals" in again
    done = typed("run", "--dry-run", "--save-config", "mine.toml", code=2)
    assert "it is there already" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trails = 3", "unknown option 'trails': did you mean 'trials'?"),
        ("trials = 'many'", "trials is a whole number, got 'many'"),
        ("trials = true", "trials is a whole number, got True"),
        ("publish = 1", "publish is true or false, got 1"),
        ("task = 3", "task is a word, got 3"),
        ("family = [3.5]", "family is a list of words, got [3.5]"),
        ("config = 'other.toml'", "unknown option 'config'"),
        ("trials = ", "cannot be read: Invalid value"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line(text, said, typed, tmp_path):
    (tmp_path / "wrong.toml").write_text(text)
    done = typed("run", "--config", "wrong.toml", code=2)
    assert done.stderr.startswith("bench: config wrong.toml")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_is_one_line(typed):
    done = typed("run", "--config", "nowhere.toml", code=2)
    assert done.stderr == "bench: config nowhere.toml cannot be read: No such file or directory\n"


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = words | st.integers(-(2**62), 2**62) | st.booleans() | st.lists(words, max_size=3)


@given(st.dictionaries(st.sampled_from(["task", "family", "trials", "data-dir"]), values))
def test_whatever_is_saved_is_what_toml_reads(tmp_path_factory, options):
    path = tmp_path_factory.mktemp("saved") / "config.toml"
    save_config(str(path), options)
    assert tomllib.loads(path.read_text(encoding="utf-8")) == options


def test_a_file_of_somebody_is_not_overwritten(tmp_path):
    (tmp_path / "mine.toml").write_text("trials = 3\n")
    with pytest.raises(UserError, match="it is there already"):
        save_config(str(tmp_path / "mine.toml"), {"trials": 4})
    assert (tmp_path / "mine.toml").read_text() == "trials = 3\n"


def test_every_command_has_examples_that_fit_the_screen():
    named = {command.name or command.callback.__name__
             for command in app_module.app.registered_commands}  # fmt: skip
    assert named == set(EXAMPLES)
    assert all(len(line) <= 78 for lines in EXAMPLES.values() for line in lines)


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_the_words_of_an_example_are_those_of_its_command(line, typed):
    """An option that a command does not have would be refused before its help is shown."""
    said = typed(*shlex.split(line)[1:], "--help").stdout
    assert "Examples:" in said
    assert line.split()[1] in said


def test_the_version_is_said(typed):
    assert typed("--version").stdout == "bench 0.1.0\n"
