"""Order timeline: every event of an order, in whichever stream it was recorded, with the event that caused it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Table, Text, Uuid

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA, money_of
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import numbering as n
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.operations import exception as c
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import feedback as f
from oms_es.schemas.returns import rma as r
from oms_es.schemas.values.currency import to_text
from oms_es.schemas.values.sentences import finished

table = Table(
    "order_timeline",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("event", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("caused_by", Uuid),
    Column("actor", Text, nullable=False),
    Column("summary", Text, nullable=False),
)
projection = Projection(table, version=7, insert_only=True)

SUMMARY_CHARACTERS_MAX = 200
STOCK = "{e.quantity} x {e.sku} at {e.location}"
MONEY = "{money}"
SUMMARIES: dict[type[Event], str] = {
    o.OrderPlaced: "placed on {e.channel} as {e.external_id}, " + MONEY,
    o.DuplicateConflictFound: "sent again with other content",
    o.OrderSourced: "sourced, attempt {e.attempt}",
    o.OrderBackordered: "waits for {demand}",
    o.OrderBundlesExploded: "bundles are taken apart",
    o.OrderAssigned: "assigned by hand: {e.reason}",
    o.OrderLocationFailed: "{e.location} failed: {e.reason}",
    o.OrderSourcingRequested: "to be sourced again, attempt {e.attempt}",
    o.OrderLineAllocated: "locked " + STOCK,
    o.OrderTransferShort: STOCK + " do not come over: they are not there",
    o.OrderAllocated: "everything is locked, " + MONEY + " are due",
    o.OrderPaymentRequested: MONEY + " are due again, attempt {e.attempt}",
    o.OrderPaymentDeferred: "not paid: {e.reason}",
    o.OrderPaymentSecured: "paid",
    o.OrderPresold: "waits for its goods",
    o.OrderPresaleCovered: "{e.sku} has come to {e.location}",
    o.OrderBalanceDue: "the balance is due",
    o.OrderNoteAdded: "a person noted something",
    o.OrderForgotten: "its person was forgotten: {e.reason}",
    o.OrderLegalHoldPlaced: "a case needs its personal data: {e.case_id}",
    o.OrderLegalHoldLifted: "no longer needed by {e.case_id}",
    o.OrderHeld: "held, {e.kind}: {e.note}",
    o.OrderHoldOverdue: "held, {e.kind}, and no one decided by {e.until:%Y-%m-%d %H:%M}",
    o.OrderHoldReleased: "no longer held, {e.kind}",
    o.OrderAmended: "amended, " + MONEY,
    n.OrderNumbered: "is called {e.name}",
    o.OrderSplit: "some lines are {e.to_order_id} now",
    o.OrderJoined: "begun with locks of other orders",
    o.OrderLockReturned: "gives back " + STOCK,
    o.OrderMergeRequested: "{e.source_id} is asked to become part of it",
    o.OrderMergedInto: "part of {e.to_order_id} now",
    o.OrderMergeDeclined: "not part of {e.to_order_id}: {e.reason}",
    o.OrderMergeFailed: "no order could be merged",
    o.OrderAmendmentKept: "an amendment came before the order",
    o.OrderAmendmentRefused: "an early amendment does not fit: {e.reason}",
    o.OrderCancellationKept: "a cancellation came before the order",
    o.OrderPlacementOverdue: "the order itself has not come in time",
    o.OrderFulfilledElsewhere: "the channel says what was shipped, " + MONEY + " are charged here",
    o.OrderReportKept: "what the channel says of it came before the order",
    o.OrderReportDisputed: "does not fit: {e.detail}",
    o.OrderLinesCancellationRequested: "lines are to be stopped: {e.reason}",
    o.OrderLinesCancelled: "lines cancelled, " + MONEY + ": {e.reason}",
    o.OrderMoneyGone: MONEY + " of {e.payment_id} are not there: {e.why}",
    o.OrderMoneyBack: MONEY + " of {e.payment_id} are there again, or asked for again",
    o.OrderOverridden: "set to {e.to} by hand: {e.reason}",
    o.OrderShipmentPlanned: "{e.plan.shipment_id} replaces a stopped parcel",
    o.OrderRefundRequested: MONEY + " go back: {e.reason}",
    o.OrderCreditLeft: MONEY + " of the return are left",
    o.OrderReleased: "released to fulfilment",
    o.OrderShipmentDispatched: "{e.shipment_id} left",
    o.OrderShipmentDelivered: "{e.shipment_id} arrived",
    o.OrderShipmentReturned: "{e.shipment_id} came back",
    o.OrderShipmentLost: "{e.shipment_id} was lost, {e.choice}: {e.reason}",
    o.OrderShipmentCancelled: "{e.shipment_id} was stopped",
    o.OrderShipped: "everything left",
    o.OrderCompleted: "completed",
    o.OrderCancellationRequested: "cancellation asked: {e.reason}",
    o.OrderCancellationRefused: "too late to cancel",
    o.OrderCancelled: "cancelled: {e.reason}",
    s.StockReserved: "reserved " + STOCK,
    s.StockShort: "short of {e.sku} at {e.location}: {e.quantity} asked, {e.available} there",
    s.StockReleased: "released " + STOCK,
    s.StockReservationBroken: STOCK + " are no longer promised: {e.reason}",
    s.StockBrokenPromiseSettled: STOCK + " are not waited for any more",
    s.StockPresaleCovered: "now there, and locked: " + STOCK,
    s.StockReservationExpired: "released " + STOCK,
    s.StockReservationTransferred: STOCK + " now belong to {e.to_order_id}",
    s.StockShipped: "shipped " + STOCK,
    p.PaymentRequested: MONEY + " asked for",
    p.PaymentRequestRefused: MONEY + " not asked for: {e.reason}",
    p.PaymentAuthorized: MONEY + " authorised",
    p.PaymentExpirySet: "held until {e.expires_at:%Y-%m-%d %H:%M}",
    p.PaymentActionRequired: "waits for the customer, by {e.kind}",
    p.PaymentCloseRequested: "not to be paid any more",
    p.PaymentDeclined: "declined: {e.reason}",
    p.PaymentFailed: "failed: {e.reason}",
    p.PaymentExpired: "the authorisation expired, " + MONEY + " are held no longer",
    p.PaymentReauthorizationRequested: MONEY + " to be authorised again",
    p.PaymentReauthorized: MONEY + " authorised again",
    p.PaymentReauthorizationDeclined: "not authorised again: {e.reason}",
    p.PaymentCancellationNoted: "cancelled before the answer",
    p.PaymentCaptureRequested: MONEY + " to be captured",
    p.PaymentCaptureRefused: MONEY + " cannot be captured: {e.reason}",
    p.PaymentCaptured: MONEY + " captured",
    p.PaymentCaptureFailed: "capture failed: {e.reason}",
    p.PaymentDepositApplied: MONEY + " of the deposit applied to {e.capture_id}",
    p.PaymentVoidRequested: MONEY + " to be released",
    p.PaymentVoided: MONEY + " released: {e.reason}",
    p.PaymentAttemptDeclined: "one attempt declined: {e.reason}",
    p.PaymentReportKept: "does not fit: {e.why}",
    p.PaymentReportSettled: "what did not fit is explained",
    p.PaymentCaptureShort: MONEY + " less taken than asked for",
    p.PaymentRefundShort: MONEY + " less given back than asked for",
    p.PaymentRefundReversed: MONEY + " came back to us: {e.reason}",
    p.PaymentVoidFailed: MONEY + " could not be released: {e.reason}",
    p.PaymentRefundRequested: MONEY + " to be refunded",
    p.PaymentRefundRefused: MONEY + " cannot be refunded: {e.reason}",
    p.PaymentRefunded: MONEY + " refunded",
    p.PaymentRefundFailed: "refund failed: {e.reason}",
    p.PaymentAnswerAwaited: "the provider was asked to {e.operation} " + MONEY + " and will report the outcome",
    p.PaymentAnswerChased: "the provider is asked whether it did {e.operation} " + MONEY,
    p.PaymentAnswerSettled: "the answer to the request to {e.operation} is not awaited any more",
    p.PaymentUnanswered: "the provider does not say whether it did {e.operation} " + MONEY,
    p.PaymentDisputeOpened: MONEY + " disputed: {e.reason}",
    p.PaymentDisputeWon: MONEY + " disputed and kept",
    p.PaymentDisputeLost: MONEY + " lost in a dispute",
    sh.ShipmentRequested: "parcel asked of {e.location}",
    sh.ShipmentPacked: "packed, {e.weight_grams} g",
    sh.ShipmentBookingRequested: "carrier asked",
    sh.ShipmentBooked: "booked with {e.carrier}, {e.tracking_number}",
    sh.ShipmentBookingFailed: "the carrier refused: {e.reason}",
    sh.ShipmentDispatched: "left {e.location}",
    sh.ShipmentDispatchOverdue: "should have left, and waits for its {e.waits_for}",
    sh.ShipmentBookingDeferred: "no carrier's rates serve it",
    sh.ShipmentBookingCancellationRequested: "{e.carrier} asked not to fetch it",
    sh.ShipmentBookingCancelled: "{e.carrier} will not fetch it",
    sh.ShipmentBookingCancellationRefused: "the carrier keeps the booking: {e.reason}",
    sh.ShipmentLabelAttached: "label attached, {e.document.media_type}",
    sh.ShipmentMilestoneReached: "{tracking_event}",
    sh.ShipmentExceptionRaised: "a person must look: {e.status} {e.detail}",
    sh.ShipmentExceptionSettled: "it goes on",
    sh.ShipmentPartlyDelivered: "{count} cartons delivered",
    sh.ShipmentDelivered: "delivered",
    sh.ShipmentReturnedToSender: "came back to {e.location}",
    sh.ShipmentReportDisputed: "the carrier contradicts: {e.detail}",
    sh.ShipmentFellSilent: "not seen since {e.since:%Y-%m-%d}",
    sh.ShipmentHeardOf: "seen {e.seen_at:%Y-%m-%d}",
    sh.ShipmentLost: "given up as lost, {e.choice}: {e.reason}",
    sh.ShipmentCancellationUnanswered: "{e.carrier} does not say whether it fetches it",
    sh.ShipmentCancellationRequested: "to be stopped",
    sh.ShipmentCancelled: "stopped",
    sh.ShipmentCancellationRefused: "already with the carrier",
    a.AccountHeld: MONEY + " of account {e.account_id} are held",
    a.AccountHoldApplied: MONEY + " of account {e.account_id} are taken",
    a.AccountHoldReleased: MONEY + " of account {e.account_id} are available again",
    a.AccountCredited: MONEY + " come onto account {e.account_id}",
    a.AccountPaymentRefused: "account {e.account_id} refuses " + MONEY + ": {e.reason}",
    v.InvoiceIssued: "{paper} {e.name}, {total}",
    x.OrderReturnRequested: "return {e.rma_id} asked, {e.resolution}",
    x.OrderReturnEnded: "return {e.rma_id}: the rest does not come",
    x.OrderExchangeCredited: "exchanged, {credit} are credited",
    x.OrderCreditRefused: "not credited: {e.reason}",
    r.RmaOpened: "return opened",
    r.RmaNameTaken: "no return: {e.reason}",
    r.RmaReviewRequested: "a person must decide: {e.reasons[0]}",
    r.RmaApproved: "return approved",
    r.RmaRefused: "return refused: {e.reason}",
    r.RmaReceived: "came back to {e.location}",
    r.RmaSurplusReceived: "more than expected came back to {e.location}",
    r.RmaInspected: "inspected at {e.location}",
    r.RmaCreditDue: "accepted, {e.resolution}",
    r.RmaCreditLeft: MONEY + " are left of the exchange",
    r.RmaClosed: "return closed",
    c.ExceptionAssigned: "{e.exception_id} is for {e.assignee}",
    c.ExceptionSnoozed: "{e.exception_id} is put off until {e.until:%Y-%m-%d %H:%M}",
    c.ExceptionResolved: "{e.exception_id} is resolved: {e.note}",
    x.OrderFeedbackGiven: "counted for its customer: {e.rating} of 5 stars for the {e.subject} {e.about}",
    f.FeedbackRecorded: "{e.rating} of 5 stars for the {e.subject} {e.about}",
}


def key_of_timeline_entry(event: Any, recorded: Recorded) -> Iterable[Key]:
    return ((event.order_id, recorded.position),) if event.order_id else ()


@projection.on(*SUMMARIES, keys=key_of_timeline_entry)
def on_any_event(_row: Row | None, event: Event, recorded: Recorded, key: Key) -> Row:
    return {
        "order_id": key[0],
        "position": recorded.position,
        "recorded_at": recorded.recorded_at,
        "event": type(event).__name__,
        "stream": recorded.stream,
        "version": recorded.version,
        "event_id": recorded.event_id,
        "caused_by": recorded.caused_by,
        "actor": recorded.actor,
        "summary": _summary(event)[:SUMMARY_CHARACTERS_MAX],
    }


def _summary(event: Event) -> str:
    extras = {name: extra(event) for name, extra in EXTRAS_OF[type(event)]}
    return finished(SUMMARIES[type(event)].format(e=event, **extras))


def _demand(event: Any) -> str:
    """Return the lacking units as text; empty if none are lacking."""
    demand = event.demand if isinstance(event, o.OrderBackordered) else {}
    return ", ".join(f"{quantity} x {sku}" for sku, quantity in demand.items())


def _tracking_event(event: Any) -> str:
    """Return a tracking event as text: its carton, if it concerns one, and the carrier's own words, if they differ."""
    if not isinstance(event, sh.ShipmentMilestoneReached):
        return ""
    own = event.carrier_status if event.carrier_status != event.status else ""
    return " ".join(part for part in (event.carton_id, event.status, own, event.detail) if part)


def _cartons(event: Any) -> int:
    return len(event.carton_ids) if isinstance(event, sh.ShipmentPartlyDelivered) else 0


def _credit(event: Any) -> str:
    if not isinstance(event, x.OrderExchangeCredited):
        return ""
    return to_text(event.content.credit_minor, event.content.currency)


def _paper(event: Any) -> str:
    return event.kind.replace("_", " ") if isinstance(event, v.InvoiceIssued) else ""


def _total(event: Any) -> str:
    return to_text(event.total_minor, event.currency) if isinstance(event, v.InvoiceIssued) else ""


EXTRAS: dict[str, Callable[[Any], object]] = {
    "paper": _paper,
    "total": _total,
    "money": money_of,
    "credit": _credit,
    "demand": _demand,
    "tracking_event": _tracking_event,
    "count": _cartons,
}
EXTRAS_OF = {
    event: [(name, extra) for name, extra in EXTRAS.items() if f"{{{name}}}" in text]
    for event, text in SUMMARIES.items()
}
"""The computed values that each summary needs besides the event's own fields."""
