"""The version of the rules that was published last is current."""

from __future__ import annotations

from folding import fold, recorded_at
from oms_es.kernel import Event
from oms_es.projections.catalog.sourcing_rules import projection
from oms_es.schemas.catalog.rules import BUILT_IN_VERSION, SourcingRules, SourcingRulesPublished

TWO = SourcingRulesPublished(version="2", supersedes=BUILT_IN_VERSION, objective=({"cost_minor": 1},))
THREE = SourcingRulesPublished(version="3", supersedes="2")


def current(*events: Event) -> list[str]:
    return [row["version"] for row in fold(projection, *events).values() if row["current"]]


def test_a_version_is_kept_as_it_was_published() -> None:
    row = fold(projection, TWO)["2",]
    assert (row["current"], row["published_at"], row["published_by"]) == (True, recorded_at(1), "someone")
    assert SourcingRules.model_validate(row["rules"]) == SourcingRules(objective=({"cost_minor": 1},))


def test_the_version_sent_last_holds_and_the_others_are_kept() -> None:
    assert current(TWO, THREE) == ["3"]
    assert set(fold(projection, TWO, THREE)) == {("2",), ("3",)}
    assert current(TWO, THREE, TWO.model_copy(update={"supersedes": "3"})) == ["2"]
