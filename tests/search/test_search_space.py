"""Search-space files: what ships, what is drawn, and what is said about a mistake."""

from __future__ import annotations

import math

import optuna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from paper import QUEUE

from drnn_bench.errors import UserError
from drnn_bench.models.budget import Infeasible, count_parameters
from drnn_bench.models.names import FAMILIES
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.space_file import default_path, make_space, read_space
from tests.support.command import ROOT

PIXELS = {"input_size": 1, "output_size": 10}
SYMBOLS = {"input_size": 10, "output_size": 8}  # of copying
SHIPPED = sorted((ROOT / "search_spaces").glob("*.toml"))
FOLDER = ROOT / "search_spaces" / "paper"
STARTS = sorted(FOLDER.glob("start/*.toml"))
PAPER = sorted({*FOLDER.rglob("*.toml")} - {*STARTS})


def asking(seed: int = 0) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


def draws(space, count: int, *, seed: int = 0, budget: int = 20_000, length: int = 784):
    """(trial, what was drawn) of every draw that is feasible."""
    study, drawn = asking(seed), []
    for _ in range(count):
        trial = study.ask()
        try:
            drawn.append((trial, space.draw(trial, budget=budget, length=length, **PIXELS)))
        except Infeasible:
            continue
    return drawn


def name(path):
    return path.stem


# -- the files that ship -----------------------------------------------------------------------


def test_there_is_a_file_for_every_family_and_none_besides():
    assert {path.stem for path in SHIPPED} == set(FAMILIES)
    assert {default_path(family).resolve() for family in FAMILIES} == set(SHIPPED)


@pytest.mark.parametrize("path", SHIPPED, ids=name)
def test_a_shipped_file_draws_nets_that_meet_the_budget(path):
    space = read_space(path)
    assert space.family == path.stem
    drawn = draws(space, 25)
    assert len(drawn) >= 20  # the ranges themselves should make refusals rare
    for _, draw in drawn:
        assert draw.config.family == path.stem
        assert 0.9 * 20_000 <= count_parameters(draw.config) <= 20_000
        assert 3e-4 <= draw.learning_rate <= 1e-1


def test_all_families_share_one_learning_rate_range_and_one_recipe():
    spaces = [read_space(path) for path in SHIPPED]
    assert len({space.recipe for space in spaces}) == 1
    rates = [next(e for e in space.entries if e.name == "learning_rate") for space in spaces]
    assert len(set(rates)) == 1


def vanilla(budget: int, parameters: int, depth: int):
    return "dilated_rnn", budget, parameters, {"cell": "rnn", "depth": depth}


PAPER_NETS = {
    "dilated_rnn_9x20": vanilla(7_300, 7_210, 9),
    "dilated_gru_9x20": ("dilated_rnn", 21_300, 21_210, {"cell": "gru", "depth": 9}),
    "dilated_lstm_9x20": ("dilated_rnn", 28_300, 28_210, {"cell": "lstm", "depth": 9}),
    "dilated_cnn_10x20": ("dilated_cnn", 7_500, 7_450, {"kernel": 2, "depth": 10}),
    "rnn_9x20": ("rnn", 7_300, 7_210, {"depth": 9}),
    "gru_9x20": ("gru", 21_300, 21_210, {"depth": 9}),
    "dilated_rnn_9x10": vanilla(2_000, 1_978, 9),
    "dilated_gru_9x10": ("dilated_rnn", 5_800, 5_758, {"cell": "gru", "depth": 9}),
    "dilated_lstm_9x10": ("dilated_rnn", 7_700, 7_648, {"cell": "lstm", "depth": 9}),
    "2_layers": vanilla(1_500, 1_470, 2),
    "3_layers": vanilla(2_300, 2_290, 3),
    "4_layers": vanilla(3_200, 3_110, 4),
    "5_layers": vanilla(4_000, 3_930, 5),
    "6_layers": vanilla(4_800, 4_750, 6),
    "7_layers": vanilla(5_600, 5_570, 7),
    "8_layers": vanilla(6_500, 6_390, 8),
    "9_layers": vanilla(7_300, 7_210, 9),
}
UNDILATED = {
    "rnn": ("rnn", "orthogonal"),
    "gru_orthogonal": ("gru", "orthogonal"),
    "gru_chrono": ("gru", "chrono"),
    "lstm_orthogonal": ("lstm", "orthogonal"),
    "lstm_chrono": ("lstm", "chrono"),
}


