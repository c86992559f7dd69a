"""Filters of the console that people keep under a name of their own.

Invariant: a view is its person's alone, holds what stood in an address, and nothing that says who a customer is.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from oms_es.database.rows import Rows
from oms_es.errors import OmsError
from oms_es.exit_codes import Code

VIEWS = "oms_console_views"
VIEWS_MAX = 20
"""Of one person."""
NAME_CHARACTERS_MAX = 40
QUERY_CHARACTERS_MAX = 2_000
CREATE = f"""
CREATE TABLE IF NOT EXISTS {VIEWS} (
    actor text NOT NULL,
    name text NOT NULL,
    query text NOT NULL,
    PRIMARY KEY (actor, name)
)
"""


class TooManyViews(OmsError):
    """A person keeps as many views as there may be."""

    code = "too_many_views"
    exit_code = Code.REFUSED
    status = HTTPStatus.CONFLICT


class View(NamedTuple):
    """`query`: what stands behind the question mark of its address."""

    name: str
    query: str


def of(connection: Rows, actor: str) -> Sequence[View]:
    query = f"SELECT name, query FROM {VIEWS} WHERE actor = %s ORDER BY name"
    return [View(**row) for row in connection.execute(query.encode(), [actor]).fetchall()]


def keep(connection: Rows, actor: str, view: View) -> None:
    """Keep the view in place of the one with that name. Raise TooManyViews."""
    query = (
        f"INSERT INTO {VIEWS} VALUES (%s, %s, %s) "
        "ON CONFLICT (actor, name) DO UPDATE SET query = excluded.query RETURNING "
        f"(SELECT count(*) FROM {VIEWS} WHERE actor = %s AND name <> %s) AS others"
    )
    row = connection.execute(query.encode(), [actor, view.name, view.query, actor, view.name]).fetchone()
    if row and row["others"] >= VIEWS_MAX:
        raise TooManyViews(f"there are {VIEWS_MAX} views already: take one away first")


def drop(connection: Rows, actor: str, name: str) -> None:
    connection.execute(f"DELETE FROM {VIEWS} WHERE actor = %s AND name = %s".encode(), [actor, name])
