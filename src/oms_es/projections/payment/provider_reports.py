"""Provider reports: reports in which payment providers use references of their own."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.payment.provider import ProviderReported

table = Table(
    "provider_reports",
    METADATA,
    Column("reference", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("report_id", Text, primary_key=True),
    Column("report", JSONB, nullable=False),
)
projection = Projection(table, insert_only=True, fed_by=("provider-{provider}/{report_id}",))


def key_of_references(event: ProviderReported) -> Iterable[Key]:
    return [(reference, event.provider, event.report_id) for reference in dict.fromkeys(event.references)]


@projection.on(ProviderReported, keys=key_of_references)
def on_provider_reported(_row: Row | None, event: ProviderReported, key: Key) -> Row:
    return {
        "reference": key[0],
        "provider": key[1],
        "report_id": key[2],
        "report": event.report.model_dump(mode="json"),
    }
