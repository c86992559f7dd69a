"""The sentences of exceptions: a code, and parameters for the template of the code.

Invariant: a sentence is its template with the parameters filled in, so that it can be written in another language.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from string import Formatter
from typing import Any, NamedTuple

from oms_es.kernel import Event
from oms_es.projections.base import money_of
from oms_es.schemas.values.sentences import finished

DETAIL_CHARACTERS_MAX = 500
TEMPLATES: Mapping[str, str] = {
    "DuplicateConflictFound": "the channel sent this order again with other content",
    "ExceptionOpened": "{detail}",
    "OrderAmendmentRefused": "an amendment that came before the order does not fit it: {reason}",
    "OrderBackordered": "waits for {lacking}",
    "OrderCancellationRefused": "already with the carrier: {parcels}",
    "OrderCreditRefused": "what came back could not be credited: {reason}",
    "OrderHeld": "held, {kind}: {note}",
    "OrderHoldOverdue": "held, {kind}",
    "OrderMoneyGone": "its credit was {money} of {payment_id}, now gone ({why}), and its goods are, too: ask for the "
    "money",
    "OrderPlacementOverdue": "order {called} has not come, and what its channel said of it waits: {waiting}; have the "
    "channel send the order, or resolve this with a note",
    "OrderPlacementOverdueUnnamed": "this order has not come, and what its channel said of it waits: {waiting}; have "
    "the channel send the order, or resolve this with a note",
    "OrderReportDisputed": "{detail}",
    "OrderSourcingRequested": "stock came, and is sourced again",
    "PaymentCaptureFailed": "{money} could not be captured: {reason}",
    "PaymentCaptureRefused": "{money} cannot be captured: {reason}",
    "PaymentCaptureShort": "{money} less was taken than asked for",
    "PaymentDisputeOpened": "{money} of {payment_id} disputed: {reason}",
    "PaymentReauthorizationDeclined": "{money} expired and were not authorised again: {reason}",
    "PaymentRefundFailed": "{money} are owed still: {reason}",
    "PaymentRefundRefused": "{money} cannot be refunded: {reason}",
    "PaymentRefundReversed": "{money} came back: {reason}",
    "PaymentRefundShort": "{money} less was given back than asked for",
    "PaymentRefunded": "{money} of {payment_id} were given back at the provider: ask for what; its order counts it",
    "PaymentReportKept": "{payment_id}: {why}",
    "PaymentRequestRefused": "{money} was not asked for: {reason}",
    "PaymentUnanswered": "ask the provider whether the {operation} of {money} happened",
    "PaymentVoidFailed": "{money} could not be released: {reason}",
    "PaymentVoided": "{money} of {payment_id} were released at the provider: {reason}",
    "ProviderReported": "{provider} reports a {operation} that is {outcome} of {money} under {references}: "
    "no one payment of ours has it",
    "ProviderReportedUnpriced": "{provider} reports a {operation} that is {outcome} under {references}: "
    "no one payment of ours has it",
    "ReactionPutAside": "{reader} could not follow up {fact} at position {position}: {detail}; repair the cause and "
    "replay its dead letter",
    "RmaReviewRequested": "approve or refuse return {rma_id}: {reasons}",
    "RmaSurplusReceived": "{units} units more than expected came back to {location}",
    "SerialConflictFound": "{number}: its unit should be at {elsewhere}; count both places, and write one off",
    "ShipmentBookingCancelled": "{carrier} will not fetch it: book it again, or cancel it",
    "ShipmentBookingDeferred": "no published rate serves it as {delivery_option}: book it with a carrier",
    "ShipmentBookingFailed": "the carrier refused: {reason}",
    "ShipmentCancellationUnanswered": "ask {carrier} whether {tracking_number} is cancelled: it does not say",
    "ShipmentDispatchOverdue": "has not left in time, it waits for its {waits_for}: ask what keeps it",
    "ShipmentExceptionRaised": "{status}: {detail}",
    "ShipmentFellSilent": "not seen since {since}: ask the carrier, or declare it lost",
    "ShipmentPickDisputed": "{detail}",
    "ShipmentPickRejected": "{location} will not pick it: {reason}",
    "ShipmentPickedShort": "{missing} not found at {location}: {reason}; cancel these units, or have them picked later",
    "ShipmentReportDisputed": "{detail}",
    "ShipmentReturnedToSender": "came back to {location}: {items}",
    "StockBrokenPromiseSettled": "{left} x {sku} at {location} are not there",
    "StockReservationBroken": "{quantity} x {sku} at {location} are not there: {reason}",
    "SubscriptionDisabled": "subscription {name}: {because}; repair its receiver, then "
    "`oms-es subscriptions enable {name}`",
    "TrackingNumberShared": "{carrier} {tracking_number} is on {shipment_ids}: ask the carrier which of them it is, "
    "and record by hand what is seen of each",
}
"""The template for each event; some events have several, with a suffix in the code."""


class Said(NamedTuple):
    code: str
    parameters: Mapping[str, str]

    @property
    def columns(self) -> dict[str, Any]:
        detail = finished(TEMPLATES[self.code].format(**self.parameters))[:DETAIL_CHARACTERS_MAX]
        return {"detail": detail, "says": self.code, "parameters": dict(self.parameters)}


def said(code: str, **parameters: object) -> Said:
    return Said(code, {name: str(value) for name, value in parameters.items()})


def said_of(event: Event) -> Said:
    """Return the code and parameters of an event: the template's names are fields of the event.

    `money` is its amount with the currency.
    """
    code = type(event).__name__
    return said(code, **{name: _value(event, name) for name in names_in(TEMPLATES[code])})


def names_in(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]


def _value(event: Event, name: str) -> object:
    if name == "money":
        return money_of(event)
    value = getattr(event, name)
    return f"{value:%Y-%m-%d}" if isinstance(value, datetime) else value
