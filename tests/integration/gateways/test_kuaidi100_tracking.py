"""Parcels tracked by kuaidi100 over HTTP, polled and subscribed, with a server that fails as it does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from oms_es.app import Engine, migrate
from oms_es.app.connecting.polling import open_numbers
from oms_es.app.connecting.providers import gateways_of
from oms_es.cli.main import main
from oms_es.exit_codes import Code
from oms_es.gateways.carrier.kuaidi100.client import Client
from oms_es.gateways.carrier.kuaidi100.dialect import parse_push
from oms_es.gateways.carrier.kuaidi100.notices import Kuaidi100Notices
from oms_es.gateways.carrier.kuaidi100.tracking import Kuaidi100Tracking
from oms_es.gateways.carrier.port import Following, TrackedNumber
from oms_es.gateways.loopback.carriers.easypost_books import EasyPostBooks
from oms_es.gateways.loopback.carriers.easypost_server import EasyPostServer
from oms_es.gateways.loopback.carriers.kuaidi100_server import Kuaidi100Server, Mishap
from oms_es.kernel import GatewayUnavailable
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.shipment import RecordBooking
from oms_es.schemas.stock import ReceiveStock
from oms_es.settings import Settings
from shop import an_order

KEY, SALT, URL = "key+1", "a-salt+of%ours", "https://shop.example/v1/webhooks/kd"
NUMBER, OTHER = TrackedNumber("yuantong", "YT1"), TrackedNumber("zhongtong", "75")
MISHAPS: tuple[Mishap, ...] = ("lost", "broken", "busy", "strange")


class Account:
    def __init__(self) -> None:
        self.mishaps: list[Mishap] = []
        self.server = Kuaidi100Server(
            "CUSTOMER", KEY, lambda: time.time() + 60, lambda: self.mishaps.pop(0) if self.mishaps else ""
        )
        self.address = ""

    def tracking(self, key: str = KEY) -> Kuaidi100Tracking:
        return Kuaidi100Tracking(Client("CUSTOMER", key, base=self.address), callback_url=URL, salt=SALT)


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    account.server.scan(*NUMBER, "1", "【上海】已揽收 +%{}~*")
    account.server.scan(*NUMBER, "5", "派件中")
    with account.server.listening() as account.address:
        yield account


def read(payload: bytes | None) -> Any:
    assert payload
    return parse_push(payload)


def test_a_query_and_a_push_say_the_same_of_a_number(account: Account) -> None:
    known, unknown = account.tracking().track([NUMBER, OTHER])
    assert unknown == b""
    (pushed,) = Kuaidi100Notices().open([], account.server.push(*NUMBER, SALT), [SALT], 0)
    assert read(known) == read(pushed)
    assert [seen.status for seen in read(known).sightings] == ["picked_up", "out_for_delivery"]


def test_a_query_is_of_the_carrier_that_the_parcel_was_booked_with(account: Account) -> None:
    (known,) = account.tracking().track([NUMBER])
    assert read(known).carrier == NUMBER.carrier
    assert json.loads(known or b"")["com"] == NUMBER.carrier


@pytest.mark.parametrize("mishap", MISHAPS)
def test_what_is_not_answered_is_asked_again_and_a_number_is_followed_once(account: Account, mishap: Mishap) -> None:
    tracking = account.tracking()
    account.mishaps = [mishap]
    assert tracking.track([NUMBER]) == [None]
    account.mishaps = [mishap]
    (answer,) = tracking.subscribe([NUMBER])
    assert (answer.outcome, bool(answer.reason)) == ("unknown", True)
    assert tracking.subscribe([NUMBER, OTHER]) == [Following("followed")] * 2
    assert account.server.followed == {
        number: {"callbackurl": URL, "salt": SALT, "resultv2": "4"} for number in (NUMBER, OTHER)
    }


def test_a_carrier_that_is_not_followed_is_refused_in_words_and_the_others_go_on(account: Account) -> None:
    account.server.unsupported = {"zhongtong"}
    assert account.tracking().subscribe([OTHER, NUMBER]) == [
        Following("refused", "拒绝订阅的快递公司 (701)"),
        Following("followed"),
    ]


def test_a_wrong_key_is_no_refusal(account: Account) -> None:
    tracking = account.tracking("wrong")
    for question in (tracking.track, tracking.subscribe):
        with pytest.raises(GatewayUnavailable, match="OMS_KUAIDI100_KEY"):
            question([NUMBER])


def booked_elsewhere(database_url: str, *numbers: TrackedNumber) -> None:
    """Make parcels that a person has booked with Chinese carriers."""
    numbers = numbers or (NUMBER,)
    migrate(database_url)
    settings = Settings.model_construct(carriers="commands")
    with Engine(database_url, connected=gateways_of(settings)) as engine:
        opened = OpenLocation(location="berlin", country="DE")
        engine.submit("test", [opened, ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=5)])
        engine.submit("test", [an_order(str(number), ("A", 1)) for number, _ in enumerate(numbers)])
        engine.settle()
        with psycopg.connect(database_url) as connection:
            rows = connection.execute("SELECT shipment_id FROM shipments").fetchall()
        for (shipment_id,), number in zip(rows, numbers, strict=True):
            engine.submit(
                "test",
                [
                    RecordBooking(
                        shipment_id=shipment_id, carrier=number.carrier, tracking_number=number.tracking_number
                    )
                ],
            )
        engine.settle()


def test_parcels_on_their_way_are_followed_and_polled_from_the_command_line(
    account: Account, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    booked_elsewhere(database_url)
    account.server.scan(*NUMBER, "3", "已签收")
    monkeypatch.setenv("OMS_DATABASE_URL", database_url)
    assert main(["callbacks", "subscribe"]) == Code.USAGE
    assert "set OMS_KUAIDI100_CUSTOMER" in capsys.readouterr().err
    usual = {"CUSTOMER": "CUSTOMER", "KEY": KEY, "SALT": SALT, "CALLBACK_URL": URL, "BASE": account.address}
    for name, value in usual.items():
        monkeypatch.setenv(f"OMS_KUAIDI100_{name}", value)
    account.server.unsupported = {NUMBER.carrier}
    assert main(["callbacks", "subscribe"]) == Code.REFUSED
    said = capsys.readouterr()
    assert said.out == "asked 1, followed 0, refused 1, unknown 0\n"
    assert "yuantong YT1: 拒绝订阅的快递公司 (701)" in said.err
    account.server.unsupported, account.mishaps = set(), ["lost"]
    assert main(["callbacks", "subscribe", "--json"]) == Code.UNAVAILABLE
    assert json.loads(capsys.readouterr().out) == {
        "asked": 1,
        "followed": 0,
        "refused": 0,
        "unknown": 1,
        "refusals": [],
    }
    assert [main(["callbacks", "subscribe"]) for _ in range(2)] == [Code.OK] * 2, "what is followed stays so"
    assert list(account.server.followed) == [NUMBER]
    account.mishaps = ["lost"]
    assert main(["callbacks", "poll"]) == Code.UNAVAILABLE
    capsys.readouterr()
    assert main(["callbacks", "poll"]) == Code.OK
    assert capsys.readouterr().out == "asked 1, changed 1, unknown 0, unanswered 0, rejected 0, left out 0\n"
    assert main(["callbacks", "poll"]) == Code.OK
    assert capsys.readouterr().out == "asked 1, changed 0, unknown 0, unanswered 0, rejected 0, left out 0\n"
    with Engine(database_url) as engine:
        engine.settle()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT status FROM shipments").fetchall() == [("delivered",)]


def test_kuaidi100_is_asked_only_for_what_easypost_does_not_know(
    account: Account,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    booked_elsewhere(database_url)
    books = EasyPostBooks(time.time)
    books.trackers["YT1"] = {
        "id": "trk_1",
        "object": "Tracker",
        "tracking_code": "YT1",
        "status": "in_transit",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "carrier": "YunTong",
        "tracking_details": [],
    }
    senders = tmp_path / "senders.json"
    senders.write_text('{"berlin": {"street1": "1 Pier", "country": "US"}}')
    with EasyPostServer(books, KEY).listening() as address:
        for name, value in {
            "DATABASE_URL": database_url,
            "CARRIERS": "easypost",
            "EASYPOST_API_KEY": KEY,
            "EASYPOST_BASE": address,
            "EASYPOST_SENDERS_FILE": str(senders),
            "KUAIDI100_CUSTOMER": "CUSTOMER",
            "KUAIDI100_KEY": KEY,
            "KUAIDI100_BASE": account.address,
        }.items():
            monkeypatch.setenv(f"OMS_{name}", value)
        account.server.scan(*NUMBER, "3", "已签收")
        assert main(["callbacks", "poll", "--json"]) == Code.OK
        assert json.loads(capsys.readouterr().out)["changed"] == 1, "of another carrier: EasyPost does not know it"
        account.mishaps = ["lost"] * 2
        books.trackers["YT1"]["carrier"] = "yuantong"
        assert main(["callbacks", "poll", "--json"]) == Code.OK
        said = json.loads(capsys.readouterr().out)
    assert (said["asked"], said["unknown"], said["unanswered"]) == (1, 0, 0)
    assert account.mishaps == ["lost"] * 2, "kuaidi100 was not asked"


def test_of_more_parcels_than_a_run_asks_about_each_has_its_turn(database_url: str) -> None:
    booked_elsewhere(database_url, NUMBER, OTHER)
    runs = [open_numbers(database_url, limit=1) for _ in range(64)]
    assert {run.drawn[0] for run in runs} == {NUMBER, OTHER}
    assert {run.left_out for run in runs} == {1}
    assert (set(open_numbers(database_url).drawn), open_numbers(database_url).left_out) == ({NUMBER, OTHER}, 0)
