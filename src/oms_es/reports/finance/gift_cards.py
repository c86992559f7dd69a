"""Gift cards: which one a code belongs to, what it is worth, and what all accounts together are still owed.

Invariant: a code that two cards have belongs to neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from oms_es.kernel import Refused
from oms_es.reports.queries import Connection, Row, readable
from oms_es.schemas.finance.refusals import FinanceRefusal

SHOWN = ("account_id", "channel", "currency", "balance_minor", "available_minor", "expires_at")
UNKNOWN = "no card has this code; compare it with the card, and give it again"
GROUPS_MAX = 1_000
"""How many groups of accounts the outstanding amounts are shown for."""


def wrong_code() -> Refused:
    """Return the refusal of a code: the same for every reason."""
    return Refused(FinanceRefusal.WRONG_CODE, UNKNOWN)


def of_code(connection: Connection, hashes: Sequence[str]) -> Row | None:
    """Return the card that has a code of one of these hashes, or None."""
    query = "SELECT * FROM accounts WHERE code_hash = ANY(%s) LIMIT 2"
    found = connection.execute(query, [list(hashes)]).fetchall()
    return found[0] if len(found) == 1 else None


def enquiry(row: Row, now: datetime) -> dict[str, Any]:
    """Return what the holder of a card may know of it."""
    return {**readable({name: row[name] for name in SHOWN}), "state": state_of(row, now)}


def state_of(row: Row, now: datetime) -> str:
    """Return why the card pays for nothing, as one word, or `active`."""
    if row["blocked"]:
        return "blocked"
    if row["expired"] or (row["expires_at"] is not None and row["expires_at"] <= now):
        return "expired"
    return "active" if row["entries"] else "inactive"


def outstanding(connection: Connection, day: str) -> list[Row]:
    """Return what was on all accounts together at the end of a day (UTC), by kind, channel and currency."""
    query = (
        "SELECT a.kind, a.channel, a.currency, count(*) AS accounts, sum(e.balance_minor)::bigint AS balance_minor, "
        "sum(e.held_minor)::bigint AS held_minor "
        "FROM accounts a JOIN LATERAL (SELECT balance_minor, held_minor FROM account_entries "
        "WHERE account_id = a.account_id AND day <= %s ORDER BY day DESC, number DESC LIMIT 1) e ON true "
        "GROUP BY a.kind, a.channel, a.currency ORDER BY a.kind, a.channel, a.currency LIMIT %s"
    )
    return [readable(row) for row in connection.execute(query, [day, GROUPS_MAX])]


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def day_in(text: str | None) -> str:
    """Return a day as it was written, or today. Raise ValueError."""
    return date.fromisoformat(text).isoformat() if text else today()
