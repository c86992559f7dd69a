"""Stripe's webhooks on a real database: changes made in its dashboard, other amounts, and reports out of order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.app import DECIDERS, PROJECTIONS, Engine, engine_on
from oms_es.processing.intake.worker import Arrival
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import Address, HoldOrder, OrderLine, PlaceOrder
from oms_es.schemas.payment import CapturePayment
from oms_es.schemas.stock import ReceiveStock
from oms_es.verification.verify import verify

START = datetime(2026, 1, 5, tzinfo=UTC)


def order(currency: str = "EUR", price_minor: int = 10_000) -> PlaceOrder:
    return PlaceOrder(
        channel="web",
        external_id=f"1-{currency}",
        placed_at=START,
        currency=currency,
        lines=(OrderLine(line_id="1", sku="A", quantity=1, unit_price_minor=price_minor),),
        ship_to=Address(country="DE"),
    )


PLACED = order()
PAYMENT = f"{PLACED.order_id}.1"
OURS = {"payment_id": PAYMENT}
INTENT = {"id": "pi_1", "amount": 10_000, "currency": "eur", "metadata": OURS}
CHARGE = {"id": "ch_1", "amount": 10_000, "currency": "eur", "payment_intent": "pi_1"}
HELD = ("payment_intent.amount_capturable_updated", INTENT | {"amount_capturable": 10_000})
OF_ANOTHER_AMOUNT = (HELD[0], INTENT | {"amount": 100, "amount_capturable": 100, "currency": "usd"})
FAILED = (
    "payment_intent.payment_failed",
    INTENT | {"last_payment_error": {"code": "card_declined", "decline_code": "stolen_card", "message": "declined"}},
)
AT_ONCE = ("payment_intent.succeeded", INTENT | {"amount_received": 10_000, "latest_charge": "ch_1"})
CANCELED = ("payment_intent.canceled", INTENT | {"cancellation_reason": "requested_by_customer"})
CAPTURED = (
    "charge.captured",
    CHARGE | {"captured": True, "amount_captured": 10_000, "metadata": OURS | {"capture_id": "c1"}},
)
REFUNDED = (
    "refund.created",
    {
        "id": "re_2",
        "amount": 10_000,
        "currency": "eur",
        "status": "succeeded",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "metadata": {},
    },
)
REFUND_FAILED = ("refund.failed", REFUNDED[1] | {"status": "failed", "failure_reason": "account closed"})
DISPUTED = (
    "charge.dispute.created",
    {
        "id": "dp_1",
        "amount": 10_000,
        "currency": "eur",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "reason": "fraudulent",
        "status": "needs_response",
        "metadata": {},
    },
)
DISPUTE_LOST = ("charge.dispute.closed", DISPUTED[1] | {"status": "lost"})
Event = tuple[str, dict[str, Any]]


class Shop:
    """An engine without a payment gateway: what the provider does is reported by its webhooks alone."""

    def __init__(self, engine: Engine, now: list[datetime]) -> None:
        self.engine, self.now = engine, now
        self.reported = 0

    def submit(self, *events: Event) -> None:
        for kind, content in events:
            payload = json.dumps({"object": "event", "type": kind, "data": {"object": content}}).encode()
            self.reported += 1
            assert self.engine.intake("stripe", "stripe").take([Arrival(self.reported, payload)]).dead_letters == 0
            self.run()

    def run(self) -> None:
        self.engine.loop.run_until_idle()

    def wait(self, seconds: float) -> None:
        self.now[0] += timedelta(seconds=seconds)
        with Engine(self.engine.database_url, clock=lambda: self.now[0], gateways=()) as later:
            later.loop.run_until_idle()

    def rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.engine.database_url, row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    @property
    def payment(self) -> dict[str, Any]:
        (row,) = self.rows(f"SELECT * FROM payments WHERE payment_id = '{PAYMENT}'")
        return row

    @property
    def phase(self) -> str:
        (row,) = self.rows("SELECT phase FROM order_status")
        return str(row["phase"])

    @property
    def parcels(self) -> dict[int, str]:
        rows = self.rows("SELECT shipment_id, status FROM shipments")
        return {int(row["shipment_id"].rpartition(".")[2]): row["status"] for row in rows}

    @property
    def exceptions(self) -> set[str]:
        return {row["kind"] for row in self.rows("SELECT kind FROM open_exceptions")}

    def is_verified(self) -> bool:
        return verify(self.engine.database_url, DECIDERS, PROJECTIONS, self.engine.store.codec).passed


def shop_with(database_url: str, placed: PlaceOrder) -> Iterator[Shop]:
    now = [START]
    with engine_on(database_url, clock=lambda: now[0], gateways=()) as engine:
        shop = Shop(engine, now)
        commands = (
            OpenLocation(location="berlin", country="DE"),
            ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=5),
            placed,
        )
        assert engine.submit("test", commands) == []
        shop.run()
        yield shop
        assert shop.is_verified()
        assert shop.rows("SELECT * FROM oms_dead_letters") == []


@pytest.fixture
def shop(database_url: str) -> Iterator[Shop]:
    yield from shop_with(database_url, PLACED)


def captured(shop: Shop) -> None:
    shop.submit(HELD)
    assert shop.engine.submit("test", [CapturePayment(payment_id=PAYMENT, capture_id="c1", amount_minor=10_000)]) == []
    shop.submit(CAPTURED)
    assert (shop.payment["state"], shop.payment["captured_minor"]) == ("captured", 10_000)


def test_what_is_held_of_another_amount_is_not_authorised_and_a_person_is_informed(shop: Shop) -> None:
    shop.submit(OF_ANOTHER_AMOUNT)
    assert (shop.payment["authorized_minor"], shop.phase) == (0, "awaiting_payment")
    assert shop.exceptions == {"payment_contradiction"}
    shop.submit(HELD)
    assert (shop.payment["authorized_minor"], shop.phase) == (10_000, "fulfilling")


def test_what_was_canceled_in_the_dashboard_is_held_no_longer_and_does_not_ship(shop: Shop) -> None:
    shop.submit(HELD)
    assert shop.phase == "fulfilling"
    shop.submit(CANCELED, CANCELED)
    assert (shop.payment["state"], shop.payment["released_minor"]) == ("released", 10_000)
    assert shop.phase == "cancelled"
    assert "let_go_elsewhere" in shop.exceptions


def test_what_was_canceled_before_the_release_waits_for_a_person(shop: Shop) -> None:
    assert shop.engine.submit("test", [HoldOrder(order_id=PLACED.order_id, kind="fraud")]) == []
    shop.submit(HELD, CANCELED)
    assert (shop.payment["state"], shop.phase) == ("released", "awaiting_payment")
    assert shop.exceptions == {"held_fraud", "held_payment", "let_go_elsewhere"}


def test_what_was_canceled_before_it_was_reported_that_it_is_held_is_not_held(shop: Shop) -> None:
    shop.submit(CANCELED)
    assert (shop.payment["state"], shop.phase) == ("declined", "cancelled")
    shop.submit(HELD)
    assert (shop.payment["state"], shop.payment["released_minor"]) == ("released", 10_000)


@pytest.mark.parametrize("automatic", [True, False])
def test_an_intent_that_failed_and_then_succeeded_pays_the_order(shop: Shop, *, automatic: bool) -> None:
    shop.submit(FAILED, FAILED)
    assert (shop.phase, shop.payment["reason"]) == ("awaiting_payment", "declined")
    shop.submit(AT_ONCE if automatic else HELD)
    assert shop.phase == "fulfilling"
    assert shop.payment["state"] == ("captured" if automatic else "authorized")
    assert shop.exceptions == set()


def test_a_refund_of_the_dashboard_that_names_no_currency_is_in_that_of_its_payment(shop: Shop) -> None:
    kind, refund = REFUNDED
    shop.submit(HELD, CAPTURED, (kind, {name: refund[name] for name in refund if name != "currency"}))
    assert (shop.payment["state"], shop.payment["refunded_minor"]) == ("refunded", 10_000)
    assert shop.exceptions == {"refunded_elsewhere", "held_payment"}


def test_what_was_refunded_in_the_dashboard_is_found_by_its_charge_and_undone_if_it_fails(shop: Shop) -> None:
    captured(shop)
    shop.submit(REFUNDED, REFUNDED)
    assert (shop.payment["state"], shop.payment["refunded_minor"]) == ("refunded", 10_000)
    assert shop.exceptions == {"refunded_elsewhere", "held_payment"}
    assert shop.parcels == {1: "cancelled"}
    shop.submit(REFUND_FAILED)
    assert (shop.payment["state"], shop.payment["refunded_minor"]) == ("captured", 0)
    assert "refund_failed" in shop.exceptions
    assert "held_payment" not in shop.exceptions
    assert shop.parcels == {1: "cancelled", 2: "requested"}


@pytest.mark.parametrize("part", ["c1", ""])
def test_what_was_captured_refunded_and_disputed_in_the_dashboard_alone_is_recorded(shop: Shop, *, part: str) -> None:
    """The capture was not requested here: it was made in the provider's dashboard."""
    unasked = (CAPTURED[0], CAPTURED[1] | {"metadata": OURS | ({"capture_id": part} if part else {})})
    shop.submit(HELD, unasked, unasked)
    assert (shop.payment["state"], shop.payment["captured_minor"]) == ("captured", 10_000)
    assert shop.exceptions == set()
    shop.submit((REFUNDED[0], REFUNDED[1] | {"amount": 4_000}), (DISPUTED[0], DISPUTED[1] | {"amount": 6_000}))
    assert (shop.payment["refunded_minor"], shop.payment["disputed_minor"]) == (4_000, 6_000)
    assert shop.exceptions == {"refunded_elsewhere", "dispute", "held_payment"}


