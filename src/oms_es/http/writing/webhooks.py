"""Incoming webhooks: verified on the raw bytes, then parsed like files, then committed.

Invariant: nothing is kept of an unsigned request, and no sender can learn which connections exist. A signed request
that cannot be used becomes a dead letter and is answered 202, since its sender would otherwise retry for ever or
disable the webhook. Only an outage is answered 503, so that the sender tries again. A repeated request changes nothing:
every command recognises its repeat. For providers whose reports are decrypted with their own keys, a report that cannot
be decided yet is answered 503, too; and each provider gets the answer that it expects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from operator import attrgetter
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.aggregates.operations.connection import Connection, decider
from oms_es.app import parser_of
from oms_es.channels.senders import SENDERS
from oms_es.channels.signatures import VERIFIERS, BadSignature, Headers
from oms_es.gateways.notices import ADDRESS, CannotDecide, Forged, NotForUs
from oms_es.http.requests import JSON, Asked
from oms_es.http.routing import Body, Parameter, Route
from oms_es.http.services import Services
from oms_es.processing.intake.webhooks import Webhook, keep
from oms_es.reports.queries import Connection as Rows
from oms_es.schemas.values.webhooks import PARTY_PATTERN
from oms_es.store.http import webhook_secrets
from oms_es.store.recorder import EVENTS, event_row

BYTES_MAX = 2_000_000
OPENED = frozenset({"wechatpay", "alipay", "kuaidi100", "sfexpress"})
"""Dialects whose reports are verified or decrypted with the provider's settings, and not with a secret alone."""
FORM = "application/x-www-form-urlencoded"
TEXT = "text/plain"
PING = re.compile(rb"webhook_id=[0-9]{1,19}", re.ASCII)
"""What WooCommerce sends unsigned when a webhook is saved: it must be answered 200, and holds nothing worth keeping."""
PARTY = re.compile(PARTY_PATTERN.removesuffix("$"), re.ASCII)
KEPT_HEADERS = frozenset(
    {"x-shopify-topic", "x-shopify-webhook-id", "x-shopify-event-id", "x-shopify-shop-domain", "x-shopify-api-version"}
    | {"shopify-topic", "shopify-webhook-id", "x-wc-webhook-topic", "x-wc-webhook-source", "x-wc-webhook-delivery-id"}
    | {"webhook-id", "webhook-timestamp", "content-type", "user-agent"}
)
"""Headers that are kept with a dead letter; never a signature or a key."""

log = structlog.get_logger(__name__)


async def receive(asked: Asked) -> Response:
    body = await asked.body(JSON, FORM, TEXT, bytes_max=BYTES_MAX)
    name = asked.values["connection"]
    connection, good = await asked.read(partial(_known, asked.services, name))
    headers = _headers(asked)
    if _is_ping(connection, headers, body):
        return _answered(asked, 200, "pong")
    if connection.dialect in OPENED:
        return await _opened(asked, connection, good, headers, body)
    _verify(connection, good, headers, body)
    return await _taken(asked, connection, headers, body)


async def _opened(asked: Asked, connection: Connection, good: Sequence[str], headers: Headers, body: bytes) -> Response:
    """Verify and process a report of a provider whose keys may have to be fetched first. Raise BadSignature, also if
    this server has no such provider."""
    opener = asked.services.openers.get(connection.dialect)
    if opener is None or connection.is_disabled:
        raise BadSignature
    try:
        sent = [*headers, (ADDRESS, f"{asked.request.url.path}?{asked.request.url.query}")]
        contents = await run_in_threadpool(opener.open, sent, body, good, datetime.now(UTC).timestamp())
        answers = [await _taken(asked, connection, headers, content) for content in contents]
        answer, why = max(answers, key=attrgetter("status_code")), ""
    except Forged as error:
        log.warning("refused", connection=connection.name, why=str(error))
        answer, why = _answered(asked, 401, "forged"), "the signature is not valid"
    except CannotDecide as error:
        log.warning("cannot be verified yet", connection=connection.name, why=str(error))
        answer, why = _answered(asked, 503, "unknown"), "send it again"
    except NotForUs as error:
        log.warning("not for us", connection=connection.name, why=str(error))
        answer, why = _answered(asked, 403, "not ours"), "not of this merchant"
    taken = answer.status_code < HTTPStatus.BAD_REQUEST
    said = opener.answer(taken=taken, why=why)
    return Response(said.body, 200 if taken else answer.status_code, media_type=said.media_type)


