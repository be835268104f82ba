"""The width that meets a budget, for every family that can be searched."""

from __future__ import annotations

import subprocess
import sys

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.models.budget import (
    ENOUGH,
    LEAST,
    Infeasible,
    _last_within,
    count_parameters,
    solve_width,
)
from drnn_bench.models.names import FAMILIES
from drnn_bench.models.registry import make_architecture
from drnn_bench.search.space_file import default_path, read_space
from tests.support.command import ENV

SIZES = {"input_size": 1, "output_size": 10}


@settings(max_examples=60)
@given(st.sampled_from(list(FAMILIES)), st.integers(300, 60_000), st.integers(0, 10_000))
def test_any_architecture_of_the_space_meets_any_budget(family, budget, seed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    space = read_space(default_path(family))
    try:
        config = space.draw(study.ask(), budget=budget, length=784, **SIZES).config
    except Infeasible:
        return
    used = count_parameters(config)
    assert LEAST * budget <= used <= budget
    assert max(config.widths) - min(config.widths) <= 1
    # No larger width would do: one unit more everywhere exceeds the budget.
    more = make_architecture(
        family, **SIZES, **config.options, width=tuple(w + 1 for w in config.widths)
    )
    assert count_parameters(more) > budget


@settings(max_examples=300)
@given(
    st.integers(0, 60), st.integers(1, 300), st.integers(0, 20_000), st.integers(1, 9),
    st.floats(1, 3_000),
)  # fmt: skip
def test_the_width_found_is_the_last_within_the_budget(square, linear, fixed, low, factor):
    def count(width: int) -> int:
        return square * width**2 + linear * width + width % 3 * (linear > 2) + fixed

    width = _last_within(count, low, int(factor * count(low)))
    assert width >= low
    assert count(width) <= int(factor * count(low)) < count(width + 1)


def test_equal_widths_where_they_use_enough():
    config = solve_width("dilated_rnn", {"cell": "gru", "depth": 9}, **SIZES, budget=21_500)
    assert config.width == 20
    assert count_parameters(config) == 21_210 >= ENOUGH * 21_500


def test_the_fewest_lowest_layers_are_wider_where_equal_widths_use_too_little():
    config = solve_width("lstm", {"depth": 4}, **SIZES, budget=5_000)
    assert config.width == (13, 13, 12, 12)
    fewer = make_architecture("lstm", **SIZES, depth=4, width=(13, 12, 12, 12))
    assert count_parameters(fewer) < ENOUGH * 5_000 <= count_parameters(config) <= 5_000


def test_a_budget_too_small_says_what_would_do():
    with pytest.raises(Infeasible, match="needs at least 32 parameters") as refused:
        solve_width("lstm", {}, **SIZES, budget=10)
    assert refused.value.needs == 32
    solve_width("lstm", {}, **SIZES, budget=refused.value.needs)


def test_a_budget_between_two_widths_is_refused():
    with pytest.raises(Infeasible, match="at least 90% wanted"):
        solve_width("lstm", {}, **SIZES, budget=50)


def test_dilations_that_reach_the_length_are_refused():
    options = {"base": 2, "depth": 7}
    solve_width("dilated_rnn", options, **SIZES, budget=5_000, length=65)
    with pytest.raises(Infeasible, match="64, reaches the sequence length 64"):
        solve_width("dilated_rnn", options, **SIZES, budget=5_000, length=64)


def test_counting_does_without_torchs_compiler():
    """Every process counts, and the compiler takes it two seconds to import."""
    code = (
        "import sys\n"
        "from drnn_bench.models.budget import count_parameters\n"
        "from drnn_bench.models.build import configure\n"
        "from drnn_bench.models.cost import cost\n"
        "from drnn_bench.models.names import FAMILIES\n"
        "nets = [(family, {}) for family in FAMILIES]\n"
        "nets += [('dilated_rnn', {'init': init}) for init in ('orthogonal', 'paper')]\n"
        "for family, options in nets:\n"
        "    net = configure(family, input_size=1, output_size=10, width=8, **options)\n"
        "    assert count_parameters(net) and cost(net, 64)\n"
        "    assert 'torch._dynamo' not in sys.modules, (family, options)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=ENV)
