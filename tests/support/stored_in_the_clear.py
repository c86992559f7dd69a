"""A database that was filled before there was a key, and what its log says."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest

from oms_es.aggregates import repeats
from oms_es.app import Engine, migrate
from oms_es.kernel import Recorded
from oms_es.schemas.operations.encryption import EventsEncrypted
from oms_es.schemas.order import Address, AmendOrder
from oms_es.schemas.order.content import order_id_of
from people import (
    ADA,
    C_ADA,
    SAID,
    order_of,
    people_order,
)

MOVED = AmendOrder(
    order_id=order_id_of("web", "4"), amendment_id="b", ship_to=Address(name="Ada Lovelace", country="DE")
)


def fill_in_the_clear(url: str) -> None:
    """Fill a database without a key, as versions did that quoted what commands said."""
    migrate(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "_personal_in", lambda _kind: repeats.QUOTED_BEFORE)
        with Engine(url) as engine:
            people_order(engine)
            engine.submit("test", [order_of(ADA, C_ADA, "4"), MOVED])
            engine.settle()
    assert b'AmendOrder {\\"ship_to\\":{\\"name\\":\\"Ada Lovelace' in log_of(url)
    assert all(said.encode() in log_of(url) for said in SAID)


def log_of(url: str) -> bytes:
    with psycopg.connect(url) as connection:
        return b"\n".join(bytes(row[0]) for row in connection.execute("SELECT state FROM oms_events"))


def history(url: str) -> list[Recorded]:
    with Engine(url) as engine:
        codec = engine.store.codec
        return [codec.decode(row, row.id) for row in engine.recorder.after(0, 10_000)]


def records_in(events: Sequence[Recorded]) -> list[EventsEncrypted]:
    return [one.event for one in events if isinstance(one.event, EventsEncrypted)]


def said_in_the_log(url: str) -> list[str]:
    log = log_of(url)
    return [said for said in SAID if said.encode() in log]