async def _taken(asked: Asked, connection: Connection, headers: Headers, body: bytes) -> Response:
    dialect = SENDERS[connection.dialect].dialect_of(headers, connection.channel)
    if dialect is None:
        return _answered(asked, 202, "ignored")
    kept = [(one, value.encode("latin-1")) for one, value in headers if one in KEPT_HEADERS]
    webhook = Webhook(f"webhook:{connection.name}", asked.request_id, dialect, body, kept)
    committer = asked.services.committer
    try:
        done = await committer.commit(webhook.work(parser_of(dialect)))
    except Exception as error:  # noqa: BLE001 - whatever a message does to us, its sender is not to be asked again
        dead_letter = webhook.dead_letter(error)
        if dead_letter is None:
            return _answered(asked, 200, "ignored")
        await committer.ask(partial(keep, asked.services.parts.recorder, dead_letter))
        return _answered(asked, 202, "kept")
    return _answered(asked, 200, "taken" if done.position is not None else "repeated")


def _headers(asked: Asked) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in asked.request.headers.raw]


def _known(services: Services, name: str, rows: Rows) -> tuple[Connection, Sequence[str]]:
    """Return the connection and its valid secrets, read from the log, so that a connection is refused as soon as it is
    disabled."""
    state = decider.initial
    if PARTY.fullmatch(name):
        query = f"SELECT * FROM {EVENTS} WHERE originator_id = %s ORDER BY originator_version"
        for row in rows.execute(query.encode(), [f"connection-{name}"]):
            state = decider.evolve(state, services.codec.decode(event_row(row)).event)
    return state, webhook_secrets.good_at(rows, datetime.now(UTC), state) if state.name else ()


def _is_ping(connection: Connection, headers: Headers, body: bytes) -> bool:
    is_signed = any(name == "x-wc-webhook-signature" for name, _ in headers)
    return connection.dialect == "woocommerce" and not is_signed and PING.fullmatch(body) is not None


def _verify(connection: Connection, good: Sequence[str], headers: Headers, body: bytes) -> None:
    """Verify the request's signature. Raise BadSignature, also if there is no such connection."""
    if not connection.name or connection.is_disabled:
        raise BadSignature
    VERIFIERS[connection.dialect](headers, body, good, datetime.now(UTC).timestamp())


def _answered(asked: Asked, status: int, outcome: str) -> Response:
    return asked.json({"outcome": outcome}, status)


def _any_object() -> Mapping[str, Any]:
    return {"type": "object", "description": "As its sender has it."}


ROUTES: Sequence[Route] = (
    Route(
        "POST",
        "/v1/webhooks/{connection}",
        "receive-webhook",
        "Receive a webhook of a shop, a provider or a carrier, signed with a secret of the connection. It "
        "needs no key.",
        None,
        receive,
        (Parameter("key", "A secret of the connection, for senders that do not sign: SF Express alone."),),
        Body(_any_object, dict, (JSON, FORM, TEXT)),
        answers={
            200: "It is taken, or was before, or says nothing of what is kept here.",
            202: "It is signed, and kept as a dead letter, or of a topic that is not read here.",
            401: "It is not signed with a secret of the connection, or too long ago; nothing is kept.",
            403: "It is of another merchant or app; nothing is kept.",
            503: "It cannot be verified yet, or nothing could be kept: send it again.",
        },
        answer={
            "type": "object",
            "properties": {"outcome": {"enum": ["taken", "repeated", "ignored", "kept", "pong"]}},
            "required": ["outcome"],
        },
        tag="webhooks",
    ),
)
