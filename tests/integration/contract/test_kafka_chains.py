"""What a worker commits in one transaction, on a real Kafka."""

from __future__ import annotations

from typing import Any

import pytest

from integration.contract.test_kafka import CALM, OPEN, TURNS_MAX, passed, received, rows
from integration.contract.test_kafka_input import turn_until
from oms_es.app import CONSUMERS, migrate
from oms_es.app.workers import LOOKED_UP, ROLES, Workers
from oms_es.kafka.client import Config
from oms_es.kafka.groups.group_chain import GROUP_NEW_MAX, GroupChain
from oms_es.processing.chain import NEW_MAX, Chain
from oms_es.schemas.order import PlaceOrder
from oms_es.store.recorder import EVENTS

MANY, MANY_TRANSACTIONS = 150, 3
"""More than a chain of an engine begins with."""
CHAINED = ("OrderSourced", "StockReserved", "OrderLineAllocated", "OrderAllocated", "PaymentRequested")


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    return database_url


def test_what_follows_from_an_order_is_one_transaction_of_a_worker_that_has_every_partition(
    url: str, kafka: Config
) -> None:
    with Workers(url, kafka, ROLES, relaying=True, chaos=CALM) as workers:
        workers.submit("test", [OPEN, received("tea")])
        workers.settle()
        workers.submit("test", [an_order("1", "tea")])
        workers.settle()
        assert passed(url, workers)
    placed, *chained = rows(
        url, f"SELECT topic, xmin::text AS transaction FROM {EVENTS} ORDER BY notification_id OFFSET 2 LIMIT 6"
    )
    assert (placed["topic"], *(row["topic"] for row in chained)) == ("OrderPlaced", *CHAINED)
    assert len({row["transaction"] for row in chained}) == 1


def test_many_orders_that_come_at_once_are_a_few_transactions_of_such_a_worker(url: str, kafka: Config) -> None:
    roles = [*(consumer.name for consumer in CONSUMERS), *LOOKED_UP]
    with Workers(url, kafka, roles, relaying=True, chaos=CALM) as workers:
        workers.submit("test", [OPEN, received("tea", MANY)])
        turn_until(workers, lambda: workers.watermark.position(roles) == workers.last_position())
        workers.submit("test", [an_order(str(number), "tea") for number in range(MANY)])
        turn_until(workers, lambda: counted(url, CHAINED[-1])["events"] == MANY)
    assert all(counted(url, topic)["transactions"] < MANY_TRANSACTIONS for topic in CHAINED)


def counted(url: str, topic: str) -> dict[str, int]:
    counting = f"SELECT count(*) AS events, count(DISTINCT xmin::text) AS transactions FROM {EVENTS} WHERE topic = %s"
    (found,) = rows(url, counting, topic)
    return found


def test_a_chain_that_others_overtake_begins_with_less_and_with_more_again_once_it_is_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nothing: Any = None
    chain = GroupChain((), nothing, nothing, nothing, nothing)
    assert chain.new_max == GROUP_NEW_MAX
    for _ in range(9):
        chain.was_overtaken()
    assert chain.new_max == NEW_MAX
    monkeypatch.setattr(Chain, "commit", lambda *_: None)
    for _ in range(9):
        chain.commit(nothing)
    assert chain.new_max == GROUP_NEW_MAX


def test_where_the_facts_are_folded_elsewhere_who_asks_them_takes_steps_of_his_own(url: str, kafka: Config) -> None:
    facts = [role for role in ROLES if role in LOOKED_UP]
    others = [role for role in ROLES if role not in LOOKED_UP]
    with (
        Workers(url, kafka, others, relaying=True, chaos=CALM) as deciding,
        Workers(url, kafka, facts, chaos=CALM) as folding,
    ):
        deciding.submit("test", [OPEN, received("tea"), an_order("1", "tea")])
        settle_both(deciding, folding)
        assert passed(url, deciding)
    transactions = rows(
        url,
        "SELECT count(DISTINCT xmin::text) AS transactions, max(topic) FILTER (WHERE topic = 'OrderReleased') AS found "
        f"FROM {EVENTS} WHERE topic = ANY(%s)",
        ["OrderPlaced", "OrderSourced", "OrderReleased"],
    )
    assert transactions == [{"transactions": 3, "found": "OrderReleased"}]


def settle_both(*processes: Workers) -> None:
    for _ in range(TURNS_MAX):
        taken = sum([workers.loop.iterate() for workers in processes])
        if processes[0].settled():
            return
        if not taken:
            processes[0].waiter.wait(0.05)
    pytest.fail("not settled")


def an_order(number: str, sku: str) -> PlaceOrder:
    return PlaceOrder.model_validate(
        {
            "channel": "web",
            "external_id": number,
            "placed_at": "2026-01-01T00:00:00Z",
            "currency": "EUR",
            "lines": [{"line_id": "1", "sku": sku, "quantity": 1, "unit_price_minor": 995}],
            "ship_to": {"country": "DE"},
        }
    )
