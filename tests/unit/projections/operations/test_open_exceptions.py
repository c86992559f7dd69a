"""An exception is listed until it is settled, and concerns one matter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from folding import fold, recorded_at, unsaid
from golden.write import path_of
from oms_es.kernel import Event
from oms_es.projections.operations.exception_sentences import TEMPLATES, names_in
from oms_es.projections.operations.open_exceptions import projection
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import serial as se
from oms_es.schemas.operations import subscription as sub
from story import (
    NOON,
    OF,
    OF_PARCEL,
    OF_PAYMENT,
    ORDER,
    PARCEL,
    allocated,
    backordered,
    cancelled,
    dispatched,
    held,
    placed,
    reservation,
)
from story import sourcing_requested as again

NEW = placed()
CONTENT = o.OrderContent(**{name: getattr(NEW, name) for name in o.OrderContent.model_fields})
NOT_BOOKED = sh.ShipmentBookingFailed(**OF_PARCEL, reason="no such postcode")


def only(*events: Event) -> Any:
    (row,) = fold(projection, *events).values()
    return row


def conflict(fingerprint: str) -> Event:
    return o.DuplicateConflictFound(**OF, fingerprint=fingerprint, content=CONTENT)


def refused(shipment: str) -> Event:
    return o.OrderCancellationRefused(**OF, reason="", shipment_ids=(shipment,))


def test_an_order_that_was_sent_with_other_content_is_one_matter_however_often() -> None:
    row = only(conflict("x"), conflict("y"))
    assert (row["exception_id"], row["kind"], row["order_id"]) == (
        f"duplicate_conflict/{ORDER}",
        "duplicate_conflict",
        ORDER,
    )
    assert row["raised_at"] == recorded_at(1)


def test_a_backorder_says_all_that_lacks_and_since_when() -> None:
    lacking = (backordered(A=2, B=1), again(short=reservation("C", "berlin", 1), C=1), backordered(2, C=1))
    row = only(*lacking)
    assert (row["kind"], row["order_id"], row["detail"]) == ("backordered", ORDER, "waits for 2 x A, 1 x B, 1 x C")
    sought = only(*lacking, again(3, A=2, B=1, C=1))
    assert (sought["detail"], sought["raised_at"]) == ("stock came, and is sourced again", recorded_at(1))
    still = only(*lacking, again(3, A=2, B=1, C=1), backordered(3, B=1))
    assert (still["detail"], still["raised_at"]) == ("waits for 1 x B", recorded_at(1))


@pytest.mark.parametrize("settled", [allocated(), cancelled()])
def test_a_backorder_is_settled_by_stock_and_by_cancellation(settled: Event) -> None:
    assert fold(projection, backordered(A=2), settled) == {}


def test_an_order_that_only_seeks_elsewhere_is_no_exception() -> None:
    assert fold(projection, again(A=2)) == {}


def test_every_shipment_that_could_not_be_stopped_is_named() -> None:
    row = only(refused("x"), refused("y"))
    assert (row["kind"], row["detail"]) == ("cancellation_refused", "already with the carrier: x, y")


def test_money_that_could_not_be_captured_stays_with_its_capture() -> None:
    rows = fold(
        projection,
        *(p.PaymentCaptureFailed(**EUR, capture_id=c, amount_minor=300, reason="expired") for c in "xy"),
    )
    assert list(rows) == [("capture_failed/x",), ("capture_failed/y",)]
    assert rows["capture_failed/x",]["detail"] == "3.00 EUR could not be captured: expired"


def test_a_parcel_that_no_carrier_takes_is_shown_until_one_does() -> None:
    row = only(NOT_BOOKED)
    assert (row["exception_id"], row["order_id"]) == (f"booking_failed/{PARCEL}", ORDER)
    assert row["detail"] == "the carrier refused: no such postcode"


@pytest.mark.parametrize(
    "settled",
    [
        sh.ShipmentBooked(**OF_PARCEL, carrier="dhl", tracking_number="1"),
        dispatched(),
        sh.ShipmentCancelled(**OF_PARCEL, items=()),
    ],
)
def test_a_booking_that_failed_is_settled_by_whatever_ends_the_wait(settled: Event) -> None:
    assert fold(projection, NOT_BOOKED, settled) == {}


EUR: Any = {**OF_PAYMENT, "currency": "EUR"}
DISPUTED = p.PaymentDisputeOpened(**EUR, dispute_id="d", amount_minor=40, reason="not received")
UNANSWERED = p.PaymentUnanswered(**EUR, operation="capture", part="x", amount_minor=300)


def test_a_dispute_is_open_until_it_is_won_or_lost() -> None:
    row = only(DISPUTED)
    assert (row["exception_id"], row["order_id"]) == ("dispute/d", ORDER)
    assert row["detail"] == f"0.40 EUR of {OF_PAYMENT['payment_id']} disputed: not received"
    for ended in (p.PaymentDisputeWon, p.PaymentDisputeLost):
        assert fold(projection, DISPUTED, ended(**EUR, dispute_id="d", amount_minor=40)) == {}


def test_what_the_provider_does_not_answer_is_open_until_it_is_known() -> None:
    row = only(UNANSWERED)
    assert row["detail"] == "ask the provider whether the capture of 3.00 EUR happened"
    other = p.PaymentCaptured(**EUR, capture_id="y", amount_minor=300, reference="c")
    assert len(fold(projection, UNANSWERED, other)) == 1
    assert fold(projection, UNANSWERED, other.model_copy(update={"capture_id": "x"})) == {}
    no_refund = p.PaymentUnanswered(**EUR, operation="refund", part="x", amount_minor=300)
    refunded = p.PaymentRefunded(**EUR, refund_id="x", amount_minor=300, reference="r")
    assert fold(projection, no_refund, refunded) == {}
    no_void = p.PaymentUnanswered(**EUR, operation="void", part="", amount_minor=300)
    assert fold(projection, no_void, p.PaymentVoided(**EUR, amount_minor=300, reference="v")) == {}


@pytest.mark.parametrize(
    ("event", "exception_id"),
    [
        (p.PaymentCaptureRefused(**EUR, capture_id="x", amount_minor=3, reason="no"), "capture_refused/x"),
        (p.PaymentRefundRefused(**EUR, refund_id="x", amount_minor=3, reason="no"), "refund_refused/x"),
        (p.PaymentRefundFailed(**EUR, refund_id="x", amount_minor=3, reason="no"), "refund_failed/x"),
        (
            p.PaymentVoidFailed(**EUR, void_id="", amount_minor=3, reason="no"),
            f"void_failed/{OF_PAYMENT['payment_id']}",
        ),
        (
            p.PaymentReauthorizationDeclined(**EUR, capture_id="x", amount_minor=3, reason="no", retriable=False),
            "reauthorization_declined/x",
        ),
        (
            p.PaymentRequestRefused(**EUR, amount_minor=3, reason="no", fingerprint="f"),
            f"payment_refused/{OF_PAYMENT['payment_id']}",
        ),
    ],
)
def test_money_that_cannot_go_where_it_should_needs_someone(event: Event, exception_id: str) -> None:
    row = only(event)
    assert row["exception_id"] == exception_id
    assert row["detail"].startswith("0.03 EUR ")
    assert row["detail"].endswith(": no")


def test_a_refund_that_failed_for_a_while_is_owed_until_it_is_done() -> None:
    failed = p.PaymentRefundFailed(**EUR, refund_id="x", amount_minor=3, reason="no", reference="r", final=False)
    done = p.PaymentRefunded(**EUR, refund_id="x", amount_minor=3, reference="r")
    assert fold(projection, failed, done) == {}
    for other in ({"refund_id": "y"}, {"order_id": "of another order"}):
        assert [key[0] for key in fold(projection, failed, done.model_copy(update=other))] == ["refund_failed/x"]
    came_back = p.PaymentRefundReversed(**EUR, refund_id="x", amount_minor=3, reason="no")
    assert [key[0] for key in fold(projection, done, came_back)] == ["refund_failed/x"]


def test_what_older_events_say_without_their_currency_is_in_minor_units() -> None:
    refused = p.PaymentCaptureRefused(**OF_PAYMENT, capture_id="x", amount_minor=3, reason="no")
    assert only(refused)["detail"] == "3 minor units cannot be captured: no"


def test_a_number_that_turned_up_twice_is_open_until_it_is_there_once() -> None:
    conflict = se.SerialConflictFound(sku="A", location="paris", serials=("1", "2"), elsewhere="berlin")
    rows = fold(projection, conflict)
    assert {key[0] for key in rows} == {"serial_conflict/A/paris/1", "serial_conflict/A/paris/2"}
    left = se.SerialsLeft(sku="A", location="paris", serials=("1",))
    assert {key[0] for key in fold(projection, conflict, left)} == {"serial_conflict/A/paris/2"}


def test_a_broken_promise_is_open_unless_the_parcel_leaves_nevertheless() -> None:
    broken = s.StockReservationBroken(**held(), reason="counted 0, expected 2")
    row = only(broken)
    assert (row["kind"], row["order_id"]) == ("promise_broken", ORDER)
    assert row["detail"] == "2 x A at berlin are not there: counted 0, expected 2"
    assert fold(projection, broken, s.StockShipped(**held(), shipment_id="x", broken=True)) == {}


def test_a_broken_promise_is_open_until_no_one_waits_for_any_unit_of_it() -> None:
    broken = s.StockReservationBroken(**held(), reason="counted 0, expected 2")
    some = s.StockBrokenPromiseSettled(**{**held(), "quantity": 1}, left=1)
    row = only(broken, some)
    assert (row["detail"], row["raised_at"]) == ("1 x A at berlin are not there", recorded_at(1))
    assert fold(projection, broken, some, s.StockBrokenPromiseSettled(**{**held(), "quantity": 1})) == {}


def test_a_broken_hold_of_a_cart_is_no_ones_order_and_no_exception() -> None:
    cart = {**held(), "reservation_id": "cart-1"}
    assert fold(projection, s.StockReservationBroken(**cart, reason="counted 0, expected 2")) == {}


def wrong(carton_id: str = "", status: sh.MilestoneStatus = "exception") -> sh.ShipmentExceptionRaised:
    return sh.ShipmentExceptionRaised(
        **OF_PARCEL, carton_id=carton_id, status=status, occurred_at=NOON, detail="nobody home"
    )


def test_a_parcel_in_trouble_is_open_until_it_goes_on_each_carton_for_itself() -> None:
    row = only(wrong(), wrong(status="return_to_sender"))
    assert (row["exception_id"], row["detail"]) == (f"delivery_exception/{PARCEL}", "return_to_sender: nobody home")
    both = (wrong("1"), wrong("2"))
    went_on = sh.ShipmentExceptionSettled(**OF_PARCEL, carton_id="1")
    assert only(*both, went_on)["exception_id"] == f"delivery_exception/{PARCEL}/2"


def test_what_no_rate_serves_or_no_carrier_fetches_is_open_until_it_is_booked() -> None:
    deferred = sh.ShipmentBookingDeferred(**OF_PARCEL, delivery_option="express", candidates=(), rule_version="1")
    given_back = sh.ShipmentBookingCancelled(**OF_PARCEL, carrier="dhl", tracking_number="T")
    assert "express" in only(deferred)["detail"]
    assert "dhl" in only(given_back)["detail"]
    booked = sh.ShipmentBooked(**OF_PARCEL, carrier="dhl", tracking_number="U")
    assert fold(projection, deferred, booked) == fold(projection, given_back, booked) == {}


def test_what_came_back_and_what_a_carrier_contradicts_waits_for_a_person() -> None:
    back = sh.ShipmentReturnedToSender(
        **OF_PARCEL,
        location="berlin",
        items=(reservation("A", "berlin", 2),),
        carton_ids=("",),
        returned_at=NOON,
        complete=True,
    )
    row = only(back)
    assert (row["exception_id"], row["detail"]) == (f"returned_to_sender/{PARCEL}", "came back to berlin: 2 x A")
    disputed = sh.ShipmentReportDisputed(**OF_PARCEL, report="m", detail="seen although it was cancelled")
    assert only(disputed)["detail"] == "seen although it was cancelled"


def test_a_hold_that_no_one_decides_about_in_time_says_so_until_it_has_more_time() -> None:
    on = o.OrderHeld(**OF, kind="fraud", note="two cards", until=NOON)
    overdue = o.OrderHoldOverdue(**OF, kind="fraud", until=NOON)
    row = only(on, overdue)
    assert (row["kind"], row["detail"], row["raised_at"]) == ("hold_overdue", "held, fraud: two cards", recorded_at(2))
    assert only(on, overdue, on)["kind"] == "held_fraud"
    assert fold(projection, on, overdue, o.OrderHoldReleased(**OF, kind="fraud")) == {}
    assert fold(projection, on, overdue, cancelled()) == {}


def test_what_is_raised_again_says_when_it_was_last_and_since_when_it_is_open() -> None:
    for history in (
        (conflict("x"), conflict("y")),
        (refused("s1"), refused("s2")),
        (backordered(A=1), backordered(B=1)),
    ):
        row = only(*history)
        assert (row["raised_at"], row["last_raised_at"]) == (recorded_at(1), recorded_at(2))


def test_an_order_that_something_waits_for_is_an_exception_until_it_comes() -> None:
    missed = o.OrderPlacementOverdue(**OF, waiting=("amendment",), called="web/7")
    row = only(missed)
    assert (row["exception_id"], row["kind"]) == (f"order_missing/{ORDER}", "order_missing")
    assert row["detail"].startswith("order web/7 has not come, and what its channel said of it waits: amendment; have")
    more = only(missed, o.OrderPlacementOverdue(**OF, waiting=("amendment", "refund")))
    assert "amendment, refund" in more["detail"]
    assert (more["raised_at"], more["last_raised_at"]) == (recorded_at(1), recorded_at(2))
    assert fold(projection, missed, NEW) == {}


def test_a_subscription_whose_receiver_fails_is_open_until_it_is_enabled() -> None:
    failed = sub.SubscriptionDisabled(name="crm", because="its receiver said 410", failed=True)
    row = only(failed)
    assert (row["exception_id"], row["kind"]) == ("subscription_disabled/crm", "subscription_disabled")
    assert "oms-es subscriptions enable crm" in row["detail"]
    assert not fold(projection, failed, sub.SubscriptionEnabled(name="crm"))
    assert not fold(projection, sub.SubscriptionDisabled(name="crm", because="a person did"))


@pytest.mark.parametrize("event", projection.folds)
def test_what_no_one_said_leaves_no_colon_behind(event: type[Event]) -> None:
    body: Any = json.loads(path_of(event, event.schema_version).read_text())["whole"]
    for row in fold(projection, unsaid(event.model_validate_json(json.dumps(body)))).values():
        assert row["detail"] == row["detail"].rstrip(" :")


def test_a_hold_for_money_that_is_gone_says_what_went_last_and_ends_with_the_last_parcel_that_left() -> None:
    of: Any = {**OF, "kind": "payment", "payment_id": "order.1"}
    first = o.OrderHeld(**of, effect="refund/1", note="1.00 EUR were given back")
    second = o.OrderHeld(**of, effect="dispute/1", note="2.00 EUR were disputed")
    assert only(first, second)["detail"] == "held, payment: 2.00 EUR were disputed"
    assert only(first, o.OrderHeld(**OF, kind="payment"))["detail"] == "held, payment: 1.00 EUR were given back"
    assert fold(projection, first, o.OrderShipped(**OF)) == {}
    assert fold(projection, first, o.OrderHoldReleased(**OF, kind="payment")) == {}


@pytest.mark.parametrize("event", projection.folds)
def test_a_sentence_is_its_template_with_the_parameters_in_it(event: type[Event]) -> None:
    body = json.loads(path_of(event, event.schema_version).read_text())["whole"]
    for row in fold(projection, event.model_validate_json(json.dumps(body))).values():
        template = TEMPLATES[row["says"]]
        assert set(row["parameters"]) == set(names_in(template))
        assert row["detail"] == template.format(**row["parameters"])


def test_what_lacks_and_what_has_left_are_parameters_that_grow() -> None:
    lacking = only(backordered(A=2, B=1), backordered(2, A=1))
    assert (lacking["says"], lacking["parameters"]) == ("OrderBackordered", {"lacking": "3 x A, 1 x B"})
    two = only(refused("p1"), refused("p2"))
    assert (two["detail"], two["parameters"]) == ("already with the carrier: p1, p2", {"parcels": "p1, p2"})
