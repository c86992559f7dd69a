"""A released order becomes one shipment per plan; a cancellation asks to stop each of them."""

from __future__ import annotations

from oms_es.consumers.shipment.fulfilment_releaser import consumer
from oms_es.kernel import LookupResults
from oms_es.schemas import order as o
from oms_es.schemas import shipment as sh
from story import A2, B1, BERLIN, OF, ORDER, PAYMENT, released

UNMEASURED: LookupResults = {"items": {"A": [], "B": []}, "gateway_routes": {True: []}}


def test_every_plan_becomes_a_shipment() -> None:
    assert consumer.react(released(), UNMEASURED) == tuple(
        sh.RequestShipment(
            **OF,
            shipment_id=f"{ORDER}.{number}",
            payment_id=PAYMENT,
            location=location,
            items=(item,),
            amount_minor=share,
            ship_to=BERLIN,
        )
        for number, location, item, share in ((1, "berlin", A2, 600), (2, "paris", B1, 300))
    )


def test_a_shipment_of_measured_items_is_planned_in_cartons_and_the_others_are_not() -> None:
    measured = {"sku": "A", "weight_grams": 400, "volume_ml": 1_000}
    weightless = {"sku": "B", "weight_grams": 0, "volume_ml": 500}
    first, second = consumer.react(released(), {**UNMEASURED, "items": {"A": [measured], "B": [weightless]}})
    assert isinstance(first, sh.RequestShipment)
    assert isinstance(second, sh.RequestShipment)
    assert first.cartons == (sh.Carton(carton_id="1", box="small", items=(A2,), weight_grams=920, volume_ml=4_000),)
    assert first.carton_rule == "1/exact"
    assert second.cartons == ()


def test_a_cancellation_asks_the_shipments_it_names_to_stop() -> None:
    asked = o.OrderCancellationRequested(**OF, reason="", shipment_ids=("x", "y"))
    assert consumer.react(asked) == (sh.CancelShipment(shipment_id="x"), sh.CancelShipment(shipment_id="y"))


def test_without_shipments_no_one_is_asked() -> None:
    assert consumer.react(released().model_copy(update={"shipments": ()}), UNMEASURED) == ()
    assert consumer.react(o.OrderCancellationRequested(**OF, reason="", shipment_ids=())) == ()


def test_a_hold_stops_the_parcels_it_names_and_what_it_holds_is_asked_for_when_it_is_over() -> None:
    held = o.OrderHeld(**OF, kind="payment", payment_id=PAYMENT, effect="refund/1", shipment_ids=("x",))
    assert consumer.react(held) == (sh.CancelShipment(shipment_id="x"),)
    assert consumer.react(o.OrderHeld(**OF, kind="fraud")) == ()
    plan = released().shipments[0]
    planned = o.OrderShipmentPlanned(**OF, plan=plan, payment_id=PAYMENT, ship_to=BERLIN, held=True)
    assert consumer.react(planned, UNMEASURED) == ()
    (asked,) = consumer.react(planned.model_copy(update={"held": False}), UNMEASURED)
    assert isinstance(asked, sh.RequestShipment)
