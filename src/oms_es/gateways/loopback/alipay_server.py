"""Alipay's gateway on 127.0.0.1, with a key of its own, and with answers that get lost.

Invariant: a request is served only if the app signed its parameters; every answer's node, and every report, is signed
over the bytes that are sent.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from oms_es.gateways.loopback.alipay_books import AlipayBooks, ApiError, Thing
from oms_es.gateways.loopback.serving import serving

Mishap = Literal["", "lost", "dropped", "busy", "limited", "broken", "unsigned"]
"""A failure. `lost`: the request is done, and its answer does not arrive. `dropped`: the request is not done.
`unsigned`: the request is done, and its answer is signed with another key. The others are Alipay's 20000 and 40005, and
HTTP 500."""
BUSY: dict[str, Thing] = {
    "busy": {"code": "20000", "msg": "Service Currently Unavailable", "sub_code": "isp.unknow-error"},
    "limited": {"code": "40005", "msg": "Call Limited", "sub_code": "isv.app-call-limited"},
}
BODY_BYTES_MAX = 1_000_000
BITS = 2_048
OK = 200


class AlipayServer:
    """The server. `app_key` verifies requests. `mishap_of` returns the failure for a request, from its method."""

    def __init__(
        self, books: AlipayBooks, app_key: RSAPublicKey, mishap_of: Callable[[str], Mishap] = lambda _: ""
    ) -> None:
        self.books = books
        self.app_key = app_key
        self.mishap_of = mishap_of
        self.key = generate_private_key(65_537, BITS)
        self.lock = Lock()
        self.requests: list[str] = []

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve, and yield the address to use instead of Alipay's."""
        with serving(_Handler, alipay=self) as address:
            yield f"{address}/gateway.do"

    def report(self, number: int) -> bytes:
        """Return the form that reports an event of the books."""
        fields = self.books.events[number]
        said = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
        return urlencode({**fields, "sign": _signature(self.key, said.encode()), "sign_type": "RSA2"}).encode()

    def is_signed(self, fields: Mapping[str, str]) -> bool:
        said = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "sign" and fields[name])
        try:
            self.app_key.verify(b64decode(fields.get("sign", "")), said.encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def node(self, fields: Mapping[str, str]) -> Thing:
        wrong = {"code": "40002", "msg": "Invalid Arguments", "sub_msg": "see the app"}
        if fields.get("app_id") != self.books.app_id:
            return {**wrong, "sub_code": "isv.invalid-app-id"}
        if not self.is_signed(fields):
            return {**wrong, "sub_code": "isv.invalid-signature"}
        methods: dict[str, Callable[[Thing], Thing]] = {
            "alipay.trade.precreate": self.books.prepare,
            "alipay.trade.query": self.books.query,
            "alipay.trade.close": self.books.close,
            "alipay.trade.refund": self.books.refund,
            "alipay.trade.fastpay.refund.query": self.books.found_refund,
        }
        try:
            done = methods[fields["method"]](json.loads(fields["biz_content"]))
        except ApiError as error:
            return error.body
        return {"code": "10000", "msg": "Success", **done}

    def opened(self, address: str) -> str:
        """Open a page as a customer does and return the order's name. Raise ValueError if the address is not signed."""
        fields = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
        if not self.is_signed(fields):
            raise ValueError("the page's address is not signed")
        return str(self.books.prepare(json.loads(fields["biz_content"]))["out_trade_no"])


def _signature(key: RSAPrivateKey, said: bytes) -> str:
    return b64encode(key.sign(said, PKCS1v15(), SHA256())).decode()


class _Handler(BaseHTTPRequestHandler):
    alipay: AlipayServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
        fields = dict(parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))
        method = fields.get("method", "")
        with self.alipay.lock:
            self.alipay.requests.append(method)
            mishap = self.alipay.mishap_of(method)
            if mishap == "dropped":
                self.close_connection = True
                return
            node = BUSY[mishap] if mishap in BUSY else {} if mishap == "broken" else self.alipay.node(fields)
        if mishap == "lost":
            self.close_connection = True
            return
        self._send(500 if mishap == "broken" else OK, method, node, stranger=mishap == "unsigned")

    def _send(self, status: int, method: str, node: Thing, *, stranger: bool) -> None:
        raw = json.dumps(node, ensure_ascii=False)
        key = generate_private_key(65_537, BITS) if stranger else self.alipay.key
        payload = f'{{"{method.replace(".", "_")}_response":{raw},"sign":"{_signature(key, raw.encode())}"}}'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html;charset=utf-8")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the engine's log has the requests."""
