"""A payment is asked for, authorised, declined, expires, and is authorised again."""

from __future__ import annotations

from oms_es.kernel import SystemCommand
from oms_es.schemas.payment.base import NamedCommand, PaymentCommand, PaymentEvent, PositiveMinor
from oms_es.schemas.values.types import Currency, Identifier, Moment, PartName, QuotedText


class RequestPayment(PaymentCommand, SystemCommand):
    """Hold money for an order; `capture_now` takes it as soon as it is held, as a deposit."""

    order_id: Identifier
    amount_minor: PositiveMinor
    currency: Currency
    payment_token: Identifier
    method: Identifier = "card"
    capture_now: bool = False


class RecordAuthorization(NamedCommand):
    """The provider holds the money, until `expires_at` if it says so. `reference` is its own id of the effect."""

    expires_at: Moment | None = None


class RecordDecline(PaymentCommand, SystemCommand):
    """The provider said no; `retriable` where it may say yes another time, as when funds are short."""

    reason: QuotedText
    retriable: bool = False


class RecordFailure(PaymentCommand, SystemCommand):
    """The provider could not be asked at all, however often: no money is known of."""

    reason: QuotedText


class ExpireAuthorization(PaymentCommand, SystemCommand):
    """The time until which the money is held is over, if it is by `now`."""

    now: Moment


class RecordExpiry(PaymentCommand, SystemCommand):
    """The provider released the money by itself."""


class RecordReauthorization(NamedCommand):
    """The provider holds the money for a capture again, after what it held before had expired."""

    capture_id: Identifier


class RecordReauthorizationDecline(PaymentCommand, SystemCommand):
    """The provider does not hold the money for a capture again."""

    capture_id: Identifier
    reason: QuotedText
    retriable: bool = False


class VoidPayment(PaymentCommand, SystemCommand):
    """Release what is authorised and will not be captured."""


class CancelPayment(PaymentCommand, SystemCommand):
    """Undo the payment wholly: void what is held, refund what was taken."""


class RecordVoid(NamedCommand):
    """The provider released the money; `void_id` names a capture whose renewed hold it was."""

    void_id: PartName = ""


class RecordVoidFailure(PaymentCommand, SystemCommand):
    """The provider did not release the money."""

    reason: QuotedText
    void_id: PartName = ""


class PaymentRequested(PaymentEvent):
    amount_minor: int
    currency: str
    payment_token: str
    method: str = "card"
    capture_now: bool = False


class PaymentRequestRefused(PaymentEvent):
    """The id names another payment already. Nothing was asked of the provider."""

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
    """Until when the money is held, where the provider reported that after it said that it is."""

    expires_at: Moment


class PaymentDeclined(PaymentEvent):
    """`reference`: of what the provider did instead, such as cancelling it."""

    reason: str
    retriable: bool = False
    reference: str = ""


class PaymentAttemptDeclined(PaymentEvent):
    """One means of payment was turned down; the same payment may yet come by another."""

    reason: str
    report_id: str


class PaymentFailed(PaymentEvent):
    reason: str


class PaymentExpired(PaymentEvent):
    """What was held and not taken is held no longer. A capture that comes now needs a new authorisation."""

    amount_minor: int
    currency: str
    authorization: str


class PaymentReauthorizationRequested(PaymentEvent):
    """Intent: money that expired is to be held again, for one capture."""

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
    """The capture that needed it will not be."""

    capture_id: str
    amount_minor: int
    reason: str
    retriable: bool
    currency: str = ""


class PaymentCancellationNoted(PaymentEvent):
    """Cancelled while the provider's answer was outstanding: should the money still come, it goes straight back."""


class PaymentVoidRequested(PaymentEvent):
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
    """Else it was released at the provider."""
    reason: str = ""


class PaymentVoidFailed(PaymentEvent):
    """The provider did not release it; the hold ends by itself at its time."""

    amount_minor: int
    void_id: str
    reason: str
    currency: str = ""
