"""Payments by QR code, over HTTP: from the order to its code, and from the provider's report to the captured money."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from conftest import fresh_database
from http_requests import order
from http_server import serving
from oms_es.app import migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.gateways.loopback.alipay_books import AlipayBooks
from oms_es.gateways.loopback.alipay_server import AlipayServer
from oms_es.gateways.loopback.carriers.kuaidi100_server import Kuaidi100Server
from oms_es.gateways.loopback.carriers.sfexpress_books import SfExpressBooks
from oms_es.gateways.loopback.carriers.sfexpress_server import SfExpressServer
from oms_es.gateways.loopback.wechatpay_books import WeChatBooks
from oms_es.gateways.loopback.wechatpay_server import WeChatPayServer, new_key

MCHID, APPID, SERIAL, API_KEY = "1900000109", "wxd678efh567hg6787", "5157F09E", "0123456789abcdef0123456789abcdef"
APP_ID, SELLER_ID = "2014072300007148", "2088102146225135"
SALT = "a-salt+of%ours"
CHECKWORD = "the-checkword"
SECONDS_MAX = 30
NOTICES = "/v1/webhooks/wx"


class Shop(NamedTuple):
    wechat: WeChatPayServer
    alipay: AlipayServer
    client: httpx.Client

    def eventually(self, path: str, **wanted: Any) -> dict[str, Any]:
        """Return the first row once it is as expected."""
        until = time.monotonic() + SECONDS_MAX
        while time.monotonic() < until:
            rows = self.client.get(path).json()["items"]
            if rows and all(rows[0][name] == value for name, value in wanted.items()):
                return dict(rows[0])
            time.sleep(0.05)
        pytest.fail(f"{path} does not become {wanted}: {rows}")

    def said(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        answer = self.client.post(NOTICES, content=body, headers=headers)
        return answer.status_code, answer.json()["code"]


@contextmanager
def shop(database: EmbeddedPostgres, folder: Path) -> Iterator[Shop]:
    key = generate_private_key(65_537, 2_048)
    file = folder / "apiclient_key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    wechat = WeChatPayServer(WeChatBooks(MCHID, APPID, time.time), API_KEY, key.public_key(), SERIAL)
    alipay = AlipayServer(AlipayBooks(APP_ID, SELLER_ID, time.time), key.public_key())
    theirs = alipay.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with fresh_database(database) as url, wechat.listening() as base:
        migrate(url)
        settings = {
            "OMS_PAYMENTS": "wechatpay",
            "OMS_GATEWAYS": "simulated",
            "OMS_WECHATPAY_MCHID": MCHID,
            "OMS_WECHATPAY_APPID": APPID,
            "OMS_WECHATPAY_SERIAL": SERIAL,
            "OMS_WECHATPAY_KEY_FILE": str(file),
            "OMS_WECHATPAY_API_KEY": API_KEY,
            "OMS_WECHATPAY_NOTIFY_URL": f"https://shop.example{NOTICES}",
            "OMS_WECHATPAY_BASE": base,
            "OMS_SFEXPRESS_CHECKWORD": CHECKWORD,
            "OMS_ALIPAY_APP_ID": APP_ID,
            "OMS_ALIPAY_SELLER_ID": SELLER_ID,
        }
        with serving(url, "--with-engine", **settings) as (_, address):
            with httpx.Client(base_url=address, timeout=30) as client:
                for name, dialect, secret in (
                    ("wx", "wechatpay", API_KEY),
                    ("ali", "alipay", b64encode(theirs).decode()),
                    ("kd", "kuaidi100", SALT),
                    ("sf", "sfexpress", SALT),
                ):
                    kept = client.post("/v1/webhook-secrets", json={"secret": secret}).json()
                    opened = client.post(f"/v1/connections/{name}:open", json={"dialect": dialect, **kept})
                    assert opened.status_code == 200, opened.text
                yield Shop(wechat, alipay, client)


def test_an_order_is_paid_by_its_code_and_what_is_not_signed_changes_nothing(
    embedded_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    with shop(embedded_server, tmp_path) as there:
        client, wechat = there.client, there.wechat
        facts = {"receipt_id": "r1", "quantity": 5}
        assert client.post("/v1/locations/berlin:open", json={"country": "DE"}).status_code == 200
        assert client.post("/v1/stock/TEA/berlin:receive", json=facts).status_code == 200
        placed = client.post("/v1/orders", json={**order("w1"), "currency": "CNY", "payment_token": "native"})
        assert placed.status_code == 201, placed.text
        row = there.eventually("/v1/payments", action="qr_code")
        assert (row["action_content"][:9], row["state"]) == ("weixin://", "requested")
        (name,) = wechat.books.orders
        assert wechat.books.pay(name)
        sent, body = wechat.report(0)
        forged = dict(sent) | wechat.signature(body, new_key(time.time())._replace(serial=sent["Wechatpay-Serial"]))
        assert there.said(forged, body) == (401, "FAIL")
        assert there.said(dict(sent), body + b" ") == (401, "FAIL")
        assert there.said(sent | {"Wechatpay-Serial": "77"}, body) == (503, "FAIL")
        assert client.post("/v1/webhooks/other", content=body, headers=sent).status_code == 401
        assert there.eventually("/v1/payments")["state"] == "requested"
        assert [there.said(dict(sent), body) for _ in range(2)] == [(200, "SUCCESS")] * 2
        row = there.eventually("/v1/payments", state="captured")
        assert (row["captured_minor"], row["action"], row["reference"]) == (1_000, "", f"wechatpay:{name}")
        wechat.books.appid = "wx-of-another-app"
        wechat.books.events.append(("TRANSACTION.SUCCESS", wechat.books.shown(name)))
        assert there.said(*wechat.report(1)) == (403, "FAIL")
        assert_alipay_hears_its_own_word(there)
        assert_kuaidi100_hears_its_own_word(there)
        assert_sf_express_hears_its_own_word(there)
        assert not client.get("/v1/dead-letters").json()["items"]


def assert_kuaidi100_hears_its_own_word(there: Shop) -> None:
    """Assert that a report about an unknown number is acknowledged, also when repeated, and a forged one refused."""
    server = Kuaidi100Server("c", "k", time.time)
    server.scan("yuantong", "YT1", "1", "已揽收")
    body = server.push("yuantong", "YT1", SALT)
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def said(content: bytes) -> tuple[int, str]:
        answer = there.client.post("/v1/webhooks/kd", content=content, headers=form)
        return answer.status_code, answer.json()["returnCode"]

    assert said(server.push("yuantong", "YT1", "another salt")) == (401, "500")
    assert [said(body) for _ in range(2)] == [(200, "200")] * 2


def assert_sf_express_hears_its_own_word(there: Shop) -> None:
    """Assert that a push about two numbers is taken, signed or sent to the address with the key, also when repeated,
    and any other one refused."""
    books = SfExpressBooks("0" * 10, time.time)
    server = SfExpressServer(books, "P", CHECKWORD)
    plain = server.push([books.scan("SF1", "50", "已收取快件"), books.scan("SF2", "80", "已签收")])

    def said(content: bytes, key: str = "") -> tuple[int, str]:
        kind = "application/json" if content.startswith(b"{") else "application/x-www-form-urlencoded"
        query = {"key": key} if key else {}
        answer = there.client.post("/v1/webhooks/sf", content=content, headers={"Content-Type": kind}, params=query)
        return answer.status_code, answer.json()["return_code"]

    assert [said(plain), said(plain, "another"), said(server.signed(plain) + b"0")] == [(401, "1000")] * 3
    assert [said(plain, SALT), said(plain, SALT), said(server.signed(plain))] == [(200, "0000")] * 3
    events = there.client.get("/v1/events", params={"limit": 1_000}).json()["items"]
    reported = [one["data"] for one in events if one["type"].endswith("TrackingReported")]
    assert [one["tracking_number"] for one in reported if one["carrier"] == "shunfeng"] == ["SF1", "SF2"]


def assert_alipay_hears_its_own_word(there: Shop) -> None:
    """Assert that a report about an order made elsewhere is acknowledged, also when repeated, and a forged one, or one
    of another app, refused."""
    books, form = there.alipay.books, {"Content-Type": "application/x-www-form-urlencoded"}
    books.prepare({"out_trade_no": "shop-7", "total_amount": "10.00", "subject": "茶", "qr_code_timeout_express": "9m"})
    assert books.pay("shop-7")
    body = there.alipay.report(0)

    def said(content: bytes) -> tuple[int, str]:
        answer = there.client.post("/v1/webhooks/ali", content=content, headers=form)
        return answer.status_code, answer.text

    assert said(body.replace(b"10.00", b"1.000")) == (401, "failure")
    assert said(body.replace(b"RSA2", b"RSA")) == (503, "failure")
    assert [said(body) for _ in range(2)] == [(200, "success")] * 2
    books.app_id = "2"
    books.events.append(books.events[0] | {"app_id": "2"})
    assert said(there.alipay.report(1)) == (403, "failure")
