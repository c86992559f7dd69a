"""Invoicing on PostgreSQL: the streams that it reads from the log, and the store of its documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from io import BytesIO

import psycopg

from oms_es.app.invoicing.issuing import Finder, InvoicingGateway
from oms_es.app.invoicing.pdf import as_pdf
from oms_es.kernel import GatewayUnavailable, Recorded
from oms_es.schemas.finance import invoicing as v
from oms_es.store.documents import table as documents
from oms_es.store.documents.places import FolderUnavailable
from oms_es.store.recorder import EVENTS
from oms_es.store.store import Store

PDF = "application/pdf"
REQUESTS = f"""
SELECT notification_id FROM {EVENTS} WHERE originator_id = %s AND originator_version > %s AND topic = %s
ORDER BY originator_version""".encode()
ATTACHED = """
SELECT 1 FROM document_attachments
WHERE entity = 'order' AND entity_id = %s AND kind = %s AND reference = %s AND attached_by = %s LIMIT 1"""


def gateway_on(database_url: str, store: Store, lookups: Finder, clock: Callable[[], datetime]) -> InvoicingGateway:
    return InvoicingGateway(
        partial(stream_of, store),
        partial(event_at, store),
        lookups,
        as_pdf,
        partial(_keep, database_url, clock),
        partial(_is_attached, database_url),
        partial(_corrections, database_url, store),
    )


def stream_of(store: Store, stream: str) -> Sequence[Recorded]:
    return [store.codec.decode(row, row.id) for row in store.recorder.stream(stream)]


def event_at(store: Store, position: int) -> Recorded:
    (row,) = store.recorder.after(position - 1, 1)
    return store.codec.decode(row, row.id)


def _is_attached(database_url: str, issued: v.InvoiceIssued) -> bool:
    """Return whether the gateway has attached a document of this kind and name to the order.

    Raise GatewayUnavailable while the database does not answer.
    """
    of = [issued.order_id, issued.kind, issued.name, InvoicingGateway.name]
    try:
        with psycopg.connect(database_url) as connection:
            return connection.execute(ATTACHED, of).fetchone() is not None
    except psycopg.OperationalError as error:
        raise GatewayUnavailable(str(error)) from error


def _corrections(database_url: str, store: Store, series: str, number: int) -> Sequence[Recorded]:
    """Return the requests to correct the document of that number. They follow the document in the stream of its series,
    which has at least as many events before it as numbers. Raise GatewayUnavailable."""
    try:
        with psycopg.connect(database_url) as connection:
            found = connection.execute(REQUESTS, [series, number, v.InvoiceCorrectionRequested.__name__]).fetchall()
    except psycopg.OperationalError as error:
        raise GatewayUnavailable(str(error)) from error
    return [one for (position,) in found if (one := event_at(store, position)).event.number == number]  # type: ignore[attr-defined] # of its topic


def _keep(database_url: str, clock: Callable[[], datetime], content: bytes) -> str:
    """Keep the bytes like a document that a person adds, so that it may be removed after its term; return their hash.

    Raise GatewayUnavailable while the database or the folder cannot be reached.
    """
    received = documents.Received(sha256(content).hexdigest(), PDF, len(content), BytesIO(content))
    try:
        with psycopg.connect(database_url) as connection:
            return documents.add(connection, received, clock()).sha256
    except (psycopg.OperationalError, FolderUnavailable) as error:
        raise GatewayUnavailable(str(error)) from error
