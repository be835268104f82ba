"""A net in people's words, from the options of its config: "GRU cells, base 2, 3 layers of 28".

It knows no family: options that it has no words for are said by their names, so those of plug-ins
too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CELLS = {"rnn": "vanilla cells", "gru": "GRU cells", "lstm": "LSTM cells"}
USUAL = {"init": "orthogonal", "dropout": 0.0}  # what every shipped family has unless told
SWITCHES = {"fusion": "fused"}  # options that are true or false
LAST = ("depth", "modules", "width")  # said together: 2 layers of 28


def net_words(config: Mapping[str, Any]) -> str:
    """The options in the order cell, others, sizes, switches; usual and empty ones left out."""
    shown = {k: v for k, v in config.items() if v is not None and v != USUAL.get(k, ...)}
    cell = shown.pop("cell", None)
    switches = [k for k, v in shown.items() if isinstance(v, bool)]
    others = [k for k in shown if k not in LAST and k not in switches]
    words = [] if cell is None else [CELLS.get(str(cell), f"{cell} cells")]
    words += [_option(name, shown[name]) for name in others]
    words += _sizes(shown)
    words += [SWITCHES.get(name, _plain(name)) for name in switches if shown[name]]
    return ", ".join(words)


def _option(name: str, value: Any) -> str:
    words = "x".join(map(str, value)) if isinstance(value, list) else f"{value}"
    return f"{words} initialisation" if name == "init" else f"{_plain(name)} {words}"


def _sizes(config: Mapping[str, Any]) -> list[str]:
    """Layers or modules, and how many units they have."""
    width = None if "width" not in config else _span(config["width"])
    if "depth" in config:
        layers = f"{config['depth']} layer{'s' * (config['depth'] != 1)}"
        words = [layers if width is None else f"{layers} of {width}"]
    else:
        words = [] if width is None else [f"width {width}"]
    return [f"{config['modules']} modules", *words] if "modules" in config else words


def _span(width: Any) -> str:
    """The units of a layer: one number, or the fewest and the most."""
    if not isinstance(width, list) or not width:
        return f"{width}"
    low, high = min(width), max(width)
    return f"{low}" if low == high else f"{low} to {high}"


def _plain(name: str) -> str:
    return name.replace("_", " ")
