"""Records -> the ranked groups of a board. Computed from rows alone: no model, no torch.

Rows are ranked within a group: same task, version, data, budget, steps and protocol. Within it a
family stands once for each sampler, space and recipe; searches that differ in their seed only are
one line (see `searches`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from drnn_bench.errors import UserError, nearest
from drnn_bench.results.board_line import GROUP, BoardGroup, BoardLine, place
from drnn_bench.results.search_worth import worth
from drnn_bench.results.searches import identity, merge, merge_samples
from drnn_bench.results.significance import (
    Sample,
    paired_told_apart,
    rank_intervals_of,
    told_apart,
)
from drnn_bench.results.speeds import shown_speeds
from drnn_bench.results.study_lines import gain, make_line, sample_of, study_rows

Row = dict[str, Any]


def rank_rows(rows: list[Row], base: str = "lstm") -> list[BoardGroup]:
    """One line for each search, ranked within its group; `speed_ratio` is to the family `base`.

    `rows` are as `records.read` gives them. Groups are in the order of `place`. Empty where no row
    is that of a study.
    """
    studies = study_rows(rows)
    speeds = shown_speeds(studies, rows)
    lines = [make_line(study, rows, base, *speeds[digest]) for digest, study in studies.items()]
    if any("plugins" in study for study in studies.values()):
        lines = [replace(x, plugins=studies[x.study].get("plugins", {})) for x in lines]
    lines = [_over_random(line, lines, studies) for line in lines]
    same: dict[tuple, list[BoardLine]] = {}
    for line in lines:
        key = identity(studies[line.study]), *BoardGroup((line,)).key
        same.setdefault(key, []).append(line)
    samples: dict[str, Sample] = {}
    groups: dict[tuple, list[BoardLine]] = {}
    for twins in same.values():
        line = merge(twins)
        samples[line.study] = merge_samples([sample_of(twin, rows) for twin in twins if twin.n])
        groups.setdefault(BoardGroup((line,)).key, []).append(line)
    keys = sorted(groups, key=place)
    return [_rank(groups[key], _differences(key, keys), samples) for key in keys]


def select(
    groups: Sequence[BoardGroup],
    *,
    task: str | None = None,
    family: str | None = None,
    budget: int | None = None,
    where: str = "runs",
) -> list[BoardGroup]:
    """The lines of a task (by name, or with its options), a family, a budget (parameters).

    Ranks stay as they are. Raises UserError where no line is left; `where` names the folder.
    """
    if not groups:
        raise UserError(f"nothing has been run yet in {where}: `bench run` first")
    selected = list(groups)
    if task is not None:
        chosen = [x for x in selected if task in (x.task, x.task.split(":")[0])]
        selected = chosen or _refuse("task", task, {x.task for x in selected}, where)
    if family is not None:
        chosen = [_filtered(x, lambda line: line.family == family) for x in selected]
        known = {line.family for x in selected for line in x.lines}
        selected = [x for x in chosen if x.lines] or _refuse("family", family, known, where)
    if budget is not None:
        chosen = [x for x in selected if x.budget == budget]
        selected = chosen or _refuse("budget", budget, {x.budget for x in selected}, where)
    return selected


def _filtered(group: BoardGroup, keep: Callable[[BoardLine], bool]) -> BoardGroup:
    return replace(group, lines=tuple(line for line in group.lines if keep(line)))


def _refuse(name: str, value: str | int, known: set[Any], where: str) -> NoReturn:
    words = nearest(str(value), [str(x) for x in sorted(known)])
    raise UserError(f"no results for {name} {value!r} in {where}: {words}")


def _differences(key: tuple, keys: list[tuple]) -> list[str]:
    """How each other group of the same task differs from this one, in words."""
    words = {
        "task_version": "task version {}",
        "data_hash": "data {}",
        "budget": "{:,} parameters",
        "steps": "{:,} steps",
        "protocol": "protocol {}",
    }
    differences = []
    for other in keys:
        if other[0] == key[0] and other != key:
            pairs = zip(GROUP, key, other, strict=True)
            differences.append(", ".join(words[name].format(b) for name, a, b in pairs if a != b))
    return differences


def _over_random(line: BoardLine, lines: list[BoardLine], studies: dict[str, Row]) -> BoardLine:
    """With what its search is worth against random draws."""
    if line.protocol == 1:
        return replace(line, gain_over_random=_test_gain_over_random(line, lines, studies))
    found = worth(studies[line.study], list(studies.values()))
    if found is None:
        return line
    return replace(
        line,
        gain_over_random=found.gain,
        random_trials=found.trials,
        gain_at_seconds=found.gain_at_seconds,
        random_seconds=found.seconds,
    )


def _test_gain_over_random(
    line: BoardLine, lines: list[BoardLine], studies: dict[str, Row]
) -> float | None:
    """Of protocol 1: test mean over that of a random search of the same family, space and recipe
    under the same conditions: the one with the most trials, where there are several."""

    def conditions(x: BoardLine) -> tuple:
        return BoardGroup((x,)).key, x.family, x.recipe, studies[x.study]["space"]

    random = [x for x in lines if x.sampler == "random" and x.n]
    random = [x for x in random if conditions(x) == conditions(line)]
    if line.sampler == "random" or not random:
        return None
    most = max(random, key=lambda x: (x.done, x.study))
    return gain(line.direction, line.test_mean, most.test_mean)


def _rank(lines: list[BoardLine], apart: list[str], samples: dict[str, Sample]) -> BoardGroup:
    """Best first, with rank intervals; lines without finals last and without a rank."""
    direction = lines[0].direction
    sign = -1 if direction == "max" else 1
    names = _search_names(lines)
    lines = [replace(x, apart=apart, search=names[x.study]) for x in lines]
    means = {x.study: sign * x.test_mean for x in lines if x.test_mean is not None}
    tested = [x for x in lines if x.study in means]
    tested.sort(key=lambda x: (means[x.study], x.study))
    others = [x for x in lines if x.study not in means]
    others.sort(key=lambda x: (sign * x.validation_best, x.study))
    pairs = _told_apart(tested, samples)
    ranks = rank_intervals_of(pairs, len(tested))
    ranked = [
        replace(x, rank_low=low, rank_high=high)
        for (low, high), x in zip(ranks, tested, strict=True)
    ]
    studies = frozenset((tested[i].study, tested[j].study) for i, j in pairs)
    return BoardGroup((*ranked, *others), studies)


def _told_apart(tested: list[BoardLine], samples: dict[str, Sample]) -> list[tuple[int, int]]:
    """The pairs of lines that are told apart, the better first. Protocol 1 knew seeds alone, and no
    margin."""
    if not tested:
        return []
    first = tested[0]
    if first.protocol == 1:
        return told_apart([line.tests for line in tested], first.direction)
    known = [samples[line.study] for line in tested]
    return paired_told_apart(known, first.direction, first.margin)


def _search_names(lines: list[BoardLine]) -> dict[str, str | None]:
    """By study, what tells the searches of a family apart; None where it has only one."""
    families = Counter(x.family for x in lines)
    codes: dict[str, set[str]] = {}
    for line in lines:
        codes.setdefault(line.family, set()).add(_code_words(line))
    names: dict[str, str | None] = {}
    for line in lines:
        name = f"{line.sampler}, {line.pruner}, seed {line.search_seed}"
        if len(codes[line.family]) > 1:
            name += f", code {_code_words(line) or 'not recorded'}"
        names[line.study] = name if families[line.family] > 1 else None
    return names


def _code_words(line: BoardLine) -> str:
    """The hashes of the plug-ins that a line's task and family come from."""
    return " ".join(code["sha256"][:8] for _, code in sorted(line.code.items()))
