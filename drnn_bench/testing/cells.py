"""The contract of cells: what every cell does, whatever it computes.

Legend: T steps, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

import json
from typing import ClassVar

import torch
from torch import Tensor

from drnn_bench import kernels
from drnn_bench.cells.cell import Cell, State, Weights
from drnn_bench.cells.registry import cell_names, find_cell
from drnn_bench.kernels import reference
from drnn_bench.models.layers import RecurrentLayer
from drnn_bench.testing.costs import MacCounter
from drnn_bench.testing.nets import close, wrong_gradients
from drnn_bench.testing.stand_ins import fixture

I, H, B, T = 3, 5, 2, 17  # noqa: E741
DILATIONS = (1, 2, 3, 5)  # of which none but 1 divides T
MEMORY = 100
LONG, LARGEST = 784, 100.0  # steps, and the norm of a gradient that may still be clipped


class CellContract:
    """Inherit from it and set `cell`, the name of a registered cell; pytest runs the checks."""

    cell: ClassVar[str]

    @fixture("cell")
    def cell_of_the_class(self) -> Cell:
        return find_cell(self.cell)

    def test_it_is_registered_and_says_what_it_is(self, cell):
        assert cell.name in cell_names()
        assert cell == find_cell(cell.name)
        assert len(cell.summary.splitlines()) == 1

    def test_a_step_gives_its_states(self, cell):
        _, weights, state = _case(cell, 1)
        before = 2 * state if cell.reads_last else state
        given = cell.step(_normal(1, B, cell.gates * H), before, weights)
        shapes = [tuple(t.shape) for t in given] if isinstance(given, tuple) else type(given)
        wanted = [(1, B, H)] * cell.states
        assert shapes == wanted, (
            f"a step must give a tuple of `states` = {cell.states} tensors [.., H], here {wanted}; "
            f"got {shapes}"
        )

    def test_the_input_weights_come_first_and_the_bias_last(self, cell):
        shapes = [*cell.shapes(I, H).items()]
        (first, of_inputs), (last, of_bias) = shapes[0], shapes[-1]
        assert of_inputs == (cell.gates * H, I), (
            f"{first} comes first in `shapes`, with {of_inputs}; the weights of the inputs must, "
            f"[gates * H, I] = {(cell.gates * H, I)}"
        )
        assert of_bias == (cell.gates * H,), (
            f"{last} comes last in `shapes`, with {of_bias}; the bias must, "
            f"[gates * H] = {(cell.gates * H,)}"
        )

    def test_a_layer_has_the_parameters_that_the_cell_says(self, cell):
        layer = RecurrentLayer(cell, I, H)
        shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
        assert shapes == cell.shapes(I, H)

    def test_the_scan_is_the_step_repeated(self, cell):
        """Outputs, states and gradients, for dilations that do not divide the length."""
        for dilation in DILATIONS:
            x, weights, state = _case(cell, dilation)
            outcomes = []
            for name in ("reference", "torch"):
                with kernels.forced(name):
                    y, left = kernels.scan(cell, x, weights, dilation, state)
                total = torch.stack([t.sin().sum() for t in (y, *left)]).sum()
                outcomes.append([y, *left, *torch.autograd.grad(total, (x, *weights, *state))])
            for slow, fast in zip(*outcomes, strict=True):
                assert close(fast, slow, 1e-10), (
                    f"`scan` of dilation {dilation} gives other outputs, states or gradients than "
                    "`step`, repeated"
                )

    def test_the_state_is_that_of_the_last_steps(self, cell):
        """One [s, B, H] for each state variable, the oldest first; the first is the output."""
        for dilation in DILATIONS:
            x, weights, _ = _case(cell, dilation)
            y, left = kernels.scan(cell, x, weights, dilation)
            assert [tuple(t.shape) for t in left] == [(dilation, B, H)] * cell.states
            assert y.shape == (T, B, H)
            assert torch.equal(left[0], y[-dilation:])

    def test_chunks_give_what_one_pass_gives(self, cell):
        for dilation in DILATIONS:
            x, weights, state = _case(cell, dilation)
            whole, left = kernels.scan(cell, x, weights, dilation, state)
            parts, carried = [], state
            for chunk in x.split([1, 1, 9, 6]):
                y, carried = kernels.scan(cell, chunk, weights, dilation, carried)
                parts.append(y)
            assert close(torch.cat(parts), whole, 1e-10)
            for a, b in zip(carried, left, strict=True):
                assert close(a, b, 1e-10)

    def test_the_gradients_are_what_differences_show(self, cell):
        x, weights, state = _case(cell, 2)

        def outputs(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
            own, before = rest[: len(weights)], rest[len(weights) :]
            with kernels.forced("torch"):
                y, left = kernels.scan(cell, x, own, 2, before)
            return (y, *left)

        given = {"the inputs": x[:5].detach().requires_grad_()}
        given |= dict(zip(cell.shapes(I, H), weights, strict=True))
        given |= {f"state {i}": before for i, before in enumerate(state)}
        wrong = wrong_gradients(outputs, given)
        assert not wrong, f"differences show another gradient of {', '.join(wrong)}"

    def test_single_precision_is_near_double(self, cell):
        x, weights, state = _case(cell, 3)
        y, _ = kernels.scan(cell, x, weights, 3, state)
        single = [tuple(t.detach().float() for t in group) for group in ((x,), weights, state)]
        (x,), weights, state = single
        assert close(kernels.scan(cell, x, weights, 3, state)[0].double(), y, 1e-5)

    def test_the_claimed_macs_are_those_that_torch_computes(self, cell):
        layer = RecurrentLayer(cell, I, H).double()
        x, _, state = _case(cell, 1)
        with torch.no_grad(), MacCounter(layer) as counter:
            reference.scan(cell, x[:1, :1], layer.weights, 1, tuple(t[:, :1] for t in state))
        claimed = cell.macs(I, H)
        assert claimed == counter.macs, f"claimed {claimed:,}, counted {counter.macs:,}"

    def test_each_initialisation_fills_every_weight_and_can_be_repeated(self, cell):
        for init in cell.inits:
            memory = MEMORY if init == "chrono" else None
            made = []
            for filler in (float("nan"), 7.0):
                weights = tuple(torch.full(s, filler) for s in cell.shapes(I, H).values())
                torch.manual_seed(0)
                with torch.no_grad():
                    cell.initialise(weights, init, memory)
                made.append(weights)
            for a, b in zip(*made, strict=True):
                assert a.isfinite().all(), init
                assert torch.equal(a, b), init

    def test_a_layer_of_any_init_answers(self, cell):
        """At the length of its memory, with finite gradients in every parameter."""
        for init in cell.inits:
            torch.manual_seed(0)
            layer = RecurrentLayer(cell, I, H, 2, init, MEMORY if init == "chrono" else None)
            y, _ = layer.scan(torch.randn(MEMORY, B, I))
            y.sin().sum().backward()
            for parameter in layer.parameters():
                assert parameter.grad is not None
                assert parameter.grad.isfinite().all()
                assert parameter.grad.abs().max() > 0

    def test_no_start_makes_gradients_explode_over_a_long_sequence(self, cell):
        """Of a layer that reads 784 steps, most of them zero, as pixels are. The recipe of a paper
        is what the paper did."""
        for init in sorted({*cell.inits} - {"paper"}):
            for seed in range(3):
                torch.manual_seed(seed)
                x_TBI = torch.rand(LONG, 4, 1).sub(0.95).clamp(min=0) * 20
                layer = RecurrentLayer(cell, 1, 32, 1, init, LONG if init == "chrono" else None)
                y, _ = layer.scan(x_TBI)
                y[-1].square().mean().backward()
                gradients = [p.grad for p in layer.parameters() if p.grad is not None]
                norms = [float(gradient.double().norm()) for gradient in gradients]
                assert max(norms) < LARGEST, (init, norms)

    def test_its_facts_are_numbers(self, cell):
        facts = [cell.gates, cell.states, cell.macs(I, H), cell.sequential_steps(100)]
        assert json.loads(json.dumps(facts)) == facts
        assert min(facts) >= 1
        assert cell.sequential_steps(1) == 1


def _case(cell: Cell, dilation: int) -> tuple[Tensor, Weights, State]:
    """Inputs [T, B, I], weights and a state in double precision, with gradients."""
    torch.manual_seed(0)
    shapes = cell.shapes(I, H).values()
    weights = tuple((_normal(*shape) / 2).requires_grad_() for shape in shapes)
    state = tuple(_normal(dilation, B, H).requires_grad_() for _ in range(cell.states))
    return _normal(T, B, I).requires_grad_(), weights, state


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)
