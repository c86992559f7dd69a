"""Stripe's dialect: the events of its webhooks as reports about payments. Fields that are not read are ignored.

Reads    payment_intent.amount_capturable_updated, .succeeded, .payment_failed, .canceled; charge.succeeded, .captured,
         .failed, .expired, .refunded; refund.created, .updated, .failed, charge.refund.updated; charge.dispute.*
Decides  nothing. The `metadata` of an object name its payment, and its capture or refund: `payment_id`, and
         `capture_id` or `refund_id`; the requests that made it set them. Objects made in the dashboard have no such
         metadata, and disputes never have: these belong to the payment whose intent or charge they name. Several
         events report one effect under one reference, so that it is recorded once. Amounts are Stripe's, converted
         to minor units of ISO 4217 (stripe_amounts.py). Events of connected accounts are refused: their holders write
         any metadata, and would pay our orders with it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ValidationError

from oms_es.gateways.payment.stripe_amounts import minor_of
from oms_es.gateways.payment.stripe_shapes import (
    CardDetails,
    Charge,
    Dispute,
    Failure,
    Intent,
    Name,
    Named,
    Refund,
    Webhook,
)
from oms_es.kernel import BadInput, Command, Skipped
from oms_es.schemas.inputs import Input
from oms_es.schemas.payment import RecordReport, Report
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.schemas.problems import problems, quoted

PROVIDER = "stripe"

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
"""Decline codes after which another try of the same card is in vain."""

EXPIRED = frozenset({"automatic", "expired"})
"""Reasons for which Stripe cancels a payment intent by itself."""

REAUTHORIZES = "reauthorizes"
"""The metadata entry of a new authorisation, with the capture that it is for."""

UNFINISHED = frozenset({"pending", "requires_action"})
"""States of a refund whose outcome another event will report."""

REASON_CHARACTERS_MAX = 500

INQUIRIES = frozenset({"warning_needs_response", "warning_under_review", "warning_closed"})
"""States of an inquiry: the bank asks, and no money is withdrawn. It may become a dispute of the same name."""

FUNDS_MOVED = frozenset({"charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"})

SKIPPED = frozenset(
    {
        "charge.pending",
        "charge.updated",
        "payment_intent.created",
        "payment_intent.processing",
        "payment_intent.requires_action",
    }
)

SKIPPED_FAMILIES = (
    "account.",
    "application_fee.",
    "balance.",
    "billing.",
    "billing_portal.",
    "capability.",
    "cash_balance.",
    "checkout.session.",
    "climate.",
    "coupon.",
    "credit_note.",
    "customer.",
    "customer_cash_balance_transaction.",
    "entitlements.",
    "file.",
    "financial_connections.",
    "identity.",
    "invoice.",
    "invoice_payment.",
    "invoiceitem.",
    "issuing_",
    "mandate.",
    "payment_link.",
    "payment_method.",
    "payout.",
    "person.",
    "plan.",
    "price.",
    "product.",
    "promotion_code.",
    "quote.",
    "radar.",
    "reporting.",
    "review.",
    "setup_intent.",
    "sigma.",
    "source.",
    "subscription_schedule.",
    "tax.",
    "tax_rate.",
    "terminal.",
    "test_helpers.",
    "topup.",
    "transfer.",
    "treasury.",
)
"""Kinds of events that are skipped: nothing follows from them, or they repeat events that are read. A kind in no list
becomes a dead letter for a person."""


def parse_event(payload: bytes) -> Command:
    """Return the command for one webhook event. Raise Skipped, or BadInput, which names the field."""
    try:
        event = Webhook.model_validate_json(payload)
        shape, read = _reader_of(event.type)
        if event.account is not None:
            raise BadInput(
                Input.OTHER_ACCOUNT,
                "it is an event of a connected account, whose money is not ours; "
                "let the webhook send events of your own account only",
            )
        try:
            return read(shape.model_validate(event.data.object), event.type)
        except ValidationError as error:
            raise _bad(error, "data.object.") from error
    except ValidationError as error:
        raise _bad(error, "") from error


def _reader_of(kind: str) -> tuple[type[Named], Callable[[Any, str], Command]]:
    if kind in READERS:
        return READERS[kind]
    if kind in SKIPPED or kind.startswith(SKIPPED_FAMILIES):
        raise Skipped(f"{kind} says nothing of a payment")
    raise BadInput(Input.UNREAD_EVENT, f"{quoted(kind)} is not read here; take it off the webhook's list of events")


def _bad(error: ValidationError, inside: str) -> BadInput:
    return _unusable(problems(error, whole=inside.rstrip(".") or "payload", field=inside.__add__))


def _unusable(what: str) -> BadInput:
    return BadInput(Input.BAD_CALLBACK, f"{what}; send the event again from the dashboard")


def _name(thing: Name | Named | None) -> str:
    return thing.id if isinstance(thing, Named) else thing or ""


def _ours(key: str, *places: Name | Named | None) -> str:
    """Return our id under `key` in the metadata of the first object that has it, or an empty string."""
    for place in places:
        if isinstance(place, Named) and place.metadata and place.metadata.get(key):
            return place.metadata[key]
    return ""


def _minor(amount: int | None, currency: str | None, name: str) -> int | None:
    """Return the amount in minor units of ISO 4217; without its currency it has no meaning. Raise BadInput."""
    if amount is None:
        return None
    if currency is None:
        raise _unusable(f"data.object.currency: it is missing, and {name} is an amount of it")
    try:
        return minor_of(amount, currency)
    except ValueError as error:
        raise _unusable(f"data.object.{name}: {error}") from error


def _needed(amount: int | None, name: str) -> int:
    """Return the amount. Raise BadInput if it is missing: the requested amount is never assumed to have moved."""
    if amount is None:
        raise _unusable(f"data.object.{name}: it is missing")
    return amount


def _reported(report: Report, *places: Name | Named | None) -> Command:
    """Return the report of our payment, or of the payment that has one of these references."""
    if payment_id := _ours("payment_id", *places):
        return RecordReport(payment_id=payment_id, **{name: getattr(report, name) for name in Report.model_fields})
    names = tuple(dict.fromkeys(name for place in places if (name := _name(place))))
    return RecordProviderReport(provider=PROVIDER, references=names, report=report)


def _intent(intent: Intent, event: str) -> Command:
    latest = intent.latest_charge or (intent.charges.data[0] if intent.charges and intent.charges.data else None)
    match event:
        case "payment_intent.amount_capturable_updated":
            left = _needed(intent.amount_capturable, "amount_capturable")
            if not left:
                raise Skipped(f"nothing of {intent.id} is left to capture")
            held = left + (intent.amount_received or 0)
            return _held(intent, intent.id, _minor(held, intent.currency, "amount_capturable"), None, intent, latest)
        case "payment_intent.succeeded":
            taken = _needed(intent.amount if intent.amount_received is None else intent.amount_received, "amount")
            return _taken(intent, _name(latest) or intent.id, intent.id, taken, intent, latest)
        case "payment_intent.payment_failed":
            failure = intent.last_payment_error or Failure()
            return _reported(_declined(failure, final=False, authorization=intent.id), intent, latest)
    reason = intent.cancellation_reason or "canceled"
    report = Report(
        operation="expire" if reason in EXPIRED else "void",
        outcome="succeeded",
        reference=f"{intent.id}/canceled",
        authorization=intent.id,
        reason=reason[:REASON_CHARACTERS_MAX],
    )
    return _reported(report, intent, latest)


def _held(
    thing: Intent | Charge,
    reference: str,
    amount_minor: int | None,
    expires_at: datetime | None,
    *places: Name | Named | None,
) -> Command:
    part = _ours(REAUTHORIZES, *places)
    report = Report(
        operation="reauthorize" if part else "authorize",
        outcome="succeeded",
        part=part,
        reference=reference,
        authorization=reference,
        amount_minor=amount_minor,
        currency=thing.currency,
        expires_at=expires_at,
    )
    return _reported(report, *places)


def _taken(
    thing: Intent | Charge, charge: str, authorization: str, amount: int, *places: Name | Named | None
) -> Command:
    """Return the report of a capture. The reference contains the part's name, as a charge may be captured in parts."""
    part = _ours("capture_id", thing)
    report = Report(
        operation="capture",
        outcome="succeeded",
        part=part,
        reference=f"{charge}/{part}" if part else charge,
        authorization=authorization,
        amount_minor=_minor(amount, thing.currency, "amount"),
        cumulative=True,
        currency=thing.currency,
    )
    return _reported(report, *places)


