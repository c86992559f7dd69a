"""Dead letters, secrets, subscriptions and deliveries over HTTP are shown, settled and set up as in the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import psycopg
import pytest

from conftest import fresh_database
from http_requests import order
from http_server import Served, keys_for, serving
from oms_es.app import migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.store.dead_letters import DeadLetter, add_dead_letters

NUMBERS = count(1)
SECONDS_MAX = 30


@pytest.fixture
def source(served: Served) -> str:
    """Make three dead letters: one that can be replayed now, and two that cannot."""
    name = f"import:{next(NUMBERS)}.jsonl"
    good = json.dumps(order(f"late-{name}")).encode()
    with psycopg.connect(served.database_url) as connection:
        add_dead_letters(
            connection.cursor(),
            [
                DeadLetter(name, "line 1", "canonical", good, "unexpected", "Ada Lovelace was not understood"),
                DeadLetter(name, "line 2", "canonical", b"no JSON", "not_json", "no JSON"),
                DeadLetter(name, "line 3", "canonical", b"4", "not_json", "no JSON"),
            ],
        )
    return name


def listed(client: httpx.Client, source: str, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/v1/dead-letters", params={"source": source, **more}).json()["items"]
    return found


def test_dead_letters_are_listed_by_page_without_what_came(client: httpx.Client, source: str) -> None:
    page = client.get("/v1/dead-letters", params={"source": source, "limit": 2}).json()
    rest = client.get("/v1/dead-letters", params={"source": source, "limit": 2, "after": page["next"]}).json()
    assert [len(page["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]
    assert not {"payload", "detail"} & page["items"][0].keys()
    assert len(listed(client, source, reason="not_json")) == 2


def test_what_came_is_shown_to_anyone_who_may_see_people_and_noted(
    served: Served, client: httpx.Client, source: str
) -> None:
    (first, *_) = listed(client, source)
    whole = client.get(f"/v1/dead-letters/{first['id']}").json()
    assert "late-" in whole["payload"]
    with psycopg.connect(served.database_url) as connection:
        noted = "SELECT FROM oms_access_log WHERE subject = %s AND resource = 'get-dead-letter'"
        assert connection.execute(noted.encode(), [str(first["id"])]).fetchone() is not None
    with served.client("follower") as follower:
        assert "payload" in follower.get(f"/v1/dead-letters/{first['id']}").json()
    with served.client("storefront") as storefront:
        assert storefront.get(f"/v1/dead-letters/{first['id']}").status_code == 403
    with served.client("of-web") as one:
        assert one.get("/v1/dead-letters").status_code == 403


def test_a_dead_letter_is_replayed_or_discarded_once(client: httpx.Client, source: str) -> None:
    first, second, third = (one["id"] for one in listed(client, source))
    assert client.post(f"/v1/dead-letters/{first}:replay", json={}).json() == {"id": first, "accepted": True}
    assert client.get(f"/v1/orders/web~late-{source}").status_code in (200, 404, 503)
    refused = client.post(f"/v1/dead-letters/{second}:replay", json={})
    assert (refused.status_code, refused.json()["accepted"]) == (409, False)
    path, why = f"/v1/dead-letters/{third}:discard", {"because": "a test of theirs"}
    assert client.post(path, json={}).status_code == 422
    assert client.post(path, json=why).json() == {"discarded": [third]}
    assert client.post(path, json=why).json() == {"discarded": []}
    assert [one["id"] for one in listed(client, source)] == [second]
    settled = {one["id"]: one for one in listed(client, source, settled="true")}
    assert settled[third]["discarded_by"].startswith("key:")
    for name in ("x", "999999", "9" * 40):
        assert client.get(f"/v1/dead-letters/{name}").status_code == 404


def test_those_of_a_source_are_replayed_a_page_at_a_time(served: Served, client: httpx.Client, source: str) -> None:
    first, second, third = (one["id"] for one in listed(client, source))
    path = "/v1/dead-letters:replay"
    page = client.post(path, json={"source": source, "limit": 2}).json()
    assert page == {"accepted": [first], "kept": [second], "next": second}
    rest = client.post(path, json={"source": source, "reason": "not_json", "after": page["next"]}).json()
    assert rest == {"accepted": [], "kept": [third], "next": None}
    assert client.post(path, json={"source": source}).json()["kept"] == [second, third]
    for wrong in ({}, {"source": ""}, {"source": source, "limit": 101}, {"source": source, "all": True}):
        assert client.post(path, json=wrong).status_code == 422, wrong
    with served.client("of-web") as one:
        assert one.post(path, json={"source": source}).status_code == 403


@pytest.mark.parametrize("dialect", ["commands", "command", "reaction"])
def test_no_other_command_is_given_in_the_place_of_one_that_was_refused(
    served: Served, client: httpx.Client, dialect: str
) -> None:
    """Each has a scope of its own, and this route has but one."""
    source = f"import:{next(NUMBERS)}.jsonl"
    other = json.dumps({"command": "OpenLocation", "fields": {"location": source, "country": "DE"}})
    with psycopg.connect(served.database_url) as connection:
        letter = DeadLetter(source, "line 1", dialect, b"{}", "no_command", "nothing")
        add_dead_letters(connection.cursor(), [letter])
    (one,) = listed(client, source)
    answer = client.post(f"/v1/dead-letters/{one['id']}:replace", json={"payload": other})
    assert (answer.status_code, "its own route" in answer.text) == (422, True)
    assert [left["id"] for left in listed(client, source)] == [one["id"]]


def test_a_corrected_message_is_taken_in_the_place_of_what_came(client: httpx.Client, source: str) -> None:
    _, second, _ = (one["id"] for one in listed(client, source))
    path = f"/v1/dead-letters/{second}:replace"
    still = client.post(path, json={"payload": "no JSON"})
    assert (still.status_code, still.json()["accepted"]) == (409, False)
    right = {"payload": json.dumps(order(f"corrected-{source}"))}
    assert client.post(path, json=right).json() == {"id": second, "accepted": True}
    assert client.post("/v1/orders", json=order(f"corrected-{source}")).status_code == 200
    assert second not in [one["id"] for one in listed(client, source)]
    assert client.post(path, json=right).status_code == 404
    assert client.post(path, json={"payload": ""}).status_code == 422


def test_a_subscription_is_set_up_changed_and_listed(served: Served, client: httpx.Client) -> None:
    made = client.post("/v1/webhook-secrets", json={"kind": "asymmetric"})
    assert (made.status_code, made.json()["secret"][:5]) == (201, "whpk_")
    given = client.post("/v1/webhook-secrets", json={"secret": "of-their-own"}).json()
    assert given.keys() == {"secret_id"}
    facts = {"url": "https://crm.example/x", "types": ["OrderShipped"], "secret_id": made.json()["secret_id"]}
    opened = client.post("/v1/subscriptions/crm:open", json=facts)
    assert [one["type"] for one in opened.json()["events"]] == ["SubscriptionOpened"]
    assert client.post("/v1/subscriptions/crm:open", json=facts).json()["events"] == []
    assert client.post("/v1/subscriptions/crm:disable", json={"because": "x"}).status_code == 200
    position = client.post("/v1/subscriptions/crm:enable", json={}).json()["position"]
    until = time.monotonic() + SECONDS_MAX
    while (row := client.get("/v1/subscriptions/crm", headers={"Oms-Min-Position": str(position)})).status_code != 200:
        assert time.monotonic() < until
    assert (row.json()["url"], row.json()["is_disabled"]) == (facts["url"], False)
    assert row.json()["changed_by"].startswith("key:")
    assert_no_secret_is_in_an_event(served)


def assert_no_secret_is_in_an_event(served: Served) -> None:
    with psycopg.connect(served.database_url) as connection:
        events = b"".join(state for (state,) in connection.execute("SELECT state FROM oms_events").fetchall())
        kept = connection.execute("SELECT secret FROM oms_webhook_secrets").fetchall()
    assert kept
    assert not [secret for (secret,) in kept if secret.encode() in events]


def test_who_changed_a_connection_is_known_and_no_secret_of_it_is_in_an_event(
    served: Served, client: httpx.Client
) -> None:
    first, second = (
        client.post("/v1/webhook-secrets", json={"secret": f"of-a-shop-{number}"}).json()["secret_id"]
        for number in range(2)
    )
    client.post("/v1/connections/till:open", json={"dialect": "shopify", "secret_id": first})
    changed = client.post("/v1/connections/till:rotate", json={"secret_id": second}).json()
    assert [one["type"] for one in changed["events"]] == ["ConnectionRotated"]
    until = time.monotonic() + SECONDS_MAX
    waiting = {"Oms-Min-Position": str(changed["position"])}
    while (row := client.get("/v1/connections/till", headers=waiting)).status_code != 200:
        assert time.monotonic() < until
    assert row.json()["changed_by"].startswith("key:")
    assert_no_secret_is_in_an_event(served)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (
            "/v1/subscriptions/a:open",
            {"url": "ftp://x", "types": ["OrderShipped"], "secret_id": "sec_" + "0" * 24},
            422,
        ),
        ("/v1/subscriptions/a:open", {"url": "https://x", "types": ["Nothing"], "secret_id": "sec_" + "0" * 24}, 422),
        (
            "/v1/subscriptions/a:open",
            {"url": "https://x", "types": ["OrderShipped"], "secret_id": "sec_" + "0" * 24},
            404,
        ),
        ("/v1/subscriptions/never:disable", {"because": "x"}, 404),
        ("/v1/connections/never:rotate", {"secret_id": "sec_" + "0" * 24}, 404),
        ("/v1/webhook-secrets", {"secret": ""}, 422),
        ("/v1/webhook-secrets", {"kind": "none"}, 422),
    ],
)
def test_what_cannot_be_set_up_is_refused(client: httpx.Client, path: str, body: dict[str, Any], status: int) -> None:
    assert client.post(path, json=body).status_code == status


def test_only_who_may_set_up_does(served: Served) -> None:
    with served.client("support") as support:
        assert support.post("/v1/webhook-secrets", json={}).status_code == 403
        assert support.post("/v1/subscriptions/x:disable", json={"because": "x"}).status_code == 403
        assert support.get("/v1/subscriptions").status_code == 200
    with served.client("of-web") as one:
        assert one.post("/v1/webhook-secrets", json={}).status_code == 403
        assert one.get("/v1/subscriptions/crm/deliveries").status_code == 403


def test_deliveries_are_listed_and_sent_again(served: Served, client: httpx.Client) -> None:
    with psycopg.connect(served.database_url) as connection:
        for position in (1, 2, 3):
            connection.execute(
                "INSERT INTO oms_deliveries (subscription, position, order_id, body, due_at, delivered_at) "
                "VALUES ('reported', %s, 'o', '{}', now(), CASE WHEN %s < 3 THEN now() END)",
                [position, position],
            )
    path = "/v1/subscriptions/reported/deliveries"
    page = client.get(path, params={"limit": 2}).json()
    rest = client.get(path, params={"limit": 2, "after": page["next"]}).json()
    assert [one["position"] for one in [*page["items"], *rest["items"]]] == [3, 2, 1]
    assert [one["position"] for one in client.get(path, params={"waiting": "true"}).json()["items"]] == [3]
    assert client.post(f"{path}/1:send-again", json={}).json()["delivered_at"] is None
    assert client.get(f"{path}/1").json()["delivered_at"] is None
    assert client.post(f"{path}/9:send-again", json={}).status_code == 404


def test_a_dry_run_says_what_a_replay_would_come_to_and_does_nothing(client: httpx.Client, source: str) -> None:
    first, second, third = (one["id"] for one in listed(client, source))
    looked = client.post(f"/v1/dead-letters/{first}:replay?preview=true", json={}).json()
    assert (looked["accepted"], looked["events"]) == (True, ["OrderPlaced"])
    looked = client.post(f"/v1/dead-letters/{second}:replay?preview=true", json={})
    assert (looked.status_code, looked.json()["accepted"], looked.json()["events"]) == (200, False, [])
    path = "/v1/dead-letters:replay"
    page = client.post(f"{path}?preview=true", json={"source": source, "until": second}).json()
    assert page == {"accepted": [first], "kept": [second], "next": None}
    assert [one["id"] for one in listed(client, source)] == [first, second, third], "nothing was settled"
    assert client.post(path, json={"source": source, "until": second}).json() == page
    assert [one["id"] for one in listed(client, source)] == [second, third]


@pytest.fixture
def alone(served: Served, embedded_server: EmbeddedPostgres) -> Iterator[Served]:
    """Run a server with a history of its own: other tests change the shared one by hand."""
    with fresh_database(embedded_server) as url:
        migrate(url)
        tokens = keys_for(url)
        with serving(url, "--with-engine", OMS_GATEWAYS="simulated") as (process, address):
            yield Served(process, address, url, tokens, served.provider)


def test_history_is_verified_on_demand_one_at_a_time_and_can_be_cancelled(alone: Served) -> None:
    with alone.client() as client:
        assert client.post("/v1/orders", json=order("verified")).status_code == 201
        _verified_on_demand(alone, client)


def _verified_on_demand(served: Served, client: httpx.Client) -> None:
    path = "/v1/verification"
    begun = client.post(f"{path}:run", json={})
    assert (begun.status_code, begun.json()["by"][:4]) == (202, "key:")
    again = client.post(f"{path}:run", json={}).json()
    if again["state"] == "running":
        assert again["began_at"] == begun.json()["began_at"]
    found = ended(client)
    assert found["state"] == "passed", [check for check in found["checks"] if check["failed"]]
    assert len(found["checks"]) > 50
    assert all(check["differences"] == [] for check in found["checks"])
    with served.client("follower") as follower:
        assert follower.post(f"{path}:run", json={}).status_code == 403
        assert follower.get(path).json()["state"] == "passed"
    with served.client("of-web") as one:
        assert one.get(path).status_code == 403
    client.post(f"{path}:run", json={})
    client.post(f"{path}:cancel", json={})
    assert ended(client)["state"] in ("cancelled", "passed")


def ended(client: httpx.Client) -> dict[str, Any]:
    until = time.monotonic() + SECONDS_MAX
    while (found := client.get("/v1/verification").json())["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.1)
    answer: dict[str, Any] = found
    return answer


def test_a_key_is_made_used_rotated_and_revoked_and_its_secret_is_kept_nowhere(
    served: Served, client: httpx.Client
) -> None:
    asked = {"label": "a shop", "roles": ["storefront"], "channels": ["web"], "days": 1}
    answer = client.post("/v1/keys", json=asked)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["label"], made["channels"], made["created_by"][:4]) == ("a shop", ["web"], "key:")

    def status(token: str) -> int:
        bearer = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{served.url}/v1/orders?channel=web", headers=bearer).status_code

    assert status(made["token"]) == 200
    path = f"/v1/keys/{made['key_id']}"
    rotated = client.post(f"{path}:rotate", json={"overlap_hours": 1}).json()
    assert rotated["token"] != made["token"]
    assert {one["key_id"]: one for one in client.get("/v1/keys").json()["items"]}[made["key_id"]]["label"] == "a shop"
    assert "token" not in client.get("/v1/keys").text
    assert client.post(f"{path}:revoke", json={}).json()["revoked_at"]
    assert client.post(f"{path}:rotate", json={}).status_code == 404
    until = time.monotonic() + SECONDS_MAX
    while status(rotated["token"]) == 200 and time.monotonic() < until:
        time.sleep(0.2)
    assert status(rotated["token"]) == 401
    with psycopg.connect(served.database_url) as connection:
        for table in ("oms_api_keys", "oms_access_log"):
            kept = str(connection.execute(f"SELECT * FROM {table}".encode()).fetchall())
            for token in (made["token"], rotated["token"]):
                assert token.split("_", 2)[2] not in kept


def test_no_one_gives_a_key_that_may_more_than_theirs(served: Served, client: httpx.Client) -> None:
    refused = client.post("/v1/keys", json={"label": "x", "scopes": ["system"]})
    assert (refused.status_code, refused.json()["reason"]) == (403, "forbidden")
    mine = client.post("/v1/keys", json={"label": "keys only", "scopes": ["keys:write"]}).json()
    bearer = {"Authorization": f"Bearer {mine['token']}"}
    with httpx.Client(base_url=served.url, headers=bearer) as other:
        assert other.post("/v1/keys", json={"label": "x", "roles": ["finance"]}).status_code == 403
        operator = served.tokens["operator"].split("_")[1]
        assert other.post(f"/v1/keys/{operator}:rotate", json={}).status_code == 403
        assert other.post("/v1/keys", json={"label": "x", "scopes": ["keys:write"]}).status_code == 201
    for wrong in ({"label": "x"}, {"label": "x", "roles": ["none"]}, {"label": "x", "scopes": ["none"]}, {"label": ""}):
        assert client.post("/v1/keys", json=wrong).status_code == 422, wrong
    assert client.post("/v1/keys/none:revoke", json={}).status_code == 404
    with served.client("of-web") as one:
        assert one.get("/v1/keys").status_code == 403
