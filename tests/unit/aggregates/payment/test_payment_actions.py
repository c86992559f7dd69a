"""A payment that waits for the customer is shown, is closed if the order no longer needs it, and may be paid at once
or too late.
"""

from __future__ import annotations

from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.payment.decider import decider
from oms_es.schemas import payment as p

OF: Any = {"payment_id": "o.1", "order_id": "o"}
CNY: Any = {**OF, "currency": "CNY"}
REQUESTED = p.PaymentRequested(**CNY, amount_minor=100, payment_token="native")
CODE: Any = {"kind": "qr_code", "content": "weixin://1", "reference": "wechatpay:1"}
RECORD = p.RecordPaymentAction(payment_id="o.1", **CODE)
REQUIRED = p.PaymentActionRequired(**OF, **CODE)
CANCEL = p.CancelPayment(payment_id="o.1")
NOTED = p.PaymentCancellationNoted(**OF)
CLOSE = p.PaymentCloseRequested(**CNY, amount_minor=100, reference="wechatpay:1")
TAKEN = p.RecordReport(
    payment_id="o.1",
    operation="capture",
    outcome="succeeded",
    reference="4200",
    authorization="wechatpay:1",
    amount_minor=100,
    cumulative=True,
    currency="CNY",
)
AUTHORIZED = p.PaymentAuthorized(**CNY, amount_minor=100, reference="wechatpay:1")
CAPTURED = p.PaymentCaptured(**CNY, amount_minor=100, capture_id="o.1", reference="4200/o.1", asked=False)
REFUND = p.PaymentRefundRequested(**CNY, amount_minor=100, refund_id="o.1", authorization="wechatpay:1")
CLOSED = p.RecordReport(
    payment_id="o.1",
    operation="void",
    outcome="succeeded",
    reference="wechatpay:1/closed",
    authorization="wechatpay:1",
    reason="closed",
)
DECLINED = p.PaymentDeclined(**OF, reason="closed", reference="wechatpay:1/closed")


def test_what_the_customer_has_to_do_is_known_once() -> None:
    Given(decider, REQUESTED).when(RECORD).then(REQUIRED)
    Given(decider, REQUESTED, REQUIRED).when(RECORD).then()


@pytest.mark.parametrize(
    "after",
    [
        (p.PaymentDeclined(**OF, reason="no"),),
        (AUTHORIZED, CAPTURED),
        (p.PaymentFailed(**OF, reason="no answer"),),
    ],
)
def test_who_has_paid_or_may_not_pay_is_shown_no_code(after: Any) -> None:
    Given(decider, REQUESTED, *after).when(RECORD).then()


def test_a_payment_that_was_never_asked_for_waits_for_no_customer() -> None:
    Given(decider).when(RECORD).then_refused("unknown_payment")


def test_what_is_not_wanted_is_closed_whichever_is_known_first() -> None:
    Given(decider, REQUESTED, REQUIRED).when(CANCEL).then(NOTED, CLOSE)
    Given(decider, REQUESTED, NOTED).when(RECORD).then(REQUIRED, CLOSE)
    Given(decider, REQUESTED, REQUIRED, NOTED, CLOSE).when(CANCEL).then()
    Given(decider, REQUESTED).when(CANCEL).then(NOTED)


def test_it_is_authorised_and_captured_by_one_report() -> None:
    Given(decider, REQUESTED, REQUIRED).when(TAKEN).then(AUTHORIZED, CAPTURED)
    Given(decider, REQUESTED, REQUIRED, AUTHORIZED, CAPTURED).when(TAKEN).then()


def test_paid_before_it_could_be_closed_it_goes_back() -> None:
    Given(decider, REQUESTED, REQUIRED, NOTED, CLOSE).when(TAKEN).then(AUTHORIZED, CAPTURED, REFUND)


def test_closed_it_is_declined() -> None:
    Given(decider, REQUESTED, REQUIRED, NOTED, CLOSE).when(CLOSED).then(DECLINED)
    Given(decider, REQUESTED, REQUIRED, NOTED, CLOSE, DECLINED).when(CLOSED).then()
