"""Forgetting people over HTTP: by an order, by a customer or by an account, always with every order that has a copy of
their data.

Invariant: a key needs all channels, since the orders of a person may be of any. What is recorded here is erased by the
engine, which finishes it as it does whatever was asked; an export is noted in the access log before it is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
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
from oms_es.store.privacy.subjects import ACCOUNT

READ, WRITE = "privacy:read", "privacy:write"
READS = ("forgotten_orders", "forgotten_accounts", "legal_holds", "order_status", "order_recipients", "accounts")
FOR_ALL = "the orders of a person are of every channel"
SHOWN = f"""
SELECT s.order_id, s.channel, s.external_id, s.phase, k.wrapped IS NOT NULL AS has_key,
    f.forgotten_at, f.forgotten_by, f.reason, f.case_id,
    ARRAY(SELECT h.case_id FROM legal_holds AS h WHERE h.order_id = s.order_id AND h.lifted_at IS NULL ORDER BY 1)
        AS held_by
FROM order_status AS s LEFT JOIN {KEYS} AS k ON k.subject = s.order_id LEFT JOIN forgotten_orders AS f USING (order_id)
WHERE s.order_id = ANY(%s) ORDER BY array_position(%s, s.order_id)
"""
SHOWN_ACCOUNTS = f"""
SELECT a.account_id, a.channel, a.currency, a.balance_minor, a.held_minor, k.wrapped IS NOT NULL AS has_key,
    f.forgotten_at, f.forgotten_by, f.reason, f.case_id, a.held_by
FROM accounts AS a LEFT JOIN {KEYS} AS k ON k.subject = '{ACCOUNT}' || a.account_id
LEFT JOIN forgotten_accounts AS f USING (account_id) WHERE a.account_id = ANY(%s) ORDER BY a.account_id
"""


class Meant(BaseModel):
    """What is asked of the orders that hang together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    order_ids: Annotated[list[Identifier], Field(max_length=family.ORDERS_MAX)] | None = None
    """The orders that were shown, by their ids. Where others hang together now, nothing is done."""
    account_ids: Annotated[list[Identifier], Field(max_length=family.ORDERS_MAX)] | None = None
    """The accounts that were shown, by their ids. Where the person has others now, nothing is done."""

    def are(self, subjects: Sequence[str]) -> bool:
        """Return whether what was shown, if that is said, is what belongs together now; a list that is left out beside
        the other is empty."""
        orders, accounts = _apart(subjects)
        if self.order_ids is None and self.account_ids is None:
            return True
        return set(self.order_ids or ()) == set(orders) and set(self.account_ids or ()) == set(accounts)


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


def _apart(subjects: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the ids of the orders, and those of the accounts."""
    accounts = [one.removeprefix(ACCOUNT) for one in subjects if one.startswith(ACCOUNT)]
    return [one for one in subjects if not one.startswith(ACCOUNT)], accounts


async def _whose(asked: Asked, shown: Meant | None = None) -> list[str]:
    """Return the orders and accounts that the path means. Raise Forbidden, NotFound, TooManyOrders, or Refused if these
    are not those that were shown."""
    asked.caller.require_all_channels(FOR_ALL)
    order, named = asked.values.get("order"), asked.values.get("customer")
    try:
        customer = None if named is None else Customer.read(named)
    except ValueError:
        raise NoResource("no order names such a customer; name one as CHANNEL~ID") from None
    order_id = None if order is None else named_order(order)[0]
    meant = family.Named(order_id, customer, asked.values.get("account"))
    subjects = await asked.read(lambda connection: family.meant(connection, meant))
    if shown is not None and not shown.are(subjects):
        raise Refused(
            SharedRefusal.VERSION_CHANGED, "other orders or accounts belong together with these now; look again"
        )
    return subjects


async def show(asked: Asked) -> Response:
    orders, accounts = _apart(await _whose(asked))
    return asked.json(await asked.read(partial(_shown, orders, accounts)))


def _shown(orders: Sequence[str], accounts: Sequence[str], connection: Connection) -> Mapping[str, Any]:
    return {
        "orders": connection.execute(SHOWN.encode(), [orders, orders]).fetchall(),
        "accounts": connection.execute(SHOWN_ACCOUNTS.encode(), [accounts]).fetchall(),
    }


async def forget(asked: Asked) -> Response:
    body = Forgetting.model_validate_json(await asked.json_body())
    orders = await _whose(asked, body)
    await asked.read(lambda connection: erasing.require_encrypted(connection, orders))
    return await _recorded(asked, orders, partial(_ask, reason=body.reason, case_id=body.case_id), 202)


def _ask(
    runtime: Runtime, actor: str, orders: Sequence[str], reason: ForgetReason, case_id: str | None
) -> tuple[Sequence[str], Sequence[Recorded]]:
    return orders, erasing.ask(runtime, actor, orders, reason, case_id)


async def hold(asked: Asked) -> Response:
    body = Holding.model_validate_json(await asked.json_body())
    orders = await _whose(asked, body)
    return await _recorded(asked, orders, partial(holding.hold, case_id=body.case_id, reason=body.reason))


async def release(asked: Asked) -> Response:
    body = Releasing.model_validate_json(await asked.json_body())
    orders = await _whose(asked, body)
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
    orders_done, accounts_done = _apart(done)
    return asked.json({"orders": orders_done, "accounts": accounts_done, "position": position}, status)


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
MINOR: Mapping[str, Any] = {"type": "integer"}
OR_NONE: Mapping[str, Any] = {"anyOf": [TEXT, {"type": "null"}]}
OF_FORGETTING = ("has_key", "forgotten_at", "forgotten_by", "reason", "case_id", "held_by")
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
ACCOUNT_ROW: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("account_id", "channel", "currency"), TEXT),
        **dict.fromkeys(("balance_minor", "held_minor"), MINOR),
        **{name: ROW["properties"][name] for name in OF_FORGETTING},
    },
    "required": ["account_id", "channel", "currency", "balance_minor", "held_minor", "has_key", "held_by"],
}
FOUND: Mapping[str, Any] = {
    "type": "object",
    "properties": {"orders": {"type": "array", "items": ROW}, "accounts": {"type": "array", "items": ACCOUNT_ROW}},
    "required": ["orders", "accounts"],
}
DONE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "orders": {
            "type": "array",
            "items": TEXT,
            "description": "Their ids: keep these of `:forget`, as the customer is not known here afterwards.",
        },
        "accounts": {"type": "array", "items": TEXT, "description": "Their ids."},
        "position": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "Null where nothing changed."},
    },
    "required": ["orders", "accounts", "position"],
}
NO_SUCH = {404: "There is no such order or account, or none names the customer, as after they were forgotten."}
NOT_THESE = {412: "Other orders than `order_ids`, or accounts than `account_ids`, belong together now; look again."}


class Verb(NamedTuple):
    """`says`: the summary, with what is meant in place of {}."""

    name: str
    says: str
    handler: Callable[[Asked], Awaitable[Response]]
    shape: type[BaseModel]
    example: Mapping[str, Any]
    answers: Mapping[int, str]


SAYS_NO = "All of them stay as they are: an order has not ended, money is on an account, or a case holds one."
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
SUBJECTS = {
    "order": ("orders", "an order"),
    "customer": ("customers", "all orders and accounts of a customer (CHANNEL~ID)"),
    "account": ("accounts", "an account"),
}


def routes() -> Iterator[Route]:
    for name, (plural, what) in SUBJECTS.items():
        path = f"/v1/privacy/{plural}/{{{name}}}"
        summary = f"The orders and accounts that are forgotten together with {what}, and what holds them."
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
