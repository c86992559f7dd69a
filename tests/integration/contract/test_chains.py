"""Reactions that need no external system are committed in one transaction with their cause, also with concurrent
writers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from oms_es.app import Engine, engine_on
from oms_es.processing.chain import ATTEMPTS_MAX, NEW_MAX, Chain, Links
from oms_es.reports import queries
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import Address, OrderLine, PlaceOrder
from oms_es.schemas.stock import ReceiveStock
from oms_es.store.recorder import EVENTS, TRACKING, Move

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with engine_on(database_url) as an_engine:
        stock = ReceiveStock(sku="tea", location="berlin", receipt_id="r", quantity=1_000)
        an_engine.submit("test", [OpenLocation(location="berlin", country="DE"), stock])
        an_engine.settle()
        yield an_engine


@pytest.fixture
def chain(engine: Engine) -> Chain:
    return next(p for p in engine.loop.workers if isinstance(p, Chain) and p.name == "chain")


def order(number: int) -> PlaceOrder:
    return PlaceOrder(
        channel="web",
        external_id=str(number),
        placed_at=NOON,
        currency="EUR",
        lines=(OrderLine(line_id="1", sku="tea", quantity=1, unit_price_minor=100),),
        ship_to=Address(country="DE", latitude=52.5, longitude=13.4),
    )


def asked(engine: Engine, query: str) -> list[Any]:
    with psycopg.connect(engine.database_url) as connection:
        return connection.execute(query.encode()).fetchall()


def transactions(engine: Engine, after: int) -> list[list[str]]:
    """Return the events since then, by the transaction that wrote them."""
    found: dict[str, list[str]] = {}
    query = f"SELECT xmin::text, topic FROM {EVENTS} WHERE notification_id > {after} ORDER BY notification_id"
    for transaction, topic in asked(engine, query):
        found.setdefault(transaction, []).append(topic)
    return list(found.values())


def before_commit(chain: Chain, monkeypatch: pytest.MonkeyPatch, do: Any) -> None:
    commit = chain.commit

    def committing(links: Links) -> None:
        do()
        commit(links)

    monkeypatch.setattr(chain, "commit", committing)


def test_what_follows_from_an_order_is_committed_at_once_up_to_what_the_world_is_asked(engine: Engine) -> None:
    before = engine.last_position()
    engine.submit("test", [order(1)])
    engine.loop.iterate()
    placed, followed, *_ = transactions(engine, before)
    assert placed == ["OrderPlaced"]
    assert followed[0] == "OrderSourced"
    assert followed[-1] == "PaymentRequested"
    assert {"StockReserved", "OrderAllocated"} <= set(followed)


def test_rows_and_positions_are_of_the_transaction_of_the_events(engine: Engine, chain: Chain) -> None:
    engine.submit("test", [order(1)])
    assert chain.step() > 0
    (transaction,) = asked(engine, f"SELECT xmin::text FROM {EVENTS} ORDER BY notification_id DESC LIMIT 1")
    assert asked(engine, "SELECT xmin::text, reserved FROM stock_levels") == [(*transaction, 1)]
    moved = asked(engine, f"SELECT xmin::text, notification_id FROM {TRACKING} WHERE application_name = 'stock_levels'")
    assert moved == [(*transaction, engine.last_position())]


def test_anyone_who_writes_meanwhile_is_read_and_the_chain_begun_again(
    engine: Engine, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(2, 2 + ATTEMPTS_MAX - 1))

    def write() -> None:
        with Engine(engine.database_url) as other:
            for number in numbers:
                other.submit("test", [order(number)])
                return

    before_commit(chain, monkeypatch, write)
    before = engine.last_position()
    engine.submit("test", [order(1)])
    engine.loop.iterate()
    assert [len(t) for t in transactions(engine, before)][:ATTEMPTS_MAX] == [1] * ATTEMPTS_MAX
    assert transactions(engine, before)[ATTEMPTS_MAX].count("PaymentRequested") == ATTEMPTS_MAX


def test_where_someone_always_writes_everybody_takes_steps(
    engine: Engine, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine(engine.database_url) as other:
        numbers = iter(range(2, 1_000))
        before_commit(chain, monkeypatch, lambda: other.submit("test", [order(next(numbers))]))
        engine.submit("test", [order(1)])
        engine.loop.iterate()
        monkeypatch.undo()
    engine.settle()
    with queries.reading(engine.database_url) as connection:
        assert queries.phases(connection) == {"completed": next(numbers) - 1}


def test_more_than_a_chain_takes_is_done_in_steps(engine: Engine, chain: Chain) -> None:
    engine.submit("test", [order(number) for number in range(NEW_MAX + 1)])
    assert chain.step() == 0
    engine.settle()
    with queries.reading(engine.database_url) as connection:
        assert queries.phases(connection) == {"completed": NEW_MAX + 1}


def test_of_positions_that_move_together_those_that_someone_has_moved_stay(engine: Engine) -> None:
    recorder, end = engine.recorder, engine.last_position()
    moves = [
        Move("sourcing", end, end + 1),
        Move("stock_levels", end, end + 1, generation=0),
        Move("locations", end, end + 1, generation=7),  # of rows that were rebuilt meanwhile
        Move("order_progress", end - 1, end + 1),
        Move("new here", 0, end + 1),
        Move("deadlines", 0, end + 1),  # has begun already
    ]
    expected = {"sourcing", "stock_levels", "new here"}
    assert recorder.move_at_rest(moves) == expected
    found: Sequence[tuple[str]] = asked(
        engine, f"SELECT application_name FROM {TRACKING} WHERE notification_id = {end + 1}"
    )
    assert {name for (name,) in found} == expected
