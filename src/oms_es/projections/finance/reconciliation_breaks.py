"""Reconciliation breaks: one row per break of an account that is open or resolved."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance import reconciliation as rec

table = Table(
    "reconciliation_breaks",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("break_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("movements", JSONB, nullable=False),
    Column("adjusts", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("found_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text, nullable=False),
    Index("reconciliation_breaks_by_day", "account", "status", "day", "break_id"),
    Index("reconciliation_breaks_by_kind", "account", "status", "kind", "day", "break_id"),
)
projection = Projection(table, version=2, fed_by=("reconciliation-{account}",))


def key_of_breaks(event: rec.ReconciliationBreaksFound) -> Iterable[Key]:
    return [(event.account, one.break_id) for one in event.breaks]


def key_of_cleared(event: rec.ReconciliationBreaksCleared) -> Iterable[Key]:
    return [(event.account, one) for one in event.break_ids]


def key_of_break(event: rec.ReconciliationBreakResolved | rec.ReconciliationBreakReopened) -> Iterable[Key]:
    return ((event.account, event.break_id),)


@projection.on(rec.ReconciliationBreaksFound, keys=key_of_breaks)
def on_reconciliation_breaks_found(
    _row: Row | None, event: rec.ReconciliationBreaksFound, recorded: Recorded, key: Key
) -> Row:
    one = next(one for one in event.breaks if one.break_id == key[1])
    return {
        "account": event.account,
        **one.model_dump(mode="json", exclude={"lines_minor"}),
        "status": "open",
        "adjusts": event.adjusts,
        "resolution": "",
        "note": "",
        "found_at": recorded.recorded_at,
        "changed_at": recorded.recorded_at,
        "changed_by": recorded.actor,
    }


@projection.on(rec.ReconciliationBreaksCleared, keys=key_of_cleared)
def on_reconciliation_breaks_cleared(_row: Row | None, _event: rec.ReconciliationBreaksCleared, _key: Key) -> None:
    return None


@projection.on(rec.ReconciliationBreakResolved, rec.ReconciliationBreakReopened, keys=key_of_break)
def on_break_settled(
    row: Row | None,
    event: rec.ReconciliationBreakResolved | rec.ReconciliationBreakReopened,
    recorded: Recorded,
    _key: Key,
) -> Row | None:
    resolution = event.resolution if isinstance(event, rec.ReconciliationBreakResolved) else ""
    return row and {
        **row,
        "status": "resolved" if resolution else "open",
        "resolution": resolution,
        "adjusts": event.adjusts,
        "note": event.note,
        "changed_at": recorded.recorded_at,
        "changed_by": recorded.actor,
    }
