"""The routes to gateways, as data: which gateway takes which payments.

A version is published as an event. A payment stays with the gateway that its first request names, whatever is published
later.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

from pydantic import Field

from oms_es.door import AtTheDoor
from oms_es.kernel import Command, Event, Message
from oms_es.schemas.values.types import Channel, Country, Currency, Identifier

ROUTES_STREAM = "routes-gateways"
BUILT_IN_VERSION = "1"
"""The version without any route, which is in force as long as none is published."""
ROUTES_MAX = 100
NAMES_MAX = 1_000
PAYMENT_GATEWAYS = ("stripe", "wechatpay", "alipay")
"""The payment gateways that there are; OMS_PAYMENTS sets up some of them."""


def _known(name: str) -> str:
    """Return the name. Raise ValueError for one that no gateway has: its payments would wait for ever."""
    if name not in PAYMENT_GATEWAYS:
        near = get_close_matches(name.lower(), PAYMENT_GATEWAYS, n=1)
        nearest = f"the nearest is {near[0]}; " if near else ""
        raise ValueError(f"no payment gateway has this name: {nearest}write one of {', '.join(PAYMENT_GATEWAYS)}")
    return name


GatewayName = Annotated[str, AtTheDoor(_known, {"enum": list(PAYMENT_GATEWAYS)})]


class PaymentRoute(Message):
    """The gateway of the payments that match. An empty condition matches every payment.

    `countries`: where the goods go.
    """

    gateway: GatewayName
    methods: Annotated[tuple[Identifier, ...], Field(max_length=NAMES_MAX)] = ()
    channels: Annotated[tuple[Channel, ...], Field(max_length=NAMES_MAX)] = ()
    currencies: Annotated[tuple[Currency, ...], Field(max_length=NAMES_MAX)] = ()
    countries: Annotated[tuple[Country, ...], Field(max_length=NAMES_MAX)] = ()


class GatewayRoutes(Message):
    """The routes to gateways. The first route that matches applies; without one, the payment token decides."""

    payments: Annotated[tuple[PaymentRoute, ...], Field(max_length=ROUTES_MAX)] = ()


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
