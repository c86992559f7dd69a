"""SF Express's API on 127.0.0.1, as far as parcels need it, with answers that get lost, repeat or contradict.

Invariant: a request is done only if its digest is valid, computed as SF's servers compute it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode

from oms_es.gateways.loopback.carriers.sfexpress_books import ApiError, SfExpressBooks, Thing
from oms_es.gateways.loopback.serving import serving

Mishap = Literal["", "lost", "dropped", "busy", "broken", "denied", "twice", "strange", "other"]
"""A failure. `lost`: the request is done, and its answer does not arrive. `dropped`: the request is not done. `busy`,
`broken`: too many requests, or a server does not answer, and the request is not done. `denied`: the request is done,
and the answer says that it was refused. `twice`: the request is done twice, and the second answer arrives. `strange`:
the request is done, and another site's page arrives. `other`: the request is done, and the answer is about another
order."""
BODY_BYTES_MAX = 1_000_000
UNCHANGED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*_")
"""What java.net.URLEncoder leaves as it is."""


class SfExpressServer:
    """The server. `mishap_of` returns the failure for a request, from its service code."""

    def __init__(
        self,
        books: SfExpressBooks,
        partner_id: str,
        checkword: str,
        mishap_of: Callable[[str], Mishap] = lambda _service: "",
    ) -> None:
        self.books = books
        self.partner_id = partner_id
        self.checkword = checkword
        self.mishap_of = mishap_of
        self.lock = Lock()
        self.requests: list[str] = []

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve, and yield the address to use instead of SF's."""
        with serving(_Handler, sfexpress=self) as address:
            yield address

    def push(self, routes: Sequence[Thing]) -> bytes:
        """Return the body that pushes routes, unsigned, as RoutePushService sends them."""
        return json.dumps({"Body": {"WaybillRoute": list(routes)}}, ensure_ascii=False).encode()

    def signed(self, push: bytes) -> bytes:
        """Return the push in a signed form."""
        message, timestamp = push.decode(), str(int(self.books.clock() * 1_000))
        sign = self._digest(message, timestamp)
        return urlencode({"msgData": message, "timestamp": timestamp, "msgDigest": sign}).encode()

    def answer(self, form: dict[str, str]) -> Thing:
        message, timestamp = form.get("msgData", ""), form.get("timestamp", "")
        if form.get("partnerID") != self.partner_id or form.get("msgDigest") != self._digest(message, timestamp):
            return outer("A1006", "数字签名无效")
        asked = json.loads(message)
        try:
            return inner("S0000", None, self._done(form.get("serviceCode", ""), asked))
        except ApiError as error:
            return inner(error.code, str(error), None)

    def _done(self, service: str, asked: Thing) -> Thing:
        match service:
            case "EXP_RECE_CREATE_ORDER":
                return self.books.create(asked)
            case "EXP_RECE_SEARCH_ORDER_RESP":
                return self.books.search(asked)
            case "EXP_RECE_UPDATE_ORDER":
                return self.books.update(asked)
            case "EXP_RECE_SEARCH_ROUTES":
                return self.books.routes_of(asked)
        raise ApiError("8018", "未获取到订单信息")

    def _digest(self, message: str, timestamp: str) -> str:
        plain = f"{message}{timestamp}{self.checkword}".encode()
        encoded = "".join(chr(b) if b in UNCHANGED else "+" if b == ord(" ") else f"%{b:02X}" for b in plain)
        return b64encode(md5(encoded.encode(), usedforsecurity=False).digest()).decode()


def outer(code: str, words: str, data: str | None = None) -> Thing:
    return {"apiErrorMsg": words, "apiResponseID": "0" * 32, "apiResultCode": code, "apiResultData": data}


def inner(code: str, words: str | None, content: Thing | None) -> Thing:
    result = {"success": content is not None, "errorCode": code, "errorMsg": words, "msgData": content}
    return outer("A1000", "", json.dumps(result, ensure_ascii=False))


class _Handler(BaseHTTPRequestHandler):
    sfexpress: SfExpressServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
        form = {name: values[-1] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        server = self.sfexpress
        with server.lock:
            service = form.get("serviceCode", "")
            server.requests.append(service)
            mishap = server.mishap_of(service)
            if mishap == "dropped":
                self.close_connection = True
                return
            if mishap == "twice":
                server.answer(form)
            said = FAILURES[mishap] if mishap in ("busy", "broken") else server.answer(form)
        if mishap == "lost":
            self.close_connection = True
            return
        if mishap == "denied":
            said = inner("8177", "正值运力高峰期", None)
        if mishap == "other":
            said = inner("S0000", None, {"orderId": "another", "resStatus": 1, "routeResps": None})
        payload = b"<html>" if mishap == "strange" else json.dumps(said, ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the engine's log has the requests."""


FAILURES = {"busy": outer("A1005", "流控限制"), "broken": outer("A1009", "目标服务异常或不可达")}