def test_every_paper_file_is_known_here():
    assert {path.stem for path in PAPER} == PAPER_NETS.keys() | UNDILATED.keys()
    queued = {FOLDER / f"{net.space}.toml": net.budget for net in QUEUE}
    budgets = dict.fromkeys(UNDILATED, 7_700) | {n: net[1] for n, net in PAPER_NETS.items()}
    assert {path: queued[path] for path in PAPER} == {p: budgets[p.stem] for p in PAPER}
    assert queued.keys() - {*PAPER} == {*STARTS} - {FOLDER / "start/1.toml"}
    for path in queued.keys() - {*PAPER}:  # in the queue they are of equal width
        drawn = read_space(path).draw(asking().ask(), budget=queued[path], length=1000, **PIXELS)
        assert set(drawn.config.widths) == {20}


def assert_papers_recipe(recipe: Recipe) -> None:
    assert (recipe.optimizer, recipe.rmsprop_alpha, recipe.schedule) == ("rmsprop", 0.9, "constant")
    assert (recipe.batch_size, recipe.clip_norm) == (128, math.inf)


@pytest.mark.parametrize("path", [p for p in PAPER if p.stem in PAPER_NETS], ids=name)
def test_a_paper_file_is_exactly_the_papers_net_and_recipe(path):
    family, budget, parameters, options = PAPER_NETS[path.stem]
    space = read_space(path)
    trial = asking().ask()
    copying = path.parent.name == "copying"
    drawn = space.draw(
        trial, budget=budget, length=1020 if copying else 784, **(SYMBOLS if copying else PIXELS)
    )
    assert trial.params == {}  # everything is fixed, so nothing is asked of the sampler
    assert drawn.config.family == family
    assert set(drawn.config.widths) == {10 if copying else 20}
    assert options.items() <= drawn.config.options.items()
    dilated = family.startswith("dilated")
    depth = options["depth"]
    assert len(drawn.config.widths) == depth
    assert not dilated or drawn.config.layer_dilations == tuple(2**level for level in range(depth))
    assert count_parameters(drawn.config) == parameters
    assert drawn.learning_rate == 1e-3
    assert_papers_recipe(space.recipe)


@pytest.mark.parametrize("path", [p for p in PAPER if p.stem in UNDILATED], ids=name)
def test_an_undilated_net_is_one_layer_by_the_same_recipe(path):
    family, init = UNDILATED[path.stem]
    space, trial = read_space(path), asking().ask()
    drawn = space.draw(trial, budget=7_700, length=1020, **SYMBOLS)
    assert trial.params == {}
    assert (drawn.config.family, drawn.config.init) == (family, init)
    assert (len(drawn.config.widths), drawn.learning_rate) == (1, 1e-3)
    assert_papers_recipe(space.recipe)


@pytest.mark.parametrize("path", PAPER, ids=name)
def test_the_command_in_a_paper_file_names_that_file_and_its_budget(path):
    head = path.read_text().split("family =")[0]
    assert f"--search-space {path.relative_to(ROOT)} " in head
    if path.stem in UNDILATED:
        assert "--budget 7.7k " in head
        return
    _, budget, parameters, _ = PAPER_NETS[path.stem]
    assert f"--budget {budget / 1000:g}k " in head
    assert f"({parameters} parameters)" in head


