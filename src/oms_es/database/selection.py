"""The database that a command works on: the embedded one in its home, or the server of OMS_DATABASE_URL.

Invariant: only the one engine of a home, which holds its lock, migrates it and runs the loop on it; other processes
only read, rebuild read models, or append for that engine to process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Literal, NamedTuple

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from oms_es.database.directories import EngineRunning, default_home, engine_pid
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.settings import Settings

Part = Literal["engine", "writer", "reader"]
"""How a process uses the database: an engine must be alone on its home, a writer is alone if it can be, a
reader never."""


class NoDatabase(OmsError):
    """There is no database yet, or the setting does not name one."""

    code = "no_database"
    exit_code = Code.NO_DATABASE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Database(NamedTuple):
    """An open database. `alone`: it is embedded, and this program is its one engine until it calls `leave`.
    `take_over`: become the engine if no other program is, and return whether it did; never on a server."""

    url: str
    place: str
    alone: bool
    take_over: Callable[[], bool] = lambda: False
    leave: Callable[[], None] = lambda: None


@contextmanager
def database(settings: Settings, part: Part) -> Iterator[Database]:
    """Open the database of the settings. Raise NoDatabase, EngineRunning or EmbeddedError."""
    if settings.database_url:
        yield Database(checked(settings.database_url), "the server of OMS_DATABASE_URL", alone=False)
        return
    home = settings.home or default_home()
    if part == "reader" and not (home / "password").exists():
        raise NoDatabase(
            f"there is no database in {home} yet; begin one with `oms-es run` or `oms-es demo --keep`, "
            "or name another with OMS_HOME or OMS_DATABASE_URL"
        )
    server, alone = _opened(EmbeddedPostgres(home), part)
    with server:
        yield Database(server.url, str(home), alone, server.claim, server.leave)


def engine_of(settings: Settings) -> str | None:
    """Return the pid of the engine on this home; None if there is none, or if the settings name a server."""
    return None if settings.database_url else engine_pid(settings.home or default_home())


def checked(url: str, setting: str = "OMS_DATABASE_URL") -> str:
    """Return the URL, or raise NoDatabase without repeating the URL: it may contain a password."""
    try:
        conninfo_to_dict(url)
    except ProgrammingError:
        raise NoDatabase(
            f"{setting} is no connection string; write it as postgresql://user@host:5432/database"
        ) from None
    return url


def _opened(server: EmbeddedPostgres, part: Part) -> tuple[EmbeddedPostgres, bool]:
    if part == "reader":
        return server.open(exclusive=False), False
    try:
        return server.open(exclusive=True), True
    except EngineRunning:
        if part == "engine":
            raise
        return server.open(exclusive=False), False
