"""People are shown, given out, held and forgotten over HTTP and in the console, by whoever may do so."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from conftest import fresh_database
from console_forms import sent, sign_in
from console_shop import wait_for
from http_server import Served, keys_for, serving, token
from identity_provider import IdentityProvider
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.schemas.finance.account import OpenAccount
from people import C_ADA, C_GRACE, FIRST, GRACE, KEY, OF_GRACE, SAID, SECOND, engine_with_people, everything, rows_of

ADA = f"/v1/privacy/customers/web~{C_ADA.customer_id}"
CONSOLE = "/console/privacy"


@pytest.fixture(scope="module")
def shop(embedded_server: EmbeddedPostgres) -> Iterator[Served]:
    with fresh_database(embedded_server) as url:
        with engine_with_people(url) as engine:
            of_grace = {"channel": "web", "currency": "EUR", "customer_id": C_GRACE.customer_id}
            engine.submit("test", [OpenAccount.model_validate({"account_id": "S-1", "kind": "deposit", **of_grace})])
            engine.settle()
        settings = {"OMS_GATEWAYS": "simulated", "OMS_DATA_KEY": b64encode(KEY).decode()}
        with serving(url, "--with-engine", **settings) as (process, address):
            yield Served(process, address, url, keys_for(url), IdentityProvider(""))


@pytest.fixture
def officer(shop: Served) -> Iterator[httpx.Client]:
    with shop.client("privacy") as client:
        yield client


def shown(client: httpx.Client, path: str = ADA) -> dict[str, dict[str, object]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return {row["order_id"]: row for row in answer.json()["orders"]}


def test_a_person_is_given_what_is_kept_and_the_access_is_noted(shop: Served, officer: httpx.Client) -> None:
    assert shown(officer).keys() == {FIRST, SECOND}
    assert {row["has_key"] for row in shown(officer).values()} == {True}
    found = officer.get(f"{ADA}/export").json()
    assert found["customers"] == [{"channel": "web", "customer_id": C_ADA.customer_id}]
    assert "St James" in str(found)
    assert "Grace" not in str(found)
    noted = rows_of(shop.database_url, "oms_access_log")
    assert ("export-customer-person", f"web~{C_ADA.customer_id}") in {
        (row["resource"], row["subject"]) for row in noted
    }
    blind = token(shop.database_url, "blind", ["privacy:read", "privacy:write"])
    with httpx.Client(base_url=shop.url, headers={"Authorization": f"Bearer {blind}"}) as other:
        assert other.get(f"{ADA}/export").status_code == 403
        assert other.get(ADA).status_code == 200


def test_who_may_not_forget_does_not_and_what_is_not_there_is_not_found(shop: Served, officer: httpx.Client) -> None:
    for role in ("support", "of-web", "channel", None):
        with shop.client(role) as other:
            assert other.post(f"{ADA}:forget", json={"reason": "request"}).status_code in (401, 403), role
    with shop.client("of-web") as other:
        assert other.get(ADA).status_code == 403, "a person's orders may be of another channel"
    for path in ("orders/web~none", "orders/none", "customers/web~none", "customers/none"):
        answer = officer.post(f"/v1/privacy/{path}:forget", json={"reason": "request"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json"), path
    assert officer.post(f"{ADA}:forget", json={"reason": "whim"}).status_code == 422
    assert officer.post(f"{ADA}:hold", json={"reason": "dispute"}).status_code == 422


def test_a_case_holds_and_lets_go_and_then_the_person_is_forgotten(shop: Served, officer: httpx.Client) -> None:
    held = officer.post("/v1/privacy/orders/web~1:hold", json={"case_id": "court", "reason": "dispute"})
    assert (held.status_code, held.json()["orders"]) == (200, [FIRST])
    wait_for(lambda: shown(officer)[FIRST]["held_by"] == ["court"])
    refused = officer.post(f"{ADA}:forget", json={"reason": "request"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "legal_hold")
    assert {row["forgotten_at"] for row in shown(officer).values()} == {None}, "all of them, or none"
    assert officer.post("/v1/privacy/orders/web~1:release", json={"case_id": "court"}).status_code == 200
    fewer = officer.post(f"{ADA}:forget", json={"reason": "request", "order_ids": [FIRST]})
    assert (fewer.status_code, fewer.json()["reason"]) == (412, "version_changed")
    assert {row["forgotten_at"] for row in shown(officer).values()} == {None}
    asked = {"reason": "request", "case_id": "dsr-1", "order_ids": [SECOND, FIRST]}
    done = officer.post(f"{ADA}:forget", json=asked)
    assert (done.status_code, set(done.json()["orders"])) == (202, {FIRST, SECOND})
    wait_for(lambda: shown(officer, f"/v1/privacy/orders/{FIRST}")[FIRST]["forgotten_at"] is not None)
    again = officer.post(f"/v1/privacy/orders/{FIRST}:forget", json={"reason": "request"})
    assert (again.status_code, again.json()["position"]) == (202, None)
    with psycopg.connect(shop.database_url) as connection:  # as if a minute had passed
        connection.execute("UPDATE forgotten_orders SET forgotten_at = forgotten_at - interval '2 minutes'")
    wait_for(lambda: shown(officer, f"/v1/privacy/orders/{FIRST}")[FIRST]["has_key"] is False)
    left = everything(shop.database_url).replace(f"ring twice, {GRACE.name}", "")
    assert [said for said in SAID if said in left] == []
    assert officer.get(ADA).status_code == 404


def test_the_page_of_the_console_shows_holds_and_gives_what_its_reader_may(shop: Served) -> None:
    with httpx.Client(base_url=shop.url, timeout=30) as officer:
        sign_in(officer, shop.tokens["privacy"])
        path = f"{CONSOLE}?order={OF_GRACE}"
        page = officer.get(path).text
        assert "all of them are forgotten, held or released together" in page
        assert 'value="forget"' in page
        whose = {"order": OF_GRACE, "case_id": "court-2", "shown": OF_GRACE}
        assert f'name="shown" value="{OF_GRACE}"' in page
        other = sent(officer, CONSOLE, {**whose, "shown": FIRST, "verb": "hold", "reason": "investigation"}, of=path)
        assert other.status_code == 412
        assert "other orders or accounts belong together with these now" in other.text
        assert "court-2" not in officer.get(path).text
        done = sent(officer, CONSOLE, {**whose, "verb": "hold", "reason": "investigation"}, of=path)
        assert done.status_code == 303
        assert "court-2" in officer.get(done.headers["location"]).text
        refused = sent(officer, CONSOLE, {**whose, "verb": "forget", "reason": "request"}, of=path)
        assert refused.status_code == 409
        assert "court-2 holds it" in refused.text
        exported = officer.get(f"{CONSOLE}/export?order={OF_GRACE}&customer=")
        assert exported.headers["Content-Disposition"] == 'attachment; filename="person.json"'
        assert exported.json()["orders"][0]["order_id"] == OF_GRACE
        assert sent(officer, CONSOLE, {**whose, "verb": "release"}, of=path).status_code == 303
        assert sent(officer, CONSOLE, {**whose, "verb": "burn"}, of=path).status_code == 422
        assert officer.get(f"{CONSOLE}?customer=web/none").status_code == 404
        assert officer.get(f"{CONSOLE}?customer=web/none&order=x").status_code == 422
        assert "个人信息" in officer.get(path, headers={"Accept-Language": "zh"}).text
    with httpx.Client(base_url=shop.url, timeout=30) as support:
        sign_in(support, shop.tokens["support"])
        page = support.get(path).text
        assert "court-2" in page
        assert 'value="forget"' not in page
        whose = {"order": OF_GRACE, "verb": "forget", "reason": "request", "shown": OF_GRACE}
        assert sent(support, CONSOLE, whose, of="/console/orders").status_code == 403


def test_an_account_is_shown_held_and_forgotten_alone(shop: Served, officer: httpx.Client) -> None:
    path = "/v1/privacy/accounts/S-1"
    [of_grace] = officer.get(path).json()["accounts"]
    assert (of_grace["balance_minor"], of_grace["has_key"], of_grace["held_by"]) == (0, True, [])
    with_orders = officer.get(f"/v1/privacy/customers/web~{C_GRACE.customer_id}").json()
    assert ([row["order_id"] for row in with_orders["orders"]], with_orders["accounts"]) == ([OF_GRACE], [of_grace])
    held = officer.post(f"{path}:hold", json={"case_id": "court-9", "reason": "dispute"}).json()
    assert (held["orders"], held["accounts"]) == ([], ["S-1"])
    assert officer.post(f"{path}:forget", json={"reason": "request"}).json()["reason"] == "legal_hold"
    assert officer.post(f"{path}:release", json={"case_id": "court-9"}).status_code == 200
    other = officer.post(f"{path}:forget", json={"reason": "request", "account_ids": []})
    assert (other.status_code, other.json()["reason"]) == (412, "version_changed")
    done = officer.post(f"{path}:forget", json={"reason": "request", "account_ids": ["S-1"]})
    assert (done.status_code, done.json()["accounts"]) == (202, ["S-1"])
    wait_for(lambda: officer.get(path).json()["accounts"][0]["forgotten_at"] is not None)
    assert officer.get("/v1/privacy/accounts/none").status_code == 404
    with httpx.Client(base_url=shop.url, timeout=30) as clerk:
        sign_in(clerk, shop.tokens["privacy"])
        assert "S-1" in clerk.get(f"{CONSOLE}?account=S-1").text
