"""Mean recurrent length against accuracy: Spearman's correlation, its interval, and over what."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from drnn_bench.results.correlation import Correlation, mrl_correlations, spearman
from drnn_bench.results.significance import LEVEL
from drnn_bench.search.importance import LEAST, importance
from drnn_bench.search.space_file import default_path, read_space


@pytest.mark.parametrize("n", [3, 5, 12, 60])
@pytest.mark.parametrize("seed", range(3))
def test_rho_is_spearmans_with_ties(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 6, n).astype(float)
    y = x + rng.normal(0, 2, n).round()
    found = spearman(x, y)
    assert (found.rho, found.n) == (pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12), n)


def test_six_pairs_by_hand():
    # Rank differences 1, 1, 0, 2, 1, 1 squared add up to 8: rho = 1 - 6*8 / (6*35) = 27/35.
    found = spearman([10, 20, 30, 40, 50, 60], [2, 1, 3, 6, 4, 5])
    assert found.rho == pytest.approx(27 / 35)
    half = 1.959964 * math.sqrt((1 + (27 / 35) ** 2 / 2) / 3)
    ends = math.tanh(math.atanh(27 / 35) - half), math.tanh(math.atanh(27 / 35) + half)
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-6)


@pytest.mark.parametrize(
    ("x", "y"), [([], []), ([1, 2], [1, 2]), ([3, 3, 3, 3], [1, 2, 3, 4]), ([1, 2, 3], [5, 5, 5])]
)
def test_nothing_is_said_where_there_is_nothing_to_correlate(x, y):
    assert spearman(x, y) is None


@pytest.mark.parametrize(
    ("x", "y", "rho"),
    [
        ([1, 2, 3, 4], [4, 3, 2, 2.5], -0.8),  # too few
        ([1, 2, 3, 4, 5, 6], [9, 8, 7, 6, 5, 4], -1.0),  # perfect: Fisher's interval has no width
    ],
)
def test_no_interval_is_invented(x, y, rho):
    found = spearman(x, y)
    assert found.rho == pytest.approx(rho)
    assert (found.low, found.high) == (None, None)
    assert "no interval" in found.words


def test_a_span_that_cannot_be_crossed_is_the_longest():
    x, y = [3.0, math.inf, 5.0, 4.0, math.inf], [0.9, 0.1, 0.5, 0.8, 0.2]
    assert spearman(x, y) == spearman([3.0, 99.0, 5.0, 4.0, 99.0], y)


pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=30)


@given(pairs)
def test_turning_one_side_turns_the_correlation(drawn):
    x, y = zip(*drawn, strict=True)
    up, down = spearman(x, y), spearman(x, [-v for v in y])
    assert (up is None) == (down is None)
    if up is not None:
        assert -1 <= up.rho <= 1
        assert down.rho == pytest.approx(-up.rho)
        if up.low is not None:
            assert up.low < up.rho < up.high
            assert (down.low, down.high) == pytest.approx((-up.high, -up.low))


def test_the_interval_covers_as_often_as_promised():
    rng, rho, times = np.random.default_rng(0), 0.5, 1500
    truth = 6 / math.pi * math.asin(rho / 2)  # of two normals that correlate with rho
    normals = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], (times, 30))
    found = [spearman(*sample.T) for sample in normals]
    hits = sum(one.low <= truth <= one.high for one in found)
    assert hits / times == pytest.approx(LEVEL, abs=0.015)


def study(infinite: bool = False, **changes: Any) -> dict[str, Any]:
    complete = [
        {"config": {"cell": cell}, "mrl": mrl, "value": value}
        for cell, sign in (("gru", 1), ("rnn", -1))
        for mrl, value in ((2.0, 0.5), (3.0, 0.5 + sign * 0.1), (4.0, 0.5 + sign * 0.2))
    ]
    if infinite:
        complete += [{"config": {"cell": "rnn"}, "mrl": "inf", "value": 0.9}] * 2
    family = {"family": "dilated_rnn", "sampler": "random", "pruner": "none"}
    return family | {"complete": complete} | changes


def test_cell_types_are_never_put_together():
    found = mrl_correlations(study())
    assert found == {
        "dilated_rnn gru": Correlation(1.0, 3),
        "dilated_rnn rnn": Correlation(-1.0, 3),
    }


def test_nets_that_cannot_cross_every_span_are_in_it_and_the_others_also_alone():
    found = mrl_correlations(study(infinite=True))
    assert list(found) == ["dilated_rnn gru", "dilated_rnn rnn", "dilated_rnn rnn of finite MRL"]
    assert found["dilated_rnn rnn of finite MRL"] == Correlation(-1.0, 3)
    assert found["dilated_rnn rnn"].n == 5
    assert found["dilated_rnn rnn"].rho > 0


def test_a_value_that_is_no_number_is_no_pair():
    one = study()
    one["complete"].append({"config": {"cell": "gru"}, "mrl": 1.0, "value": math.nan})
    assert mrl_correlations(one) == mrl_correlations(study())


@pytest.mark.parametrize("changes", [{"sampler": "tpe"}, {"sampler": "qmc"}, {"pruner": "asha"}])
def test_only_trials_drawn_at_random_and_run_to_their_end_are_a_sample(changes):
    assert mrl_correlations(study(**changes)) == {}


# -- hyperparameter importance, which is Optuna's ------------------------------------------------


def searched(trials: int) -> optuna.Study:
    """Random draws of the dilated RNN's space, whose value the learning rate decides above all."""
    space = read_space(default_path("dilated_rnn"))

    def value(trial: optuna.Trial) -> float:
        trial.set_user_attr("index", trial.number)
        drawn = space.draw(trial, budget=20_000, length=784, input_size=1, output_size=10)
        cell = {"rnn": 0.0, "gru": 0.1, "lstm": 0.1}[drawn.config.cell]
        return -((math.log10(drawn.learning_rate) + 2) ** 2) + cell

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(value, n_trials=trials, catch=(ValueError,))
    return study


def test_what_decides_the_value_is_the_most_important_and_every_option_is_assessed():
    study, space = searched(40), read_space(default_path("dilated_rnn"))
    shares = importance(study, space)
    assert set(shares) == {entry.name for entry in space.entries}  # conditional ones too
    assert next(iter(shares)) == "learning_rate"
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert importance(study, space) == shares


def test_nothing_is_said_of_few_trials_or_of_trials_that_are_all_alike():
    space = read_space(default_path("dilated_rnn"))
    assert importance(searched(LEAST - 1), space) is None
    alike = searched(0)
    for trial in searched(LEAST + 8).get_trials(deepcopy=False):
        alike.add_trial(
            optuna.trial.create_trial(params=trial.params, distributions=trial.distributions,
                                      user_attrs=trial.user_attrs, value=0.5)
        )  # fmt: skip
    assert importance(alike, space) is None
