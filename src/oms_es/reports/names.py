"""Names: which orders, parcels, payments and returns a name means, and which similar names exist."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from unicodedata import normalize

from oms_es.aggregates.order import decider as order
from oms_es.reports.queries import LOCATIONS_MAX, Connection, Row
from oms_es.reports.streams import history, state
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EVENTS

ORDER_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
IDS_MAX = 100
NEIGHBOURS_MAX = 20
"""How many names before and after one are read from an index: most misspelt names are near the right one."""


def exists(connection: Connection, stream: str) -> bool:
    """Return whether history has the stream, even if no read model has come that far."""
    query = f"SELECT FROM {EVENTS} WHERE originator_id = %s LIMIT 1"
    return connection.execute(query.encode(), [stream]).fetchone() is not None


def called(connection: Connection, order_id: str) -> str:
    """Return CHANNEL/EXTERNAL_ID of an order; its id if no read model has it."""
    query = "SELECT channel, external_id FROM order_status WHERE order_id = %s"
    row = connection.execute(query, [order_id]).fetchone()
    return f"{row['channel']}/{row['external_id']}" if row else order_id


def ids_in(text: str) -> set[str]:
    """Return the parts of a text that may be ids of orders."""
    return set(ORDER_ID.findall(text))


def called_each(connection: Connection, order_ids: Collection[str]) -> dict[str, str]:
    """Return CHANNEL/EXTERNAL_ID of each known order, by id."""
    if not order_ids:
        return {}
    query = "SELECT order_id, channel, external_id FROM order_status WHERE order_id = ANY(%s)"
    rows = connection.execute(query, [sorted(order_ids)])
    return {row["order_id"]: f"{row['channel']}/{row['external_id']}" for row in rows}


def with_names(text: str, called: Mapping[str, str]) -> str:
    return ORDER_ID.sub(lambda found: called.get(found.group(), found.group()), text)


def payments_of(connection: Connection, order_id: str) -> list[str]:
    query = "SELECT payment_id FROM payments WHERE order_id = %s ORDER BY payment_id LIMIT %s"
    return [row["payment_id"] for row in connection.execute(query, [order_id, IDS_MAX])]


def returns_of(connection: Connection, order_id: str) -> list[str]:
    query = "SELECT rma_id FROM returns WHERE order_id = %s ORDER BY requested_at, rma_id LIMIT %s"
    return [row["rma_id"] for row in connection.execute(query, [order_id, IDS_MAX])]


def shipments_of(connection: Connection, codec: Codec, order_id: str) -> list[str]:
    known = state(order.decider, history(connection, codec, f"order-{order_id}"))
    return sorted(key for key, _ in known.shipments.items())[:IDS_MAX]


def shipments_under(connection: Connection, tracking_number: str) -> list[str]:
    query = "SELECT DISTINCT shipment_id FROM tracking_numbers WHERE tracking_number = %s ORDER BY shipment_id LIMIT %s"
    return [row["shipment_id"] for row in connection.execute(query, [tracking_number, IDS_MAX])]


def order_like(connection: Connection, name: str) -> str | None:
    """Return the order with the most similar name; None if none is similar."""
    external_id = name.partition("/")[2] or name
    rows = _rows_near(connection, "order_status", "external_id", external_id, "channel, external_id")
    known = {f"{row['channel']}/{row['external_id']}": None for row in rows}
    same = (one for one in known if one.partition("/")[2] == external_id)
    return most_alike(name, known) or next(same, None)


def sku_like(connection: Connection, sku: str) -> str | None:
    """Return the most similar SKU that has ever been in stock; None if none is similar."""
    rows = _rows_near(connection, "stock_levels", "sku", sku, "sku")
    return most_alike(sku, [row["sku"] for row in rows])


def stocked_or_described_like(connection: Connection, sku: str) -> str | None:
    """Return the most similar SKU that has been in stock or is described; None if none is similar."""
    rows = [row for table in ("stock_levels", "items") for row in _rows_near(connection, table, "sku", sku, "sku")]
    return most_alike(sku, [row["sku"] for row in rows])


def location_like(connection: Connection, location: str) -> str | None:
    rows = connection.execute("SELECT location FROM locations ORDER BY location LIMIT %s", [LOCATIONS_MAX])
    return most_alike(location, [row["location"] for row in rows])


def most_alike(name: str, known: Iterable[str]) -> str | None:
    """Return the most similar name, regardless of case and full-width letters; None if none is similar."""
    by_form = {_form(one): one for one in known}
    alike = get_close_matches(_form(name), by_form, n=1)
    return by_form[alike[0]] if alike else None


def _form(name: str) -> str:
    return normalize("NFKC", name).casefold()


def _rows_near(connection: Connection, table: str, column: str, name: str, shown: str) -> list[Row]:
    """Return the rows near a name in an index, where names that differ at the end are close together."""
    plain = normalize("NFKC", name)
    near = list(dict.fromkeys((name, plain, plain.upper(), plain.lower())))
    sides = [
        f"(SELECT {shown} FROM {table} WHERE {column} {side} %s ORDER BY {column} {order} LIMIT {NEIGHBOURS_MAX})"
        for side, order in (("<=", "DESC"), (">", "ASC"))
    ] * len(near)
    return connection.execute(" UNION ".join(sides).encode(), [one for one in near for _ in range(2)]).fetchall()
