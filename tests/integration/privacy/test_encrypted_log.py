"""A database whose personal data is encrypted: what its log has of a person, who can read it, and what still agrees."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.app import DECIDERS, PROJECTIONS, Engine, Runtime, migrate
from oms_es.processing.bulk import processes as bulk_processes
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import AddNote, Address, AmendOrder, OrderPlaced, PlaceOrder
from oms_es.schemas.order.content import order_id_of
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.values.customer import Customer
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.store.privacy import subject_keys, wrapping
from oms_es.store.privacy.wrapping import KEYRING, NoDataKey
from oms_es.verification.verify import verify
from shop import an_order

KEY = b"\x07" * wrapping.KEY_BYTES
ADA = Address(
    name="Ada Lovelace", street="12 St James's Square", city="Marylebone", postal_code="SW1Y 4JH", country="GB"
)
CUSTOMER = Customer(customer_id="c-1815", email="ada@analytical.example", phone="+44 20 7946 0018", language="en")
SAID = (
    "Lovelace",
    "James's",
    "Marylebone",
    "SW1Y",
    "c-1815",
    "analytical",
    "20 7946",
    "ring twice",
    "wants it wrapped",
)
ORDER = order_id_of("web", "1")


def order_of_ada(number: str) -> PlaceOrder:
    placed = an_order(number, ("A", 1), notes="ring twice", metadata={"gift": "wants it wrapped"}, customer=CUSTOMER)
    return placed.model_copy(update={"ship_to": ADA})


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    migrate(database_url, data_keys=[KEY])
    with Engine(database_url) as engine:
        stock = ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=9)
        engine.submit("test", [OpenLocation(location="berlin", country="DE"), stock])
        engine.submit("test", [order_of_ada("1"), order_of_ada("2"), an_order("3", ("A", 1))])
        engine.submit("test", [AddNote(order_id=ORDER, note_id="n", note_text="Ada Lovelace wants it wrapped")])
        engine.settle()
        yield engine


def stored(url: str) -> bytes:
    with psycopg.connect(url) as connection:
        return b"\n".join(bytes(row[0]) for row in connection.execute("SELECT state FROM oms_events"))


def test_the_log_has_nothing_of_a_person_in_the_clear_and_the_engine_reads_all_of_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = stored(engine.database_url)
    assert [said for said in SAID if said.encode() in log] == []
    placed = engine.store.history(f"order-{ORDER}")[0].event
    assert isinstance(placed, OrderPlaced)
    assert (placed.ship_to, placed.customer, placed.notes) == (ADA, CUSTOMER, "ring twice")
    report = verify(engine.database_url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    assert report.passed, report.checks
    monkeypatch.setattr(bulk_processes, "EVENTS_PER_PROCESS_MIN", 10)
    rebuilt = engine.rebuild_all(PROJECTIONS, processes=2)
    assert [(one.projection, one.written, one.removed) for one in rebuilt if one.written or one.removed] == []


def test_an_order_has_one_key_whichever_process_writes(engine: Engine) -> None:
    with Engine(engine.database_url) as other:
        other.submit("test", [AddNote(order_id=ORDER, note_id="m", note_text="ring twice")])
    with psycopg.connect(engine.database_url) as connection:
        keys = connection.execute("SELECT subject, wrapped FROM oms_subject_keys").fetchall()
    assert {ORDER} <= {subject for subject, _ in keys}
    assert len(keys) == len({subject for subject, _ in keys}) == len({bytes(key) for _, key in keys})
    assert "ring twice" in {getattr(one.event, "note_text", "") for one in engine.store.history(f"order-{ORDER}")}


def test_without_the_key_nothing_is_opened_and_nothing_is_decided(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KEYRING, "_keys", {})
    with pytest.raises(NoDataKey, match="OMS_DATA_KEY_FILE"), Runtime(engine.database_url):
        pass
    report = verify(engine.database_url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    assert not report.passed
    monkeypatch.setattr(KEYRING, "_keys", {})
    KEYRING.hold([b"\x08" * wrapping.KEY_BYTES])
    with pytest.raises(NoDataKey, match=wrapping.id_of(KEY)), Runtime(engine.database_url):
        pass


def test_a_database_in_the_clear_is_encrypted_from_its_migration_on(database_url: str) -> None:
    migrate(database_url)
    with Engine(database_url) as engine:
        engine.submit("test", [order_of_ada("1")])
        engine.settle()
    assert b"Lovelace" in stored(database_url)
    migrate(database_url, data_keys=[KEY])
    with Engine(database_url) as engine:
        before = stored(database_url).count(b"Lovelace")
        engine.submit("test", [order_of_ada("2")])
        engine.settle()
        assert stored(database_url).count(b"Lovelace") == before
        assert engine.store.history(f"order-{order_id_of('web', '2')}")[0].event.ship_to == ADA  # type: ignore[attr-defined] # placed
    assert verify(database_url, DECIDERS, PROJECTIONS, Codec(EVENTS)).passed


def test_another_key_is_refused_before_anything_is_written_with_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This happens when a home is copied without its key, and a new key is made."""
    true, made = b"\x03" * wrapping.KEY_BYTES, b"\x04" * wrapping.KEY_BYTES
    monkeypatch.setattr(wrapping.KEYRING, "_keys", {})
    migrate(database_url, data_keys=[true])
    monkeypatch.setattr(wrapping.KEYRING, "_keys", {})
    with pytest.raises(wrapping.NoDataKey, match=wrapping.id_of(true)):
        migrate(database_url, data_keys=[made])
    monkeypatch.setattr(wrapping.KEYRING, "_keys", {})
    migrate(database_url, data_keys=[true, made])
    with psycopg.connect(database_url) as connection:
        assert subject_keys.newest(connection.cursor(row_factory=dict_row)) == wrapping.id_of(true)


