"""What was captured goes back, by a refund or a dispute."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import SystemCommand
from oms_es.schemas.payment.base import (
    ALLOCATIONS_MAX,
    NamedCommand,
    PaymentCommand,
    PaymentEvent,
    PositiveMinor,
    RefundAllocation,
)
from oms_es.schemas.values.types import Identifier, PartName, QuotedText


class RefundPayment(PaymentCommand, SystemCommand):
    """Give a part of what was taken back; `refund_id` names the part, so that it happens once.

    `allocations` say what it is for, and sum to it; without any it is for the payment as a whole.
    """

    refund_id: Identifier
    amount_minor: PositiveMinor
    reason: QuotedText = ""
    allocations: Annotated[tuple[RefundAllocation, ...], Field(max_length=ALLOCATIONS_MAX)] = ()
    to_account: PartName = ""
    """Of a customer; else it goes back where it came from."""


class RecordRefund(NamedCommand):
    """The provider gave the money of a refund back."""

    refund_id: Identifier


class RecordRefundFailure(PaymentCommand, SystemCommand):
    """The provider could not give the money back: it is still ours, and owed."""

    refund_id: Identifier
    reason: QuotedText


class DisputeCommand(PaymentCommand, SystemCommand):
    dispute_id: Identifier
    amount_minor: PositiveMinor
    reason: QuotedText = ""


class RecordDisputeOpened(DisputeCommand):
    """A customer takes their money back through their bank; `dispute_id` is the provider's."""


class RecordDisputeWon(DisputeCommand):
    """The disputed money stays with us."""


class RecordDisputeLost(DisputeCommand):
    """The disputed money is gone."""


class PaymentRefundRequested(PaymentEvent):
    refund_id: str
    amount_minor: int
    currency: str
    authorization: str
    reason: str = ""
    allocations: tuple[RefundAllocation, ...] = ()
    to_account: str = ""
    """It goes onto this account of a customer; its provider is not asked."""


class PaymentRefundRefused(PaymentEvent):
    """It cannot be given back: more than was taken, or not what its parts say. Nothing was asked of the provider."""

    refund_id: str
    amount_minor: int
    reason: str
    currency: str = ""


class PaymentRefunded(PaymentEvent):
    refund_id: str
    amount_minor: int
    currency: str
    reference: str
    asked: bool = True
    """Else it was given back at the provider."""


class PaymentRefundShort(PaymentEvent):
    """So much less is given back than was asked for. A person finds out why."""

    refund_id: str
    amount_minor: int
    currency: str


class PaymentRefundReversed(PaymentEvent):
    """It was given back, and came back to us: it is still ours, and owed."""

    refund_id: str
    amount_minor: int
    currency: str
    reason: str


class PaymentRefundFailed(PaymentEvent):
    """Asked for, and the provider could not: it is still ours, and owed."""

    refund_id: str
    amount_minor: int
    reason: str
    reference: str = ""
    currency: str = ""
    final: bool = True
    """Else it may still be given back under the same reference."""


class PaymentDisputeOpened(PaymentEvent):
    """So much of what was taken is in dispute, and is not given back meanwhile."""

    dispute_id: str
    amount_minor: int
    currency: str
    reason: str


class PaymentDisputeWon(PaymentEvent):
    dispute_id: str
    amount_minor: int
    currency: str


class PaymentDisputeLost(PaymentEvent):
    """The money is gone."""

    dispute_id: str
    amount_minor: int
    currency: str
