"""Sourcing rules: every version that was published, and which one is in force. Without any, the built-in rules are."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.projections.catalog.versions import key_of_versions, published
from oms_es.schemas.catalog.rules import RULES_STREAM, SourcingRules, SourcingRulesPublished

table = Table(
    "sourcing_rules",
    METADATA,
    Column("version", Text, primary_key=True),
    Column("current", Boolean, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    Column("published_by", Text, nullable=False),
    Column("rules", JSONB, nullable=False),
    Column("decided_on", JSONB),
    Index("sourcing_rules_by_current", "current"),
)
projection = Projection(table, version=2, fed_by=(RULES_STREAM,))
CONTENT = set(SourcingRules.model_fields)


@projection.on(SourcingRulesPublished, keys=key_of_versions)
def on_sourcing_rules_published(
    row: Row | None, event: SourcingRulesPublished, recorded: Recorded, key: Key
) -> Row | None:
    decided_on = event.decided_on and event.decided_on.model_dump(mode="json")
    rules = event.model_dump(mode="json", include=CONTENT)
    return published(row, event, recorded, key, rules=rules, decided_on=decided_on)
