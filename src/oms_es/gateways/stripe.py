"""Stripe's dialect: the events that its webhooks send, as what they record of a payment. Open: what is not read is
ignored.

Reads    payment_intent.amount_capturable_updated, .succeeded, .payment_failed, .canceled; charge.succeeded, .captured,
         .failed, .expired, .refunded; refund.created, .updated, .failed, charge.refund.updated; charge.dispute.*
Decides  nothing. Which payment, capture or refund an object is about stands in its `metadata`, which whoever asks
         Stripe for it fills in: `payment_id`, and `capture_id` or `refund_id`; a dispute carries it in its own, or in
         its expanded charge or payment intent. Several events tell of one effect; they give it one reference, so that
         it is recorded once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oms_es.kernel import BadInput, Command
from oms_es.schemas import payment as p

HARD_DECLINES = frozenset(
    {
        "expired_card",
        "fraudulent",
        "incorrect_number",
        "invalid_account",
        "invalid_number",
        "lost_card",
        "pickup_card",
        "restricted_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "stolen_card",
        "stop_payment_order",
        "transaction_not_allowed",
    }
)
"""After these another try of the same card is in vain."""

EXPIRED = frozenset({"automatic", "expired"})
"""Why Stripe cancels a payment intent by itself."""
REASON_CHARACTERS_MAX = 500

Name = Annotated[str, Field(min_length=1)]


class Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Failure(Open):
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None


class CardDetails(Open):
    capture_before: int | None = None


class MethodDetails(Open):
    card: CardDetails | None = None


class Named(Open):
    """An object of Stripe's, and what of ours it is about."""

    id: Name
    metadata: dict[str, str] = {}


class Intent(Named):
    latest_charge: Name | Named | None = None
    cancellation_reason: str | None = None
    last_payment_error: Failure | None = None


class Refund(Named):
    status: str | None = None
    failure_reason: str | None = None


class Refunds(Open):
    data: tuple[Refund, ...] = ()


class Charge(Named):
    payment_intent: Name | Named | None = None
    captured: bool = False
    failure_code: str | None = None
    failure_message: str | None = None
    payment_method_details: MethodDetails | None = None
    refunds: Refunds | None = None


class Dispute(Named):
    amount: Annotated[int, Field(gt=0)]
    reason: str = ""
    status: str
    charge: Name | Named | None = None
    payment_intent: Name | Named | None = None


class Content(Open):
    object: dict[str, Any]


class Webhook(Open):
    object: Literal["event"] = "event"
    type: Name
    data: Content


def parse_event(payload: bytes) -> Command:
    """One webhook event as a command. Raises BadInput."""
    try:
        event = Webhook.model_validate_json(payload)
        shape, read = READERS.get(event.type, (None, None))
        if shape is None or read is None:
            raise BadInput(
                "unread_event", f"{event.type} says nothing of a payment; take it off the webhook's list of events"
            )
        return read(shape.model_validate(event.data.object), event.type)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        raise BadInput("bad_callback", f"{where}: {first['msg']}; send the event again from the dashboard") from error


def _name(thing: Name | Named | None) -> str:
    return thing.id if isinstance(thing, Named) else thing or ""


def _ours(key: str, *places: Name | Named | None) -> str:
    """Our id of that kind, from the first place that says it."""
    for place in places:
        if isinstance(place, Named) and place.metadata.get(key):
            return place.metadata[key]
    named = _name(places[0])
    raise BadInput("not_ours", f"{named} has no metadata.{key}; set it where Stripe is asked, or settle it by hand")


def _held(thing: Intent | Charge, reference: str, expires_at: datetime | None) -> Command:
    return p.RecordAuthorization(payment_id=_ours("payment_id", thing), reference=reference, expires_at=expires_at)


def _taken(thing: Intent | Charge, charge: str) -> Command:
    """A charge may be captured in parts: the part's name makes the reference one of its own."""
    payment_id = _ours("payment_id", thing)
    capture_id = thing.metadata.get("capture_id") or payment_id
    return p.RecordCapture(payment_id=payment_id, capture_id=capture_id, reference=f"{charge}/{capture_id}")


