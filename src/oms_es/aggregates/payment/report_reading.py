"""What the readers of all kinds of reports share. Part of the payment's decider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from oms_es.aggregates.payment.state import (
    Payment,
)
from oms_es.schemas import payment as p
from oms_es.schemas.values.currency import to_text

Decide = Callable[[Payment, p.PaymentRequested, p.PaymentCommand], Iterator[p.PaymentEvent]]

Events = Iterator[p.PaymentEvent]


def command_of(shape: type[p.PaymentCommand], requested: p.PaymentRequested, **fields: Any) -> p.PaymentCommand:
    """Return a command built without validation, from values that are checked already."""
    return shape.model_construct(payment_id=requested.payment_id, **fields)


def stated(requested: p.PaymentRequested, report: p.Report) -> str:
    if report.amount_minor is None:
        return "an amount that is not said"
    return to_text(report.amount_minor, report.currency or requested.currency)
