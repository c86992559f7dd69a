"""Orders over HTTP: one, or many with an outcome for each.

Invariant: 201 and 200 are sent after the order is durable. The same order sent again gets 200. Sent again with other
content it gets 409 and becomes an exception for a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json
from starlette.responses import Response

from oms_es.aggregates.order.placement import is_known_otherwise
from oms_es.app.verbs import changed
from oms_es.channels import canonical
from oms_es.errors import OtherContent
from oms_es.http.access import PLACE
from oms_es.http.errors import BadParameter
from oms_es.http.examples import ORDER
from oms_es.http.problems import problem
from oms_es.http.requests import JSON, Asked
from oms_es.http.routing import Body, Parameter, Route
from oms_es.kernel import BadInput
from oms_es.processing.committer import Answer, Done, Work
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import OrderPlaced, PlaceOrder
from oms_es.schemas.sent import check_sent
from oms_es.store.encoding.codec import Cause
from oms_es.store.outcomes import OtherVersion

BATCH_MAX = 250
BATCH_BYTES_MAX = 4_000_000
LINES = "application/x-ndjson"
NAMED = ("order_id", "channel", "external_id")
PREVIEW = Parameter("preview", "Only say what would happen, and change nothing.", {"type": "boolean"})


async def place(asked: Asked) -> Response:
    raw = await asked.body(JSON)
    order = _read(raw)
    if asked.flag("preview"):
        return await previewed(asked, order)
    done = await asked.services.committer.commit(_work(asked, order, raw))
    status, shown = _outcome(order, done)
    return asked.json(shown, status, headers_of(done) | {"Location": f"/v1/orders/{order.order_id}"})


async def place_many(asked: Asked) -> Response:
    raw = await asked.body(JSON, LINES, bytes_max=BATCH_BYTES_MAX)
    items = list(_items(raw, are_lines=(asked.header("content-type") or "").lower().startswith(LINES)))
    works: list[Work | Exception] = [_work_of(asked, item) for item in items]
    asked_of = [work for work in works if isinstance(work, Work)]
    answers = iter(await asked.services.committer.commit_all(asked_of))
    results = [
        _result(asked, work.command, next(answers)) if isinstance(work, Work) else _refusal(asked, work)
        for work in works
    ]
    return asked.json({"results": results}, 207)


async def previewed(asked: Asked, command: Any, channel: str | None = None) -> Response:
    """Answer with the events and the changes of state that the command would result in; nothing is changed.

    Raise OtherVersion or Malformed.
    """
    services = asked.services
    wanted = asked.version()
    asked.key(b"")

    def look() -> tuple[Any, list[Any], Any, int]:
        _check(asked, command, channel)
        (given,) = services.parts.screen([command])
        if isinstance(given, BadInput):
            raise given
        before, events, after = services.parts.store.preview(command)
        version = services.parts.store.state_of(command.stream)[1]
        if wanted not in (None, version):
            raise OtherVersion(wanted, version)
        return before, events, after, version

    before, events, after, version = await services.committer.ask(look)
    listed = [{"type": type(event).__name__, "data": event.model_dump(mode="json")} for event in events]
    differences = {name: {"from": old, "to": new} for name, (old, new) in changed(before, after).items()}
    order = {name: getattr(command, name) for name in NAMED} if isinstance(command, PlaceOrder) else {}
    shown = {"stream": command.stream, "version": version, "position": None, "events": listed, "changed": differences}
    return asked.json({**order, **shown})


def headers_of(done: Done) -> dict[str, str]:
    position = {} if done.position is None else {"Oms-Position": str(done.position)}
    return {"ETag": f'"{done.version}"', **position}


def _check(asked: Asked, command: Any, channel: str | None) -> None:
    if isinstance(command, PlaceOrder):
        asked.services.checks.of_order(asked.caller, command)
    else:
        asked.services.checks.of_command(asked.caller, command, channel)


def _read(raw: bytes) -> PlaceOrder:
    order = canonical.parse(raw)
    if not isinstance(order, PlaceOrder):
        raise BadInput(Input.UNKNOWN_TYPE, "only orders are placed here; send what comes after one to its own path")
    return order


def _work(asked: Asked, order: PlaceOrder, raw: bytes) -> Work:
    checks, caller = asked.services.checks, asked.caller
    return Work(
        Cause(caller.actor),
        order,
        lambda: checks.of_order(caller, order),
        asked.version(),
        asked.key(sha256(b"orders\n" + raw).digest()),
    )


def _work_of(asked: Asked, item: bytes) -> Work | Exception:
    try:
        return _work(asked, _read(item), item)._replace(version=None, key=None)
    except BadInput as error:
        return error


def _items(raw: bytes, *, are_lines: bool) -> Iterator[bytes]:
    """Yield the bytes of each order. Raise BadInput or BadParameter."""
    if are_lines:
        items: Sequence[bytes] = [line for line in raw.splitlines() if line.strip()]
    else:
        check_sent(raw)
        try:
            found = from_json(raw, allow_inf_nan=False)
        except ValueError:
            raise BadInput(Input.NOT_JSON, "send an array of orders, or one order a line as " + LINES) from None
        if not isinstance(found, list):
            raise BadInput(Input.NO_ARRAY, "send an array of orders")
        items = [to_json(one) for one in found]
    if not 0 < len(items) <= BATCH_MAX:
        raise BadParameter("body", f"send 1 to {BATCH_MAX} orders at a time")
    yield from items


def _outcome(order: PlaceOrder, done: Done) -> tuple[int, dict[str, Any]]:
    """Return the status code and the answer for one order. Raise OtherContent."""
    shown = {
        "order_id": order.order_id,
        "channel": order.channel,
        "external_id": order.external_id,
        "version": done.version,
        "position": done.position,
    }
    if done.outcome is None:
        return 200, shown
    if any(isinstance(one.event, OrderPlaced) for one in done.outcome.recorded):
        return 201, shown
    if is_known_otherwise(done.outcome.state, order):
        raise OtherContent(
            f"order {order.external_id} is known with other content; amend it with POST "
            f"/v1/orders/{order.order_id}:amend, or settle its exception"
        )
    return 200, shown


def _result(asked: Asked, command: Any, answer: Answer) -> Mapping[str, Any]:
    if isinstance(answer, Exception):
        return _refusal(asked, answer)
    try:
        status, shown = _outcome(command, answer)
    except OtherContent as error:
        return _refusal(asked, error)
    return {"status": status, **shown}


def _refusal(asked: Asked, error: Exception) -> Mapping[str, Any]:
    document = problem(error, asked.request_id)
    return {"status": document["status"], "problem": document}


def _order_schema() -> Mapping[str, Any]:
    return PlaceOrder.model_json_schema(ref_template="#/components/schemas/{model}")


def _orders_schema() -> Mapping[str, Any]:
    order = dict(_order_schema())
    shapes = order.pop("$defs", {})
    return {"type": "array", "items": order, "minItems": 1, "maxItems": BATCH_MAX, "$defs": shapes}


OR_NONE: Sequence[Mapping[str, str]] = ({"type": "integer"}, {"type": "null"})
ACCEPTED: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string"},
        "channel": {"type": "string"},
        "external_id": {"type": "string"},
        "version": {"type": "integer", "description": "Of the order's stream, as ETag has it."},
        "position": {
            "anyOf": OR_NONE,
            "description": "Of the last event; null where nothing changed.",
        },
    },
    "required": ["order_id", "channel", "external_id", "version", "position"],
}
ROUTES = (
    Route(
        "POST",
        "/v1/orders",
        "place-order",
        "Place an order. The answer comes once the order is durable; the same order sent again changes nothing.",
        PLACE,
        place,
        (PREVIEW,),
        Body(_order_schema, lambda: ORDER),
        answers={
            200: "It was placed before, with the same content.",
            201: "It is placed.",
            409: "It is known with other content, or refused.",
        },
        answer=ACCEPTED,
        tag="orders",
        is_command=True,
    ),
    Route(
        "POST",
        "/v1/orders:batch",
        "place-orders",
        f"Place up to {BATCH_MAX} orders, as an array or one a line, each by itself: an outcome for each, in order.",
        PLACE,
        place_many,
        (),
        Body(_orders_schema, lambda: [ORDER], (JSON, LINES)),
        answers={207: "An outcome for each, in their order."},
        answer={
            "type": "object",
            "properties": {
                "results": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"status": {"type": "integer"}}, "required": ["status"]},
                }
            },
            "required": ["results"],
        },
        tag="orders",
        is_command=True,
    ),
)
