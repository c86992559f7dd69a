"""An order's row follows its phase, and says that stock is lacking for as long as it is."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from folding import fold, recorded_at
from oms_es.kernel import Event
from oms_es.projections.order.order_status import PHASES, projection
from oms_es.schemas import order as o
from story import BERLIN, OF, ORDER, PAYMENT, allocated, backordered, cancelled, placed, released, reservation, sourced
from story import sourcing_requested as again

NEW = placed(external_id="1", shipping_minor=90)
SHIPMENTS = (f"{ORDER}.1", f"{ORDER}.2")


def status(*events: Event) -> Any:
    rows = fold(projection, *events)
    assert list(rows) == [(ORDER,)]
    return rows[ORDER,]


def test_a_new_order_is_being_sourced() -> None:
    row = status(NEW)
    assert row["phase"] == "sourcing"
    assert (row["channel"], row["external_id"], row["currency"], row["total_minor"]) == ("web", "1", "EUR", 990)
    assert (row["lines"], row["units"], row["backordered"], row["conflicts"]) == (2, 3, 0, 0)
    assert row["changed_at"] == recorded_at(1)


def test_it_goes_through_its_phases_and_counts_its_shipments() -> None:
    reported: list[Event] = [NEW]
    seen = []
    for event in (
        sourced(("A", "berlin", 2), ("B", "paris", 1)),
        allocated(),
        released(),
        *(o.OrderShipmentDispatched(**OF, shipment_id=shipment) for shipment in SHIPMENTS),
        o.OrderShipped(**OF),
        *(o.OrderShipmentDelivered(**OF, shipment_id=shipment) for shipment in SHIPMENTS),
        o.OrderCompleted(**OF, payment_id=PAYMENT),
    ):
        reported.append(event)
        row = status(*reported)
        seen.append((row["phase"], row["shipments"], row["dispatched"], row["delivered"]))
        assert row["changed_at"] == recorded_at(len(reported))
    assert seen == [
        ("allocating", 0, 0, 0),
        ("awaiting_payment", 0, 0, 0),
        ("fulfilling", 2, 0, 0),
        ("fulfilling", 2, 1, 0),
        ("fulfilling", 2, 2, 0),
        ("shipped", 2, 2, 0),
        ("shipped", 2, 2, 1),
        ("shipped", 2, 2, 2),
        ("completed", 2, 2, 2),
    ]


def test_what_lacks_stock_stays_said_while_the_rest_is_sourced_elsewhere() -> None:
    lacking = (NEW, sourced(("B", "paris", 1)), backordered(A=2))
    assert (status(*lacking)["phase"], status(*lacking)["backordered"]) == ("backordered", 2)
    short = (*lacking, again(2, short=reservation("B", "paris", 1), B=1))
    assert (status(*short)["phase"], status(*short)["backordered"]) == ("sourcing", 2)
    elsewhere = status(*short, sourced(("B", "rome", 1), attempt=2))
    assert (elsewhere["phase"], elsewhere["backordered"]) == ("backordered", 2)
    nowhere = status(*short, sourced(attempt=2), backordered(2, B=1))
    assert (nowhere["phase"], nowhere["backordered"]) == ("backordered", 3)


def test_a_new_round_forgets_what_was_lacking() -> None:
    row = status(NEW, sourced(), backordered(A=2, B=1), again(A=2, B=1), sourced(("A", "berlin", 2), attempt=2))
    assert (row["phase"], row["backordered"]) == ("allocating", 0)


def test_a_cancellation_says_why() -> None:
    asked = o.OrderCancellationRequested(**OF, reason="too slow", shipment_ids=SHIPMENTS)
    row = status(NEW, allocated(), released(), asked)
    assert (row["phase"], row["reason"]) == ("cancelling", "too slow")
    row = status(NEW, cancelled())
    assert (row["phase"], row["reason"]) == ("cancelled", "changed their mind")


def test_a_cancelled_order_lacks_nothing() -> None:
    row = status(NEW, sourced(("B", "paris", 1)), backordered(A=2), cancelled(backordered={"A": 2}))
    assert (row["phase"], row["backordered"]) == ("cancelled", 0)


def test_a_cancellation_that_came_too_late_changes_no_later_phase() -> None:
    asked = o.OrderCancellationRequested(**OF, reason="too slow", shipment_ids=SHIPMENTS)
    refused = o.OrderCancellationRefused(**OF, reason="too slow", shipment_ids=SHIPMENTS[:1])
    assert status(NEW, released(), asked, refused)["phase"] == "fulfilling"
    assert status(NEW, released(), asked, o.OrderShipped(**OF), refused)["phase"] == "shipped"


def test_conflicts_are_counted() -> None:
    content = o.OrderContent(**{name: getattr(NEW, name) for name in o.OrderContent.model_fields})
    conflicts = [o.DuplicateConflictFound(**OF, fingerprint=f, content=content) for f in "xy"]
    row = status(NEW, *conflicts)
    assert (row["phase"], row["conflicts"]) == ("sourcing", 2)


@pytest.mark.parametrize("event", [sourced(), allocated(), released(), cancelled(), o.OrderShipped(**OF)])
def test_no_row_is_made_of_an_order_that_was_never_placed(event: Event) -> None:
    assert fold(projection, event) == {}


def test_every_phase_of_a_placed_order_is_shown() -> None:
    assert {*PHASES.values()} == {*get_args(o.Phase)} - {"new", "held"}


def test_paid_and_held_is_a_phase_of_its_own() -> None:
    held = o.OrderHeld(**OF, kind="fraud")
    paid = o.OrderPaymentSecured(**OF, payment_id="x", open_minor=0)
    assert status(NEW, allocated(), held)["phase"] == "awaiting_payment"
    assert status(NEW, allocated(), held, paid)["phase"] == "held"
    assert status(NEW, held, allocated(0))["phase"] == "held"
    let_go = o.OrderPaymentDeferred(**OF, payment_id="x", attempt=1, reason="released", again=False)
    assert status(NEW, allocated(), held, paid, let_go)["phase"] == "awaiting_payment"
    assert status(NEW, allocated(), released(), let_go)["phase"] == "fulfilling"
    row = status(NEW, allocated(), held, paid, o.OrderHoldReleased(**OF, kind="fraud"), released())
    assert (row["phase"], row["holds"]) == ("fulfilling", [])


@pytest.mark.parametrize("phase", ["held", "awaiting_payment"])
def test_a_presale_says_what_it_waits_for_once_the_last_of_its_goods_have_come(phase: Any) -> None:
    one: Any = {**OF, "reservation_id": "o/1", "sku": "A", "location": "berlin"}
    some = (NEW, allocated(), o.OrderPresold(**OF), o.OrderPresaleCovered(**one))
    assert status(*some)["phase"] == "awaiting_stock"
    last = o.OrderPresaleCovered(**{**one, "sku": "B"}, phase=phase)
    assert status(*some, last)["phase"] == phase


def test_a_parcel_that_waits_because_its_order_is_held_is_counted_when_it_is_asked_for() -> None:
    plan = released().shipments[0].model_copy(update={"shipment_id": f"{ORDER}.3"})
    planned = o.OrderShipmentPlanned(**OF, plan=plan, payment_id=PAYMENT, ship_to=BERLIN, held=True)
    held = o.OrderHeld(**OF, kind="payment", payment_id=PAYMENT, effect="refund/1", shipment_ids=SHIPMENTS[:1])
    waiting = (NEW, released(), held, o.OrderShipmentCancelled(**OF, shipment_id=SHIPMENTS[0]), planned)
    row = status(*waiting)
    assert (row["phase"], row["holds"], row["shipments"]) == ("fulfilling", ["payment"], 2)
    goes = (o.OrderHoldReleased(**OF, kind="payment"), planned.model_copy(update={"held": False}))
    assert (status(*waiting, *goes)["holds"], status(*waiting, *goes)["shipments"]) == ([], 3)
    assert status(*waiting, o.OrderShipped(**OF))["holds"] == []
