"""`oms-es run` reports whether it is ready, how far it has come and why it stopped, without personal data."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from oms_es.app import Engine, migrate
from oms_es.cli.failures import failed
from oms_es.cli.main import main
from oms_es.database.reasons import is_disk_full, without_rows
from oms_es.exit_codes import Code
from oms_es.processing.readers import Stopped
from oms_es.schemas.order import Address, OrderLine, PlaceOrder

SECRET = "Rosenweg-7"
SECONDS_MAX = 120
PLACED = PlaceOrder(
    channel="web",
    external_id=SECRET,
    placed_at=datetime(2026, 1, 1, tzinfo=UTC),
    currency="EUR",
    lines=(OrderLine(line_id="1", sku="A", quantity=1, unit_price_minor=999),),
    ship_to=Address(country="DE"),
)
REFUSE = f"ALTER TABLE order_status ADD CHECK (external_id <> '{SECRET}')"
FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON order_status EXECUTE FUNCTION full_disk();
"""


def run_on(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    with Engine(database_url) as engine:
        engine.submit("test", [PLACED])
    return database_url


@contextmanager
def running(url: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "OMS_DATABASE_URL": url, "OMS_METRICS_PORT": "0", **settings}
    command = [str(Path(sys.executable).with_name("oms-es")), "run"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def port_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the port that the process printed, and all that it printed up to there."""
    said = ""
    assert process.stderr
    for line in process.stderr:
        said += line
        if found := re.search(r"metrics on port (\d+)", line):
            return int(found[1]), said
    raise AssertionError(said)


def answer(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as reported:
            return reported.status, reported.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def wait_for(port: int, path: str, pattern: str) -> tuple[int, str]:
    waiting = threading.Event()
    for _ in range(SECONDS_MAX * 10):
        status, reported = answer(port, path)
        if re.search(pattern, reported):
            return status, reported
        waiting.wait(0.1)
    raise AssertionError(reported)


def test_an_engine_that_runs_is_ready_says_how_far_it_is_and_ends_when_asked(url: str) -> None:
    with running(url) as process:
        port, _ = port_of(process)
        assert answer(port, "/readyz") == (200, "ok\n")
        assert answer(port, "/livez") == (200, "ok\n")
        wait_for(port, "/metrics", r'oms_lag_messages\{place="log",role="order_timeline"\} 0.0')
        assert 'oms_partitions_stopped{role="order_status"} 0.0' in answer(port, "/metrics")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == Code.OK


def test_an_engine_that_rests_for_long_ends_when_asked(url: str) -> None:
    with running(url, OMS_POLL_SECONDS="3600") as process:
        port, _ = port_of(process)
        wait_for(port, "/readyz", "ok")
        process.send_signal(signal.SIGTERM)
        assert process.wait(RESTING_SECONDS_MAX) == Code.OK


RESTING_SECONDS_MAX = 10.0
"""Less than the grace, after which it would be ended by force."""


def test_a_reader_that_stops_ends_the_engine_at_once_and_no_row_is_reported(url: str) -> None:
    run_on(url, REFUSE)
    with running(url) as process:
        _, reported = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == Code.UNEXPECTED
    assert "order_status" in reported
    assert "at position 1: OrderPlaced" in reported.splitlines()[-1]
    assert SECRET not in reported


def test_where_a_setting_says_so_the_others_go_on_and_the_engine_is_not_ready(url: str) -> None:
    run_on(url, REFUSE)
    with running(url, OMS_ON_STOPPED="go_on") as process:
        port, _ = port_of(process)
        status, reported = wait_for(port, "/readyz", "order_status stopped")
        assert (status, SECRET in reported) == (503, False)
        wait_for(port, "/metrics", r'oms_lag_messages\{place="log",role="order_timeline"\} 0.0')
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == Code.UNEXPECTED


def test_a_port_that_is_taken_has_a_sentence_of_its_own(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("OMS_DATABASE_URL", url)
        monkeypatch.setenv("OMS_METRICS_PORT", str(taken.getsockname()[1]))
        assert main(["run"]) == Code.USAGE
    reported = capsys.readouterr().err
    assert "another program listens there; name another place with OMS_METRICS_HOST and OMS_METRICS_PORT" in reported
    assert reported.count("\n") == 1


def test_a_full_disk_is_waited_for_and_nothing_is_lost(url: str) -> None:
    run_on(url, FULL)
    stopping = threading.Event()
    with Engine(url, poll_seconds=0.05) as engine:
        going = threading.Thread(target=engine.loop.run, args=(stopping,))
        going.start()
        try:
            while not engine.loop.outage:
                stopping.wait(0.05)
            assert list(engine.health().ready()) == ["the disk is full, make room"]
            run_on(url, "DROP TRIGGER full_disk ON order_status")
            while engine.loop.outage:
                stopping.wait(0.05)
        finally:
            stopping.set()
            going.join()
        engine.settle()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM order_status").fetchone() == (1,)


def test_a_command_that_meets_a_full_disk_says_what_to_do(url: str) -> None:
    run_on(url, FULL)
    with Engine(url) as engine, pytest.raises(Exception, match="No space left") as full:
        engine.settle()
    assert is_disk_full(full.value)
    code, reported = failed(full.value)
    assert code == Code.NO_DATABASE
    assert reported.startswith("the disk is full: ")
    assert "nothing that was accepted is lost" in reported


def test_a_stopped_reader_is_reported_without_the_row(url: str) -> None:
    run_on(url, REFUSE)
    with Engine(url) as engine, pytest.raises(Stopped) as stopped:
        engine.settle()
    assert SECRET not in str(stopped.value)
    assert SECRET not in failed(stopped.value)[1]


def test_what_a_database_says_keeps_its_hint_and_loses_its_rows() -> None:
    reported = (
        'null value in column "a"\nDETAIL:  Failing row contains (Rosenweg 7,\n8).\nHINT:  Give one.\n[SQL: INSERT]'
    )
    assert without_rows(reported) == 'null value in column "a"\nHINT:  Give one.'
