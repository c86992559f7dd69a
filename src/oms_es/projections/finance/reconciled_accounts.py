"""Reconciled accounts: one row per account of which a period was closed, with the day through which it is."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, DateTime, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance import reconciliation as r

table = Table(
    "reconciled_accounts",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("closed_through", Text, nullable=False),
    Column("closed_at", DateTime(timezone=True), nullable=False),
    Column("closed_by", Text, nullable=False),
)
projection = Projection(table, fed_by=("reconciliation-{account}",))


def key_of_account(event: r.ReconciliationPeriodClosed) -> Iterable[Key]:
    return ((event.account,),)


@projection.on(r.ReconciliationPeriodClosed, keys=key_of_account)
def on_reconciliation_period_closed(
    row: Row | None, event: r.ReconciliationPeriodClosed, recorded: Recorded, _key: Key
) -> Row:
    through = max(str(row["closed_through"]) if row else "", event.through)
    return {
        "account": event.account,
        "closed_through": through,
        "closed_at": recorded.recorded_at,
        "closed_by": recorded.actor,
    }
