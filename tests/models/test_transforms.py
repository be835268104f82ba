"""Every family under the tracers and transforms of torch, where the fused kernels step aside.

Each is held against the plain call, for which the fused kernels are forced where they can run.
"""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from drnn_bench import kernels
from drnn_bench.errors import UserError
from drnn_bench.kernels.linear import linear_scan
from drnn_bench.models.names import FAMILIES
from drnn_bench.models.plain_step import PlainStep
from drnn_bench.testing.nets import INPUTS, close, make
from tests.support.nets import NETS
from tests.support.refused import refusal

CASES = [(family, NETS[family][0]) for family in FAMILIES]
CASES += [("dilated_rnn", NETS["dilated_rnn"][2])]  # LSTM cells and a final convolution
CASES += [("transformer", NETS["transformer"][1])]  # without a window
EVERY = pytest.mark.parametrize(
    ("family", "options"), CASES, ids=[*FAMILIES, "dilated_rnn-lstm", "transformer-all"]
)  # fmt: skip


def made_of(case: tuple[str, dict]) -> tuple:
    """The classes of a net's parts, and which of the two ways its layers take to a result: one step
    after another, or a parallel scan."""
    model = make(*case)
    parts = {(type(part), getattr(getattr(part, "cell", None), "linear", None))
             for part in model.modules()}  # fmt: skip
    return frozenset(parts)


# Tracers take seconds a net. They meet the layers, never the cells: one net of each kind is enough.
# Every family's is traced for ONNX files (tests/export/test_onnx.py).
KINDS = [*{made_of(case): case for case in reversed(CASES)}.values()][::-1]
OF_EACH_KIND = pytest.mark.parametrize(
    ("family", "options"), KINDS, ids=[family for family, _ in KINDS]
)
STEPS = 12
FUSED = ("dilated_rnn", "rnn", "lstm", "gru", "skip_rnn", "clockwork_rnn", "min_gru", "min_lstm",
         "indrnn", "lem", "dilated_cnn", "tcn", "s4d", "lru")  # fmt: skip


@pytest.fixture(autouse=True)
def _fused():
    with kernels.forced("fused"):
        yield


def net_and_inputs(family, options):
    model = make(family, options)
    torch.manual_seed(1)
    return model, torch.randn(3, STEPS, INPUTS), torch.randn(3, STEPS, INPUTS)


# For any batch and length, every family is traced for ONNX files. Here one of each way is.
ANY_LENGTH = ("dilated_rnn", "min_gru", "s4d", "dilated_cnn", "transformer")


@OF_EACH_KIND
def test_export_at_a_fixed_length(family, options):
    model, seen, x = net_and_inputs(family, options)
    program = torch.export.export(model, (seen,), {"last": 2})
    assert close(program.module()(x, last=2), model(x, last=2), 1e-5)


# The compiler takes seconds a layer.
ONE_LAYER = {
    **{
        family: {"depth": 1, "width": 4}
        for family in ("rnn", "lstm", "gru", "min_gru", "min_lstm", "indrnn", "lem", "s4d", "lru")
    },
    "dilated_rnn": {"dilations": (3,), "width": 4},
    "skip_rnn": {"depth": 1, "skip": 4, "width": 4},
    "dilated_cnn": {"depth": 2, "width": 4},
    "tcn": {"depth": 1, "kernel": 2, "width": 4},
    "clockwork_rnn": {"modules": 2, "width": 4},
    "selective_ssm": {"depth": 1, "states": 2, "width": 4},
    "gla": {"depth": 1, "width": 4},
    "transformer": {"depth": 1, "width": 4},
}
ANY = torch.export.Dim.DYNAMIC


@pytest.mark.parametrize("family", [*ANY_LENGTH, "transformer-all", "skip_rnn-symbols"])
def test_export_for_any_batch_and_length(family):
    family, _, other = family.partition("-")
    if family == "s4d" and torch.__version__.startswith("2.10."):
        pytest.xfail("torch 2.10 checks each length for what is true of some only")
    options = ONE_LAYER[family] | ({} if family != "transformer" or other else {"window": 5})
    model, seen, _ = net_and_inputs(family, options)
    seen = torch.randint(INPUTS, seen.shape[:2]) if other == "symbols" else seen
    with torch.no_grad():
        program = torch.export.export(model, (seen,), dynamic_shapes=({0: ANY, 1: ANY},))
    for batch, length in ((3, STEPS), (1, 1), (2, 37)):
        x = torch.randn(batch, length, INPUTS)
        x = torch.randint(INPUTS, (batch, length)) if other == "symbols" else x
        assert close(program.module()(x), model(x), 1e-5)


