"""The ONNX files of every family against torch: how near, how large, how fast.

    python benchmarks/onnx_files.py                    # prints a Markdown table, a row a family
    python benchmarks/onnx_files.py gru s4d --steps 256

Nets of about 5,000 parameters on one channel, with fresh weights and one sequence at a time, on one
thread in onnxruntime and in torch. The largest difference is of the logits, which are about 1, over
four sequences; sizes are those of model.onnx and step.onnx; times are medians of runs that take
turns. Timings are of the machine as it is: elsewhere, and on a busy one, they differ.

Legend: B batch, T steps, I inputs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from drnn_bench.export.described import described
from drnn_bench.export.onnx.check import Runtime
from drnn_bench.export.onnx.graphs import NEXT
from drnn_bench.export.onnx.write import MODEL, STEP, exported
from drnn_bench.models.build import build
from drnn_bench.models.inputs import Net
from drnn_bench.models.names import FAMILIES

BUDGET, OUTPUTS = 5_000, 10
OPTIONS = {  # where a family's own options would look back further than the sequence
    "dilated_rnn": {"depth": 6},
    "skip_rnn": {"depth": 2, "skip": 16},
    "dilated_cnn": {"depth": 8},
    "tcn": {"base": 3, "depth": 4, "kernel": 3},
    "clockwork_rnn": {"modules": 6},
    "transformer": {"window": 64},
}
SAID = {"input_size": 1, "output_size": OUTPUTS,
        "task": {"name": "benchmark", "scored": 1, "length": 1, "facts": {}}}  # fmt: skip
HEADER = (
    "| family | difference | model.onnx, KB | step.onnx, KB | sequence: onnxruntime, ms "
    "| torch, ms |"
    " step: onnxruntime, µs | torch, µs |\n|---|---:|---:|---:|---:|---:|---:|---:|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--repeats", type=int, default=15)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(HEADER)
    for family in asked.families:
        print(row(family, asked.steps, asked.repeats), flush=True)


@torch.no_grad()
def row(family: str, steps: int, repeats: int) -> str:
    sizes = {"input_size": 1, "output_size": OUTPUTS, "budget": BUDGET, "length": steps}
    net = build(family, **sizes, **OPTIONS.get(family, {})).eval()
    runtime, files = exported(net, described(SAID, "benchmark"))
    x_BTI = torch.randn(4, steps, 1)
    whole, (streamed, _), wanted = runtime.whole(x_BTI), runtime.stream(x_BTI), net(x_BTI)
    difference = max(float((got - wanted).abs().max()) for got in (whole, streamed))
    x_1TI = x_BTI[:1]
    given = {"x": x_1TI.numpy()}
    sequence = medians(repeats, lambda: runtime.model(given), lambda: net(x_1TI))
    step = medians(20 * repeats, of_runtime(runtime, x_1TI), of_torch(net, x_1TI))
    cells = [
        family,
        f"{difference:.1e}",
        *(f"{len(files[name]) / 1000:,.0f}" for name in (MODEL, STEP)),
        *(f"{1e3 * seconds:.2f}" for seconds in sequence),
        *(f"{1e6 * seconds:,.0f}" for seconds in step),
    ]
    return f"| {' | '.join(cells)} |"


def of_runtime(runtime: Runtime, x_1TI: Tensor) -> Callable[[], None]:
    """A step of step.onnx, after the whole sequence."""
    _, state = runtime.stream(x_1TI)
    given = {"x": x_1TI[:, 0].numpy()}

    def step() -> None:
        nonlocal state
        results = runtime.step({**given, **state})
        state = {name: results[NEXT + name] for name in state}

    return step


def of_torch(net: Net, x_1TI: Tensor) -> Callable[[], None]:
    _, state = net.stream(x_1TI)

    def step() -> None:
        nonlocal state
        _, state = net.stream(x_1TI[:, :1], state)

    return step


def medians(repeats: int, *calls: Callable) -> list[float]:
    """Seconds of each call; they take turns."""
    taken: list[list[float]] = [[] for _ in calls]
    for turn in range(repeats + 3):
        for call, times in zip(calls, taken, strict=True):
            start = time.perf_counter()
            call()
            if turn >= 3:  # the first ones are slower
                times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in taken]


if __name__ == "__main__":
    main()
