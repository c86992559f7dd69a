"""Gift cards over HTTP: a code is shown once, proves the card to its channel's callers, and is not in the database."""

from __future__ import annotations

import time
from typing import Any

import httpx
import psycopg

from http_requests import order
from http_server import Served
from oms_es.http.services import WRONG_CODES_BURST


def card(client: httpx.Client, name: str, amount_minor: int, channel: str = "web") -> str:
    """Issue a card, pay money in, and return its code."""
    issue = client.post(f"/v1/accounts/{name}:issue-gift-card", json={"channel": channel, "currency": "EUR"})
    assert issue.status_code == 200, issue.text
    paid_in = {"entry_id": "sale", "amount_minor": amount_minor, "method": "card"}
    assert client.post(f"/v1/accounts/{name}:credit", json=paid_in).status_code == 200
    shown = client.post(f"/v1/gift-cards/{name}:show-code", json={})
    assert shown.status_code == 200, shown.text
    code: str = shown.json()["code"]
    return code


def asked(client: httpx.Client, code: str, status: int = 200) -> dict[str, Any]:
    """Ask what is on a card, until the read model has it."""
    until = time.monotonic() + 30
    while (answer := client.post("/v1/gift-cards:enquire", json={"code": code})).status_code != status:
        assert time.monotonic() < until, answer.text
        time.sleep(0.1)
    found: dict[str, Any] = answer.json()
    return found


def test_a_code_is_shown_once_and_another_one_on_request(client: httpx.Client) -> None:
    code = card(client, "HTTP-1", 2500)
    again = client.post("/v1/gift-cards/HTTP-1:show-code", json={})
    assert (again.status_code, again.json()["reason"]) == (409, "code_shown")
    assert code not in again.text
    assert asked(client, code.lower().replace("-", " "))["balance_minor"] == 2500
    replaced = client.post("/v1/gift-cards/HTTP-1:show-code", json={"replace": True}).json()["code"]
    assert replaced != code
    assert asked(client, replaced)["account_id"] == "HTTP-1"
    assert asked(client, code, 404)["reason"] == "wrong_code"
    unknown = client.post("/v1/gift-cards/NONE:show-code", json={})
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "unknown_account")


def test_an_order_is_paid_by_the_card_whose_code_was_given_for_it(client: httpx.Client) -> None:
    code = card(client, "HTTP-2", 5000)
    asked(client, code)
    for _ in range(2):
        given = client.post("/v1/gift-cards:present", json={"code": code, "external_id": "by-card-1"})
        assert given.status_code == 200, given.text
    tender = {"method": "account", "payment_token": given.json()["account_id"], "amount_minor": 100}
    placed = client.post("/v1/orders", json={**order("by-card-1"), "tenders": [tender]})
    assert placed.status_code == 201, placed.text
    events = client.get("/v1/streams/account-HTTP-2/events")
    assert code not in events.text
    blocked = client.post("/v1/accounts/HTTP-2:block", json={"reason": "lost"})
    assert blocked.status_code == 200
    refused = client.post("/v1/gift-cards:present", json={"code": code, "external_id": "by-card-2"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "card_not_usable")


def test_a_key_of_another_channel_cannot_learn_whether_a_code_exists(served: Served, client: httpx.Client) -> None:
    code = card(client, "HTTP-3", 100)
    asked(client, code)
    with served.client("of-app") as other, served.client("of-web") as mine:
        theirs, unknown = (other.post("/v1/gift-cards:enquire", json={"code": text}) for text in (code, "A" * 16))
        assert (theirs.status_code, theirs.json()["detail"]) == (404, unknown.json()["detail"])
        assert asked(mine, code)["available_minor"] == 100
        assert mine.post("/v1/gift-cards/HTTP-3:show-code", json={"replace": True}).status_code == 403


def test_wrong_codes_are_bounded_for_each_caller_and_never_repeated(served: Served, client: httpx.Client) -> None:
    code = card(client, "HTTP-4", 100)
    asked(client, code)
    with served.client("channel") as shop:
        answers = [shop.post("/v1/gift-cards:enquire", json={"code": f"WRONG{n:011}"}) for n in range(40)]
        statuses = [one.status_code for one in answers]
        assert statuses[:WRONG_CODES_BURST] == [404] * WRONG_CODES_BURST
        assert set(statuses[WRONG_CODES_BURST + 3 :]) == {429}
        assert int(answers[-1].headers["retry-after"]) > 0
        assert not any("WRONG" in one.text for one in answers)
        assert shop.post("/v1/gift-cards:enquire", json={"code": code}).status_code == 429, "nor are right ones tried"
    assert asked(client, code)["available_minor"] == 100
    malformed = client.post("/v1/gift-cards:enquire", json={"code": "SECRET-CODE", "x": 1})
    assert malformed.status_code == 422
    assert "SECRET" not in malformed.text


def test_no_code_is_in_the_database(served: Served, client: httpx.Client) -> None:
    code = card(client, "HTTP-5", 100)
    asked(client, code)
    client.post("/v1/gift-cards:present", json={"code": code, "external_id": "x"}, headers={"Idempotency-Key": "k"})
    found = []
    with psycopg.connect(served.database_url) as connection:
        query = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
        tables = [name for (name,) in connection.execute(query)]
        assert len(tables) > 50
        for text in (code, code.replace("-", "")):
            wanted = [f"%{text}%", f"%{text.encode().hex()}%"]
            for table in tables:
                search = f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE ANY(%s)"
                (row,) = connection.execute(search.encode(), [wanted]).fetchall()
                found += [table] * row[0]
    assert found == []


def test_what_is_outstanding_is_summed_by_kind(client: httpx.Client) -> None:
    asked(client, card(client, "HTTP-6", 4200, channel="app"))
    answer = client.get("/v1/outstanding-accounts").json()
    cards = [one for one in answer["items"] if (one["kind"], one["channel"]) == ("gift_card", "app")]
    assert [(one["accounts"], one["balance_minor"]) for one in cards] == [(1, 4200)]
    assert client.get("/v1/outstanding-accounts", params={"day": "2020-01-01"}).json()["items"] == []
    assert client.get("/v1/outstanding-accounts", params={"day": "x"}).status_code == 422
