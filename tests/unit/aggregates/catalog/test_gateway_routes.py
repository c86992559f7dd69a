"""A version of the routes says one thing for ever; the one published last holds, also for who asks again."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.catalog.routes import decider
from oms_es.schemas.catalog.routes import (
    BUILT_IN_VERSION,
    ROUTES_MAX,
    GatewayRoutesPublished,
    PaymentRoute,
    PublishGatewayRoutes,
)

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
