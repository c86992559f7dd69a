"""Document attachments: one row per document and thing that it is attached to."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.operations.document import DocumentAttached, DocumentDetached

table = Table(
    "document_attachments",
    METADATA,
    Column("sha256", Text, primary_key=True),
    Column("entity", Text, primary_key=True),
    Column("entity_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("keep_until", Text),
    Column("position", BigInteger, nullable=False),
    Column("attached_at", DateTime(timezone=True), nullable=False),
    Column("attached_by", Text, nullable=False),
    Index("document_attachments_by_entity", "entity", "entity_id", "position"),
    Index("document_attachments_by_position", "position"),
)
projection = Projection(table, fed_by=("document-{sha256}",))


def key_of_attachment(event: DocumentAttached | DocumentDetached) -> Iterable[Key]:
    return ((event.sha256, event.entity, event.entity_id),)


@projection.on(DocumentAttached, keys=key_of_attachment)
def on_document_attached(_row: Row | None, event: DocumentAttached, recorded: Recorded, _key: Key) -> Row:
    return {
        **event.model_dump(),
        "position": recorded.position,
        "attached_at": recorded.recorded_at,
        "attached_by": recorded.actor,
    }


@projection.on(DocumentDetached, keys=key_of_attachment)
def on_document_detached(_row: Row | None, _event: DocumentDetached, _key: Key) -> None:
    return None
