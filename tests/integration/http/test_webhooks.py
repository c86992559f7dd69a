"""Webhooks as shops and providers send them over HTTP: signed, repeated, malformed, and forged."""

from __future__ import annotations

import json
import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from hmac import digest
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import stripe
from easypost.util import validate_webhook
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from conftest import fresh_database
from http_requests import order
from http_server import Served, serving
from oms_es.app import migrate
from oms_es.channels.signatures import standard_signature
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.schemas.order import order_id_of
from repository import ROOT

REAL = Path(os.environ.get("OMS_REAL_PAYLOADS") or ROOT.parent / "shared" / "real-payloads")
SECRET = "shpss_secret"
STANDARD = "whsec_" + b64encode(b"a secret of 24 bytes, ok").decode()
TOPICS = {
    "orders": "orders/create",
    "refunds": "refunds/create",
    "fulfillments": "fulfillments/create",
}


@pytest.fixture(scope="module")
def connected(served: Served) -> None:
    """Set the connection up over HTTP, as its operator does."""
    with served.client() as operator:
        for name, dialect, channel, secret in (
            ("shop", "shopify", None, SECRET),
            ("woo", "woocommerce", "woo-berlin", SECRET),
            ("web", "canonical", "web", STANDARD),
            ("off", "shopify", None, SECRET),
            ("stripe", "stripe", None, SECRET),
            ("easypost", "easypost", None, SECRET),
        ):
            kept = operator.post("/v1/webhook-secrets", json={"secret": secret})
            facts = {"dialect": dialect, "channel": channel, "secret_id": kept.json()["secret_id"]}
            opened = operator.post(f"/v1/connections/{name}:open", json=facts)
            assert opened.status_code in (200, 409), "another module has opened it on the same server, with its secret"
        assert operator.post("/v1/connections/off:disable", json={}).status_code == 200


@pytest.fixture
def sender(served: Served, connected: None) -> Iterator[httpx.Client]:
    """Return a client without a key."""
    with served.client(None) as client:
        yield client


def signed(body: bytes, secret: str = SECRET) -> str:
    return b64encode(digest(secret.encode(), body, "sha256")).decode()


def to_shop(
    client: httpx.Client, body: bytes, topic: str = "orders/create", to: str = "shop", **headers: str
) -> httpx.Response:
    given = {"Content-Type": "application/json", "X-Shopify-Topic": topic, "X-Shopify-Hmac-Sha256": signed(body)}
    return client.post(f"/v1/webhooks/{to}", content=body, headers=given | headers)


def to_woo(client: httpx.Client, body: bytes, topic: str = "order.created") -> httpx.Response:
    given = {"Content-Type": "application/json", "X-WC-Webhook-Topic": topic, "X-WC-Webhook-Signature": signed(body)}
    return client.post("/v1/webhooks/woo", content=body, headers=given)


def to_web(client: httpx.Client, reported: dict[str, Any], at: int | None = None) -> httpx.Response:
    body, seconds = json.dumps(reported).encode(), at or int(datetime.now(UTC).timestamp())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(seconds),
        "webhook-signature": standard_signature("msg_1", seconds, body, [STANDARD]),
    }
    return client.post("/v1/webhooks/web", content=body, headers=headers)


def to_stripe(client: httpx.Client, kind: str, content: Any, secret: str = SECRET) -> httpx.Response:
    """Send a payload that Stripe's own package has signed and verified."""
    reported = {"id": f"evt_{kind}", "object": "event", "type": kind, "data": {"object": content}}
    body, seconds = json.dumps(reported), int(datetime.now(UTC).timestamp())
    signature = stripe.WebhookSignature._compute_signature(f"{seconds}.{body}", secret)
    header = f"t={seconds},v1={signature}"
    assert stripe.WebhookSignature.verify_header(body, header, secret, tolerance=300)
    given = {"Content-Type": "application/json", "Stripe-Signature": header}
    return client.post("/v1/webhooks/stripe", content=body.encode(), headers=given)


def to_easypost(client: httpx.Client, body: bytes, secret: str = SECRET) -> httpx.Response:
    """Send a payload signed as EasyPost signs it; its own package verifies it."""
    header = f"hmac-sha256-hex={digest(secret.encode(), body, 'sha256').hex()}"
    assert validate_webhook(body, {"X-Hmac-Signature": header}, secret) == json.loads(body)
    given = {"Content-Type": "application/json; charset=utf-8", "X-Hmac-Signature": header}
    return client.post("/v1/webhooks/easypost", content=body, headers=given)


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["outcome"]


