"""A deadline exists from the time something is due until it is settled, by whichever event settles it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from folding import fold, recorded_at
from oms_es.kernel import Event
from oms_es.projections.operations.deadlines import (
    ANSWER_DUE_SECONDS,
    PAYMENT_DUE_SECONDS,
    PLACEMENT_DUE_SECONDS,
    projection,
)
from oms_es.projections.operations.stock_deadlines import NEVER
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import stock as s
from story import AUTHORIZED, NOON, OF, OF_PAYMENT, ORDER, PAYMENT, allocated, at, cancelled, held, placed, released

CART: Any = {**held(order_id="cart"), "reservation_id": "cart-7"}
CART_HELD = s.StockReserved(**CART, expires_at=NOON)


def test_a_payment_is_due_a_while_after_everything_is_locked() -> None:
    rows = fold(projection, allocated())
    (row,) = rows.values()
    assert list(rows) == [(f"payment/{ORDER}",)]
    assert (row["kind"], row["order_id"]) == ("payment_overdue", ORDER)
    assert row["due_at"] == recorded_at(1) + timedelta(seconds=PAYMENT_DUE_SECONDS)


@pytest.mark.parametrize("settled", [released(), cancelled()])
def test_a_payment_is_settled_by_release_and_by_cancellation(settled: Event) -> None:
    assert fold(projection, allocated(), settled) == {}


def test_a_hold_with_an_end_expires_then() -> None:
    (row,) = fold(projection, CART_HELD).values()
    assert (row["kind"], row["due_at"]) == ("reservation_expiry", NOON)
    assert [row[name] for name in ("order_id", "subject", "sku", "location")] == [
        "cart",
        "cart-7",
        "A",
        "berlin",
    ]


@pytest.mark.parametrize(
    "ended",
    [s.StockReleased(**CART), s.StockReservationExpired(**CART), s.StockShipped(**CART, shipment_id="x")],
)
def test_a_hold_that_ended_expires_no_more(ended: Event) -> None:
    assert fold(projection, CART_HELD, ended) == {}


def test_only_the_hold_that_ended_is_settled() -> None:
    in_paris = s.StockReserved(**{**CART, "location": "paris"}, expires_at=NOON)
    assert list(fold(projection, CART_HELD, in_paris, s.StockReleased(**CART))) == [("A@paris/cart-7",)]


def test_a_hold_without_an_end_and_an_order_s_own_lock_are_no_deadlines() -> None:
    assert fold(projection, s.StockReserved(**CART), s.StockReserved(**held(), expires_at=NOON)) == {}


HELD_UNTIL_NOON = AUTHORIZED.model_copy(update={"expires_at": NOON})
EUR: Any = {**OF_PAYMENT, "currency": "EUR", "amount_minor": 900}


def capture_requested(*, final: bool) -> Event:
    return p.PaymentCaptureRequested(**EUR, capture_id="x", authorization="r", final=final)


def test_an_authorisation_expires_at_its_time_if_it_has_one() -> None:
    ((key, row),) = fold(projection, HELD_UNTIL_NOON).items()
    assert (key, row["kind"], row["due_at"], row["subject"]) == (
        (f"authorization/{PAYMENT}",),
        "authorization_expiry",
        NOON,
        PAYMENT,
    )
    assert fold(projection, AUTHORIZED) == {}
    assert len(fold(projection, AUTHORIZED, p.PaymentExpirySet(**OF_PAYMENT, expires_at=NOON))) == 1


@pytest.mark.parametrize(
    "over",
    [
        capture_requested(final=True),
        p.PaymentExpired(**EUR, authorization="r"),
        p.PaymentVoidRequested(**EUR, authorization="r"),
    ],
)
def test_an_authorisation_of_which_nothing_is_held_any_more_does_not_expire(over: Event) -> None:
    assert fold(projection, HELD_UNTIL_NOON, over) == {}
    assert len(fold(projection, HELD_UNTIL_NOON, capture_requested(final=False))) == 1


TONIGHT = NOON.replace(hour=0) + timedelta(days=1)


def lot(event: Any, quantity: int, **more: Any) -> Any:
    return event(**at(quantity=quantity), lot="l", **more)


LOT = lot(s.StockReceived, 3, receipt_id="r", lot_expires_at=NOON)


def test_a_lot_is_over_on_the_day_after_its_expiry() -> None:
    (row,) = fold(projection, LOT).values()
    assert (row["kind"], row["due_at"], row["subject"], row["sku"], row["location"], row["units"]) == (
        "lot_expiry",
        TONIGHT,
        "l",
        "A",
        "berlin",
        3,
    )


@pytest.mark.parametrize(
    "gone",
    [
        s.StockShipped(**held(quantity=3), shipment_id="x", picks=(s.Pick(bin="", lot="l", quantity=3),)),
        lot(s.StockWrittenOff, 3, write_off_id="w", reason="eaten"),
        lot(s.StockMovedOut, 3, move_id="m", to_location="paris"),
        lot(s.StockAdjusted, -3, adjustment_id="a", reason="lost"),
        lot(s.StockCounted, 0, count_id="c", expected=3),
        lot(s.StockConditionChanged, 3, change_id="c", was="sellable", condition="quarantine", lot_expires_at=NOON),
    ],
)
def test_a_lot_of_which_nothing_sellable_is_left_has_no_deadline(gone: Event) -> None:
    assert fold(projection, LOT, gone) == {}
    (row,) = fold(projection, LOT, LOT, gone).values()
    assert (row["units"], row["due_at"]) == (3, TONIGHT)


def test_each_bin_of_a_lot_has_a_deadline_of_its_own() -> None:
    rows = fold(projection, LOT, lot(s.StockMovedToBin, 1, move_id="m", to_bin="b", lot_expires_at=NOON))
    assert {key[0]: (row["units"], row["due_at"]) for key, row in rows.items()} == {
        "lot/A@berlin/0//l": (2, TONIGHT),
        "lot/A@berlin/1/b/l": (1, TONIGHT),
    }


def test_a_lot_without_an_expiry_is_never_over_until_it_is_reported() -> None:
    (row,) = fold(projection, lot(s.StockReceived, 1, receipt_id="r")).values()
    assert row["due_at"] == NEVER
    (reported,) = fold(projection, lot(s.StockReceived, 1, receipt_id="r"), LOT).values()
    assert (reported["units"], reported["due_at"]) == (4, TONIGHT)


def test_what_has_no_lot_or_is_aside_has_no_deadline() -> None:
    assert fold(projection, s.StockReceived(**at(), receipt_id="r", lot_expires_at=NOON)) == {}
    assert fold(projection, lot(s.StockReturned, 1, return_id="r", condition="damaged", lot_expires_at=NOON)) == {}
    aside = lot(s.StockConditionChanged, 1, change_id="c", was="damaged", condition="quarantine")
    assert fold(projection, aside) == {}


def awaited(attempt: int) -> p.PaymentAnswerAwaited:
    return p.PaymentAnswerAwaited(
        **OF_PAYMENT, operation="capture", part="s", key="k", amount_minor=1, currency="EUR", attempt=attempt
    )


def test_a_callback_has_twice_as_long_each_time_before_it_is_asked_for() -> None:
    (first,) = fold(projection, awaited(1)).values()
    (third,) = fold(projection, awaited(1), awaited(3)).values()
    assert first["due_at"] - recorded_at(1) == timedelta(seconds=ANSWER_DUE_SECONDS)
    assert third["due_at"] - recorded_at(2) == timedelta(seconds=4 * ANSWER_DUE_SECONDS)
    assert (first["kind"], first["order_id"]) == ("answer_overdue", ORDER)


@pytest.mark.parametrize(
    "no_longer",
    [
        p.PaymentAnswerChased(**dict(awaited(1))),
        p.PaymentAnswerSettled(**OF_PAYMENT, operation="capture", part="s"),
    ],
)
def test_what_is_asked_for_or_came_is_not_due(no_longer: Event) -> None:
    assert fold(projection, awaited(1), no_longer) == {}


HELD = o.OrderHeld(**OF, kind="fraud", until=NOON)


def test_a_hold_with_an_end_is_due_then_and_one_without_is_not() -> None:
    (row,) = fold(projection, HELD).values()
    assert (row["kind"], row["due_at"], row["order_id"], row["subject"]) == ("hold_overdue", NOON, ORDER, "fraud")
    assert fold(projection, o.OrderHeld(**OF, kind="fraud")) == {}


@pytest.mark.parametrize(
    "off",
    [
        o.OrderHoldReleased(**OF, kind="fraud"),
        o.OrderHoldOverdue(**OF, kind="fraud", until=NOON),
        o.OrderOverridden(**OF, override_id="x", to="released", reason="it is fine"),
        cancelled(),
    ],
)
def test_a_hold_that_is_off_or_overdue_is_not_due(off: Event) -> None:
    assert fold(projection, HELD, off) == {}


AMENDED = o.OrderAmendmentKept(**OF, amendment=o.AmendOrder(**OF, amendment_id="a", shipping_minor=1, keep=True))
KEPT: tuple[Event, ...] = (
    AMENDED,
    o.OrderCancellationKept(**OF, reason=""),
    o.OrderReportKept(**OF, refund=o.RecordChannelRefund(**OF, refund_id="r", keep=True)),
)


@pytest.mark.parametrize("kept", KEPT)
def test_an_order_that_something_waits_for_is_due_a_day_after_the_first_of_it(kept: Event) -> None:
    ((key, row),) = fold(projection, kept, *KEPT).items()
    assert (key, row["kind"], row["order_id"]) == ((f"placement/{ORDER}",), "placement_overdue", ORDER)
    assert row["due_at"] == recorded_at(1) + timedelta(seconds=PLACEMENT_DUE_SECONDS)


@pytest.mark.parametrize("settled", [placed(), o.OrderPlacementOverdue(**OF, waiting=("amendment",))])
def test_it_is_not_due_once_the_order_came_or_a_person_was_informed(settled: Event) -> None:
    assert fold(projection, AMENDED, settled) == {}
    assert list(fold(projection, AMENDED, o.OrderPlacementOverdue(**OF, waiting=("amendment",)), KEPT[1])) == [
        (f"placement/{ORDER}",)
    ]
