"""The log sealed in PostgreSQL: beside engines, by several sealers at once, after an upgrade, and after tampering."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from conftest import fresh_database
from oms_es.app import Runtime, engine_on, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.processing.readers import Stopped
from oms_es.processing.sealer import SEAL_SECONDS, Sealer
from oms_es.proof.notes import Note, SignerKey, VerifierKey, signer_key
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.clock import Timing
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import PositionLost, datastore_of
from oms_es.store.sealing import keys
from oms_es.store.sealing.seals import Seal, SqlSealing
from oms_es.verification.seal_checks import Signed
from oms_es.verification.verify import check_log
from shop import an_order

ORDERS = 24
TABLES = ("oms_log_tiles", "oms_log_checkpoints", "oms_log_head")


@pytest.fixture(scope="module")
def world(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    """Return the name of a template database that every test copies."""
    with fresh_database(embedded_server) as url:
        with engine_on(url) as engine:
            stock = ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=2 * ORDERS)
            engine.submit("test", [OpenLocation(location="berlin", country="DE"), stock])
            engine.submit("test", [an_order(str(number), ("A", 1)) for number in range(ORDERS)])
            engine.settle()
        yield str(conninfo_to_dict(url)["dbname"])


@pytest.fixture
def url(embedded_server: EmbeddedPostgres, world: str) -> Iterator[str]:
    name = f"{world}_copy"
    with psycopg.connect(embedded_server.url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(world)))
        yield embedded_server.url_of(name)
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def checked(url: str, keys: list[VerifierKey] | None = None, against: list[Signed] | None = None) -> list[str]:
    book, _ = check_log(url, keys or [], against or [], Codec(EVENTS))
    return [difference for check in book.checks for difference in check.differences] + [
        f"{book.unsealed} are not sealed" for _ in range(book.unsealed and 1)
    ]


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def scalar(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row
        return row[0]


@pytest.fixture
def sealers(url: str) -> Iterator[list[Sealer]]:
    stores = [datastore_of(url) for _ in range(3)]
    yield [Sealer(SqlSealing(one), Timing(lambda: 0.0), 50) for one in stores]
    for one in stores:
        one.close()


def unseal(url: str) -> None:
    """Remove the seal, as an older version would leave the database."""
    execute(url, *(f"DROP TABLE {table}" for table in (*TABLES, "oms_log_keys")), "UPDATE oms_schema SET version = 12")


def test_an_engine_at_rest_has_sealed_its_log(url: str) -> None:
    assert checked(url) == []
    size = scalar(url, "SELECT size FROM oms_log_head")
    assert size == scalar(url, "SELECT count(*) FROM oms_events")
    assert size == scalar(url, "SELECT max(size) FROM oms_log_checkpoints")
    assert scalar(url, "SELECT min(size) FROM oms_log_checkpoints") == 0


def test_a_database_of_before_is_sealed_in_batches_whatever_interrupts(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine runs meanwhile: what is computed from events does not depend on when they are sealed."""
    newest = scalar(url, "SELECT note FROM oms_log_checkpoints ORDER BY size DESC LIMIT 1")
    events = scalar(url, "SELECT count(*) FROM oms_events")
    key = signer_key(str(scalar(url, "SELECT secret FROM oms_log_keys")))
    unseal(url)
    original, seals = SqlSealing.seal, []

    def ends_early(self: SqlSealing, previous_size: int, seal: Seal) -> None:
        original(self, previous_size, seal)
        seals.append(seal)
        if len(seals) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("oms_es.app.migration.Sealer", lambda sealing: Sealer(sealing, sealed_max=100))
    monkeypatch.setattr(SqlSealing, "seal", ends_early)
    with pytest.raises(KeyboardInterrupt):
        migrate(url, log_key=key)
    assert scalar(url, "SELECT size FROM oms_log_head") == 200
    with Runtime(url, log_key=key):
        pass  # engines of this version start while the log is being sealed
    migrate(url, log_key=key)
    assert scalar(url, "SELECT size FROM oms_log_head") == events
    assert scalar(url, "SELECT note FROM oms_log_checkpoints ORDER BY size DESC LIMIT 1") == newest
    assert scalar(url, "SELECT count(*) FROM oms_log_keys WHERE secret IS NOT NULL") == 0
    assert checked(url, [key.verifier]) == []


