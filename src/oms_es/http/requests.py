"""A request as handlers see it: its caller, path, query, headers, and a body of bounded size.

Invariant: what is not declared is refused: an unknown parameter, one given twice, a compressed body.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from psycopg.errors import QueryCanceled
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from oms_es.history.moments import POSITION
from oms_es.http.access import Caller
from oms_es.http.errors import BadParameter, Malformed, QuestionTooLarge, TooLong, TooSlow, WrongMedia
from oms_es.http.routing import Route
from oms_es.processing.committer import Key
from oms_es.reports.queries import Connection
from oms_es.reports.streams import At
from oms_es.schemas.sent import check_sent

if TYPE_CHECKING:
    from oms_es.http.services import Services

BODY_BYTES_MAX = 1_000_000
BODY_SECONDS_MAX = 20.0
QUERY_FIELDS_MAX = 50
QUERY_LENGTH_MAX = 8_192
PAGE_MAX = 250
PAGE = 50
KEY_LENGTH_MAX = 255
TRACE = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
ETAG = re.compile(r'"([1-9][0-9]{0,17}|0)"', re.ASCII)
NUMBER = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
UNICODE = frozenset({"application/json", "application/x-ndjson"})
"""Media types that are read as UTF-8, whatever their sender says."""
CHARSET = re.compile(r'\bcharset\s*=\s*"?([^\s";]*)', re.ASCII)
UTF_8 = frozenset({"utf-8", "utf8", "us-ascii"})
SENT_ONCE = (b"authorization", b"idempotency-key", b"if-match", b"content-type", b"content-encoding", b"host")

T = TypeVar("T")


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return the trace's id if the caller sent one (W3C Trace Context), else a new random id."""
    match = TRACE.fullmatch(headers.get("traceparent", ""))
    return match[1] if match else secrets.token_hex(16)


