"""Accounts: import of statements, runs, breaks with the commands that settle them, explanations, and
closing a period."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.pages.commands import catalogue, offers_of
from oms_es.console.pages.finance.documents import Papers, Subject, papers
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.errors import OmsError
from oms_es.http.errors import BadParameter
from oms_es.http.finance.asking import OF_NO_CHANNEL
from oms_es.http.problems import problem
from oms_es.http.routing import Route
from oms_es.reports.finance.accounts import AGES
from oms_es.schemas.finance.reconciliation import BY_HAND_MAX
from oms_es.statements import FORMATS
from oms_es.statements.reading import ENCODINGS

READ, WRITE = "finance:read", "finance:write"
HERE = "/console/finance"
LIMIT = "50"
ACCOUNTS_SHOWN = "100"
STATEMENTS_SHOWN = "12"
OF_ACCOUNT = ("close", "set-fee-terms")
STATUSES = ("open", "resolved")
MATCHED = frozenset({"missing_here", "missing_at_provider", "timing", "amount"})
"""Kinds of breaks that can be part of a match by hand."""
GIVEN = ("format", "account", "statement_id", "encoding", "mapping", "sha1")
RUN = ("methods", "payouts_of", "window_days", "fee_basis_points", "fee_fixed_minor", "until")
NUMBERS = frozenset({"window_days", "fee_basis_points", "fee_fixed_minor"})
NOTHING: Mapping[str, str] = {}


async def listed(visit: Visit) -> Response:
    """List the accounts. `later`: the job of an import that took longer; its result is shown like that of a
    short one."""
    job = visit.one("later")
    if job is None:
        return await _list(visit)
    try:
        answer = await visit.api.get(at("v1", "finance", "jobs", job))
    except OmsError as error:
        refusal = problem(error, visit.asked.request_id)
        return await _list(visit, refusal["status"], refusal=refusal)
    if answer.get("state") == "running":
        return visit.page("waiting.html", 202, found=answer, back=HERE)
    return await _list(visit, taken=answer.get("statements", ()))


async def _list(visit: Visit, status: int = 200, **more: Any) -> Response:
    visit.asked.caller.require_all_channels(OF_NO_CHANNEL)
    asked = {"after": visit.one("after"), "limit": ACCOUNTS_SHOWN}
    found, is_new_enough = await visit.api.get_soon("/v1/reconcile", asked, shows=visit.done)
    shown = {"refusal": None, "given": NOTHING, "taken": (), **more}
    return visit.page(
        "finance/accounts.html",
        status,
        rows=found["items"],
        more=found["next"] and f"{HERE}?{urlencode({'after': found['next']})}",
        formats=tuple(FORMATS),
        encodings=tuple(ENCODINGS),
        is_new_enough=is_new_enough,
        may_write=visit.api.may(WRITE),
        **shown,
    )


async def import_file(visit: Visit) -> Response:
    """Import a statement; if it is refused, the reason is shown above the form, which stays filled in."""
    given = {name: value for name in GIVEN if (value := visit.form.get(name, "").strip())}
    try:
        if not visit.file:
            raise BadParameter("file", "choose the file as it was sent")
        status, answer = await visit.api.send("/v1/statements", visit.file, given)
    except OmsError as error:
        refusal = problem(error, visit.asked.request_id)
        return await _list(visit, refusal["status"], refusal=refusal, given=given)
    if status != 200:  # noqa: PLR2004 - it is under way
        return visit.go(HERE, later=answer["job"])
    return await _list(visit, taken=answer["statements"])


async def one(visit: Visit) -> Response:
    """Show one account. `later`: the job of a run that took longer."""
    account, job = visit.values["account"], visit.one("later")
    if job is None:
        return await _one(visit, account)
    here = at("console", "finance", account)
    try:
        answer = await visit.api.get(at("v1", "finance", "jobs", job))
    except OmsError as error:
        refusal = problem(error, visit.asked.request_id)
        return await _one(visit, account, refusal["status"], refusal=refusal)
    if answer.get("state") == "running":
        return visit.page("waiting.html", 202, found=answer, back=here)
    return visit.go(here, done=answer.get("position") or 0)


async def _one(visit: Visit, account: str, status: int = 200, **more: Any) -> Response:
    here = at("console", "finance", account)
    found, is_new_enough = await visit.api.get_soon(at("v1", "reconcile", account), shows=visit.done)
    state, kind = visit.one("status") or STATUSES[0], visit.one("kind")
    if state not in STATUSES:
        raise BadParameter("status", f"write one of {', '.join(STATUSES)}")
    asked = {"account": account, "status": state, "kind": kind, "after": visit.one("after"), "limit": LIMIT}
    breaks = await visit.api.get("/v1/reconciliation-breaks", asked)
    of = {"account": account, "limit": STATEMENTS_SHOWN}
    statements = await visit.api.get("/v1/statements", {**of, "descending": "true"})
    chosen = {"status": state, **({"kind": kind} if kind else {})}
    back = f"{here}?{urlencode(chosen)}"
    more_breaks = breaks["next"] and f"{here}?{urlencode({**chosen, 'after': breaks['next']})}"
    return visit.page(
        "finance/account.html",
        status,
        report=found,
        base=here,
        state=state,
        kind=kind,
        statuses=STATUSES,
        ages=(*(name for name, _ in AGES), "older"),
        counted=[row for row in found["breaks"] if row["status"] == state],
        rows=[(row, _age(row["day"]), _settling(visit, row, back)) for row in breaks["items"]],
        matched=MATCHED if state == "open" and _may_match(visit) else frozenset(),
        more=more_breaks,
        statements=statements["items"],
        papers=await _papers(visit, account, statements["items"], here),
        offers=offers_of(visit, "reconcile", OF_ACCOUNT, {"account": account, "through": found["last"]}, here),
        is_new_enough=is_new_enough,
        may_write=visit.api.may(WRITE),
        **{"refusal": None, "given": NOTHING, **more},
    )


async def _papers(visit: Visit, account: str, statements: Sequence[Mapping[str, Any]], here: str) -> Papers | None:
    """Return the documents of the account; more can be attached to the statements that are shown."""
    subjects = [Subject("statement", f"{account}/{row['statement_id']}", row["statement_id"]) for row in statements]
    return await papers(visit, {"account": account}, subjects, here)


def _age(day: str) -> int:
    return (datetime.now(UTC).date() - date.fromisoformat(day)).days


def _settling(visit: Visit, row: Mapping[str, Any], back: str) -> Sequence[Any]:
    verb = "resolve" if row["status"] == "open" else "reopen"
    return offers_of(visit, "reconcile", (verb,), {"account": row["account"], "difference": row["break_id"]}, back)


def _may_match(visit: Visit) -> bool:
    return visit.api.may(catalogue()["reconcile", "match"].route.scope)


async def run(visit: Visit) -> Response:
    """Run the reconciliation; if it is refused, the form stays filled in."""
    account = visit.values["account"]
    given = {name: value for name in RUN if (value := visit.form.get(name, "").strip())}
    body = {name: _read(name, value) for name, value in given.items()}
    try:
        status, answer = await visit.api.post(at("v1", "reconcile", account, verb="run"), body)
    except (OmsError, ValidationError) as error:
        refusal = problem(error, visit.asked.request_id)
        return await _one(visit, account, refusal["status"], refusal=refusal, given=given)
    here = at("console", "finance", account)
    if status != 200:  # noqa: PLR2004 - it is under way
        return visit.go(here, later=answer["job"])
    return visit.go(here, done=answer["position"] or 0)


def _read(name: str, text: str) -> Any:
    if name in NUMBERS:
        return int(text) if text.isascii() and text.isdecimal() else text
    return text if name == "until" else text.replace(",", " ").split()


async def explain(visit: Visit) -> Response:
    """Show a statement's line: what it was matched with, and its breaks."""
    account, line = visit.values["account"], (visit.one("line") or "").strip()
    here = at("console", "finance", account)
    found = await visit.api.get(at("v1", "reconcile", account, "explain"), {"line": line})
    back = f"{here}/explain?{urlencode({'line': line})}"
    matches = [
        (row, offers_of(visit, "reconcile", ("undo",), {"account": account, "match": row["match_id"]}, back))
        for row in found["matches"]
    ]
    breaks = [(row, _age(row["day"]), _settling(visit, row, back)) for row in found["breaks"]]
    statement_id, _, number = line.rpartition("/")
    rows = await visit.api.maybe(
        "/v1/statement-lines", {"account": account, "statement_id": statement_id, "line[gte]": number, "limit": "1"}
    )
    return visit.page(
        "finance/line.html",
        account=account,
        line=line,
        base=here,
        row=next(iter(rows["items"]), None) if rows else None,
        matches=matches,
        breaks=breaks,
    )


async def match(visit: Visit) -> Response:
    """Open the form of the command, filled with the chosen breaks. Raise BadParameter."""
    chosen = visit.many("difference")
    if not 0 < len(chosen) <= BY_HAND_MAX:
        raise BadParameter("difference", f"choose between 1 and {BY_HAND_MAX}")
    account = visit.values["account"]
    path = catalogue()["reconcile", "match"].path
    named = {"account": account, "differences": "\n".join(chosen), "next": at("console", "finance", account)}
    return visit.go(path, **named)


def routes() -> Iterator[Route]:
    yield page("/finance", "finance", READ, listed, "later", "after")
    yield form("/finance", "finance-import", WRITE, import_file, takes_file=True)
    yield page("/finance/{account}", "finance-account", READ, one, "status", "kind", "after", "later")
    yield form("/finance/{account}:run", "finance-run", WRITE, run)
    yield page("/finance/{account}/explain", "finance-explain", READ, explain, "line")
    yield page("/finance/{account}/match", "finance-match", WRITE, match, "difference", many=("difference",))
