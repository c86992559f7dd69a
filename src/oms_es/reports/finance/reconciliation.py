"""The inputs of a reconciliation run, and queries of its results. All reads are bounded, each one SQL statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from oms_es.matching.chain import Ends
from oms_es.matching.sides import Line, Movement
from oms_es.reports.queries import Connection, Row, readable
from oms_es.schemas.payment.movements import payout_of

SIDES_MAX = 500_000
"""How many lines, and movements, one run reads."""
STATEMENTS_MAX = 20_000
PAGE_MAX = 500


class Period(NamedTuple):
    """The days and currencies of all statements of an account."""

    currencies: list[str]
    first: str
    last: str


def period(connection: Connection, account: str) -> Period | None:
    query = (
        "SELECT array_agg(DISTINCT currency) AS currencies, min(opened_on) AS first, max(closed_on) AS last "
        "FROM statements WHERE account = %s"
    )
    row = connection.execute(query, [account]).fetchall()[0]
    return Period(sorted(row["currencies"]), row["first"], row["last"]) if row["currencies"] else None


def lines(connection: Connection, account: str, until: str) -> list[Line]:
    """Return the booked lines, with amounts before the fee."""
    query = (
        'SELECT statement_id, line, line_id, kind, booked_on, currency, amount_minor, fee_minor, "references", parts '
        "FROM statement_lines WHERE account = %s AND NOT pending AND booked_on <= %s "
        "ORDER BY statement_id, line LIMIT %s"
    )
    return [_line(row) for row in connection.execute(query, [account, until, SIDES_MAX])]


def _line(row: Row) -> Line:
    own = [*row["references"], *(one for part in row["parts"] for one in part["references"])]
    return Line(
        f"{row['statement_id']}/{row['line']}",
        row["line_id"],
        row["kind"],
        row["booked_on"],
        row["currency"],
        row["amount_minor"] + row["fee_minor"],
        row["fee_minor"],
        tuple(dict.fromkeys(own)),
    )


def movements(connection: Connection, of: Period, until: str, methods: Sequence[str]) -> list[Movement]:
    """Return the movements of payments in the account's currencies, from its first day on."""
    query = (
        "SELECT m.movement, m.day, m.currency, m.amount_minor, m.\"references\", coalesce(p.method, '') AS method "
        "FROM money_movements AS m "
        "LEFT JOIN payments AS p ON p.payment_id = m.payment_id "
        "WHERE m.currency = ANY(%(currencies)s) AND m.day BETWEEN %(first)s AND %(until)s "
        "AND (%(methods)s::text[] IS NULL OR p.method = ANY(%(methods)s)) ORDER BY m.position LIMIT %(limit)s"
    )
    values: dict[str, Any] = {
        "currencies": of.currencies,
        "first": of.first,
        "until": until,
        "methods": list(methods) or None,
        "limit": SIDES_MAX,
    }
    return [
        Movement(
            *(row["movement"], row["day"], row["currency"], row["amount_minor"], tuple(row["references"])),
            row["method"],
        )
        for row in connection.execute(query, values)
    ]


def ends(connection: Connection, account: str, until: str) -> list[Ends]:
    """Return the period and balances of the account's statements that have balances."""
    names = ", ".join(Ends._fields)
    query = (
        f"SELECT {names} FROM statements WHERE account = %s AND closed_on <= %s "
        "AND opening_minor IS NOT NULL AND closing_minor IS NOT NULL ORDER BY closed_on, statement_id LIMIT %s"
    )
    return [Ends(**row) for row in connection.execute(query.encode(), [account, until, STATEMENTS_MAX])]


def payouts(connection: Connection, of: Period, until: str, accounts: Sequence[str]) -> list[Movement]:
    """Return the payouts in the statements of payment providers, which come in at a bank."""
    query = (
        "SELECT account, statement_id, line, line_id, booked_on, currency, "
        'amount_minor + fee_minor AS gross_minor, "references" '
        "FROM statement_lines WHERE account = ANY(%s) AND kind = 'payout' AND NOT pending "
        "AND currency = ANY(%s) AND booked_on BETWEEN %s AND %s ORDER BY account, statement_id, line LIMIT %s"
    )
    values = [list(accounts), of.currencies, of.first, until, SIDES_MAX]
    return [
        Movement(
            payout_of(row["account"], f"{row['statement_id']}/{row['line']}"),
            row["booked_on"],
            row["currency"],
            -row["gross_minor"],
            tuple(row["references"]),
        )
        for row in connection.execute(query, values)
    ]


def matched_elsewhere(connection: Connection, account: str) -> set[str]:
    query = (
        "SELECT jsonb_array_elements_text(movements) AS movement FROM reconciliation_matches "
        "WHERE account <> %s AND status = 'matched'"
    )
    return {row["movement"] for row in connection.execute(query, [account])}


def breaks(connection: Connection, account: str, status: str, after: str | None, limit: int) -> list[Row]:
    """Return a page of breaks, the oldest first. `after` is the day and the id of a break, with a slash between."""
    day, _, break_id = (after or "").partition("/")
    query = (
        "SELECT *, current_date - day::date AS age_days FROM reconciliation_breaks "
        "WHERE account = %s AND status = %s AND (day, break_id) > (%s, %s) ORDER BY day, break_id LIMIT %s"
    )
    return [readable(row) for row in connection.execute(query, [account, status, day, break_id, limit])]


def of_line(connection: Connection, account: str, line: str) -> tuple[list[Row], list[Row]]:
    """Return the matches and breaks that the line is, or was, part of."""
    found = []
    for table, key in (("reconciliation_matches", "match_id"), ("reconciliation_breaks", "break_id")):
        query = f"SELECT * FROM {table} WHERE account = %s AND lines @> to_jsonb(%s::text) ORDER BY {key} LIMIT %s"
        rows = connection.execute(query.encode(), [account, line, PAGE_MAX])
        found.append([readable(row) for row in rows])
    return found[0], found[1]
