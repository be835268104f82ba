"""A recorded final trained again, to see whether it comes out the same. Writes no record."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnn_bench.errors import JobError, UserError, nearest
from drnn_bench.execution.carry import carry
from drnn_bench.execution.job import Failed, Returned
from drnn_bench.execution.local import LocalExecutor
from drnn_bench.jobs.finals import FinalJob
from drnn_bench.models.registry import restore_architecture
from drnn_bench.results import records
from drnn_bench.results.comparison import Comparison, compare
from drnn_bench.results.speeds import same_net
from drnn_bench.search.plugin_code import changes, needed
from drnn_bench.search.study import StudySpec
from drnn_bench.system.environment import find_device
from drnn_bench.system.provenance import cores
from drnn_bench.system.writable import BOARDS
from drnn_bench.tasks.prepared import Prepared, all_prepared, read, store
from drnn_bench.tasks.registry import check_data_dir, parse_task

if TYPE_CHECKING:
    from drnn_bench.training.loop import Evaluation

Row = dict[str, Any]
SHOWN = 5  # ids in one line


def replay_final(
    final: Row,
    rows: list[Row],
    runs_dir: Path,
    data_dir: str | None,
    *,
    task: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[Evaluation], None] = lambda evaluation: None,
    tick: Callable[[], None] = lambda: None,
) -> Comparison:
    """Trains the final of a row again and compares; `rows` hold the finals of its other seeds.

    `task` is that of the row with the path of its data, which no record has. `progress` takes each
    evaluation; `tick` is called at least every half a second and may raise.
    Raises UserError where the row's data, code or device is not here, JobError where training
    fails.
    """
    spec = _spec(final)
    _check_code(spec)
    with tempfile.TemporaryDirectory(prefix="drnn_bench-") as scratch:
        prepared = _prepared(final, task, runs_dir, data_dir, Path(scratch), say)
        restore_architecture(prepared.task, final["family"], final["config"])  # or a UserError
        job = FinalJob(
            spec=spec,
            best={key: final[key] for key in ("config", "learning_rate")},
            seed=final["seed"],
            device=_device(final, say),
            threads=min(final["threads"], cores()),
        )
        executor = LocalExecutor(
            1, Path(scratch) / "trainers.log", prepared, ("drnn_bench.training.loop",)
        )
        with contextlib.closing(executor):
            for _, value in carry(executor, [job], say=say, tick=tick, each_alone=True):
                if isinstance(value, Failed):
                    raise JobError(f"the final cannot be trained here: {value.reason}")
                if isinstance(value, Returned):
                    return compare(final, value.value.row, _tests(final, rows))
                progress(value)
    raise AssertionError("every job ends")


def read_rows(runs_dir: Path) -> tuple[list[Row], list[str]]:
    """The rows of a runs folder and of the published boards, each once, and a line on each that
    cannot be read."""
    here, notes = records.read_folder(runs_dir)
    published, more = records.read_folder(BOARDS)
    return list({row["id"]: row for row in (*published, *here)}.values()), notes + more


def find_final(row_id: str, rows: list[Row], runs_dir: Path) -> Row:
    """The final of this id, or of the only id that begins so. Raises UserError where there is none,
    where several begin so, and where the row is no final that came to an end."""
    finals = [row["id"] for row in rows if row["role"] == "final" and row["state"] != "failed"]
    places = f"{runs_dir / 'records.jsonl'} and {BOARDS / 'records'}"
    if not finals:
        raise UserError(f"there is no final in {places}: `bench run` trains some")
    matching = [row for row in rows if row["id"].startswith(row_id)]
    exact = [row for row in matching if row["id"] == row_id] or matching
    if len(exact) > 1:
        raise UserError(f"{row_id!r} begins the ids of {_listed([row['id'] for row in exact])}")
    if not exact:
        close = nearest(row_id, finals).partition("known:")[0]
        raise UserError(
            f"no row has the id {row_id!r}: {close}the ids of finals stand in {places}, such as "
            f"{finals[0]}"
        )
    [row] = exact
    if row["role"] != "final":
        of_study = [x["id"] for x in rows if x["id"] in set(finals) and x["study"] == row["study"]]
        right = f"finals of its study are {_listed(of_study)}" if of_study else "its study has none"
        raise UserError(f"row {row['id']} is that of a {row['role']}, not of a final; {right}")
    if row["state"] == "failed":
        raise UserError(
            f"final {row['id']} failed ({row['reason']}): there is nothing to compare with; the "
            "same `bench run` tries it again"
        )
    return row


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more


def _spec(final: Row) -> StudySpec:
    """The search that a final belongs to, as far as its own row says: a final needs no space."""
    keys = ("task", "task_version", "data_hash", "family", "budget", "steps", "recipe", "sampler",
            "pruner")  # fmt: skip
    return StudySpec(
        **{key: final[key] for key in keys},
        space={},
        seed=final["search_seed"],
        protocol=final.get("protocol", 1),
        plugins=final.get("plugins", {}),
    )


def _check_code(spec: StudySpec) -> None:
    """Raises UserError where the code of a plug-in is not that of the final."""
    lines = changes(spec.plugins, spec.task, spec.family)
    if lines:
        hints = dict.fromkeys(map(needed, spec.plugins.values()))
        raise UserError(
            f"{'; '.join(lines)}: the final needs the code of then ({'; '.join(hints)})"
        )


def _prepared(
    final: Row,
    named: str | None,
    runs_dir: Path,
    data_dir: str | None,
    scratch: Path,
    say: Callable[[str], None],
) -> Prepared:
    """The final's data: the copy in the runs folder, or read from its source. Raises UserError
    where neither has the hash that the row has."""
    check_data_dir(data_dir)
    wanted = (final["task"], final["task_version"], final["data_hash"])
    known, notes = all_prepared(runs_dir / "data")
    for note in notes:
        say(note)
    for prepared in known:
        if (prepared.task.key, prepared.task.version, prepared.data_hash) == wanted:
            prepared.verified()
            return prepared
    say(f"reading {named or final['task']}")
    try:
        loaded = read(parse_task(named or final["task"]), data_dir)
    except UserError as error:
        name = final["task"].partition(":")[0]
        raise UserError(
            f"the data of {final['task']} is not in {runs_dir / 'data'} and cannot be read: "
            f"{error} (where a path was given, give it again: --task {name}:path=...)"
        ) from None
    task = loaded.task
    if (task.key, task.version, loaded.data_hash) != wanted:
        raise UserError(
            f"the data is not that of the final: {task.key} of version {task.version} with the "
            f"hash {loaded.data_hash}, the row has {wanted[0]} of version {wanted[1]} with "
            f"{wanted[2]}; --data-dir or --task say where it is"
        )
    return store(loaded, scratch)


def _device(final: Row, say: Callable[[str], None]) -> str:
    """The final's kind of device, or the processor where there is none."""
    if final["device"] == "cpu":
        return "cpu"
    device = find_device("auto")
    if device == "cpu":
        say(f"it was trained on {final['device']}, which is not here: training on the processor")
    return device


def _tests(final: Row, rows: list[Row]) -> list[float]:
    """The test values of the finalist, one a seed, the final's own among them."""
    tests: dict[int, float] = {}
    for row in (final, *rows):
        if (
            (row["role"], row["state"], row["study"]) == ("final", "complete", final["study"])
            and same_net(row, final["config"], final["learning_rate"])
        ):  # fmt: skip
            tests.setdefault(row["seed"], row["test"])
    return list(tests.values())
