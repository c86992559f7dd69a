"""Filters that a person saved under a name."""

from __future__ import annotations

import httpx

from console_forms import browser, sent
from http_server import Served
from oms_es.store.http.views import NAME_CHARACTERS_MAX, VIEWS_MAX

PATH = "/console/orders/views"
DROP = f"{PATH}/drop"


def keep(client: httpx.Client, name: str, query: str) -> httpx.Response:
    return sent(client, PATH, {"name": name, "query": query})


def test_a_filter_is_kept_under_a_name_for_its_person_alone(served: Served) -> None:
    with browser(served) as client, browser(served, "support") as other:
        kept = keep(client, "Late <in> Berlin", "phase=held&phase=backordered&country=DE&after=x&no=1")
        assert (kept.status_code, kept.headers["location"]) == (
            303,
            "/console/orders?phase=held&phase=backordered&country=DE",
        )
        shown = client.get("/console/orders").text
        assert "★ Late &lt;in&gt; Berlin" in shown
        assert 'href="/console/orders?phase=held&amp;phase=backordered&amp;country=DE"' in shown
        assert "★" not in other.get("/console/orders").text
        assert sent(other, DROP, {"name": "Late <in> Berlin"}).status_code == 303
        assert "★" in client.get("/console/orders").text, "what another takes away is theirs"
        keep(client, "Late  <in> Berlin ", "channel=web")
        shown = client.get("/console/orders?channel=web").text
        assert shown.count("★ Late") == 1, "the same name is the same view"
        assert sent(client, DROP, {"name": "Late <in> Berlin"}).status_code == 303
        assert "★" not in client.get("/console/orders").text


def test_a_customer_is_not_kept_with_a_view(served: Served) -> None:
    with browser(served) as client:
        kept = keep(client, "theirs", "customer=web~ada&channel=web")
        assert kept.headers["location"] == "/console/orders?channel=web"
        sent(client, DROP, {"name": "theirs"})


def test_a_view_has_a_name_a_filter_and_a_bound(served: Served) -> None:
    with browser(served, "support") as client:
        for name, query in (
            ("", "channel=web"),
            ("x" * (NAME_CHARACTERS_MAX + 1), "channel=web"),
            ("a\u202eb", "channel=web"),
            ("a", "since=yesterday"),
            ("a", f"channel={'x' * 3_000}"),
        ):
            assert keep(client, name, query).status_code == 422, (name, query)
        for number in range(VIEWS_MAX):
            assert keep(client, f"view {number}", "channel=web").status_code == 303
        assert keep(client, "one more", "channel=web").status_code == 409
        assert keep(client, "view 3", "channel=pos").status_code == 303, "in place of one that is there"
        shown = client.get("/console/orders").text
        assert shown.count("★ view") == VIEWS_MAX
        assert client.post(PATH, data={"name": "a", "query": ""}).status_code == 403, "without the proof of its page"
        for number in range(VIEWS_MAX):
            sent(client, DROP, {"name": f"view {number}"})
