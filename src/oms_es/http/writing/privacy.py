"""Forgetting people over HTTP: by an order or by a customer, always with every order that has a copy of their data.

Invariant: a key needs all channels, since the orders of a person may be of any. What is recorded here is erased by the
engine, which finishes it as it does whatever was asked; an export is noted in the access log before it is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from oms_es.app.engine import Runtime
from oms_es.app.privacy import erasing, exporting, family, holding
from oms_es.http.access import PERSONAL
from oms_es.http.errors import NoResource
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Route
from oms_es.http.writing.checks import named_order
from oms_es.kernel import Recorded, Refused
from oms_es.reports.order_list import Customer
from oms_es.reports.queries import Connection
from oms_es.schemas.order.forgetting import ForgetReason, LegalHoldReason
from oms_es.schemas.refusals import SharedRefusal
from oms_es.schemas.values.types import Identifier
from oms_es.store.privacy.subject_keys import KEYS

READ, WRITE = "privacy:read", "privacy:write"
READS = ("forgotten_orders", "legal_holds", "order_status", "order_recipients")
FOR_ALL = "the orders of a person are of every channel"
SHOWN = f"""
SELECT s.order_id, s.channel, s.external_id, s.phase, k.wrapped IS NOT NULL AS has_key,
    f.forgotten_at, f.forgotten_by, f.reason, f.case_id,
    ARRAY(SELECT h.case_id FROM legal_holds AS h WHERE h.order_id = s.order_id AND h.lifted_at IS NULL ORDER BY 1)
        AS held_by
FROM order_status AS s LEFT JOIN {KEYS} AS k ON k.subject = s.order_id LEFT JOIN forgotten_orders AS f USING (order_id)
WHERE s.order_id = ANY(%s) ORDER BY array_position(%s, s.order_id)
"""


class Meant(BaseModel):
    """What is asked of the orders that hang together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    order_ids: Annotated[list[Identifier], Field(max_length=family.ORDERS_MAX)] | None = None
    """The orders that were shown, by their ids. Where others hang together now, nothing is done."""


class Forgetting(Meant):
    reason: ForgetReason
    """Why: `request`, `objection`, `retention` or `order_of_authority`."""
    case_id: Identifier | None = None
    """The case under which the request is on file, with who asked: nothing of the person is stored here."""


class Holding(Meant):
    case_id: Identifier
    """The case that needs the orders; it holds an order once."""
    reason: LegalHoldReason
    """Why."""


class Releasing(Meant):
    case_id: Identifier
    """The case of the hold."""


async def _whose(asked: Asked, shown: Collection[str] | None = None) -> list[str]:
    """Return the ids of the orders that the path means. Raise Forbidden, NotFound, TooManyOrders, or Refused if these
    are not those that were shown."""
    asked.caller.require_all_channels(FOR_ALL)
    order, named = asked.values.get("order"), asked.values.get("customer")
    try:
        customer = None if named is None else Customer.read(named)
    except ValueError:
        raise NoResource("no order names such a customer; name one as CHANNEL~ID") from None
    order_id = None if order is None else named_order(order)[0]
    orders = await asked.read(lambda connection: family.meant(connection, order_id, customer))
    if shown is not None and set(shown) != set(orders):
        raise Refused(
            SharedRefusal.VERSION_CHANGED,
            f"{len(set(orders) ^ set(shown))} orders hang together with these now, or no longer; look again",
        )
    return orders


async def show(asked: Asked) -> Response:
    orders = await _whose(asked)
    rows = await asked.read(lambda connection: connection.execute(SHOWN.encode(), [orders, orders]).fetchall())
    return asked.json({"orders": rows})


async def forget(asked: Asked) -> Response:
    body = Forgetting.model_validate_json(await asked.json_body())
    orders = await _whose(asked, body.order_ids)
    await asked.read(lambda connection: erasing.require_encrypted(connection, orders))
    return await _recorded(asked, orders, partial(_ask, reason=body.reason, case_id=body.case_id), 202)


def _ask(
    runtime: Runtime, actor: str, orders: Sequence[str], reason: ForgetReason, case_id: str | None
) -> tuple[Sequence[str], Sequence[Recorded]]:
    return orders, erasing.ask(runtime, actor, orders, reason, case_id)


async def hold(asked: Asked) -> Response:
    body = Holding.model_validate_json(await asked.json_body())
    orders = await _whose(asked, body.order_ids)
    return await _recorded(asked, orders, partial(holding.hold, case_id=body.case_id, reason=body.reason))


async def release(asked: Asked) -> Response:
    body = Releasing.model_validate_json(await asked.json_body())
    orders = await _whose(asked, body.order_ids)
    return await _recorded(asked, orders, partial(holding.release, case_id=body.case_id))


