"""Writes a file of a user's own from a template.

The templates of a kind lie in the folder `templates/WORD`, where WORD is the kind's word. Each of
its files is written, `NAME` in the file's name replaced.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from drnn_bench.errors import UserError
from drnn_bench.plugins.kinds import Kind, is_name

FOLDER = Path(__file__).parent / "templates"


def write_new(kind: Kind, name: str, folder: Path) -> list[Path]:
    """Writes the templates of a kind under a name, and gives the files, the Python file first.

    Raises UserError where the name cannot be taken or a file is there already.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = FOLDER / kind.word
    _check_name(kind, name, templates)
    values = {"name": name, "class_name": _class_name(name)}
    environment = Environment(  # what is written is Python and TOML, and the name is checked
        loader=FileSystemLoader(templates), undefined=StrictUndefined, keep_trailing_newline=True,
        autoescape=False,
    )  # fmt: skip
    texts = {
        folder / path.name.removesuffix(".jinja").replace("NAME", name):
            environment.get_template(path.name).render(values)
        for path in sorted(templates.glob("*.jinja"))
    }  # fmt: skip
    for path in texts:
        if path.exists() or path.is_symlink():
            raise UserError(f"{path} is there already, and nothing is overwritten")
    for path, text in texts.items():
        with path.open("x", encoding="utf-8") as file:  # never one that came since
            file.write(text)
    return list(texts)


def _check_name(kind: Kind, name: str, templates: Path) -> None:
    if not is_name(name):
        raise UserError(f"{kind.word} {name!r}: a name is lower-case letters, digits and _")
    if name in kind.reserved:
        raise UserError(f"{kind.word} {name!r}: this word means several; take another name")
    if name in kind.built_in:
        raise UserError(f"{name!r} is a {kind.word} of drnn_bench's own; take another name")
    used = re.findall(r"\w+", (templates / "NAME.py.jinja").read_text(encoding="utf-8"))
    if keyword.iskeyword(_class_name(name)) or _class_name(name) in used:
        raise UserError(f"{kind.word} {name!r}: the template uses this name; take another")


def _class_name(name: str) -> str:
    """leaky_rnn -> LeakyRnn."""
    return "".join(word.capitalize() for word in name.split("_"))
