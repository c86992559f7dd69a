"""Links for customers: a page with the status of an order, for the holder of the link, readable on a phone.

Invariant: a link holds the order and its expiry, signed; nothing is stored for it. Its page shows steps, parcels and
the promised date, and no name, no address and no money. A link is revoked with the key that signed it.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape
from typing import Any, NamedTuple

from starlette.responses import Response

from oms_es.http.errors import NoResource
from oms_es.http.requests import Asked
from oms_es.http.routing import Route
from oms_es.reports import queries, single
from oms_es.reports.queries import Connection
from oms_es.store.encoding.codec import Codec
from oms_es.store.http import link_keys

SIGNED_BYTES = 16
DAYS = 90
DAYS_MAX = 400
LENGTH_MAX = 400
UNTIL = re.compile(r"[0-9]{1,12}", re.ASCII)
PER_SECOND = "http:links"
STEPS: Sequence[tuple[str, str]] = (
    ("sourcing", "Ordered"),
    ("awaiting_payment", "Being prepared"),
    ("fulfilling", "Being packed"),
    ("shipped", "On its way"),
    ("completed", "Delivered"),
)
STEP_OF: Mapping[str, int] = {
    "sourcing": 0,
    "allocating": 1,
    "backordered": 1,
    "awaiting_stock": 1,
    "awaiting_payment": 1,
    "held": 1,
    "fulfilling": 2,
    "shipped": 3,
    "completed": 4,
}
ENDED: Mapping[str, str] = {
    "cancelling": "Being cancelled",
    "cancelled": "Cancelled",
    "merged": "Sent together with another order",
}
PARCELS: Mapping[str, str] = {
    "open": "being packed",
    "held": "not sent yet",
    "dispatched": "on its way",
    "delivered": "delivered",
    "returned": "on its way back",
    "lost": "being looked for",
    "cancelled": "cancelled",
}


class Link(NamedTuple):
    """The content of a token before its signature is verified."""

    kid: str
    order_id: str
    until: int
    signature: bytes

    @property
    def signed(self) -> bytes:
        return f"{self.kid}\n{self.order_id}\n{self.until}".encode()


def token_of(key: link_keys.LinkKey, order_id: str, until: datetime) -> str:
    link = Link(key.kid, order_id, int(until.timestamp()), b"")
    return _coded(link.signed + b"\n" + _signature(key, link.signed))


def read(token: str) -> Link | None:
    """Decode the token, or return None if it is malformed."""
    if len(token) > LENGTH_MAX or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        signed, signature = raw[: -SIGNED_BYTES - 1], raw[-SIGNED_BYTES:]
        kid, order_id, until = signed.decode("ascii").split("\n")
        seconds = int(until) if UNTIL.fullmatch(until) else 0
    except ValueError:
        return None
    return Link(kid, order_id, seconds, signature)


def is_good(link: Link, key: link_keys.LinkKey | None, now: datetime) -> bool:
    """Return whether the signature is valid and the link has not expired; in constant time, also for an unknown key."""
    known = key or link_keys.LinkKey("", secrets.token_bytes(32))
    signed = hmac.compare_digest(_signature(known, link.signed), link.signature)
    return signed and key is not None and now.timestamp() < link.until


def _signature(key: link_keys.LinkKey, signed: bytes) -> bytes:
    return hmac.new(key.secret, b"oms-es link\n" + signed, sha256).digest()[:SIGNED_BYTES]


def _coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def until_in(days: int, now: datetime) -> datetime:
    return now + timedelta(days=days)


async def status_page(asked: Asked) -> Response:
    status = await _status(asked)
    return Response(_html(status), headers=HEADERS, media_type="text/html; charset=utf-8")


async def status_json(asked: Asked) -> Response:
    return asked.json(await _status(asked), headers=HEADERS)


HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
}


async def _status(asked: Asked) -> dict[str, Any]:
    """Return the status of the link's order. Raise TooMany, or NoResource with the same message for every reason."""
    asked.services.rates.take(PER_SECOND)
    link = read(asked.values["token"])

    def found(connection: Connection) -> dict[str, Any] | None:
        key = link_keys.named(connection, link.kid) if link else None
        if link is None or not is_good(link, key, datetime.now(UTC)):
            return None
        return status_of(connection, asked.services.codec, link.order_id)

    status = await asked.read(found)
    if status is None:
        raise NoResource("this link is no longer valid; ask the shop for another")
    return status


