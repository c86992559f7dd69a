"""Each deadline that is due gives the command of its kind, with the time at which it was found due."""

from __future__ import annotations

from folding import fold
from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.projections.operations.deadlines import projection
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import stock as s
from story import AUTHORIZED, NOON, OF, PAYMENT, allocated, at, held

CART_HELD = s.StockReserved(**{**held(order_id="cart"), "reservation_id": "cart-7"}, expires_at=NOON)


def test_an_order_whose_payment_is_overdue_lapses() -> None:
    assert tuple(due_commands(fold(projection, allocated()).values(), NOON)) == (
        o.LapseOrder(**OF, payment_id=PAYMENT),
    )


def test_a_hold_whose_time_is_over_expires() -> None:
    assert tuple(due_commands(fold(projection, CART_HELD).values(), NOON)) == (
        s.ExpireReservation(sku="A", location="berlin", reservation_id="cart-7", order_id="cart", now=NOON),
    )


def test_a_lot_that_is_over_expires() -> None:
    came = s.StockReceived(**at(), receipt_id="r", lot="l", lot_expires_at=NOON)
    assert tuple(due_commands(fold(projection, came).values(), NOON)) == (
        s.ExpireLot(sku="A", location="berlin", lot="l", now=NOON),
    )


def test_an_authorisation_whose_time_is_over_expires() -> None:
    rows = fold(projection, AUTHORIZED.model_copy(update={"expires_at": NOON}))
    assert tuple(due_commands(rows.values(), NOON)) == (p.ExpireAuthorization(payment_id=PAYMENT, now=NOON),)


def test_an_answer_that_does_not_come_in_time_is_chased_also_where_names_have_slashes() -> None:
    awaited = p.PaymentAnswerAwaited(
        order_id="o",
        payment_id="a/b",
        operation="capture",
        part="c/d",
        key="k",
        amount_minor=1,
        currency="EUR",
        attempt=1,
    )
    assert tuple(due_commands(fold(projection, awaited).values(), NOON)) == (
        p.ChaseAnswer(payment_id="a/b", operation="capture", part="c/d"),
    )


def test_nothing_due_lets_nothing_go() -> None:
    assert tuple(due_commands([], NOON)) == ()


def test_a_hold_whose_time_is_over_is_chased() -> None:
    held = o.OrderHeld(**OF, kind="fraud", until=NOON)
    assert tuple(due_commands(fold(projection, held).values(), NOON)) == (o.ChaseHold(**OF, kind="fraud", now=NOON),)


def test_an_order_that_something_waits_for_is_chased_after_a_day() -> None:
    kept = o.OrderCancellationKept(**OF, reason="")
    assert tuple(due_commands(fold(projection, kept).values(), NOON)) == (o.ChasePlacement(**OF),)
