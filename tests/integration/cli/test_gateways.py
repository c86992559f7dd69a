"""Simulators run only where a setting asks for them; without one, the terminal says what waits for a real provider."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import reachable_directory
from oms_es.app import Engine, migrate
from oms_es.app.connecting.reach import NoGateways, roles_that_run
from oms_es.app.workers import GROUPS_OF_ROLES, ROLES
from oms_es.cli.main import main
from oms_es.exit_codes import Code
from oms_es.gateways.loopback.stripe_books import StripeBooks
from oms_es.gateways.loopback.stripe_server import StripeServer

ORDER = {
    "channel": "web",
    "external_id": "1",
    "placed_at": "2026-01-01T12:00:00Z",
    "currency": "EUR",
    "lines": [{"line_id": "1", "sku": "A", "quantity": 1, "unit_price_minor": 300}],
    "ship_to": {"country": "DE"},
}
OPEN = ("location", "open", "berlin", "--country", "DE")
RECEIVE = ("stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "5")
WAITING = "no gateways are connected, and intents wait: 1 for payment_provider; "


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with reachable_directory() as made:
        monkeypatch.delenv("OMS_DATABASE_URL", raising=False)
        monkeypatch.setenv("OMS_HOME", str(made / "home"))
        yield made


def test_an_import_without_gateways_says_what_waits_and_with_simulators_it_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "orders.jsonl"
    file.write_text(json.dumps(ORDER))
    assert [main(list(verb)) for verb in (OPEN, RECEIVE)] == [Code.OK] * 2
    assert "gateways" not in capsys.readouterr().err, "nothing waits"
    assert main(["orders", "import", str(file)]) == Code.OK
    assert WAITING in capsys.readouterr().err
    assert phase(capsys) == "awaiting_payment"
    monkeypatch.setenv("OMS_GATEWAYS", "simulated")
    assert main(["orders", "import", str(file)]) == Code.OK
    assert "gateways" not in capsys.readouterr().err
    assert phase(capsys) == "completed"


def test_money_is_asked_of_stripe_and_people_pack_what_they_are_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "orders.jsonl"
    file.write_text(json.dumps({**ORDER, "payment_token": "pm_card_visa"}))
    books = StripeBooks(lambda: int(time.time()))
    with StripeServer(books, "sk_test_1").listening() as address:
        for name, value in (("STRIPE_API_BASE", address), ("WAREHOUSE", "commands"), ("CARRIERS", "commands")):
            monkeypatch.setenv(f"OMS_{name}", value)
        monkeypatch.setenv("OMS_PAYMENTS", "stripe")
        assert main(list(OPEN)) == Code.USAGE
        assert "there is no key; set OMS_STRIPE_API_KEY" in capsys.readouterr().err
        monkeypatch.setenv("OMS_STRIPE_API_KEY", "sk_test_1")
        assert [main(list(verb)) for verb in (OPEN, RECEIVE, ("orders", "import", str(file)))] == [Code.OK] * 3
        assert "gateways" not in capsys.readouterr().err, "nothing waits"
        assert phase(capsys) == "fulfilling"
        (intent,) = books.intents.values()
        assert (intent["status"], intent["amount_capturable"]) == ("requires_capture", 300)
        parcel = f"{intent['metadata']['payment_id']}"
        assert main(["shipment", "pack", parcel, "--weight-grams", "400"]) == Code.OK
        assert (
            main(["shipment", "record-dispatch", parcel, "--dispatched-at", "2026-01-02T12:00:00Z", "--as-system"])
            == Code.OK
        )
        assert (intent["status"], intent["amount_received"]) == ("succeeded", 300)
        assert main(["verify"]) == Code.OK


def phase(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["order", "show", "web/1", "--json"]) == Code.OK
    return str(json.loads(capsys.readouterr().out)["order"]["phase"])


def test_run_without_gateways_leaves_intents_waiting_and_says_so(
    database_url: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "orders.jsonl"
    file.write_text(json.dumps(ORDER))
    migrate(database_url)
    monkeypatch.setenv("OMS_DATABASE_URL", database_url)
    assert [main(list(verb)) for verb in (OPEN, RECEIVE, ("orders", "import", str(file)))] == [Code.OK] * 3
    with Engine(database_url, simulated=False) as engine:
        engine.settle()
        assert engine.waiting() == {"payment_provider": 1}
    capsys.readouterr()
    ending = threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGTERM))
    ending.start()
    assert main(["run"]) == Code.OK
    ending.join()
    assert "no gateways are connected, intents wait" in capsys.readouterr().err
    with Engine(database_url, simulated=False) as engine:
        assert engine.waiting() == {"payment_provider": 1}


def test_roles_that_reach_the_world_do_not_run_without_gateways() -> None:
    world = set(GROUPS_OF_ROLES["gateways"])
    assert roles_that_run(ROLES, world) == list(ROLES)
    assert set(roles_that_run(ROLES, ())) == set(ROLES) - world
    assert roles_that_run(sorted(world), ["carrier"]) == ["carrier"]
    with pytest.raises(NoGateways, match="OMS_GATEWAYS=simulated"):
        roles_that_run(sorted(world), ())