def test_export_of_a_deep_net_of_several_states_for_any_length():
    options = {"cell": "lstm", "dilations": (4, 2), "fusion": False, "width": (4, 3)}
    model, seen, x = net_and_inputs("dilated_rnn", options)
    program = torch.export.export(model, (seen,), {"last": 2}, dynamic_shapes={
        "x_BTI": {0: ANY, 1: ANY}, "last": None})  # fmt: skip
    for length in (STEPS, 2, 5):
        assert close(program.module()(x[:, :length], last=2), model(x[:, :length], last=2), 1e-5)


@pytest.mark.parametrize("family", ANY_LENGTH)
def test_export_of_a_streams_step(family):
    model, x, _ = net_and_inputs(family, NETS[family][0])
    step = PlainStep(model)
    with torch.no_grad():
        program = torch.export.export(step, step.example(), dynamic_shapes=step.dynamic())
    run, state, parts = program.module(), [*step.first(3).values()], []
    for x_B1I in x.split(1, dim=1):
        y_B1O, *state = run(x_B1I, *state)
        parts.append(y_B1O)
    assert close(torch.cat(parts, 1), model(x), 1e-5)


@OF_EACH_KIND
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_jit_trace(family, options):
    model, seen, x = net_and_inputs(family, options)
    traced = torch.jit.trace(model, (seen,))
    assert close(traced(x), model(x), 1e-5)


@pytest.mark.parametrize("family", dict.fromkeys(family for family, _ in KINDS))
def test_compile_with_the_eager_backend(family):
    model, _, x = net_and_inputs(family, ONE_LAYER[family])
    x = x[:, :4]  # the compiler unrolls them
    torch.compiler.reset()
    y = torch.compile(model, backend="eager")(x)
    y.sin().sum().backward()
    got = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    assert close(y, model(x), 1e-5)
    model(x).sin().sum().backward()
    assert all(close(a, p.grad, 1e-4) for a, p in zip(got, model.parameters(), strict=True))
    torch.compiler.reset()


@pytest.mark.slow
def test_a_compiled_net_takes_sequences_of_other_lengths():
    """From the second length on, the compiler sees the length as a symbol."""
    model, _, x = net_and_inputs("dilated_rnn", {"dilations": (3,), "width": 4})
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager")
    for steps in (5, 4, 2):
        assert close(compiled(x[:, :steps]), model(x[:, :steps]), 1e-5)
    torch.compiler.reset()


@EVERY
def test_the_gradient_transform(family, options):
    model, _, x = net_and_inputs(family, options)
    loss = lambda weights: functional_call(model, weights, (x,)).sin().sum()  # noqa: E731
    grads = torch.func.grad(loss)(dict(model.named_parameters()))
    model(x).sin().sum().backward()
    for name, weight in model.named_parameters():
        assert close(grads[name], weight.grad, 1e-4), name


@EVERY
def test_vmap_over_inputs_over_weights_and_over_gradients(family, options):
    model, first, second = net_and_inputs(family, options)
    both = torch.stack([first, second])
    for last in (None, 1, 3):
        y = torch.func.vmap(lambda x, last=last: model(x, last=last))(both)
        assert close(y, torch.stack([model(x, last=last) for x in both]), 1e-5)
    nets = [model, make(family, options, seed=2)]
    weights, buffers = torch.func.stack_module_state(nets)
    of_each = lambda *given: functional_call(model, given, (first,))  # noqa: E731
    y = torch.func.vmap(of_each)(weights, buffers)
    assert close(y, torch.stack([net(first) for net in nets]), 1e-5)

    def loss(weights, x):
        return functional_call(model, weights, (x.unsqueeze(0),)).sin().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(dict(model.named_parameters()), first)
    model(first).sin().sum().backward()
    for name, weight in model.named_parameters():
        assert close(each[name].sum(0), weight.grad, 1e-4), name


@EVERY
def test_forward_derivatives(family, options):
    model, x, along = net_and_inputs(family, options)
    y, dy = torch.func.jvp(model, (x,), (along,))
    assert close(y, model(x), 1e-5)
    weigh = torch.randn(y.shape)
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(model(forward_ad.make_dual(x, along)))
    assert close(dual.tangent, dy, 1e-5)
    x.requires_grad_()
    (grad,) = torch.autograd.grad((model(x) * weigh).sum(), x)
    assert float((dy * weigh).sum().detach()) == pytest.approx(
        float((grad * along).sum()), rel=1e-3, abs=1e-3
    )


