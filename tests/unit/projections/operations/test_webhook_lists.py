"""Lists of subscriptions and connections: who changed them last, and never a secret."""

from __future__ import annotations

from folding import fold
from oms_es.projections.operations import connections, subscriptions
from oms_es.schemas.operations import connection as con
from oms_es.schemas.operations import subscription as sub
from story import NOON

ONE, OTHER = "sec_" + "1" * 24, "sec_" + "2" * 24
OPENED = sub.SubscriptionOpened(name="crm", url="https://a.example", types=("OrderShipped",), secret_id=ONE)


def test_a_subscription_is_as_it_was_changed_last() -> None:
    changed = sub.SubscriptionChanged(name="crm", url="https://b.example", types=("OrderPlaced",), channels=("web",))
    rotated = sub.SubscriptionRotated(name="crm", secret_id=OTHER, previous_secret_id=ONE, previous_until=NOON)
    disabled = sub.SubscriptionDisabled(name="crm", because="gone", failed=True)
    (row,) = fold(subscriptions.projection, OPENED, changed, rotated, disabled).values()
    assert row is not None
    assert (row["url"], row["types"], row["channels"]) == ("https://b.example", ["OrderPlaced"], ["web"])
    assert (row["secret_id"], row["previous_secret_id"], row["previous_until"]) == (OTHER, ONE, NOON)
    assert (row["is_disabled"], row["disabled_because"]) == (True, "gone")
    (row,) = fold(subscriptions.projection, OPENED, disabled, sub.SubscriptionEnabled(name="crm")).values()
    assert row is not None
    assert (row["is_disabled"], row["disabled_because"]) == (False, "")


def test_a_connection_is_as_it_was_changed_last() -> None:
    opened = con.ConnectionOpened(name="shop", dialect="shopify", secret_id=ONE)
    rotated = con.ConnectionRotated(name="shop", secret_id=OTHER, previous_secret_id=ONE, previous_until=NOON)
    (row,) = fold(connections.projection, opened, rotated, con.ConnectionDisabled(name="shop")).values()
    assert row is not None
    assert (row["dialect"], row["secret_id"], row["is_disabled"]) == ("shopify", OTHER, True)
    (row,) = fold(
        connections.projection, opened, con.ConnectionDisabled(name="shop"), con.ConnectionEnabled(name="shop")
    ).values()
    assert row is not None
    assert not row["is_disabled"]
