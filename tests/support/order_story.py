"""An order of two lines from two locations, command by command, for tests of what may happen to it later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import reduce
from typing import Any, TypeVar

from dsl import bare
from oms_es.aggregates.order.decider import Order, decider
from oms_es.kernel import Command, Event
from oms_es.schemas import order as o

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BERLIN = o.Address(city="Berlin", country="DE")
PLACE = o.PlaceOrder(
    channel="web",
    external_id="1",
    placed_at=NOON,
    currency="EUR",
    lines=(
        o.OrderLine(line_id="1", sku="A", quantity=2, unit_price_minor=300),
        o.OrderLine(line_id="2", sku="B", quantity=1, unit_price_minor=400),
    ),
    ship_to=BERLIN,
    shipping_minor=50,
)
ID = PLACE.order_id
OF: Any = {"order_id": ID}
Units = tuple[str, str, int]  # SKU, location, quantity
A2, B1 = ("A", "berlin", 2), ("B", "paris", 1)
E = TypeVar("E", bound=Event)


def placed(**more: Any) -> o.PlaceOrder:
    return o.PlaceOrder(**{**PLACE.model_dump(), **more})


def granted(credit_minor: int) -> o.PlaceExchange:
    """Return the command that places an exchange with the same units, for a return's credit."""
    reported = {"kind": "exchange", "exchange_of": "rma-1", "credit_minor": credit_minor}
    return o.PlaceExchange(**OF, content=o.OrderContent(**{**PLACE.content, **reported}))


def source(attempt: int, *units: Units, **backordered: int) -> o.SourceOrder:
    assigned = tuple(o.Assignment(sku=sku, location=location, quantity=n) for sku, location, n in units)
    return o.SourceOrder(**OF, attempt=attempt, assignments=assigned, backordered=backordered, rule_version="1")


def locked(attempt: int, units: Units, **more: Any) -> o.RecordReservation:
    sku, location, n = units
    return o.RecordReservation(**OF, reservation_id=f"{ID}/{attempt}", sku=sku, location=location, quantity=n, **more)


def paid(number: int = 1) -> o.RecordPaymentAuthorized:
    return o.RecordPaymentAuthorized(**OF, payment_id=f"{ID}.{number}")


def declined(number: int = 1) -> o.RecordPaymentFailed:
    return o.RecordPaymentFailed(**OF, payment_id=f"{ID}.{number}", reason="funds are short", retriable=True)


def parcel(shape: type[Any], number: int) -> Command:
    report: Command = shape(**OF, shipment_id=f"{ID}.{number}")
    return report


def dispatched(number: int) -> Command:
    return parcel(o.RecordShipmentDispatched, number)


def stopped(number: int) -> Command:
    return parcel(o.RecordShipmentCancelled, number)


def units(**by_line: int) -> tuple[o.LineUnits, ...]:
    return tuple(o.LineUnits(line_id=line_id[1:], quantity=n) for line_id, n in by_line.items())


LOCKING = (source(1, A2, B1), locked(1, A2), locked(1, B1))
DUE = (PLACE, *LOCKING)
FULFILLING = (*DUE, paid())
GONE = (*FULFILLING, dispatched(1), dispatched(2))


class OrderScenario:
    """The result of a sequence of commands; `last` are the events of the last command."""

    def __init__(self, *commands: Command) -> None:
        self.state: Order = decider.initial
        self.history: list[Event] = []
        self.last: list[Event] = []
        for command in commands:
            self.submit(command)

    def submit(self, command: Command) -> list[Event]:
        decided = list(decider.decide(self.state, command))
        self.state = reduce(decider.evolve, decided, self.state)
        self.last = [bare(event) for event in decided]
        self.history += self.last
        return self.last

    def shapes(self) -> list[str]:
        return [type(event).__name__ for event in self.last]

    def only(self, shape: type[E]) -> E:
        (found,) = of_shape(shape, self.last)
        return found

    @property
    def total(self) -> int:
        assert self.state.content
        return self.state.content.total_minor


def of_shape(shape: type[E], events: Iterable[Event]) -> list[E]:
    return [event for event in events if isinstance(event, shape)]
