"""Small nets of every family."""

from __future__ import annotations

# family -> nets with sizes below 100 steps; every family must be here.
NETS = {
    "dilated_rnn": [
        {"cell": "rnn", "base": 2, "depth": 4, "width": 5},
        {"cell": "gru", "base": 3, "depth": 3, "start": 1, "width": 4},
        {"cell": "lstm", "base": 2, "depth": 3, "start": 2, "fusion": True, "width": (4, 3, 3)},
        {"cell": "min_lstm", "base": 2, "depth": 3, "width": (4, 3, 3)},
        {"cell": "lem", "base": 2, "depth": 2, "start": 1, "fusion": True, "width": 3},
        {"cell": "gru", "dilations": (4, 6, 3), "fusion": True, "width": 3, "init": "paper"},
    ],
    "rnn": [{"depth": 2, "width": 5, "init": "uniform"}],
    "lstm": [{"depth": 1, "width": 6}, {"depth": 3, "width": (5, 4, 4)}],
    "gru": [{"depth": 2, "width": (4, 3)}],
    "skip_rnn": [
        {"depth": 2, "skip": 7, "width": (5, 4)},
        {"depth": 4, "skip": 1, "base": 2, "width": 4},
    ],
    "dilated_cnn": [
        {"base": 2, "depth": 4, "width": 5},
        {"base": 3, "depth": 3, "kernel": 3, "width": (5, 4, 4)},
    ],
    "tcn": [
        {"base": 2, "depth": 3, "kernel": 2, "width": 3},  # as many inputs as channels
        {"base": 3, "depth": 2, "kernel": 4, "width": 5},
    ],
    "min_gru": [{"depth": 1, "width": 6}, {"depth": 3, "width": (5, 4, 4)}],
    "min_lstm": [{"depth": 2, "width": (5, 4)}],
    "indrnn": [{"depth": 2, "width": 6, "init": "uniform"}],
    "lem": [{"depth": 2, "width": (4, 3)}],
    "s4d": [{"depth": 2, "states": 3, "width": 5}],
    "lru": [
        {"depth": 2, "width": 5},
        {"depth": 1, "states": 2, "r_min": 0.0, "r_max": 1.0, "max_phase": 0.3, "width": 4},
    ],
    "selective_ssm": [
        {"depth": 2, "states": 3, "width": 5},
        {"depth": 1, "states": 1, "expand": 1, "kernel": 7, "width": 18},
    ],
    "gla": [
        {"depth": 2, "heads": 2, "width": 5},
        {"depth": 1, "heads": 3, "ratio": 1, "width": 18},
    ],
    "transformer": [
        {"depth": 2, "heads": 2, "window": 7, "width": 5},
        {"depth": 2, "heads": 3, "ratio": 2, "width": 6},
        {"depth": 1, "heads": 1, "window": 40, "width": 4},
    ],
    "clockwork_rnn": [
        {"base": 2, "modules": 4, "width": 11},
        {"base": 3, "modules": 3, "width": 6},
        {"modules": 1, "width": 4},
    ],
}
