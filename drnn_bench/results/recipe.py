"""The training recipe: one for all families of a run, printed on the board.

Only the learning rate is tuned, for each study on its own. A search-space file may fix another
recipe in its `[recipe]` table, as the paper's nets do; it then is part of the study's identity.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from drnn_bench.errors import UserError, nearest
from drnn_bench.results.codec import from_json, to_json

OPTIMIZERS = ("adam", "rmsprop")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """clip_norm: the gradient's largest norm (inf: no clipping). schedule: `cosine` warms up
    linearly over the first 5 % of the steps and falls to zero along a half cosine. evaluations:
    how often, evenly spaced, the validation set is read; the best of them is the checkpoint."""

    optimizer: str = "adam"
    batch_size: int = 128
    clip_norm: float = 1.0
    schedule: str = "cosine"
    rmsprop_alpha: float = 0.9
    evaluations: int = 8

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise UserError(
                    f"recipe: unknown {name} {getattr(self, name)!r}: "
                    f"{nearest(str(getattr(self, name)), list(known))}"
                )
        for name, most in (("batch_size", 1_000_000), ("evaluations", 10_000)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UserError(
                    f"recipe: {name} must be a whole number of at least 1, got {value!r}"
                )
            if value > most:
                raise UserError(f"recipe: {name} must be at most {most:,}, got {value:,}")
        for name in ("clip_norm", "rmsprop_alpha"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise UserError(f"recipe: {name} must be a number above 0, got {value!r}")
            object.__setattr__(self, name, float(value))
        if self.rmsprop_alpha >= 1:
            raise UserError(f"recipe: rmsprop_alpha must be below 1, got {self.rmsprop_alpha}")

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> Recipe:
        known = [f.name for f in dataclasses.fields(cls)]
        for key in table:
            if key not in known:
                raise UserError(f"recipe: unknown key {key!r}: {nearest(key, known)}")
        return cls(**table)

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Recipe:
        """From JSON values, as `table` gives them."""
        return cls.from_table(from_json(table))

    @property
    def table(self) -> dict[str, Any]:
        """As JSON values; no clipping is the string `inf`."""
        return to_json(dataclasses.asdict(self))

    @property
    def words(self) -> str:
        clip = "no clipping" if self.clip_norm == math.inf else f"clip {self.clip_norm:g}"
        name = self.optimizer
        if name == "rmsprop":
            name += f" (alpha {self.rmsprop_alpha:g})"
        return f"{name}, batch {self.batch_size}, {clip}, {self.schedule} schedule"

    def evaluation_steps(self, steps: int) -> list[int]:
        """The steps after which the validation set is read; always the last one among them."""
        count = min(self.evaluations, steps)
        return [steps * i // count for i in range(1, count + 1)]
