"""What was authorised is captured."""

from __future__ import annotations

from oms_es.kernel import SystemCommand
from oms_es.schemas.payment.base import NamedCommand, PaymentCommand, PaymentEvent, PositiveMinor
from oms_es.schemas.values.types import Identifier, QuotedText


class CapturePayment(PaymentCommand, SystemCommand):
    """Take money for one shipment; `capture_id` names the take, so that it happens once.

    Of a deposit, which is taken already, so much is applied.
    """

    capture_id: Identifier
    amount_minor: PositiveMinor


class RecordCapture(NamedCommand):
    """The provider took the money of a capture."""

    capture_id: Identifier


class RecordCaptureFailure(PaymentCommand, SystemCommand):
    """The provider did not take the money; `expired` where it held it no longer."""

    capture_id: Identifier
    reason: QuotedText
    expired: bool = False


class PaymentCaptureRequested(PaymentEvent):
    capture_id: str
    amount_minor: int
    currency: str
    authorization: str
    final: bool = False
    """Nothing is left held beside it."""


class PaymentCaptureRefused(PaymentEvent):
    """It cannot be taken: not so much is held, or no longer. The provider was not asked; a person is."""

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
    """Else it was taken at the provider, or at once: it was not asked for from here yet."""


class PaymentCaptureShort(PaymentEvent):
    """So much less is taken than was asked for. A person finds out why."""

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
