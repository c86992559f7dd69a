"""Sessions of people: signed in with a key of the API, or on this machine as long as no key was ever made.

Invariant: the cookie holds a random name and nothing else; the person behind it is stored on the server. A form is
accepted only from a page of this console: it repeats a proof that only such a page can derive from the cookie, and no
other site sent it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from oms_es.http.access import LOCAL, NO_CALLER, Caller
from oms_es.http.app import require_this_machine
from oms_es.http.errors import Forbidden
from oms_es.http.logins import SECRET_BYTES, caller_in, session_of
from oms_es.http.services import Services
from oms_es.store.http import sessions
from oms_es.store.http.api_keys import parts_of

COOKIE = "oms_console"
PATH = "/console"
NAME = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
SAME_SITE = ("same-origin", "none")


class Person(NamedTuple):
    """The person behind a request. `name`: what the cookie holds. `is_new`: the cookie is set with this answer."""

    caller: Caller
    name: str
    is_new: bool = False

    @property
    def is_known(self) -> bool:
        return self.caller is not NO_CALLER

    @property
    def is_local(self) -> bool:
        return self.caller is LOCAL

    @property
    def proof(self) -> str:
        """Return the proof that every form on a page for this person repeats."""
        return sha256(b"form\n" + self.name.encode()).hexdigest()


async def person_of(services: Services, request: Request) -> Person:
    """Return the person behind the request. Raise TooMany; without any keys, raise Forbidden for another machine or
    site."""
    sent = request.cookies.get(COOKIE, "")
    is_new = not NAME.fullmatch(sent)
    name = secrets.token_urlsafe(SECRET_BYTES) if is_new else sent
    if await run_in_threadpool(services.keys.is_open):
        require_this_machine(request)
        return Person(LOCAL, name, is_new)
    caller = None if is_new else await run_in_threadpool(_signed_in, services, name)
    if caller is not None:
        services.rates.take(caller.actor)
    return Person(caller or NO_CALLER, name, is_new)


def _signed_in(services: Services, name: str) -> Caller | None:
    now, hashed = datetime.now(UTC), _hashed(name)
    session = services.read(lambda connection: sessions.live(connection, hashed, now))
    if session is None:
        return None
    if session.is_to_touch(now):
        services.write(lambda connection: sessions.touch(connection, hashed, now))
    if session.caller is not None:
        person = caller_in(session.caller)
        return person if services.logins and services.logins.holds(person) else None
    return services.keys.caller_of(session.key_id, session.secret_sha256)


def sign_in(services: Services, token: str) -> Person:
    """Open a session for the key's holder. Raise NoAccess.

    The session has a new name, so that a name from before signing in is worthless.
    """
    caller = services.keys.caller(token)
    parts = parts_of(token)
    assert parts
    name, secret_sha256 = secrets.token_urlsafe(SECRET_BYTES), sha256(parts[1].encode()).digest()
    now = datetime.now(UTC)
    services.write(lambda rows: sessions.open_for(rows, _hashed(name), parts[0], secret_sha256, now))
    return Person(caller, name, is_new=True)


def sign_in_as(services: Services, caller: Caller) -> Person:
    """Open a session for a person who signed in at a provider; it keeps the rights of that moment until it ends."""
    name, now = secrets.token_urlsafe(SECRET_BYTES), datetime.now(UTC)
    services.write(lambda rows: sessions.open_as(rows, _hashed(name), session_of(caller), now))
    return Person(caller, name, is_new=True)


def sign_out(services: Services, person: Person) -> None:
    services.write(lambda connection: sessions.close(connection, _hashed(person.name)))


def require_own_form(request: Request, person: Person, proof: str) -> None:
    """Raise Forbidden unless the form came from a page of this console, made for this person."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_own = site in SAME_SITE if site is not None else True
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        is_own = False
    if not is_own or person.is_new or not hmac.compare_digest(person.proof.encode(), proof.encode()):
        raise Forbidden("the form did not come from a page of this console, or is too old: load the page again")


def remember(response: Response, request: Request, name: str) -> None:
    response.set_cookie(COOKIE, name, path=PATH, secure=by_tls(request), httponly=True, samesite="lax")


def by_tls(request: Request) -> bool:
    """Return whether the browser uses HTTPS; TLS may end at a proxy before this server."""
    origin = request.headers.get("origin", "")
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto")) or origin.startswith("https:")


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="lax")


def _hashed(name: str) -> bytes:
    return sha256(name.encode()).digest()
