"""Slow reference implementations of the layers, to test the fast ones against.

Each is a loop over the time steps, written straight from the layer's equations.
Everything is plain torch on float64 tensors, so autograd gives reference gradients.

Shape suffixes: B batch, T steps, I inputs, H units, O outputs, C channels, s dilation, k kernel;
in the state space layer also N complex states a channel, and 2 for (real, imaginary).
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
