"""How often a board's ranks err, and how much they see: boards simulated with a known truth.

    python benchmarks/ranks.py [--boards 2000] [--seeds 7]

A simulated family has a chance of being right on each test example, and every seed of it shifts
that chance. On boards of equal families every separation is an error; on boards of families that
differ, every pair that is separated the right way is power. The test of the boards (`paired_p`,
examples paired) stands beside Welch's test on the seeds alone, which boards of protocol 1 rest on.

Legend: F families, S seeds, N test examples.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from drnn_bench.results.significance import Sample, paired_rank_intervals, rank_intervals

MARGIN = 0.002  # 0.2 points of accuracy


@dataclass(frozen=True)
class World:
    """What is simulated. A seed's shift is normal, or, where `fails` is above 0, a seed fails with
    that chance and then guesses."""

    name: str
    examples: int
    spread: float  # of the seeds, in logits
    fails: float = 0.0


WORLDS = (
    World("normal", 10_000, 0.1),
    World("few examples", 360, 0.02),
    World("bimodal", 10_000, 0.05, fails=0.3),
)


def board(world: World, gaps_F: np.ndarray, seeds: int, rng: np.random.Generator) -> list[Sample]:
    """One board. `gaps_F`: how much worse than the first each family is, in logits."""
    hardness_N = rng.normal(2.0, 2.0, world.examples)  # an example is easy or hard for all
    samples = []
    for gap in gaps_F:
        taste_N = hardness_N + rng.normal(0.0, 0.5, world.examples)  # of this family
        right_SN = []
        for _ in range(seeds):
            chance_N = 1 / (1 + np.exp(-(taste_N - gap + rng.normal(0.0, world.spread))))
            if rng.random() < world.fails:
                chance_N = np.full(world.examples, 0.1)
            right_SN.append(rng.random(world.examples) < chance_N)
        right = np.array(right_SN, dtype=np.float64)
        samples.append(Sample(right.mean(1).tolist(), right.mean(0)))
    return samples


def separated(ranks: list[tuple[int, int]], i: int, j: int) -> int:
    """1 where i is surely better than j, -1 where it is surely worse, else 0."""
    if ranks[i][1] < ranks[j][0]:
        return 1
    return -1 if ranks[j][1] < ranks[i][0] else 0


def simulate(
    world: World, families: int, gap: float, boards: int, seeds: int
) -> dict[str, tuple[float, float]]:
    """Per test: the share of boards with at least one wrong separation, and the share of pairs that
    are separated the right way."""
    rng = np.random.default_rng(families * 1000 + round(1000 * gap))
    gaps_F = gap * np.arange(families)
    pairs = [(i, j) for j in range(families) for i in range(j)]
    wrong: dict[str, list[bool]] = {"paired": [], "welch": []}
    right: dict[str, list[float]] = {"paired": [], "welch": []}
    for _ in range(boards):
        samples = board(world, gaps_F, seeds, rng)
        ranks = {
            "paired": paired_rank_intervals(samples, "max", MARGIN),
            "welch": rank_intervals([s.tests for s in samples], "max"),
        }
        for name, found in ranks.items():
            signs = [separated(found, i, j) for i, j in pairs]
            wrong[name].append(any(s < 0 if gap else s != 0 for s in signs))
            right[name].append(float(np.mean([s > 0 for s in signs])))
    return {n: (float(np.mean(wrong[n])), float(np.mean(right[n]))) for n in wrong}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=7)
    asked = parser.parse_args()
    print(f"{asked.boards} boards each, {asked.seeds} seeds, margin {100 * MARGIN:g} points.\n")
    print("| world | families | gap (logits) | wrong: paired | Welch | power: paired | Welch |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for world in WORLDS:
        for families in (4, 14):
            for gap in (0.0, 0.2):
                found = simulate(world, families, gap, asked.boards, asked.seeds)
                cells = [f"{100 * found[n][k]:.1f} %" for k in (0, 1) for n in ("paired", "welch")]
                if not gap:
                    cells[2:] = ["–", "–"]
                line = [world.name, str(families), f"{gap:g}", *cells]
                print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
