"""Open exceptions: what a person must look at. A row is deleted when the matter is settled.

Some kinds stay, because no later event settles them: a conflict between two versions of an order, a cancellation that
came too late, money that could not be captured or refunded, a parcel that came back, a carrier that contradicts itself,
and what people or other systems noticed. A broken promise is settled when its parcel leaves after all, and when its
order releases the units: cancelled, or sourced elsewhere, where they are reserved or backordered again. A reaction that
was put aside is settled when its dead letter is replayed, and a failing subscription when it is enabled again. A
declined or failed payment is no exception: its order handles it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA, money_of
from oms_es.projections.operations.exception_keys import (
    NOT_LEFT,
    NOT_PICKED,
    SILENT,
    UNBOOKED,
    Keys,
    each_of,
    key_of_exception,
    key_of_hold,
    key_of_holds,
    key_of_kept,
    key_of_new_round,
    key_of_numbers,
    key_of_opened,
    key_of_promise,
    key_of_question,
    key_of_reaction,
    key_of_receiver,
    key_of_report,
    key_of_returned_shipment,
    key_of_shared_number,
    key_of_shipment,
    key_of_unasked,
    key_of_unpaid_exchange,
)
from oms_es.projections.operations.exception_sentences import Said, said, said_of
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import serial as se
from oms_es.schemas.operations import aside as a
from oms_es.schemas.operations import subscription as sub
from oms_es.schemas.operations.exception import ExceptionOpened
from oms_es.schemas.order import returns as x
from oms_es.schemas.payment import provider as v
from oms_es.schemas.returns import rma as r
from oms_es.schemas.shipment import tracker as t

table = Table(
    "open_exceptions",
    METADATA,
    Column("exception_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("raised_at", DateTime(timezone=True), nullable=False),
    Column("last_raised_at", DateTime(timezone=True), nullable=False),
    Column("detail", Text, nullable=False),
    Column("says", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Index("open_exceptions_by_order", "order_id"),
    Index("open_exceptions_by_age", "raised_at", "exception_id"),
    Index("open_exceptions_by_kind_and_age", "kind", "raised_at", "exception_id"),
)
"""`detail` is the sentence made of the code in `says` and the parameters. An exception is open since `raised_at`; one
that a person resolved at `last_raised_at` or later keeps its row, and is not listed any more."""

projection = Projection(table, version=17)

SOUGHT = said("OrderSourcingRequested")
CONFLICT = said("DuplicateConflictFound")


def raised(key: Key, recorded: Recorded, what: Said) -> Row:
    event: Any = recorded.event
    kind, _, _ = str(key[0]).partition("/")
    return {
        "exception_id": key[0],
        "kind": kind,
        "order_id": getattr(event, "order_id", ""),
        "raised_at": recorded.recorded_at,
        "last_raised_at": recorded.recorded_at,
        **what.columns,
    }


def again(row: Row, recorded: Recorded, what: Said | None = None) -> Row:
    """Return the row raised again: it keeps its first time, and is open again if a person resolved it."""
    return {**row, "last_raised_at": recorded.recorded_at, **(what.columns if what else {})}


@projection.on(a.ReactionPutAside, keys=key_of_reaction)
def on_reaction_put_aside(_row: Row | None, event: a.ReactionPutAside, recorded: Recorded, key: Key) -> Row:
    return {**raised(key, recorded, said_of(event)), "order_id": event.about_order}


@projection.on(a.ReactionSettled, keys=key_of_reaction)
def on_reaction_settled(_row: Row | None, _event: a.ReactionSettled, _key: Key) -> None:
    return None


@projection.on(o.DuplicateConflictFound, keys=key_of_exception("duplicate_conflict", "order_id"))
def on_duplicate_conflict_found(row: Row | None, _event: o.DuplicateConflictFound, recorded: Recorded, key: Key) -> Row:
    return again(row, recorded) if row else raised(key, recorded, CONFLICT)


@projection.on(o.OrderBackordered, keys=key_of_exception("backordered", "order_id"))
def on_order_backordered(row: Row | None, event: o.OrderBackordered, recorded: Recorded, key: Key) -> Row:
    if row is None:
        return raised(key, recorded, waiting(event.demand))
    return again(row, recorded, waiting(awaited(row) + Counter(event.demand)))


WAITS = "OrderBackordered"


def waiting(lacking: Mapping[str, int]) -> Said:
    return said(WAITS, lacking=", ".join(f"{quantity} x {sku}" for sku, quantity in lacking.items()))


def awaited(row: Row) -> Counter[str]:
    """Return the units by SKU that the sentence names; none while the order is sourced again.

    SKUs contain no spaces.
    """
    lacking: Counter[str] = Counter()
    for part in row["parameters"]["lacking"].split(", ") if row["says"] == WAITS else ():
        quantity, _, sku = part.partition(" x ")
        lacking[sku] += int(quantity)
    return lacking


@projection.on(o.OrderSplit, o.OrderAmended, o.OrderLinesCancelled, keys=key_of_exception("backordered", "order_id"))
@projection.on(o.OrderFulfilledElsewhere, keys=key_of_holds)
def on_demand_changed(row: Row | None, event: Any, _key: Key) -> Row | None:
    """Lower the backorder by units that went to another order, were cancelled, or were shipped by others."""
    if row is None or getattr(event, "whole", False):
        return None
    if not event.no_longer_backordered or row["says"] != WAITS:
        return row
    left = awaited(row) - Counter(event.no_longer_backordered)
    return {**row, **waiting(left).columns} if left else None


@projection.on(o.OrderSourcingRequested, keys=key_of_new_round)
def on_order_sourcing_requested(row: Row | None, _event: o.OrderSourcingRequested, _key: Key) -> Row | None:
    """Show that the order is sourced again: what is still lacking will be reported. The waiting time is kept."""
    return row and {**row, **SOUGHT.columns}


@projection.on(o.OrderCancellationRefused, keys=key_of_exception("cancellation_refused", "order_id"))
def on_order_cancellation_refused(
    row: Row | None, event: o.OrderCancellationRefused, recorded: Recorded, key: Key
) -> Row:
    kept = [*((row["parameters"]["parcels"],) if row else ()), *event.shipment_ids]
    what = said("OrderCancellationRefused", parcels=", ".join(kept))
    return again(row, recorded, what) if row else raised(key, recorded, what)


@projection.on(o.OrderHeld, keys=key_of_hold)
def on_order_held(row: Row | None, event: o.OrderHeld, recorded: Recorded, key: Key) -> Row:
    if row and event.until and row["kind"] == OVERDUE:
        return {**row, "kind": f"held_{event.kind}"}  # the order was given more time
    if row:
        return again(row, recorded, said_of(event) if event.effect else None)  # other money has gone since then
    return raised(key, recorded, said_of(event))


OVERDUE = "hold_overdue"


@projection.on(o.OrderHoldOverdue, keys=key_of_hold)
def on_order_hold_overdue(row: Row | None, event: o.OrderHoldOverdue, recorded: Recorded, key: Key) -> Row:
    held = row or raised(key, recorded, said_of(event))
    return {**again(held, recorded), "kind": OVERDUE, "raised_at": recorded.recorded_at}


MISSING = key_of_exception("order_missing", "order_id")


@projection.on(o.OrderPlacementOverdue, keys=MISSING)
def on_order_placement_overdue(row: Row | None, event: o.OrderPlacementOverdue, recorded: Recorded, key: Key) -> Row:
    """Report a missing order; since a person resolved it, more messages may wait for it."""
    waiting_for = ", ".join(event.waiting)
    what = (
        said("OrderPlacementOverdue", called=event.called, waiting=waiting_for)
        if event.called
        else said("OrderPlacementOverdueUnnamed", waiting=waiting_for)
    )
    return again(row, recorded, what) if row else raised(key, recorded, what)


@projection.on(sh.ShipmentCancellationUnanswered, keys=UNBOOKED)
def on_shipment_cancellation_unanswered(
    _row: Row | None, event: sh.ShipmentCancellationUnanswered, recorded: Recorded, key: Key
) -> Row:
    return {**raised(key, recorded, said_of(event)), "kind": "cancellation_unanswered"}


@projection.on(sh.ShipmentExceptionRaised, keys=key_of_shipment)
def on_shipment_exception_raised(
    row: Row | None, event: sh.ShipmentExceptionRaised, recorded: Recorded, key: Key
) -> Row:
    fresh = raised(key, recorded, said_of(event))
    return {**fresh, "raised_at": row["raised_at"]} if row else fresh


@projection.on(sh.ShipmentPickedShort, sh.ShipmentPickRejected, keys=NOT_PICKED)
def on_shipment_picked_short_or_rejected(
    row: Row | None, event: sh.ShipmentPickedShort | sh.ShipmentPickRejected, recorded: Recorded, key: Key
) -> Row:
    """Raise one exception for the request; the latest answer that counts says which."""
    where = {"location": event.location, "reason": event.answer.reason}
    if isinstance(event, sh.ShipmentPickRejected):
        what = said("ShipmentPickRejected", **where)
    else:
        missing = ", ".join(f"{units.quantity} x {units.sku}" for units in event.missing)
        what = said("ShipmentPickedShort", missing=missing, **where)
    return again(row, recorded, what) if row else raised(key, recorded, what)


@projection.on(sh.ShipmentReturnedToSender, keys=key_of_returned_shipment)
def on_shipment_returned_to_sender(
    _row: Row | None, event: sh.ShipmentReturnedToSender, recorded: Recorded, key: Key
) -> Row:
    items = ", ".join(f"{item.quantity} x {item.sku}" for item in event.items)
    return raised(key, recorded, said("ShipmentReturnedToSender", location=event.location, items=items))


@projection.on(se.SerialConflictFound, keys=key_of_numbers)
def on_serial_conflict_found(_row: Row | None, event: se.SerialConflictFound, recorded: Recorded, key: Key) -> Row:
    return raised(key, recorded, said("SerialConflictFound", number=key[0], elsewhere=event.elsewhere))


@projection.on(s.StockBrokenPromiseSettled, keys=key_of_promise)
def on_stock_broken_promise_settled(row: Row | None, event: s.StockBrokenPromiseSettled, _key: Key) -> Row | None:
    return {**row, **said_of(event).columns} if row and event.left else None


@projection.on(r.RmaReviewRequested, keys=key_of_exception("return_review", "rma_id"))
def on_rma_review_requested(_row: Row | None, event: r.RmaReviewRequested, recorded: Recorded, key: Key) -> Row:
    return raised(key, recorded, said("RmaReviewRequested", rma_id=event.rma_id, reasons="; ".join(event.reasons)))


@projection.on(r.RmaSurplusReceived, keys=key_of_exception("return_surplus", "receipt_id"))
def on_rma_surplus_received(_row: Row | None, event: r.RmaSurplusReceived, recorded: Recorded, key: Key) -> Row:
    units = sum(line.quantity for line in event.lines)
    return raised(key, recorded, said("RmaSurplusReceived", units=units, location=event.location))


@projection.on(t.TrackingNumberShared, keys=key_of_shared_number)
def on_tracking_number_shared(_row: Row | None, event: t.TrackingNumberShared, recorded: Recorded, key: Key) -> Row:
    shared = {"carrier": event.carrier, "tracking_number": event.tracking_number}
    return raised(key, recorded, said("TrackingNumberShared", **shared, shipment_ids=", ".join(event.shipment_ids)))


@projection.on(p.PaymentVoided, p.PaymentRefunded, keys=key_of_unasked)
def on_payment_voided_or_payment_refunded(row: Row | None, event: Any, recorded: Recorded, key: Key) -> Row | None:
    if str(key[0]).startswith("payment_unanswered/"):
        return None
    if str(key[0]).startswith("refund_failed/"):  # a refund of another order may have the same id
        return row if row and row["order_id"] != event.order_id else None
    return raised(key, recorded, said_of(event))


@projection.on(v.ProviderReported, keys=key_of_report)
def on_provider_reported(_row: Row | None, event: v.ProviderReported, recorded: Recorded, key: Key) -> Row:
    report, money = event.report, money_of(event.report)
    named = {"provider": event.provider, "operation": report.operation, "outcome": report.outcome}
    named |= {"references": ", ".join(event.references)}
    if money:
        return raised(key, recorded, said("ProviderReported", **named, money=money))
    return raised(key, recorded, said("ProviderReportedUnpriced", **named))


RAISED_BY: dict[type[Event], Keys] = {
    ExceptionOpened: key_of_opened,
    o.OrderAmendmentRefused: key_of_exception("amendment_refused", "order_id"),
    o.OrderReportDisputed: key_of_exception("channel_contradiction", "order_id"),
    x.OrderCreditRefused: key_of_exception("credit_refused", "credit_id"),
    o.OrderMoneyGone: key_of_unpaid_exchange,
    p.PaymentRequestRefused: key_of_exception("payment_refused", "payment_id"),
    p.PaymentCaptureRefused: key_of_exception("capture_refused", "capture_id"),
    p.PaymentCaptureFailed: key_of_exception("capture_failed", "capture_id"),
    p.PaymentReauthorizationDeclined: key_of_exception("reauthorization_declined", "capture_id"),
    p.PaymentVoidFailed: key_of_exception("void_failed", "payment_id"),
    p.PaymentRefundRefused: key_of_exception("refund_refused", "refund_id"),
    p.PaymentRefundFailed: key_of_exception("refund_failed", "refund_id"),
    p.PaymentRefundReversed: key_of_exception("refund_failed", "refund_id"),
    p.PaymentCaptureShort: key_of_exception("captured_short", "capture_id"),
    p.PaymentRefundShort: key_of_exception("refunded_short", "refund_id"),
    p.PaymentReportKept: key_of_kept,
    p.PaymentDisputeOpened: key_of_exception("dispute", "dispute_id"),
    p.PaymentUnanswered: key_of_question,
    sh.ShipmentBookingFailed: UNBOOKED,
    sh.ShipmentBookingDeferred: UNBOOKED,
    sh.ShipmentBookingCancelled: UNBOOKED,
    sh.ShipmentFellSilent: SILENT,
    sh.ShipmentDispatchOverdue: NOT_LEFT,
    sh.ShipmentPickDisputed: key_of_exception("warehouse_contradiction", "shipment_id"),
    sh.ShipmentReportDisputed: key_of_exception("carrier_contradiction", "shipment_id"),
    sub.SubscriptionDisabled: key_of_receiver,
    s.StockReservationBroken: key_of_promise,
}
"""For each event the key of the exception that it raises; the text is the event's template."""

