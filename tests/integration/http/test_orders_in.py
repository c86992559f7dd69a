"""Orders over HTTP are durable before they are acknowledged, and placed once however often they are sent."""

from __future__ import annotations

import json
import signal
import threading

import httpx
import psycopg
import pytest

from conftest import fresh_database
from http_requests import order
from http_server import serving
from oms_es.app import migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.schemas.order import order_id_of

CLIENTS = 16


def test_an_order_is_placed_once_and_with_other_content_it_is_a_conflict(client: httpx.Client) -> None:
    first = client.post("/v1/orders", json=order("in-1"))
    again = client.post("/v1/orders", json=order("in-1"))
    other = client.post("/v1/orders", json=order("in-1", quantity=3))
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409), other.text
    assert first.json()["order_id"] == again.json()["order_id"] == order_id_of("web", "in-1")
    assert first.headers["ETag"] == '"1"'
    assert int(first.headers["Oms-Position"]) == first.json()["position"]
    assert (again.json()["position"], "Oms-Position" in again.headers) == (None, False)
    assert other.json()["reason"] == "order_conflict"
    assert other.headers["Content-Type"] == "application/problem+json"
    assert client.post("/v1/orders", json=order("in-1", quantity=3)).status_code == 409


def test_a_batch_has_an_outcome_for_each(client: httpx.Client) -> None:
    items = [order("in-2"), {"channel": "web"}, order("in-3"), order("in-2"), order("in-3", quantity=9)]
    for sent in ({"json": items}, {"content": "\n".join(map(json.dumps, items))}):
        headers = {"Content-Type": "application/x-ndjson"} if "content" in sent else {}
        reported = client.post("/v1/orders:batch", headers=headers, **sent)
        assert reported.status_code == 207
        found = [one["status"] for one in reported.json()["results"]]
        assert found in ([201, 422, 201, 200, 409], [200, 422, 200, 200, 409])
    pointers = {one["pointer"] for one in reported.json()["results"][1]["problem"]["errors"]}
    assert "/external_id" in pointers


@pytest.mark.parametrize(
    ("body", "reason", "pointer"),
    [
        (b"{", "not_json", ""),
        (b"[" * 5_000, "not_json", ""),
        (json.dumps(order("x", quantity="2")).encode(), "invalid_order", "/lines/0/quantity"),
        (json.dumps(order("x", quantity=10**400)).encode(), None, "/lines/0/quantity"),
        (json.dumps({**order("x"), "nonsense": 1}).encode(), "invalid_order", "/nonsense"),
        (json.dumps({**order("x"), "placed_at": "yesterday"}).encode(), "invalid_order", "/placed_at"),
        (json.dumps({**order("x"), "external_id": "a\0b"}).encode(), "nul_character", None),
        (json.dumps({**order("x"), "payment_token": "4111 1111 1111 1111"}).encode(), None, ""),
        (b'{"type": "CancelOrder", "channel": "web", "external_id": "x", "reason": "no"}', "unknown_type", None),
        (b'{"channel": "web", "channel": "shop"}', "name_twice", None),
        (b"\xff\xfe{}", "not_json", ""),
        (b'{"quantity": NaN}', None, None),
    ],
)
def test_what_cannot_be_read_is_a_problem_that_names_the_field_and_repeats_nothing(
    client: httpx.Client, body: bytes, reason: str | None, pointer: str | None
) -> None:
    reported = client.post("/v1/orders", content=body, headers={"Content-Type": "application/json"})
    assert reported.status_code == 422, reported.text
    problem = reported.json()
    assert problem["status"] == 422
    assert reason in (None, problem["reason"])
    assert problem["request_id"] == reported.headers["Oms-Request-Id"]
    if pointer is not None:
        assert pointer in [one["pointer"] for one in problem["errors"]]
    assert "4111 1111" not in reported.text
    assert "yesterday" not in reported.text


def test_a_body_is_bounded_and_plain(client: httpx.Client) -> None:
    big = client.post("/v1/orders", content=b" " * 1_000_001, headers={"Content-Type": "application/json"})
    assert (big.status_code, big.json()["reason"]) == (413, "body_too_large")
    parts = (b" " * 100_000 for _ in range(20))
    streamed = client.post("/v1/orders", content=parts, headers={"Content-Type": "application/json"})
    assert streamed.status_code == 413
    text = client.post("/v1/orders", content=b"{}", headers={"Content-Type": "text/plain"})
    assert text.status_code == 415
    packed = client.post(
        "/v1/orders", content=b"{}", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}
    )
    assert packed.status_code == 415
    for charset, status in (("utf-16", 415), ('"ISO-8859-1"', 415), ('"UTF-8"', 201), ("utf-8; q=1", 200)):
        named = client.post(
            "/v1/orders",
            content=json.dumps(order("in-4")).encode(),
            headers={"Content-Type": f"application/json; charset={charset}"},
        )
        assert named.status_code == status, charset


def test_killed_under_load_every_order_that_was_answered_is_there_and_every_retry_is_200(
    embedded_server: EmbeddedPostgres,
) -> None:
    with fresh_database(embedded_server) as url:
        migrate(url)
        placed: list[str] = []
        enough = threading.Event()
        with serving(url) as (process, address):
            threads = [threading.Thread(target=send, args=[address, n, placed, enough]) for n in range(CLIENTS)]
            for thread in threads:
                thread.start()
            assert enough.wait(60)
            process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join(60)
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT originator_id FROM oms_events WHERE topic = 'OrderPlaced'").fetchall()
        missing = {f"order-{order_id_of('web', name)}" for name in placed} - {row[0] for row in rows}
        assert len(placed) >= 400
        assert not missing
        with serving(url) as (_, address), httpx.Client(base_url=address) as again:
            for batch in (placed[at : at + 250] for at in range(0, len(placed), 250)):
                reported = again.post("/v1/orders:batch", json=[order(name) for name in batch])
                assert {one["status"] for one in reported.json()["results"]} == {200}


def send(address: str, number: int, placed: list[str], enough: threading.Event) -> None:
    """Send orders one after the other until no server answers."""
    with httpx.Client(base_url=address, timeout=10) as client:
        for count in range(100_000):
            name = f"load-{number}-{count}"
            try:
                answer = client.post("/v1/orders", json=order(name))
            except httpx.HTTPError:
                return
            assert answer.status_code == 201, answer.text
            placed.append(name)
            if len(placed) >= 400:
                enough.set()
