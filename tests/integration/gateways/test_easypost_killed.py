"""An engine process that books at EasyPost is killed in the middle of a booking, and what webhooks did not report
is polled.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from oms_es.app import Engine, migrate
from oms_es.app.connecting.providers import gateways_of
from oms_es.app.external_systems import Connected, Unconnected
from oms_es.cli.main import main
from oms_es.exit_codes import Code
from oms_es.gateways.carrier.easypost.client import Client
from oms_es.gateways.carrier.easypost.provider import BATCH_MAX, EasyPostCarrier
from oms_es.gateways.carrier.port import CarrierGateway
from oms_es.gateways.loopback.carriers.easypost_books import EasyPostBooks
from oms_es.gateways.loopback.carriers.easypost_server import EasyPostServer, Mishap
from oms_es.kernel import GatewayUnavailable, Recorded
from oms_es.processing.gateway_worker import HELD_SECONDS_MIN, GatewayWorker
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import Address
from oms_es.schemas.shipment import ShipmentBookingRequested
from oms_es.schemas.stock import ReceiveStock
from oms_es.settings import Settings
from shop import an_order

KEY = "EZTK_loopback"
SENDERS = {"berlin": {"company": "Shop", "street1": "1 Pier", "city": "Oakland", "state": "CA", "country": "US"}}
ORDER: dict[str, Any] = {
    "channel": "web",
    "external_id": "1",
    "placed_at": "2026-01-01T12:00:00Z",
    "currency": "USD",
    "lines": [{"line_id": "1", "sku": "A", "quantity": 1, "unit_price_minor": 300}],
    "ship_to": {"name": "Ann", "street": "1 Main St", "city": "Austin", "postal_code": "78701", "country": "US"},
}
STEPS = {"create": ("POST", "/v2/shipments"), "buy": ("POST", "/buy"), "label": ("GET", ".pdf")}
"""The requests in the middle of which the process is killed, one after the other."""


class World:
    """EasyPost, and the process that asks it. `victim` is killed once the next of `kills` is done. What is
    asked for at a path with `silent` in it is not answered."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.books = EasyPostBooks(time.time)
        self.server = EasyPostServer(self.books, KEY, self._mishap)
        self.kills: list[tuple[str, str]] = []
        self.victim = 0
        self.silent = ""

    def _mishap(self, method: str, path: str) -> Mishap:
        if self.silent and self.silent in path:
            return "dropped"
        if self.kills and self.victim and method == self.kills[0][0] and path.endswith(self.kills[0][1]):
            self.kills.pop(0)
            os.kill(self.victim, SIGKILL)
            return "lost"
        return ""

    def run(self) -> int:
        """Run the engine in a process of its own until it is at rest or dead, and return how it ended."""
        self.victim = os.fork()
        if not self.victim:
            with suppress(BaseException), Engine(self.database_url, connected=gateways_of(Settings())) as engine:
                engine.settle()
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(self.victim, 0)
        self.victim = 0
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def world(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(database_url)
    senders = tmp_path / "senders.json"
    senders.write_text(json.dumps(SENDERS))
    migrate(database_url)
    with world.server.listening() as address:
        for name, value in {
            "DATABASE_URL": database_url,
            "GATEWAYS": "simulated",
            "CARRIERS": "easypost",
            "EASYPOST_API_KEY": KEY,
            "EASYPOST_BASE": address,
            "EASYPOST_SENDERS_FILE": str(senders),
        }.items():
            monkeypatch.setenv(f"OMS_{name}", value)
        yield world


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == Code.OK
    return json.loads(capsys.readouterr().out)


def test_however_often_it_is_killed_a_parcel_has_one_label_and_what_webhooks_did_not_say_is_polled(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orders = tmp_path / "orders.jsonl"
    orders.write_text(json.dumps(ORDER))
    assert main(["location", "open", "berlin", "--country", "US"]) == Code.OK
    assert main(["stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "5"]) == Code.OK
    assert main(["orders", "import", str(orders), "--no-run"]) == Code.OK
    world.kills = list(STEPS.values())
    ends = [world.run() for _ in (*STEPS, "")]
    assert (ends, world.kills) == ([*[-SIGKILL] * len(STEPS), 0], [])
    (label,) = world.books.standing()
    assert len(world.books.shipments) == 1, "the one that was made before the first kill is found by its reference"
    with psycopg.connect(world.database_url) as connection:
        parcel = connection.execute("SELECT status, tracking_number FROM shipments").fetchall()
        labels = connection.execute("SELECT media_type FROM oms_documents").fetchall()
    assert (parcel, labels) == ([("booked", label["tracking_code"])], [("application/pdf",)])
    assert main(["shipment", "label", label["options"]["print_custom_1"]]) == Code.OK
    assert f"label /labels/{label['id']}.pdf" in capsys.readouterr().out
    assert main(["shipment", "label", label["options"]["print_custom_1"], "--carton-id", "c9"]) == Code.NOT_FOUND
    world.books.scan(label["tracking_code"], "in_transit", "Accepted")
    world.books.scan(label["tracking_code"], "delivered", "At the door")
    usual = {"asked": 1, "changed": 1, "unknown": 0, "unanswered": 0, "rejected": 0, "left_out": 0}
    assert shown(capsys, "callbacks", "poll") == usual
    assert world.run() == 0
    assert shown(capsys, "callbacks", "poll") == {**usual, "asked": 0, "changed": 0}, "it has arrived"
    assert shown(capsys, "order", "show", "web/1")["order"]["phase"] == "completed"
    assert main(["verify"]) == Code.OK


def test_what_is_not_set_up_is_said_before_anything_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"berlin": {"street1": "", "country": "US"}}')
    for name, value, words in (
        ("EASYPOST_SENDERS_FILE", str(bad), "berlin.street1"),
        ("EASYPOST_SENDERS_FILE", str(tmp_path / "none.json"), "cannot be read"),
        ("EASYPOST_API_KEY", None, "set OMS_EASYPOST_API_KEY"),
        ("CARRIERS", "commands", "set OMS_CARRIERS=easypost"),
    ):
        if value is None:
            monkeypatch.delenv(f"OMS_{name}")
        else:
            monkeypatch.setenv(f"OMS_{name}", value)
        capsys.readouterr()
        assert main(["callbacks", "poll"]) == Code.USAGE
        assert words in capsys.readouterr().err
    assert world.server.requests == []


def test_a_parcel_without_an_answer_is_held_and_the_others_are_recorded(world: World) -> None:
    world.silent = "/v2/"
    settings = Settings(gateway_failures_max=100)
    with Engine(world.database_url, connected=gateways_of(settings)) as engine:
        engine.submit("test", [OpenLocation(location="berlin", country="US")])
        engine.submit("test", [ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=5)])
        for number in range(3):
            order = an_order(str(number), ("A", 1)).model_copy(update={"ship_to": Address(**ORDER["ship_to"])})
            engine.submit("test", [order])
        (worker,) = (one for one in engine.loop.workers if isinstance(one, GatewayWorker) and one.name == "carrier")
        assert worker.batch_max == BATCH_MAX, "all of a step take less time than a worker may be silent"
        intents: list[Recorded] = []
        while len(intents) < 3:
            engine.loop.iterate()
            history = (engine.store.codec.decode(row, row.id) for row in engine.recorder.after(0, 500))
            intents = [one for one in history if isinstance(one.event, ShipmentBookingRequested)]
        world.silent = str(intents[1].event_id)
        assert worker.step()
        assert [intent.event_id for intent in worker.held] == [intents[1].event_id]
        assert intents[0].position <= worker.saved < intents[1].position < worker.seen
        with psycopg.connect(world.database_url) as connection:
            kept = connection.execute("SELECT count(*) FROM oms_documents").fetchall()
        world.silent = ""
        while worker.held:
            worker.step()
            time.sleep(HELD_SECONDS_MIN / 5)
        assert worker.saved >= intents[2].position
    assert (kept, len(world.books.standing())) == ([(2,)], 3)


def test_a_parcel_that_another_process_asks_for_is_left_to_it(database_url: str) -> None:
    def gateway() -> CarrierGateway:
        carrier = EasyPostCarrier(Client(KEY, base="http://127.0.0.1:9"), {}, currency="", label_format="PDF")
        one = CarrierGateway(carrier)
        Connected([one], Unconnected(), database_url)
        return one

    first, second = gateway(), gateway()
    keys = [uuid4(), uuid4()]
    with first.alone(keys[:1]) as still_alone:
        still_alone()
        with pytest.raises(GatewayUnavailable, match="another process"), second.alone(keys):
            pytest.fail("both ask")
        with second.alone(keys[1:]):
            pass
    with second.alone(keys) as still_alone:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with pytest.raises(GatewayUnavailable, match="may be lost"):
            still_alone()
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    assert row == (0,)