@dataclass
class Asked:
    """One request that was matched to a route and authorised."""

    request: Request
    route: Route
    values: Mapping[str, str]
    caller: Caller
    services: Services
    request_id: str

    def __post_init__(self) -> None:
        self._query = _query(self.route, self.request.scope["query_string"])

    def header(self, name: str) -> str | None:
        return self.request.headers.get(name)

    def one(self, name: str) -> str | None:
        """Return the value of an optional parameter, or None."""
        return next(iter(self._query.get(name, ())), None)

    def many(self, name: str) -> list[str]:
        return self._query.get(name, [])

    def given(self) -> dict[str, str]:
        """Return every parameter that was sent, with its first value."""
        return {name: values[0] for name, values in self._query.items()}

    def flag(self, name: str) -> bool:
        value = self.one(name)
        if value not in (None, "true", "false"):
            raise BadParameter(name, "write true or false")
        return value == "true"

    def number(self, name: str, default: int, largest: int) -> int:
        value = self.one(name)
        if value is None:
            return default
        if not NUMBER.fullmatch(value) or int(value) > largest:
            raise BadParameter(name, f"write a whole number up to {largest}")
        return int(value)

    def limit(self, largest: int = PAGE_MAX) -> int:
        limit = self.number("limit", PAGE, largest)
        if not limit:
            raise BadParameter("limit", f"write a whole number from 1 to {largest}")
        return limit

    def moment(self, name: str) -> datetime | None:
        value = self.one(name)
        return None if value is None else moment_in(name, value)

    def version(self) -> int | None:
        """Return the version that If-Match asks for, or None. Raise Malformed."""
        value = self.header("if-match")
        if value is None:
            return None
        match = ETAG.fullmatch(value.strip())
        if not match:
            raise Malformed('If-Match is a version as ETag has it, such as "7"')
        return int(match[1])

    def key(self, sha256_of: bytes) -> Key | None:
        value = self.header("idempotency-key")
        if value is None:
            return None
        if not KEY.fullmatch(value):
            raise Malformed(f"Idempotency-Key is of 1 to {KEY_LENGTH_MAX} visible ASCII characters")
        return Key(self.caller.actor, value, sha256_of)

    async def body(self, *media_types: str, bytes_max: int = BODY_BYTES_MAX) -> bytes:
        """Return the whole body. Raise TooLong, TooSlow or WrongMedia."""
        parts: list[bytes] = []
        await self.receive(parts.append, *media_types, bytes_max=bytes_max)
        return b"".join(parts)

    async def json_body(self) -> bytes:
        """Return a body of JSON in which no object has a name twice. Raise BadInput, and what `body` raises."""
        raw = await self.body(JSON)
        check_sent(raw)
        return raw

    async def receive(
        self,
        take: Callable[[bytes], None],
        *media_types: str,
        bytes_max: int = BODY_BYTES_MAX,
        seconds_max: float = BODY_SECONDS_MAX,
    ) -> None:
        """Pass the body to `take`, a piece at a time, as it arrives. Raise TooLong, TooSlow, WrongMedia, and what
        `take` raises."""
        media_type, _, parameters = (self.header("content-type") or "").lower().partition(";")
        if media_type.strip() not in media_types:
            raise WrongMedia(f"send the body as {' or '.join(media_types)}")
        if media_type.strip() in UNICODE and (named := CHARSET.search(parameters)) and named[1] not in UTF_8:
            raise WrongMedia("send the body in UTF-8, and leave the charset out or say so")
        if (self.header("content-encoding") or "identity").strip().lower() != "identity":
            raise WrongMedia("send the body uncompressed")
        length = self.header("content-length") or "0"
        if not NUMBER.fullmatch(length) or int(length) > bytes_max:
            raise TooLong(f"the body may have {bytes_max} bytes")
        try:
            async with asyncio.timeout(seconds_max):
                await _receive(self.request, bytes_max, take)
        except TimeoutError:
            raise TooSlow(f"the body did not come within {seconds_max:.0f} s") from None
        except ClientDisconnect:
            raise Malformed("the body ended early") from None

    async def read(self, question: Callable[[Connection], T], reads: Collection[str] | None = None) -> T:
        """Query the read models in a thread, within a time limit; on a dated route with `at`, query them as they were
        then.

        `reads`: the read models that this query needs, where the route does not declare them.

        Raise NoMoment, StillToCome, NoStateNear or QuestionTooLarge.
        """
        try:
            if self.route.is_dated and (at := self.at()) is not None:
                return await run_in_threadpool(
                    self.services.read_at, self.route.reads if reads is None else reads, at, question
                )
            return await run_in_threadpool(self.services.read, question)
        except QueryCanceled:
            raise QuestionTooLarge(TOO_LARGE) from None

    def at(self) -> At | None:
        """Return the moment or position that the parameter `at` names, or None. Raise BadParameter."""
        text = self.one("at")
        return None if text is None else int(text) if POSITION.fullmatch(text) else moment_in("at", text)

    async def note_personal(self, subject: str) -> None:
        """Record that the caller sees personal data of the subject; called before the data is sent."""
        await run_in_threadpool(self.services.note_access, self.caller.actor, self.route.name, subject, self.request_id)

    def json(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Answer with the value as JSON, without the fields that the caller may not see."""
        shown = self.services.shown(value, self.caller)
        return Response(
            to_json(shown, inf_nan_mode="null"), status, {"Cache-Control": "no-store", **(headers or {})}, JSON
        )


JSON = "application/json"
TOO_LARGE = (
    "it takes the database longer than a request may; ask for less, such as a shorter period, or in the terminal of "
    "the engine, which waits"
)


async def _receive(request: Request, bytes_max: int, take: Callable[[bytes], None]) -> None:
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > bytes_max:
            raise TooLong(f"the body may have {bytes_max} bytes")
        take(part)


def _query(route: Route, raw: bytes) -> dict[str, list[str]]:
    if len(raw) > QUERY_LENGTH_MAX:
        raise Malformed(
            f"the query has {len(raw):,} bytes as it is percent-encoded, and may have {QUERY_LENGTH_MAX:,}; "
            "send less in its parameters (a letter outside ASCII takes six bytes or more)"
        )
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX, errors="strict")
    except ValueError:
        raise Malformed("the query is not percent-encoded UTF-8, or has too many fields") from None
    known = {parameter.name: parameter for parameter in route.parameters}
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in known:
            if route.takes_more:
                continue
            raise BadParameter("query", f"a parameter is not known here; there are {', '.join(known) or 'none'}")
        if "\0" in value:
            raise BadParameter(name, "leave out the character NUL")
        found.setdefault(name, []).append(value)
    for name, values in found.items():
        if len(values) > 1 and not known[name].many:
            raise BadParameter(name, "give it once")
    return found


def moment_in(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadParameter(name, "write a moment with its offset, such as 2026-01-05T12:00:00Z (a + is sent as %2B)")
    return moment


def check_sent_once(headers: list[tuple[bytes, bytes]]) -> None:
    """Raise Malformed if such a header was sent twice: proxies differ in which of the two they read."""
    names = [name for name, _ in headers]
    for name in SENT_ONCE:
        if names.count(name) > 1:
            raise Malformed(f"{name.decode()} was sent more than once")
