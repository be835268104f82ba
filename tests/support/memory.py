"""A command with little memory."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

from tests.support.command import ENV, command


def limited(tmp_path: Path, *words: str) -> subprocess.CompletedProcess:
    """`bench ...` where a process may have 3 GiB of addresses."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30,) * 2)

    return subprocess.run(
        command(*words), cwd=tmp_path, env=ENV, text=True, capture_output=True, preexec_fn=limit
    )
