"""What stands above and below a group's table: its heading, and how its figures came about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drnn_bench.board.cells import gain_text, metric_text, on_edge_text
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.results.recipe import Recipe
from drnn_bench.results.searches import ENOUGH

PERCENT = 100.0  # the scale of metrics that are shown in percent
CANDIDATES = "Finalist: of up to three candidates the best mean validation on three other seeds."


def heading(group: BoardGroup) -> str:
    """Boards of the first protocol say so: one of the second may stand beside them."""
    old = ", protocol 1" if group.protocol == 1 else ""
    return f"{group.task}, at most {group.budget:,} parameters, {group.steps:,} steps{old}"


def recipe_words(line: BoardLine) -> str:
    return Recipe.from_json(line.recipe).words


def caption(group: BoardGroup) -> str:
    """How a group's figures came about, in full sentences on one line."""
    lines = group.lines
    return " ".join(
        [
            *_guessing(group),
            _method(lines),
            *_solved(lines),
            *_time_to_target(lines),
            *_last_quarter(lines),
            _search(lines),
            f"MRL: mean recurrent length over the spans 1 to {group.mrl_horizon}; it counts edges, "
            "not gradient decay. Equal parameters are not equal compute: see the steps that must "
            "follow one another, and the speed.",
            *_cost(lines),
            _hours_of_training(lines),
            *_speed(lines),
            *_warm_start(lines),
            *_named(
                "Best value on the edge of its range",
                (f"{x.family} ({on_edge_text(x)})" for x in lines if x.on_edge),
            ),
            *_named(
                "Finals that diverged, "
                + ("not in the mean" if group.protocol == 1 else "in the mean as the worst"),
                (f"{x.family} ({x.diverged_finals})" for x in lines if x.diverged_finals),
            ),
            *_plugins(lines),
            *_over_random(lines),
            *_mrl_correlations(lines),
            *_left_out(lines),
            *_named("Ranked apart, never with these", group.apart),
            f"Last run {max(x.date for x in lines)}, data {group.first.data_hash}.",
        ]
    )  # fmt: skip


def short_caption(group: BoardGroup) -> list[str]:
    """What a reader of the table has to know at once, a line each."""
    seeds = sorted({x.n for x in group.lines if x.n}) or [0]
    count = "–".join(dict.fromkeys((f"{seeds[0]}", f"{seeds[-1]}")))
    mean = {
        "0": "No finals yet.",
        "1": "One fresh seed, so no interval; = marks a shared rank.",
    }.get(count, f"Mean of {count} fresh seeds ± half of its 95 % interval; = marks a shared rank.")
    return [mean, " ".join([*_guessing(group), *_short_speed(group.lines)]),
            *_left_out(group.lines)]  # fmt: skip


def _short_speed(lines: Sequence[BoardLine]) -> list[str]:
    hardware = next((x.hardware for x in lines if x.hardware), None)
    if hardware is None:
        return []
    where = hardware.rsplit(", ", 2)[0]  # without the version and the dtype
    return [f"Speed: {where}, {'BUSY' if _busy(lines) else 'idle'}."]


def _busy(lines: Sequence[BoardLine]) -> bool:
    return any(x.machine == "busy" for x in lines)


def _left_out(lines: Sequence[BoardLine]) -> list[str]:
    return _named(
        "Left out", (f"{x.family} ({'; '.join(x.left_out)})" for x in lines if x.left_out)
    )


def _guessing(group: BoardGroup) -> list[str]:
    if group.guessing is None:
        return []
    facts, value = group.shown_as, metric_text(group.shown_as, group.guessing)
    if facts.scale == PERCENT:
        return [f"Guessing is right in {value} %."]
    return [f"Guessing {'costs' if group.direction == 'min' else 'reaches'} {value}."]


