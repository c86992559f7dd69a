"""The how-to pages that need no broker: their orders are accepted, their queries run, and their advice works."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest
from psycopg import sql

from conftest import fresh_database
from oms_es.app import Engine, engine_on, migrate
from oms_es.channels import canonical
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.workload import Workload
from oms_es.exit_codes import Code
from oms_es.schemas.order import PlaceOrder
from oms_es.store.recorder import EVENTS
from pages import blocks

DESK = "look-after-orders.md"
REPORTS = "report.md"
EXPORT = "export.md"
PAGES = ("query-read-models.md", "audit-history.md")


def lived(engine: Engine) -> None:
    """Process a few days of orders to their end."""
    for batch in Workload(9, 80).steps(20):
        engine.submit("test", batch)
    engine.settle()


@pytest.fixture(scope="module")
def lived_in(embedded_server: EmbeddedPostgres) -> Iterator[str]:

    with fresh_database(embedded_server) as url:
        with engine_on(url) as engine:
            lived(engine)
        yield url


@pytest.mark.parametrize("query", [query for page in PAGES for query in blocks(page, "sql")])
def test_every_query_answers_on_a_database_that_has_seen_orders(lived_in: str, query: str) -> None:
    with psycopg.connect(lived_in) as connection:
        asked = connection.execute(query.encode())
        if asked.description is None:  # it sets something up, and other tests share the server
            connection.rollback()
            return
        found = asked.fetchall()
    if not any(may_be_none in query for may_be_none in ("open_exceptions", "atp <= safety_stock", "EventsEncrypted")):
        assert found, "nothing is found where there is something"


@pytest.mark.parametrize("command", [line for block in blocks(DESK, "console") for line in block.splitlines()])
def test_every_command_of_the_desk_is_answered(lived_in: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", lived_in)
    prompt, program, *arguments = shlex.split(command, comments=True)
    assert (prompt, program) == ("$", "oms-es")
    assert main(arguments) == Code.OK


@pytest.mark.parametrize("command", [line for block in blocks(REPORTS, "console") for line in block.splitlines()])
def test_every_report_of_the_page_is_made(
    lived_in: str, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", lived_in)
    monkeypatch.chdir(tmp_path)
    _, _, *arguments = shlex.split(command, comments=True)
    assert main(arguments) == Code.OK
    reported = capsys.readouterr()
    if arguments[:2] == ["report", "odd"]:
        assert reported.out or reported.err, "nothing is said where nothing is odd"
    else:
        assert len(reported.out) + sum(path.stat().st_size for path in tmp_path.iterdir()) > 100


def test_the_report_on_the_page_is_one_that_runs(
    lived_in: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", lived_in)
    example, _, schedule = blocks(REPORTS, "toml")
    path = tmp_path / "fast.toml"
    path.write_text(example + schedule)
    assert main(["report", "run", str(path)]) == Code.OK
    assert "How fast parcels arrive" in capsys.readouterr().out


def test_the_export_of_the_page_is_made_and_its_queries_answer(
    lived_in: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", lived_in)
    monkeypatch.chdir(tmp_path)
    for command in (line for block in blocks(EXPORT, "console") for line in block.splitlines()):
        assert main(shlex.split(command)[2:]) == Code.OK
    counted = [duckdb.sql(query) for query in blocks(EXPORT, "sql")]
    assert all(found is not None for found in counted)
    sold = next(iter(counted))
    assert sold
    assert sold.fetchall()


def test_the_order_on_the_page_is_one_that_is_taken() -> None:
    example, *_ = blocks("send-orders.md", "json")
    order = canonical.parse(json.dumps(json.loads(example)))
    assert isinstance(order, PlaceOrder)
    assert (order.external_id, order.total_minor) == ("W-1001", 2 * 1_295 + 990 + 490)


def test_an_engine_whose_login_may_neither_change_nor_delete_events_does_all_its_work(database_url: str) -> None:
    migrate(database_url)
    name = f"engine_of_{psycopg.conninfo.conninfo_to_dict(database_url)['dbname']}"
    login = sql.Identifier(name)
    with psycopg.connect(database_url) as connection:
        for statement in (
            "CREATE ROLE {login} LOGIN PASSWORD 'engine'",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {login}",
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {login}",
            "REVOKE UPDATE, DELETE, TRUNCATE ON {events} FROM {login}",
        ):
            connection.execute(sql.SQL(statement).format(login=login, events=sql.Identifier(EVENTS)))
    url = psycopg.conninfo.make_conninfo(database_url, user=name, password="engine")
    try:
        with Engine(url) as engine:
            lived(engine)
        with psycopg.connect(database_url) as connection:
            (phases,) = connection.execute("SELECT array_agg(DISTINCT phase) FROM order_status").fetchone() or ([],)
    finally:
        with psycopg.connect(database_url) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {login}").format(login=login))
            connection.execute(sql.SQL("DROP ROLE {login}").format(login=login))
    assert set(phases) <= {"completed", "cancelled", "backordered"}
    assert "completed" in phases
