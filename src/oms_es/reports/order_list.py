"""Lists of orders, newest first, in pages, and the orders that a text may name.

Invariant: a page costs what it shows, however many orders there are: each list reads one index in its order, from where
the page before ended. Nothing is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_args

from oms_es.aggregates.order.state import BEFORE_RELEASE
from oms_es.aggregates.shipment import decider as shipment
from oms_es.projections.order.order_recipients import email_key, name_key, postal_code_key
from oms_es.reports.queries import Connection, Row
from oms_es.reports.streams import history, state
from oms_es.schemas.order import Phase, order_id_of
from oms_es.store.encoding.codec import Codec

PAGE_MAX = 500
FOUND_MAX = 50
PHASES: tuple[str, ...] = tuple(phase for phase in get_args(Phase) if phase != "new")


class Cursor(NamedTuple):
    """The order, or other entity that is listed by time, after which a list continues."""

    at: datetime
    order_id: str

    def __str__(self) -> str:
        return f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}~{self.order_id}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Return the cursor in a text. Raise ValueError if it is none."""
        moment, tilde, order_id = text.partition("~")
        at = datetime.fromisoformat(moment)
        if not (tilde and order_id and at.tzinfo):
            raise ValueError(text)
        return cls(at, order_id)


class Customer(NamedTuple):
    """A customer of one channel, written as CHANNEL~ID or CHANNEL/ID."""

    channel: str
    customer_id: str

    @classmethod
    def read(cls, text: str, separator: str = "~") -> Customer:
        """Return the customer in a text. Raise ValueError if it names none."""
        channel, apart, customer_id = text.partition(separator)
        if not (apart and channel and customer_id):
            raise ValueError(text)
        return cls(channel, customer_id)


class Asked(NamedTuple):
    """The filter of a list; None or empty means any. `since` is included, `until` is not."""

    phases: Sequence[str] = ()
    channel: str | None = None
    sku: str | None = None
    hold: str | None = None
    name: str | None = None
    postal_code: str | None = None
    country: str | None = None
    customer: Customer | None = None
    email: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: Cursor | None = None


class Page(NamedTuple):
    """A page of orders. `after` is where the next page begins; None after the last one."""

    orders: list[Row]
    after: Cursor | None


SHOWN = "s.*, n.name AS order_number, r.name AS ship_to_name, r.country AS ship_to_country"
SHOWN_OF_PEOPLE = frozenset({"ship_to_name", "ship_to_country"})
BESIDE = "LEFT JOIN order_numbers n USING (order_id) LEFT JOIN order_recipients r USING (order_id)"


def page(connection: Connection, asked: Asked, limit: int) -> Page:
    query, values = statement(asked, limit + 1)
    rows = connection.execute(query.encode(), values).fetchall()
    places = [Cursor(row.pop("listed_at"), row["order_id"]) for row in rows]
    return Page(rows[:limit], places[limit - 1] if len(rows) > limit else None)


def statement(asked: Asked, limit: int) -> tuple[str, dict[str, Any]]:
    """Return the SQL statement and its values."""
    phases = list(dict.fromkeys(asked.phases or (sorted(BEFORE_RELEASE) if asked.hold else PHASES)))
    after = asked.after or Cursor(datetime.max.replace(tzinfo=UTC), "")
    values = {
        **asked._asdict(),
        "name": asked.name and name_key(asked.name),
        "postal_code": asked.postal_code and postal_code_key(asked.postal_code),
        "email": asked.email and email_key(asked.email),
        "customer_channel": asked.customer and asked.customer.channel,
        "customer": asked.customer and asked.customer.customer_id,
        "phases": phases,
        **{f"phase{number}": phase for number, phase in enumerate(phases)},
        "after_at": after.at,
        "after_id": after.order_id,
        "limit": limit,
    }
    return _query(asked, len(phases)), values


def _query(asked: Asked, phases: int) -> str:
    """Return the query. Of the indexes that fit, it uses the one that leaves the fewest orders."""
    wanted = _conditions(asked)
    if asked.customer is not None:
        return _listed(
            "order_recipients", "l.channel = %(customer_channel)s AND l.customer_id = %(customer)s", wanted, asked
        )
    if asked.sku is not None:
        return _listed("order_skus", "l.sku = %(sku)s", wanted, asked)
    by_recipient = {"email": "email_key", "name": "name_key", "postal_code": "postal_code_key", "country": "country"}
    for field, column in by_recipient.items():
        if getattr(asked, field) is not None:
            return _listed("order_recipients", f"l.{column} = %({field})s", wanted, asked)
    return _by_phase(asked, phases)


def _conditions(asked: Asked) -> str:
    tests = {
        "channel": "s.channel = %(channel)s",
        "hold": "%(hold)s = ANY(s.holds)",
        "name": "r.name_key = %(name)s",
        "postal_code": "r.postal_code_key = %(postal_code)s",
        "country": "r.country = %(country)s",
        "email": "r.email_key = %(email)s",
    }
    chosen = [test for field, test in tests.items() if getattr(asked, field) is not None]
    return " AND ".join(["s.phase = ANY(%(phases)s)", *chosen])