def dead_letters(served: Served, source: str) -> list[dict[str, Any]]:
    with psycopg.connect(served.database_url, row_factory=dict_row) as rows:
        return rows.execute(
            "SELECT dialect, reason, payload, headers FROM oms_dead_letters WHERE source = %s ORDER BY id", [source]
        ).fetchall()


def shopify_order(number: int, **changes: Any) -> bytes:
    reported = {
        "id": number,
        "created_at": "2026-01-05T10:00:00+01:00",
        "currency": "EUR",
        "taxes_included": True,
        "total_price": "10.00",
        "line_items": [{"id": 1, "sku": "TEA", "quantity": 1, "price": "10.00", "requires_shipping": True}],
        "shipping_address": {"address1": "1 Example Street", "city": "Bonn", "country_code": "DE"},
    }
    return json.dumps(reported | changes).encode()


def test_an_order_is_taken_once_and_its_repeat_changes_nothing(
    sender: httpx.Client, client: httpx.Client, served: Served
) -> None:
    with psycopg.connect(served.database_url) as other:
        of_order = "SELECT count(*) FROM oms_events WHERE topic = 'OrderPlaced' AND originator_id = %s"
        named = [f"order-{order_id_of('shopify', '501')}"]
        assert outcome(to_shop(sender, shopify_order(501))) == (200, "taken")
        assert other.execute(of_order, named).fetchone() == (1,), "answered, and not committed"
        assert outcome(to_shop(sender, shopify_order(501))) == (200, "repeated")
        assert other.execute(of_order, named).fetchone() == (1,)
    assert outcome(to_web(sender, order("hook-1"))) == (200, "taken")
    assert outcome(to_web(sender, order("hook-1"))) == (200, "repeated")
    again = client.post("/v1/orders", json=order("hook-1"))
    assert (again.status_code, again.json()["order_id"]) == (200, order_id_of("web", "hook-1"))


def test_what_is_not_signed_is_refused_in_one_way_and_nothing_is_kept(sender: httpx.Client, served: Served) -> None:
    body = shopify_order(502)
    asked = (
        to_shop(sender, body, **{"X-Shopify-Hmac-Sha256": signed(body, "other")}),
        to_shop(sender, body, **{"X-Shopify-Hmac-Sha256": "x"}),
        to_shop(sender, body, to="nobody"),
        to_shop(sender, body, to="off"),
        to_shop(sender, body, to="web"),
        sender.post("/v1/webhooks/shop", content=body, headers={"Content-Type": "application/json"}),
        to_web(sender, order("hook-2"), at=1_700_000_000),
    )
    assert {answer.status_code for answer in asked} == {401}
    assert len({(answer.json()["reason"], answer.json()["detail"]) for answer in asked}) == 1
    with psycopg.connect(served.database_url) as rows:
        order_id = order_id_of("shopify", "502")
        assert rows.execute("SELECT FROM oms_events WHERE originator_id = %s", [f"order-{order_id}"]).fetchone() is None
    assert not dead_letters(served, "webhook:off")


def test_a_signature_that_is_sent_twice_is_refused(sender: httpx.Client) -> None:
    body = shopify_order(503)
    doubled = [
        ("Content-Type", "application/json"),
        ("X-Shopify-Topic", "orders/create"),
        ("X-Shopify-Hmac-Sha256", signed(body)),
        ("x-shopify-hmac-sha256", signed(body)),
    ]
    assert sender.post("/v1/webhooks/shop", content=body, headers=doubled).status_code == 401


def test_what_cannot_be_used_is_a_dead_letter_and_202(sender: httpx.Client, served: Served) -> None:
    bad = shopify_order(504, total_price="11.00")
    assert outcome(to_shop(sender, bad)) == (202, "kept")
    assert outcome(to_shop(sender, b"\xff\x00 no JSON")) == (202, "kept")
    assert outcome(to_web(sender, order("hook-3", channel="app"))) == (202, "kept")
    first, second = dead_letters(served, "webhook:shop")[-2:]
    assert (first["dialect"], first["reason"], bytes(first["payload"])) == ("shopify", "total_mismatch", bad)
    assert second["reason"] == "not_json"
    assert signed(bad) not in json.dumps(first["headers"])
    assert dead_letters(served, "webhook:web")[-1]["reason"] == "other_channel"


