"""What nets, kernels and the linear scan are given is taken as it is meant, or refused."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import drnn_bench
from drnn_bench import kernels
from drnn_bench.cells.gru import GRU
from drnn_bench.cells.rnn import RNN
from drnn_bench.errors import UserError
from drnn_bench.kernels.linear import linear_scan
from drnn_bench.models.build import configure
from drnn_bench.models.names import FAMILIES
from drnn_bench.models.streaming import detach
from drnn_bench.testing.nets import (
    INPUTS,
    architecture_of,
    close,
    make,
    wrong_inputs,
)
from tests.support import anything
from tests.support.cells import CELLS, fused_or_skip, weights_of
from tests.support.command import ENV, ROOT
from tests.support.nets import NETS
from tests.support.refused import refusal

SYMBOLIC = ("dilated_rnn", "rnn", "lstm", "gru", "skip_rnn", "min_gru")
EVERY = pytest.mark.parametrize("family", FAMILIES)


def small(family: str) -> torch.nn.Module:
    return make(family, NETS[family][0])


# -- nets --------------------------------------------------------------------------------------


def test_the_lines_themselves():
    model = drnn_bench.build("dilated_rnn", input_size=3, output_size=4, width=8, depth=3)
    said = {
        "dilated_rnn takes 3 channels, got 7": torch.randn(16, 33, 7),
        "dilated_rnn takes 3 channels, got 1": torch.randn(16, 33, 1),
        "dilated_rnn takes symbols from 0 to 2, got 100000000": torch.full((16, 33), 10**8),
        "dilated_rnn takes symbols from 0 to 2, got -1": torch.full((16, 33), -1),
        "dilated_rnn takes at least one sequence, got none": torch.randn(0, 33, 3),
        "dilated_rnn takes at least one step, got none": torch.randn(16, 0, 3),
        "dilated_rnn takes torch.float32, as its weights are, got torch.float64": torch.randn(
            16, 33, 3, dtype=torch.float64
        ),
        "dilated_rnn takes (batch, steps, 3) or symbols (batch, steps), got torch.float32 of "
        "shape (16, 33)": torch.randn(16, 33),
        "dilated_rnn has its weights on cpu, got inputs on meta": torch.randn(
            2, 9, 3, device="meta"
        ),
    }
    for line, x in said.items():
        assert refusal(model, x) == line
        assert refusal(model.stream, x) == line
    assert "takes 1 channel, got 3" in refusal(
        drnn_bench.build("s4d", input_size=1, output_size=2, width=4), torch.randn(2, 9, 3)
    )


@EVERY
def test_a_net_behind_a_table_is_checked_by_the_tables_size(family):
    options = {"input_size": 7, "output_size": 4, "embedding": 2, **NETS[family][0]}
    model = configure(family, **options).build()
    assert f"{family} takes symbols from 0 to 6, got 7" == refusal(model, torch.full((2, 9), 7))
    assert f"{family} takes 7 channels, got 2" == refusal(model.stream, torch.randn(2, 9, 2))
    for last in (0, -1, 10, True, 1.0, "1"):
        assert "last must be a whole number from 1 to 9" in refusal(
            lambda last=last: model(torch.zeros(2, 9, dtype=torch.int64), last=last)
        )


@pytest.mark.parametrize("family", SYMBOLIC)
@pytest.mark.parametrize("kernel", ["torch", "reference", "fused"])
def test_symbols_of_any_whole_dtype_are_the_same_symbols(family, kernel):
    model = small(family)
    x = torch.randint(INPUTS, (2, 20))
    with kernels.forced(kernel):
        y = model(x)
        for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
            assert torch.equal(model(x.to(dtype)), y)


@EVERY
def test_numpys_whole_numbers_are_whole_numbers(family):
    model, x = small(family), torch.randn(2, 9, INPUTS)
    assert torch.equal(model(x, last=np.int64(3)), model(x, last=3))


@EVERY
def test_a_loaded_net_is_checked_too(family, tmp_path):
    from drnn_bench.models import weights

    path = tmp_path / "net.safetensors"
    weights.save(small(family), path)
    model = weights.load(architecture_of(family, NETS[family][0]), path)
    assert refusal(model, torch.randn(2, 9, 7)) == f"{family} takes {INPUTS} channels, got 7"


# -- states ------------------------------------------------------------------------------------


@EVERY
def test_a_state_that_does_not_fit_is_refused(family):
    model, x = small(family), torch.randn(2, 9, INPUTS)
    _, state = model.stream(x)
    assert refusal(model.stream, torch.randn(3, 9, INPUTS), state) == (
        "this state is of 2 sequences, got 3"
    )
    wider = make(family, {**NETS[family][0], "width": 17})
    assert f"this state is of {family} " in refusal(wider.stream, x, state)
    assert "weights are of torch.float64 now" in refusal(
        copy.deepcopy(model).double().stream, x.double(), state
    )
    assert "a state must be what stream gave before" in refusal(model.stream, x, (1, 2))
    model.stream(x, state)


@EVERY
def test_a_state_is_used_once_by_a_single_step_and_its_copies_go_on(family):
    """A single step turns the memory in place: what was a right answer before would be wrong."""
    model, x = small(family), torch.randn(2, 12, INPUTS)
    with torch.no_grad():
        _, state = model.stream(x[:, :9])
        branches = copy.deepcopy(state), state.clone(), pickle.loads(pickle.dumps(state)), state
        answers = [model.stream(x[:, 9:10], branch)[0] for branch in branches]
        assert all(torch.equal(answer, answers[0]) for answer in answers)
        assert "consumed" in refusal(model.stream, x[:, 10:11], state)
        assert "consumed" in refusal(model.stream, x[:, 10:11], copy.deepcopy(state))


@EVERY
def test_a_state_with_gradients_is_copied_with_them_and_pickled_without(family):
    model = small(family)
    x = torch.randn(2, 12, INPUTS, requires_grad=True)
    _, state = model.stream(x[:, :8])
    grads = []
    for branch in (state, copy.deepcopy(state)):
        y, _ = model.stream(x[:, 8:], branch)
        grads.append(torch.autograd.grad(y.sin().sum(), x, retain_graph=True)[0])
    assert grads[0][:, :8].abs().max() > 0
    assert torch.equal(*grads)
    y, _ = model.stream(x[:, 8:], pickle.loads(pickle.dumps(state)))
    assert torch.autograd.grad(y.sin().sum(), x)[0][:, :8].abs().max() == 0
    y, _ = model.stream(x.detach()[:, 8:], detach(state))
    y.sum().backward()


# -- weights that changed ----------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_net_in_another_dtype_answers_or_says_why_not(family, dtype):
    model, x = small(family), torch.randn(3, 20, INPUTS)
    y = model(x).detach()
    other = copy.deepcopy(model).to(dtype)
    if family in ("s4d", "lru", "selective_ssm", "gla") and dtype != torch.float64:
        said = f"{family} computes in torch.float64, torch.float32, and its weights are {dtype}"
        assert refusal(other, x.to(dtype)) == said
        return
    assert other(x.to(dtype)).dtype == dtype
    assert close(other(x.to(dtype)).float(), y, 0.1)
    with torch.no_grad():
        state, steps = None, []
        for step in x.to(dtype).split(1, dim=1):
            answer, state = other.stream(step, state)
            steps.append(answer)
    assert close(torch.cat(steps, 1).float(), y, 0.1)
    assert f"takes {dtype}" in refusal(other, x)


@EVERY
def test_a_net_on_meta_has_shapes_alone(family):
    model = small(family).to("meta")
    y = model(torch.randn(2, 9, INPUTS, device="meta"), last=2)
    assert (y.shape, y.device.type) == ((2, 2, 4), "meta")


@EVERY
def test_one_weight_of_another_kind_is_named(family):
    x = torch.randn(2, 20, INPUTS)
    names = [name for name, _ in small(family).named_parameters()]
    for change, words in (
        (lambda w: w.double(), "torch.float64"),
        (lambda w: torch.randn(w.shape[0] + 1, *w.shape[1:]), "shape"),
        (lambda w: w.to("meta"), "meta"),
    ):
        model = small(family)
        name = names[-1] if words != "shape" else names[0]
        owner, _, last = name.rpartition(".")
        parameter = torch.nn.Parameter(change(model.get_parameter(name).detach()))
        setattr(model.get_submodule(owner), last, parameter)
        if words == "torch.float64":
            try:  # torch's own sums promote: then the answer is the same
                assert close(model(x).float(), small(family)(x), 1e-5)
                continue
            except UserError:
                pass
        assert words in refusal(model, x)


@EVERY
@pytest.mark.parametrize("kernel", ["torch", "fused"])
def test_weights_of_any_strides_are_the_same_weights(family, kernel):
    model, x = small(family), torch.randn(3, 20, INPUTS)
    with kernels.forced(kernel):
        y = model(x).detach()
        for weight in model.parameters():
            dims = tuple(reversed(range(weight.dim())))
            weight.data = weight.data.permute(dims).contiguous().permute(dims)
        assert close(model(x), y, 1e-6)
        one = small(family)
        for model in (one, expanded := copy.deepcopy(one)):
            for weight in model.parameters():
                row = weight.data[:1]
                # Channels all equal would leave a norm only zeros, or only signs.
                if family in ("transformer", "gla"):
                    if weight.dim() == 1:
                        weight.data = torch.linspace(0.5, 1.5, len(weight))
                        continue
                    row = weight.data[:, :1]
                weight.data = row.expand(weight.shape) if model is expanded else (
                    row.expand(weight.shape).clone()
                )  # fmt: skip
        assert close(expanded(x), one(x), 1e-6)


def test_defaults_of_torch_change_nothing():
    """The kernels' own arrays are float32 on the CPU whatever new tensors are."""
    fused_or_skip()
    model, x = small("gru"), torch.randn(3, 20, INPUTS)
    clock = small("clockwork_rnn")
    with kernels.forced("fused"):
        wanted = [m.stream(x)[0] for m in (model, clock)]
        for context in (torch.device("meta"), _double_by_default()):
            with context:
                for net, y in zip((model, clock), wanted, strict=True):
                    got, _ = net.stream(x)
                    got.sum().backward()
                    assert torch.equal(got, y)


