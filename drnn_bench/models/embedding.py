"""A learned table in front of a net: each symbol becomes `embedding` numbers.

Legend: B batch, T steps, I symbols (or input size), E embedding size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Embedded(nn.Module):
    """A net behind a table [I, E] of parameters, drawn from N(0, 1) as torch's embeddings are.

    Symbols (B, T) are looked up. One-hot vectors (B, T, I) give the same; of any other numbers the
    table is a linear map.
    """

    takes_symbols = True

    def __init__(self, net: nn.Module, input_size: int, embedding: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(input_size, embedding))
        self.net: Any = net  # any family's: its `stream` is not nn.Module's

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        return self.net(self.embed(x_BTI), last=last)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits (B, T, O) of the next T steps, and the state after them."""
        return self.net.stream(self.embed(x_BTI), state)

    def embed(self, x_BTI: Tensor) -> Tensor:
        return x_BTI @ self.table if x_BTI.dim() == 3 else F.embedding(x_BTI, self.table)
