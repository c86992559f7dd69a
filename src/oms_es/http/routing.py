"""Routes as data: one table serves matching, the OpenAPI document, and tests that try every route with every role.

Invariant: a path segment holds what was sent, decoded once: a name may contain a slash or a colon if it is
percent-encoded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from oms_es.http.errors import Malformed, NoResource, NoVerb, WrongMethod

if TYPE_CHECKING:
    from starlette.responses import Response

    from oms_es.http.requests import Asked

SEGMENTS_MAX = 8
PATH_LENGTH_MAX = 4_096
Handler = Callable[["Asked"], Awaitable["Response"]]


@dataclass(frozen=True)
class Parameter:
    """A query parameter. `many`: it may be repeated."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    many: bool = False


@dataclass(frozen=True)
class Body:
    """A request body: its media types, each with a schema, and an example that is accepted."""

    schema: Callable[[], Mapping[str, Any]]
    example: Callable[[], Any]
    media_types: tuple[str, ...] = ("application/json",)


@dataclass(frozen=True)
class Route:
    """One route. `path` has `{…}` for its variable parts. `scope` is None for routes that need no key. `reads`: the
    read models that it shows, which Oms-Min-Position waits for. `is_dated`: with `at`, it shows those as they were."""

    method: str
    path: str
    name: str
    summary: str
    scope: str | None
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    reads: tuple[str, ...] = ()
    answers: Mapping[int, str] = field(default_factory=lambda: {200: "It is so."})
    answer: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})
    tag: str = ""
    media: str = "application/json"
    is_stream: bool = False
    is_command: bool = False
    is_dated: bool = False
    takes_more: bool = False
    """Undeclared parameters are ignored and not refused: a redirect from another site may carry any."""
    path_schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """JSON Schemas of the path's variables that are more than text."""

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.partition(":")[0].strip("/").split("/"))

    @property
    def verb(self) -> str:
        """Return the verb after the colon at the end of the path, or an empty string."""
        return self.path.partition(":")[2]


class Matched(NamedTuple):
    route: Route
    values: Mapping[str, str]


class Router:
    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._by_shape: dict[tuple[int, str], list[Route]] = {}
        for route in self.routes:
            self._by_shape.setdefault((len(route.segments), route.verb), []).append(route)
        for found in self._by_shape.values():  # literal segments match before variables
            found.sort(key=lambda route: [part.startswith("{") for part in route.segments])

    def match(self, method: str, raw_path: bytes) -> Matched:
        """Return the route for the request, with its variables. Raise NoResource, NoVerb, WrongMethod or Malformed."""
        pieces = _pieces(raw_path)
        name, colon, verb = pieces[-1].rpartition(b":")
        found = self._found([*pieces[:-1], name], verb.decode("latin-1")) if colon else []
        found = found or self._found(pieces, "")
        wanted = "GET" if method == "HEAD" else method
        for one in found:
            if one.route.method == wanted:
                return one
        if colon and method == "POST" and (verbs := self._verbs([*pieces[:-1], name])):
            raise NoVerb(verbs)
        if not found:
            raise NoResource("nothing is served under this path; GET /openapi.json lists all paths")
        raise WrongMethod(_allowed(found))

    def _verbs(self, pieces: Sequence[bytes]) -> dict[str, str | None]:
        """Return the verbs that may follow the colon, each with the scope that it needs."""
        verbs = sorted(verb for count, verb in self._by_shape if verb and count == len(pieces))
        return {verb: found[0].route.scope for verb in verbs if (found := self._found(pieces, verb))}

    def _found(self, pieces: Sequence[bytes], verb: str) -> list[Matched]:
        decoded = [_decoded(piece) for piece in pieces]
        candidates = self._by_shape.get((len(decoded), verb), [])
        found = [Matched(route, values) for route in candidates if (values := _values(route, decoded)) is not None]
        return [one for one in found if one.values == found[0].values] if found else []


def _allowed(found: Iterable[Matched]) -> str:
    methods = {one.route.method for one in found}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _pieces(raw_path: bytes) -> list[bytes]:
    if len(raw_path) > PATH_LENGTH_MAX:
        raise Malformed("the path is too long")
    pieces = raw_path.strip(b"/").split(b"/") if raw_path.strip(b"/") else [b""]
    if len(pieces) > SEGMENTS_MAX:
        raise NoResource("nothing is served under this path; GET /openapi.json lists all paths")
    return pieces


def _decoded(piece: bytes) -> str:
    try:
        text = unquote(piece.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise Malformed("the path is not percent-encoded UTF-8") from None
    if "\0" in text:
        raise Malformed("the path contains the character NUL")
    return text


def _values(route: Route, decoded: Sequence[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for part, given in zip(route.segments, decoded, strict=True):
        if part.startswith("{"):
            if not given:
                return None
            values[part[1:-1]] = given
        elif part != given:
            return None
    return values
