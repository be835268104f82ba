"""Some examples of each command, which its help shows last."""

from __future__ import annotations

EXAMPLES = {
    "run": (
        "bench run --task pixel_mnist --trials 100",
        "bench run --task own:path=sensors.csv,target=label --family all --steps 500",
    ),
    "leaderboard": (
        "bench leaderboard --task pixel_digits",
        "bench leaderboard --format markdown --output board.md",
    ),
    "compare": (
        "bench compare --task pixel_digits",
        "bench compare --runs-dir leaderboards --base gru",
    ),
    "describe": (
        "bench describe dilated_rnn cell=gru depth=9 --task pixel_mnist --budget 20k",
        "bench describe lstm depth=1 width=64 --task copy_memory:T=1000 --json",
    ),
    "measure": (
        "bench measure dilated_rnn lstm gru --budget 20k",
        "bench measure lstm:width=64 tcn:width=32 --lengths 256,1024 --batches 1,128",
    ),
    "report": (
        "bench report",
        "bench report --runs-dir leaderboards --output boards.html",
    ),
    "export": (
        "bench export --output net",
        "bench export --rank 2 --task pixel_digits --budget 5k --output second",
        "bench export --format onnx --output net",
    ),
    "replay": (
        "bench replay 3f2a",
        "bench replay 3f2a --runs-dir leaderboards --data-dir mnist",
    ),
    "status": ("bench status", "bench status --storage postgresql://host/studies --json"),
    "new": ("bench new task my_sensors", "bench new cell my_cell"),
    "check": ("bench check my_sensors.py", "bench check my_sensors.py --data-dir data"),
    "doctor": ("bench doctor", "bench doctor --json"),
}


def epilog(command: str) -> str:
    """Below a command's options. An empty line keeps each example on a line of its own."""
    return "\n\n".join(["Examples:", *EXAMPLES[command]])
