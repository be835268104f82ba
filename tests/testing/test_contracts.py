"""The contracts: what keeps them passes, and each thing that is wrong is caught."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from drnn_bench import plugins
from drnn_bench.models.budget import count_parameters
from drnn_bench.models.build import configure
from drnn_bench.testing import CellContract, FamilyContract, TaskContract
from drnn_bench.testing.checks import FAILED, LEFT_OUT, PASSED, checks_of, run_check
from drnn_bench.testing.tasks import Source
from tests.support.command import ENV, ROOT
from tests.support.page import COMMANDS

GRADIENTS = "test_the_gradients_are_what_differences_show"


def run_tests(folder: Path, *words: str) -> str:
    """What a pytest of its own says of the files in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rf", *words],
        capture_output=True, text=True, cwd=folder,
        env=ENV | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return done.stdout + done.stderr


def test_the_pages_task_and_family_keep_the_contracts(page):
    assert "pytest test_mine.py" in COMMANDS
    checks = {kind: len([c for c in dir(kind) if c.startswith("test_")])
              for kind in (TaskContract, FamilyContract, CellContract)}  # fmt: skip
    assert min(checks.values()) >= 10
    said = run_tests(page, "test_mine.py")
    passed = checks[TaskContract] + 2 * checks[FamilyContract] + checks[CellContract]
    assert f"{passed} passed" in said
    assert re.search(r"failed|skipped|warning|error", said) is None


# A linear recurrent unit (Orvieto et al. 2023), from what the page says of `linear_scan` alone.
LRU = """
import math
from dataclasses import dataclass
import torch
from torch import nn
from drnn_bench.kernels.linear import linear_scan
from drnn_bench.models.architecture import ParallelScan
from drnn_bench.models.layers import CausalHead, SequenceModel

@dataclass(frozen=True, kw_only=True)
class LRU(ParallelScan):
    conjugates: bool = True
    family = "my_lru"
    summary = "linear recurrent units with complex states"

    def network(self):
        sizes = (self.input_size, *self.widths)
        scan = linear_scan if self.conjugates else Unconjugated.apply
        layers = [Layer(sizes[i], sizes[i + 1], scan) for i in range(self.depth)]
        return SequenceModel(layers, CausalHead(sizes[-1], self.output_size))

class Layer(nn.Module):
    dilation = 1

    def __init__(self, inputs, width, scan):
        super().__init__()
        self.scan = scan
        self.log_rate = nn.Parameter(torch.linspace(-4, -1, width))
        self.angle = nn.Parameter(torch.linspace(0, math.pi / 2, width))
        self.into = nn.Parameter(torch.randn(width, inputs, dtype=torch.complex64) / inputs)
        self.out = nn.Parameter(torch.randn(width, width, dtype=torch.complex64) / width)

    def forward(self, x, chains):
        return self.stream(x, None)[0]

    def stream(self, x, state):
        turn = torch.polar(torch.exp(-torch.exp(self.log_rate)), self.angle)
        new = x.to(self.into.dtype) @ self.into.T
        state = torch.zeros_like(new[0]) if state is None else state
        h = self.scan(turn.expand_as(new), new, state)
        return torch.tanh((h @ self.out.T).real), h[-1]

class Unconjugated(torch.autograd.Function):
    @staticmethod
    def forward(a, b, h0):
        with torch.no_grad():
            return linear_scan(a, b, h0)

    @staticmethod
    def setup_context(ctx, given, h):
        ctx.save_for_backward(given[0], h, given[2])

    @staticmethod
    def backward(ctx, grad):
        a, h, h0 = ctx.saved_tensors
        ahead = torch.cat([a[1:], torch.zeros_like(a[:1])])
        dh = linear_scan(ahead.flip(0), grad.flip(0)).flip(0)
        return dh * torch.cat([h0.unsqueeze(0), h[:-1]]), dh, dh[0] * a[0]
"""


def test_a_complex_parameter_counts_as_two(tmp_path, monkeypatch):
    path = tmp_path / "my_lru.py"
    monkeypatch.setenv(plugins.VARIABLE, str(path))
    path.write_text(LRU)
    net = configure("my_lru", input_size=3, output_size=4, depth=2, width=5)
    real = sum(p.numel() * (1 + p.is_complex()) for p in net.build().parameters())
    assert count_parameters(net) == real > sum(p.numel() for p in net.build().parameters())


