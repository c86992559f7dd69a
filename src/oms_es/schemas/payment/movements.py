"""The events of payments that move money: the name and the sign of each movement."""

from __future__ import annotations

from collections.abc import Mapping

from oms_es.kernel import Event
from oms_es.schemas.payment.capture import PaymentCaptured
from oms_es.schemas.payment.refunds import (
    PaymentDisputeOpened,
    PaymentDisputeWon,
    PaymentRefunded,
    PaymentRefundReversed,
)

MOVEMENTS: Mapping[type[Event], tuple[str, int]] = {
    PaymentCaptured: ("capture", 1),
    PaymentRefunded: ("refund", -1),
    PaymentRefundReversed: ("refund_reversal", 1),
    PaymentDisputeOpened: ("dispute", -1),
    PaymentDisputeWon: ("dispute_reversal", 1),
}
"""The sign is positive if money came in."""


def movement_of(event: type[Event], position: int) -> str:
    return f"{MOVEMENTS[event][0]}/{position}"


def payout_of(account: str, line: str) -> str:
    """Return the name of a provider's payout, as it comes in at a bank.

    `line` is `<statement>/<line>` at the provider.
    """
    return f"payout/{account}/{line}"
