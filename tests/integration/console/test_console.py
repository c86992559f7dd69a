"""The console over HTTP: every page, every form with every role, and forms that another site sends."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from console_forms import browser, proof, sent, sign_in
from console_shop import ACCOUNT, EVIL, STATEMENT, Shop, wait_for
from html_pages import read
from http_requests import order as ordered
from http_server import Served, token
from invoice_files import ubl
from oms_es.console import pages
from oms_es.http.access import ROLES, SYSTEM
from oms_es.http.routing import Route
from oms_es.store.http import api_keys

ROUTES = pages.routes()
AT_A_PROVIDER = {"sign-in-at", "sign-in-back"}
NEEDING_MORE = {
    "finance-explain",
    "finance-match",
    "book",
    "what-if",
    "what-if-order",
    "labels",
    "privacy-export",
    *AT_A_PROVIDER,
}
"""Pages that say what is missing where nothing is asked."""


@pytest.fixture
def operator(served: Served) -> Iterator[httpx.Client]:
    with browser(served) as client:
        yield client


def tried(served: Served, shop: Shop, operator: httpx.Client) -> list[str]:
    """Return the pages of a what-if run without the shop's location."""
    rule = {"rule_id": "never there", "effect": "never", "locations": [shop.location]}
    form = {"draft": json.dumps({"eligibility": [rule]}), "version": EVIL, "days": "30", "step": "try"}
    begun = sent(operator, "/console/setup/rules", form, of="/console/setup/rules")
    run = begun.headers["location"].partition("?")[0]
    wait_for(lambda: "Hours to ship" in operator.get(run, headers={"Accept-Language": "en"}).text)
    assert f"{run}/orders/{shop.order_id}" in operator.get(run).text
    return [begun.headers["location"], f"{run}/orders/{shop.order_id}"]


def shown(served: Served, shop: Shop) -> list[str]:
    """Return the path of every page, of things that exist."""
    with served.client() as api:
        letter = api.get("/v1/dead-letters").json()["items"][-1]["id"]
    values = {
        "return": shop.return_id,
        "order": shop.order_id,
        "sku": shop.sku,
        "id": str(letter),
        "name": "console.css",
        "account": ACCOUNT,
        "sha256": shop.paper,
        "file": shop.report_file,
        "account_id": shop.card_id,
    }
    found = [
        re.sub(r"\{(\w+)\}", lambda part: quote(values[part[1]], safe=""), route.path)
        for route in ROUTES
        if route.method == "GET" and route.scope != SYSTEM and route.name not in NEEDING_MORE
    ]
    more = [
        f"/console/search?q={quote(shop.sku)}",
        f"/console/search?q={quote(EVIL)}+lacking+none",
        f"/console/orders?sku={quote(shop.sku)}&phase=completed&since=2026-01-01",
        "/console/orders?customer=web~no-one",
        f"/console/orders/{shop.order_id}?address=shown",
        f"/console/orders/{shop.lacking_id}",
        f"/console/orders/{shop.order_id}/why?address=shown",
        f"/console/orders/{shop.order_id}?at={quote(datetime.now(UTC).isoformat())}",
        f"/console/stock/{quote(shop.sku)}?at={quote(datetime.now(UTC).isoformat())}",
        f"/console/reports/units-by-sku?by=month&by=sku&from=2020-01-01&where=sku={quote(quote(shop.sku))}",
        "/console/reports/sales?by=&by=",
        f"/console/bulk/orders/hold?phase=backordered&sku={quote(EVIL)}",
        f"/console/stock?scan={quote(EVIL)}&scan_at={quote(EVIL)}&do=move",
        f"/console/privacy?order={shop.order_id}",
        "/console/shipping?status=booked&location=none",
        f"/console/shipping/list?location={quote(shop.location)}&parcel={quote(shop.parcel_id)}",
        "/console/returns?q=web/lacking",
        f"/console/inbox?kind=held_manual&assignee={quote(EVIL)}",
        f"/console/stock?location={quote(shop.location)}",
        f"/console/commands/order/amend?order={shop.order_id}",
        f"/console/finance/{ACCOUNT}/explain?line={quote(shop.line, safe='')}",
        f"/console/finance/{ACCOUNT}?status=resolved",
        f"/console/finance/{ACCOUNT}?kind=missing_here",
        f"/console/finance/{ACCOUNT}/match?difference=a&difference={quote(EVIL)}",
        f"/console/commands/order/cancel-lines?order={shop.order_id}&reason={quote(EVIL)}",
    ]
    return [*found, *more]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_page_is_well_formed_escapes_what_it_shows_and_fetches_nothing_from_elsewhere(
    served: Served, shop: Shop, operator: httpx.Client, language: str
) -> None:
    operator.headers["Accept-Language"] = language
    for path in [*shown(served, shop), *tried(served, shop, operator)]:
        answer = operator.get(path, follow_redirects=True)
        assert answer.status_code == 200, (path, answer.text)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        if not answer.headers["content-type"].startswith("text/html") or "content-disposition" in answer.headers:
            continue
        page = read(answer.text)
        assert page.wrong == [], path
        for raw in ("<script>alert", "evil<b>", "<em>", "<s>", "evil<u>"):
            assert raw not in answer.text, (path, raw)
        assert f'lang="{ {"en": "en", "zh-CN": "zh-Hans"}[language] }"' in answer.text


