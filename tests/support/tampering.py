"""Tampering with every right on a database, as well as its author could."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from pydantic_core import from_json, to_json

from oms_es.app import Engine
from oms_es.app.privacy import erasing
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.database.rows import connected
from oms_es.kernel import SystemCommand
from oms_es.schemas.operations.encryption import EncryptedEvent, RecordEncryption
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.sealing import folder
from oms_es.verification.seal_checks import Signed
from oms_es.verification.verify import Report, check_log


class World(NamedTuple):
    """A database, and the checkpoints that an auditor has of it."""

    name: str
    held: list[Signed]


@contextmanager
def copied(server: EmbeddedPostgres, world: World) -> Iterator[str]:
    name = f"{world.name}_copy"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(world.name)))
        try:
            yield server.url_of(name)
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def held_of(url: str, kept: Path) -> list[Signed]:
    with connected(url) as rows:
        folder.export(rows, kept)
    return [Signed(file.name, file.read_text()) for file in folder.checkpoints_in(kept)]


def done(url: str, *statements: str, values: list[Any] | None = None) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode(), values)


def one(url: str, query: str) -> Any:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchone()


def edit(url: str, query: str, change: Callable[[dict[str, Any]], None]) -> int:
    """Change the JSON of the event that a query finds; return its position."""
    found = one(url, query)
    body = from_json(bytes(found["state"]))
    change(body)
    state, position = to_json(body), found["notification_id"]
    done(url, "UPDATE oms_events SET state = %s WHERE notification_id = %s", values=[state, position])
    return int(position)


def excuse(url: str, position: int, before: bytes, after: bytes, previous: int, through: int) -> int:
    """Append the record that excuses a change, and note it where the migration notes its own; return its position."""
    named = EncryptedEvent(position=position, before=sha256(before).hexdigest(), after=sha256(after).hexdigest())
    give(url, RecordEncryption(previous=previous, reached=position, through=through, events=(named,), checkpoint=""))
    record = int(one(url, "SELECT max(notification_id) AS at FROM oms_events")["at"])
    noted = "INSERT INTO oms_encrypted_later SELECT %s, max(through), %s FROM oms_encrypted_later"
    done(url, noted, values=[position, record])
    return record


def give(url: str, command: SystemCommand) -> None:
    """Append what a decider refuses, too."""
    with Engine(url) as engine:
        decider = engine.store.deciders[type(command)]
        event = decider.emits[0](**command.model_dump())
        _, version = engine.store.state_of(command.stream)
        recorded = engine.store.codec.envelop(command.stream, version + 1, event, Cause("migrate"), engine.clock())
        state = engine.store.codec.encode(recorded)
        done(
            url,
            "INSERT INTO oms_events (originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
            values=[command.stream, version + 1, type(event).__name__, state],
        )
        engine.sealer.seal_all()


def forget(url: str, order_id: str) -> None:
    with Engine(url) as engine:
        erasing.ask(engine, "dpo", [order_id], "request", None)
        engine.settle()
    erasing.erase(url, [order_id], "dpo")


def checked(url: str, held: list[Signed]) -> Report:
    return check_log(url, (), held, Codec(EVENTS))[1]


def differences(url: str, held: list[Signed]) -> list[str]:
    return [difference for check in checked(url, held).checks for difference in check.differences]
