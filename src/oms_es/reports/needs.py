"""What an order waits for, in plain words, and what a person can do about it.

Reads its own stream for what it lacks, and the read models for why it lacks it now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oms_es.aggregates.order.state import Order
from oms_es.aggregates.shipment import decider as shipment
from oms_es.aggregates.shipment import state as shipment_state
from oms_es.kernel import Recorded
from oms_es.reports.queries import LOCATIONS_MAX, Connection, is_any_location_open
from oms_es.reports.streams import histories, state
from oms_es.schemas import order as o
from oms_es.schemas.values.currency import to_text
from oms_es.store.encoding.codec import Codec

PARCELS_MAX = 100
NO_LOCATION = "no location is open: open one with `oms-es location open LOCATION --country COUNTRY`"


def waits_for(connection: Connection, codec: Codec, name: str, order: Order, events: Sequence[Recorded]) -> list[str]:
    """Sentences; none for an order that nothing is left to happen to."""
    if order.content is None or order.phase in o.FINAL_PHASES:
        return []
    needs = list(_of_its_phase(connection, codec, name, order, events))
    return [*needs, *_holds(name, order, events)]


def _of_its_phase(
    connection: Connection, codec: Codec, name: str, order: Order, events: Sequence[Recorded]
) -> Iterator[str]:
    if order.backordered:
        yield from _stock(connection, order, events)
    elif order.phase == "sourcing":
        yield "an engine has to look for its stock: start one with `oms-es run`"
    elif order.phase == "allocating":
        yield "stock has not answered yet whether it is locked"
    elif order.phase == "awaiting_stock":
        yield "its goods have not come yet: it is a presale"
    elif order.phase == "awaiting_payment" or order.is_unpaid:
        yield from _money(name, order)
    elif order.phase in ("fulfilling", "cancelling", "shipped"):
        yield from _parcels(connection, codec, order)


def _stock(connection: Connection, order: Order, events: Sequence[Recorded]) -> Iterator[str]:
    if not is_any_location_open(connection):
        yield NO_LOCATION
        return
    skus = sorted(sku for sku, _ in order.backordered.items())
    query = (
        "SELECT s.sku, s.location, s.atp, l.open FROM stock_levels s LEFT JOIN locations l USING (location) "
        "WHERE s.sku = ANY(%s) AND s.atp > 0 ORDER BY s.sku, s.location LIMIT %s"
    )
    there = connection.execute(query, [skus, LOCATIONS_MAX]).fetchall()
    ruled_out = _ruled_out(events)
    for sku in skus:
        lacking = f"{order.backordered[sku]} x {sku}"
        places = [row for row in there if row["sku"] == sku]
        if not places:
            yield f"no location has {lacking}: receive it with `oms-es stock receive {sku} LOCATION`"
        for row in places:
            why = ruled_out.get(row["location"]) or (
                "is not open" if not row["open"] else "has less than the order asks, or may not ship it"
            )
            yield f"{lacking}: {row['location']} has {row['atp']}, and {why}"


def _ruled_out(events: Sequence[Recorded]) -> dict[str, str]:
    """Of the newest answer: why a place with stock may not ship."""
    for recorded in reversed(events):
        if isinstance(recorded.event, o.OrderSourced):
            return {place: f"may not ship it: {why}" for place, why in recorded.event.ruled_out.items()}
    return {}


def _money(name: str, order: Order) -> Iterator[str]:
    assert order.content
    for payment_id, payment in order.live_payments.items():
        amount = f"{to_text(payment.due.amount_minor, order.content.currency)} (payment {payment_id})"
        if payment.status == "asked":
            yield f"the payment provider has not answered about {amount}"
        elif payment.status == "deferred":
            yield f"{amount} was not paid: ask again with `oms-es order retry-payment {name}`"


def _holds(name: str, order: Order, events: Sequence[Recorded]) -> Iterator[str]:
    notes: dict[str, str] = {r.event.kind: r.event.note for r in events if isinstance(r.event, o.OrderHeld)}
    for kind in sorted(order.holds):
        note = f", {notes[kind]}" if notes.get(kind) else ""
        yield f"it is held ({kind}{note}): release it with `oms-es order release-hold {name} --kind {kind}`"


def _parcels(connection: Connection, codec: Codec, order: Order) -> Iterator[str]:
    ids = sorted(key for key, status in order.shipments.items() if status in ("open", "dispatched"))[:PARCELS_MAX]
    found = histories(connection, codec, [f"shipment-{key}" for key in ids])
    for shipment_id in ids:
        parcel = state(shipment.decider, found.get(f"shipment-{shipment_id}", []))
        yield f"parcel {shipment_id} {parcel_step(parcel)}"


def parcel_step(parcel: shipment_state.Shipment) -> str:
    """How far it is."""
    if parcel.requested is None:
        return "has not been asked for yet"
    where = parcel.requested.location
    steps = (
        (parcel.cancelled, "is stopped"),
        (parcel.lost, "is lost"),
        (parcel.delivered, "is delivered"),
        (parcel.dispatched, f"has left {where}, and has not arrived"),
        (parcel.stopping, "is asked to stop"),
        (parcel.booking == "failed", "was refused by the carrier: book it again"),
        (parcel.booking == "deferred", "has no carrier whose rates serve it: book it with one"),
        (parcel.booking == "booked", f"is booked, and has not left {where}"),
        (parcel.booking == "requested", "waits for the carrier's answer"),
        (parcel.booking in ("cancelling", "cancelled"), "is given back by its carrier: book it again"),
        (parcel.packed is not None, f"is packed at {where}"),
    )
    return next((words for holds, words in steps if holds), f"is to be packed at {where}")
