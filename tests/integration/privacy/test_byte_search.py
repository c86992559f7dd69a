"""After a person is forgotten and the database purged, no file of it contains a byte of their data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import server
from oms_es.app import Engine, migrate
from oms_es.app.privacy import erasing, purging
from oms_es.app.privacy.purging import TABLES, purge
from oms_es.app.privacy.rows import OF_PEOPLE
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.history import states
from oms_es.reports import queries
from oms_es.reports.exporting import run
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.finance.account import CreditAccount, OpenAccount
from oms_es.schemas.finance.statement import RecordStatement, StatementLine, StatementPart
from oms_es.schemas.order import AddNote, Address, PlaceOrder, Tender
from oms_es.schemas.order.content import order_id_of
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.values.customer import Customer
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.dead_letters import DeadLetter, add_dead_letters
from oms_es.store.encoding.codec import Codec
from oms_es.store.http.tables import note_access
from oms_es.store.privacy import wrapping
from shop import an_order

KEY = b"\x0b" * wrapping.KEY_BYTES
ADA = Address(name="Ada Lovelace", street="12 St James's Square", postal_code="SW1Y 4JH", country="GB")
CUSTOMER = Customer(customer_id="cust-18151210", email="ada@analytical.example", phone="+44 20 7946 0018")
SAID = (b"Lovelace", b"lovelace", b"James's", b"4JH", b"18151210", b"ada@analytical", b"7946 0018", b"wants it wrapped")
ORDER, IN_THE_CLEAR = order_id_of("web", "1"), order_id_of("web", "0")
THEIRS = [IN_THE_CLEAR, ORDER, "account-acc-0", "account-acc-2", "statement-bank/0", "statement-bank/1"]
NOTHING_OF_A_PERSON = ("oms_stops", "oms_idempotency_keys", "oms_subject_keys", "oms_documents", "oms_snapshots")
"""Written again by a purge all the same, and empty of the person here."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def forgotten() -> Iterator[EmbeddedPostgres]:
    """Make a database in which every personal field was filled, one order before there was a key, and forget one
    person."""
    with server() as running:
        migrate(running.url)
        with Engine(running.url) as engine:
            engine.submit("test", [order_of_ada("0"), account_of_ada("acc-0"), statement_of_ada("0")])
            engine.settle()
        migrate(running.url, data_keys=[KEY])
        with Engine(running.url) as engine:
            everything_is_said(engine)
            assert found_in(running).keys() >= {*TABLES} - {*NOTHING_OF_A_PERSON}
            states.keep(running.url, OF_PEOPLE, engine.last_position(), "kept")
            erasing.ask(engine, "dpo", THEIRS, "request", None)
            engine.settle()
            erasing.erase(running.url, THEIRS, "dpo")
        yield running


def order_of_ada(number: str) -> PlaceOrder:
    placed = an_order(number, ("A", 1), customer=CUSTOMER, notes="Ada Lovelace: ring")
    return placed.model_copy(update={"ship_to": ADA})


def account_of_ada(account_id: str) -> OpenAccount:
    customer_id = CUSTOMER.customer_id or ""
    return OpenAccount(account_id=account_id, kind="deposit", channel="web", currency="EUR", customer_id=customer_id)


def statement_of_ada(statement_id: str) -> RecordStatement:
    said = "Ada Lovelace, 12 St James's Square, cust-18151210"
    part = StatementPart(amount_minor=5, text=said)
    line = StatementLine(kind="transfer", booked_on="2026-01-02", amount_minor=10, text=said, parts=(part, part))
    return RecordStatement(
        account="bank",
        statement_id=statement_id,
        format="mt940",
        currency="EUR",
        opened_on="2026-01-01",
        closed_on="2026-01-31",
        document_sha256="0" * 64,
        lines=(line, line),
    )


def everything_is_said(engine: Engine) -> None:
    paid = Tender(method="account", payment_token="acc-1", amount_minor=10_000)
    placed = order_of_ada("1").model_copy(update={"tenders": (paid,)})
    stock = ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=9)
    opened = OpenAccount(account_id="acc-1", kind="deposit", channel="web", currency="EUR")
    own = account_of_ada("acc-2")
    credited = CreditAccount(account_id="acc-1", entry_id="in", amount_minor=20_000)
    engine.submit(
        "test",
        [OpenLocation(location="berlin", country="DE"), stock, opened, own, credited, placed, statement_of_ada("1")],
    )
    engine.submit("test", [AddNote(order_id=ORDER, note_id="n", note_text="Ada Lovelace wants it wrapped")])
    engine.settle()
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        with connection.cursor() as curs:
            said = b'{"email": "ada@analytical.example", "name": "Ada Lovelace"}'
            add_dead_letters(curs, [DeadLetter("web", "1", "canonical", said, "x", "x", ())])
        note_access(connection, NOW, "support", "get-customer", "web~cust-18151210", "1")
    with psycopg.connect(engine.database_url, autocommit=True) as connection:
        connection.execute("ANALYZE")


def found_in(running: EmbeddedPostgres) -> Mapping[str, Collection[bytes]]:
    """Return which text is found in which table, or else in which file of the whole directory."""
    with psycopg.connect(running.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        tables = connection.execute(
            "SELECT pg_relation_filepath(c.oid), coalesce(i.indrelid, c.oid)::regclass::text FROM pg_class AS c "
            "LEFT JOIN pg_index AS i ON i.indexrelid = c.oid WHERE c.relkind IN ('r', 'i', 't')"
        )
        names = {running.cluster / path: name for path, name in tables if path}
    found: dict[str, set[bytes]] = defaultdict(set)
    for path in files_of(running.place):
        content = path.read_bytes()
        found[names.get(path, str(path))].update(said for said in SAID if said in content)
    return {name: said for name, said in found.items() if said}


def files_of(place: Path) -> Iterator[Path]:
    return (path for path in sorted(place.rglob("*")) if path.is_file())


def test_no_byte_of_the_person_is_left_in_any_file_and_a_table_that_is_left_out_is_found(
    forgotten: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = found_in(forgotten)
    left_out = {*before} & {*TABLES}
    assert left_out > {
        "accounts",
        "statement_lines",
        "order_recipients",
        "customers",
        "customer_spending",
        "order_notes",
        "oms_dead_letters",
    }
    assert any("pg_wal" in name for name in before)
    monkeypatch.setattr(purging, "TABLES", tuple(table for table in TABLES if table not in left_out))
    first = purge(forgotten.url)
    assert (first.left, first.tables) == ([], len(purging.TABLES) + 1), "the log, too, once"
    assert left_out <= found_in(forgotten).keys()
    monkeypatch.undo()
    second = purge(forgotten.url)
    assert (second.left, second.tables) == ([], len(TABLES))
    assert found_in(forgotten) == {}
    assert [said for said in SAID if said in exported(forgotten.url, tmp_path)] == []


def exported(url: str, to: Path) -> bytes:
    """Return every value of every row of a new export."""
    with queries.reading(url) as connection:
        run.export(connection, Codec(EVENTS).over(connection), to, lambda _done, _total: None)
    files = sorted(to.rglob("*.parquet"))
    assert files
    return repr([duckdb.read_parquet(str(file)).fetchall() for file in files]).encode()
