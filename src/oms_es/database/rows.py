"""A connection whose rows are maps by column name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

Rows = psycopg.Connection[dict[str, Any]]
Reading = Rows | psycopg.Cursor[dict[str, Any]]
"""A connection or a cursor, for functions that query."""


@contextmanager
def connected(database_url: str) -> Iterator[Rows]:
    """Open a connection in autocommit mode: each statement is a transaction, unless one is begun."""
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        yield connection
