"""Response times of lists and of one order, over HTTP and in the console, with many orders, compared with few, and with
the bare query behind each page.

The server, PostgreSQL and the client share the machine; pages are requested one after the other, over one connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from typing import Any, NamedTuple

import httpx
import psycopg
from bench.http import served
from bench.measure import Measure

from oms_es.reports import lists, order_list
from oms_es.reports.operations import exceptions

WARMING = 5
"""First requests that are not measured: they fill caches."""
WALKED = 40
"""Pages of orders that are walked through, one after the other."""
PAGE = 50
EXPANDED = "&".join(
    f"expand={part}" for part in ("lines", "payments", "shipments", "returns", "exceptions", "timeline", "needs")
)
Bare = tuple[str, Mapping[str, Any]]


def _orders(**asked: Any) -> Bare:
    return order_list.statement(order_list.Asked(**asked), PAGE + 1)


def _listing(listing: lists.Listing, state: str | None = None) -> Bare:
    return lists.statement(listing, lists.Asked(state=state), PAGE + 1)


LISTS: Mapping[str, Bare] = {
    "orders": _orders(),
    "orders?phase=completed": _orders(phases=["completed"]),
    "orders?channel=web": _orders(channel="web"),
    "orders?sku=mug-0001": _orders(sku="mug-0001"),
    "orders?country=DE": _orders(country="DE"),
    "stock": ("SELECT * FROM stock_levels ORDER BY sku, location LIMIT 251", {}),
    "stock?location=paris": ("SELECT * FROM stock_levels WHERE location = 'paris' ORDER BY sku LIMIT 251", {}),
    "inbox": (exceptions.BY_KIND.format(of_channels=""), {"limit": exceptions.COUNTED_MAX}),
    "shipping?status=to_be_booked": _listing(lists.SHIPMENTS, "to_be_booked"),
    "shipping?status=booked": _listing(lists.SHIPMENTS, "booked"),
    "returns": _listing(lists.RETURNS),
    "low-stock": ("SELECT * FROM replenishments WHERE status = 'requested' ORDER BY requested_at LIMIT 101", {}),
    "dead-letters": ("SELECT * FROM oms_dead_letters ORDER BY id DESC LIMIT 51", {}),
    "finance": ("SELECT * FROM reconciled_accounts ORDER BY account LIMIT 51", {}),
}
"""Lists of the console, each with its bare query; of the inbox the one that counts by kind."""


class Shop(NamedTuple):
    """A server, with the orders in its database."""

    client: httpx.Client
    connection: psycopg.Connection
    orders: int


@contextmanager
def opened(url: str) -> Iterator[Shop]:
    with (
        psycopg.connect(url, autocommit=True) as connection,
        served(url) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        row = connection.execute("SELECT count(*) FROM order_status").fetchone()
        assert row
        yield Shop(client, connection, row[0])


def measures(few: Shop, many: Shop, times: int) -> Iterator[Measure]:
    """Return the measures of the API, then of the console; each page is asked for so many times."""
    than = f"of {few.orders:,} orders"
    of_few, of_many = by_turns(times, _walk(few), _walk(many))
    yield Measure(f"keyset page of {many.orders:,} orders, p95", p95(of_many), "ms", f"{than}, p95", p95(of_few))
    of_few, of_many, bare = by_turns(times, _one_order(few), _one_order(many), _row(many))
    name = f"order of {many.orders:,}, expanded"
    yield Measure(f"{name}, p95", p95(of_many), "ms", "one bare indexed read, p95", p95(bare))
    yield Measure(f"{name}, median", middle(of_many), "ms", than, middle(of_few))
    for page, query in LISTS.items():
        name = f"/console/{page}"
        of_few, of_many, bare = by_turns(times, _page(few, name), _page(many, name), _bare(many, query))
        yield Measure(f"{name}, median of {many.orders:,} orders", middle(of_many), "ms", than, middle(of_few))
        yield Measure(f"{name}, first byte, p95", p95(of_many), "ms", "the bare query, p95", p95(bare))


def by_turns(times: int, *asked: Callable[[], float | None]) -> list[list[float]]:
    """Measure each function equally often, by turns, so that other load affects all; return milliseconds.

    A function may return the seconds itself.
    """
    took: list[list[float]] = [[] for _ in asked]
    for number in range(WARMING + times):
        for found, do in zip(took, asked, strict=True):
            began = time.perf_counter()
            seconds = do()
            if number >= WARMING:
                found.append((time.perf_counter() - began if seconds is None else seconds) * 1_000)
    return [sorted(found) for found in took]


def middle(times: Sequence[float]) -> float:
    return times[len(times) // 2]


def p95(times: Sequence[float]) -> float:
    return times[int(len(times) * 0.95)]


def _walk(shop: Shop) -> Callable[[], None]:
    """Return a request for the next page of orders, page after page from the newest, and then again."""
    after: list[str | None] = [None]
    for _ in range(WALKED):
        answer = shop.client.get("/v1/orders", params={"limit": PAGE, **({"after": after[-1]} if after[-1] else {})})
        after.append(answer.raise_for_status().json()["next"])
    pages = cycle(after)

    def ask() -> None:
        cursor = next(pages)
        _get(shop, f"/v1/orders?limit={PAGE}" + (f"&after={cursor}" if cursor else ""))

    return ask


def _one_order(shop: Shop) -> Callable[[], None]:
    """Return a request for an order with all that is known of it: one after the other of those that have events."""
    ids = _with_events(shop)
    return lambda: _get(shop, f"/v1/orders/{next(ids)}?{EXPANDED}")


def _row(shop: Shop) -> Callable[[], None]:
    ids = _with_events(shop)

    def ask() -> None:
        shop.connection.execute("SELECT * FROM order_status WHERE order_id = %s", [next(ids)]).fetchone()

    return ask


def _with_events(shop: Shop) -> Iterator[str]:
    found = shop.connection.execute(
        "SELECT replace(originator_id, 'order-', '') FROM oms_events WHERE topic = 'OrderPlaced' ORDER BY 1"
    ).fetchall()
    return cycle([order for (order,) in found])


def _get(shop: Shop, path: str) -> None:
    shop.client.get(path).raise_for_status()


def _page(shop: Shop, path: str) -> Callable[[], float]:
    """Return a request that measures the seconds to the first byte of the answer's body."""

    def ask() -> float:
        began = time.perf_counter()
        with shop.client.stream("GET", path) as answer:
            answer.raise_for_status()
            pieces = answer.iter_raw()
            next(pieces)
            seconds = time.perf_counter() - began
            for _ in pieces:
                pass
        return seconds

    return ask


def _bare(shop: Shop, query: Bare) -> Callable[[], None]:
    statement, values = query
    return partial(_read, shop.connection, statement.encode(), values)


def _read(connection: psycopg.Connection, statement: bytes, values: Mapping[str, Any]) -> None:
    connection.execute(statement, values).fetchall()
