"""Causal transformer: pre-norm blocks of attention and an MLP, with rotary positions.

    u = u + O attend(Q n, K n, V n) with n = norm(u);  u = u + W2 gelu(W1 norm(u))

after Vaswani et al. 2017 (arXiv 1706.03762), the norms in front as in GPT-2 (Radford et al. 2019).
Queries and keys are turned by angles that grow with the step, so that their products depend on the
distance alone: pair i of a head of d numbers by t * 10000^(-2i/d) at step t (Su et al. 2021, arXiv
2104.09864, equation 15; pair i is here the numbers i and i + d/2). A linear layer brings the
inputs to the model's width.

With `window=N` a step attends to itself and the N - 1 steps before it, and a stream carries the
keys and values of N steps. Without one it attends to all steps before, and a stream carries the
keys and values of all: the cost of a step, and the state, grow with the sequence.

Legend: B batch, T steps, I inputs, H channels, h heads, d numbers of a head, E = h * d, L queries,
S keys, N steps of a window, C blocks of N steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench.kernels import size
from drnn_bench.models.architecture import Architecture, Paths, at_least
from drnn_bench.models.attention import (
    Cache,
    Pair,
    attend,
    continued,
    continued_plainly,
    turned,
    turns,
)
from drnn_bench.models.cost import FLOAT
from drnn_bench.models.layers import CausalHead, SequenceModel


@dataclass(frozen=True, kw_only=True)
class Transformer(Architecture):
    """heads:  of attention. A head has the least even number of numbers, so that all together have
            at least the width: any width will do
    ratio:  hidden units of the MLP for each channel
    window: steps that a step attends to, itself among them; None: all steps so far."""

    depth: int = 2
    heads: int = 2
    ratio: int = 4
    window: int | None = None

    family: ClassVar[str] = "transformer"
    equal_widths: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("depth", "heads", "ratio"):
            at_least(name, getattr(self, name), 1)
        if self.window is not None:
            at_least("window", self.window, 2)
        super().__post_init__()

    @property
    def head_size(self) -> int:
        return 2 * math.ceil(self.widths[0] / (2 * self.heads))

    @property
    def longest_span(self) -> int:
        return 1 if self.window is None else self.window - 1

    @property
    def period(self) -> None:
        return None

    @property
    def paths(self) -> Paths:
        """A block is one edge to any step that it attends to."""
        window = None if self.window is None else range(self.window)
        return Paths(self.depth, windows=(window,) * self.depth)

    @property
    def recurrent_edges_per_node(self) -> float:
        return 0.0

    def sequential_steps(self, length: int) -> int:
        return self.depth

    @property
    def macs_per_step(self) -> float | None:
        return None if self.window is None else self._macs(self.window)

    @property
    def state_bytes(self) -> int | None:
        return None if self.window is None else self.state_bytes_after(self.window)

    def macs_per_step_over(self, length: int) -> float:
        """Without a window step t attends to t steps: (length + 1) / 2 in the mean."""
        return self._macs((length + 1) / 2 if self.window is None else self.window)

    def state_bytes_after(self, length: int) -> int:
        """Keys and values; those of a window are there from the first step on."""
        steps = length if self.window is None else self.window
        return FLOAT * self.depth * 2 * self.heads * self.head_size * steps

    def _macs(self, attended: float) -> float:
        """Four matrices, the rotations of query and key (complex products: 4 for a pair), two
        products for each step that is attended to, and the MLP."""
        width, inner = self.widths[0], self.heads * self.head_size
        layer = 4 * width * inner + 4 * inner + 2 * inner * attended + 2 * self.ratio * width**2
        return width * self.inputs + self.depth * layer + width * self.output_size

    def network(self) -> TransformerModel:
        return TransformerModel(self)


class TransformerModel(SequenceModel[Any]):
    def __init__(self, net: Transformer):
        width = net.widths[0]
        super().__init__([Block(net) for _ in range(net.depth)], CausalHead(width, net.output_size))
        self.encoder = nn.Linear(net.input_size, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        """Logits (B, T, O). Of the top block only the last steps have queries."""
        *below, top = self.layers
        u_BTH = self.encoder(x_BTI)
        turn = self._turn(0, size(x_BTI.shape[1]))
        for block in below:
            u_BTH = block(u_BTH, turn)
        return self._answer(top(u_BTH, turn, last))

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, list[Cache]]:
        """Logits (B, T, O) of the next steps, and the blocks' keys and values so far."""
        u_BTH, after = self.encoder(x_BTI), []
        turn = self._turn(state[0][0] if state else 0, x_BTI.shape[1])
        for block, before in zip(self.layers, state or [None] * len(self.layers), strict=True):
            u_BTH, cache = block.stream(u_BTH, turn, before)
            after.append(cache)
        return self._answer(u_BTH), after

    def plain_step(self, x_B1I: Tensor, *state: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See models/plain_step.py: with a window how many steps were seen, then the keys and the
        values of each block."""
        window = self.layers[0].window
        seen = state[0] if window else torch.full((1,), state[0].shape[2])
        held = state[1:] if window else state
        u_B1H, after, turn = self.encoder(x_B1I), [], self._turn(seen, 1)
        for i, block in enumerate(self.layers):
            u_B1H, pair = block.plain_step(u_B1H, turn, seen, (held[2 * i], held[2 * i + 1]))
            after += pair
        return self._answer(u_B1H), (seen + 1, *after) if window else tuple(after)

    def plain_state(self, batch: int) -> dict[str, Tensor]:
        like, state = self.encoder.weight, {}
        for i, block in enumerate(self.layers, 1):
            size = len(block.query.weight) // block.heads
            shape = (batch, block.heads, 0, size)
            if block.window:
                shape = (block.window, batch, block.heads, size)
                state["seen"] = torch.zeros(1, dtype=torch.int64, device=like.device)
            state |= {f"{word}_{i}": like.new_zeros(shape) for word in ("keys", "values")}
        return state

    def _turn(self, start: int | Tensor, steps: int) -> Pair:
        """Of queries and keys at these steps, the same in all blocks."""
        first = self.layers[0]
        head_size = len(first.query.weight) // first.heads
        return turns(start, steps, first.heads, head_size, self.encoder.weight)

    def _answer(self, u_BTH: Tensor) -> Tensor:
        steps = size(u_BTH.shape[1])
        return self.head(self.norm(u_BTH).transpose(0, 1), steps).transpose(0, 1)


class Block(nn.Module):
    def __init__(self, net: Transformer):
        super().__init__()
        width, inner = net.widths[0], net.heads * net.head_size
        self.heads, self.window = net.heads, net.window
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (
            nn.Linear(width, inner, bias=False) for _ in range(3)
        )  # fmt: skip
        self.out = nn.Linear(inner, width, bias=False)
        self.widen = nn.Linear(width, net.ratio * width)
        self.narrow = nn.Linear(net.ratio * width, width)
        with torch.no_grad():  # so that the sum over the blocks begins of one size (GPT-2)
            self.out.weight /= math.sqrt(2 * net.depth)
            self.narrow.weight /= math.sqrt(2 * net.depth)

    def forward(self, u_BTH: Tensor, turn: Pair, last: int | None = None) -> Tensor:
        """The outputs of the last `last` steps; None: of all."""
        start = 0 if last is None else size(u_BTH.shape[1]) - last
        n_BTH = self.norm1(u_BTH)
        cos_TE, sin_TE = turn
        q_BhLd = self._turned(self.query(n_BTH[:, start:]), (cos_TE[start:], sin_TE[start:]))
        k_BhTd = self._turned(self.key(n_BTH), turn)
        y_BhLd = attend(q_BhLd, k_BhTd, self._split(self.value(n_BTH)), self.window)
        return self._finish(u_BTH[:, start:], y_BhLd)

    def stream(self, u_BTH: Tensor, turn: Pair, state: Cache | None) -> tuple[Tensor, Cache]:
        n_BTH = self.norm1(u_BTH)
        q_BhTd, k_BhTd = (self._turned(part(n_BTH), turn) for part in (self.query, self.key))
        new = (k_BhTd, self._split(self.value(n_BTH)))
        y_BhTd, state = continued(q_BhTd, new, self.window, state)
        return self._finish(u_BTH, y_BhTd), state

    def plain_step(
        self, u_B1H: Tensor, turn: Pair, seen: Tensor, held: Pair
    ) -> tuple[Tensor, Pair]:
        n_B1H = self.norm1(u_B1H)
        q_Bh1d, k_Bh1d = (self._turned(part(n_B1H), turn) for part in (self.query, self.key))
        new = (k_Bh1d, self._split(self.value(n_B1H)))
        y_Bh1d, held = continued_plainly(q_Bh1d, new, self.window, seen, held)
        return self._finish(u_B1H, y_Bh1d), held

    def _turned(self, x_BTE: Tensor, turn: Pair) -> Tensor:
        """[B, h, T, d]."""
        return self._split(turned(x_BTE, *turn, self.heads))

    def _split(self, x_BTE: Tensor) -> Tensor:
        """[B, h, T, d]."""
        return x_BTE.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _finish(self, u_BTH: Tensor, y_BhTd: Tensor) -> Tensor:
        u_BTH = u_BTH + self.out(y_BhTd.transpose(1, 2).flatten(2))
        return u_BTH + self.narrow(F.gelu(self.widen(self.norm2(u_BTH))))
