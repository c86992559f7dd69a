"""Rules in versions: the content of a version never changes, and the newest one published is in force."""

from __future__ import annotations

from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.catalog.versions import Versions, versioned
from oms_es.kernel import Decider
from oms_es.schemas.catalog.rules import PublishSourcingRules, SourcingRules, SourcingRulesPublished

FIRST, CHEAPEST = SourcingRules(), SourcingRules(objective=({"cost_minor": 1},))


def rules() -> Decider[Versions]:
    return versioned("rules", ("1", FIRST), PublishSourcingRules, SourcingRulesPublished)


def publish(version: str, content: SourcingRules, **more: Any) -> PublishSourcingRules:
    return PublishSourcingRules(version=version, **content.model_dump(), **more)


def published(version: str, content: SourcingRules, supersedes: str, **more: Any) -> SourcingRulesPublished:
    return SourcingRulesPublished(version=version, supersedes=supersedes, **content.model_dump(), **more)


CHEAPER = published("2", CHEAPEST, "1")


def test_as_long_as_nothing_is_published_what_is_built_in_is_in_force() -> None:
    given = Given(rules())
    given.when(publish("1", FIRST)).then()
    given.when(publish("1", CHEAPEST)).then_refused("version_taken", "publish this under a new version")
    assert (given.state.current, dict(given.state.versions.items())) == ("1", {"1": FIRST})


def test_a_version_is_published_once_and_names_what_it_supersedes() -> None:
    given = Given(rules(), CHEAPER)
    Given(rules()).when(publish("2", CHEAPEST)).then(CHEAPER)
    given.when(publish("2", CHEAPEST)).then()
    given.when(publish("3", CHEAPEST)).then(published("3", CHEAPEST, "2"))
    given.when(publish("2", FIRST)).then_refused("version_taken")
    assert (given.state.current, given.state.versions["2"]) == ("2", CHEAPEST)


def test_an_earlier_version_is_in_force_again_when_it_is_published_again() -> None:
    Given(rules(), CHEAPER).when(publish("1", FIRST)).then(published("1", FIRST, "2"))
    Given(rules(), CHEAPER, published("1", FIRST, "2")).when(publish("1", FIRST)).then()


def test_what_is_no_content_is_reported_and_is_no_other_version() -> None:
    tried = {"run_id": "0f", "begins": 10, "ends": 900, "orders_that_differ": 12}
    Given(rules()).when(publish("2", CHEAPEST, decided_on=tried)).then(published("2", CHEAPEST, "1", decided_on=tried))
    Given(rules(), CHEAPER).when(publish("2", CHEAPEST, decided_on=tried)).then()


def test_there_are_so_many_versions_at_most_and_a_known_one_may_always_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms_es.aggregates.catalog.versions.VERSIONS_MAX", 2)
    Given(rules()).when(publish("2", CHEAPEST)).then(CHEAPER)
    full = Given(rules(), CHEAPER)
    full.when(publish("3", FIRST)).then_refused("too_many_versions", "there are 2 versions already")
    full.when(publish("1", FIRST)).then(published("1", FIRST, "2"))


def test_the_decider_says_what_it_takes_and_what_comes_of_it() -> None:
    decider = rules()
    assert decider.category == "rules"
    assert (decider.accepts, decider.emits) == ((PublishSourcingRules,), (SourcingRulesPublished,))
