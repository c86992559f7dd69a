"""A warehouse system over HTTP: it lists what its location is to pick, page by page, and answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from conftest import fresh_database
from http_server import keys_for, serving
from oms_es.app import migrate
from oms_es.database.embedded import EmbeddedPostgres

SECONDS_MAX = 30
PLACE = "berlin"


@pytest.fixture(scope="module")
def keys(embedded_server: EmbeddedPostgres) -> Iterator[Callable[[str], httpx.Client]]:
    """Yield what opens a client with the rights of a role, of a server where people and other systems pack."""
    with fresh_database(embedded_server) as url:
        migrate(url)
        tokens = keys_for(url)
        settings = {"OMS_GATEWAYS": "simulated", "OMS_WAREHOUSE": "commands"}
        with serving(url, "--with-engine", **settings) as (_, address):

            def opened(role: str) -> httpx.Client:
                return httpx.Client(
                    base_url=address, headers={"Authorization": f"Bearer {tokens[role]}"}, timeout=SECONDS_MAX
                )

            with opened("operator") as client:
                done(client.post(f"/v1/locations/{PLACE}:open", json={"country": "DE"}))
                done(client.post(f"/v1/stock/A/{PLACE}:receive", json={"receipt_id": "r", "quantity": 100}))
                for number in range(5):
                    done(client.post("/v1/orders", json={**ORDER, "external_id": str(number)}))
                until(lambda: len(listed(client, status="requested")["items"]) == 5)
            yield opened


ORDER = {
    "channel": "web",
    "placed_at": "2026-01-01T12:00:00Z",
    "currency": "EUR",
    "lines": [{"line_id": "1", "sku": "A", "quantity": 2, "unit_price_minor": 500}],
    "ship_to": {"country": "DE"},
}


def done(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)


def listed(client: httpx.Client, **query: str) -> Any:
    return done(client.get("/v1/pick-requests", params={"location": PLACE, **query}))


def answered(client: httpx.Client, shipment_id: str, **fields: Any) -> httpx.Response:
    body = {"answer_id": "1", "outcome": "packed", "answered_at": "2026-01-01T13:00:00Z", "weight_grams": 700, **fields}
    return client.post(f"/v1/shipments/{shipment_id}:answer-pick", json=body)


def test_a_warehouse_reads_its_requests_page_by_page_and_each_answer_counts_once(
    keys: Callable[[str], httpx.Client],
) -> None:
    with keys("warehouse") as client:
        found: list[Any] = []
        after: dict[str, str] = {}
        while len(found) < 5:
            page = listed(client, status="requested", limit="2", **after)
            found += page["items"]
            after = {"after": page["next"]} if page["next"] else {}
        assert len({row["shipment_id"] for row in found}) == 5
        assert found == sorted(found, key=lambda row: (row["requested_at"], row["shipment_id"]))
        first, second, third, fourth, _ = (row["shipment_id"] for row in found)
        assert found[0]["items"] == [{"sku": "A", "quantity": 2}]
        assert events_of(answered(client, first, picked=[{"sku": "A", "quantity": 2}])) == ["ShipmentPacked"]
        assert events_of(answered(client, first, picked=[{"sku": "A", "quantity": 2}])) == []
        short = {
            "outcome": "short",
            "weight_grams": None,
            "reason": "one is broken",
            "picked": [{"sku": "A", "quantity": 1}],
        }
        assert events_of(answered(client, second, **short)) == ["ShipmentPickedShort"]
        assert events_of(answered(client, third, picked=[{"sku": "B", "quantity": 2}])) == ["ShipmentPickDisputed"]
        assert events_of(answered(client, fourth, outcome="rejected", reason="it is too heavy")) == [
            "ShipmentPickRejected"
        ]
        until(lambda: len(listed(client, status="requested")["items"]) == 2)
        (row,) = listed(client, status="short")["items"]
        assert (row["shipment_id"], row["missing"], row["reason"]) == (
            second,
            [{"sku": "A", "quantity": 1}],
            "one is broken",
        )
        changed = listed(client, **{"changed_at[gte]": found[-1]["requested_at"]})["items"]
        assert {one["status"] for one in changed} >= {"short", "rejected"}
    with keys("operator") as client:
        until(lambda: len(exceptions(client)) == 3)
        assert sorted(exceptions(client)) == ["not_picked", "not_picked", "warehouse_contradiction"]
        until(lambda: [row["shipment_id"] for row in listed(client, status="dispatched")["items"]] == [first])


def exceptions(client: httpx.Client) -> list[str]:
    return [row["kind"] for row in done(client.get("/v1/open-exceptions"))["items"]]


def events_of(answer: httpx.Response) -> list[str]:
    return [event["type"] for event in done(answer)["events"]]


def test_an_answer_that_is_incomplete_or_not_allowed_is_refused(keys: Callable[[str], httpx.Client]) -> None:
    with keys("warehouse") as client:
        shipment = listed(client)["items"][-1]["shipment_id"]
        refused = answered(client, shipment, answer_id="2", weight_grams=None)
        assert (refused.status_code, refused.json()["reason"]) == (HTTPStatus.CONFLICT, "answer_incomplete")
        assert answered(client, "stranger").status_code == HTTPStatus.NOT_FOUND
        assert answered(client, shipment, outcome="lost").status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    with keys("storefront") as client:
        assert client.get("/v1/pick-requests").status_code == HTTPStatus.FORBIDDEN
        assert answered(client, shipment).status_code == HTTPStatus.FORBIDDEN
    with keys("of-app") as client:
        assert listed(client)["items"] == [], "its channels have no orders"
