"""A replay without a change gives the same history: every event of every stream, with ids, causes and times."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from oms_es.app import DECIDERS
from oms_es.consumers.order import deadline_keeper
from oms_es.kernel import Recorded, SystemCommand
from oms_es.schemas.vocabulary import EVENTS
from oms_es.whatif.equality import Unlike, unlike
from oms_es.whatif.history import rest_before
from oms_es.whatif.reliving import given
from oms_es.whatif.reliving.relive import Relive
from relived_world import history_of

SEEDS = int(os.environ.get("OMS_TEST_RELIVE", "12"))


def relived(history: Sequence[Recorded], begins: int = 0) -> Relive:
    relive = Relive(history[:begins], history[begins:], rest_seconds=0.0)
    relive.run()
    return relive


def differences(history: Sequence[Recorded], relive: Relive) -> list[Unlike]:
    return list(unlike(history, relive.events()))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_simulated_world_is_lived_again_as_it_was(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    history = history_of(seed, monkeypatch)
    relive = relived(history)
    assert differences(history, relive) == []
    assert relive.counts["left_out"] == relive.counts["refused"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_it_may_begin_wherever_the_engine_was_at_rest(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    history = history_of(seed, monkeypatch)
    begins = rest_before(history, history[len(history) // 2].position, 0.001)
    assert begins
    assert differences(history, relived(history, begins)) == []


def test_it_is_decided_again_and_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its cause, an event does not occur."""
    history = history_of(2, monkeypatch)
    first = next(r for r in history if type(r.event).__name__ == "OrderPlaced")
    without = [r for r in history if r is not first]
    relive = relived(without)
    assert not any(r.stream == first.stream and r.actor != "ticker" for r in relive.events() if not r.caused_by)
    assert any(r.stream == first.stream for r in history if r.caused_by)
    assert not any(r.stream == first.stream for r in relive.events() if r.caused_by)


def test_every_event_is_from_outside_or_decided_by_the_engine_alone() -> None:
    assert given.GIVEN_BY.keys() == set(EVENTS.values())
    alone = {event.__name__ for event, commands in given.GIVEN_BY.items() if not commands}
    assert alone == {
        "ProviderReportMatched",
        "SerialConflictFound",
        "SerialsLeft",
        "SerialsSeen",
        "StatementLinesRecorded",
        "TrackingNumberShared",
    }
    outside = {c for decider in DECIDERS for c in decider.accepts} - given.OF_THE_ENGINE
    assert {command for commands in given.GIVEN_BY.values() for command in commands} == outside - given.RESTATED_ALWAYS


def test_what_becomes_of_deadlines_is_the_engines() -> None:
    named = vars(deadline_keeper).values()
    imported = {one for one in named if isinstance(one, type) and issubclass(one, SystemCommand)}
    assert imported == deadline_keeper.GIVES
