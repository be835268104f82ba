"""The metrics that come with drnn_bench. Adding one is one class and one line here."""

from __future__ import annotations

from drnn_bench.plugins.kinds import Kind

# name -> (module of this folder, class)
METRICS = {
    "accuracy": ("classes", "Accuracy"),
    "balanced_accuracy": ("classes", "BalancedAccuracy"),
    "macro_f1": ("classes", "MacroF1"),
    "auroc": ("ranking", "AUROC"),
    "cross_entropy": ("likelihood", "CrossEntropy"),
    "perplexity": ("likelihood", "Perplexity"),
    "bits_per_character": ("likelihood", "BitsPerCharacter"),
    "mse": ("real", "MSE"),
    "rmse": ("real", "RMSE"),
    "mae": ("real", "MAE"),
    "r2": ("real", "R2"),
    "mase": ("real", "MASE"),
    "pinball": ("real", "Pinball"),
}

METRIC = Kind(
    word="metric",
    label="name",
    group="drnn_bench.metrics",
    base="drnn_bench.metrics.metric.Metric",
    needs=("unit", "direction", "takes", "statistics", "value or of_totals", "guess"),
    built_in=METRICS,
)
