"""Configuration: locations, rules, rates, delivery options, policies and connections, each with its commands.

Invariant: a draft of rules is published only if the published rules are still those that it was compared with.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from difflib import unified_diff
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.pages.commands import if_unchanged, offers_of, wrong_of
from oms_es.console.rendering import as_json
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.errors import OmsError
from oms_es.http.errors import BadParameter, NotYet
from oms_es.http.problems import problem
from oms_es.http.routing import Route
from oms_es.schemas.catalog.rules import BUILT_IN_VERSION, SourcingRules
from oms_es.schemas.sent import check_sent

READ, WRITE = "catalog:read", "catalog:write"
DAYS = (7, 30, 90, 365)
"""The choice of days before now on which a draft can be tried."""
LIMIT = "100"
PUBLISH = at("v1", "rules", verb="publish-sourcing-rules")
RULES = "rules"


class Part(NamedTuple):
    """One kind of configuration. `group`: of its commands; `key`: the column that identifies a row, and the field of
    its commands."""

    name: str
    path: str
    scope: str
    group: str
    key: str
    columns: tuple[str, ...]
    begins: tuple[str, ...]
    verbs: tuple[str, ...]

    @property
    def here(self) -> str:
        return at("console", "setup", self.name)


LOCATION = ("kind", "country", "region", "priority", "handling_minor", "channels", "delivery_options")
PARTS = (
    Part(
        *("locations", "/v1/locations", READ, "location", "location"),
        (*LOCATION, "capacity_per_day", "open"),
        ("open",),
        ("open", "close"),
    ),
    Part(
        *(RULES, "/v1/sourcing-rules", READ, "rules", "version"),
        ("current", "published_at", "published_by", "decided_on", "rules"),
        (),
        (),
    ),
    Part(
        *("rates", "/v1/carrier-rates", READ, "rates", "carrier"),
        ("offered", "version", "currency", "services"),
        ("publish",),
        ("publish", "withdraw"),
    ),
    Part(
        *("delivery", "/v1/delivery-options", READ, "delivery", "option"),
        ("transit_days_max", "prefer"),
        ("define-option",),
        ("define-option",),
    ),
    Part(
        *("routes", "/v1/gateway-routes", READ, "routes", "version"),
        ("current", "published_at", "published_by", "routes"),
        ("publish-gateway-routes",),
        (),
    ),
    Part(
        *("policies", "/v1/return-policies", "returns:read", "policy", "channel"),
        ("terms",),
        ("set-return-policy",),
        ("set-return-policy",),
    ),
    Part(
        *("connections", "/v1/connections", "operations:read", "connections", "name"),
        ("dialect", "channel", "is_disabled", "changed_at", "changed_by"),
        ("open",),
        ("rotate", "disable", "enable"),
    ),
    Part(
        *("subscriptions", "/v1/subscriptions", "operations:read", "subscriptions", "name"),
        ("url", "types", "channels", "is_disabled", "disabled_because", "changed_at", "changed_by"),
        ("open",),
        ("change", "rotate", "disable", "enable"),
    ),
)
OF_RULES = next(part for part in PARTS if part.name == RULES)


async def first(visit: Visit) -> Response:
    return visit.go(PARTS[0].here)


async def listed(part: Part, visit: Visit) -> Response:
    return await _page(visit, part)


async def _page(visit: Visit, part: Part, status: int = 200, **more: Any) -> Response:
    asked = {"limit": LIMIT, "after": visit.one("after")}
    found, is_new_enough = await visit.api.get_soon(part.path, asked, shows=visit.done)
    shown = {
        "draft": "",
        "version": "",
        "run": None,
        "refusal": None,
        "looked": None,
        "difference": [],
        "key": "",
        **more,
    }
    if part is OF_RULES and not shown["draft"]:
        shown["draft"] = as_json(await _published(visit))
    return visit.page(
        "setup.html",
        status,
        part=part,
        parts=[one for one in PARTS if visit.api.may(one.scope)],
        rows=[
            (row, offers_of(visit, part.group, part.verbs, {part.key: row[part.key]}, part.here))
            for row in found["items"]
        ],
        begins=offers_of(visit, part.group, part.begins, {}, part.here),
        more=found["next"] and f"{part.here}?{urlencode({'after': found['next']})}",
        is_new_enough=is_new_enough,
        days=DAYS,
        may_publish=part is OF_RULES and visit.api.may(WRITE),
        wrong=wrong_of(shown["refusal"]),
        **shown,
    )


async def _published(visit: Visit, version: str | None = None) -> Mapping[str, Any]:
    """Return the published rules, or the built-in ones if none were published. Raise NotYet if they are newer than
    `version`."""
    found = (await visit.api.get(OF_RULES.path, {"current": "true", "limit": "1"}))["items"]
    if version is not None and version != (found[0]["version"] if found else BUILT_IN_VERSION):
        raise NotYet("newer rules were published, and are not shown here yet; compare again in a moment")
    rules: Mapping[str, Any] = found[0]["rules"] if found else SourcingRules().model_dump(mode="json")
    return rules


async def publish(visit: Visit) -> Response:
    """Preview, try or publish a draft; `step` is "preview", "try" or "do". An error is shown above the draft, which
    stays."""
    draft, version = visit.form.get("draft", ""), visit.form.get("version", "").strip()
    given: dict[str, Any] = {"draft": draft, "version": version}
    try:
        if visit.form.get("step") == "try":
            return await _tried(visit, _object(draft), version)
        run = await _run(visit, visit.form.get("run"), _object(draft))
        given["run"] = run
        body = {**_object(draft), "version": version, **({"decided_on": run} if run else {})}
        if visit.form.get("step") == "do":
            _, done = await visit.api.post(PUBLISH, body, headers=if_unchanged(visit.form, "stream_version"))
            return visit.go(OF_RULES.here, done=done["position"] or 0)
        _, looked = await visit.api.post(PUBLISH, body, {"preview": "true"})
        holds = looked["changed"].get("current", {}).get("from")
        difference = _difference(await _published(visit, holds), _object(draft))
    except (OmsError, ValidationError) as error:
        refusal = problem(error, visit.asked.request_id)
        return await _page(visit, OF_RULES, refusal["status"], **given, refusal=refusal)
    return await _page(visit, OF_RULES, **given, looked=looked, difference=difference, key=secrets.token_hex(16))


async def _tried(visit: Visit, rules: Mapping[str, Any], version: str) -> Response:
    """Begin a what-if run of the draft on the last days and redirect to its page. Raise BadParameter or Busy."""
    days = visit.form.get("days", "")
    if days not in {str(count) for count in DAYS}:
        raise BadParameter("days", f"choose one of {', '.join(map(str, DAYS))}")
    since = datetime.now(UTC) - timedelta(days=int(days))
    _, begun = await visit.api.post("/v1/what-if", {"since": since, "rules": rules})
    return visit.go(at("console", "what-if", begun["run"]), version=version or None)


async def _run(visit: Visit, run_id: str | None, draft: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the run that the publication names; it must be of the same rules. Raise BadParameter or NotFound."""
    if not run_id:
        return None
    run = await visit.api.get(at("v1", "what-if", run_id))
    tried = run.get("changed", {}).get("rules")
    if tried is None or SourcingRules.model_validate(tried) != SourcingRules.model_validate(draft):
        raise BadParameter("run", "it is of other rules than this draft; try the draft again")
    return {"run_id": run_id, **{name: run[name] for name in ("begins", "ends", "orders_that_differ")}}


def _object(draft: str) -> dict[str, Any]:
    """Parse the draft as a JSON object. Raise BadParameter."""
    check_sent(draft)
    try:
        found = from_json(draft)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "version" in found:
        raise BadParameter("draft", "write the rules as one JSON object, without their version")
    return found


def _difference(published: Mapping[str, Any], draft: Mapping[str, Any]) -> list[str]:
    """Return a line-by-line difference of the two rules, both with every field; what a draft leaves out has its
    default."""
    whole = SourcingRules.model_validate(draft).model_dump(mode="json")
    before, after = (as_json(one).splitlines() for one in (published, whole))
    return list(unified_diff(before, after, n=2, lineterm=""))[2:]


def routes() -> Iterator[Route]:
    yield page("/setup", "setup", READ, first)
    for part in PARTS:
        yield page(f"/setup/{part.name}", f"setup-{part.name}", part.scope, partial(listed, part), "after")
    yield form("/setup/rules", "setup-rules-draft", WRITE, publish)
