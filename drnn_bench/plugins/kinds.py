"""What a plug-in may bring, and what a class must say to be it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar

from drnn_bench.errors import UserError


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of class that a plug-in may bring.

    word     as errors name it: task, family
    label    the class attribute that names such a class
    group    the entry points of installed packages
    base     the dotted name of the base class
    needs    the members that the base class leaves open, `a or b` where either will do
    built_in the names that come with drnn_bench
    """

    word: str
    label: str
    group: str
    base: str
    needs: tuple[str, ...]
    built_in: Mapping[str, Any]


class Extension:
    """Base of all that a plug-in may bring. The base class of a kind (a task, a family) names it:
    `kind_of_extension = Kind(...)`."""

    kind_of_extension: ClassVar[Kind]

    @classmethod
    def check_class(cls, where: str) -> None:
        """Raises UserError where a class says something that no class of its kind may say."""


def base_of(found: type[Extension]) -> type[Extension]:
    """The class that names the kind: its members are those that a plug-in must fill."""
    return next(c for c in found.__mro__ if "kind_of_extension" in vars(c))


def check(found: type[Extension], where: str) -> None:
    """Raises UserError where a class leaves out what every class of its kind has."""
    kind, base = found.kind_of_extension, base_of(found)
    where = f"{where}: class {found.__name__}"
    if kind.label not in vars(found):
        raise UserError(f'{where} lacks {kind.label} = "..." (a base class begins with _)')
    if "__dataclass_fields__" not in vars(found):
        raise UserError(f"{where} lacks the line @dataclass(frozen=True, kw_only=True) above it")
    lacking = [
        need
        for need in kind.needs
        if not any(_defines(found, base, name) for name in need.split(" or "))
    ]
    if lacking:
        raise UserError(f"{where} lacks {', '.join(lacking)}")
    name = getattr(found, kind.label)
    if not (isinstance(name, str) and re.fullmatch(r"[a-z]\w*", name, re.ASCII)) or name == "all":
        raise UserError(
            f"{where}: {kind.label} = {name!r} must be lower-case letters, digits and _"
        )
    inherited = {field.name for field in dataclasses.fields(base)}
    for field in dataclasses.fields(found):
        if field.name in (kind.label, "version", "summary", "metric"):
            raise UserError(f"{where}: {field.name} is no option: write it without `: type`")
        given = field.default is not MISSING or field.default_factory is not MISSING
        if not given and field.name not in inherited:
            raise UserError(f"{where}: option {field.name} needs a default")
    found.check_class(where)


def _defines(found: type, base: type, name: str) -> bool:
    """Whether a class has a member that its base only names."""
    return getattr(found, name, MISSING) is not getattr(base, name, MISSING)