def test_what_does_not_exist_is_a_page_that_says_so(operator: httpx.Client) -> None:
    for path, status in (
        ("/console/nothing", 404),
        ("/console/orders/none", 404),
        ("/console/stock/none", 404),
        ("/console/orders?phase=none", 422),
        ("/console/orders?since=soon", 422),
        ("/console/orders?no=filter", 422),
        ("/console/orders?customer=no-one", 422),
        ("/console/orders?after=none", 422),
        ("/console/dead-letters/999999999", 404),
        ("/console/static/none.css", 404),
    ):
        answer = operator.get(path)
        assert answer.status_code == status, (path, answer.text)
        assert read(answer.text).wrong == []
        assert "content-security-policy" in answer.headers


def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_do_not_get(served: Served) -> None:
    with browser(served, None) as client:
        first = client.get("/console/orders?sku=a")
        assert (first.status_code, first.headers["location"]) == (
            303,
            "/console/sign-in?next=%2Fconsole%2Forders%3Fsku%3Da",
        )
        wrong = sent(client, "/console/sign-in", {"key": "oms_aaaaaaaaaaaa_" + "a" * 43}, of="/console/sign-in")
        assert wrong.status_code == 401
        before = client.cookies["oms_console"]
        form = {"key": served.tokens["support"], "next": "/console/orders?sku=a"}
        answer = sent(client, "/console/sign-in", form, of="/console/sign-in")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/orders?sku=a")
        (cookie,) = answer.headers.get_list("set-cookie")
        assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"httponly", "path=/console", "samesite=lax"}
        assert client.cookies["oms_console"] != before, "a cookie that was known before would be signed in, too"
        assert client.get("/console/orders").status_code == 200
        kept = client.cookies["oms_console"]
        with psycopg.connect(served.database_url) as connection:
            rows = connection.execute("SELECT * FROM oms_console_sessions").fetchall()
        assert rows
        assert kept not in str(rows)
        assert sent(client, "/console/sign-out", {}, of="/console/orders").status_code == 303
        client.cookies.set("oms_console", kept, domain="127.0.0.1", path="/console")
        assert client.get("/console/orders").status_code == 303, "the cookie of before is good no more"


def test_the_cookie_is_secure_where_the_browser_came_by_tls(served: Served) -> None:
    with browser(served, None) as client:
        client.headers["X-Forwarded-Proto"] = "https"
        assert "secure" in client.get("/console/sign-in").headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "to",
    ["https://evil.example/console", "//evil.example", "/v1/orders", "/consoles", "/console\\@evil", "javascript:1"],
)
def test_signing_in_leads_to_pages_of_the_console_only(served: Served, to: str) -> None:
    with browser(served, None) as client:
        form = {"key": served.tokens["support"], "next": to}
        assert sent(client, "/console/sign-in", form, of="/console/sign-in").headers["location"] == "/console"


