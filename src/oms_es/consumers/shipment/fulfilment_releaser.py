"""Fulfilment releaser: requests one shipment per location for a released order, and asks shipments to stop.

Reads    OrderReleased, OrderShipmentPlanned; looks up items of their SKUs, gateway_routes in force
         OrderCancellationRequested, OrderLinesCancellationRequested, OrderHeld
Emits    RequestShipment, CancelShipment
Decides  which cartons a shipment is packed into, by the rules of cartonisation.py, if the size of each item is known;
         which gateway asks its warehouse, by the routes in force; the shipment itself knows whether it can still be
         stopped.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.consumers.routes import ROUTES, routes_of, warehouse_gateway_for
from oms_es.consumers.shipment.cartonisation import Packing, Size, cartonise
from oms_es.kernel import Consumer, Lookup, LookupResults
from oms_es.schemas.order import (
    OrderCancellationRequested,
    OrderHeld,
    OrderLinesCancellationRequested,
    OrderReleased,
    OrderShipmentPlanned,
    ShipmentPlan,
)
from oms_es.schemas.shipment import CancelShipment, RequestShipment

consumer = Consumer("fulfilment_releaser", emits=(RequestShipment, CancelShipment))


ITEMS = Lookup("items", by="sku", keys=lambda event: {item.sku for plan in plans_of(event) for item in plan.items})


def plans_of(event: OrderReleased | OrderShipmentPlanned) -> tuple[ShipmentPlan, ...]:
    return event.shipments if isinstance(event, OrderReleased) else (event.plan,)


@consumer.on(OrderReleased, OrderShipmentPlanned, lookups=(ITEMS, ROUTES))
def request_shipments_on_order_released_or_shipment_planned(
    event: OrderReleased | OrderShipmentPlanned, results: LookupResults
) -> Iterator[RequestShipment]:
    if isinstance(event, OrderShipmentPlanned) and event.held:
        return  # the same plan comes again when the order is released
    routes = routes_of(results)
    for planned in plans_of(event):
        gateway = warehouse_gateway_for(routes, planned.location)
        yield _request(event, planned, pack(planned, results), gateway)


def pack(planned: ShipmentPlan, results: LookupResults) -> Packing | None:
    """Return the cartons, or None. An item without weight or volume has not been measured, so its size is not known."""
    rows = (row for item in planned.items for row in results["items"][item.sku])
    sizes = {
        row["sku"]: Size(row["weight_grams"], row["volume_ml"])
        for row in rows
        if row["weight_grams"] and row["volume_ml"]
    }
    return cartonise(planned.items, sizes)


@consumer.on(OrderCancellationRequested, OrderLinesCancellationRequested, OrderHeld)
def cancel_shipments_on_cancellation_requested_or_order_held(
    event: OrderCancellationRequested | OrderLinesCancellationRequested | OrderHeld,
) -> Iterator[CancelShipment]:
    for shipment_id in event.shipment_ids:
        yield CancelShipment(shipment_id=shipment_id)


def _request(
    event: OrderReleased | OrderShipmentPlanned, planned: ShipmentPlan, packing: Packing | None, gateway: str | None
) -> RequestShipment:
    return RequestShipment(
        shipment_id=planned.shipment_id,
        order_id=event.order_id,
        payment_id=event.payment_id,
        location=planned.location,
        items=planned.items,
        amount_minor=planned.amount_minor,
        ship_to=event.ship_to,
        charges=planned.charges,
        delivery_option=event.delivery_option,
        cartons=packing.cartons if packing else (),
        carton_rule=packing.rule if packing else "",
        pickup=event.pickup,
        warehouse_gateway=gateway,
    )