def _method(lines: Sequence[BoardLine]) -> str:
    counts = sorted({x.n for x in lines if x.n}) or [0]
    if counts == [1]:
        mean = "One fresh seed (n = 1), so no interval"
    else:
        seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        mean = f"Mean over {seeds} {_finals(lines)} ± half of the 95 % Student t interval"
    if lines[0].protocol == 1:
        test = "a pairwise Welch test with Holm's correction cannot tell apart"
    else:
        test = (
            "are not told apart by a test over seeds and over test examples, beyond a margin of "
            f"{_margin(lines[0])}, with Holm's correction over all pairs,"
        )
    return f"{mean}; families that {test} share ranks. {_conditional(lines)}"


def _finals(lines: Sequence[BoardLine]) -> str:
    return "fresh seeds" if all(x.searches == 1 for x in lines) else "finals"


def _conditional(lines: Sequence[BoardLine]) -> str:
    """What the ranks do not know of."""
    counts = sorted({x.searches for x in lines})
    if counts == [1]:
        return "Conditional on one search per family."
    many = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    words = (
        f"Each family was searched {many} times with other seeds; the column shows the lowest and "
        "the highest mean of a search, and the architecture is that of the search best by "
        "validation."
    )
    if counts[0] >= ENOUGH:
        return f"{words} Ranks and intervals rest on the means of the searches."
    return (
        f"{words} Of fewer than {ENOUGH} searches ranks and intervals rest on all finals, or on "
        "the means of the searches where these differ by more than the finals let expect."
    )


def _margin(line: BoardLine) -> str:
    points = " points" if line.shown_as.scale == PERCENT else ""
    return f"{line.shown_as.scale * line.margin:g}{points}"


def _solved(lines: Sequence[BoardLine]) -> list[str]:
    levels = [_level(x, x.solved_at) for x in lines if x.solved_at is not None]
    if not levels:
        return []
    return [f"Solved: finals whose test metric is {_all(levels)} or better, with Wilson's 95 % "
            "interval of their share."]  # fmt: skip


def _time_to_target(lines: Sequence[BoardLine]) -> list[str]:
    aimed = [x for x in lines if x.target is not None]
    if not aimed:
        return []
    trained = [x for x in aimed if x.n]
    return [
        "To target: core seconds of training, beside other trainers, until the mean validation of "
        f"the finals is {_all(_level(x, x.target) for x in aimed if x.target is not None)}, "
        "straight between evaluations and from guessing at the start.",
        *_named(
            "Target not reached",
            (x.family for x in trained if x.seconds_to_target is None and _has_curve(x)),
        ),
        *_named("No curves to tell", (x.family for x in trained if not _has_curve(x))),
    ]


def _level(line: BoardLine, value: float) -> str:
    return f"{100 * value:g} %" if line.shown_as.scale == PERCENT else f"{value:.3g}"


def _has_curve(line: BoardLine) -> bool:
    return line.last_quarter is not None or line.seconds_to_target is not None


def _last_quarter(lines: Sequence[BoardLine]) -> list[str]:
    return _named(
        "Still better by, over the last quarter of the steps (mean validation)",
        (f"{x.family} {gain_text(x.shown_as, x.last_quarter)}" for x in lines
         if x.last_quarter is not None),
    )  # fmt: skip


def _search(lines: Sequence[BoardLine]) -> str:
    random_mean = (
        "Random mean: the start-up trials, never pruned; gain: the validation mean over it."
    )
    return (
        f"Recipe: {'; '.join(dict.fromkeys(map(recipe_words, lines)))}; "
        "learning rate tuned per study. "
        f"Sampler {_all(x.sampler for x in lines)}, pruner {_all(x.pruner for x in lines)}. "
        "Trials: complete+pruned. "
        f"{random_mean if lines[0].protocol == 1 else CANDIDATES}"
    )


def _cost(lines: Sequence[BoardLine]) -> list[str]:
    if all(x.macs_per_step is None for x in lines):
        return []
    return [
        "MACs: products of a weight for one more step of one sequence, head included; state: what "
        "a stream carries from one step to the next, in float32."
    ]


