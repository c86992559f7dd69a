"""Events for tests of consumers and projections: one order of two parcels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BERLIN = o.Address(city="Berlin", country="DE", latitude=52.5, longitude=13.4)
ORDER = "order"
OF: Any = {"order_id": ORDER}
PAYMENT = f"{ORDER}.1"
PARCEL = f"{ORDER}.1"


def line(sku: str, quantity: int, unit_price_minor: int = 300) -> o.OrderLine:
    return o.OrderLine(line_id=sku, sku=sku, quantity=quantity, unit_price_minor=unit_price_minor)


def placed(*lines: o.OrderLine, order_id: str = ORDER, **more: Any) -> o.OrderPlaced:
    reported: dict[str, Any] = {
        "channel": "web",
        "external_id": "1",
        "placed_at": NOON,
        "currency": "EUR",
        "ship_to": BERLIN,
        "fingerprint": "f",
    }
    return o.OrderPlaced(order_id=order_id, lines=lines or (line("A", 2), line("B", 1)), **{**reported, **more})


def reservation(sku: str, location: str, quantity: int, attempt: int = 1) -> o.Reservation:
    return o.Reservation(
        reservation_id=o.reservation_id_of(ORDER, attempt), sku=sku, location=location, quantity=quantity
    )


A2, B1 = reservation("A", "berlin", 2), reservation("B", "paris", 1)


def sourced(*assignments: tuple[str, str, int], attempt: int = 1) -> o.OrderSourced:
    return o.OrderSourced(
        **OF,
        attempt=attempt,
        assignments=tuple(o.Assignment(sku=sku, location=at, quantity=n) for sku, at, n in assignments),
        candidates=(),
        rule_version="1",
    )


def backordered(attempt: int = 1, order_id: str = ORDER, placed_at: datetime = NOON, **demand: int) -> Any:
    return o.OrderBackordered(order_id=order_id, attempt=attempt, demand=demand, placed_at=placed_at)


def sourcing_requested(
    attempt: int = 2,
    short: o.Reservation | None = None,
    excluded: dict[str, tuple[str, ...]] | None = None,
    **demand: int,
) -> o.OrderSourcingRequested:
    return o.OrderSourcingRequested(
        **OF, attempt=attempt, demand=demand, excluded=excluded or {}, ship_to=BERLIN, short=short
    )


def allocated(amount_minor: int = 900) -> o.OrderAllocated:
    return o.OrderAllocated(
        **OF, payment_id=PAYMENT, amount_minor=amount_minor, currency="EUR", payment_token="on-file"
    )


def released() -> o.OrderReleased:
    plans = (
        o.ShipmentPlan(shipment_id=f"{ORDER}.1", location="berlin", items=(A2,), amount_minor=600),
        o.ShipmentPlan(shipment_id=f"{ORDER}.2", location="paris", items=(B1,), amount_minor=300),
    )
    return o.OrderReleased(**OF, payment_id=PAYMENT, currency="EUR", shipments=plans, ship_to=BERLIN)


def cancelled(*reservations: o.Reservation, payment_id: str | None = None, **more: Any) -> o.OrderCancelled:
    reported: dict[str, Any] = {
        "reason": "changed their mind",
        "channel": "web",
        "placed_at": NOON,
        "currency": "EUR",
        "total_minor": 900,
        "units": 3,
    }
    return o.OrderCancelled(**OF, reservations=reservations, payment_id=payment_id, **{**reported, **more})


def at(location: str = "berlin", sku: str = "A", quantity: int = 2) -> Any:
    return {"sku": sku, "location": location, "quantity": quantity}


def held(attempt: int = 1, order_id: str = ORDER, **where: Any) -> Any:
    return {**at(**where), "reservation_id": o.reservation_id_of(order_id, attempt), "order_id": order_id}


def received(quantity: int, location: str = "berlin", sku: str = "A") -> s.StockReceived:
    return s.StockReceived(**at(location, sku, quantity), receipt_id=f"{sku}@{location}+{quantity}")


def dispatched(*items: o.Reservation, amount_minor: int = 600) -> sh.ShipmentDispatched:
    return sh.ShipmentDispatched(
        **OF,
        shipment_id=PARCEL,
        payment_id=PAYMENT,
        location="berlin",
        items=items or (A2,),
        amount_minor=amount_minor,
        dispatched_at=NOON,
    )


OF_PAYMENT: Any = {**OF, "payment_id": PAYMENT}
OF_PARCEL: Any = {**OF, "shipment_id": PARCEL}
AUTHORIZED = p.PaymentAuthorized(**OF_PAYMENT, amount_minor=900, currency="EUR", reference="r")
