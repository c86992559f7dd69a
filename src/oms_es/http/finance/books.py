"""The books over HTTP: folded from history on request, in a background thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, NamedTuple

from starlette.responses import Response

from oms_es.books.chart import has
from oms_es.errors import NotFound
from oms_es.http.background import Progress
from oms_es.http.errors import BadParameter
from oms_es.http.finance.asking import LATER, OF_NO_CHANNEL, answered, either
from oms_es.http.reading.figures import DAY
from oms_es.http.reading.tables import LIMIT
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter, Route
from oms_es.reports import queries
from oms_es.reports.finance import books
from oms_es.reports.queries import Connection
from oms_es.reports.streams import end_of_log

READ = "finance:read"
ENTRY = re.compile(r"(?P<position>[0-9]{1,18})/(?P<number>[0-9]{1,9})", re.ASCII)
CURRENCY = re.compile("[A-Z]{3}")
NAME_LENGTH_MAX = 300
ORDERS_MAX = 250_000
"""Orders that are folded in this process at most: some 3 KB each, 750 MB in all, for one request at a time."""


class Period(NamedTuple):
    """First and last day, both included, and a currency; a field without a value sets no limit."""

    since: str | None
    until: str | None
    currency: str | None


def period_of(asked: Asked) -> Period:
    """Return the period that the parameters name. Raise BadParameter, or Forbidden for a key of some channels."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    currency = asked.one("currency")
    if currency is not None and not CURRENCY.fullmatch(currency):
        raise BadParameter("currency", "write three capital letters, such as EUR")
    period = Period(_day(asked, "from"), _day(asked, "to"), currency)
    if period.since and period.until and period.until < period.since:
        raise BadParameter("to", f"{period.until} is before {period.since}")
    return period


def _day(asked: Asked, name: str) -> str | None:
    text = asked.one(name)
    try:
        return None if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadParameter(name, "write a day such as 2026-01-31") from None


async def trial_balance(asked: Asked) -> Response:
    period = period_of(asked)
    return await answered(asked, period, _asking(asked, partial(_balances, period)), lambda found: found)


async def account(asked: Asked) -> Response:
    """Answer with a page of an account's lines. Raise NotFound if the chart has no such account."""
    period, name, limit = period_of(asked), asked.values["account"], asked.limit()
    if not has(name):
        raise NotFound("the chart has no such account; GET /v1/books/trial-balance lists those that were booked on")
    place = _place(asked.one("after"))
    do = _asking(asked, partial(_lines, period, name, place, limit))
    return await answered(asked, (period, name, place, limit), do, lambda found: found)


def _place(after: str | None) -> tuple[int, int]:
    found = ENTRY.fullmatch(after or "0/0")
    if found is None:
        raise BadParameter("after", "write an entry as 12/1, as a page before ended with")
    return int(found["position"]), int(found["number"])


def _asking(asked: Asked, question: Callable[[Connection, Progress], Any]) -> Callable[[Progress], Any]:
    url = asked.services.parts.database_url

    def do(progress: Progress) -> Any:
        with queries.reading(url) as connection:
            return question(connection, progress)

    return do


def _wanted(connection: Connection, period: Period, progress: Progress) -> books.Asked:
    return books.Asked(*period, end_of_log(connection), progress, ORDERS_MAX)


def _balances(period: Period, connection: Connection, progress: Progress) -> Mapping[str, Any]:
    wanted = _wanted(connection, period, progress)
    found = books.trial_balance(connection, wanted)
    rows = [{**one._asdict(), "closing_minor": one.closing_minor} for one in found]
    return {"position": wanted.last, "accounts": rows, "totals_minor": books.totals(found)}


def _lines(
    period: Period, name: str, place: tuple[int, int], limit: int, connection: Connection, progress: Progress
) -> Mapping[str, Any]:
    found = books.account(connection, _wanted(connection, period, progress), name, place, limit)
    if not found.is_known:
        raise NotFound("nothing was booked on such an account; GET /v1/books/trial-balance lists those that there are")
    rows = [
        {
            "entry": line.entry.name,
            "day": line.entry.day,
            "event": line.entry.event,
            "order_id": line.entry.order_id,
            "subject": line.entry.subject,
            **line.posting._asdict(),
            "balance_minor": line.balance_minor,
        }
        for line in found.lines
    ]
    return {"items": rows, "next": found.after, "opening_minor": found.opening, "closing_minor": found.closing}


TEXT: Mapping[str, Any] = {"type": "string"}
COUNT: Mapping[str, Any] = {"type": "integer"}
BY_CURRENCY: Mapping[str, Any] = {"type": "object", "additionalProperties": COUNT}
AMOUNTS = ("opening_minor", "debit_minor", "credit_minor", "closing_minor")
BALANCE: Mapping[str, Any] = {
    "type": "object",
    "properties": {**dict.fromkeys(("account", "currency"), TEXT), **dict.fromkeys(AMOUNTS, COUNT)},
    "required": ["account", "currency", *AMOUNTS],
}
BALANCES: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "position": COUNT,
        "accounts": {"type": "array", "items": BALANCE},
        "totals_minor": BY_CURRENCY,
    },
    "required": ["position", "accounts", "totals_minor"],
}
LINES: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"type": "object"}},
        "next": {"anyOf": [TEXT, {"type": "null"}]},
        **dict.fromkeys(("opening_minor", "closing_minor"), BY_CURRENCY),
    },
    "required": ["items", "next", "opening_minor", "closing_minor"],
}
TOO_MANY = f"A parameter is wrong, or there are more than {ORDERS_MAX:,} orders: ask in a terminal."
PARAMETERS = (
    Parameter("from", "The first day, in UTC.", DAY),
    Parameter("to", "The last day.", DAY),
    Parameter("currency", "Only this currency.", {"type": "string", "pattern": "^[A-Z]{3}$"}),
)
AFTER = Parameter(
    "after", "The entry that the previous page ended with.", {"type": "string", "pattern": "^[0-9]{1,18}/[0-9]{1,9}$"}
)
ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/books/trial-balance",
        "trial-balance",
        "The balance of every account of the books; a debit is positive, and the accounts of a currency sum to zero.",
        READ,
        trial_balance,
        PARAMETERS,
        answers={200: "It is this.", 202: LATER, 422: TOO_MANY},
        answer=either(BALANCES),
        tag="finance",
    ),
    Route(
        "GET",
        "/v1/books/accounts/{account}",
        "show-book-account",
        "The postings of an account of the books and its sub-accounts, in the order of their recording, "
        "with the balance after each.",
        READ,
        account,
        (*PARAMETERS, LIMIT, AFTER),
        answers={200: "They are these.", 202: LATER, 404: "Nothing was booked on it.", 422: TOO_MANY},
        answer=either(LINES),
        tag="finance",
        path_schemas={"account": {"type": "string", "maxLength": NAME_LENGTH_MAX}},
    ),
)
