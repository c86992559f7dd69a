"""The sentence of each event in the timeline of an order: a template, and the parameters that fill it.

Invariant: a sentence is its template with the parameters filled in, so that it can be written in another language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from string import Formatter
from types import MappingProxyType
from typing import Any

from oms_es.kernel import Event
from oms_es.projections.base import money_of
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import numbering as n
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import gift_card as g
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.operations import exception as c
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import feedback as f
from oms_es.schemas.returns import rma as r
from oms_es.schemas.values.currency import to_text
from oms_es.schemas.values.sentences import finished

SENTENCE_CHARACTERS_MAX = 200
STOCK = "{quantity} x {sku} at {location}"
TEMPLATES: Mapping[type[Event], str] = {
    o.OrderPlaced: "placed on {channel} as {external_id}, {money}",
    o.DuplicateConflictFound: "sent again with other content",
    o.OrderSourced: "sourced, attempt {attempt}",
    o.OrderBackordered: "waits for {demand}",
    o.OrderBundlesExploded: "bundles replaced by their components",
    o.OrderAssigned: "locations chosen by hand: {reason}",
    o.OrderLocationFailed: "{location} cannot ship: {reason}",
    o.OrderSourcingRequested: "to be sourced, attempt {attempt}",
    o.OrderLineAllocated: "allocated " + STOCK,
    o.OrderTransferShort: "not transferred, as they are not there: " + STOCK,
    o.OrderAllocated: "every unit is reserved, {money} due",
    o.OrderPaymentRequested: "{money} due again, attempt {attempt}",
    o.OrderPaymentDeferred: "not paid: {reason}",
    o.OrderPaymentSecured: "payment secured",
    o.OrderPresold: "waits for goods that were sold before they came",
    o.OrderPresaleCovered: "{sku} has arrived at {location}",
    o.OrderBalanceDue: "the balance is due",
    o.OrderNoteAdded: "a person added a note",
    o.OrderForgotten: "personal data erased: {reason}",
    o.OrderLegalHoldPlaced: "personal data kept for case {case_id}",
    o.OrderLegalHoldLifted: "personal data no longer kept for case {case_id}",
    o.OrderHeld: "held, {kind}: {note}",
    o.OrderHoldOverdue: "held, {kind}, and not decided by {until}",
    o.OrderHoldReleased: "hold released, {kind}",
    o.OrderAmended: "amended, new total {money}",
    n.OrderNumbered: "numbered {name}",
    o.OrderSplit: "some lines moved to order {to_order_id}",
    o.OrderJoined: "created with reservations of other orders",
    o.OrderLockReturned: "reservation given back: " + STOCK,
    o.OrderMergeRequested: "order {source_id} asked to merge into this one",
    o.OrderMergedInto: "merged into order {to_order_id}",
    o.OrderMergeDeclined: "not merged into order {to_order_id}: {reason}",
    o.OrderMergeFailed: "no order could be merged into this one",
    o.OrderAmendmentKept: "an amendment came before the order, and was kept",
    o.OrderAmendmentRefused: "the amendment that came before the order does not fit it: {reason}",
    o.OrderCancellationKept: "a cancellation came before the order, and was kept",
    o.OrderPlacementOverdue: "the order itself has not come in time",
    o.OrderFulfilledElsewhere: "shipped by the channel itself, {money} to charge here",
    o.OrderReportKept: "a report of the channel came before the order, and was kept",
    o.OrderReportDisputed: "the channel contradicts: {detail}",
    o.OrderLinesCancellationRequested: "cancellation of lines requested: {reason}",
    o.OrderLinesCancelled: "lines cancelled, new total {money}: {reason}",
    o.OrderMoneyGone: "{money} of {payment_id} no longer secured: {why}",
    o.OrderMoneyBack: "{money} of {payment_id} secured again, or requested again",
    o.OrderOverridden: "set to {to} by hand: {reason}",
    o.OrderShipmentPlanned: "{planned_id} replaces a cancelled parcel",
    o.OrderRefundRequested: "refund of {money} requested: {reason}",
    o.OrderCreditLeft: "{money} of the return's credit left over",
    o.OrderReleased: "released to fulfilment",
    o.OrderShipmentDispatched: "{shipment_id} dispatched",
    o.OrderShipmentDelivered: "{shipment_id} delivered",
    o.OrderShipmentReturned: "{shipment_id} returned to sender",
    o.OrderShipmentLost: "{shipment_id} lost, {choice}: {reason}",
    o.OrderShipmentCancelled: "{shipment_id} cancelled",
    o.OrderShipped: "every parcel dispatched",
    o.OrderCompleted: "completed",
    o.OrderCancellationRequested: "cancellation requested: {reason}",
    o.OrderCancellationRefused: "too late to cancel",
    o.OrderCancelled: "cancelled: {reason}",
    s.StockReserved: "reserved " + STOCK,
    s.StockShort: "short of {sku} at {location}: {quantity} requested, {available} available",
    s.StockReleased: "released " + STOCK,
    s.StockReservationBroken: "reservation broken, " + STOCK + ": {reason}",
    s.StockBrokenPromiseSettled: "broken reservation settled, " + STOCK,
    s.StockPresaleCovered: "arrived and reserved, " + STOCK,
    s.StockReservationExpired: "reservation expired, " + STOCK,
    s.StockReservationTransferred: "reservation transferred to order {to_order_id}, " + STOCK,
    s.StockShipped: "shipped " + STOCK,
    p.PaymentRequested: "{money} requested",
    p.PaymentRequestRefused: "{money} not requested: {reason}",
    p.PaymentAuthorized: "{money} authorised",
    p.PaymentExpirySet: "authorised until {expires_at}",
    p.PaymentActionRequired: "waits for the customer, by {action}",
    p.PaymentCloseRequested: "to be closed unpaid",
    p.PaymentDeclined: "declined: {reason}",
    p.PaymentFailed: "failed: {reason}",
    p.PaymentExpired: "authorisation of {money} expired",
    p.PaymentReauthorizationRequested: "{money} to be authorised again",
    p.PaymentReauthorized: "{money} authorised again",
    p.PaymentReauthorizationDeclined: "not authorised again: {reason}",
    p.PaymentCancellationNoted: "cancelled before the provider answered",
    p.PaymentCaptureRequested: "{money} to be captured",
    p.PaymentCaptureRefused: "{money} cannot be captured: {reason}",
    p.PaymentCaptured: "{money} captured",
    p.PaymentCaptureFailed: "capture failed: {reason}",
    p.PaymentDepositApplied: "{money} of the deposit applied to {capture_id}",
    p.PaymentVoidRequested: "authorisation of {money} to be released",
    p.PaymentVoided: "authorisation of {money} released: {reason}",
    p.PaymentAttemptDeclined: "one attempt declined: {reason}",
    p.PaymentReportKept: "a report of the provider does not fit: {why}",
    p.PaymentReportSettled: "the report that did not fit is explained",
    p.PaymentCaptureShort: "{money} less captured than requested",
    p.PaymentRefundShort: "{money} less refunded than requested",
    p.PaymentRefundReversed: "refund of {money} reversed: {reason}",
    p.PaymentVoidFailed: "authorisation of {money} could not be released: {reason}",
    p.PaymentRefundRequested: "{money} to be refunded",
    p.PaymentRefundRefused: "{money} cannot be refunded: {reason}",
    p.PaymentRefunded: "{money} refunded",
    p.PaymentRefundFailed: "refund failed: {reason}",
    p.PaymentAnswerAwaited: "the provider was asked to {operation} {money} and will report the outcome",
    p.PaymentAnswerChased: "the provider was asked whether it did {operation} {money}",
    p.PaymentAnswerSettled: "the outcome of the request to {operation} is no longer awaited",
    p.PaymentUnanswered: "the provider does not say whether it did {operation} {money}",
    p.PaymentDisputeOpened: "{money} disputed: {reason}",
    p.PaymentDisputeWon: "dispute about {money} won",
    p.PaymentDisputeLost: "dispute about {money} lost",
    sh.ShipmentRequested: "requested from {location}",
    sh.ShipmentPacked: "packed, {weight_grams} g",
    sh.ShipmentPickedShort: "picked short, {missing} not found: {because}",
    sh.ShipmentPickRejected: "the warehouse rejects it: {because}",
    sh.ShipmentPickDisputed: "the warehouse contradicts: {detail}",
    sh.ShipmentPickAnsweredLate: "the warehouse answers late, and nothing follows: {because}",
    sh.ShipmentPickRequestRepeated: "requested from {location} once more, as {repeat_id}",
    sh.ShipmentBookingRequested: "booking requested from the carrier",
    sh.ShipmentBooked: "booked with {carrier}, {tracking_number}",
    sh.ShipmentBookingFailed: "the carrier refused: {reason}",
    sh.ShipmentDispatched: "dispatched from {location}",
    sh.ShipmentDispatchOverdue: "not dispatched in time, waits for its {waits_for}",
    sh.ShipmentBookingDeferred: "no carrier's rates apply to it",
    sh.ShipmentBookingCancellationRequested: "{carrier} asked to cancel the booking",
    sh.ShipmentBookingCancelled: "{carrier} cancelled the booking",
    sh.ShipmentBookingCancellationRefused: "the carrier keeps the booking: {reason}",
    sh.ShipmentLabelAttached: "label attached, {media_type}",
    sh.ShipmentFreightBilled: "{money} billed by the carrier",
    sh.ShipmentMilestoneReached: "{tracking_event}",
    sh.ShipmentExceptionRaised: "delivery exception, {status}: {detail}",
    sh.ShipmentExceptionSettled: "delivery exception settled",
    sh.ShipmentPartlyDelivered: "{count} cartons delivered",
    sh.ShipmentDelivered: "delivered",
    sh.ShipmentReturnedToSender: "returned to {location}",
    sh.ShipmentReportDisputed: "the carrier contradicts: {detail}",
    sh.ShipmentFellSilent: "no tracking event since {since}",
    sh.ShipmentHeardOf: "tracked again, {seen_at}",
    sh.ShipmentLost: "declared lost, {choice}: {reason}",
    sh.ShipmentCancellationUnanswered: "{carrier} does not say whether the booking is cancelled",
    sh.ShipmentCancellationRequested: "cancellation requested",
    sh.ShipmentCancelled: "cancelled",
    sh.ShipmentCancellationRefused: "too late to cancel: it is with the carrier",
    a.AccountHeld: "{money} held on account {account_id}",
    a.AccountHoldApplied: "{money} taken from account {account_id}",
    a.AccountHoldReleased: "{money} available again on account {account_id}",
    a.AccountCredited: "{money} credited to account {account_id}",
    g.GiftCardPresented: "code of gift card {account_id} given",
    a.AccountPaymentRefused: "account {account_id} refuses {money}: {reason}",
    v.InvoiceIssued: "{paper} {name}, {total}",
    x.OrderReturnRequested: "return {rma_id} requested, {resolution}",
    x.OrderReturnEnded: "return {rma_id} ended: the rest does not come",
    x.OrderExchangeCredited: "exchanged, {credit} credited",
    x.OrderCreditRefused: "not credited: {reason}",
    r.RmaOpened: "return opened",
    r.RmaNameTaken: "return not opened: {reason}",
    r.RmaReviewRequested: "a person must decide: {reasons}",
    r.RmaApproved: "return approved",
    r.RmaRefused: "return refused: {reason}",
    r.RmaReceived: "received at {location}",
    r.RmaSurplusReceived: "more than expected received at {location}",
    r.RmaInspected: "inspected at {location}",
    r.RmaCreditDue: "accepted, {resolution}",
    r.RmaCreditLeft: "{money} of the exchange's credit left over",
    r.RmaClosed: "return closed",
    c.ExceptionOpened: "{exception_id} opened: {detail}",
    c.ExceptionAssigned: "{exception_id} assigned to {assignee}",
    c.ExceptionSnoozed: "{exception_id} put off until {until}",
    c.ExceptionResolved: "{exception_id} resolved: {note}",
    x.OrderFeedbackGiven: "counted for its customer: {rating} of 5 stars for the {subject} {about}",
    f.FeedbackRecorded: "{rating} of 5 stars for the {subject} {about}",
}


def sentence_of(event: Event) -> str:
    sentence = TEMPLATES[type(event)].format_map(parameters_of(event))
    return finished(sentence)[:SENTENCE_CHARACTERS_MAX]


def parameters_of(event: Event) -> Mapping[str, str]:
    """Return what fills the event's template; empty for an event that no timeline has."""
    return {name: str(value(event)) for name, value in PARAMETERS.get(type(event), ())}


