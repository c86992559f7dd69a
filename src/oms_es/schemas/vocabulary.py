"""Every event there is, by the name under which it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from oms_es.kernel import Event
from oms_es.schemas import (
    aside,
    exception,
    feedback,
    item,
    location,
    numbering,
    order,
    order_returns,
    payment,
    policy,
    provider,
    rates,
    rma,
    rules,
    serial,
    shipment,
    stock,
    tracker,
)

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
