"""Names that come from outside: harmless in every reader, and commands that can be pasted."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console
from rich.table import Table

from drnn_bench.board import budgets, publish, renderings
from drnn_bench.board.terminal import print_board
from drnn_bench.board.verdict import by_board
from drnn_bench.export import folder
from drnn_bench.export.model_card import model_card
from drnn_bench.report.figures import svg
from drnn_bench.report.page import page
from drnn_bench.report.sections import make_sections
from drnn_bench.results.ranking import rank_rows
from drnn_bench.system import escape
from drnn_bench.tasks.prepared import Prepared
from drnn_bench.tasks.registry import make_task, parse_task
from drnn_bench.tasks.spec import join_spec, split_spec
from tests.support.refused import refusal
from tests.support.searched import FAIR, GOOD, searched

ESCAPE, RIGHT_TO_LEFT = "\x1b", "\u202e"
NASTY = [
    "a;touch X;",
    "$(touch X)",
    "`touch X`",
    'it\'s "quoted"',
    "a|b",
    "<img src=x onerror=alert(1)>",
    "[red]x[/red]",
    "[x](javascript:alert(1))",
    f"{ESCAPE}[31mred{ESCAPE}[0m",
    f"{RIGHT_TO_LEFT}gpj",
    "two\nlines",
    "back\\slash",
    "&lt;b&gt;",
    "$x$ _y_ *z* ~w~",
    "com,ma=x",
    "-dash",
    "名前 نص",
]
NO_UTF8 = "caf\udce9"  # a file name has a byte that is none
names = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
)


def shell_argv(script: str, folder) -> list[list[str]]:
    """Pastes a script into bash, with a `bench` that writes down its words; what each call had."""
    stub = folder / "bin" / "bench"
    stub.parent.mkdir(exist_ok=True)
    stub.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "open('argv', 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
    )
    stub.chmod(0o755)
    (folder / "argv").unlink(missing_ok=True)
    path = f"{stub.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script.encode()], cwd=folder, env={**os.environ, "PATH": path},
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / "argv").read_text().splitlines()]


def hostile_board(name: str):
    """A board of two families, one with a space of its own, on data of this name."""
    key = make_task("own", [f"target={name}"]).key
    made = []
    for family, tests in (("lstm", GOOD), ("gru", FAIR)):
        one = searched(family)
        named = {"task": key, "architecture": name, "processor": name}
        study = one.study()
        if family == "gru":
            study["spec"] |= {"space": {"depth": [1, 2], "learning_rate": 0.01}}
        rows = [study, *one.finals(*tests), one.speed(10.0)]
        made += [row | named for row in rows]
    return rank_rows(made), made


# -- commands --------------------------------------------------------------------------------------


@given(st.lists(names, min_size=1, max_size=4))
@example(["", "a'b", "\x7f", "\x85", NO_UTF8])
def test_a_shell_gets_exactly_the_words(words):
    command = escape.shell("printf", r"%s\0", *words)
    assert command == escape.plain(command)  # nothing in it moves a terminal, one line
    done = subprocess.run(["bash", "-c", command.encode()], capture_output=True, check=True)
    assert done.stdout == b"".join(os.fsencode(word) + b"\0" for word in words)


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("reader", ["markdown", "page"])
def test_a_printed_command_runs_what_it_says_and_nothing_else(name, reader, tmp_path):
    board, rows = hostile_board(name)
    if reader == "markdown":
        blocks = re.findall(r"(?m)^(?: {4}.*\n)+", renderings.to_markdown(board))
        script = "".join(map(textwrap.dedent, blocks))
    else:
        text = page(make_sections(board, rows), [], "now")
        blocks = re.findall(r"(?s)<pre[^>]*><code>(.*?)</code>", text)
        script = "\n".join(map(html.unescape, blocks))
    argvs = shell_argv(script, tmp_path)
    assert [argv[:2] for argv in argvs] == [["run", "--task"]] * 2
    assert [parse_task(argv[2]).target for argv in argvs] == [name, name]
    own = next(argv for argv in argvs if "--search-space" in argv)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"bin", "argv", own[own.index("--search-space") + 1]}  # and no X


def test_what_tells_boards_apart_can_be_pasted(tmp_path):
    rows = [row for name in ("a;touch X", "b c") for row in hostile_board(name)[1]]
    rows = [row | {"study": f"{row['study']}{row['task']}"} for row in rows]
    said = refusal(folder.choose, rank_rows(rows), rows, None)
    for options in said.partition(" add ")[2].split(" or "):
        [argv] = shell_argv(f"bench {options}", tmp_path)
        assert argv[0] == "--task"
        assert parse_task(argv[1]).target in ("a;touch X", "b c")
    assert not (tmp_path / "X").exists()


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.lists(st.text()))))
@example({"a b": "\x7f", "😀": ["\U0001f600", 'x"\nEND\n']})
@example({"": ["inf"], "x": "inf"})  # how records write infinity
def test_a_written_search_space_is_the_toml_of_its_table(table):
    import tomllib

    from drnn_bench.board.reproduce import _entries

    text = _entries(table)
    assert "\nEND" not in text
    assert tomllib.loads(text) == {key: infinite(value) for key, value in table.items()}


def infinite(value):
    """Infinity where a record has the word for it."""
    if isinstance(value, list):
        return list(map(infinite, value))
    return float("inf") if value == "inf" else value


# -- a task in one word ----------------------------------------------------------------------------


@given(st.lists(st.tuples(st.from_regex(r"\A[a-z]\w*\Z"), st.text()), min_size=1))
@example([("path", "com,ma.csv"), ("target", "y")])
@example([("path", '"quoted"'), ("target", "\\"), ("x", "")])
def test_a_word_reads_back_as_it_was_written(pairs):
    assert split_spec(join_spec("own", pairs)) == ("own", pairs)


@given(names)
def test_the_key_of_a_task_is_read_back_by_the_command_line(name):
    task = make_task("own", [f"path={name}", f"target={name}"])
    assert parse_task(task.key).target == name
    assert parse_task(join_spec("own", [("path", name)])) == make_task("own", [f"path={name}"])


@pytest.mark.parametrize(
    ("word", "path", "target"),
    [
        ('own:path="com,ma.csv",target=y', "com,ma.csv", "y"),
        ("own:path=a=b.csv,target=y", "a=b.csv", "y"),
        ('own:target="a\\"b",path=it"s', 'it"s', 'a"b'),
        ('own:path="a:b/c"', "a:b/c", None),
    ],
)
def test_a_value_with_a_comma_is_written_in_double_quotes(word, path, target):
    task = parse_task(word)
    assert (task.path, task.target) == (path, target)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ('own:path="a.csv', 'ends with "'),
        ('own:path="a.csv"x,target=y', 'ends with "'),
        ("own:path=com,ma.csv", "in double quotes"),
        ('own:path="\\u0000"', "no name has"),
        ('own:path="\\ud800"', "no name has"),
        ("own:path=,target=y", "needs a value"),
        (f"own:target={NO_UTF8}", "no name has"),
    ],
)
def test_a_value_that_is_not_well_quoted_is_said_in_one_line(word, said):
    assert said in refusal(parse_task, word)


def test_a_file_whose_name_is_no_utf8_has_a_name_that_is(tmp_path):
    path = tmp_path / f"{NO_UTF8}.txt"
    path.write_text("abcdefgh " * 4000)
    task = make_task("char_text", [f"path={path}"]).read(None).task
    assert task.key.encode()
    assert parse_task(f"char_text:path={tmp_path}/{task.text}").read(None).task.key == task.key


def test_a_file_with_a_comma_is_read_by_its_command(typed, tmp_path):
    (tmp_path / "a, b=c.csv").write_text(
        "v1,v2,v3,label\n" + "".join(f"{i},{i + 1},{i % 5},{'xy'[i % 2]}\n" for i in range(40))
    )
    out = typed("run", "--dry-run", "--task", 'own:path="a, b=c.csv",target=label',
                "--family", "lstm", "--budget", "500", "--steps", "2",
                "--workers", "1").stdout  # fmt: skip
    assert 'Plan: own:data="a, b=c",target=label' in out


# -- readers ---------------------------------------------------------------------------------------


@given(names)
@example(NO_UTF8)
def test_a_line_shows_what_it_holds_and_does_nothing(name):
    shown = escape.plain(name)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", shown)
    assert shown.encode()  # no surrogate either
    if name.isprintable():
        assert shown == name


@given(names)
def test_markdown_shows_a_name_as_it_is(name):
    text = f"x{escape.markdown(name)}x"  # a cell or a sentence never begins with a name's mark
    tokens = MarkdownIt("commonmark").enable("table").enable("strikethrough").parseInline(text)
    children = tokens[0].children
    assert {token.type for token in children} <= {"text", "text_special"}
    assert "".join(token.content for token in children).split() == f"x{escape.plain(name)}x".split()


@pytest.mark.parametrize("name", NASTY)
def test_a_board_in_markdown_has_its_own_columns_and_no_markup(name):
    board, _ = hostile_board(name)
    text = renderings.to_markdown(board)
    assert text == "\n".join(map(escape.plain, text.split("\n")))
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    blocks = [t.content for t in tokens if t.type.startswith("html")]
    assert blocks == [f"<details><summary>{renderings.DETAILS}</summary>\n", "</details>\n"]
    inline = [child for t in tokens for child in t.children or []]
    bold = [t.type for t in inline if t.type.startswith("strong")]
    assert bold == ["strong_open", "strong_close"]  # the verdict's headline
    assert {t.type for t in inline} - set(bold) <= {"text", "text_special"}
    rows = sum(t.type == "tr_open" for t in tokens)
    assert rows == 2 * 3  # the short table and that of all columns
    assert sum(t.type == "td_open" for t in tokens) == 2 * sum(t.type == "th_open" for t in tokens)
    compared = budgets.to_text(board, "lstm", csv=False)
    assert compared == "\n".join(map(escape.plain, compared.split("\n")))


@pytest.mark.parametrize("name", NASTY)
def test_a_model_card_has_no_markup_of_a_name(name):
    board, rows = hostile_board(name)
    task = parse_task("pixel_digits")
    prepared = Prepared(task, "0" * 16, "nowhere")
    final = next(row for row in rows if row["role"] == "final")
    text = model_card(board[0], board[0].first, final, prepared)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert not [t for t in tokens if t.type.startswith("html")]
    inline = [child for t in tokens for child in t.children or []]
    assert {t.type for t in inline} <= {"text", "text_special", "code_inline", "softbreak"}
    assert sum(t.type == "td_open" for t in tokens) == 2 * (
        sum(t.type == "tr_open" for t in tokens) - sum(t.type == "thead_open" for t in tokens)
    )
    assert text == "\n".join(map(escape.plain, text.split("\n")))


@pytest.mark.parametrize("name", NASTY)
def test_a_terminal_shows_a_name_as_it_is(name, capsys):
    board, _ = hostile_board(name)
    console = Console(width=1000, color_system=None)
    print_board(console, board, by_board(board, name))
    out = capsys.readouterr().out
    assert escape.plain(name) in out
    assert out == "\n".join(map(escape.plain, out.split("\n")))


@given(names)
def test_rich_reads_no_markup_in_a_name(name):
    console = Console(width=1000, color_system=None, file=open(os.devnull, "w"))  # noqa: SIM115
    table = Table(title=escape.rich(name))
    table.add_column("x")
    table.add_row(escape.rich(name))
    with console.capture() as captured:
        console.print(table)
    assert captured.get().count(escape.plain(name).strip()) >= 2 or "\t" in name or len(name) > 200


@pytest.mark.parametrize("name", NASTY)
def test_a_page_has_no_tag_and_no_control_character_of_a_name(name):
    board, rows = hostile_board(name)
    text = page(make_sections(board, rows), [name], name)
    visible = re.sub(r"(?s)<script.*?</script>|<style.*?</style>", "", text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", visible)
    assert "<img" not in visible
    assert escape.html(name) in visible
    text.encode()


@pytest.mark.parametrize("name", NASTY)
def test_a_figure_is_whole_xml_whatever_is_written_in_it(name):
    pytest.importorskip("matplotlib")
    board, rows = hostile_board(name)
    chart = next(c for s in make_sections(board, rows) for b in s.boards for c in b.charts
                 if c.series)  # fmt: skip
    ET.fromstring(svg(chart, name))


@given(names | st.text("é/:,", min_size=200))
def test_a_file_name_can_be_one(name):
    made = escape.file_name(f"own:data={name}")
    assert len(made.encode()) <= escape.LONGEST_NAME + 9
    assert not set(made) & set('/:,"\\\n')


def test_the_names_of_published_boards_stay():
    for key in ("pixel_digits", "copy_memory:T=500", "char_text:length=100,text=tiny_shakespeare"):
        assert escape.file_name(key) == key.replace(":", "-").replace(",", "-")


def test_names_that_differ_only_where_they_are_cut_have_files_of_their_own():
    long = "own:data=" + "x" * 240
    assert escape.file_name(long) != escape.file_name(f"{long}y")


def test_a_board_of_a_name_of_240_characters_is_written(tmp_path):
    board, rows = hostile_board("x" * 240)
    path = publish.publish(rows, board[0].task, tmp_path / "leaderboards")
    assert path.is_file()
    assert publish.check(tmp_path / "leaderboards") == []
    assert isinstance(pd.read_csv(path.with_suffix(".csv")), pd.DataFrame)
