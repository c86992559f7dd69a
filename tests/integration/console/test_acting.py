"""The console shows, in each language, what an order waits for, who has to act, and the form that ends the wait."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import quote

import httpx
import pytest

from console_forms import browser, sent
from console_shop import Shop, wait_for
from http_requests import order as ordered
from http_server import Served, token


def attention(page: str) -> str:
    """Return the first card of an order, which says what it waits for."""
    found = re.search(r'<section class="card attention">.*?</section>', page, re.DOTALL)
    return unescape(found[0]) if found else ""


@pytest.mark.parametrize(
    ("language", "why", "who"),
    [
        ("en", "No location has 1 × of-patience.", "To act: the warehouse"),
        ("zh-CN", "没有任何地点有 1 × of-patience。", "处理方：仓库"),
    ],
)
def test_a_backordered_order_says_who_acts_and_its_form_settles_it(
    served: Served, shop: Shop, language: str, why: str, who: str
) -> None:
    with served.client() as api, browser(served) as operator, browser(served, "support") as support:
        name = f"patient-{language}"
        order_id = api.post("/v1/orders", json=ordered(name, sku="of-patience")).json()["order_id"]
        wait_for(lambda: api.get(f"/v1/orders/{order_id}").json().get("phase") == "backordered")
        headers = {"Accept-Language": language}
        card = attention(operator.get(f"/console/orders/{order_id}", headers=headers).text)
        assert why in card
        assert who in card
        assert "oms-es" not in card, "a command line is of no use in a browser"
        (path,) = re.findall(r'href="(/console/commands/stock/receive\?[^"]+)"', card)
        assert "sku=of-patience" in path
        theirs = attention(support.get(f"/console/orders/{order_id}", headers=headers).text)
        assert who in theirs
        assert "stock/receive" not in theirs, "their key may not receive stock"
        need = api.get(f"/v1/orders/{order_id}", params={"expand": "needs"}).json()["needs"]
        assert need == [
            {"says": "no_stock", "acts": "warehouse", "parameters": {"quantity": "1", "sku": "of-patience"}}
        ]
        form = {"sku": "of-patience", "location": shop.location, "receipt_id": name, "quantity": "1", "step": "do"}
        assert sent(operator, "/console/commands/stock/receive", form).status_code == 303
        wait_for(lambda: api.get(f"/v1/orders/{order_id}").json().get("phase") != "backordered")
        assert why not in operator.get(f"/console/orders/{order_id}", headers=headers).text


def test_an_order_that_was_sent_again_shows_what_differs_and_nothing_of_a_person(served: Served, shop: Shop) -> None:
    with served.client() as api, browser(served) as operator:
        first = ordered("sent-twice", sku="nowhere")
        order_id = api.post("/v1/orders", json=first).json()["order_id"]
        second = {**first, "shipping_minor": 777, "ship_to": {**first["ship_to"], "name": "Somebody Else"}}
        assert api.post("/v1/orders", json=second).status_code == 409
        path = f"/v1/exceptions/duplicate_conflict%2F{order_id}"
        wait_for(lambda: api.get(path).status_code == 200)
        differences = {one["field"]: one for one in api.get(path).json()["differences"]}
        assert (differences["shipping_minor"]["ours"], differences["shipping_minor"]["theirs"]) == (0, 777)
        assert differences["ship_to.name"] == {"field": "ship_to.name", "ours": None, "theirs": None, "personal": True}
        page = operator.get("/console/inbox?kind=duplicate_conflict").text
        assert "<code>shipping_minor</code>" in page
        assert "777" in page
        assert "Somebody Else" not in page
        assert "To act: customer service" in page
        backordered = api.get(f"/v1/exceptions/backordered%2F{order_id}")
        assert backordered.json()["differences"] == []


def conflict(api: httpx.Client, name: str, **other: object) -> tuple[str, str]:
    """Return the ids of an order and of its exception, after it was sent again with other content."""
    first = ordered(name, sku="nowhere")
    order_id = api.post("/v1/orders", json=first).json()["order_id"]
    assert api.post("/v1/orders", json={**first, **other}).status_code == 409
    wait_for(lambda: api.get(f"/v1/exceptions/duplicate_conflict%2F{order_id}").status_code == 200)
    return order_id, f"duplicate_conflict/{order_id}"


@pytest.mark.parametrize(("side", "charged"), [("ours", 0), ("theirs", 777)])
def test_one_of_two_versions_is_taken_in_the_inbox(served: Served, shop: Shop, side: str, charged: int) -> None:
    with served.client() as api, browser(served, "support") as support:
        order_id, name = conflict(api, f"taken-{side}", shipping_minor=777)
        assert f'value="{side}"' in support.get("/console/inbox?kind=duplicate_conflict").text
        (row,) = api.get(f"/v1/exceptions?order={order_id}&kind=duplicate_conflict").json()["items"]
        total = api.get(f"/v1/orders/{order_id}").json()["total_minor"]
        form = {"exception_id": name, "only_kind": "duplicate_conflict", "side": side, "note": "they called"}
        form["raised_at"] = row["last_raised_at"]
        done = sent(support, "/console/inbox/take", form, of="/console/inbox")
        assert done.headers["location"].startswith("/console/inbox?kind=duplicate_conflict&done=")
        wait_for(lambda: not api.get(f"/v1/exceptions?order={order_id}&kind=duplicate_conflict").json()["items"])
        wait_for(lambda: api.get(f"/v1/orders/{order_id}").json()["total_minor"] == total + charged)
        path = f"/v1/exceptions/{quote(row['exception_id'], safe='')}:take"
        assert (
            api.post(path, json={"side": side, "raised_at": row["last_raised_at"]}).json()["reason"]
            == "no_such_resource"
        ), "it is settled"


def test_a_side_is_taken_only_by_a_caller_who_may_and_of_an_order_that_can_become_it(
    served: Served, shop: Shop
) -> None:
    with served.client() as api:
        order_id, name = conflict(api, "not-taken", payment_token="another")
        shown = f"/v1/exceptions/{quote(name, safe='')}"
        read = {"raised_at": api.get(shown).json()["last_raised_at"]}
        refused = api.post(f"{shown}:take", json={"side": "theirs", **read})
        assert (refused.status_code, refused.json()["reason"]) == (409, "not_amendable")
        assert api.get(shown).status_code == 200, "nothing was resolved"
        assert api.post(f"{shown}:take", json={"side": "both", **read}).status_code == 422
        backordered = f"/v1/exceptions/{quote(f'backordered/{order_id}', safe='')}:take"
        wait_for(lambda: api.post(backordered, json={"side": "ours", **read}).status_code == 422)
        narrow = {"Authorization": f"Bearer {token(served.database_url, 'narrow', ['operations:write'])}"}
        with served.client(None) as other:
            assert other.post(f"{shown}:take", json={"side": "theirs", **read}, headers=narrow).status_code == 403
            taken = {"side": "ours", "note": "a test", **read}
            assert other.post(f"{shown}:take", json=taken, headers=narrow).status_code == 200


def test_a_version_that_came_after_the_page_was_read_is_not_taken(served: Served, shop: Shop) -> None:
    with served.client() as api:
        _, name = conflict(api, "three-versions", shipping_minor=777)
        shown = f"/v1/exceptions/{quote(name, safe='')}"
        read = api.get(shown).json()["last_raised_at"]
        third = {**ordered("three-versions", sku="nowhere"), "shipping_minor": 888}
        assert api.post("/v1/orders", json=third).status_code == 409
        wait_for(lambda: api.get(shown).json()["last_raised_at"] != read)
        for side in ("ours", "theirs"):
            refused = api.post(f"{shown}:take", json={"side": side, "raised_at": read})
            assert (refused.status_code, refused.json()["reason"]) == (409, "raised_again")
        newest = {"side": "theirs", "raised_at": api.get(shown).json()["last_raised_at"]}
        assert api.post(f"{shown}:take", json=newest).status_code == 200
        assert api.post("/v1/orders", json=third).status_code == 200, "the order is as it was sent now"
        assert api.post("/v1/orders", json={**third, "shipping_minor": 777}).status_code == 409
