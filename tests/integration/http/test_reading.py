"""Read models over HTTP: pages, single entities, as of a time, with a key of one channel, and the log."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from http_requests import order
from http_server import Served
from oms_es.app import PROJECTIONS
from oms_es.http.access import PERSONAL
from oms_es.http.app import all_routes
from oms_es.http.reading.tables import OF_PEOPLE, listing_of
from oms_es.processing.read_models.folding import folded
from oms_es.projections.order import order_status
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EventRow

READS = [route for route in all_routes() if route.method == "GET" and route.path.startswith("/v1/")]


@pytest.fixture(scope="module")
def reported(served: Served) -> list[dict[str, Any]]:
    """Place orders on two channels and process them."""
    with served.client() as client:
        client.post("/v1/locations/berlin:open", json={"country": "DE"})
        client.post("/v1/stock/TEA/berlin:receive", json={"receipt_id": "reading", "quantity": 1_000})
        placed = [
            client.post("/v1/orders", json=order(f"read-{n}", channel=("web", "app")[n % 2])).json() for n in range(7)
        ]
        last = {"Oms-Min-Position": str(placed[-1]["position"])}
        until = time.monotonic() + 60
        while client.get(f"/v1/orders/{placed[-1]['order_id']}", headers=last).status_code != 200:
            assert time.monotonic() < until
    return placed


def test_an_order_is_read_as_it_was_just_written(client: httpx.Client, reported: list[dict[str, Any]]) -> None:
    placed = client.post("/v1/orders", json=order("own-write"))
    headers = {"Oms-Min-Position": placed.headers["Oms-Position"]}
    found = client.get("/v1/orders/web~own-write", headers=headers)
    assert found.status_code == 200
    assert found.json()["external_id"] == "own-write"
    assert found.headers["ETag"].strip('"').isdecimal()
    assert found.json()["order_id"] == client.get(f"/v1/orders/{placed.json()['order_id']}").json()["order_id"]


def test_a_position_that_the_log_does_not_have_is_not_shown_as_if_it_had_come(client: httpx.Client) -> None:
    """Whatever has to be read up to there: of an order that is changed no more there was nothing, and it was shown."""
    position = int(client.post("/v1/orders", json=order("far")).headers["Oms-Position"])
    while client.get("/v1/orders/web~far", headers={"Oms-Min-Position": str(position)}).status_code != 200:
        pass
    for beyond in (10**12, 10**18 - 1):
        for path in ("/v1/orders/web~far", "/v1/order-status", "/v1/stock/TEA"):
            found = client.get(path, headers={"Oms-Min-Position": str(beyond)})
            assert (found.status_code, found.json()["reason"]) == (503, "not_yet")
            assert f"before {beyond}; is that a position of another database?" in found.json()["detail"]
    assert client.get("/v1/orders/web~far", headers={"Oms-Min-Position": "0"}).status_code == 200
    for wrong in ("-1", "01", "1e3", "1.0", "+1", "0x1", "1 2", str(10**18), "one"):
        assert client.get("/v1/orders/web~far", headers={"Oms-Min-Position": wrong}).status_code == 400


def test_every_read_model_is_read_as_it_was(client: httpx.Client, reported: list[dict[str, Any]]) -> None:
    """Whole, page by page, one row, with filters; the same positions give the same answers later."""
    last = reported[-1]["position"]
    at = str(reported[3]["position"])
    position_now = client.get("/v1/roles").json()["end"]
    client.get("/v1/roles", headers={"Oms-Min-Position": str(last)})
    for route in [
        route for route in READS if route.is_dated and route.name.startswith("list-") and "{" not in route.path
    ]:
        now = client.get(route.path, params={"at": str(position_now), "limit": 3})
        assert now.status_code == 200, (route.path, now.text)
    known = client.get("/v1/order-status", params={"at": at, "limit": 250}).json()["items"]
    ids = [one["order_id"] for one in reported]
    assert {row["order_id"] for row in known} & set(ids) == set(ids[:4])
    paged = client.get("/v1/orders", params={"at": at, "limit": 2})
    while paged.json()["next"] and len(known) > 4:
        paged = client.get(paged.links["next"]["url"])
    assert client.get("/v1/orders", params={"at": at, "channel": "app", "limit": 250}).json()["items"]
    assert all(f"at={at}" in url["url"] for name, url in paged.links.items())
    for order_id in ids:
        one = client.get(f"/v1/order-status/{order_id}", params={"at": at})
        assert (one.status_code, one.json().get("phase")) == (
            (200, next(row["phase"] for row in known if row["order_id"] == order_id))
            if order_id in ids[:4]
            else (404, None)
        )
    for report in client.get("/v1/reports").json()["items"]:
        assert client.get(f"/v1/reports/{report['name']}", params={"at": at}).status_code == 200
    steps = client.get(f"/v1/order-status/{ids[0]}/events", params={"at": at}).json()["items"]
    assert steps[0]["event"] == "OrderPlaced"
    assert steps[0]["changes"]["phase"]["was"] is None
    assert {tuple(step) for step in steps} == {tuple(steps[0])}
    assert all(cause["position"] < step["position"] for step in steps for cause in step["because_of"])
    assert client.get("/v1/order-status/nobody/events").status_code == 404
    assert client.get("/v1/daily-sales/2026-01-05/web/EUR/events", params={"at": at}).status_code in (200, 404)
    before = client.get("/v1/order-status", params={"at": "2020-01-01T00:00:00Z"})
    assert (before.status_code, before.json()["items"]) == (200, [])
    for wrong in (str(10**12), "9000-01-01T00:00:00Z", "-1", "yesterday", "2026-01-05"):
        assert client.get("/v1/order-status", params={"at": wrong}).status_code == 422, wrong
        assert client.get(f"/v1/order-status/{ids[0]}", params={"at": wrong}).status_code == 422, wrong
    assert client.get("/v1/orders", params={"at": at, "q": "x"}).status_code == 422


def test_pages_go_on_where_they_ended_without_gap_or_repeat(
    client: httpx.Client, reported: list[dict[str, Any]]
) -> None:
    for path, key in (("/v1/orders", "order_id"), ("/v1/order-status", "order_id"), ("/v1/order-timeline", None)):
        seen: list[Any] = []
        url: str | None = f"{path}?limit=3"
        pages = 0
        while url and pages < 100:
            page = client.get(url)
            assert page.status_code == 200, page.text
            seen += [row[key] if key else (row["order_id"], row["position"]) for row in page.json()["items"]]
            assert len(page.json()["items"]) <= 3
            url = page.links["next"]["url"] if page.json()["next"] else None
            pages += 1
        assert len(seen) == len(set(seen)) >= 7, path
        if path == "/v1/order-status":
            backwards = client.get(f"{path}?limit=250&descending=true").json()["items"]
            assert {row["order_id"] for row in backwards} >= set(seen)
            assert [row["order_id"] for row in backwards] == sorted((r["order_id"] for r in backwards), reverse=True)


def test_every_way_of_reading_a_table_is_one_index(client: httpx.Client, reported: list[dict[str, Any]]) -> None:
    kinds = {str: "x", int: "1", bool: "true"}
    for projection in PROJECTIONS:
        listing = listing_of(projection.table)
        (route,) = [one for one in READS if one.name == f"list-{projection.name.replace('_', '-')}"]
        for way in listing.ways:
            columns = projection.table.columns
            given = {name: kinds.get(columns[name].type.python_type, "2026-01-05T00:00:00Z") for name in way.fixed}
            page = client.get(route.path, params=given)
            if page.status_code != 200:
                given = {name: value[:10] for name, value in given.items()}
                page = client.get(route.path, params=given)
            assert page.status_code == 200, (route.path, given, page.text)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("limit=1e3", "limit"),
        ("limit=" + "9" * 5_000, "limit"),
        ("after=%00", "after"),
        ("after=' OR 1=1 --", "after"),
        ("after=" + base64.urlsafe_b64encode(b"[" * 300).decode(), "after"),
        ("after=" + base64.urlsafe_b64encode(json.dumps(["0" * 16, "a"]).encode()).decode(), "after"),
        ("descending=yes", "descending"),
        ("total_minor=5", "query"),
        ("phase=shipped&external_id=x", "query"),
        ("placed_at[gte]=yesterday&phase=shipped", "placed_at[gte]"),
        ("placed_at[gte]=2026-01-05T12:00:00&phase=shipped", "placed_at[gte]"),
        ("phase=a&phase=b", "phase"),
    ],
)
def test_a_strange_question_is_a_problem(client: httpx.Client, query: str, parameter: str) -> None:
    found = client.get(f"/v1/order-status?{query}")
    assert (found.status_code, found.json()["errors"][0]["parameter"]) == (422, parameter)


def test_a_cursor_goes_on_with_the_question_that_it_is_of(client: httpx.Client, reported: list[dict[str, Any]]) -> None:
    cursor = client.get("/v1/order-status?limit=1").json()["next"]
    assert client.get(f"/v1/order-status?limit=5&after={cursor}").status_code == 200
    assert client.get(f"/v1/order-status?phase=sourcing&after={cursor}").status_code == 422
    assert client.get(f"/v1/order-skus?after={cursor}").status_code == 422


def test_an_order_with_all_that_is_known_of_it(client: httpx.Client, reported: list[dict[str, Any]]) -> None:
    names = ("lines", "ship_to", "payments", "shipments", "returns", "exceptions", "timeline", "why", "waits_for")
    path = f"/v1/orders/{reported[0]['order_id']}"
    whole = client.get(path, params={"expand": names}).json()
    assert [line["sku"] for line in whole["lines"]] == ["TEA"]
    assert whole["ship_to"]["street"] == "Rosenweg 7"
    assert whole["timeline"][0]["event"] == "OrderPlaced"
    assert whole["timeline"][0]["parameters"].keys() == {"channel", "external_id", "money"}
    assert client.get(f"{path}/timeline").json()["items"][0] == whole["timeline"][0]
    then = client.get(path, params={"at": whole["timeline"][0]["recorded_at"], "expand": "lines"}).json()
    assert (then["phase"], len(then["timeline"])) == ("sourcing", 1)
    assert client.get(path, params={"at": "2020-01-01T00:00:00Z"}).status_code == 404
    assert client.get(path, params={"expand": "secrets"}).status_code == 422


def test_who_may_not_see_people_sees_none_and_who_sees_them_is_noted(
    served: Served, reported: list[dict[str, Any]]
) -> None:
    path = f"/v1/orders/{reported[0]['order_id']}"
    with served.client("channel") as channel, served.client("support") as support:
        assert channel.get(path, params={"expand": "ship_to"}).status_code == 403
        assert channel.get("/v1/orders", params={"name": "Ada Lovelace"}).status_code == 403
        assert "Lovelace" not in channel.get("/v1/orders").text
        assert channel.get("/v1/order-recipients").status_code == 403
        shown = support.get(path, params={"expand": "ship_to"})
        assert shown.json()["ship_to"]["name"] == "Ada Lovelace"
        assert "Lovelace" in support.get("/v1/orders", params={"name": "ada lovelace"}).text
    with psycopg.connect(served.database_url, row_factory=dict_row) as connection:
        notes = connection.execute("SELECT * FROM oms_access_log WHERE actor = %s", [actor(served, "support")])
        noted = {(row["resource"], row["subject"]): row["request_id"] for row in notes}
    assert noted["get-order", reported[0]["order_id"]] == shown.headers["Oms-Request-Id"]
    assert ("list-orders", "orders") in noted


def actor(served: Served, role: str) -> str:
    return f"key:{served.tokens[role].split('_')[1]}"


@pytest.fixture(scope="module")
def of_customers(served: Served, reported: list[dict[str, Any]]) -> None:
    """Place three orders of a customer of web, in two currencies, and one of app's customer with that id."""
    ada = {"customer_id": "C/1", "email": "Ada@Example.com", "language": "de"}
    with served.client() as client:
        for n, (channel, currency) in enumerate((("web", "EUR"), ("web", "EUR"), ("web", "CHF"), ("app", "EUR"))):
            sent = {**order(f"whose-{n}", channel=channel), "currency": currency, "customer": ada, "notes": "ring"}
            placed = client.post("/v1/orders", json=sent)
            assert placed.status_code == 201, placed.text
        headers = {"Oms-Min-Position": placed.headers["Oms-Position"]}
        until = time.monotonic() + 60
        while client.get("/v1/customers/app~C%2F1", headers=headers).status_code != 200:
            assert time.monotonic() < until


