"""`oms-es status` says how far every role is, which one lags, and which one stopped, and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import psycopg
import pytest

from conftest import reachable_directory
from oms_es.app import CONSUMERS, Engine, migrate
from oms_es.app.workers import INTERESTS
from oms_es.cli.main import main
from oms_es.cli.terminal import settle, waits_for
from oms_es.exit_codes import Code
from oms_es.kernel import Command, GatewayUnavailable, Recorded
from oms_es.processing.gateway_worker import GatewayWorker
from oms_es.processing.readers import Stopped
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import Address, OrderLine, PlaceOrder
from oms_es.schemas.stock import ReceiveStock

Oms = Callable[..., tuple[int, str, str]]
PLACED = PlaceOrder(
    channel="web",
    external_id="1",
    placed_at=datetime(2026, 1, 1, tzinfo=UTC),
    currency="EUR",
    lines=(OrderLine(line_id="1", sku="A", quantity=1, unit_price_minor=999),),
    ship_to=Address(country="DE"),
)


@pytest.fixture
def oms(oms: Oms, monkeypatch: pytest.MonkeyPatch) -> Oms:
    """Return the commands, with simulated gateways."""
    monkeypatch.setenv("OMS_GATEWAYS", "simulated")
    return oms


def test_anyone_who_has_not_taken_what_concerns_him_is_behind_until_he_has(oms: Oms, database_url: str) -> None:
    with Engine(database_url) as engine:
        engine.submit("test", [PLACED])
        code, out, _ = oms("status", "--json")
        reported = json.loads(out)
        assert (code, reported["at_rest"], reported["end"], reported["published"]) == (Code.OK, False, 1, None)
        behind = {reader["role"]: reader["behind"] for reader in reported["readers"]}
        assert set(behind) == set(INTERESTS)
        assert (behind["sourcing"], behind["order_status"], behind["stock_mover"]) == (1, 1, 0)
        code, out, _ = oms("verify", "--json")
        assert (code, json.loads(out)["passed"], json.loads(out)["behind"]["sourcing"]) == (Code.OK, True, 1)
        code, out, err = oms("verify", "--at-rest")
        assert (code, "sourcing is 1 events behind" in out) == (Code.BEHIND, True)
        assert "oms-es run" in err
        engine.settle()
    code, out, _ = oms("status", "--json")
    reported = json.loads(out)
    assert (code, reported["at_rest"]) == (Code.OK, True)
    assert {reader["position"] for reader in reported["readers"]} == {reported["end"]}
    assert oms("verify", "--at-rest")[0] == Code.OK


def test_a_reader_that_never_ran_is_behind_although_the_others_rest(oms: Oms, database_url: str) -> None:
    with Engine(database_url, consumers=[one for one in CONSUMERS if one.name != "sourcing"]) as engine:
        engine.submit("test", [PLACED])
        engine.settle()
    code, out, _ = oms("verify", "--at-rest", "--json")
    assert (code, json.loads(out)["behind"]) == (Code.BEHIND, {"sourcing": 1})


def test_who_stopped_is_named_with_the_culprit_until_it_is_repaired(oms: Oms, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE order_status ADD CONSTRAINT never CHECK (external_id <> '1')")
    with Engine(database_url) as engine:
        engine.submit("test", [PLACED])
        with pytest.raises(Stopped):
            engine.settle()
    code, out, _ = oms("status", "--json")
    stopped = {reader["role"]: reader["stopped"] for reader in json.loads(out)["readers"] if reader["stopped"]}
    assert code == Code.BEHIND
    assert "at position 1: OrderPlaced" in stopped["order_status"]["order_status"]
    code, out, _ = oms("status")
    assert (code, "STOPPED" in out) == (Code.BEHIND, True)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE order_status DROP CONSTRAINT never")
    with Engine(database_url) as engine:
        engine.settle()
    code, out, _ = oms("status", "--json")
    assert (code, [r["stopped"] for r in json.loads(out)["readers"] if r["stopped"]]) == (Code.OK, [])


def test_where_no_engine_runs_everything_should_be_at_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("orders") / "orders.jsonl"
    file.write_text(PLACED.model_dump_json(exclude_defaults=True))
    with reachable_directory() as directory:
        monkeypatch.setenv("OMS_HOME", str(directory / "home"))
        assert main(["orders", "import", str(file), "--no-run"]) == Code.OK
        assert main(["verify"]) == Code.BEHIND
        assert main(["orders", "import", str(file)]) == Code.OK
        assert main(["verify"]) == Code.OK
        assert main(["status"]) == Code.OK
    assert "every role has taken everything" in capsys.readouterr().err


def test_a_settle_says_what_it_waits_for_and_goes_on_once_that_answers(database_url: str) -> None:
    migrate(database_url)
    outages = [2]
    with Engine(database_url, poll_seconds=0.05) as engine:
        (worker,) = (p for p in engine.loop.workers if isinstance(p, GatewayWorker) and p.name == "payment_provider")
        answer = worker.gateway.perform

        def perform(intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
            if outages[0]:
                outages[0] -= 1
                raise GatewayUnavailable("closed for lunch")
            return answer(intents)

        worker.gateway.perform = perform  # type: ignore[method-assign] # the provider's outage, at its own door
        received = ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=1)
        engine.submit("test", [OpenLocation(location="berlin", country="DE"), received, PLACED])
        while not engine.loop.paused():
            engine.loop.iterate()
        assert waits_for(engine) == "payment_provider, which does not answer"
        settle(engine)
        assert (waits_for(engine), outages) == ("", [0])
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT phase FROM order_status").fetchone() == ("completed",)
