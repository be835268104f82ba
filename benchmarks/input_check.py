"""What it costs that nets check their inputs.

    python benchmarks/input_check.py

The check in front of a net (models/inputs.py) is timed with a net that does nothing, the check of
the kernels (kernels/checks.py) with the arguments of a real call. Both are divided by the time of
the real step. One thread; the shortest of many repeats, in turns. The net is the dilated GRU of
nine layers of 20: a training step of 128 sequences of 784 steps, and one streamed step of one
sequence.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from drnn_bench.kernels import dispatch
from drnn_bench.models.build import configure
from drnn_bench.models.inputs import checked
from drnn_bench.system.provenance import processor

# name -> inputs (of symbols: how many there are), repeats
CASES = {
    "training step, batch 128, T = 784": (1, 20),
    "the same of symbols": (8, 20),
    "streamed step, batch 1": (1, 2000),
    "the same of a symbol": (8, 2000),
}


class Nothing(nn.Module):
    """A net that computes nothing; it holds its weights as a real net does."""

    takes_symbols = True

    def __init__(self, model: nn.Module):
        super().__init__()
        self.layers = model.layers

    def forward(self, x: Any, last: int | None = None) -> None:
        return None

    def stream(self, x: Any, state: Any = None) -> tuple[None, None]:
        return None, None


def timed(run: Callable[[], Any], calls: int) -> float:
    """Microseconds of one call."""
    started = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - started) / calls * 1e6


def stepper(model: nn.Module, x: torch.Tensor, trains: bool) -> Callable[[], Any]:
    state = None

    def train() -> None:
        model.zero_grad()
        model(x, last=1).square().sum().backward()

    def call() -> None:
        model(x, last=1)

    @torch.no_grad()
    def stream() -> None:
        nonlocal state
        _, state = model.stream(x, state)

    if not trains:
        return stream
    return call if isinstance(model, Nothing) else train


def check_of_the_kernels(model: nn.Module, x: torch.Tensor) -> Callable[[], Any]:
    """The check with the arguments that the net's forward gives it."""
    calls, check = [], dispatch.check_stack
    dispatch.check_stack = lambda *arguments: calls.append(arguments)
    try:
        model(x, last=1)
    finally:
        dispatch.check_stack = check
    return lambda: check(*calls[0])


def main() -> None:
    torch.set_num_threads(1)
    print(f"{processor()}, torch {torch.__version__}\n")
    print("| | step, µs | checks, µs | share |\n|---|---:|---:|---:|")
    for case, (inputs, repeats) in CASES.items():
        symbols, trains = inputs > 1, repeats < 100
        architecture = configure("dilated_rnn", input_size=inputs, output_size=10, width=20)
        shape = (128, 784) if trains else (1, 1)
        x = torch.randint(inputs, shape) if symbols else torch.randn(*shape, inputs)
        model, bare = architecture.build(), Nothing(architecture.network())
        idle = Nothing(architecture.network())
        runs = {
            "step": (stepper(model, x, trains), 1),
            "checked": (stepper(checked(idle, architecture), x, trains), 20),
            "bare": (stepper(bare, x, trains), 20),
        }
        if trains:
            runs["kernels"] = (check_of_the_kernels(model, x), 20)
        least = dict.fromkeys(runs, float("inf"))
        for _ in range(repeats):
            for name, (run, calls) in runs.items():
                least[name] = min(least[name], timed(run, calls))
        checks = least["checked"] - least["bare"] + least.get("kernels", 0)
        print(f"| {case} | {least['step']:,.1f} | {checks:,.1f} | {checks / least['step']:.2%} |")


if __name__ == "__main__":
    main()
