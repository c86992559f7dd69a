"""WeChat Pay's API v3 on 127.0.0.1, with keys of its own that change, and with answers that get lost.

Invariant: a request is served only if the merchant signed its bytes; every answer is signed over the bytes that are
sent. Reports are encrypted with the API v3 key and signed when they are sent.
"""

from __future__ import annotations

import json
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from oms_es.gateways.loopback.serving import serving
from oms_es.gateways.loopback.wechatpay_books import ApiError, Thing, WeChatBooks

Mishap = Literal["", "lost", "dropped", "busy", "broken", "unsigned"]
"""A failure. `lost`: the request is done, and its answer does not arrive. `dropped`: the request is not done.
`unsigned`: the request is done, and its answer is signed with another key. The others are errors 429 and 500."""
BODY_BYTES_MAX = 1_000_000
HEADER = re.compile(r'(\w+)="([^"]*)"')
CERTIFICATE_DAYS = 5 * 365
BITS = 2_048
WINDOW_SECONDS = 300
NO_CONTENT = 204


class PlatformKey(NamedTuple):
    """A key of the platform. `certificate`: in PEM; empty for a bare public key."""

    serial: str
    key: RSAPrivateKey
    certificate: bytes | None


def new_key(now: float) -> PlatformKey:
    key = generate_private_key(65_537, BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "WeChat Pay on this machine")])
    start, number = datetime.fromtimestamp(now, UTC) - timedelta(days=1), x509.random_serial_number()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=CERTIFICATE_DAYS))
        .sign(key, SHA256())
    )
    return PlatformKey(f"{number:X}", key, made.public_bytes(Encoding.PEM))


