"""Reconciliation over HTTP: start a run, read its result for an account, and ask why a line is matched or not.

Commands about breaks and matches are routes of the vocabulary; their rows are read like those of every read model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from oms_es.app import Runtime
from oms_es.app.finance import reconciling
from oms_es.app.finance.reconciling import ACCOUNT
from oms_es.errors import NotFound
from oms_es.http.background import Progress
from oms_es.http.errors import BadParameter, NoResource
from oms_es.http.finance.asking import LATER, OF_NO_CHANNEL, answered, either
from oms_es.http.finance.statements import WRITE
from oms_es.http.reading.tables import LIMIT
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Parameter, Route
from oms_es.matching.sides import Rules
from oms_es.reports.finance import accounts, reconciliation
from oms_es.schemas.finance.statement import AccountName, Day
from oms_es.schemas.values.types import ShortName

READ = "finance:read"
NAMES_MAX = 20
LINE_LENGTH_MAX = 600
ROW = re.compile(r"([A-Za-z0-9._-]{0,40})/([A-Z]{0,3})", re.ASCII)


class Running(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    until: Day | None = None
    """Match only lines that were booked up to this day, included."""
    methods: Annotated[tuple[ShortName, ...], Field(max_length=NAMES_MAX)] = ()
    """Match only payments by these methods, such as card; without any, payments by all methods."""
    payouts_of: Annotated[tuple[AccountName, ...], Field(max_length=NAMES_MAX)] = ()
    """Provider accounts whose payouts arrive on this bank account; matched in place of payments."""
    window_days: Annotated[int, Field(ge=0, le=60)] = 5
    """Days by which the two sides of a match may lie apart."""
    fee_basis_points: Annotated[int | None, Field(ge=0, le=10_000)] = None
    """The agreed fee in basis points, such as 140 for 1.4 %."""
    fee_fixed_minor: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """The agreed fixed fee per payment, in minor units, on top of the basis points."""


def account_of(asked: Asked) -> str:
    """Return the account that the path names. Raise NoResource if the name is not valid, or Forbidden for a key of some
    channels."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    account = asked.values["account"]
    if not ACCOUNT.fullmatch(account):
        raise NoResource("an account is called by letters, digits, dots and dashes; GET /v1/reconcile lists them")
    return account


async def run(asked: Asked) -> Response:
    """Run the reconciliation of an account. Raise NotFound if no statement of the account was imported."""
    body = Running.model_validate_json(await asked.json_body())
    rules = Rules(body.window_days, body.fee_basis_points, body.fee_fixed_minor)
    wanted = reconciling.Asked(account_of(asked), body.until, body.methods, body.payouts_of, rules)
    do = partial(_run, asked.services.parts.database_url, asked.caller.actor, wanted)
    return await answered(asked, wanted, do, lambda ran: ran._asdict())


def _run(database_url: str, actor: str, wanted: reconciling.Asked, progress: Progress) -> reconciling.Ran:
    """Run the reconciliation on a store of its own, so that the store that answers requests stays free."""
    with Runtime(database_url, simulated=False, answers_soon=True) as runtime:
        return reconciling.run(runtime, actor, wanted, progress)


async def list_accounts(asked: Asked) -> Response:
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    limit, after = asked.limit(), asked.one("after") or "/"
    place = ROW.fullmatch(after)
    if place is None:
        raise BadParameter("after", "write ACCOUNT/CURRENCY, as a page before ended with")
    found = await asked.read(lambda connection: accounts.listed(connection, (place[1], place[2]), limit + 1))
    items = found[:limit]
    more = f"{items[-1]['account']}/{items[-1]['currency']}" if len(found) > limit else None
    return asked.json({"items": items, "next": more})


async def report(asked: Asked) -> Response:
    account = account_of(asked)
    found = await asked.read(lambda connection: accounts.report(connection, account))
    if found is None:
        raise NotFound("no statement of such an account was imported; GET /v1/reconcile lists those that there are")
    return asked.json(found)


async def explain(asked: Asked) -> Response:
    account, line = account_of(asked), asked.one("line")
    if not line or len(line) > LINE_LENGTH_MAX:
        raise BadParameter("line", "name one as STATEMENT/LINE, as matches and breaks do")
    matches, breaks = await asked.read(lambda connection: reconciliation.of_line(connection, account, line))
    if not matches and not breaks:
        raise NotFound("no match and no break has this line; run the reconciliation, or see the lines")
    return asked.json({"matches": matches, "breaks": breaks})


OBJECT: Mapping[str, Any] = {"type": "object"}
ROWS: Mapping[str, Any] = {"type": "array", "items": OBJECT}
COUNT: Mapping[str, Any] = {"type": "integer"}
RAN: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "through": {"type": "string"},
        **dict.fromkeys(("lines", "movements", "matched", "breaks"), COUNT),
        "position": {"anyOf": [COUNT, {"type": "null"}]},
    },
    "required": ["through", "lines", "movements", "matched", "breaks", "position"],
}
PATH_SCHEMAS = {"account": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"}}
ACCOUNT_PATH = "/v1/reconcile/{account}"
OF_BOTH = ("reconciliation_matches", "reconciliation_breaks")
ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/reconcile",
        "list-accounts-with-statements",
        "Accounts with imported statements: their period, balances, and number of open breaks.",
        READ,
        list_accounts,
        (LIMIT, Parameter("after", "The row that the previous page ended with.", {"type": "string", "maxLength": 44})),
        answer={
            "type": "object",
            "properties": {"items": ROWS, "next": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            "required": ["items", "next"],
        },
        answers={200: "They are these."},
        tag="finance",
        reads=("statements", "reconciliation_breaks", "reconciled_accounts"),
    ),
    Route(
        "GET",
        ACCOUNT_PATH,
        "report-account",
        "The state of an account's reconciliation: statements, lines, matches, breaks by kind and age.",
        READ,
        report,
        answer=OBJECT,
        answers={200: "It is this.", 404: "No statement of it was imported."},
        tag="finance",
        reads=("statements", "statement_lines", "reconciled_accounts", *OF_BOTH),
        path_schemas=PATH_SCHEMAS,
    ),
    Route(
        "GET",
        f"{ACCOUNT_PATH}/explain",
        "explain-line",
        "The matches and breaks of a statement's line, present and past, with their reasons.",
        READ,
        explain,
        (
            Parameter(
                "line",
                "`STATEMENT/LINE`, as matches and breaks name it.",
                {"type": "string", "minLength": 1, "maxLength": LINE_LENGTH_MAX},
            ),
        ),
        answer={"type": "object", "properties": {"matches": ROWS, "breaks": ROWS}, "required": ["matches", "breaks"]},
        answers={200: "They are these.", 404: "No match and no break has it."},
        tag="finance",
        reads=OF_BOTH,
        path_schemas=PATH_SCHEMAS,
    ),
    Route(
        "POST",
        f"{ACCOUNT_PATH}:run",
        "run-reconciliation",
        "Match the lines of an account's statements with the money that moved here. Run again, it adds what is new.",
        WRITE,
        run,
        (),
        Body(Running.model_json_schema, lambda: {"methods": ["card"]}),
        answers={200: "It ran.", 202: LATER, 404: "No statement of it was imported."},
        answer=either(RAN),
        tag="finance",
        reads=("statements", "statement_lines", "money_movements", *OF_BOTH),
        path_schemas=PATH_SCHEMAS,
    ),
)
