"""Authorisation of a payment: requested, granted, declined, expired, renewed and voided."""

from __future__ import annotations

from oms_es.kernel import SystemCommand
from oms_es.schemas.payment.base import GatewayIntent, NamedCommand, PaymentCommand, PaymentEvent, PositiveMinor
from oms_es.schemas.values.types import Currency, Identifier, Moment, PartName, QuotedText


class RequestPayment(PaymentCommand, SystemCommand):
    """Authorise money for an order; with `capture_now` it is captured as soon as it is held, as a deposit.

    `gateway`: who is asked, now and for everything that follows; without it, the payment token decides.
    """

    order_id: Identifier
    amount_minor: PositiveMinor
    currency: Currency
    payment_token: Identifier
    method: Identifier = "card"
    capture_now: bool = False
    gateway: PartName = ""


class RecordAuthorization(NamedCommand):
    """Record that the provider holds the money, until `expires_at` if it says so.

    `reference` is the provider's own id.
    """

    expires_at: Moment | None = None


class RecordDecline(PaymentCommand, SystemCommand):
    """Record that the provider declined.

    `retriable` if it may accept another time, for example when funds are short.
    """

    reason: QuotedText
    retriable: bool = False


class RecordFailure(PaymentCommand, SystemCommand):
    """Record that the provider could not be asked, however often: no money is known of."""

    reason: QuotedText


class ExpireAuthorization(PaymentCommand, SystemCommand):
    """Expire the authorisation, if its time is over by `now`."""

    now: Moment


class RecordExpiry(PaymentCommand, SystemCommand):
    """Record that the provider released the money by itself."""


class RecordReauthorization(NamedCommand):
    """Record that the provider holds the money for a capture again, after the first authorisation had expired."""

    capture_id: Identifier


class RecordReauthorizationDecline(PaymentCommand, SystemCommand):
    """Record that the provider does not hold the money for a capture again."""

    capture_id: Identifier
    reason: QuotedText
    retriable: bool = False


class VoidPayment(PaymentCommand, SystemCommand):
    """Void what is authorised and will not be captured."""


class CancelPayment(PaymentCommand, SystemCommand):
    """Undo the payment wholly: void what is held, refund what was captured."""


class RecordVoid(NamedCommand):
    """Record that the provider released the money.

    `void_id` names a capture if its renewed authorisation was voided.
    """

    void_id: PartName = ""


class RecordVoidFailure(PaymentCommand, SystemCommand):
    """Record that the provider did not release the money."""

    reason: QuotedText
    void_id: PartName = ""


class PaymentRequested(GatewayIntent):
    amount_minor: int
    currency: str
    payment_token: str
    method: str = "card"
    capture_now: bool = False


class PaymentRequestRefused(PaymentEvent):
    """The id belongs to another payment already. Nothing was asked of the provider."""

    amount_minor: int
    currency: str
    reason: str
    fingerprint: str


class PaymentAuthorized(PaymentEvent):
    amount_minor: int
    currency: str
    reference: str
    expires_at: Moment | None = None


class PaymentExpirySet(PaymentEvent):
    """The time until which the money is held, if the provider reported it after the authorisation."""

    expires_at: Moment


class PaymentDeclined(PaymentEvent):
    """The provider declined. `reference`: its reference of what it did instead, such as cancelling the payment."""

    reason: str
    retriable: bool = False
    reference: str = ""


class PaymentAttemptDeclined(PaymentEvent):
    """One means of payment was declined; the same payment may still succeed by another."""

    reason: str
    report_id: str


class PaymentFailed(PaymentEvent):
    reason: str


class PaymentExpired(PaymentEvent):
    """The authorised money that was not captured is no longer held. A later capture needs a new authorisation."""

    amount_minor: int
    currency: str
    authorization: str


class PaymentReauthorizationRequested(GatewayIntent):
    """The intent to authorise expired money again, for one capture."""

    capture_id: str
    amount_minor: int
    currency: str
    payment_token: str
    method: str


class PaymentReauthorized(PaymentEvent):
    capture_id: str
    amount_minor: int
    currency: str
    reference: str


class PaymentReauthorizationDeclined(PaymentEvent):
    """The provider does not hold the money again: the capture that needed it will not take place."""

    capture_id: str
    amount_minor: int
    reason: str
    retriable: bool
    currency: str = ""


class PaymentCancellationNoted(PaymentEvent):
    """The payment was cancelled while the provider's answer was outstanding: money that still comes is given back at
    once.
    """


class PaymentVoidRequested(GatewayIntent):
    amount_minor: int
    currency: str
    authorization: str
    void_id: str = ""


class PaymentVoided(PaymentEvent):
    amount_minor: int
    currency: str
    reference: str
    void_id: str = ""
    asked: bool = True
    """False if it was released at the provider unasked."""
    reason: str = ""


class PaymentVoidFailed(PaymentEvent):
    """The provider did not release the money; the authorisation expires at its time."""

    amount_minor: int
    void_id: str
    reason: str
    currency: str = ""
