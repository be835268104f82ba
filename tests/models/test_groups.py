"""Groups of families, as `--family` takes them."""

from __future__ import annotations

import pytest

from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.models.names import DEFAULT_FAMILIES, FAMILIES, GROUPS
from drnn_bench.models.registry import families_of, group_of
from tests.support.refused import refusal


def test_each_family_is_in_one_group():
    grouped = [family for families in GROUPS.values() for family in families]
    assert sorted(grouped) == sorted(FAMILIES)
    assert all(family in GROUPS[group_of(family)] for family in FAMILIES)
    assert not set(GROUPS) & set(FAMILIES)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_means_its_families(group):
    assert sorted(families_of([group])) == sorted(GROUPS[group])


def test_groups_and_names_go_together_and_count_once():
    assert families_of(["lru", "linear", "lstm", "lru"]) == [
        "lru", "min_gru", "min_lstm", "s4d", "selective_ssm", "gla", "lstm",
    ]  # fmt: skip
    assert families_of(["all", "linear"]) == [*FAMILIES]


def test_an_unknown_group_is_refused_with_the_groups_there_are():
    told = refusal(families_of, ["recurent"])
    assert told.startswith("unknown family 'recurent': did you mean 'recurrent'? known: ")
    assert all(word in told for word in (*FAMILIES, *GROUPS, "all"))


def test_a_plan_searches_the_families_of_a_group(tmp_path):
    def planned(*families: str) -> list[str]:
        request = Request(runs_dir=str(tmp_path), families=families, device="cpu")
        return list(dict.fromkeys(spec.family for spec in make_plan(request).specs))

    assert planned("convolution", "lru") == ["dilated_cnn", "tcn", "lru"]
    assert planned() == list(DEFAULT_FAMILIES)
