"""The routes to gateways, as data: which gateway takes which payments, parcels and requests to pick.

A version is published as an event. A payment, a parcel or a request stays with the gateway that it names, whatever is
published later.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

from pydantic import Field

from oms_es.door import AtTheDoor
from oms_es.kernel import Command, Event, Message
from oms_es.schemas.values.types import Channel, Country, Currency, Identifier, LocationId

ROUTES_STREAM = "routes-gateways"
BUILT_IN_VERSION = "1"
"""The version without any route, which is in force as long as none is published."""
ROUTES_MAX = 100
NAMES_MAX = 1_000
PAYMENT_GATEWAYS = ("stripe", "wechatpay", "alipay")
"""The payment gateways that there are; OMS_PAYMENTS sets up some of them."""
BY_HAND = "commands"
CARRIER_GATEWAYS = ("easypost", "sfexpress", BY_HAND)
"""The gateways to carriers; OMS_CARRIERS sets up some of them. `commands`: booked elsewhere, recorded by command."""
WAREHOUSE_GATEWAYS = ("files", BY_HAND)
"""The gateways to warehouses; OMS_WAREHOUSE sets up some of them. `commands`: they list requests, and answer by
command."""


def _known(what: str, names: tuple[str, ...]) -> AtTheDoor:
    """Return the check that a gateway has this name: without one, what is routed there would wait for ever."""

    def known(name: str) -> str:
        if name not in names:
            near = get_close_matches(name.lower(), names, n=1)
            nearest = f"the nearest is {near[0]}; " if near else ""
            raise ValueError(f"no {what} gateway has this name: {nearest}write one of {', '.join(names)}")
        return name

    return AtTheDoor(known, {"enum": list(names)})


GatewayName = Annotated[str, _known("payment", PAYMENT_GATEWAYS)]
CarrierGatewayName = Annotated[str, _known("carrier", CARRIER_GATEWAYS)]
WarehouseGatewayName = Annotated[str, _known("warehouse", WAREHOUSE_GATEWAYS)]


class PaymentRoute(Message):
    """The gateway of the payments that match. An empty condition matches every payment.

    `countries`: where the goods go.
    """

    gateway: GatewayName
    methods: Annotated[tuple[Identifier, ...], Field(max_length=NAMES_MAX)] = ()
    channels: Annotated[tuple[Channel, ...], Field(max_length=NAMES_MAX)] = ()
    currencies: Annotated[tuple[Currency, ...], Field(max_length=NAMES_MAX)] = ()
    countries: Annotated[tuple[Country, ...], Field(max_length=NAMES_MAX)] = ()


class CarrierRoute(Message):
    """The gateway that books the parcels that match. An empty condition matches every parcel.

    `carriers`: chosen by rates. `countries`: where the goods go. `locations`: where they come from.
    """

    gateway: CarrierGatewayName
    carriers: Annotated[tuple[Identifier, ...], Field(max_length=NAMES_MAX)] = ()
    delivery_options: Annotated[tuple[Identifier, ...], Field(max_length=NAMES_MAX)] = ()
    countries: Annotated[tuple[Country, ...], Field(max_length=NAMES_MAX)] = ()
    locations: Annotated[tuple[LocationId, ...], Field(max_length=NAMES_MAX)] = ()


class WarehouseRoute(Message):
    """The gateway to the warehouses of these locations; without any, of all."""

    gateway: WarehouseGatewayName
    locations: Annotated[tuple[LocationId, ...], Field(max_length=NAMES_MAX)] = ()


class GatewayRoutes(Message):
    """The routes to gateways. The first route that matches applies; without one, the payment token decides, and of the
    gateways to carriers and to warehouses that are set up, the first.
    """

    payments: Annotated[tuple[PaymentRoute, ...], Field(max_length=ROUTES_MAX)] = ()
    carriers: Annotated[tuple[CarrierRoute, ...], Field(max_length=ROUTES_MAX)] = ()
    warehouses: Annotated[tuple[WarehouseRoute, ...], Field(max_length=ROUTES_MAX)] = ()


class PublishGatewayRoutes(Command, GatewayRoutes):
    """Make these the routes by which gateways are chosen from now on. An earlier version sent again is in force
    again.
    """

    version: Identifier

    @property
    def stream(self) -> str:
        return ROUTES_STREAM


class GatewayRoutesPublished(Event, GatewayRoutes):
    """These routes are in force from now on, instead of those of version `supersedes`."""

    version: str
    supersedes: str
