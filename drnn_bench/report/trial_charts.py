"""The charts of a report that look at single trials of the search."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from drnn_bench.board.cells import MISSING
from drnn_bench.report.chart import (
    Axis,
    Chart,
    Point,
    Series,
)
from drnn_bench.report.group import Group
from drnn_bench.results.correlation import cell_type, is_sample, mrl_correlations

Row = dict[str, Any]
CELLS = ("rnn", "gru", "lstm")


def words(config: Row) -> str:
    return " ".join(f"{key}={value}" for key, value in config.items() if key != "init")


def mrl_against_metric(group: Group) -> Chart:
    """The paper's claim (Chang et al. 2017), over the complete trials of the random studies."""
    samples = [x for x in group.lines if is_sample(group.studies[x.study])]
    trials = [
        (
            cell_type(line.family, trial["config"]),
            float(trial["mrl"]),
            trial["value"],
            words(trial["config"]),
        )
        for line in samples
        for trial in group.studies[line.study]["complete"]
    ]
    finite = [mrl for _, mrl, _, _ in trials if math.isfinite(mrl)]
    # Infinity has a tick of its own, to the right of all other values.
    beyond = 1.15 * max(finite, default=1.0)
    ticks: tuple[tuple[float, str], ...] = ()
    if len(finite) < len(trials):
        whole = range(0, math.ceil(max(finite, default=0)), max(1, round(beyond / 6)))
        ticks = (*((float(s), f"{s}") for s in whole), (beyond, "∞"))
    cells = sorted({cell for cell, *_ in trials})
    series = tuple(
        Series(
            cell,
            tuple(
                Point(mrl if math.isfinite(mrl) else beyond, group.scaled(value), net)
                for cell_, mrl, value, net in trials
                if cell_ == cell
            ),
            i,
            i,
        )
        for i, cell in enumerate(cells)
    )
    correlations = [
        f"{cell}: {'too few trials, or no differences' if rho is None else rho.words}"
        for line in samples
        for cell, rho in mrl_correlations(group.studies[line.study]).items()
    ]
    caption = (
        "Mean recurrent length counts edges, not gradient decay. Only complete trials of a random "
        "search without pruning count: what a sampler chose would confound it. "
    )
    if not trials:
        caption += "None has been run: bench run --sampler random --pruner none."
    else:
        sign = "negative" if group.lines[0].direction == "max" else "positive"
        caption += (
            "Spearman's rank correlation within one cell type "
            f"(the paper's claim: {sign}): {'; '.join(correlations)}."
        )
    return Chart(
        "mrl",
        "Mean recurrent length against validation",
        caption,
        Axis("mean recurrent length (edges)", ticks=ticks),
        Axis(f"validation {group.metric}"),
        series,
        ("cell type", "MRL", "validation"),
        tuple(
            (cell, f"{mrl:.2f}" if math.isfinite(mrl) else "∞", group.shown(value))
            for cell, mrl, value, _ in sorted(trials, key=lambda t: (t[0], t[1], t[2]))
        ),
    )


class BestSoFar(NamedTuple):
    """A search after `trials` of its trials: the seconds of their training, None where the record
    lacks them; the best value; whether the last of these trials gave it."""

    trials: int
    seconds: float | None
    best: float
    better: bool


def best_so_far(group: Group) -> list[Chart]:
    """The best validated value against trials, and against what the training of them took."""
    by_trials: list[Series] = []
    by_time: list[Series] = []
    rows: list[tuple[str, ...]] = []
    histories = {x.study: _best_steps(group.studies[x.study]) for x in group.lines}
    longest = max((step.seconds or 0 for steps in histories.values() for step in steps), default=0)
    unit, scale = _unit_of_time(longest)
    for line in group.lines:
        steps = histories[line.study]
        if not steps:
            continue
        name, (hue, mark) = group.name(line), group.look(line)
        points = [Point(step.trials, group.scaled(step.best)) for step in steps]
        by_trials.append(Series(name, tuple(points), hue, mark, "steps"))
        points = [
            Point(step.seconds / scale, group.scaled(step.best), f"trial {step.trials}")
            for step in steps
            if step.seconds is not None
        ]
        if len(points) == len(steps):
            by_time.append(Series(name, tuple(points), hue, mark, "steps"))
        for step in steps:
            if step.better:
                time = MISSING if step.seconds is None else f"{step.seconds / scale:.2f}"
                rows.append((name, f"{step.trials}", time, group.shown(step.best)))
    caption = (
        "Best validation so far, trials in the order they finished; pruned and diverged ones "
        "count as trials. It is a maximum, so it flatters: the board has the retrained mean."
    )
    time_caption = (
        f"The same against {unit} of training, summed over the trials: what one trainer takes."
    )
    if len(by_time) < len(by_trials):
        time_caption += " Records of an earlier version do not tell the time of their trials."
    head = ("family", "trials", unit, "best validation")
    value = Axis(f"best validation {group.metric}")
    return [
        Chart("best-by-trials", "Best so far against trials", caption, Axis("trials finished"),
              value, tuple(by_trials), head, tuple(rows)),
        Chart("best-by-time", f"Best so far against {unit}", time_caption,
              Axis(f"{unit} of training"), value, tuple(by_time), head if by_time else (),
              tuple(rows) if by_time else ()),
    ]  # fmt: skip