def test_nothing_of_a_person_is_quoted_where_repeats_are_recognised() -> None:
    moved = AmendOrder(order_id="a", amendment_id="b", ship_to=Address(name="Ada Lovelace", country="DE"))
    assert "Ada" not in asked_of(moved)
    assert done_before(asked_of(moved), moved)
    quoted = 'AmendOrder {"ship_to":{"name":"Ada Lovelace","country":"DE"}}'
    assert done_before(quoted, moved), "as events had it before"


def test_a_key_is_made_where_the_database_is_whichever_way_leads_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(tmp_path))
    ways = [home, tmp_path / "link", Path(), Path("~/home")]
    assert {wrapping.beside(way) for way in ways} == {tmp_path.resolve() / "home.key"}
    with pytest.raises(wrapping.NoDataKey, match="OMS_DATA_KEY_FILE"):
        wrapping.make_at(Path("/proc/home.key"))


def test_a_key_is_made_once_beside_its_database_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = wrapping.beside(tmp_path / "home")
    wrapping.make_at(file)
    [key] = wrapping.from_file(file)
    wrapping.make_at(file)
    assert wrapping.from_file(file) == [key]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    file.chmod(0o640)
    with pytest.raises(NoDataKey, match="chmod 600"):
        wrapping.from_file(file)
    with pytest.raises(NoDataKey, match="OMS_DATA_KEY_FILE"):
        wrapping.from_file(tmp_path / "none")


@pytest.mark.parametrize(
    "text", ["", " \n ", "nonsense", "ключ", base64.b64encode(b"short").decode(), base64.b64encode(bytes(33)).decode()]
)
def test_what_is_no_key_is_refused_without_saying_what_it_was(text: str) -> None:
    with pytest.raises(NoDataKey, match="base64: name its file with OMS_DATA_KEY_FILE") as refused:
        wrapping.from_text(text)
    assert not text.strip() or text not in str(refused.value)
