"""Whether a sampler is worth it: searches against the expected best of as many random draws.

    python benchmarks/sampler.py RECORDS.jsonl

reads the records of a runs folder that holds, for each task and family, searches that differ in the
seed alone and their random twin, as these commands make them:

    bench run --task TASK --trials 24 --searches 5
    bench run --task TASK --trials 40 --sampler random --pruner none --seed 100

and prints, after 8, 16 and 24 trials, the best validation of the searches (mean and standard
deviation over them) beside the expected best of as many random draws (Dodge et al. 2019; its mean
and standard deviation), and at equal seconds of training by how much the searches are better.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from drnn_bench.results import records
from drnn_bench.results.search_worth import Worth, worth

AFTER = (8, 16, 24)


def line(task: str, family: str, found: Worth) -> str:
    cells = [task, family, f"{len(found.searches)}", f"{len(found.draws)}"]
    for k in AFTER:
        if k > found.trials:
            cells += ["–", "–"]
            continue
        bests = [x.running_best[k - 1] for x in found.searches]
        known = [best for best in bests if best is not None]
        spread = statistics.stdev(known) if len(known) > 1 else 0.0
        chance = found.by_chance(k)
        cells.append(f"{statistics.mean(known):.4f} ± {spread:.4f}")
        cells.append(f"{chance.mean:.4f} ± {chance.deviation:.4f}")
    gain = found.gain_at_seconds
    cells += ["–", "–"] if gain is None else [f"{found.seconds:.0f}", f"{gain:+.4f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("records", type=Path)
    options = parser.parse_args()
    rows, _ = records.read(options.records)
    latest = {row["study"]: row for row in rows if row["role"] == "study"}
    titles = [title for k in AFTER for title in (f"after {k}", f"random {k}")]
    columns = ["task", "family", "searches", "draws", *titles, "seconds", "gain at them"]
    print(f"| {' | '.join(columns)} |\n|---|---|{'---:|' * (len(columns) - 2)}")
    shown = set()
    for row in latest.values():
        found = worth(row, list(latest.values()))
        if found and (key := (row["task"], row["family"], row["pruner"])) not in shown:
            shown.add(key)
            print(line(row["task"], row["family"], found))


if __name__ == "__main__":
    main()
