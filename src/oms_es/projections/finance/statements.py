"""Statements: one row per statement that was imported, with its period, its balances and the document it came in."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Integer, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA, Sum
from oms_es.schemas.finance import statement_privacy as ps
from oms_es.schemas.finance.statement import StatementEvent, StatementRecorded

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
    Column("held_by", ARRAY(Text), nullable=False),
    Column("forgotten_at", DateTime(timezone=True)),
    Column("forgotten_by", Text),
    Column("forgotten_position", BigInteger),
    Index("statements_by_end", "closed_on", "account", "statement_id"),
    Index("statements_by_forgotten", "forgotten_position"),
)
"""`held_by`: cases that keep it from being forgotten."""
projection = Projection(table, version=2, fed_by=("statement-{account}/{statement_id}",))


def key_of_statement(event: StatementEvent) -> Iterable[Key]:
    return ((event.account, event.statement_id),)


@projection.on(StatementRecorded, keys=key_of_statement)
def on_statement_recorded(_row: Row | None, event: StatementRecorded, recorded: Recorded, _key: Key) -> Row:
    said = event.model_dump(exclude={"fingerprint"})
    of_privacy: Row = {"held_by": [], "forgotten_at": None, "forgotten_by": None, "forgotten_position": None}
    return {**said, "imported_at": recorded.recorded_at, "imported_by": recorded.actor, **of_privacy}


@projection.on(ps.StatementForgotten, keys=key_of_statement)
def on_statement_forgotten(row: Row | None, _event: ps.StatementForgotten, recorded: Recorded, _key: Key) -> Row | None:
    return row and {
        **row,
        "forgotten_at": recorded.recorded_at,
        "forgotten_by": recorded.actor,
        "forgotten_position": recorded.position,
    }


@projection.on(ps.StatementLegalHoldPlaced, ps.StatementLegalHoldLifted, keys=key_of_statement)
def on_statement_legal_hold(
    row: Row | None, event: ps.StatementLegalHoldPlaced | ps.StatementLegalHoldLifted, _key: Key
) -> Row | None:
    if row is None:
        return None
    others = [case_id for case_id in row["held_by"] if case_id != event.case_id]
    in_force = isinstance(event, ps.StatementLegalHoldPlaced)
    return {**row, "held_by": sorted([*others, event.case_id]) if in_force else others}
