"""Account entries: one row per line of an account, with the balance after it; account statements are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import gift_card as g

table = Table(
    "account_entries",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("balance_minor", BigInteger, nullable=False),
    Column("held_minor", BigInteger, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("hold_id", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("part", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Index("account_entries_by_day", "account_id", "day", "number"),
    Index("account_entries_by_order", "order_id", "account_id", "number"),
)
"""`amount_minor` is never negative: `kind` gives the direction. `part` names a capture, a void or a refund."""
projection = Projection(table, insert_only=True, fed_by=("account-{account_id}",))
KINDS: Mapping[type[a.AccountEntry], str] = {
    a.AccountCredited: "credit",
    a.AccountDebited: "debit",
    a.AccountHeld: "hold",
    a.AccountHoldApplied: "apply",
    a.AccountHoldReleased: "release",
    g.GiftCardForfeited: "forfeit",
}
NOT_SAID: Mapping[str, str] = dict.fromkeys(
    ("entry_id", "hold_id", "order_id", "payment_id", "part", "method", "reference"), ""
)


def key_of_entry(event: a.AccountEntry) -> Iterable[Key]:
    return ((event.account_id, event.number),)


@projection.on(*KINDS, keys=key_of_entry)
def on_account_entry(_row: Row | None, event: a.AccountEntry, recorded: Recorded, _key: Key) -> Row:
    return {
        **NOT_SAID,
        **event.model_dump(exclude={"asked"}),
        "kind": KINDS[type(event)],
        "day": recorded.recorded_at.astimezone(UTC).date().isoformat(),
        "recorded_at": recorded.recorded_at,
        "actor": recorded.actor,
    }
