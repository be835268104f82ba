"""A small net of each family, which its page draws and counts."""

from __future__ import annotations

from typing import Any

STEPS = 17  # of a sequence, in the drawings
TWO_LAYERS = {"depth": 2}
EXAMPLES: dict[str, dict[str, Any]] = {
    "dilated_rnn": {"cell": "rnn", "base": 2, "depth": 4},
    "rnn": TWO_LAYERS,
    "lstm": TWO_LAYERS,
    "gru": TWO_LAYERS,
    "skip_rnn": {"skip": 4, "base": 2, "depth": 2},
    "dilated_cnn": {"base": 2, "depth": 4, "kernel": 2},
    "tcn": {"base": 2, "depth": 3, "kernel": 2},
    "clockwork_rnn": {"base": 2, "modules": 4},
    "min_gru": TWO_LAYERS,
    "min_lstm": TWO_LAYERS,
    "indrnn": TWO_LAYERS,
    "lem": TWO_LAYERS,
    "s4d": {"depth": 2, "states": 4},
    "lru": {"depth": 2, "states": 1},
    "selective_ssm": {"depth": 2, "states": 8, "expand": 2, "kernel": 4},
    "gla": {"depth": 2, "heads": 2, "ratio": 2},
    "transformer": {"depth": 2, "heads": 2, "ratio": 4},
}