def test_a_session_ends_with_its_key_when_it_is_idle_and_when_it_is_old(served: Served) -> None:
    with (
        ExitStack() as stack,
        psycopg.connect(served.database_url, row_factory=dict_row, autocommit=True) as connection,
    ):

        def signed_in(label: str) -> tuple[httpx.Client, str]:
            key = token(served.database_url, label, sorted(ROLES["support"]))
            client = stack.enter_context(browser(served, None))
            sign_in(client, key)
            return client, key.split("_")[1]

        def age(key_id: str, column: str, seconds: int) -> None:
            query = f"UPDATE oms_console_sessions SET {column} = now() - %s * interval '1 second' WHERE key_id = %s"
            connection.execute(query.encode(), [seconds, key_id])

        clients = [signed_in(label) for label in ("revoked", "rotated", "idle", "old", "used")]
        now = datetime.now(UTC)
        api_keys.revoke(connection, clients[0][1], now)
        api_keys.rotate(connection, clients[1][1], now, now)
        age(clients[2][1], "used_at", 1_801)
        age(clients[3][1], "opened_at", 43_201)
        age(clients[4][1], "used_at", 1_700)
        until = time.monotonic() + 10
        while time.monotonic() < until and clients[1][0].get("/console/orders").status_code == 200:
            time.sleep(0.2)  # a key is known for some seconds
        answers = [client.get("/console/orders").status_code for client, _ in clients]
        assert answers == [303, 303, 303, 303, 200]
        query = "SELECT used_at FROM oms_console_sessions WHERE key_id = %s"
        (used,) = connection.execute(query, [clients[4][1]]).fetchall()
        assert (datetime.now(UTC) - used["used_at"]).total_seconds() < 60


def test_a_form_is_taken_only_from_a_page_of_ours(served: Served, shop: Shop, operator: httpx.Client) -> None:
    path = "/console/commands/order/hold"
    form = {"order": shop.lacking_id, "kind": "fraud", "step": "do"}
    good = proof(operator, path)
    with browser(served, "operator") as other:
        foreign = proof(other, path)
    with_proof = {**form, "proof": good}
    assert operator.post(path, data=form).status_code == 403
    assert operator.post(path, data={**form, "proof": foreign}).status_code == 403
    for header in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert operator.post(path, data=with_proof, headers=header).status_code == 403, header
    assert operator.post(path, json=with_proof).status_code == 415
    with served.client() as api:
        assert "fraud" not in api.get(f"/v1/orders/{shop.lacking_id}").json()["holds"]
    own = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    assert operator.post(path, data=with_proof, headers=own).status_code == 303
    assert sent(operator, "/console/commands/order/release-hold", form).status_code == 303


@pytest.mark.parametrize("role", [*ROLES, "without", "system", None])
def test_every_page_and_form_asks_for_its_scope(served: Served, role: str | None) -> None:
    may = {"system": ROLES["operator"] | {SYSTEM}, **ROLES}.get(role or "", frozenset())
    with browser(served, role) as client:
        known = proof(client, "/console/sign-in" if role is None else "/console/commands")
        for route in ROUTES:
            if route.name in ("sign-out", "sign-in", *AT_A_PROVIDER) or route.name.endswith("-form"):
                continue  # a form is let in by the same scope as what it sends
            answer = asked(client, route, known)
            if route.scope is None:
                assert answer.status_code not in (401, 403), route.name
            elif role is None:
                assert (answer.status_code, answer.headers["location"][:16]) == (303, "/console/sign-in"), route.name
            elif not route.scope or route.scope in may:
                assert answer.status_code not in (401, 403, 500), (route.name, answer.text)
            else:
                assert answer.status_code == 403, route.name


def asked(client: httpx.Client, route: Route, known: str) -> httpx.Response:
    path = re.sub(r"\{\w+\}", "none", route.path)
    if route.method == "GET":
        return client.get(path)
    return client.post(path, data={"proof": known, "step": "preview", "exception_id": "none", "because": "none"})


def test_a_key_without_the_scope_is_offered_neither_the_place_nor_the_command(served: Served, shop: Shop) -> None:
    with browser(served, "storefront") as client:
        page = client.get(f"/console/orders/{shop.order_id}").text
        assert "/console/inbox" not in page
        assert "/console/commands/order/cancel" not in page
        assert "Ada" not in page
        assert client.get(f"/console/orders/{shop.order_id}?address=shown").text.count("Rosenweg") == 0
    with browser(served, "support") as client:
        page = client.get(f"/console/orders/{shop.order_id}").text
        assert "/console/inbox" in page
        assert "/console/commands/order/cancel" in page
        assert "/console/commands/shipment/pack" not in page
        assert "Rosenweg" in client.get(f"/console/orders/{shop.order_id}?address=shown").text


def test_a_key_of_one_channel_sees_and_does_nothing_of_another(served: Served, shop: Shop) -> None:
    with browser(served, "of-app") as app, browser(served, "of-web") as web:
        for client, status in ((web, 200), (app, 404)):
            assert client.get(f"/console/orders/{shop.lacking_id}").status_code == status
            form = {"order": shop.lacking_id, "kind": "fraud", "step": "preview"}
            assert sent(client, "/console/commands/order/hold", form).status_code == status
        assert "lacking" in web.get("/console/inbox").text
        assert "lacking" not in app.get("/console/inbox").text


