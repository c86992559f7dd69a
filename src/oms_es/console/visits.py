"""One request to the console: the person, the language, the API as that person may use it, and the page
that answers."""

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
"""Headers of every page. The referrer is sent within the console only; without any, browsers would mark forms as sent
by another site."""
SEE_OTHER = 303


class Section(NamedTuple):
    """A section of the navigation, for people with its scope. `also`: other paths that belong to it."""

    key: str
    path: str
    scope: str
    also: tuple[str, ...] = ()

    def holds(self, path: str) -> int:
        """Return how many characters of the path are this section's: the section with most is the current one."""
        return max((len(own) for own in (self.path, *self.also) if path.startswith(own)), default=0)


def _commands(*groups: str) -> tuple[str, ...]:
    return tuple(f"/console/commands/{group}/" for group in groups)


FINANCE = ("reconcile", "account", "seller", "invoice")
SET_UP = ("location", "rules", "rates", "delivery", "routes", "policy", "connections", "subscriptions", "numbering")

PLACES = (
    Section("inbox", "/console/inbox", "operations:read"),
    Section("orders", "/console/orders", "orders:read", (*_commands("order"), "/console/bulk")),
    Section("stock", "/console/stock", "stock:read", ("/console/low-stock", *_commands("stock", "serials", "item"))),
    Section("shipping", "/console/shipping", "shipments:read", _commands("shipment")),
    Section("returns", "/console/returns", "returns:read", _commands("return", "feedback")),
    Section("reports", "/console/reports", "orders:read"),
    Section(
        "finance",
        "/console/finance",
        "finance:read",
        ("/console/books", "/console/accounts", *_commands(*FINANCE)),
    ),
    Section("dead_letters", "/console/dead-letters", "operations:read"),
    Section("health", "/console/health", "operations:read", ("/console/verify",)),
    Section("setup", "/console/setup", "catalog:read", ("/console/keys", "/console/what-if", *_commands(*SET_UP))),
    Section("privacy", "/console/privacy", "privacy:read"),
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
        """Return the variables of the path."""
        return self.asked.values

    def one(self, name: str) -> str | None:
        """Return a parameter's value; None also for a form's field that was left empty."""
        return self.asked.one(name) or None

    def many(self, name: str) -> list[str]:
        return [value for value in self.asked.many(name) if value]

    @property
    def done(self) -> int | None:
        """Return the position of the person's last command; 0 if it changed nothing, None if there was none."""
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
        """Redirect after a form to a page that can be reloaded."""
        given = {name: value for name, value in query.items() if value is not None}
        return RedirectResponse(f"{path}?{urlencode(given)}" if given else path, SEE_OTHER)


def own_path(text: str | None) -> str:
    """Return the text if it is a path of the console, else the console's start page."""
    is_own = (bool(text) and text == "/console") or (text or "").startswith(("/console/", "/console?"))
    return text if text and is_own and text.isascii() and text.isprintable() and "\\" not in text else "/console"
