"""What is kept about a person is given out whole, as JSON, and once they are forgotten nothing of them is."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.app import Engine, migrate
from oms_es.app.privacy import erasing
from oms_es.exit_codes import Code
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import AddNote, Address
from oms_es.schemas.order.content import order_id_of
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.values.customer import Customer
from oms_es.store.dead_letters import DeadLetter, add_dead_letters
from oms_es.store.http.tables import note_access
from oms_es.store.privacy import wrapping
from shop import an_order

KEY = b"\x0c" * wrapping.KEY_BYTES
ADA = Address(name="Ada Lovelace", street="12 St James's Square", postal_code="SW1Y 4JH", country="GB")
CUSTOMER = Customer(customer_id="c-1815", email="ada@analytical.example")
ORDER, OTHER = order_id_of("web", "1"), order_id_of("web", "2")


@pytest.fixture
def engine(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    file = tmp_path / "key"
    file.write_text(base64.b64encode(KEY).decode())
    file.chmod(0o600)
    monkeypatch.setenv("OMS_DATA_KEY_FILE", str(file))
    migrate(database_url, data_keys=[KEY])
    with Engine(database_url) as engine:
        stock = ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=9)
        placed = an_order("1", ("A", 1), customer=CUSTOMER, notes="ring twice").model_copy(update={"ship_to": ADA})
        engine.submit("test", [OpenLocation(location="berlin", country="DE"), stock, placed, an_order("2", ("A", 1))])
        engine.submit("test", [AddNote(order_id=ORDER, note_id="n", note_text="wants it wrapped")])
        engine.settle()
        with psycopg.connect(database_url, row_factory=dict_row) as connection:
            with connection.cursor() as curs:
                about = [
                    b'{"email": "ada@analytical.example"}',
                    b'{"email": "nevada@analytical.example"}',
                    b'{"email": "grace@navy.example"}',
                ]
                add_dead_letters(curs, [DeadLetter("web", "1", "canonical", said, "x", "x", ()) for said in about])
            for subject in ("web~c-1815", ORDER, OTHER):
                note_access(connection, datetime(2026, 1, 1, tzinfo=UTC), "support", "get", subject, "1")
        yield engine


def test_everything_of_the_person_and_nothing_of_another(oms: Any, engine: Engine, tmp_path: Path) -> None:
    code, out, _ = oms("privacy", "export", "--customer", "web/c-1815")
    assert code == Code.OK
    found = json.loads(out)
    assert found["customers"] == [{"channel": "web", "customer_id": "c-1815"}]
    [order] = found["orders"]
    assert order["order_id"] == ORDER
    said = {one["type"]: one["event"] for one in order["events"]}
    assert said["OrderPlaced"]["ship_to"]["street"] == ADA.street
    assert said["OrderNoteAdded"]["note_text"] == "wants it wrapped"
    assert said["ShipmentRequested"]["ship_to"]["name"] == ADA.name
    assert {"PaymentRequested", "ShipmentDelivered"} <= said.keys()
    assert [row["email"] for row in found["read_models"]["customers"]] == [CUSTOMER.email]
    assert [row["name"] for row in found["read_models"]["order_recipients"]] == [ADA.name]
    assert [row["subject"] for row in found["access_log"]] == ["web~c-1815", ORDER]
    assert [row["payload"] for row in found["dead_letters"]] == ['{"email": "ada@analytical.example"}']
    assert OTHER not in out
    assert len(found["dead_letters_like_theirs"]) == 1, "named, and not given out"
    file = tmp_path / "ada.json"
    file.write_text("before")
    file.chmod(0o644)
    assert oms("privacy", "export", "web/1", "--to", str(file))[:2] == (Code.OK, "")
    assert json.loads(file.read_text())["orders"] == found["orders"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "ada" in path.name] == ["ada.json"]
    assert oms("privacy", "export", "web/none")[0] == Code.NOT_FOUND


def test_once_they_are_forgotten_nothing_of_them_is_given_out(oms: Any, engine: Engine) -> None:
    erasing.ask(engine, "dpo", [ORDER], "request", None)
    engine.settle()
    erasing.erase(engine.database_url, [ORDER], "dpo")
    code, out, _ = oms("privacy", "export", "web/1")
    assert code == Code.OK
    assert [
        said for said in ("Lovelace", "James", "c-1815", "analytical", "ring twice", "wrapped") if said in out
    ] == []
    assert json.loads(out)["orders"][0]["events"][-1]["type"] == "OrderForgotten"


def test_a_case_holds_and_releases_from_the_terminal(oms: Any, engine: Engine) -> None:
    of_ada = ("--customer", "web/c-1815", "--case", "case-7")
    assert oms("privacy", "release", *of_ada)[0] == Code.REFUSED
    assert oms("privacy", "hold", *of_ada)[:2] == (Code.OK, "held: 1 orders, by case-7\n")
    assert oms("privacy", "hold", *of_ada)[0] == Code.OK
    code, _, err = oms("privacy", "forget", "web/1")
    assert (code, "case-7 holds it" in err) == (Code.REFUSED, True)
    assert oms("privacy", "release", *of_ada)[:2] == (Code.OK, "released: 1 orders, by case-7\n")
    code, out, err = oms("privacy", "hold", *of_ada)
    assert (code, out, "another case id" in err) == (Code.REFUSED, "", True), "it does not say held of what is not"
    assert f"order web/1 {ORDER}" in err
    assert [type(one.event).__name__ for one in engine.store.history(f"order-{ORDER}")][-2:] == [
        "OrderLegalHoldPlaced",
        "OrderLegalHoldLifted",
    ]
