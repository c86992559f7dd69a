"""The vocabulary is exactly the events that the deciders emit."""

from __future__ import annotations

from oms_es.app import DECIDERS
from oms_es.schemas.vocabulary import EVENTS


def test_every_event_is_emitted_by_one_decider() -> None:
    emitted = [event for decider in DECIDERS for event in decider.emits]
    assert sorted(emitted, key=lambda event: event.__name__) == sorted(EVENTS.values(), key=lambda e: e.__name__)


def test_an_event_is_stored_under_the_name_of_its_class() -> None:
    assert all(name == event.__name__ for name, event in EVENTS.items())
