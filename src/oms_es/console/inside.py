"""The API as the console calls it, in this process: the same routes, handlers and checks, for the person who is signed
in.

Invariant: whatever a page shows or does has passed the check of its route's scope, as if the person had sent the
request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from oms_es.http.access import Caller
from oms_es.http.app import answered
from oms_es.http.errors import Forbidden, NotYet
from oms_es.http.reading.positions import HEADER
from oms_es.http.requests import JSON
from oms_es.http.routing import Router
from oms_es.http.services import Services

Query = Mapping[str, str | Sequence[str] | None]
NO_QUERY: Query = {}
BYTES = "application/octet-stream"


def at(*segments: str, verb: str = "") -> str:
    """Return a path of the API or the console; the segments are percent-encoded."""
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    return f"{path}:{verb}" if verb else path


@dataclass(frozen=True)
class Api:
    services: Services
    router: Router
    caller: Caller
    request_id: str

    def may(self, scope: str | None) -> bool:
        return scope is None or scope in self.caller.scopes

    async def get(self, path: str, query: Query = NO_QUERY, *, shows: int | None = None) -> Any:
        """Return what the API answers. `shows`: a position that the answer must include, for which it waits a moment.

        Raise what the API raises.
        """
        headers = {} if not shows else {HEADER: str(shows)}
        return (await self._ask("GET", path, query, b"", headers))[1]

    async def get_soon(self, path: str, query: Query = NO_QUERY, *, shows: int | None = None) -> tuple[Any, bool]:
        """Return what the API answers, and whether it includes the position `shows`; if not, the answer is older."""
        try:
            return await self.get(path, query, shows=shows), True
        except NotYet:
            return await self.get(path, query), False

    async def maybe(self, path: str, query: Query = NO_QUERY) -> Any | None:
        """Return what the API answers, or None if the person may not see it."""
        try:
            return await self.get(path, query)
        except Forbidden:
            return None

    async def every(self, *asked: tuple[str, Query]) -> list[Any | None]:
        """Return the answers to several requests, which run at once; None for each that the person may not see."""
        return await asyncio.gather(*(self.maybe(path, query) for path, query in asked))

    async def post(
        self, path: str, body: Any, query: Query = NO_QUERY, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send a command; return the status and the API's answer."""
        given = {"content-type": JSON, **(headers or {})}
        return await self._ask("POST", path, query, to_json(body), given)

    async def send(self, path: str, content: bytes, query: Query = NO_QUERY) -> tuple[int, Any]:
        """Send a file's bytes; return the status and the API's answer."""
        return await self._ask("POST", path, query, content, {"content-type": BYTES})

    async def whole(self, path: str) -> Response:
        """Return the API's response unchanged, for files."""
        return await self._answered("GET", path, NO_QUERY, b"", {})

    async def _ask(
        self, method: str, path: str, query: Query, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Any]:
        response = await self._answered(method, path, query, body, headers)
        return response.status_code, from_json(bytes(response.body))

    async def _answered(
        self, method: str, path: str, query: Query, body: bytes, headers: Mapping[str, str]
    ) -> Response:
        given = {name: value for name, value in query.items() if value is not None}
        request = _request(method, path, urlencode(given, doseq=True), body, headers)
        matched = self.router.match(method, request.scope["raw_path"])
        return await answered(self.services, matched, self.caller, request, self.request_id)


def _request(method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "scheme": "http",
        "server": None,
    }
    return Request(scope, receive)
