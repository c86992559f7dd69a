"""All events, by the name under which they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from oms_es.kernel import Event
from oms_es.schemas import order, payment, shipment, stock
from oms_es.schemas.catalog import item, location, numbering, rates, routes, rules, serial
from oms_es.schemas.finance import (
    account,
    account_privacy,
    gift_card,
    invoicing,
    reconciliation,
    statement,
    statement_privacy,
)
from oms_es.schemas.operations import aside, connection, document, encryption, exception, report, subscription
from oms_es.schemas.order import returns
from oms_es.schemas.payment import provider, references
from oms_es.schemas.returns import feedback, policy, rma
from oms_es.schemas.shipment import tracker

MODULES: tuple[ModuleType, ...] = (
    order.placement,
    order.sourcing,
    order.payment,
    order.holds,
    order.notes,
    order.forgetting,
    order.amendments,
    order.split_merge,
    order.elsewhere,
    order.shipping,
    order.refunds,
    stock.levels,
    stock.movements,
    stock.limits,
    stock.reservations,
    payment.authorization,
    payment.action,
    payment.capture,
    payment.refunds,
    payment.answers,
    shipment.booking,
    shipment.freight,
    shipment.picking,
    shipment.transport,
    location,
    numbering,
    item,
    rules,
    routes,
    serial,
    rates,
    tracker,
    returns,
    rma,
    policy,
    feedback,
    aside,
    exception,
    provider,
    references,
    connection,
    subscription,
    statement,
    statement_privacy,
    reconciliation,
    account,
    account_privacy,
    gift_card,
    invoicing,
    document,
    encryption,
    report,
)


def _stored(module: ModuleType) -> Iterator[type[Event]]:
    """Yield the events that a module defines; a class that others derive from is a shape, not an event."""
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, Event) and found.__module__ == module.__name__:
            yield from () if found.__subclasses__() else (found,)


EVENTS: dict[str, type[Event]] = {event.__name__: event for module in MODULES for event in _stored(module)}