def test_a_command_is_previewed_done_once_and_recorded_under_the_key(
    served: Served, shop: Shop, operator: httpx.Client
) -> None:
    with served.client() as api:
        order_id = api.post("/v1/orders", json=ordered("of-the-console", sku="nowhere")).json()["order_id"]
        wait_for(lambda: api.get(f"/v1/orders/{order_id}").json().get("phase") == "backordered")
        path, form = "/console/commands/order/hold", {"order": order_id, "kind": "fraud", "note": "by hand"}
        looked = sent(operator, path, {**form, "step": "preview"})
        assert (looked.status_code, "OrderHeld" in looked.text) == (200, True)
        assert api.get(f"/v1/events?stream=order-{order_id}&type=OrderHeld&after=0").json()["items"] == []
        hidden = dict(re.findall(r'<input type="hidden" name="(version|key)" value="([^"]+)">', looked.text))
        next_page = f"/console/orders/{order_id}"
        done = sent(operator, path, {**form, **hidden, "next": next_page, "step": "do"})
        assert done.status_code == 303, done.text
        assert re.fullmatch(rf"{next_page}\?done=\d+", done.headers["location"])
        again = sent(operator, path, {**form, **hidden, "next": next_page, "step": "do"})
        assert (again.status_code, again.headers["location"]) == (303, done.headers["location"]), (
            "sent twice, done once"
        )
        page = operator.get(done.headers["location"])
        assert (page.status_code, "by hand" in page.text) == (200, True)
        (held,) = [e for e in api.get(f"/v1/orders/{order_id}/events").json()["items"] if e["type"] == "OrderHeld"]
        assert held["actor"] == f"key:{served.tokens['operator'].split('_')[1]}"
        stale = sent(operator, path, {**form, "kind": "address", "version": "1", "key": "other", "step": "do"})
        assert stale.status_code == 412
        refused = sent(operator, path, {**form, "order": shop.order_id, "step": "preview"})
        assert (refused.status_code, 'role="alert"' in refused.text) == (409, True)


def test_what_is_wrong_with_a_form_is_said_at_its_field_and_nothing_is_lost(operator: httpx.Client) -> None:
    form = {"sku": "TEA", "location": "berlin", "receipt_id": "r-1", "quantity": "many", "step": "preview"}
    answer = sent(operator, "/console/commands/stock/receive", form)
    assert answer.status_code == 422
    assert 'id="quantity-wrong"' in answer.text
    assert 'value="many"' in answer.text


def test_an_exception_is_assigned_and_resolved_as_the_page_showed_it(
    served: Served, shop: Shop, operator: httpx.Client
) -> None:
    with served.client() as api:
        (row,) = api.get(f"/v1/exceptions?order={shop.lacking_id}&kind=backordered").json()["items"]
        form = {name: row[name] for name in ("exception_id", "order_id", "detail")}
        form |= {"raised_at": row["last_raised_at"], "only_kind": "backordered"}
        answer = sent(operator, "/console/inbox/assign", {**form, "assignee": "ada"}, of="/console/inbox")
        assert answer.headers["location"].startswith("/console/inbox?kind=backordered&done=")
        assert "ada" in operator.get(answer.headers["location"]).text
        shown_one = api.get(f"/v1/exceptions/{quote(row['exception_id'], safe='')}").json()
        assert (shown_one["assignee"], shown_one["history"][0]["what"]) == ("ada", "assigned")
        put_off = sent(operator, "/console/inbox/snooze", {**form, "hours": "4"}, of="/console/inbox")
        assert row["exception_id"] not in operator.get(put_off.headers["location"]).text
        assert row["exception_id"] in operator.get("/console/inbox?snoozed=true").text
        assert sent(operator, "/console/inbox/snooze", {**form, "hours": "721"}, of="/console/inbox").status_code == 422
        done = sent(operator, "/console/inbox/resolve", {**form, "note": "asked the supplier"}, of="/console/inbox")
        assert done.status_code == 303
        wait_for(
            lambda: not api.get(f"/v1/exceptions?order={shop.lacking_id}&kind=backordered&snoozed=true").json()["items"]
        )


