"""Captures of what was authorised."""

from __future__ import annotations

from oms_es.kernel import SystemCommand
from oms_es.schemas.payment.base import GatewayIntent, NamedCommand, PaymentCommand, PaymentEvent, PositiveMinor
from oms_es.schemas.values.types import Identifier, QuotedText


class CapturePayment(PaymentCommand, SystemCommand):
    """Capture money for one shipment; `capture_id` names the capture, so that it takes place once.

    A deposit is captured already: so much of it is applied.
    """

    capture_id: Identifier
    amount_minor: PositiveMinor


class RecordCapture(NamedCommand):
    """Record that the provider captured the money."""

    capture_id: Identifier


class RecordCaptureFailure(PaymentCommand, SystemCommand):
    """Record that the provider did not capture the money; `expired` if it did not hold the money any more."""

    capture_id: Identifier
    reason: QuotedText
    expired: bool = False


class PaymentCaptureRequested(GatewayIntent):
    capture_id: str
    amount_minor: int
    currency: str
    authorization: str
    final: bool = False
    """Whether nothing remains authorised after this capture."""


class PaymentCaptureRefused(PaymentEvent):
    """The capture is impossible: too little is held, or nothing any more.

    The provider was not asked; a person looks at it.
    """

    capture_id: str
    amount_minor: int
    reason: str
    currency: str = ""


class PaymentCaptured(PaymentEvent):
    capture_id: str
    amount_minor: int
    currency: str
    reference: str
    asked: bool = True
    """False if the provider captured it by itself or at once, before it was asked for from here."""


class PaymentCaptureShort(PaymentEvent):
    """The provider captured less than was asked for, by this amount. A person finds out why."""

    capture_id: str
    amount_minor: int
    currency: str


class PaymentCaptureFailed(PaymentEvent):
    capture_id: str
    amount_minor: int
    reason: str
    currency: str = ""


class PaymentDepositApplied(PaymentEvent):
    """So much of the deposit pays for a shipment now."""

    capture_id: str
    amount_minor: int
    currency: str
