"""Connections to rows of read models, which several threads take by turns and keep open.

Invariant: a statement is a transaction of its own unless one is begun, and none is left open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool
from pydantic_core import from_json

from oms_es.store.recorder import CONNECT_SECONDS_MAX, CONNECTIONS_MAX, IDLE_SECONDS_MAX, IN_UTC

PREPARED_MAX = 1_000
"""Statements that a connection keeps prepared: there are some four for each read model, and one for each lookup."""

Connected = psycopg.Connection[dict[str, Any]]


class Connections:
    def __init__(
        self,
        database_url: str,
        *,
        connect_seconds_max: float = CONNECT_SECONDS_MAX,
        idle_seconds_max: float = IDLE_SECONDS_MAX,
    ) -> None:
        options = conninfo_to_dict(database_url).get("options") or ""
        options = f"{options} -c idle_in_transaction_session_timeout={int(idle_seconds_max)}s {IN_UTC}".strip()
        self._pool = ConnectionPool[Connected](
            database_url,
            kwargs={"options": options, "row_factory": dict_row, "autocommit": True},
            configure=_configured,
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=connect_seconds_max,
            open=False,
        )

    @contextmanager
    def one(self) -> Iterator[Connected]:
        self._pool.open()
        with self._pool.connection() as connection:
            yield connection

    def close(self) -> None:
        self._pool.close()


def _configured(connection: Connected) -> None:
    connection.prepared_max = PREPARED_MAX
    set_json_loads(from_json, connection)