# -- drawing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=name)
def test_the_same_seed_draws_the_same_and_another_seed_does_not(path):
    def drawn(seed):
        return [draw for _, draw in draws(read_space(path), 8, seed=seed)]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_fusion_is_drawn_exactly_where_the_start_is_above_zero():
    drawn = draws(read_space(default_path("dilated_rnn")), 100)
    for trial, draw in drawn:
        assert ("fusion" in trial.params) == (draw.config.start > 0)
        assert not draw.config.fusion or draw.config.start > 0
    assert {draw.config.fusion for _, draw in drawn if draw.config.start > 0} == {True, False}
    assert any(draw.config.start == 0 for _, draw in drawn)


@pytest.mark.parametrize(
    ("condition", "starts"),
    [
        ("start > 1", {2}),
        ("start < 1", {0}),
        ("start >= 1", {1, 2}),
        ("start <= 1", {0, 1}),
        ("start == 1", {1}),
        ("start != 1", {0, 2}),
    ],
)
def test_a_condition_compares_as_it_is_written(condition, starts):
    space = make_space(
        {
            "family": "dilated_rnn",
            "space": {
                "start": {"low": 0, "high": 2},
                "depth": {"choices": [2, 3], "when": condition},
                "learning_rate": 1e-3,
            },
        }
    )
    asked = {draw.config.start for trial, draw in draws(space, 60, length=5_000)
             if "depth" in trial.params}  # fmt: skip
    assert asked == starts


def test_a_condition_may_look_at_an_option_that_the_file_leaves_at_its_default():
    def space(condition):
        return make_space(
            {
                "family": "dilated_rnn",
                "space": {
                    "depth": {"choices": [2, 3], "when": condition},
                    "learning_rate": 1e-3,
                },
            }
        )

    default = [draw.config.depth for _, draw in draws(space('cell == "lstm"'), 20)]
    assert set(default) == {9}
    asked = [draw.config.depth for _, draw in draws(space('cell == "gru"'), 20)]
    assert set(asked) == {2, 3}


def test_the_order_of_a_file_does_not_matter():
    table = read_space(default_path("dilated_rnn")).table
    turned = dict(reversed(table.items()))
    one = make_space({"family": "dilated_rnn", "space": table})
    other = make_space({"family": "dilated_rnn", "space": turned})
    assert [d for _, d in draws(one, 10)] == [d for _, d in draws(other, 10)]


@settings(max_examples=80)
@given(
    st.sampled_from(list(FAMILIES)),
    st.integers(0, 10**6),
    st.one_of(st.integers(2, 70), st.integers(2, 5_000)),
)
def test_no_draw_has_an_edge_that_reaches_the_length(family, seed, length):
    space = read_space(default_path(family))
    try:
        config = space.draw(asking(seed).ask(), budget=60_000, length=length, **PIXELS).config
    except Infeasible as refusal:
        # Below 5 steps two layers of base 4 do not fit; above, the ranges leave room for all, and
        # only a transformer's heads, of even sizes, may use too little of the budget.
        said = str(refusal)
        assert length < 5 or (family == "transformer" and "can use only" in said)
        assume(False)
    assert config.longest_span < length
    assert max([0, *config.paths.spans, *(config.layer_dilations or ())]) < length


def test_options_that_do_not_go_together_are_refused_like_any_other_draw():
    space = make_space(
        {
            "family": "dilated_rnn",
            "space": {"start": 0, "depth": 2, "fusion": [True], "learning_rate": 1e-3},
        }
    )
    with pytest.raises(Infeasible, match="fusion"):
        space.draw(asking().ask(), budget=5_000, length=64, **PIXELS)


# -- the ends of the ranges --------------------------------------------------------------------