class _double_by_default:
    def __enter__(self):
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *raised):
        torch.set_default_dtype(torch.float32)


# -- kernels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS, ids=repr)
@pytest.mark.parametrize("kernel", ["torch", "reference", "fused"])
def test_a_call_of_the_kernels_that_does_not_fit_is_refused(cell, kernel):
    weights = weights_of(cell, (3, 5, 4))
    x = torch.randn(12, 3, 3)
    states = [tuple(torch.zeros(s, 3, h) for _ in range(cell.states)) for s, h in ((2, 5), (3, 4))]

    def call(x=x, weights=weights, dilations=(2, 3), **options):
        with kernels.forced(kernel):
            return kernels.stack(cell, x, weights, dilations, **options)

    call(states=states, rows=[None, np.array([3, 3, 0])], last=2)  # unsorted, repeated: as it is
    (w_ih, *rest), top = weights
    wrong = [
        {"x": torch.randn(12, 3, 4)},
        {"x": torch.randn(12, 3)},
        {"x": torch.randn(12, 3, 3).double()},
        {"x": torch.randn(0, 3, 3)},
        {"x": torch.randn(12, 0, 3)},
        {"x": torch.randn(12, 3, 3, device="meta")},
        {"x": torch.full((12, 3), 3)},
        {"x": torch.full((12, 3), -1)},
        {"x": torch.ones(12, 3, dtype=torch.bool)},
        {"weights": [(w_ih[:-1], *rest), top]},
        {"weights": [(w_ih, *rest[:-1], rest[-1][:-1]), top]},
        {"weights": [(w_ih, rest[0][..., :-1], *rest[1:]), top]},
        {"weights": [(w_ih.double(), *rest), top]},
        {"weights": [(w_ih, *rest[:-1]), top]},
        {"weights": [top, weights[0]]},
        {"weights": []},
        {"dilations": (0, 1)},
        {"dilations": (2, -3)},
        {"dilations": (2, 1.5)},
        {"dilations": (2,)},
        {"last": 0},
        {"last": -1},
        {"last": 13},
        {"rows": [None, np.array([12])]},
        {"rows": [None, np.array([-1])]},
        {"rows": [None, np.array([], np.int64)]},
        {"rows": [None, np.array([1], np.int32)]},
        {"rows": [None]},
        {"states": states[:1]},
        {"states": states[::-1]},
        {"states": [tuple(t[:, :1] for t in state) for state in states]},
        {"states": [tuple(t.double() for t in state) for state in states]},
        {"states": [(), ()]},
    ]
    for options in wrong:
        refusal(lambda options=options: call(**options))
    refusal(kernels.stack, "gru", x, weights, (2, 3))


