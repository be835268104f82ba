"""Storage URLs: any folder has one, what is no URL is one line, and no password is ever shown."""

from __future__ import annotations

import json
import sqlite3

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from drnn_bench.errors import JobError, UserError
from drnn_bench.search.database import (
    hide_password,
    parse_url,
    sqlite_url,
    why_of,
)
from drnn_bench.search.storage import has_tables, open_storage
from tests.support.command import UNTIMED
from tests.support.refused import refusal

FOLDERS = ["a?b", "a%3Fb", "a#b", "a b", "é{x}{}", "a&b=c", "a'\"b", "x%(y)s", "a\\b", "a:b@c"]
SECRET = "p4ssw0rd"
LEAKY = [
    f"postgresql://u:{SECRET}@h:port/db",
    f"postgresql://u:{SECRET}@h:99999/db",
    f"postgresql:/u:{SECRET}@h/db",
    f"postgresql//u:{SECRET}@h/db",
    f"u:{SECRET}@h/db",
    f"postgresql://u:x@{SECRET}@h/db",
    f"postgresql://u/v:{SECRET}@h/db",
    f"postgresql://u:{SECRET}/x@h/db",
    f"mysql://u:{SECRET}@h/db",
    f"postgres://u:{SECRET}@h/db",
    f"postgresql+nodriver://u:{SECRET}@127.0.0.1:1/db",
    f"postgresql://u:{SECRET}@127.0.0.1:1/db",
    f"postgresql://u:{SECRET}@127.0.0.1:1/db?nonsense=1",
    f"postgresql://u@127.0.0.1:1/db?password={SECRET}",
    f"postgresql://u@127.0.0.1:1/db?sslpassword={SECRET}&x=1",
    f"host=127.0.0.1 port=1 password={SECRET}",
    f"http://u:{SECRET}@h",
    f"sqlite:///x.db?password={SECRET}",
]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_any_name_has_its_database_in_itself(name, tmp_path):
    folder = tmp_path / "runs" / name
    folder.mkdir(parents=True)
    url = sqlite_url(folder)
    assert make_url(url).database == f"{folder}/studies.db"
    optuna.create_study(storage=open_storage(url))
    assert has_tables(url)
    assert (folder / "studies.db").is_file()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [name]


@pytest.mark.slow
def test_a_whole_run_in_such_a_folder(bench, typed, tmp_path):
    folder = "r?u%20n#s {é},="
    bench("run", "--runs-dir", folder, "--family", "lstm", "--trials", "2", "--steps", "3",
          "--seeds", "1", "--workers", "1", **UNTIMED)  # fmt: skip
    [row] = json.loads(typed("status", "--runs-dir", folder, "--json").stdout)
    assert row["state"] == "finished"
    board = typed("leaderboard", "--runs-dir", folder, "--format", "json").stdout
    assert len(json.loads(board)) == 1
    typed("export", "--runs-dir", folder, "--output", "net?#")
    assert {path.name for path in tmp_path.iterdir()} == {folder, "leaderboards", "net?#"}


@pytest.mark.parametrize("url", LEAKY)
def test_a_url_that_does_not_work_is_one_line_without_its_password(url):
    if "127.0.0.1" in url:
        pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    for call in (has_tables, open_storage):
        with pytest.raises((UserError, JobError)) as refused:
            call(url)
        said = str(refused.value)
        assert len(said.splitlines()) == 1
        assert SECRET not in said
        # Nor in a traceback: no cause is shown with it.
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("url", LEAKY)
def test_the_commands_say_it_the_same_way(url, typed):
    if "127.0.0.1" in url:
        pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    done = typed("status", "--storage", url, code=None)
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr + done.stdout


@given(st.text(min_size=8), st.text(min_size=1), st.sampled_from(["@", "/", ":", "?", "#", ""]))
def test_no_password_is_shown_however_it_is_written(start, end, between):
    password = f"{start}{between}{end}"
    made = URL.create("postgresql", "user", password, "h", 5432, "db")
    whole = made.render_as_string(hide_password=False)
    assert hide_password(whole) == "postgresql://user:***@h:5432/db"
    assert make_url(whole).password == password


@given(st.text(st.characters(categories=["L", "N"]), min_size=8))
def test_what_a_driver_quotes_of_a_url_is_hidden(secret):
    url = f"postgresql://u:{secret}@h/d?sslpassword={secret}x"
    error = OperationalError("", {}, sqlite3.OperationalError(f"bad {secret} and {secret}x"))
    assert secret not in why_of(url, error)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u@h:port/db", "its port is no number"),
        ("postgresql://u@h:0/db", "none from 1 to 65535"),
        ("postgresql://u:a@b@h/db", "@ is written %40"),
        ("u@h/db", "is no URL"),
        ("sqlite:///a?b.db", "? is written %3F"),
        ("sqlite:///x.db?timout=3", "no option timout"),
        ("postgres://u@h/db", "should look like sqlite:///file.db or postgresql://"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(url, said):
    assert said in refusal(parse_url, url)


def test_an_option_with_a_value_that_is_none_is_one_line(tmp_path):
    assert "could not convert" in refusal(open_storage, f"sqlite:///{tmp_path}/x.db?timeout=abc")
