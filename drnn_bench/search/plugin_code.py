"""Which code of a plug-in a result came from: a hash of its source, in rows and search identities.

A name says little: the file behind it may have been edited since. So a search of a plug-in's task,
metric, family or cell is one of that code; another code is another search, said when it begins, and
its rows stand beside the earlier ones under their own hash. Restoring the file continues the
earlier search.

A plug-in's code is its file, or every Python file of the package that an entry point belongs to:
`{"file": name, "sha256": 16 digits}` or `{"package": name, "sha256": ...}`. Never a path.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from drnn_bench import plugins
from drnn_bench.cells.names import CELL
from drnn_bench.errors import UserError
from drnn_bench.metrics.names import METRIC
from drnn_bench.models.names import FAMILY
from drnn_bench.tasks.names import TASK
from drnn_bench.tasks.registry import task_type

Code = dict[str, str]
KINDS = {"task": TASK, "family": FAMILY, "metric": METRIC}


def codes(task: str, family: str, cells: Iterable[str] = ()) -> dict[str, Code]:
    """The code of a task (its name, options may follow), of its metric, of a family and of cells,
    of those that are brought by a plug-in; that of a cell under `cell NAME`. Raises UserError where
    one of them is unknown or broken."""
    by_kind = {}
    for word, name in _names(task, family).items():
        kind = plugins.find(KINDS[word], name) if name else None
        if kind is not None:
            by_kind[word] = _code(kind)
    for name in cells:
        kind = plugins.find(CELL, name)
        if kind is not None:
            by_kind[f"cell {name}"] = _code(kind)
    return by_kind


def _names(task: str, family: str) -> dict[str, str]:
    """What a search names, by kind. A metric that is a property of the task is not one of these."""
    name = task.partition(":")[0]
    metric = task_type(name).metric if name else ""
    return {"task": name, "family": family, "metric": metric if isinstance(metric, str) else ""}


def changes(known: dict[str, Code], task: str, family: str) -> list[str]:
    """A line on each plug-in whose code is another here than it was. `known`: what `codes` gave."""
    cells = [word.removeprefix("cell ") for word in known if word.startswith("cell ")]
    lines, here = [], codes(task, family, cells) if known else {}
    names = _names(task, family) | {"task": task} if known else {}
    for word, then in known.items():
        now = here.get(word)
        if now is None or now["sha256"] != then["sha256"]:
            present = f"has {now['sha256']}" if now else f"brings no {word} here"
            what = f"{word} {names[word]}" if word in names else word
            lines.append(f"{what}: the code of {named(then)} was {then['sha256']} and {present}")
    return lines


def check(known: dict[str, Code], task: str, family: str) -> None:
    """Raises UserError where a plug-in's code is another than that of a search."""
    lines = changes(known, task, family)
    if lines:
        raise UserError(f"{'; '.join(lines)}: with other code it would be another search")


def named(code: Code) -> str:
    return f"plug-in {code['file']}" if "file" in code else f"package {code['package']}"


def needed(code: Code) -> str:
    """What somebody has to do who does not have a plug-in."""
    if "file" in code:
        return f"name the file: bench --plugin {code['file']}, drnn_bench.plugin({code['file']!r})"
    return f"install the package {code['package']}"


def _code(kind: type) -> Code:
    spec = sys.modules[kind.__module__].__spec__
    loader = spec and spec.loader
    if isinstance(loader, plugins.Loader):
        return {"file": Path(loader.path).name, "sha256": loader.sha256[:16]}
    top = sys.modules[kind.__module__.partition(".")[0]]
    if hasattr(top, "__path__"):
        paths = sorted(path for folder in top.__path__ for path in Path(folder).rglob("*.py"))
    else:
        assert top.__file__ is not None, f"{top.__name__} is no file"
        paths = [Path(top.__file__)]
    digest = sha256()
    for path in paths:
        data = path.read_bytes()
        digest.update(f"{path.name} {len(data)} ".encode() + data)
    return {"package": top.__name__, "sha256": digest.hexdigest()[:16]}
