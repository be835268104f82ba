"""The families that come with drnn_bench. Adding one is one file and one line here."""

from __future__ import annotations

from drnn_bench.plugins import Kind

# family -> (module of this folder, architecture, one line for `bench ls families`)
FAMILIES = {
    "dilated_rnn": ("dilated_rnn", "DilatedRNN", "dilated recurrent skips (Chang et al. 2017)"),
    "rnn": ("plain", "RNN", "a plain stack of tanh layers"),
    "lstm": ("plain", "LSTM", "a plain stack of LSTM layers"),
    "gru": ("plain", "GRU", "a plain stack of GRU layers"),
    "skip_rnn": ("skip_rnn", "SkipRNN", "tanh layers with a second edge, s steps back"),
    "dilated_cnn": ("dilated_cnn", "DilatedCNN", "a plain stack of dilated causal convolutions"),
    "tcn": ("tcn", "TCN", "residual blocks of dilated convolutions (Bai et al. 2018)"),
    "clockwork_rnn": ("clockwork_rnn", "ClockworkRNN", "modules that tick at different periods"),
    "min_gru": ("min_gru", "MinGRU", "gates without state, a parallel scan (Feng et al. 2024)"),
    "min_lstm": ("plain", "MinLSTM", "as min_gru, with normalised gates (Feng et al. 2024)"),
    "indrnn": ("plain", "IndRNN", "units that read only their own state (Li et al. 2018)"),
    "lem": ("plain", "LEM", "long expressive memory, two time scales (Rusch et al. 2022)"),
    "s4d": ("s4d", "S4D", "diagonal state space model (Gu et al. 2022)"),
    "lru": ("lru", "LRU", "linear recurrent units, complex (Orvieto et al. 2023)"),
    "selective_ssm": ("selective_ssm", "SelectiveSSM", "Mamba's block with S6 (Gu and Dao 2023)"),
    "gla": ("gla", "GLA", "gated linear attention (Yang et al. 2023)"),
    "transformer": ("transformer", "Transformer", "causal attention with rotary positions"),
}
# `--family GROUP` means all families of a group; each family is in one.
GROUPS = {
    "recurrent": (
        "dilated_rnn",
        "rnn",
        "lstm",
        "gru",
        "skip_rnn",
        "clockwork_rnn",
        "indrnn",
        "lem",
    ),
    "convolution": ("dilated_cnn", "tcn"),
    # recurrences that are linear in their state
    "linear": ("min_gru", "min_lstm", "s4d", "lru", "selective_ssm", "gla"),
    "attention": ("transformer",),
}
DEFAULT_FAMILIES = ("dilated_rnn", "lstm", "dilated_cnn", "clockwork_rnn")

FAMILY = Kind(
    word="family",
    label="family",
    group="drnn_bench.models",
    base="drnn_bench.models.architecture.Architecture",
    needs=(
        "summary", "depth or layers", "period", "paths", "recurrent_edges_per_node",
        "sequential_steps", "network",
    ),
    built_in=FAMILIES,
    reserved=("all", *GROUPS),
)  # fmt: skip