def test_a_dispute_as_it_is_sent_is_found_by_its_charge(shop: Shop) -> None:
    captured(shop)
    shop.submit(DISPUTED)
    assert (shop.payment["state"], shop.payment["disputed_minor"]) == ("disputed", 10_000)
    shop.submit(DISPUTE_LOST)
    assert (shop.payment["state"], shop.payment["lost_minor"]) == ("lost", 10_000)
    assert shop.exceptions == {"held_payment"}


@pytest.mark.parametrize(("currency", "sent", "minor"), [("UGX", 500_000, 5_000), ("ISK", 500_000, 5_000)])
def test_a_currency_that_stripe_counts_otherwise_is_of_the_amount_that_is_due(
    database_url: str, currency: str, sent: int, minor: int
) -> None:
    placed = order(currency, minor)
    money = {"amount": sent, "currency": currency.lower(), "metadata": {"payment_id": f"{placed.order_id}.1"}}
    for shop in shop_with(database_url, placed):
        shop.submit((AT_ONCE[0], {"id": "pi_1", "latest_charge": "ch_1", "amount_received": sent, **money}))
        shop.submit((DISPUTED[0], DISPUTED[1] | money))
        (row,) = shop.rows("SELECT captured_minor, disputed_minor FROM payments")
        assert tuple(row.values()) == (minor, minor)


