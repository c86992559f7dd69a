"""Gift cards over HTTP: a code is shown once, or is given to ask for the balance or to pay for an order.

Invariant: a code is in a body alone, never in a path, a query or an answer but the one that shows it; attempts with
wrong codes are bounded for each caller. Nothing is kept under an Idempotency-Key, since that would keep a digest of the
code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from oms_es.app.finance.gift_cards import new_code, presented
from oms_es.http.access import PLACE
from oms_es.http.errors import BadParameter
from oms_es.http.finance.asking import OF_NO_CHANNEL
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Parameter, Route
from oms_es.processing.committer import Work
from oms_es.reports.finance import gift_cards
from oms_es.reports.queries import Row
from oms_es.schemas.values.types import Identifier
from oms_es.store.encoding.codec import Cause
from oms_es.store.privacy import gift_codes
from oms_es.store.privacy.gift_codes import CODES

WRITE, READ = "finance:write", "finance:read"
TYPED_MAX = 100
"""Characters of a code as it is typed."""


class Given(BaseModel):
    """A code, as it was typed; spaces, hyphens and small letters do not matter."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    code: Annotated[str, Field(min_length=1, max_length=TYPED_MAX, repr=False)]


class GivenForAnOrder(Given):
    """A code that is to pay for an order of the card's channel, which may still be to come."""

    external_id: Identifier


class ShowCode(BaseModel):
    """`replace`: show a new code in place of an earlier one, which counts no more."""

    model_config = ConfigDict(extra="forbid", strict=True)

    replace: bool = False


async def enquire(asked: Asked) -> Response:
    given = Given.model_validate_json(await asked.json_body())
    return asked.json(gift_cards.enquiry(await _card(asked, given), datetime.now(UTC)))


async def present(asked: Asked) -> Response:
    given = GivenForAnOrder.model_validate_json(await asked.json_body())
    card, now = await _card(asked, given), datetime.now(UTC)
    command = presented(card, given.external_id, now)
    await asked.services.committer.commit(Work(Cause(asked.caller.actor), command, lambda: None))
    return asked.json({**gift_cards.enquiry(card, now), "order_id": command.order_id})


async def _card(asked: Asked, given: Given) -> Row:
    """Return the card with this code. Raise Refused if there is none for this caller, or TooMany."""
    attempts, caller = asked.services.code_attempts, asked.caller
    attempts.require(caller.actor)
    code = gift_codes.plain(given.code)
    row = await asked.read(partial(gift_cards.of_code, hashes=CODES.hashes_of(code))) if code else None
    if row is None or (caller.channels is not None and row["channel"] not in caller.channels):
        attempts.take(caller.actor)
        raise gift_cards.wrong_code()
    return row


async def show_code(asked: Asked) -> Response:
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    wanted = ShowCode.model_validate_json(await asked.json_body())
    code, command = new_code(asked.values["account"], replace=wanted.replace)
    await asked.services.committer.commit(Work(Cause(asked.caller.actor), command, lambda: None))
    return asked.json({"account_id": command.account_id, "code": code})


async def outstanding(asked: Asked) -> Response:
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    try:
        day = gift_cards.day_in(asked.one("day"))
    except ValueError:
        raise BadParameter("day", "write a day such as 2026-01-31") from None
    return asked.json({"day": day, "items": await asked.read(partial(gift_cards.outstanding, day=day))})


TEXT: Mapping[str, Any] = {"type": "string"}
COUNT: Mapping[str, Any] = {"type": "integer"}
CARD: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("account_id", "channel", "currency"), TEXT),
        **dict.fromkeys(("balance_minor", "available_minor"), COUNT),
        "expires_at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "state": {"enum": ["active", "inactive", "blocked", "expired"]},
        "order_id": TEXT,
    },
    "required": ["account_id", "channel", "currency", "balance_minor", "available_minor", "expires_at", "state"],
}
SHOWN: Mapping[str, Any] = {
    "type": "object",
    "properties": {"account_id": TEXT, "code": TEXT},
    "required": ["account_id", "code"],
}
OWED: Mapping[str, Any] = {
    "type": "object",
    "properties": {"day": TEXT, "items": {"type": "array", "items": {"type": "object"}}},
    "required": ["day", "items"],
}
KNOWN = {200: "It is this.", 404: "No card has this code.", 429: "Too many wrong codes were given."}
EXAMPLE = "ABCD-EFGH-JKLM-NPQR"
ROUTES: Sequence[Route] = (
    Route(
        "POST",
        "/v1/gift-cards:enquire",
        "enquire-gift-card",
        "What is on the gift card with this code, and whether it pays.",
        PLACE,
        enquire,
        (),
        Body(Given.model_json_schema, lambda: {"code": EXAMPLE}),
        answers=KNOWN,
        answer=CARD,
        tag="accounts",
    ),
    Route(
        "POST",
        "/v1/gift-cards:present",
        "present-gift-card",
        "Let an order be paid from the gift card with this code: its tender names the account that is answered.",
        PLACE,
        present,
        (),
        Body(GivenForAnOrder.model_json_schema, lambda: {"code": EXAMPLE, "external_id": "W-1001"}),
        answers={**KNOWN, 409: "The card is blocked, or has expired."},
        answer=CARD,
        tag="accounts",
    ),
    Route(
        "POST",
        "/v1/gift-cards/{account}:show-code",
        "show-gift-card-code",
        "Make the code of a gift card, which only this answer shows.",
        WRITE,
        show_code,
        (),
        Body(ShowCode.model_json_schema, lambda: {"replace": False}),
        answers={200: "It is this.", 404: "There is no such card.", 409: "Its code was shown before."},
        answer=SHOWN,
        tag="accounts",
        path_schemas={"account": {"type": "string", "maxLength": 60}},
    ),
    Route(
        "GET",
        "/v1/outstanding-accounts",
        "list-outstanding-accounts",
        "What was on all accounts together at the end of a day, by kind, channel and currency.",
        READ,
        outstanding,
        (Parameter("day", "The day (UTC); without it, today.", {"type": "string", "format": "date"}),),
        answer=OWED,
        tag="accounts",
    ),
)
