"""The console's pages as routes: matched, and authorised by scope, like those of the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from starlette.responses import Response

from oms_es.console.visits import Visit
from oms_es.http.routing import Body, Handler, Parameter, Route

Page = Callable[[Visit], Awaitable[Response]]
OPEN = None
"""Scope of pages for everybody, also without signing in."""
ANY = ""
"""Scope of pages for everybody who has signed in, with any rights."""
FILES = "multipart/form-data"
WITH_FILE = Body(dict, dict, (FILES,))


def page(
    path: str,
    name: str,
    scope: str | None,
    handler: Page,
    *parameters: str,
    many: tuple[str, ...] = (),
    takes_more: bool = False,
) -> Route:
    """Return the route of a page. `many`: the parameters that may be repeated."""
    given = (*(Parameter(one, one, many=one in many) for one in (*parameters, "done")),)
    return Route("GET", f"/console{path}", name, name, scope, cast("Handler", handler), given, takes_more=takes_more)


def form(path: str, name: str, scope: str | None, handler: Page, *, takes_file: bool = False) -> Route:
    """Return the route that a form is sent to, with a file beside its fields or without."""
    body = WITH_FILE if takes_file else None
    return Route("POST", f"/console{path}", name, name, scope, cast("Handler", handler), body=body)


def handler_of(route: Route) -> Page:
    return cast("Page", route.handler)