class WeChatPayServer:
    """The server. `merchant_key` verifies requests. `platform`: the newest key signs. `mishap_of`: by
    method and path."""

    def __init__(
        self,
        books: WeChatBooks,
        api_key: str,
        merchant_key: RSAPublicKey,
        merchant_serial: str,
        mishap_of: Callable[[str, str], Mishap] = lambda *_: "",
    ) -> None:
        self.books = books
        self.api_key = api_key
        self.merchant_key = merchant_key
        self.merchant_serial = merchant_serial
        self.mishap_of = mishap_of
        self.platform = [new_key(books.clock())]
        self.lock = Lock()
        self.requests: list[str] = []

    def rotate(self) -> None:
        self.platform.append(new_key(self.books.clock()))

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve, and yield the address to use instead of WeChat Pay's."""
        with serving(_Handler, wechat=self) as address:
            yield address

    def signature(self, body: bytes, key: PlatformKey | None = None) -> dict[str, str]:
        """Return the headers that sign an answer or a report."""
        by = key or self.platform[-1]
        seconds, nonce = str(int(self.books.clock())), secrets.token_hex(16)
        said = b"%b\n%b\n%b\n" % (seconds.encode(), nonce.encode(), body)
        return {
            "Wechatpay-Serial": by.serial,
            "Wechatpay-Timestamp": seconds,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": b64encode(by.key.sign(said, PKCS1v15(), SHA256())).decode(),
        }

    def report(self, number: int) -> tuple[dict[str, str], bytes]:
        """Return headers and body that report an event of the books, encrypted and signed now."""
        kind, thing = self.books.events[number]
        content = json.dumps(thing, ensure_ascii=False).encode()
        family = kind.partition(".")[0].lower()
        body = {
            "id": f"EV-{number}",
            "create_time": datetime.fromtimestamp(self.books.clock(), UTC).isoformat(),
            "resource_type": "encrypt-resource",
            "event_type": kind,
            "resource": {**self._encrypted(content, family), "original_type": family},
        }
        sent = json.dumps(body).encode()
        return {"Content-Type": "application/json", **self.signature(sent)}, sent

    def _encrypted(self, content: bytes, associated: str) -> Thing:
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self.api_key.encode()).encrypt(nonce.encode(), content, associated.encode())
        return {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": associated,
            "ciphertext": b64encode(sealed).decode(),
        }

    def is_signed(self, method: str, path: str, header: str, body: bytes) -> bool:
        scheme, _, rest = header.partition(" ")
        said = dict(HEADER.findall(rest))
        if scheme != "WECHATPAY2-SHA256-RSA2048" or said.get("serial_no") != self.merchant_serial:
            return False
        if abs(int(said["timestamp"]) - self.books.clock()) > WINDOW_SECONDS:
            return False
        lines = f"{method}\n{path}\n{said['timestamp']}\n{said['nonce_str']}\n".encode() + body + b"\n"
        try:
            self.merchant_key.verify(b64decode(said["signature"]), lines, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return bool(said["mchid"] == self.books.mchid)

    def answer(self, method: str, path: str, wanted: Thing) -> tuple[int, Thing | None]:
        try:
            return self._done(method, path, wanted)
        except ApiError as error:
            return error.status, error.body

    def _done(self, method: str, path: str, wanted: Thing) -> tuple[int, Thing | None]:
        plain = urlsplit(path).path
        match method, plain.split("/")[1:]:
            case "GET", ["v3", "certificates"]:
                return 200, {"data": [self._listed(one) for one in self.platform if one.certificate]}
            case "POST", ["v3", "pay", "transactions", ("native" | "jsapi") as way]:
                return 200, self.books.place(way, wanted)
            case "GET", ["v3", "pay", "transactions", "out-trade-no", name]:
                self.books.order(unquote(name), parse_qs(urlsplit(path).query).get("mchid", [""])[0])
                return 200, self.books.shown(unquote(name))
            case "POST", ["v3", "pay", "transactions", "out-trade-no", name, "close"]:
                self.books.close(unquote(name), wanted)
                return 204, None
            case "POST", ["v3", "refund", "domestic", "refunds"]:
                return 200, self.books.refund(wanted)
            case "GET", ["v3", "refund", "domestic", "refunds", number]:
                return 200, self.books.found_refund(unquote(number))
        raise ApiError(404, "RESOURCE_NOT_EXISTS", f"there is no {method} {plain}")

    def _listed(self, one: PlatformKey) -> Thing:
        return {"serial_no": one.serial, "encrypt_certificate": self._encrypted(one.certificate or b"", "certificate")}


class _Handler(BaseHTTPRequestHandler):
    wechat: WeChatPayServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve("GET", b"")

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
        self._serve("POST", self.rfile.read(length))

    def _serve(self, method: str, body: bytes) -> None:
        with self.wechat.lock:
            self.wechat.requests.append(f"{method} {self.path}")
            mishap = self.wechat.mishap_of(method, self.path)
            if mishap == "dropped":
                self.close_connection = True
                return
            status, said = MISHAPS.get(mishap) or self._answered(method, body)
        if mishap == "lost":
            self.close_connection = True
            return
        payload = b"" if said is None else json.dumps(said, ensure_ascii=False).encode()
        stranger = new_key(self.wechat.books.clock()) if mishap == "unsigned" else None
        by = stranger and stranger._replace(serial=self.wechat.platform[-1].serial)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != NO_CONTENT:
            self.send_header("Content-Length", str(len(payload)))
        for name, value in self.wechat.signature(payload, by).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def _answered(self, method: str, body: bytes) -> tuple[int, Thing | None]:
        if not self.wechat.is_signed(method, self.path, self.headers.get("Authorization") or "", body):
            return 401, {"code": "SIGN_ERROR", "message": "the signature is wrong"}
        return self.wechat.answer(method, self.path, json.loads(body) if body else {})

    def log_message(self, *_: Any) -> None:
        """Log nothing: the engine's log has the requests."""


MISHAPS: dict[str, tuple[int, Thing | None]] = {
    "busy": (429, {"code": "RATELIMIT_EXCEEDED", "message": "too often"}),
    "broken": (500, {"code": "SYSTEM_ERROR", "message": "busy"}),
}
