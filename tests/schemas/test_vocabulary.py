"""The vocabulary is what the deciders emit: no more, no less."""

from __future__ import annotations

from oms_es.aggregates import delivery, item, location, order, payment, rates, rules, serial, shipment, stock, tracker
from oms_es.schemas.vocabulary import EVENTS

DECIDERS = (
    order.decider,
    stock.decider,
    payment.decider,
    shipment.decider,
    location.decider,
    item.decider,
    serial.decider,
    rules.decider,
    rates.decider,
    delivery.decider,
    tracker.decider,
)


def test_every_event_is_emitted_by_one_decider() -> None:
    emitted = [event for decider in DECIDERS for event in decider.emits]
    assert sorted(emitted, key=lambda event: event.__name__) == sorted(EVENTS.values(), key=lambda e: e.__name__)


def test_an_event_is_stored_under_the_name_of_its_class() -> None:
    assert all(name == event.__name__ for name, event in EVENTS.items())
