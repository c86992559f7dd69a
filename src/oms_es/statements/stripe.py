"""Stripe's reports as CSV: balance transactions, activity and payouts, itemised.

Invariant: gross less fee is net on every line, to the minor unit; each currency is a statement of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import NamedTuple

from oms_es.schemas.finance.statement import StatementLine
from oms_es.schemas.values.currency import to_text
from oms_es.statements.reading import (
    Options,
    Statement,
    Table,
    clean,
    currency_of,
    line_of,
    minor_of,
    moment_of,
    period_of,
    references_of,
    refuse,
    require_few,
    table_of,
    text_of,
)

KINDS = {
    **dict.fromkeys(("charge", "payment"), "payment"),
    **dict.fromkeys(("refund", "payment_refund", "partial_capture_reversal"), "refund"),
    **dict.fromkeys(("refund_failure", "payment_failure_refund", "payment_reversal"), "adjustment"),
    **dict.fromkeys(("stripe_fee", "fee", "network_cost", "tax_fee", "stripe_fx_fee", "application_fee"), "fee"),
    **dict.fromkeys(("dispute", "issuing_dispute"), "dispute"),
    **dict.fromkeys(("dispute_reversal",), "dispute_reversal"),
    **dict.fromkeys(("payout", "payout_reversal", "payout_failure", "payout_cancel"), "payout"),
    **dict.fromkeys(("topup", "topup_reversal", "transfer", "transfer_reversal"), "transfer"),
    **dict.fromkeys(("adjustment", "other_adjustment"), "adjustment"),
}
CHARGEBACKS = (("chargeback withdrawal", "dispute"), ("chargeback reversal", "dispute_reversal"))
"""How older reports describe adjustments that are chargebacks."""


class Names(NamedTuple):
    """The names of the columns in one report; `references` may be missing."""

    id: str
    created: str
    currency: str
    gross: str
    fee: str
    net: str
    kind: str
    source: str
    batch: str
    available: str
    references: tuple[str, ...] = ()


REPORTED = Names(
    *("balance_transaction_id", "created_utc", "currency", "gross", "fee", "net", "reporting_category", "source_id"),
    *("automatic_payout_id", "available_on_utc"),
    ("charge_id", "payment_intent_id", "order_id", "payment_metadata[payment_id]"),
)
EXPORTED = Names(
    *("id", "Created (UTC)", "Currency", "Amount", "Fee", "Net", "Type", "Source", "Transfer", "Available On (UTC)"),
)


def read(content: bytes, options: Options) -> Sequence[Statement]:
    table = table_of(text_of(content, options))
    names = REPORTED if REPORTED.id in table.columns else EXPORTED
    if "created_utc" not in table.columns and names is REPORTED:
        names = names._replace(created="created")
    table.require(names.id, names.created, names.currency, names.gross, names.fee, names.net, names.kind)
    by_currency: dict[str, list[StatementLine]] = {}
    for currency, line in _lines(table, names):
        by_currency.setdefault(currency, []).append(line)
    if not by_currency:
        refuse(None, "the report has no lines", "there is nothing to import")
    return [_statement(currency, lines) for currency, lines in sorted(by_currency.items())]


def _statement(currency: str, lines: Sequence[StatementLine]) -> Statement:
    require_few(lines)
    first, last = period_of(lines)
    number = f"{currency}/{first}..{last}"
    return Statement("stripe", "", number, currency, first, last, None, None, tuple(lines))


def _lines(table: Table, names: Names) -> Sequence[tuple[str, StatementLine]]:
    seen: set[str] = set()
    found = []
    for number, row in table.records():
        if row[names.id] in seen:
            refuse(number, f"{row[names.id]} stands in it twice")
        seen.add(row[names.id])
        found.append(_line(number, row, names))
    return found


def _line(number: int, row: Mapping[str, str], names: Names) -> tuple[str, StatementLine]:
    currency = currency_of(row[names.currency].upper(), number)
    gross, fee, net = (minor_of(row[name], currency, number) for name in (names.gross, names.fee, names.net))
    if gross - fee != net:
        words = to_text(gross - fee - net, currency)
        refuse(number, f"gross less fee is not net: {words} is missing")
    sent = row[names.created]
    at = moment_of(sent, "%Y-%m-%d %H:%M:%S" if len(sent) > len("2026-01-31 10:00") else "%Y-%m-%d %H:%M", number)
    available = row.get(names.available, "")[:10]
    source = row.get(names.source, "")
    line = line_of(
        number,
        line_id=clean(row[names.id]),
        kind=_kind(row[names.kind], row.get("description", row.get("Description", ""))),
        booked_on=at.date().isoformat(),
        value_on=moment_of(available, "%Y-%m-%d", number).date().isoformat() if available else None,
        happened_at=at.replace(tzinfo=UTC),
        sent_time=clean(sent),
        amount_minor=net,
        fee_minor=fee,
        references=references_of(source, *(row.get(name, "") for name in names.references), row[names.id]),
        batch=clean(row.get(names.batch, "")),
        text=row.get("description", row.get("Description", "")),
    )
    return currency, line


def _kind(category: str, description: str) -> str:
    kind = KINDS.get(category.strip().lower(), "other")
    if kind == "adjustment":
        return next((its for words, its in CHARGEBACKS if description.lower().startswith(words)), kind)
    return kind
