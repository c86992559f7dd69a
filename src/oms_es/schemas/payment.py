"""One payment of an order: what may be asked of it, and what may happen to it.

`…Requested` events are intents: durable before the provider is called, and their event id is the idempotency key.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from oms_es.kernel import Command, Event, Message
from oms_es.schemas.types import AmountMinor, Currency, Identifier, Text

ALLOCATIONS_MAX = 1_000
"""Parts of one refund: every line of an order, its shipping and something on top."""

PositiveMinor = Annotated[AmountMinor, Field(gt=0)]
Method = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""How somebody pays: card, paypal, voucher, …"""


class RefundAllocation(Message):
    """What a part of a refund is for. `line_id` names the line; it is empty for shipping and goodwill."""

    kind: Literal["line", "shipping", "goodwill"]
    line_id: Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00]*$")] = ""
    amount_minor: AmountMinor


class PaymentCommand(Command):
    payment_id: Identifier

    @property
    def stream(self) -> str:
        return f"payment-{self.payment_id}"


class RequestPayment(PaymentCommand):
    """Hold money for an order; `capture_now` takes it as soon as it is held, as a deposit."""

    order_id: Identifier
    amount_minor: PositiveMinor
    currency: Currency
    payment_token: Identifier
    method: Method = "card"
    capture_now: bool = False


class RecordAuthorization(PaymentCommand):
    """The provider holds the money. `reference` is the provider's own id of the effect."""

    reference: Identifier


class RecordDecline(PaymentCommand):
    """The provider said no; `retriable` where it may say yes another time, as when funds are short."""

    reason: Text
    retriable: bool = False


class RecordFailure(PaymentCommand):
    """The provider could not be asked at all, however often: nobody knows of any money."""

    reason: Text


class CapturePayment(PaymentCommand):
    """Take money for one shipment; `capture_id` names the take, so that it happens once."""

    capture_id: Identifier
    amount_minor: PositiveMinor


class RecordCapture(PaymentCommand):
    capture_id: Identifier
    reference: Identifier


class RecordCaptureFailure(PaymentCommand):
    capture_id: Identifier
    reason: Text


class VoidPayment(PaymentCommand):
    """Let go of what is authorised and will not be captured."""


class CancelPayment(PaymentCommand):
    """Undo the payment wholly: void what is held, refund what was taken."""


class RefundPayment(PaymentCommand):
    """Give a part of what was taken back; `refund_id` names the part, so that it happens once.

    `allocations` say what it is for, and sum to it; without any it is for the payment as a whole.
    """

    refund_id: Identifier
    amount_minor: PositiveMinor
    reason: Text = ""
    allocations: Annotated[tuple[RefundAllocation, ...], Field(max_length=ALLOCATIONS_MAX)] = ()


class RecordVoid(PaymentCommand):
    reference: Identifier


class RecordRefund(PaymentCommand):
    refund_id: Identifier
    reference: Identifier


class PaymentEvent(Event):
    payment_id: str
    order_id: str


class PaymentRequested(PaymentEvent):
    amount_minor: int
    currency: str
    payment_token: str
    method: str = "card"
    capture_now: bool = False


class PaymentAuthorized(PaymentEvent):
    amount_minor: int
    currency: str
    reference: str


class PaymentDeclined(PaymentEvent):
    reason: str
    retriable: bool = False


class PaymentFailed(PaymentEvent):
    reason: str


class PaymentCancellationNoted(PaymentEvent):
    """Cancelled while the provider's answer was outstanding: should the money still come, it goes straight back."""


class PaymentCaptureRequested(PaymentEvent):
    capture_id: str
    amount_minor: int
    currency: str
    authorization: str


class PaymentCaptured(PaymentEvent):
    capture_id: str
    amount_minor: int
    currency: str
    reference: str


class PaymentCaptureFailed(PaymentEvent):
    capture_id: str
    amount_minor: int
    reason: str


class PaymentVoidRequested(PaymentEvent):
    amount_minor: int
    currency: str
    authorization: str


class PaymentVoided(PaymentEvent):
    amount_minor: int
    currency: str
    reference: str


class PaymentRefundRequested(PaymentEvent):
    refund_id: str
    amount_minor: int
    currency: str
    authorization: str
    reason: str = ""
    allocations: tuple[RefundAllocation, ...] = ()


class PaymentRefundRefused(PaymentEvent):
    """It cannot be given back: more than was taken, or not what its parts say. Nothing was asked of the provider."""

    refund_id: str
    amount_minor: int
    reason: str


class PaymentRefunded(PaymentEvent):
    refund_id: str
    amount_minor: int
    currency: str
    reference: str