SETTLED_BY: dict[type[Event], Keys] = {
    o.OrderPlaced: MISSING,
    o.OrderAllocated: key_of_exception("backordered", "order_id"),
    **dict.fromkeys((o.OrderReleased, o.OrderShipped, o.OrderCancelled, o.OrderMergedInto), key_of_holds),
    o.OrderHoldReleased: key_of_hold,
    o.OrderMoneyBack: key_of_unpaid_exchange,
    **dict.fromkeys((p.PaymentDisputeWon, p.PaymentDisputeLost), key_of_exception("dispute", "dispute_id")),
    p.PaymentCaptured: key_of_question,
    p.PaymentReportSettled: key_of_kept,
    v.ProviderReportMatched: key_of_report,
    **dict.fromkeys((sh.ShipmentBooked, sh.ShipmentBookingCancellationRefused), UNBOOKED),
    **dict.fromkeys((sh.ShipmentDispatched, sh.ShipmentCancelled), each_of(UNBOOKED, NOT_LEFT, NOT_PICKED)),
    sh.ShipmentPacked: NOT_PICKED,
    sh.ShipmentExceptionSettled: key_of_shipment,
    **dict.fromkeys((sh.ShipmentHeardOf, sh.ShipmentLost), SILENT),
    se.SerialsLeft: key_of_numbers,
    sub.SubscriptionEnabled: key_of_receiver,
    s.StockShipped: key_of_promise,
    **dict.fromkeys((r.RmaApproved, r.RmaRefused, r.RmaClosed), key_of_exception("return_review", "rma_id")),
}
"""For each event the key of the exception that it settles."""


def on_need(_row: Row | None, event: Event, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    return raised(key, recorded, said_of(event))


def on_settled(_row: Row | None, _event: Event, _key: Key) -> None:
    return None


for event, keys in RAISED_BY.items():
    projection.on(event, keys=keys)(on_need)

for event, keys in SETTLED_BY.items():
    projection.on(event, keys=keys)(on_settled)
