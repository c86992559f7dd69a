"""Document fields: one row per invoice that a program has read, with its fields and the sums that do not add up."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.operations.document import DocumentFieldsRead, DocumentRemoved

table = Table(
    "document_fields",
    METADATA,
    Column("sha256", Text, primary_key=True),
    Column("format", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("invoice_number", Text, nullable=False),
    Column("issued_on", Text, nullable=False),
    Column("seller", Text, nullable=False),
    Column("seller_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("references", ARRAY(Text), nullable=False),
    Column("differences", ARRAY(Text), nullable=False),
    Column("read_at", DateTime(timezone=True), nullable=False),
    Index("document_fields_by_number", "invoice_number"),
    Index("document_fields_by_seller", "seller_id", "issued_on"),
)
projection = Projection(table, fed_by=("document-{sha256}",), version=2)


def key_of_document(event: DocumentFieldsRead | DocumentRemoved) -> Iterable[Key]:
    return ((event.sha256,),)


@projection.on(DocumentFieldsRead, keys=key_of_document)
def on_document_fields_read(_row: Row | None, event: DocumentFieldsRead, recorded: Recorded, _key: Key) -> Row:
    said = event.model_dump()
    lists = {name: list(said[name]) for name in ("references", "differences")}
    return {**said, **lists, "read_at": recorded.recorded_at}


@projection.on(DocumentRemoved, keys=key_of_document)
def on_document_removed(_row: Row | None, _event: DocumentRemoved, _key: Key) -> None:
    return None