def test_a_customer_has_their_orders_and_no_currencies_are_added(client: httpx.Client, of_customers: None) -> None:
    found = client.get("/v1/customers/web~C%2F1").json()
    assert (found["orders"], found["email"], found["language"]) == (3, "Ada@Example.com", "de")
    spent = {one["currency"]: (one["orders"], one["ordered_minor"]) for one in found["spending"]}
    assert spent == {"EUR": (2, 2_000), "CHF": (1, 1_000)}
    assert {one["external_id"] for one in found["newest_orders"]} == {"whose-0", "whose-1", "whose-2"}
    page = client.get("/v1/customers/web~C%2F1/orders?limit=2").json()
    rest = client.get("/v1/customers/web~C%2F1/orders", params={"limit": 2, "after": page["next"]}).json()
    assert len(page["items"]) == 2
    assert {one["external_id"] for one in page["items"] + rest["items"]} == {"whose-0", "whose-1", "whose-2"}
    assert rest["next"] is None


def test_customers_are_found_by_what_they_say_on_the_phone(client: httpx.Client, of_customers: None) -> None:
    both = client.get("/v1/customers?email_key=ada@example.com").json()["items"]
    assert {(one["channel"], one["customer_id"]) for one in both} == {("web", "C/1"), ("app", "C/1")}
    for query in ({"customer": "web~C/1"}, {"email": "ADA@example.com", "channel": "web"}, {"q": "web/C/1"}):
        found = client.get("/v1/orders", params=query).json()["items"]
        assert {one["external_id"] for one in found} == {"whose-0", "whose-1", "whose-2"}, query
    assert len(client.get("/v1/orders?q=ada@example.com").json()["items"]) == 4
    best = client.get("/v1/customer-spending?currency=EUR&descending=true&limit=1").json()["items"]
    assert best[0]["ordered_minor"] == 2_000
    for wrong in ("web", "~C", "web~"):
        assert client.get("/v1/orders", params={"customer": wrong}).status_code == 422
        assert client.get(f"/v1/customers/{wrong}").status_code == 404
    assert client.get("/v1/customers/web~C%2F1/orders?after=x").status_code == 422


