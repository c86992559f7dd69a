"""Documents on a real database and in a real folder: stored once, read in pieces, checked for damage, and swept in
time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from desk_story import OPEN, STOCK, lived, order
from oms_es.app import migrate
from oms_es.cli.operator.checking import verified
from oms_es.errors import NotFound
from oms_es.reports import existence
from oms_es.schemas.finance.statement import RecordStatement
from oms_es.schemas.operations.document import AttachDocument, RemoveDocument
from oms_es.store.documents import places, table

SCAN = b"%PDF-1.7\n" + bytes(range(256)) * 4_000
"""Of several pieces."""
NOW = datetime(2026, 3, 1, tzinfo=UTC)
CHECK = "every document that history names is stored, and its content has its hash"


@pytest.fixture(params=["row", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Iterator[Path | None]:
    migrate(database_url)
    folder = tmp_path / "documents" if request.param == "folder" else None
    places.SHELF.set_up(folder, places.BYTES_MAX, places.LOOSE_DAYS)
    yield folder
    places.SHELF.set_up(None, places.BYTES_MAX, places.LOOSE_DAYS)


def connected(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url, row_factory=dict_row, autocommit=True)


def added(url: str, content: bytes = SCAN, now: datetime = NOW) -> table.Kept:
    with closing(table.Receiver(places.BYTES_MAX)) as receiver, connected(url) as connection:
        for first in range(0, len(content), 100_000):
            receiver.take(content[first : first + 100_000])
        return table.add(connection, receiver.received(), now)


def swept(url: str, now: datetime) -> int:
    with connected(url) as connection:
        return table.sweep(connection, now)


def failed(url: str) -> list[str]:
    return [check.name for check in verified(url).checks if check.failed]


def test_the_same_bytes_are_kept_once_and_come_back_in_pieces(database_url: str, place: Path | None) -> None:
    first, again = added(database_url), added(database_url)
    assert first.kept_at == again.kept_at
    assert (first.sha256, first.media_type) == (sha256(SCAN).hexdigest(), "application/pdf")
    assert first.in_row == (place is None)
    found = list(table.pieces(lambda: connected(database_url), first))
    assert b"".join(found) == SCAN
    assert max(map(len, found)) <= places.PIECE_BYTES
    if place:
        assert [file.name for file in place.rglob("*") if file.is_file()] == [first.sha256]


def test_more_than_may_be_kept_is_refused_as_soon_as_it_is_more() -> None:
    with closing(table.Receiver(10)) as receiver:
        with pytest.raises(table.Empty, match="has none"):
            receiver.received()
        receiver.take(b"0123456789")
        with pytest.raises(table.TooLarge, match="at most 10 bytes"):
            receiver.take(b"!")


def test_an_attached_document_that_is_damaged_or_gone_is_found_and_never_given_out(
    database_url: str, place: Path | None
) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    kept = added(database_url, now=datetime.now(UTC))
    lived(database_url, AttachDocument(sha256=kept.sha256, entity="order", entity_id="web/W-1"))
    assert failed(database_url) == []
    if place:
        (place / kept.sha256[:2] / kept.sha256).write_bytes(SCAN[:-1] + b"!")
    else:
        with connected(database_url) as connection:
            connection.execute("ALTER TABLE oms_documents DROP CONSTRAINT oms_documents_check")
            connection.execute("UPDATE oms_documents SET content = content || '!'")
    with pytest.raises(table.NotAsAddressed):
        list(table.pieces(lambda: connected(database_url), kept))
    assert failed(database_url) == [CHECK]
    if place:
        assert added(database_url).sha256 == kept.sha256  # brought again, it is whole again
        assert failed(database_url) == []
        places.SHELF.set_up(None, places.BYTES_MAX, places.LOOSE_DAYS)
        assert failed(database_url) == [CHECK]
        with pytest.raises(places.FolderUnavailable, match="OMS_DOCUMENT_FOLDER"):
            list(table.pieces(lambda: connected(database_url), kept))


def test_what_no_one_attached_goes_in_time_and_what_is_attached_stays(database_url: str, place: Path | None) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    now = datetime.now(UTC)
    loose, attached = added(database_url, b"loose", now), added(database_url, SCAN, now)
    lived(database_url, AttachDocument(sha256=attached.sha256, entity="order", entity_id="web/W-1"))
    term = timedelta(days=places.LOOSE_DAYS)
    assert swept(database_url, now + term) == 0
    assert swept(database_url, now + term + table.GRACE + timedelta(seconds=1)) == 1
    with connected(database_url) as connection, pytest.raises(NotFound):
        table.look(connection, loose.sha256)
    assert b"".join(table.pieces(lambda: connected(database_url), attached)) == SCAN
    if place:
        assert [file.name for file in place.rglob("*") if file.is_file()] == [attached.sha256]


def test_what_was_removed_goes_and_verify_does_not_ask_for_it(database_url: str, place: Path | None) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    now = datetime.now(UTC)
    kept = added(database_url, now=now)
    lived(database_url, AttachDocument(sha256=kept.sha256, entity="order", entity_id="web/W-1"))
    lived(database_url, RemoveDocument(sha256=kept.sha256, reason="asked to", now=now))
    assert swept(database_url, now) == 1
    assert failed(database_url) == []
    if place:
        assert not [file for file in place.rglob("*") if file.is_file()]


def test_what_the_engine_keeps_itself_is_never_swept(database_url: str, place: Path | None) -> None:
    added(database_url)
    with connected(database_url) as connection:
        assert table.keep(connection, SCAN, "application/pdf").loose_until is None
    assert added(database_url).loose_until is None
    assert swept(database_url, NOW + timedelta(days=1_000)) == 0
    assert place is None or any(file.is_file() for file in place.rglob("*"))


def test_what_a_label_or_a_statement_names_by_hand_is_never_swept_nor_removed(
    database_url: str, place: Path | None
) -> None:
    kept, removed = added(database_url), added(database_url, b"removed")
    lived(database_url, RemoveDocument(sha256=removed.sha256, reason="asked to", now=NOW))
    with connected(database_url) as connection:
        connection.execute("SET default_transaction_read_only = on")
        statement = RecordStatement(
            account="bank",
            statement_id="1",
            format="mt940",
            currency="EUR",
            opened_on="2026-01-01",
            closed_on="2026-01-31",
            document_sha256=kept.sha256,
        )
        existence.require_document(connection, statement)
        with pytest.raises(existence.Missing):
            existence.require_document(connection, statement.model_copy(update={"document_sha256": removed.sha256}))
        assert table.is_of_the_engine(connection, kept.sha256)
    assert swept(database_url, NOW + timedelta(days=1_000)) == 1
    assert b"".join(table.pieces(lambda: connected(database_url), kept)) == SCAN


AFTER = NOW + timedelta(days=1_000)


def files_in(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file()]


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_sweep_that_cannot_reach_the_folder_deletes_no_row_of_it(database_url: str, place: Path) -> None:
    in_folder = added(database_url)
    places.SHELF.set_up(None, places.BYTES_MAX, places.LOOSE_DAYS)
    in_row = added(database_url, b"in its row")
    assert swept(database_url, AFTER) == 1
    (elsewhere := place.with_name("unmounted")).mkdir()
    for wrong in (None, elsewhere, place / "none"):
        places.SHELF.set_up(wrong, places.BYTES_MAX, places.LOOSE_DAYS)
        with pytest.raises(places.FolderUnavailable):
            swept(database_url, AFTER)
    with connected(database_url) as connection:
        assert table.look(connection, in_folder.sha256).in_row is False
        with pytest.raises(NotFound):
            table.look(connection, in_row.sha256)
    assert files_in(place) == [in_folder.sha256]
    places.SHELF.set_up(place, places.BYTES_MAX, places.LOOSE_DAYS)
    (place / in_folder.sha256[:2] / in_folder.sha256).unlink()  # as a sweep that was killed left it
    assert swept(database_url, AFTER) == 1
    assert swept(database_url, AFTER) == 0


def test_what_is_added_as_a_sweep_deletes_it_is_kept_with_its_bytes(database_url: str, place: Path | None) -> None:
    old = added(database_url)
    with ThreadPoolExecutor(1) as pool, connected(database_url) as sweeper, connected(database_url) as watching:
        with sweeper.transaction():
            sweeper.execute("SELECT pg_advisory_xact_lock(%s)", [table.SWEEP_LOCK])
            if place:
                places.Folder(place).remove([old.sha256])
            sweeper.execute("DELETE FROM oms_documents WHERE sha256 = %s", [old.sha256])
            adding = pool.submit(added, database_url)
            until = time.monotonic() + 10
            while not watching.execute("SELECT pid FROM pg_locks WHERE NOT granted").fetchone():
                assert time.monotonic() < until, "it waits for no one who sweeps"
                time.sleep(0.01)
        kept = adding.result(10)
    assert b"".join(table.pieces(lambda: connected(database_url), kept)) == SCAN


def test_many_who_add_while_many_sweep_find_their_bytes_or_no_row(database_url: str, place: Path | None) -> None:
    small = b"of a few bytes"

    def sweep_often() -> int:
        return sum(swept(database_url, AFTER) for _ in range(25))

    def add_often() -> int:
        return sum(added(database_url, small).byte_count == len(small) for _ in range(25))

    with ThreadPoolExecutor(4) as pool:
        sweeps, adds = ([pool.submit(do) for _ in range(2)] for do in (sweep_often, add_often))
        assert sum(one.result(60) for one in adds) == 50
        assert sum(one.result(60) for one in sweeps) > 0
    kept = added(database_url, small)
    assert b"".join(table.pieces(lambda: connected(database_url), kept)) == small


def test_a_row_without_bytes_is_refused_by_the_database(database_url: str, place: Path | None) -> None:
    kept = added(database_url)
    change = "in_folder = false" if place else "content = NULL"
    with connected(database_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"UPDATE oms_documents SET {change} WHERE sha256 = %s".encode(), [kept.sha256])