def test_a_group_of_dead_letters_is_tried_and_discarded_each_with_its_outcome(served: Served) -> None:
    with psycopg.connect(served.database_url, autocommit=True) as connection, browser(served) as client:
        for number in range(2):
            connection.execute(
                "INSERT INTO oms_dead_letters (source, place, dialect, payload, reason, detail) "
                "VALUES ('import:group', '', 'canonical', %s, 'not_json', 'x')",
                [f"no json {number}".encode()],
            )
        form = {"source": "import:group", "reason": "not_json"}
        assert "import:group" in client.get("/console/dead-letters").text
        tried = sent(client, "/console/dead-letters", {**form, "do": "replay"})
        assert (tried.status_code, tried.text.count('class="badge bad"')) == (200, 2)
        gone = sent(client, "/console/dead-letters", {**form, "do": "discard", "because": "a test of theirs"})
        assert (gone.status_code, gone.text.count("phase-completed")) == (200, 2)
        query = "SELECT DISTINCT discarded_by, discarded_because FROM oms_dead_letters WHERE source = 'import:group'"
        assert connection.execute(query).fetchall() == [
            (f"key:{served.tokens['operator'].split('_')[1]}", "a test of theirs")
        ]
        assert "import:group" not in client.get("/console/dead-letters").text


def test_search_leads_to_the_one_order_lists_several_and_says_what_is_missing(
    shop: Shop, operator: httpx.Client
) -> None:
    one = operator.get("/console/search", params={"q": "lacking"})
    assert (one.status_code, one.headers["location"]) == (303, f"/console/orders/{shop.lacking_id}")
    many = operator.get("/console/search", params={"q": f"lacking, {shop.order_id}\nno-such"})
    assert many.status_code == 200
    assert all(f"/console/orders/{one}" in many.text for one in (shop.lacking_id, shop.order_id))
    assert "no-such" in many.text


def test_the_language_is_kept_and_what_was_chosen_goes_before_what_the_browser_wants(
    shop: Shop, operator: httpx.Client
) -> None:
    operator.headers["Accept-Language"] = "de, zh;q=0.5, en;q=0.4"
    assert 'lang="zh-Hans"' in operator.get("/console/commands").text
    assert "下单，编号" in operator.get(f"/console/orders/{shop.lacking_id}").text, "also what happened to an order"
    answer = sent(operator, "/console/language", {"language": "en", "next": "/console/orders"})
    assert answer.headers["location"] == "/console/orders"
    assert 'lang="en"' in operator.get("/console/commands").text


def test_a_note_is_an_event_of_its_author_added_once_and_read_by_who_may_see_people(
    served: Served, shop: Shop, operator: httpx.Client
) -> None:
    path = f"/console/orders/{shop.lacking_id}"
    page = operator.get(path).text
    (name,) = re.findall(r'name="note_id" value="([^"]+)"', page)
    form = {"note_id": name, "note_text": "they <b>called</b>"}
    done = sent(operator, f"{path}/notes", form, of=path)
    again = sent(operator, f"{path}/notes", form, of=path)
    assert (done.status_code, again.headers["location"]) == (303, f"{path}?done=0")
    noted = operator.get(done.headers["location"]).text
    assert "they &lt;b&gt;called&lt;/b&gt;" in noted
    with served.client() as api:
        entries = api.get(f"/v1/orders/{shop.lacking_id}/timeline").json()["items"]
    (entry,) = [one for one in entries if one["event"] == "OrderNoteAdded"]
    assert entry["actor"] == f"key:{served.tokens['operator'].split('_')[1]}"
    assert "called" not in entry["summary"]
    with browser(served, "storefront") as client:
        hidden = client.get(path).text
        assert "OrderNoteAdded" in hidden
        assert ("called" in hidden, "/notes" in hidden) == (False, False)
        refused = client.post(f"{path}/notes", data={**form, "proof": proof(client, "/console/commands")})
        assert refused.status_code == 403


def test_a_draft_of_rules_is_compared_with_what_is_published_and_published_as_it_was_compared(
    served: Served, operator: httpx.Client
) -> None:
    path = "/console/setup/rules"
    form = {"version": "console-1", "draft": '{"split": {"shipments_max": 2}}'}
    for wrong in ("no json", "[]", '{"split": {"shipments_max": 0}}', '{"version": "x"}'):
        refused = sent(operator, path, {**form, "draft": wrong, "step": "preview"}, of=path)
        assert (refused.status_code, 'role="alert"' in refused.text) == (422, True), wrong
    looked = sent(operator, path, {**form, "step": "preview"}, of=path)
    assert looked.status_code == 200, looked.text
    assert re.search(r'class="is-more">\+ +&#34;shipments_max&#34;: 2', looked.text)
    hidden = dict(re.findall(r'<input type="hidden" name="(stream_version|key)" value="([^"]+)">', looked.text))
    with served.client() as api:
        assert api.get("/v1/sourcing-rules/console-1").status_code == 404
        done = sent(operator, path, {**form, **hidden, "step": "do"}, of=path)
        assert done.status_code == 303, done.text
        assert "console-1" in operator.get(done.headers["location"]).text
        row = api.get("/v1/sourcing-rules/console-1").json()
        assert (row["rules"]["split"]["shipments_max"], row["published_by"][:4]) == (2, "key:")
        late = {**form, "version": "console-2", **hidden, "key": "other", "step": "do"}
        assert sent(operator, path, late, of=path).status_code == 412


