"""Slow reference implementations of two whole nets whose state is linear in what it stores:
`selective_ssm` and `gla`. The other oracles stand in oracles.py.

Each is a loop over the time steps, written straight from the equations of its paper. It takes a
net's state_dict and finds the sizes in the shapes. Everything is plain torch on float64 tensors,
so autograd gives reference gradients.

Shape suffixes: T steps, B batch, I inputs, H units, O outputs, F hidden numbers of the
feed-forward part, 1 the head's only tap; in selective_ssm E inner channels, N states a channel,
R numbers that give the step sizes; in gla h heads, d numbers of a head's key, e of its value,
D = h * d, V = h * e, G the rank of the gates.
"""

import torch
from torch import Tensor

from tests.support.oracles import causal_head

SSM_NAMES = ["in_weight", "conv_weight", "conv_bias", "x_weight", "dt_weight", "dt_bias"]
SSM_NAMES += ["a_log", "d", "out_weight"]
GLA_NAMES = ["q_weight", "k_weight", "v_weight", "down_weight", "up_weight", "gate_bias"]
GLA_NAMES += ["r_weight", "r_bias", "out_weight", "w1_weight", "w3_weight", "w2_weight"]


def rms(x: Tensor) -> Tensor:
    """Mean square 1 over the last axis, without a gain."""
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1e-5)


def silu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)) at every x; torch's own returns x itself above 20."""
    return torch.logaddexp(x, torch.zeros_like(x))


def layers_of(weights: dict[str, Tensor], names: list[str]) -> list[dict[str, Tensor]]:
    """The weights of every layer by their short names, in float64, the first layer first.

    Raises ValueError where the weights are not exactly the encoder's, the head's and, for each
    of the layers 0 .. depth - 1, those of `names`.
    """
    depth = len({name.split(".")[1] for name in weights if name.startswith("layers.")})
    wanted = {"encoder.weight", "encoder.bias", "head.weight", "head.bias"}
    wanted |= {f"layers.{n}.{name}" for n in range(depth) for name in names}
    if wanted != set(weights):
        missing, unknown = sorted(wanted - set(weights)), sorted(set(weights) - wanted)
        raise ValueError(f"weights: missing {missing}, unknown {unknown}")
    return [{name: weights[f"layers.{n}.{name}"].double() for name in names} for n in range(depth)]


def encode(weights: dict[str, Tensor], x_TBI: Tensor) -> Tensor:
    """u_t = W x_t + b. Returns u_TBH in float64."""
    return x_TBI.double() @ weights["encoder.weight"].double().T + weights["encoder.bias"].double()


def logits(weights: dict[str, Tensor], u_TBH: Tensor) -> Tensor:
    """The causal head of the normalised u. Returns logits_TBO."""
    weight_1OH, bias_O = weights["head.weight"].double(), weights["head.bias"].double()
    return causal_head(rms(u_TBH).transpose(0, 1), weight_1OH, bias_O).transpose(0, 1)


def short_convolution(x_TBE: Tensor, weight_EK: Tensor, bias_E: Tensor) -> Tensor:
    """y_t[e] = b[e] + sum_j w[e, j] x_{t-j}[e], with x zero before step 0. Returns y_TBE."""
    ys = []
    for t in range(x_TBE.shape[0]):
        y_BE = bias_E.expand(x_TBE.shape[1:])
        for j in range(weight_EK.shape[1]):
            if t - j >= 0:
                y_BE = y_BE + weight_EK[:, j] * x_TBE[t - j]
        ys.append(y_BE)
    return torch.stack(ys)


def selective_scan(
    x_TBE: Tensor, dt_TBE: Tensor, a_EN: Tensor, b_TBN: Tensor, c_TBN: Tensor, d_E: Tensor
) -> Tensor:
    """S6, from a state of zeros; a_EN is negative. Returns y_TBE.

    h_t[e, n] = exp(dt_t[e] a[e, n]) h_{t-1}[e, n] + dt_t[e] b_t[n] x_t[e] and
    y_t[e] = sum_n c_t[n] h_t[e, n] + d[e] x_t[e].
    """
    h_BEN = x_TBE.new_zeros(*x_TBE.shape[1:], a_EN.shape[1])
    ys = []
    for x_BE, dt_BE, b_BN, c_BN in zip(x_TBE, dt_TBE, b_TBN, c_TBN, strict=True):
        written_BEN = (dt_BE * x_BE)[:, :, None] * b_BN[:, None, :]
        h_BEN = torch.exp(dt_BE[:, :, None] * a_EN) * h_BEN + written_BEN
        ys.append((c_BN[:, None, :] * h_BEN).sum(-1) + d_E * x_BE)
    return torch.stack(ys)