def test_sealers_that_race_seal_every_event_once(url: str, sealers: list[Sealer]) -> None:
    unseal(url)
    key = keys.generated("log.example")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oms_es.app.migration._seal", lambda *_: None)
        migrate(url, log_key=key)
    for sealer in sealers:
        assert isinstance(sealer.sealing, SqlSealing)
        sealer.sealing.given = key
    threads = [Thread(target=sealer.seal_all) for sealer in sealers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert checked(url, [key.verifier]) == []


def test_a_sealer_that_was_overtaken_changes_nothing(url: str, sealers: list[Sealer]) -> None:
    first, *_ = sealers
    with Runtime(url) as runtime:
        runtime.submit("test", [an_order("next", ("A", 1))])
        assert first.seal() > 0
        head = first.sealing.head()
        with pytest.raises(PositionLost):
            first.sealing.seal(head.size - 1, Seal(head._replace(size=9_999), {}, {}, Note("x\n", ())))
        assert first.sealing.head() == head
    assert checked(url) == []


def test_a_sealer_looks_every_few_seconds(url: str) -> None:
    now = [100.0]
    with datastore_of(url) as datastore:
        sealer = Sealer(SqlSealing(datastore), Timing(lambda: now[0]))
        execute(url, "UPDATE oms_log_head SET size = 0, position = 0", "DELETE FROM oms_log_tiles")
        execute(url, "DELETE FROM oms_log_checkpoints WHERE size > 0")
        assert [sealer.step(), sealer.step()] == [1, 0]
        assert checked(url) == []
        execute(url, "UPDATE oms_log_head SET size = 1")
        assert sealer.step() == 0
        now[0] += SEAL_SECONDS
        assert sealer.step() == 0  # nothing is new


def test_nothing_is_signed_on_top_of_a_sealed_log_that_was_changed(url: str) -> None:
    execute(
        url, "UPDATE oms_log_tiles SET hashes = overlay(hashes placing '\\x00' from 1) WHERE level = 0 AND number = 0"
    )
    for statement in (
        "UPDATE oms_log_tiles SET hashes = set_byte(hashes, 0, (get_byte(hashes, 0) + 1) % 256)",
        "DELETE FROM oms_log_tiles",
        "DELETE FROM oms_log_checkpoints",
    ):
        execute(url, statement)
        with datastore_of(url) as datastore, pytest.raises(Stopped, match="the sealed log was changed"):
            Sealer(SqlSealing(datastore)).seal()


STATE = "convert_from(state, 'UTF8')"
OTHER_ACTOR = f"convert_to(jsonb_set({STATE}::jsonb, '{{actor}}', '\"cli:x\"')::text, 'UTF8')"
SOME = "WHERE notification_id = (SELECT notification_id FROM oms_events WHERE topic = 'OrderReleased' LIMIT 1)"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"UPDATE oms_events SET state = {OTHER_ACTOR} {SOME}", "its actor was order_progress when it was sealed"),
        (f"UPDATE oms_events SET topic = 'OrderHeld' {SOME}", "its type was OrderReleased when it was sealed"),
        (f"UPDATE oms_events SET originator_version = 40 {SOME}", "its version was"),
        (f"UPDATE oms_events SET originator_id = 'order-x' {SOME}", "its stream was order-"),
        (f"DELETE FROM oms_events {SOME}", "an event that was sealed is not there"),
        (f"UPDATE oms_events SET notification_id = 1000000 {SOME}", "an event that was sealed is not there"),
        (
            "DELETE FROM oms_log_tiles WHERE level = 0 AND number = 0",
            "it was inserted after what is around it was sealed",
        ),
        (
            "UPDATE oms_log_tiles SET positions = NULL WHERE number = 0",
            "it was inserted after what is around it was sealed",
        ),
        ("UPDATE oms_log_head SET size = size - 1", "events are said to be sealed"),
        ("DELETE FROM oms_log_head", "the log was never begun"),
        ("UPDATE oms_log_keys SET public = 'x'", "the database names no key"),
        ("DELETE FROM oms_log_keys", "it is not signed by the key"),
        ("UPDATE oms_log_checkpoints SET note = 'x' WHERE size = 0", "the checkpoint of 0 events"),
    ],
)
def test_tampering_in_the_database_is_found_and_named(url: str, statement: str, said: str) -> None:
    execute(url, statement)
    found = checked(url)
    assert any(said in difference for difference in found), found


def test_rewritten_with_every_right_and_the_key_it_is_found_by_an_old_checkpoint(url: str) -> None:
    """Everything sealed and signed again, as the code does it: the database alone says that all is well."""
    old = str(scalar(url, "SELECT note FROM oms_log_checkpoints ORDER BY size DESC LIMIT 1"))
    keep = signer_key(str(scalar(url, "SELECT secret FROM oms_log_keys")))
    held = Signed("old.txt", old)
    assert checked(url, [keep.verifier], [held]) == []
    for change in (
        f"UPDATE oms_events SET state = convert_to(replace({STATE}, 'order_progress', 'cli:x'), 'UTF8') {SOME}",
        "DELETE FROM oms_events WHERE notification_id = (SELECT max(notification_id) FROM oms_events)",
    ):
        execute(url, change, *(f"DELETE FROM {table}" for table in TABLES))
        migrate(url, log_key=SignerKey(keep.name, keep.secret))
        assert checked(url, [keep.verifier]) == []
        (difference,) = checked(url, [keep.verifier], [held])
        assert difference.startswith("old.txt")


def test_a_key_is_of_its_log_and_comes_from_a_file_or_the_database(url: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    for text, said in (
        (None, "No such file"),
        ("x", "begins with PRIVATE"),
        (str(keys.generated("other")), "named other"),
    ):
        if text is not None:
            file.write_text(text)
        with pytest.raises(keys.NoLogKey, match=said), datastore_of(url) as datastore:
            SqlSealing(datastore, keys.from_file(file)).key()
    execute(url, "UPDATE oms_log_keys SET secret = NULL")
    with Runtime(url) as appends:
        appends.submit("test", [an_order("next", ("A", 1))])  # needs no key
        with pytest.raises(Stopped, match="OMS_LOG_KEY_FILE"):
            appends.sealer.step()
