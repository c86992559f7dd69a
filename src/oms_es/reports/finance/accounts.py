"""The reconciliation of an account: statements, lines, matches, and breaks by kind and age.

Each is one SQL statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from oms_es.reports.queries import Connection, Row, readable

ACCOUNTS_MAX = 500
"""How many rows a page may have."""
AGES: Sequence[tuple[str, int]] = (("week", 7), ("month", 30), ("quarter", 90))
"""The upper bounds of a break's age in days; older breaks are counted separately."""


def listed(connection: Connection, after: tuple[str, str] = ("", ""), limit: int = ACCOUNTS_MAX) -> list[Row]:
    """Return the accounts by account and currency, after the given one.

    `opening_minor` is that of the first statement with balances, `closing_minor` that of the last.
    """
    return _balances(connection, "(account, currency) > (%s, %s)", after, limit)


def _balances(connection: Connection, where: LiteralString, values: Sequence[str], limit: int) -> list[Row]:
    query: LiteralString = (
        "WITH of AS (SELECT account, currency, min(opened_on) AS first, max(closed_on) AS last, "
        "count(*) AS statements, sum(line_count) AS lines, sum(booked_minor) AS booked_minor, "
        "(array_agg(opening_minor ORDER BY opened_on, statement_id) FILTER (WHERE opening_minor IS NOT NULL))[1] "
        "AS opening_minor, "
        "(array_agg(closing_minor ORDER BY closed_on DESC, statement_id DESC) FILTER (WHERE closing_minor IS NOT NULL))"
        "[1] AS closing_minor FROM statements WHERE " + where + " GROUP BY account, currency "
        "ORDER BY account, currency LIMIT %s) "
        "SELECT of.*, (SELECT count(*) FROM reconciliation_breaks AS b WHERE b.account = of.account "
        "AND b.currency = of.currency AND b.status = 'open') AS open_breaks, "
        "coalesce(r.closed_through, '') AS closed_through "
        "FROM of LEFT JOIN reconciled_accounts AS r ON r.account = of.account ORDER BY of.account, of.currency"
    )
    return [readable(row) for row in connection.execute(query, [*values, limit])]


def report(connection: Connection, account: str) -> dict[str, Any] | None:
    """Return the reconciliation of an account; None if no statement of it was imported."""
    balances = _balances(connection, "account = %s", [account], ACCOUNTS_MAX)
    if not balances:
        return None
    row = connection.execute("SELECT * FROM reconciled_accounts WHERE account = %s", [account]).fetchone()
    return {
        "account": account,
        "first": min(row["first"] for row in balances),
        "last": max(row["last"] for row in balances),
        "closed_through": row["closed_through"] if row else "",
        "closed_at": row["closed_at"] if row else None,
        "closed_by": row["closed_by"] if row else "",
        "fee_terms": row["fee_terms"] if row else [],
        "balances": balances,
        "lines": _lines(connection, account),
        "matches": _matches(connection, account),
        "breaks": _breaks(connection, account),
    }


def _lines(connection: Connection, account: str) -> list[Row]:
    query = (
        "SELECT currency, kind, count(*) AS lines, sum(amount_minor) AS amount_minor, sum(fee_minor) AS fee_minor, "
        "count(*) FILTER (WHERE pending) AS pending FROM statement_lines WHERE account = %s "
        "GROUP BY currency, kind ORDER BY currency, kind"
    )
    return [readable(row) for row in connection.execute(query, [account])]


def _matches(connection: Connection, account: str) -> Row:
    query = (
        "SELECT count(*) AS matches, coalesce(sum(jsonb_array_length(lines)), 0) AS lines, "
        "coalesce(sum(jsonb_array_length(movements)), 0) AS movements, "
        "count(*) FILTER (WHERE reason LIKE 'by hand%%') AS by_hand "
        "FROM reconciliation_matches WHERE account = %s AND status = 'matched'"
    )
    return readable(connection.execute(query, [account]).fetchall()[0])


def _breaks(connection: Connection, account: str) -> list[Row]:
    """Return the number of breaks by status, kind and currency, and by age."""
    age = "current_date - day::date"
    bounds = [("older", f"{age} > {AGES[-1][1]}")]
    before = -1
    for name, days in AGES:
        bounds.append((name, f"{age} <= {days}" + (f" AND {age} > {before}" if before >= 0 else "")))
        before = days
    counted = ", ".join(f"count(*) FILTER (WHERE {test}) AS {name}" for name, test in bounds)
    query = (
        "SELECT status, kind, currency, count(*) AS breaks, sum(amount_minor) AS amount_minor, min(day) AS oldest, "
        f"{counted} FROM reconciliation_breaks WHERE account = %s "
        "GROUP BY status, kind, currency ORDER BY status, kind, currency"
    )
    return [readable(row) for row in connection.execute(query.encode(), [account])]
