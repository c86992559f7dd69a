"""A published version of the rules never changes, and the version published last is in force."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.catalog.rules import decider
from oms_es.schemas.catalog.rules import (
    BUILT_IN_VERSION,
    NAMES_MAX,
    SHIPMENTS_MAX,
    PublishSourcingRules,
    SourcingRulesPublished,
)

CHEAPEST: Any = {"objective": ({"cost_minor": 1},)}
TWO = PublishSourcingRules(version="2", **CHEAPEST)
PUBLISHED_TWO = SourcingRulesPublished(version="2", supersedes=BUILT_IN_VERSION, **CHEAPEST)
THREE = PublishSourcingRules(version="3")
PUBLISHED_THREE = SourcingRulesPublished(version="3", supersedes="2")


def test_rules_are_published_once() -> None:
    Given(decider).when(TWO).then(PUBLISHED_TWO)
    Given(decider, PUBLISHED_TWO).when(TWO).then()


def test_what_a_version_was_decided_on_is_kept_and_is_no_part_of_what_it_says() -> None:
    tried = {"run_id": "0f", "begins": 10, "ends": 900, "orders_that_differ": 12}
    named = PublishSourcingRules(version="2", decided_on=tried, **CHEAPEST)
    kept = SourcingRulesPublished(version="2", supersedes=BUILT_IN_VERSION, decided_on=tried, **CHEAPEST)
    Given(decider).when(named).then(kept)
    Given(decider, kept).when(TWO).then()
    Given(decider, PUBLISHED_TWO).when(named).then()
    with pytest.raises(ValidationError):
        PublishSourcingRules(version="2", decided_on={**tried, "begins": -1}, **CHEAPEST)


def test_a_newer_version_supersedes_the_one_that_held() -> None:
    Given(decider, PUBLISHED_TWO).when(THREE).then(PUBLISHED_THREE)
    assert Given(decider, PUBLISHED_TWO, PUBLISHED_THREE).state.current == "3"


def test_an_earlier_version_sent_again_holds_again() -> None:
    back = PUBLISHED_TWO.model_copy(update={"supersedes": "3"})
    Given(decider, PUBLISHED_TWO, PUBLISHED_THREE).when(TWO).then(back)
    built_in = PublishSourcingRules(version=BUILT_IN_VERSION)
    Given(decider, PUBLISHED_TWO).when(built_in).then(SourcingRulesPublished(version=BUILT_IN_VERSION, supersedes="2"))
    Given(decider).when(built_in).then()


def test_a_version_never_says_anything_else() -> None:
    other = PublishSourcingRules(version="2", objective=({"distance_km": 1},))
    Given(decider, PUBLISHED_TWO).when(other).then_refused("version_taken")
    Given(decider).when(PublishSourcingRules(version=BUILT_IN_VERSION, **CHEAPEST)).then_refused("version_taken")


def test_versions_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms_es.aggregates.catalog.versions.VERSIONS_MAX", len(decider.initial.versions) + 1)
    Given(decider, PUBLISHED_TWO).when(THREE).then_refused("too_many_versions")
    Given(decider, PUBLISHED_TWO).when(PublishSourcingRules(version=BUILT_IN_VERSION)).then(
        SourcingRulesPublished(version=BUILT_IN_VERSION, supersedes="2")
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"objective": ()},
        {"objective": ({},)},
        {"objective": ({"beauty": 1},)},
        {"objective": ({"cost_minor": 0},)},
        {"promised_days": {"": 1}},
        {"promised_days": {f"option-{n}": 1 for n in range(NAMES_MAX + 1)}},
        {"split": {"shipments_max": SHIPMENTS_MAX + 1}},
        {"eligibility": ({"rule_id": "x", "effect": "perhaps"},)},
    ],
)
def test_rules_that_say_nothing_are_refused_at_the_door(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        PublishSourcingRules(version="2", **wrong)
