"""A payment's row shows its state, and what became of every unit of its money."""

from __future__ import annotations

from typing import Any

import pytest

from folding import fold
from oms_es.kernel import Event
from oms_es.projections.payment.payments import projection
from oms_es.schemas import payment as p
from story import AUTHORIZED, NOON, OF_PAYMENT, ORDER, PAYMENT

EUR: Any = {**OF_PAYMENT, "currency": "EUR"}
REQUESTED = p.PaymentRequested(**EUR, amount_minor=900, payment_token="tok", method="paypal")
CAPTURED = p.PaymentCaptured(**EUR, capture_id="x", amount_minor=600, reference="c")
THE_REST = p.PaymentCaptured(**EUR, capture_id="y", amount_minor=300, reference="c2")
VOIDED = p.PaymentVoided(**EUR, amount_minor=300, reference="v")
EXPIRED = p.PaymentExpired(**EUR, amount_minor=900, authorization="r")
DISPUTE: Any = {**EUR, "dispute_id": "d", "amount_minor": 600}
OPENED = p.PaymentDisputeOpened(**DISPUTE, reason="")
WON, LOST = p.PaymentDisputeWon(**DISPUTE), p.PaymentDisputeLost(**DISPUTE)


def refunded(n: int) -> Event:
    return p.PaymentRefunded(**EUR, refund_id=str(n), amount_minor=n, reference=f"r{n}")


def only(*events: Event) -> Any:
    ((key, row),) = fold(projection, REQUESTED, *events).items()
    assert key == (PAYMENT,)
    return row


def test_a_payment_begins_with_what_is_asked_for() -> None:
    row = only()
    assert (row["state"], row["order_id"], row["method"], row["requested_minor"]) == ("requested", ORDER, "paypal", 900)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([AUTHORIZED], "authorized"),
        ([p.PaymentDeclined(**OF_PAYMENT, reason="no")], "declined"),
        ([p.PaymentFailed(**OF_PAYMENT, reason="no")], "failed"),
        ([AUTHORIZED, CAPTURED], "partly_captured"),
        ([AUTHORIZED, CAPTURED, THE_REST], "captured"),
        ([AUTHORIZED, CAPTURED, VOIDED], "captured"),
        ([AUTHORIZED, EXPIRED], "released"),
        ([AUTHORIZED, CAPTURED, refunded(100)], "partly_refunded"),
        ([AUTHORIZED, CAPTURED, refunded(600)], "refunded"),
        ([AUTHORIZED, CAPTURED, VOIDED, OPENED], "disputed"),
        ([AUTHORIZED, CAPTURED, VOIDED, OPENED, WON], "captured"),
        ([AUTHORIZED, CAPTURED, VOIDED, OPENED, LOST], "lost"),
    ],
)
def test_its_state_is_what_matters_most_now(events: list[Event], state: str) -> None:
    assert only(*events)["state"] == state


def test_every_sum_is_kept() -> None:
    row = only(AUTHORIZED, CAPTURED, VOIDED, refunded(100), OPENED)
    sums = {name: value for name, value in row.items() if name.endswith("_minor")}
    assert sums == {
        "requested_minor": 900,
        "authorized_minor": 900,
        "released_minor": 300,
        "captured_minor": 600,
        "refunded_minor": 100,
        "disputed_minor": 600,
        "lost_minor": 0,
    }
    assert row["reference"] == "r"


def test_until_when_money_is_held_is_shown_until_it_is_held_no_longer() -> None:
    reported = p.PaymentExpirySet(**OF_PAYMENT, expires_at=NOON)
    assert only(AUTHORIZED.model_copy(update={"expires_at": NOON}))["expires_at"] == NOON
    assert only(AUTHORIZED, reported)["expires_at"] == NOON
    assert only(AUTHORIZED, reported, EXPIRED)["expires_at"] is None


def test_a_new_authorisation_counts_beside_the_one_that_expired() -> None:
    anew = p.PaymentReauthorized(**EUR, capture_id="x", amount_minor=600, reference="r2")
    row = only(AUTHORIZED, EXPIRED, anew, CAPTURED)
    assert (row["authorized_minor"], row["released_minor"], row["state"]) == (1500, 900, "captured")
