"""What stands on a board: lines, and the groups of lines that are ranked together.

Ranking makes them, and every rendering reads them. A field's name is the name of its column in the
CSV and the JSON of a board and in the table that `drnn_bench.leaderboard` returns; the order of the
fields is the order of the columns. None stands where a value does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from drnn_bench.metrics.metric import MetricFacts
from drnn_bench.metrics.registry import facts_of
from drnn_bench.results.codec import to_json
from drnn_bench.results.correlation import Correlation

# Columns that a board has only where a line has something there, and what stands for nothing.
LATER: dict[str, Any] = {
    "plugins": None,
    "protocol": 1,
    "margin": 0.0,
    "path_lengths": {},
    "failed_finals": 0,
    "searches": 1,
    "search_seeds": [],
    "search_means": [],
    **dict.fromkeys(("solved", "solved_at", "target", "seconds_to_target", "last_quarter")),
    "metric_facts": None,
    "metrics": {},
    **dict.fromkeys(("random_trials", "gain_at_seconds", "random_seconds")),
    **dict.fromkeys(("macs_per_step", "state_bytes", "weight_bytes", "speed_reference")),
    **dict.fromkeys(("train_all_per_s", "infer_all_per_s")),
    **dict.fromkeys(("train_cores_per_s", "infer_cores_per_s")),
}
# Lines are ranked together where they agree in these.
GROUP = ("task", "task_version", "data_hash", "budget", "steps", "protocol")


def place(key: tuple) -> tuple:
    """Where a group of this key stands among others: of a task the latest protocol first, and of it
    the latest version, since that is what a reader looks for; then by data, budget and steps."""
    task, version, data, budget, steps, protocol = key
    return task, -protocol, -version, data, budget, steps


@dataclass(frozen=True, kw_only=True)
class BoardLine:
    """A search of a family, or several that differ in their seed, and what the finalists did.

    Values of the metric are in the metric's own unit: a share from 0 to 1 for accuracy, nats for
    cross-entropy, bits for bits per character, the targets' own unit for errors. Speeds, latencies
    and memory are those of the finalist, measured alone.
    """

    rank_low: int | None  # the best rank it may hold; None without finals
    rank_high: int | None  # the worst rank it may hold
    task: str  # name with options, as on the command line
    task_version: int
    data_hash: str  # of the prepared data, all splits
    family: str
    architecture: str  # the finalist in words
    config: dict[str, Any]  # the finalist's options, JSON values
    budget: int  # parameters, at most
    parameters: int  # parameters of the finalist, head included
    width: int  # units of its narrowest layer
    steps: int  # training steps of a trial and of a final
    learning_rate: float  # of the finalist, found by the search
    metric: str
    direction: Literal["max", "min"]  # which end of the metric is the better one
    mrl: float | None  # mean recurrent length, edges; infinite where a span cannot be crossed
    mrl_horizon: int  # the MRL is over the spans 1 to this one, steps
    reach: float | None  # the largest span that the net can see, steps; None where it has no bound
    recurrent_edges_per_node: float | None
    sequential_steps: float | None  # steps that must follow one another over a whole sequence
    macs_per_step: float | None = None  # multiply-accumulates of one more step of a stream
    state_bytes: int | None = None  # what a stream carries from step to step, for one sequence
    weight_bytes: int | None = None  # of the finalist's parameters, float32
    trials: dict[str, int]  # how many were complete, pruned, diverged, failed, ...
    startup_mean: float | None  # mean validation of the start-up trials, which are drawn at random
    sampler: str
    pruner: str
    search_seed: int
    recipe: dict[str, Any]  # how every net was trained, JSON values
    study: str  # the digest of what defines the search
    space: dict[str, Any]  # what was searched, JSON values
    n: int  # finals that the test mean is over, one a seed
    diverged_finals: int  # finals that are not in the test mean
    test_mean: float | None
    test_low: float | None  # ends of Student's 95 % interval of the mean; None below two seeds
    test_high: float | None
    test_error: float | None  # standard error that the size of the test set leaves on an accuracy
    tests: list[float]  # one for each of the n finals
    test_accuracy: float | None  # mean over the finals; None where targets are real numbers
    guessing: float | None  # the metric of guessing at random, where the task knows it
    validation_best: float  # of the finalist in the search: a maximum, so it flatters
    validation_mean: float | None  # over the finals
    gain: float | None  # validation_mean over startup_mean; None since protocol 2, for it misleads
    on_edge: list[str]  # options whose best value is at an end of the searched range
    warm: int  # nets that the search started with
    warm_best: bool  # whether the finalist is one of them
    train_per_s: float | None  # training speed, sequences a second
    infer_per_s: float | None  # inference speed, sequences a second
    latency_ms: float | None  # one whole sequence, batch 1
    stream_us: float | None  # one step of one sequence, microseconds
    peak_memory_mb: float | None  # what training adds, MiB
    speed_ratio: float | None  # training speed over the reference's or the base family's
    train_all_per_s: float | None = None  # train_per_s with every step's output computed and scored
    infer_all_per_s: float | None = None  # infer_per_s with every step's output computed
    train_cores_per_s: float | None = None  # train_per_s with all cores, in the same session
    infer_cores_per_s: float | None = None  # infer_per_s with all cores
    speed_reference: str | None = None  # the net that speed_ratio is to, where it is a fixed one
    machine: Literal["idle", "busy"] | None  # as it was when the speed was measured
    hardware: str | None  # processor, device, version of torch and dtype of the speed
    threads: int | None  # of the speed
    search_seconds: float  # training in the search, summed over trials and candidates
    train_seconds: float | None  # training of a final, mean
    harness_version: str
    git_commit: str | None
    date: str  # of the study's or the last final's start, YYYY-MM-DD
    mrl_correlation: dict[str, Correlation | None]  # MRL against validation, for each cell type
    left_out: list[str]  # what of its records is not shown, and why
    # The best validation after `random_trials` trials over the expected best of as many draws of a
    # random search of the same space; under protocol 1 test_mean over that of a random search.
    gain_over_random: float | None = None
    random_trials: int | None = None  # at how many trials the search and the draws are compared
    gain_at_seconds: float | None = None  # the same at `random_seconds` of training
    random_seconds: float | None = None  # as many as both took
    # The code of the plug-ins that its task and family come from, by kind: {"file" or "package":
    # name, "sha256": hash}. None where no search among the records uses a plug-in.
    plugins: dict[str, dict[str, str]] | None = None
    # How searches, finals and ranks are made: 2 since the start-up draws, the pruning and the ranks
    # changed. Rows from before have none, which is 1.
    protocol: int = 1
    # Span in steps -> edges of the shortest path over it, for the spans that the task needs.
    path_lengths: dict[str, float] = field(default_factory=dict)
    margin: float = 0.0  # the smallest difference of the metric that counts in the ranks
    failed_finals: int = 0  # that code or machine ended: while there is one, the line has no rank
    searches: int = 1  # independent ones that the line is over
    # Their seeds, where there are several. `study` and the net are those of the search that is best
    # by validation; the other figures are over all.
    search_seeds: list[int] = field(default_factory=list)
    search_means: list[float] = field(default_factory=list)  # test mean of each that has finals
    # How many of the n finals have a test metric of `solved_at` or better, where the task says what
    # solved means.
    solved: int | None = None
    solved_at: float | None = None  # in the metric's unit
    target: float | None = None  # of the validation mean, where the task has one
    # Core seconds of training until the mean validation of the finals is as good as the target;
    # None where it never is, or where the finals have no curves.
    seconds_to_target: float | None = None
    # By how much that mean got better over the last quarter of the steps; None without curves.
    last_quarter: float | None = None
    # Mean over the finals of the task's other metrics on the test split, by name.
    metrics: dict[str, float] = field(default_factory=dict)
    # Unit, direction, scale, margin, best value and decimals, of a metric that is a plug-in's.
    metric_facts: dict[str, Any] | None = None
    apart: list[str]  # in which conditions other groups of the same task differ from its own
    search: str | None = None  # which search this is, where the group has several of the family

    @property
    def done(self) -> int:
        """Trials of a search that count towards those asked for."""
        return (self.trials["complete"] + self.trials["pruned"]) // self.searches

    @property
    def shown_as(self) -> MetricFacts:
        """How values of its metric are shown, and the best one there is."""
        return facts_of(self.metric, self.metric_facts, self.direction)

    @property
    def code(self) -> dict[str, dict[str, str]]:
        """`plugins`, empty where there are none."""
        return self.plugins or {}


@dataclass(frozen=True)
class BoardGroup:
    """Lines that are ranked together, the best first; at least one.

    All of them agree in what GROUP names, so also in metric, direction and
    horizon of the MRL: the group's own facts are those of its first line.
    """

    lines: tuple[BoardLine, ...]
    # The pairs of studies (better, worse) that are told apart. The ranks count them: families that
    # share ranks may still be a pair.
    told_apart: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False)

    @property
    def first(self) -> BoardLine:
        return self.lines[0]

    @property
    def key(self) -> tuple[str, int, str, int, int, int]:
        """The values of `GROUP`, in its order."""
        line = self.first
        return (
            line.task, line.task_version, line.data_hash, line.budget, line.steps, line.protocol
        )  # fmt: skip

    @property
    def protocol(self) -> int:
        return self.first.protocol

    @property
    def task(self) -> str:
        return self.first.task

    @property
    def budget(self) -> int:
        return self.first.budget

    @property
    def steps(self) -> int:
        return self.first.steps

    @property
    def metric(self) -> str:
        return self.first.metric

    @property
    def direction(self) -> Literal["max", "min"]:
        return self.first.direction

    @property
    def shown_as(self) -> MetricFacts:
        return self.first.shown_as

    @property
    def mrl_horizon(self) -> int:
        return self.first.mrl_horizon

    @property
    def guessing(self) -> float | None:
        return self.first.guessing

    @property
    def apart(self) -> list[str]:
        return self.first.apart

    @property
    def winners(self) -> tuple[BoardLine, ...]:
        """The lines that may be the best; where nothing is ranked yet, the first."""
        return tuple(line for line in self.lines if line.rank_low == 1) or self.lines[:1]


def column_names(lines: Sequence[BoardLine]) -> list[str]:
    """The columns of a board: all fields, without those of LATER where no line has any."""
    names = [field.name for field in fields(BoardLine)]
    return [
        name
        for name in names
        if name not in LATER or any(getattr(line, name) != LATER[name] for line in lines)
    ]


def as_records(groups: Sequence[BoardGroup]) -> list[dict[str, Any]]:
    """Every line of a board, in order, as JSON values by column, infinity as the word `inf`."""
    lines = [line for group in groups for line in group.lines]
    names, records = column_names(lines), [to_json(asdict(line)) for line in lines]
    return [{name: record[name] for name in names} for record in records]