def selective_block(n_TBH: Tensor, w: dict[str, Tensor]) -> Tensor:
    """Mamba's block of the normalised u (Gu and Dao 2023, sections 3.2 to 3.4). Returns y_TBH."""
    n_inner, n_states = w["a_log"].shape
    rank = w["dt_weight"].shape[1]
    x_TBE, z_TBE = (n_TBH @ w["in_weight"].T).split([n_inner, n_inner], dim=-1)
    x_TBE = silu(short_convolution(x_TBE, w["conv_weight"], w["conv_bias"]))
    r_TBR, b_TBN, c_TBN = (x_TBE @ w["x_weight"].T).split([rank, n_states, n_states], dim=-1)
    dt_TBE = softplus(r_TBR @ w["dt_weight"].T + w["dt_bias"])
    y_TBE = selective_scan(x_TBE, dt_TBE, -torch.exp(w["a_log"]), b_TBN, c_TBN, w["d"])
    return (y_TBE * silu(z_TBE)) @ w["out_weight"].T


def selective_ssm_oracle(weights: dict[str, Tensor], x_TBI: Tensor) -> Tensor:
    """The logits_TBO of a selective_ssm net, float64.

    Raises ValueError where `weights` lacks a weight or has an unknown one.
    """
    layers = layers_of(weights, SSM_NAMES)
    u_TBH = encode(weights, x_TBI)
    for w in layers:
        u_TBH = u_TBH + selective_block(rms(u_TBH), w)
    return logits(weights, u_TBH)


def gated_attention(q_TBd: Tensor, k_TBd: Tensor, v_TBe: Tensor, a_TBd: Tensor) -> Tensor:
    """One head: S_t = diag(a_t) S_{t-1} + k_t v_t' from zeros, o_t = S_t' q_t. Returns o_TBe."""
    s_Bde = q_TBd.new_zeros(*q_TBd.shape[1:], v_TBe.shape[2])
    outputs = []
    for q_Bd, k_Bd, v_Be, a_Bd in zip(q_TBd, k_TBd, v_TBe, a_TBd, strict=True):
        s_Bde = a_Bd[:, :, None] * s_Bde + k_Bd[:, :, None] * v_Be[:, None, :]
        outputs.append((s_Bde * q_Bd[:, :, None]).sum(1))
    return torch.stack(outputs)


def gla_mix(n_TBH: Tensor, w: dict[str, Tensor], heads: int) -> Tensor:
    """Gated linear attention of the normalised u, head by head (Yang et al. 2023, sections 4.1 to
    4.4). Returns y_TBH."""
    d, e = w["q_weight"].shape[0] // heads, w["v_weight"].shape[0] // heads
    q_TBD = n_TBH @ w["q_weight"].T * d**-0.5
    k_TBD = n_TBH @ w["k_weight"].T
    v_TBV = n_TBH @ w["v_weight"].T
    gate_TBD = n_TBH @ w["down_weight"].T @ w["up_weight"].T + w["gate_bias"]
    a_TBD = torch.sigmoid(gate_TBD) ** (1 / 16)

    # split([d] * heads) raises RuntimeError where the rows are no multiple of the heads
    of_heads = zip(
        q_TBD.split([d] * heads, dim=-1),
        k_TBD.split([d] * heads, dim=-1),
        v_TBV.split([e] * heads, dim=-1),
        a_TBD.split([d] * heads, dim=-1),
        strict=True,
    )
    o_TBV = torch.cat([rms(gated_attention(*of_head)) for of_head in of_heads], dim=-1)
    return (o_TBV * silu(n_TBH @ w["r_weight"].T + w["r_bias"])) @ w["out_weight"].T


def gla_ffn(n_TBH: Tensor, w: dict[str, Tensor]) -> Tensor:
    """W2 (silu(W1 n) * (W3 n)). Returns y_TBH."""
    return (silu(n_TBH @ w["w1_weight"].T) * (n_TBH @ w["w3_weight"].T)) @ w["w2_weight"].T


def gla_oracle(weights: dict[str, Tensor], x_TBI: Tensor, heads: int) -> Tensor:
    """The logits_TBO of a gla net, float64.

    Raises ValueError where `weights` lacks a weight or has an unknown one.
    """
    layers = layers_of(weights, GLA_NAMES)
    u_TBH = encode(weights, x_TBI)
    for w in layers:
        u_TBH = u_TBH + gla_mix(rms(u_TBH), w, heads)
        u_TBH = u_TBH + gla_ffn(rms(u_TBH), w)
    return logits(weights, u_TBH)
