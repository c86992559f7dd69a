"""A reaction that is refused is put aside for a person while the rest continues, and is replayed later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
import pytest

from oms_es.app import Engine, migrate
from oms_es.app.replaying import foreseen, replayed
from oms_es.cli.operator.checking import verified
from oms_es.kernel import Command, Consumer, Refused
from oms_es.processing import aside
from oms_es.schemas.catalog.location import LocationOpened, OpenLocation
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.stock.refusals import StockRefusal
from oms_es.store.dead_letters import StoredDeadLetter, listed

OPENED = 9
CULPRIT = "place-5"


def the_reader(*, repaired: list[bool], refuses: type[Exception]) -> Consumer:
    """Return a consumer that receives one unit wherever a location opens; until it is repaired, one location refuses
    it."""
    reader = Consumer("stocker", emits=(ReceiveStock,))

    @reader.on(LocationOpened)
    def receive(event: LocationOpened) -> Sequence[Command]:
        wrong = event.location == CULPRIT and not repaired
        if wrong and refuses is Refused:
            raise Refused(StockRefusal.TOO_MANY_PLACES, "there is no room")
        if wrong and refuses is AssertionError:
            raise AssertionError("a broken promise")
        receipt_id = "x" * 129 if wrong else event.location
        return (ReceiveStock(sku="TEA", location=event.location, receipt_id=receipt_id, quantity=1),)

    return reader


def letters(engine: Engine) -> list[StoredDeadLetter]:
    with engine.recorder.datastore.cursor() as curs:
        return listed(curs)


def rows(database_url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize(("refuses", "reason"), [(ValueError, aside.INVALID), (Refused, "too_many_places")])
def test_what_a_consumer_may_not_ask_is_put_aside_and_followed_up_when_it_is_replayed(
    database_url: str, refuses: type[Exception], reason: str
) -> None:
    migrate(database_url)
    repaired: list[bool] = []
    reader = the_reader(repaired=repaired, refuses=refuses)
    with Engine(database_url, consumers=(reader,)) as engine:
        engine.submit("test", [OpenLocation(location=f"place-{n}", country="DE") for n in range(OPENED)])
        engine.settle()
        assert len(rows(database_url, "SELECT 1 FROM stock_levels")) == OPENED - 1
        assert engine.recorder.position("stocker") == engine.last_position()
        (letter,) = letters(engine)
        assert (letter.source, letter.dialect, letter.reason) == ("stocker", aside.DIALECT, reason)
        assert aside.read(letter.payload).fact == "LocationOpened"
        ((kind, detail),) = rows(database_url, "SELECT kind, detail FROM open_exceptions")
        assert kind == "put_aside"
        assert "stocker could not follow up LocationOpened at position 6" in str(detail)
        assert "xxx" not in str(detail)

        assert foreseen(engine, letter).why.startswith(reason)
        assert replayed(engine, "test", letter).startswith(reason)
        repaired.append(True)
        assert foreseen(engine, letter) == ("", ["StockReceived"])
        assert len(letters(engine)) == 1
        for _ in range(2):
            assert replayed(engine, "test", letter) == ""
        engine.settle()
        assert len(rows(database_url, "SELECT 1 FROM stock_levels")) == OPENED
        assert (letters(engine), rows(database_url, "SELECT 1 FROM open_exceptions")) == ([], [])
    assert verified(database_url).passed


def test_a_broken_promise_of_our_own_code_still_stops_its_reader(database_url: str) -> None:
    migrate(database_url)
    with Engine(database_url, consumers=(the_reader(repaired=[], refuses=AssertionError),)) as engine:
        engine.submit("test", [OpenLocation(location=f"place-{n}", country="DE") for n in range(OPENED)])
        with pytest.raises(Exception, match="a broken promise"):
            engine.settle()
        assert engine.recorder.position("stocker") == 5
        assert letters(engine) == []


def test_what_is_due_and_refused_is_rejected_once_and_the_rest_is_given(database_url: str) -> None:
    """A row stays due for as long as it exists."""
    migrate(database_url)
    given: list[Command] = [
        ReceiveStock(sku="TEA", location=location, receipt_id="1", quantity=1) for location in ("a", "refused", "b")
    ]

    def due(_: datetime, limit: int) -> Sequence[Command]:
        return given[:limit]

    with Engine(database_url, consumers=(), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)) as engine:
        decide = engine.store.deciders[ReceiveStock].decide

        def refusing(state: object, command: ReceiveStock) -> object:
            if command.location == "refused":
                raise Refused(StockRefusal.TOO_MANY_PLACES, "there is no room")
            return decide(state, command)

        engine.store.deciders[ReceiveStock] = engine.store.deciders[ReceiveStock].__class__(
            **{**vars(engine.store.deciders[ReceiveStock]), "decide": refusing}
        )
        ticker = engine.ticker(engine.log)
        ticker.due = due
        for _ in range(2):
            ticker._looked = -1e9
            ticker.step()
        (letter,) = letters(engine)
        assert (letter.source, letter.reason, letter.arrivals) == ("ticker", "too_many_places", 1)
        assert engine.last_position() == 2
