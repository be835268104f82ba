"""The tasks that come with drnn_bench. Adding one is one class and one line here."""

from __future__ import annotations

from drnn_bench.plugins import Kind

# name -> (module of this folder, class)
TASKS = {
    "pixel_digits": ("pixels", "PixelDigits"),
    "pixel_mnist": ("pixels", "PixelMNIST"),
    "pixel_mnist_permuted": ("pixels", "PixelMNISTPermuted"),
    "pixel_mnist_noisy": ("pixels", "PixelMNISTNoisy"),
    "adding": ("adding", "Adding"),
    "copy_memory": ("copy_memory", "CopyMemory"),
    "selective_copy": ("selective_copy", "SelectiveCopy"),
    "mqar": ("mqar", "MQAR"),
    "mackey_glass": ("mackey_glass", "MackeyGlass"),
    "char_ptb": ("characters", "CharPTB"),
    "char_text": ("characters", "CharText"),
    "speaker_fsdd": ("speakers", "SpeakerFSDD"),
    "speaker_vctk": ("speakers", "SpeakerVCTK"),
    "own": ("own.task", "Own"),
}
DEFAULT_TASK = "pixel_digits"

TASK = Kind(
    word="task",
    label="name",
    group="drnn_bench.tasks",
    base="drnn_bench.tasks.task.Task",
    needs=(
        "version", "summary", "metric", "scored", "input_size", "output_size", "length",
        "default_budget", "default_steps", "default_trials", "load or read",
    ),
    built_in=TASKS,
)  # fmt: skip