def _unit_of_time(longest: float) -> tuple[str, int]:
    """The unit in which times of at most `longest` seconds are shown, and its length in seconds."""
    for unit, scale in (("hours", 3600), ("minutes", 60)):
        if longest >= scale or not longest:
            return unit, scale
    return "seconds", 1


def _best_steps(study: Row) -> list[BestSoFar]:
    """The best value after each trial, from the first complete one on. In records without a history
    only complete trials count."""
    history = study.get("history") or [
        {"value": t["value"], "seconds": None} for t in study["complete"]
    ]
    choose = max if study["direction"] == "max" else min
    seconds: float | None = 0.0
    best: float | None = None
    steps = []
    for trials, trial in enumerate(history, 1):
        took = trial["seconds"]
        seconds = None if took is None or seconds is None else seconds + took
        before, value = best, trial["value"]
        if value is not None:
            best = value if best is None else choose(best, value)
        if best is not None:
            steps.append(BestSoFar(trials, seconds, best, best != before))
    return steps


def importances(group: Group) -> Chart:
    """How much each option of the search space mattered."""
    shares_of = {x.study: group.studies[x.study].get("importance") for x in group.lines}
    known = [(x, shares) for x in group.lines if (shares := shares_of[x.study])]
    unknown = [group.name(x) for x in group.lines if not shares_of[x.study]]
    caption = (
        "Share of the validation's variance that an option explains in a random forest over the "
        "complete trials (Optuna's fANOVA). It says where the search found differences, not "
        "which value is best."
    )
    if unknown:
        caption += f" Too few complete trials, or an earlier record: {', '.join(unknown)}."
    return Chart(
        "importance",
        "Importance of the search space",
        caption,
        Axis("option"),
        Axis("share of the variance, %"),
        tuple(
            Series(
                group.name(line),
                tuple(Point(option, 100 * share) for option, share in shares.items()),
                *group.look(line),
                "bars",
            )
            for line, shares in known
        ),
        ("family", "option", "share %"),
        tuple(
            (group.name(line), option, f"{100 * share:.1f}")
            for line, shares in known
            for option, share in shares.items()
        ),
    )


def _first_dilation(config: Row) -> int | None:
    """The dilation of a dilated RNN's lowest layer; None where its config does not say."""
    dilations, base, start = (config.get(key) for key in ("dilations", "base", "start"))
    if not isinstance(config.get("cell"), str):
        return None
    if isinstance(dilations, list) and dilations:
        return dilations[0]
    if isinstance(base, int) and isinstance(start, int) and base > 0 and 0 <= start < 64:
        return base**start
    return None


def starting_dilation(group: Group) -> list[Chart]:
    """The paper's figure 6: what a dilated RNN gains and loses by starting at a longer dilation."""
    trials = []
    for line, trial in group.complete("dilated_rnn"):
        config, history = trial["config"], group.studies[line.study].get("history", [])
        start = _first_dilation(config)
        if start is None or not 1 <= start <= line.mrl_horizon:  # no such net: an edited row
            continue
        seconds = next((x["seconds"] for x in history if x["index"] == trial["index"]), None)
        trials.append((config["cell"], start, trial["value"], seconds, words(config)))
    if not trials:
        return []
    ticks = tuple((float(s), f"{s}") for s in sorted({start for _, start, *_ in trials}))
    x = Axis("starting dilation (steps)", log=True, ticks=ticks)
    head = ("cell", "starting dilation", "validation", "training seconds")
    rows = tuple(
        (cell, f"{start}", group.shown(value), MISSING if seconds is None else f"{seconds:.1f}")
        for cell, start, value, seconds, _ in sorted(trials, key=lambda t: (t[0], t[1], t[2]))
    )
    others = sorted({cell for cell, *_ in trials} - set(CELLS))
    looks = {cell: look for look, cell in enumerate((*CELLS, *others))}
    cells = [cell for cell in looks if cell in {cell for cell, *_ in trials}]

    def series(y: int) -> tuple[Series, ...]:
        return tuple(
            Series(
                cell,
                tuple(
                    Point(t[1], group.scaled(t[2]) if y == 2 else t[3], t[4])
                    for t in trials
                    if t[0] == cell and t[y] is not None
                ),
                looks[cell],
                looks[cell],
            )
            for cell in cells
            if any(t[0] == cell and t[y] is not None for t in trials)
        )

    caption = (
        "Complete trials of the dilated RNN at full steps (the paper's figure 6). The other "
        "options vary too, and a sampler other than random chose where to look."
    )
    time = "Seconds of training of the same trials, on one thread beside other trainers."
    if not series(3):
        time = "Records of an earlier version do not tell the time of their trials."
    return [
        Chart("start-accuracy", "Starting dilation against validation", caption, x,
              Axis(f"validation {group.metric}"), series(2), head, rows),
        Chart("start-time", "Starting dilation against training time", time, x,
              Axis("training seconds"), series(3), head, rows),
    ]  # fmt: skip
