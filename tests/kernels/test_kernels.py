"""Every kernel of the layer scan against the reference in float64: outputs, states, gradients."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench import kernels
from drnn_bench.cells.gru import GRU
from drnn_bench.cells.lem import LEM
from drnn_bench.cells.lstm import LSTM
from drnn_bench.cells.min_gru import MinGRU
from drnn_bench.cells.min_lstm import MinLSTM
from drnn_bench.cells.rnn import RNN
from drnn_bench.errors import UserError
from tests.support.cells import CELLS, fused_or_skip, weights_of
from tests.support.command import ENV, ROOT
from tests.support.runs import wait_for

FUSED = [cell for cell in CELLS if cell.fused]
OUTPUTS, GRADIENTS = 2e-6, 1e-5  # largest error over the largest magnitude of a tensor


def run(name, cell, x, weights, dilations, states=None, dtype=torch.float32, **options):
    """Outputs and states, and the gradients of a sum over both of everything that went in."""
    copy = lambda t: t.detach().to(dtype).requires_grad_()  # noqa: E731
    x = copy(x) if x.is_floating_point() else x
    weights = [tuple(map(copy, layer)) for layer in weights]
    states = states and [tuple(map(copy, state)) for state in states]
    with kernels.forced(name):
        y, left = kernels.stack(cell, x, weights, dilations, states=states, **options)
    left = left if options.get("return_states", True) else []  # some kernels give them all the same
    out = [y, *(t for state in left for t in state)]
    into = [
        *[x][: x.requires_grad],
        *(t for layer in weights for t in layer),
        *(t for s in states or () for t in s),
    ]
    into = [t for t in into if t.numel()]
    grads = torch.autograd.grad(sum((t * t).sin().sum() for t in out), into)
    return [t.detach().double() for t in out], [g.double() for g in grads]


def assert_close(got, reference, tolerance, least=1.0):
    """Error over the largest magnitude, but for tensors of a few numbers: these may be small by
    cancellation, to which no rounding is relative. `least` is the smallest magnitude believed."""
    for a, b in zip(got, reference, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= tolerance * b.abs().max().clamp(min=least)


@pytest.mark.parametrize("name", ["torch", "fused"])
@settings(max_examples=40)
@given(
    cell=st.sampled_from(CELLS),
    steps=st.integers(1, 40),
    batch=st.sampled_from([1, 2, 17, 63, 64, 65, 130]),
    inputs=st.integers(1, 9),
    units=st.lists(st.sampled_from([1, 2, 3, 5, 7, 8, 11, 13, 16, 21]), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
    carried=st.booleans(),
    data=st.data(),
)
def test_a_stack_of_any_shape(name, cell, steps, batch, inputs, units, seed, carried, data):
    fused_or_skip(name)
    torch.manual_seed(seed)
    dilations = [data.draw(st.integers(1, steps + 5)) for _ in units]
    x, weights = torch.randn(steps, batch, inputs), weights_of(cell, (inputs, *units))
    states = None
    if carried:
        each = cell.states
        states = [
            tuple(torch.rand(s, batch, h) - 0.5 for _ in range(each))
            for s, h in zip(dilations, units, strict=True)
        ]
    # A classifier's stack: each layer may take only some steps of the one below.
    rows, length = [], steps
    for _ in units:
        kept = data.draw(st.none() | st.lists(st.sampled_from(range(length)), min_size=1))
        rows.append(None if kept is None else np.unique(kept))
        length = length if kept is None else len(rows[-1])
    last = data.draw(st.integers(1, length))
    call = (cell, x, weights, dilations, states)
    outputs, gradients = run(name, *call, rows=rows, last=last)
    slow = run("reference", *call, rows=rows, last=last, dtype=torch.float64)
    assert_close(outputs, slow[0], OUTPUTS)
    assert_close(gradients, slow[1], GRADIENTS)


@settings(max_examples=40)
@given(
    cell=st.sampled_from(CELLS),
    steps=st.integers(16, 150),
    batch=st.sampled_from([1, 3, 16, 31, 48, 100]),
    first=st.sampled_from([1, 2, 3, 6]),
    factors=st.lists(st.sampled_from([1, 2, 3, 4, 1.5]), min_size=1, max_size=3),
    symbols=st.booleans(),
    data=st.data(),
)
def test_chains_of_a_sequence_lie_side_by_side(cell, steps, batch, first, factors, symbols, data):
    """Where no state is carried, which is how nets are trained."""
    fused_or_skip("fused")
    torch.manual_seed(steps)
    dilations = [first]
    for factor in factors:
        dilations.append(max(1, int(dilations[-1] * factor)))
    x = torch.randint(2, (steps, batch)) if symbols else torch.randn(steps, batch, 2)
    weights = weights_of(cell, (2, 5, 3, 4, 2)[: len(dilations) + 1])
    last = data.draw(st.integers(1, steps))
    options = {"last": last, "return_states": False}
    outputs, gradients = run("fused", cell, x, weights, dilations, **options)
    slow = run("reference", cell, x, weights, dilations, **options, dtype=torch.float64)
    # Rounding grows over 150 steps; a chain in the wrong place is wrong by the size of the numbers.
    assert_close(outputs, slow[0], 1e-4)
    assert_close(gradients, slow[1], 1e-4)


def test_how_many_chains_lie_side_by_side():
    fused_or_skip("fused")
    from drnn_bench.kernels.folded import folds

    powers = [2**i for i in range(6)]
    assert list(folds(powers, 784, 64)) == [1] * 6
    assert list(folds(powers, 784, 32)) == [1] + [2] * 5
    assert list(folds(powers, 784, 16)) == [1, 2] + [4] * 4
    assert list(folds(powers, 784, 48)) == [1, 1] + [4] * 4  # three whole blocks in place of four
    assert list(folds(powers, 40, 1)) == [1] + [2] * 5  # a chain has at least 16 steps
    assert list(folds([3, 9, 27], 784, 20)) == [3, 3, 3]
    assert list(folds([4, 2, 3], 784, 1)) == [1, 1, 3]


@pytest.mark.parametrize(
    ("dilations", "batch", "last", "converted"),
    [([1], 64, 1, [1]), ([1, 1], 64, 5, [5]), ([1, 2], 32, 1, [784, 1]), ([1, 4], 16, 6, [784, 2])],
)
def test_outputs_that_nobody_reads_are_not_converted(
    dilations, batch, last, converted, monkeypatch
):
    """Of wide nets that took most of a training step. Of chains, whole steps of all are read."""
    fused_or_skip("fused")
    from drnn_bench.kernels import fused

    stack, asked = fused.stack, []

    def asking(cell, x, weights, below, rows, last, *rest):
        asked.append(last)
        return stack(cell, x, weights, below, rows, last, *rest)

    monkeypatch.setattr(fused, "stack", asking)
    weights = weights_of(GRU(), (1, *[3] * len(dilations)))
    run("fused", GRU(), torch.randn(784, batch, 1), weights, dilations, last=last,
        return_states=False)  # fmt: skip
    assert asked == converted


@pytest.mark.parametrize("cell", FUSED, ids=repr)
def test_a_deep_stack_over_a_long_sequence(cell):
    """Errors do not grow with the steps; torch's own are as large."""
    fused_or_skip("fused")
    torch.manual_seed(0)
    x, weights = torch.randn(400, 70, 1), weights_of(cell, (1, *[20] * 5))
    call = (cell, x, weights, [1, 2, 4, 8, 16])
    outputs, gradients = run("fused", *call, last=3)
    slow = run("torch", *call, last=3, dtype=torch.float64)
    assert_close(outputs, slow[0], OUTPUTS, 1e-9)
    assert_close(gradients, slow[1], GRADIENTS, 1e-9)


