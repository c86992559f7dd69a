"""The answer to a refund: a failure with a reference has the same effect as the provider's report of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from oms_es.gateways.payment.port import Answer, Ask, PaymentGateway
from oms_es.kernel import Recorded
from oms_es.schemas import payment as p

REQUESTED = p.PaymentRefundRequested(
    payment_id="o.1", order_id="o", refund_id="r1", amount_minor=40, currency="CNY", authorization="wechatpay:n"
)
INTENT = Recorded(1, "payment-o.1", 3, REQUESTED, UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC), None, "", "c")


class Provider:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def find(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        return [Answer("absent") for _ in asks]

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        return [self.answer for _ in asks]


SAID: Any = {"operation": "refund", "outcome": "declined", "part": "r1", "amount_minor": 40, "currency": "CNY"}


@pytest.mark.parametrize(
    ("answer", "command"),
    [
        (
            Answer("declined", "50", "frozen", final=False),
            p.RecordReport(payment_id="o.1", reference="50", reason="frozen", final=False, **SAID),
        ),
        (
            Answer("declined", "50", "closed"),
            p.RecordReport(payment_id="o.1", reference="50", reason="closed", **SAID),
        ),
        (
            Answer("declined", reason="no funds"),
            p.RecordRefundFailure(payment_id="o.1", refund_id="r1", reason="no funds"),
        ),
    ],
    ids=["for now", "for ever", "unnamed"],
)
def test_a_refund_that_failed_under_a_reference_is_reported_with_it(answer: Answer, command: p.PaymentCommand) -> None:
    (answers,) = PaymentGateway(Provider(answer)).perform([INTENT])
    assert tuple(answers) == (command,)