def status_of(connection: Connection, codec: Codec, order_id: str) -> dict[str, Any] | None:
    """Return what a customer sees of the order, or None if there is no such order."""
    row = queries.order(connection, order_id)
    whole = single.whole_order(connection, codec, order_id)
    if row is None or whole is None:
        return None
    phase = row["phase"]
    return {
        "order": row["external_id"],
        "placed_at": row["placed_at"],
        "phase": phase,
        "headline": ENDED.get(phase) or STEPS[STEP_OF.get(phase, 0)][1],
        "step": None if phase in ENDED else STEP_OF.get(phase, 0) + 1,
        "steps": [words for _, words in STEPS],
        "promised_at": row["promised_at"],
        "parcels": [
            {
                "status": PARCELS.get(parcel["status"], "being packed"),
                "carrier": parcel["carrier"] or None,
                "tracking_number": parcel["tracking_number"] or None,
                "items": parcel["items"],
            }
            for parcel in whole.details["parcels"]
        ],
    }


def _html(status: Mapping[str, Any]) -> str:
    step = status["step"]
    steps = "".join(
        f'<li class="{_class(number, step)}"{" aria-current=step" if number == step else ""}>{escape(words)}</li>'
        for number, words in enumerate(status["steps"], start=1)
    )
    parts = [f"<h1>{escape(status['headline'])}</h1>", f"<p>Order {escape(status['order'])}</p>"]
    parts += [f"<ol>{steps}</ol>"] if step else []
    if status["promised_at"]:
        parts.append(f"<p>Expected by <strong>{status['promised_at']:%d %B %Y}</strong></p>")
    parts += [_parcel(number, parcel) for number, parcel in enumerate(status["parcels"], start=1)]
    return PAGE.replace("{body}", "".join(parts))


def _parcel(number: int, parcel: Mapping[str, Any]) -> str:
    items = "".join(f"<li>{item['quantity']} × {escape(item['sku'])}</li>" for item in parcel["items"])
    named = (parcel["carrier"], parcel["tracking_number"])
    tracking = f"<p>{escape(' '.join(filter(None, named)))}</p>" if any(named) else ""
    return f"<section><h2>Parcel {number}: {escape(parcel['status'])}</h2>{tracking}<ul>{items}</ul></section>"


def _class(number: int, step: int | None) -> str:
    if step is None or number > step:
        return "next"
    return "now" if number == step else "done"


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<title>Your order</title><style>
:root{color-scheme:light dark;--on:#1a7f4b;--off:#8a8f98}
body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1rem;margin:0}
ol{list-style:none;padding:0;margin:1.5rem 0;display:flex;gap:.35rem}
ol li{flex:1;border-top:.3rem solid var(--off);padding-top:.4rem;font-size:.8rem;color:var(--off)}
li.done,li.now{border-color:var(--on)!important;color:inherit!important}li.now{font-weight:700}
section{border:1px solid var(--off);border-radius:.6rem;padding:1rem;margin:1rem 0}
section p,ul{margin:.25rem 0}ul{padding-left:1.2rem}
</style></head><body>{body}</body></html>"""
STATUS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "phase": {"type": "string"},
        "headline": {"type": "string"},
        "step": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "parcels": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["order", "phase", "headline", "step", "parcels"],
}
ROUTES = (
    Route(
        "GET",
        "/s/{token}",
        "customer-page",
        "The status of an order as a page for phones, for the customer who has the link.",
        None,
        status_page,
        answers={200: "The page.", 404: "The link is no longer valid."},
        tag="customers",
        media="text/html",
    ),
    Route(
        "GET",
        "/s/{token}/status.json",
        "customer-status",
        "The status of an order as JSON for apps and mini-programs, for the customer who has the link.",
        None,
        status_json,
        answers={200: "The status.", 404: "The link is no longer valid."},
        answer=STATUS,
        tag="customers",
    ),
)
