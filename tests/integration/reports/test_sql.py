"""`oms-es sql` answers one query of read models, or of an export, and does nothing else, whatever is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from io import BytesIO, TextIOWrapper
from pathlib import Path

import duckdb
import psycopg
import pytest

from conftest import fresh_database
from oms_es.app import PROJECTIONS, engine_on
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.workload import Workload
from oms_es.exit_codes import Code
from oms_es.http.reading.tables import OF_PEOPLE
from oms_es.reports import queries
from oms_es.reports.exporting import manifest, run
from oms_es.reports.querying import database, exported, found
from oms_es.reports.querying.found import BadStatement, Bounds
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec

BOUNDS = Bounds(1_000, 20)
OPEN = [one.name for one in PROJECTIONS if one.name not in OF_PEOPLE]
NO_QUERY = [
    "DELETE FROM order_status",
    "SELECT 1; SELECT 2",
    "SELECT 1); DROP TABLE order_status; --",
    "WITH gone AS (DELETE FROM order_status RETURNING *) SELECT * FROM gone",
    "SELECT * INTO copied FROM order_status",
    "CREATE TABLE mine AS SELECT 1",
    "COPY order_status TO '/tmp/oms-es-test-copied'",
    "SET statement_timeout = 0",
    "not SQL at all",
    "",
    "SELECT '\0'",
]
NOT_OURS = [
    "SELECT * FROM oms_events",
    "SELECT * FROM customers",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/hostname')",
    "SELECT set_config('role', 'none', true), query_to_xml('SELECT * FROM oms_events', true, true, '')",
    "SELECT query_to_xml('DELETE FROM order_status', true, true, '')",
    "SELECT query_to_xml('CREATE TEMP TABLE mine (n int)', true, true, '')",
    "SELECT lo_creat(-1)",
    "SELECT nextval('oms_events_notification_id_seq')",
]


@pytest.fixture(scope="module")
def url(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(embedded_server) as fresh, engine_on(fresh) as engine:
        for batch in Workload(6, 20).steps(500):
            engine.submit("test", batch)
        engine.settle()
        yield fresh


@pytest.fixture(scope="module")
def folder(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("export")
    with queries.reading(url) as connection:
        run.export(connection, Codec(EVENTS), directory)
    return directory


def counted(url: str) -> list[tuple[object, ...]]:
    query = (
        "SELECT (SELECT count(*) FROM oms_events), (SELECT count(*) FROM order_status), (SELECT count(*) FROM pg_class)"
    )
    with psycopg.connect(url) as owner:
        return owner.execute(query).fetchall()


def test_a_query_is_answered_within_its_bounds(url: str) -> None:
    every = database.ask(url, "SELECT order_id, total_minor FROM order_status ORDER BY 1 -- all", OPEN, BOUNDS)
    assert len(every.rows) == 20
    assert not every.more
    some = database.ask(url, "SELECT order_id, total_minor FROM order_status ORDER BY 1", OPEN, Bounds(3, 20))
    assert some.rows == every.rows[:3]
    assert some.more
    total = database.ask(url, "SELECT sum(total_minor) AS minor, 7 % 4 FROM order_status", OPEN, BOUNDS)
    assert total.rows == [(sum(row[1] for row in every.rows), 3)]
    with pytest.raises(BadStatement, match="longer than 1 s"):
        database.ask(url, "SELECT pg_sleep(20)", OPEN, Bounds(1, 1))
    with pytest.raises(BadStatement, match="more than 200 MB"):
        database.ask(url, "SELECT repeat('x', 50000000) FROM generate_series(1, 20)", OPEN, BOUNDS)


@pytest.mark.parametrize("locking", ["pg_advisory_lock(1)", "pg_try_advisory_xact_lock_shared(1, 2)"])
def test_a_query_of_our_own_server_takes_no_lock_of_the_engine(url: str, locking: str) -> None:
    with pytest.raises(BadStatement, match="permission denied for function"):
        database.ask(url, f"SELECT {locking}", OPEN, BOUNDS, is_ours=True)
    limits = "SELECT current_setting('temp_file_limit'), current_setting('work_mem')"
    assert database.ask(url, limits, OPEN, BOUNDS, is_ours=True).rows == [("2GB", "64MB")]


def test_an_owner_that_is_no_superuser_makes_a_login_and_drops_it(embedded_server: EmbeddedPostgres) -> None:
    with fresh_database(embedded_server) as fresh, psycopg.connect(fresh, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'keeper'")
        superuser.execute("GRANT CREATE ON SCHEMA public TO keeper")
        keeper = psycopg.conninfo.make_conninfo(fresh, user="keeper", password="keeper")
        superuser.execute("CREATE ROLE oms_es_sql_of_another LOGIN VALID UNTIL '2020-01-01'")
        try:
            with psycopg.connect(keeper) as owner:
                owner.execute("CREATE TABLE kept AS SELECT 7 AS n")
            assert database.ask(keeper, "SELECT n FROM kept", ["kept"], BOUNDS).rows == [(7,)]
            made = "SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'oms_es_sql_')"
            assert superuser.execute(made).fetchall() == [("oms_es_sql_of_another",)]
        finally:
            superuser.execute("DROP TABLE IF EXISTS kept")
            superuser.execute("DROP OWNED BY keeper")
            superuser.execute("DROP ROLE keeper")
            superuser.execute("DROP ROLE oms_es_sql_of_another")


def test_people_and_payers_are_not_read_unasked_nor_beside_a_login_of_ones_own(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    for table in ("customers", "statements", "statement_lines"):
        assert main(["sql", f"SELECT count(*) FROM {table}"]) == Code.USAGE
        assert f"{table} has personal data: give --personal to read it" in capsys.readouterr().err
        assert main(["sql", f"SELECT count(*) FROM {table}", "--personal"]) == Code.OK
    monkeypatch.setenv("OMS_SQL_DATABASE_URL", url)
    assert main(["sql", "SELECT 1", "--personal"]) == Code.USAGE
    assert "leave --personal out" in capsys.readouterr().err


@pytest.mark.parametrize("statement", [*NO_QUERY, *NOT_OURS])
def test_what_is_no_query_of_what_may_be_read_is_refused_and_changes_nothing(url: str, statement: str) -> None:
    before = counted(url)
    with pytest.raises(BadStatement):
        database.ask(url, statement, OPEN, BOUNDS)
    assert counted(url) == before


def test_a_login_for_a_query_goes_with_it_and_one_that_was_left_behind_is_dropped(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE ROLE oms_es_sql_left LOGIN VALID UNTIL '2020-01-01'")
        owner.execute("GRANT SELECT ON order_status TO oms_es_sql_left")
        owner.execute("CREATE ROLE oms_es_sql_working LOGIN VALID UNTIL '2999-01-01'")
        made = "SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'oms_es_sql_')"
        database.ask(url, "SELECT 1", OPEN, BOUNDS)
        assert owner.execute(made).fetchall() == [("oms_es_sql_working",)]
        owner.execute("DROP ROLE oms_es_sql_working")


def test_people_are_read_where_that_is_asked_for(url: str) -> None:
    assert database.ask(url, "SELECT count(*) FROM customers", [*OPEN, *OF_PEOPLE], BOUNDS).rows[0][0] > 0


def test_a_login_of_ones_own_asks_and_a_superuser_does_not(url: str) -> None:
    with pytest.raises(BadStatement, match="superuser"):
        database.ask_as(url, "SELECT 1", BOUNDS)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE ROLE analyst LOGIN PASSWORD 'analyst'")
        try:
            mine = psycopg.conninfo.make_conninfo(url, user="analyst", password="analyst")
            assert database.ask_as(mine, "SELECT 1", BOUNDS).rows == [(1,)]
            with pytest.raises(BadStatement, match="permission denied"):
                database.ask_as(mine, "SELECT * FROM order_status", BOUNDS)
            with pytest.raises(BadStatement, match="may make no login"):
                database.ask(mine, "SELECT 1", OPEN, BOUNDS)
        finally:
            owner.execute("DROP ROLE analyst")


def test_an_export_answers_as_the_database_does(url: str, folder: Path) -> None:
    query = "SELECT currency, count(*), sum(gross_minor) FROM order_milestones GROUP BY currency ORDER BY currency"
    assert exported.ask(folder, query, BOUNDS, personal=False).rows == database.ask(url, query, OPEN, BOUNDS).rows
    events = exported.ask(folder, "SELECT count(*) FROM events", BOUNDS, personal=True)
    assert events.rows == [counted(url)[0][:1]]


@pytest.mark.parametrize(
    "statement",
    [
        *NO_QUERY,
        "SELECT * FROM events",
        "SELECT * FROM '{folder}/events/**/*.parquet'",
        "SELECT * FROM read_text('{folder}/manifest.json')",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{folder}/facts/mine.csv'",
        "ATTACH '{folder}/mine.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "PRAGMA enable_external_access = true",
        "SELECT getenv('HOME')",
    ],
)
def test_of_an_export_its_own_files_are_read_and_nothing_is_written(folder: Path, statement: str) -> None:
    before = sorted(path for path in folder.rglob("*"))
    with pytest.raises(BadStatement):
        exported.ask(folder, statement.replace("{folder}", str(folder)), BOUNDS, personal=False)
    assert sorted(path for path in folder.rglob("*")) == before


def test_a_query_of_an_export_ends_in_time(folder: Path) -> None:
    endless = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range <> b.range"
    with pytest.raises(BadStatement, match="longer than 1 s"):
        exported.ask(folder, endless, Bounds(1, 1), personal=False)


def test_what_comes_out_is_a_table_text_or_a_file(
    url: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    query = "SELECT '=1+1' AS said, 5 AS n, DATE '2026-01-05' AS day"
    assert main(["sql", query, "--format", "csv"]) == Code.OK
    assert capsys.readouterr().out == "said,n,day\n'=1+1,5,2026-01-05\n"
    assert main(["sql", query, "--format", "json", "--export", str(folder)]) == Code.OK
    assert json.loads(capsys.readouterr().out)["rows"] == [["=1+1", 5, "2026-01-05"]]
    file = tmp_path / "a.parquet"
    assert main(["sql", query, "--format", "parquet", "--output", str(file)]) == Code.OK
    assert duckdb.read_parquet(str(file)).fetchall() == [("=1+1", 5, date(2026, 1, 5))]
    assert main(["sql", "SELECT phase FROM order_status", "--rows", "2"]) == Code.OK
    said = capsys.readouterr()
    assert "phase" in said.out
    assert "more than 2 rows" in said.err
    assert main(["sql", "SELECT nothing"]) == Code.USAGE
    assert main(["sql", query, "--format", "parquet"]) == Code.USAGE


def test_a_report_is_a_file_where_it_is_no_text(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    for name, begins in (("xlsx", b"PK"), ("pdf", b"%PDF-"), ("parquet", b"PAR1")):
        assert main(["report", "run", "sales", "--format", name]) == Code.USAGE
        assert "name a file with --output" in capsys.readouterr().err
        file = tmp_path / f"sales.{name}"
        assert main(["report", "run", "sales", "--format", name, "--output", str(file)]) == Code.OK
        assert file.read_bytes().startswith(begins)
    total = duckdb.read_parquet(str(tmp_path / "sales.parquet")).sum("net_minor").fetchall()
    query = "SELECT sum(gross_minor - cancelled_minor - credit_minor) FROM order_milestones"
    assert total == database.ask(url, query, OPEN, BOUNDS).rows


def test_a_column_of_several_kinds_is_no_parquet(tmp_path: Path) -> None:
    mixed = found.Found(["a"], [(1,), ("x",)], more=False)
    with pytest.raises(BadStatement, match="cast it"):
        found.write_parquet(mixed, BytesIO())
    large = found.Found(["a"], [(10**30,)], more=False)
    with pytest.raises(BadStatement, match="cast it"):
        found.write_parquet(large, BytesIO())


def test_what_python_cannot_hold_is_said_in_a_line(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadStatement, match="cast it to text"):
        database.ask(url, "SELECT 'infinity'::timestamptz", OPEN, BOUNDS)
    with pytest.raises(BadStatement, match="UTF-8"):
        found.checked("SELECT '\udc80'")
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"SELECT '\xff'"), "utf-8"))
    assert main(["sql", "-"]) == Code.USAGE
    assert "UTF-8" in capsys.readouterr().err


def test_a_file_of_an_export_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = manifest.File(path="facts/refunds/all.parquet", rows=1, bytes=1, sha256="")
    manifest.write(tmp_path, manifest.Manifest(files=(gone,)))
    with pytest.raises(manifest.BadExport, match="is missing; make it again"):
        exported.ask(tmp_path, "SELECT 1", BOUNDS, personal=False)