@pytest.mark.parametrize(("cell", "gates"), [(MinGRU(), (-7, 0)), (MinLSTM(), (7, -7, 0)),
                                             (LEM(), (-7, -7, 0, 0))], ids=repr)  # fmt: skip
def test_a_memory_of_a_thousand_steps(cell, gates):
    """Where a state changes by 1e-3 at every step, its error is the same at every step and adds
    up."""
    fused_or_skip("fused")
    torch.manual_seed(0)
    x, ((*weights, bias),) = torch.randn(400, 64, 1), weights_of(cell, (1, 20))
    bias = bias + torch.tensor(gates).repeat_interleave(20)
    call = (cell, x, [(*weights, bias)], [1])
    outputs, gradients = run("fused", *call)
    slow = run("reference", *call, dtype=torch.float64)
    assert_close(outputs, slow[0], OUTPUTS, 1e-9)
    assert_close(gradients, slow[1], GRADIENTS, 1e-9)


@pytest.mark.parametrize("gates", [(-200, -200), (-95, -90), (-300, 5), (100, 100), (30, -80)])
def test_gates_of_a_minimal_lstm_keep_their_ratio_where_they_round_to_zero(gates):
    fused_or_skip("fused")
    torch.manual_seed(0)
    x, ((weight, bias),) = torch.randn(20, 64, 1), weights_of(MinLSTM(), (1, 3))
    bias = bias + torch.tensor([*gates, 0]).repeat_interleave(3)
    call = (MinLSTM(), x, [(weight, bias)], [2])
    outputs, gradients = run("fused", *call)
    slow = run("reference", *call, dtype=torch.float64)
    assert_close(outputs, slow[0], 5e-6)  # -200 has an absolute error of 8e-6
    assert_close(gradients, slow[1], 5e-5)


