"""Stripe as a payment provider: payment intents with manual capture, through Stripe's own client.

Invariant: one request of ours has one effect at Stripe. The request's id is Stripe's idempotency key, and is in the
metadata of what it made, where it is found again after Stripe has forgotten the key (a day later at the earliest).
References are those that Stripe's webhooks are read with (stripe.py), so that an answer and its webhook are recorded
once. A payment token is a payment method (`pm_…`), which is charged without the customer being there, or a payment
intent (`pi_…`) that the customer has confirmed in the shop: its held money is used, if the intent matches the order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import stripe
from stripe import PaymentIntent, StripeClient

from oms_es.gateways.payment.port import Answer, Ask
from oms_es.gateways.payment.stripe import HARD_DECLINES, REASON_CHARACTERS_MAX, REAUTHORIZES
from oms_es.gateways.payment.stripe_amounts import minor_of, stripe_of
from oms_es.kernel import GatewayUnavailable

CONCURRENT_MAX = 8
"""Requests that are sent at once; Stripe accepts a hundred a second."""
TIMEOUT_SECONDS = 30.0
INTENTS_MAX = 100
"""Payment intents of one payment: the first, and one for each capture that was authorised again."""
KEY = "oms_key"
"""The metadata entry with the id of the request that made an object."""
CONFIRMED = "pi_"
HELD = "requires_capture"
NOT_NOW = frozenset({"payment_intent_unexpected_state", "charge_expired_for_capture", "charge_already_captured"})
"""Error codes of a capture that comes too late."""
IN_VAIN = HARD_DECLINES | {"authentication_required"}
"""Error codes after which another try of the same card, without its owner, is in vain."""


class StripeProvider:
    """Stripe as a provider. Methods raise GatewayUnavailable.

    `multicapture`: the account may capture an authorisation in parts (Stripe has to enable it). Without it the first
    capture releases the rest, and each further one is authorised again.
    """

    def __init__(self, api_key: str, *, api_base: str, multicapture: bool) -> None:
        self._client = StripeClient(
            api_key,
            http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
            base_addresses={"api": api_base},
            max_network_retries=0,  # the gateway repeats requests itself, after it has looked up the first
        )
        self._multicapture = multicapture
        self._submitting: dict[str, Callable[[Ask], Answer]] = {
            "authorize": self._authorize,
            "reauthorize": self._reauthorize,
            "capture": self._capture,
            "void": self._void,
            "refund": self._refund,
        }
        self._finding: dict[str, Callable[[Ask], Answer]] = {
            "authorize": self._find_intent,
            "reauthorize": self._find_intent,
            "capture": self._find_capture,
            "void": self._find_void,
            "refund": self._find_refund,
        }

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        return self._each(self._submitted, asks)

    def find(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        return self._each(self._found, asks)

    def _each(self, question: Callable[[Ask], Answer], asks: Sequence[Ask]) -> Sequence[Answer]:
        with ThreadPoolExecutor(min(CONCURRENT_MAX, len(asks)) or 1, "stripe") as threads:
            return list(threads.map(question, asks))

    def _submitted(self, ask: Ask) -> Answer:
        try:
            return self._submitting[ask.operation](ask)
        except stripe.CardError as error:
            return _declined(error)
        except ValueError as error:  # Stripe cannot represent the amount
            return Answer("declined", reason=str(error))
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            raise GatewayUnavailable(f"Stripe refuses the key: {error.user_message}; set OMS_STRIPE_API_KEY") from error
        except stripe.InvalidRequestError as error:
            return self._refused(ask, error)
        # the server is busy, broken or unreachable, or the key is in use: the effect may have happened
        except stripe.StripeError:
            return Answer("unknown")

    def _found(self, ask: Ask) -> Answer:
        try:
            return self._finding[ask.operation](ask)
        except stripe.InvalidRequestError as error:
            if error.http_status == HTTPStatus.NOT_FOUND:
                return Answer("absent")
            raise GatewayUnavailable(f"Stripe refuses a look-up: {_said(error)}") from error
        except stripe.StripeError as error:
            raise GatewayUnavailable(f"Stripe does not answer: {_said(error)}") from error

    def _refused(self, ask: Ask, error: stripe.InvalidRequestError) -> Answer:
        """Return the answer to an error: a decline, or the effect that an earlier request had under a key that Stripe
        has forgotten."""
        if "multicapture" in (error.param or ""):
            raise GatewayUnavailable(f"{_said(error)}; unset OMS_STRIPE_MULTICAPTURE") from error
        if ask.operation in ("capture", "void", "refund"):
            done = self._found(ask)
            if done.outcome != "absent":
                return done
        expired = ask.operation == "capture" and error.code in NOT_NOW
        return Answer("declined", reason=_said(error), expired=expired)

    def _intent(self, name: str) -> PaymentIntent:
        return self._client.v1.payment_intents.retrieve(name, {"expand": ["latest_charge"]})

    def _authorize(self, ask: Ask) -> Answer:
        if ask.payment_token.startswith(CONFIRMED):
            return self._taken_over(ask)
        return _authorized(self._held(ask, {"payment_method": ask.payment_token}))

    def _held(self, ask: Ask, means: dict[str, Any], **metadata: str) -> PaymentIntent:
        """Create and confirm a payment intent that holds the money."""
        if self._multicapture:
            means["payment_method_options"] = {"card": {"request_multicapture": "if_available"}}
        wanted: Any = {
            "amount": stripe_of(ask.amount_minor, ask.currency),
            "currency": ask.currency.lower(),
            "capture_method": "manual",
            "confirm": True,
            "off_session": True,
            "error_on_requires_action": True,
            "metadata": {"payment_id": ask.payment_id, KEY: str(ask.key), **metadata},
            "expand": ["latest_charge"],
            **means,
        }
        return self._client.v1.payment_intents.create(wanted, {"idempotency_key": str(ask.key)})

    def _taken_over(self, ask: Ask) -> Answer:
        """Return the answer for an intent that the customer confirmed in the shop, if it is this payment's, with its
        amount."""
        intent = self._intent(ask.payment_token)
        if wrong := _other_than(intent, ask):
            return Answer("declined", reason=wrong)
        if intent.status in (HELD, "succeeded") and "payment_id" not in _metadata(intent):
            noted: Any = {"metadata": {"payment_id": ask.payment_id, KEY: str(ask.key)}}
            self._client.v1.payment_intents.update(intent.id, noted, {"idempotency_key": str(ask.key)})
        return _authorized(intent)

    def _reauthorize(self, ask: Ask) -> Answer:
        means: dict[str, Any] = {"payment_method": ask.payment_token}
        if ask.payment_token.startswith(CONFIRMED):
            first = self._intent(ask.payment_token)
            means = {"payment_method": _name(_of(first, "payment_method"))}
            if customer := _of(first, "customer"):
                means["customer"] = _name(customer)
        return _authorized(self._held(ask, means, **{REAUTHORIZES: ask.part}))

    def _capture(self, ask: Ask) -> Answer:
        wanted: Any = {
            "amount_to_capture": stripe_of(ask.amount_minor, ask.currency),
            "metadata": {"payment_id": ask.payment_id, "capture_id": ask.part, _mark(ask): "captured"},
        }
        if self._multicapture and not ask.final and _may_be_captured_again(self._intent(ask.authorization)):
            wanted["final_capture"] = False
        key: Any = {"idempotency_key": str(ask.key)}
        return _captured(self._client.v1.payment_intents.capture(ask.authorization, wanted, key), ask)

    def _void(self, ask: Ask) -> Answer:
        intent = self._client.v1.payment_intents.cancel(
            ask.authorization, {"cancellation_reason": "requested_by_customer"}, {"idempotency_key": str(ask.key)}
        )
        return Answer("succeeded", f"{intent.id}/canceled")

    def _refund(self, ask: Ask) -> Answer:
        refund = self._client.v1.refunds.create(
            {
                "payment_intent": self._with_enough(ask),
                "amount": stripe_of(ask.amount_minor, ask.currency),
                "metadata": {"payment_id": ask.payment_id, "refund_id": ask.part, KEY: str(ask.key)},
            },
            {"idempotency_key": str(ask.key)},
        )
        return _refunded(refund)

    def _with_enough(self, ask: Ask) -> str:
        """Return the intent to refund: the first one, or that of a parcel's own capture if the first has not enough."""
        wanted = stripe_of(ask.amount_minor, ask.currency)
        first = self._intent(ask.authorization)
        if _refundable(first) >= wanted:
            return first.id
        enough = [other for other in self._all_of(ask.payment_id) if _refundable(other) >= wanted]
        return min(enough, key=lambda other: (other.created, other.id), default=first).id

    def _all_of(self, payment_id: str) -> Sequence[PaymentIntent]:
        return self._searched(f"metadata['payment_id']:'{_quoted(payment_id)}'")

    def _searched(self, query: str) -> Sequence[PaymentIntent]:
        """Search intents; Stripe's search may miss those of the last minute."""
        wanted: Any = {"query": query, "limit": INTENTS_MAX, "expand": ["data.latest_charge"]}
        return self._client.v1.payment_intents.search(wanted).data

    def _find_intent(self, ask: Ask) -> Answer:
        if ask.operation == "authorize" and ask.payment_token.startswith(CONFIRMED):
            intent = self._intent(ask.payment_token)
            return _authorized(intent) if _metadata(intent).get(KEY) == str(ask.key) else Answer("absent")
        found = self._searched(f"metadata['{KEY}']:'{ask.key}'")
        return _authorized(found[0]) if found else Answer("absent")

    def _find_capture(self, ask: Ask) -> Answer:
        intent = self._intent(ask.authorization)
        return _captured(intent, ask) if _mark(ask) in _metadata(intent) else Answer("absent")

    def _find_void(self, ask: Ask) -> Answer:
        """Look a void up: money that is no longer held was released, by this request or another."""
        intent = self._intent(ask.authorization)
        let_go = intent.status == "canceled" or (intent.status == "succeeded" and not intent.amount_capturable)
        return Answer("succeeded", f"{intent.id}/canceled") if let_go else Answer("absent")

    def _find_refund(self, ask: Ask) -> Answer:
        others = (other.id for other in self._all_of(ask.payment_id))
        for name in dict.fromkeys((ask.authorization, *others)):
            refunds = self._client.v1.refunds.list({"payment_intent": name, "limit": INTENTS_MAX})
            for refund in refunds.auto_paging_iter():
                if _metadata(refund).get(KEY) == str(ask.key):
                    return _refunded(refund)
        return Answer("absent")


