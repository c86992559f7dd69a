"""Live streams resume without a gap or a repeat, also at another server, and end when their server ends. Links for
customers.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from http_requests import order
from http_server import Served, serving
from oms_es.app import migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.http.access import Caller
from oms_es.http.reading import links, streams
from oms_es.http.reading.tail import Change, Tail
from oms_es.store.http import link_keys


def messages(stream: httpx.Response) -> Iterator[tuple[int, dict[str, Any]]]:
    position = 0
    for line in stream.iter_lines():
        if line.startswith("id:"):
            position = int(line[3:])
        if line.startswith("data:"):
            yield position, json.loads(line[5:])


def some(client: httpx.Client, path: str, until: Any, **headers: str) -> list[tuple[int, dict[str, Any]]]:
    found = []
    with client.stream("GET", path, headers=headers) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        for message in messages(stream):
            found.append(message)
            if until(message[1]):
                break
    return found


def test_one_order_is_followed_from_its_beginning_and_resumed_anywhere(client: httpx.Client) -> None:
    client.post("/v1/locations/berlin:open", json={"country": "DE"})
    client.post("/v1/stock/LIVE/berlin:receive", json={"receipt_id": "live", "quantity": 10})
    placed = client.post("/v1/orders", json=order("live-1", sku="LIVE")).json()
    client.get("/v1/orders/web~live-1", headers={"Oms-Min-Position": str(placed["position"])})
    path = "/v1/streams/orders/web~live-1"
    whole = some(client, f"{path}?after=0", lambda row: row["phase"] == "fulfilling")
    assert whole[0][1]["phase"] == "sourcing"
    assert [position for position, _ in whole] == sorted({position for position, _ in whole})
    assert all(position == row["position"] for position, row in whole)
    for cut in range(len(whole) - 1):
        rest = some(client, path, lambda row: row["phase"] == "fulfilling", **{"Last-Event-ID": str(whole[cut][0])})
        assert rest == whole[cut + 1 :]
    stock = some(client, "/v1/streams/stock?sku=LIVE&after=0", lambda row: row["reserved"] == 1)
    assert [row["on_hand"] for _, row in stock] == [10, 10]
    assert client.get("/v1/streams/orders", headers={"Last-Event-ID": "-1"}).status_code == 400
    assert client.get("/v1/streams/orders/web~never").status_code == 404


def test_a_change_is_encoded_once_for_all_who_may_see_the_same_of_it() -> None:
    made: list[Caller] = []

    class Counted:
        def shown(self, value: Any, caller: Caller) -> Any:
            made.append(caller)
            return {**value, "of": sorted(caller.channels or ())}

    change = Change(7, "order", ("a",), "web", {"phase": "sourcing"}, {})
    everybody = [Caller(f"key:{number}", frozenset()) for number in range(500)]
    of_web = [Caller(f"web:{number}", frozenset(), frozenset({"web"})) for number in range(500)]
    services: Any = Counted()
    sent = {streams.encoded(services, change, "order.status", caller) for caller in (*everybody, *of_web)}
    assert len(made) == len(sent) == 2
    assert all(b"id: 7" in one for one in sent)
    for number in range(100):
        mine = Caller("a", frozenset(), frozenset({f"c{number}"}))
        assert f"c{number}".encode() in streams.encoded(services, change, "order.status", mine)
    assert len(change.encoded) == streams.AUDIENCES_MAX


def test_a_key_of_one_channel_follows_its_own(served: Served, client: httpx.Client) -> None:
    first = client.post("/v1/orders", json=order("live-2", channel="web")).json()
    client.post("/v1/orders", json=order("live-3", channel="app"))
    with served.client("of-app") as app:
        (found,) = some(app, f"/v1/streams/orders?after={first['position'] - 1}", lambda _: True)
        assert found[1]["channel"] == "app"
        assert app.get(f"/v1/streams/orders/{first['order_id']}").status_code == 404


def test_a_stream_goes_on_at_another_server_and_open_ones_do_not_keep_a_server_from_ending(
    embedded_server: EmbeddedPostgres,
) -> None:
    with fresh_database(embedded_server) as url:
        migrate(url)
        with serving(url) as (process, address), httpx.Client(base_url=address, timeout=30) as client:
            seen: list[list[tuple[int, dict[str, Any]]]] = [[] for _ in range(20)]
            threads = [threading.Thread(target=listen, args=[address, found]) for found in seen]
            for thread in threads:
                thread.start()
            until = time.monotonic() + 30
            names = iter(range(1_000))
            while not all(seen):
                assert time.monotonic() < until
                assert client.post("/v1/orders", json=order(f"restart-{next(names)}")).status_code == 201
                time.sleep(0.05)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert time.monotonic() - began < 10, "it waited for the streams, which their readers keep open for longer"
            for thread in threads:
                thread.join(30)
        with psycopg.connect(url) as connection:
            query = "SELECT notification_id FROM oms_events WHERE topic = 'OrderPlaced' ORDER BY 1"
            placed = [row[0] for row in connection.execute(query)]
        with serving(url) as (_, address), httpx.Client(base_url=address, timeout=30) as client:
            last = min(seen[0][-1][0], placed[-1] - 1)
            rest = some(
                client, "/v1/streams/orders", lambda row: row["position"] == placed[-1], **{"Last-Event-ID": str(last)}
            )
        got = [position for position, _ in seen[0] if position <= last] + [position for position, _ in rest]
        assert got == [position for position in placed if position >= got[0]]


def test_of_many_that_begin_to_follow_at_once_one_reads_the_log(served: Served) -> None:
    """Several would each put every change into the window: a stream said it as many times."""

    class Parts:
        database_url = served.database_url

        def last_position(self) -> int:
            time.sleep(0.05)
            return 0

    async def begun() -> int:
        tail = Tail(cast("Any", Parts()), cast("Any", None), asyncio.Event())
        readers = 0

        async def run() -> None:
            nonlocal readers
            readers += 1
            await asyncio.sleep(1)

        tail._run = run  # type: ignore[method-assign] # counted, and nothing is read
        await asyncio.gather(*(tail.end() for _ in range(20)))
        await asyncio.sleep(0)
        tail.close()
        return readers

    assert asyncio.run(begun()) == 1


def listen(address: str, found: list[tuple[int, dict[str, Any]]]) -> None:
    try:
        with httpx.stream("GET", f"{address}/v1/streams/orders", timeout=30) as stream:
            found.extend(messages(stream))
    except httpx.HTTPError:
        return


@pytest.fixture
def link(served: Served, client: httpx.Client) -> tuple[link_keys.LinkKey, str]:
    placed = client.post("/v1/orders", json=order("link-1")).json()
    client.get("/v1/orders/web~link-1", headers={"Oms-Min-Position": str(placed["position"])})
    with psycopg.connect(served.database_url, row_factory=dict_row, autocommit=True) as connection:
        return link_keys.current(connection, datetime.now(UTC)), placed["order_id"]


def test_a_customer_sees_steps_and_neither_name_nor_money(served: Served, link: tuple[link_keys.LinkKey, str]) -> None:
    token = links.token_of(*link, datetime.now(UTC) + timedelta(days=1))
    with served.client(None) as customer:
        page, status = customer.get(f"/s/{token}"), customer.get(f"/s/{token}/status.json")
    assert (page.status_code, status.status_code) == (200, 200)
    assert status.json()["order"] == "link-1"
    assert status.json()["step"] >= 1
    assert "noindex" in page.headers["X-Robots-Tag"]
    for text in (page.text, status.text):
        assert not [word for word in ("Ada", "Rosenweg", "10115", "1000", "EUR") if word in text]


def test_a_link_that_was_changed_is_over_or_revoked_is_none(
    served: Served, link: tuple[link_keys.LinkKey, str]
) -> None:
    key, order_id = link
    now = datetime.now(UTC)
    good = links.token_of(key, order_id, now + timedelta(days=1))
    flipped = good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1]
    wrong = [
        flipped,
        links.token_of(key, order_id, now - timedelta(seconds=1)),
        links.token_of(key._replace(secret=b"x" * 32), order_id, now + timedelta(days=1)),
        links.token_of(key._replace(kid="nobody"), order_id, now + timedelta(days=1)),
        links.token_of(key, "nobody", now + timedelta(days=1)),
        "",
        "a",
        "%00",
        "é",
        "A" * 5_000,
    ]
    with served.client(None) as customer:
        for token in wrong:
            assert customer.get(f"/s/{token}").status_code in (400, 404), token
        with psycopg.connect(served.database_url, row_factory=dict_row, autocommit=True) as connection:
            assert customer.get(f"/s/{good}").status_code == 200
            assert link_keys.revoke_all(connection, now) == 1
        assert customer.get(f"/s/{good}").status_code == 404
