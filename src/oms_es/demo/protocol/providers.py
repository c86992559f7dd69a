"""Servers that simulate the providers' protocols on this machine, each with its own state, and our settings for them.

Invariant: a share of all requests fails in each provider's way: answers are lost, or are errors. Keys are made for this
run, and are stored in its folder.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from oms_es.demo.protocol.shop import COUNTRY, SITES
from oms_es.gateways.loopback.alipay_books import AlipayBooks
from oms_es.gateways.loopback.alipay_server import AlipayServer
from oms_es.gateways.loopback.carriers.easypost_books import EasyPostBooks
from oms_es.gateways.loopback.carriers.easypost_server import EasyPostServer
from oms_es.gateways.loopback.carriers.kuaidi100_server import Kuaidi100Server
from oms_es.gateways.loopback.stripe_books import StripeBooks
from oms_es.gateways.loopback.stripe_server import StripeServer
from oms_es.gateways.loopback.wechatpay_books import WeChatBooks
from oms_es.gateways.loopback.wechatpay_server import WeChatPayServer

MISHAPS_SHARE = 0.02
"""The share of requests that fail."""
MISHAPS: Mapping[str, Sequence[str]] = {
    "stripe": ("lost", "dropped", "busy", "broken"),
    "wechatpay": ("lost", "dropped", "busy", "broken", "unsigned"),
    "alipay": ("lost", "dropped", "busy", "broken", "unsigned"),
    "easypost": ("lost", "dropped", "busy", "broken"),
    "kuaidi100": ("lost", "busy"),
}
CERTIFICATES = "/v3/certificates"
"""A path that never fails: after one failure, keys would be fetched again only a minute later."""
MCHID, APPID, SERIAL, API_KEY = "1900000109", "wxd678efh567hg6787", "5157F09E", "0123456789abcdef0123456789abcdef"
APP_ID, SELLER_ID = "2014072300007148", "2088102146225135"
STRIPE_KEY, EASYPOST_KEY, KUAIDI100_KEY, CUSTOMER = "sk_test_demo", "EZTK_demo", "demo-key", "demo-customer"
STRIPE_SECRET, EASYPOST_SECRET, SALT = "whsec_demo", "demo-hook", "demo-salt"
BITS = 2_048
SHOP = "https://shop.example/v1/webhooks/"
"""The address that providers report to; these requests are redirected to the server on this machine."""


class Mishaps:
    """The failures of requests. `next_of` returns that of the next request; the servers' threads call it."""

    def __init__(self, seed: int, share: float = MISHAPS_SHARE) -> None:
        self._random = Random(f"{seed}/mishaps")
        self._share = share
        self._lock = Lock()
        self.count = 0

    def next_of(self, provider: str, *asked: Any) -> Any:
        with self._lock:
            if CERTIFICATES in asked or self._random.random() >= self._share:
                return ""
            self.count += 1
            return self._random.choice(MISHAPS[provider])


class Providers(NamedTuple):
    """The running servers. `settings`: those that make an engine and a server use them. `secrets`: of the connections
    for their reports."""

    stripe: StripeServer
    wechatpay: WeChatPayServer
    alipay: AlipayServer
    easypost: EasyPostServer
    kuaidi100: Kuaidi100Server
    mishaps: Mishaps
    settings: Mapping[str, str]
    secrets: Mapping[str, str]

    def requests(self) -> Mapping[str, int]:
        """Return how many requests each provider got."""
        return {
            "stripe": self.stripe.requests,
            "wechatpay": len(self.wechatpay.requests),
            "alipay": len(self.alipay.requests),
            "easypost": len(self.easypost.requests),
            "kuaidi100": self.kuaidi100.requests,
        }


@contextmanager
def providers(seed: int, folder: Path) -> Iterator[Providers]:
    """Run the servers as long as the context lasts."""
    key, mishaps = generate_private_key(65_537, BITS), Mishaps(seed)
    ours = folder / "key-of-the-shop.pem"
    ours.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    of = {name: partial(mishaps.next_of, name) for name in MISHAPS}
    wechat_books, alipay_books = WeChatBooks(MCHID, APPID, time.time), AlipayBooks(APP_ID, SELLER_ID, time.time)
    stripe = StripeServer(StripeBooks(lambda: int(time.time())), STRIPE_KEY, of["stripe"])
    wechatpay = WeChatPayServer(wechat_books, API_KEY, key.public_key(), SERIAL, of["wechatpay"])
    alipay = AlipayServer(alipay_books, key.public_key(), of["alipay"])
    easypost = EasyPostServer(EasyPostBooks(time.time), EASYPOST_KEY, of["easypost"])
    kuaidi100 = Kuaidi100Server(CUSTOMER, KUAIDI100_KEY, time.time, of["kuaidi100"])
    theirs, senders = folder / "key-of-alipay.pem", folder / "senders.json"
    theirs.write_bytes(alipay.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    senders.write_text(json.dumps({place.name: _sender(place.city, place.state) for place in SITES.values()}))
    with ExitStack() as stack:
        listening = {
            "stripe_api_base": stack.enter_context(stripe.listening()),
            "wechatpay_base": stack.enter_context(wechatpay.listening()),
            "alipay_base": stack.enter_context(alipay.listening()),
            "easypost_base": stack.enter_context(easypost.listening()),
            "kuaidi100_base": stack.enter_context(kuaidi100.listening()),
        }
        files = {
            "wechatpay_key_file": str(ours),
            "alipay_key_file": str(ours),
            "alipay_public_key_file": str(theirs),
            "easypost_senders_file": str(senders),
        }
        der = alipay.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        secrets = {
            "stripe": STRIPE_SECRET,
            "wechatpay": API_KEY,
            "alipay": b64encode(der).decode(),
            "easypost": EASYPOST_SECRET,
            "kuaidi100": SALT,
        }
        settings = {**ACCOUNTS, **listening, **files}
        yield Providers(stripe, wechatpay, alipay, easypost, kuaidi100, mishaps, settings, secrets)


ACCOUNTS: Mapping[str, str] = {
    "gateways": "simulated",
    "payments": "stripe,wechatpay,alipay",
    "carriers": "easypost",
    "stripe_api_key": STRIPE_KEY,
    "wechatpay_mchid": MCHID,
    "wechatpay_appid": APPID,
    "wechatpay_serial": SERIAL,
    "wechatpay_api_key": API_KEY,
    "wechatpay_notify_url": f"{SHOP}wechatpay",
    "alipay_app_id": APP_ID,
    "alipay_seller_id": SELLER_ID,
    "alipay_notify_url": f"{SHOP}alipay",
    "easypost_api_key": EASYPOST_KEY,
    "kuaidi100_customer": CUSTOMER,
    "kuaidi100_key": KUAIDI100_KEY,
    "kuaidi100_salt": SALT,
    "kuaidi100_callback_url": f"{SHOP}kuaidi100",
}
"""The settings that name the providers; only the warehouse is simulated."""


def _sender(city: str, state: str) -> Mapping[str, str]:
    return {"company": "Shop", "street1": "1 Pier", "city": city, "state": state, "country": COUNTRY}
