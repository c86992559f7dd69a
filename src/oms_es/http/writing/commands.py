"""Every command of the vocabulary as POST /v1/ENTITY/ID:VERB, from the same list as the verbs of the command line.

Invariant: every command that a decider accepts can be given here, after the same checks; nothing here knows what a
command means. Fields that the path names, and fields that the server sets, such as the time, are not in the body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any

import structlog
from pydantic_core import from_json, to_json
from starlette.responses import Response

from oms_es.app import DECIDERS
from oms_es.app.verbs import GIVEN_HERE, Verb, is_for_the_engine, named_as_typed, verbs
from oms_es.channels.canonical import LATER
from oms_es.http.access import PLACE, SYSTEM
from oms_es.http.errors import BadParameter
from oms_es.http.examples import body_of
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Route
from oms_es.http.writing.checks import named_order
from oms_es.http.writing.orders import OR_NONE, PREVIEW, headers_of, previewed
from oms_es.kernel import BadInput, Command, stream_fields
from oms_es.processing.committer import Work
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import CancelOrderLines, PlaceOrder
from oms_es.schemas.order.returns import RequestReturn
from oms_es.store.encoding.codec import Cause

PLURALS: Mapping[str, str] = {
    "order": "orders",
    "payment": "payments",
    "shipment": "shipments",
    "location": "locations",
    "item": "items",
    "tracker": "trackers",
    "return": "returns",
    "policy": "policies",
    "provider": "providers",
    "statement": "statements",
    "account": "accounts",
    "seller": "sellers",
    "invoice": "invoices",
}
"""Path names of groups whose command-line name is singular; the other groups keep their name."""
FAMILY_OF: Mapping[str, str] = {
    "order": "orders",
    "payment": "payments",
    "shipment": "shipments",
    "tracker": "shipments",
    "return": "returns",
    "feedback": "returns",
    "stock": "stock",
    "serials": "stock",
    "location": "catalog",
    "item": "catalog",
    "numbering": "catalog",
    "rules": "catalog",
    "rates": "catalog",
    "routes": "catalog",
    "delivery": "catalog",
    "policy": "catalog",
    "exceptions": "operations",
    "aside": "operations",
    "provider": "payments",
    "statement": "finance",
    "reconcile": "finance",
    "account": "finance",
    "seller": "finance",
    "invoice": "finance",
    "documents": "documents",
    "connections": "catalog",
    "subscriptions": "catalog",
    "report-files": "reports",
}
"""Families of scopes by group. Connecting other systems needs another scope than handling exceptions."""
OF_CHANNELS = frozenset({*LATER.values(), CancelOrderLines, RequestReturn})
"""Commands that a key of some channels may give about its orders, as in a file or on its topic; all others are for
people."""
SHORT: Mapping[str, str] = {"order_id": "order", "payment_id": "payment", "shipment_id": "shipment", "rma_id": "return"}
"""Names of id fields as variables of a path."""
LISTS_OF_ORDERS = ("order_ids",)
CALLED = "called"
"""The field with the order's external name, for an order that may still be to come: taken from the path if the body has
none."""

DIGITS_MAX = 18
"""Of a number in a path."""

log = structlog.get_logger(__name__)


async def give(verb: Verb, asked: Asked) -> Response:
    raw = await asked.json_body()
    command, channel = command_of(verb.command, asked.values, raw)
    with named_as_typed(_typed(asked.values, raw)):
        if asked.flag("preview"):
            return await previewed(asked, command, channel)
        done = await asked.services.committer.commit(_work(asked, command, channel, raw))
    events = [] if done.outcome is None else done.outcome.recorded
    shown = {
        "stream": done.stream,
        "version": done.version,
        "position": done.position,
        "events": [{"type": type(one.event).__name__, "position": one.position} for one in events],
    }
    return asked.json(shown, 200, headers_of(done))


def command_of(shape: type[Command], values: Mapping[str, str], raw: bytes) -> tuple[Command, str | None]:
    """Return the command, and the channel by which its order is named or None. Raise ValidationError or BadInput."""
    fields = _object(raw)
    named: dict[str, Any] = {
        name: _of_path(shape, name, values[SHORT.get(name, name)]) for name in stream_fields(shape)
    }
    for name in (*named, *GIVEN_HERE):
        if name in fields:
            raise BadParameter(name, "it is not in the body: the path or the server says it")
    channel = None
    if "order_id" in named:
        if "~" in named["order_id"] and CALLED in shape.model_fields:
            fields.setdefault(CALLED, named["order_id"].replace("~", "/", 1))
        named["order_id"], channel = named_order(named["order_id"])
    for name in LISTS_OF_ORDERS:
        if isinstance(orders := fields.get(name), list):
            fields[name] = [named_order(one)[0] if isinstance(one, str) else one for one in orders]
    given = {name: datetime.now(UTC) for name in GIVEN_HERE.intersection(shape.model_fields)}
    return shape.model_validate_json(to_json({**fields, **named, **given}), strict=True), channel


def _of_path(shape: type[Command], name: str, value: str) -> str | int:
    """Return a part of the path as the command takes it: a number as a number, since nothing else is read leniently."""
    is_number = shape.model_fields[name].annotation is int and value.isascii() and value.isdecimal()
    return int(value) if is_number and len(value) <= DIGITS_MAX else value


def _typed(values: Mapping[str, str], raw: bytes) -> Mapping[str, str]:
    """Return the ids of orders that were named as CHANNEL~EXTERNAL_ID, each with that name."""
    fields = _object(raw)
    listed = [one for name in LISTS_OF_ORDERS if isinstance(orders := fields.get(name), list) for one in orders]
    typed = [values.get("order"), *listed]
    return {named_order(name)[0]: name for name in typed if isinstance(name, str) and "~" in name}


def _object(raw: bytes) -> dict[str, Any]:
    try:
        fields = from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise BadInput(Input.NOT_JSON, "send one JSON object, in UTF-8; {} where nothing is to be said") from None
    if not isinstance(fields, dict):
        raise BadInput(Input.NO_OBJECT, "send one JSON object; {} where nothing is to be said")
    return fields


def _work(asked: Asked, command: Command, channel: str | None, raw: bytes) -> Work:
    checks, caller = asked.services.checks, asked.caller
    path = asked.request.scope["raw_path"]
    return Work(
        Cause(_actor(asked, command)),
        command,
        lambda: checks.of_command(caller, command, channel),
        asked.version(),
        asked.key(sha256(path + b"\n" + raw).digest()),
    )


def _actor(asked: Asked, command: Command) -> str:
    """Return the actor of the command. A command that only the engine gives is a repair by hand, and is logged."""
    if not is_for_the_engine(type(command)):
        return asked.caller.actor
    actor = f"{asked.caller.actor}, as the system"
    log.warning("given as the system", command=type(command).__name__, stream=command.stream, actor=actor)
    return actor


def path_of(verb: Verb) -> str:
    names = "".join(f"/{{{SHORT.get(name, name)}}}" for name in stream_fields(verb.command))
    return f"/v1/{PLURALS.get(verb.group, verb.group)}{names}:{verb.name}"


def scope_of(verb: Verb) -> str:
    if is_for_the_engine(verb.command):
        return SYSTEM
    return PLACE if verb.command in OF_CHANNELS else f"{FAMILY_OF[verb.group]}:write"


def routes() -> Iterator[Route]:
    for verb in verbs(DECIDERS):
        if verb.command is not PlaceOrder:
            yield Route(
                "POST",
                path_of(verb),
                f"{verb.group}-{verb.name}",
                _summary(verb.command),
                scope_of(verb),
                partial(give, verb),
                (PREVIEW,),
                Body(partial(schema_of, verb.command), partial(body_of, verb.command)),
                answers={200: "It is done, or was so already.", 409: "The domain says no, and why."},
                answer=DONE,
                tag=PLURALS.get(verb.group, verb.group),
                is_command=True,
                path_schemas=named_in_path(verb.command),
            )


def _summary(command: type[Command]) -> str:
    return " ".join((command.__dict__.get("__doc__") or command.__name__).split("\n\n")[0].split())


def named_in_path(command: type[Command]) -> Mapping[str, Mapping[str, Any]]:
    """Return the schemas of the path's variables. An order has none, since it may also be named CHANNEL~EXTERNAL_ID."""
    declared = command.model_json_schema()["properties"]
    return {SHORT.get(name, name): declared[name] for name in stream_fields(command) if "$ref" not in declared[name]}


def schema_of(command: type[Command]) -> Mapping[str, Any]:
    """Return the schema of the body, without the fields that the path or the server sets."""
    schema = closed(command.model_json_schema(ref_template="#/components/schemas/{model}"))
    apart: Sequence[str] = (*stream_fields(command), *GIVEN_HERE)
    fields = {name: part for name, part in schema.get("properties", {}).items() if name not in apart}
    required = [name for name in schema.get("required", ()) if name not in apart]
    return {**schema, "properties": fields, **({"required": required} if required else {"required": []})}


def closed(schema: Any) -> Any:
    """Return the schema with every map closed: a map whose names have a pattern allows no other names."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: closed(value) for name, value in schema.items()}
    return {**parts, "additionalProperties": False} if "patternProperties" in parts else parts


DONE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "stream": {"type": "string"},
        "version": {"type": "integer", "description": "Of the stream, as ETag has it."},
        "position": {"anyOf": OR_NONE, "description": "Of the last event; null where nothing changed."},
        "events": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["stream", "version", "position", "events"],
}
