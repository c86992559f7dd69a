"""The application: it matches, authorises and answers every request, and turns every error into a problem document."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from oms_es.http import health, openapi
from oms_es.http.access import LOCAL, NO_CALLER, Caller
from oms_es.http.errors import Forbidden, NoAccess, NoVerb
from oms_es.http.finance import asking, books, gift_cards, reconciling, statements
from oms_es.http.problems import response_of
from oms_es.http.reading import (
    customers,
    events,
    exceptions,
    explaining,
    figures,
    forecasts,
    labels,
    links,
    pages,
    positions,
    roles,
    sealed_log,
    stock,
    streams,
    tables,
)
from oms_es.http.requests import Asked, check_sent_once, request_id_of
from oms_es.http.routing import Matched, Route, Router
from oms_es.http.services import Services
from oms_es.http.writing import (
    commands,
    documents,
    keys,
    orders,
    privacy,
    signed_in,
    trying,
    verifying,
    webhook_parties,
    webhooks,
)
from oms_es.http.writing.operations import conflicts, dead_letters
from oms_es.processing.metrics import HTTP_REQUESTS, HTTP_SECONDS

BEARER = "bearer "
DOTS = 2
"""A token of OpenID Connect has at least this many dots; a key has none."""
METHODS = frozenset({"GET", "HEAD", "POST"})
THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "[::1]"})
BY_PROXY = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers that a proxy adds."""
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


def all_routes() -> Sequence[Route]:
    """Return every route that is served."""
    return (
        *health.ROUTES,
        *openapi.ROUTES,
        *orders.ROUTES,
        *pages.ROUTES,
        *stock.ROUTES,
        *labels.ROUTES,
        *exceptions.ROUTES,
        *roles.ROUTES,
        *customers.routes(),
        *tables.routes(),
        *explaining.routes(),
        *figures.routes(),
        *forecasts.routes(),
        *events.ROUTES,
        *sealed_log.ROUTES,
        *streams.ROUTES,
        *webhooks.ROUTES,
        *webhook_parties.ROUTES,
        *dead_letters.ROUTES,
        *conflicts.ROUTES,
        *verifying.ROUTES,
        *trying.ROUTES,
        *keys.ROUTES,
        *signed_in.ROUTES,
        *statements.ROUTES,
        *reconciling.ROUTES,
        *asking.ROUTES,
        *books.ROUTES,
        *gift_cards.ROUTES,
        *documents.ROUTES,
        *privacy.routes(),
        *commands.routes(),
        *links.ROUTES,
    )


Mount = Callable[[Request, str], Awaitable[Response]]
"""An application mounted under a path: it answers a request, given the request's id, and sets its own headers."""


class Application:
    """The ASGI application. `mounts` is keyed by the first segment of the path."""

    def __init__(self, services: Services, routes: Iterable[Route], mounts: Mapping[str, Mount] | None = None) -> None:
        self.services = services
        self.router = Router(routes)
        self.mounts = {name.encode(): mount for name, mount in (mounts or {}).items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        request_id = request_id_of(request.headers)
        began = time.perf_counter()
        try:
            response = await self._answered(request, request_id)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes a problem
            response = response_of(error, request_id)
        HTTP_REQUESTS.labels(_method(request.method), response.status_code).inc()
        HTTP_SECONDS.labels(_method(request.method)).observe(time.perf_counter() - began)
        response.raw_headers += [(b"oms-request-id", request_id.encode()), *self._headers(request)]
        with suppress(ConnectionError):
            await response(scope, receive, send)

    async def _answered(self, request: Request, request_id: str) -> Response:
        check_sent_once(request.scope["headers"])
        if mount := self._mount(request):
            return await mount(request, request_id)
        try:
            matched = self.router.match(request.method, request.scope["raw_path"])
        except NoVerb as error:
            raise error.of((await self._caller(request)).scopes) from None
        caller = NO_CALLER
        if matched.route.scope is not None:
            caller = await self._caller(request)
        return await answered(self.services, matched, caller, request, request_id)

    def _mount(self, request: Request) -> Mount | None:
        return self.mounts.get(request.scope["raw_path"].strip(b"/").partition(b"/")[0])

    def _headers(self, request: Request) -> Sequence[tuple[bytes, bytes]]:
        return () if self._mount(request) else HEADERS

    async def _caller(self, request: Request) -> Caller:
        """Return the authenticated caller. Raise NoAccess, Forbidden or TooMany."""
        keys = self.services.keys
        authorization = request.headers.get("authorization")
        if authorization is None:
            if not await run_in_threadpool(keys.is_open):
                raise NoAccess("send a key as Authorization: Bearer KEY; `oms-es keys create` makes one")
            require_this_machine(request)
            return LOCAL
        if not authorization.lower().startswith(BEARER):
            raise NoAccess("send the key as Authorization: Bearer KEY")
        token = authorization[len(BEARER) :].strip()
        if self.services.tokens and token.count(".") >= DOTS:
            caller = await run_in_threadpool(self.services.tokens.caller, token)
        else:
            caller = keys.caller(token) if keys.is_known(token) else await run_in_threadpool(keys.caller, token)
        self.services.rates.take(caller.actor)
        return caller


async def answered(services: Services, matched: Matched, caller: Caller, request: Request, request_id: str) -> Response:
    """Answer a request of a caller who is authenticated, by a key, a token or a session of the console.

    Raise Forbidden without the route's scope, and whatever the handler raises.
    """
    if matched.route.scope is not None:
        caller.require(matched.route.scope)
    asked = Asked(request, matched.route, matched.values, caller, services, request_id)
    await positions.wait_for(asked)
    return await matched.route.handler(asked)


def _method(name: str) -> str:
    """Return the HTTP method, or "other" for an unknown one: labels of metrics must be bounded."""
    return name if name in METHODS else "other"


def require_this_machine(request: Request) -> None:
    """Raise Forbidden unless the request comes from this machine and from no page of another site.

    As long as there are no keys, a page of another site could otherwise make requests through a person's browser, and
    anybody through a proxy on this machine.
    """
    if any(name in request.headers for name in BY_PROXY):
        raise Forbidden("without keys nothing is served through a proxy; make one with `oms-es keys create`")
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name.lower() not in THIS_MACHINE:
        raise Forbidden("without keys only 127.0.0.1 and localhost are served; make one with `oms-es keys create`")
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{host}":
        raise Forbidden("the request comes from a page of another origin; make a key with `oms-es keys create`")
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Forbidden("the request comes from a page of another site; make a key with `oms-es keys create`")
