"""The page of the flow names everything that is declared, and draws which event wakes which consumer."""

from __future__ import annotations

from oms_es.app import CONSUMERS, DECIDERS, PROJECTIONS
from oms_es.reference.flow import READERS, flow


def test_every_event_consumer_gateway_and_read_model_is_in_the_flow() -> None:
    page = flow()
    events = {event.__name__ for decider in DECIDERS for event in decider.emits}
    others = {*READERS, *(projection.name for projection in PROJECTIONS)}
    assert {name for name in events | others if f"`{name}`" not in page} == set()


def test_who_wakes_whom_is_drawn_once_from_the_event_to_the_streams() -> None:
    page = flow()
    for edge in ("OrderPlaced --> sourcing", "sourcing --> order[(order)]", "PaymentRequested --> payment_provider"):
        assert f"    {edge}\n" in page
    for consumer in CONSUMERS:
        for event in consumer.reactions:
            assert page.count(f"    {event.__name__} --> {consumer.name}\n") == 1


def test_every_row_of_an_event_has_what_follows_from_it() -> None:
    (row,) = [line for line in flow().splitlines() if line.startswith("| `StockMovedOut` |")]
    assert "`stock_mover`" in row
    assert "`AdmitMove`" in row
    assert "`stock_levels`" in row
