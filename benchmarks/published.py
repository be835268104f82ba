"""Figures of the papers of the newer cells and families, or of their public code, made again.

    nice -n 19 python benchmarks/published.py [counts] [mamba] [lem] [indrnn] [recall]

Each part prints one table; without a name, all do. Training here is a plain loop in torch, in the
recipe of the paper or of its code, so that the nets are compared and not our harness.

counts  parameters of the minimal cells as a share of the gated ones (Feng et al. 2024, section 3),
        of three nets of 128 units (Li et al. 2018, section 5.1), of the public model mamba-130m,
        and of a layer of gated linear attention in public code (fla-org/flash-linear-attention)
mamba   outputs and gradients of our selective_ssm beside those of the Mamba in Hugging Face's
        transformers (pip install transformers), which has the same random weights
lem     the FitzHugh-Nagumo system (Rusch et al. 2022, section 5): the next value of a fast variable
        at every step. Recipe and figures of the authors' code and log (tk-rusch/LEM)
indrnn  the adding problem of 100 steps (Li et al. 2018, section 5.1); batches of 50, as in the
        public code of B. Batzner, which says after how many steps it is solved
recall  associative recall, 4 pairs in 64 steps, a vocabulary of 256: the first example of the
        public code of Arora et al. 2023 (HazyResearch/zoology), which ends at an accuracy of 0.99
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from drnn_bench import build
from drnn_bench.models.budget import count_parameters
from drnn_bench.models.build import configure
from drnn_bench.tasks.mqar import MQAR
from drnn_bench.tasks.task import UNSCORED


def counts() -> None:
    print("| cell | over | units / inputs | paper, % | here, % |\n|---|---|---:|---:|---:|")
    inputs = 1_000  # so many that biases, which the paper leaves out, do not count
    for cell, gated, published in (
        ("min_gru", "gru", (33, 22, 17, 13)),
        ("min_lstm", "lstm", (38, 25, 19, 15)),
    ):
        for ratio, share in enumerate(published, 1):
            few, many = (_of_the_layer(family, inputs, ratio * inputs) for family in (cell, gated))
            print(f"| {cell} | {gated} | {ratio} | {share} | {100 * few / many:.1f} |")
    print("\n| net, 2 inputs, 1 output | paper | here |\n|---|---:|---:|")
    for family, depth, published in (("rnn", 1, "16K"), ("lstm", 1, "67K"), ("indrnn", 2, "17K")):
        net = configure(family, input_size=2, output_size=1, depth=depth, width=128)
        print(f"| {family}, {depth} x 128 | {published} | {count_parameters(net):,} |")
    print("\n| | published | here |\n|---|---:|---:|")
    block = _of_a_block("selective_ssm", width=768, states=16, expand=2, kernel=4)
    # Their 25 norms have gains, which ours have not, and 50,280 symbols are embedded.
    whole = 24 * block + 25 * 768 + 50_280 * 768
    print(f"| mamba-130m, 24 blocks | 129,135,360 | {whole:,} |")
    layer = _of_a_block("gla", width=1_024, heads=4, ratio=2) - 3 * 2 * 1_024**2
    # Four norms of 256 share their gains, which ours have not. A bias of 1,024 is the paper's only.
    print(f"| attention of a GLA layer of 1,024 | 4,219,648 | {layer - 1_024 + 256:,} |")


def _of_a_block(family: str, **options: int) -> int:
    one, two = (
        count_parameters(configure(family, input_size=1, output_size=1, depth=depth, **options))
        for depth in (1, 2)
    )
    return two - one


def _of_the_layer(family: str, inputs: int, units: int) -> int:
    whole = configure(family, input_size=inputs, output_size=1, depth=1, width=units)
    return count_parameters(whole) - (units + 1)


# Name in transformers -> ours. Their gains of the norms begin at one, and stay.
MAMBA = {
    "in_proj.weight": "in_weight", "x_proj.weight": "x_weight", "out_proj.weight": "out_weight",
    "conv1d.weight": "conv_weight", "conv1d.bias": "conv_bias", "dt_proj.weight": "dt_weight",
    "dt_proj.bias": "dt_bias", "A_log": "a_log", "D": "d",
}  # fmt: skip


def mamba(width: int = 64, depth: int = 3, steps: int = 200) -> None:
    try:
        from transformers import MambaConfig, MambaModel  # nothing else here needs it
    except ImportError:
        return print("left out: pip install transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": width, "num_hidden_layers": depth, "vocab_size": 2}
    theirs = MambaModel(MambaConfig(**sizes, state_size=16, expand=2, conv_kernel=4)).double()
    options = {"width": width, "depth": depth, "states": 16, "expand": 2, "kernel": 4}
    net = build("selective_ssm", input_size=width, output_size=width, **options).double()
    ours, pairs = dict(net.named_parameters()), []
    for name, weight in theirs.named_parameters():
        part, _, rest = name.partition(".mixer.")
        if rest in MAMBA:
            pairs.append((weight, ours[f"{part}.{MAMBA[rest]}"]))
    with torch.no_grad():
        for weight, own in pairs:
            torch.nn.init.normal_(weight, std=0.3) if weight.dim() > 1 else None
            # Their taps begin with the oldest step, ours with the newest.
            own.copy_(weight.squeeze(1).flip(1) if weight.dim() == 3 else weight)
        for name in ("encoder", "head"):  # theirs has none
            ours[f"{name}.weight"].copy_(torch.eye(width).expand_as(ours[f"{name}.weight"]))
            ours[f"{name}.bias"].zero_()
    x_BTH = torch.randn(4, steps, width, dtype=torch.float64)
    here, there = net(x_BTH), theirs(inputs_embeds=x_BTH, use_cache=False).last_hidden_state
    weigh = torch.randn_like(here)
    (here * weigh).sum().backward()
    (there * weigh).sum().backward()
    apart = [_apart(here, there)]
    for weight, own in pairs:
        wanted = weight.grad.squeeze(1).flip(1) if weight.dim() == 3 else weight.grad
        apart.append(_apart(own.grad, wanted))
    print("| | largest difference over largest value |\n|---|---:|")
    print(f"| outputs of {steps} steps | {apart[0]:.1e} |")
    print(f"| gradients of {len(pairs)} weights | {max(apart[1:]):.1e} |")


def _apart(a: Tensor, b: Tensor) -> float:
    return float(((a - b).abs().max() / b.abs().max()).detach())


def lem(epochs: int = 400, published: float = 0.0023766) -> None:
    """Adam at 0.00904, batch 32, 128 sequences of 1,000 steps, tested at the best validation."""
    rng = np.random.RandomState(1234)
    train, validation, test = (fitzhugh_nagumo(rng, size) for size in (128, 128, 1_024))
    print("| net | seed | parameters | best epoch | log, RMSE | here, RMSE | core s |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for seed in (1, 2, 3):
        torch.manual_seed(seed)
        started, best = time.process_time(), (np.inf, np.inf, 0)
        net = build("lem", input_size=1, output_size=1, depth=1, width=16, init="uniform")
        with torch.no_grad():  # as that code begins: a normal output layer, and two biases a gate
            net.get_parameter("head.weight").normal_(std=(2 / 16) ** 0.5)
            net.get_parameter("layers.0.bias").add_(torch.empty(64).uniform_(-0.25, 0.25))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.00904)
        for epoch in range(1, epochs + 1):
            for batch in torch.randperm(128).split(32):
                loss = mse_loss(net(train[0][batch]), train[1][batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                error = float(mse_loss(net(validation[0]), validation[1]).sqrt())
                if error < best[0]:
                    best = (error, float(mse_loss(net(test[0]), test[1]).sqrt()), epoch)
        size, seconds = sum(p.numel() for p in net.parameters()), time.process_time() - started
        print(f"| lem, 16 units | {seed} | {size:,} | {best[2]} | {published:.5f} | {best[1]:.5f} "
              f"| {seconds:.0f} |", flush=True)  # fmt: skip


def fitzhugh_nagumo(rng: np.random.RandomState, size: int) -> tuple[Tensor, Tensor]:
    """The fast variable at 1,000 of 1,001 even times from 0 to 400, and one time later, (N, T, 1).
    The solver's default tolerance is part of the task."""

    def slope(_: float, state: np.ndarray) -> tuple[float, float]:
        fast, slow = state
        return fast - fast**3 / 3 - slow + 0.5, (fast + 0.7 - 0.8 * slow) / 50

    times = np.linspace(0, 400, 1_001)
    paths = [
        solve_ivp(slope, (0, 400), (rng.uniform(-1, 1), 0.0), t_eval=times).y[0]
        for _ in range(size)
    ]
    path_NT1 = torch.tensor(np.stack(paths), dtype=torch.float32)[..., None]
    return path_NT1[:, :-1], path_NT1[:, 1:]


