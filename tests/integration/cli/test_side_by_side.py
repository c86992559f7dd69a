"""Commands beside a running engine on an embedded database: the engine, or the command itself, processes what was
appended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
import pytest

from conftest import reachable_directory
from oms_es.app import Engine
from oms_es.cli import terminal
from oms_es.schemas.order import Address, OrderLine, PlaceOrder
from oms_es.settings import Settings


def order(number: int) -> PlaceOrder:
    return PlaceOrder(
        channel="web",
        external_id=f"W-{number}",
        placed_at=datetime(2026, 1, 5, tzinfo=UTC),
        currency="EUR",
        lines=(OrderLine(line_id="1", sku="A", quantity=1, unit_price_minor=999),),
        ship_to=Address(country="DE"),
    )


@pytest.fixture
def settings() -> Iterator[Settings]:
    with reachable_directory() as directory:
        yield Settings(home=directory / "home")


def phases(engine: Engine) -> list[tuple[str, str]]:
    with psycopg.connect(engine.database_url) as connection:
        return connection.execute("SELECT external_id, phase FROM order_status ORDER BY 1").fetchall()


def test_who_appends_last_goes_on_where_the_engine_it_left_it_to_is_gone(settings: Settings) -> None:
    with ExitStack() as beside, ExitStack() as first:
        one = first.enter_context(terminal.writing(settings))
        two = beside.enter_context(terminal.writing(settings))
        assert (one.alone, two.alone) == (True, False)
        first.close()
        two.submit("test", [order(1)])
        beside.close()
        with terminal.writing(settings, run=False) as after:
            assert phases(after) == [("W-1", "backordered")]


def test_an_engine_that_leaves_looks_whether_anything_was_appended_until_then(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = terminal.settle
    late = [order(2)]

    def settle_then_meet_another(engine: Engine) -> None:
        settle(engine)
        if late:
            with terminal.writing(settings) as another:
                another.submit("test", [late.pop()])
            assert phases(engine) == [("W-1", "backordered")]

    monkeypatch.setattr(terminal, "settle", settle_then_meet_another)
    with terminal.writing(settings) as engine:
        engine.submit("test", [order(1)])
    with terminal.writing(settings, run=False) as after:
        assert phases(after) == [("W-1", "backordered"), ("W-2", "backordered")]
