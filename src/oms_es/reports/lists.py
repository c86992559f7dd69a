"""Lists of payments, parcels and returns, newest first, a page at a time.

Invariant: a page costs what it shows: each list reads an index in its order, from where the page before ended.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from oms_es.reports.order_list import Cursor
from oms_es.reports.queries import Connection, Row

PAGE_MAX = 500


class Listing(NamedTuple):
    """A read model that can be listed, with the columns of each row's id and state."""

    table: str
    id: str
    state: str


PAYMENTS = Listing("payments", "payment_id", "state")
SHIPMENTS = Listing("shipments", "shipment_id", "status")
RETURNS = Listing("returns", "rma_id", "status")


class Asked(NamedTuple):
    """The filters of a list; None means any. `since` is inclusive, `until` is not."""

    state: str | None = None
    order_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: Cursor | None = None


class Page(NamedTuple):
    """A page of a list. `after` is where the next page begins; None after the last one."""

    rows: list[Row]
    after: Cursor | None


def page(connection: Connection, listing: Listing, asked: Asked, limit: int) -> Page:
    """Return a page, each row with the channel and the channel's id of its order."""
    query, values = statement(listing, asked, limit + 1)
    rows = connection.execute(query.encode(), values).fetchall()
    more = Cursor(rows[limit - 1]["requested_at"], rows[limit - 1][listing.id]) if len(rows) > limit else None
    return Page(rows[:limit], more)


def statement(listing: Listing, asked: Asked, limit: int) -> tuple[str, dict[str, Any]]:
    """Return the SQL statement and its values."""
    tests = {
        "state": f"l.{listing.state} = %(state)s",
        "order_id": "l.order_id = %(order_id)s",
        "since": "l.requested_at >= %(since)s",
        "until": "l.requested_at < %(until)s",
        "after": f"(l.requested_at, l.{listing.id}) < (%(after_at)s, %(after_id)s)",
    }
    wanted = " AND ".join(test for field, test in tests.items() if getattr(asked, field) is not None)
    query = (
        f"SELECT l.*, s.channel, s.external_id FROM {listing.table} l LEFT JOIN order_status s USING (order_id) "
        f"{f'WHERE {wanted} ' if wanted else ''}ORDER BY l.requested_at DESC, l.{listing.id} DESC LIMIT %(limit)s"
    )
    at, last = asked.after or (None, None)
    values = {name: value for name, value in asked._asdict().items() if name != "after"}
    return query, {**values, "after_at": at, "after_id": last, "limit": limit}