def test_customers_are_shown_to_who_may_see_people_of_the_channel(served: Served, of_customers: None) -> None:
    with served.client("of-app") as app, served.client("channel") as channel, served.client("support") as support:
        assert [one["channel"] for one in app.get("/v1/customers").json()["items"]] == ["app"]
        assert app.get("/v1/customers/app~C%2F1").json()["orders"] == 1
        for path in ("/v1/customers/web~C%2F1", "/v1/customers/web~C%2F1/orders", "/v1/customers/web~nobody"):
            hidden = app.get(path)
            assert (hidden.status_code, hidden.json()["detail"]) == (404, NO_CUSTOMER), path
        assert app.get("/v1/orders?customer=web~C%2F1").json()["items"] == []
        for path in (
            "/v1/customers",
            "/v1/customers/web~C%2F1",
            "/v1/orders?customer=web~C%2F1",
            "/v1/orders?email=x@y",
        ):
            assert channel.get(path).status_code == 403, path
        assert "ada@example.com" not in channel.get("/v1/orders").text.lower()
        assert support.get("/v1/customers/web~C%2F1").status_code == 200
    with psycopg.connect(served.database_url) as connection:
        asked = [actor(served, "support"), "web~C/1"]
        noted = connection.execute("SELECT resource FROM oms_access_log WHERE actor = %s AND subject = %s", asked)
        assert ("get-customer",) in noted.fetchall()