def test_a_draft_is_tried_on_history_and_its_publication_names_the_run(
    served: Served, shop: Shop, operator: httpx.Client
) -> None:
    path, draft = "/console/setup/rules", '{"split": {"shipments_max": 3}}'
    form = {"version": "tried-1", "draft": draft}
    assert sent(operator, path, {**form, "days": "8", "step": "try"}, of=path).status_code == 422
    begun = sent(operator, path, {**form, "days": "30", "step": "try"}, of=path)
    assert begun.status_code == 303, begun.text
    page = begun.headers["location"]
    wait_for(lambda: "Orders that differ" in operator.get(page).text or "orders differ" in operator.get(page).text)
    assert "Hours to ship" in operator.get(page).text
    run = page.partition("?")[0].rpartition("/")[2]
    other = {**form, "draft": "{}", "run": run, "step": "preview"}
    assert sent(operator, path, other, of=path).status_code == 422, "the run was of other rules"
    looked = sent(operator, path, {**form, "run": run, "step": "preview"}, of=path)
    hidden = dict(re.findall(r'<input type="hidden" name="(stream_version|key|run)" value="([^"]+)">', looked.text))
    assert hidden["run"] == run
    done = sent(operator, path, {**form, **hidden, "step": "do"}, of=path)
    assert done.status_code == 303, done.text
    assert re.search(r"\d+ orders differ", operator.get(done.headers["location"]).text)
    with served.client() as api:
        row = api.get("/v1/sourcing-rules/tried-1").json()
    assert row["decided_on"]["run_id"] == run
    assert row["decided_on"]["ends"] > row["decided_on"]["begins"]


def test_what_replaces_all_that_was_said_begins_with_it(served: Served, operator: httpx.Client) -> None:
    form = {"location": "filled-in", "country": "DE", "latitude": "51.34", "longitude": "12.37", "channels": "web\npos"}
    path = "/console/commands/location/open"
    assert sent(operator, path, {**form, "capacity_per_day": "40", "step": "do"}, of=path).status_code == 303
    with served.client() as api:
        row = api.get("/v1/locations/filled-in").json()
    assert (row["latitude"], row["channels"], row["capacity_per_day"]) == (51.34, ["web", "pos"], 40)
    shown = operator.get(f"{path}?location=filled-in&priority=3")
    assert shown.status_code == 200, shown.text
    again = shown.text
    for name, value in (("latitude", "51.34"), ("capacity_per_day", "40"), ("priority", "3"), ("country", "DE")):
        assert re.search(rf'<input id="{name}" name="{name}" value="{value}"', again), name
    assert re.search(r'<textarea id="channels"[^>]*>web\npos</textarea>', again)
    assert '<option value="warehouse" selected>warehouse</option>' in again


def test_what_is_scanned_leads_to_its_form_and_back_to_the_field(operator: httpx.Client) -> None:
    answer = operator.get("/console/stock?scan=TEA&scan_at=berlin&do=count")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/console/commands/stock/count?sku=TEA&location=berlin&next=%2Fconsole%2Fstock%3Fscan_at%3Dberlin%26do%3Dcount",
    )
    assert operator.get("/console/stock?scan=TEA&do=burn").status_code == 422


