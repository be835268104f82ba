"""Results of plug-ins: changed code is another search and is said, an absent plug-in is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

import drnn_bench
from drnn_bench import plugins
from drnn_bench.board.renderings import to_csv, to_markdown
from drnn_bench.errors import UserError
from drnn_bench.export.loading import digest
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.results.board_line import as_records
from drnn_bench.results.ranking import rank_rows
from drnn_bench.search.plugin_code import changes, check, codes
from drnn_bench.search.study import StudySpec, nearly_the_same
from tests.support.command import ENV, ROOT, UNTIMED, in_turn
from tests.support.page import FILES
from tests.support.searched import GOOD, searched


def plan_with(file: Path, monkeypatch) -> StudySpec:
    monkeypatch.setenv(plugins.VARIABLE, str(file))
    request = Request(families=("leaky_rnn",), runs_dir=str(file.parent / "runs"), trials=1)
    [spec] = make_plan(request).specs
    return spec


def test_the_code_is_the_files_and_what_comes_with_drnn_bench_has_none(page, monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, str(page / "leaky_rnn.py"))
    text = FILES["leaky_rnn.py"].encode()
    found = codes("pixel_digits", "leaky_rnn")
    assert found == {"family": {"file": "leaky_rnn.py", "sha256": sha256(text).hexdigest()[:16]}}
    assert codes("copy_memory:T=20", "lstm") == {}
    assert changes(found, "pixel_digits", "leaky_rnn") == []


def test_other_code_is_another_search_and_another_name_is_not(page, monkeypatch):
    first = plan_with(page / "leaky_rnn.py", monkeypatch)
    for folder in ("edited", "renamed"):
        (page / folder).mkdir()
        (page / folder / "leaky_rnn.toml").write_text(FILES["leaky_rnn.toml"])
    edited, renamed = page / "edited" / "leaky_rnn.py", page / "renamed" / "mine.py"
    edited.write_text(FILES["leaky_rnn.py"].replace("slowest: int = 100", "slowest: int = 101"))
    renamed.write_text(FILES["leaky_rnn.py"])
    (page / "renamed" / "mine.toml").write_text(FILES["leaky_rnn.toml"])
    second = plan_with(edited, monkeypatch)
    assert second.digest != first.digest
    [line] = nearly_the_same(second, [first, second])
    assert line.startswith("leaky_rnn: the code of its plug-in has changed since the search ")
    assert replace(first, plugins=codes("", "leaky_rnn")).digest == second.digest
    with pytest.raises(UserError, match=r"the code of plug-in leaky_rnn\.py was \w+ and has \w+"):
        first.check_code()
    second.check_code()
    # Put back under another name, the earlier search goes on.
    monkeypatch.setenv(plugins.VARIABLE, str(renamed))
    assert replace(first, plugins=codes("", "leaky_rnn")).digest == first.digest


def test_a_search_without_plug_ins_keeps_its_identity():
    spec = searched().spec
    assert spec.plugins == {}
    written = json.loads((ROOT / "tests/data/pixel_digits.jsonl").read_text().splitlines()[0])
    assert StudySpec(**written["spec"]).digest == written["study"]


def test_an_absent_plug_in_is_no_change_that_passes(page, monkeypatch):
    known = {"family": {"file": "leaky_rnn.py", "sha256": "0" * 16}}
    with pytest.raises(UserError, match="brings no family here"):
        check(known, "pixel_digits", "leaky_rnn")


# A compiled copy of the file as it was, of the same size and second.
LOAD = """
import sys
from drnn_bench import plugins
plugins.plugin(sys.argv[1])
from drnn_bench.models.registry import architecture_type
print(architecture_type("leaky_rnn").__dataclass_fields__["slowest"].default)
"""


def test_an_edit_within_a_second_is_run(page):
    path = page / "leaky_rnn.py"
    said = []
    for number in ("100", "999"):
        text = FILES["leaky_rnn.py"].replace("slowest: int = 100", f"slowest: int = {number}")
        path.write_text(text)
        os.utime(path, (1_000_000_000, 1_000_000_000))
        done = subprocess.run(
            [sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, env=ENV
        )
        said.append(done.stdout.strip())
    assert said == ["100", "999"], done.stderr


# -- boards ------------------------------------------------------------------------------------


def of_code(one, digits: str):
    """The rows of a search as they would be of a plug-in's family."""
    code = {"family": {"file": "my nets.py", "sha256": digits * 16}}
    spec = replace(one.spec, plugins=code)
    mine = replace(one, spec=spec)
    return [row | {"family": "leaky_rnn"} for row in [mine.study(), *mine.finals(*GOOD)]]


