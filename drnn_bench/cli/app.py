"""Puts the commands together, and turns what they raise into lines and exit codes.

Heavy imports stay inside the commands that need them.
"""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from drnn_bench import __version__
from drnn_bench.cli.boards import compare, leaderboard
from drnn_bench.cli.check import check
from drnn_bench.cli.describe import describe
from drnn_bench.cli.doctor import doctor
from drnn_bench.cli.examples import epilog
from drnn_bench.cli.export import export
from drnn_bench.cli.ls import ls
from drnn_bench.cli.measure import measure
from drnn_bench.cli.new import new
from drnn_bench.cli.options import say_error
from drnn_bench.cli.replay import replay
from drnn_bench.cli.report import report
from drnn_bench.cli.run import run
from drnn_bench.cli.status import status
from drnn_bench.errors import Interrupted, JobError, UserError, out_of_memory
from drnn_bench.system import streams
from drnn_bench.system.collector import collect_rarely

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Architecture search and benchmarks for long-sequence models under parameter budgets.",
)

# Errors of a path that the user gave: exit code 2. Other errors of a file are the machine's: 1.
_PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
          errno.EACCES, errno.EPERM, errno.EROFS)  # fmt: skip


def _print_version(asked: bool) -> None:
    if asked:
        print(f"bench {__version__}")
        raise typer.Exit


@app.callback()
def everywhere(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)] = False,
    plugin: Annotated[list[str] | None, typer.Option(help="A Python file with tasks, families or cells of yours.")] = None,
) -> None:  # fmt: skip
    """Options that come before the command."""
    from drnn_bench import plugins

    for path in plugin or ():
        plugins.plugin(path)


for command in (
    run, leaderboard, compare, describe, measure, report, export, replay, status, new, check, doctor,
):  # fmt: skip
    app.command(epilog=epilog(command.__name__))(command)
app.add_typer(ls, name="ls")


def main() -> None:
    """The console script: a user's mistake is one line and exit 2, ours is a traceback."""
    streams.guard()
    collect_rarely()
    code = _command(sys.argv[1:] or ["--help"])
    unread = streams.lost()
    if unread:
        say_error(f"{unread}: what was printed is lost, what was written to files is not")
    sys.exit(code or (1 if unread else 0))


def _command(words: list[str]) -> int:
    """Runs one command; its exit code."""
    try:
        for word in words:  # no option, name or path of any command is empty
            if word == "" or (word.startswith("--") and word.endswith("=")):
                raise UserError(f"{word!r} is an empty value: leave it out for the default")
        code = app(args=words, standalone_mode=False)
        if code == 130:  # how typer hands on an interruption that nobody took
            say_error("stopped")
        return code or 0
    except Interrupted as stopped:
        say_error(str(stopped))
        return stopped.code
    except typer.TyperException as error:  # a word of the command line that typer refuses
        said = " ".join(error.format_message().split())
        if said.startswith("No such option: --plugin"):
            said = "--plugin stands before the command: bench --plugin FILE run ..."
        say_error(said + " (--help shows what there is)")
        return error.exit_code
    except UserError as error:
        say_error(str(error))
        return 2
    except JobError as error:
        say_error(str(error))
        return 1
    except typer.Abort:
        say_error("not started")
        return 130
    except Exception as error:
        reason = out_of_memory(error)
        if reason is not None:
            say_error(reason)
            return 1
        if not isinstance(error, OSError) or error.filename is None:
            raise
        say_error(f"{error.filename}: {error.strerror}")  # nobody nearer knew what it was for
        return 2 if error.errno in _PATHS else 1
