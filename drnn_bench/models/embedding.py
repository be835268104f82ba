"""A learned table in front of a net: each symbol becomes `embedding` numbers.

Legend: B batch, T steps, I symbols (or input size), E embedding size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Embedded(nn.Module):
    """A net behind a table [I, E], which counts as parameters.

    `x_BTI` is one-hot (or any numbers: the table is then a linear map); whole numbers (B, T) are
    looked up. Drawn from N(0, 1), as torch's embeddings are.
    """

    takes_symbols = True

    def __init__(self, net: nn.Module, input_size: int, embedding: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(input_size, embedding))
        self.net = net

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        return self.net(self._embed(x_BTI), last=last)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return self.net.stream(self._embed(x_BTI), state)

    def _embed(self, x_BTI: Tensor) -> Tensor:
        return x_BTI @ self.table if x_BTI.dim() == 3 else F.embedding(x_BTI, self.table)