@pytest.mark.parametrize("kernel", ["torch", "fused"])
def test_a_call_of_the_clockwork_that_does_not_fit_is_refused(kernel):
    x = torch.randn(12, 3, 2)
    weights = [weights_of(RNN(), (2 + 4, 5))[0], weights_of(RNN(), (2, 4))[0]]
    hidden = [torch.zeros(3, 5), torch.zeros(3, 4)]

    def call(x=x, weights=weights, periods=(1, 2), clock=0, hidden=hidden, last=12):
        with kernels.forced(kernel):
            return kernels.clockwork(x, weights, periods, clock, hidden, last)

    call(clock=1, last=3)
    for options in (
        {"x": torch.randn(12, 3, 3)},
        {"x": torch.randn(12, 2, 2)},
        {"x": torch.zeros(12, 3, dtype=torch.int64)},
        {"weights": weights[::-1]},
        {"weights": weights[:1]},
        {"periods": (1, 0)},
        {"periods": (1,)},
        {"clock": -1},
        {"hidden": [torch.zeros(3, 5), torch.zeros(1, 4)]},
        {"hidden": [torch.zeros(3, 5), torch.zeros(3, 4).double()]},
        {"last": 0},
        {"last": 13},
    ):
        refusal(lambda options=options: call(**options))


