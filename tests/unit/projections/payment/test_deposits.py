"""Every unit of a deposit is held, applied, refunded or lost, and none is counted twice."""

from __future__ import annotations

from typing import Any

from folding import fold
from oms_es.kernel import Event
from oms_es.projections.payment.deposits import projection
from oms_es.schemas import payment as p
from story import OF_PAYMENT, ORDER, PAYMENT

EUR: Any = {**OF_PAYMENT, "currency": "EUR"}
AGREED = p.PaymentRequested(**EUR, amount_minor=100, payment_token="tok", capture_now=True)
TAKEN = p.PaymentCaptured(**EUR, capture_id=PAYMENT, amount_minor=100, reference="c")


def applied(n: int) -> Event:
    return p.PaymentDepositApplied(**EUR, capture_id=f"parcel-{n}", amount_minor=n)


def refunded(n: int) -> Event:
    return p.PaymentRefunded(**EUR, refund_id=str(n), amount_minor=n, reference=f"r{n}")


def sums(*events: Event) -> tuple[int, int, int, int]:
    (row,) = fold(projection, AGREED, *events).values()
    assert (row["order_id"], row["agreed_minor"]) == (ORDER, 100)
    return row["held_minor"], row["applied_minor"], row["released_minor"], row["lost_minor"]


def test_a_deposit_is_held_from_when_it_is_taken() -> None:
    assert sums() == (0, 0, 0, 0)
    assert sums(TAKEN) == (100, 0, 0, 0)


def test_what_is_applied_or_given_back_is_held_no_longer() -> None:
    assert sums(TAKEN, applied(60)) == (40, 60, 0, 0)
    assert sums(TAKEN, applied(60), refunded(40)) == (0, 60, 40, 0)
    assert sums(TAKEN, applied(60), refunded(50)) == (0, 50, 50, 0)


def test_what_is_lost_in_a_dispute_is_gone() -> None:
    lost = p.PaymentDisputeLost(**EUR, dispute_id="d", amount_minor=30)
    assert sums(TAKEN, applied(60), lost) == (10, 60, 0, 30)


def test_a_payment_that_is_no_deposit_has_no_row() -> None:
    paid = AGREED.model_copy(update={"capture_now": False})
    taken = p.PaymentCaptured(**EUR, capture_id="parcel", amount_minor=100, reference="c")
    assert fold(projection, paid, taken, refunded(10)) == {}
