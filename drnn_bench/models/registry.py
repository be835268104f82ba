"""The families by name: those of `names`, and those of plug-ins."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from drnn_bench import plugins
from drnn_bench.errors import UserError, nearest
from drnn_bench.models.names import FAMILIES, FAMILY, GROUPS
from drnn_bench.results.codec import from_json

if TYPE_CHECKING:
    from drnn_bench.models.architecture import Architecture
    from drnn_bench.tasks.task import Task


class TooFar(UserError):
    """An edge crosses more steps than any sequence may have."""


def family_names() -> list[str]:
    """The built-in families, then those of plug-ins."""
    return [*FAMILIES, *plugins.names(FAMILY)]


def group_of(family: str) -> str | None:
    """The group of a family; None for a plug-in's that states none."""
    for group, families in GROUPS.items():
        if family in families:
            return group
    return architecture_type(family).family_group


def families_of(words: Iterable[str]) -> list[str]:
    """The families that words of the command line mean: `all`, groups and names, each family once.

    Raises UserError for a word that is none of these.
    """
    families: list[str] = []
    for word in words:
        if word == "all":
            families += family_names()
        elif word in GROUPS:
            families += [name for name in family_names() if group_of(name) == word]
        elif word in family_names():
            architecture_type(word)  # raises where a plug-in is broken
            families.append(word)
        else:
            known = nearest(word, [*family_names(), *GROUPS, "all"])
            raise UserError(
                f"unknown family {word!r}: {known}; one of your own needs its file: "
                "bench --plugin FILE"
            )
    return list(dict.fromkeys(families))


def architecture_type(family: str) -> type[Architecture]:
    """The class of a family's architectures. Raises UserError for an unknown family."""
    of_plugin = plugins.find(FAMILY, family)
    if of_plugin is not None:
        return of_plugin
    if family not in FAMILIES:
        raise UserError(
            f"unknown family {family!r}: {nearest(family, family_names())}; one of your own needs "
            "its file: bench --plugin FILE"
        )
    module, name, _ = FAMILIES[family]
    return getattr(importlib.import_module(f"drnn_bench.models.{module}"), name)


def for_length(options: dict[str, Any], length: int | None) -> dict[str, Any]:
    """The options of a net for sequences of so many steps: `init=chrono` begins with memories of up
    to that length, unless `memory` says otherwise."""
    if options.get("init") == "chrono" and "memory" not in options and length is not None:
        return {**options, "memory": length}
    return options


def make_architecture(
    family: str, *, input_size: int, output_size: int, width: Any, **options: Any
) -> Architecture:
    """The architecture of a named family. Raises UserError naming the bad option, TooFar where its
    longest edge is above LARGEST steps."""
    from drnn_bench.models.architecture import LARGEST, option_types, shortened

    kind = architecture_type(family)
    known = option_types(kind)
    for option in options:
        if option not in known:
            raise UserError(
                f"{family} has no option {option!r}: {nearest(option, [*known, 'width'])}"
            )
    architecture = kind(input_size=input_size, output_size=output_size, width=width, **options)
    longest = architecture.longest_span
    if longest > LARGEST:
        raise TooFar(
            f"{family} {architecture.words}: its largest dilation or period, {shortened(longest)}, "
            f"is above {LARGEST:,} steps"
        )
    return architecture


def restore_architecture(task: Task, family: str, config: dict[str, Any]) -> Architecture:
    """The architecture of a record's config, with the task's sizes."""
    options = from_json(config)
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    return make_architecture(family, **sizes, **options)
