"""How a test types a command: the checkout, the environment of its processes, the words."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

# No test reaches the hub, nor the user's cache of it. `datasets` reads both when imported.
HF_HOME = tempfile.TemporaryDirectory(prefix="hf-")
os.environ |= {"HF_HOME": HF_HOME.name, "HF_HUB_OFFLINE": "1"}

ENV = {**os.environ, "COLUMNS": "80"}


def command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "bench.py"), *map(str, words)]
