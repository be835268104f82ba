"""The content of a report: a section for each task, with its boards and their warnings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from drnn_bench.board.caption import recipe_words
from drnn_bench.board.cells import MISSING
from drnn_bench.errors import UserError
from drnn_bench.report.chart import Chart
from drnn_bench.report.drawing import draw
from drnn_bench.report.final_charts import accuracy_by_parameters, learning_curves, pareto
from drnn_bench.report.group import Group
from drnn_bench.report.search_charts import against_random
from drnn_bench.report.time_charts import equal_seconds
from drnn_bench.report.trial_charts import (
    best_so_far,
    importances,
    mrl_against_metric,
    starting_dilation,
)
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.results.study_lines import finals_of, study_rows

Row = dict[str, Any]
SURE, COST = "How sure is this?", "What does it cost?"
FAR, SEARCH = "How far does it see?", "How did the search go?"


@dataclass(frozen=True)
class Winner:
    """The net of a line that may be the best. Where it cannot be drawn, `svg` is None and `why`
    gives the reason."""

    name: str
    family: str
    architecture: str
    svg: str | None
    why: str = ""


@dataclass(frozen=True)
class Question:
    """What a reader may ask next, and the charts that answer it."""

    title: str
    charts: list[Chart]


@dataclass(frozen=True)
class Board:
    """One budget of a section: what is ranked together, the chart that answers, what else one may
    ask, and its winners."""

    ranked: BoardGroup
    group: Group
    lead: Chart
    questions: list[Question]
    winners: list[Winner]

    @property
    def charts(self) -> list[Chart]:
        return [self.lead, *(chart for question in self.questions for chart in question.charts)]


@dataclass(frozen=True)
class Section:
    """One task under one version, data, protocol and number of steps; a board for each budget."""

    task: str
    title: str
    charts: list[Chart]
    boards: list[Board]


def make_sections(groups: Sequence[BoardGroup], rows: list[Row]) -> list[Section]:
    """The sections of a board; `rows` are those that the board was made from."""
    studies = study_rows(rows)
    tasks: dict[tuple, list[BoardGroup]] = {}  # budgets side by side
    for group in groups:
        task, version, data, _, steps, protocol = group.key
        tasks.setdefault((task, version, data, steps, protocol), []).append(group)
    titles = [(task, steps) for task, _, _, steps, _ in tasks]
    sections = []
    for (task, version, data, steps, protocol), budgets in tasks.items():
        title = f"{task}, {steps:,} steps"
        if titles.count((task, steps)) > 1:
            title += f" (version {version}, data {data}, protocol {protocol})"
        lines = [line for group in budgets for line in group.lines]
        finals = {line.study: finals_of(line, rows) for line in lines}
        boards = [_board(group, Group(group.lines, studies, finals)) for group in budgets]
        whole = Group(lines, studies, finals)
        charts = [accuracy_by_parameters(whole)] if len(boards) > 1 else []
        sections.append(Section(task, title, charts, boards))
    return sections


def _board(ranked: BoardGroup, group: Group) -> Board:
    questions = [
        Question(SURE, [learning_curves(group)]),
        Question(COST, [equal_seconds(group)]),
        Question(FAR, [mrl_against_metric(group), *starting_dilation(group)]),
        Question(SEARCH, [*best_so_far(group), *against_random(group), importances(group)]),
    ]
    winners = [_winner(group, line) for line in ranked.winners]
    return Board(ranked, group, pareto(group), questions, winners)


def _winner(group: Group, line: BoardLine) -> Winner:
    named = group.name(line), line.family, line.architecture
    try:
        return Winner(*named, draw(line.family, line.config, line.mrl_horizon + 1))
    except UserError as error:  # above all, a plug-in's family that is not here
        return Winner(*named, None, f"Not drawn: {error}.")


def warnings(group: Group, winners: Iterable[Winner] = ()) -> list[str]:
    """Sentences on everything that should make a reader of this group careful, and on winners that
    are not drawn."""
    sentences = [f"{winner.name}: {winner.why}" for winner in winners if winner.why]
    for line in group.lines:
        name, study, trials = group.name(line), group.studies[line.study], line.trials
        if not line.n and not line.diverged_finals:
            sentences.append(f"{name}: search only, no finalist has been trained.")
        if line.n == 1:
            sentences.append(f"{name}: one seed only (n = 1), so there is no interval.")
        if line.diverged_finals:
            count = line.diverged_finals
            alone = line.n in (0, count)
            counted = "not in the mean" if line.protocol == 1 else "in the mean as the worst"
            sentences.append(
                f"{name}: {'all diverged: ' if alone else ''}{count} final{'s' * (count > 1)} "
                f"diverged, {counted}."
            )
        sentences += [f"{name}: {what} left out." for what in line.left_out]
        if line.on_edge:
            edges = ", ".join(line.on_edge)
            sentences.append(
                f"{name}: best value on the edge of its range ({edges}): look further."
            )
        lost = [f"{trials[k]} {k}" for k in ("diverged", "failed") if trials[k]]
        if lost:
            sentences.append(f"{name}: {' and '.join(lost)} of its trials.")
        if study.get("ended"):
            sentences.append(f"{name}: the search ended early, {study['ended']}.")
        if study.get("git_dirty"):
            sentences.append(f"{name}: run from a checkout with uncommitted changes.")
    if any(line.machine == "busy" for line in group.lines):
        sentences.append("Speed was measured on a BUSY machine.")
    for what, values in (
        ("versions of the harness", {line.harness_version for line in group.lines}),
        ("trials", {str(line.done) for line in group.lines}),
    ):
        if len(values) > 1:
            sentences.append(f"Not all rows have the same {what}: {', '.join(sorted(values))}.")
    return sentences


def provenance_rows(section: Section) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The titles of the columns, and a row for each study: what it was run with."""
    head = ("family", "budget", "study", "sampler", "pruner", "search seed", "recipe", "last run",
            "harness", "commit", "python", "torch", "optuna", "searched on", "speed measured on",
            "data")  # fmt: skip
    rows = []
    for board in section.boards:
        for line in board.group.lines:
            study = board.group.studies[line.study]
            commit = (study["git_commit"] or MISSING)[:12]
            rows.append(
                (
                    line.family,
                    f"{line.budget:,}",
                    line.study,
                    line.sampler,
                    line.pruner,
                    ", ".join(map(str, line.search_seeds or [line.search_seed])),
                    recipe_words(line),
                    line.date,
                    study["harness_version"],
                    commit + (" + changes" if study["git_dirty"] else ""),
                    study["python"],
                    study["torch"],
                    study["optuna"],
                    f"{study['processor']}, {study['device']}",
                    line.hardware or MISSING,
                    line.data_hash,
                )
            )
    return head, rows