@pytest.mark.parametrize("cell", FUSED, ids=repr)
@pytest.mark.parametrize(("batch", "symbols", "units"), [(3, 2, 1), (70, 50, 9), (130, 5, 21)])
def test_symbols_are_one_hot_inputs(cell, batch, symbols, units):
    fused_or_skip("fused")
    torch.manual_seed(0)
    x = torch.randint(symbols, (batch, 20)).t()
    rows = [np.array([0, 1, 3, 4, 6, 19]), None]
    weights = weights_of(cell, (symbols, units, 4))
    results = []
    for name, dtype in (("fused", torch.float32), ("reference", torch.float64)):
        mine = [tuple(w.to(dtype).requires_grad_() for w in layer) for layer in weights]
        with kernels.forced(name):
            y, left = kernels.stack(cell, x, mine, [2, 3], rows=rows)
            out = [y, *(t for state in left for t in state)]
            grads = torch.autograd.grad(
                sum(t.sin().sum() for t in out), [w for layer in mine for w in layer if w.numel()]
            )
        results.append(([t.detach().double() for t in out], [g.double() for g in grads]))
    (outputs, gradients), slow = results
    assert_close(outputs, slow[0], OUTPUTS)
    assert_close(gradients, slow[1], GRADIENTS)


@pytest.mark.parametrize("cell", FUSED, ids=repr)
def test_threads_change_no_bit(cell):
    fused_or_skip("fused")
    from drnn_bench.kernels import blocks

    torch.manual_seed(0)
    x, weights = torch.randn(30, 200, 3), weights_of(cell, (3, 6, 6))
    seen = []
    for threads in (1, 2, 3, 4):
        with kernels.shared(threads):
            assert blocks.threads(100) == threads
            outputs, gradients = run("fused", cell, x, weights, [1, 4])
            with torch.no_grad(), kernels.forced("fused"):
                alone, _ = kernels.stack(cell, x, weights, [1, 4])
        assert torch.equal(alone.double(), outputs[0])
        seen.append([*outputs, *gradients])
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))


@pytest.mark.parametrize("cell", FUSED, ids=repr)
def test_any_strides_are_read(cell):
    fused_or_skip("fused")
    torch.manual_seed(0)
    x, (weights,) = torch.randn(5, 66, 4), weights_of(cell, (4, 6))
    state = tuple(torch.rand(2, 66, 6) for _ in range(cell.states))
    plain = run("fused", cell, x, [weights], [2], [state])
    x = x.transpose(0, 2).contiguous().transpose(0, 2)
    state = tuple(t.transpose(0, 1).contiguous().transpose(0, 1) for t in state)
    turned = tuple(t.t().contiguous().t() if t.dim() == 2 else t for t in weights)
    # the copies that `run` takes keep these strides
    strided = run("fused", cell, x, [turned], [2], [state])
    for a, b in zip([*plain[0], *plain[1]], [*strided[0], *strided[1]], strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["torch", "fused"])