def test_what_the_domain_refuses_is_a_dead_letter_and_202(sender: httpx.Client, served: Served) -> None:
    order_of = {"id": 900, "status": "failed", "currency": "EUR", "date_created_gmt": "2026-01-05T10:00:00"}
    body = json.dumps(order_of | {"total": "1.00", "line_items": []}).encode()
    assert outcome(to_woo(sender, body, "order.updated")) == (202, "kept")
    assert dead_letters(served, "webhook:woo")[-1]["reason"] == "unknown_order"


def test_topics_that_are_not_read_are_ignored(sender: httpx.Client) -> None:
    assert outcome(to_shop(sender, b"{}", "products/update")) == (202, "ignored")
    assert outcome(to_woo(sender, b"{}", "action.x")) == (202, "ignored")


def test_woocommerces_ping_hears_200_and_nothing_else_unsigned_does(sender: httpx.Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert outcome(sender.post("/v1/webhooks/woo", content=b"webhook_id=12", headers=form)) == (200, "pong")
    assert sender.post("/v1/webhooks/shop", content=b"webhook_id=12", headers=form).status_code == 401
    assert sender.post("/v1/webhooks/woo", content=b"webhook_id=12&x=1", headers=form).status_code == 401


def test_what_is_too_large_or_compressed_is_refused_before_it_is_read(sender: httpx.Client) -> None:
    assert to_shop(sender, b" " * 3_000_000).status_code == 413
    assert to_shop(sender, shopify_order(505), **{"Content-Encoding": "gzip"}).status_code == 415


has_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real payloads are not here")


@has_real
def test_real_payloads_are_taken_or_kept_and_never_refused_or_lost(sender: httpx.Client, served: Served) -> None:
    """Each is sent twice, as senders do: the second time changes nothing, and an unusable one is one dead letter."""
    sent: list[tuple[Callable[..., httpx.Response], bytes, str]] = [
        (to_shop, json.dumps(json.loads(path.read_text())["response"]).encode(), topic)
        for folder, topic in TOPICS.items()
        for path in sorted((REAL / "shopify" / folder).glob("*.json"))
    ]
    sent += [(to_woo, path.read_bytes(), "order.created") for path in sorted((REAL / "woocommerce").glob("*.json"))]
    first, second = ([outcome(send(sender, body, topic)) for send, body, topic in sent] for _ in range(2))
    assert {(200, "taken"), (202, "kept")} <= set(first) <= {(200, "taken"), (200, "repeated"), (202, "kept")}
    assert sum(reported == (200, "taken") for reported in first) >= 5
    assert second == [(200, "repeated") if reported == (200, "taken") else reported for reported in first]
    bodies = [row["payload"] for row in dead_letters(served, "webhook:woo") + dead_letters(served, "webhook:shop")]
    assert len(bodies) == len({bytes(body) for body in bodies})


STRIPE_EVENTS = {
    "payment_intent": ("amount_capturable_updated", "succeeded", "canceled", "payment_failed", "created"),
    "charge": ("succeeded", "captured", "failed", "expired", "refunded", "updated"),
    "refund": ("created", "updated", "failed"),
    "charge.dispute": ("created", "updated", "closed", "funds_withdrawn"),
    "payout": ("paid", "failed"),
    "payment_method": ("attached",),
    "balance": ("available",),
}
STRIPE_FILES = {"charge.dispute": "dispute", "balance": "balance_transaction"}


@has_real
def test_what_stripe_sends_of_its_objects_is_taken_kept_or_says_nothing(sender: httpx.Client) -> None:
    reported: dict[str, tuple[int, str]] = {}
    for family, ends in STRIPE_EVENTS.items():
        content = json.loads((REAL / "stripe" / f"{STRIPE_FILES.get(family, family)}.json").read_text())
        for end in ends:
            kind = f"{family}.{end}"
            reported[kind] = outcome(to_stripe(sender, kind, content))
            again = outcome(to_stripe(sender, kind, content))
            assert again == ((200, "repeated") if reported[kind] == (200, "taken") else reported[kind]), kind
    whole = json.loads((REAL / "stripe" / "event.json").read_text())
    assert outcome(to_stripe(sender, whole["type"], whole["data"]["object"])) == (200, "ignored")
    assert {reported["refund.created"], reported["charge.dispute.created"]} == {(200, "taken")}
    assert {reported[kind] for kind in ("payout.paid", "payment_method.attached", "balance.available")} == {
        (200, "ignored")
    }
    assert set(reported.values()) <= {(200, "taken"), (200, "repeated"), (200, "ignored"), (202, "kept")}
    assert to_stripe(sender, "refund.created", content, "another").status_code == 401


@has_real
def test_what_easypost_sends_of_a_parcel_is_taken_once(sender: httpx.Client) -> None:
    for name in ("event-body", "tracking-webhook"):
        body = (REAL / "easypost" / f"{name}.json").read_bytes()
        assert outcome(to_easypost(sender, body)) == (200, "taken"), name
        assert outcome(to_easypost(sender, body)) == (200, "repeated"), name
        assert to_easypost(sender, body, "another").status_code == 401
    for name in ("tracker", "shipment-bought"):
        assert to_easypost(sender, (REAL / "easypost" / f"{name}.json").read_bytes()).status_code in (200, 202), name


def test_what_came_while_the_database_did_not_answer_is_taken_once_when_it_is_sent_again(
    embedded_server: EmbeddedPostgres,
) -> None:
    """Once before anything is known of the connection, and once while what was verified waits to be written."""
    with fresh_database(embedded_server) as url, psycopg.connect(embedded_server.url, autocommit=True) as admin:
        migrate(url)
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        with serving(url) as (_, address), httpx.Client(base_url=address, timeout=30) as client:
            kept = client.post("/v1/webhook-secrets", json={"secret": SECRET}).json()
            opened = client.post("/v1/connections/shop:open", json={"dialect": "shopify", **kept})
            assert opened.status_code == 200, opened.text
            with away(admin, str(name)):
                refused = to_shop(client, shopify_order(601))
            assert (refused.status_code, refused.headers["Retry-After"].isdecimal()) == (503, True)
            assert until_taken(client, 601) == (200, "taken")
            with closing(psycopg.connect(url)) as writer, ThreadPoolExecutor(1) as sending:  # put out like the others
                writer.execute("LOCK TABLE oms_events IN EXCLUSIVE MODE")
                waiting = sending.submit(to_shop, client, shopify_order(602))
                while admin.execute(WAITS, [name]).fetchone() is None:
                    assert not waiting.done()
                with away(admin, str(name)):
                    refused = waiting.result()
            assert (refused.status_code, refused.headers["Retry-After"].isdecimal()) == (503, True)
            assert until_taken(client, 602) == (200, "taken")
            assert outcome(to_shop(client, shopify_order(602))) == (200, "repeated")
        with psycopg.connect(url) as rows:
            placed = rows.execute("SELECT originator_id FROM oms_events WHERE topic = 'OrderPlaced'").fetchall()
            letters = rows.execute("SELECT FROM oms_dead_letters").fetchall()
        assert sorted(placed) == sorted((f"order-{order_id_of('shopify', n)}",) for n in ("601", "602"))
        assert letters == []


WAITS = "SELECT FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"


END_ALL = """
SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = %s
    ORDER BY (wait_event_type = 'Lock') DESC NULLS LAST) AS those_that_wait_first
"""
"""A session that waits for a lock is ended before the one that has it, and so does not get it."""


@contextmanager
def away(admin: psycopg.Connection[Any], name: str) -> Iterator[None]:
    """Make the database refuse connections, and end those that exist."""
    allow = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    admin.execute(allow.format(Identifier(name), SQL("false")))
    try:
        admin.execute(END_ALL, [name])
        yield
    finally:
        admin.execute(allow.format(Identifier(name), SQL("true")))


def until_taken(client: httpx.Client, number: int) -> tuple[int, str]:
    """Send until accepted, as a sender does that tries again, after a quarter of the time that the answer says."""
    for _ in range(20):
        answer = to_shop(client, shopify_order(number))
        if answer.status_code != 503:
            return outcome(answer)
        time.sleep(float(answer.headers["Retry-After"]) / 4)
    raise AssertionError(answer.text)
