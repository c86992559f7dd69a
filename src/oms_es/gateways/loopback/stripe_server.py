"""Stripe's API on 127.0.0.1, as far as payments need it, with answers that get lost.

Invariant: the same idempotency key gets the same answer, whatever was lost; with other parameters it is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from hmac import new as hmac
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from oms_es.gateways.loopback.serving import serving
from oms_es.gateways.loopback.stripe_books import PAGE_MAX, ApiError, StripeBooks, Thing, invalid

Mishap = Literal["", "lost", "dropped", "busy", "broken"]
"""A failure. `lost`: the request is done, and its answer does not arrive. `dropped`: the request is not done. The
others are errors 429 and 500."""

BODY_BYTES_MAX = 1_000_000
PART = re.compile(r"[^\[\]]+")
QUERY = re.compile(r"metadata\['((?:[^'\\]|\\.)*)'\]:'((?:[^'\\]|\\.)*)'")
WHOLE = re.compile(r"-?\d{1,18}")


class StripeServer:
    """The server. `mishap_of` returns the failure for a request, from its method, path and number."""

    def __init__(
        self, books: StripeBooks, api_key: str, mishap_of: Callable[[str, str, int], Mishap] = lambda *_: ""
    ) -> None:
        self.books = books
        self.api_key = api_key
        self.mishap_of = mishap_of
        self.lock = Lock()
        self.requests = 0
        self.answered: dict[str, tuple[str, int, Thing]] = {}

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve, and yield the address to use instead of Stripe's."""
        with serving(_Handler, stripe=self) as address:
            yield address

    def answer(self, method: str, path: str, wanted: Thing, key: str | None) -> tuple[int, Thing]:
        if method == "GET" or key is None:
            return self._done(method, path, wanted)
        said = json.dumps([method, path, wanted], sort_keys=True)
        if key in self.answered:
            first, status, body = self.answered[key]
            if first != said:
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                )
                return 400, ApiError(400, "idempotency_error", message).body
            return status, body
        status, body = self._done(method, path, wanted)
        self.answered[key] = (said, status, json.loads(json.dumps(body)))
        return status, body

    def report(self, number: int, secret: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the webhook for an event of the books, signed."""
        body, seconds = json.dumps(self.books.events[number]).encode(), self.books.clock()
        signature = hmac(secret.encode(), f"{seconds}.".encode() + body, sha256).hexdigest()
        return {"Content-Type": "application/json", "Stripe-Signature": f"t={seconds},v1={signature}"}, body

    def forget_keys(self) -> None:
        """Forget all idempotency keys, as Stripe does after a day."""
        self.answered.clear()

    def _done(self, method: str, path: str, wanted: Thing) -> tuple[int, Thing]:
        try:
            return 200, self._expanded(self._routed(method, path, wanted), wanted.pop("expand", ()))
        except ApiError as error:
            return error.status, error.body

    def _routed(self, method: str, path: str, wanted: Thing) -> Thing:
        match (method, *path.strip("/").split("/")[1:]):
            case "POST", "payment_intents":
                return self.books.create(wanted)
            case "GET", "payment_intents", "search":
                found = QUERY.fullmatch(wanted["query"])
                if not found:
                    raise invalid("This query is not understood here.", param="query")
                return _listed([*self.books.search(*map(_plain, found.groups()))], "search_result")
            case "GET", "payment_intents", name:
                return self.books.intent(name)
            case "POST", "payment_intents", name:
                return self.books.update(name, wanted)
            case "POST", "payment_intents", name, "capture":
                return self.books.capture(name, wanted)
            case "POST", "payment_intents", name, "cancel":
                return self.books.cancel(name, wanted)
            case "POST", "refunds":
                return self.books.refund(wanted)
            case "GET", "refunds":
                return self._refunds(wanted)
        raise ApiError(404, "invalid_request_error", f"Unrecognized request URL ({method}: {path}).")

    def _refunds(self, wanted: Thing) -> Thing:
        every = [refund["id"] for refund in self.books.refunds_of(wanted["payment_intent"])]
        after = wanted.get("starting_after")
        rest = every[every.index(after) + 1 :] if after else every
        page = rest[: wanted.get("limit", 10)]
        return _listed([self.books.refunds[name] for name in page], "list", has_more=len(rest) > len(page))

    def _expanded(self, thing: Thing, fields: Any) -> Thing:
        if not any(field.endswith("latest_charge") for field in fields):
            return thing
        if "data" in thing:
            return thing | {"data": [self._with_charge(intent) for intent in thing["data"]]}
        return self._with_charge(thing)

    def _with_charge(self, intent: Thing) -> Thing:
        return intent | {"latest_charge": self.books.charges.get(intent["latest_charge"] or "")}


def _listed(things: list[Thing], kind: str, *, has_more: bool = False) -> Thing:
    return {"object": kind, "data": things[:PAGE_MAX], "has_more": has_more, "url": "/v1"}


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)


def nested(pairs: list[tuple[str, str]]) -> Thing:
    """Return form fields as nested maps: `a[b][0]=1` as {"a": {"b": ["1"]}}; numbers and booleans are converted outside
    of metadata."""
    root: Thing = {}
    for name, text in pairs:
        *folders, last = PART.findall(name)
        inside = root
        for folder in folders:
            inside = inside.setdefault(folder, {})
        inside[last] = text if "metadata" in folders else _value(text)
    return {name: list(value.values()) if name == "expand" else value for name, value in root.items()}


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if WHOLE.fullmatch(text) else text


class _Handler(BaseHTTPRequestHandler):
    stripe: StripeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve("GET", parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
        self._serve("POST", parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))

    def _serve(self, method: str, pairs: list[tuple[str, str]]) -> None:
        path = urlsplit(self.path).path
        with self.stripe.lock:
            self.stripe.requests += 1
            mishap = self.stripe.mishap_of(method, path, self.stripe.requests)
            if mishap == "dropped":
                self.close_connection = True
                return
            status, body = MISHAPS.get(mishap) or self._answered(method, path, pairs)
            payload = json.dumps(body).encode()
        if mishap == "lost":
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("Request-Id", f"req_{self.stripe.requests}")
        self.end_headers()
        self.wfile.write(payload)

    def _answered(self, method: str, path: str, pairs: list[tuple[str, str]]) -> tuple[int, Thing]:
        if self.headers.get("Authorization") != f"Bearer {self.stripe.api_key}":
            return 401, ApiError(401, "invalid_request_error", "Invalid API Key provided.").body
        return self.stripe.answer(method, path, nested(pairs), self.headers.get("Idempotency-Key"))

    def log_message(self, *_: Any) -> None:
        """Log nothing: the engine's log has the requests."""


MISHAPS: dict[str, tuple[int, Thing]] = {
    "busy": (429, ApiError(429, "invalid_request_error", "Too many requests.", code="rate_limit").body),
    "broken": (500, ApiError(500, "api_error", "An unknown error occurred.").body),
}
