"""The requests of one transaction get an answer each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from oms_es.app import DECIDERS, migrate
from oms_es.schemas.catalog.location import CloseLocation, OpenLocation
from oms_es.schemas.stock import ReceiveStock, ShipStock
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause
from oms_es.store.outcomes import OtherVersion, Outcome, Request
from oms_es.store.recorder import Recorder, datastore_of
from oms_es.store.store import Store

US = Cause("test")
AT = {"sku": "A", "location": "berlin"}


@contextmanager
def store_on(database_url: str) -> Iterator[Store]:
    with datastore_of(database_url) as datastore:
        yield Store(DECIDERS, EVENTS, Recorder(datastore))


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    migrate(database_url)
    with store_on(database_url) as opened:
        yield opened


def receive(sku: str, quantity: int = 1, receipt: str = "r") -> ReceiveStock:
    return ReceiveStock(sku=sku, location="berlin", receipt_id=receipt, quantity=quantity)


def ship(sku: str) -> ShipStock:
    return ShipStock(sku=sku, location="berlin", reservation_id="o/1", order_id="o", shipment_id="x")


def test_a_refused_request_leaves_the_others_alone_and_everybody_has_an_outcome(store: Store) -> None:
    store.execute([(US, [receive("C")])])
    done, refused, repeated = store.execute_each(
        [
            Request(US, [receive("A"), receive("A", receipt="s")]),
            Request(US, [receive("B"), ship("B")]),
            Request(US, [receive("C")]),
        ]
    )
    assert ([one.version for one in done.recorded], done.version, done.refused) == ([1, 2], 2, None)
    assert [one.position for one in done.recorded] == [2, 3]
    assert refused.refused is not None
    assert (list(refused.recorded), refused.version) == ([], 0)
    assert store.history("stock-B@berlin") == []
    assert (list(repeated.recorded), repeated.version, repeated.refused) == ([], 1, None)


def test_a_version_that_is_asked_for_is_looked_at_under_the_lock(database_url: str, store: Store) -> None:
    store.execute([(US, [OpenLocation(location="berlin", country="DE")])])
    close = CloseLocation(location="berlin", reason="flood")
    with store_on(database_url) as other:
        other.execute([(US, [close])])
    assert store.state_of("location-berlin")[1] == 2
    (early,) = store.execute_each([Request(US, [OpenLocation(location="berlin", country="DE")], version=1)])
    assert isinstance(early.refused, OtherVersion)
    assert early.refused.found == 2
    (right,) = store.execute_each([Request(US, [OpenLocation(location="berlin", country="DE")], version=2)])
    assert (right.refused, right.version) == (None, 3)


def test_a_refusal_and_a_version_from_a_stale_state_are_not_believed(database_url: str, store: Store) -> None:
    (refused,) = store.execute_each([Request(US, [ship("A")])])
    assert refused.refused is not None
    with store_on(database_url) as other:
        other.execute([(US, [receive("A")])])
    (now,) = store.execute_each([Request(US, [receive("A", receipt="s")], version=1)])
    assert (now.refused, now.version) == (None, 2)


def test_rows_beside_the_events_are_of_their_transaction(store: Store) -> None:
    seen: list[Mapping[str, Outcome]] = []

    def fail(transaction: Any, outcomes: Mapping[str, Outcome]) -> None:
        seen.append(outcomes)
        transaction.execute("SELECT count(*) AS events FROM oms_events")
        assert transaction.fetchone()["events"] == 1
        raise LookupError

    with pytest.raises(LookupError):
        store.execute_each([Request(US, [receive("A")])], fail)
    assert [outcome.version for outcome in seen[0].values()] == [1]
    assert store.history("stock-A@berlin") == []
    assert store.execute_each([Request(US, [receive("A")])])[0].version == 1
