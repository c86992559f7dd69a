"""Which gateway asks a warehouse for a parcel, and which books it: the first route in force that matches."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oms_es.app.connecting.providers import CARRIERS, WAREHOUSES
from oms_es.consumers.routes import carrier_gateway_for, warehouse_gateway_for
from oms_es.consumers.shipment import carrier_notifier, fulfilment_releaser
from oms_es.schemas import order as o
from oms_es.schemas import shipment as sh
from oms_es.schemas.catalog.routes import (
    CARRIER_GATEWAYS,
    WAREHOUSE_GATEWAYS,
    CarrierRoute,
    GatewayRoutes,
    PublishGatewayRoutes,
    WarehouseRoute,
)
from oms_es.settings import Settings

HERE = o.Address(country="DE")
PACKED = sh.ShipmentPacked(
    shipment_id="o.1", order_id="o", weight_grams=950, location="berlin", ship_to=HERE, delivery_option="express"
)
PLAN = o.ShipmentPlan(
    shipment_id="o.1",
    location="berlin",
    items=(o.Reservation(reservation_id="o/1", sku="A", location="berlin", quantity=1),),
    amount_minor=100,
)
RELEASED = o.OrderReleased(order_id="o", payment_id="o.1", currency="EUR", shipments=(PLAN,), ship_to=HERE)
PLANNED = o.OrderShipmentPlanned(order_id="o", plan=PLAN, payment_id="o.1", ship_to=HERE)


def in_force(**routes: Any) -> Any:
    """Return facts with these routes, and nothing else."""
    row = {"version": "2", "routes": GatewayRoutes(**routes).model_dump(mode="json")}
    empty: Any = {True: [], "express": [], "berlin": [], "A": []}
    others = dict.fromkeys(("carrier_rates", "delivery_options", "locations", "items"), empty)
    return {**others, "gateway_routes": {True: [row]}}


def test_a_packed_parcel_is_booked_by_the_gateway_in_force() -> None:
    routes = in_force(
        carriers=(
            CarrierRoute(gateway="easypost", countries=("US",)),
            CarrierRoute(gateway="commands", delivery_options=("express",), locations=("berlin",)),
            CarrierRoute(gateway="easypost"),
        )
    )
    (book,) = carrier_notifier.consumer.react(PACKED, routes)
    assert isinstance(book, sh.BookShipment)
    assert book.carrier_gateway == "commands"
    (other,) = carrier_notifier.consumer.react(PACKED, in_force())
    assert isinstance(other, sh.BookShipment)
    assert other.carrier_gateway is None


@pytest.mark.parametrize("event", [RELEASED, PLANNED], ids=lambda event: type(event).__name__)
def test_a_request_to_pick_names_the_gateway_of_its_location(event: Any) -> None:
    routes = in_force(
        warehouses=(WarehouseRoute(gateway="commands", locations=("paris",)), WarehouseRoute(gateway="files"))
    )
    for facts, expected in ((routes, "files"), (in_force(), None)):
        (asked,) = fulfilment_releaser.consumer.react(event, facts)
        assert isinstance(asked, sh.RequestShipment)
        assert asked.warehouse_gateway == expected


CONDITIONS = {
    "carriers": ((), ("dhl",), ("ups",)),
    "delivery_options": ((), ("express",), ("standard", "slow")),
    "countries": ((), ("DE",), ("FR",)),
    "locations": ((), ("berlin", "paris"), ("paris",)),
}
EVERY = [dict(zip(CONDITIONS, chosen, strict=True)) for chosen in product(*CONDITIONS.values())]


@given(st.lists(st.sampled_from(EVERY), max_size=len(CARRIER_GATEWAYS)))
def test_the_first_route_of_which_no_condition_excludes_the_parcel_is_taken(conditions: list[dict[str, Any]]) -> None:
    routes = [CarrierRoute(gateway=name, **one) for name, one in zip(CARRIER_GATEWAYS, conditions, strict=False)]
    parcel = {"carriers": "dhl", "delivery_options": "express", "countries": "DE", "locations": "berlin"}
    fit = [all(not wanted or parcel[name] in wanted for name, wanted in one.items()) for one in conditions]
    expected = CARRIER_GATEWAYS[fit.index(True)] if True in fit else None
    assert carrier_gateway_for(GatewayRoutes(carriers=tuple(routes)), PACKED, "dhl") == expected


def test_of_a_location_the_first_route_that_names_it_or_none_is_taken() -> None:
    routes = GatewayRoutes(
        warehouses=(WarehouseRoute(gateway="commands", locations=("paris",)), WarehouseRoute(gateway="files"))
    )
    assert [warehouse_gateway_for(routes, place) for place in ("paris", "berlin")] == ["commands", "files"]
    assert warehouse_gateway_for(GatewayRoutes(), "paris") is None


@pytest.mark.parametrize(
    ("kind", "names", "wrong"), [("carriers", CARRIER_GATEWAYS, "EasyPost"), ("warehouses", WAREHOUSE_GATEWAYS, "file")]
)
def test_a_route_names_a_gateway_that_there_is(kind: str, names: tuple[str, ...], wrong: str) -> None:
    for name in names:
        PublishGatewayRoutes.model_validate({"version": "2", kind: [{"gateway": name}]})
    with pytest.raises(ValidationError) as refused:
        PublishGatewayRoutes.model_validate({"version": "2", kind: [{"gateway": wrong}]})
    assert "the nearest is" in refused.value.errors()[0]["msg"]


def test_every_gateway_that_settings_take_can_be_named_and_no_other() -> None:
    assert set(CARRIERS) | {"commands"} == set(CARRIER_GATEWAYS)
    assert set(WAREHOUSES) == set(WAREHOUSE_GATEWAYS)
    assert Settings(carriers=",".join(CARRIER_GATEWAYS), warehouse=",".join(WAREHOUSE_GATEWAYS)).carriers
    for name, wrong in (("carriers", "dhl"), ("warehouse", "file"), ("warehouse", "files,")):
        with pytest.raises(ValidationError):
            Settings.model_validate({name: wrong})
