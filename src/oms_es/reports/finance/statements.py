"""Statements and their lines, a page at a time.

Invariant: a page costs what it shows: each list reads one index in its order, from where the page before ended.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from oms_es.reports.queries import Connection, Row, readable

PAGE_MAX = 500


class Page(NamedTuple):
    """A page of statements. `after` is where the next page begins; None after the last one."""

    rows: list[Row]
    after: str | None


def page(connection: Connection, account: str | None, after: str | None, limit: int) -> Page:
    """Return a page of statements. `after` is a day, an account and a statement's id, with slashes between."""
    day, _, rest = (after or "").partition("/")
    of, _, statement_id = rest.partition("/")
    tests = {
        "account = %(account)s": account is not None,
        "(closed_on, account, statement_id) < (%(day)s, %(of)s, %(id)s)": after is not None,
    }
    wanted = " AND ".join(test for test, is_asked in tests.items() if is_asked)
    query = (
        f"SELECT * FROM statements {f'WHERE {wanted} ' if wanted else ''}"
        "ORDER BY closed_on DESC, account DESC, statement_id DESC LIMIT %(limit)s"
    )
    values: dict[str, Any] = {"account": account, "day": day, "of": of, "id": statement_id, "limit": limit + 1}
    rows = connection.execute(query.encode(), values).fetchall()
    last = rows[limit - 1] if len(rows) > limit else None
    end = "/".join(str(last[name]) for name in ("closed_on", "account", "statement_id")) if last else None
    return Page([readable(row) for row in rows[:limit]], end)


def lines(connection: Connection, account: str, statement_id: str, first: int, limit: int) -> list[Row]:
    query = (
        "SELECT * FROM statement_lines WHERE account = %s AND statement_id = %s AND line >= %s ORDER BY line LIMIT %s"
    )
    return [readable(row) for row in connection.execute(query, [account, statement_id, first, limit])]