def test_a_paper_is_added_on_the_page_of_its_order_and_saved_from_there(served: Served, shop: Shop) -> None:
    here = f"/console/orders/{shop.order_id}"
    with browser(served, "support") as client:
        given = {"proof": proof(client, here), "next": here, "kind": "bank_receipt", "keep_until": ""}
        files = {"file": ("invoice.html", b"%PDF-1.7 from the console")}
        no_file = client.post("/console/documents", data={**given, "subject": f"order {shop.order_id}"})
        assert no_file.status_code == 422
        unknown = client.post("/console/documents", data={**given, "subject": "order none"}, files=files)
        assert (unknown.status_code, "list the orders" in unknown.text) == (404, True)
        added = client.post(
            "/console/documents",
            data={**given, "subject": f"shipment {shop.parcel_id}", "reference": "R-7"},
            files=files,
        )
        assert added.status_code == 303, added.text
        page = client.get(added.headers["location"]).text
        assert "R-7" in page
        found = set(re.findall(r'href="(/console/documents/[0-9a-f]{64})"', page))
        (path,) = found - {f"/console/documents/{shop.paper}"}
        saved = client.get(path)
        assert saved.content == files["file"][1]
        assert saved.headers["Content-Disposition"].endswith('.pdf"')
        form = {**given, "subject": f"order {shop.order_id}"}
        invoice = {"file": ("invoice.xml", ubl(100, 19, 120))}
        assert client.post("/console/documents", data=form, files=invoice).status_code == 303
        address = sha256(invoice["file"][1]).hexdigest()
        done = sent(client, f"/console/documents/{address}/read", {"next": here}, of=here)
        assert done.status_code == 303, done.text
        page = client.get(done.headers["location"]).text
        assert "INV-7" in page
        assert "0.01 EUR apart" in page.replace("-", "")
        assert sent(client, f"{path}/read", {"next": here}, of=here).status_code == 422
    with browser(served, "storefront") as client:
        assert "/console/documents" not in client.get(here).text
        assert client.get(f"/console/documents/{shop.paper}").status_code == 403


def test_a_statement_is_sent_as_a_file_and_what_it_says_is_explained_settled_and_closed(
    served: Served, shop: Shop
) -> None:
    account, here = "console-file", "/console/finance/console-file"
    with browser(served, "finance") as client, served.client() as api:
        gone = client.get("/console/finance", params={"later": "0" * 32})
        assert (gone.status_code, "send the request again" in gone.text) == (404, True)

        def upload(text: str, **fields: str) -> httpx.Response:
            given = {"proof": proof(client, "/console/finance"), "format": "mt940", "account": account, **fields}
            return client.post("/console/finance", data=given, files={"file": ("january.sta", text.encode())})

        assert upload(STATEMENT, proof="").status_code == 403
        wrong = upload(STATEMENT.replace("96,55", "97,55"))
        assert (wrong.status_code, "-1.00 EUR is missing" in wrong.text) == (422, True)
        assert f'value="{account}"' in wrong.text
        assert upload("").status_code == 422
        assert f"{account}/2020-01-31/1/1" in upload(STATEMENT).text
        assert upload("x", extra="y" * 20_001).status_code == 400
        wait_for(lambda: client.get(here).status_code == 200)
        ran = sent(client, f"{here}:run", {"window_days": "3", "until": "2020-01-31"}, of=here)
        assert ran.status_code == 303, ran.text
        assert sent(client, f"{here}:run", {"window_days": "many"}, of=here).status_code == 422
        page = client.get(ran.headers["location"]).text
        for part in ("Missing here", "2020-01-05", "96.55", "Close a period"):
            assert part in page, part
        resolving = re.findall(r'href="(/console/commands/reconcile/resolve\?[^"]+)"', page)
        assert len(resolving) == 2
        both = re.findall(r'name="difference" value="([^"]+)"', page)
        chosen = client.get(f"{here}/match", params={"difference": both})
        assert chosen.headers["location"].startswith("/console/commands/reconcile/match?account=console-file&")
        form = client.get(chosen.headers["location"]).text
        assert all(one in form for one in both)
        fields = {"account": account, "differences": "\n".join(both), "next": here}
        refused = sent(client, "/console/commands/reconcile/match", {**fields, "step": "preview"})
        assert (refused.status_code, "not_a_match" in refused.text) == (409, True)
        for one in both:
            settled = {"account": account, "difference": one, "resolution": "accepted", "next": here}
            path = "/console/commands/reconcile/resolve"
            looked = sent(client, path, {**settled, "step": "preview"})
            assert "ReconciliationBreakResolved" in looked.text
            hidden = dict(re.findall(r'<input type="hidden" name="(version|key)" value="([^"]+)">', looked.text))
            assert sent(client, path, {**settled, **hidden, "step": "do"}).status_code == 303
        closing = {"account": account, "through": "2020-01-31", "next": here}
        done = sent(client, "/console/commands/reconcile/close", {**closing, "step": "do"})
        page = client.get(done.headers["location"]).text
        assert "Closed through 2020-01-31" in page
        assert "Accepted" in client.get(f"{here}?status=resolved").text
        report = api.get(f"/v1/reconcile/{account}").json()
        assert report["closed_by"] == f"key:{served.tokens['finance'].split('_')[1]}"
        books = client.get("/console/books?from=2020-01-01&to=2020-01-31").text
        assert "assets:statements:console-file" in books
        assert "96.55" in client.get("/console/books/assets%3Astatements%3Aconsole-file").text
    with browser(served, "warehouse") as other:
        assert other.get(here).status_code == 403
        assert "/console/finance" not in other.get("/console/stock").text


