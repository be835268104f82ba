"""What the LRU's paper claims, and whether the newer rivals learn to copy, at a small scale.

    nice -n 19 python benchmarks/rivals.py

prints, as Markdown: how an LRU begins (Orvieto et al. 2023, section 3.4: eigenvalues on a ring near
the unit circle, and gamma = sqrt(1 - |lambda|^2), keep the norm of states over 1,000 steps; without
gamma it grows, to the limit that follows from the ring). Then the rivals and two older families
learn to copy ten symbols over 50 steps, all with the harness's recipe and one learning rate;
guessing is log 8, 2.079 nats.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
import tempfile
import time
from pathlib import Path

import torch

from drnn_bench.execution.carry import drain
from drnn_bench.models.budget import count_parameters
from drnn_bench.models.build import configure
from drnn_bench.results.recipe import Recipe
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.training.loop import train

STEPS, STATES = 1_000, 400  # of the recurrence
RINGS = ((0.0, 1.0), (0.9, 0.999), (0.99, 0.999))
TASK, BUDGET, TRAINING, RATE = "copy_memory:T=50", 10_000, 400, 3e-3
NETS = {
    "lru": {"depth": 2},
    "selective_ssm": {"depth": 2},
    "gla": {"depth": 2},
    "transformer": {"depth": 2, "heads": 2},
    "s4d": {"depth": 2},
    "lstm": {"depth": 1},
}


@torch.no_grad()
def norms(r_min: float, r_max: float) -> tuple[float, float, float]:
    """Mean |x|^2 of a state after 1,000 steps of white noise, with gamma and without, and the
    largest |lambda|."""
    torch.manual_seed(0)
    net = configure(
        "lru", input_size=1, output_size=1, depth=1, states=4, width=STATES // 4,
        r_min=r_min, r_max=r_max,
    )  # fmt: skip
    layer: torch.nn.Module = net.build().layers[0]  # pyright: ignore
    radius, phase = torch.exp(-layer.log_nu.exp()), layer.log_theta.exp()
    gamma = layer.log_gamma.exp()
    turn, state = torch.polar(radius, phase), torch.zeros(STATES, 32, dtype=torch.complex64)
    for _ in range(STEPS):
        state = turn[:, None] * state + torch.randn(STATES, 32, dtype=torch.complex64)
    power = state.abs().square().mean(1)
    return float((gamma**2 * power).mean()), float(power.mean()), float(radius.max())


def limit(r_min: float, r_max: float) -> float:
    """Mean |x|^2 after endless white noise without gamma: the mean of 1 / (1 - u) where u, which is
    |lambda|^2, is uniform from r_min^2 to r_max^2 (Orvieto et al. 2023, their proposition on the
    gain of the forward pass)."""
    if r_max == 1:
        return math.inf
    return math.log((1 - r_min**2) / (1 - r_max**2)) / (r_max**2 - r_min**2)


def copies(family: str) -> tuple[str, int, float, float]:
    """A net, its parameters, its last validation loss in nats a symbol, and core seconds."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(parse_task(TASK), None, Path(folder))
        task, arrays = prepared.task, prepared.arrays()
    net = configure(
        family, input_size=task.input_size, output_size=task.output_size, budget=BUDGET,
        length=task.length, **NETS[family],
    )  # fmt: skip
    started = time.process_time()
    trained = drain(train(net, task, arrays, Recipe(), learning_rate=RATE, steps=TRAINING, seed=1))
    return net.words, count_parameters(net), trained.validation, time.process_time() - started


def main() -> None:
    torch.set_num_threads(1)
    print("| ring | largest radius | mean square, gamma | without | its limit |")
    print("|---|---:|---:|---:|---:|")
    for low, high in RINGS:
        with_gamma, without, largest = norms(low, high)
        print(
            f"| {low:g} to {high:g} | {largest:.5f} | {with_gamma:.3f} | {without:,.1f} "
            f"| {limit(low, high):.1f} |"
        )
    print("\n| family | net | parameters | nats a symbol | core s |\n|---|---|---:|---:|---:|")
    for family in NETS:
        words, parameters, loss, seconds = copies(family)
        print(f"| {family} | {words} | {parameters:,} | {loss:.3f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
