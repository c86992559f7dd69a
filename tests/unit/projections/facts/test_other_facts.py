"""Facts about parcels, returns, refunds and stock movements: one row for each thing that is counted."""

from __future__ import annotations

from typing import Any

from folding import fold, recorded_at
from oms_es.projections.facts import bookings, feedback, parcel_lines, refunds, return_lines, stock_movements
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import stock as s
from oms_es.schemas.returns import rma as r
from oms_es.schemas.returns.feedback import FeedbackRecorded
from oms_es.schemas.shipment import ShipmentBooked, ShipmentBookingRequested, ShipmentFreightBilled
from story import A2, BERLIN, NOON, OF, PAYMENT

AT: Any = {"sku": "A", "location": "berlin"}
RMA: Any = {"rma_id": "r", "order_id": "order"}
REFUND: Any = {"payment_id": PAYMENT, "order_id": "order", "refund_id": "f"}


def share(line_id: str, quantity: int, amount_minor: int, sku: str = "A") -> o.LineShare:
    return o.LineShare(line_id=line_id, sku=sku, quantity=quantity, amount_minor=amount_minor, tax_minor=1)


def test_units_of_a_line_that_come_from_several_locks_are_one_row_of_their_parcel() -> None:
    plan = o.ShipmentPlan(
        shipment_id="order.1",
        location="berlin",
        items=(A2,),
        amount_minor=900,
        lines=(share("1", 1, 300), share("1", 1, 301), share("2", 1, 200, sku="B")),
    )
    event = o.OrderReleased(**OF, payment_id=PAYMENT, currency="EUR", shipments=(plan,), ship_to=BERLIN)
    anew = o.OrderShipmentPlanned(
        **OF, plan=plan.model_copy(update={"shipment_id": "order.2"}), payment_id=PAYMENT, ship_to=BERLIN
    )
    found = fold(parcel_lines.projection, event, anew)
    counted = {key: (row["quantity"], row["amount_minor"], row["tax_minor"]) for key, row in found.items()}
    assert counted == {
        (parcel, *of): what
        for parcel in ("order.1", "order.2")
        for of, what in ((("1", "A"), (2, 601, 2)), (("2", "B"), (1, 200, 1)))
    }
    assert fold(parcel_lines.projection, anew.model_copy(update={"held": True})) == {}, "it is planned again later"


def test_a_return_counts_its_units_by_line() -> None:
    lines = tuple(
        r.ExpectedLine(line_id=line, sku=sku, quantity=n, reason="damaged")
        for line, sku, n in (("1", "A", 2), ("2", "B", 1))
    )
    opened = r.RmaOpened(**RMA, channel="web", resolution="refund", lines=lines, requested_at=NOON, terms=r.Terms())
    came = tuple(o.LineUnits(line_id="1", quantity=1) for _ in range(2))
    received = [
        r.RmaReceived(**RMA, receipt_id=str(n), location="berlin", lines=(units,)) for n, units in enumerate(came)
    ]
    looked = r.InspectedLine(line_id="1", quantity=2, grade="opened", disposition="sellable")
    inspected = r.RmaInspected(**RMA, inspection_id="i", location="berlin", lines=(looked,), items=())
    due = r.RmaCreditDue(**RMA, credit_id="c", resolution="refund", lines=(came[0],))
    found = fold(return_lines.projection, opened, *received, inspected, due)
    names = ("sku", "requested", "received", "inspected", "credited", "received_at")
    assert {key[1]: tuple(row[name] for name in names) for key, row in found.items()} == {
        "1": ("A", 2, 2, 2, 1, recorded_at(2)),
        "2": ("B", 1, 0, 0, 0, None),
    }
    assert fold(return_lines.projection, *received, inspected, due) == {}


def asked(amount_minor: int = 500) -> p.PaymentRefundRequested:
    parts = (
        p.RefundAllocation(kind="line", line_id="1", amount_minor=400),
        p.RefundAllocation(kind="goodwill", amount_minor=100),
    )
    return p.PaymentRefundRequested(
        **REFUND, amount_minor=amount_minor, currency="EUR", authorization="a", reason="late", allocations=parts
    )


def test_a_refund_says_what_it_is_for_and_how_it_ended() -> None:
    gone = p.PaymentRefunded(**REFUND, amount_minor=500, currency="EUR", reference="re")
    ((_, row),) = fold(refunds.projection, asked(), gone).items()
    assert (row["status"], row["requested_minor"], row["refunded_minor"], row["reason"]) == (
        *("refunded", 500, 500),
        "late",
    )
    assert (row["line_minor"], row["goodwill_minor"], row["shipping_minor"], row["credit_minor"]) == (400, 100, 0, 0)
    assert (row["requested_at"], row["refunded_at"]) == (recorded_at(1), recorded_at(2))
    back = p.PaymentRefundReversed(**REFUND, amount_minor=500, currency="EUR", reason="account closed")
    ((_, row),) = fold(refunds.projection, asked(), gone, back).items()
    assert (row["status"], row["refunded_minor"]) == ("reversed", 0)


