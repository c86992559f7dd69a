"""One payment of an order: what may be asked of it, and what may happen to it.

`…Requested` events are intents: durable before the provider is called, and their event id is the idempotency key.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Command, Event
from oms_es.schemas.types import AmountMinor, Currency, Identifier, Text


class PaymentCommand(Command):
    payment_id: Identifier

    @property
    def stream(self) -> str:
        return f"payment-{self.payment_id}"


class RequestPayment(PaymentCommand):
    order_id: Identifier
    amount_minor: Annotated[AmountMinor, Field(gt=0)]
    currency: Currency
    payment_token: Identifier


class RecordAuthorization(PaymentCommand):
    """The provider holds the money. `reference` is the provider's own id of the effect."""

    reference: Identifier


class RecordDecline(PaymentCommand):
    reason: Text


class RecordFailure(PaymentCommand):
    """The provider could not be asked at all, however often: nobody knows of any money."""

    reason: Text


class CapturePayment(PaymentCommand):
    """Take money for one shipment; `capture_id` names the take, so that it happens once."""

    capture_id: Identifier
    amount_minor: Annotated[AmountMinor, Field(gt=0)]


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


class PaymentAuthorized(PaymentEvent):
    amount_minor: int
    currency: str
    reference: str


class PaymentDeclined(PaymentEvent):
    reason: str


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


class PaymentRefunded(PaymentEvent):
    refund_id: str
    amount_minor: int
    currency: str
    reference: str