@pytest.mark.parametrize("cell", FUSED, ids=repr)
def test_nan_and_infinity_go_where_they_go_in_the_reference(name, cell):
    fused_or_skip(name)
    torch.manual_seed(0)
    x, weights = torch.randn(12, 70, 3), weights_of(cell, (3, 5, 6))
    x[2, 1, 0], x[3, 2, 1], x[4, 68, 2], x[7, 69] = np.nan, np.inf, -np.inf, np.nan
    for spoilt in (None, *(w for w in weights[0] if w.numel())):
        if spoilt is not None:
            kept = spoilt.clone()
            spoilt.view(-1)[-1] = np.nan
        call = (cell, x, weights, [1, 3])
        (y, *_), gradients = run(name, *call)
        (slow, *_), slow_gradients = run("reference", *call, dtype=torch.float64)
        assert torch.equal(y.isnan(), slow.isnan())
        assert torch.allclose(y, slow, atol=1e-5, equal_nan=True)
        for a, b in zip(gradients, slow_gradients, strict=True):
            assert torch.equal(a.isnan(), b.isnan())
        if spoilt is not None:
            spoilt.copy_(kept)


def test_a_graph_can_be_walked_twice_and_graphs_share_nothing():
    fused_or_skip("fused")
    x, ((w_ih, *others),) = torch.randn(9, 64, 2), weights_of(GRU(), (2, 8))
    w_ih.requires_grad_()
    with kernels.forced("fused"):
        first, _ = kernels.scan(GRU(), x, (w_ih, *others))
        kernels.scan(GRU(), 2 * x, (w_ih, *others))[0].sum().backward()
    once = torch.autograd.grad(first.sum(), w_ih, retain_graph=True)[0]
    again = torch.autograd.grad(first.sum(), w_ih)[0]
    assert torch.equal(once, again)
    alone, _ = kernels.reference.scan(GRU(), x, (w_ih, *others))
    assert_close([once], [torch.autograd.grad(alone.sum(), w_ih)[0]], GRADIENTS)


def test_the_choice_is_by_dtype_and_batch_and_can_be_forced():
    fused_or_skip("fused")
    weights, wide = weights_of(RNN(), (2, 4))[0], weights_of(RNN(), (2, 70))[0]
    double = tuple(w.double() for w in weights)
    kernels.used()
    for x, w, chosen in (
        (torch.randn(8, 64, 2), weights, "fused"),
        (torch.randn(8, 64, 2).double(), double, "torch"),
        (torch.randn(8, 1, 2), wide, "torch"),
        (torch.randn(8, 64, 2), wide, "fused"),
        (torch.randn(1, 64, 2), weights, "torch"),
    ):
        kernels.scan(RNN(), x, w)
        assert kernels.used() == chosen
    for name in ("reference", "torch", "fused"):
        with kernels.forced(name):
            kernels.scan(RNN(), torch.randn(8, 2, 2), weights)
        assert kernels.used() == name
    with pytest.raises(UserError, match="fusd"), kernels.forced("fusd"):
        pass


def test_the_choice_knows_whether_a_net_is_trained():
    """torch's LSTM is faster in inference, not in training."""
    fused_or_skip("fused")
    weights = weights_of(LSTM(), (2, 32))[0]
    x = torch.randn(8, 32, 2)
    for trained, chosen in ((True, "fused"), (False, "torch")):
        kernels.used()
        kernels.scan(LSTM(), x, tuple(w.detach().requires_grad_(trained) for w in weights))
        assert kernels.used() == chosen
    with torch.no_grad():
        kernels.used()
        kernels.scan(LSTM(), x, tuple(w.detach().requires_grad_() for w in weights))
        assert kernels.used() == "torch"


CALL = """
import sys, torch
from drnn_bench import kernels
from drnn_bench.cells.indrnn import IndRNN  # compiles fastest
w = tuple(torch.randn(*s) for s in ((4, 2), (4,), (4,)))
assert "numba" not in sys.modules
kernels.scan(IndRNN(), torch.randn(8, 64, 2), w)
print(kernels.used())
"""


