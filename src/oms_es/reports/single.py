"""One order, payment, shipment, return or location in full: now, or as of any time in history.

Each is folded from its own stream, so that it is complete however far the read models have come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from oms_es.aggregates.order import decider as order
from oms_es.aggregates.order.state import Order
from oms_es.aggregates.returns import rma
from oms_es.aggregates.shipment import decider as shipment
from oms_es.kernel import Recorded
from oms_es.processing.read_models.folding import folded
from oms_es.projections.catalog import locations
from oms_es.projections.payment import payments
from oms_es.projections.returns import returns
from oms_es.reports.needs import parcel_step
from oms_es.reports.queries import Connection, Row
from oms_es.reports.streams import At, histories, history, state
from oms_es.reports.timelines import timeline_of
from oms_es.schemas import order as o
from oms_es.store.encoding.codec import Codec

IDS_MAX = 100
NEIGHBOURS_MAX = 20


class OrderWhole(NamedTuple):
    """An order: `folded` is the state of its stream; `details` is the same for people and programs."""

    folded: Order
    events: Sequence[Recorded]
    details: dict[str, Any]


def whole_order(connection: Connection, codec: Codec, order_id: str, at: At | None = None) -> OrderWhole | None:
    events = history(connection, codec, f"order-{order_id}", at)
    known = state(order.decider, events)
    if known.content is None:
        return None
    details = {
        "lines": [_line(line) for line in known.content.lines],
        **{name: getattr(known.content, name) for name in CHARGES},
        "total_minor": known.content.total_minor,
        "ship_to": known.content.ship_to.model_dump(),
        "delivery_option": known.content.delivery_option,
        "payments": _payments(connection, codec, known, at),
        "parcels": _parcels(connection, codec, known, at),
        "holds": _holds(known, events),
    }
    return OrderWhole(known, events, details)


CHARGES = ("shipping_minor", "tax_minor", "discount_minor", "credit_minor")


def _line(line: o.OrderLine) -> dict[str, Any]:
    return {**line.model_dump(), "total_minor": line.quantity * line.unit_price_minor}


def _payments(connection: Connection, codec: Codec, known: Order, at: At | None) -> list[dict[str, Any]]:
    """Return the order's payments.

    `status` is the payment's own, as the order only knows whether the money is secured, even after it is captured.
    """
    live = list(known.live_payments.items())[:IDS_MAX]
    found = histories(connection, codec, [f"payment-{key}" for key, _ in live], at)
    listed = []
    for key, one in live:
        facts = folded(payments.projection, found.get(f"payment-{key}", [])).get((key,))
        named = {"payment_id": key, "method": one.due.method, "amount_minor": one.due.amount_minor}
        listed.append({**named, "status": facts["state"] if facts else one.status, "attempt": one.attempt})
    return listed


def _holds(known: Order, events: Sequence[Recorded]) -> list[dict[str, Any]]:
    held = {r.event.kind: r.event for r in events if isinstance(r.event, o.OrderHeld)}
    return [held[kind].model_dump(exclude={"order_id"}) for kind in sorted(known.holds) if kind in held]


def _parcels(connection: Connection, codec: Codec, known: Order, at: At | None) -> list[dict[str, Any]]:
    plans = sorted(known.plans.items())[:IDS_MAX]
    found = histories(connection, codec, [f"shipment-{key}" for key, _ in plans], at)
    listed = []
    for shipment_id, plan in plans:
        parcel = state(shipment.decider, found.get(f"shipment-{shipment_id}", []))
        carrier, number = parcel.tracking or ("", "")
        listed.append(
            {
                "shipment_id": shipment_id,
                "location": plan.location,
                "status": known.shipments.get(shipment_id, "open"),
                "step": parcel_step(shipment_id, parcel),
                "carrier": carrier,
                "tracking_number": number,
                "items": [{"sku": item.sku, "quantity": item.quantity} for item in plan.items],
                "amount_minor": plan.amount_minor,
            }
        )
    return listed


class Single(NamedTuple):
    """An entity that belongs to an order: its fields, its parts (units, cartons, effects), and its events."""

    facts: dict[str, Any]
    parts: list[dict[str, Any]]
    history: list[Row]


def payment(connection: Connection, codec: Codec, payment_id: str, at: At | None) -> Single | None:
    events = history(connection, codec, f"payment-{payment_id}", at)
    facts = folded(payments.projection, events).get((payment_id,))
    return Single(dict(facts), _effects(events), timeline_of(events)) if facts else None


def _effects(events: Sequence[Recorded]) -> list[dict[str, Any]]:
    """Return what the provider did, with its references."""
    return [
        {
            "event": type(recorded.event).__name__,
            "amount_minor": getattr(recorded.event, "amount_minor", None),
            "reference": getattr(recorded.event, "reference", None) or getattr(recorded.event, "dispute_id", ""),
            "recorded_at": recorded.recorded_at,
        }
        for recorded in events
        if getattr(recorded.event, "reference", None) or hasattr(recorded.event, "dispute_id")
    ]


def parcel(connection: Connection, codec: Codec, shipment_id: str, at: At | None) -> Single | None:
    events = history(connection, codec, f"shipment-{shipment_id}", at)
    known = state(shipment.decider, events)
    if known.requested is None:
        return None
    carrier, number = known.tracking or ("", "")
    facts = {
        "shipment_id": shipment_id,
        "order_id": known.requested.order_id,
        "step": parcel_step(shipment_id, known),
        "location": known.requested.location,
        "ship_to": known.requested.ship_to.model_dump(),
        "delivery_option": known.requested.delivery_option,
        "warehouse_gateway": known.requested.warehouse_gateway,
        "carrier_gateway": known.carrier_gateway,
        "carrier": carrier,
        "tracking_number": number,
        "weight_grams": known.packed.weight_grams if known.packed else None,
        "left_at": known.left_at,
        "cartons": {carton: str(outcome) for carton, outcome in known.outcomes.items() if carton},
    }
    items = [{"sku": item.sku, "quantity": item.quantity} for item in known.requested.items]
    return Single(facts, items, timeline_of(events))


def goods_back(connection: Connection, codec: Codec, rma_id: str, at: At | None) -> Single | None:
    events = history(connection, codec, f"rma-{rma_id}", at)
    facts = folded(returns.projection, events).get((rma_id,))
    known = state(rma.decider, events)
    if facts is None or known.opened is None:
        return None
    lines = [
        {
            **line.model_dump(),
            "received": known.received.get(line.line_id, 0),
            "inspected": known.inspected.get(line.line_id, 0),
        }
        for line in known.opened.lines
    ]
    return Single(dict(facts), lines, timeline_of(events))


def location(connection: Connection, codec: Codec, name: str, at: At | None) -> Single | None:
    events = history(connection, codec, f"location-{name}", at)
    facts = folded(locations.projection, events).get((name,))
    listed = [
        {"recorded_at": r.recorded_at, "event": type(r.event).__name__, "actor": r.actor, "summary": _reason(r)}
        for r in events
    ]
    return Single(dict(facts), [], listed) if facts else None


def _reason(recorded: Recorded) -> str:
    return str(getattr(recorded.event, "reason", ""))