def _demand(event: o.OrderBackordered) -> str:
    """Return the lacking units as text; empty if none are lacking."""
    return ", ".join(f"{quantity} x {sku}" for sku, quantity in event.demand.items())


def _tracking_event(event: sh.ShipmentMilestoneReached) -> str:
    """Return a tracking event as text: its carton, if it concerns one, and the carrier's own words, if they differ."""
    own = event.carrier_status if event.carrier_status != event.status else ""
    return " ".join(part for part in (event.carton_id, event.status, own, event.detail) if part)


def _missing(event: sh.ShipmentPickedShort) -> str:
    return ", ".join(f"{units.quantity} x {units.sku}" for units in event.missing)


def _credit(event: x.OrderExchangeCredited) -> str:
    return to_text(event.content.credit_minor, event.content.currency)


def _total(event: v.InvoiceIssued) -> str:
    return to_text(event.total_minor, event.currency)


def _at(name: str, form: str, event: Any) -> str:
    return format(getattr(event, name), form)


DAY, MINUTE = "%Y-%m-%d", "%Y-%m-%d %H:%M"
COMPUTED: Mapping[str, Callable[[Any], object]] = MappingProxyType(
    {
        "money": money_of,
        "demand": _demand,
        "tracking_event": _tracking_event,
        "credit": _credit,
        "total": _total,
        "paper": lambda event: event.kind.replace("_", " "),
        "count": lambda event: len(event.carton_ids),
        "reasons": lambda event: event.reasons[0],
        "action": attrgetter("kind"),
        "missing": _missing,
        "because": attrgetter("answer.reason"),
        "planned_id": attrgetter("plan.shipment_id"),
        "media_type": attrgetter("document.media_type"),
        "until": partial(_at, "until", MINUTE),
        "expires_at": partial(_at, "expires_at", MINUTE),
        "since": partial(_at, "since", DAY),
        "seen_at": partial(_at, "seen_at", DAY),
    }
)
"""The parameters that are not simply a field of the event."""
PARAMETERS: Mapping[type[Event], tuple[tuple[str, Callable[[Any], object]], ...]] = {
    event: tuple(
        (name, COMPUTED.get(name) or attrgetter(name)) for _, name, _, _ in Formatter().parse(template) if name
    )
    for event, template in TEMPLATES.items()
}
"""The parameters of each event's template, with how each is read."""
