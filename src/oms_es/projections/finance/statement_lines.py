"""Statement lines: one row per movement in a statement."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance.statement import StatementLinesRecorded
from oms_es.schemas.values.personal import PERSONAL_HERE_COLUMN

table = Table(
    "statement_lines",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("statement_id", Text, primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("line_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("booked_on", Text, nullable=False),
    Column("value_on", Text),
    Column("happened_at", DateTime(timezone=True)),
    Column("sent_time", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("fee_exact", Text, nullable=False),
    Column("pending", Boolean, nullable=False),
    Column("reversal", Boolean, nullable=False),
    Column("references", JSONB, nullable=False),
    Column("batch", Text, nullable=False),
    Column("parts", JSONB, nullable=False, info=PERSONAL_HERE_COLUMN),
    Column("foreign_minor", BigInteger),
    Column("foreign_currency", Text),
    Column("text", Text, nullable=False, info=PERSONAL_HERE_COLUMN),
    Index("statement_lines_by_day", "account", "booked_on", "statement_id", "line"),
    Index("statement_lines_by_batch", "account", "batch"),
)
"""`amount_minor` is the change of the balance, after the fee."""
projection = Projection(table, insert_only=True, fed_by=("statement-{account}/{statement_id}",))


def key_of_lines(event: StatementLinesRecorded) -> Iterable[Key]:
    return [(event.account, event.statement_id, event.first + place) for place in range(len(event.lines))]


@projection.on(StatementLinesRecorded, keys=key_of_lines)
def on_statement_lines_recorded(_row: Row | None, event: StatementLinesRecorded, key: Key) -> Row:
    line = event.lines[int(str(key[2])) - event.first]
    said = dict(line) | {
        "references": list(line.references),
        "parts": [one.model_dump(mode="json") for one in line.parts],
    }
    return {"account": key[0], "statement_id": key[1], "line": key[2], "currency": event.currency, **said}
