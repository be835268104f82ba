"""`bench new`: what it writes passes `bench check` as it stands, and nothing is overwritten."""

from __future__ import annotations

import json

import pytest
import torch

import drnn_bench
from drnn_bench import plugins
from drnn_bench.cli.new import KINDS
from drnn_bench.plugins.new import FOLDER
from drnn_bench.tasks.registry import parse_task

FILES = {
    "family": ["mine_2.py", "mine_2.toml"], "task": ["mine_2.py"],
    "cell": ["mine_2.py"], "metric": ["mine_2.py"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_plugged_in(monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "")


def test_every_kind_has_a_template():
    assert sorted(KINDS) == sorted(FILES) == sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_the_checks(kind, tmp_path, typed):
    said = typed("new", kind, "mine_2").stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES[kind]
    assert said == f"wrote {', '.join(FILES[kind])}; then: bench check mine_2.py\n"
    rows = json.loads(typed("check", "mine_2.py", "--json").stdout)
    assert {(row["kind"], row["name"], row["result"]) for row in rows} == {
        (kind, "mine_2", "passed")
    }
    assert len(rows) > 8


def test_the_net_of_the_template_is_what_its_equation_says(tmp_path, typed):
    typed("new", "family", "plain_net")
    drnn_bench.plugin(tmp_path / "plain_net.py")
    model = drnn_bench.build("plain_net", input_size=2, output_size=3, width=4).double()
    weights = dict(model.named_parameters())
    w, u, b = (weights[f"layers.0.{name}"] for name in ("w_ih", "w_hh", "bias"))
    x_BTI = torch.randn(1, 5, 2, dtype=torch.float64)
    h_H = torch.zeros(4, dtype=torch.float64)
    for x_I in x_BTI[0]:
        h_H = torch.tanh(w @ x_I + u @ h_H + b)
    expected_O = weights["head.weight"] @ h_H + weights["head.bias"]
    assert torch.allclose(model(x_BTI)[0, -1], expected_O, atol=1e-12)


def test_the_task_of_the_template_asks_what_it_says(tmp_path, typed):
    typed("new", "task", "first_sign")
    drnn_bench.plugin(tmp_path / "first_sign.py")
    for x_NT, y_N in parse_task("first_sign:T=3").load(None).values():
        assert [int(row[0] > 0) for row in x_NT.tolist()] == y_N.tolist()


@pytest.mark.parametrize("there", ["mine.py", "mine.toml"])
def test_nothing_is_overwritten(there, tmp_path, typed):
    (tmp_path / there).write_text("mine\n")
    done = typed("new", "family", "mine", code=2)
    assert f"{there} is there already" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine\n"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("famly", "mine"), "unknown kind 'famly': did you mean 'family'?"),
        (("family", "Mine"), "a name is lower-case letters, digits and _"),
        (("family", "../mine"), "a name is lower-case letters, digits and _"),
        (("family", "all"), "this word means several"),
        (("family", "lstm"), "'lstm' is a family of drnn_bench's own"),
        (("task", "mqar"), "'mqar' is a task of drnn_bench's own"),
        (("family", "layer"), "the template uses this name"),
        (("task", "task"), "the template uses this name"),
        (("task", "none"), "the template uses this name"),
    ],
)
def test_a_name_that_cannot_be_taken_is_refused_in_one_line(words, says, tmp_path, typed):
    done = typed("new", *words, code=2)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
