"""What the best dilated RNNs of the published searches have in common: a table, and counts.

    python benchmarks/best_nets.py [--records FOLDER]

A search counts where it had more trials than its random start: one of a single point, as the nets
of the paper are, has found nothing. The best net is that of the search's last row, before any
fresh seed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from drnn_bench.results import records
from drnn_bench.search.study import STARTUP

RECORDS = Path(__file__).parent.parent / "leaderboards" / "records"
COUNTED = ("cell", "base", "start", "depth", "fusion")


def searches(folder: Path) -> list[dict[str, Any]]:
    """The last row of each search of dilated RNNs that went beyond its random start."""
    latest: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for row in records.read(path)[0]:
            if row["role"] == "study" and row["family"] == "dilated_rnn":
                latest[row["study"]] = row
    return [row for row in latest.values() if sum(row["trials"].values()) > STARTUP]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, default=RECORDS)
    options = parser.parse_args()
    counts: dict[str, Counter] = {name: Counter() for name in COUNTED}
    print("| task | parameters | steps | protocol | trials | best net |")
    print("|---|---:|---:|---:|---:|---|")
    for row in searches(options.records):
        best, trials = row["best"], row["trials"]["complete"] + row["trials"]["pruned"]
        net = {name: best["config"][name] for name in COUNTED}
        for name, value in net.items():
            counts[name][value] += 1
        words = " ".join(f"{name}={value}" for name, value in net.items())
        print(
            f"| {row['task']} | {row['budget']:,} | {row['steps']:,} | {row.get('protocol', 1)} "
            f"| {trials} | {words} |"
        )
    for name, values in counts.items():
        found = ", ".join(f"{value} ({count})" for value, count in values.most_common())
        print(f"\n{name}: {found}")


if __name__ == "__main__":
    main()
