"""Every command over HTTP, as `POST /v1/ENTITY/ID:VERB`."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx
import psycopg
import pytest
from pydantic_core import to_json

from http_requests import order
from http_server import Served
from oms_es.app import DECIDERS
from oms_es.app.verbs import Verb, verbs
from oms_es.http.app import all_routes
from oms_es.http.examples import body_of, values_of
from oms_es.http.writing.commands import SHORT, command_of, path_of
from oms_es.schemas.order import PlaceOrder, order_id_of

VERBS = [verb for verb in verbs(DECIDERS) if verb.command is not PlaceOrder]


def test_every_command_is_a_route_and_no_two_are_one() -> None:
    routes = [(route.method, route.path) for route in all_routes()]
    assert len(set(routes)) == len(routes)
    assert len({route.name for route in all_routes()}) == len(routes)
    assert {path_of(verb) for verb in VERBS} <= {path for method, path in routes if method == "POST"}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.command.__name__)
def test_every_example_is_a_command(verb: Verb) -> None:
    values = {SHORT.get(name, name): value for name, value in values_of(verb.command).items()}
    command, _ = command_of(verb.command, values, to_json(body_of(verb.command)))
    assert isinstance(command, verb.command)


def test_a_command_happens_once_and_says_what_it_came_to(client: httpx.Client) -> None:
    opened = client.post("/v1/locations/hamburg:open", json={"country": "DE"})
    assert (opened.status_code, [one["type"] for one in opened.json()["events"]]) == (200, ["LocationOpened"])
    again = client.post("/v1/locations/hamburg:open", json={"country": "DE"})
    assert (again.status_code, again.json()["events"], again.json()["version"]) == (200, [], 1)
    sku = quote("TEA/250:G-å", safe="")
    received = client.post(f"/v1/stock/{sku}/hamburg:receive", json={"receipt_id": "r1", "quantity": 5})
    assert received.json()["stream"] == "stock-TEA/250:G-å@hamburg"


def test_a_preview_says_what_would_happen_and_nothing_does(client: httpx.Client) -> None:
    seen = client.post("/v1/locations/bremen:open?preview=true", json={"country": "DE"}).json()
    assert [one["type"] for one in seen["events"]] == ["LocationOpened"]
    assert (seen["version"], seen["position"]) == (0, None)
    early = client.post("/v1/orders?preview=true", json=order("preview-1")).json()
    assert ([one["type"] for one in early["events"]], early["version"]) == (["OrderPlaced"], 0)
    assert client.get("/v1/orders/web~preview-1").status_code == 404
    kept = client.post("/v1/orders/web~preview-1:cancel", json={"reason": "early", "keep": True})
    assert kept.status_code == 200
    assert client.get("/v1/orders/web~preview-1").status_code == 404, "it is no order before it is placed"
    assert client.post("/v1/locations/bremen:close", json={"reason": "never opened"}).status_code == 404


def test_if_match_is_the_version_of_the_stream(client: httpx.Client) -> None:
    client.post("/v1/locations/kiel:open", json={"country": "DE"})
    close = {"reason": "flood"}
    stale = client.post("/v1/locations/kiel:close", json=close, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["reason"], stale.json()["version"]) == (412, "version_changed", 1)
    right = client.post("/v1/locations/kiel:close", json=close, headers={"If-Match": '"1"'})
    assert (right.status_code, right.headers["ETag"]) == (200, '"2"')
    for wrong in ("7", 'W/"7"', "*", '"1", "2"', '"' + "9" * 40 + '"'):
        reported = client.post("/v1/locations/kiel:close", json=close, headers={"If-Match": wrong})
        assert (reported.status_code, reported.json()["reason"]) == (400, "malformed_request")


def test_an_idempotency_key_is_answered_as_before_and_not_with_another_request(
    client: httpx.Client, served: Served
) -> None:
    client.post("/v1/orders", json=order("key-1"))
    path = "/v1/orders/web~key-1:hold"
    hold = {"kind": "manual", "note": "call back"}
    headers = {"Idempotency-Key": "hold-key-1"}
    first = client.post(path, json=hold, headers=headers)
    assert [one["type"] for one in first.json()["events"]] == ["OrderHeld"]
    client.post("/v1/orders/web~key-1:release-hold", json={"kind": "manual", "note": "reached"})
    again = client.post(path, json=hold, headers=headers)
    assert (again.status_code, again.json()["events"]) == (200, [])
    assert (again.json()["position"], again.json()["version"]) == (first.json()["position"], first.json()["version"])
    other = client.post(path, json={**hold, "note": "otherwise"}, headers=headers)
    assert (other.status_code, other.json()["reason"]) == (422, "idempotency_key_reused")
    with served.client("support") as somebody_else:
        assert somebody_else.post(path, json=hold, headers=headers).json()["events"]
    refused = client.post("/v1/orders/web~key-0:hold", json=hold, headers={"Idempotency-Key": "never"})
    assert refused.status_code == 404
    client.post("/v1/orders", json=order("key-0"))
    late = client.post("/v1/orders/web~key-0:hold", json=hold, headers={"Idempotency-Key": "never"})
    assert late.status_code == 200, "a refusal is not kept"


def test_the_actor_of_an_event_is_the_key(client: httpx.Client, served: Served) -> None:
    placed = client.post("/v1/orders", json=order("actor-1")).json()
    with psycopg.connect(served.database_url) as connection:
        row = connection.execute(
            "SELECT state FROM oms_events WHERE notification_id = %s", [placed["position"]]
        ).fetchone()
    assert row
    assert f'"actor":"key:{served.tokens["operator"].split("_")[1]}"'.encode() in bytes(row[0])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/orders/nobody:cancel", {"reason": "x"}, 404),
        ("/v1/orders/web~in:cancel", {"reason": "x", "order_id": "y"}, 422),
        ("/v1/orders/web~in:cancel", [], 422),
        ("/v1/orders/web~in:cancel", {}, 422),
        ("/v1/orders/web~in:burn", {}, 404),
        ("/v1/orders:burn", {}, 404),
        ("/v1/orders/web~in", {}, 405),
        ("/v1/orders/a%00b:cancel", {"reason": "x"}, 400),
        ("/v1/orders/%FF:cancel", {"reason": "x"}, 400),
        ("/v1/stock/TEA/nowhere:receive", {"receipt_id": "r", "quantity": 1}, 404),
        ("/v1/stock/TEA/%2e%2e:receive", {"receipt_id": "r", "quantity": 1}, 404),
        ("/v1/stock/TEA/hamburg:receive", {"receipt_id": "r", "quantity": 10**30}, 422),
        ("/v1/stock/TEA/hamburg:receive?preview=maybe", {"receipt_id": "r", "quantity": 1}, 422),
        ("/v1/stock/TEA/hamburg:receive?preview=true&preview=true", {"receipt_id": "r", "quantity": 1}, 422),
        ("/v1/stock/TEA/hamburg:receive?nonsense=1", {"receipt_id": "r", "quantity": 1}, 422),
        ("/v1/" + "a/" * 50, {}, 404),
        ("/v1/" + "a" * 5_000, {}, 400),
    ],
)
def test_a_strange_request_is_a_problem(client: httpx.Client, path: str, body: object, status: int) -> None:
    reported = client.post(path, json=body)
    assert reported.status_code == status, reported.text
    assert reported.headers["Content-Type"] == "application/problem+json"
    assert order_id_of("web", "in") not in reported.text


@pytest.mark.parametrize(
    "path",
    ["/v1/orders:batch", "/v1/stock/TEA/hamburg:receive", "/v1/keys", "/v1/what-if", "/v1/dead-letters:replay"],
)
def test_a_body_that_says_a_name_twice_is_refused_by_every_kind_of_route(served: Served, path: str) -> None:
    """Some programs read the first value and some the last."""
    with served.client("operator") as client:
        body = b'[{"quantity": 1, "quantity": 2}]' if path.endswith("batch") else b'{"quantity": 1, "quantity": 2}'
        reported = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (reported.status_code, reported.json()["reason"]) == (422, "name_twice")
    assert reported.json()["detail"].startswith("quantity: it stands twice")


def test_a_refusal_names_an_order_as_it_was_typed(client: httpx.Client) -> None:
    for verb, body in (("hold", {"kind": "manual"}), ("hold?preview=true", {"kind": "manual"})):
        nowhere = client.post(f"/v1/orders/web~NOPE:{verb}", json=body)
        assert nowhere.status_code == 404
        assert nowhere.json()["detail"] == "there is no order web~NOPE; list the orders that there are"
    assert client.post("/v1/orders", json=order("typed", quantity=3)).status_code == 201
    for target in ("sourcing", "completed"):
        override = {"override_id": "o", "to": target, "reason": "x"}
        again = client.post("/v1/orders/web~typed:override", json=override)
    assert again.json()["reason"] == "id_reused", again.text
    assert "is known in web~typed already" in again.json()["detail"], again.text


def test_who_asks_for_a_command_that_is_none_sees_those_that_are(client: httpx.Client) -> None:
    reported = client.post("/v1/orders/web~in:burn", json={})
    assert (reported.status_code, reported.json()["reason"]) == (404, "no_such_command")
    assert {"cancel", "hold", "refund"} <= set(re.split(r"[ ,]+", reported.json()["detail"]))
    wrong = client.post("/v1/orders/web~in", json={})
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD")
    assert client.get("/v1/orders/web~in:burn").json()["reason"] == "unknown_order", "a colon may be of the name"
    assert client.put("/v1/orders/web~in:cancel", json={}).headers["Allow"] == "POST"


def test_a_preview_asks_for_the_version_too(client: httpx.Client) -> None:
    client.post("/v1/locations/emden:open", json={"country": "DE"})
    path, close = "/v1/locations/emden:close?preview=true", {"reason": "flood"}
    assert client.post(path, json=close, headers={"If-Match": '"1"'}).status_code == 200
    stale = client.post(path, json=close, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["version"]) == (412, 1)
    for name in ("If-Match", "Idempotency-Key"):
        assert client.post(path, json=close, headers={name: ""}).status_code == 400