def indrnn(length: int = 100, most: int = 6_000) -> None:
    """Adam at 0.0002, fresh sequences; u is kept below 2^(1/T) after every step."""
    print("| net | seed | public code: solved after | mean squared error after 1,500 | below 0.01 "
          "after | core s |\n|---|---:|---:|---:|---:|---:|")  # fmt: skip
    bound = 2 ** (1 / length)
    for seed in (1, 2, 3):
        torch.manual_seed(seed)
        started, losses = time.process_time(), []
        net = build("indrnn", input_size=2, output_size=1, depth=2, width=128, init="orthogonal")
        own = [p for name, p in net.named_parameters() if name.endswith(".u")]
        assert len(own) == 2
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-4)
        while len(losses) < most and (len(losses) < 1_500 or _recent(losses) > 0.01):
            x_BTI, y_B = _to_add(50, length)
            loss = mse_loss(net(x_BTI, last=1)[:, 0, 0], y_B)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for weight in own:
                    weight.clamp_(-bound, bound)
            losses.append(float(loss.detach()))
        first = next((n for n in range(100, len(losses) + 1) if _recent(losses[:n]) < 0.01), None)
        error, seconds = _recent(losses[:1_500]), time.process_time() - started
        print(f"| indrnn, 2 x 128 | {seed} | 1,500 | {error:.4f} | {first or 'never'} | "
              f"{seconds:.0f} |", flush=True)  # fmt: skip


