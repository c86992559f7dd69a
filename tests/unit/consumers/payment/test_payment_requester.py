"""Payments are requested when they are due, and cancelled with the order."""

from __future__ import annotations

from typing import Any

from oms_es.consumers.payment.payment_requester import consumer
from oms_es.schemas import payment as p
from story import OF, PAYMENT, allocated, cancelled

NO_ROUTES: Any = {"gateway_routes": {True: []}}


def test_the_money_is_due_when_everything_is_locked() -> None:
    assert consumer.react(allocated(900), NO_ROUTES) == (
        p.RequestPayment(**OF, payment_id=PAYMENT, amount_minor=900, currency="EUR", payment_token="on-file"),
    )


def test_an_order_that_costs_nothing_is_not_paid() -> None:
    assert consumer.react(allocated(0), NO_ROUTES) == ()


def test_a_cancelled_order_gets_its_money_back() -> None:
    assert consumer.react(cancelled(payment_id=PAYMENT)) == (p.CancelPayment(payment_id=PAYMENT),)


def test_an_order_cancelled_before_money_was_asked_for_has_none_to_get_back() -> None:
    assert consumer.react(cancelled(payment_id=None)) == ()
