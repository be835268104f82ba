"""Slow reference implementations of the layers, to test the fast ones against.

Each is a loop over the time steps, written straight from the layer's equations.
Everything is plain torch on float64 tensors, so autograd gives reference gradients.

Shape suffixes: B batch, T steps, I inputs, H units, O outputs, C channels, s dilation, k kernel;
in the state space layers also N complex states, and 2 for (real, imaginary); in attention
E for the numbers of all heads, d for those of one.
"""

import torch


def cell_step(cell, x_BI, state, w_ih, w_hh, bias):
    """One step of an rnn, gru or lstm cell; the state is (h,), or (h, c) for the lstm.

    w_ih [G*H, I], w_hh [G*H, H] and bias [G*H] stack the G gates: (r, z, n) for the gru and
    (i, f, g, o) for the lstm. The only bias is on the input side.
    """
    h_BH = state[0]
    n_units = h_BH.shape[1]
    n_gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    from_x = (x_BI @ w_ih.T + bias).split(n_units, dim=1)
    from_h = (h_BH @ w_hh.T).split(n_units, dim=1)
    if len(from_x) != n_gates or len(from_h) != n_gates:
        raise ValueError(f"{cell}: {n_gates} gates wanted, {len(from_x)}, {len(from_h)} given")

    if cell == "rnn":
        return (torch.tanh(from_x[0] + from_h[0]),)
    if cell == "gru":
        r = torch.sigmoid(from_x[0] + from_h[0])
        z = torch.sigmoid(from_x[1] + from_h[1])
        n = torch.tanh(from_x[2] + r * from_h[2])
        return ((1 - z) * n + z * h_BH,)
    i = torch.sigmoid(from_x[0] + from_h[0])
    f = torch.sigmoid(from_x[1] + from_h[1])
    g = torch.tanh(from_x[2] + from_h[2])
    o = torch.sigmoid(from_x[3] + from_h[3])
    c_BH = f * state[1] + i * g
    return (o * torch.tanh(c_BH), c_BH)


def min_lstm_step(x_BI, state, weight, bias):
    """Feng et al. 2024: f and i from the input alone, each divided by their sum; rows f, i, n."""
    f, i, n = (x_BI @ weight.T + bias).chunk(3, dim=1)
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    return (f / (f + i) * state[0] + i / (f + i) * n,)


def indrnn_step(x_BI, state, w_ih, u, bias):
    """Li et al. 2018, eq. 2: h = relu(W x + u * h' + b)."""
    return (torch.relu(x_BI @ w_ih.T + u * state[0] + bias),)


def lem_step(x_BI, state, w_ih, w_y, w_z, bias):
    """Rusch et al. 2022, eq. 3, Delta t = 1. The state is (y, z); rows: both time steps, z, y."""
    y, z = state
    x1, x2, xz, xy = (x_BI @ w_ih.T + bias).chunk(4, dim=1)
    y1, y2, yz = (y @ w_y.T).chunk(3, dim=1)
    short, long = torch.sigmoid(x1 + y1), torch.sigmoid(x2 + y2)
    z = (1 - short) * z + short * torch.tanh(xz + yz)
    return (1 - long) * y + long * torch.tanh(xy + z @ w_z.T), z


STEPS = {"min_lstm": min_lstm_step, "indrnn": indrnn_step, "lem": lem_step}


