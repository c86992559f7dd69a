"""Accounts: one row per account, with its balance, the part that is held, and the part that is available."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import account_privacy as p
from oms_es.schemas.finance import gift_card as g
from oms_es.schemas.values.personal import PERSONAL_COLUMN

table = Table(
    "accounts",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("customer_id", Text, nullable=False, info=PERSONAL_COLUMN),
    Column("currency", Text, nullable=False),
    Column("balance_minor", BigInteger, nullable=False),
    Column("held_minor", BigInteger, nullable=False),
    Column("available_minor", BigInteger, nullable=False),
    Column("top_up_below_minor", BigInteger, nullable=False),
    Column("balance_max_minor", BigInteger),
    Column("low", Boolean, nullable=False),
    Column("blocked", Boolean, nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("expired", Boolean, nullable=False),
    Column("on_expiry", Text, nullable=False),
    Column("code_hash", Text, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("held_by", ARRAY(Text), nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Index("accounts_by_customer", "channel", "customer_id", "account_id"),
    Index("accounts_by_low", "low", "account_id"),
    Index("accounts_by_code", "code_hash"),
)
"""`low`: the available amount is below the top-up amount. `entries` counts the lines of the account. `code_hash`: of a
gift card's code, keyed. `held_by`: cases that keep its customer from being forgotten."""
projection = Projection(table, version=3, fed_by=("account-{account_id}",))


def key_of_account(event: a.AccountEvent) -> Iterable[Key]:
    return ((event.account_id,),)


@projection.on(a.AccountOpened, keys=key_of_account)
def on_account_opened(_row: Row | None, event: a.AccountOpened, recorded: Recorded, _key: Key) -> Row:
    return {
        **event.model_dump(),
        "balance_minor": 0,
        "held_minor": 0,
        "available_minor": 0,
        "top_up_below_minor": 0,
        "balance_max_minor": None,
        "low": False,
        "blocked": False,
        "expires_at": None,
        "expired": False,
        "on_expiry": "",
        "code_hash": "",
        "entries": 0,
        "held_by": [],
        "opened_at": recorded.recorded_at,
        "changed_at": recorded.recorded_at,
    }


@projection.on(a.AccountLimitsSet, keys=key_of_account)
def on_account_limits_set(row: Row | None, event: a.AccountLimitsSet, recorded: Recorded, _key: Key) -> Row | None:
    return row and {**row, **event.model_dump(), "changed_at": recorded.recorded_at}


@projection.on(
    *(a.AccountCredited, a.AccountDebited, a.AccountHeld, a.AccountHoldApplied, a.AccountHoldReleased),
    g.GiftCardForfeited,
    keys=key_of_account,
)
def on_account_entry(row: Row | None, event: a.AccountEntry, recorded: Recorded, _key: Key) -> Row | None:
    return row and {
        **row,
        "balance_minor": event.balance_minor,
        "held_minor": event.held_minor,
        "available_minor": event.balance_minor - event.held_minor,
        "entries": event.number,
        "changed_at": recorded.recorded_at,
    }


@projection.on(a.AccountRanLow, a.AccountToppedUp, keys=key_of_account)
def on_account_low_or_not(
    row: Row | None, event: a.AccountRanLow | a.AccountToppedUp, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, "low": isinstance(event, a.AccountRanLow), "changed_at": recorded.recorded_at}


@projection.on(p.AccountLegalHoldPlaced, p.AccountLegalHoldLifted, keys=key_of_account)
def on_account_legal_hold(
    row: Row | None, event: p.AccountLegalHoldPlaced | p.AccountLegalHoldLifted, _key: Key
) -> Row | None:
    if row is None:
        return None
    others = [case_id for case_id in row["held_by"] if case_id != event.case_id]
    in_force = isinstance(event, p.AccountLegalHoldPlaced)
    return {**row, "held_by": sorted([*others, event.case_id]) if in_force else others}


@projection.on(g.GiftCardIssued, g.GiftCardExtended, g.GiftCardExpired, keys=key_of_account)
def on_gift_card_terms(
    row: Row | None, event: g.GiftCardIssued | g.GiftCardExtended | g.GiftCardExpired, recorded: Recorded, _key: Key
) -> Row | None:
    said = {"expired": isinstance(event, g.GiftCardExpired), **event.model_dump()}
    return row and {**row, **said, "changed_at": recorded.recorded_at}


@projection.on(g.GiftCardCodeSet, keys=key_of_account)
def on_gift_card_code_set(row: Row | None, event: g.GiftCardCodeSet, recorded: Recorded, _key: Key) -> Row | None:
    return row and {**row, "code_hash": event.code_hash, "changed_at": recorded.recorded_at}


@projection.on(g.AccountBlocked, g.AccountUnblocked, keys=key_of_account)
def on_account_blocked_or_unblocked(
    row: Row | None, event: g.AccountBlocked | g.AccountUnblocked, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, "blocked": isinstance(event, g.AccountBlocked), "changed_at": recorded.recorded_at}
