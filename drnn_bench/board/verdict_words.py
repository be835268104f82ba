"""The sentences of a verdict. Every figure is that of a board's line, as its cells show it."""

from __future__ import annotations

from drnn_bench.board.cells import metric_text, number_text, result_with_unit, with_unit
from drnn_bench.board.net_words import net_words
from drnn_bench.board.standing import Standing, all_diverged, finals, learned, name, names
from drnn_bench.results.board_line import BoardGroup, BoardLine

# Trials of a search, below which the verdict warns. Eight are random draws: on digits the best of
# eight LSTMs was at 90.8 ± 4.9 % over five searches, of 16 at 95.7 ± 0.9 % (benchmarks/README.md).
FEW = 16
WORTH_SAYING = 1.2  # a ratio of costs below this one is no reason to prefer a family


def sentences(one: Standing) -> tuple[str, str]:
    """The headline, and what stands directly after it."""
    if one.take is None:
        return "Take none yet", _no_answer(one)
    if one.all_tied:
        return _all_tied(one, one.take)
    details = [_net(one.group, one.take)]
    if len(one.ranked) == 1:
        details.append("It is the only family with a rank, so it is compared with nothing.")
    if one.tied:
        tied = (_with_preference(one, one.take, line) for line in one.tied)
        details.append(f"Not told apart from it: {', '.join(tied)}.")
    if one.behind:
        behind = (f"{name(one.group, x)} ({_result(one.group, x)})" for x in one.behind)
        details.append(f"Behind: {', '.join(behind)}.")
    return f"Take {name(one.group, one.take)}", f" {' '.join(details)}"


def reason(one: Standing) -> str:
    """Why a family is taken, or why none is."""
    lines = one.group.lines
    if one.take is not None:
        if len(one.ranked) == 1:
            return "It is the only family with a rank."
        if not one.tied:
            return "It is told apart from every other family."
        return f"It has the best mean of {len(one.tied) + 1} families that are not told apart."
    if one.ranked and not any(map(learned, one.ranked)) and not all(map(all_diverged, one.ranked)):
        guessing = with_unit(metric_text(one.group.shown_as, one.group.guessing), one.group)
        return f"No family is told apart from guessing ({guessing})."
    if one.ranked and any(map(learned, one.ranked)):
        return "The family that ranks best is not among these."
    if any(map(all_diverged, lines)):
        return "Every final diverged."
    if any(line.failed_finals for line in lines):
        return "No family has a rank, for finals failed."
    return "No finals are trained yet."


def preference(take: BoardLine, line: BoardLine) -> list[str]:
    """What of a family is clearly cheaper than of the one that is taken."""
    faster = None
    if _trusted(take) and _trusted(line):
        faster = _ratio(line.train_per_s, take.train_per_s)
    smaller = _ratio(take.state_bytes, line.state_bytes)
    fewer = _ratio(take.macs_per_step, line.macs_per_step)
    return [
        *([f"trains {faster} times as fast"] if faster else []),
        *([f"{smaller} times less state"] if smaller else []),
        *([f"{fewer} times fewer MACs a step"] if fewer else []),
    ]


def warnings(one: Standing) -> list[str]:
    """What a reader of the verdict has to know."""
    group = one.group
    said = []
    if one.take is not None and not learned(one.take):
        said.append("Its interval reaches guessing.")
    few = [line for line in one.ranked if line.n == 1]
    if few:
        which = "every family" if len(few) == len(one.ranked) else ", ".join(names(group, few))
        said.append(f"One seed only, so no interval and nothing told apart: {which}.")
    elif any(line.n == 2 for line in one.ranked):
        said.append("Two seeds tell little: the intervals are wide.")
    scant = [x for x in one.ranked if x.protocol >= 2 and x.searches == 1 and 1 < x.done < FEW]
    if scant:
        said.append(
            f"Only {min(x.done for x in scant)} trials a search: another search may find other "
            "nets; more --trials, or --searches 3, tells."
        )
    if not all(map(_trusted, one.ranked)):
        said.append("Speeds were measured on a busy machine and are not to be trusted.")
    diverged = [x for x in group.lines if x.diverged_finals]
    if diverged:
        counts = (f"{name(group, x)} {x.diverged_finals} of {finals(x)}" for x in diverged)
        said.append(f"Finals diverged: {', '.join(counts)}.")
    unranked = [x for x in group.lines if x.rank_low is None and not x.diverged_finals]
    if unranked and (one.ranked or diverged or any(x.failed_finals for x in unranked)):
        why = (
            f"{name(group, x)} ({'a final failed' if x.failed_finals else 'no finals yet'})"
            for x in unranked
        )
        said.append(f"Without a rank: {', '.join(why)}.")
    return said