def _declined(failure: Failure, *, final: bool, authorization: str) -> Report:
    code = failure.decline_code or failure.code or ""
    return Report(
        operation="authorize",
        outcome="declined",
        authorization=authorization,
        reason=(failure.message or code or "declined")[:REASON_CHARACTERS_MAX],
        retriable=code not in HARD_DECLINES,
        final=final,
    )


def _charge(charge: Charge, event: str) -> Command:
    places, intent = (charge, charge.payment_intent), _name(charge.payment_intent)
    match event:
        case "charge.failed":
            failure = Failure(code=charge.failure_code, message=charge.failure_message)
            return _reported(_declined(failure, final=not intent, authorization=intent or charge.id), *places)
        case "charge.expired":
            return _reported(Report(operation="expire", outcome="succeeded", reference=charge.id), *places)
        case "charge.refunded":
            return _refunded(charge)
        case "charge.succeeded" if not charge.captured:
            card = (charge.payment_method_details and charge.payment_method_details.card) or CardDetails()
            amount = charge.amount if card.amount_authorized is None else card.amount_authorized
            until = datetime.fromtimestamp(card.capture_before, UTC) if card.capture_before else None
            held = _minor(_needed(amount, "amount"), charge.currency, "amount")
            return _held(charge, intent or charge.id, held, until, *places)
    taken = _needed(charge.amount if charge.amount_captured is None else charge.amount_captured, "amount_captured")
    return _taken(charge, charge.id, intent or charge.id, taken, *places)


