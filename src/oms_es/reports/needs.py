"""What an order waits for, who can end the wait, and what a person can do about it: as codes, and in plain words.

Reads the order's own stream for what it lacks, and the read models for the current reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

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
ELSEWHERE = "{quantity} x {sku}: {location} has {available}, and "


class Words(NamedTuple):
    """A reason of waiting. `acts` names who can end it: a role of the API's keys, or an outside party."""

    acts: str
    sentence: str


WORDS: Mapping[str, Words] = {
    "not_sourced": Words("operator", "an engine has to look for its stock: start one with `oms-es run`"),
    "not_reserved": Words("operator", "stock has not answered yet whether it is reserved"),
    "presale": Words("warehouse", "its goods have not come yet: it is a presale"),
    "no_location": Words("operator", NO_LOCATION),
    "no_stock": Words(
        "warehouse", "no location has {quantity} x {sku}: receive it with `oms-es stock receive {sku} LOCATION`"
    ),
    "stock_closed": Words("operator", ELSEWHERE + "is not open"),
    "stock_too_little": Words("support", ELSEWHERE + "has less than the order asks, or may not ship it"),
    "stock_ruled_out": Words("support", ELSEWHERE + "may not ship it: {why}"),
    "payment_unanswered": Words(
        "payment_provider", "the payment provider has not answered about {amount} (payment {payment})"
    ),
    "unpaid": Words(
        "support", "{amount} (payment {payment}) was not paid: ask again with `oms-es order retry-payment {order}`"
    ),
    "held": Words("support", "it is held ({kind}): release it with `oms-es order release-hold {order} --kind {kind}`"),
    "held_with_note": Words(
        "support", "it is held ({kind}, {note}): release it with `oms-es order release-hold {order} --kind {kind}`"
    ),
    "parcel_not_requested": Words("operator", "parcel {shipment} has not been asked for yet"),
    "parcel_cancelled": Words("warehouse", "parcel {shipment} is stopped"),
    "parcel_lost": Words("support", "parcel {shipment} is lost"),
    "parcel_delivered": Words("operator", "parcel {shipment} is delivered"),
    "parcel_dispatched": Words("carrier", "parcel {shipment} has left {location}, and has not arrived"),
    "parcel_stopping": Words("warehouse", "parcel {shipment} is asked to stop"),
    "parcel_refused": Words("warehouse", "parcel {shipment} was refused by the carrier: book it again"),
    "parcel_without_rate": Words(
        "warehouse", "parcel {shipment} has no carrier whose rates serve it: book it with one"
    ),
    "parcel_short": Words("support", "parcel {shipment} was picked short at {location}: decide about what is missing"),
    "parcel_rejected": Words("support", "parcel {shipment} was rejected by the warehouse {location}"),
    "parcel_booked": Words("warehouse", "parcel {shipment} is booked, and has not left {location}"),
    "parcel_booking": Words("carrier", "parcel {shipment} waits for the carrier's answer"),
    "parcel_given_back": Words("warehouse", "parcel {shipment} is given back by its carrier: book it again"),
    "parcel_packed": Words("warehouse", "parcel {shipment} is packed at {location}"),
    "parcel_to_pack": Words("warehouse", "parcel {shipment} is to be packed at {location}"),
}
"""The sentences by code, with the names of their parameters."""


class Need(NamedTuple):
    """One thing that an order waits for."""

    says: str
    parameters: Mapping[str, str]

    @property
    def acts(self) -> str:
        return WORDS[self.says].acts

    @property
    def sentence(self) -> str:
        return WORDS[self.says].sentence.format(**self.parameters)

    def as_json(self) -> dict[str, object]:
        return {"says": self.says, "acts": self.acts, "parameters": dict(self.parameters)}


def needs_of(connection: Connection, codec: Codec, name: str, order: Order, events: Sequence[Recorded]) -> list[Need]:
    """Return what the order waits for; empty if nothing more will happen to it."""
    if order.content is None or order.phase in o.FINAL_PHASES:
        return []
    needs = list(_of_its_phase(connection, codec, name, order, events))
    return [*needs, *_holds(name, order, events)]


def waits_for(connection: Connection, codec: Codec, name: str, order: Order, events: Sequence[Recorded]) -> list[str]:
    """Return what the order waits for, in sentences."""
    return [need.sentence for need in needs_of(connection, codec, name, order, events)]


