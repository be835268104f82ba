"""How the weights of cells begin, where several cells begin alike.

orthogonal  what a net has where nothing is said: Glorot weights of the inputs, orthogonal weights
            of the states, biases zero. A cell whose gates or elements keep the state begins them as
            its file says
uniform     torch's own: everything uniform within 1/sqrt(units)
paper       the official code of Chang et al. 2017: Glorot over inputs and states together, GRU
            gates 1, LSTM forget gate 1, output layer N(0, 1)
chrono      as orthogonal, but what keeps the state begins with memories of up to T steps (Tallec
            and Ollivier 2018, arXiv 1804.11188). T is `memory`, in steps of the layer's dilation
identity    as orthogonal, but a tanh cell reads its own state through the identity, so that the
            state is kept at first (Le, Jaitly and Hinton 2015, arXiv 1504.00941)

Legend: I inputs, H units, G gates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor, nn

INITS = ("orthogonal", "uniform", "paper", "chrono", "identity")
# What a cell needs for those that not all have.
NEEDS = {
    "chrono": "gates that keep a state",
    "identity": "a cell whose state is a tanh",
}


def uniform(weights: Iterable[Tensor], units: int) -> None:
    for weight in weights:
        nn.init.uniform_(weight, -(units**-0.5), units**-0.5)


def paper(weights: tuple[Tensor, ...], units: int) -> None:
    """The weights are w_ih [G*H, I], w_hh [G*H, H], bias [G*H]."""
    w_ih, w_hh, bias = weights
    nn.init.zeros_(bias)
    bound = math.sqrt(6 / (w_ih.shape[1] + units + len(bias)))
    nn.init.uniform_(w_ih, -bound, bound)
    nn.init.uniform_(w_hh, -bound, bound)


def orthogonal(weights: Iterable[Tensor], units: int) -> None:
    """Gate by gate; the first weight is that of the inputs [G*H, I]. Vectors become zero."""
    matrices = []
    for weight in weights:
        if weight.dim() == 2:
            matrices.append(weight.split(units))
        else:
            nn.init.zeros_(weight)
    of_inputs, *of_states = matrices
    for gate, block in enumerate(of_inputs):
        nn.init.xavier_uniform_(block)
        for blocks in of_states:
            if gate < len(blocks):
                nn.init.orthogonal_(blocks[gate])


def log_memories(bias_H: Tensor, memory: float) -> None:
    """log U(1, T-1): a gate sigmoid(b) that keeps the state forgets in about 1 + exp(b) steps."""
    bias_H.uniform_(1, max(1.0, memory - 1)).log_()
