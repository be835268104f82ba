"""Raw inputs as a user has them, made into what a net takes: checked, shifted, scaled.

Legend: B batch, T steps, C channels of raw numbers, I inputs of the net.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench.errors import UserError, one_line
from drnn_bench.export.described import Inputs
from drnn_bench.models.inputs import Net


def entering(inputs: Inputs, x: Any, before_BC: np.ndarray | None = None) -> Tensor:
    """What the net takes: float32 [B, T, I], or symbols [B, T], int64.

    x: numbers (batch, steps, channels), of one channel also (batch, steps); symbols (batch, steps)
       or texts; arrays, tensors or nested lists.
    before_BC: of a stream, the last raw values before x, NaN where there is none yet: what repeats
               where the first values of x are missing. See `last_values`.
    Raises UserError, one line, where x is something else.
    """
    if inputs.symbols:
        return _symbols(inputs, x)
    raw_BTC = numbers(inputs, x)
    if inputs.scaling is None:
        x_BTI = torch.from_numpy(raw_BTC.astype(np.float32))
        return _finite(x_BTI.mul_(inputs.scale).div_(inputs.divided_by))
    shifted_BTC = raw_BTC.astype(np.float64)
    if raw_BTC.dtype.kind in "iu":  # exact, however great the numbers are
        shifted_BTC = (raw_BTC.astype(np.int64) - np.array(inputs.offset)).astype(np.float64)
    elif any(inputs.offset):
        shifted_BTC = shifted_BTC - np.array(inputs.offset)
    if inputs.scaling.missing == "refuse" and np.isnan(shifted_BTC).any():
        place = ", ".join(map(str, np.argwhere(np.isnan(shifted_BTC))[0] + 1))
        raise UserError(
            f"predict: a value is missing (sequence, step, channel {place}), and the net was "
            "trained on data without missing values"
        )
    if before_BC is not None:
        shifted_BTC = np.concatenate([before_BC[:, None] - np.array(inputs.offset), shifted_BTC], 1)
    scaled = np.stack([inputs.scaling.scaled(x_TC) for x_TC in shifted_BTC])
    return _finite(torch.from_numpy(scaled if before_BC is None else scaled[:, 1:]))


def last_values(inputs: Inputs, x: Any, before_BC: np.ndarray | None) -> np.ndarray | None:
    """The last raw value of each channel [B, C], NaN where none was seen yet; None where missing
    values do not repeat."""
    if inputs.scaling is None or inputs.scaling.missing != "ffill":
        return None
    raw_BTC = numbers(inputs, x).astype(np.float64)
    if before_BC is not None:
        raw_BTC = np.concatenate([before_BC[:, None], raw_BTC], 1)
    place_BTC = np.where(np.isnan(raw_BTC), 0, np.arange(raw_BTC.shape[1])[:, None])
    return np.take_along_axis(raw_BTC, place_BTC.max(1, keepdims=True), 1)[:, 0]


def numbers(inputs: Inputs, x: Any) -> np.ndarray:
    """Raw numbers [B, T, C] of any real type."""
    array, wanted = _array(x), f"numbers (batch, steps, {inputs.channels})"
    if array.dtype.kind not in "iuf":
        raise UserError(f"predict takes {wanted}, got {array.dtype}")
    if array.ndim == 2 and inputs.channels == 1:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] != inputs.channels or 0 in array.shape:
        raise UserError(f"predict takes {wanted}, got the shape {array.shape}")
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and int(array.max()) >= 2**63:
        raise UserError(f"predict takes whole numbers below 2**63, got {array.max()}")
    return array


def _symbols(inputs: Inputs, x: Any) -> Tensor:
    if _is_text(x):
        return _of_text(inputs, [x] if isinstance(x, str) else list(x))
    array, many = _array(x), inputs.size
    if array.dtype.kind not in "iu" or array.ndim != 2 or 0 in array.shape:
        got = f"{array.dtype} of the shape {array.shape}"
        raise UserError(f"predict takes symbols (batch, steps), whole numbers, got {got}")
    if array.min() < 0 or array.max() >= many:
        wrong = array.min() if array.min() < 0 else array.max()
        raise UserError(f"predict takes symbols from 0 to {many - 1}, got {wrong}")
    return torch.from_numpy(array.astype(np.int64))


def _is_text(x: Any) -> bool:
    return isinstance(x, str) or (
        isinstance(x, list | tuple) and len(x) > 0 and all(isinstance(text, str) for text in x)
    )


def _of_text(inputs: Inputs, texts: list[str]) -> Tensor:
    if inputs.alphabet is None:
        raise UserError("predict: this net reads no text; give numbers")
    lengths = sorted({len(text) for text in texts})
    if len(lengths) > 1 or lengths[0] == 0:
        raise UserError(
            f"predict: texts of one batch have one length, at least 1; got {lengths[0]} to "
            f"{lengths[-1]} characters"
        )
    place = {character: i for i, character in enumerate(inputs.alphabet)}
    unknown = place.get(None)
    for text in texts:
        strange = next((c for c in text if c not in place), None)
        if strange is not None and unknown is None:
            raise UserError(f"predict: the character {strange!r} is not in the net's alphabet")
    return torch.tensor([[place.get(c, unknown) for c in text] for text in texts])


def _array(x: Any) -> np.ndarray:
    if isinstance(x, Tensor):
        return x.detach().cpu().numpy()
    try:
        array = np.asarray(x)
    except (ValueError, TypeError, OverflowError) as error:  # lists of unequal lengths
        raise UserError(
            f"predict takes sequences of one length in a batch ({one_line(error)[:100]})"
        ) from None
    if isinstance(x, np.ma.MaskedArray):
        array = np.where(np.ma.getmaskarray(x), np.nan, array)
    return array


def _finite(x_BTI: Tensor) -> Tensor:
    if not bool(x_BTI.isfinite().all()):
        place = ", ".join(str(int(i) + 1) for i in (~x_BTI.isfinite()).nonzero()[0])
        raise UserError(
            f"predict: a value (sequence, step, input {place}) is missing, infinite, or so far "
            "from the training split that float32 cannot hold it"
        )
    return x_BTI


def to_net(net: Net, x: Tensor) -> Tensor:
    """What has entered as a net takes it: on its device and in its dtype, symbols as one-hot
    vectors where it does not take symbols."""
    weight = next(net.parameters())
    if x.dim() == 2:
        if getattr(net, "takes_symbols", False):
            return x.to(weight.device)
        x = F.one_hot(x, net.built_from_.input_size)
    return x.to(weight.device, weight.dtype.to_real())
