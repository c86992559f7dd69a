"""Statements: one row per statement that was imported, with its period, its balances and the document it came in."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA, Sum
from oms_es.schemas.finance.statement import StatementRecorded

table = Table(
    "statements",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("statement_id", Text, primary_key=True),
    Column("format", Text, nullable=False),
    Column("account_number", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("opened_on", Text, nullable=False),
    Column("closed_on", Text, nullable=False),
    Column("opening_minor", BigInteger),
    Column("closing_minor", BigInteger),
    Column("booked_minor", Sum, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("document_sha256", Text, nullable=False),
    Column("imported_at", DateTime(timezone=True), nullable=False),
    Column("imported_by", Text, nullable=False),
    Index("statements_by_end", "closed_on", "account", "statement_id"),
)
projection = Projection(table, fed_by=("statement-{account}/{statement_id}",))


def key_of_statement(event: StatementRecorded) -> Iterable[Key]:
    return ((event.account, event.statement_id),)


@projection.on(StatementRecorded, keys=key_of_statement)
def on_statement_recorded(_row: Row | None, event: StatementRecorded, recorded: Recorded, _key: Key) -> Row:
    said = event.model_dump(exclude={"fingerprint"})
    return {**said, "imported_at": recorded.recorded_at, "imported_by": recorded.actor}
