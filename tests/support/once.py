"""What is the same in every test is made once a process: it took a twentieth of their time."""

from __future__ import annotations

import functools

import typer.main
from alembic.config import Config
from alembic.script import ScriptDirectory

_read = ScriptDirectory.from_config


@functools.cache
def _scripts(folder: str | None) -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", folder or "")
    return _read(config)


def make_once() -> None:
    """All commands of the command line, which typer makes for each that is typed; and Optuna's
    scripts of migrations, which it reads at each opening of a storage."""
    typer.main.get_command = functools.cache(typer.main.get_command)
    ScriptDirectory.from_config = staticmethod(
        lambda config: _scripts(config.get_main_option("script_location"))
    )