def _hours_of_training(lines: Sequence[BoardLine]) -> str:
    searches = sum(x.search_seconds for x in lines)
    finals = sum(x.n * x.train_seconds for x in lines if x.train_seconds is not None)
    return (
        f"Training took {_hours(searches)} hours of one core in search and {_hours(finals)} in "
        "finals."
    )


def _hours(seconds: float) -> str:
    """Two significant digits."""
    return f"{float(f'{seconds / 3600:.2g}'):g}"


def _speed(lines: Sequence[BoardLine]) -> list[str]:
    hardware = next((x.hardware for x in lines if x.hardware), None)
    if hardware is None:
        return []
    machine = "on a BUSY machine" if _busy(lines) else "on an idle machine"
    return [f"Speed: {hardware}, {_all(x.threads for x in lines)} thread, models in turns, "
            f"{machine}.", *_reference(lines)]  # fmt: skip


def _reference(lines: Sequence[BoardLine]) -> list[str]:
    nets = _all(x.speed_reference for x in lines)
    if not nets:
        return []
    return [f"Ratios of speed are to {nets}, which every session measures; all steps: with every "
            "step's output computed, and in training scored."]  # fmt: skip


def _warm_start(lines: Sequence[BoardLine]) -> list[str]:
    warm = [x for x in lines if x.warm]
    if not warm:
        return []
    won = ", ".join(x.family for x in warm if x.warm_best) or "no family"
    return [
        f"Warm start {_all(x.warm for x in warm)} (nets of the smallest mean recurrent length, "
        f"counted as trials, never pruned): best is one of them for {won}."
    ]


def _plugins(lines: Sequence[BoardLine]) -> list[str]:
    """Which lines come from plug-ins, and which of them from other code than the rest."""
    hashes: dict[str, set[str]] = {}
    for line in lines:
        for kind, code in line.code.items():
            name = {"task": line.task, "metric": line.metric}.get(kind, line.family)
            words = f"{kind} {name}, {code.get('file') or code['package']}"
            hashes.setdefault(words, set()).add(code["sha256"][:8])
    words = [f"{name} (code {', '.join(sorted(codes))})" for name, codes in hashes.items()]
    sentences = _named("From plug-ins", words)
    if any(len(codes) > 1 for codes in hashes.values()):
        sentences.append("Rows of different code are different searches.")
    return sentences


def _over_random(lines: Sequence[BoardLine]) -> list[str]:
    if all(x.gain_over_random is None and x.random_trials is None for x in lines):
        return []
    if lines[0].protocol == 1:
        return ["Over random search: the test mean over that of a random search of the same space."]
    words = [
        f"{x.family} {x.random_trials} trials"
        + ("" if x.random_seconds is None else f" and {x.random_seconds:,.0f} s")
        for x in lines
        if x.random_trials is not None
    ]
    return [
        "Over random search: the best validation of the search over the expected best of as many "
        "draws of a random search of the same space (Dodge et al. 2019), at equal trials and at "
        "equal seconds of training; pruned and diverged trials count as no better than the worst "
        f"complete one. Compared at: {'; '.join(words)}."
    ]


def _mrl_correlations(lines: Sequence[BoardLine]) -> list[str]:
    return [
        f"MRL against validation over random trials, {cell}: "
        f"{'too few, or no differences' if correlation is None else correlation.words}."
        for line in lines
        for cell, correlation in line.mrl_correlation.items()
    ]


def _named(what: str, words: Iterable[str]) -> list[str]:
    """A sentence that lists them; none where there are none."""
    text = "; ".join(words)
    return [f"{what}: {text}."] if text else []


def _all(values: Iterable[object]) -> str:
    """Every different value, in order of appearance."""
    return "/".join(dict.fromkeys(str(value) for value in values if value is not None))