def test_addresses_outlive_the_arrays_that_are_asked_for_later():
    """Kernels hold the address of 0, 1, 2, ...: a longer one must not free it."""
    layout = pytest.importorskip("drnn_bench.kernels.layout")
    few = layout.numbers(10)
    address, many = few.ctypes.data, layout.numbers(100_000)
    del few
    assert layout.numbers(10).ctypes.data == address != many.ctypes.data
    assert (layout.numbers(1500)[:1500] == np.arange(1500)).all()


def test_negative_views_are_read_with_their_sign():
    """What `imag` of a conjugate gives has its sign in a flag, not in its numbers."""
    fused_or_skip()
    z = torch.randn(20, 64, INPUTS, dtype=torch.complex64)
    x = z.conj().imag
    assert x.is_neg()
    (weights,) = weights_of(GRU(), (INPUTS, 5))
    with kernels.forced("fused"):
        wanted, _ = kernels.scan(GRU(), -z.imag, weights)
        got, _ = kernels.scan(GRU(), x, weights)
    assert torch.equal(got, wanted)


def test_gradients_of_the_fused_kernels_come_one_at_a_time():
    fused_or_skip()
    x = torch.randn(20, 64, INPUTS, requires_grad=True)
    (weights,) = weights_of(GRU(), (INPUTS, 5))
    many = torch.eye(2)
    with kernels.forced("fused"):
        y, _ = kernels.scan(GRU(), x, weights)
    said = refusal(lambda: torch.autograd.grad(y[-1, 0, :2], x, many, is_grads_batched=True))
    assert "one gradient at a time" in said


