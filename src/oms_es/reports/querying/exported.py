"""A query of an export's files by DuckDB, which may open these files and no others, and may not write.

Invariant: every file that may be read is configured before the statement is parsed, and the configuration is locked;
the statement is one query.
"""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from threading import Timer
from typing import Any

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.reports.exporting import manifest
from oms_es.reports.querying.found import BadStatement, Bounds, Found, checked, within

EVENTS = "events"
"""The table of events, which contains names and addresses."""
MEMORY = "1GB"


class NoDuckDB(OmsError):
    """The package that reads exports is not installed."""

    code = "no_duckdb"
    exit_code = Code.USAGE
    status = HTTPStatus.INTERNAL_SERVER_ERROR


def duckdb() -> Any:
    """Return the module duckdb.

    Raise NoDuckDB if it is not installed. It is imported late, as it is large and used here only.
    """
    try:
        return import_module("duckdb")
    except ImportError:
        raise NoDuckDB("the package duckdb is not installed; run: pip install 'oms-es[analytics]'") from None


def ask(directory: Path, statement: str, bounds: Bounds, *, personal: bool) -> Found:
    """Run the query over an export. Raise BadStatement, BadExport or NoDuckDB."""
    statement = checked(statement)
    files = _files(directory, personal=personal)
    with duckdb().connect(":memory:") as connection:
        _restrict_to(connection, files)
        return _asked(connection, statement, bounds)


def _files(directory: Path, *, personal: bool) -> dict[str, list[str]]:
    """Return the files of each table. Raise BadExport if a file is missing."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in manifest.read(directory).files:
        parts = file.path.split("/")
        table = EVENTS if parts[0] == EVENTS else parts[1]
        if personal or table != EVENTS:
            path = (directory / file.path).resolve()
            if not path.is_file():
                raise manifest.BadExport(f"{file.path} is missing; make it again with `oms-es export --to {directory}`")
            found[table].append(str(path))
    if not found:
        raise manifest.BadExport(f"{directory} holds no export; make one with `oms-es export --to {directory}`")
    return found


def _restrict_to(connection: Any, files: dict[str, list[str]]) -> None:
    for setting in (f"memory_limit = '{MEMORY}'", "temp_directory = ''", "TimeZone = 'UTC'"):
        connection.execute(f"SET {setting}")
    connection.execute("SET allowed_paths = ?", [[path for paths in files.values() for path in paths]])
    connection.execute("SET enable_external_access = false")
    for table, paths in files.items():
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        connection.execute(f'CREATE VIEW "{table}" AS SELECT * FROM read_parquet([{listed}], hive_partitioning = true)')
    connection.execute("SET lock_configuration = true")


def _asked(connection: Any, statement: str, bounds: Bounds) -> Found:
    """Run the query. Raise BadStatement if it fails or takes too long."""
    db = duckdb()
    late = Timer(bounds.seconds, connection.interrupt)
    late.daemon = True
    late.start()
    try:
        statements = connection.extract_statements(statement)
        if len(statements) != 1 or statements[0].type != db.StatementType.SELECT:
            raise BadStatement("one query is asked, and nothing is written: begin with SELECT or WITH")
        answer = connection.execute(statements[0])
        rows = answer.fetchmany(bounds.rows + 1)
        return within([column[0] for column in answer.description], rows, bounds)
    except db.InterruptException:
        raise BadStatement(f"it took longer than {bounds.seconds} s; ask for less, or give --seconds") from None
    except db.Error as error:
        raise BadStatement(" ".join(str(error).split("\n\n")[0].split())) from None
    finally:
        late.cancel()
