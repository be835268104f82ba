"""The commands that make a board's searches again."""

from __future__ import annotations

import dataclasses
import math
import subprocess

from drnn_bench.board import budgets, renderings
from drnn_bench.board.reproduce import again
from drnn_bench.results.ranking import rank_rows
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.space_file import read_space
from tests.support.searched import (
    at_random,
    searched,
)


def test_each_kind_of_search_has_a_command_that_makes_it_again():
    one, other, wild = searched(), searched("gru"), at_random(searched(), seed=7)
    text = renderings.to_markdown(rank_rows([one.study(), other.study(), wild.study()]))
    again = [line_.strip() for line_ in text.splitlines() if line_.startswith("    bench run")]
    where = "--budget 1000 --steps 100 --trials 5 --seeds 1"
    assert sorted(again) == [
        f"bench run --task pixel_digits --family gru --family lstm {where} "
        "--sampler tpe --pruner asha --seed 0",
        f"bench run --task pixel_digits --family lstm {where} "
        "--sampler random --pruner none --seed 7",
    ]
    board = rank_rows([one.study(), other.study(), wild.study()])
    assert "of several searches" in budgets.to_text(board, "lstm", csv=False)


def test_a_search_space_of_ones_own_comes_with_its_command(tmp_path):
    """What stands on the board is a shell's: it writes the file that its command reads."""
    rate = {"low": 1e-4, "high": 1.0, "log": True}
    table = {"depth": {"low": 2, "high": 3}, "learning_rate": rate}
    recipe = Recipe(optimizer="rmsprop", clip_norm=math.inf)
    one = searched()
    spec = dataclasses.replace(one.spec, space=table, recipe=recipe.table)
    own = dataclasses.replace(one, spec=spec)
    shell = again(rank_rows([one.study(), own.study()])[0].lines)
    write, _, runs = shell.partition("\nbench run")
    subprocess.run(["sh", "-c", write], cwd=tmp_path, check=True)
    [path] = tmp_path.iterdir()
    assert f"--search-space {path.name} --budget 1000" in runs
    assert runs.count("--search-space") == 1
    assert "--family lstm --budget 1000" in runs
    space = read_space(path)
    assert (space.family, space.table, space.recipe) == ("lstm", table, recipe)
