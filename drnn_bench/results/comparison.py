"""A recorded final and the same one trained again: whether it came out the same.

Where nothing differs that decides the bits of a result, the two must agree bit for bit. Where
something does (another processor, another version), they may not, and the test value is held
against those of the finalist's seeds instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from drnn_bench.results.codec import to_json
from drnn_bench.results.significance import prediction_interval

Row = dict[str, Any]

# What a final's bits are read from, as far as a row has it; `reason` names the step of divergence.
BITS = ("state", "weights", "curve", "best_step", "validation", "test", "test_cross_entropy")
# What decides them, beside the code and the processor's name.
FACTS = ("cpu", "simd", "device", "threads", "dtype", "cuda", "torch", "numpy", "numba", "kernels")
NOT_RECORDED = "not recorded"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came out. `same` is the answer, and `by` how it was found: `bits`, or `interval` where
    the bits differ and `differences` tell why they may."""

    same: bool
    by: Literal["bits", "interval"]
    differences: tuple[str, ...]  # between the machine and code then and now, a line each
    unequal: tuple[str, ...]  # keys of the rows, of those in BITS
    interval: tuple[float, float] | None  # of the metric; None by bits, or below two seeds
    recorded: Row
    replayed: Row

    @property
    def json(self) -> dict[str, Any]:
        """The same as JSON values; of the rows, what is compared of them."""
        rows = {"recorded": self.recorded, "replayed": self.replayed}
        bits = {name: {key: row.get(key) for key in BITS} for name, row in rows.items()}
        return to_json(asdict(replace(self, **bits)))

    @property
    def lines(self) -> list[str]:
        """The same in words, the answer last."""
        different = [f"  {line}" for line in self.differences]
        changed = "; ".join(_change(key, self.recorded, self.replayed) for key in self.unequal)
        if self.by == "interval":
            return [
                "Compared with the finalist's seeds, not bit for bit, as these differ between then "
                "and now:",
                *different,
                f"Not the same bits: {changed}.",
                f"{self._held}: it {'came' if self.same else 'did not come'} out the same.",
            ]
        if different:
            how = "the bits are the same, though these differ between then and now:"
        else:
            how = "nothing that decides the bits differs between then and now."
        return [
            f"Compared bit for bit: {how}",
            *different,
            f"It came out the same: {_outcome(self.recorded)}."
            if self.same
            else f"It did not come out the same: {changed}.",
        ]

    @property
    def _held(self) -> str:
        states = self.recorded["state"], self.replayed["state"]
        if states == ("diverged", "diverged"):
            return "It diverged then and now"
        if "diverged" in states:
            return "It diverged " + ("then, and not now" if states[0] == "diverged" else "only now")
        metric, then, now = (self.recorded["metric"], self.recorded["test"], self.replayed["test"])
        margin = self.recorded.get("margin", 0.0)
        if abs(now - then) <= margin:
            return (
                f"The test {metric} {now:.6g} differs from {then:.6g} by no more than the margin "
                f"that counts in the ranks, {margin:g}"
            )
        if self.interval is None:
            return (
                f"The test {metric} {now:.6g} is not {then:.6g}, and one seed has no interval to "
                "hold it against"
            )
        low, high = self.interval
        return (
            f"The test {metric} {now:.6g} lies {'inside' if self.same else 'outside'} {low:.6g} to "
            f"{high:.6g}, Student's 95 % prediction interval of one more seed"
        )


def compare(recorded: Row, replayed: Row, tests: Sequence[float]) -> Comparison:
    """`recorded` and `replayed` are rows of one final; `tests` the recorded test values of its
    finalist, one a seed, this one's among them.

    By interval it is the same where the test value lies inside Student's 95 % prediction interval
    of one more value, or within the task's margin of the recorded one.
    """
    unequal = tuple(k for k in BITS if k in recorded and recorded[k] != replayed.get(k))
    if not unequal and recorded.get("reason") != replayed.get("reason"):
        unequal = ("reason",)
    different = tuple(differences(recorded, replayed))
    if not unequal or not different:
        same, by, interval = not unequal, "bits", None
    else:
        by, interval = "interval", prediction_interval(tests)
        same = _alike(recorded, replayed, interval)
    return Comparison(
        same=same, by=by, differences=different, unequal=unequal, interval=interval,
        recorded=recorded, replayed=replayed,
    )  # fmt: skip


def differences(recorded: Row, replayed: Row) -> list[str]:
    """What decides the bits of a result and differs between two rows or is unknown; a line each."""
    lines = _code(recorded, replayed)
    for key, then, now in [
        ("processor", _model(recorded), _model(replayed)),
        *((k, recorded.get(k, NOT_RECORDED), replayed.get(k, NOT_RECORDED)) for k in FACTS),
    ]:
        if then != now:
            lines.append(f"{key}: {then or 'none'} then, {now or 'none'} now")
    if "cpu" not in (recorded["device"], replayed["device"]):
        lines.append("device: sums on a GPU come in no fixed order")
    return lines


def _model(row: Row) -> str:
    """The processor without its cores, which decide nothing."""
    return row["processor"].rpartition(", ")[0] or row["processor"]


def _code(recorded: Row, replayed: Row) -> list[str]:
    then, now = _version(recorded), _version(replayed)
    if then != now:
        return [f"drnn_bench: {then} then, {now} now"]
    changed = [when for when, row in (("then", recorded), ("now", replayed)) if row["git_dirty"]]
    return [f"drnn_bench: changes were not committed {' and '.join(changed)}"] if changed else []


def _version(row: Row) -> str:
    commit = row["git_commit"]
    return row["harness_version"] + (f" at {commit[:10]}" if commit else "")


def _alike(recorded: Row, replayed: Row, interval: tuple[float, float] | None) -> bool:
    if recorded["state"] != replayed["state"]:
        return False
    if recorded["state"] == "diverged":
        return True
    inside = interval is not None and interval[0] <= replayed["test"] <= interval[1]
    return inside or abs(replayed["test"] - recorded["test"]) <= recorded.get("margin", 0.0)


def _outcome(row: Row) -> str:
    if row["state"] == "diverged":
        return row.get("reason", "it diverged")
    parts = [f"test {row['metric']} {row['test']:.6g}"]
    parts += [f"weights {row['weights'][:12]}"] if "weights" in row else []
    parts += [f"{len(row['curve'])} points of the curve"] if "curve" in row else []
    return ", ".join(parts)


def _change(key: str, recorded: Row, replayed: Row) -> str:
    """A value that differs, in few characters."""
    then, now = recorded.get(key), replayed.get(key)
    if key == "curve" and then and now:
        first = next((a[0] for a, b in zip(then, now, strict=False) if a != b), None)
        return f"curve from step {first}" if first is not None else "curve is of another length"
    words = [f"{x:.6g}" if isinstance(x, float) else str(x)[:12] for x in (then, now)]
    return f"{key.replace('_', ' ')} {words[0]} then, {words[1]} now"
