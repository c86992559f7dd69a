"""Every event there is, by the name under which it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from oms_es.kernel import Event
from oms_es.schemas import order, payment, shipment, stock
from oms_es.schemas.catalog import item, location, numbering, rates, rules, serial
from oms_es.schemas.operations import aside, exception
from oms_es.schemas.order import returns as order_returns
from oms_es.schemas.payment import provider
from oms_es.schemas.returns import feedback, policy, rma
from oms_es.schemas.shipment import tracker

MODULES: tuple[ModuleType, ...] = (
    order,
    stock,
    payment,
    shipment,
    location,
    numbering,
    item,
    rules,
    serial,
    rates,
    tracker,
    order_returns,
    rma,
    policy,
    feedback,
    aside,
    exception,
    provider,
)


def _stored(module: ModuleType) -> Iterator[type[Event]]:
    """The events that a module defines; one that others of it build on is a shape, not an event."""
    defined = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    for event in defined:
        if issubclass(event, Event) and sum(issubclass(other, event) for other in defined) == 1:
            yield event


EVENTS: dict[str, type[Event]] = {event.__name__: event for module in MODULES for event in _stored(module)}
