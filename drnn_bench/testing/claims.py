"""What a family says of its nets, beside what they do: steps, sizes, reach, paths, costs, space.

Legend: B batch, T steps, I inputs, O outputs.
"""

from __future__ import annotations

import json
import math
from typing import ClassVar

import numpy as np
import optuna
import torch

from drnn_bench.models.budget import (
    LEAST,
    Infeasible,
    count_parameters,
    solve_width,
)
from drnn_bench.models.mrl import path_lengths, reach
from drnn_bench.models.registry import family_names
from drnn_bench.results.codec import from_json
from drnn_bench.search.space_file import default_path, read_space
from drnn_bench.testing.costs import counted_macs, held_bytes
from drnn_bench.testing.nets import (
    INPUTS,
    OUTPUTS,
    STEPS,
    Options,
    architecture_of,
    make,
    operations,
    seen_spans,
)
from drnn_bench.testing.stand_ins import fixture, left_out, near


class Claims:
    """The part of the contract that `FamilyContract` inherits."""

    family: ClassVar[str]
    options: ClassVar[Options]

    @fixture("family")
    def family_of_the_class(self) -> str:
        return self.family

    @fixture("options")
    def options_of_the_class(self) -> Options:
        return self.options

    def test_the_claimed_sequential_steps_grow_as_the_work_that_torch_does(self, family, options):
        """The number of torch's operations grows with the length of the sequence as
        `sequential_steps` does. Three lengths are compared, each twice the one before.

        One operation may compute all steps (a Fourier transform, a product with a matrix,
        `cumsum`): where the number of operations does not grow, nothing can be said. Nor does it
        distinguish several layers from one layer whose steps cost more operations.
        """
        architecture = architecture_of(family, options)
        unit = math.lcm(*(architecture.layer_dilations or (1,)), architecture.period or 1)
        unit *= max(1, -(-8 // unit))
        lengths = [unit, 2 * unit, 4 * unit]
        counted = np.diff([operations(family, options, length) for length in lengths])
        claimed = np.diff([architecture.sequential_steps(length) for length in lengths])
        if counted.any():
            says = f"from {lengths} steps, {counted} more operations and {claimed} more claimed"
            assert (claimed > 0).all(), says
            assert (counted >= claimed).all(), says
            assert near(counted[1] / counted[0], claimed[1] / claimed[0], 0.15), says

    def test_counted_parameters_are_those_of_the_built_model(self, family, options):
        model = make(family, options)
        counted = count_parameters(architecture_of(family, options))
        real = [torch.view_as_real(p) if p.is_complex() else p for p in model.parameters()]
        built = sum(p.numel() for p in real)
        assert counted == built, f"counted {counted:,} parameters, built {built:,}"

    def test_a_budget_finds_a_width_that_meets_it(self, family, options):
        """A larger width has more parameters, so that the largest within a budget can be found."""
        shape = {k: v for k, v in options.items() if k != "width"}
        wide = [architecture_of(family, {**shape, "width": width}) for width in (16, 17, 32)]
        assert sorted({count_parameters(c) for c in wide}) == [count_parameters(c) for c in wide]
        budget = count_parameters(wide[2]) + 1
        solved = solve_width(family, shape, input_size=INPUTS, output_size=OUTPUTS, budget=budget)
        assert LEAST * budget <= count_parameters(solved) <= budget
        assert min(solved.widths) >= 32

    def test_layers_may_have_unequal_widths(self, family, options):
        """As a budget gives them, where no equal width meets it."""
        layers = architecture_of(family, options).layers
        if layers == 1 or architecture_of(family, options).equal_widths:
            return  # all have the same
        widths = (7, *[6] * (layers - 1))
        try:
            y = make(family, {**options, "width": widths})(torch.randn(2, 9, INPUTS))
        except Exception as error:
            raise AssertionError(
                f"widths {widths} fail ({type(error).__name__}: {error}); layer i has "
                "`self.widths[i]`, and a net whose layers must be alike says `equal_widths = True`"
            ) from error
        assert y.shape == (2, 9, OUTPUTS)

    def test_the_same_seed_gives_the_same_weights(self, family, options):
        pairs = zip(make(family, options).parameters(), make(family, options).parameters(),
                    strict=True)  # fmt: skip
        assert all(torch.equal(a, b) for a, b in pairs)

    def test_the_claimed_reach_is_what_gradients_see(self, family, options):
        far = reach(architecture_of(family, options))
        seen = np.flatnonzero(seen_spans(family, options, back=1)[0])
        if far is None:
            assert seen.max() > 50, f"claimed without end, seen {seen.max()} steps"
        else:
            assert seen.max() == min(far, STEPS - 1), f"claimed {far} steps, seen {seen.max()}"

    def test_the_claimed_paths_are_those_that_gradients_take(self, family, options):
        """A span counts as crossed where gradients cross it from every start. The starts of one
        period, at most 16, are tried. Gradients cannot tell how many edges a path has."""
        architecture = architecture_of(family, options)
        period = architecture.period or 1
        claimed = np.isfinite(path_lengths(architecture.paths, STEPS - 16))
        crossed = np.all(seen_spans(family, options, back=min(period, 16)), axis=0)
        crossed = crossed[: len(claimed)]
        assert not np.any(claimed & ~crossed)
        if period <= 16:
            assert not np.any(crossed & ~claimed)

    def test_a_config_is_rebuilt_from_its_record(self, family, options):
        architecture = architecture_of(family, options)
        record = json.loads(json.dumps(architecture.config))
        again = from_json(record)
        assert architecture_of(family, again) == architecture

    def test_its_facts_are_numbers(self, family, options):
        architecture = architecture_of(family, options)
        assert architecture.family == family in family_names()
        assert architecture.recurrent_edges_per_node >= 0
        steps = [architecture.sequential_steps(length) for length in (1, 10, 100)]
        assert 1 <= steps[0] <= steps[1] <= steps[2]

    def test_the_claimed_macs_are_those_that_torch_computes(self, family, options):
        """In a stream, step by step. The tolerance is for the division by periods."""
        claimed = architecture_of(family, options).macs_per_step
        if claimed is None:
            left_out("the family does not say how many MACs a step costs")
        counted = counted_macs(family, options)
        assert near(claimed, counted, 1e-12), f"claimed {claimed:,}, counted {counted:,}"

    def test_the_claimed_state_is_what_a_stream_holds(self, family, options):
        claimed = architecture_of(family, options).state_bytes
        if claimed is None:
            left_out("the family does not say how many bytes its state has")
        held = held_bytes(family, options)
        assert claimed == held, f"claimed {claimed:,} bytes, held {held:,}"

    def test_its_search_space_draws_nets_that_meet_the_budget(self, family, options):
        space = read_space(default_path(family))
        assert space.family == family
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        drawn = []
        for _ in range(10):
            try:
                drawn.append(
                    space.draw(study.ask(), budget=20_000, length=500, input_size=1, output_size=10)
                )
            except Infeasible:
                continue
        assert len(drawn) >= 5  # the ranges of the space should make refusals rare
        for draw in drawn:
            assert LEAST * 20_000 <= count_parameters(draw.config) <= 20_000
            assert draw.learning_rate > 0
            y = draw.config.build()(torch.randn(2, 3, 1))
            assert y.shape == (2, 3, 10)
