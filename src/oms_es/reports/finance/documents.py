"""Attached documents: of an order with its payments and parcels, of an account or an entity, or the newest of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from psycopg.sql import SQL, Composable

from oms_es.reports.queries import Connection, Row, readable

PAGE_MAX = 250
SHOWN = SQL(
    "SELECT a.sha256, d.media_type, d.byte_count, a.entity, a.entity_id, a.kind, a.reference, a.keep_until, "
    "a.position, a.attached_at, a.attached_by, f.invoice_number, f.currency, f.total_minor, f.differences "
    "FROM document_attachments AS a LEFT JOIN oms_documents AS d ON d.sha256 = a.sha256 "
    "LEFT JOIN document_fields AS f ON f.sha256 = a.sha256"
)
"""The query of documents. The media type is missing if the bytes are not kept, which `verify` reports; the invoice
number is missing if none was read."""
OF_ORDER = SQL(
    "(a.entity = 'order' AND a.entity_id = %(name)s "
    "OR a.entity = 'payment' AND a.entity_id IN (SELECT payment_id FROM payments WHERE order_id = %(name)s) "
    "OR a.entity = 'shipment' AND a.entity_id IN (SELECT shipment_id FROM shipments WHERE order_id = %(name)s))"
)
OF_ENTITY = SQL("a.entity = %(entity)s AND a.entity_id = %(name)s")
OF_ACCOUNT = SQL(
    "a.entity = 'statement' AND a.entity_id IN "
    "(SELECT account || '/' || statement_id FROM statements WHERE account = %(name)s)"
)


class Listed(NamedTuple):
    """A page of documents. `after` is where the next page begins; None after the last one."""

    rows: Sequence[Row]
    after: int | None


class Asked(NamedTuple):
    """The filter of a list: one order with all that belongs to it, one account's statements, one entity, or
    everything.
    """

    order_id: str = ""
    account: str = ""
    entity: str = ""
    entity_id: str = ""


def page(connection: Connection, asked: Asked, after: int | None, limit: int) -> Listed:
    """Return a page of documents, the newest first."""
    where, name = _where(asked)
    query = SQL(
        "{} WHERE {} AND (%(after)s::bigint IS NULL OR a.position < %(after)s) ORDER BY a.position DESC LIMIT %(n)s"
    )
    values = {"name": name, "entity": asked.entity, "after": after, "n": limit + 1}
    found = [readable(row) for row in connection.execute(query.format(SHOWN, where), values)]
    return Listed(found[:limit], found[limit - 1]["position"] if len(found) > limit else None)


def _where(asked: Asked) -> tuple[Composable, str]:
    if asked.order_id:
        return OF_ORDER, asked.order_id
    if asked.account:
        return OF_ACCOUNT, asked.account
    if asked.entity_id:
        return OF_ENTITY, asked.entity_id
    return SQL("true"), ""