def test_a_refund_that_no_one_here_asked_for_has_a_row_and_one_that_failed_gave_nothing() -> None:
    given = p.PaymentRefunded(**REFUND, amount_minor=500, currency="EUR", reference="re", asked=False)
    ((_, row),) = fold(refunds.projection, given).items()
    assert (row["status"], row["requested_minor"], row["refunded_minor"], row["requested_at"]) == (
        *("refunded", 0, 500),
        None,
    )
    failed = p.PaymentRefundFailed(**REFUND, amount_minor=500, reason="closed", currency="EUR")
    ((_, row),) = fold(refunds.projection, asked(), failed).items()
    assert (row["status"], row["refunded_minor"], row["reason"]) == ("failed", 0, "closed")


def test_movements_sum_to_what_is_on_hand() -> None:
    ship: Any = {"reservation_id": "order/1", "order_id": "order", "shipment_id": "order.1"}
    found = fold(
        stock_movements.projection,
        s.StockReceived(**AT, quantity=10, receipt_id="po"),
        s.StockReserved(**AT, quantity=2, reservation_id="order/1", order_id="order"),
        s.StockShipped(**AT, quantity=2, **ship),
        s.StockCounted(**AT, quantity=7, expected=8, count_id="c"),
        s.StockAdjusted(**AT, quantity=-1, adjustment_id="a", reason="broken glass"),
        s.StockReturned(**AT, quantity=1, return_id="r", condition="damaged"),
        s.StockWrittenOff(**AT, quantity=1, write_off_id="w", reason="destroyed"),
        s.StockMovedOut(**AT, quantity=3, move_id="m", to_location="paris"),
    )
    rows = [(row["kind"], row["quantity"], row["reference"], row["reason"]) for row in found.values()]
    assert rows == [
        ("received", 10, "po", ""),
        ("shipped", -2, "order.1", ""),
        ("counted", -1, "c", ""),
        ("adjusted", -1, "a", "broken glass"),
        ("returned", 1, "r", ""),
        ("written_off", -1, "w", "destroyed"),
        ("moved_out", -3, "m", ""),
    ]
    assert [row["order_id"] for row in found.values() if row["order_id"]] == ["order"]


def test_a_parcel_that_is_booked_again_has_what_was_quoted_last() -> None:
    asked = ShipmentBookingRequested(
        shipment_id="p", order_id="order", location="berlin", weight_grams=1, ship_to=BERLIN,
        carrier="slow", service="ground", quoted_minor=450, currency="EUR", transit_days=4,
    )  # fmt: skip
    again = asked.model_copy(update={"carrier": "fast", "quoted_minor": 900, "transit_days": 1})
    booked = ShipmentBooked(shipment_id="p", order_id="order", carrier="fast", tracking_number="n")
    (row,) = fold(bookings.projection, asked, again, booked).values()
    assert (row["carrier"], row["quoted_minor"], row["currency"], row["transit_days"]) == ("fast", 900, "EUR", 1)
    assert row["requested_at"] == recorded_at(2)
    assert fold(bookings.projection, booked) == {}


def test_what_carriers_bill_for_a_parcel_adds_up_also_where_it_is_booked_again() -> None:
    of: Any = {"shipment_id": "p", "order_id": "order"}
    asked = ShipmentBookingRequested(
        **of, location="berlin", weight_grams=1, ship_to=BERLIN, carrier="slow", quoted_minor=450, currency="EUR"
    )
    first, second = (
        ShipmentFreightBilled(**of, bill_id=bill_id, amount_minor=300, currency="EUR") for bill_id in ("1", "2")
    )
    (row,) = fold(bookings.projection, asked).values()
    assert (row["billed_currency"], row["billed_minor"]) == ("", 0)
    (row,) = fold(bookings.projection, asked, first, asked, second).values()
    assert (row["billed_currency"], row["billed_minor"], row["quoted_minor"]) == ("EUR", 600, 450)
    assert fold(bookings.projection, first) == {}


def test_a_rating_is_kept_without_what_was_written_beside_it() -> None:
    given = FeedbackRecorded(order_id="order", feedback_id="1", subject="sku", about="A", rating=2, text="Ask for Ada.")
    (row,) = fold(feedback.projection, given).values()
    assert row == {
        "order_id": "order",
        "feedback_id": "1",
        "subject": "sku",
        "about": "A",
        "rating": 2,
        "recorded_at": recorded_at(1),
    }