def _of_its_phase(
    connection: Connection, codec: Codec, name: str, order: Order, events: Sequence[Recorded]
) -> Iterator[Need]:
    if order.backordered:
        yield from _stock(connection, order, events)
    elif order.phase == "sourcing":
        yield Need("not_sourced", {})
    elif order.phase == "allocating":
        yield Need("not_reserved", {})
    elif order.phase == "awaiting_stock":
        yield Need("presale", {})
    elif order.phase == "awaiting_payment" or order.is_unpaid:
        yield from _money(name, order)
    elif order.phase in ("fulfilling", "cancelling", "shipped"):
        yield from _parcels(connection, codec, order)


def _stock(connection: Connection, order: Order, events: Sequence[Recorded]) -> Iterator[Need]:
    if not is_any_location_open(connection):
        yield Need("no_location", {})
        return
    skus = sorted(sku for sku, _ in order.backordered.items())
    query = (
        "SELECT s.sku, s.location, s.atp, l.open FROM stock_levels s LEFT JOIN locations l USING (location) "
        "WHERE s.sku = ANY(%s) AND s.atp > 0 ORDER BY s.sku, s.location LIMIT %s"
    )
    there = connection.execute(query, [skus, LOCATIONS_MAX]).fetchall()
    ruled_out = _ruled_out(events)
    for sku in skus:
        lacking = {"quantity": str(order.backordered[sku]), "sku": sku}
        places = [row for row in there if row["sku"] == sku]
        if not places:
            yield Need("no_stock", lacking)
        for row in places:
            of_place = {**lacking, "location": row["location"], "available": str(row["atp"])}
            if why := ruled_out.get(row["location"]):
                yield Need("stock_ruled_out", {**of_place, "why": why})
            else:
                yield Need("stock_too_little" if row["open"] else "stock_closed", of_place)


def _ruled_out(events: Sequence[Recorded]) -> Mapping[str, str]:
    """Return by location, from the newest sourcing, why a location with stock may not ship."""
    for recorded in reversed(events):
        if isinstance(recorded.event, o.OrderSourced):
            return recorded.event.ruled_out
    return {}


def _money(name: str, order: Order) -> Iterator[Need]:
    assert order.content
    for payment_id, payment in order.live_payments.items():
        amount = to_text(payment.due.amount_minor, order.content.currency)
        if payment.status == "asked":
            yield Need("payment_unanswered", {"amount": amount, "payment": payment_id})
        elif payment.status == "deferred":
            yield Need("unpaid", {"amount": amount, "payment": payment_id, "order": name})


def _holds(name: str, order: Order, events: Sequence[Recorded]) -> Iterator[Need]:
    notes: dict[str, str] = {r.event.kind: r.event.note for r in events if isinstance(r.event, o.OrderHeld)}
    for kind in sorted(order.holds):
        held = {"kind": kind, "order": name}
        yield Need("held_with_note", {**held, "note": notes[kind]}) if notes.get(kind) else Need("held", held)


def _parcels(connection: Connection, codec: Codec, order: Order) -> Iterator[Need]:
    ids = sorted(key for key, status in order.shipments.items() if status in ("open", "dispatched"))[:PARCELS_MAX]
    found = histories(connection, codec, [f"shipment-{key}" for key in ids])
    for shipment_id in ids:
        yield _parcel(shipment_id, state(shipment.decider, found.get(f"shipment-{shipment_id}", [])))


def _parcel(shipment_id: str, parcel: shipment_state.Shipment) -> Need:
    if parcel.requested is None:
        return Need("parcel_not_requested", {"shipment": shipment_id})
    steps = (
        (parcel.cancelled, "cancelled"),
        (parcel.lost, "lost"),
        (parcel.delivered, "delivered"),
        (parcel.dispatched, "dispatched"),
        (parcel.stopping, "stopping"),
        (parcel.booking == "failed", "refused"),
        (parcel.booking == "deferred", "without_rate"),
        (parcel.booking == "booked", "booked"),
        (parcel.booking == "requested", "booking"),
        (parcel.booking in ("cancelling", "cancelled"), "given_back"),
        (parcel.packed is not None, "packed"),
        (parcel.answered is not None and parcel.answered.outcome == "short", "short"),
        (parcel.answered is not None, "rejected"),
    )
    step = next((code for holds, code in steps if holds), "to_pack")
    return Need(f"parcel_{step}", {"shipment": shipment_id, "location": parcel.requested.location})


def parcel_step(shipment_id: str, parcel: shipment_state.Shipment) -> str:
    """Return how far a parcel is, in words."""
    return _parcel(shipment_id, parcel).sentence.removeprefix(f"parcel {shipment_id} ")
