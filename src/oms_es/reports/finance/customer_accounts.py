"""Accounts of customers: their balances, statements of a period, and the age of the money on them.

Invariant: reads are bounded. A period with more entries than a statement may have is refused; for ages, entries are
read from the newest back, and no further than the money that is left.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from io import StringIO
from typing import Any, NamedTuple

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.reports.figures.writing import plain
from oms_es.reports.queries import Connection, Row, readable

PAGE_MAX = 500
HOLDS_MAX = 1_000
ENTRIES_MAX = 20_000
"""How many entries one statement may have."""
CREDITS_READ_MAX = 500
"""How many credits are read at a time for ages."""
AGES = (30, 60, 90)
"""The upper bounds of age in days by which money is grouped; the rest is older."""
SPENT = {"credit": 1, "debit": -1, "apply": -1, "forfeit": -1}
"""The kinds of entries that change the balance, with the sign; other kinds change the held amount."""
COLUMNS = ("number", "day", "kind", "amount_minor", "balance_minor", "held_minor", "currency")
NAMES = ("order_id", "payment_id", "part", "entry_id", "hold_id", "method", "reference", "reason")


class TooMany(OmsError):
    """The period has more entries than one statement shows."""

    code = "too_many_entries"
    exit_code = Code.USAGE


class Page(NamedTuple):
    """A page of accounts. `after` is where the next page begins; None after the last one."""

    rows: list[Row]
    after: str | None


class Statement(NamedTuple):
    account: Row
    since: str
    until: str
    opening_minor: int
    closing_minor: int
    entries: list[Row]


class Age(NamedTuple):
    """The amount that was paid in within this range of days before, and is still there; the oldest money is spent
    first. Without `until_days` the range has no end.
    """

    from_days: int
    until_days: int | None
    amount_minor: int


def page(
    connection: Connection, channel: str | None, after: str | None, limit: int, *, kind: str | None, low: bool
) -> Page:
    """Return a page of accounts by id. `low`: only those that are to be topped up."""
    tests = {
        "low": low,
        "channel = %(channel)s": channel is not None,
        "kind = %(kind)s": kind is not None,
        "account_id > %(after)s": after is not None,
    }
    wanted = " AND ".join(test for test, is_asked in tests.items() if is_asked)
    query = f"SELECT * FROM accounts {f'WHERE {wanted} ' if wanted else ''}ORDER BY account_id LIMIT %(limit)s"
    values: dict[str, Any] = {"channel": channel, "kind": kind, "after": after, "limit": limit + 1}
    rows = connection.execute(query.encode(), values).fetchall()
    return Page([readable(row) for row in rows[:limit]], rows[limit - 1]["account_id"] if len(rows) > limit else None)


def find(connection: Connection, account_id: str) -> Row | None:
    row = connection.execute("SELECT * FROM accounts WHERE account_id = %s", [account_id]).fetchone()
    return row and readable(row)


def holds(connection: Connection, account_id: str) -> list[Row]:
    """Return the open holds of an account, each with its order."""
    query = (
        "SELECT hold_id, max(order_id) AS order_id, min(recorded_at) AS held_at, max(reason) AS reason, "
        "sum(CASE kind WHEN 'hold' THEN amount_minor ELSE -amount_minor END) AS left_minor "
        "FROM account_entries WHERE account_id = %s AND hold_id <> '' GROUP BY hold_id "
        "HAVING sum(CASE kind WHEN 'hold' THEN amount_minor ELSE -amount_minor END) > 0 "
        "ORDER BY held_at, hold_id LIMIT %s"
    )
    return [readable(row) for row in connection.execute(query, [account_id, HOLDS_MAX])]


def statement(connection: Connection, account: Row, since: str, until: str) -> Statement:
    """Return the statement of a period in days of UTC, both included. Raise TooMany if it has too many entries."""
    account_id = account["account_id"]
    query = (
        "SELECT * FROM account_entries WHERE account_id = %s AND day BETWEEN %s AND %s ORDER BY day, number LIMIT %s"
    )
    entries = connection.execute(query, [account_id, since, until, ENTRIES_MAX + 1]).fetchall()
    if len(entries) > ENTRIES_MAX:
        raise TooMany(f"{since} to {until} has more than {ENTRIES_MAX} entries; ask for a shorter period")
    opening = balance_at(connection, account_id, (date.fromisoformat(since) - timedelta(days=1)).isoformat())
    closing = entries[-1]["balance_minor"] if entries else opening
    return Statement(account, since, until, opening, closing, [readable(row) for row in entries])


def balance_at(connection: Connection, account_id: str, day: str) -> int:
    """Return the balance at the end of the day, in minor units."""
    query = (
        "SELECT balance_minor FROM account_entries WHERE account_id = %s AND day <= %s "
        "ORDER BY day DESC, number DESC LIMIT 1"
    )
    row = connection.execute(query, [account_id, day]).fetchone()
    return row["balance_minor"] if row else 0


def ageing(connection: Connection, account_id: str, day: str) -> list[Age]:
    """Return the ages of the money on the account at the end of the day."""
    left = balance_at(connection, account_id, day)
    found = [0] * (len(AGES) + 1)
    for paid_on, amount in _credits(connection, account_id, day):
        if not left:
            break
        age = (date.fromisoformat(day) - date.fromisoformat(paid_on)).days
        part = min(left, amount)
        found[sum(age > end for end in AGES)] += part
        left -= part
    starts = (0, *(end + 1 for end in AGES))
    return [Age(*of) for of in zip(starts, (*AGES, None), found, strict=True)]


def _credits(connection: Connection, account_id: str, day: str) -> Iterator[tuple[str, int]]:
    """Yield the credits up to a day, the newest first."""
    query = (
        "SELECT day, number, amount_minor FROM account_entries WHERE account_id = %s AND kind = 'credit' "
        "AND (day, number) < (%s, %s) ORDER BY day DESC, number DESC LIMIT %s"
    )
    before: tuple[str, int] = (f"{day}~", 0)  # after every entry of the day
    while rows := connection.execute(query, [account_id, *before, CREDITS_READ_MAX]).fetchall():
        yield from ((row["day"], row["amount_minor"]) for row in rows)
        before = rows[-1]["day"], rows[-1]["number"]


def as_csv(found: Statement) -> str:
    """Return the statement as CSV with amounts in minor units.

    Spent amounts are negative in moved_minor; a hold and its release move nothing.
    """
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, "moved_minor", *NAMES])
    for row in found.entries:
        moved = SPENT.get(row["kind"], 0) * row["amount_minor"]
        cells = [*(row[name] for name in COLUMNS), moved, *(row[name] for name in NAMES)]
        writer.writerow([plain(cell) for cell in cells])
    return out.getvalue()
