"""The first route that matches names the gateway, whatever asks for the money; accounts of ours need none."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.consumers.payment.payment_requester import consumer
from oms_es.consumers.routes import gateway_for
from oms_es.schemas import order as o
from oms_es.schemas.catalog.routes import PAYMENT_GATEWAYS, GatewayRoutes, PaymentRoute
from oms_es.schemas.finance.account import METHOD

OF: Any = {"order_id": "o", "currency": "EUR", "channel": "web", "country": "DE"}
CARD = o.PaymentDue(payment_id="o.1", amount_minor=900, payment_token="tok")
ALLOCATED = o.OrderAllocated(**OF, payment_id="o.1", amount_minor=900, payment_token="tok")
BALANCE = o.OrderBalanceDue(**OF, payments=(CARD,), due_seconds=60)
AGAIN = o.OrderPaymentRequested(**OF, **dict(CARD), replaces="o.0", attempt=2)


def in_force(*payments: PaymentRoute) -> Any:
    routes = GatewayRoutes(payments=payments).model_dump(mode="json")
    return {"gateway_routes": {True: [{"version": "2", "routes": routes}]}}


@pytest.mark.parametrize("event", [ALLOCATED, BALANCE, AGAIN], ids=lambda event: type(event).__name__)
def test_each_new_payment_is_asked_of_the_gateway_in_force(event: o.AsksForMoney) -> None:
    routes = in_force(
        PaymentRoute(gateway="alipay", methods=("invoice",)),
        PaymentRoute(gateway="wechatpay", currencies=("EUR",), countries=("DE",)),
        PaymentRoute(gateway="stripe"),
    )
    asked = [command for command in consumer.react(event, routes) if hasattr(command, "gateway")]
    assert [command.gateway for command in asked] == ["wechatpay"]


def test_without_a_route_that_matches_the_token_decides() -> None:
    (asked,) = consumer.react(ALLOCATED, in_force(PaymentRoute(gateway="alipay", channels=("shop",))))
    assert getattr(asked, "gateway") == ""  # noqa: B009 - commands of several kinds


@pytest.mark.parametrize("event", [ALLOCATED, BALANCE, AGAIN], ids=lambda event: type(event).__name__)
def test_an_event_without_channel_and_country_goes_by_its_token(event: o.AsksForMoney) -> None:
    """It was recorded by an earlier version: the first route would have been its own, and the second would take it."""
    earlier = type(event).model_validate(event.model_dump(exclude={"channel", "country"}))
    routes = in_force(PaymentRoute(gateway="alipay", countries=("DE",)), PaymentRoute(gateway="stripe"))
    for one, expected in ((event, "alipay"), (earlier, "")):
        asked = [command for command in consumer.react(one, routes) if hasattr(command, "gateway")]
        assert [command.gateway for command in asked] == [expected]


def test_what_an_account_of_ours_pays_goes_to_no_gateway() -> None:
    assert gateway_for(GatewayRoutes(payments=(PaymentRoute(gateway="alipay"),)), ALLOCATED, METHOD) == ""


CONDITIONS = {
    "methods": ((), ("card",), ("wallet",)),
    "channels": ((), ("web",), ("web", "shop")),
    "currencies": ((), ("EUR",), ("CNY",)),
    "countries": ((), ("DE",), ("FR", "DE")),
}
EVERY = [dict(zip(CONDITIONS, chosen, strict=True)) for chosen in product(*CONDITIONS.values())]


@given(st.lists(st.sampled_from(EVERY), max_size=len(PAYMENT_GATEWAYS)))
def test_the_first_route_of_which_no_condition_excludes_the_payment_is_taken(conditions: list[dict[str, Any]]) -> None:
    routes = [PaymentRoute(gateway=name, **one) for name, one in zip(PAYMENT_GATEWAYS, conditions, strict=False)]
    payment = {"methods": "card", "channels": "web", "currencies": "EUR", "countries": "DE"}
    fit = [all(not wanted or payment[name] in wanted for name, wanted in one.items()) for one in conditions]
    expected = PAYMENT_GATEWAYS[fit.index(True)] if True in fit else ""
    assert gateway_for(GatewayRoutes(payments=tuple(routes)), ALLOCATED, "card") == expected
