"""Which place of a search each trial fills, and which one is next."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from drnn_bench.search.places import (
    next_place,
    open_place,
)
from drnn_bench.search.trial_facts import (
    TrialFacts,
    holds_place,
)

states = st.sampled_from(["COMPLETE", "PRUNED", "FAIL", "RUNNING", "infeasible", "reason", "lost"])


def made(place: int, state: str):
    draw = {"place": place, "config": {"depth": place}}
    kind = TrialState.FAIL if state in ("reason", "lost", "memory") else TrialState.PRUNED
    kind = TrialState[state] if state.isupper() else kind
    outcome = {state: "why"} if state in ("reason", "lost") else {}
    outcome |= {"reason": "no memory", "again": False} if state == "memory" else {}
    if state == "infeasible":
        draw = {"place": place, "infeasible": "why"}
    distribution = {"x": optuna.distributions.IntDistribution(0, 1000)}
    return create_trial(
        state=kind, value=0.5 if state == "COMPLETE" else None,
        params={"x": place}, distributions=distribution,
        user_attrs={"draw": draw, "outcome": outcome},
    )  # fmt: skip


class TestPlaces:
    @given(st.lists(st.tuples(st.integers(0, 5), states), max_size=30), st.integers(1, 8))
    def test_whatever_happened_a_search_ends_with_each_place_filled_once(self, past, wanted):
        """A driver that completes everything it is given from here on."""
        trials = []
        for place, state in past:
            if not any(TrialFacts.of(t).place == place for t in trials if holds_place(t)):
                trials.append(made(place, state))
        before = {TrialFacts.of(t).place for t in trials if holds_place(t)}
        given_out = []
        while (owed := next_place(trials, wanted)) is not None:
            given_out.append(owed.place)
            assert owed.params is None or owed.params == {"x": owed.place}
            trials.append(made(owed.place, "COMPLETE"))
        held = {TrialFacts.of(t).place for t in trials if holds_place(t)}
        assert len(given_out) == len(set(given_out))
        assert not set(given_out) & before
        assert held == before | set(given_out)
        assert len(held) >= wanted
        assert not given_out or len(held) == wanted

    @pytest.mark.parametrize(
        ("past", "attempt", "again"),
        [
            ("FAIL", 0, True),  # interrupted: costs nothing
            ("FAIL " * 40, 0, True),
            ("reason reason", 0, True),
            ("reason reason reason", 1, False),
            ("reason FAIL lost reason", 0, True),
            ("lost " * 9, 0, True),
            ("lost " * 10, 1, False),
            ("memory", 1, False),  # another try of this draw would end the same way
            ("infeasible infeasible", 2, False),
            ("infeasible FAIL", 1, True),
            ("reason reason reason FAIL", 1, True),
        ],
    )
    def test_what_a_place_has_used_up(self, past, attempt, again):
        trials = [made(3, state) for state in past.split()]
        owed = open_place(trials, 3)
        assert (owed.attempt, owed.params is not None) == (attempt, again)