def _recent(losses: list[float]) -> float:
    return sum(losses[-100:]) / 100


def _to_add(batch: int, length: int) -> tuple[Tensor, Tensor]:
    x_BTI = torch.zeros(batch, length, 2)
    x_BTI[..., 0] = torch.rand(batch, length)
    half, rows = length // 2, torch.arange(batch)
    steps = torch.randint(half, (batch,)), half + torch.randint(length - half, (batch,))
    for step in steps:
        x_BTI[rows, step, 1] = 1
    return x_BTI, x_BTI.prod(-1).sum(-1)


RECALL = {
    "transformer": {"depth": 2, "heads": 1, "width": 128, "embedding": 128},
    "lru": {"depth": 2, "width": 128, "embedding": 128},
}


def recall(epochs: int = 20, enough: float = 0.99) -> None:
    """10,000 sequences, batch 32, Adam at 0.001: until 0.99 of the test queries are right, or for
    20 epochs (the public code: 100)."""
    arrays = MQAR(pairs=4, vocabulary=256, T=64).load(None)
    x_NT, y_NS = (torch.from_numpy(part[:10_000]).long() for part in arrays["train"])
    test = tuple(torch.from_numpy(part[:1_000]).long() for part in arrays["test"])
    print("| net | parameters | public code: ends at | best accuracy | epochs | core s |")
    print("|---|---:|---:|---:|---:|---:|")
    for family, options in RECALL.items():
        torch.manual_seed(1)
        started, best, epoch = time.process_time(), 0.0, 0
        net = build(family, input_size=256, output_size=128, length=64, **options)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        while best < enough and epoch < epochs:
            for batch in torch.randperm(len(x_NT)).split(32):
                loss = _queries_loss(net(x_NT[batch], last=y_NS.shape[1]), y_NS[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            epoch += 1
            best = max(best, _queries_right(net, *test))
        size = sum(p.numel() for p in net.parameters())
        ends = "0.99" if family == "transformer" else "-"
        print(f"| {family} | {size:,} | {ends} | {best:.3f} | {epoch} | "
              f"{time.process_time() - started:.0f} |", flush=True)  # fmt: skip


def _queries_loss(y_BSO: Tensor, classes_BS: Tensor) -> Tensor:
    return cross_entropy(y_BSO.flatten(0, 1), classes_BS.flatten(), ignore_index=UNSCORED)


@torch.no_grad()
def _queries_right(net: torch.nn.Module, x_NT: Tensor, y_NS: Tensor) -> float:
    right = asked = 0
    for x_BT, classes_BS in zip(_batches(x_NT), _batches(y_NS), strict=True):
        queries = classes_BS != UNSCORED
        answers_BS = net(x_BT, last=y_NS.shape[1]).argmax(-1)
        right += int((answers_BS == classes_BS)[queries].sum())
        asked += int(queries.sum())
    return right / asked


def _batches(rows: Tensor) -> Iterator[Tensor]:
    return iter(rows.split(250))


PARTS = {"counts": counts, "mamba": mamba, "lem": lem, "indrnn": indrnn, "recall": recall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all"
    )
    for part in parser.parse_args().parts or PARTS:
        print(f"## {part}\n", flush=True)
        PARTS[part]()
        print()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