SMALLEST = """
from drnn_bench.kernels.compiled import kernel, prepare
def twice(x):
    return 2 * x
twice = kernel(twice)
prepare("smallest", {twice: "int64(int64)"})
print(twice(7))
"""


def call_elsewhere(code: str = CALL, **environment: str) -> subprocess.CompletedProcess:
    environment = {**ENV, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )


@pytest.mark.slow
def test_smaller_registers_give_the_same(tmp_path):
    """With AVX2 only, a row is 16 sequences in two registers, and the tiles are smaller."""
    fused_or_skip("fused")
    features = "+avx2,+fma,+avx,+sse4.2,+f16c,+bmi,+bmi2,+lzcnt,+popcnt,-avx512f"
    environment = {
        **ENV,
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    chosen = "(any_shape or nan) and fused or deep or threads or slope"
    others = (
        "test_convolution.py",
        "test_depthwise.py",
        "test_diagonal.py",
        "test_gated.py",
        "test_selective.py",
    )
    files = [__file__, *(str(Path(__file__).with_name(name)) for name in others)]
    words = ["-m", "pytest", "-vv", "-x", *files, "-k", chosen]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stdout
    assert all(f"{name}::" in done.stdout for name in others)


def test_compiling_is_said_once_and_done_once_a_machine(tmp_path):
    fused_or_skip("fused")
    (tmp_path / "smallest.py").write_text(SMALLEST)  # Numba keeps what has a file
    here = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "NUMBA_CACHE_DIR": str(tmp_path)}
    first = call_elsewhere("import smallest", **here)
    assert first.stdout == "14\n"
    assert "compiling" in first.stderr
    # what is compiled is read without waiting for anyone
    with next(tmp_path.glob("*/twice.lock")).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert call_elsewhere("import smallest", **here).stderr == ""
    # where nothing can be written, each process compiles for itself
    (tmp_path / "file").touch()
    alone = call_elsewhere(SMALLEST, NUMBA_CACHE_DIR=str(tmp_path / "file"))
    assert alone.stdout == "14\n"
    assert "nowhere to keep it, so each process will" in alone.stderr


def test_processes_that_start_at_once_share_the_compiling(tmp_path):
    """What another compiles is left to it, and the rest is compiled meanwhile."""
    fused_or_skip("fused")
    two = SMALLEST.split("twice = kernel")[0] + (
        "def thrice(x):\n"
        "    return 3 * x\n"
        "twice, thrice = kernel(twice), kernel(thrice)\n"
        "prepare('both', dict.fromkeys([twice, thrice], 'int64(int64)'))\n"
        "print(twice(7), thrice(7))\n"
    )
    (tmp_path / "both.py").write_text(two)
    here = {**ENV, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "NUMBA_CACHE_DIR": str(tmp_path)}
    folder = "from drnn_bench.kernels.compiled import FOLDER; print(FOLDER)"
    folder = Path(call_elsewhere(folder, NUMBA_CACHE_DIR=str(tmp_path)).stdout.strip())
    with (folder / "twice.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-c", "import both"], env=here, text=True, stdout=subprocess.PIPE
        )
        wait_for((folder / "thrice.done").exists, process)
        assert not (folder / "twice.done").exists()
    assert process.communicate()[0] == "14 21\n"
    assert (folder / "both.done").exists()
    # One whose owner was stopped is compiled all the same, when PATIENCE is over.
    hurry = "import drnn_bench.kernels.compiled as compiled\ncompiled.PATIENCE = 0.1\n"
    (tmp_path / "impatient.py").write_text(hurry + two)
    for mark in folder.glob("*.done"):
        mark.unlink()
    with (folder / "twice.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert call_elsewhere("import impatient", **here).stdout == "14 21\n"
    assert (folder / "thrice.done").exists()


def test_without_numba_torch_does_it_and_that_is_said(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('hidden')")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = call_elsewhere(PYTHONPATH=path)
    assert done.stdout == "torch\n"
    assert "Numba is missing" in done.stderr
