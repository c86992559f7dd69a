"""EasyPost's API on 127.0.0.1, as far as parcels need it, with answers that get lost, repeat or contradict.

Invariant: requests need the account's key; labels are served without it, since EasyPost's are on another host.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from hmac import new as hmac
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, Literal
from unicodedata import normalize
from urllib.parse import parse_qs, unquote, urlsplit

from oms_es.gateways.loopback.carriers.easypost_books import ApiError, EasyPostBooks, Thing
from oms_es.gateways.loopback.serving import serving

Mishap = Literal["", "lost", "dropped", "busy", "broken", "denied", "twice", "strange"]
"""A failure. `lost`: the request is done, and its answer does not arrive. `dropped`: the request is not done. `busy`,
`broken`: errors 429 and 500, and the request is not done. `denied`: the request is done, and the answer says that it
was refused. `twice`: the request is done twice, and the second answer arrives. `strange`: the request is done, and
another site's page arrives."""
BODY_BYTES_MAX = 1_000_000


class EasyPostServer:
    """The server. `mishap_of` returns the failure for a request, from its method and path. `label_bytes`: the smallest
    size of a label."""

    def __init__(
        self, books: EasyPostBooks, api_key: str, mishap_of: Callable[[str, str], Mishap] = lambda *_: ""
    ) -> None:
        self.books = books
        self.logins = (f"Bearer {api_key}", f"Basic {b64encode(f'{api_key}:'.encode()).decode()}")
        self.mishap_of = mishap_of
        self.lock = Lock()
        self.requests: list[str] = []
        self.address = ""
        self.label_status = 200
        self.label_bytes = 0

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve, and yield the address to use instead of EasyPost's."""
        with serving(_Handler, easypost=self) as self.address:
            yield self.address

    def report(self, number: int, secret: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the webhook for an event of the books, signed."""
        body = json.dumps(self.books.events[number]).encode()
        signature = hmac(normalize("NFKD", secret).encode(), body, sha256).hexdigest()
        return {"Content-Type": "application/json", "X-Hmac-Signature": f"hmac-sha256-hex={signature}"}, body

    def answer(self, method: str, path: str, wanted: Thing) -> tuple[int, Thing]:
        try:
            return self._done(method, path, wanted)
        except ApiError as error:
            return error.status, error.body

    def _done(self, method: str, path: str, wanted: Thing) -> tuple[int, Thing]:
        place = urlsplit(path)
        query = parse_qs(place.query)
        match method, place.path.split("/")[1:]:
            case "POST", ["v2", "shipments"]:
                return 201, self._shown(self.books.create(wanted))
            case "GET", ["v2", "shipments", name]:
                return 200, self._shown(self.books.shipment(unquote(name)))
            case "POST", ["v2", "shipments", name, "buy"]:
                return 200, self._shown(self.books.buy(unquote(name), wanted))
            case "POST", ["v2", "shipments", name, "refund"]:
                return 200, self._shown(self.books.refund(unquote(name)))
            case "GET", ["v2", "trackers"]:
                asked = query.get("tracking_code", [""])[0], query.get("carrier", [""])[0]
                return 200, self.books.trackers_of(*asked)
        raise ApiError(404, "NOT_FOUND", "The requested resource could not be found.")

    def _shown(self, shipment: Thing) -> Thing:
        """Return the shipment with the label's whole address."""
        label = shipment["postage_label"]
        whole = label and label | {"label_url": f"{self.address}{label['label_url']}"}
        return json.loads(json.dumps(shipment | {"postage_label": whole}))  # type: ignore[no-any-return] # an object


class _Handler(BaseHTTPRequestHandler):
    easypost: EasyPostServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve("GET", b"")

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
        self._serve("POST", self.rfile.read(length))

    def _serve(self, method: str, body: bytes) -> None:
        with self.easypost.lock:
            self.easypost.requests.append(f"{method} {self.path}")
            mishap = self.easypost.mishap_of(method, self.path)
            if mishap == "dropped":
                self.close_connection = True
                return
            if mishap == "twice":
                self._answered(method, body)
            status, kind, payload = (
                _as_json(MISHAPS[mishap]) if mishap in ("busy", "broken") else self._answered(method, body)
            )
        if mishap == "lost":
            self.close_connection = True
            return
        if mishap == "denied":
            status, kind, payload = _as_json(MISHAPS[mishap])
        if mishap == "strange":
            kind, payload = "text/html", b"<html>please wait</html>"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _answered(self, method: str, body: bytes) -> tuple[int, str, bytes]:
        if self.path.startswith("/labels/"):
            label = f"label {self.path}".encode().ljust(self.easypost.label_bytes)
            return self.easypost.label_status, "application/octet-stream", label
        if self.headers.get("Authorization") not in self.easypost.logins:
            return _as_json((401, ApiError(401, "UNAUTHORIZED", "The API key is wrong.").body))
        return _as_json(self.easypost.answer(method, self.path, json.loads(body) if body else {}))

    def log_message(self, *_: Any) -> None:
        """Log nothing: the engine's log has the requests."""


def _as_json(answer: tuple[int, Thing]) -> tuple[int, str, bytes]:
    return answer[0], "application/json", json.dumps(answer[1]).encode()


MISHAPS: dict[str, tuple[int, Thing]] = {
    "busy": (429, ApiError(429, "RATE_LIMITED", "Too many requests.").body),
    "broken": (500, ApiError(500, "INTERNAL_SERVER_ERROR", "Something went wrong.").body),
    "denied": (422, ApiError(422, "UNPROCESSABLE", "It cannot be done.").body),
}
