"""Secrets and deliveries of webhooks over HTTP; connections and subscriptions have the routes of the vocabulary.

Invariant: a secret is shown in the answer that creates it, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.channels.signatures import PRIVATE_PREFIX, STANDARD_PREFIX, public_key_of
from oms_es.http.errors import NoResource
from oms_es.http.reading.tables import AFTER, LIMIT, page_of, page_schema
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Parameter, Route
from oms_es.store.http import subscriptions, webhook_secrets
from oms_es.store.http.subscriptions import Delivery
from oms_es.store.http.webhook_secrets import SECRET_LENGTH_MAX, generated

READ, WRITE = "operations:read", "catalog:write"
SETS_NOTHING_UP = "a key of some channels sets nothing up"
POSITION_MAX = 2**63 - 1
WAITING = Parameter("waiting", "Whether to list only deliveries that still wait.", {"type": "boolean"})


class NewSecret(BaseModel):
    """A new secret. `secret`: one that the sender has made; without it, one is made here and shown once."""

    model_config = ConfigDict(extra="forbid", strict=True)

    secret: (
        Annotated[str, StringConstraints(min_length=1, max_length=SECRET_LENGTH_MAX, pattern=r"^[!-~]+$")] | None
    ) = None
    kind: Literal["standard", "asymmetric", "plain"] = "standard"


PREFIXES: Mapping[str, str] = {"standard": STANDARD_PREFIX, "asymmetric": PRIVATE_PREFIX, "plain": ""}


async def keep_secret(asked: Asked) -> Response:
    asked.caller.require_all_channels(SETS_NOTHING_UP)
    wanted = NewSecret.model_validate_json(await asked.json_body())
    secret = wanted.secret or generated(PREFIXES[wanted.kind])
    secret_id = await run_in_threadpool(
        asked.services.write,
        partial(webhook_secrets.keep, secret=secret, now=datetime.now(UTC), made_by=asked.caller.actor),
    )
    made = {} if wanted.secret else {"secret": public_key_of(secret) if wanted.kind == "asymmetric" else secret}
    return asked.json({"secret_id": secret_id, **made}, 201)


async def list_deliveries(asked: Asked) -> Response:
    asked.caller.require_all_channels(SETS_NOTHING_UP)
    name, limit = asked.values["name"], asked.limit()
    before = asked.number("after", POSITION_MAX, POSITION_MAX)
    waiting = asked.flag("waiting")
    found = await asked.read(
        lambda rows: subscriptions.deliveries(rows, name, waiting=waiting, before=before, limit=limit + 1)
    )
    after = str(found[limit - 1].position) if len(found) > limit else None
    return page_of(asked, [one._asdict() for one in found[:limit]], after)


async def show_delivery(asked: Asked) -> Response:
    return asked.json((await _delivery(asked))._asdict())


async def send_again(asked: Asked) -> Response:
    """Send a delivery again under the same id, also one that was delivered."""
    await asked.json_body()
    found = await _delivery(asked)
    await run_in_threadpool(
        asked.services.write,
        lambda rows: subscriptions.send_again(rows, found.subscription, found.position, datetime.now(UTC)),
    )
    return asked.json((await _delivery(asked))._asdict())


async def _delivery(asked: Asked) -> Delivery:
    """Return the delivery that the path names. Raise NoResource or Forbidden."""
    asked.caller.require_all_channels(SETS_NOTHING_UP)
    name, text = asked.values["name"], asked.values["position"]
    is_number = text.isascii() and text.isdecimal() and len(text) <= 18  # noqa: PLR2004 - digits of a bigint
    found = await asked.read(lambda rows: subscriptions.one_delivery(rows, name, int(text))) if is_number else None
    if found is None:
        raise NoResource("the subscription has no such delivery; GET its deliveries lists them")
    return found


DELIVERY: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "subscription": {"type": "string"},
        "position": {"type": "integer", "description": "Of the log: `webhook-id` is evt_POSITION."},
        "order_id": {"type": "string"},
        "body": {"type": "string", "description": "As it is sent."},
        "attempts": {"type": "integer"},
        "due_at": {"type": "string", "format": "date-time"},
        "last_status": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "last_error": {"type": "string"},
        "delivered_at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
    },
}
SECRET: Mapping[str, Any] = {
    "type": "object",
    "properties": {"secret_id": {"type": "string"}, "secret": {"type": "string"}},
    "required": ["secret_id"],
}
ONE = "/v1/subscriptions/{name}/deliveries/{position}"
FOUND = {200: "It is this.", 404: "There is none."}
ROUTES: Sequence[Route] = (
    Route(
        "POST",
        "/v1/webhook-secrets",
        "keep-webhook-secret",
        "Store a secret that signs webhooks, or make one, which only this answer shows. Other requests "
        "name it by its id.",
        WRITE,
        keep_secret,
        (),
        Body(NewSecret.model_json_schema, lambda: {"kind": "standard"}),
        answers={201: "It is kept."},
        answer=SECRET,
        tag="webhooks",
    ),
    Route(
        "GET",
        "/v1/subscriptions/{name}/deliveries",
        "list-deliveries",
        "Deliveries to a subscription, sent and waiting, the newest first.",
        READ,
        list_deliveries,
        (WAITING, LIMIT, AFTER),
        answer=page_schema(DELIVERY),
        tag="webhooks",
    ),
    Route(
        "GET",
        ONE,
        "get-delivery",
        "One delivery to a subscription.",
        READ,
        show_delivery,
        answers=FOUND,
        answer=DELIVERY,
        tag="webhooks",
    ),
    Route(
        "POST",
        f"{ONE}:send-again",
        "send-delivery-again",
        "Send a delivery again under the same id, also one that was delivered.",
        WRITE,
        send_again,
        (),
        Body(lambda: {"type": "object", "maxProperties": 0}, dict),
        answers={200: "It is due.", 404: "There is none."},
        answer=DELIVERY,
        tag="webhooks",
    ),
)
