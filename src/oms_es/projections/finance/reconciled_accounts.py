"""Reconciled accounts: one row per account of which a period was closed or fees were agreed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, DateTime, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance import reconciliation as rec

table = Table(
    "reconciled_accounts",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("closed_through", Text, nullable=False),
    Column("closed_at", DateTime(timezone=True)),
    Column("closed_by", Text, nullable=False),
    Column("fee_terms", JSONB, nullable=False),
)
"""`fee_terms` has the newest terms last, each with the day from which they are in force."""
projection = Projection(table, version=2, fed_by=("reconciliation-{account}",))


def key_of_account(event: rec.ReconciliationPeriodClosed | rec.FeeTermsSet) -> Iterable[Key]:
    return ((event.account,),)


def _begun(account: str) -> Row:
    return {"account": account, "closed_through": "", "closed_at": None, "closed_by": "", "fee_terms": []}


@projection.on(rec.ReconciliationPeriodClosed, keys=key_of_account)
def on_reconciliation_period_closed(
    row: Row | None, event: rec.ReconciliationPeriodClosed, recorded: Recorded, _key: Key
) -> Row:
    now = row or _begun(event.account)
    closed = {"closed_at": recorded.recorded_at, "closed_by": recorded.actor}
    return {**now, **closed, "closed_through": max(str(now["closed_through"]), event.through)}


@projection.on(rec.FeeTermsSet, keys=key_of_account)
def on_fee_terms_set(row: Row | None, event: rec.FeeTermsSet, _key: Key) -> Row:
    now: Any = row or _begun(event.account)
    others = [one for one in now["fee_terms"] if one["since"] != event.since]
    terms = {"since": event.since, "terms": [one.model_dump(mode="json") for one in event.terms]}
    return {**now, "fee_terms": sorted([*others, terms], key=lambda one: str(one["since"]))}