async def _recorded(
    asked: Asked,
    orders: Sequence[str],
    do: Callable[..., tuple[Sequence[str], Sequence[Recorded]]],
    status: int = 200,
) -> Response:
    """Append for all orders that it concerns or for none, in the store's thread."""
    services = asked.services
    done, events = await services.committer.ask(partial(do, services.parts, asked.caller.actor, orders))
    position = max((one.position for one in events), default=None)
    return asked.json({"orders": done, "position": position}, status)


async def export(asked: Asked) -> Response:
    """Answer with everything that is kept of the person. Raise Forbidden without the scope of personal data."""
    asked.caller.require(PERSONAL)
    orders = await _whose(asked)
    for subject in (asked.values["customer"],) if "customer" in asked.values else orders:
        await asked.note_personal(subject)
    return asked.json(await asked.read(partial(_exported, orders)))


def _exported(orders: Sequence[str], connection: Connection) -> Mapping[str, Any]:
    return exporting.exported(connection, orders, datetime.now(UTC))


TEXT: Mapping[str, Any] = {"type": "string"}
OR_NONE: Mapping[str, Any] = {"anyOf": [TEXT, {"type": "null"}]}
ROW: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("order_id", "channel", "external_id", "phase"), TEXT),
        "has_key": {"type": "boolean", "description": "Whether what is personal in its events can be read."},
        **dict.fromkeys(("forgotten_at", "forgotten_by", "reason", "case_id"), OR_NONE),
        "held_by": {"type": "array", "items": TEXT, "description": "Cases that keep it from being forgotten."},
    },
    "required": ["order_id", "channel", "external_id", "phase", "has_key", "held_by"],
}
FOUND: Mapping[str, Any] = {
    "type": "object",
    "properties": {"orders": {"type": "array", "items": ROW}},
    "required": ["orders"],
}
DONE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "orders": {
            "type": "array",
            "items": TEXT,
            "description": "Their ids: keep these of `:forget`, as the customer is not known here afterwards.",
        },
        "position": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "Null where nothing changed."},
    },
    "required": ["orders", "position"],
}
NO_SUCH = {404: "There is no such order, or no order names the customer, as after their orders were forgotten."}
NOT_THESE = {412: "Other orders than `order_ids` hang together now; look again."}


class Verb(NamedTuple):
    """`says`: the summary, with what is meant in place of {}."""

    name: str
    says: str
    handler: Callable[[Asked], Awaitable[Response]]
    shape: type[BaseModel]
    example: Mapping[str, Any]
    answers: Mapping[int, str]


SAYS_NO = "All of them stay as they are: an order has not ended, or a case holds it."
VERBS = (
    Verb(
        *("forget", "Forget the person of {}, for ever, with every order that belongs with it.", forget, Forgetting),
        {"reason": "request", "case_id": "dsr-2026-17"},
        {202: "It is recorded; the engine erases it within minutes.", 409: SAYS_NO, **NO_SUCH, **NOT_THESE},
    ),
    Verb(
        *("hold", "Keep {} from being forgotten, as long as a case needs it.", hold, Holding),
        {"case_id": "court-7", "reason": "dispute"},
        {
            200: "It is held.",
            409: "All of them were forgotten, or the case held one of them before.",
            **NO_SUCH,
            **NOT_THESE,
        },
    ),
    Verb(
        *("release", "End a case's hold of {}.", release, Releasing),
        {"case_id": "court-7"},
        {200: "It is released.", 409: "The case holds none of them.", **NO_SUCH, **NOT_THESE},
    ),
)
SUBJECTS = {"order": ("orders", "an order"), "customer": ("customers", "all orders of a customer (CHANNEL~ID)")}


def routes() -> Iterator[Route]:
    for name, (plural, what) in SUBJECTS.items():
        path = f"/v1/privacy/{plural}/{{{name}}}"
        summary = f"The orders that are forgotten together with {what}, and what holds them."
        yield Route(
            *("GET", path, f"show-privacy-{name}", summary, READ, show),
            reads=READS,
            answers={200: "They are these.", **NO_SUCH},
            answer=FOUND,
            tag="privacy",
        )
        yield Route(
            *("GET", f"{path}/export", f"export-{name}-person", f"Everything that is kept of the person of {what}."),
            *(WRITE, export),
            answers={200: "It is this.", **NO_SUCH},
            tag="privacy",
        )
        for verb in VERBS:
            yield Route(
                *("POST", f"{path}:{verb.name}", f"{verb.name}-{name}-person", verb.says.format(what), WRITE),
                verb.handler,
                (),
                Body(verb.shape.model_json_schema, partial(dict, verb.example)),
                answers=verb.answers,
                answer=DONE,
                tag="privacy",
            )
