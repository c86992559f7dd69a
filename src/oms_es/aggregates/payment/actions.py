"""A payment that waits for the customer, by a code or on a page. Part of the payment's decider.

Invariant: the waiting payment is closed once it is not wanted any more, in whatever order this becomes known; a payment
that is made meanwhile is reported as any other that comes too late.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.aggregates.payment.state import Payment, intent, of
from oms_es.schemas import payment as p


def record_action(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordPaymentAction
) -> Iterator[p.PaymentEvent]:
    """Record how the customer can pay. The authorisation may arrive before this record; that is no contradiction."""
    if payment.status != "pending" or payment.action == command.reference:
        return
    said = {name: getattr(command, name) for name in ("kind", "content", "reference", "expires_at")}
    yield p.PaymentActionRequired(**of(requested), **said)
    if payment.cancelled:
        yield close_requested(requested, command.reference)


def close_requested(requested: p.PaymentRequested, reference: str) -> p.PaymentCloseRequested:
    return p.PaymentCloseRequested(**intent(requested, requested.amount_minor), reference=reference)
