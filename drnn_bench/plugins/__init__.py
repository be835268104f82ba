"""Tasks, families and cells that a user brings: Python files, entry points of installed packages.

A file is named by `bench --plugin FILE` or by the variable DRNN_BENCH_PLUGINS (absolute paths,
separated as in PATH), which trainers inherit. Every class in it that is a task, a family
a metric or a cell counts, unless its name begins with _. All files are read before a name is looked
up.

A package names its classes under the entry points `drnn_bench.tasks`, `drnn_bench.models`,
`drnn_bench.metrics` and `drnn_bench.cells`, `name = "module:Class"`. Such a class is imported when
its name is asked for, not before: a broken package harms nothing else.

A name stands for one class. A plug-in cannot take a name that comes with drnn_bench.

    lookup        the entrances: a class by its name, all names
    kinds         the kinds of class (task, family, metric, cell), and what each must define
    files         the classes of plug-in files
    entry_points  the classes of installed packages
    new           writes a file to begin with, from a template
    foreign_code  runs code that is not ours: its output, its errors, Ctrl-C

May import errors and system; knows no task, model or metric.
"""

from drnn_bench.plugins.files import Loader, source_file
from drnn_bench.plugins.kinds import Extension, Kind
from drnn_bench.plugins.lookup import (
    VARIABLE,
    find,
    find_unchecked,
    names,
    names_in,
    overruled,
    plugin,
)

__all__ = [
    "VARIABLE",
    "Extension",
    "Kind",
    "Loader",
    "find",
    "find_unchecked",
    "names",
    "names_in",
    "overruled",
    "plugin",
    "source_file",
]
