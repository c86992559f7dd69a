"""The share of a parcel is captured when it is dispatched, under the parcel's name; the rest is released at the end."""

from __future__ import annotations

from oms_es.consumers.payment.payment_capturer import consumer
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from story import OF, PARCEL, PAYMENT, dispatched


def test_a_parcel_that_left_takes_its_share() -> None:
    assert consumer.react(dispatched(amount_minor=600)) == (
        p.CapturePayment(payment_id=PAYMENT, capture_id=PARCEL, amount_minor=600),
    )


def test_a_parcel_without_a_share_takes_nothing() -> None:
    assert consumer.react(dispatched(amount_minor=0)) == ()


def test_a_share_that_several_payments_bear_is_taken_from_each() -> None:
    charges = (o.Charge(payment_id=PAYMENT, amount_minor=400), o.Charge(payment_id="gift", amount_minor=200))
    left = dispatched(amount_minor=600).model_copy(update={"charges": charges})
    assert consumer.react(left) == (
        p.CapturePayment(payment_id=PAYMENT, capture_id=PARCEL, amount_minor=400),
        p.CapturePayment(payment_id="gift", capture_id=PARCEL, amount_minor=200),
    )


def test_a_completed_order_takes_what_its_parcels_take_before_it_releases_the_rest() -> None:
    """The news that a parcel left may come after the news that all is done."""
    taken = o.ParcelCharge(shipment_id=PARCEL, payment_id=PAYMENT, amount_minor=600)
    assert consumer.react(o.OrderCompleted(**OF, payment_id=PAYMENT, charges=(taken,))) == (
        *consumer.react(dispatched(amount_minor=600)),
        p.VoidPayment(payment_id=PAYMENT),
    )


def test_an_order_that_was_completed_before_charges_were_reported_releases_the_rest() -> None:
    assert consumer.react(o.OrderCompleted(**OF, payment_id=PAYMENT)) == (p.VoidPayment(payment_id=PAYMENT),)