def test_what_a_replay_would_come_to_is_seen_before_it_is_tried(served: Served) -> None:
    with psycopg.connect(served.database_url, autocommit=True) as connection, browser(served) as client:
        ids = [
            connection.execute(
                "INSERT INTO oms_dead_letters (source, place, dialect, payload, reason, detail) "
                "VALUES ('import:dry', '', 'canonical', %s, 'not_json', 'x') RETURNING id",
                [f"no json {number}".encode()],
            ).fetchall()[0][0]
            for number in range(3)
        ]
        form = {"source": "import:dry", "reason": "not_json", "do": "preview"}
        looked = sent(client, "/console/dead-letters", form)
        assert (looked.status_code, looked.text.count("would stay")) == (200, 3)
        looked = sent(client, "/console/dead-letters", {**form, "until": str(ids[1])})
        assert looked.text.count("would stay") == 2
        one = sent(client, f"/console/dead-letters/{ids[0]}:replay", {"do": "preview"})
        assert (one.status_code, "Nothing was done" in one.text) == (200, True)
        gone = sent(client, "/console/dead-letters", {**form, "do": "discard", "because": "a test of theirs"})
        assert gone.text.count("phase-completed") == 3


def test_history_is_verified_from_a_page_that_follows_it(operator: httpx.Client) -> None:
    assert sent(operator, "/console/verify:run", {}, of="/console/verify").headers["location"] == "/console/verify"
    wait_for(lambda: "Verify now" in operator.get("/console/verify").text)
    page = operator.get("/console/verify").text
    assert "Everything holds" in page
    assert "<caption>Checks</caption>" in page
    assert sent(operator, "/console/verify:cancel", {}, of="/console/verify").status_code == 303


def test_a_gift_cards_code_is_shown_once_and_replaced_on_its_page(
    served: Served, shop: Shop, operator: httpx.Client
) -> None:
    path = f"/console/accounts/{shop.card_id}"
    assert "25.00" in operator.get(path).text
    made = sent(operator, f"{path}:show-code", {}, of=path)
    assert made.status_code == 200, made.text
    (code,) = re.findall(r"<pre tabindex=.0.>([^<]+)</pre>", made.text)
    assert read(made.text).wrong == []
    assert code not in operator.get(path).text
    again = sent(operator, f"{path}:show-code", {}, of=path)
    assert (again.status_code, 'role="alert"' in again.text) == (409, True)
    replaced = sent(operator, f"{path}:show-code", {"replace": "1"}, of=path)
    assert re.findall(r"<pre tabindex=.0.>([^<]+)</pre>", replaced.text) != [code]
    with served.client() as api:
        assert api.post("/v1/gift-cards:enquire", json={"code": code}).status_code == 404
    listed = operator.get("/console/accounts").text
    assert shop.card_id in listed
    assert "Outstanding" in listed


def test_a_key_is_made_on_a_page_that_shows_its_secret_once(served: Served, operator: httpx.Client) -> None:
    path = "/console/keys"
    made = sent(operator, path, {"label": "<b>shop</b>", "roles": "storefront", "channels": "web, app"}, of=path)
    assert made.status_code == 200, made.text
    (secret,) = re.findall(r"<pre tabindex=.0.>(oms_[^<]+)</pre>", made.text)
    assert read(made.text).wrong == []
    listed = operator.get(path).text
    assert "&lt;b&gt;shop&lt;/b&gt;" in listed
    assert secret.split("_", 2)[2] not in listed
    with browser(served, None) as other:
        sign_in(other, secret)
        assert other.get(path).status_code == 403
        assert path not in other.get("/console/orders").text
    wrong = sent(operator, path, {"label": "x", "roles": "none"}, of=path)
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (422, True)
    key_id = secret.split("_")[1]
    rotated = sent(operator, f"{path}/{key_id}:rotate", {}, of=path)
    assert secret not in rotated.text
    assert re.search(rf"oms_{key_id}_", rotated.text)
    assert sent(operator, f"{path}/{key_id}:revoke", {}, of=path).status_code == 303
    assert "revoked" in operator.get(path).text
