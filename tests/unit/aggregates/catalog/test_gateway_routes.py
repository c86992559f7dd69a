"""A version of the routes says one thing for ever; the one published last holds, also for who asks again."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.catalog.routes import decider
from oms_es.app.connecting.providers import PAYMENTS
from oms_es.door import STORED
from oms_es.schemas.catalog.routes import (
    BUILT_IN_VERSION,
    PAYMENT_GATEWAYS,
    ROUTES_MAX,
    GatewayRoutesPublished,
    PaymentRoute,
    PublishGatewayRoutes,
)
from oms_es.settings import Settings

CARDS = PaymentRoute(gateway="stripe", methods=("card",))
TWO = PublishGatewayRoutes(version="2", payments=(CARDS,))
PUBLISHED_TWO = GatewayRoutesPublished(version="2", supersedes=BUILT_IN_VERSION, payments=(CARDS,))


def test_routes_are_published_once() -> None:
    Given(decider).when(TWO).then(PUBLISHED_TWO)
    Given(decider, PUBLISHED_TWO).when(TWO).then()


def test_no_route_at_all_is_a_version_too() -> None:
    none = PublishGatewayRoutes(version=BUILT_IN_VERSION)
    Given(decider).when(none).then()
    Given(decider, PUBLISHED_TWO).when(none).then(GatewayRoutesPublished(version=BUILT_IN_VERSION, supersedes="2"))


def test_a_version_never_says_anything_else() -> None:
    other = PublishGatewayRoutes(version="2", payments=(CARDS, PaymentRoute(gateway="alipay")))
    Given(decider, PUBLISHED_TWO).when(other).then_refused("version_taken")
    Given(decider).when(PublishGatewayRoutes(version=BUILT_IN_VERSION, payments=(CARDS,))).then_refused("version_taken")


def test_routes_have_a_bound() -> None:
    PublishGatewayRoutes(version="2", payments=(CARDS,) * ROUTES_MAX)
    with pytest.raises(ValidationError):
        PublishGatewayRoutes(version="2", payments=(CARDS,) * (ROUTES_MAX + 1))


@pytest.mark.parametrize(
    ("name", "nearest"), [("Stripe", "stripe"), ("wechat-pay", "wechatpay"), ("alypay", "alipay"), ("x", "")]
)
def test_a_route_names_a_gateway_that_there_is(name: str, nearest: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PublishGatewayRoutes.model_validate({"version": "2", "payments": [{"gateway": name}]})
    (error,) = refused.value.errors()
    assert error["loc"] == ("payments", 0, "gateway")
    assert (f"the nearest is {nearest};" in error["msg"]) == bool(nearest)
    assert all(known in error["msg"] for known in PAYMENT_GATEWAYS)


def test_every_gateway_that_settings_take_can_be_named_and_no_other() -> None:
    for name in PAYMENT_GATEWAYS:
        PublishGatewayRoutes(version="2", payments=(PaymentRoute(gateway=name),))
    assert set(PAYMENTS) == set(PAYMENT_GATEWAYS)
    assert Settings(payments=",".join(PAYMENT_GATEWAYS)).payments
    with pytest.raises(ValidationError):
        Settings(payments="Stripe")


def test_what_was_published_under_any_name_still_loads() -> None:
    stored: dict[str, Any] = {"version": "2", "supersedes": "1", "payments": [{"gateway": "Stripe"}]}
    event = GatewayRoutesPublished.model_validate(stored, context=STORED)
    assert event.payments[0].gateway == "Stripe"
