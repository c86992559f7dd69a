"""Invoices: one row per document of our own, with its number and its sums. To whom it is, is in the document."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance.invoicing import InvoiceIssued

SAID = ("movement", "seller", "year", "number", "name", "kind", "order_id", "payment_id", "part", "corrects")
SUMS = (
    "currency",
    "net_minor",
    "tax_minor",
    "total_minor",
    "tax_code",
    "tax_rate",
    "exempt_reason",
    "issued_on",
    "keep_until",
)
table = Table(
    "invoices",
    METADATA,
    Column("seller", Text, primary_key=True),
    Column("year", Integer, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("movement", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("part", Text, nullable=False),
    Column("corrects", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("tax_code", Text, nullable=False),
    Column("tax_rate", Text, nullable=False),
    Column("exempt_reason", Text, nullable=False),
    Column("issued_on", Text, nullable=False),
    Column("keep_until", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("invoices_by_order", "order_id", "position"),
    Index("invoices_by_payment", "payment_id", "position"),
    Index("invoices_by_document", "document"),
    Index("invoices_by_position", "position"),
)
"""`document`: the series and the number, as a command names it."""
projection = Projection(table, version=2, insert_only=True, fed_by=("invoice-{seller}/{year}",))


def key_of_invoice(event: InvoiceIssued) -> Iterable[Key]:
    return ((event.seller, event.year, event.number),)


@projection.on(InvoiceIssued, keys=key_of_invoice)
def on_invoice_issued(_row: Row | None, event: InvoiceIssued, recorded: Recorded, _key: Key) -> Row:
    said = {name: getattr(event, name) for name in (*SAID, *SUMS)}
    document = document_of(event.seller, event.year, event.number)
    return {**said, "about": event.about, "position": recorded.position, "document": document}


def document_of(seller: str, year: int, number: int) -> str:
    return f"{seller}/{year}/{number}"