def layer_of_steps(cell, x_BTI, weights, dilation):
    """c_t = f(x_t, c_{t-s}) for a cell of STEPS, from zeros. Returns h_BTH."""
    batch, steps, _ = x_BTI.shape
    zero_BH = x_BTI.new_zeros(batch, weights[0].shape[0] // {"min_lstm": 3, "lem": 4}.get(cell, 1))
    past = [(zero_BH, zero_BH)] * dilation
    for t in range(steps):
        past.append(STEPS[cell](x_BTI[:, t], past[t], *weights))
    return torch.stack([entry[0] for entry in past[dilation:]], dim=1)


def dilated_layer(cell, x_BTI, w_ih, w_hh, bias, dilation, state=None):
    """c_t = f(x_t, c_{t-s}). Returns h_BTH and the state that the steps after T continue.

    A state is a tuple of [s, B, H] tensors, (h,) or (h, c): entry j is the state of step j - s,
    which step j continues. Without one, the states before step 0 are zero.
    """
    batch, steps, _ = x_BTI.shape
    n_parts = 2 if cell == "lstm" else 1
    if state is None:
        zeros = x_BTI.new_zeros(dilation, batch, w_hh.shape[1])
        state = (zeros,) * n_parts
    # past[t] is the state of step t - s
    past = [tuple(part_sBH[j] for part_sBH in state) for j in range(dilation)]
    for t in range(steps):
        past.append(cell_step(cell, x_BTI[:, t], past[t], w_ih, w_hh, bias))
    h_BTH = torch.stack([past[t + dilation][0] for t in range(steps)], dim=1)
    last = past[steps:]
    new_state = tuple(torch.stack([entry[p] for entry in last]) for p in range(n_parts))
    return h_BTH, new_state


def causal_head(h_BTH, weight_kOH, bias_O):
    """y_t = b + sum_j weight[j] @ h_{t-j}, with h zero before step 0. Returns y_BTO."""
    batch, steps, _ = h_BTH.shape
    ys = []
    for t in range(steps):
        y_BO = bias_O.expand(batch, -1)
        for j in range(weight_kOH.shape[0]):
            if t - j >= 0:
                y_BO = y_BO + h_BTH[:, t - j] @ weight_kOH[j].T
        ys.append(y_BO)
    return torch.stack(ys, dim=1)


def skip_layer(x_BTI, w_ih, w_hh, w_skip, bias, skip):
    """h_t = tanh(W x_t + U h_{t-1} + V h_{t-skip} + b). Returns h_BTH."""
    batch, steps, _ = x_BTI.shape
    zero_BH = x_BTI.new_zeros(batch, w_hh.shape[0])
    hs = []
    for t in range(steps):
        one_back = hs[t - 1] if t >= 1 else zero_BH
        skip_back = hs[t - skip] if t >= skip else zero_BH
        hs.append(
            torch.tanh(x_BTI[:, t] @ w_ih.T + one_back @ w_hh.T + skip_back @ w_skip.T + bias)
        )
    return torch.stack(hs, dim=1)


def clockwork_layer(x_BTI, periods, modules):
    """Modules that fire every periods[i] steps, and hear themselves and the slower ones.

    modules[i] is (w_ih [H_i, I + the slower modules' units], w_hh [H_i, H_i], bias [H_i]), the
    fastest first. Returns all the modules' units at every step, [B, T, sum H_i].
    """
    batch, steps, _ = x_BTI.shape
    states = [x_BTI.new_zeros(batch, w_hh.shape[0]) for _, w_hh, _ in modules]
    hs = []
    for t in range(steps):
        previous = states
        states = []
        for i, (w_ih, w_hh, bias) in enumerate(modules):
            if t % periods[i] == 0:
                heard = torch.cat([x_BTI[:, t], *previous[i + 1 :]], dim=1)
                states.append(torch.tanh(heard @ w_ih.T + previous[i] @ w_hh.T + bias))
            else:
                states.append(previous[i])
        hs.append(torch.cat(states, dim=1))
    return torch.stack(hs, dim=1)


def conv_layer(x_BTI, weight_CIk, dilation, bias=None):
    """Causal convolution, y_t = b + sum_j W[:, :, k-1-j] @ x_{t-j*d}. Returns y_BTC."""
    batch, steps, _ = x_BTI.shape
    channels, _, kernel = weight_CIk.shape
    ys = []
    for t in range(steps):
        y_BC = x_BTI.new_zeros(batch, channels)
        for j in range(kernel):
            if t - j * dilation >= 0:
                y_BC = y_BC + x_BTI[:, t - j * dilation] @ weight_CIk[:, :, kernel - 1 - j].T
        if bias is not None:
            y_BC = y_BC + bias
        ys.append(y_BC)
    return torch.stack(ys, dim=1)


def tcn_block(x_BTI, block, dilation):
    """The residual block of Bai et al. 2018, without dropout. Returns y_BTC.

    block has g1, v1, b1, g2, v2, b2 and, where the shortcut is a 1x1 convolution, ws [C, I] and
    bs [C]; v is [C, inputs, k], and g is [C] or [C, 1, 1].
    """

    def weight(g, v_CIk):
        filters = []
        for c in range(v_CIk.shape[0]):
            filters.append(g.reshape(-1)[c] * v_CIk[c] / (v_CIk[c] ** 2).sum().sqrt())
        return torch.stack(filters)

    hidden = torch.relu(conv_layer(x_BTI, weight(block["g1"], block["v1"]), dilation, block["b1"]))
    out = torch.relu(conv_layer(hidden, weight(block["g2"], block["v2"]), dilation, block["b2"]))
    shortcut = x_BTI @ block["ws"].T + block["bs"] if block.get("ws") is not None else x_BTI
    return torch.relu(out + shortcut)


def min_gru_layer(x_BTI, w, b, h0=None):
    """h_t = (1 - z_t) * h_{t-1} + z_t * candidate_t, neither gate hearing h. Returns h_BTH.

    w [2H, I] and b [2H] stack z, a sigmoid, and the candidate, linear. h0 [B, H] is h before
    step 0.
    """
    batch, steps, _ = x_BTI.shape
    n_units = w.shape[0] // 2
    h_BH = x_BTI.new_zeros(batch, n_units) if h0 is None else h0
    hs = []
    for t in range(steps):
        gates = x_BTI[:, t] @ w.T + b
        z = torch.sigmoid(gates[:, :n_units])
        candidate = gates[:, n_units:]
        h_BH = (1 - z) * h_BH + z * candidate
        hs.append(h_BH)
    return torch.stack(hs, dim=1)


def s4d_layer(u_BTH, log_dt_H, log_a_re_HN, a_im_HN, c_HN2, d_H):
    """A diagonal complex state space a channel, zero-order hold, B = 1. Returns y_BTH.

    s_t = Abar s_{t-1} + Bbar u_t and y_t = 2 Re(sum_n C_n s_{t,n}) + D u_t, where
    A = -exp(log_a_re) + i a_im, Abar = exp(dt A) and Bbar = (Abar - 1) / A.
    """
    batch, steps, _ = u_BTH.shape
    a_HN = torch.complex(-torch.exp(log_a_re_HN), a_im_HN)
    c_HN = torch.complex(c_HN2[..., 0], c_HN2[..., 1])
    a_bar_HN = torch.exp(torch.exp(log_dt_H)[:, None] * a_HN)
    b_bar_HN = (a_bar_HN - 1) / a_HN
    s_BHN = torch.zeros(batch, *a_HN.shape, dtype=a_HN.dtype, device=a_HN.device)
    ys = []
    for t in range(steps):
        u_BH = u_BTH[:, t]
        s_BHN = a_bar_HN * s_BHN + b_bar_HN * u_BH[:, :, None]
        ys.append(2 * (c_HN * s_BHN).sum(dim=-1).real + d_H * u_BH)
    return torch.stack(ys, dim=1)


def lru_layer(u_BTH, log_nu_N, log_theta_N, log_gamma_N, b_N2H, c_HN2, d_H):
    """x_t = lambda x_{t-1} + gamma (B u_t), y_t = Re(C x_t) + D u_t (Orvieto et al. 2023, eq. 6).

    lambda = exp(-exp(nu) + i exp(theta)).
    Returns y_BTH.
    """
    batch, steps, _ = u_BTH.shape
    lambda_N = torch.exp(torch.complex(-torch.exp(log_nu_N), torch.exp(log_theta_N)))
    b_NH, c_HN = (
        torch.complex(b_N2H[:, 0], b_N2H[:, 1]),
        torch.complex(c_HN2[..., 0], c_HN2[..., 1]),
    )
    x_BN = torch.zeros(batch, len(lambda_N), dtype=lambda_N.dtype)
    ys = []
    for t in range(steps):
        read_BN = u_BTH[:, t].to(b_NH.dtype) @ b_NH.T
        x_BN = lambda_N * x_BN + torch.exp(log_gamma_N) * read_BN
        ys.append((x_BN @ c_HN.T).real + d_H * u_BTH[:, t])
    return torch.stack(ys, dim=1)


def lru_block(u_BTH, layer, mix):
    """u + value * sigmoid(gate) with (value, gate) = mix(gelu(y)), where y is the LRU of the
    normalised u. layer holds what `lru_layer` takes. Returns y_BTH."""
    y = lru_layer(layer_norm(u_BTH), *layer)
    value, gate = mix(gelu(y)).split(u_BTH.shape[2], dim=2)
    return u_BTH + value * torch.sigmoid(gate)


def layer_norm(x, norm=None):
    """Mean 0 and variance 1 over the last axis, then the norm's gain and bias, if there is one."""
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5)
    return scaled if norm is None else scaled * norm.weight + norm.bias