def _of(thing: Any, *names: str) -> Any:
    """Return the attribute at the path, or None: Stripe leaves out what does not apply, and its client then has no such
    attribute."""
    for name in names:
        thing = getattr(thing, name, None)
    return thing


def _name(thing: Any) -> str:
    return thing if isinstance(thing, str) else thing.id if thing else ""


def _metadata(thing: PaymentIntent | stripe.Refund) -> dict[str, str]:
    metadata = _of(thing, "metadata")
    return dict(metadata.to_dict()) if metadata else {}


def _mark(ask: Ask) -> str:
    """Return the key of a metadata entry for one capture; an intent has room for fifty entries, and allows as many
    captures."""
    return f"oms_{ask.key.hex}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _said(error: stripe.StripeError) -> str:
    return (error.user_message or error.code or type(error).__name__)[:REASON_CHARACTERS_MAX]


def _declined(error: stripe.CardError) -> Answer:
    code = _of(error, "error", "decline_code") or error.code or ""
    return Answer(
        "declined",
        reason=_said(error),
        retriable=code not in IN_VAIN,
        expired=error.code in NOT_NOW,
    )


def _other_than(intent: PaymentIntent, ask: Ask) -> str:
    """Return why the intent that a shop names cannot pay for this request, or an empty string if it can."""
    owner = _metadata(intent).get("payment_id", ask.payment_id)
    if owner != ask.payment_id:
        return f"{intent.id} pays for {owner}"
    currency = intent.currency.upper()
    if (currency, minor_of(intent.amount, currency)) != (ask.currency, ask.amount_minor):
        wanted = f"{ask.amount_minor} {ask.currency}"
        return f"{intent.id} is over {minor_of(intent.amount, currency)} {currency}, and {wanted} minor units are due"
    if intent.status in ("canceled", "requires_payment_method"):
        return f"{intent.id} is {intent.status.replace('_', ' ')}: the customer has to confirm a payment first"
    return ""