EDGES = {
    "dilated_rnn": {
        "cell": ["rnn", "gru", "lstm"],
        "base": [2, 3, 4],
        "start": {"low": 0, "high": 3},
        "depth": {"low": 2, "high": 12},
        "fusion": {"choices": [False, True], "when": "start > 0"},
        "learning_rate": {"low": 3e-4, "high": 1e-1, "log": True},
    },
    "dilated_cnn": {
        "depth": {"low": 1, "high": 12},
        "kernel": {"low": 2, "high": 4},
        "learning_rate": {"low": 0.1, "high": 0.2},
    },
    "clockwork_rnn": {"modules": {"low": 1, "high": 9}, "learning_rate": 1e-3},
}


@pytest.mark.parametrize(
    ("family", "best", "flagged"),
    [
        ("dilated_rnn", {"depth": 12, "start": 1, "learning_rate": 1e-2}, ["depth"]),
        ("dilated_rnn", {"depth": 11, "start": 3, "learning_rate": 1e-2}, ["start"]),
        ("dilated_rnn", {"depth": 2, "start": 1, "learning_rate": 1e-2}, ["depth"]),
        ("dilated_rnn", {"depth": 3, "start": 2, "learning_rate": 1e-2}, []),
        ("dilated_rnn", {"depth": 12, "start": 3, "learning_rate": 1e-1},
         ["start", "depth", "learning_rate"]),
        # Near an end of a logarithmic range is on it.
        ("dilated_rnn", {"depth": 5, "learning_rate": 3e-4}, ["learning_rate"]),
        ("dilated_rnn", {"depth": 5, "learning_rate": 3.03e-4}, ["learning_rate"]),
        ("dilated_rnn", {"depth": 5, "learning_rate": 3.2e-4}, []),
        ("dilated_rnn", {"depth": 5, "learning_rate": 9.95e-2}, ["learning_rate"]),
        ("dilated_cnn", {"depth": 5, "learning_rate": 0.1}, ["learning_rate"]),
        ("dilated_cnn", {"depth": 5, "learning_rate": 0.15}, []),
        # Nothing lies below these: no net has a negative start, depth 0, one tap, no module.
        ("dilated_rnn", {"depth": 5, "start": 0, "learning_rate": 1e-2}, []),
        ("dilated_cnn", {"depth": 1, "kernel": 2}, []),
        ("clockwork_rnn", {"modules": 1}, []),
        ("dilated_cnn", {"depth": 12, "kernel": 4}, ["depth", "kernel"]),
        ("clockwork_rnn", {"modules": 9}, ["modules"]),
        # Choices have no ends.
        ("dilated_rnn", {"cell": "lstm", "base": 4, "fusion": True, "depth": 5}, []),
    ],
)  # fmt: skip
def test_a_best_value_on_the_end_of_its_range_is_flagged(family, best, flagged):
    assert make_space({"family": family, "space": EDGES[family]}).edges(best) == flagged


def test_what_is_fixed_is_on_no_edge():
    space = read_space(PAPER[0])
    assert space.edges({"base": 2, "depth": 10, "learning_rate": 1e-3}) == []


# -- mistakes ----------------------------------------------------------------------------------


def lstm(lines: str, rate: str = "learning_rate = 1e-3") -> str:
    return f'family = "lstm"\n[space]\n{rate}\n{lines}\n'


def dilated(lines: str) -> str:
    return f'family = "dilated_rnn"\n[space]\nlearning_rate = 1e-3\n{lines}\n'


