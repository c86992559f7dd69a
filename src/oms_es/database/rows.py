"""A connection whose rows are maps, by the names of their columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

Rows = psycopg.Connection[dict[str, Any]]
Reading = Rows | psycopg.Cursor[dict[str, Any]]
"""Either way to ask."""


@contextmanager
def connected(database_url: str) -> Iterator[Rows]:
    """Each statement by itself, unless a transaction is begun."""
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        yield connection