NO_CUSTOMER = "there is no such customer of this key's channels; name one as CHANNEL~ID"


def test_tables_of_people_are_served_to_anyone_who_may_see_people() -> None:
    paths = {f"/v1/{name.replace('_', '-')}" for name in OF_PEOPLE}
    assert {route.scope for route in READS if route.path.startswith(tuple(paths))} == {PERSONAL}


def test_a_key_of_one_channel_sees_nothing_of_another(served: Served, reported: list[dict[str, Any]]) -> None:
    theirs = {one["order_id"] for one in reported if one["channel"] == "web"}
    with served.client("of-app") as app, served.client() as everything:
        for route in READS:
            if "{" in route.path or route.is_stream:
                continue
            pages = "limit" in {one.name for one in route.parameters} and route.name != "list-events"
            page = app.get(route.path, params={"limit": 250} if pages else {})
            assert page.status_code in (200, 403), (route.path, page.text)
            assert not [order_id for order_id in theirs if order_id in page.text], route.path
            assert '"web"' not in page.text, route.path
        for order_id in theirs:
            for path in ("", "/timeline", "/why", "/exceptions"):
                assert app.get(f"/v1/orders/{order_id}{path}").status_code == 404
            assert app.get(f"/v1/order-status/{order_id}").status_code == 404
        payments = everything.get("/v1/payments?limit=250").json()["items"]
        for payment in payments:
            mine = (
                payment["order_id"] not in theirs
                and "app" in everything.get(f"/v1/orders/{payment['order_id']}").json()["channel"]
            )
            assert (app.get(f"/v1/payments/{payment['payment_id']}").status_code == 200) == mine
        assert app.get("/v1/orders?channel=web").json()["items"] == []
        own = {one["order_id"] for one in app.get("/v1/orders?limit=250").json()["items"]}
        assert own >= {one["order_id"] for one in reported if one["channel"] == "app"}