# -- the linear scan ---------------------------------------------------------------------------


def slow_scan(a, b, h0=None):
    h = torch.zeros_like((a * b)[0]) if h0 is None else h0
    steps = []
    for t in range(max(len(a), len(b))):
        h = a[min(t, len(a) - 1)] * h + b[min(t, len(b) - 1)]
        steps.append(h)
    return torch.stack(torch.broadcast_tensors(*steps))


DTYPES = st.sampled_from([torch.float32, torch.float64, torch.complex64, torch.complex128])


@settings(max_examples=60)
@given(steps=st.integers(1, 9), thin=st.lists(st.booleans(), min_size=7, max_size=7),
       dtypes=st.tuples(DTYPES, DTYPES, DTYPES), carried=st.booleans())  # fmt: skip
def test_a_scan_of_any_sizes_and_dtypes_is_the_recurrence(steps, thin, dtypes, carried):
    torch.manual_seed(0)
    sizes = [
        1 if one else full for one, full in zip(thin, (steps, 2, 3, steps, 2, 3, 2), strict=True)
    ]
    a, b = (torch.randn(*s, dtype=d) for s, d in zip((sizes[:3], sizes[3:6]), dtypes, strict=False))
    h0 = torch.randn(sizes[6], 3, dtype=dtypes[2]) if carried else None
    h = linear_scan(a, b, h0)
    wanted = slow_scan(a, b, h0)
    assert (h.shape, h.dtype) == (wanted.shape, wanted.dtype)
    assert (h - wanted).abs().max() <= 1e-4 * wanted.abs().max().clamp(min=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("steps", [1, 2, 5, 8])
def test_a_scans_gradients_and_theirs_are_what_differences_show(dtype, steps):
    """Torch's gradients of complex numbers are those of the conjugates."""
    torch.manual_seed(0)
    draw = lambda *s, d=dtype: torch.randn(*s, dtype=d, requires_grad=True)  # noqa: E731
    for given_ in (
        (draw(steps, 2), draw(steps, 2), draw(2)),
        (draw(1, 2, d=torch.float64), draw(steps, 2)),
        (draw(steps, 2), draw(steps, 1, d=torch.float64), draw(1)),
    ):
        assert torch.autograd.gradcheck(linear_scan, given_)
        assert torch.autograd.gradgradcheck(linear_scan, given_)


@pytest.mark.parametrize(
    ("a", "b", "h0", "says"),
    [
        ((5, 2), (5, 3), None, "do not fit"),
        ((5, 2), (4, 2), None, "do not fit"),
        ((2,), (5, 2), None, "as many axes"),
        ((5, 2), (5, 2), (3,), "do not fit"),
        ((5, 2), (5, 2), (1, 2), "one less"),
        ((0, 2), (0, 2), None, "at least one step"),
        ((), (), None, "as many axes"),
    ],
)
def test_a_scan_of_sizes_that_do_not_fit_is_refused(a, b, h0, says):
    given_ = [None if size is None else torch.randn(size) for size in (a, b, h0)]
    assert says in refusal(linear_scan, *given_)


def test_a_scan_of_whole_numbers_is_refused():
    ones = torch.ones(5, 2)
    assert "b must be real or complex, got torch.int64" in refusal(linear_scan, ones, ones.long())
    assert "a must be a tensor, got float" in refusal(linear_scan, 0.5, ones)


# -- everything --------------------------------------------------------------------------------


@EVERY
def test_what_the_contract_calls_wrong_is_refused_in_a_line_that_names_the_family(family):
    model = small(family)
    for x, options in wrong_inputs(model):
        said = refusal(lambda x=x, options=options: model(x, **options))
        assert family in said or "last" in said


def test_anything_is_answered_or_refused_and_nothing_crashes():
    """In a process of its own: no address may be read or written that is not ours."""
    words = ["-X", "faulthandler", "-m", "pytest", "-p", "no:cacheprovider", anything.__file__]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=ROOT, env=ENV
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
