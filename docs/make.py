"""Makes what the documentation takes from the code and the boards.

    python docs/make.py            writes commands.md, which-net.md, figures/terminal.svg, families/
    python docs/make.py --check    says which of them differ; then exit code 1

commands.md is what typer writes of the command line. which-net.md has the verdict of every
published board on which families compete. The figure is what `bench leaderboard` prints of the
board that README shows. families/ has a page for each family (family_pages.py).
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import family_pages
from published import boards
from rich.console import Console

from drnn_bench.board import verdict
from drnn_bench.board.renderings import verdict_markdown
from drnn_bench.board.terminal import print_board

DOCS = Path(__file__).resolve().parent
TASK, BUDGET = "pixel_digits", 5_000
WHICH_NET = """
# Which net?

Look for the task that is most like yours; then search on your own data, because no board here is
about it: `bench run --task own:path=FILE`. Each paragraph below is computed from a published board:
what to take, what cannot be told apart from it and why you might prefer that, and what is behind. A
board speaks for its task, its budget and its number of training steps only. What a family is, and
where it stands on all boards, is on its page: [families](families/README.md).
"""
# A published task -> what it is like.
LIKE = {
    "pixel_digits": "Short sequences of one channel, a class for each (64 steps)",
    "pixel_mnist": "A picture read row by row, a class for each (784 steps)",
    "pixel_mnist_permuted": "What matters is spread over the whole sequence (784 steps)",
    "copy_memory": "Exact memory over a long delay (520 steps)",
    "char_text": "The next symbol, mostly from what stands near (text)",
    "speaker_fsdd": "Raw sound (1,000 steps)",
    "own": "Few short sequences of several channels, a class for each (up to 29 steps)",
}
EXTERNAL_FONT = re.compile(r"\s*@font-face \{\{.*?\}\}", re.DOTALL)  # a page would fetch it


def commands() -> str:
    """Every command with its options."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "drnn_bench.cli.app", "utils", "docs",
         "--name", "bench", "--title", "Commands"],
        capture_output=True, text=True, check=True, cwd=DOCS.parent,
    )  # fmt: skip
    text = done.stdout.replace("&#x27;", "'")
    text = re.sub(r"\n\nbench ([^\n]+)", r"\n\n    bench \1", text)  # the examples
    return f"{text.strip()}\n"


def terminal() -> str:
    """The board of README at a terminal of 88 columns, as a picture."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    groups = [group for group in boards()[TASK] if group.budget == BUDGET]
    console = Console(record=True, width=88, file=io.StringIO(), force_terminal=True)
    words = f"bench leaderboard --task {TASK} --budget 5k"
    console.print(f"$ {words}", highlight=False)
    print_board(console, groups, verdict.by_board(groups, "leaderboards"))
    return console.export_svg(
        title=words, unique_id="terminal", code_format=EXTERNAL_FONT.sub("", CONSOLE_SVG_FORMAT)
    )


def which_net() -> str:
    """The verdict of every published board, by what the task is like."""
    parts = [WHICH_NET.strip()]
    for name, like in LIKE.items():
        parts.append(f"## {like}")
        for stem in (stem for stem in boards() if re.fullmatch(rf"{name}(-.*)?", stem)):
            verdicts = verdict.by_board(boards()[stem], "leaderboards")
            parts.append(f"`{stem}`: [the boards](../leaderboards/{stem}.md).")
            for group in boards()[stem]:
                where = f"At most {group.budget:,} parameters, {group.steps:,} steps of training:"
                parts.append(f"{where} {verdict_markdown(verdicts[group.key])}")
    return "\n\n".join(parts) + "\n"


MADE = {
    "which-net.md": which_net,
    "commands.md": commands,
    "figures/terminal.svg": terminal,
    **family_pages.made(),
}


def main() -> None:
    different = []
    for name, make in MADE.items():
        path, text = DOCS / name, make()
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            different.append(name)
    for name in different:
        print(f"docs/{name} is not what the code gives: python docs/make.py", file=sys.stderr)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