def test_a_follower_without_kafka_makes_the_same_rows_of_the_log(
    client: httpx.Client, reported: list[dict[str, Any]], served: Served
) -> None:
    codec = Codec(EVENTS)
    events, after = [], 0
    while page := client.get("/v1/events", params={"after": after, "limit": 100}).json():
        events += page["items"]
        if page["next"] == after:
            break
        after = page["next"]
    assert [one["position"] for one in events] == sorted({one["position"] for one in events})
    recorded = [
        codec.decode(
            EventRow(
                one["stream"],
                one["version"],
                one["type"],
                json.dumps({"event": one["data"], **{k: v for k, v in one.items() if k in ENVELOPE}}).encode(),
            ),
            one["position"],
        )
        for one in events
    ]
    rows = folded(order_status.projection, recorded)
    with psycopg.connect(served.database_url, row_factory=dict_row) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        position = connection.execute("SELECT max(notification_id) AS end FROM oms_events").fetchone()
        stored = connection.execute("SELECT * FROM order_status").fetchall()
    if position and position["end"] == after:  # the engine has done nothing more meanwhile
        assert {row["order_id"]: row for row in stored} == {key[0]: dict(row) for key, row in rows.items()}
    assert {key[0] for key in rows} >= {one["order_id"] for one in reported}


ENVELOPE = ("schema_version", "event_id", "recorded_at", "caused_by", "correlation_id", "actor")


def test_a_follower_waits_for_what_is_to_come(client: httpx.Client, served: Served) -> None:
    end = client.get("/v1/events", params={"limit": 1, "after": 10**17}).json()
    assert end == {"items": [], "next": 10**17}
    with psycopg.connect(served.database_url) as connection:
        row = connection.execute("SELECT max(notification_id) FROM oms_events").fetchone()
    assert row
    sent = threading.Timer(0.5, lambda: client.post("/v1/orders", json=order("waited-for")))
    sent.start()
    found = client.get("/v1/events", params={"after": row[0], "wait": 20, "type": "OrderPlaced"}).json()
    sent.join()
    assert [one["data"]["external_id"] for one in found["items"]] == ["waited-for"]
    assert client.get("/v1/events?type=Nonsense").status_code == 422


def test_stock_and_others_are_shown_whole(client: httpx.Client, reported: list[dict[str, Any]]) -> None:
    stock = client.get("/v1/stock/TEA").json()
    assert [level["location"] for level in stock["levels"]] == ["berlin"]
    assert client.get("/v1/stock/TEA/berlin").json()["sku"] == "TEA"
    assert client.get("/v1/stock/NEVER").status_code == 404
    assert client.get("/v1/locations/berlin").json()["history"][0]["event"] == "LocationOpened"
    for payment in client.get("/v1/payments?limit=2").json()["items"]:
        assert client.get(f"/v1/payments/{payment['payment_id']}").json()["history"]
    for path in ("payments", "shipments", "returns", "locations", "items", "orders"):
        missing = client.get(f"/v1/{path}/nobody%2f..%2f")
        assert (missing.status_code, missing.headers["Content-Type"]) == (404, "application/problem+json")
