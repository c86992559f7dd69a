"""The order learns what was done for it, in commands that it accepts, and nothing that was done for other orders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from oms_es.consumers.order.order_progress import REASON_CHARACTERS_MAX, consumer
from oms_es.kernel import Command
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from story import AUTHORIZED, NOON, OF, OF_PARCEL, OF_PAYMENT, ORDER, PAYMENT, dispatched, held

LOCK: Any = {"reservation_id": f"{ORDER}/2", "sku": "A", "location": "berlin", "quantity": 2}


def test_a_lock_is_reported() -> None:
    assert consumer.react(s.StockReserved(**held(2))) == (o.RecordReservation(**OF, **LOCK),)


def test_a_shortage_is_reported_with_what_was_asked() -> None:
    assert consumer.react(s.StockShort(**held(2), available=1)) == (o.RecordShortage(**OF, **LOCK),)
    broken = s.StockReservationBroken(**held(2), reason="counted 0, expected 2")
    assert consumer.react(broken) == (o.RecordShortage(**OF, **LOCK),)


@pytest.mark.parametrize("reservation", ["cart-7", ORDER, f"{ORDER}2/1", f"x{ORDER}/1"])
def test_a_hold_that_no_order_asked_for_is_no_ones_progress(reservation: str) -> None:
    hold = {**held(), "reservation_id": reservation}
    assert consumer.react(s.StockReserved(**hold, expires_at=NOON)) == ()
    assert consumer.react(s.StockShort(**hold, available=0)) == ()


def test_the_money_is_reported() -> None:
    assert consumer.react(AUTHORIZED) == (o.RecordPaymentAuthorized(**OF, payment_id=PAYMENT),)


@pytest.mark.parametrize("failed", [p.PaymentDeclined, p.PaymentFailed])
def test_that_no_money_comes_is_reported_with_its_reason(failed: Any) -> None:
    said = o.RecordPaymentFailed(**OF, payment_id=PAYMENT, reason="no funds")
    assert consumer.react(failed(**OF_PAYMENT, reason="no funds")) == (said,)


def test_a_reason_of_any_length_reaches_the_order() -> None:
    (said,) = consumer.react(p.PaymentDeclined(**OF_PAYMENT, reason="x" * 10_000))
    assert said == o.RecordPaymentFailed(**OF, payment_id=PAYMENT, reason="x" * REASON_CHARACTERS_MAX)


@pytest.mark.parametrize(
    ("event", "report"),
    [
        (dispatched(), o.RecordShipmentDispatched),
        (sh.ShipmentDelivered(**OF_PARCEL, delivered_at=NOON), partial(o.RecordShipmentDelivered, delivered_at=NOON)),
        (sh.ShipmentCancelled(**OF_PARCEL, items=()), o.RecordShipmentCancelled),
        (sh.ShipmentCancellationRefused(**OF_PARCEL), o.RecordShipmentKept),
    ],
)
def test_every_step_of_a_shipment_is_reported(event: sh.ShipmentEvent, report: Callable[..., Command]) -> None:
    assert consumer.react(event) == (report(**OF_PARCEL),)


def test_that_a_presale_has_come_is_reported_to_its_order() -> None:
    lock = {name: LOCK[name] for name in ("reservation_id", "sku", "location")}
    assert consumer.react(s.StockPresaleCovered(**held(2))) == (o.RecordPresaleCovered(**OF, **lock),)
    hold = {**held(2), "reservation_id": "cart"}
    assert consumer.react(s.StockPresaleCovered(**hold)) == ()


MONEY: Any = {"payment_id": "order.1", "order_id": "order", "amount_minor": 5}
LEFT_US: tuple[tuple[p.PaymentEvent, str, str], ...] = (
    (p.PaymentRefunded(**MONEY, currency="EUR", refund_id="k", reference="re", asked=False), "refund/k", "refunded"),
    (p.PaymentDisputeOpened(**MONEY, currency="EUR", dispute_id="k", reason=""), "dispute/k", "disputed"),
    (p.PaymentCaptureRefused(**MONEY, capture_id="k", reason=""), "capture/k", "not_captured"),
    (p.PaymentCaptureFailed(**MONEY, capture_id="k", reason=""), "capture/k", "not_captured"),
    (
        p.PaymentReauthorizationDeclined(**MONEY, capture_id="k", reason="", retriable=False),
        "capture/k",
        "not_captured",
    ),
    (p.PaymentCaptureShort(**MONEY, currency="EUR", capture_id="k"), "short/k", "not_captured"),
)
CAME_BACK: tuple[tuple[p.PaymentEvent, str], ...] = (
    (p.PaymentRefundReversed(**MONEY, currency="EUR", refund_id="k", reason=""), "refund/k"),
    (p.PaymentDisputeWon(**MONEY, currency="EUR", dispute_id="k"), "dispute/k"),
    (
        p.PaymentReauthorizationRequested(**MONEY, currency="EUR", capture_id="k", payment_token="t", method="card"),
        "capture/k",
    ),
)


@pytest.mark.parametrize(("event", "effect", "why"), LEFT_US)
def test_money_that_went_without_the_order_is_reported_to_it(event: p.PaymentEvent, effect: str, why: Any) -> None:
    reported = o.RecordMoneyGone(order_id="order", payment_id="order.1", effect=effect, why=why, amount_minor=5)
    assert consumer.react(event) == (reported,)


@pytest.mark.parametrize(("event", "effect"), CAME_BACK)
def test_money_that_is_there_again_is_reported(event: p.PaymentEvent, effect: str) -> None:
    reported = o.RecordMoneyBack(order_id="order", payment_id="order.1", effect=effect)
    assert consumer.react(event) == (reported,)


def test_what_the_order_gave_back_itself_is_no_news_to_it() -> None:
    ours = p.PaymentRefunded(**MONEY, currency="EUR", refund_id="k", reference="re")
    assert consumer.react(ours) == ()
