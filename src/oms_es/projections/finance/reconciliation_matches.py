"""Reconciliation matches: one row per match of an account, with its reason and confidence, undone or not."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance import reconciliation as rec

table = Table(
    "reconciliation_matches",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("match_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("confidence", Integer, nullable=False),
    Column("day", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("movements", JSONB, nullable=False),
    Column("adjusts", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text, nullable=False),
    Index("reconciliation_matches_by_day", "account", "day", "match_id"),
)
projection = Projection(table, fed_by=("reconciliation-{account}",))


def key_of_matches(event: rec.ReconciliationMatched) -> Iterable[Key]:
    return [(event.account, one.match_id) for one in event.matches]


def key_of_match(event: rec.ReconciliationMatchUndone) -> Iterable[Key]:
    return ((event.account, event.match_id),)


@projection.on(rec.ReconciliationMatched, keys=key_of_matches)
def on_reconciliation_matched(_row: Row | None, event: rec.ReconciliationMatched, recorded: Recorded, key: Key) -> Row:
    one = next(one for one in event.matches if one.match_id == key[1])
    return {
        "account": event.account,
        **one.model_dump(mode="json"),
        "status": "matched",
        "adjusts": event.adjusts,
        "note": "",
        "changed_at": recorded.recorded_at,
        "changed_by": recorded.actor,
    }


@projection.on(rec.ReconciliationMatchUndone, keys=key_of_match)
def on_reconciliation_match_undone(
    row: Row | None, event: rec.ReconciliationMatchUndone, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {
        **row,
        "status": "undone",
        "adjusts": event.adjusts,
        "note": event.note,
        "changed_at": recorded.recorded_at,
        "changed_by": recorded.actor,
    }
