"""The kinds of class that a plug-in may define, and what a class of a kind must have."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

from drnn_bench.errors import UserError


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of class that a plug-in may define.

    word      how errors call it: task, family, cell
    label     the class attribute that holds the name of such a class
    group     the entry points of installed packages
    base      the dotted name of the base class
    needs     what a class must define, since the base does not; `a or b`: one of the two
    built_in  the names that come with drnn_bench
    reserved  words of the command line, which are no names
    """

    word: str
    label: str
    group: str
    base: str
    needs: tuple[str, ...]
    built_in: Mapping[str, Any]
    reserved: tuple[str, ...] = ("all",)


@dataclass(frozen=True)
class Extension:
    """Base of the classes that a plug-in may define; their fields are options of the user's. The
    base class of a kind (a task, a family, a cell) has `kind_of_extension = Kind(...)`."""

    kind_of_extension: ClassVar[Kind]

    @classmethod
    def check_class(cls, where: str) -> None:
        """Raises UserError where an attribute of a class has a value that its kind does not allow.
        `where` is how the message calls the class."""


def check(cls: type[Extension], where: str) -> None:
    """Raises UserError where a class lacks what every class of its kind has."""
    kind = cls.kind_of_extension
    base = next(c for c in cls.__mro__ if "kind_of_extension" in vars(c))
    where = f"{where}: class {cls.__name__}"
    if kind.label not in vars(cls):
        raise UserError(f'{where} lacks {kind.label} = "..." (a base class begins with _)')
    if "__dataclass_fields__" not in vars(cls):
        raise UserError(f"{where} lacks the line @dataclass(frozen=True, kw_only=True) above it")
    lacking = [
        member
        for member in kind.needs
        if not any(_overrides(cls, base, name) for name in member.split(" or "))
    ]
    if lacking:
        raise UserError(f"{where} lacks {', '.join(lacking)}")
    name = getattr(cls, kind.label)
    if not is_name(name):
        raise UserError(
            f"{where}: {kind.label} = {name!r} must be lower-case letters, digits and _"
        )
    if name in kind.reserved:
        words = ", ".join(kind.reserved)
        raise UserError(f"{where}: {kind.label} = {name!r} must be none of {words}")
    inherited = {field.name for field in dataclasses.fields(base)}
    for field in dataclasses.fields(cls):
        if field.name in (kind.label, "version", "summary", "metric"):
            raise UserError(f"{where}: {field.name} is no option: write it without `: type`")
        has_default = field.default is not MISSING or field.default_factory is not MISSING
        if not has_default and field.name not in inherited:
            raise UserError(f"{where}: option {field.name} needs a default")
    _check_spelling(cls, base, where)
    cls.check_class(where)


def _check_spelling(cls: type, base: type, where: str) -> None:
    """Raises UserError for a name that is nearly that of a fact of the kind: nobody would read it.
    A class may have other names of its own, and options of any name."""
    facts = [
        name
        for of in base.__mro__
        for name in (*vars(of).get("__annotations__", ()), *vars(of))
        if not name.startswith("_")
    ]
    options = {field.name for field in dataclasses.fields(cls)}
    for name in vars(cls).keys() - options:
        near = get_close_matches(name, facts, n=1, cutoff=0.9)
        misspelt = near and name not in facts and len(name) >= 8
        if misspelt and name.islower() and not name.startswith("_"):
            raise UserError(f"{where}: {name} is unknown; did you mean {near[0]}?")


def is_name(name: Any) -> bool:
    """Whether a class may have this name: lower-case letters, digits and _."""
    return isinstance(name, str) and bool(re.fullmatch(r"[a-z]\w*", name, re.ASCII))


def _overrides(cls: type, base: type, name: str) -> bool:
    """Whether a class has a member that its base lacks or leaves open."""
    return getattr(cls, name, MISSING) is not getattr(base, name, MISSING)
