"""The key that wraps the keys of orders is changed: while others write, interrupted, and by the command line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from oms_es.app import DECIDERS, PROJECTIONS, Engine, Runtime, migrate
from oms_es.database.rows import connected
from oms_es.exit_codes import Code
from oms_es.schemas.order import AddNote
from oms_es.schemas.order.content import order_id_of
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.store.privacy import rotation, wrapping
from oms_es.store.privacy.rotation import Rotated, rotate, standing
from oms_es.store.privacy.wrapping import KEYRING, NoDataKey, id_of
from oms_es.verification.verify import verify
from shop import an_order

OLD, NEW = b"\x01" * wrapping.KEY_BYTES, b"\x02" * wrapping.KEY_BYTES
ORDERS = 30


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(KEYRING, "_keys", {})
    migrate(database_url, data_keys=[OLD])
    with Engine(database_url) as engine:
        engine.submit("test", [an_order(str(number), ("A", 1), notes="ring twice") for number in range(ORDERS)])
        yield engine


def events(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT notification_id, state FROM oms_events ORDER BY 1").fetchall()


def wrapped_by(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT DISTINCT wrapped_by FROM oms_subject_keys")}


def test_every_key_is_wrapped_again_and_no_event_changes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = events(engine.database_url)
    with connected(engine.database_url) as rows:
        with pytest.raises(NoDataKey, match=id_of(NEW)):
            rotate(rows, id_of(NEW))
        KEYRING.hold([NEW])
        assert rotate(rows, id_of(NEW)) == Rotated(id_of(NEW), ORDERS, [id_of(OLD)])
        assert rotate(rows, id_of(NEW)) == Rotated(id_of(NEW), 0, [])
        assert standing(rows) == (id_of(NEW), [], ORDERS)
    assert events(engine.database_url) == before
    assert wrapped_by(engine.database_url) == {id_of(NEW)}
    monkeypatch.setattr(KEYRING, "_keys", {id_of(NEW): NEW})
    with Runtime(engine.database_url) as other:
        assert {one.event.notes for one in other.store.history(f"order-{order_id_of('web', '7')}")} == {"ring twice"}  # type: ignore[attr-defined] # placed
    assert verify(engine.database_url, DECIDERS, PROJECTIONS, Codec(EVENTS)).passed


def test_while_another_process_writes_none_of_its_keys_is_left_behind(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    KEYRING.hold([NEW])
    monkeypatch.setattr(rotation, "OF_OTHERS", rotation.OF_OTHERS.replace("LIMIT 1000", "LIMIT 1"))
    rotated: list[Rotated] = []

    def rotating() -> None:
        with connected(engine.database_url) as rows:
            rotated.append(rotate(rows, id_of(NEW)))

    thread = Thread(target=rotating)
    thread.start()
    for number in range(ORDERS, 2 * ORDERS):
        engine.submit("test", [an_order(str(number), ("A", 1), notes="ring twice")])
        engine.submit("test", [AddNote(order_id=order_id_of("web", "0"), note_id=str(number), note_text="twice")])
    thread.join()
    assert [one.unneeded for one in rotated] == [[id_of(OLD)]]
    assert wrapped_by(engine.database_url) == {id_of(NEW)}
    engine.settle()
    assert verify(engine.database_url, DECIDERS, PROJECTIONS, Codec(EVENTS)).passed


def test_what_was_interrupted_is_ended_by_the_next(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    KEYRING.hold([NEW])
    monkeypatch.setattr(rotation, "OF_OTHERS", rotation.OF_OTHERS.replace("LIMIT 1000", "LIMIT 4"))
    some = rotation._some
    left = iter(range(3))

    def killed(*arguments: Any) -> int:
        next(left)
        return some(*arguments)

    monkeypatch.setattr(rotation, "_some", killed)
    with connected(engine.database_url) as rows:
        with pytest.raises(StopIteration):
            rotate(rows, id_of(NEW))
        assert wrapped_by(engine.database_url) == {id_of(OLD), id_of(NEW)}
        engine.submit("test", [an_order("more", ("A", 1))])
        monkeypatch.setattr(rotation, "_some", some)
        assert rotate(rows, id_of(NEW)) == Rotated(id_of(NEW), ORDERS - 3 * 4, [id_of(OLD)])
    assert wrapped_by(engine.database_url) == {id_of(NEW)}


def test_from_the_terminal(oms: Any, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    assert "in the clear" in oms("privacy", "status")[2]
    assert oms("privacy", "rotate")[0] == Code.USAGE
    file.write_text(base64.b64encode(OLD).decode())
    file.chmod(0o600)
    monkeypatch.setenv("OMS_DATA_KEY_FILE", str(file))
    assert oms("privacy", "rotate")[0] == Code.USAGE
    assert oms("migrate")[0] == Code.OK
    with Engine(database_url) as engine:
        engine.submit("test", [an_order("1", ("A", 1), notes="ring twice")])
    assert oms("privacy", "status")[1] == f"encrypted: 1 keys, wrapped with {id_of(OLD)}\n"
    file.write_text(f"{base64.b64encode(NEW).decode()}\n{base64.b64encode(OLD).decode()}\n")
    code, out, err = oms("privacy", "rotate")
    assert (code, out) == (Code.OK, f"1 keys are now wrapped with {id_of(NEW)}\n")
    assert id_of(OLD) in err
    assert json.loads(oms("privacy", "status", "--json")[1]) == {
        "wraps_with": id_of(NEW),
        "others": [],
        "orders": 1,
        "unfinished": [],
    }
