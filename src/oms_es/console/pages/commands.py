"""Every command of the API as a form: previewed first, then given, with the version that was previewed.

Invariant: a form does what the person saw in the preview: if the stream has changed meanwhile, nothing happens.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError
from starlette.responses import Response

from oms_es.console import comparing, forms
from oms_es.console.inside import at
from oms_es.console.routes import ANY, form, page
from oms_es.console.visits import Visit, own_path
from oms_es.errors import OmsError
from oms_es.http.access import SYSTEM
from oms_es.http.app import all_routes
from oms_es.http.problems import problem
from oms_es.http.routing import Handler, Parameter, Route

FRESH = frozenset(
    {"amendment_id", "fulfilment_id", "refund_id", "cancellation_id", "split_id", "override_id", "merge_id", "rma_id"}
    | {"receipt_id", "count_id", "adjustment_id", "change_id", "write_off_id", "move_id", "inspection_id"}
    | {"feedback_id", "note_id"}
)
"""Fields that hold the id of something that the command creates: the form proposes a new id."""
GIVEN = ("next", "version", "key", "step", "proof")
FIRST: Mapping[str, tuple[str, ...]] = {
    "sourcing": ("assign", "hold", "cancel"),
    "allocating": ("hold", "cancel"),
    "backordered": ("retry-sourcing", "assign", "cancel-lines", "cancel"),
    "awaiting_stock": ("amend", "cancel"),
    "awaiting_payment": ("retry-payment", "amend", "cancel"),
    "fulfilling": ("cancel", "cancel-lines", "refund"),
    "cancelling": ("refund",),
    "shipped": ("refund", "request-return"),
    "completed": ("refund", "request-return"),
    "cancelled": ("refund",),
}
"""Commands that are most often given for an order in a phase; the others are shown behind them."""


REPLACES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("location", "open"): ("/v1/locations", "location"),
    ("rates", "publish"): ("/v1/carrier-rates", "carrier"),
    ("delivery", "define-option"): ("/v1/delivery-options", "option"),
    ("policy", "set-return-policy"): ("/v1/return-policies", "channel"),
    ("item", "describe"): ("/v1/items", "sku"),
}
"""Commands that replace everything that was set before: their form is filled with the current values. The value is the
API's path and the parameter by which these are read."""


class Command(NamedTuple):
    """A command of the API, by its group and verb."""

    group: str
    verb: str
    route: Route
    names: tuple[str, ...]

    @property
    def path(self) -> str:
        return at("console", "commands", self.group, self.verb)


class Offer(NamedTuple):
    """A command whose form is partly filled in."""

    command: Command
    href: str
    is_first: bool


@cache
def catalogue() -> Mapping[tuple[str, str], Command]:
    """Return every command by group and verb, without the ones for many orders at once."""
    found = (_command(route) for route in all_routes() if route.is_command and not route.path.endswith(":batch"))
    return {(one.group, one.verb): one for one in found}


def _command(route: Route) -> Command:
    names = tuple(part[1:-1] for part in route.segments if part.startswith("{"))
    if not route.verb:
        return Command("order", "place", route, names)
    return Command(route.name.removesuffix(f"-{route.verb}"), route.verb, route, names)


def fields_of(command: Command) -> tuple[forms.Field, ...]:
    return _fields(command.group, command.verb)


@cache
def _fields(group: str, verb: str) -> tuple[forms.Field, ...]:
    """Return the fields of the path, then those of the body."""
    command = catalogue()[group, verb]
    assert command.route.body
    named = [forms.Field(name, "text", is_required=True) for name in command.names]
    return (*named, *forms.fields_of(command.route.body.schema(), command.route.body.example()))


def offers_of(visit: Visit, group: str, verbs: Iterable[str], values: Mapping[str, str], back: str = "") -> list[Offer]:
    """Return offers for those of the verbs that the person may give. `back`: the page that follows the command."""
    found = (catalogue().get((group, verb)) for verb in verbs)
    return [_offer(one, values, back, is_first=True) for one in found if one and visit.api.may(one.route.scope)]


def offers(visit: Visit, group: str, values: Mapping[str, str], row: Mapping[str, Any]) -> list[Offer]:
    """Return offers for every command about an entity that the person may give, the likely ones first."""
    first = (
        ("receive", "count", "move") if group == "stock" else FIRST.get(row["phase"], ()) if group == "order" else ()
    )
    if group == "order" and row.get("holds"):
        first = ("release-hold", *first)
    mine = [
        one
        for one in catalogue().values()
        if one.group == group and set(values) <= set(one.names) and visit.api.may(one.route.scope)
    ]
    mine = [one for one in mine if one.route.scope != SYSTEM]
    mine.sort(key=lambda one: (first.index(one.verb) if one.verb in first else len(first), one.verb))
    return [_offer(one, values, is_first=one.verb in first) for one in mine]


def _offer(command: Command, values: Mapping[str, str], back: str = "", *, is_first: bool) -> Offer:
    mine = {name: value for name, value in values.items() if name in {field.name for field in fields_of(command)}}
    mine |= {"next": back} if back else {}
    return Offer(command, f"{command.path}?{urlencode(mine)}", is_first)


async def listed(visit: Visit) -> Response:
    groups: dict[str, list[Command]] = {}
    for one in catalogue().values():
        if visit.api.may(one.route.scope):
            groups.setdefault(one.group, []).append(one)
    return visit.page("commands.html", groups=groups)