def test_what_comes_before_its_reference_is_known_waits_on_a_list_and_is_found(shop: Shop) -> None:
    shop.submit((REFUNDED[0], REFUNDED[1] | {"amount": 4_000}), (DISPUTE_LOST[0], DISPUTE_LOST[1] | {"amount": 6_000}))
    assert shop.exceptions == {"unmatched_report"}
    shop.submit(HELD)
    assert shop.engine.submit("test", [CapturePayment(payment_id=PAYMENT, capture_id="c1", amount_minor=10_000)]) == []
    shop.submit(CAPTURED)
    row = shop.payment
    assert (row["captured_minor"], row["refunded_minor"], row["lost_minor"]) == (10_000, 4_000, 6_000)
    assert shop.exceptions == {"refunded_elsewhere", "held_payment"}


def test_what_is_of_no_payment_of_ours_stays_on_the_list(shop: Shop) -> None:
    shop.submit((DISPUTED[0], DISPUTED[1] | {"charge": "ch_9", "payment_intent": "pi_9"}))
    captured(shop)
    shop.wait(86_400)
    (row,) = shop.rows("SELECT * FROM open_exceptions")
    assert (row["kind"], "ch_9, pi_9" in row["detail"]) == ("unmatched_report", True)


def test_what_another_card_brings_after_the_order_waited_for_another_attempt_pays_it(shop: Shop) -> None:
    callback = {"operation": "authorize", "payment_id": PAYMENT}
    declined = callback | {"outcome": "declined", "reason": "no funds", "retriable": True}
    paid = callback | {"outcome": "succeeded", "reference": "a-1", "amount_minor": 10_000, "currency": "EUR"}
    intake = shop.engine.intake("provider", "payment_callback")
    for number, reported in enumerate((declined, paid, declined), start=1):
        intake.take([Arrival(number, json.dumps(reported).encode())])
        shop.run()
    assert (shop.phase, shop.payment["state"]) == ("fulfilling", "authorized")
    shop.wait(86_400)
    assert len(shop.rows("SELECT * FROM payments")) == 1
    assert shop.rows("SELECT * FROM deadlines WHERE kind = 'payment_retry'") == []
