"""An engine process that books at SF Express is killed in the middle of a booking; what was not pushed is polled."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any

import psycopg
import pytest

from oms_es.app import Engine, migrate
from oms_es.app.connecting.providers import gateways_of
from oms_es.cli.main import main
from oms_es.exit_codes import Code
from oms_es.gateways.loopback.carriers.sfexpress_books import SfExpressBooks
from oms_es.gateways.loopback.carriers.sfexpress_server import Mishap, SfExpressServer
from oms_es.settings import Settings

PARTNER, CHECKWORD, CARD = "YCTEST", "a-checkword", "7551234567"
SENDERS = {"shanghai": {"contact": "仓库", "mobile": "13800000001", "city": "上海市", "address": "人民路 1 号"}}
ORDER: dict[str, Any] = {
    "channel": "web",
    "external_id": "1",
    "placed_at": "2026-01-01T12:00:00Z",
    "currency": "CNY",
    "lines": [{"line_id": "1", "sku": "A", "quantity": 1, "unit_price_minor": 300}],
    "ship_to": {"name": "王", "street": "深南大道 1 号", "city": "深圳市", "region": "广东省", "country": "CN"},
    "customer": {"phone": "13800000002"},
}


class World:
    """SF Express, and the process that asks it: it is killed once the next of `kills` is done."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.books = SfExpressBooks(CARD, time.time)
        self.server = SfExpressServer(self.books, PARTNER, CHECKWORD, self._mishap)
        self.kills: list[str] = []
        self.victim = 0

    def _mishap(self, service: str) -> Mishap:
        if self.kills and self.victim and service == self.kills[0]:
            self.kills.pop(0)
            os.kill(self.victim, SIGKILL)
            self.victim = 0
            return "lost"
        return ""

    def run(self) -> int:
        """Run the engine in a process of its own until it is at rest or dead, and return how it ended."""
        child = self.victim = os.fork()
        if not child:
            with suppress(BaseException), Engine(self.database_url, connected=gateways_of(Settings())) as engine:
                engine.settle()
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)
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
            "CARRIERS": "sfexpress",
            "SFEXPRESS_PARTNER_ID": PARTNER,
            "SFEXPRESS_CHECKWORD": CHECKWORD,
            "SFEXPRESS_MONTHLY_CARD": CARD,
            "SFEXPRESS_BASE": address,
            "SFEXPRESS_SENDERS_FILE": str(senders),
        }.items():
            monkeypatch.setenv(f"OMS_{name}", value)
        yield world


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == Code.OK
    return json.loads(capsys.readouterr().out)


def test_however_often_it_is_killed_a_parcel_has_one_order_which_is_cancelled_once(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orders = tmp_path / "orders.jsonl"
    orders.write_text("\n".join(json.dumps({**ORDER, "external_id": name}) for name in ("1", "2")))
    assert main(["location", "open", "shanghai", "--country", "CN"]) == Code.OK
    assert main(["stock", "receive", "A", "shanghai", "--receipt-id", "r", "--quantity", "5"]) == Code.OK
    assert main(["orders", "import", str(orders), "--no-run"]) == Code.OK
    world.kills = ["EXP_RECE_CREATE_ORDER", "EXP_RECE_CREATE_ORDER", "EXP_RECE_SEARCH_ORDER_RESP"]
    assert ([world.run() for _ in range(4)], world.kills) == ([-SIGKILL] * 3 + [0], [])
    assert len(world.books.orders) == 2
    with psycopg.connect(world.database_url) as connection:
        rows = connection.execute("SELECT status, carrier, tracking_number FROM shipments ORDER BY 3").fetchall()
    assert rows == [("booked", "shunfeng", number) for number in sorted(world.books.standing())]
    receiver = next(iter(world.books.orders.values()))["wanted"]["contactInfoList"][1]
    assert receiver["mobile"] == "13800000002", "the customer's, as the address has none"
    assert main(["order", "cancel", "web/2", "--reason", "x"]) == Code.OK
    world.kills = ["EXP_RECE_UPDATE_ORDER"]
    assert ([world.run() for _ in range(2)], world.kills) == ([-SIGKILL, 0], [])
    (number,) = world.books.standing()
    world.books.scan(number, "50", "已收取快件")
    world.books.scan(number, "80", "已签收")
    usual = {"asked": 1, "changed": 1, "unknown": 0, "unanswered": 0, "rejected": 0, "left_out": 0}
    assert shown(capsys, "callbacks", "poll") == usual
    assert world.run() == 0
    assert shown(capsys, "order", "show", "web/1")["order"]["phase"] == "completed"
    assert shown(capsys, "order", "show", "web/2")["order"]["phase"] == "cancelled"
    assert main(["verify"]) == Code.OK


def test_what_is_not_set_up_is_said_before_anything_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"shanghai": {"contact": "", "address": "x"}}')
    for name, value, words in (
        ("SFEXPRESS_SENDERS_FILE", str(bad), "shanghai.contact"),
        ("SFEXPRESS_SENDERS_FILE", str(tmp_path / "none.json"), "name the file of the senders"),
        ("SFEXPRESS_SENDERS_FILE", "", "set OMS_SFEXPRESS_SENDERS_FILE"),
        ("SFEXPRESS_MONTHLY_CARD", "", "set OMS_SFEXPRESS_MONTHLY_CARD"),
        ("SFEXPRESS_CHECKWORD", "", "set OMS_SFEXPRESS_CHECKWORD"),
    ):
        monkeypatch.setenv(f"OMS_{name}", value)
        if not value and name == "SFEXPRESS_SENDERS_FILE":
            monkeypatch.delenv(f"OMS_{name}")
        capsys.readouterr()
        assert main(["callbacks", "poll"]) == Code.USAGE
        assert words in capsys.readouterr().err
    assert world.server.requests == []