def _no_answer(one: Standing) -> str:
    """Where no family can be recommended: why, and what there is."""
    group, first = one.group, one.group.lines[0]
    why = reason(one)
    why = f": {why[0].lower()}{why[1:]}"
    if all(map(all_diverged, one.ranked)) and any(map(all_diverged, group.lines)):
        return why
    if first.test_mean is not None:
        return f"{why} The best mean is that of {name(group, first)} {_net(group, first)}"
    value = with_unit(metric_text(group.shown_as, first.validation_best), group)
    return (
        f"{why} The best validation in a search is that of {name(group, first)} "
        f"({net_words(first.config)}): {value}."
    )


def _all_tied(one: Standing, take: BoardLine) -> tuple[str, str]:
    """Where no family is told apart from another, what they cost decides."""
    count = len(one.ranked)
    headline = "Take either family" if count == 2 else f"Take any of the {count} families"
    details = [
        ": none is told apart from another.",
        f"The best mean is that of {name(one.group, take)} {_net(one.group, take)}",
    ]
    cheapest = _cheapest(one)
    return headline, " ".join([*details, *([f"Cheapest: {cheapest}."] if cheapest else [])])


def _cheapest(one: Standing) -> str:
    """The family that is cheapest by each cost that is known of all."""
    lines, said = one.ranked, []
    if all(x.macs_per_step is not None for x in lines):
        least = min(lines, key=lambda x: x.macs_per_step or 0)
        said.append((least, f"MACs ({number_text(least.macs_per_step)} a step)"))
    if all(x.state_bytes is not None for x in lines):
        least = min(lines, key=lambda x: x.state_bytes or 0)
        said.append((least, f"state ({number_text(least.state_bytes)} bytes)"))
    if all(x.train_per_s is not None and _trusted(x) for x in lines):
        most = max(lines, key=lambda x: x.train_per_s or 0)
        said.append((most, f"training speed ({number_text(most.train_per_s)} sequences/s)"))
    return ", ".join(f"{name(one.group, line)} by {what}" for line, what in said)


def _net(group: BoardGroup, line: BoardLine) -> str:
    """What stands after a family's name: its net, its result, its size."""
    return (
        f"({net_words(line.config)}): {_result(group, line)} with "
        f"{number_text(line.parameters)} parameters."
    )


def _with_preference(one: Standing, take: BoardLine, line: BoardLine) -> str:
    """A family's name with the first reasons to prefer it; the JSON has all."""
    why = preference(take, line)[:2]
    return name(one.group, line) + (f" ({', '.join(why)})" if why else "")


def _result(group: BoardGroup, line: BoardLine) -> str:
    return result_with_unit(line, group)


def _trusted(line: BoardLine) -> bool:
    """Whether a line's speed was not measured on a busy machine."""
    return line.machine != "busy"


def _ratio(more: float | None, less: float | None) -> str | None:
    """How many times as large, to two digits; None where it is not worth saying."""
    if not more or not less or more / less < WORTH_SAYING:
        return None
    ratio = more / less
    return f"{ratio:.1f}" if ratio < 9.95 else f"{float(f'{ratio:.2g}'):,.0f}"
