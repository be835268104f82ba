"""The cells that come with drnn_bench. Adding one is one file and one line here."""

from __future__ import annotations

from drnn_bench.plugins import Kind

# name -> (module of this folder, class)
CELLS = {
    "rnn": ("rnn", "RNN"),
    "gru": ("gru", "GRU"),
    "lstm": ("lstm", "LSTM"),
    "min_gru": ("min_gru", "MinGRU"),
    "min_lstm": ("min_lstm", "MinLSTM"),
    "indrnn": ("indrnn", "IndRNN"),
    "lem": ("lem", "LEM"),
}

CELL = Kind(
    word="cell",
    label="name",
    group="drnn_bench.cells",
    base="drnn_bench.cells.cell.Cell",
    needs=("summary", "gates", "step or coefficients"),
    built_in=CELLS,
)
