"""Authorisation: every route with every role, with keys of some channels, and without a key."""

from __future__ import annotations

import signal
import socket
import time
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from http_requests import order
from http_server import Served, serving, token
from oms_es.app import DECIDERS, migrate
from oms_es.app.verbs import is_for_the_engine, verbs
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.http.access import PLACE, ROLES, SCOPES, SYSTEM
from oms_es.http.app import all_routes
from oms_es.http.routing import Route
from oms_es.http.writing.commands import scope_of
from oms_es.store.http import api_keys

ROUTES = all_routes()
PUBLIC = {"livez", "readyz", "problem", "openapi", "docs", "customer-page", "customer-status"}
SIGNED = {"receive-webhook"}
"""Without a key: what is sent proves by itself who sends it."""


def asked(client: httpx.Client, route: Route) -> httpx.Response:
    """Return the smallest request that shows whether the caller is authorised: its body is no valid command."""
    path = route.path.replace("{", "").replace("}", "")
    if route.method == "GET":
        with client.stream("GET", path) as answer:
            if not route.is_stream:
                answer.read()
            return answer
    return client.post(path, content=b"[", headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    "role", [*ROLES, *(f"token-{role}" for role in ROLES), "without", "token-without", "system", "token-system", None]
)
def test_every_route_lets_in_whom_it_should_and_no_one_else(served: Served, role: str | None) -> None:
    may = {"system": ROLES["operator"] | {SYSTEM}, **ROLES}.get((role or "").removeprefix("token-"), frozenset())
    with served.client(role) as client:
        for route in ROUTES:
            reported = asked(client, route)
            if route.name in SIGNED:
                assert reported.status_code == 401, route.name
            elif route.scope is None:
                assert route.name in PUBLIC, f"{route.name} is open to everybody"
                assert reported.status_code not in (401, 403), route.name
            elif role is None:
                assert (reported.status_code, reported.headers["WWW-Authenticate"][:6]) == (401, "Bearer"), route.name
            elif route.scope in may:
                assert reported.status_code not in (401, 403, 500), (route.name, reported.status_code)
            else:
                assert reported.status_code == 403, (route.name, role)


def test_what_only_the_engine_gives_is_in_no_role() -> None:
    assert all(SYSTEM not in scopes and scopes <= set(SCOPES) for scopes in ROLES.values())
    assert {scope_of(verb) == SYSTEM for verb in verbs(DECIDERS) if is_for_the_engine(verb.command)} == {True}
    assert {scope_of(verb) == SYSTEM for verb in verbs(DECIDERS) if not is_for_the_engine(verb.command)} == {False}
    assert {route.scope for route in ROUTES} <= {*SCOPES, None}


BY_FILE_AND_KAFKA = {"amend", "cancel", "cancel-lines", "record-fulfilment", "record-channel-refund", "request-return"}


def test_a_channel_says_over_http_what_it_says_by_file_and_kafka_and_no_more() -> None:
    of_orders = [verb for verb in verbs(DECIDERS) if verb.group == "order" and not is_for_the_engine(verb.command)]
    may = {verb.name for verb in of_orders if scope_of(verb) in ROLES["channel"]}
    assert may == BY_FILE_AND_KAFKA
    assert {route.scope for route in ROUTES if route.name in ("place-order", "place-orders")} == {PLACE}
    assert {scope for scope in ROLES["channel"] if not scope.endswith(":read")} == {PLACE}


def test_a_key_from_before_there_were_two_scopes_places_orders_still(served: Served) -> None:
    key = token(served.database_url, "before", ["orders:write"])
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {key}"}) as before:
        assert before.post("/v1/orders", json=order("before")).status_code == 201
        hold = {"kind": "manual", "note": "x"}
        assert before.post("/v1/orders/web~before:hold", json=hold).status_code == 200


def test_who_asks_for_a_command_that_is_none_learns_only_of_what_they_may(served: Served) -> None:
    with served.client("channel") as shop, served.client("storefront") as reader, served.client(None) as stranger:
        said = shop.post("/v1/orders/web~1:burn", json={}).json()["detail"]
        assert set(said.partition("there are ")[2].split(", ")) == BY_FILE_AND_KAFKA
        assert "may give none" in reader.post("/v1/orders/web~1:burn", json={}).json()["detail"]
        assert stranger.post("/v1/orders/web~1:burn", json={}).status_code == 401


def test_a_key_of_the_role_channel_is_of_all_only_where_that_is_said(served: Served) -> None:
    shop = {"label": "shop", "roles": ["channel"]}
    with served.client() as client:
        for channels in ([], ["*", "web"]):
            refused = client.post("/v1/keys", json={**shop, "channels": channels})
            assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (422, "channels")
        assert client.post("/v1/keys", json={**shop, "channels": ["web"]}).json()["channels"] == ["web"]
        assert client.post("/v1/keys", json={**shop, "channels": ["*"]}).json()["channels"] is None
        assert client.post("/v1/keys", json={"label": "desk", "roles": ["support"]}).json()["channels"] is None