def _refunded(charge: Charge) -> Command:
    """Return the report of a refund: the first listed one, which is the newest, else the total that was refunded."""
    if charge.refunds and charge.refunds.data:
        return _refund(charge.refunds.data[0], "refund.updated", charge)
    uncaptured = (charge.amount or 0) - (
        charge.amount or 0 if charge.amount_captured is None else charge.amount_captured
    )
    total = _needed(charge.amount_refunded, "amount_refunded") - uncaptured
    if total <= 0:
        raise Skipped(f"nothing that was taken by {charge.id} is given back")
    report = Report(
        operation="refund",
        outcome="succeeded",
        part=f"{charge.id}/refunded",
        reference=f"{charge.id}/refunded/{total}",
        amount_minor=_minor(total, charge.currency, "amount_refunded"),
        cumulative=True,
        currency=charge.currency,
    )
    return _reported(report, charge, charge.payment_intent)


def _refund(refund: Refund, _: str, charge: Charge | None = None) -> Command:
    if refund.status in UNFINISHED:
        raise Skipped(f"refund {refund.id} is {refund.status}: its outcome will be reported")
    if refund.status not in ("succeeded", "failed", "canceled"):
        raise _unusable(f"data.object.status: {quoted(refund.status or '')} is no state of a refund that is known here")
    failed = refund.status != "succeeded"
    currency = refund.currency or (charge.currency if charge else None)
    amount = _needed(refund.amount, "amount")  # where no currency is said, it is the payment's, whose amounts they are
    report = Report(
        operation="refund",
        outcome="declined" if failed else "succeeded",
        part=_ours("refund_id", refund) or refund.id,
        reference=refund.id,
        reason=(refund.failure_reason or refund.status or "")[:REASON_CHARACTERS_MAX] if failed else "",
        amount_minor=_minor(amount, currency, "amount") if currency else amount,
        currency=currency,
    )
    return _reported(report, refund, charge or refund.charge, refund.payment_intent)


def _dispute(dispute: Dispute, event: str) -> Command:
    outcome: Literal["opened", "won", "lost"] = "opened"
    if dispute.status in ("won", "warning_closed", "prevented") or event == "charge.dispute.funds_reinstated":
        outcome = "won"
    elif dispute.status == "lost":
        outcome = "lost"
    report = Report(
        operation="dispute",
        outcome=outcome,
        part=dispute.id,
        reason=dispute.reason[:REASON_CHARACTERS_MAX],
        amount_minor=_minor(dispute.amount, dispute.currency, "amount"),
        currency=dispute.currency,
        final=dispute.status not in INQUIRIES or event in FUNDS_MOVED,
    )
    return _reported(report, dispute, dispute.charge, dispute.payment_intent)


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
"""For each kind of event, the shape of its object, and the function that reads it."""