def _between(asked: Asked, of: str) -> str:
    bounds = [f"({of}.placed_at, {of}.order_id) < (%(after_at)s, %(after_id)s)"] if asked.after else []
    bounds += [f"{of}.placed_at >= %(since)s"] if asked.since else []
    bounds += [f"{of}.placed_at < %(until)s"] if asked.until else []
    return "".join(f" AND {bound}" for bound in bounds)


def _listed(table: str, by: str, wanted: str, asked: Asked) -> str:
    return (
        f"SELECT {SHOWN}, l.placed_at AS listed_at FROM {table} l JOIN order_status s USING (order_id) {BESIDE} "
        f"WHERE {by}{_between(asked, 'l')} AND {wanted} "
        f"ORDER BY l.placed_at DESC, l.order_id DESC LIMIT %(limit)s"
    )


def _by_phase(asked: Asked, phases: int) -> str:
    """Return the query by phase: it merges a page of each phase, as the indexes begin with the phase."""
    of_channel = " AND o.channel = %(channel)s" if asked.channel is not None else ""
    held = " AND %(hold)s = ANY(o.holds)" if asked.hold is not None else ""
    each = (
        f"(SELECT o.* FROM order_status o WHERE o.phase = %(phase{{}})s{of_channel}{held}"
        f"{_between(asked, 'o')} ORDER BY o.placed_at DESC, o.order_id DESC LIMIT %(limit)s)"
    )
    return (
        f"SELECT {SHOWN}, s.placed_at AS listed_at FROM ({' UNION ALL '.join(map(each.format, range(phases)))}) s "
        f"{BESIDE} ORDER BY s.placed_at DESC, s.order_id DESC LIMIT %(limit)s"
    )


NAMED: dict[str, str] = {
    "order": "SELECT order_id FROM order_status WHERE order_id = %(id)s",
    "channel's id": "SELECT order_id FROM order_status WHERE external_id = %(text)s LIMIT %(limit)s",
    "order number": "SELECT order_id FROM order_numbers WHERE name = %(text)s LIMIT %(limit)s",
    "tracking number": "SELECT order_id FROM tracking_numbers WHERE tracking_number = %(text)s LIMIT %(limit)s",
    "payment": "SELECT order_id FROM payments WHERE payment_id = %(text)s",
    "payment's reference": "SELECT order_id FROM payments WHERE reference = %(text)s LIMIT %(limit)s",
    "return": "SELECT order_id FROM returns WHERE rma_id = %(text)s",
    "recipient": (
        "SELECT order_id FROM order_recipients WHERE name_key = %(name)s "
        "ORDER BY placed_at DESC, order_id DESC LIMIT %(limit)s"
    ),
    "customer's id": (
        "SELECT order_id FROM order_recipients WHERE channel = %(channel)s AND customer_id = %(rest)s "
        "AND customer_id <> '' ORDER BY placed_at DESC, order_id DESC LIMIT %(limit)s"
    ),
    "customer's e-mail": (
        "SELECT order_id FROM order_recipients WHERE email_key = %(email)s AND email_key <> '' "
        "ORDER BY placed_at DESC, order_id DESC LIMIT %(limit)s"
    ),
    "SKU": (
        "SELECT order_id FROM order_skus WHERE sku = %(text)s ORDER BY placed_at DESC, order_id DESC LIMIT %(limit)s"
    ),
}
"""What a text may be, with the query for its orders: each is a lookup in one index."""


def found(connection: Connection, codec: Codec, text: str) -> list[Row]:
    """Return the orders that a text may name, each with what the text is of it; at most FOUND_MAX of each kind."""
    reasons: dict[str, list[str]] = {}
    for what, order_id in _named(connection, codec, text):
        reasons.setdefault(order_id, []).append(what)
    query = f"SELECT {SHOWN} FROM order_status s {BESIDE} WHERE order_id = ANY(%s) ORDER BY s.placed_at DESC, order_id"
    rows = connection.execute(query.encode(), [list(reasons)]).fetchall()
    return [{**row, "found_by": reasons[row["order_id"]]} for row in rows]


def _named(connection: Connection, codec: Codec, text: str) -> Iterator[tuple[str, str]]:
    channel, slash, external_id = text.partition("/")
    order_id = order_id_of(channel, external_id) if slash else text
    whose = {"channel": channel, "rest": external_id, "email": email_key(text)}
    values = {"text": text, "id": order_id, "name": name_key(text), "limit": FOUND_MAX, **whose}
    for what, query in NAMED.items():
        for row in connection.execute(query.encode(), values):
            yield what, row["order_id"]
    parcel = state(shipment.decider, history(connection, codec, f"shipment-{text}"))
    if parcel.requested:
        yield "shipment", parcel.requested.order_id