@OF_EACH_KIND
def test_make_fx(family, options):
    model, seen, x = net_and_inputs(family, options)
    graph = make_fx(model, tracing_mode="fake", _allow_non_fake_inputs=True)(seen)
    assert close(graph(x), model(x), 1e-5)


@OF_EACH_KIND
def test_fake_tensors_have_shapes(family, options):
    model, x, _ = net_and_inputs(family, options)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = model(mode.from_tensor(x), last=2)
        _, state = model.stream(mode.from_tensor(x))
        model.stream(mode.from_tensor(x[:, :1]), state)
    assert fake.shape == (3, 2, 4)
    assert model(x, last=2).isfinite().all()  # nothing fake was kept


class Tagged(torch.Tensor):
    """A class of somebody's own, which means something by it."""


@EVERY
def test_tensors_of_another_class_keep_it(family, options):
    model, x, _ = net_and_inputs(family, options)
    y = model(x.as_subclass(Tagged))
    assert type(y) is Tagged
    assert close(y.as_subclass(torch.Tensor), model(x), 1e-5)


@EVERY
def test_under_autocast_nets_compute_in_the_dtype_of_their_weights(family, options):
    model, x, _ = net_and_inputs(family, options)
    y = model(x)
    y.sin().sum().backward()
    wanted = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = model(x)
        first, state = model.stream(x[:, :9])
        rest, _ = model.stream(x[:, 9:], state)
        assert model(x.bfloat16()).dtype == torch.float32
        got.sin().sum().backward()  # torch advises against it; people do it all the same
    assert torch.equal(got, y)
    assert close(torch.cat([first, rest], 1), y, 1e-5)
    for p, grad in zip(model.parameters(), wanted, strict=True):
        assert close(p.grad, grad, 0.05)


@pytest.mark.parametrize("family", ["gru", "min_gru"])
def test_symbols_are_traced_and_batched(family):
    model = make(family, NETS[family][0])
    seen, x = torch.randint(INPUTS, (2, 3, STEPS))
    y = model(x)
    assert close(torch.func.vmap(model)(torch.stack([seen, x]))[1], y, 1e-5)
    assert "symbols from 0 to 2, got 7" in refusal(
        torch.func.vmap(model), torch.stack([x, x + 7 - x])
    )
    assert close(torch.export.export(model, (seen,)).module()(x), y, 1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model, (seen,))
    assert close(traced(x), y, 1e-5)


@EVERY
def test_a_copy_of_a_net_answers_with_its_own_weights(family, options):
    """The check in front of a net is the copy's own."""
    model, x, _ = net_and_inputs(family, options)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    assert not close(other(x), model(x), 1e-3)


@settings(max_examples=25)
@given(batched=st.tuples(*[st.booleans()] * 3).filter(any), steps=st.integers(1, 9))
def test_a_scan_is_batched_over_any_of_its_three(batched, steps):
    torch.manual_seed(0)
    shapes = ((steps, 2), (steps, 2), (2,))
    given_ = [
        torch.randn(*(5,) * many, *shape, dtype=torch.float64)
        for many, shape in zip(batched, shapes, strict=True)
    ]
    got = torch.func.vmap(linear_scan, tuple(0 if many else None for many in batched))(*given_)
    for i in range(5):
        one = [t[i] if many else t for t, many in zip(given_, batched, strict=True)]
        assert close(got[i], linear_scan(*one), 1e-12)


@EVERY
def test_gradients_of_gradients(family, options):
    """Those of the fused kernels are refused; without them, every net has them."""
    model, x, _ = net_and_inputs(family, options)
    weights = list(model.parameters())
    if family in FUSED:
        with pytest.raises(UserError, match="cannot be differentiated again"):
            torch.autograd.grad(model(x).sum(), weights, create_graph=True)
    model = model.double()
    with torch.no_grad():  # no ReLU stands at zero then
        for weight in weights:
            weight += 0.1 * torch.randn_like(weight)
    x = x[:1, :5].double().requires_grad_()
    for last in (None, 1):  # at the last step alone, convolutions are strided
        assert torch.autograd.gradgradcheck(
            lambda x, *_, last=last: model(x, last=last), (x, *weights), fast_mode=True
        )
