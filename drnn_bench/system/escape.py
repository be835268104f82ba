"""Text on its way to a reader: one function for each target.

Names come from outside: of files, columns, classes, plug-ins, and whatever stands in a record that
somebody else wrote. None of them may move the cursor, colour or reorder a line, break a table,
become markup, or run as a command when it is pasted.

    plain     a line of a terminal, a log or an error
    rich      a line or cell that rich prints
    markdown  a cell or sentence of Markdown
    html      an HTML page
    shell     a command to paste
    file_name the name of a file
"""

from __future__ import annotations

import re
import shlex
from hashlib import sha256
from html import escape as _escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

# Control characters, line separators, overrides of the writing direction, lone surrogates (bytes of
# a file name that are no UTF-8). Marks that Arabic or Persian words need are not among them.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST_NAME = 120  # bytes; file systems allow 255
# A bracket makes a link only where it is closed before one of these.
_MARKUP = re.compile(r"[\\`*<>|~$]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")


def plain(text: object) -> str:
    """One line that shows what it holds: an escape character is `\\x1b`, a line end `\\n`."""
    return _HARMFUL.sub(lambda match: repr(match[0])[1:-1], str(text))


def rich(text: object, style: str = "") -> Text:
    """The same for rich, which would read `[red]` in a string as markup."""
    from rich.text import Text

    return Text(plain(text), style=style)


def markdown(text: object) -> str:
    return _MARKUP.sub(
        lambda match: {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(match[0], f"\\{match[0]}"),
        plain(text),
    )


def html(text: object, quote: bool = True) -> str:
    return _escape(plain(text), quote)


def shell(*words: object) -> str:
    """A command that gives a POSIX shell exactly these words, on one line."""
    return " ".join(map(_word, map(str, words)))


def file_name(name: str) -> str:
    """copy_memory:T=500 -> copy_memory-T=500. One that no file could have, or that would leave no
    room for what is put around it, is cut and ends in a hash of the whole."""
    usual = name.replace(":", "-").replace(",", "-").replace("/", "_")
    safe = re.sub(r'["\\]', "_", _HARMFUL.sub("_", usual))
    short = safe.encode()[:LONGEST_NAME].decode(errors="ignore")
    if short == usual:
        return usual
    return f"{short}-{sha256(name.encode(errors='backslashreplace')).hexdigest()[:8]}"


def _word(word: str) -> str:
    if not _HARMFUL.search(word):
        return shlex.quote(word)
    # $'...' writes what a terminal must not be shown.
    quoted = re.sub(r"[\\']", r"\\\g<0>", word)
    hidden = _HARMFUL.sub(lambda match: "".join(map(r"\{:03o}".format, _bytes(match[0]))), quoted)
    return f"$'{hidden}'"


def _bytes(character: str) -> bytes:
    try:
        return character.encode("utf-8", "surrogateescape")  # as it came from a file name
    except UnicodeEncodeError:
        return character.encode("utf-8", "surrogatepass")
