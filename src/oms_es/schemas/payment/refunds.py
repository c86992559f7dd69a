"""Refunds of captured money, and disputes about it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import SystemCommand
from oms_es.schemas.payment.base import (
    ALLOCATIONS_MAX,
    GatewayIntent,
    NamedCommand,
    PaymentCommand,
    PaymentEvent,
    PositiveMinor,
    RefundAllocation,
)
from oms_es.schemas.values.types import Identifier, PartName, QuotedText


class RefundPayment(PaymentCommand, SystemCommand):
    """Refund a part of what was captured; `refund_id` names the refund, so that it takes place once.

    `allocations` say what it is for, and sum to it; without any it is for the payment as a whole.
    """

    refund_id: Identifier
    amount_minor: PositiveMinor
    reason: QuotedText = ""
    allocations: Annotated[tuple[RefundAllocation, ...], Field(max_length=ALLOCATIONS_MAX)] = ()
    to_account: PartName = ""
    """The account of a customer that is credited; without it the money goes back to where it came from."""


class RecordRefund(NamedCommand):
    """Record that the provider refunded the money."""

    refund_id: Identifier


class RecordRefundFailure(PaymentCommand, SystemCommand):
    """Record that the provider could not refund the money: it is still ours, and owed."""

    refund_id: Identifier
    reason: QuotedText


class DisputeCommand(PaymentCommand, SystemCommand):
    dispute_id: Identifier
    amount_minor: PositiveMinor
    reason: QuotedText = ""


class RecordDisputeOpened(DisputeCommand):
    """Record that a customer disputes a payment through their bank; `dispute_id` is the provider's."""


class RecordDisputeWon(DisputeCommand):
    """Record that the disputed money stays with us."""


class RecordDisputeLost(DisputeCommand):
    """Record that the disputed money is lost."""


class PaymentRefundRequested(GatewayIntent):
    refund_id: str
    amount_minor: int
    currency: str
    authorization: str
    reason: str = ""
    allocations: tuple[RefundAllocation, ...] = ()
    to_account: str = ""
    """The account of a customer that is credited; then the provider is not asked."""


class PaymentRefundRefused(PaymentEvent):
    """The refund is impossible: more than was captured, or other than its parts. Nothing was asked of the provider."""

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
    """False if it was refunded at the provider unasked."""


class PaymentRefundShort(PaymentEvent):
    """The provider refunded less than was asked for, by this amount. A person finds out why."""

    refund_id: str
    amount_minor: int
    currency: str


class PaymentRefundReversed(PaymentEvent):
    """A completed refund came back to us: the money is still ours, and owed."""

    refund_id: str
    amount_minor: int
    currency: str
    reason: str


class PaymentRefundFailed(PaymentEvent):
    """The provider could not refund what was asked for: the money is still ours, and owed."""

    refund_id: str
    amount_minor: int
    reason: str
    reference: str = ""
    currency: str = ""
    final: bool = True
    """Whether the failure is final; otherwise the refund may still succeed under the same reference."""


class PaymentDisputeOpened(PaymentEvent):
    """So much of the captured money is in dispute, and is not refunded meanwhile."""

    dispute_id: str
    amount_minor: int
    currency: str
    reason: str


class PaymentDisputeWon(PaymentEvent):
    dispute_id: str
    amount_minor: int
    currency: str


class PaymentDisputeLost(PaymentEvent):
    """The disputed money is lost."""

    dispute_id: str
    amount_minor: int
    currency: str
