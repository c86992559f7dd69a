"""One request to the console: who asks, in which language, of which API, and the page that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from oms_es.console.inside import Api
from oms_es.console.people import Person
from oms_es.console.rendering import environment
from oms_es.console.texts import LANGUAGES, Texts
from oms_es.http.access import PERSONAL
from oms_es.http.requests import NUMBER, Asked

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The referrer stays within: without one a browser sends forms as if another site had."""
SEE_OTHER = 303


class Section(NamedTuple):
    """In the navigation, for those with the scope. `also`: other paths that belong to it."""

    key: str
    path: str
    scope: str
    also: tuple[str, ...] = ()

    def holds(self, path: str) -> int:
        """How much of a path is its own: the place that has most of it is where a person is."""
        return max((len(own) for own in (self.path, *self.also) if path.startswith(own)), default=0)


def _commands(*groups: str) -> tuple[str, ...]:
    return tuple(f"/console/commands/{group}/" for group in groups)


SET_UP = ("location", "rules", "rates", "delivery", "policy", "connections", "subscriptions", "numbering")

PLACES = (
    Section("inbox", "/console/inbox", "operations:read"),
    Section("orders", "/console/orders", "orders:read", (*_commands("order"), "/console/bulk")),
    Section("stock", "/console/stock", "stock:read", ("/console/low-stock", *_commands("stock", "serials", "item"))),
    Section("shipping", "/console/shipping", "shipments:read", _commands("shipment")),
    Section("returns", "/console/returns", "returns:read", _commands("return", "feedback")),
    Section("reports", "/console/reports", "orders:read"),
    Section("finance", "/console/finance", "finance:read", ("/console/books", *_commands("reconcile", "account"))),
    Section("dead_letters", "/console/dead-letters", "operations:read"),
    Section("health", "/console/health", "operations:read", ("/console/verify",)),
    Section("setup", "/console/setup", "catalog:read", ("/console/keys", "/console/what-if", *_commands(*SET_UP))),
    Section("commands", "/console/commands", ""),
)


@dataclass
class Visit:
    asked: Asked
    person: Person
    texts: Texts
    api: Api
    form: Mapping[str, str] = field(default_factory=dict)
    file: bytes = b""

    @property
    def values(self) -> Mapping[str, str]:
        """Of the path."""
        return self.asked.values

    def one(self, name: str) -> str | None:
        """A parameter; a form's field that was left empty is none."""
        return self.asked.one(name) or None

    def many(self, name: str) -> list[str]:
        return [value for value in self.asked.many(name) if value]

    @property
    def done(self) -> int | None:
        """The position of what this person has just done; 0 where it changed nothing."""
        text = self.one("done")
        return int(text) if text and NUMBER.fullmatch(text) else None

    @property
    def places(self) -> list[Section]:
        return [place for place in PLACES if not place.scope or self.api.may(place.scope)]

    @property
    def place(self) -> Section | None:
        path = self.asked.request.url.path
        return max((one for one in self.places if one.holds(path)), key=lambda one: one.holds(path), default=None)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        path = self.asked.request.url.path
        html = (
            environment()
            .get_template(template)
            .render(
                t=self.texts,
                visit=self,
                languages=LANGUAGES,
                path=path,
                here=f"{path}?{query}" if (query := self.asked.request.url.query) else path,
                may=self.api.may,
                sees_people=self.api.may(PERSONAL),
                **values,
            )
        )
        return Response(html, status, media_type="text/html; charset=utf-8")

    def go(self, path: str, **query: Any) -> Response:
        """After a form: a page that may be loaded again."""
        given = {name: value for name, value in query.items() if value is not None}
        return RedirectResponse(f"{path}?{urlencode(given)}" if given else path, SEE_OTHER)


def own_path(text: str | None) -> str:
    """Of the console, whatever was sent."""
    is_own = (bool(text) and text == "/console") or (text or "").startswith(("/console/", "/console?"))
    return text if text and is_own and text.isascii() and text.isprintable() and "\\" not in text else "/console"