def _authorized(intent: PaymentIntent) -> Answer:
    charge = _of(intent, "latest_charge")
    if intent.status == HELD:
        until = _of(charge, "payment_method_details", "card", "capture_before")
        return Answer("succeeded", intent.id, expires_at=datetime.fromtimestamp(until, UTC) if until else None)
    if intent.status == "succeeded" and charge:
        return Answer("succeeded", intent.id, charge=_name(charge))
    if intent.status in ("canceled", "requires_payment_method"):
        why = _of(intent, "last_payment_error", "message") or "declined"
        return Answer("declined", reason=why[:REASON_CHARACTERS_MAX])
    return Answer("pending")


def _captured(intent: PaymentIntent, ask: Ask) -> Answer:
    return Answer("succeeded", f"{_name(_of(intent, 'latest_charge')) or intent.id}/{ask.part}")


def _refunded(refund: stripe.Refund) -> Answer:
    if refund.status == "succeeded":
        return Answer("succeeded", refund.id)
    if refund.status in ("failed", "canceled"):
        return Answer("declined", reason=_of(refund, "failure_reason") or refund.status)
    return Answer("pending")


def _may_be_captured_again(intent: PaymentIntent) -> bool:
    multicapture = _of(intent, "latest_charge", "payment_method_details", "card", "multicapture", "status")
    return bool(multicapture == "available")


def _refundable(intent: PaymentIntent) -> int:
    """Return the amount that can be refunded; Stripe counts money that was released as refunded, too."""
    charge = _of(intent, "latest_charge")
    if not charge:
        return 0
    let_go = charge.amount - charge.amount_captured if intent.status != HELD else 0
    return int(charge.amount_captured - max(charge.amount_refunded - let_go, 0))
