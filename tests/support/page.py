"""docs/extending.md: the files and the commands on it."""

from __future__ import annotations

import re

from tests.support.command import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


# "Save it as `tone.py`:", and the block that follows.
FILES = dict(re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))


COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
