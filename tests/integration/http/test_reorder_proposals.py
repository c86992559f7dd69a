"""Reorder points proposed over HTTP and approved in the console, by the command that sets them."""

from __future__ import annotations

import re
from datetime import date, timedelta

import httpx
import pytest

from console_forms import browser, sent
from console_shop import wait_for
from http_requests import order
from http_server import Served

WEEKS = 12
FIRST = date(2026, 1, 5)
PATH = "/v1/reorder-proposals/low-berlin"
ASKED: dict[str, str | int] = {"lead_days": 10, "from": (FIRST + timedelta(weeks=WEEKS)).isoformat()}


@pytest.fixture(scope="module")
def sold(served: Served) -> str:
    """Place one order a week, and ship all of them."""
    with served.client() as api:
        api.post("/v1/locations/low-berlin:open", json={"country": "DE"}).raise_for_status()
        received = {"receipt_id": "1", "quantity": 200}
        api.post("/v1/stock/low-mug/low-berlin:receive", json=received).raise_for_status()
        wait_for(lambda: api.get("/v1/stock/low-mug").json().get("levels"))
        for week in range(WEEKS):
            placed_at = f"{FIRST + timedelta(weeks=week)}T09:00:00Z"
            sent_in = {**order(f"low-{week}", sku="low-mug", quantity=4 + week % 4), "placed_at": placed_at}
            api.post("/v1/orders", json=sent_in).raise_for_status()
        wait_for(lambda: api.get(PATH, params=ASKED).json().get("proposals"))
    return "low-mug"


def test_a_proposal_says_its_arithmetic_and_is_approved_by_the_command_that_sets_it(served: Served, sold: str) -> None:
    with served.client() as api, browser(served) as page:
        found = api.get(PATH, params=ASKED).json()
        (one,) = found["proposals"]
        assert (one["sku"], one["lead"]["days"], one["lead"]["whose"], one["reorder_point_now"]) == (
            sold,
            10,
            "said",
            0,
        )
        assert one["reorder_point"] == round(one["mean"]) + one["safety_stock"] > 0
        assert f"{one['per_week']:.2f} a week × 10.0 days / 7 = {one['mean']:.2f}" in one["arithmetic"]
        form = {"sku": sold, "location": "low-berlin", "quantity": "9", "up_to": "30", "step": "do"}
        form |= {"next": "/console/low-stock?location=low-berlin"}
        done = sent(page, "/console/commands/stock/set-reorder-point", form, of="/console/commands")
        assert done.headers["location"].startswith("/console/low-stock?location=low-berlin&done=")
        assert page.get(done.headers["location"]).status_code == 200
        wait_for(lambda: api.get(PATH, params=ASKED).json()["proposals"][0]["reorder_point_now"] == 9)


def test_the_page_leads_to_the_command_with_the_proposal_filled_in(served: Served, sold: str) -> None:
    with browser(served) as page:
        shown = page.get("/console/low-stock?location=low-berlin&lead_days=10").text
    assert 'id="lead_days" name="lead_days" value="10"' in shown
    assert re.search(
        r"commands/stock/set-reorder-point\?sku=low-mug|too short a history|Nothing can be proposed", shown
    )


def test_what_a_proposal_does_not_have_is_refused(client: httpx.Client, served: Served) -> None:
    for wrong in ({"lead_days": "0"}, {"lead_days": "nan"}, {"lead_days": "soon"}, {"service": "98"}, {"from": "soon"}):
        assert client.get(PATH, params=wrong).status_code == 422, wrong
    nothing = client.get("/v1/reorder-proposals/nowhere").json()
    assert (nothing["proposals"], nothing["not_enough"], nothing["without_lead_time"]) == ([], [], 0)
    with served.client("of-web") as one:
        assert one.get(PATH).status_code == 403
