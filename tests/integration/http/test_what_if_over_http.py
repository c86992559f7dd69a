"""What-if over HTTP: history is replayed with a change, the result is readable by the caller who began it, and
nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from console_shop import wait_for
from http_requests import order
from http_server import Served
from oms_es.reports import queries
from oms_es.whatif.history import TooLong, read

PATH = "/v1/what-if"
MORE = {"stock": [{"sku": "what-if-mug", "location": "what-if", "units": 20}]}


@pytest.fixture(scope="module")
def lacking(served: Served) -> str:
    """Place an order of three units, of which one is in stock."""
    with served.client() as api:
        api.post("/v1/locations/what-if:open", json={"country": "DE"}).raise_for_status()
        received = {"receipt_id": "1", "quantity": 1}
        api.post("/v1/stock/what-if-mug/what-if:receive", json=received).raise_for_status()
        wait_for(lambda: api.get("/v1/stock/what-if-mug").json().get("levels"))
        placed = api.post("/v1/orders", json=order("what-if", sku="what-if-mug", quantity=3)).json()["order_id"]
        wait_for(lambda: api.get(f"/v1/orders/{placed}").json().get("phase") == "backordered")
    return str(placed)


@pytest.fixture
def stranger(served: Served) -> Iterator[httpx.Client]:
    with served.client("follower") as client:
        yield client


def ended(api: httpx.Client, body: dict[str, Any]) -> httpx.Response:
    begun = api.post(PATH, json=body)
    assert begun.status_code == 202, begun.text
    assert begun.headers["Location"] == f"{PATH}/{begun.json()['run']}"
    wait_for(lambda: api.get(begun.headers["Location"]).status_code != 202)
    return api.get(begun.headers["Location"])


def test_an_order_that_waited_would_not_have_and_both_stories_say_so(
    served: Served, client: httpx.Client, lacking: str
) -> None:
    before = client.get(f"/v1/orders/{lacking}/timeline").json()
    answer = ended(client, MORE)
    found = answer.json()
    assert (answer.status_code, found["state"]) == (200, "done")
    assert lacking in found["orders"]
    backorders = found["figures"]["backorders"]
    assert backorders["after"] < backorders["before"]
    assert found["changed"] == MORE
    steps = client.get(f"{PATH}/{found['run']}/orders/{lacking}").json()["steps"]
    events = [{side[name]["event"] for side in steps if side[name]} for name in ("before", "after")]
    assert "OrderBackordered" in events[0] - events[1]
    assert "OrderAllocated" in events[1] - events[0]
    assert client.get(f"/v1/orders/{lacking}/timeline").json() == before
    assert client.get(f"{PATH}/{found['run']}/orders/none").status_code == 404


def test_a_run_is_of_who_began_it_and_of_all_channels(
    served: Served, client: httpx.Client, stranger: httpx.Client, lacking: str
) -> None:
    run = ended(client, MORE).json()["run"]
    assert stranger.post(PATH, json=MORE).status_code == 403
    assert stranger.get(f"{PATH}/{run}/orders/{lacking}").status_code == 404
    with served.client("of-web") as one:
        assert one.post(PATH, json=MORE).status_code == 403
    assert client.get(f"{PATH}/{'0' * 32}").status_code == 404


def test_what_cannot_be_lived_is_refused_with_what_to_do(client: httpx.Client, lacking: str) -> None:
    for wrong in ({"since": -1}, {"rules": {"split": {"shipments_max": 0}}}, {"stock": [{"sku": "x"}]}, {"odd": 1}):
        assert client.post(PATH, json=wrong).status_code == 422, wrong
    unknown = ended(client, {"stock": [{"sku": "none", "location": "nowhere", "units": 1}]})
    assert (unknown.status_code, unknown.json()["reason"]) == (422, "change_unreadable")
    late = ended(client, {**MORE, "until": 10**15})
    assert (late.status_code, late.json()["reason"]) == (422, "still_to_come")


def test_with_nothing_otherwise_the_same_is_placed_and_waits(client: httpx.Client, lacking: str) -> None:
    found = ended(client, {}).json()
    assert (found["state"], found["changed"]) == ("done", {})
    for name in ("orders", "backorders", "cancellations"):
        figure = found["figures"][name]
        assert figure["before"] == figure["after"], name


def test_more_history_than_the_server_holds_is_refused(served: Served, lacking: str) -> None:
    with queries.reading(served.database_url) as connection, pytest.raises(TooLong, match="1 events"):
        read(connection, 0, 2, lambda _reached, _last: None, events_max=1)


def test_a_run_that_is_ended_says_so(client: httpx.Client, lacking: str) -> None:
    begun = client.post(PATH, json={"stock": [{"sku": "*", "location": "*", "units": 1}]}).json()["run"]
    assert client.post(f"{PATH}/{begun}:cancel", json={}).status_code == 202
    wait_for(lambda: client.get(f"{PATH}/{begun}").status_code != 202)
    assert client.get(f"{PATH}/{begun}").status_code in (200, 409), "it may have come to its end before"
