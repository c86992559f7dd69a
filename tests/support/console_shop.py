"""A few things of each kind, with names that a page of the console would show wrongly if it did not escape them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from http_requests import order as ordered
from http_server import Served, token

STATEMENT = """:20:STARTUMS
:25:10020030/1234567
:28C:1/1
:60F:C191231EUR1000,00
:61:2001050105CR96,55NTRFSTRIPE-PO1//B1
:86:166?00GUTSCHRIFT?20EREF+PO-1?21SVWZ+<b>evil</b>
:61:2001070107D12,00NCHGNONREF
:86:808?00ENTGELT
:62F:C200131EUR1084,55
-
"""
ACCOUNT = "console-bank"
EVIL = "<script>alert(1)</script>\"'&"


class Shop:
    def __init__(self, served: Served) -> None:
        with served.client() as api:
            self.sku, self.location = "evil<b>sku", "evil"
            given = [
                (f"/v1/locations/{quote(self.location)}:open", {"country": "DE"}),
                (self.stock_path("receive"), {"receipt_id": "evil<u>1", "quantity": 5, "bin": "<em>", "lot": "<s>"}),
            ]
            for path, body in given:
                assert api.post(path, json=body).status_code == 200, path
            evil = ordered(EVIL, sku=self.sku)
            evil["ship_to"]["name"] = EVIL
            self.order_id = self._placed(api, evil)
            self.lacking_id = self._placed(api, ordered("lacking", sku="nowhere", quantity=3))
            hold = {"kind": "manual", "note": EVIL}
            assert api.post(f"/v1/orders/{self.lacking_id}:hold", json=hold).status_code == 200
            wait_for(lambda: self._is_far_enough(api))
            (parcel, *_) = api.get(f"/v1/shipments?order_id={self.order_id}").json()["items"]
            self.parcel_id: str = parcel["shipment_id"]
            self.return_id = "back/<b>1"
            self._reconciled(api)
            self.paper = self._with_a_paper(api)
            self.report_file = self._with_a_report(api, served)
            self.card_id = self._with_a_card(api)
            self.line = "2020-01-31/1/1/1"
            wait_for(lambda: self._is_returned(api))

    def _reconciled(self, api: httpx.Client) -> None:
        """Import a statement whose lines match nothing here: both are breaks."""
        given = {"format": "mt940", "account": ACCOUNT}
        sent = {"Content-Type": "application/octet-stream"}
        path = f"/v1/reconcile/{ACCOUNT}"
        wait_for(
            lambda: (
                api.post("/v1/statements", params=given, content=STATEMENT.encode(), headers=sent).status_code == 200
            )
        )
        wait_for(lambda: api.get(path).status_code == 200)
        wait_for(lambda: api.post(f"{path}:run", json={}).status_code == 200)
        wait_for(lambda: api.get(path).json()["breaks"])

    def _with_a_card(self, api: httpx.Client) -> str:
        """Issue a gift card with money on it."""
        path = "/v1/accounts/CONSOLE-1"
        issued = {"channel": "web", "currency": "EUR", "expires_at": "2099-12-31T00:00:00Z"}
        assert api.post(f"{path}:issue-gift-card", json=issued).status_code == 200
        paid_in = {"entry_id": "sale", "amount_minor": 2500, "reason": EVIL}
        assert api.post(f"{path}:credit", json=paid_in).status_code == 200
        wait_for(lambda: api.get("/v1/account-entries?account_id=CONSOLE-1").json()["items"])
        return "CONSOLE-1"

    def _with_a_paper(self, api: httpx.Client) -> str:
        sent = {"Content-Type": "application/octet-stream"}
        address: str = api.post("/v1/documents", content=EVIL.encode(), headers=sent).json()["sha256"]
        for entity, name in (("order", self.order_id), ("statement", f"{ACCOUNT}/2020-01-31/1/1")):
            to = {"entity": entity, "entity_id": name, "kind": "invoice", "reference": EVIL}
            assert api.post(f"/v1/documents/{address}:attach", json=to).status_code == 200
        return address

    def _with_a_report(self, api: httpx.Client, served: Served) -> str:
        sent = {"Content-Type": "application/octet-stream"}
        kept = api.post("/v1/documents", content=f"report,{EVIL}\n".encode(), headers=sent).json()
        made: dict[str, Any] = {
            "every": "day",
            "first_day": "2026-01-05",
            "last_day": "2026-01-05",
            "title": EVIL,
            "timezone": EVIL,
            "made_at": "2026-01-06T06:00:00Z",
            "files": [{"format": "csv", "sha256": kept["sha256"], "byte_count": kept["byte_count"]}],
            "deliver_to": ["folder", "mail"],
        }
        as_the_engine = {"Authorization": f"Bearer {token(served.database_url, 'engine', ['system'])}"}
        answer = api.post("/v1/report-files/evil:record-files", json=made, headers=as_the_engine)
        assert answer.status_code == 200, answer.text
        wait_for(lambda: api.get("/v1/report-files/evil/day/2026-01-05/csv").status_code == 200)
        address: str = kept["sha256"]
        return address

    @property
    def quoted_sku(self) -> str:
        return quote(self.sku)

    def stock_path(self, verb: str) -> str:
        return f"/v1/stock/{quote(self.sku)}/{quote(self.location)}:{verb}"

    def _placed(self, api: httpx.Client, order: Mapping[str, Any]) -> str:
        answer = api.post("/v1/orders", json=order)
        assert answer.status_code in (200, 201), answer.text
        order_id: str = answer.json()["order_id"]
        return order_id

    def _is_returned(self, api: httpx.Client) -> bool:
        """Request a return once the parcel has left and arrived; return whether it was accepted."""
        lines = api.get(f"/v1/orders/{self.order_id}?expand=lines").json()["lines"]
        back = [{"line_id": lines[0]["line_id"], "quantity": 1, "reason": "changed_mind"}]
        asked = {"rma_id": self.return_id, "lines": back, "resolution": "refund"}
        if api.post(f"/v1/orders/{self.order_id}:request-return", json=asked).status_code != 200:
            return False
        wait_for(lambda: api.get(f"/v1/returns/{quote(self.return_id, safe='')}").status_code == 200)
        return True

    def _is_far_enough(self, api: httpx.Client) -> bool:
        kinds = {one["kind"] for one in api.get("/v1/exceptions").json()["items"]}
        asked = api.get(f"/v1/orders/{self.order_id}?expand=shipments").json()
        return bool(asked.get("shipments")) and {"backordered", "held_manual"} <= kinds


def wait_for(is_so: Any, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture(scope="session")
def shop(served: Served) -> Shop:
    made = Shop(served)
    with psycopg.connect(served.database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO oms_dead_letters (source, place, dialect, payload, reason, detail) "
            "VALUES (%s, '', 'canonical', %s, 'not_json', %s)",
            [f"import:{EVIL}", EVIL.encode(), EVIL],
        )
    return made