def test_a_family_of_complex_numbers_keeps_the_contract_and_wrong_gradients_do_not(
    tmp_path, monkeypatch
):
    path = tmp_path / "my_lru.py"
    monkeypatch.setenv(plugins.VARIABLE, str(path))
    path.write_text(LRU)
    (tmp_path / "my_lru.toml").write_text('family = "my_lru"\n[space]\nlearning_rate = 0.01\n')
    claims = {f"test_the_claimed_{what}" for what in ("macs_are_those_that_torch_computes",
                                                      "state_is_what_a_stream_holds")}  # fmt: skip
    for conjugates, fails in ((True, set()), (False, {GRADIENTS})):
        options = {"depth": 2, "width": 5, "conjugates": conjugates}
        given = {"family": "my_lru", "options": options}
        results = {
            check: run_check(FamilyContract, check, given, path)[0]
            for check in (checks_of(FamilyContract) if conjugates else fails)
        }
        assert {check for check, result in results.items() if result == FAILED} == fails
        assert {check for check, result in results.items() if result == LEFT_OUT} == (
            claims if conjugates else set()
        )


FAULTY_FAMILY = """
from dataclasses import dataclass, replace
import numpy, torch
from torch import nn
from drnn_bench.models.architecture import Paths, Stepwise
from drnn_bench.models.layers import CausalHead, RecurrentLayer
from drnn_bench.models.streaming import Ring, single_step

def carried(layer, x, ring):
    ring = ring or layer.empty(x)
    if single_step(x):
        return layer.step(x, ring), ring
    y, state = layer.scan(x, state=ring.ordered())
    return y, Ring(state)

@dataclass(frozen=True, kw_only=True)
class Faulty(Stepwise):
    fault: str = "none"
    family = "faulty"
    summary = "one recurrent layer with a fault"

    @property
    def paths(self):
        claims = {"far": Paths(1, (), ((0, 1),)), "gaps": Paths(1, (2,))}
        return claims.get(self.fault, Paths(1, (1,)))

    def sequential_steps(self, length):
        if self.fault == "rounds":
            return max(1, (length - 1).bit_length())
        return -length if self.fault == "steps" else length

    @property
    def macs_per_step(self):
        per_unit = self.input_size + self.widths[0] + self.output_size
        return self.widths[0] * per_unit + (self.fault == "macs")

    @property
    def state_bytes(self):
        return 4 * self.widths[0] + 4 * (self.fault == "memory")

    def build(self):
        return self.network() if self.fault == "unchecked" else super().build()

    def network(self):
        return Net(self.fault, self.input_size, self.widths[0], self.output_size)

class Box:
    def __init__(self, state):
        self.state = state

class Net(nn.Module):
    def __init__(self, fault, inputs, width, outputs):
        super().__init__()
        self.fault = fault
        width = 5 if fault == "width" else width
        self.layer, self.head = RecurrentLayer("rnn", inputs, width), CausalHead(width, outputs)
        if fault == "kept":
            self.shift = torch.randn(outputs)
        if fault == "pickle":
            self.name = lambda: "net"
        if fault == "unused":
            self.extra = nn.Parameter(torch.zeros(width))
        if fault == "seed":
            nn.init.constant_(self.layer.bias, numpy.random.default_rng().random())

    def forward(self, x, last=None):
        if self.fault == "ahead":
            x = x + x.roll(-1, 1)
        if self.fault == "batch":
            x = x - x.mean(0)
        y = self.stream(x)[0]
        last = min(last or y.shape[1], y.shape[1])
        return y[:, :last] if self.fault == "last" else y[:, -last:]

    def stream(self, x, state=None):
        if self.fault == "box" and state is not None:
            state = state.state
        state = None if self.fault == "forgets" else state
        h, ring = carried(self.layer, x.transpose(0, 1), state)
        if self.fault == "infinite":
            h = h + (h - h.detach()) / (h - h)
        if self.fault == "gradients" and h.requires_grad:
            h.register_hook(lambda grad: 1.01 * grad)
        if self.fault == "digits" and h.dtype == torch.float32:
            h = h.bfloat16().float()
        if self.fault == "copies":
            ring = ring.clone()
        y = self.head(h, len(h)).transpose(0, 1)
        if self.fault == "kept":
            y = y + self.shift
        return y, Box(ring) if self.fault == "box" else ring
"""