async def show(command: Command, visit: Visit) -> Response:
    """Show the form, filled with what the address gives."""
    given = {name: value for name in visit.asked.given() if (value := visit.one(name)) and name not in GIVEN}
    subject = await _subject(visit, given)
    known = {**await _current(visit, command, given), **_lines(command, subject)}
    proposed = {field.name: f"console-{secrets.token_hex(4)}" for field in fields_of(command) if field.name in FRESH}
    back = own_path(visit.one("next") or _back(given))
    return _form(visit, command, {**proposed, **known, **given}, subject=subject, next=back)


async def _subject(visit: Visit, given: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return the order that the command is about, or None if there is none that the person may see."""
    if "order" not in given or not visit.api.may("orders:read"):
        return None
    try:
        found: Mapping[str, Any] = await visit.api.get(at("v1", "orders", given["order"]), {"expand": "lines"})
    except OmsError:
        return None
    return found


async def _current(visit: Visit, command: Command, given: Mapping[str, str]) -> dict[str, str]:
    path, key = REPLACES.get((command.group, command.verb), ("", ""))
    if not given.get(key):
        return {}
    found = await visit.api.maybe(path, {key: given[key], "limit": "1"})
    fields = [field for field in fields_of(command) if field.name != "version"]
    return forms.filled(fields, found["items"][0]) if found and found["items"] else {}


def _lines(command: Command, subject: Mapping[str, Any] | None) -> dict[str, str]:
    """Return form values with one row for each line of the order, for commands that ask for lines by id."""
    field = next((one for one in fields_of(command) if one.name == "lines" and one.kind == "rows"), None)
    is_by_line = field is not None and any(part.name == "line_id" for part in field.parts)
    if not is_by_line or not field or subject is None or any(part.name == "unit_price_minor" for part in field.parts):
        return {}
    return forms.filled([field], {"lines": [{"line_id": line["line_id"]} for line in subject["lines"]]})


def _back(given: Mapping[str, str]) -> str:
    if "order" in given:
        return at("console", "orders", given["order"])
    return at("console", "stock", given["sku"]) if "sku" in given else "/console/commands"


async def give(command: Command, visit: Visit) -> Response:
    """Preview or give the command; `step` is "preview" or "do"."""
    given = {name: value for name, value in visit.form.items() if name not in GIVEN}
    back, fields = own_path(visit.form.get("next")), fields_of(command)
    path = _path(command, given)
    is_to_be_done = visit.form.get("step") == "do"
    try:
        body = forms.body_of([field for field in fields if field.name not in command.names], given)
        if is_to_be_done:
            _, done = await visit.api.post(path, body, headers=if_unchanged(visit.form))
            path, _, query = back.partition("?")
            given_back = {**dict(parse_qsl(query)), "done": done["position"] or 0}
            return visit.go(f"{path}?{urlencode(given_back)}")
        _, looked = await visit.api.post(path, body, {"preview": "true"})
    except (OmsError, ValidationError) as error:
        refusal = problem(error, visit.asked.request_id)
        subject = await _subject(visit, given)
        return _form(visit, command, given, refusal["status"], subject=subject, next=back, refusal=refusal)
    key, subject = secrets.token_hex(16), await _subject(visit, given)
    return _form(visit, command, given, subject=subject, next=back, looked=looked, key=key)


def if_unchanged(form: Mapping[str, str], version: str = "version") -> dict[str, str]:
    """Return headers with which the command is given once, and only if the stream has the version of the preview.

    `version`: the name of the form's field that holds it.
    """
    headers = {"idempotency-key": form["key"]} if form.get("key") else {}
    return {**headers, "if-match": f'"{form[version]}"'} if form.get(version) else headers


def _path(command: Command, given: Mapping[str, str]) -> str:
    """Return the API's path for the command; a value that is missing leads to the API's own error."""
    segments = [given.get(part[1:-1], "").strip() if part.startswith("{") else part for part in command.route.segments]
    return at(*segments, verb=command.route.verb)


def _form(visit: Visit, command: Command, given: Mapping[str, str], status: int = 200, **more: Any) -> Response:
    fields = fields_of(command)
    shown = {"refusal": None, "looked": None, "key": "", **more}
    rows = {field.name: forms.rows_of(field, given) for field in fields if field.kind == "rows"}
    return visit.page(
        "command.html",
        status,
        command=command,
        fields=fields,
        given=given,
        rows=rows,
        scalars=forms.SCALARS,
        wrong=wrong_of(shown["refusal"]),
        changes=comparing.of_preview(shown["looked"]["changed"]) if shown["looked"] else [],
        **shown,
    )


def wrong_of(refusal: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what is wrong with each field, by its name."""
    errors = (refusal or {}).get("errors", ())
    found = ((one.get("parameter") or one.get("pointer", ""), one["detail"]) for one in errors)
    return {name.strip("/").replace("/", "."): detail for name, detail in found}


def routes() -> Iterator[Route]:
    yield page("/commands", "commands", ANY, listed)
    for command in catalogue().values():
        path, name = f"/commands/{command.group}/{command.verb}", f"command-{command.group}-{command.verb}"
        parameters = tuple(Parameter(one, one) for one in (*dict.fromkeys(_parameters(command)), "next", "done"))
        handler = cast("Handler", partial(show, command))
        yield Route("GET", f"/console{path}", f"{name}-form", name, command.route.scope, handler, parameters)
        yield form(path, name, command.route.scope, partial(give, command))


def _parameters(command: Command) -> Iterator[str]:
    for field in fields_of(command):
        if field.kind in forms.SCALARS or field.kind == "lines":
            yield field.name
