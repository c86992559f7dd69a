"""Subscriptions and connections: opened once, changed, rotated, disabled until they are enabled again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.operations import connection, subscription
from oms_es.schemas.operations import connection as con
from oms_es.schemas.operations import subscription as sub
from story import NOON

ONE, OTHER = "sec_" + "1" * 24, "sec_" + "2" * 24
FACTS: Any = {"name": "crm", "url": "https://crm.example/x", "types": ("OrderShipped",), "channels": ()}
OPENED = sub.SubscriptionOpened(**FACTS, secret_id=ONE)
OPEN = sub.OpenSubscription(**FACTS, secret_id=ONE)
SHOP = con.OpenConnection(name="shop", dialect="shopify", secret_id=ONE)
CONNECTED = con.ConnectionOpened(name="shop", dialect="shopify", channel=None, secret_id=ONE)


def test_a_subscription_is_opened_once() -> None:
    Given(subscription.decider).when(OPEN).then(OPENED)
    Given(subscription.decider, OPENED).when(OPEN).then()
    other = OPEN.model_copy(update={"secret_id": OTHER})
    Given(subscription.decider, OPENED).when(other).then_refused("subscription_exists")


def test_a_subscription_is_changed_if_it_differs() -> None:
    elsewhere = {**FACTS, "url": "https://crm.example/y"}
    Given(subscription.decider, OPENED).when(sub.ChangeSubscription(**elsewhere)).then(
        sub.SubscriptionChanged(**elsewhere)
    )
    Given(subscription.decider, OPENED).when(sub.ChangeSubscription(**FACTS)).then()
    Given(subscription.decider).when(sub.ChangeSubscription(**FACTS)).then_refused("unknown_subscription")


def test_a_secret_is_rotated_by_its_id() -> None:
    rotated = sub.SubscriptionRotated(
        name="crm", secret_id=OTHER, previous_secret_id=ONE, previous_until=NOON + timedelta(days=1)
    )
    rotate = sub.RotateSubscription(name="crm", secret_id=OTHER, now=NOON)
    Given(subscription.decider, OPENED).when(rotate).then(rotated)
    Given(subscription.decider, OPENED, rotated).when(rotate).then()
    Given(subscription.decider).when(rotate).then_refused("unknown_subscription")


def test_a_subscription_is_disabled_until_it_is_enabled() -> None:
    disabled = sub.SubscriptionDisabled(name="crm", because="gone", failed=True)
    enabled = sub.SubscriptionEnabled(name="crm")
    disable = sub.DisableSubscription(name="crm", because="gone", failed=True)
    enable = sub.EnableSubscription(name="crm")
    Given(subscription.decider, OPENED).when(disable).then(disabled)
    Given(subscription.decider, OPENED, disabled).when(disable).then()
    Given(subscription.decider, OPENED, disabled).when(enable).then(enabled)
    Given(subscription.decider, OPENED).when(enable).then()
    for command in (disable, enable):
        Given(subscription.decider).when(command).then_refused("unknown_subscription")


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://crm.example"},
        {"url": "https://user@crm.example"},
        {"url": "https://[crm"},
        {"url": "https://crm.example:99999"},
        {"types": ("OrderSailed",)},
        {"types": ()},
        {"name": "Up"},
    ],
)
def test_what_cannot_be_sent_is_no_command(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sub.OpenSubscription(**{**FACTS, "secret_id": ONE, **wrong})


def test_a_connection_is_opened_once_and_with_a_channel_where_it_needs_one() -> None:
    Given(connection.decider).when(SHOP).then(CONNECTED)
    Given(connection.decider, CONNECTED).when(SHOP).then()
    other = SHOP.model_copy(update={"secret_id": OTHER})
    Given(connection.decider, CONNECTED).when(other).then_refused("connection_exists")
    for dialect, channel in (("woocommerce", None), ("stripe", "web")):
        command = con.OpenConnection.model_validate(
            {"name": "x", "dialect": dialect, "channel": channel, "secret_id": ONE}
        )
        Given(connection.decider).when(command).then_refused("channel_needed")
    for dialect in ("woocommerce", "canonical"):
        fields: Any = {"name": "x", "dialect": dialect, "channel": "web", "secret_id": ONE}
        Given(connection.decider).when(con.OpenConnection(**fields)).then(con.ConnectionOpened(**fields))


def test_a_connection_is_rotated_disabled_and_enabled() -> None:
    until = NOON + timedelta(days=1)
    rotated = con.ConnectionRotated(name="shop", secret_id=OTHER, previous_secret_id=ONE, previous_until=until)
    rotate = con.RotateConnection(name="shop", secret_id=OTHER, now=NOON)
    Given(connection.decider, CONNECTED).when(rotate).then(rotated)
    Given(connection.decider, CONNECTED, rotated).when(rotate).then()
    disabled, enabled = con.ConnectionDisabled(name="shop"), con.ConnectionEnabled(name="shop")
    disable, enable = con.DisableConnection(name="shop"), con.EnableConnection(name="shop")
    Given(connection.decider, CONNECTED).when(disable).then(disabled)
    Given(connection.decider, CONNECTED, disabled).when(disable).then()
    Given(connection.decider, CONNECTED, disabled).when(enable).then(enabled)
    Given(connection.decider, CONNECTED).when(enable).then()
    for command in (rotate, disable, enable):
        Given(connection.decider).when(command).then_refused("unknown_connection")