def test_rows_nearly_the_same_stand_under_their_own_hash_and_commands_name_the_file():
    one = searched("rnn")
    board = rank_rows([*of_code(one, "a"), *of_code(one, "b"), searched("lstm").study()])
    kinds = {line["search"] for line in as_records(board) if line["family"] == "leaky_rnn"}
    assert kinds == {f"tpe, asha, seed 0, code {x * 8}" for x in "ab"}
    text = to_markdown(board)
    assert "From plug-ins: family leaky_rnn, my nets.py (code aaaaaaaa, bbbbbbbb)." in text
    assert "bench --plugin 'my nets.py' run --task pixel_digits" in text
    assert '""file"": ""my nets.py""' in to_csv(board)
    assert "plugins" not in as_records(rank_rows([one.study()]))[0]


@pytest.mark.slow
def test_a_plug_in_that_changes_or_goes_away_is_said(page, typed, monkeypatch):
    with_it = ["--plugin", "leaky_rnn.py"]
    run = [*with_it, "run", "--family", "leaky_rnn", "--budget", "500", "--trials", "1",
           "--steps", "4", "--seeds", "1", "--workers", "1"]  # fmt: skip

    def types(*commands: list[str]) -> tuple[str, str]:
        done = in_turn(commands, page, **UNTIMED)
        assert done.stdout.endswith(b"[0, 0]\n"), done.stderr
        return done.stdout.decode(), done.stderr.decode()

    types(run, [*with_it, "export", "--output", "net"])
    text = (page / "leaky_rnn.py").read_text()
    assert "the code of plug-in" not in (page / "net" / "README.md").read_text()
    (page / "leaky_rnn.py").write_text(text + "\n# changed\n")
    out, errors = types([*run, "--dry-run"], [*with_it, "export", "--output", "earlier"])
    assert "leaky_rnn: the code of its plug-in has changed since the search" in out
    changed = "the code of plug-in leaky_rnn.py was"
    assert changed in errors
    assert changed in (page / "earlier" / "README.md").read_text()
    card = (page / "net" / "README.md").read_text()
    assert "drnn_bench.plugin('leaky_rnn.py')" in card
    assert "bench --plugin leaky_rnn.py run" in card

    # Without the plug-in: the rows are listed, the drawing is left out, the rest says what to do.
    lines = json.loads(typed("leaderboard", "--format", "json").stdout)
    assert [line["family"] for line in lines] == ["leaky_rnn"]
    typed("report")
    html = (page / "report.html").read_text()
    assert "Not drawn: unknown family &#x27;leaky_rnn&#x27;" in html
    assert "bench --plugin FILE" in html
    done = typed("export", "--rank", "1", "--output", "other", code=2)
    assert "which is not here: name the file: bench --plugin leaky_rnn.py" in done.stderr
    with pytest.raises(UserError, match=r"plug-in leaky_rnn\.py, which is not here"):
        drnn_bench.load(page / "net")
    described = json.loads((page / "net" / "config.json").read_text())
    described["plugins"]["family"]["sha256"] = "0" * 16
    described["digest"] = digest(described)
    (page / "net" / "config.json").write_text(json.dumps(described))
    monkeypatch.setenv(plugins.VARIABLE, str(page / "leaky_rnn.py"))
    with pytest.warns(UserWarning, match="the net may compute something else"):
        drnn_bench.load(page / "net")