MISTAKES = {
    "unknown top key": ('famly = "lstm"\n' + lstm(""), ["'famly'", "did you mean 'family'?"]),
    "no family": ("[space]\nlearning_rate = 1e-3", ["family"]),
    "family of the wrong type": ("family = 3", ["family"]),
    "unknown family": (
        'family = "dilated_rn"\n[space]\nlearning_rate = 1e-3',
        ["'dilated_rn'", "did you mean 'dilated_rnn'?", "clockwork_rnn"],
    ),
    "no space": ('family = "lstm"', ["[space]"]),
    "space of the wrong type": ('family = "lstm"\nspace = 3', ["[space]"]),
    "unknown option": (lstm("dept = 2"), ["'dept'", "[space]", "did you mean 'depth'?"]),
    "option of another family": (lstm("kernel = 2"), ["'kernel'", "[space]", "depth"]),
    "width": (lstm("width = [10, 20]"), ["width", "--budget"]),
    "no learning rate": (lstm("depth = 2", rate=""), ["learning_rate"]),
    "zero learning rate": (lstm("", "learning_rate = 0"), ["learning_rate", "above 0", "0"]),
    "negative learning rate": (lstm("", "learning_rate = [1e-3, -1e-3]"), ["learning_rate"]),
    "learning rate range from zero": (
        lstm("", "learning_rate = { low = 0, high = 1 }"),
        ["learning_rate", "above 0"],
    ),
    "nan learning rate": (lstm("", "learning_rate = nan"), ["learning_rate", "nan"]),
    "nan in a range": (
        lstm("", "learning_rate = { low = 1e-3, high = nan }"),
        ["learning_rate", "nan"],
    ),
    "string for a number": (lstm("", 'learning_rate = "fast"'), ["learning_rate", "'fast'"]),
    "string for a whole number": (lstm('depth = "two"'), ["depth", "'two'", "whole number"]),
    "real for a whole number": (lstm("depth = 2.5"), ["depth", "2.5", "whole number"]),
    "bool for a whole number": (lstm("depth = true"), ["depth", "True", "whole number"]),
    "bool among choices": (lstm("depth = [1, true]"), ["depth", "True", "whole number"]),
    "bool for a number": (lstm("", "learning_rate = true"), ["learning_rate", "True"]),
    "bool for a bound": (
        lstm("depth = { low = true, high = 3 }"),
        ["depth", "True", "whole number"],
    ),
    "number for a bool": (dilated("fusion = 1"), ["fusion", "true or false"]),
    "number for a string": (dilated("cell = 1"), ["cell", "a string"]),
    "unknown string": (dilated('cell = ["gru", "gruu"]'), ["cell", "'gruu'", "mean 'gru'?"]),
    "list in a list": (lstm("depth = [[1, 2]]"), ["depth", "[1, 2]"]),
    "empty range": (lstm("depth = { low = 4, high = 1 }"), ["depth", "empty", "4", "1"]),
    "low only": (lstm("depth = { low = 1 }"), ["depth", "low and high"]),
    "high only": (lstm("depth = { high = 4 }"), ["depth", "low and high"]),
    "log from zero": (
        dilated("start = { low = 0, high = 3, log = true }"),
        ["start", "above 0"],
    ),
    "log of the wrong type": (lstm("depth = { low = 1, high = 4, log = 1 }"), ["depth", "log"]),
    "unknown key of an entry": (lstm("depth = { low = 1, hihg = 4 }"), ["depth", "'hihg'"]),
    "range of strings": (dilated('cell = { low = "a", high = "b" }'), ["cell", "choices"]),
    "range of bools": (dilated('fusion = { when = "start > 0" }'), ["fusion", "choices"]),
    "choices and a range": (lstm("depth = { choices = [1], low = 1 }"), ["depth", "either"]),
    "empty list": (lstm("depth = []"), ["depth", "empty"]),
    "empty choices": (lstm("depth = { choices = [] }"), ["depth", "empty"]),
    "when without an operator": (
        dilated('fusion = { choices = [true], when = "start" }'),
        ["fusion", "'start'", '"start > 0"'],
    ),
    "when with an unknown operator": (
        dilated('fusion = { choices = [true], when = "start >> 0" }'),
        ["fusion", "'start >> 0'"],
    ),
    "when without a value": (
        dilated('fusion = { choices = [true], when = "start > x" }'),
        ["fusion", "'start > x'"],
    ),
    "when of the wrong type": (
        dilated("fusion = { choices = [true], when = 3 }"),
        ["fusion", "when", "3"],
    ),
    "when looking forward": (
        dilated('start = { low = 0, high = 2, when = "depth > 2" }'),
        ["start", "'depth'", "cell, base"],
    ),
    "when looking at itself": (
        dilated('depth = { low = 2, high = 4, when = "depth > 2" }'),
        ["depth", "'depth'", "cell, base, start"],
    ),
    "when of what is drawn first": (
        dilated('cell = { choices = ["gru"], when = "base > 2" }'),
        ["cell", "'base'", "first"],
    ),
    "when looking at nothing known": (
        dilated('fusion = { choices = [true], when = "strat > 2" }'),
        ["fusion", "'strat'", "start"],
    ),
    "recipe of the wrong type": ("recipe = 3\n" + lstm(""), ["recipe", "[recipe]"]),
    "unknown recipe key": (
        lstm('[recipe]\noptimiser = "adam"'),
        ["recipe", "'optimiser'", "did you mean 'optimizer'?"],
    ),
    "unknown optimizer": (
        lstm('[recipe]\noptimizer = "adamw"'),
        ["recipe", "optimizer", "'adamw'", "did you mean 'adam'?"],
    ),
    "unknown schedule": (lstm('[recipe]\nschedule = "linear"'), ["schedule", "'linear'", "cosine"]),
    "batch of nothing": (lstm("[recipe]\nbatch_size = 0"), ["recipe", "batch_size", "0"]),
    "bool for a batch": (lstm("[recipe]\nbatch_size = true"), ["recipe", "batch_size", "True"]),
    "nan in the recipe": (lstm("[recipe]\nclip_norm = nan"), ["recipe", "clip_norm", "nan"]),
    "not TOML": ("family: lstm\n", ["no TOML", "line 1"]),
    "the same key twice": (lstm("depth = 1\ndepth = 2"), ["no TOML"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_the_file_and_the_key(tmp_path, mistake):
    text, words = MISTAKES[mistake]
    path = tmp_path / "mine.toml"
    path.write_text(text)
    said = refusal(path)
    for word in words:
        assert word in said.removeprefix(f"search space {path}")


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.toml")


def test_a_folder_is_no_search_space(tmp_path):
    assert "cannot be read" in refusal(tmp_path)


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes("# für LSTM\n".encode("latin-1") + lstm("").encode())
    assert "no TOML" in refusal(path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param(lstm("depth = { low = 0, high = 4 }"), "depth", id="low end"),
        pytest.param(lstm("depth = [1, -1]"), "depth", id="one of the choices"),
        pytest.param(dilated("base = 0\ndepth = { low = 2, high = 3 }"), "base", id="fixed"),
    ],
)
def test_a_number_that_no_net_may_have_is_refused_when_the_file_is_read(tmp_path, text, key):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert key in refusal(path)


@pytest.mark.parametrize("rate", ["inf", "[1e-3, inf]", "{ low = 1e-3, high = inf, log = true }"])
def test_an_infinite_learning_rate_is_refused_when_the_file_is_read(tmp_path, rate):
    path = tmp_path / "mine.toml"
    path.write_text(lstm("", f"learning_rate = {rate}"))
    assert "learning_rate" in refusal(path)


def test_a_condition_that_compares_a_word_with_a_number_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(dilated('fusion = { choices = [true], when = "cell > 3" }'))
    assert "fusion" in refusal(path)


def test_a_learning_rate_under_a_condition_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        lstm("depth = [1, 2]", 'learning_rate = { choices = [1.0], when = "depth > 1" }')
    )
    assert "learning_rate" in refusal(path)


def refusal(path) -> str:
    """What is said of a file that is refused; checked to be one line that names it."""
    with pytest.raises(UserError) as refused:
        read_space(path)
    said = str(refused.value)
    assert said.startswith(f"search space {path}")
    assert len(said.splitlines()) == 1
    return said
