"""What the columns of a table are for: by the user's options, else by their names.

Names count without case, blanks, underscores, hyphens and units: `SampleID`, `sample id` and
`sample_id` are one name, and so are `Time [s]` and `time`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from drnn_bench.errors import UserError
from drnn_bench.formats.files import printable, some
from drnn_bench.formats.options import Options, names_in
from drnn_bench.formats.sequences import TARGETS
from drnn_bench.formats.tables.csv_text import NAMELESS

# In order of preference: beside a series_id an id names rows, beside a step a timestamp is a copy.
THINGS = (
    *("series", "sequence", "seq", "recording", "rec", "trial", "segment", "seg", "window"),
    *("episode", "session", "run", "track", "trajectory", "trip", "case", "instance", "example"),
    *("experiment", "measurement", "sample", "unit", "file"),
)
PERSONS = (
    *("subject", "subj", "participant", "patient", "user", "person", "speaker", "animal"),
    *("device", "machine", "engine", "vehicle", "customer", "account", "station"),
)
ENDS = ("id", "no", "nr", "num", "number", "index", "idx", "name")
IDS = (
    *(thing + "id" for thing in THINGS),
    *(thing for thing in THINGS if thing not in ("sample", "unit", "file")),
    *("id", "uid", "uuid", "guid", "key"),
    *("sample", "unit", "file", "filepath"),
    *(thing + end for end in ENDS[1:] for thing in THINGS if thing + end != "sampleindex"),
    *(who + end for who in PERSONS for end in ("id", "", *ENDS[1:])),
)
UNITS = ("s", "ms", "us", "ns", "sec", "secs", "seconds", "min", "minutes", "h", "hours")
TIMES = (
    *("time", "timestep", "timesteps", "timeindex", "timeidx", "timepoint"),
    *("step", "stepid", "stepindex", "stepno", "t", "frame", "frameid", "frameindex"),
    *("framenumber", "frameno", "sampleindex", "tick", "ticks", "cycle", "cycles", "timeincycles"),
    *("timestamp", "timestamps", "datetime", "unixtime", "epochtime", "elapsed", "elapsedtime"),
    *("localtime", "utctime", "utc", "clock", "seconds", "milliseconds", "ts"),
    *(word + unit for word in ("time", "timestamp", "elapsed") for unit in UNITS),
    *("tms", "tus", "tns", "tsec"),
    "date",
)
COUNTERS = (
    *("index", "idx", "row", "rowid", "rowindex", "rownumber", "rownum", "rowno", "nr", "num"),
    *("number", "record", "recordid", "recordnumber", "entry", "entryid", "linenumber"),
    *("fold", "foldid", "cvfold", "kfold"),
)
SPLITS = ("split", "datasplit", "subset", "partition")
LABELS = (*TARGETS, "classlabel", "classid", "classname", "targetlabel", "labelid", "labelname")
INDEX = re.compile(r"Unnamed: 0(\.\d+)*|__index_level_\d+__", re.IGNORECASE)  # pandas', saved


@dataclass(frozen=True)
class Roles:
    """Columns by what they are for; None or empty where there is none."""

    targets: tuple[str, ...]  # one, but where they are real numbers
    real: bool  # whether they are
    split: str | None
    id: tuple[str, ...]  # of which sequence a row is; several say it together
    time: str | None
    group: str | None
    data: tuple[str, ...]  # steps or channels, in the order of the file
    spare: tuple[str, ...]  # named as ids and times are, and not chosen
    ignored: tuple[tuple[str, str], ...]  # never read, each with the reason
    named_by_user: tuple[str, ...]  # those that the user named by an option

    @property
    def target(self) -> str:
        """The first of the targets."""
        return self.targets[0]

    @property
    def text(self) -> list[str]:
        """The columns whose values are read as text, so that 007 is not 7."""
        ids = (*self.id, *(name for name in self.spare if is_id_name(name)))
        labels = () if self.real else self.targets
        names = (*labels, self.split, self.group, *ids)
        return [*dict.fromkeys(name for name in names if name)]


def canonical(name: str) -> str:
    """A name without case, separators and a unit in brackets."""
    return re.sub(r"[\W_]+", "", re.sub(r"[(\[].*?[)\]]", "", name)).casefold()


def roles_of(
    path: Path,
    names: Sequence[str],
    options: Options,
    lists: Collection[str] = (),
    index: Collection[str] = (),
) -> Roles:
    """The roles of the columns `names`, of which `lists` hold lists and `index` are pandas' index.
    Raises UserError where an option names no column, and where the labels are not clear."""
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{path}: two columns are called {twice!r}; rename one")
    if odd := next((name for name in names if not name.isprintable()), None):
        raise UserError(f"{path}: a column is called {odd[:40]!r}; rename it without the escapes")
    chosen = _chosen(path, names, options)
    named_by_user = {name for column in chosen.values() for name in column}
    ignored = [(name, "ignore") for name in chosen["ignore"]]
    ignored += [
        (name, "an index")
        for name in names
        if name not in named_by_user and (name == NAMELESS or INDEX.fullmatch(name))
    ]
    left = [name for name in names if name not in {name for name, _ in ignored}]
    targets = chosen["target"] or (_target(path, left, names, named_by_user, lists),)
    left = [name for name in left if name not in targets]
    group = next(iter(chosen["group"]), None)
    free = {}  # canonical -> the first column called so, of those that no option names
    for name in left:
        if name not in named_by_user and name not in lists:
            free.setdefault(canonical(name), name)
    split = next((free.pop(name) for name in SPLITS if name in free), None)
    id_ = chosen["id"] or tuple(free[name] for name in IDS if name in free)[:1]
    time = next(iter(chosen["time"]), None)
    time = time or next((free[name] for name in TIMES if name in free), None)
    used = {split, time, group, *id_}
    named_so = [n for n in left if n not in (*lists, *used) and canonical(n) in {*IDS, *TIMES}]
    data = [name for name in left if name not in (*used, *named_so)]
    ignored += [(name, "an index") for name in data if name in index]
    return Roles(
        targets=targets,
        real=options.real,
        split=split,
        id=id_,
        time=time,
        group=group,
        data=tuple(name for name in data if name not in index),
        spare=tuple(named_so),
        ignored=tuple(ignored),
        named_by_user=tuple(named_by_user),
    )


def counts_by_name(name: str) -> bool:
    """Whether a column counts or numbers rows, by its name."""
    return canonical(name) in COUNTERS


def is_id_name(name: str) -> bool:
    return canonical(name) in IDS


def _chosen(path: Path, names: Sequence[str], options: Options) -> dict[str, tuple[str, ...]]:
    """The columns that each option names."""
    one = () if options.target is None else (options.target,)
    chosen = {
        "target": _several(options.target, names) if options.real else one,
        "id": _several(options.id, names),
        "time": () if options.time is None else (options.time,),
        "group": () if options.group is None else (options.group,),
        "ignore": _several("+".join(options.ignore), names),
    }
    for option, columns in chosen.items():
        for name in columns:
            if name not in names:
                of = "" if option == "target" else f" ({option}={name})"
                raise UserError(f"{path}: no column {name!r}{of}; there are: {some(names, 20)}")
    for first, second in (
        *(("ignore", other) for other in ("target", "id", "time", "group")),
        *(("target", other) for other in ("id", "time", "group")),
        *(("time", other) for other in ("id", "group")),
    ):
        if both := set(chosen[first]) & set(chosen[second]):
            name = both.pop()
            raise UserError(f"{path}: {first} and {second} both name {name!r}; leave it to one")
    return chosen


def _several(text: str | None, names: Collection[str]) -> tuple[str, ...]:
    """The columns in `A+B`, where a column's own name may have a plus in it."""
    columns, words = [], list(names_in(text))
    while words:
        ends = [end for end in range(len(words), 0, -1) if "+".join(words[:end]) in names]
        end = ends[0] if ends else 1
        columns.append("+".join(words[:end]))
        del words[:end]
    return tuple(columns)


def _target(
    path: Path,
    left: Sequence[str],
    names: Sequence[str],
    named_by_user: Collection[str],
    lists: Collection[str],
) -> str:
    beside_x = any(canonical(name) == "x" and name not in lists for name in left)
    could = [name for name in left if canonical(name) in LABELS and name not in named_by_user]
    could = [name for name in could if canonical(name) != "y"] or could  # x, y, z are channels
    if len(could) == 1 and canonical(could[0]) == "y" and beside_x:
        raise UserError(
            f"{path}: {could[0]!r} may be the labels, or a coordinate beside x; say which with "
            f"target={printable(could[0])} or target=NAME; there are: {some(names, 20)}"
        )
    if len(could) != 1:
        what = f"columns {some(could)} could all be the labels" if could else "no column of labels"
        raise UserError(f"{path}: {what}; name it with target=NAME; there are: {some(names, 20)}")
    return could[0]
