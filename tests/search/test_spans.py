"""A task that needs a span refuses nets that cannot cross it, and says how long the path is."""

from __future__ import annotations

import json
import math

import pytest

from drnn_bench.models.budget import Infeasible
from drnn_bench.models.build import configure, describe
from drnn_bench.models.mrl import path_length
from drnn_bench.models.names import FAMILIES
from drnn_bench.search.feasible import candidates
from drnn_bench.search.space_file import default_path, read_space
from drnn_bench.tasks.registry import parse_task
from tests.support.refused import refusal

COPY = parse_task("copy_memory:T=200")
SIZES = {"input_size": COPY.input_size, "output_size": COPY.output_size}


def test_copying_wants_every_symbol_back_after_as_many_steps():
    assert COPY.needed_spans == (210,)
    x_NT, y_NS = COPY.load(None)["validation"]
    first = COPY.length - y_NS.shape[1]
    for i in range(10):
        assert (x_NT[:, i] == y_NS[:, i]).all()
        assert first + i - i == 210


@pytest.mark.parametrize("family", FAMILIES)
def test_what_cannot_cross_it_is_refused_and_nothing_else_is(family):
    space, refused, taken = read_space(default_path(family)), 0, 0
    for candidate in candidates(space, COPY.length, whole=60, sample=60).shown:
        if candidate.refusal is not None:
            continue
        try:
            free = space.fit(candidate.options, budget=2000, length=COPY.length, **SIZES)
        except Infeasible:
            continue
        crosses = path_length(free, 210) < math.inf
        if crosses:
            assert candidate.fit(space, COPY, 2000) == free
            taken += 1
        else:
            said = refusal(candidate.fit, space, COPY, 2000)
            assert "cannot cross the 210 steps that the task needs" in said
            refused += 1
    assert taken
    assert refused or family not in ("dilated_cnn", "dilated_rnn")


def test_a_path_is_described():
    options = {"cell": "rnn", "base": 3, "start": 1, "depth": 5}
    facts = describe("dilated_rnn", width=4, length=520, spans=(510, 511), **SIZES, **options)
    # 510 = 2 * 243 + 24 = 2 * 243 + 2 * 9 + 2 * 3, and five layers; nothing crosses 511.
    assert facts["path_lengths"] == {510: 11.0, 511: math.inf}


def test_the_command_describes_it_for_a_task(bench):
    words = ["describe", "lstm", "--budget", "2k", "--task", "copy_memory:T=500", "--json"]
    assert json.loads(bench(*words).stdout)["path_lengths"] == {"510": 511.0}


def test_a_span_below_zero_is_refused():
    assert "span" in refusal(path_length, configure("lstm", width=2, **SIZES), -1)
