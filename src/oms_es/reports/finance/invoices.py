"""Sellers, and the documents of our own that were issued in their names, the newest first.

Invariant: a page costs what it shows: it reads an index in its order, from where the page before ended.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from oms_es.reports.queries import Connection, Row, readable

PAGE_MAX = 500


class Page(NamedTuple):
    """`after` is where the next page begins; None after the last one."""

    rows: list[Row]
    after: int | None


def page(connection: Connection, seller: str | None, order_id: str | None, after: int | None, limit: int) -> Page:
    """Each once, with the address of its document once that is kept: of what was attached so, the first."""
    tests = {
        "i.seller = %(seller)s": seller is not None,
        "i.order_id = %(order_id)s": order_id is not None,
        "i.position < %(after)s": after is not None,
    }
    where = " AND ".join([test for test, asked in tests.items() if asked] or ["true"])
    query = f"""
    SELECT i.*, d.sha256 FROM invoices AS i LEFT JOIN LATERAL (
        SELECT sha256 FROM document_attachments
        WHERE entity = 'order' AND entity_id = i.order_id AND reference = i.name AND kind = i.kind
        ORDER BY position LIMIT 1
    ) AS d ON true
    WHERE {where} ORDER BY i.position DESC LIMIT %(limit)s"""
    values: dict[str, Any] = {"seller": seller, "order_id": order_id, "after": after, "limit": limit + 1}
    rows = connection.execute(query.encode(), values).fetchall()
    more = rows[limit - 1]["position"] if len(rows) > limit else None
    return Page([readable(row) for row in rows[:limit]], more)


def sellers(connection: Connection) -> list[Row]:
    return [readable(row) for row in connection.execute("SELECT * FROM sellers ORDER BY seller").fetchall()]
