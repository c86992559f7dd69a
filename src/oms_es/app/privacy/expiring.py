"""Forgetting people whose orders ended long ago, without a request.

Invariant: an order is forgotten with all its relatives or not at all, and only if each of them ended before the given
moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from oms_es.app.engine import Runtime
from oms_es.app.privacy import erasing, family
from oms_es.app.privacy.family import Connection, TooManyOrders
from oms_es.kernel import Refused
from oms_es.projections.order.order_status import FINAL
from oms_es.schemas import order as o
from oms_es.store.privacy.subject_keys import KEYS

ORDERS_MAX = 10_000
"""Orders that are forgotten in one run; the next run goes on."""
KEPT_MAX = 1_000
"""Orders that are named in one run as kept."""
STEP_SECONDS = 0.3
"""How long a step asks at most: the engine's loop waits for it."""
PAGE_MAX = 1_000
"""Orders that have ended, with a key or without, that one query reads."""
ENDED = f"""
WITH ended AS MATERIALIZED (
    SELECT order_id, changed_at FROM order_status
    WHERE {FINAL} AND changed_at < %s AND (changed_at, order_id) > (%s, %s)
    ORDER BY changed_at, order_id LIMIT {PAGE_MAX}
)
SELECT e.order_id, e.changed_at, k.wrapped IS NOT NULL AS has_key
FROM ended AS e LEFT JOIN {KEYS} AS k ON k.subject = e.order_id ORDER BY e.changed_at, e.order_id
"""
Place = tuple[datetime, str]
"""When an order ended, and its id: how far a run has come."""
BEGINNING: Place = (datetime(1970, 1, 1, tzinfo=UTC), "")
NOT_ENDED = "SELECT order_id FROM order_status WHERE order_id = ANY(%s) AND NOT (phase = ANY(%s) AND changed_at < %s)"
PHASES = sorted(o.FINAL_PHASES)


class Kept(NamedTuple):
    """An order that ended long ago and is not forgotten, with the reason."""

    order_id: str
    reason: str


class Asked(NamedTuple):
    """The result. `orders`: to be forgotten now. `kept`: the first of the `kept_count` that are not. `more`: the next
    run may find others."""

    orders: list[str]
    kept: list[Kept]
    kept_count: int
    more: bool


class Swept(NamedTuple):
    """One step of a sweep. `reached`: the place to go on from, or None at the end. `had_keys`: whether any order that
    it read had a key."""

    asked: Asked
    reached: Place | None
    had_keys: bool


def families(connection: Connection, before: datetime) -> Iterator[list[str] | Kept]:
    """Yield the orders with a key that ended before a moment, the earliest first, each with its relatives."""
    yield from _families(connection, _ended(connection, before), before)


def _families(connection: Connection, ended: Iterable[str], before: datetime) -> Iterator[list[str] | Kept]:
    seen: set[str] = set()
    for order_id in ended:
        if order_id in seen:
            continue
        try:
            orders = family.with_relatives(connection, [order_id])
        except TooManyOrders as error:
            yield Kept(order_id, str(error))
            continue
        seen.update(orders)
        yield Kept(order_id, why) if (why := _not_yet(connection, orders, before)) else orders


def _ended(connection: Connection, before: datetime) -> Iterator[str]:
    after: Place | None = BEGINNING
    while after:
        places, after = _page(connection, before, after)
        yield from (order_id for _, order_id in places)


def _page(connection: Connection, before: datetime, after: Place) -> tuple[list[Place], Place | None]:
    """Return the next orders with a key that ended before a moment, and the place from which to go on, if there may be
    more."""
    rows = connection.execute(ENDED.encode(), [before, *after]).fetchall()
    reached = (rows[-1]["changed_at"], rows[-1]["order_id"]) if len(rows) == PAGE_MAX else None
    return [(row["changed_at"], row["order_id"]) for row in rows if row["has_key"]], reached


def _not_yet(connection: Connection, orders: Collection[str], before: datetime) -> str:
    found = connection.execute(NOT_ENDED, [list(orders), PHASES, before]).fetchone()
    return f"order {found['order_id']}, which belongs with it, has not ended as long ago" if found else ""


def ask(runtime: Runtime, connection: Connection, actor: str, before: datetime) -> Asked:
    """Record that each family is to be forgotten; one that is refused does not hold up the others."""
    return _collected(families(connection, before), partial(_refused, runtime, connection, actor))


def ask_some(runtime: Runtime, connection: Connection, actor: str, before: datetime, after: Place, limit: int) -> Swept:
    """Do the same for the next orders after a place, for at most `STEP_SECONDS` but one order at least."""
    places, reached = _page(connection, before, after)
    end, taken = time.monotonic() + STEP_SECONDS, list[Place]()

    def next_ones() -> Iterator[str]:
        for place in places[:limit]:
            if taken and time.monotonic() > end:
                return
            taken.append(place)
            yield place[1]

    asked = _collected(_families(connection, next_ones(), before), partial(_refused, runtime, connection, actor))
    return Swept(asked, taken[-1] if len(taken) < len(places) else reached, had_keys=bool(places))


def due(connection: Connection, before: datetime) -> Asked:
    """Return what `ask` would request; what would then be refused is not known here, such as for a legal hold."""
    return _collected(families(connection, before), lambda _orders: None)


def _collected(found: Iterable[list[str] | Kept], refused: Callable[[Sequence[str]], Kept | None]) -> Asked:
    asked, kept, kept_count = list[str](), list[Kept](), 0
    for one in found:
        why = one if isinstance(one, Kept) else refused(one)
        if why is None and not isinstance(one, Kept):
            asked += one
        elif why is not None:
            kept, kept_count = [*kept, why][:KEPT_MAX], kept_count + 1
        if len(asked) >= ORDERS_MAX:
            return Asked(asked, kept, kept_count, more=True)
    return Asked(asked, kept, kept_count, more=False)


def _refused(runtime: Runtime, connection: Connection, actor: str, orders: Sequence[str]) -> Kept | None:
    try:
        erasing.require_encrypted(connection, orders)
        erasing.ask(runtime, actor, orders, "retention", None)
    except (Refused, erasing.InTheClear) as error:
        return Kept(orders[0], error.detail if isinstance(error, Refused) else str(error))
    return None
