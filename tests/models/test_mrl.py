"""Mean recurrent length: the known values, brute force over explicit graphs, and its laws."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.errors import UserError
from drnn_bench.models.architecture import Paths
from drnn_bench.models.build import configure
from drnn_bench.models.mrl import (
    fewest_edges,
    mean_recurrent_length,
    path_lengths,
    reach,
)
from drnn_bench.models.names import FAMILIES
from tests.support import graphs

SIZES = {"input_size": 1, "output_size": 10, "width": 16}


def net(family, **options):
    return configure(family, **(SIZES | options))


DILATED = {  # paper.md section 2, proved: M -> L = 1, 2, ...
    2: [2, 3, 4.25, 5.625, 7.0625, 8.53125],
    3: [2, 3.3333, 5.1111, 7.0370, 9.0123, 11.0041],
    4: [2, 3.75, 6.0625, 8.5156, 11.0039, 13.5010],
}


@pytest.mark.parametrize("base", DILATED)
def test_dilated_values(base):
    for depth, value in enumerate(DILATED[base], 1):
        mrl = mean_recurrent_length(net("dilated_rnn", base=base, depth=depth))
        assert mrl == pytest.approx(value, abs=5e-5)
        m = base ** (depth - 1)
        assert mrl == pytest.approx((base + 1) / 2 * math.log(m, base) + 1 / m + 1)


@pytest.mark.parametrize(
    ("start", "depth", "value"),
    list(zip(range(7), range(9, 2, -1),
             [13.004, 12.504, 11.004, 9.504, 8.004, 6.504, 5.004], strict=True)),
)  # fmt: skip
def test_generalised_values_with_fusion(start, depth, value):
    config = net("dilated_rnn", start=start, depth=depth, fusion=start > 0)
    assert mean_recurrent_length(config) == pytest.approx(value, abs=5e-4)


def test_without_fusion_short_spans_are_lost():
    assert mean_recurrent_length(net("dilated_rnn", start=1, depth=8)) == math.inf


def test_a_plain_stack():
    config = net("lstm", depth=9)
    assert mean_recurrent_length(config) == 10
    assert mean_recurrent_length(config, 256) == 137.5
    assert mean_recurrent_length(net("lstm", depth=3), 4) == 5.5


def test_a_skip_stack():
    for depth, value in enumerate([2, 3, 4.75, 7.625, 12.5625, 21.53125], 1):
        m = 2 ** (depth - 1)
        config = net("skip_rnn", skip=m, depth=depth)
        assert mean_recurrent_length(config) == value
        assert value == (m - 1) / 2 + math.log2(m) + 1 / m + 1
    assert mean_recurrent_length(net("skip_rnn", skip=256)) == pytest.approx(136.5039, abs=5e-5)
    exponential = net("skip_rnn", skip=1, base=2, depth=3)
    assert mean_recurrent_length(exponential) == 4.25
    assert exponential.recurrent_edges_per_node == 2


def test_the_worked_example():
    lengths = {
        "dilated": path_lengths(net("dilated_rnn", depth=3).paths, 4),
        "skip 4": path_lengths(net("skip_rnn", skip=4, depth=3).paths, 4),
        "plain": path_lengths(net("rnn", depth=3).paths, 4),
    }
    assert lengths["dilated"][1:].tolist() == [4, 4, 5, 4]
    assert lengths["skip 4"][1:].tolist() == [4, 5, 6, 4]
    assert lengths["plain"][1:].tolist() == [4, 5, 6, 7]


def test_a_residual_block_is_one_edge():
    config = net("tcn", kernel=7, depth=8)
    assert reach(config) == 2 * 6 * 255  # receptive field 1 + 2(k-1)(2^L - 1)
    assert mean_recurrent_length(config, 1000) == 8


def test_steps_that_follow_one_another():
    steps = {
        "rnn": ({"depth": 3}, 3 * 784),
        "skip_rnn": ({"depth": 9}, 9 * 784),
        "dilated_rnn": ({"depth": 9}, sum(-(-784 // 2**i) for i in range(9))),
        "clockwork_rnn": ({"modules": 8}, sum(-(-784 // 2**i) for i in range(8))),
        "min_gru": ({"depth": 2}, 2 * 10),
        "s4d": ({"depth": 2}, 2 * 13),  # chunks of 64 steps
        "lru": ({"depth": 2}, 2 * 25),  # chunks of 32 steps
        "selective_ssm": ({"depth": 2}, 2 * 784),
        "gla": ({"depth": 2}, 2 * 98),  # chunks of 8 steps
        "dilated_cnn": ({"depth": 10}, 10),
        "tcn": ({"depth": 8}, 8),
        "transformer": ({"depth": 4}, 4),
    }
    for family, (options, count) in steps.items():
        assert net(family, **options).sequential_steps(784) == count


def test_clockwork_edges_are_counted_per_recomputed_module():
    # Periods 1, 2, 4, 8: they fire 8, 4, 2, 1 times a turn and then read 4, 3, 2, 1 blocks.
    config = net("clockwork_rnn", modules=4)
    assert config.recurrent_edges_per_node == pytest.approx((32 + 12 + 4 + 1) / 15)


def test_clockwork_is_linear_at_its_worst_start():
    for modules in (2, 4, 6):
        m = 2 ** (modules - 1)
        config = net("clockwork_rnn", modules=modules)
        assert mean_recurrent_length(config) == (m + 1) / 2 + 1
        periods = [2**i for i in range(modules)]
        if modules < 6:
            assert graphs.mean_recurrent_length(graphs.clockwork(periods), m, m) == (m + 1) / 2 + 1


def test_convolutions_have_a_reach():
    config = net("dilated_cnn", depth=10)
    assert reach(config) == 1023
    assert mean_recurrent_length(config, 1023) == 10
    assert mean_recurrent_length(config, 1024) == math.inf
    # Kernel 2 at base 3 leaves gaps: the span 2 is no sum of distinct powers of 3.
    lengths = path_lengths(net("dilated_cnn", base=3, depth=3).paths, 13)
    assert lengths[1] == lengths[4] == lengths[13] == 3
    assert lengths[2] == math.inf
    with pytest.raises(UserError, match="horizon"):
        mean_recurrent_length(config)


def test_horizons_below_one_are_refused():
    for horizon in (0, -1, 2.5):
        with pytest.raises(UserError, match="horizon"):
            mean_recurrent_length(net("lstm"), horizon)


@pytest.mark.parametrize(
    ("family", "options"),
    [(name, {}) for name in FAMILIES] + [("dilated_rnn", {"dilations": (6, 10, 15)})],
)
def test_a_horizon_of_100_000_takes_less_than_a_second(family, options):
    config = net(family, **options)
    started = time.process_time()
    mean_recurrent_length(config, 100_000)
    assert time.process_time() - started < 1


spans = st.lists(st.integers(1, 12), min_size=1, max_size=3)


def test_a_config_that_lists_its_dilations_is_the_same_net():
    listed = net("dilated_rnn", dilations=(1, 2, 4))
    assert mean_recurrent_length(listed) == 4.25
    assert listed.options["dilations"] == [1, 2, 4]
    assert "base" not in listed.options


@given(spans)
def test_change_making_equals_brute_force(coins):
    slow = [0] + [math.inf] * 40
    for n in range(1, 41):
        slow[n] = 1 + min((slow[n - c] for c in coins if c <= n), default=math.inf)
    assert fewest_edges(tuple(coins), 40).tolist() == slow


@given(st.lists(spans, min_size=1, max_size=3))
def test_path_lengths_equal_those_of_the_graph(layers):
    paths = Paths(len(layers), tuple({s for layer in layers for s in layer}))
    expected = graphs.distances(graphs.layered(layers), 0, 15)
    assert path_lengths(paths, 15).tolist() == expected


@given(st.integers(2, 3), st.integers(1, 3), st.integers(2, 3), st.integers(1, 20))
def test_convolution_lengths_equal_those_of_the_graph(base, depth, kernel, horizon):
    config = net("dilated_cnn", base=base, depth=depth, kernel=kernel)
    graph = graphs.layered([[]] * depth, [list(w) for w in config.paths.windows])
    assert path_lengths(config.paths, horizon).tolist() == graphs.distances(graph, 0, horizon)


@given(st.integers(2, 5), st.integers(1, 3))
def test_lengths_over_taps_and_states_equal_those_of_the_graph(kernel, depth):
    config = net("selective_ssm", kernel=kernel, depth=depth)
    graph = graphs.layered([[1]] * depth, [list(w) for w in config.paths.windows])
    assert path_lengths(config.paths, 20).tolist() == graphs.distances(graph, 0, 20)


@given(st.integers(2, 3), st.integers(1, 2), st.integers(1, 3))
def test_fusion_lengths_equal_those_of_the_graph(base, start, depth):
    config = net("dilated_rnn", base=base, start=start, depth=depth, fusion=True)
    graph = graphs.layered([[d] for d in config.layer_dilations], None, list(range(base**start)))
    assert path_lengths(config.paths, 30).tolist() == graphs.distances(graph, 0, 30)


@given(spans, st.integers(1, 12))
def test_more_edges_never_lengthen(coins, more):
    assert np.all(fewest_edges((*coins, more), 50) <= fewest_edges(tuple(coins), 50))


@given(st.lists(st.integers(2, 4), min_size=1, max_size=3), st.randoms())
def test_theorem_3_1(ratios, random):
    """Among divisor chains 1 = s_1 | ... | s_d = m of one length and period, the geometric one has
    the smallest mean recurrent length: its ratios are equal."""
    base, depth = random.choice([2, 3, 4]), len(ratios) + 1
    m = base ** (depth - 1)
    chain = [1]
    left = m
    for i in range(depth - 1):
        divisors = [d for d in range(1, left + 1) if left % d == 0]
        step = left if i == depth - 2 else random.choice(divisors)
        chain.append(chain[-1] * step)
        left //= step
    mean = path_lengths(Paths(depth, tuple(chain)), m)[1:].mean()
    assert mean_recurrent_length(net("dilated_rnn", base=base, depth=depth)) <= mean + 1e-12
