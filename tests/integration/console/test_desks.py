"""Reports, actions on many orders at once, and the desks for receiving and shipping, over HTTP."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from html import unescape
from io import StringIO
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from console_forms import browser, sent
from console_shop import Shop, wait_for
from html_pages import read
from http_requests import order as ordered
from http_server import Served

HIDDEN = re.compile(r'<input type="hidden" name="([\w.]+)" value="([^"]*)">')


def hidden_in(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in HIDDEN.findall(page)}


def held_events(api: httpx.Client, order_id: str) -> list[dict[str, Any]]:
    """Return the events of the timeline so far."""
    events = api.get(f"/v1/orders/{order_id}/events").json()["items"]
    return [event for event in events if event["type"] == "OrderHeld"]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with browser(served) as signed_in:
        yield signed_in


def test_a_question_that_takes_too_long_is_said_to_be_too_large(served: Served, client: httpx.Client) -> None:
    """A locked table makes the report wait; it is cancelled all the same."""
    with psycopg.connect(served.database_url) as other, served.client() as api:
        other.execute("LOCK TABLE stock_movements IN ACCESS EXCLUSIVE MODE")
        answer = api.get("/v1/reports/stock-turn")
        assert (answer.status_code, answer.json()["reason"]) == (422, "question_too_large")
        assert "Retry-After" not in answer.headers
        page = client.get("/console/reports/stock-turn")
        assert page.status_code == 422
        assert "shorter period" in page.text


def test_a_report_shows_and_gives_along_what_the_api_answers(served: Served, shop: Shop, client: httpx.Client) -> None:
    asked = "from=2020-01-01&to=2030-01-01"
    with served.client() as api:
        rows = api.get(f"/v1/reports/units-by-sku?{asked}&by=sku&where=sku={quote(shop.sku)}").json()["rows"]
    assert rows
    path = f"/console/reports/units-by-sku?{asked}&by=&by=sku&where=sku={quote(quote(shop.sku))}".replace("%25", "%")
    page = client.get(path)
    assert page.status_code == 200
    assert page.text.count('<svg viewBox="0 0') == 1
    assert 'style="' not in page.text
    table = client.get(path.replace("units-by-sku", "units-by-sku.csv"))
    assert table.headers["content-disposition"] == 'attachment; filename="units-by-sku.csv"'
    head, *lines = list(csv.reader(StringIO(table.text)))
    assert [dict(zip(head, line, strict=True))["sku"] for line in lines] == [row["sku"] for row in rows]
    for name, begins in (("xlsx", b"PK"), ("pdf", b"%PDF-"), ("html", b"<!doctype html>")):
        assert f"units-by-sku.{name}?" in page.text
        assert client.get(path.replace("units-by-sku", f"units-by-sku.{name}")).content.startswith(begins)


def test_a_question_that_a_report_does_not_have_keeps_what_was_filled_in(client: httpx.Client) -> None:
    wrong = client.get("/console/reports/sales?from=2026-02-01&to=2026-01-01&by=day&where=channel=web")
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (422, True)
    assert 'value="2026-02-01"' in wrong.text
    assert 'value="channel=web"' in wrong.text
    assert client.get("/console/reports/sales.csv?by=nothing").status_code == 422


def test_one_thing_is_done_with_all_orders_of_a_filter_each_by_itself_and_once(
    served: Served, shop: Shop, client: httpx.Client
) -> None:
    with served.client() as api:
        names = [f"bulk-{n}" for n in range(3)]
        ids = [api.post("/v1/orders", json=ordered(name, sku="of-bulk")).json()["order_id"] for name in names]
        wait_for(lambda: len(api.get("/v1/orders?sku=of-bulk&phase=backordered").json()["items"]) == 3)
        api.post(f"/v1/orders/{ids[0]}:hold", json={"kind": "fraud"}).raise_for_status()
        path = "/console/bulk/orders/hold"
        shown = client.get(f"{path}?sku=of-bulk&phase=backordered")
        assert "3 orders" in shown.text
        form = {"filter": "phase=backordered&sku=of-bulk", "kind": "fraud", "note": "all of them"}
        looked = sent(client, path, {**form, "step": "preview"})
        assert (looked.status_code, read(looked.text).wrong) == (200, [])
        assert looked.text.count("OrderHeld") == 2, "one is held already"
        assert all("fraud" not in api.get(f"/v1/orders/{one}").json()["holds"] for one in ids[1:])
        hidden = hidden_in(looked.text.split('<section class="card preview"')[1])
        done = [sent(client, path, {**form, "run": hidden["run"], "step": "do"}) for _ in range(2)]
        assert [answer.status_code for answer in done] == [200, 200]
        assert all(">changed</span>" in answer.text and ">unchanged</span>" in answer.text for answer in done)
        for one in ids:
            wait_for(lambda one=one: held_events(api, one))
            (held,) = held_events(api, one)
            assert held["actor"] == f"key:{served.tokens['operator'].split('_')[1]}"
        cancelled = sent(client, "/console/bulk/orders/hold", {**form, "kind": "no-such", "step": "preview"})
        assert (cancelled.status_code, 'role="alert"' in cancelled.text) == (422, True)
        assert sent(client, path, {"filter": "evil=1", "step": "preview"}).status_code == 422


def rows_and_tallies(page: str) -> tuple[list[str], int]:
    rows = re.findall(r'<tr><th scope="row"><a href="/console/orders/([^"]+)"', page)
    tallies = re.findall(r"<dt>(?:changed|unchanged|refused)</dt><dd>(\d+)</dd>", page)
    return rows, sum(map(int, tallies))


def test_a_run_over_a_filter_goes_on_where_a_part_ended(served: Served, shop: Shop, client: httpx.Client) -> None:
    path, form = "/console/bulk/orders/release-hold", {"filter": "", "kind": "address", "step": "do", "run": "r1"}
    with served.client() as api:
        first, after = (page := api.get("/v1/orders?limit=1").json())["items"][0]["order_id"], page["next"]
    whole, count = rows_and_tallies(sent(client, path, form).text)
    assert (whole[0], count) == (first, len(whole))
    rest, so_far = rows_and_tallies(sent(client, path, {**form, "after": after, "so_far_changed": "1"}).text)
    assert first not in rest
    assert rest[: len(whole) - 1] == whole[1:]
    assert so_far == len(rest) + 1, "with those of the parts before"


def test_what_comes_back_is_counted_graded_and_credited_at_the_returns_desk(
    served: Served, shop: Shop, client: httpx.Client
) -> None:
    name = quote(shop.return_id, safe="")
    with served.client() as api:
        assert client.get("/console/returns", params={"q": shop.return_id}).headers["location"].endswith(name)
        (line,) = api.get(f"/v1/returns/{name}").json()["parts"]
        counted = {"receipt_id": "desk-1", "location": shop.location, "lines.0.line_id": line["line_id"]}
        looked = sent(client, f"/console/returns/{name}/receive", {**counted, "lines.0.quantity": "1"})
        assert "RmaReceived" in looked.text
        do = {**hidden_in(looked.text.split('id="preview"')[1].split("</form>")[0]), "step": "do"}
        assert (
            client.post("/console/commands/return/receive", data=do)
            .headers["location"]
            .startswith(f"/console/returns/{name}?done=")
        )
        wait_for(lambda: api.get(f"/v1/returns/{name}").json()["received"] == 1)
        assert "As new" in client.get(f"/console/returns/{name}").text
        graded = {"inspection_id": "desk-2", "location": shop.location, "lines.0.line_id": line["line_id"]}
        graded |= {"lines.0.grade": "as_new", "lines.0.disposition": "sellable", "lines.0.credited": "true"}
        nothing = sent(client, f"/console/returns/{name}/inspect", {**graded, "lines.0.quantity": ""})
        assert nothing.status_code == 422
        looked = sent(client, f"/console/returns/{name}/inspect", {**graded, "lines.0.quantity": "1"})
        assert "RmaCreditDue" in looked.text, "what the customer gets is previewed"


def test_the_label_of_a_parcel_is_a_link_away_for_who_may_see_people(
    served: Served, shop: Shop, client: httpx.Client
) -> None:
    path = f"/console/shipping/labels/{quote(shop.parcel_id, safe='')}"
    assert client.get(path).status_code == 404
    labels = f"/v1/shipments/{quote(shop.parcel_id, safe='')}/labels"
    with served.client("system") as api:
        assert api.get(labels).json()["reason"] == "no_such_resource"
        sent_as = {"Content-Type": "application/octet-stream"}
        one = api.post("/v1/documents", content=b"%PDF-1.7 a label", headers=sent_as).json()
        document = {name: one[name] for name in ("sha256", "media_type", "byte_count")}
        verb = f"/v1/shipments/{quote(shop.parcel_id, safe='')}:attach-label"
        assert api.post(verb, json={"document": document}).status_code == 200
        assert api.get(labels).json()["items"] == [{"carton_id": "", **document}]
    saved = client.get(path, follow_redirects=True)
    assert (saved.content, saved.headers["content-type"]) == (b"%PDF-1.7 a label", "application/pdf")


def test_a_list_to_pick_by_names_its_parcels_with_barcodes_and_stays_the_same(
    served: Served, shop: Shop, client: httpx.Client
) -> None:
    path = f"/console/shipping/list?location={quote(shop.location)}&parcel={quote(shop.parcel_id)}"
    page = client.get(path)
    assert (page.status_code, read(page.text).wrong) == (200, [])
    assert f'aria-label="{shop.parcel_id}"' in page.text
    assert "&lt;em&gt;" in page.text, "the bin to take it from"
    assert client.get("/console/shipping/list?location=x&parcel=none").status_code == 422
    many = "&".join(f"parcel=p{n}" for n in range(21))
    assert client.get(f"/console/shipping/list?location=x&{many}").status_code == 422
    scanned = client.get("/console/shipping?q=p1").headers["location"]
    assert scanned == "/console/commands/shipment/pack?shipment=p1&next=%2Fconsole%2Fshipping"
