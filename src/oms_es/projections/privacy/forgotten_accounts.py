"""Forgotten accounts: why, when and by whom, and the case under which it is on file. It holds nothing of the person."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance.account_privacy import AccountForgotten

table = Table(
    "forgotten_accounts",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("forgotten_at", DateTime(timezone=True), nullable=False),
    Column("forgotten_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("case_id", Text),
    Column("position", BigInteger, nullable=False),
    Index("forgotten_accounts_by_position", "position"),
)
projection = Projection(table, fed_by=("account-{account_id}",))


def key_of_account(event: AccountForgotten) -> tuple[Key, ...]:
    return ((event.account_id,),)


@projection.on(AccountForgotten, keys=key_of_account)
def on_account_forgotten(_row: Row | None, event: AccountForgotten, recorded: Recorded, _key: Key) -> Row:
    return {
        "account_id": event.account_id,
        "forgotten_at": recorded.recorded_at,
        "forgotten_by": recorded.actor,
        "reason": event.reason,
        "case_id": event.case_id,
        "position": recorded.position,
    }