def gelu(x):
    """x P(z < x) of a standard normal z."""
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def rotary(x_Bd, step):
    """Numbers i and i + d/2 as the complex number i, turned by step * 10000^(-2i/d) (Su et al.
    2021, equation 15)."""
    first, second = x_Bd.chunk(2, dim=1)
    d = x_Bd.shape[1]
    angles = [step * 10000 ** (-2 * i / d) for i in range(d // 2)]
    turned = torch.complex(first, second) * torch.exp(
        1j * torch.tensor(angles, dtype=torch.float64)
    )
    return torch.cat([turned.real, turned.imag], dim=1)


def attention(u_BTH, w_q, w_k, w_v, heads, window):
    """Head by head and step by step: softmax over the steps s = t - window + 1 .. t of q_t k_s /
    sqrt(d), and the sum of v_s with these weights. The heads side by side, [B, T, E]."""
    steps, d = u_BTH.shape[1], w_q.shape[0] // heads
    outputs = []
    for head in range(heads):
        rows = slice(head * d, (head + 1) * d)
        k_TBd = torch.stack([rotary(u_BTH[:, t] @ w_k[rows].T, t) for t in range(steps)])
        v_TBd = (u_BTH @ w_v[rows].T).transpose(0, 1)
        ys = []
        for t in range(steps):
            q_Bd = rotary(u_BTH[:, t] @ w_q[rows].T, t)
            first = 0 if window is None else max(0, t - window + 1)
            scores_SB = (q_Bd * k_TBd[first : t + 1]).sum(-1) / d**0.5
            ys.append((scores_SB.softmax(0)[:, :, None] * v_TBd[first : t + 1]).sum(0))
        outputs.append(torch.stack(ys, dim=1))
    return torch.cat(outputs, dim=2)


def transformer_block(u_BTH, block):
    """Attention of the normalised u, then an MLP of the normalised sum, each added to what it
    read. Returns y_BTH."""
    weights = (block.query.weight, block.key.weight, block.value.weight)
    read = attention(layer_norm(u_BTH, block.norm1), *weights, block.heads, block.window)
    u_BTH = u_BTH + read @ block.out.weight.T
    hidden = gelu(layer_norm(u_BTH, block.norm2) @ block.widen.weight.T + block.widen.bias)
    return u_BTH + hidden @ block.narrow.weight.T + block.narrow.bias