FAULTY_TASK = """
from dataclasses import dataclass
import numpy as np
from drnn_bench.tasks.task import Task

@dataclass(frozen=True, kw_only=True)
class Faulty(Task):
    fault: str = "none"
    name = "faulty"
    summary = "ones and zeros with a fault"
    metric = "accuracy"
    scored = 2
    one_hot = True
    input_size = output_size = 2
    length = 8
    default_budget = default_steps = default_trials = 1000
    version = property(lambda self: 0 if self.fault == "version" else 1)

    @property
    def saved(self):
        return {"fault": self.fault} | ({"at": "/home/me"} if self.fault == "path" else {})

    def load(self, data_dir):
        rng = np.random.default_rng(None if self.fault == "random" else 0)
        arrays = {}
        for split, size in (("train", 50), ("validation", 20), ("test", 20)):
            x = rng.integers(0, 2, (size, 7 if self.fault == "short" else 8)).astype(np.uint8)
            y = x[:, :2].astype(np.int64)
            if self.fault == "lengths":
                arrays[split] = (x, y, np.full(size, 9))
                continue
            if self.fault == "range":
                y[0] = 2
            if self.fault == "one class":
                y[:] = 0
            if self.fault == "one symbol":
                x[:] = 0
            if self.fault == "scored":
                y = y[:, :1]
            if self.fault == "count":
                y = y[1:]
            if self.fault == "dtype":
                x = x.astype(np.float64)
            arrays[split] = x, y
        if self.fault == "missing":
            del arrays["test"]
        return arrays
"""


# What is wrong -> the checks that must fail, among others perhaps.
CAUGHT = {
    "family": {
        "none": set(),
        "ahead": {"an_input_never_changes_an_earlier_output"},
        "batch": {"a_sequence_never_changes_the_others_of_its_batch"},
        "last": {"the_last_outputs_alone_are_the_same_with_the_same_gradients"},
        "forgets": {"chunks_of_any_size_give_what_one_pass_gives"},
        "box": {"a_state_is_carried_on_without_its_gradients"},
        "copies": {"a_single_step_turns_its_memory_in_place"},
        "unused": {"a_finite_gradient_reaches_every_parameter"},
        "infinite": {"a_finite_gradient_reaches_every_parameter"},
        "width": {"a_budget_finds_a_width_that_meets_it"},
        "seed": {"the_same_seed_gives_the_same_weights"},
        "steps": {"its_facts_are_numbers"},
        "rounds": {"the_claimed_sequential_steps_grow_as_the_work_that_torch_does"},
        "macs": {"the_claimed_macs_are_those_that_torch_computes"},
        "memory": {"the_claimed_state_is_what_a_stream_holds"},
        "unchecked": {"wrong_inputs_are_refused_in_one_line"},
        "gradients": {"the_gradients_are_what_differences_show"},
        "digits": {"single_precision_is_near_double"},
        "kept": {"copies_and_what_is_kept_answer_the_same"},
        "pickle": {"copies_and_what_is_kept_answer_the_same"},
        "far": {
            "the_claimed_reach_is_what_gradients_see",
            "the_claimed_paths_are_those_that_gradients_take",
        },
        "gaps": {"the_claimed_paths_are_those_that_gradients_take"},
    },
    "task": {
        "none": set(),
        "version": {"says_what_it_is"},
        "path": {"names_no_path_of_the_users"},
        "random": {"gives_the_same_data_every_time"},
        "short": {"has_inputs_as_long_and_as_wide_as_it_says"},
        "dtype": {"has_inputs_as_long_and_as_wide_as_it_says"},
        "lengths": {"has_inputs_as_long_and_as_wide_as_it_says"},
        "range": {"has_targets_for_the_scored_steps_and_in_range"},
        "scored": {"has_targets_for_the_scored_steps_and_in_range"},
        "one class": {"has_a_target_for_each_class"},
        "one symbol": {"has_an_input_for_each_symbol"},
        "count": {"has_three_splits_that_are_not_empty"},
        "missing": {"has_three_splits_that_are_not_empty"},
    },
}


def failures(contract, given, faults, path):
    """What must fail of a contract and does not; of what is right, what fails though it must not.
    A faulty class runs the checks that must catch it, a right one all of them."""
    for fault, caught in faults.items():
        for check in caught or [name.removeprefix("test_") for name in checks_of(contract)]:
            result, why = run_check(contract, f"test_{check}", given(fault), path)
            if result != (FAILED if caught else PASSED):
                yield fault, check, result, why


def test_the_contracts_catch_what_is_wrong_with_a_family(tmp_path, monkeypatch):
    path = tmp_path / "family.py"
    monkeypatch.setenv(plugins.VARIABLE, str(path))
    path.write_text(FAULTY_FAMILY)
    (tmp_path / "faulty.toml").write_text('family = "faulty"\n[space]\nlearning_rate = 0.01\n')

    def given(fault):
        return {"family": "faulty", "options": {"depth": 1, "width": 5, "fault": fault}}

    assert [*failures(FamilyContract, given, CAUGHT["family"], path)] == []


def test_the_contracts_catch_what_is_wrong_with_a_task(tmp_path, monkeypatch):
    path = tmp_path / "task.py"
    monkeypatch.setenv(plugins.VARIABLE, str(path))
    path.write_text(FAULTY_TASK)

    def given(fault):
        return {"source": Source(f"faulty:fault={fault}")}

    assert [*failures(TaskContract, given, CAUGHT["task"], path)] == []
