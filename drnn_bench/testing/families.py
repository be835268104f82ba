"""The contract of families: what every net does, whatever it computes.

Legend: B batch, T steps, I inputs, O outputs.
"""

from __future__ import annotations

import copy
import pickle

import torch
from torch import Tensor

from drnn_bench.errors import UserError
from drnn_bench.models.plain_step import PlainStep
from drnn_bench.models.streaming import detach
from drnn_bench.testing.claims import Claims
from drnn_bench.testing.nets import (
    INPUTS,
    OUTPUTS,
    close,
    doubled,
    gradient,
    long_tensors,
    make,
    wrong_gradients,
    wrong_inputs,
)
from drnn_bench.testing.stand_ins import left_out, refusal

LENGTHS = (1, 2, 5, 16, 33, 50)


class FamilyContract(Claims):
    """Inherit from it and set `family` and `options`; pytest runs the checks.

    family:   the name of a registered family
    options:  of one small net, with its width: {"depth": 2, "width": 5}. For several nets, write
              `@pytest.mark.parametrize("options", [{...}, {...}])` above the class.

    Nets are in evaluation mode, so that dropout is off. Of a net that looks back further than 90
    steps, gradients are followed for 90 steps.
    """

    def test_any_length_and_a_batch_of_one(self, family, options):
        model = make(family, options)
        for length in LENGTHS:
            for batch in (1, 3):
                assert model(torch.randn(batch, length, INPUTS)).shape == (batch, length, OUTPUTS)

    def test_a_finite_gradient_reaches_every_parameter(self, family, options):
        model = make(family, options)
        model(torch.randn(2, 50, INPUTS)).pow(2).sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, f"{name} has no gradient"
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
            assert parameter.grad.abs().max() > 0, f"the gradient of {name} is zero"

    def test_an_input_never_changes_an_earlier_output(self, family, options):
        model = doubled(make(family, options))
        x = torch.randn(2, 40, INPUTS, dtype=torch.float64)
        y = model(x)
        for t in (0, 1, 17, 39):
            changed = x.clone()
            changed[:, t:] += 1
            same = t == 0 or close(model(changed)[:, :t], y[:, :t], 1e-12)
            assert same, f"inputs from step {t} on change outputs before it"

    def test_a_sequence_never_changes_the_others_of_its_batch(self, family, options):
        model = doubled(make(family, options))
        x = torch.randn(3, 40, INPUTS, dtype=torch.float64)
        assert close(model(x)[1:2], model(x[1:2]), 1e-12)

    def test_the_last_outputs_alone_are_the_same_with_the_same_gradients(self, family, options):
        for length in LENGTHS:
            for last in {1, min(2, length), min(10, length)}:
                grads = []
                for alone in (False, True):
                    model = doubled(make(family, options))
                    torch.manual_seed(1)
                    x = torch.randn(2, length, INPUTS, dtype=torch.float64, requires_grad=True)
                    y = model(x, last=last) if alone else model(x)[:, -last:]
                    y.sin().sum().backward()
                    grads.append([y.detach(), gradient(x), *map(gradient, model.parameters())])
                for whole, part in zip(*grads, strict=True):
                    assert close(part, whole, 1e-10), (
                        f"of {length} steps, the last {last} alone or their gradients differ"
                    )

    def test_chunks_of_any_size_give_what_one_pass_gives(self, family, options):
        model = doubled(make(family, options))
        x = torch.randn(2, 60, INPUTS, dtype=torch.float64)
        for sizes in ([1] * 60, [7, 1, 1, 20, 1, 30], [59, 1]):
            for differentiated in (True, False):
                with torch.set_grad_enabled(differentiated):
                    state, parts = None, []
                    for chunk in x.split(sizes, dim=1):
                        y, state = model.stream(chunk, state)
                        parts.append(y)
                assert close(torch.cat(parts, 1), model(x), 1e-10), (
                    f"`stream` gives other outputs than `forward`: chunks of {sizes[:6]}... steps"
                )

    def test_a_step_is_a_function_of_tensors(self, family, options):
        """What an export to ONNX is made of (models/plain_step.py)."""
        model, x = make(family, options), torch.randn(2, 60, INPUTS)
        try:
            step = PlainStep(model)
        except UserError as error:
            left_out(str(error))
        state, parts = [*step.first(2).values()], []
        with torch.no_grad():
            for x_B1I in x.split(1, dim=1):
                before = [tensor.clone() for tensor in state]
                y_B1O, *after = step(x_B1I, *state)
                parts.append(y_B1O)
                assert all(map(torch.equal, state, before)), "the state that went in was changed"
                state = after
            assert close(torch.cat(parts, 1), model(x), 1e-5)

    def test_a_state_is_carried_on_without_its_gradients(self, family, options):
        model = make(family, options)
        state = None
        for chunk in torch.randn(2, 60, INPUTS).split(20, dim=1):
            y, state = model.stream(chunk, detach(state))
            y.sum().backward()  # raises where it reaches an earlier chunk, whose graph is freed
        assert all(parameter.grad is not None for parameter in model.parameters())

    def test_a_single_step_turns_its_memory_in_place(self, family, options):
        """The state of s steps back is read and overwritten, never copied: O(1) for every s."""
        model = make(family, options)
        with torch.no_grad():
            _, state = model.stream(torch.randn(2, 30, INPUTS))
            _, state = model.stream(torch.randn(2, 1, INPUTS), state)
            places = {t.data_ptr(): t.shape for t in long_tensors(state)}
            for _ in range(5):
                _, state = model.stream(torch.randn(2, 1, INPUTS), state)
            assert {t.data_ptr(): t.shape for t in long_tensors(state)} == places

    def test_wrong_inputs_are_refused_in_one_line(self, family, options):
        """`forward` and `stream` of a built net raise UserError."""
        model = make(family, options)
        for x, last in wrong_inputs(model):
            assert len(refusal(model, x, **last).splitlines()) == 1
            if not last:
                refusal(model.stream, x)
        _, state = model.stream(torch.randn(2, 9, INPUTS))
        assert "2 sequences, got 3" in refusal(model.stream, torch.randn(3, 9, INPUTS), state)

    def test_the_gradients_are_what_differences_show(self, family, options):
        """In double precision, of the inputs and of every parameter, complex ones too. The initial
        parameters are changed a little, so that the input of no ReLU is zero."""
        model = doubled(make(family, options))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        x = torch.randn(2, 7, INPUTS, dtype=torch.float64, requires_grad=True)
        names, parameters = zip(*model.named_parameters(), strict=True)

        def outputs(x: Tensor, *parameters: Tensor) -> Tensor:
            weights = dict(zip(names, parameters, strict=True))
            return torch.func.functional_call(model, weights, (x,))

        wrong = wrong_gradients(
            outputs, {"the inputs": x, **dict(zip(names, parameters, strict=True))}
        )
        assert not wrong, f"differences show another gradient of {', '.join(wrong)}"

    def test_single_precision_is_near_double(self, family, options):
        results = []
        torch.manual_seed(1)
        x = torch.randn(3, 60, INPUTS, dtype=torch.float64)
        for model in (make(family, options), doubled(make(family, options))):
            single = not results
            given = (x.float() if single else x.clone()).requires_grad_()
            y = model(given)
            assert y.dtype == given.dtype
            y.sin().sum().backward()
            results.append([y.detach(), gradient(given), *map(gradient, model.parameters())])
        for part, whole in zip(*results, strict=True):
            assert close(part.to(whole.dtype), whole, 1e-3)

    def test_copies_and_what_is_kept_answer_the_same(self, family, options):
        """Nets copied by deepcopy, by pickle, and by the `state_dict` of another net; states copied
        by deepcopy and by pickle."""
        model, x = make(family, options), torch.randn(2, 20, INPUTS)
        other = make(family, options, seed=1)
        other.load_state_dict(model.state_dict())
        y = model(x)
        for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), other):
            assert type(copied) is type(model)
            assert torch.equal(copied(x), y)
            with torch.no_grad():
                next(copied.parameters()).zero_()
        assert torch.equal(model(x), y)  # none of them shares its weights
        _, state = model.stream(x)
        answers = [
            model.stream(x, branch)[0] for branch in
            (copy.deepcopy(state), pickle.loads(pickle.dumps(state)), state)
        ]  # fmt: skip
        assert all(torch.equal(answer, answers[0]) for answer in answers)