def test_a_key_of_one_channel_touches_nothing_of_another(served: Served) -> None:
    with served.client("of-web") as web, served.client("of-app") as app:
        assert web.post("/v1/orders", json=order("mine", channel="app")).status_code == 403
        placed = web.post("/v1/orders", json=order("mine")).json()
        hold = {"kind": "manual", "note": "x"}
        for path in (f"/v1/orders/{placed['order_id']}", "/v1/orders/web~mine"):
            unknown = app.post(f"{path}:hold", json=hold)
            assert (unknown.status_code, unknown.json()["reason"]) == (404, "unknown_order")
        never = app.post("/v1/orders/web~never:hold", json=hold).json()
        assert {**never, "request_id": ""} == {**unknown.json(), "request_id": ""}
        merge = {"channel": "app", "merge_id": "m", "order_ids": ["web~mine", "app~other"], "reason": "one parcel"}
        assert app.post("/v1/orders:merge-orders", json=merge).status_code in (404, 422)
        early = app.post("/v1/orders/web~early:cancel", json={"reason": "x", "keep": True})
        assert early.status_code == 404
        assert app.post("/v1/orders/app~early:cancel", json={"reason": "x", "keep": True}).status_code == 200
        assert web.post(f"/v1/orders/{placed['order_id']}:hold", json=hold).status_code == 200
        assert app.post("/v1/locations/x:open", json={"country": "DE"}).status_code == 403
        results = app.post("/v1/orders:batch", json=[order("b"), order("b", channel="app")]).json()["results"]
        assert [one["status"] for one in results] == [403, 201]


@pytest.mark.parametrize(
    "sent",
    [
        "Bearer",
        "Bearer oms_aaaaaaaaaaaa_" + "a" * 43,
        "Bearer oms_aaaaaaaaaaaa_" + "a" * 43_000,
        "Basic YTpi",
        "bearer x' OR 1=1 --",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
    ],
)
def test_what_is_no_key_is_refused_in_the_same_words(served: Served, sent: str) -> None:
    with served.client(None) as client:
        reported = client.post("/v1/orders", headers={"Authorization": sent}, json={})
    assert reported.status_code in (400, 401)
    assert "_a" not in reported.text


def test_a_key_that_expired_or_was_revoked_is_none_and_a_rotated_one_is_two_for_a_while(served: Served) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(served.database_url, row_factory=dict_row, autocommit=True) as connection:
        past = token(served.database_url, "past", ["orders:write"], expires_at=now - timedelta(seconds=1))
        gone = token(served.database_url, "gone", ["orders:write"])
        turned = token(served.database_url, "turned", ["orders:write"])
        assert api_keys.revoke(connection, gone.split("_")[1], now)
        made = api_keys.rotate(connection, turned.split("_")[1], now + timedelta(hours=1), now)
        again = api_keys.rotate(connection, made.key.key_id, now, now) if made else None
        rows = connection.execute("SELECT * FROM oms_api_keys").fetchall()
    assert made
    assert again
    answers = [answered(served, one) for one in (past, gone, turned, made.token, again.token)]
    assert answers == [401, 401, 401, 401, 422]
    secrets = [one.partition("_")[2].partition("_")[2] for one in (past, gone, turned, made.token)]
    assert not [secret for secret in secrets if secret in str(rows)]


def answered(served: Served, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    with served.client(None) as client:
        return client.post("/v1/orders", headers=headers, json={}).status_code


def test_two_of_a_header_that_says_who_asks_are_refused(served: Served) -> None:
    with served.client(None) as client:
        keys = [("Authorization", f"Bearer {served.tokens[role]}") for role in ("without", "operator")]
        reported = client.post("/v1/orders", headers=[*keys, ("Content-Type", "application/json")], content=b"{}")
    assert (reported.status_code, reported.json()["reason"]) == (400, "malformed_request")


def raw(served: Served, request: bytes) -> bytes:
    host, _, port = served.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5_000 + b"\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 200_000 + b"\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"nonsense\r\n\r\n",
    ],
)
def test_what_is_no_http_or_has_no_end_is_refused(served: Served, request_bytes: bytes) -> None:
    assert raw(served, request_bytes).startswith((b"HTTP/1.1 400", b"HTTP/1.1 4"))


def test_without_a_key_this_machine_is_let_in_and_no_page_of_another_site(
    embedded_server: EmbeddedPostgres,
) -> None:
    with fresh_database(embedded_server) as url:
        migrate(url)
        settings = {"OMS_HTTP_HOST": "0.0.0.0", "OMS_HTTP_RATE_PER_SECOND": "1"}
        with serving(url, **settings) as (process, address), httpx.Client(base_url=address) as client:
            assert address.startswith("http://127.0.0.1:"), "without keys it listens nowhere else"
            assert client.post("/v1/orders", json=order("local")).status_code == 201
            assert client.get("/console", follow_redirects=True).status_code == 200
            for headers in (
                {"Host": "evil.example"},
                {"Origin": "https://evil.example"},
                {"Origin": "null"},
                {"Sec-Fetch-Site": "cross-site"},
                {"X-Forwarded-For": "127.0.0.1"},
                {"Forwarded": "for=127.0.0.1"},
                {"Via": "1.1 proxy"},
            ):
                assert client.post("/v1/orders", json=order("local"), headers=headers).status_code == 403
                assert client.get("/console/commands", headers=headers).status_code == 403
            key = token(url, "first", ["orders:write"])
            until = time.monotonic() + 30
            while client.post("/v1/orders", json=order("local")).status_code != 401:
                assert time.monotonic() < until
                time.sleep(0.2)
            assert client.get("/console/commands").headers["Location"].startswith("/console/sign-in")
            client.headers["Authorization"] = f"Bearer {key}"
            assert client.post("/v1/orders", json=order("local")).status_code == 200
            often = [client.post("/v1/orders", json=order("local")) for _ in range(8)]
            assert often[-1].status_code == 429, "a key that asks too often is reported when to come again"
            assert int(often[-1].headers["Retry-After"]) >= 1
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert time.monotonic() - began < 3