def _intent(intent: Intent, event: str) -> Command:
    match event:
        case "payment_intent.amount_capturable_updated":
            return _held(intent, intent.id, None)
        case "payment_intent.succeeded":
            return _taken(intent, _name(intent.latest_charge) or intent.id)
        case "payment_intent.payment_failed":
            return _declined(intent, intent.last_payment_error or Failure())
    payment_id = _ours("payment_id", intent)
    if intent.cancellation_reason in EXPIRED:
        return p.RecordExpiry(payment_id=payment_id)
    return p.RecordVoid(payment_id=payment_id, reference=f"{intent.id}/canceled")


def _declined(thing: Intent | Charge, failure: Failure) -> Command:
    code = failure.decline_code or failure.code or ""
    return p.RecordDecline(
        payment_id=_ours("payment_id", thing),
        reason=(failure.message or code or "declined")[:REASON_CHARACTERS_MAX],
        retriable=code not in HARD_DECLINES,
    )


def _charge(charge: Charge, event: str) -> Command:
    match event:
        case "charge.failed":
            return _declined(charge, Failure(code=charge.failure_code, message=charge.failure_message))
        case "charge.expired":
            return p.RecordExpiry(payment_id=_ours("payment_id", charge))
        case "charge.refunded":
            return _refunded(charge)
        case "charge.succeeded" if not charge.captured:
            card = charge.payment_method_details and charge.payment_method_details.card
            before = card.capture_before if card else None
            until = datetime.fromtimestamp(before, UTC) if before else None
            return _held(charge, _name(charge.payment_intent) or charge.id, until)
    return _taken(charge, charge.id)


def _refunded(charge: Charge) -> Command:
    """The newest stands first. What came before has been told by events of its own."""
    if charge.refunds is None or not charge.refunds.data:
        raise BadInput("unread_event", f"{charge.id} does not name its refunds; send refund.updated to the webhook")
    return _refund(charge.refunds.data[0], "refund.updated", charge)


def _refund(refund: Refund, _: str, charge: Charge | None = None) -> Command:
    of: Any = {"payment_id": _ours("payment_id", refund, charge), "refund_id": _ours("refund_id", refund)}
    match refund.status:
        case "succeeded":
            return p.RecordRefund(**of, reference=refund.id)
        case "failed" | "canceled":
            reason = refund.failure_reason or refund.status
            return p.RecordRefundFailure(**of, reason=reason[:REASON_CHARACTERS_MAX])
    raise BadInput("unfinished", f"refund {refund.id} is {refund.status}: its outcome will be told; discard this")


def _dispute(dispute: Dispute, event: str) -> Command:
    shape: Callable[..., Command] = p.RecordDisputeOpened
    if dispute.status in ("won", "warning_closed") or event == "charge.dispute.funds_reinstated":
        shape = p.RecordDisputeWon
    elif dispute.status == "lost":
        shape = p.RecordDisputeLost
    return shape(
        payment_id=_ours("payment_id", dispute, dispute.charge, dispute.payment_intent),
        dispute_id=dispute.id,
        amount_minor=dispute.amount,
        reason=dispute.reason[:REASON_CHARACTERS_MAX],
    )


READERS: dict[str, tuple[type[Named], Callable[[Any, str], Command]]] = {
    **dict.fromkeys(
        (
            "payment_intent.amount_capturable_updated",
            "payment_intent.succeeded",
            "payment_intent.payment_failed",
            "payment_intent.canceled",
        ),
        (Intent, _intent),
    ),
    **dict.fromkeys(
        ("charge.succeeded", "charge.captured", "charge.failed", "charge.expired", "charge.refunded"),
        (Charge, _charge),
    ),
    **dict.fromkeys(("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"), (Refund, _refund)),
    **dict.fromkeys(
        (
            "charge.dispute.created",
            "charge.dispute.updated",
            "charge.dispute.closed",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
        ),
        (Dispute, _dispute),
    ),
}
"""What each event is about, and what it says."""
