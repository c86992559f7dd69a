"""The journal as CSV, and as files of hledger and beancount, which check the closing balances in them by themselves."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

from oms_es.books.entry import Entry
from oms_es.reports.figures.writing import plain
from oms_es.reports.finance import books
from oms_es.reports.finance.books import Asked, Balance
from oms_es.reports.queries import Connection
from oms_es.schemas.values.currency import exponent_of

COLUMNS = ("day", "entry", "event", "order_id", "subject", "account", "currency", "debit", "credit")
UNSAFE = re.compile(r"[^\w ./:@#+-]")
"""Characters of a name that another program could misread."""
Writer = Callable[[Iterator[Entry], Sequence[Balance]], Iterator[str]]


def written(connection: Connection, asked: Asked, form: str) -> Iterator[str]:
    """Yield the lines of a file.

    History is read twice, because the opening and closing balances must be known first.
    """
    balances = books.trial_balance(connection, asked)
    yield from FORMATS[form](_with_opening(connection, asked, balances), balances)


def _with_opening(connection: Connection, asked: Asked, balances: list[Balance]) -> Iterator[Entry]:
    begin = books.opening(balances, asked.since) if asked.since else None
    if begin:
        yield begin
    yield from (entry for entry in books.entries(connection, asked) if not asked.is_before(entry))


def amount_of(amount_minor: int, currency: str) -> str:
    exponent = exponent_of(currency)
    return f"{Decimal(amount_minor).scaleb(-exponent):.{exponent}f}"


def as_csv(entries: Iterator[Entry], _: Sequence[Balance]) -> Iterator[str]:
    yield _row(COLUMNS)
    for entry in entries:
        of = (entry.day, entry.name, entry.event, entry.order_id, entry.subject)
        for account, currency, amount in entry.postings:
            debit = amount_of(amount, currency) if amount > 0 else ""
            credit = amount_of(-amount, currency) if amount < 0 else ""
            yield _row([*map(plain, of), account, currency, debit, credit])


def _row(cells: Sequence[str]) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _safe(text: str) -> str:
    return UNSAFE.sub("_", text)


def as_hledger(entries: Iterator[Entry], balances: Sequence[Balance]) -> Iterator[str]:
    yield "decimal-mark .\n"
    yield from (f"account {account}\n" for account in sorted({one.account for one in balances}))
    last = ""
    for entry in entries:
        last = max(last, entry.day)
        about = f"; entry:{entry.name}, order:{_safe(entry.order_id)}"
        yield f"\n{entry.day} {_safe(f'{entry.event} {entry.subject}'.strip())}  {about}\n"
        for account, currency, amount in entry.postings:
            yield f"    {account}  {amount_of(amount, currency)} {currency}\n"
    if last:
        yield f"\n{last} closing balances\n"
        for one in balances:
            nothing = amount_of(0, one.currency)
            yield (
                f"    {one.account}  {nothing} {one.currency} = "
                f"{amount_of(one.closing_minor, one.currency)} {one.currency}\n"
            )


def as_beancount(entries: Iterator[Entry], balances: Sequence[Balance]) -> Iterator[str]:
    first = last = ""
    for entry in entries:
        first, last = min(first or entry.day, entry.day), max(last, entry.day)
        yield f'{entry.day} * "{_safe(entry.event)}" "{_safe(entry.subject)}"\n'
        yield f'  entry: "{entry.name}"\n  order: "{_safe(entry.order_id)}"\n'
        for account, currency, amount in entry.postings:
            yield f"  {_titled(account)}  {amount_of(amount, currency)} {currency}\n"
        yield "\n"
    if not last:
        return
    for account in sorted({one.account for one in balances}):
        yield f"{first} open {_titled(account)}\n"
    after = (date.fromisoformat(last) + timedelta(days=1)).isoformat()
    for one in balances:
        closing = amount_of(one.closing_minor, one.currency)
        # without a tolerance of its own beancount lets a balance be off by one of its last digit: by a cent
        yield f"{after} balance {_titled(one.account)}  {closing} ~ 0 {one.currency}\n"


def _titled(account: str) -> str:
    """Return an account's name in beancount's form, with a capital letter at the beginning of each part."""
    return ":".join(part[0].upper() + part[1:] for part in account.split(":"))


FORMATS: Mapping[str, Writer] = {"csv": as_csv, "hledger": as_hledger, "beancount": as_beancount}
